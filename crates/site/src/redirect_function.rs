//! Generates the code of a CloudFront Function (runtime 2.0, viewer request) that implements `_redirects`.
//!
//! It answers as [`Rules::answer`] does. A function cannot see whether there is a file at a path, but a file takes
//! precedence over a rule that is not forced: files that such rules would hide are listed in the code. If the code
//! would be larger than CloudFront accepts, these steps are tried in order: its table is packed; a fallback for
//! everything that is not a file is left to the distribution's error response, which does the same; if there is a
//! key-value store, the table goes there; everything with an extension is assumed to be a file.

mod runtime;

use crate::Warning;
use crate::compact_table::compact;
use crate::error::{Error, Result};
use crate::etag::{hex, md5};
use crate::javascript::{COMMON, MAX_BYTES, UPPER, host, list, literal, pieces, regular_expression};
use crate::redirects_file::{Action, QueryValue, RedirectRule, TargetPiece, Visitors, split_url, without_slash};
use crate::url_pattern::as_sent;
use crate::viewer_rules::{LONGEST_URL, MOST_REDIRECTS, Rules, to_site};
use runtime::{DIRECTORY, DIRECTORY_INDEX, HAS_DOT, PATTERNS, RUNTIME, SECOND, THIS_VISITOR, VISITORS};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// Maximum size of a store's key, and of its value, in bytes
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-keyvaluestores>).
const MAX_STORE_KEY: usize = 512;
const MAX_STORE_VALUE: usize = 1024;
/// Maximum size of all keys and values of a store, in bytes.
pub const MAX_STORE: usize = 5 * 1024 * 1024;
/// Number of digits of the digest that distinguishes the keys of one table from those of any other.
pub const VERSION_DIGITS: usize = 12;

/// The code, and what it does not cover.
#[derive(Debug, Clone, Serialize)]
pub struct RedirectFunction {
    /// JavaScript.
    pub code: String,
    /// Where the rules are, and why.
    pub placement: Placement,
    /// The required contents of the key-value store, if there is one: keys and values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub store: Vec<(String, String)>,
    /// Messages for the user.
    pub warnings: Vec<Warning>,
    /// What the code implements: the rules, with the changes that the placement makes.
    #[serde(skip)]
    pub rules: Rules,
}

/// Where the rules are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Placement {
    /// How exact lines and the names of files are stored.
    pub table: Table,
    /// The page that the distribution's error response serves for everything that is not a file, and the line that
    /// says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_response: Option<(usize, String)>,
    /// Whether everything with an extension is assumed to be a file.
    pub extension_is_file: bool,
}

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// In the code, directly readable.
    Plain,
    /// In the code, packed.
    Packed,
    /// In a key-value store.
    Store,
}

impl fmt::Display for RedirectFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.code)
    }
}

/// Generates the function for a site's rules. With `store`, the table may go to a key-value store, whose keys begin
/// with that text and, unless it is empty, with a digest of the table, so that two tables can exist at the same
/// time.
pub fn generate(rules: &Rules, store: Option<&str>) -> Result<RedirectFunction> {
    let mut whole = vec![(rules.clone(), None)];
    if let Some((without, line, page)) = rules.without_fallback() {
        whole.insert(0, (without, Some((line, page))));
    }
    let files = |rules: &Rules| Rules { extension_is_file: true, ..rules.clone() };
    let mut fewer: Vec<(Rules, Option<(usize, String)>)> = Vec::new();
    if rules.files().any(crate::viewer_rules::has_extension) {
        fewer.extend(whole.iter().map(|(rules, response)| (files(rules), response.clone())));
    }
    let mut smallest = usize::MAX;
    for (choices, with_fallback_first) in [(&whole, true), (&fewer, false)] {
        let mut order: Vec<_> = choices.iter().collect();
        if with_fallback_first {
            order.reverse();
        }
        for (rules, response) in order {
            for table in [Table::Plain, Table::Packed] {
                let Some(code) = code(rules, table) else { continue };
                smallest = smallest.min(code.len());
                if code.len() <= MAX_BYTES {
                    return Ok(function(rules, response.as_ref(), table, (code, Vec::new())));
                }
            }
        }
        // Without the names of the files first: they change with every page, and all keys with them.
        for (rules, response) in store.map_or(&[][..], |_| choices) {
            let (code, entries) = in_store(rules, store.unwrap_or_default());
            let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
            if code.len() <= MAX_BYTES && bytes <= MAX_STORE {
                return Ok(function(rules, response.as_ref(), Table::Store, (code, entries)));
            }
        }
    }
    Err(too_large(rules, smallest))
}

