//! How keys and typed text are spelled as the URL paths that CloudFront takes in an invalidation.
//!
//! CloudFront wants exactly the RFC 1738 "unsafe" characters and non-ASCII encoded; any other
//! character, once encoded, names a path that nobody requested, and the request quietly does
//! nothing.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use std::fmt;

/// The longest path that CloudFront accepts in an invalidation, in characters.
pub const MAX_PATH_CHARACTERS: usize = 4_000;

/// What may not stand raw in a path that is encoded already: `%` is left to its triplets.
const UNSAFE_BUT_PERCENT: &AsciiSet = &CONTROLS
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

/// A key's characters to encode. `?` is not "unsafe", but a raw one would begin a query string,
/// so a viewer can reach such a key only through `%3F`.
const UNSAFE_IN_KEY: &AsciiSet = &UNSAFE_BUT_PERCENT.add(b'%').add(b'?');

/// The viewer path of a key, or of the part of a key that is below the origin path.
pub fn encode_key(key: &str) -> String {
    let mut path = String::with_capacity(key.len() + 1);
    path.push('/');
    path.extend(utf8_percent_encode(key, UNSAFE_IN_KEY));
    path
}

/// The characters that a path stands for. Bytes that are not UTF-8 become U+FFFD.
pub fn decode(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

/// Every spelling under which viewers may ask for a key, the usual one first.
///
/// S3 reads a `+` in a URL as a space, so a key with a space also answers at `+`, and a key with
/// a `+` answers at `%2B`; a raw `+` is kept too, as a function may have rewritten it.
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

/// The greatest length at most `limit` (in bytes) at which `path` can be cut without cutting an
/// encoded triplet.
pub(super) fn cut_at(path: &str, limit: usize) -> usize {
    let limit = limit.min(path.len());
    let tail = &path.as_bytes()[limit.saturating_sub(2)..limit];
    match tail.iter().rposition(|&byte| byte == b'%') {
        // A `%` this near the end begins a triplet that does not fit.
        Some(back) => limit - (tail.len() - back),
        None => limit,
    }
}

/// Encodes what needs it and keeps the triplets that are there, so that text which is encoded
/// already, wholly or in part, comes out right.
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

/// A path or wildcard that a person asked to invalidate, as it can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedPath {
    /// Encoded, with its leading `/`, its query string and its final `*`, if any.
    pub path: String,
    /// What the person should know about how the text was read.
    pub notes: Vec<String>,
}

/// Why typed text is no path that CloudFront could invalidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// There is nothing in it.
    Empty,
    /// It begins with `#`, as cache tags do.
    CacheTag,
    /// It is a URL of another scheme than http or https.
    NotHttp,
    /// It holds `%2A`, which CloudFront accepts and ignores.
    EncodedWildcard,
    /// Its encoded form has this many characters.
    TooLong(usize),
}

impl PathError {
    /// What to type instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "name a key, a path or a URL; `/*` is everything",
            Self::CacheTag => "a path whose name begins with `#` is typed `/%23...`",
            Self::NotHttp => "type the path as viewers see it, such as `/blog/`",
            Self::EncodedWildcard => "type `*` itself, as the last character",
            Self::TooLong(_) => "end it earlier with a `*`",
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "an empty path names nothing"),
            Self::CacheTag => write!(formatter, "this is a cache tag, not a path"),
            Self::NotHttp => write!(formatter, "this is not the address of a web page"),
            Self::EncodedWildcard => {
                write!(formatter, "CloudFront accepts `%2A` and then does nothing")
            }
            Self::TooLong(characters) => {
                write!(formatter, "the path has {characters} characters, and CloudFront takes {MAX_PATH_CHARACTERS}")
            }
        }
    }
}

impl std::error::Error for PathError {}

