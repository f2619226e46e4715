//! The code of a CloudFront Function (runtime 2.0, viewer request) that follows a `_redirects` file.
//!
//! A function cannot see whether there is a file at a path, and a file comes before a rule that is not
//! forced: those files that such rules would hide are named in the code.

use crate::error::{Error, Result};
use crate::redirects_file::{QueryValue, RedirectRule, RedirectTarget, RedirectsFile, TargetPiece, without_slash};
use crate::url_pattern::{Piece, paths_of};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::{self, Write};

/// The most a function may have
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-functions>).
const MAX_BYTES: usize = 10 * 1024;
/// Files with an extension that are named one by one. Where there are more, whatever has an extension is
/// taken for a file.
const MOST_FILES: usize = 30;

/// The code, and what it does not do.
#[derive(Debug, Clone, Serialize)]
pub struct RedirectFunction {
    /// JavaScript.
    pub code: String,
    /// What the person should know.
    pub warnings: Vec<String>,
}

impl fmt::Display for RedirectFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.code)
    }
}

/// The function of a file. `keys` are the files of the site; with `directory_index` the function shows
/// `/dir/index.html` at `/dir/`, too, because a behavior takes only one.
pub fn generate<'a>(
    file: &RedirectsFile,
    keys: impl Iterator<Item = &'a str>,
    directory_index: bool,
) -> Result<RedirectFunction> {
    let mut warnings: Vec<String> =
        file.ignored.iter().map(|(line, why)| format!("line {line} is left out: {why}")).collect();
    let shadows = Shadows::of(file, keys);
    let mut exact = String::new();
    let mut patterns = String::new();
    let mut in_table: BTreeSet<String> = BTreeSet::new();
    let mut earlier: Vec<&RedirectRule> = Vec::new();
    for rule in &file.rules {
        let path = rule.from.exact().map(|path| encoded(without_slash(path)));
        if let Some(key) = rule.from.exact().and_then(|path| shadows.exact(path)).filter(|_| !rule.force) {
            let (line, from, status) = (rule.line, &rule.from, rule.status);
            warnings.push(format!("line {line} has no effect: {from} is the file {key}; write {status}! to hide it"));
            continue;
        }
        let target = pieces(rule);
        let simple = path.filter(|_| rule.is_unconditional());
        // Whatever an earlier pattern may catch keeps its place behind it.
        let caught = |path: &str| earlier.iter().any(|earlier| earlier.matches(path));
        match simple {
            Some(path) if in_table.contains(&path) => {}
            Some(path) if !caught(&path) => {
                let entry = match (rule.status, rule.to.exact()) {
                    (301, Some(to)) => literal(&encoded(to)),
                    (status, _) => format!("[{status}, {}]", literal(&encoded(&rule.to.to_string()))),
                };
                let _ = writeln!(exact, "  {}: {entry},", literal(&path));
                in_table.insert(path);
            }
            _ => {
                let force = u8::from(rule.force || rule.from.exact().is_some());
                let _ = write!(patterns, "  [{}, {}, {target}, {force}", regular_expression(rule), rule.status);
                if !rule.is_unconditional() {
                    let host = rule.host.as_deref().map_or("''".to_owned(), literal);
                    let _ = write!(patterns, ", {host}, {}", query(rule));
                }
                patterns.push_str("],\n");
                earlier.push(rule);
            }
        }
    }
    if shadows.dotted {
        warnings.push(format!(
            "more than {MOST_FILES} files could be hidden: whatever has an extension is taken for a file, and rules with * or :name leave it alone unless their status ends in !"
        ));
    }
    let index = if directory_index { DIRECTORY_INDEX } else { "  return request;\n" };
    let (files, dotted) = (shadows.table(), shadows.dotted);
    let code = format!(
        "// What _redirects says, for CloudFront: runtime cloudfront-js-2.0, event viewer-request.\n\
         // Written by 'shipfront redirects'.\n\
         const exact = {{\n{exact}}};\n\
         const patterns = [\n{patterns}];\n\
         const files = {{{files}}};\n\
         const dotted = {dotted};\n{RUNTIME}{index}}}\n"
    );
    if code.len() > MAX_BYTES {
        let message = format!("the function would have {} bytes, and CloudFront takes {MAX_BYTES}", code.len());
        return Err(Error::refused(message).hint(
            "write one rule with * or :name for several; end the status of such rules in ! where no file can be meant, \
             as files that they might hide are named in the code",
        ));
    }
    Ok(RedirectFunction { code, warnings })
}

