//! Parses what people and scripts type or paste as a path to send to CloudFront.
//!
//! CloudFront accepts any text as a path and ignores one that no viewer has requested. So each text is either
//! understood, after removing everything that wraps it, or refused with a hint at what to type instead.

use crate::viewer::encoding::{MAX_PATH_CHARACTERS, UNSAFE_BUT_PERCENT};
use percent_encoding::percent_encode;
use std::borrow::Cow;
use std::fmt;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A path or wildcard that a user wants to invalidate, in a form that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedPath {
    /// Encoded, with its leading `/`, its query string and its final `*`, if any.
    pub path: String,
    /// Other spellings of the same name under which viewers may request it; they are sent as well.
    pub others: Vec<String>,
    /// The host of a URL, in lowercase.
    pub host: Option<String>,
    /// Notes for the user about how the text was read.
    pub notes: Vec<String>,
}

/// Why typed text is not a path that CloudFront could invalidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It is empty.
    Empty,
    /// It begins with `#`, as cache tags do.
    CacheTag,
    /// It is a URL with a scheme other than http or https.
    NotHttp,
    /// It begins with a host name without a scheme.
    NoScheme,
    /// It contains `%2A`, which CloudFront accepts and ignores.
    EncodedWildcard,
    /// Its encoded form has this many characters.
    TooLong(usize),
    /// It begins or ends with an unmatched quotation mark, or contains an escape that git does not write.
    Quotes,
    /// It is in brackets.
    Brackets,
    /// It contains a control character, as `git diff --name-status` prints between columns.
    ControlCharacter,
    /// It is a line of git's output about changes, not a name.
    GitLine,
    /// It contains a backslash.
    Backslash,
    /// It contains a `..` part.
    Above,
    /// It looks like more than one path.
    Several,
}

