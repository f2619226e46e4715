//! Object keys of a site: how file names become keys, and which names cannot.

use std::path::{Component, Path};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The file at the top of the source with header rules by URL path.
pub const HEADERS_FILE: &str = "_headers";
/// The file at the top of the source with redirects.
pub const REDIRECTS_FILE: &str = "_redirects";

/// Whether a key is that of a file which says how the others are served, and is not served itself.
pub fn is_rules_file(key: &str) -> bool {
    key == HEADERS_FILE || key == REDIRECTS_FILE
}

/// The longest key S3 takes, in UTF-8 bytes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>).
pub const MAX_KEY_BYTES: usize = 1024;

/// The key of a file: its path below the source with `/` between the parts.
///
/// `None` when a part is not valid Unicode, which S3 keys must be.
pub fn key_of(relative: &Path) -> Option<String> {
    let mut key = String::with_capacity(relative.as_os_str().len());
    for component in relative.components() {
        let Component::Normal(part) = component else { return None };
        if !key.is_empty() {
            key.push('/');
        }
        key.push_str(part.to_str()?);
    }
    Some(key)
}

/// Two keys that look the same to people and to many browsers (`é` as one character or as two).
///
/// `keys` must be sorted. Returns the first such pair.
pub fn unicode_collision<'a>(keys: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let mut normalised = std::collections::HashMap::new();
    for &key in keys.iter().filter(|key| !key.is_ascii()) {
        let form: String = key.nfc().collect();
        if !is_nfc(key)
            && let Ok(at) = keys.binary_search(&form.as_str())
        {
            return Some((keys[at], key));
        }
        if let Some(other) = normalised.insert(form, key) {
            return Some((other, key));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_and_decomposed_spellings_collide() {
        assert_eq!(unicode_collision(&["cafe\u{301}.html", "café.html"]), Some(("café.html", "cafe\u{301}.html")));
        assert_eq!(unicode_collision(&["K.html", "\u{212a}.html"]), Some(("K.html", "\u{212a}.html")));
        assert_eq!(unicode_collision(&["caf.html", "café.html", "cafè.html"]), None);
    }

    #[test]
    fn a_key_has_slashes_whatever_the_path_separator() {
        let path: std::path::PathBuf = ["a", "b c", "é.html"].iter().collect();
        assert_eq!(key_of(&path).as_deref(), Some("a/b c/é.html"));
        assert_eq!(key_of(Path::new("../x")), None);
    }
}
