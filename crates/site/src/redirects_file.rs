//! `_redirects` files, as Netlify and Cloudflare Pages read them: a line for each redirect or rewrite.
//!
//! ```text
//! /old        /new              301
//! /news/*     /blog/:splat
//! /app/*      /app/index.html   200
//! ```
//!
//! The first line that matches holds. A file of the site comes before a rule, unless the status ends in `!`.

use crate::error::LineError;
use crate::url_pattern::{UrlPattern, leading_name};
use std::fmt;

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedirectsFile {
    /// In the order of the file.
    pub rules: Vec<RedirectRule>,
    /// Lines that cannot be followed on CloudFront, and why.
    pub ignored: Vec<(usize, String)>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectRule {
    /// Its number, from 1.
    pub line: usize,
    /// Only under this host.
    pub host: Option<String>,
    /// From which paths.
    pub from: UrlPattern,
    /// Only with these query parameters.
    pub query: Vec<(String, QueryValue)>,
    /// Where to.
    pub to: RedirectTarget,
    /// 301, 302, 303, 307 or 308; 200 shows the target under the same URL.
    pub status: u16,
    /// Whether it comes before a file of the site.
    pub force: bool,
}

/// What a query parameter has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryValue {
    /// This.
    Is(String),
    /// Anything, which then has a name.
    Named(String),
}

/// Where a rule leads: text, and names of what was matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTarget {
    /// From the left.
    pub pieces: Vec<TargetPiece>,
}

/// A piece of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPiece {
    /// As it is.
    Text(String),
    /// What was matched by this name.
    Name(String),
}

impl RedirectTarget {
    /// The target, if it is the same for every path.
    pub fn exact(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [TargetPiece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for RedirectTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            TargetPiece::Text(text) => formatter.write_str(text),
            TargetPiece::Name(name) => write!(formatter, ":{name}"),
        })
    }
}

impl RedirectRule {
    /// Whether it is about a path, with or without the slash at its end.
    pub fn matches(&self, path: &str) -> bool {
        let bare = without_slash(path);
        self.from.matches(path) || self.from.matches(bare) || self.from.matches(&format!("{bare}/"))
    }

    /// Whether the path alone decides.
    pub fn is_unconditional(&self) -> bool {
        self.host.is_none() && self.query.is_empty()
    }
}

/// A path without the slash at its end, which does not count.
pub fn without_slash(path: &str) -> &str {
    if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path }
}

const EXAMPLE: &str = "write it as '/from /to 301', with any of the statuses 200, 301, 302, 303, 307 and 308";

/// Reads a file.
pub fn parse(text: &str) -> Result<RedirectsFile, LineError> {
    let mut file = RedirectsFile::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        if words.is_empty() {
            continue;
        }
        match rule(at + 1, &words)? {
            Ok(rule) => file.rules.push(rule),
            Err(why) => file.ignored.push((at + 1, why)),
        }
    }
    Ok(file)
}

/// A rule, or why it cannot be followed; an error if it makes no sense.
fn rule(line: usize, words: &[&str]) -> Result<Result<RedirectRule, String>, LineError> {
    let wrong = |message: String| LineError::new(line, message, EXAMPLE);
    let (host, path) = split_host(words[0]);
    let from = UrlPattern::parse(path).map_err(wrong)?;
    let mut words = words[1..].iter().copied().peekable();
    let mut query = Vec::new();
    while let Some(word) = words.next_if(|word| !is_location(word)) {
        let Some((name, value)) = word.split_once('=') else {
            return Err(wrong(format!("{word:?} is neither a path nor a query parameter")));
        };
        let named = value.strip_prefix(':').filter(|rest| !rest.is_empty() && leading_name(rest) == *rest);
        let value = named.map_or(QueryValue::Is(value.to_owned()), |named| QueryValue::Named(named.to_owned()));
        query.push((name.to_owned(), value));
    }
    let Some(to) = words.next() else { return Err(wrong(format!("{from} leads nowhere"))) };
    let status = words.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or("301");
    let (status, force) = status.strip_suffix('!').map_or((status, false), |status| (status, true));
    let status: u16 = match status.parse() {
        Ok(status @ 100..=599) => status,
        _ => return Err(wrong(format!("{status:?} is no status"))),
    };
    let conditions: Vec<&str> = words.collect();
    if let Some(word) = conditions.iter().find(|word| !word.contains('=')) {
        return Err(wrong(format!("{word:?} is one word too many")));
    }
    let names = |name: &str| {
        let by_query = |(_, value): &(_, QueryValue)| *value == QueryValue::Named(name.to_owned());
        from.names(name) || query.iter().any(by_query)
    };
    let to = target(to, names).map_err(wrong)?;
    let is_path = matches!(to.pieces.first(), Some(TargetPiece::Text(text)) if text.starts_with('/'));
    if let Some(condition) = conditions.first() {
        return Ok(Err(format!("it depends on {condition}, which no function of ours looks at")));
    }
    if status == 200 && !is_path {
        return Ok(Err(format!("showing what {to} answers takes an origin and a behavior of the distribution")));
    }
    match status {
        200 | 301 | 302 | 303 | 307 | 308 => {
            Ok(Ok(RedirectRule { line, host: host.map(str::to_owned), from, query, to, status, force }))
        }
        _ => Ok(Err(format!("a page with status {status} is a custom error response of the distribution"))),
    }
}

