//! `shipfront.toml`: a problem has its line, and a displayed URL pattern can be parsed again.

use shipfront::config::file::{FILE_NAME, read};
use shipfront_site::rules::HeaderRules;
use shipfront_site::url_pattern::{UrlPattern, as_sent};

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(pattern) = UrlPattern::parse(text) {
        assert_eq!(UrlPattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));
        assert!(pattern.exact().is_none_or(|path| pattern.matches(&as_sent(path))));
        let _ = pattern.matches("/2026/11/hello.html");
    }
    match read(FILE_NAME, text, None) {
        Ok(settings) => {
            assert!(settings.options().all(|option| settings.values(option).is_some()));
            if let Ok(rules) = HeaderRules::new(settings.headers().to_vec()) {
                let _ = rules.headers("blog/index.html");
            }
        }
        // Two settings that exclude each other have no single line.
        Err(error) if error.to_string().contains("exclude each other") => {}
        Err(error) => {
            let reported = error.to_string();
            let line = reported.strip_prefix("shipfront.toml:").and_then(|rest| rest.split(':').next());
            let line = line.and_then(|line| line.parse::<usize>().ok());
            assert!(line.is_some_and(|line| line >= 1 && line <= text.matches('\n').count() + 1), "{reported}");
        }
    }
}
