//! Parses `_headers` files as Netlify and Cloudflare Pages do: a URL path on a line of its own, its headers below.
//!
//! ```text
//! /assets/*
//!   Cache-Control: public, max-age=31536000, immutable
//! ```
//!
//! Headers that S3 stores with an object become header rules. S3 stores few headers; the others are returned as
//! blocks, for the viewer-response function or for a response headers policy. A line that makes no sense is
//! skipped, as on both platforms; its text is never repeated, because it may contain a password.

use crate::error::LineError;
use crate::key::HEADERS_FILE;
use crate::platform::{Finding, FindingKind, RuleOptions};
use crate::redirects_file::{Host, TargetPiece, protect_hint, split_url};
use crate::rules::{HeaderRule, HeaderValue};
use crate::url_pattern::{UrlPattern, leading_name};
use std::str::FromStr;

/// The contents of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadersFile {
    /// Rules for the headers that S3 stores.
    pub rules: Vec<HeaderRule>,
    /// Headers that only CloudFront can add, by block.
    pub blocks: Vec<HeaderBlock>,
    /// Findings about its lines.
    pub findings: Vec<Finding>,
}

/// A path of the file, with those of its headers that S3 does not store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderBlock {
    /// Limits the block to this host.
    pub host: Option<Host>,
    /// The URLs that get the headers.
    pub path: UrlPattern,
    /// In the order of the file; headers with the same name are joined.
    pub headers: Vec<OtherHeader>,
}

/// A header that S3 does not store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherHeader {
    /// The line that sets it.
    pub line: usize,
    /// Its name, as written.
    pub name: String,
    /// Its value: text and names of captured parts of the path; `None` removes a header that a broader path set.
    pub value: Option<Vec<TargetPiece>>,
}

impl OtherHeader {
    /// The value, if it is the same for every URL.
    pub fn exact(&self) -> Option<&str> {
        match self.value.as_deref() {
            Some([]) => Some(""),
            Some([TargetPiece::Text(text)]) => Some(text),
            _ => None,
        }
    }
}

const EXAMPLE: &str = "a path such as /assets/* begins a line, and its headers follow as '  Name: value'";
const BASIC_AUTH: &str = "basic-auth";

/// Parses a file.
pub fn parse(text: &str, options: &RuleOptions) -> HeadersFile {
    let mut file = HeadersFile::default();
    let mut block = Block::None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (at, line) in text.lines().enumerate() {
        let (number, written) = (at + 1, line.trim());
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        if let Err(error) = file.line(number, written, &mut block, options) {
            file.find(FindingKind::Senseless, error);
        }
    }
    file.finish(block);
    file
}

/// What follows a path.
enum Block {
    None,
    /// What follows a path that makes no sense.
    Skipped,
    Of(String, Option<Host>, UrlPattern, Vec<Header>),
}

struct Header {
    line: usize,
    name: String,
    /// `None` if the header is removed.
    value: Option<String>,
}

impl HeadersFile {
    fn find(&mut self, kind: FindingKind, error: LineError) {
        self.findings.push(Finding::new(HEADERS_FILE, kind, error));
    }

