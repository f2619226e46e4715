//! `_headers` files, as Netlify and Cloudflare Pages read them: a URL path on a line of its own, its
//! headers indented below.
//!
//! ```text
//! /assets/*
//!   Cache-Control: public, max-age=31536000, immutable
//! ```
//!
//! What S3 keeps with an object becomes a rule for it. S3 keeps few headers: the others are handed back,
//! to be told to the person and to be made into a response headers policy of CloudFront.

use crate::error::LineError;
use crate::rules::{HeaderRule, HeaderValue};
use crate::url_pattern::UrlPattern;
use std::str::FromStr;

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadersFile {
    /// Rules for what S3 keeps.
    pub rules: Vec<HeaderRule>,
    /// Headers that only CloudFront can add.
    pub others: Vec<OtherHeader>,
    /// Lines that cannot be followed, and why.
    pub ignored: Vec<(usize, String)>,
}

/// A header that S3 does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherHeader {
    /// The line that says so.
    pub line: usize,
    /// Which URLs have it.
    pub path: UrlPattern,
    /// Its name as written.
    pub name: String,
    /// Its value; `None` takes away what a broader path gave.
    pub value: Option<String>,
}

const EXAMPLE: &str = "a path such as /assets/* begins a line, and its headers follow as '  Name: value'";

/// Reads a file.
pub fn parse(text: &str) -> Result<HeadersFile, LineError> {
    let mut file = HeadersFile::default();
    let mut block = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (at, line) in text.lines().enumerate() {
        let (number, written) = (at + 1, line.trim());
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        if written.starts_with('/') {
            let path = UrlPattern::parse(written).map_err(|why| LineError::new(number, why, EXAMPLE))?;
            file.finish(block.replace(Block::Path(path, Vec::new())));
        } else if written.starts_with("https://") || written.starts_with("http://") {
            file.finish(block.replace(Block::Host));
            let why = format!("{written} is about one host, and an object is the same for all");
            file.ignored.push((number, why));
        } else if line.starts_with([' ', '\t']) {
            match &mut block {
                None => return Err(LineError::new(number, "a header before the first path", EXAMPLE)),
                Some(Block::Host) => {}
                Some(Block::Path(path, headers)) => {
                    if let Some(header) = header(number, written, path, &mut file.ignored)? {
                        headers.push(header);
                    }
                }
            }
        } else {
            return Err(LineError::new(
                number,
                format!("{written:?} is neither a path nor an indented header"),
                EXAMPLE,
            ));
        }
    }
    file.finish(block);
    Ok(file)
}

/// What follows a path, or the URL of a host.
enum Block {
    Path(UrlPattern, Vec<Header>),
    Host,
}

struct Header {
    line: usize,
    name: String,
    /// `None` where the header is taken away.
    value: Option<String>,
}

fn header(
    line: usize,
    written: &str,
    path: &UrlPattern,
    ignored: &mut Vec<(usize, String)>,
) -> Result<Option<Header>, LineError> {
    let (name, value) = match written.strip_prefix('!') {
        Some(name) => (name.trim(), None),
        None => match written.split_once(':') {
            Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
            None => return Err(LineError::new(line, format!("{written:?} has no colon"), EXAMPLE)),
        },
    };
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        let hint = "a name has letters, digits and hyphens, as in Cache-Control";
        return Err(LineError::new(line, format!("{name:?} cannot be a header's name"), hint));
    }
    if let Some(value) = &value {
        HeaderValue::from_str(value).map_err(|why| LineError::new(line, why, "leave such characters out"))?;
        let placeholder = value.split(':').skip(1).find(|rest| path.names(crate::url_pattern::leading_name(rest)));
        if placeholder.is_some() {
            ignored
                .push((line, format!("{name} takes a part of the URL, and an object has the same header under any")));
            return Ok(None);
        }
    }
    Ok(Some(Header { line, name: name.to_owned(), value }))
}

