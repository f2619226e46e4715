//! Runs the code generated from `_headers` and `_redirects` as AWS does: it answers as the interpreter of the rules
//! does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by failing")]

#[path = "../../site/tests/functions/cases.rs"]
mod cases;
#[path = "../../site/tests/functions/events.rs"]
mod events;
#[path = "../../site/tests/functions/strategies.rs"]
mod strategies;

use proptest::prelude::*;
use serde_json::{Value, json};
use shipfront_edge::Function;
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::redirect_function::{Table, code, entries};
use shipfront_site::redirects_file::RedirectsFile;
use shipfront_site::viewer_rules::{Answer, Request, Rules};
use shipfront_site::{header_function, headers_file};
use std::collections::BTreeMap;
use strategies::{pattern, request, rules, site};

/// Maximum number of requests per file; Node gets all of them.
const MOST_REQUESTS: usize = 25;

fn function(code: String, has_store: bool) -> Function {
    Function {
        name: "rules".to_owned(),
        comment: String::new(),
        runtime: "cloudfront-js-2.0".to_owned(),
        code,
        key_value_store: has_store.then(|| "a store".to_owned()),
    }
}

/// The event as text, with the query's order.
fn text(event: &Value) -> String {
    let pairs = event["request"]["querystring"].as_array().unwrap();
    let pairs: Vec<String> = pairs.iter().map(|pair| format!("{}:{}", pair[0], pair[1])).collect();
    let mut event = event.clone();
    event["request"]["querystring"] = json!("HERE");
    event.to_string().replace("\"HERE\"", &format!("{{{}}}", pairs.join(",")))
}

/// What the function of these rules answers, with their table stored this way. `None` if it cannot be.
fn answers(rules: &Rules, table: Table, requests: &[&Request]) -> Option<Vec<Answer>> {
    let function = function(code(rules, table)?, table == Table::Store);
    let values: BTreeMap<String, String> = match table {
        Table::Store => entries(rules).0.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let answer = |request: &&Request| {
        let output = function.run(&text(&events::event(request)), &values);
        let output: Value =
            serde_json::from_str(&output.unwrap_or_else(|error| panic!("{error}\n{}", function.code))).unwrap();
        let kind = output.as_object().unwrap().values().next().unwrap();
        events::answer(kind).unwrap_or_else(|| panic!("{output}\n{}", function.code))
    };
    Some(requests.iter().map(answer).collect())
}

#[test]
fn the_code_of_every_file_answers_as_its_rules_do_however_its_table_is_kept() {
    for case in cases::cases() {
        let all = case.requests();
        let some = all.iter().step_by(all.len().div_ceil(MOST_REQUESTS));
        let requests: Vec<&Request> = some.chain(case.expected.iter().map(|(request, _)| request)).collect();
        for table in [Table::Plain, Table::Packed, Table::Store] {
            let Some(answers) = answers(&case.rules, table, &requests) else {
                assert_eq!(table, Table::Packed, "{}", case.name);
                continue;
            };
            for (request, answer) in requests.iter().zip(&answers) {
                assert_eq!(*answer, case.rules.answer(request), "{} {table:?}: {request:?}", case.name);
            }
        }
    }
}

/// As CloudFront accepts it on every plan, and from a store.
#[test]
fn a_thousand_exact_lines_are_answered() {
    let line = |number: usize| format!("/posts/{number}-a-title-of-{} /articles/{number}/title 301\n", number * 7 % 13);
    let text: String = (0..1000).map(line).collect();
    let rules = rules(&text, &[], &RuleOptions::default(), true);
    let requests: Vec<Request> = (0..1000)
        .step_by(97)
        .map(|number| Request::of(&format!("https://www.example.com{}", line(number).split(' ').next().unwrap())))
        .collect();
    let requests: Vec<&Request> = requests.iter().collect();
    let expected: Vec<Answer> = requests.iter().map(|request| rules.answer(request)).collect();
    assert!(expected.iter().all(|answer| matches!(answer, Answer::Redirect { status: 301, .. })));
    assert!(code(&rules, Table::Packed).unwrap().len() <= 10 * 1024);
    for table in [Table::Packed, Table::Store] {
        assert_eq!(answers(&rules, table, &requests).unwrap(), expected, "{table:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn code_answers_as_its_rules_do(
        (text, keys, options, index) in site(),
        requests in prop::collection::vec(request(), 8),
    ) {
        let rules = rules(&text, &keys, &options, index);
        let requests: Vec<&Request> = requests.iter().collect();
        for table in [Table::Plain, Table::Packed, Table::Store] {
            let Some(answers) = answers(&rules, table, &requests) else { continue };
            for (request, answer) in requests.iter().zip(&answers) {
                prop_assert_eq!(answer, &rules.answer(request), "{:?} {:?} of {:?}\n{}", table, request, keys, text);
            }
        }
    }

    #[test]
    fn headers_are_what_the_rules_say(
        blocks in prop::collection::vec((pattern(), prop::collection::vec("(X-A: (1|2|:x|:splat)|X-B: (:y|c)|! X-A|Link: </a>)", 1..4)), 1..5),
        requests in prop::collection::vec(request(), 8),
    ) {
        let text: String = blocks.iter().map(|(path, headers)| format!("{path}\n  {}\n", headers.join("\n  "))).collect();
        let options = RuleOptions { platform: Platform::Netlify, ..RuleOptions::default() };
        let file = headers_file::parse(&text, &options);
        let (rules, _) = Rules::new(RedirectsFile::default(), file, std::iter::empty(), false, &options);
        let function = function(header_function::generate(&rules).unwrap().code, false);
        for request in &requests {
            let event = json!({
                "version": "1.0", "context": {"eventType": "viewer-response"}, "viewer": {"ip": "192.0.2.1"},
                "request": {"method": "GET", "uri": request.uri, "headers": {"host": {"value": request.host}}},
                "response": {"statusCode": 200, "headers": {"x-a": {"value": "origin"}, "x-c": {"value": "origin"}}},
            });
            let mut expected = json!({"x-a": {"value": "origin"}, "x-c": {"value": "origin"}});
            for (name, value) in rules.response_headers(&request.host, &request.uri) {
                match value {
                    Some(value) => expected[name] = json!({"value": value}),
                    None => drop(expected.as_object_mut().unwrap().remove(&name)),
                }
            }
            let output = function.run(&event.to_string(), &BTreeMap::new());
            let output: Value = serde_json::from_str(&output.unwrap()).unwrap();
            prop_assert_eq!(&output["response"]["headers"], &expected, "{:?}\n{}", request, text);
        }
    }
}
