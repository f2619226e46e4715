//! `_redirects`: each rule and problem has a line of the file, and the function stays within CloudFront's limit.

use shipfront_site::redirect_function::generate;
use shipfront_site::redirects_file::parse;
use shipfront_site::url_pattern::UrlPattern;

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines = text.lines().count();
    let file = match parse(text) {
        Ok(file) => file,
        Err(error) => {
            assert!((1..=lines).contains(&error.line) && !error.message.is_empty());
            return;
        }
    };
    assert!(file.ignored.iter().all(|(line, _)| (1..=lines).contains(line)));
    for rule in &file.rules {
        assert!((1..=lines).contains(&rule.line));
        assert_eq!(UrlPattern::parse(&rule.from.to_string()).as_ref(), Ok(&rule.from));
        // What a path matches, it matches with and without a slash at its end.
        if let Some(path) = rule.from.exact() {
            assert!(rule.matches(path));
        }
    }
    let keys = ["index.html", "a", "blog/index.html", "about.html", "caf\u{e9}.html", "x y'.js"];
    for directory_index in [false, true] {
        if let Ok(function) = generate(&file, keys.into_iter(), directory_index) {
            assert!(function.code.len() <= 10 * 1024);
        }
    }
}
