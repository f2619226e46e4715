//! Random rules and URLs: what their code does in Node.

use crate::node::Node;
use crate::strategies::{path, pattern, request, rules, site};
use proptest::prelude::*;
use serde_json::json;
use shipfront_site::header_function;
use shipfront_site::headers_file;
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::redirect_function::Table;
use shipfront_site::redirects_file;
use shipfront_site::viewer_rules::{Answer, Request, Rules};
use std::cell::RefCell;

thread_local! {
    static NODE: RefCell<Node> = RefCell::new(Node::new());
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
                // A redirect that completes a directory may precede the ten that are followed.
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
        // A request that the line does not match is answered as without it; one that it decides passes through. Two
        // slashes would be a host.
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
                // A loop may end at the line.
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
