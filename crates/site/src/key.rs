//! Object keys of a site: how file names become keys, and which names cannot.

use std::borrow::Cow;
use std::path::{Component, Path};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The file at the top of the source with header rules by URL path.
pub const HEADERS_FILE: &str = "_headers";
/// The file at the top of the source with redirects.
pub const REDIRECTS_FILE: &str = "_redirects";

/// The settings file, which is never part of a site.
pub const SETTINGS_FILE: &str = "shipfront.toml";

/// Whether a key is that of a file that controls how others are served and is not served itself.
pub fn is_rules_file(key: &str) -> bool {
    key == HEADERS_FILE || key == REDIRECTS_FILE
}

/// Maximum length of an S3 key, in UTF-8 bytes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>).
pub const MAX_KEY_BYTES: usize = 1024;

/// The key of a file: its path below the source with `/` between the parts.
///
/// `None` if a part is not valid Unicode, which S3 keys must be. On macOS, whose file systems may decompose letters
/// with accents and find a file by either spelling, the key has them composed, as in the links on pages.
pub fn key_of(relative: &Path) -> Option<String> {
    let mut key = String::with_capacity(relative.as_os_str().len());
    for component in relative.components() {
        let Component::Normal(part) = component else { return None };
        if !key.is_empty() {
            key.push('/');
        }
        key.push_str(part.to_str()?);
    }
    Some(if cfg!(target_os = "macos") { composed(&key).into_owned() } else { key })
}

/// A name with letters and their accents composed, so that all its spellings are the same.
pub fn composed(name: &str) -> Cow<'_, str> {
    if name.is_ascii() || is_nfc(name) { Cow::Borrowed(name) } else { Cow::Owned(name.nfc().collect()) }
}

/// Whether a name contains a control character, which no page can link to unencoded and which the XML of S3's
/// listings cannot hold.
pub fn has_control_character(name: &str) -> bool {
    name.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// A name for display: characters that a terminal would interpret are escaped.
pub fn legible(name: &str) -> Cow<'_, str> {
    if !has_control_character(name) {
        return Cow::Borrowed(name);
    }
    let shown = |c: char| match c {
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => c.escape_default().to_string(),
        c => c.to_string(),
    };
    Cow::Owned(name.chars().map(shown).collect())
}

/// Whether a file is litter that systems and editors leave next to others. It is treated like a hidden file,
/// whatever its name begins with.
pub fn is_litter(name: &str) -> bool {
    const NAMES: [&str; 6] =
        [".ds_store", "desktop.ini", "ehthumbs.db", "icon\r", "thumbs.db", "thumbs.db:encryptable"];
    NAMES.contains(&name.to_ascii_lowercase().as_str())
        // Left by macOS on other file systems; left by Microsoft Office while a file is open.
        || ["._", "~$"].iter().any(|start| name.starts_with(start))
        // Backups of editors, and unsaved changes of Emacs.
        || name.len() > 1 && name.ends_with('~')
        || name.len() > 2 && name.starts_with('#') && name.ends_with('#')
}

/// The first character of a name that is invisible and hardly anybody types into a link. Joiners are part of emoji
/// and of several scripts.
pub fn invisible_character(name: &str) -> Option<char> {
    let at_edge = |c: char| c == ' ' && name.split('/').any(|part| part.starts_with(' ') || part.ends_with(' '));
    let is_invisible = |c: char| {
        matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{2000}'..='\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
            || at_edge(c)
    };
    name.chars().find(|c| is_invisible(*c))
}

/// Whether a file's name contains a digest of its bytes, which build tools put before the extension.
pub fn has_digest(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    let mut parts = name.split(['.', '-', '_']);
    // The last part is the extension.
    parts.next_back();
    let is_digest = |part: &str| {
        let all = |is_one: fn(&u8) -> bool| part.as_bytes().iter().all(is_one);
        let any = |is_one: fn(&u8) -> bool| part.as_bytes().iter().any(is_one);
        let mixed = any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
        // Dates and versions consist only of digits.
        let varied = any(u8::is_ascii_alphabetic) && (any(u8::is_ascii_digit) || mixed);
        varied && (part.len() >= 8 && all(u8::is_ascii_alphanumeric) || part.len() >= 6 && all(u8::is_ascii_hexdigit))
    };
    parts.any(is_digest)
}