impl PathError {
    /// What to type instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "name a key, a path or a URL; `/*` is everything",
            Self::CacheTag => "write a path that begins with `#` as `/%23...`",
            Self::NotHttp => "write the path as viewers see it, such as `/blog/`",
            Self::NoScheme => {
                "write the whole URL with https://, or only the path; for a folder of that name, write `/www...`"
            }
            Self::EncodedWildcard => "write `*` itself, as the last character",
            Self::TooLong(_) => "end it earlier with a `*`",
            Self::Quotes => {
                "write the path without quotation marks; if one is part of the name, write it as `%22` or `%27`"
            }
            Self::Brackets => {
                "write only the path, one per line or argument; a bracket that is part of the name comes after a `/`"
            }
            Self::ControlCharacter => {
                "pass only names, one per line, as `git diff --name-only` prints them; write a tab in a name as `%09`"
            }
            Self::GitLine => {
                "pass only names, one per line, as `git diff --name-only` prints them; start a name that begins like this with `/`"
            }
            Self::Backslash => "write `/` between folders; if a backslash is part of the name, write it as `%5C`",
            Self::Above => "write the path from the top of the site",
            Self::Several => {
                "pass one path per line or argument; if a comma or space is part of the name, write it as `%2C` or `%20`"
            }
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Empty => "an empty path names nothing",
            Self::CacheTag => "this is a cache tag, not a path",
            Self::NotHttp => "this is not the address of a web page",
            Self::NoScheme => "this is a host name, not a path",
            Self::EncodedWildcard => "CloudFront accepts `%2A` but then evicts nothing",
            Self::TooLong(characters) => {
                return write!(
                    formatter,
                    "the path has {characters} characters; CloudFront accepts {MAX_PATH_CHARACTERS}"
                );
            }
            Self::Quotes => "the quotation marks are unbalanced, or contain an unknown escape",
            Self::Brackets => "the path is in brackets",
            Self::ControlCharacter => "the path contains a control character",
            Self::GitLine => "this is a line of a git report, not a path",
            Self::Backslash => "the path contains a backslash",
            Self::Above => "the path contains `..`",
            Self::Several => "this looks like several paths",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for PathError {}

/// Parses a key (`blog/`), a path (`/img/*`) or a URL (`https://www.example.com/a b?x=1`) that a user typed as the
/// path to send to CloudFront.
///
/// Surrounding quotation marks, including git's, a byte order mark, and a leading `./` are removed. A URL loses its
/// host and its fragment. Characters that CloudFront requires to be plain are decoded, all others encoded. A path
/// with a `~`, which CloudFront cannot invalidate in any spelling, becomes the longest wildcard that covers it.
///
/// # Errors
/// Text that names no path, and text that CloudFront would refuse or ignore.
pub fn path_from_input(text: &str) -> Result<TypedPath, PathError> {
    if is_git_line(text) {
        return Err(PathError::GitLine);
    }
    let text = unwrapped(text)?;
    if text.starts_with('#') {
        return Err(PathError::CacheTag);
    }
    if text.chars().any(char::is_control) {
        return Err(PathError::ControlCharacter);
    }
    let host = host(&text);
    let text = without_host(&text)?;
    let (name, query) = text.find('?').map_or((text, ""), |at| text.split_at(at));
    refuse_doubtful(name)?;
    let name = decoded(name);
    let mut path = encoded(&without_dots(&name)?);
    path.push_str(&encoded(&escaped_percent(query)));
    if contains_triplet(&path, "2A") {
        return Err(PathError::EncodedWildcard);
    }
    let mut notes = Vec::new();
    if let Some(tilde) = path.find("%7E") {
        path.truncate(tilde);
        path.push('*');
        notes.push(format!("CloudFront cannot invalidate a path with `~`: {path} covers it, and everything else that begins the same way"));
    }
    if path.len() > MAX_PATH_CHARACTERS {
        return Err(PathError::TooLong(path.len()));
    }
    if path.trim_end_matches('*').contains('*') {
        notes.push(format!("only a `*` at the end is a wildcard: the one in {path} is taken literally"));
    }
    let mut others: Vec<String> = [composed(&path), typed_in_lower_case(text, &path)].into_iter().flatten().collect();
    others.retain(|other| *other != path && other.len() <= MAX_PATH_CHARACTERS);
    Ok(TypedPath { path, others, host, notes })
}

/// Whether text is a line of `git status --short`, with two letters before the name, or the first line of a diff.
fn is_git_line(text: &str) -> bool {
    // Other pairs of letters begin words more often than reports.
    let has_status = match text.as_bytes() {
        [b' ', b'M' | b'T' | b'A' | b'D' | b'R' | b'C', b' ', name, ..]
        | [b'M' | b'T' | b'A' | b'D' | b'R' | b'C', b' ', b' ', name, ..]
        | [b'?', b'?', b' ', name, ..]
        | [b'!', b'!', b' ', name, ..]
        | [b'M', b'M', b' ', name, ..]
        | [b'U', b'U', b' ', name, ..] => !name.is_ascii_whitespace(),
        _ => false,
    };
    has_status || ["diff --git ", "--- a/", "+++ b/", "@@ -"].iter().any(|start| text.trim_start().starts_with(start))
}

/// The text without everything around the path that is not part of it.
fn unwrapped(text: &str) -> Result<Cow<'_, str>, PathError> {
    // A line feed or a tab belongs to the line; another control character belongs to the name, and is refused.
    let is_around = |c: char| c.is_whitespace() && (!c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    let invisible = |c: char| is_around(c) || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}');
    let mut text = text.trim_matches(invisible);
    // A line of a JSON list.
    if let Some(before) = text.strip_suffix(',').filter(|before| before.ends_with(['"', '\''])) {
        text = before;
    }
    loop {
        text = text.trim_matches(invisible);
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(PathError::Empty);
        };
        let inner = text.get(first.len_utf8()..text.len() - last.len_utf8());
        text = match (first, last, inner) {
            // Two paths, each in quotation marks.
            ('"' | '\'' | '`', last, Some(inner)) if first == last && holds_several(inner, first) => {
                return Err(PathError::Several);
            }
            ('"', '"', Some(inner)) if inner.contains('\\') => return unquoted(inner).map(Cow::Owned),
            ('"', '"', Some(inner))
            | ('\'', '\'', Some(inner))
            | ('`', '`', Some(inner))
            | ('<', '>', Some(inner))
            | ('“', '”', Some(inner))
            | ('‘', '’', Some(inner))
            | ('«', '»', Some(inner)) => inner,
            ('"' | '\'' | '`' | '<' | '“' | '‘' | '«', _, _) | (_, '"' | '\'' | '`' | '>' | '”' | '»', _) => {
                return Err(PathError::Quotes);
            }
            ('[', ']', Some(inner)) | ('(', ')', Some(inner)) | ('{', '}', Some(inner)) => {
                let begins = ["/", "http://", "https://", "\"", "'"].iter().any(|start| inner.starts_with(start));
                if !begins || inner.contains(",") {
                    return Err(PathError::Brackets);
                }
                inner
            }
            // A Markdown link.
            ('[', ')', _) => return Err(PathError::Brackets),
            _ => return Ok(Cow::Borrowed(text)),
        };
    }
}

