//! Tests the headers that the viewer-response function adds.

use crate::node::Node;
use serde_json::{Value, json};
use shipfront_site::header_function::generate;
use shipfront_site::headers_file::parse;
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::redirects_file::RedirectsFile;
use shipfront_site::viewer_rules::Rules;

/// The response headers for a URL, from the function of a `_headers` file.
fn headers(text: &str, platform: Platform, urls: &[&str]) -> Vec<Value> {
    let options = RuleOptions { platform, ..RuleOptions::default() };
    let (rules, _) = Rules::new(RedirectsFile::default(), parse(text, &options), std::iter::empty(), false, &options);
    let function = generate(&rules).unwrap();
    assert!(function.warnings[0].to_string().contains("400 and above"));
    let event = |url: &&str| {
        let (host, path) = url.split_at(url.find('/').unwrap());
        json!({
            "request": {"uri": path, "headers": {"host": {"value": host}}},
            "response": {"statusCode": 200, "headers": {"x-powered-by": {"value": "x"}}},
        })
    };
    let events: Vec<Value> = urls.iter().map(event).collect();
    let answers = Node::new().run(&function.code, &json!({}), &events);
    answers.into_iter().map(|answer| answer["headers"].clone()).collect()
}

#[test]
fn lines_of_one_name_are_joined_and_a_narrower_path_prevails() {
    let text = "/*\nX-Frame-Options: DENY\nLink: </a.css>; rel=preload\nLink: </b.js>; rel=preload\n! X-Powered-By\n\
                /blog/*\nX-Frame-Options: SAMEORIGIN\nhttps://test.example/*\nX-Robots-Tag: noindex\n";
    let answers = headers(text, Platform::Netlify, &["a.example/", "a.example/blog", "test.example/blog/x"]);
    let link = json!({"value": "</a.css>; rel=preload, </b.js>; rel=preload"});
    assert_eq!(answers[0], json!({"x-frame-options": {"value": "DENY"}, "link": link}));
    assert_eq!(answers[1], json!({"x-frame-options": {"value": "SAMEORIGIN"}, "link": link}));
    assert_eq!(answers[2]["x-robots-tag"]["value"], "noindex");
    let answers = headers(text, Platform::Cloudflare, &["a.example/blog/x"]);
    assert_eq!(answers[0]["x-frame-options"]["value"], "DENY, SAMEORIGIN");
}

#[test]
fn a_directory_and_its_index_have_the_same_headers() {
    let text = "/docs/\n  X-A: 1\n/**/*.html\n  X-B: 1\n/movies/:title\n  X-Title: the :title\n";
    let answers = headers(text, Platform::Netlify, &["a/docs/", "a/docs/index.html", "a/index.html", "a/movies/x"]);
    let both = json!({"x-powered-by": {"value": "x"}, "x-a": {"value": "1"}, "x-b": {"value": "1"}});
    assert_eq!(answers[..2], [both.clone(), both]);
    assert_eq!(answers[2].as_object().unwrap().len(), 1);
    assert_eq!(answers[3]["x-title"]["value"], "the x");
}

#[test]
fn an_empty_value_is_a_value_and_no_name_means_more_than_itself() {
    let text = "/a/*\n  X-A: :splat\n/*\n  X-A: b\n  Constructor: c\n";
    let answers = headers(text, Platform::Cloudflare, &["a.example/a/", "a.example/b"]);
    assert_eq!(answers[0]["x-a"]["value"], ", b");
    assert_eq!(answers[0]["constructor"]["value"], "c");
    assert_eq!(answers[1]["x-a"]["value"], "b");
}
