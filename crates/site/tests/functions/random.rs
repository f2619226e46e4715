//! Rules and URLs at random.

use crate::node::Node;
use proptest::prelude::*;
use serde_json::json;
use shipfront_site::header_function;
use shipfront_site::headers_file::{self, HeadersFile};
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::redirect_function::Table;
use shipfront_site::redirects_file;
use shipfront_site::viewer_rules::{Answer, Request, Rules};
use std::cell::RefCell;

const HOSTS: &str = "(www\\.a\\.example|a\\.example|B\\.example|x\\.b\\.example)";
const SEGMENT: &str = "(a|b|a|b|\\.well-known|c\\.html|%c3%a9|%C3%A9|index\\.html|-|x\\+y)";

fn text(expression: &str) -> impl Strategy<Value = String> + use<> {
    proptest::string::string_regex(expression).unwrap()
}

fn path() -> impl Strategy<Value = String> {
    text(&format!("((/{SEGMENT}){{1,3}}/?|(/{SEGMENT}){{1,3}}/?|/{{1,3}}|/a//b|/\\*|//a)"))
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = format!("({SEGMENT}|:x|:y|:z|\\*|\\*|a\\*|\\*b|:x\\.html|v:x)");
    text(&format!("((https:)?//({HOSTS}|\\*\\.example|:s\\.example))?(/{segment}){{1,3}}/?"))
}

fn target() -> impl Strategy<Value = String> {
    let segment = format!("({SEGMENT}|:x|:y|:splat|:splat)");
    text(&format!("(((https?:)?//{HOSTS})?(/{segment}){{1,3}}/?(\\?(k=1|l=:x))?(#f)?|/|https://b\\.example(\\?k=1)?)"))
}

fn line() -> impl Strategy<Value = String> {
    let query = "(( k=1| l=:x| k=:y| 1=:z){1,2})?";
    let status = "( (200|200!|301|301!|302|303|307!|308|404|404|999))?";
    let conditions = "(( Language=(de|en,fr)| Country=(de|us,ch)| Cookie=c| nonsense){1,2})?";
    (pattern(), query, target(), status, conditions).prop_map(|(pattern, query, target, status, conditions)| {
        format!("{pattern}{query} {target}{status}{conditions}")
    })
}

fn request() -> impl Strategy<Value = Request> {
    let query = "(\\?((k|l|1|2)(=(1|2|%20|))?&?){0,3})?";
    (HOSTS, path(), query, prop::option::of("(DE|US|FR)"), prop::option::of("(de|de-CH,en|fr;q=0\\.3|EN-us|)"))
        .prop_map(|(host, path, query, country, languages)| Request {
            country,
            languages,
            ..Request::of(&format!("https://{host}{path}{query}"))
        })
}

fn site() -> impl Strategy<Value = (String, Vec<String>, RuleOptions, bool)> {
    let keys = prop::collection::vec("((a|b|c)/){0,2}(index\\.html|a\\.html|a|b\\.js|c\\.html|feed)", 0..6);
    let platform = prop_oneof![3 => Just(Platform::Netlify), 1 => Just(Platform::Cloudflare)];
    (prop::collection::vec(line(), 1..7), keys, platform, any::<bool>()).prop_map(|(lines, keys, platform, index)| {
        (lines.join("\n"), keys, RuleOptions { platform, ..RuleOptions::default() }, index)
    })
}

thread_local! {
    static NODE: RefCell<Node> = RefCell::new(Node::new());
}

