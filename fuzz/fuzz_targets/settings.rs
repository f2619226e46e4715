//! `shipfront.toml` and the patterns in it: a problem has its line, and a pattern is read as it is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shipfront::config::file::{FILE_NAME, read};
use shipfront_site::glob::{Glob, set};
use shipfront_site::rules::HeaderRules;
use shipfront_site::url_pattern::UrlPattern;

fuzz_target!(|text: &str| {
    if let Ok(glob) = text.parse::<Glob>() {
        assert_eq!(glob.to_string(), text);
        if let Ok(set) = set([&glob]) {
            // A pattern without a slash is that of a name in any folder.
            if !text.contains('/') {
                assert_eq!(set.is_match("page.html"), set.is_match("blog/page.html"));
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            if text.chars().all(plain) && !text.starts_with(['/', '.']) && !text.ends_with('/') {
                assert!(set.is_match(text), "{text} matches itself");
            }
        }
    }
    if let Ok(pattern) = UrlPattern::parse(text) {
        assert_eq!(UrlPattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));
        assert!(pattern.exact().is_none_or(|path| pattern.matches(path)));
        let _ = pattern.matches("/2026/11/hello.html");
    }
    match read(FILE_NAME, text, None) {
        Ok(settings) => {
            assert!(settings.options().all(|option| settings.values(option).is_some()));
            if let Ok(rules) = HeaderRules::new(settings.headers().to_vec()) {
                let _ = rules.headers("blog/index.html");
            }
        }
        // Two settings that exclude each other have no one line.
        Err(error) if error.to_string().contains("exclude each other") => {}
        Err(error) => {
            let told = error.to_string();
            let line = told.strip_prefix("shipfront.toml:").and_then(|rest| rest.split(':').next());
            let line = line.and_then(|line| line.parse::<usize>().ok());
            assert!(line.is_some_and(|line| line >= 1 && line <= text.matches('\n').count() + 1), "{told}");
        }
    }
});