/// The code of a function that reads a store, and the required contents of the store. What no store accepts stays
/// in the code.
fn in_store(rules: &Rules, prefix: &str) -> (String, Vec<(String, String)>) {
    let digits = if prefix.is_empty() { 0 } else { VERSION_DIGITS };
    let longest = MAX_STORE_KEY.saturating_sub(prefix.len() + digits);
    let fits = |(key, value): &(String, String)| key.len() <= longest && value.len() <= MAX_STORE_VALUE;
    let (entries, patterns) = entries(rules);
    let (stored, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(fits);
    let mut text = Vec::new();
    for (key, value) in &stored {
        text.extend_from_slice(format!("{} {} {key}{value}", key.len(), value.len()).as_bytes());
    }
    let version = format!("{prefix}{}", &hex(&md5(&text))[..digits]);
    let code = written(rules, Table::Store, &patterns, &looked_up(&version, &own));
    (code, stored.into_iter().map(|(key, value)| (format!("{version}{key}"), value)).collect())
}

/// The code of `get(key)` for a table in a store.
fn looked_up(version: &str, own: &[(String, String)]) -> String {
    let mut code = "const store = cf.kvs();\n".to_owned();
    let mut key = "key".to_owned();
    if !version.is_empty() {
        let _ = writeln!(code, "const version = {};", literal(version));
        key = "version + key".to_owned();
    }
    let mut first = "";
    if !own.is_empty() {
        let _ = writeln!(code, "const own = {};", plain_table(own));
        first = "  if (own[key]) return own[key];\n";
    }
    let _ = writeln!(code, "\nasync function get(key) {{");
    code.push_str(first);
    let _ = writeln!(
        code,
        "  try {{\n    return await store.get({key});\n  }} catch (missing) {{\n    return undefined;\n  }}\n}}"
    );
    code
}

fn plain_table(entries: &[(String, String)]) -> String {
    let each = |(key, value): &(String, String)| format!("  {}: {},\n", literal(key), literal(value));
    format!("{{\n{}}}", entries.iter().map(each).collect::<String>())
}

fn too_large(rules: &Rules, bytes: usize) -> Error {
    let fits = |lines: usize| {
        let some = Rules { redirects: rules.redirects[..lines].to_vec(), ..rules.clone() };
        [Table::Plain, Table::Packed]
            .into_iter()
            .filter_map(|table| code(&some, table))
            .any(|code| code.len() <= MAX_BYTES)
    };
    // Packing takes a while: a few attempts, starting with what the size of all lines suggests.
    let mut least = rules.redirects.len() * MAX_BYTES / bytes.max(MAX_BYTES + 1);
    while least > 0 && !fits(least) {
        least = least * 3 / 4;
    }
    let lines = rules.redirects.len();
    let message = format!(
        "the function would have {bytes} bytes; CloudFront accepts {MAX_BYTES}: the first {least} of {lines} lines of _redirects fit"
    );
    Error::refused(message).hint(
        "write one line with * or :name for several, end the status of such lines in ! where no file can be meant, or \
         keep the table in a key-value store with --key-value-store (not on the Free plan)",
    )
}

fn function(
    rules: &Rules,
    response: Option<&(usize, String)>,
    table: Table,
    (code, store): (String, Vec<(String, String)>),
) -> RedirectFunction {
    let mut warnings = Vec::new();
    if let Some((line, page)) = response {
        warnings.push(Warning::new(
            format_args!("_redirects:{line} does not fit into the function together with the files that precede it"),
            format_args!("set custom error responses of the distribution for 403 and 404 to {page} with status 200"),
        ));
    }
    if rules.extension_is_file {
        warnings.push(Warning::new(
            "the names of all files do not fit into the function: every URL with an extension counts as a file, which lines with * or :name skip",
            "end the status of a line in ! where it applies to such URLs",
        ));
    }
    if table == Table::Store {
        warnings.push(Warning::new(
            format_args!("{} lines and files do not fit into the function and are in a key-value store", store.len()),
            "associate the store with the function, as 'shipfront rules --attach' explains",
        ));
    }
    let placement = Placement { table, error_response: response.cloned(), extension_is_file: rules.extension_is_file };
    RedirectFunction { code, placement, store, warnings, rules: rules.clone() }
}

/// The table of a site's rules, by path, and the rules that are tried one after another.
pub fn entries(rules: &Rules) -> (Vec<(String, String)>, Vec<&RedirectRule>) {
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut patterns: Vec<&RedirectRule> = Vec::new();
    for rule in &rules.redirects {
        let key = rule.from.exact().filter(|_| rule.is_unconditional()).map(|path| {
            let path = as_sent(path);
            if rules.slash_counts { path.into_owned() } else { without_slash(&path).to_owned() }
        });
        let value = match &rule.action {
            Action::PassThrough => Some("000".to_owned()),
            Action::Redirect(status, to) => to.exact().map(|to| {
                // Two slashes lead to another host only if the line itself says so.
                let is_other_host = split_url(to).1.is_some();
                let to = if is_other_host { to.to_owned() } else { to_site(to.to_owned()) };
                if *status == 301 { to } else { format!("{status}{to}") }
            }),
            Action::Rewrite(to) => to.exact().map(|to| format!("200{}", to_site(to.to_owned()))),
        };
        // A line that an earlier pattern may match keeps its place after it.
        let caught =
            |path: &str| patterns.iter().any(|earlier| earlier.matches(path) || earlier.matches(&format!("{path}/")));
        match key.zip(value) {
            Some((key, _)) if known.contains(&key) => {}
            Some((key, value)) if !caught(&key) => {
                known.insert(key.clone());
                entries.push((key, value));
            }
            _ => patterns.push(rule),
        }
    }
    // A file that a line hides is still a file.
    let at: BTreeMap<String, usize> = entries.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
    for file in rules.files() {
        match at.get(file) {
            Some(&at) => entries[at].1.insert(0, 'f'),
            None => entries.push((file.to_owned(), "f".to_owned())),
        }
    }
    (entries, patterns)
}

/// The code of a function, if its table can be stored this way.
pub fn code(rules: &Rules, kept: Table) -> Option<String> {
    let (entries, patterns) = entries(rules);
    let table = match kept {
        Table::Plain => {
            format!("const table = {};\n\nfunction get(key) {{\n  return table[key];\n}}\n", plain_table(&entries))
        }
        Table::Packed => {
            let (declarations, runtime) = compact(&entries)?;
            declarations + &short(runtime)
        }
        Table::Store => looked_up("", &[]),
    };
    Some(written(rules, kept, &patterns, &table))
}

/// The complete code, around `get(key)` of its table.
fn written(rules: &Rules, kept: Table, patterns: &[&RedirectRule], table: &str) -> String {
    let has_patterns = !patterns.is_empty();
    let any_visitors = patterns.iter().any(|rule| !rule.visitors.is_empty());
    let mut code = String::from(
        "// What _redirects says, for CloudFront: runtime cloudfront-js-2.0, event viewer-request.\n\
         // Written by 'shipfront redirects'.\n",
    );
    if kept == Table::Store {
        code.insert_str(0, "import cf from 'cloudfront';\n\n");
    }
    let patterns: String = patterns.iter().map(|rule| format!("  {},\n", pattern(rule))).collect();
    let plain: String = rules.extensionless().map(|path| format!("{}: 1, ", literal(path))).collect();
    code.push_str(table);
    if has_patterns {
        let _ = write!(code, "const patterns = [\n{patterns}];\n");
    }
    let asynchronous = if kept == Table::Store { ("async ", "await ") } else { ("", "") };
    let (helpers, tries) = if has_patterns { (COMMON, PATTERNS) } else { (UPPER, "") };
    let runtime = RUNTIME
        .replace("PATTERNS", tries)
        .replace("PATH", if rules.slash_counts { "uri" } else { "bare" })
        .replace("SECOND", if rules.slash_counts { SECOND } else { "" })
        .replace("FILE", if rules.extension_is_file { "value[0] === 'f' || hasDot(bare)" } else { "value[0] === 'f'" })
        .replace("HOPS", &MOST_REDIRECTS.to_string())
        .replace("LONGEST", &LONGEST_URL.to_string())
        .replace("MUCH_LONGER", &(4 * LONGEST_URL).to_string())
        .replace("INDEX_OF(to)", if rules.directory_index { "indexOf(to)" } else { "to" })
        .replace("VISITORS", if any_visitors { VISITORS } else { "" })
        .replace(
            "SAME_VISITOR",
            if any_visitors { ", country: request.country, language: request.language" } else { "" },
        )
        .replace("THIS_VISITOR", if any_visitors { THIS_VISITOR } else { "" })
        .replace("DIRECTORY", if rules.directory_index { DIRECTORY } else { "" })
        .replace("ASYNC ", asynchronous.0)
        .replace("AWAIT ", asynchronous.1);
    let dots = if rules.directory_index || rules.extension_is_file { HAS_DOT } else { "" };
    let index = if rules.directory_index { DIRECTORY_INDEX } else { "" };
    let runtime = format!("{helpers}{runtime}{index}{dots}");
    let runtime = if kept == Table::Packed { short(&runtime) } else { runtime };
    code.push_str(&runtime.replace("PLAIN", plain.trim_end_matches(", ")));
    if kept == Table::Packed { without_indentation(&code) } else { code }
}

/// Removes what only people need. No literal of the code contains a line break.
fn without_indentation(code: &str) -> String {
    let lines = code.lines().map(str::trim_start).filter(|line| !line.is_empty());
    let lines = lines.enumerate().filter(|(at, line)| *at < 2 || !line.starts_with("//"));
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

/// The part of the code that does not depend on the rules, with short names for its own variables. None of its
/// literals contains a quote. The texts of statuses are omitted, because nobody needs them.
fn short(runtime: &str) -> String {
    const NAMES: [(&str, &str); 26] = [
        ("request", "r"),
        ("value", "v"),
        ("name", "n"),
        ("pairs", "p"),
        ("pair", "p"),
        ("known", "k"),
        ("query", "q"),
        ("uri", "u"),
        ("bare", "b"),
        ("simple", "s"),
        ("found", "f"),
        ("match", "m"),
        ("rule", "w"),
        ("next", "x"),
        ("text", "t"),
        ("now", "y"),
        ("hops", "h"),
        ("asked", "a"),
        ("follow", "g"),
        ("parse", "e"),
        ("upper", "c"),
        ("isFile", "i"),
        ("byRules", "d"),
        ("url", "l"),
        ("end", "j"),
        ("piece", "o"),
    ];
    let runtime = runtime.lines().filter(|line| !line.starts_with("const words")).collect::<Vec<_>>().join("\n");
    let runtime = runtime.replace(" statusDescription: words[now[0]],", "");
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_$".contains(c);
    let mut out = String::new();
    let mut rest = runtime.as_str();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => 2 + rest[1..].find('\'').unwrap_or(rest.len() - 2),
            _ => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(end.max(first.len_utf8()));
        let is_variable = !out.ends_with('.') && !behind.starts_with(':');
        match NAMES.iter().find(|(long, _)| is_variable && *long == word) {
            Some((_, short)) => out.push_str(short),
            // Spaces are only needed between names.
            None if first == ' ' && !(out.ends_with(is_name) && behind.starts_with(is_name)) => {}
            None => out.push_str(word),
        }
        rest = behind;
    }
    out
}

/// A rule as an array: expression, status, target, whether it is forced, host, query, visitors.
fn pattern(rule: &RedirectRule) -> String {
    let in_query = rule.query.iter().filter_map(|(_, value)| match value {
        QueryValue::Named(name) => Some(name.as_str()),
        QueryValue::Is(_) => None,
    });
    let names: Vec<&str> = rule.from.captured().chain(in_query).collect();
    let (status, to): (u16, &[TargetPiece]) = match &rule.action {
        Action::PassThrough => (0, &[]),
        Action::Redirect(status, to) => (*status, &to.pieces),
        Action::Rewrite(to) => (200, &to.pieces),
    };
    let force = u8::from(rule.force || rule.from.exact().is_some());
    let mut array = format!("[{}, {status}, {}, {force}", regular_expression(&rule.from), pieces(to, &names));
    if !rule.is_unconditional() {
        let _ = write!(array, ", {}, {}", host(rule.host.as_ref()), query(rule));
    }
    if !rule.visitors.is_empty() {
        let each = |visitors: &Visitors| match visitors {
            Visitors::Language(languages) => format!("[0, {}]", list(languages)),
            Visitors::Country(countries) => format!("[1, {}]", list(countries)),
        };
        let _ = write!(array, ", [{}]", rule.visitors.iter().map(each).collect::<Vec<_>>().join(", "));
    }
    array.push(']');
    array
}

fn query(rule: &RedirectRule) -> String {
    let one = |(name, value): &(String, QueryValue)| match value {
        QueryValue::Is(value) => format!("[{}, {}]", literal(name), literal(value)),
        QueryValue::Named(_) => format!("[{}, null]", literal(name)),
    };
    format!("[{}]", rule.query.iter().map(one).collect::<Vec<_>>().join(", "))
}