fn rules(text: &str, keys: &[String], options: &RuleOptions, directory_index: bool) -> Rules {
    let file = redirects_file::parse(text, options);
    Rules::new(file, HeadersFile::default(), keys.iter().map(String::as_str), directory_index, options).0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn code_answers_as_its_rules_do(
        (text, keys, options, index) in site(),
        extension_is_file in any::<bool>(),
        requests in prop::collection::vec(request(), 30),
    ) {
        let mut rules = rules(&text, &keys, &options, index);
        rules.extension_is_file = extension_is_file;
        let expected: Vec<Answer> = requests.iter().map(|request| rules.answer(request)).collect();
        for table in [Table::Plain, Table::Packed, Table::Store] {
            let answers = NODE.with_borrow_mut(|node| node.answers(&rules, table, &requests));
            let Some(answers) = answers else { continue };
            for ((request, expected), answer) in requests.iter().zip(&expected).zip(&answers) {
                prop_assert_eq!(answer, expected, "{:?} {:?} of {:?}\n{}", table, request, keys, text);
            }
        }
    }

    #[test]
    fn no_url_leads_round_in_a_circle((text, keys, options, index) in site(), requests in prop::collection::vec(request(), 30)) {
        let rules = rules(&text, &keys, &options, index);
        for request in requests {
            let mut at = request.clone();
            let mut hops = 0;
            while let Answer::Redirect { location, .. } = rules.answer(&at) {
                hops += 1;
                // One that completes a directory may come before the ten that are followed.
                prop_assert!(hops <= 12, "{:?}\n{}", request, text);
                let url = location.split('#').next().unwrap_or_default();
                let url = match url.starts_with("//") {
                    true => format!("https:{url}"),
                    false if url.starts_with('/') => format!("https://{}{url}", at.host),
                    false => url.to_owned(),
                };
                let next = Request::of(&url);
                at = Request { country: at.country, languages: at.languages, ..next };
            }
        }
    }

    #[test]
    fn a_line_that_cannot_be_done_changes_nothing_of_another(
        (text, keys, options, index) in site(),
        path in path(),
        requests in prop::collection::vec(request(), 20),
    ) {
        // What the line does not match is answered as without it; what it decides passes through.
        // Two slashes would be a host.
        let line = format!("/{} https://other.example/x 200!", path.trim_matches(['/', '*']));
        let options = RuleOptions { platform: Platform::Netlify, ..options };
        let without = rules(&text, &keys, &options, false);
        let with = rules(&format!("{line}\n{text}"), &keys, &options, false);
        let _ = index;
        for request in requests {
            let bare = |path: &str| redirects_file::without_slash(&shipfront_site::url_pattern::with_upper_triplets(path)).to_owned();
            if bare(&request.uri) == bare(line.split(' ').next().unwrap_or_default()) {
                prop_assert_eq!(with.answer(&request), Answer::Origin(request.uri.clone()));
            } else if let Answer::Origin(_) = without.answer(&request) {
                // A circle may end at the line.
                let is_redirect = matches!(with.answer(&request), Answer::Redirect { .. });
                prop_assert!(!is_redirect || without.circle(&request).is_some());
            } else {
                prop_assert_eq!(with.answer(&request), without.answer(&request), "{:?}\n{}\n{}", request, line, text);
            }
        }
    }

    #[test]
    fn headers_are_what_the_rules_say(
        blocks in prop::collection::vec((pattern(), prop::collection::vec("(X-A: (1|2|:x|:splat)|x-a: 3|X-B: (:y|c)|! X-A|! X-B|Link: </a>)", 1..4)), 1..5),
        cloudflare in any::<bool>(),
        requests in prop::collection::vec(request(), 30),
    ) {
        let text: String = blocks.iter().map(|(path, headers)| format!("{path}\n  {}\n", headers.join("\n  "))).collect();
        let platform = if cloudflare { Platform::Cloudflare } else { Platform::Netlify };
        let options = RuleOptions { platform, ..RuleOptions::default() };
        let file = headers_file::parse(&text, &options);
        let (rules, _) = Rules::new(redirects_file::RedirectsFile::default(), file, std::iter::empty(), false, &options);
        let code = header_function::generate(&rules).unwrap().code;
        let events: Vec<_> = requests.iter().map(|request| json!({
            "request": {"uri": request.uri, "headers": {"host": {"value": request.host}}},
            "response": {"statusCode": 200, "headers": {"x-a": {"value": "origin"}, "x-c": {"value": "origin"}}},
        })).collect();
        let answers = NODE.with_borrow_mut(|node| node.run(&code, &json!({}), &events));
        for (request, answer) in requests.iter().zip(answers) {
            let mut expected = json!({"x-a": {"value": "origin"}, "x-c": {"value": "origin"}});
            for (name, value) in rules.response_headers(&request.host, &request.uri) {
                match value {
                    Some(value) => expected[name] = json!({"value": value}),
                    None => drop(expected.as_object_mut().unwrap().remove(&name)),
                }
            }
            prop_assert_eq!(&answer["headers"], &expected, "{:?}\n{}", request, text);
        }
    }
}
