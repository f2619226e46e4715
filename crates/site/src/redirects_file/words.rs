//! Parses the words of a line: statuses, URLs, and targets with names in them.

use super::{RedirectTarget, TargetPiece};
use crate::platform::Platform;
use crate::url_pattern::{as_sent, leading_name};

/// A status, and whether it is forced.
pub(super) fn status(word: &str) -> Option<(u16, bool)> {
    let (digits, force) = word.strip_suffix('!').map_or((word, false), |digits| (digits, true));
    let is_status = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|status| is_status && (100..=599).contains(status)).map(|status| (status, force))
}

/// Whether a word is a path or a URL.
pub(super) fn is_location(word: &str) -> bool {
    word.starts_with('/') || scheme_of(word).is_some()
}

/// `http` or `https`, and what follows `://`.
fn scheme_of(word: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = word.split_once("://")?;
    ["http", "https"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known)).map(|scheme| (scheme, rest))
}

/// The URL without `https://`.
pub(super) fn without_scheme(url: &str) -> &str {
    scheme_of(url).map_or(url, |(_, rest)| rest)
}

/// What follows the two slashes of `//host/path`. Three slashes are not followed by a host.
pub(super) fn without_scheme_of_visitor(word: &str) -> Option<&str> {
    word.strip_prefix("//").filter(|rest| !rest.is_empty() && !rest.starts_with(['/', '\\', '?', '#']))
}

/// Whether a path contains characters that have a meaning in regular expressions and occur in no path.
pub(super) fn is_expression(path: &str) -> bool {
    let of_class = |rest: &str| {
        let (inside, behind) = rest.split_once(']').unwrap_or((rest, ""));
        inside.starts_with(['^', '\\'])
            || inside.contains("0-9")
            || inside.contains("a-z")
            || inside.contains("A-Z")
            || behind.starts_with(['+', '*', '{'])
    };
    ["(.", "(?", "(\\", "([", "\\d", "\\w", "\\."].iter().any(|sign| path.contains(sign))
        || path.split('[').skip(1).any(of_class)
        || (path.len() > 2 && path.ends_with('$'))
}

/// Whether a target refers to a group by its number, as in `/new/$1`.
pub(super) fn has_group_number(target: &str) -> bool {
    target.split('$').skip(1).any(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits == 1
    })
}

/// Splits `https://host/path` into scheme, host and path, and `//host/path` into host and path; anything else is a
/// path.
pub(crate) fn split_url(word: &str) -> (Option<&'static str>, Option<&str>, &str) {
    let (scheme, rest) = match (scheme_of(word), without_scheme_of_visitor(word)) {
        (Some((scheme, rest)), _) => (Some(scheme), rest),
        (None, Some(rest)) => (None, rest),
        (None, None) => return (None, None, word),
    };
    match rest.find('/') {
        Some(at) => (scheme, Some(&rest[..at]), &rest[at..]),
        None => (scheme, Some(rest), "/"),
    }
}

/// The target of a line, with the `names` that its left side captured. The error says what is wrong with it.
pub(super) fn target(text: &str, names: impl Fn(&str) -> bool, platform: Platform) -> Result<RedirectTarget, String> {
    // A captured part must not decide which host a visitor is sent to.
    let other_host = without_scheme_of_visitor(text).map(|_| 2);
    let authority = other_host.or_else(|| text.find("://").map(|at| at + 3));
    let authority = authority.map_or(0, |at| text[at..].find('/').map_or(text.len(), |end| at + end));
    // Repeated slashes become one, so that no function has to distinguish them from a host.
    let collapsed = format!("/{}", text.trim_start_matches(['/', '\\']));
    let text = if text.starts_with("//") && other_host.is_none() { &collapsed } else { text };
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(':').filter(|(at, _)| !text[*at..].starts_with("://")) {
        let name = leading_name(&text[at + 1..]);
        if name.is_empty() || at < from {
            continue;
        }
        if !names(name) {
            let looks_like_one = name == "splat" || (platform == Platform::Netlify && text[..at].ends_with('/'));
            if looks_like_one {
                return Err(format!("{text} uses :{name}, which its left side does not define"));
            }
            continue;
        }
        if at < authority {
            return Err(format!("{text} takes the host from the URL, which would redirect to any host"));
        }
        pieces.extend((at > from).then(|| TargetPiece::Text(as_sent(&text[from..at]).into_owned())));
        pieces.push(TargetPiece::Name(name.to_owned()));
        from = at + 1 + name.len();
    }
    pieces.extend((from < text.len()).then(|| TargetPiece::Text(as_sent(&text[from..]).into_owned())));
    Ok(RedirectTarget { pieces })
}