/// What does not depend on the rules. Locations that are paths begin with one slash: two would lead to
/// another host.
const RUNTIME: &str = r"const words = {301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 307: 'Temporary Redirect', 308: 'Permanent Redirect'};

function find(request, path) {
  const simple = exact[path];
  if (simple) {
    return typeof simple === 'string' ? [301, simple, true] : [simple[0], simple[1], true];
  }
  const isFile = files[path] || (dotted && path.split('/').pop().includes('.'));
  for (let at = 0; at < patterns.length; at++) {
    const rule = patterns[at];
    const match = rule[0].exec(request.uri);
    if (!match || (isFile && !rule[3])) continue;
    if (rule[4] && rule[4] !== request.headers.host.value) continue;
    const query = rule[5] || [];
    const missing = query.some(function (one) {
      const found = request.querystring[one[0]];
      if (!found || (one[1] !== null && found.value !== one[1])) return true;
      if (one[1] === null) match.push(found.value);
      return false;
    });
    if (missing) continue;
    const to = rule[2].map(function (piece) { return typeof piece === 'number' ? match[piece] || '' : piece; }).join('');
    return [rule[1], to, query.length === 0];
  }
  return null;
}

function queryOf(request) {
  const pairs = [];
  for (const name in request.querystring) {
    const one = request.querystring[name];
    (one.multiValue || [one]).forEach(function (each) { pairs.push(each.value === '' ? name : name + '=' + each.value); });
  }
  return pairs.length ? '?' + pairs.join('&') : '';
}

function handler(event) {
  const request = event.request;
  const uri = request.uri;
  const path = uri.length > 1 && uri.endsWith('/') ? uri.slice(0, -1) : uri;
  const found = find(request, path);
  if (found) {
    const to = found[1].startsWith('/') ? found[1].replace(/^[\/\\]+/, '/') : found[1];
    if (found[0] === 200) {
      request.uri = to;
    } else if (to !== uri) {
      const location = to.includes('?') || to.includes('#') || !found[2] ? to : to + queryOf(request);
      return { statusCode: found[0], statusDescription: words[found[0]], headers: { location: { value: location } } };
    }
  }
";

const DIRECTORY_INDEX: &str = r"  const name = request.uri.split('/').pop();
  if (name === '') {
    request.uri += 'index.html';
  } else if (!name.includes('.') && !request.uri.startsWith('/.well-known/')) {
    const target = 'https://' + request.headers.host.value + request.uri + '/' + queryOf(request);
    return { statusCode: 301, statusDescription: words[301], headers: { location: { value: target } } };
  }
  return request;
";

/// The files that rules would hide.
struct Shadows {
    /// Every path of every file, without the slash at its end, where an exact rule is about it; and its key.
    exact: Vec<(String, String)>,
    /// Those that patterns match, one by one.
    by_pattern: BTreeSet<String>,
    /// Whether whatever has an extension is taken for a file.
    dotted: bool,
}

impl Shadows {
    fn of<'a>(file: &RedirectsFile, keys: impl Iterator<Item = &'a str>) -> Shadows {
        let exact_froms: BTreeSet<&str> =
            file.rules.iter().filter_map(|rule| rule.from.exact()).map(without_slash).collect();
        let patterns: Vec<_> = file.rules.iter().filter(|rule| rule.from.exact().is_none() && !rule.force).collect();
        let mut shadows = Shadows { exact: Vec::new(), by_pattern: BTreeSet::new(), dotted: false };
        let mut with_extension = BTreeSet::new();
        for key in keys {
            for path in paths_of(key) {
                let bare = without_slash(&path);
                if exact_froms.contains(bare) {
                    shadows.exact.push((bare.to_owned(), key.to_owned()));
                }
                if patterns.iter().any(|rule| rule.matches(&path)) {
                    let has_extension = bare.rsplit('/').next().is_some_and(|name| name.contains('.'));
                    if !has_extension {
                        shadows.by_pattern.insert(bare.to_owned());
                    } else if with_extension.len() <= MOST_FILES {
                        with_extension.insert(bare.to_owned());
                    }
                }
            }
        }
        shadows.dotted = with_extension.len() > MOST_FILES;
        if !shadows.dotted {
            shadows.by_pattern.extend(with_extension);
        }
        shadows
    }

    fn exact(&self, path: &str) -> Option<&str> {
        self.exact.iter().find(|(found, _)| found == without_slash(path)).map(|(_, key)| key.as_str())
    }

    fn table(&self) -> String {
        let entries = self.by_pattern.iter().map(|path| format!("{}: 1", literal(&encoded(path))));
        entries.collect::<Vec<_>>().join(", ")
    }
}