    fn line(
        &mut self,
        number: usize,
        written: &str,
        block: &mut Block,
        options: &RuleOptions,
    ) -> Result<(), LineError> {
        let (scheme, host, path) = split_url(written);
        if scheme.is_some() || written.starts_with('/') {
            self.finish(std::mem::replace(block, Block::Skipped));
            let (alone, behind) = written.split_once([' ', '\t']).unwrap_or((written, ""));
            if behind.to_ascii_lowercase().contains(BASIC_AUTH) {
                self.protects(number, alone, options);
                return Ok(());
            }
            // The platforms treat the whole line as the path, which no URL has.
            if behind.split_once(':').is_some_and(|(name, _)| is_name(name.trim())) {
                return Err(LineError::new(number, "a path and a header on one line", EXAMPLE));
            }
            if path.ends_with(':') {
                return Err(LineError::new(number, "the path ends in a colon, which no URL does", EXAMPLE));
            }
            let path =
                UrlPattern::parse_as(path, options.platform).map_err(|why| LineError::new(number, why, EXAMPLE))?;
            *block = Block::Of(written.to_owned(), host.map(Host::parse), path, Vec::new());
            return Ok(());
        }
        // Whatever else is wrong with the line, it is meant to protect something.
        if written.to_ascii_lowercase().contains(BASIC_AUTH) {
            let path = if let Block::Of(path, ..) = &*block { path } else { "the site" };
            self.protects(number, path, options);
            return Ok(());
        }
        // It ends the preceding block, because the headers below do not belong to that.
        if is_path_without_slash(written) {
            self.finish(std::mem::replace(block, Block::Skipped));
            return Err(LineError::new(number, "a path begins with a slash, and a header's name has none", EXAMPLE));
        }
        match block {
            Block::None => Err(LineError::new(number, "a header before the first path", EXAMPLE)),
            Block::Skipped => Ok(()),
            Block::Of(_, _, _, headers) => {
                headers.push(header(number, written)?);
                Ok(())
            }
        }
    }

    /// Reports files that a password should protect. The password is not repeated.
    fn protects(&mut self, number: usize, path: &str, options: &RuleOptions) {
        if !options.may_be_public(path) {
            let message = format!("{path} requires a password, but CloudFront would show it to everyone");
            self.find(FindingKind::Protects, LineError::new(number, message, protect_hint(path)));
        }
    }

    fn finish(&mut self, block: Block) {
        let Block::Of(_, host, path, headers) = block else { return };
        let mut rule = HeaderRule { paths: vec![path.clone()], ..HeaderRule::default() };
        let empty = rule.clone();
        let mut others: Vec<OtherHeader> = Vec::new();
        for Header { line, name, value } in headers {
            let lower = name.to_ascii_lowercase();
            let stored = stored(&mut rule, &lower);
            if stored.is_some() && (host.is_some() || value.as_deref().is_some_and(|value| has_name(value, &path))) {
                let (why, hint) = match host {
                    Some(_) => (
                        format!("{name} is stored with the object, which is the same for every host"),
                        "write it below a path without a host",
                    ),
                    None => (
                        format!("{name} uses a part of the URL, but an object has the same value under every URL"),
                        "write the value itself",
                    ),
                };
                self.find(FindingKind::CannotBeDone, LineError::new(line, why, hint));
                continue;
            }
            match (stored, value) {
                // A header that is written twice has both values, as on the platforms.
                (Some(Stored::Header(stored)), Some(value)) => {
                    let before = stored.as_ref().and_then(|before| before.get());
                    let both = before.map_or(value.clone(), |before| format!("{before}, {value}"));
                    *stored = both.parse().ok();
                }
                (Some(Stored::Header(stored)), None) => *stored = Some(HeaderValue::default()),
                (Some(Stored::Metadata(key)), value) => {
                    rule.metadata.insert(key, value.and_then(|value| value.parse().ok()).unwrap_or_default());
                }
                (None, _) if is_closed(&lower) => {
                    let why = format!("CloudFront lets no function and no policy set {name}");
                    self.find(FindingKind::CannotBeDone, LineError::new(line, why, "remove the line"));
                }
                (None, value) => add(&mut others, line, name, value.map(|value| value_pieces(&value, &path))),
            }
        }
        if rule != empty {
            self.rules.push(rule);
        }
        if !others.is_empty() {
            self.blocks.push(HeaderBlock { host, path, headers: others });
        }
    }
}