/// Reads a key (`blog/`), a path (`/img/*`) or a URL (`https://www.example.com/a b?x=1`) that a
/// person typed as the path to send to CloudFront.
///
/// A URL loses its host and its fragment. A path with a `~`, which CloudFront can invalidate in
/// no spelling, becomes the longest wildcard that covers it.
///
/// # Errors
/// Text that names no path, and text that CloudFront would refuse or ignore.
pub fn path_from_input(text: &str) -> Result<TypedPath, PathError> {
    if text.trim().is_empty() {
        return Err(PathError::Empty);
    }
    if text.starts_with('#') {
        return Err(PathError::CacheTag);
    }
    let mut path = encode_typed(without_host(text)?);
    if contains_triplet(&path, "2a").is_some() {
        return Err(PathError::EncodedWildcard);
    }
    let mut notes = Vec::new();
    if let Some(tilde) = contains_triplet(&path, "7e") {
        path.truncate(tilde);
        path.push('*');
        notes.push(format!("CloudFront cannot invalidate a path with `~`: {path} covers it, and what else begins so"));
    }
    if path.len() > MAX_PATH_CHARACTERS {
        return Err(PathError::TooLong(path.len()));
    }
    if path.trim_end_matches('*').contains('*') {
        notes.push(format!("only a `*` at the end is a wildcard: {path} is taken literally before it"));
    }
    Ok(TypedPath { path, notes })
}

/// The path and query string of a URL, and any other text as it is.
fn without_host(text: &str) -> Result<&str, PathError> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(text);
    };
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(text);
    }
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(PathError::NotHttp);
    }
    let rest = rest.split('#').next().unwrap_or_default();
    Ok(rest.find(['/', '?']).map_or("/", |start| &rest[start..]))
}

/// Where a triplet with these lower-case digits begins, whichever way it is spelled.
fn contains_triplet(path: &str, digits: &str) -> Option<usize> {
    path.match_indices('%')
        .map(|(at, _)| at)
        .find(|&at| path.get(at + 1..at + 3).is_some_and(|found| found.eq_ignore_ascii_case(digits)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(text: &str) -> String {
        path_from_input(text).unwrap().path
    }

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
    fn what_people_type_becomes_the_path_to_send() {
        for (text, path) in [
            ("blog/", "/blog/"),
            ("/img/*", "/img/*"),
            ("*", "/*"),
            ("https://www.example.com/a b?x=1", "/a%20b?x=1"),
            ("HTTP://example.com", "/"),
            ("https://example.com?x=1", "/?x=1"),
            ("https://example.com/a#top", "/a"),
            ("docs/c#.html", "/docs/c%23.html"),
            ("/a%20b", "/a%20b"),
            ("/a%20b c", "/a%20b%20c"),
            ("/%c3%bc", "/%c3%bc"),
            ("ü", "/%C3%BC"),
            ("100%", "/100%25"),
            ("50%-off", "/50%25-off"),
            ("/a%2Bb+c", "/a%2Bb+c"),
            ("/go?to=http://example.com/", "/go?to=http://example.com/"),
        ] {
            assert_eq!(typed(text), path, "{text}");
        }
    }

    #[test]
    fn a_typed_tilde_in_any_spelling_becomes_the_longest_wildcard_before_it() {
        for text in ["/js/vendors~a.js", "/js/vendors%7Ea", "js/vendors%7e*"] {
            let found = path_from_input(text).unwrap();
            assert_eq!(found.path, "/js/vendors*", "{text}");
            assert_eq!(found.notes.len(), 1);
        }
        assert_eq!(typed("/~alice/"), "/*");
    }

    #[test]
    fn a_star_in_the_middle_is_kept_and_explained() {
        let found = path_from_input("/img/*/x.png").unwrap();
        assert_eq!(found.path, "/img/*/x.png");
        assert!(found.notes[0].contains("only a `*` at the end"));
        assert!(path_from_input("/img/*").unwrap().notes.is_empty());
    }

    #[test]
    fn text_that_cloudfront_would_refuse_or_ignore_is_refused_with_a_hint() {
        for (text, error) in [
            ("", PathError::Empty),
            ("  ", PathError::Empty),
            ("#k-12", PathError::CacheTag),
            ("s3://bucket/key", PathError::NotHttp),
            ("/img/%2A", PathError::EncodedWildcard),
            ("/img/%2a", PathError::EncodedWildcard),
        ] {
            assert_eq!(path_from_input(text), Err(error.clone()), "{text}");
            assert!(!error.hint().is_empty());
        }
        let long = "ü".repeat(700);
        assert_eq!(path_from_input(&long), Err(PathError::TooLong(4_201)));
        assert_eq!(typed(&"a".repeat(3_999)).len(), MAX_PATH_CHARACTERS);
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
