//! Patterns of `--exclude`, `pages`, `assets` and header rules: a parsed pattern is displayed unchanged, and
//! matches itself.

use shipfront_site::glob::{Glob, set};

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(glob) = text.parse::<Glob>() {
        assert_eq!(glob.to_string(), text);
        if let Ok(set) = set([&glob]) {
            // A pattern without a slash matches a name in any folder.
            if !text.contains('/') {
                assert_eq!(set.is_match("page.html"), set.is_match("blog/page.html"));
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            if text.chars().all(plain) && !text.starts_with(['/', '.']) && !text.ends_with('/') {
                assert!(set.is_match(text), "{text} matches itself");
            }
        }
    }
}