/// Whether the text between two quotation marks is the end of one quoted text, a blank, and the beginning of
/// another.
fn holds_several(inner: &str, quote: char) -> bool {
    inner.split_once(quote).is_some_and(|(before, rest)| {
        !before.ends_with('\\') && rest.starts_with(char::is_whitespace) && rest.trim_start().starts_with(quote)
    })
}

/// The name that git has put in quotation marks, as it does with names that are not plain ASCII
/// (<https://git-scm.com/docs/git-config#Documentation/git-config.txt-corequotePath>).
fn unquoted(quoted: &str) -> Result<String, PathError> {
    let mut bytes = quoted.bytes();
    let mut name = Vec::with_capacity(quoted.len());
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'\\' => match bytes.next().ok_or(PathError::Quotes)? {
                b'a' => 0x07,
                b'b' => 0x08,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 0x0b,
                b'f' => 0x0c,
                b'r' => b'\r',
                plain @ (b'"' | b'\\') => plain,
                first @ b'0'..=b'3' => {
                    let digits = [Some(first), bytes.next(), bytes.next()];
                    let digit = |digit: Option<u8>| digit.filter(|digit| matches!(digit, b'0'..=b'7'));
                    digits
                        .into_iter()
                        .try_fold(0_u8, |sum, next| Some(sum * 8 + (digit(next)? - b'0')))
                        .ok_or(PathError::Quotes)?
                }
                _ => return Err(PathError::Quotes),
            },
            plain => plain,
        });
    }
    let name = String::from_utf8(name).map_err(|_| PathError::Quotes)?;
    // It is a file's name: each of its characters is literal.
    let literal: String = name
        .chars()
        .map(|c| match c {
            '\\' | '#' | '?' | ',' => format!("%{:02X}", u32::from(c)),
            c if c.is_ascii_control() => format!("%{:02X}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    if literal.is_empty() { Err(PathError::Empty) } else { Ok(literal) }
}

/// The path and query string of a URL; other text unchanged.
fn without_host(text: &str) -> Result<&str, PathError> {
    if text.starts_with("//") || text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www.")) {
        return Err(PathError::NoScheme);
    }
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

/// The host of a URL; `None` for a path or a key.
fn host(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let rest = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// Refuses text that is hardly the name of one thing.
fn refuse_doubtful(name: &str) -> Result<(), PathError> {
    let before_slash = name.match_indices('/').filter_map(|(at, _)| name[..at].chars().next_back());
    // Git and other tools show a renamed file like this.
    let is_renamed = [" -> ", " => ", " → "].iter().any(|arrow| name.contains(arrow));
    let several = is_renamed || name.ends_with(',') || before_slash.into_iter().any(|c| c == ',' || c.is_whitespace());
    match () {
        () if name.contains('\\') => Err(PathError::Backslash),
        () if several => Err(PathError::Several),
        () => Ok(()),
    }
}

/// The bytes of a path with only those triplets that must stay: a decoded character that CloudFront requires to be
/// encoded is encoded again by [`encoded`], and one that means something else when plain stays encoded. To
/// CloudFront, an encoded slash is a different path than a plain one; but if no slash is plain, all of them were
/// encoded with the rest.
fn decoded(name: &str) -> Vec<u8> {
    let is_apart = |value: u8| value == b'/' && name.contains('/');
    let (bytes, mut plain) = (name.as_bytes(), Vec::with_capacity(name.len()));
    let mut at = 0;
    while at < bytes.len() {
        let Some(value) = triplet(&bytes[at..]) else {
            // A percent sign that does not begin a triplet is part of the name.
            plain.extend_from_slice(if bytes[at] == b'%' { b"%25" } else { &bytes[at..=at] });
            at += 1;
            continue;
        };
        let meaningful =
            matches!(value, b'%' | b'?' | b'#' | b'+' | b'*') || is_apart(value) || value.is_ascii_control();
        if meaningful {
            plain.extend_from_slice(format!("%{value:02X}").as_bytes());
        } else {
            plain.push(value);
        }
        at += 3;
    }
    plain
}

/// The byte encoded by a leading triplet.
fn triplet(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// A query string, in which a triplet may mean something else than its character.
fn escaped_percent(query: &str) -> Vec<u8> {
    let bytes = query.as_bytes();
    let byte = |at: usize| match bytes[at] {
        b'%' if triplet(&bytes[at..]).is_none() => &b"%25"[..],
        _ => &bytes[at..=at],
    };
    (0..bytes.len()).flat_map(byte).copied().collect()
}

/// Removes `.` parts and adds a leading slash.
fn without_dots(name: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut parts: Vec<&[u8]> = name.strip_prefix(b"/").unwrap_or(name).split(|byte| *byte == b'/').collect();
    if parts.contains(&&b".."[..]) {
        return Err(PathError::Above);
    }
    if parts.last() == Some(&&b"."[..]) {
        parts.push(b"");
    }
    parts.retain(|part| *part != b".");
    let mut path = vec![b'/'];
    path.extend(parts.join(&b'/'));
    Ok(path)
}

/// Encodes what CloudFront requires to be encoded, and keeps triplets.
fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, UNSAFE_BUT_PERCENT).to_string()
}

/// The same path with composed characters, if it has decomposed ones: the name may come from a machine that
/// decomposes characters.
fn composed(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, ..] = rest {
        match triplet(rest).filter(|value| !value.is_ascii()) {
            Some(value) => {
                bytes.push(value);
                rest = &rest[3..];
            }
            None => {
                bytes.push(*first);
                rest = &rest[1..];
            }
        }
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !is_nfc(text))?;
    Some(encoded(text.nfc().collect::<String>().as_bytes()))
}

/// The same path with lowercase triplets, if one was typed that way: browsers request it as the link spells it.
fn typed_in_lower_case(text: &str, path: &str) -> Option<String> {
    let has = |text: &str, is_lower: fn(&u8) -> bool| {
        let digits = text.match_indices('%').filter_map(|(at, _)| text.as_bytes().get(at + 1..at + 3));
        digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).any(|digits| digits.iter().any(is_lower))
    };
    if !has(text, u8::is_ascii_lowercase) {
        return None;
    }
    let mut parts = path.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        lower.push('%');
        lower.push_str(&digits.to_ascii_lowercase());
        lower.push_str(rest);
    }
    Some(lower)
}

/// Whether an encoded path contains a triplet with these uppercase digits.
fn contains_triplet(path: &str, digits: &str) -> bool {
    path.match_indices('%')
        .any(|(at, _)| path.get(at + 1..at + 3).is_some_and(|found| found.eq_ignore_ascii_case(digits)))
}

#[cfg(test)]
mod tests;
