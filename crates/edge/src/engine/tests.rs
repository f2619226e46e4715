use super::quickjs::run;
use super::*;

const EVENT: &str = r#"{"request": {"uri": "/a", "querystring": {"b": {"value": "1"}, "a": {"value": "2"}}}}"#;

/// What a handler with this body returns, or why it fails.
fn returned(body: &str) -> Result<String, String> {
    run(&format!("function handler(event) {{\n{body}\n}}"), EVENT, None).output
}

#[test]
fn a_handler_gets_the_event_in_its_order_and_returns_what_it_made_of_it() {
    let found = returned("event.request.uri += 'b'; return event.request;").unwrap();
    assert_eq!(found, r#"{"uri":"/ab","querystring":{"b":{"value":"1"},"a":{"value":"2"}}}"#);
    let asynchronous = run("async function handler(event) { return await event.request.uri; }", EVENT, None);
    assert_eq!(asynchronous.output.unwrap(), r#""/a""#);
    let run = run("function handler(event) { console.log('at', event.request.uri, {a: 1}); return {}; }", EVENT, None);
    assert_eq!(run.logs, [r#"at /a {"a":1}"#]);
    assert!((1..=20).contains(&run.utilization), "{}", run.utilization);
}

#[test]
fn each_run_begins_with_nothing() {
    let code = "let runs = 0; function handler() { runs++; return {runs: runs}; }";
    for _ in 0..2 {
        assert_eq!(run(code, EVENT, None).output.unwrap(), r#"{"runs":1}"#);
    }
}

#[test]
fn what_cloudfront_does_not_have_is_not_there() {
    for (code, expected) in [
        ("eval('1')", "ReferenceError"),
        ("(0, globalThis.eval)('1')", "TypeError"),
        ("new Function('return 1')()", "ReferenceError"),
        ("(function () {}).constructor('return 1')()", "EvalError"),
        ("(async function () {}).constructor('return 1')()", "EvalError"),
        ("Object.getPrototypeOf(function () {}).constructor('1')", "EvalError"),
        ("setTimeout(function () {}, 1)", "ReferenceError"),
        ("setInterval(function () {}, 1)", "ReferenceError"),
        ("queueMicrotask(function () {})", "ReferenceError"),
        ("fetch('https://www.example.com/')", "ReferenceError"),
        ("new XMLHttpRequest()", "ReferenceError"),
        ("require('fs')", "ReferenceError"),
        ("process.env", "ReferenceError"),
        ("new WeakRef({})", "ReferenceError"),
        ("undeclared = 1", "ReferenceError"),
        ("throw new TypeError('so')", "TypeError: so"),
        ("throw 'so'", "so"),
    ] {
        let error = returned(&format!("{code}; return event.request;")).unwrap_err();
        assert!(error.starts_with(expected), "{code}: {error}");
    }
    assert_eq!(
        returned("return new Promise(function () {});").unwrap_err(),
        "The handler's promise is never fulfilled."
    );
    assert_eq!(returned("return;").unwrap_err(), "The function returned nothing.");
    assert_eq!(run("const a = 1;", EVENT, None).output.unwrap_err(), "The function has no handler.");
    let module = "import fs from 'fs';\nfunction handler(event) { return event.request; }";
    assert!(run(module, EVENT, None).output.unwrap_err().contains("import"));
}

#[test]
fn syntax_that_the_runtime_does_not_know_is_refused() {
    for code in [
        "class A {}",
        "const f = function* () { yield 1; };",
        "function* f() {}",
        "const {a} = event;",
        "const [a] = [1];",
        "for (const a of [1]) {}",
        "const a = event?.request;",
        "const a = event ?? 1;",
        "const a = [...[1]];",
        "const a = {...event};",
        "import('cloudfront');",
        "export const a = 1;",
    ] {
        let error = returned(&format!("{code} return event.request;")).unwrap_err();
        assert!(error.starts_with("SyntaxError"), "{code}: {error}");
    }
    for code in [
        "const a = function (first, ...others) { return others.length; };",
        "const a = (...all) => `${all.length} class`;",
        "const a = {class: 1, of: 2, default: 3}; a.class; a.import; event.yield;",
        "const a = /[/*] class/.test('yield') ? 'class' : \"for (a of b)\"; // class\n/* yield */",
        "for (const name in event) { let a = 2 ** 3; }",
        "label: for (;;) { break label; }",
        "const a = 1 / 2, b = 'x'.length / 2;",
    ] {
        let found = returned(&format!("{code} return event.request;"));
        assert!(found.is_ok(), "{code}: {found:?}");
    }
}

#[test]
fn time_and_memory_have_limits() {
    for endless in ["for (;;) {}", "const f = () => f(); f();", "/^(a+)+$/.test('a'.repeat(40) + 'b');"] {
        let error = returned(&format!("{endless} return event.request;")).unwrap_err();
        assert!(
            error.contains("steps") || error.contains("stack") || error.contains("RangeError"),
            "{endless}: {error}"
        );
    }
    let swallowed = returned("for (;;) { try { for (;;) {} } catch (error) {} }").unwrap_err();
    assert!(swallowed.contains("steps"), "{swallowed}");
    let outside = run("for (;;) {} function handler() {}", EVENT, None).output.unwrap_err();
    assert!(outside.contains("steps"), "{outside}");
    let large =
        returned("const all = []; for (let i = 0; i < 300; i++) all.push('x'.repeat(10000) + i); return {all: all};");
    assert!(large.unwrap_err().contains("memory"));
    assert!(returned("return {text: 'x'.repeat(500000)};").is_ok());
}

#[test]
fn a_store_is_read_where_the_function_has_one() {
    let store: Store = Arc::new(BTreeMap::from([("a".to_owned(), "1".to_owned())]));
    let code = |body: &str| format!("import cf from 'cloudfront';\nasync function handler(event) {{ {body} }}");
    let read = |body: &str, store: Option<Store>| run(&code(body), EVENT, store).output;
    let stored = |body| read(body, Some(Arc::clone(&store)));
    assert_eq!(stored("return {value: await cf.kvs().get('a')};").unwrap(), r#"{"value":"1"}"#);
    assert_eq!(stored("return {value: await cf.kvs().get('a', {format: 'json'})};").unwrap(), r#"{"value":1}"#);
    assert_eq!(stored("return {there: await cf.kvs().exists('b')};").unwrap(), r#"{"there":false}"#);
    assert_eq!(stored("return {count: await cf.kvs().count()};").unwrap(), r#"{"count":1}"#);
    assert_eq!(stored("return await cf.kvs().get('b');").unwrap_err(), "Error: KeyNotFound");
    assert_eq!(read("return await cf.kvs().get('a');", None).unwrap_err(), "Error: KvsStoreNotAssociated");
    let unimported = run("function handler() { return cf.kvs(); }", EVENT, Some(store)).output.unwrap_err();
    assert!(unimported.starts_with("ReferenceError"), "{unimported}");
}