/// Finds two keys that look the same to people and to many browsers (`é` as one character or as two). `find` searches
/// the keys for one.
pub fn unicode_collision<'a>(
    keys: impl Iterator<Item = &'a str>,
    find: impl Fn(&str) -> Option<&'a str>,
) -> Option<(&'a str, &'a str)> {
    let mut normalised = std::collections::HashMap::new();
    for key in keys.filter(|key| !key.is_ascii()) {
        let form = composed(key).into_owned();
        if !is_nfc(key)
            && let Some(found) = find(&form)
        {
            return Some((found, key));
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
        fn collision(keys: &[&'static str]) -> Option<(&'static str, &'static str)> {
            unicode_collision(keys.iter().copied(), |form| keys.iter().copied().find(|key| *key == form))
        }
        assert_eq!(collision(&["cafe\u{301}.html", "café.html"]), Some(("café.html", "cafe\u{301}.html")));
        assert_eq!(collision(&["K.html", "\u{212a}.html"]), Some(("K.html", "\u{212a}.html")));
        assert_eq!(collision(&["caf.html", "café.html", "cafè.html"]), None);
    }

    #[test]
    fn what_systems_and_editors_leave_behind_is_no_part_of_a_site() {
        for name in [
            "Thumbs.db",
            "desktop.ini",
            "Desktop.ini",
            ".DS_Store",
            "._index.html",
            "Icon\r",
            "index.html~",
            "#index.html#",
            "~$report.docx",
        ] {
            assert!(is_litter(name), "{name}");
        }
        for name in ["index.html", "~home.html", "a~b.html", "~", "##", "#a", "icon", "thumbs.db.html", "_.html", "c#"]
        {
            assert!(!is_litter(name), "{name}");
        }
    }

    #[test]
    fn characters_that_nobody_sees_are_found_in_names() {
        for name in
            ["a\u{200b}.html", "\u{feff}a", "a\u{202e}b", "a\u{a0}b", "a\u{ad}b", " a", "a ", "x/ a/b", "a\u{2028}"]
        {
            assert!(invisible_character(name).is_some(), "{name:?}");
        }
        for name in ["a b.html", "café", "\u{1f468}\u{200d}\u{1f469}", "می\u{200c}شود", "日本\u{3000}語", "x y/z"]
        {
            assert_eq!(invisible_character(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_name_with_control_characters_is_found_and_shown_without_them() {
        for (name, shown) in
            [("a\u{1b}[31m.html", "a\\u{1b}[31m.html"), ("a\nb", "a\\nb"), ("\u{7f}\u{85}", "\\u{7f}\\u{85}")]
        {
            assert!(has_control_character(name));
            assert_eq!(legible(name), shown);
        }
        assert!(!has_control_character("café menü.html"));
        assert_eq!(legible("café menü.html"), "café menü.html");
    }

    #[test]
    fn digests_in_names_are_distinguished_from_words_and_dates() {
        for key in [
            "app.4f8a2b1c.js",
            "assets/index-BfG5s8dQ.css",
            "chunk-7XKQZJ2D.js",
            "main_3f2a1b.js",
            "a/b.0123abcd.min.js",
        ] {
            assert!(has_digest(key), "{key}");
        }
        for key in [
            "index.html",
            "style.css",
            "2026-11-26.html",
            "version-20261126.js",
            "service-worker.js",
            "polyfills-es2015.js",
            "4f8a2b1c",
            "jquery.min.js",
        ] {
            assert!(!has_digest(key), "{key}");
        }
    }

    #[test]
    fn a_key_has_slashes_whatever_the_path_separator() {
        let path: std::path::PathBuf = ["a", "b c", "é.html"].iter().collect();
        assert_eq!(key_of(&path).as_deref(), Some("a/b c/é.html"));
        assert_eq!(key_of(Path::new("../x")), None);
    }
}
