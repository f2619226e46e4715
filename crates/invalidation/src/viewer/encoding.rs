//! Spells keys and typed text as the URL paths that CloudFront accepts in an invalidation.
//!
//! CloudFront requires exactly the RFC 1738 "unsafe" characters and non-ASCII to be encoded; any other encoded
//! character makes a path that nobody requested, and the request silently does nothing.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// Maximum length of a path that CloudFront accepts in an invalidation, in characters.
pub const MAX_PATH_CHARACTERS: usize = 4_000;

/// Characters that may not be raw in a path that is already encoded: `%` is left to its triplets.
pub(super) const UNSAFE_BUT_PERCENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'<')
    .add(b'>')
    .add(b'"')
    .add(b'#')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'~')
    .add(b'[')
    .add(b']')
    .add(b'`');

/// The characters of a key to encode. `?` is not "unsafe", but a raw one would begin a query string, so a viewer
/// can reach such a key only through `%3F`.
const UNSAFE_IN_KEY: &AsciiSet = &UNSAFE_BUT_PERCENT.add(b'%').add(b'?');

/// The viewer path of a key, or of the part of a key below the origin path.
pub fn encode_key(key: &str) -> String {
    let mut path = String::with_capacity(key.len() + 1);
    path.push('/');
    path.extend(utf8_percent_encode(key, UNSAFE_IN_KEY));
    path
}

/// The decoded characters of a path. Bytes that are not UTF-8 become U+FFFD.
pub fn decode(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

/// Every spelling under which viewers may request a key, the usual one first.
///
/// S3 reads a `+` in a URL as a space, so a key with a space is also served at `+`, and a key with a `+` at `%2B`;
/// a raw `+` is included too, because a function may have rewritten it.
pub(super) fn spellings(key: &str) -> Vec<String> {
    let path = encode_key(key);
    if !key.contains(['+', ' ']) {
        return vec![path];
    }
    let plus_encoded = path.replace('+', "%2B");
    let others = [plus_encoded.clone(), path.replace("%20", "+"), plus_encoded.replace("%20", "+")];
    let mut all = vec![path];
    for spelling in others {
        if !all.contains(&spelling) {
            all.push(spelling);
        }
    }
    all
}

/// The greatest length up to `limit` (in bytes) at which `path` can be cut without cutting an encoded triplet.
pub(super) fn cut_at(path: &str, limit: usize) -> usize {
    let limit = limit.min(path.len());
    let tail = &path.as_bytes()[limit.saturating_sub(2)..limit];
    match tail.iter().rposition(|&byte| byte == b'%') {
        // A `%` this close to the end begins a triplet that does not fit.
        Some(back) => limit - (tail.len() - back),
        None => limit,
    }
}

/// Encodes characters that require it and keeps existing triplets, so that text which is already encoded, wholly or
/// in part, comes out right.
pub(super) fn encode_typed(text: &str) -> String {
    let mut path = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        path.push('/');
    }
    for (index, part) in text.split('%').enumerate() {
        if index > 0 {
            let digits = part.as_bytes().get(..2);
            let triplet = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            path.push_str(if triplet { "%" } else { "%25" });
        }
        path.extend(utf8_percent_encode(part, UNSAFE_BUT_PERCENT));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_unsafe_and_non_ascii_characters_of_a_key_are_encoded() {
        for (key, path) in [
            ("index.html", "/index.html"),
            ("logo@2x.png", "/logo@2x.png"),
            ("a b/ü.html", "/a%20b/%C3%BC.html"),
            ("100%.txt", "/100%25.txt"),
            ("it's(1),$&!;:=.js", "/it's(1),$&!;:=.js"),
            ("<>\"#{}|\\^[]`", "/%3C%3E%22%23%7B%7D%7C%5C%5E%5B%5D%60"),
            ("tab\there\u{7f}", "/tab%09here%7F"),
            ("vendors~main.js", "/vendors%7Emain.js"),
            ("what?.html", "/what%3F.html"),
            ("a+b", "/a+b"),
            ("", "/"),
        ] {
            assert_eq!(encode_key(key), path);
        }
    }

    #[test]
    fn plus_and_space_are_asked_for_in_each_spelling_that_s3_answers() {
        assert_eq!(spellings("a"), ["/a"]);
        assert_eq!(spellings("a+b"), ["/a+b", "/a%2Bb"]);
        assert_eq!(spellings("a b"), ["/a%20b", "/a+b"]);
        assert_eq!(spellings("a b+c"), ["/a%20b+c", "/a%20b%2Bc", "/a+b+c", "/a+b%2Bc"]);
    }

    #[test]
    fn a_cut_never_splits_a_triplet() {
        let path = "/a%C3%BC";
        let cuts: Vec<usize> = (0..=9).map(|limit| cut_at(path, limit)).collect();
        assert_eq!(cuts, [0, 1, 2, 2, 2, 5, 5, 5, 8, 8]);
    }

    fn allowed(character: char) -> bool {
        character.is_ascii_graphic() && !"<>\"#%{}|\\^~[]`?".contains(character)
    }

    proptest! {
        #[test]
        fn a_key_comes_back_from_its_path(key in any::<String>()) {
            let path = encode_key(&key);
            prop_assert_eq!(&decode(&path)[1..], key);
        }

        #[test]
        fn exactly_the_characters_that_are_not_allowed_are_encoded(character in any::<char>()) {
            let path = encode_key(&character.to_string());
            let raw = format!("/{character}");
            prop_assert_eq!(path == raw, allowed(character), "{}", path);
            prop_assert!(path.chars().all(|found| allowed(found) || found == '%'));
            prop_assert!(!path.contains(|found: char| path.contains('%') && found.is_ascii_lowercase()));
        }

        #[test]
        fn a_key_typed_in_its_encoded_form_is_not_encoded_twice(key in "[a-zä%& ?#\\[]{1,12}") {
            let path = encode_key(&key);
            prop_assert_eq!(encode_typed(&path), path);
        }
    }
}
