//! Objects that distributions serve as error pages, and how a change of one can avoid evicting everything.
//!
//! CloudFront serves an error page under any URL that failed. Its copies there may be left to expire if they are
//! short-lived, so an error page gets a short-lived header unless a rule sets another, and the record keeps the
//! headers of its copies. Copies that may have other headers are recorded with the longest lifetime that they can
//! have, until everything was invalidated.

use crate::deploy::change::{CachedCopies, Change};
use crate::deploy::entry::{Entry, EntryHeaders};
use crate::deploy::head_check::Inspected;
use crate::deploy::plan::Plan;
use crate::deploy::walk::Walk;
use crate::record::manifest::{ErrorPage, Manifest, Row};
use crate::s3::head::Head;
use shipfront_invalidation::viewer::{ANY_CACHE_CONTROL, CACHE_CONTROL, TOLERATED_SECONDS, longer_lived, names_age};
use shipfront_invalidation::{Invalidation, Viewers};
use shipfront_site::Warning;
use shipfront_site::rules::HeaderRules;
use std::collections::HashMap;
use std::sync::Arc;

/// Sets the headers of the error pages among the files of a source. If a configuration could not be read, every
/// error page at the last deploy still counts as one.
pub(super) fn apply(walk: &mut Walk, rules: &HeaderRules, viewers: &Viewers, manifest: Option<&Manifest>) {
    let mut keys = viewers.error_page_keys();
    if let Some(manifest) = manifest.filter(|_| !viewers.know_error_pages()) {
        keys.extend(manifest.rows().filter(|(_, row)| row.error_page.is_some()).map(|(key, _)| key.to_string()));
    }
    for key in keys {
        let Ok(at) = walk.entries.binary_search_by(|entry| (*entry.key).cmp(&key)) else { continue };
        let entry = &mut walk.entries[at];
        let chosen = (!rules.say_cache_control(&key)).then_some(CACHE_CONTROL);
        entry.headers = Arc::new(EntryHeaders::of_error_page(entry.headers.get().clone(), chosen));
    }
}

/// The lifetime of the copies of an object that the edge may hold. `row` is the record's row for the existing
/// object, if that is certain; `headers` are the current ones of its file.
pub(super) fn cached(row: Option<&Row>, headers: Option<&EntryHeaders>) -> CachedCopies {
    let Some(row) = row else { return CachedCopies::Unknown };
    if let Some(page) = &row.error_page {
        return CachedCopies::Known(page.clone());
    }
    // A record from before this field existed has the digest of the headers. It does not cover an Expires header,
    // which somebody else may have set on the object.
    let same = headers.filter(|headers| row.headers.is_some_and(|digest| headers.are_digested(digest)));
    match same.and_then(EntryHeaders::error_page) {
        Some(page) if page.cache_control.as_deref().is_some_and(names_age) => CachedCopies::Known(Box::new(page)),
        _ => CachedCopies::Unknown,
    }
}

/// The same after a HEAD of the object: if its headers let copies live longer than expected, somebody else set
/// them.
pub(super) fn confirmed(cached: CachedCopies, head: &Head) -> CachedCopies {
    let CachedCopies::Known(page) = cached else { return cached };
    let known = page.cache_control.as_deref();
    let is_bound = !head.expires && longer_lived(known, head.headers.cache_control.as_deref()) == known;
    if is_bound { CachedCopies::Known(page) } else { CachedCopies::Unknown }
}

/// What the record keeps about an error page whose object has these headers now, while earlier copies may still
/// exist.
fn remembered(headers: &EntryHeaders, cached: &CachedCopies) -> Option<Box<ErrorPage>> {
    Some(Box::new(beside(headers.error_page()?, cached)))
}

/// The same for an error page as it is now.
pub(super) fn beside(now: ErrorPage, cached: &CachedCopies) -> ErrorPage {
    let cache_control = match cached {
        CachedCopies::Nothing => now.cache_control,
        CachedCopies::Unknown => Some(ANY_CACHE_CONTROL.to_owned()),
        CachedCopies::Known(before) => {
            longer_lived(now.cache_control.as_deref(), before.cache_control.as_deref()).map(str::to_owned)
        }
    };
    ErrorPage { cache_control, ..now }
}