/// A path or URL as browsers send it: what is not ASCII is per cent-encoded, and nothing else.
fn encoded(text: &str) -> String {
    const SPACE: &AsciiSet = &AsciiSet::EMPTY.add(b' ');
    utf8_percent_encode(text, SPACE).to_string()
}

/// A text as a JavaScript literal.
fn literal(text: &str) -> String {
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

/// The pattern of a rule as a regular expression, for which a slash at the end does not count.
fn regular_expression(rule: &RedirectRule) -> String {
    let mut expression = String::from("/^");
    let pieces = rule.from.pieces();
    for (at, piece) in pieces.iter().enumerate() {
        let last = at + 1 == pieces.len();
        match piece {
            Piece::Text(text) => {
                let text = encoded(if last { without_slash(text) } else { text });
                let before_splat = pieces.get(at + 1) == Some(&Piece::Splat) && at + 2 == pieces.len();
                // `/news/*` is about `/news`, too.
                let text = if before_splat { text.strip_suffix('/').unwrap_or(&text) } else { &text };
                for c in text.chars() {
                    if !c.is_ascii_alphanumeric() && !"-_%~ ".contains(c) {
                        expression.push('\\');
                    }
                    expression.push(c);
                }
            }
            Piece::Placeholder(_) => expression.push_str("([^\\/]+)"),
            Piece::Splat
                if last
                    && matches!(pieces.get(at.wrapping_sub(1)), Some(Piece::Text(before)) if before.ends_with('/')) =>
            {
                expression.push_str("(?:\\/(.*))?");
            }
            Piece::Splat => expression.push_str("(.*)"),
        }
    }
    if pieces.last() != Some(&Piece::Splat) && rule.from.exact() != Some("/") {
        expression.push_str("\\/?");
    }
    expression.push_str("$/");
    expression
}

/// The target as a list: texts, and the numbers of what was matched.
fn pieces(rule: &RedirectRule) -> String {
    let in_path = rule.from.pieces().iter().filter_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Placeholder(name) => Some(name.as_str()),
        Piece::Splat => Some("splat"),
    });
    let in_query = rule.query.iter().filter_map(|(_, value)| match value {
        QueryValue::Named(name) => Some(name.as_str()),
        QueryValue::Is(_) => None,
    });
    let names: Vec<&str> = in_path.chain(in_query).collect();
    let RedirectTarget { pieces } = &rule.to;
    let piece = |piece: &TargetPiece| match piece {
        TargetPiece::Text(text) => literal(&encoded(text)),
        // What matched is the whole, and then part by part.
        TargetPiece::Name(name) => names.iter().position(|known| known == name).map_or(0, |at| at + 1).to_string(),
    };
    format!("[{}]", pieces.iter().map(piece).collect::<Vec<_>>().join(", "))
}

fn query(rule: &RedirectRule) -> String {
    let one = |(name, value): &(String, QueryValue)| match value {
        QueryValue::Is(value) => format!("[{}, {}]", literal(&encoded(name)), literal(&encoded(value))),
        QueryValue::Named(_) => format!("[{}, null]", literal(&encoded(name))),
    };
    format!("[{}]", rule.query.iter().map(one).collect::<Vec<_>>().join(", "))
}
