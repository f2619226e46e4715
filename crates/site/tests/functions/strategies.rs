//! Random rules and URLs.

use proptest::prelude::*;
use shipfront_site::headers_file::HeadersFile;
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::redirects_file;
use shipfront_site::viewer_rules::{Request, Rules};

const HOSTS: &str = "(www\\.a\\.example|a\\.example|B\\.example|x\\.b\\.example)";
const SEGMENT: &str = "(a|b|a|b|\\.well-known|c\\.html|%c3%a9|%C3%A9|index\\.html|-|x\\+y)";

fn text(expression: &str) -> impl Strategy<Value = String> + use<> {
    proptest::string::string_regex(expression).unwrap()
}

pub(crate) fn path() -> impl Strategy<Value = String> {
    text(&format!("((/{SEGMENT}){{1,3}}/?|(/{SEGMENT}){{1,3}}/?|/{{1,3}}|/a//b|/\\*|//a)"))
}

pub(crate) fn pattern() -> impl Strategy<Value = String> {
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

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let query = "(\\?((k|l|1|2)(=(1|2|%20|))?&?){0,3})?";
    (HOSTS, path(), query, prop::option::of("(DE|US|FR)"), prop::option::of("(de|de-CH,en|fr;q=0\\.3|EN-us|)"))
        .prop_map(|(host, path, query, country, languages)| Request {
            country,
            languages,
            ..Request::of(&format!("https://{host}{path}{query}"))
        })
}

pub(crate) fn site() -> impl Strategy<Value = (String, Vec<String>, RuleOptions, bool)> {
    let keys = prop::collection::vec("((a|b|c)/){0,2}(index\\.html|a\\.html|a|b\\.js|c\\.html|feed)", 0..6);
    let platform = prop_oneof![3 => Just(Platform::Netlify), 1 => Just(Platform::Cloudflare)];
    (prop::collection::vec(line(), 1..7), keys, platform, any::<bool>()).prop_map(|(lines, keys, platform, index)| {
        (lines.join("\n"), keys, RuleOptions { platform, ..RuleOptions::default() }, index)
    })
}

pub(crate) fn rules(text: &str, keys: &[String], options: &RuleOptions, directory_index: bool) -> Rules {
    let file = redirects_file::parse(text, options);
    Rules::new(file, HeadersFile::default(), keys.iter().map(String::as_str), directory_index, options).0
}