/// Adds a header to those of a block. Values of the same name are joined, as on the platforms.
fn add(headers: &mut Vec<OtherHeader>, line: usize, name: String, value: Option<Vec<TargetPiece>>) {
    let before = headers.iter_mut().find(|header| header.name.eq_ignore_ascii_case(&name));
    match (before, value) {
        (Some(OtherHeader { value: Some(before), .. }), Some(value)) => {
            let mut joined: Vec<TargetPiece> = Vec::new();
            let comma = TargetPiece::Text(", ".to_owned());
            for piece in std::mem::take(before).into_iter().chain([comma]).chain(value) {
                match (joined.last_mut(), piece) {
                    (Some(TargetPiece::Text(before)), TargetPiece::Text(text)) => before.push_str(&text),
                    (_, piece) => joined.push(piece),
                }
            }
            *before = joined;
        }
        (Some(before), value) => before.value = value,
        (None, value) => headers.push(OtherHeader { line, name, value }),
    }
}

/// The part of an object's header rule that a header corresponds to.
enum Stored<'r> {
    Header(&'r mut Option<HeaderValue>),
    Metadata(crate::rules::MetadataName),
}

fn stored<'r>(rule: &'r mut HeaderRule, lower: &str) -> Option<Stored<'r>> {
    Some(Stored::Header(match lower {
        "cache-control" => &mut rule.cache_control,
        "content-type" => &mut rule.content_type,
        "content-encoding" => &mut rule.content_encoding,
        "content-disposition" => &mut rule.content_disposition,
        "content-language" => &mut rule.content_language,
        _ => return lower.strip_prefix("x-amz-meta-").and_then(|name| name.parse().ok()).map(Stored::Metadata),
    }))
}

/// Whether a function may not set a header
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html>).
/// Functions do not set cookies through a header.
fn is_closed(lower: &str) -> bool {
    const NAMES: [&str; 16] = [
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
        "content-length",
        "transfer-encoding",
        "via",
        "warning",
        "set-cookie",
    ];
    NAMES.contains(&lower)
        || ["x-accel-", "x-amz-cf-", "x-amzn-", "x-edge-"].iter().any(|start| lower.starts_with(start))
}

fn header(line: usize, written: &str) -> Result<Header, LineError> {
    let (name, value) = match written.strip_prefix('!') {
        Some(name) => (name.trim(), None),
        None => match written.split_once(':') {
            Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
            None => return Err(LineError::new(line, "neither a path nor a header: the line has no colon", EXAMPLE)),
        },
    };
    if !is_name(name) {
        let hint = "a name has letters, digits and hyphens, as in Cache-Control";
        return Err(LineError::new(line, "the text before the colon cannot be a header name", hint));
    }
    if let Some(value) = &value {
        HeaderValue::from_str(value).map_err(|why| LineError::new(line, why, "leave such characters out"))?;
    }
    Ok(Header { line, name: name.to_owned(), value })
}

/// Whether a line is meant to be a path. Continuation lines of a value contain blanks or end in a semicolon.
fn is_path_without_slash(written: &str) -> bool {
    let before = written.split(':').next().unwrap_or_default();
    (written == "*" || before.contains('/')) && !written.contains([' ', '\t']) && !written.ends_with(';')
}

/// Whether a text can be the name of a header.
fn is_name(text: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(token)
}

fn has_name(value: &str, path: &UrlPattern) -> bool {
    value_pieces(value, path).iter().any(|piece| matches!(piece, TargetPiece::Name(_)))
}

/// Splits a value into text and names of captured parts of the path.
fn value_pieces(value: &str, path: &UrlPattern) -> Vec<TargetPiece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in value.match_indices(':') {
        let name = leading_name(&value[at + 1..]);
        if name.is_empty() || !path.names(name) {
            continue;
        }
        pieces.extend((at > from).then(|| TargetPiece::Text(value[from..at].to_owned())));
        pieces.push(TargetPiece::Name(name.to_owned()));
        from = at + 1 + name.len();
    }
    pieces.extend((from < value.len()).then(|| TargetPiece::Text(value[from..].to_owned())));
    pieces
}

#[cfg(test)]
mod tests;
