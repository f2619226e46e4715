//! Patterns of URL paths, as in `_headers` and `_redirects` files: `/blog/*`, `/:year/:slug`.
//!
//! `*` matches any characters including slashes; `:name` matches the name of one folder or file. No wildcard
//! library supports names. The functions for CloudFront are generated from the same steps, so that they and
//! [`UrlPattern::captures`] interpret a pattern in the same way. Both match greedily from the left, as regular
//! expressions do, and compare URLs as browsers send them: [`as_sent`].

use crate::platform::Platform;
use crate::redirects_file::without_slash;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// Most patterns have a few parts; a longer line is from another kind of file.
const MAX_BYTES: usize = 2000;
/// More stars make no sense and take long to match.
const MAX_SPLATS: usize = 8;
/// What browsers encode in a path (<https://url.spec.whatwg.org/#path-percent-encode-set>), except `?` and `#`.
const IN_URLS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`').add(b'{').add(b'}');
const IN_KEYS: &AsciiSet = &IN_URLS.add(b'%').add(b'?').add(b'#');

/// One piece of a pattern, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Literal text.
    Text(String),
    /// `:name`: one or more characters other than a slash.
    Placeholder(String),
    /// `*`: any characters, or none.
    Splat,
}

/// One step of matching, from the left. [`UrlPattern::captured`] returns the names of the captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Literal text, as browsers send it.
    Text(String),
    /// One or more characters other than a slash.
    Name,
    /// Any characters, or none.
    Splat,
    /// A slash and any characters, which are captured; or nothing.
    Below,
    /// A slash, or nothing.
    Slash,
}

/// A pattern of URL paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPattern {
    pieces: Vec<Piece>,
    steps: Vec<Step>,
}

impl UrlPattern {
    /// Parses a pattern, which begins with a slash, with Netlify's semantics.
    pub fn parse(text: &str) -> Result<UrlPattern, String> {
        UrlPattern::parse_as(text, Platform::Netlify)
    }

    /// Parses a pattern, which begins with a slash, with a platform's semantics.
    pub fn parse_as(text: &str, platform: Platform) -> Result<UrlPattern, String> {
        if !text.starts_with('/') {
            return Err(format!("{text:?} is not a path, which begins with a slash"));
        }
        if text.len() > MAX_BYTES {
            return Err(format!("a path has at most {MAX_BYTES} bytes"));
        }
        if text.contains(['?', '#']) {
            return Err(format!("{text:?} has a query string or a fragment, which no rule can match"));
        }
        if text.chars().any(char::is_control) {
            return Err("a path has no control characters".to_owned());
        }
        if text.matches('*').count() > MAX_SPLATS {
            return Err(format!("{text:?} has more than {MAX_SPLATS} *"));
        }
        let pieces = pieces(text, platform)?;
        Ok(UrlPattern { steps: steps(&pieces, platform), pieces })
    }

    /// The pieces, from the left.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The steps of matching, from the left.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The only path that the pattern matches, apart from a trailing slash, if it is that simple.
    pub fn exact(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The number of `*` in it.
    pub fn splats(&self) -> usize {
        self.pieces.iter().filter(|piece| **piece == Piece::Splat).count()
    }

    /// The names of its captures, from the left; `splat` is the name of what `*` matches.
    pub fn captured(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Splat => Some("splat"),
        })
    }

    /// Whether it captures a part of the path under this name.
    pub fn names(&self, name: &str) -> bool {
        self.captured().any(|captured| captured == name)
    }

    /// Whether it matches a path, [as sent](as_sent).
    pub fn matches(&self, path: &str) -> bool {
        self.captures(path).is_some()
    }

    /// The captured parts of a path, [as sent](as_sent); `None` if it does not match.
    pub fn captures<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut matching = Matching { path, captured: Vec::new(), failed: BTreeSet::new() };
        matching.from(&self.steps, 0).then_some(matching.captured)
    }
}

fn pieces(text: &str, platform: Platform) -> Result<Vec<Piece>, String> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '*' {
            pieces.push(Piece::Splat);
            rest = &rest[1..];
            continue;
        }
        let may_be_name = match platform {
            // A colon in the middle of a name is a literal colon.
            Platform::Netlify => matches!(pieces.last(), Some(Piece::Text(before)) if before.ends_with('/')),
            Platform::Cloudflare => {
                rest.strip_prefix(':').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
            }
        };
        let name = rest.strip_prefix(':').filter(|_| may_be_name).map_or("", leading_name);
        if !name.is_empty() {
            if pieces.contains(&Piece::Placeholder(name.to_owned())) {
                return Err(format!("{text:?} has :{name} more than once"));
            }
            pieces.push(Piece::Placeholder(name.to_owned()));
            rest = &rest[1 + name.len()..];
            continue;
        }
        match pieces.last_mut() {
            Some(Piece::Text(before)) => before.push(first),
            _ => pieces.push(Piece::Text(first.to_string())),
        }
        rest = &rest[first.len_utf8()..];
    }
    Ok(pieces)
}

fn steps(pieces: &[Piece], platform: Platform) -> Vec<Step> {
    let mut steps = Vec::new();
    let loose = platform == Platform::Netlify;
    if let ([Piece::Text(text)], true) = (pieces, loose) {
        let bare = without_slash(text);
        steps.push(Step::Text(as_sent(bare).into_owned()));
        steps.extend((bare != "/").then_some(Step::Slash));
        return steps;
    }
    for (at, piece) in pieces.iter().enumerate() {
        let ends_in_slash = |piece: &Piece| matches!(piece, Piece::Text(text) if text.ends_with('/'));
        // `/blog/*` also matches `/blog`: the slash belongs to the star.
        let is_below = |at: usize| {
            let before = at.checked_sub(1).and_then(|before| pieces.get(before));
            let behind = pieces.get(at + 1);
            loose
                && pieces.get(at) == Some(&Piece::Splat)
                && before.is_some_and(ends_in_slash)
                && behind.is_none_or(|piece| matches!(piece, Piece::Text(text) if text.starts_with('/')))
        };
        let last = at + 1 == pieces.len();
        match piece {
            Piece::Text(text) => {
                let text =
                    if is_below(at + 1) || (last && loose) { text.strip_suffix('/').unwrap_or(text) } else { text };
                steps.extend((!text.is_empty()).then(|| Step::Text(as_sent(text).into_owned())));
                steps.extend((last && loose).then_some(Step::Slash));
            }
            Piece::Placeholder(_) => {
                steps.push(Step::Name);
                steps.extend((last && loose).then_some(Step::Slash));
            }
            Piece::Splat if is_below(at) => steps.push(Step::Below),
            Piece::Splat => steps.push(Step::Splat),
        }
    }
    steps
}

/// The leading letters, digits and `_`.
pub(super) fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// A path or URL as browsers send it, with its triplets in uppercase.
pub fn as_sent(text: &str) -> Cow<'_, str> {
    match utf8_percent_encode(text, IN_URLS).into() {
        Cow::Borrowed(text) => with_upper_triplets(text),
        Cow::Owned(text) => with_upper_triplets(&text).into_owned().into(),
    }
}

/// A URL with its triplets in uppercase; they mean the same in lowercase.
pub fn with_upper_triplets(text: &str) -> Cow<'_, str> {
    let is_triplet =
        |at: usize| text.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let triplets: Vec<usize> = text.match_indices('%').map(|(at, _)| at).filter(|&at| is_triplet(at)).collect();
    if triplets.is_empty() {
        return text.into();
    }
    let mut upper = text.to_owned();
    for at in triplets {
        upper.replace_range(at..at + 3, &text[at..at + 3].to_ascii_uppercase());
    }
    upper.into()
}

/// One attempt to match a path.
struct Matching<'p> {
    path: &'p str,
    captured: Vec<&'p str>,
    /// Numbers of remaining steps and positions that are known not to match, so that none is tried twice.
    failed: BTreeSet<(usize, usize)>,
}

impl Matching<'_> {
    fn from(&mut self, steps: &[Step], at: usize) -> bool {
        let rest = &self.path[at..];
        let Some((step, others)) = steps.split_first() else { return rest.is_empty() };
        if self.failed.contains(&(steps.len(), at)) {
            return false;
        }
        let found = match step {
            Step::Text(text) => rest.starts_with(text.as_str()) && self.from(others, at + text.len()),
            Step::Slash => (rest.starts_with('/') && self.from(others, at + 1)) || self.from(others, at),
            Step::Name => self.longest(others, at, at + rest.find('/').unwrap_or(rest.len()), 1),
            Step::Splat => self.longest(others, at, self.path.len(), 0),
            Step::Below => {
                (rest.starts_with('/') && self.longest(others, at + 1, self.path.len(), 0)) || {
                    self.captured.push("");
                    let found = self.from(others, at);
                    if !found {
                        self.captured.pop();
                    }
                    found
                }
            }
        };
        if !found && !matches!(step, Step::Text(_) | Step::Slash) {
            self.failed.insert((steps.len(), at));
        }
        found
    }

    /// Captures as much as possible between two positions, and at least this many bytes.
    fn longest(&mut self, others: &[Step], from: usize, to: usize, least: usize) -> bool {
        for end in (from + least..=to).rev().filter(|&end| self.path.is_char_boundary(end)) {
            self.captured.push(&self.path[from..end]);
            if self.from(others, end) {
                return true;
            }
            self.captured.pop();
        }
        false
    }
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => formatter.write_str(text),
            Piece::Placeholder(name) => write!(formatter, ":{name}"),
            Piece::Splat => formatter.write_str("*"),
        })
    }
}

/// The URL paths under which a key may be requested, as sent: its own, and those without `index.html` or `.html`.
pub fn paths_of(key: &str) -> impl Iterator<Item = String> {
    let folder = key.strip_suffix("index.html").filter(|folder| folder.is_empty() || folder.ends_with('/'));
    let bare = folder.map(|folder| folder.trim_end_matches('/')).filter(|bare| !bare.is_empty());
    let clean = key.strip_suffix(".html").filter(|_| folder.is_none());
    [Some(key), folder, bare, clean]
        .into_iter()
        .flatten()
        .map(|path| format!("/{}", utf8_percent_encode(path, IN_KEYS)))
}

#[cfg(test)]
mod tests;
