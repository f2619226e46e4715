//! Writes rules as JavaScript for CloudFront Functions (runtime 2.0), in ASCII.

use crate::redirects_file::{Host, TargetPiece};
use crate::url_pattern::{Step, UrlPattern};
use std::fmt::Write;

/// Maximum size of a function, in bytes
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-functions>).
pub(crate) const MAX_BYTES: usize = 10 * 1024;

/// A text as a literal.
pub(crate) fn literal(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            other => quoted.extend(other.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    quoted.push('\'');
    quoted
}

/// A list of texts as a literal.
pub(crate) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(","))
}

/// A pattern as a regular expression, with a group for each captured part.
pub(crate) fn regular_expression(pattern: &UrlPattern) -> String {
    let mut expression = String::from("/^");
    for step in pattern.steps() {
        match step {
            Step::Text(text) => {
                for c in text.chars() {
                    if !c.is_ascii_alphanumeric() && !"-_%~ ".contains(c) {
                        expression.push('\\');
                    }
                    expression.push(c);
                }
            }
            Step::Name => expression.push_str("([^\\/]+)"),
            Step::Splat => expression.push_str("(.*)"),
            Step::Below => expression.push_str("(?:\\/(.*))?"),
            Step::Slash => expression.push_str("\\/?"),
        }
    }
    expression.push_str("$/");
    expression
}

/// A host as a literal; one that begins with a star is a suffix.
pub(crate) fn host(host: Option<&Host>) -> String {
    match host {
        None => "''".to_owned(),
        Some(Host::Is(host)) => literal(host),
        Some(Host::EndsWith(end)) => literal(&format!("*{end}")),
    }
}

/// Texts, and the numbers of named parts: the first of `names` is 1.
pub(crate) fn pieces(pieces: &[TargetPiece], names: &[&str]) -> String {
    let mut list = String::from("[");
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            list.push(',');
        }
        let _ = match piece {
            TargetPiece::Text(text) => write!(list, "{}", literal(text)),
            TargetPiece::Name(name) => {
                let number = names.iter().position(|known| known == name).map_or(0, |at| at + 1);
                write!(list, "{number}")
            }
        };
    }
    list.push(']');
    list
}

/// Percent-encoded triplets mean the same in lowercase.
pub(crate) const UPPER: &str = r"
function upper(text) {
  return text.replace(/%[0-9a-f]{2}/gi, function (triplet) { return triplet.toUpperCase(); });
}
";

/// Code that both functions need to handle a path and a host.
pub(crate) const COMMON: &str = r"
function upper(text) {
  return text.replace(/%[0-9a-f]{2}/gi, function (triplet) { return triplet.toUpperCase(); });
}

function fill(pieces, values) {
  return pieces.map(function (piece) { return typeof piece === 'number' ? values[piece] || '' : piece; }).join('');
}

function isHost(host, rule) {
  return !rule || (rule[0] === '*' ? host.length > rule.length - 1 && host.endsWith(rule.slice(1)) : host === rule);
}
";