fn is_location(word: &str) -> bool {
    ["/", "http://", "https://"].iter().any(|start| word.starts_with(start))
}

/// `https://host/path` as host and path; anything else is a path.
fn split_host(word: &str) -> (Option<&str>, &str) {
    let Some(rest) = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")) else {
        return (None, word);
    };
    match rest.find('/') {
        Some(at) => (Some(&rest[..at]), &rest[at..]),
        None => (Some(rest), "/"),
    }
}

fn target(text: &str, names: impl Fn(&str) -> bool) -> Result<RedirectTarget, String> {
    // What was matched must not decide to which host a visitor goes.
    let authority = text.find("://").map_or(0, |at| text[at + 3..].find('/').map_or(text.len(), |end| at + 3 + end));
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(':').filter(|(at, _)| !text[*at..].starts_with("://")) {
        let name = leading_name(&text[at + 1..]);
        if name.is_empty() || at < from {
            continue;
        }
        if !names(name) {
            if name == "splat" || text[..at].ends_with('/') {
                return Err(format!("{text} asks for :{name}, and nothing on its left has that name"));
            }
            continue;
        }
        if at < authority {
            return Err(format!("{text} lets a part of the URL name the host, which would lead anywhere"));
        }
        pieces.extend((at > from).then(|| TargetPiece::Text(text[from..at].to_owned())));
        pieces.push(TargetPiece::Name(name.to_owned()));
        from = at + 1 + name.len();
    }
    pieces.extend((from < text.len()).then(|| TargetPiece::Text(text[from..].to_owned())));
    Ok(RedirectTarget { pieces })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> RedirectRule {
        parse(line).unwrap().rules.remove(0)
    }

    #[test]
    fn lines_are_read_as_their_platforms_write_them() {
        let file = parse("# all\n\n/old /new\n/temp  /x  302 # for now\n/a/* https://b.example/:splat 308!\n").unwrap();
        let short: Vec<_> = file
            .rules
            .iter()
            .map(|rule| format!("{} {} -> {} {} {}", rule.line, rule.from, rule.to, rule.status, rule.force))
            .collect();
        assert_eq!(
            short,
            ["3 /old -> /new 301 false", "4 /temp -> /x 302 false", "5 /a/* -> https://b.example/:splat 308 true"]
        );
        let by_query = one("/store id=:id kind=book /b/:id 301");
        let named = QueryValue::Named("id".to_owned());
        assert_eq!(by_query.query, [("id".to_owned(), named), ("kind".to_owned(), QueryValue::Is("book".to_owned()))]);
        let by_host = one("https://old.example.com/* https://www.example.com/:splat");
        assert_eq!((by_host.host.as_deref(), by_host.from.to_string()), (Some("old.example.com"), "/*".to_owned()));
        assert_eq!(one("/a /b#c").to.exact(), Some("/b#c"));
        assert_eq!(one("/a https://b.example:8080/c").to.exact(), Some("https://b.example:8080/c"));
    }

    #[test]
    fn a_slash_at_the_end_does_not_count() {
        assert!(one("/a /b").matches("/a/") && one("/a/ /b").matches("/a") && one("/a/* /b").matches("/a"));
        assert!(!one("/a /b").matches("/ab") && !one("/a/* /b").matches("/ab"));
        assert!(one("/ /b").matches("/"));
    }

    #[test]
    fn what_cloudfront_cannot_do_is_told() {
        for (line, why) in [
            ("/a /b 302 Country=de", "Country=de"),
            ("/a https://b.example/ 200", "an origin and a behavior"),
            ("/a /b 404", "custom error response"),
        ] {
            let file = parse(line).unwrap();
            assert!(file.rules.is_empty() && file.ignored[0].1.contains(why), "{line}: {file:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_an_error_with_its_line_and_what_to_write() {
        for (text, line, why) in [
            ("/a", 1, "leads nowhere"),
            ("\n/a /b 3o1", 2, "no status"),
            ("/a /b 999", 1, "no status"),
            ("a /b", 1, "begins with a slash"),
            ("/a b", 1, "neither a path nor a query parameter"),
            ("/a /b/:splat", 1, "asks for :splat"),
            ("/a/:x /b/:y", 1, "asks for :y"),
            ("/a /b 301 /c", 1, "one word too many"),
            ("/*/* /b", 1, "more than one *"),
            ("/* https://x:splat/ 301", 1, "name the host"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.line == line && error.message.contains(why), "{text:?}: {error:?}");
            assert!(error.hint.contains("/from /to"));
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reading(text in "([/ :*!#=\\t\\r\\na-c3é\u{feff}]|https://|:splat|301){0,40}") {
            let _ = parse(&text);
        }
    }
}