impl HeadersFile {
    fn finish(&mut self, block: Option<Block>) {
        let Some(Block::Path(path, headers)) = block else { return };
        let mut rule = HeaderRule { paths: vec![path.clone()], ..HeaderRule::default() };
        let empty = rule.clone();
        for Header { line, name, value } in headers {
            let stored = match name.to_ascii_lowercase().as_str() {
                "cache-control" => Some(&mut rule.cache_control),
                "content-type" => Some(&mut rule.content_type),
                "content-encoding" => Some(&mut rule.content_encoding),
                "content-disposition" => Some(&mut rule.content_disposition),
                "content-language" => Some(&mut rule.content_language),
                lower => match lower.strip_prefix("x-amz-meta-").map(str::parse) {
                    Some(Ok(name)) => {
                        rule.metadata.insert(name, value.as_deref().and_then(valid).unwrap_or_default());
                        continue;
                    }
                    _ => None,
                },
            };
            match (stored, value) {
                // A header that is written twice has both values, as the platforms have it.
                (Some(stored), Some(value)) => {
                    let before = stored.as_ref().and_then(|before| before.get());
                    let both = before.map_or(value.clone(), |before| format!("{before}, {value}"));
                    *stored = valid(&both);
                }
                (Some(stored), None) => *stored = Some(HeaderValue::default()),
                (None, value) => self.others.push(OtherHeader { line, path: path.clone(), name, value }),
            }
        }
        if rule != empty {
            self.rules.push(rule);
        }
    }
}

/// A value that was looked at when its line was read.
fn valid(value: &str) -> Option<HeaderValue> {
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::HeaderRules;
    use proptest::prelude::*;

    fn cache(text: &str, key: &str) -> Option<String> {
        HeaderRules::new(parse(text).unwrap().rules).unwrap().headers(key).cache_control
    }

    #[test]
    fn headers_that_s3_keeps_become_rules_in_the_order_of_the_file() {
        let text = "\
# everything
/*
  Cache-Control: max-age=0
  X-Frame-Options: DENY
/assets/*
\tcache-control: public
\tCache-Control: max-age=31536000
/assets/private/*
  ! Cache-Control
  ! X-Frame-Options
";
        assert_eq!(cache(text, "index.html").as_deref(), Some("max-age=0"));
        assert_eq!(cache(text, "assets/a.js").as_deref(), Some("public, max-age=31536000"), "both values of one block");
        assert_eq!(cache(text, "assets/private/a.js"), None, "taken away");
        let others: Vec<_> =
            parse(text).unwrap().others.into_iter().map(|other| (other.line, other.name, other.value)).collect();
        assert_eq!(
            others,
            [(4, "X-Frame-Options".to_owned(), Some("DENY".to_owned())), (10, "X-Frame-Options".to_owned(), None)]
        );
    }

    #[test]
    fn every_header_that_s3_keeps_is_read() {
        let text = "/a\n Content-Type: a/b\n Content-Encoding: gzip\n Content-Disposition: inline\n Content-Language: de\n X-Amz-Meta-Owner: web\n";
        let headers = HeaderRules::new(parse(text).unwrap().rules).unwrap().headers("a");
        assert_eq!(headers.content_type, "a/b");
        let single = [headers.content_encoding, headers.content_disposition, headers.content_language];
        assert_eq!(single.map(Option::unwrap), ["gzip", "inline", "de"]);
        assert_eq!(headers.metadata["owner"], "web");
    }

    #[test]
    fn what_cannot_be_followed_is_told_and_what_makes_no_sense_is_an_error_with_its_line() {
        let file =
            parse("https://x.example/*\n  X-Robots-Tag: noindex\n/m/:title\n  Content-Language: :title\n").unwrap();
        assert_eq!(file.ignored.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 4]);
        assert_eq!((file.rules.len(), file.others.len()), (0, 0));
        for (text, line, why) in [
            ("  A: b", 1, "before the first path"),
            ("/a\n\n  Cache-Control", 3, "no colon"),
            ("/a\nCache-Control: x", 2, "neither a path"),
            ("/a\n  Ca che: x", 2, "cannot be a header's name"),
            ("/a\n  A: caf\u{e9}", 2, "plain ASCII"),
            ("/*/*\n  A: b", 1, "more than one *"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.line == line && error.message.contains(why), "{text:?}: {error:?}");
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn lines_end_as_they_do_on_any_system() {
        assert_eq!(cache("\u{feff}/a\r\n  Cache-Control: no-store\r\n", "a").as_deref(), Some("no-store"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reading(text in "([/ !:*#\\t\\r\\na-cA-Cé\u{feff}]|Cache-Control: |https://){0,40}") {
            let _ = parse(&text);
        }
    }
}
