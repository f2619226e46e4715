//! What of the header rules has no effect, or another one than may be meant: told, and no more.

use crate::deploy::walk::Walk;
use shipfront_site::key::HEADERS_FILE;
use shipfront_site::rules::HeaderRules;
use std::path::Path;

/// Of overridden rules, so many are named.
const NAMED: usize = 5;

/// All warnings about rules, of which the first `of_file` come from the source's `_headers`, and the others from the
/// settings.
pub(super) fn all(rules: &HeaderRules, of_file: usize, walk: &Walk, source: &Path) -> Vec<String> {
    if rules.is_empty() {
        return Vec::new();
    }
    let keys = walk.entries.iter().map(|entry| &*entry.key);
    let file = source.join(HEADERS_FILE);
    let place = |at: usize| match at < of_file {
        true => format!("{}: the rule for {}", file.display(), rules.subject(at)),
        false => format!("the header rule for {}", rules.subject(at)),
    };
    let odd = rules.odd_cache_controls().into_iter().map(|(at, problem)| format!("{}: {problem}", place(at)));
    let unmatched = rules.matching_nothing(of_file, keys.clone()).into_iter().map(|(at, meant)| match meant {
        Some(meant) => format!("{} matches no file; did you mean {meant:?}?", place(at)),
        None => format!("{} matches no file", place(at)),
    });
    let overridden = rules.overridden(of_file, keys);
    let more = overridden.len().saturating_sub(NAMED);
    let named = overridden.iter().take(NAMED).map(|found| {
        format!(
            "{} sets another {} than {} has for {}, such as for {}: the settings prevail",
            place(found.by),
            found.header,
            file.display(),
            rules.subject(found.rule),
            found.key
        )
    });
    let more = (more > 0).then(|| format!("{}: the settings override {more} more of its rules", file.display()));
    odd.chain(unmatched).chain(named).chain(more).collect()
}