/// The same if the object is unchanged; `row` is the record's row for it.
pub(super) fn remembered_of_kept(
    row: Option<&Row>,
    headers: &EntryHeaders,
    inspected: &Inspected,
) -> Option<Box<ErrorPage>> {
    let before = row.and_then(|row| row.error_page.as_ref());
    let page = match (inspected.digest, &inspected.cached) {
        // Its headers are unknown.
        (None, CachedCopies::Known(_) | CachedCopies::Nothing) => headers.error_page().and_then(|_| before.cloned()),
        (None, CachedCopies::Unknown) if before.is_none() => None,
        _ => remembered(headers, &inspected.cached),
    }?;
    let as_of = inspected.modified.or(before.and_then(|before| before.as_of));
    Some(Box::new(ErrorPage { as_of, ..*page }))
}

/// The same for an object that this run wrote. `as_of` is a time at which nobody else had written it yet.
pub(super) fn remembered_of_written(
    headers: &EntryHeaders,
    cached: &CachedCopies,
    as_of: Option<i64>,
) -> Option<Box<ErrorPage>> {
    Some(Box::new(ErrorPage { as_of, ..*remembered(headers, cached)? }))
}

/// Whether a change writes an object that is served as an error page.
pub(super) fn is_written(plan: &Plan, change: &Change, entries: &[Entry]) -> bool {
    match change {
        Change::Upload { entry, .. } => entries.get(*entry).is_some_and(|entry| entry.headers.error_page().is_some()),
        Change::Retag { row, .. } => row.error_page.is_some(),
        Change::Copy { .. } => plan.copy_from(change).is_some_and(|from| from.error_page.is_some()),
        Change::Remove { .. } | Change::Evict { .. } | Change::Orphan { .. } => false,
    }
}

/// The error pages whose earlier copies are all gone, by key.
pub(super) struct ClearedErrorPages<'a> {
    headers: HashMap<&'a str, &'a EntryHeaders>,
}

impl<'a> ClearedErrorPages<'a> {
    /// The error pages whose copies `sent` cleared completely.
    pub(super) fn new(viewers: &Viewers, entries: &'a [Entry], sent: &[Invalidation]) -> ClearedErrorPages<'a> {
        let keys = viewers.error_page_keys().into_iter().filter(|key| viewers.cleared_error_page(key, sent));
        let entry = |key: String| {
            let at = entries.binary_search_by(|entry| (*entry.key).cmp(&key)).ok()?;
            entries.get(at).map(|entry| (&*entry.key, &*entry.headers))
        };
        ClearedErrorPages { headers: keys.filter_map(entry).collect() }
    }

    /// The new row, if nothing else about it changes and all copies are now of this object because of what was
    /// sent.
    pub(super) fn after(&self, key: &str, row: &Row) -> Option<Row> {
        let headers = self.headers.get(key)?;
        let is_there = row.headers.is_some_and(|digest| headers.are_digested(digest));
        let as_of = row.error_page.as_ref().and_then(|page| page.as_of);
        let next = ErrorPage { as_of, ..headers.error_page()? };
        let is_news = is_there && row.error_page.as_deref() != Some(&next);
        is_news.then(|| Row { error_page: Some(Box::new(next)), ..row.clone() })
    }
}

/// Warnings about the error pages that a plan uploads: once about the header that is chosen for each, and each time
/// about what makes that useless.
pub(super) fn warnings(plan: &Plan, entries: &[Entry], index: &Manifest, viewers: &Viewers) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for change in &plan.changes {
        let Change::Upload { entry: at, .. } = change else { continue };
        let Some(page) = entries.get(*at).and_then(|entry| entry.headers.error_page()) else { continue };
        let key = change.key();
        let was_chosen = index.row(key).and_then(|row| row.error_page).is_some_and(|page| page.chosen);
        if page.chosen
            && !was_chosen
            && let Some(shown) = viewers.error_page(key)
        {
            let codes: Vec<String> = shown.codes.iter().map(u16::to_string).collect();
            let stale = if shown.is_root {
                format!("after a deploy, deep links may serve the previous version for up to {TOLERATED_SECONDS} s")
            } else {
                format!("after a change, such URLs may serve the previous version for up to {TOLERATED_SECONDS} s")
            };
            warnings.push(Warning::new(
                format_args!(
                    "/{key} gets Cache-Control: {CACHE_CONTROL}, because the {} serves it for {} at any URL; {stale}",
                    shown.distribution,
                    codes.join(" and "),
                ),
                format_args!("a header rule for {key} sets another value; shipfront says this once"),
            ));
        }
        warnings.extend(viewers.error_page_obstacles(key));
    }
    warnings
}
