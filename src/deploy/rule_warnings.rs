//! Warns about header rules that have no effect, or probably not the intended one.

use crate::deploy::walk::Walk;
use shipfront_site::Warning;
use shipfront_site::charset::is_encoded;
use shipfront_site::key::HEADERS_FILE;
use shipfront_site::rules::HeaderRules;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Number of overridden rules to name.
const NAMED: usize = 5;
/// Number of files to check for the encoding in their headers.
const LOOKED_AT: usize = 1_000;
/// Number of bytes to read of each.
const HEAD: u64 = 4096;

/// All warnings about rules; the first `of_file` rules come from the source's `_headers`, the others from the
/// settings.
pub(super) fn all(rules: &HeaderRules, of_file: usize, walk: &Walk, source: &Path) -> Vec<Warning> {
    let not_encoded = not_encoded(walk);
    if rules.is_empty() {
        return not_encoded.into_iter().collect();
    }
    let keys = walk.entries.iter().map(|entry| &*entry.key);
    let file = source.join(HEADERS_FILE);
    let place = |at: usize| match at < of_file {
        true => format!("{}: the rule for {}", file.display(), rules.subject(at)),
        false => format!("the header rule for {}", rules.subject(at)),
    };
    let odd = rules.odd_cache_controls().into_iter().chain(rules.odd_content_types()).chain(rules.odd_values());
    let odd = odd.map(|(at, problem)| problem.about(place(at)));
    let name = source.file_name().and_then(|name| name.to_str());
    let odd_patterns = rules.odd_patterns(of_file, name, keys.clone());
    let unmatched = rules.matching_nothing(of_file, keys.clone()).into_iter();
    // The warning about its pattern already says so.
    let unmatched = unmatched.filter(|(at, _)| !odd_patterns.iter().any(|(other, _)| other == at));
    let unmatched = unmatched.map(|(at, meant)| match meant {
        Some(meant) => {
            Warning::new(format_args!("{} matches no file", place(at)), format_args!("did you mean {meant:?}?"))
        }
        None => Warning::new(format_args!("{} matches no file", place(at)), "correct or remove it"),
    });
    let odd_patterns =
        odd_patterns.iter().map(|(at, problem)| problem.clone().about(format_args!("{} matches no file", place(*at))));
    let unmatched: Vec<Warning> = unmatched.chain(odd_patterns).collect();
    let paths = rules.paths_matching_nothing(of_file, keys.clone());
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named: Vec<&str> = paths.iter().take(NAMED).map(String::as_str).collect();
    let unmatched = unmatched.into_iter().chain((!paths.is_empty()).then(|| {
        let notice = format!("{}: no file matches {}{more}", file.display(), named.join(", "));
        Warning::new(notice, "correct or remove these lines")
    }));
    let overridden = rules.overridden(of_file, keys);
    let more = overridden.len().saturating_sub(NAMED);
    let named = overridden.iter().take(NAMED).map(|found| {
        Warning::new(
            format_args!(
                "{} sets another {} than {} has for {}, such as for {}: the settings apply",
                place(found.by),
                found.header,
                file.display(),
                rules.subject(found.rule),
                found.key
            ),
            "remove one of the two",
        )
    });
    let more = (more > 0).then(|| {
        let notice = format!("{}: the settings override {more} more of its rules", file.display());
        Warning::new(notice, "keep each header in one of the two places")
    });
    odd.chain(unmatched).chain(named).chain(more).chain(not_encoded).collect()
}

/// A warning if a `Content-Encoding` is not true of files: no browser can read them. An unreadable file is reported
/// when it is uploaded.
fn not_encoded(walk: &Walk) -> Option<Warning> {
    let encoded = walk.entries.iter().filter(|entry| !entry.is_redirect() && entry.size > 0).filter_map(|entry| {
        let encoding = entry.headers.get().content_encoding.as_deref()?;
        Some((entry, encoding))
    });
    // If this many are correct, so is the rule.
    let mut wrong = encoded.take(LOOKED_AT).filter(|(entry, encoding)| {
        let mut head = Vec::new();
        let file = File::open(entry.path(&walk.root));
        let read = file.and_then(|file| file.take(HEAD).read_to_end(&mut head));
        read.is_ok() && !is_encoded(encoding, &head)
    });
    let (entry, encoding) = wrong.next()?;
    let more = match wrong.count() {
        0 => String::new(),
        more => format!(", and for {more} more such files"),
    };
    Some(Warning::new(
        format_args!(
            "content-encoding {encoding} is set for {}, whose bytes are not {encoding}{more}: browsers cannot read it",
            entry.key
        ),
        "narrow the header rule to files that are encoded",
    ))
}
