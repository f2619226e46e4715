//! `_redirects`: each rule and finding has a line of the file, and the function stays within CloudFront's limit.

use shipfront_site::headers_file::HeadersFile;
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::redirect_function::generate;
use shipfront_site::redirects_file::parse;
use shipfront_site::url_pattern::{UrlPattern, as_sent};
use shipfront_site::viewer_rules::{Request, Rules};

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines = text.lines().count();
    let keys = ["index.html", "a", "blog/index.html", "about.html", "caf\u{e9}.html", "x y'.js"];
    for platform in [Platform::Netlify, Platform::Cloudflare] {
        let options = RuleOptions { platform, ..RuleOptions::default() };
        let file = parse(text, &options);
        assert!(file.findings.iter().all(|finding| (1..=lines).contains(&finding.line)));
        for rule in &file.rules {
            assert!((1..=lines).contains(&rule.line));
            assert_eq!(UrlPattern::parse_as(&rule.from.to_string(), platform).as_ref(), Ok(&rule.from));
            if let Some(path) = rule.from.exact() {
                assert!(rule.matches(&as_sent(path)));
            }
        }
        for directory_index in [false, true] {
            let (rules, _) =
                Rules::new(file.clone(), HeadersFile::default(), keys.into_iter(), directory_index, &options);
            let _ = rules.answer(&Request::of("https://www.example.com/a/b?c=d"));
            if let Ok(function) = generate(&rules, None) {
                assert!(function.code.len() <= 10 * 1024);
            }
        }
    }
}
