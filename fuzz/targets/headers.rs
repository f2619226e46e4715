//! `_headers`: each rule and finding has a line of the file, and a displayed pattern can be parsed again.

use shipfront_site::headers_file::parse;
use shipfront_site::platform::RuleOptions;
use shipfront_site::response_headers_policy::template;
use shipfront_site::rules::HeaderRules;
use shipfront_site::url_pattern::UrlPattern;

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines = text.lines().count();
    let file = parse(text, &RuleOptions::default());
    let headers = file.blocks.iter().flat_map(|block| &block.headers).map(|header| header.line);
    let numbers = headers.chain(file.findings.iter().map(|finding| finding.line));
    assert!(numbers.into_iter().all(|line| (1..=lines).contains(&line)));
    for path in file.rules.iter().flat_map(|rule| &rule.paths).chain(file.blocks.iter().map(|block| &block.path)) {
        assert_eq!(UrlPattern::parse(&path.to_string()).as_ref(), Ok(path));
    }
    let _ = template(&file.blocks).template.to_string();
    if let Ok(rules) = HeaderRules::new(file.rules) {
        for key in ["index.html", "assets/site.css", "a/b.html"] {
            let _ = rules.headers(key);
        }
    }
}
