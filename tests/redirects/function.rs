//! The code of the function, run in Node as CloudFront runs it.

use crate::world::site::{Run, World};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// The result of a request: `301 /new` for a redirect, `/index.html` for what is requested from the origin.
struct Function {
    code: String,
}

impl Function {
    async fn of(redirects: &str, files: &[&str], options: &[&str]) -> (Function, Run) {
        let world = World::new(&files.iter().map(|file| (*file, "x")).collect::<Vec<_>>()).await;
        world.write("_redirects", redirects);
        let mut arguments = vec!["redirects", world.source().to_str().unwrap()];
        arguments.extend(options);
        let run = world.run(&arguments).expect(0);
        (Function { code: run.stdout.clone() }, run)
    }

    /// Requests each of the URLs, in one process.
    fn answers<const N: usize>(&self, urls: [&str; N]) -> [String; N] {
        let events: Vec<Value> = urls.into_iter().map(event).collect();
        let script = format!(
            "{}\nfor (const event of {}) {{\n  const answer = handler(event);\n  \
             console.log(answer.statusCode ? answer.statusCode + ' ' + answer.headers.location.value : answer.uri);\n}}\n",
            self.code,
            json!(events)
        );
        let mut node =
            Command::new("node").args(["--use_strict", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let node = node.as_mut().expect("node is needed to run the function");
        node.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let mut lines = String::new();
        std::io::Read::read_to_string(&mut node.stdout.take().unwrap(), &mut lines).unwrap();
        assert!(node.wait().unwrap().success(), "{}", self.code);
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        lines.try_into().unwrap()
    }
}

/// The event of a viewer request, with the parts that functions use
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html>).
fn event(url: &str) -> Value {
    let (host, url) = match url.strip_prefix("https://") {
        Some(rest) => rest.split_at(rest.find('/').unwrap()),
        None => ("www.example.com", url),
    };
    let (uri, query) = url.split_once('?').unwrap_or((url, ""));
    let mut parameters = json!({});
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match parameters.get_mut(name) {
            None => parameters[name] = json!({"value": value}),
            Some(known) if known.get("multiValue").is_none() => {
                let first = known["value"].clone();
                known["multiValue"] = json!([{"value": first}, {"value": value}]);
            }
            Some(known) => known["multiValue"].as_array_mut().unwrap().push(json!({"value": value})),
        }
    }
    json!({"version": "1.0", "context": {"eventType": "viewer-request"}, "request": {
        "method": "GET", "uri": uri, "querystring": parameters, "headers": {"host": {"value": host}}, "cookies": {}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_does_what_each_line_says_and_the_first_that_matches_holds() {
    let redirects = "\
/old            /new
/temp           /x                          302
/see            /x                          303
/keep           /x                          307
/moved          https://other.example/x     308
/news/special   /specials
/news/*         /blog/:splat
/news/late      /never
/:lang/docs/:page  /docs/:page/:lang
/caf\u{e9}      /th\u{e9}
/shop/*/item    /items/:splat
/store id=:id   /things/:id
/search kind=book  /books                  302
https://old.example/*  https://www.example.com/:splat
/app/*          /app/index.html             200
";
    let (function, run) = Function::of(redirects, &["index.html", "app/index.html"], &[]).await;
    assert!(function.code.len() < 10 * 1024);
    assert_eq!(run.says("_redirects:8: no effect").stderr.lines().count(), 1);
    let answers = function.answers([
        "/old",
        "/old/",
        "/old/more",
        "/temp",
        "/see",
        "/keep",
        "/moved",
        "/news/special",
        "/news/2026/a",
        "/news",
        "/news/late",
        "/newspaper",
        "/de/docs/intro",
        "/caf%C3%A9",
        "/shop/a/b/item",
        "/store?id=7",
        "/store?other=7",
        "/search?kind=book",
        "/search?kind=film",
        "https://old.example/a/b",
        "/app/deep/link",
        "/untouched",
    ]);
    let expected = [
        "301 /new",
        "301 /new",
        "/old/more",
        "302 /x",
        "303 /x",
        "307 /x",
        "308 https://other.example/x",
        "301 /specials",
        "301 /blog/2026/a",
        "301 /blog/",
        "301 /blog/late",
        "/newspaper",
        "301 /docs/intro/de",
        "301 /th%C3%A9",
        "301 /items/a/b",
        "301 /things/7",
        "/store",
        "302 /books",
        "/search",
        "301 https://www.example.com/a/b",
        "/app/index.html",
        "/untouched",
    ];
    assert_eq!(answers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn query_strings_go_along_unless_the_target_has_one_of_its_own() {
    let (function, _) = Function::of("/a /b\n/c /d?e=f\n/g/* /h/:splat\n", &["index.html"], &[]).await;
    let answers = function.answers(["/a?x=1&y=&x=2", "/c?x=1", "/g/i?j=k"]);
    assert_eq!(answers, ["301 /b?x=1&x=2&y", "301 /d?e=f", "301 /h/i?j=k"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_site_comes_before_a_rule_that_is_not_forced() {
    let files = ["index.html", "about/index.html", "blog/first.html", "app.js", "old.html", "gone.html"];
    let redirects = "/about /x\n/old.html /x 301!\n/blog/* /news/:splat\n/* /index.html 200\n";
    let (function, run) = Function::of(redirects, &files, &[]).await;
    let run = run.says("_redirects:1: no effect: /about is the file about/index.html");
    assert!(!run.stderr.contains("_redirects:2"), "{}", run.stderr);
    let answers = function.answers([
        "/about/",
        "/old.html",
        "/blog/first.html",
        "/blog/first",
        "/blog/second",
        "/app.js",
        "/app/route",
        "/",
        "/gone.html",
    ]);
    let expected = [
        "/about/",
        "301 /x",
        "/blog/first.html",
        "301 /news/first",
        "301 /news/second",
        "/app.js",
        "/index.html",
        "/",
        "/gone.html",
    ];
    assert_eq!(answers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_many_files_the_error_response_or_the_extension_decides() {
    let names: Vec<String> =
        (0..2000_u64).map(|at| format!("assets/chunk-{at}-{:016x}.js", at * 0x9E37_79B9_7F4A)).collect();
    let mut files: Vec<&str> = names.iter().map(String::as_str).collect();
    files.push("index.html");
    let (function, run) = Function::of("/api/* https://a.example/:splat 200\n/* /index.html 200\n", &files, &[]).await;
    run.says("_redirects:2 does not fit").says("error responses of the distribution for 403 and 404 to /index.html");
    assert_eq!(function.answers(["/route", "/api/x"]), ["/route", "/api/x"]);
    let (function, run) = Function::of("/* /index.html 302\n", &files, &[]).await;
    run.says("every URL with an extension counts as a file");
    let answers = function.answers([&format!("/{}", names[1999]), "/route", "/deep/route/"]);
    assert_eq!(answers, [format!("/{}", names[1999]).as_str(), "302 /index.html", "302 /index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_url_leads_to_another_host_or_round_in_a_circle() {
    let (function, _) = Function::of("/go/* /:splat\n/dir /dir/\n/same/* /same/:splat\n", &["index.html"], &[]).await;
    let answers = function.answers([
        "/go//evil.example/x",
        "/go/\\evil.example",
        "/go/\\/evil.example",
        "/dir",
        "/dir/",
        "/same/a",
    ]);
    let expected = ["301 /evil.example/x", "301 /evil.example", "301 /evil.example", "301 /dir/", "/dir/", "/same/a"];
    assert_eq!(answers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_function_of_a_behavior_shows_directories_too_where_that_is_asked() {
    let (function, _) = Function::of("/old /new\n", &["index.html"], &["--directory-index"]).await;
    let answers = function.answers(["/old", "/", "/blog/", "/blog", "/a.css", "/.well-known/x"]);
    let expected = [
        "301 /new",
        "/index.html",
        "/blog/index.html",
        "301 https://www.example.com/blog/",
        "/a.css",
        "/.well-known/x",
    ];
    assert_eq!(answers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_cloudfront_would_not_take_is_not_printed() {
    let world = World::new(&[("index.html", "x")]).await;
    let page = |at: u64| format!("{:x}", at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let many: String = (0..700).map(|at| format!("/old/{} /new/{}\n", page(at), page(at + 1000))).collect();
    world.write("_redirects", many);
    let source = world.source().to_str().unwrap();
    let run = world.run(&["redirects", source]).expect(6).says("CloudFront accepts 10240").says("of 700 lines");
    assert_eq!(run.says("hint:").says("--key-value-store").stdout, "");
    let run = world.run(&["redirects", source, "--key-value-store", "--json"]).expect(0);
    assert_eq!(run.json["store"].as_array().unwrap().len(), 700);
    assert!(run.json["code"].as_str().unwrap().starts_with("import cf from 'cloudfront';"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_makes_no_sense_is_skipped_and_named_with_its_file_and_what_to_write() {
    let world = World::new(&[("index.html", "x")]).await;
    world.write("_redirects", "/a /b\n/c\n/d /e\n/e /d\n");
    let source = world.source().to_str().unwrap();
    for command in [vec!["redirects", source], world.arguments("deploy", crate::world::site::TARGET, &[])] {
        let run = world.run(&command).expect(0);
        assert!(
            run.says("_redirects:2: skipped: /c leads nowhere; write it as '/from /to 301'")
                .stderr
                .contains("_redirects:3: endless redirect")
        );
        let strict = [command.as_slice(), &["--strict-rules"]].concat();
        world.run(&strict).expect(2).says("_redirects:2: /c leads nowhere").says("hint: write it as '/from /to 301'");
    }
    world.write("_redirects", "/a\n");
    world
        .run(&["redirects", source])
        .expect(2)
        .says("_redirects has no redirects")
        .says("_redirects:1: skipped: /a leads nowhere");
    world.write("_redirects", b"/a /b\n/caf\xe9 /c\n");
    world.run(&["redirects", source]).expect(2).says("_redirects:2: the line is not UTF-8").says("save it as UTF-8");
    world.write("_redirects", "# none yet\n");
    world.run(&["redirects", source]).expect(2).says("_redirects has no redirects");
    world.remove("_redirects");
    world.run(&["redirects", source]).expect(2).says("_redirects does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_status_the_platform_decides() {
    for (options, expected) in [(&[][..], "301 /new"), (&["--rules", "cloudflare"], "302 /new")] {
        let (function, _) = Function::of("/old /new\n", &["index.html"], options).await;
        assert_eq!(function.answers(["/old"]), [expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_for_some_roles_only_is_refused() {
    let world = World::new(&[("index.html", "x"), ("admin/index.html", "a")]).await;
    world.write("_redirects", "/admin/* 200! Role=admin\n/a /b\n");
    world.deploy(&[]).expect(6).says("_redirects:1: /admin/*").says("--may-be-public '/admin/*'");
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--may-be-public", "/admin/*"]).expect(0);
}
