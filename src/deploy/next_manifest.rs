//! Converts what was done into keys whose URLs answer differently, and into rows of the next manifest.

use crate::deploy::change::{Change, ChangeOutcome, MoreOfUpload, Reason};
use crate::deploy::entry::Entry;
use crate::deploy::error_pages::{self, ClearedErrorPages};
use crate::deploy::outcomes::Outcomes;
use crate::deploy::plan::Plan;
use crate::deploy::sorted;
use crate::deploy::tagging::EvictedByPath;
use crate::record::intent::UnfinishedDeploy;
use crate::record::manifest::{ErrorPage, Row, Version};
use shipfront_invalidation::ChangedKey;
use shipfront_invalidation::viewer::CachedHeaders;
use shipfront_site::Key;

/// The keys whose URLs answer differently because of the plan, with those that an interrupted run may have changed.
/// Changes of the bucket count if `is_done` says so for their index in the plan; `rule_keys` are those at whose
/// URLs rules make the cache answer differently.
pub(super) fn changed_keys<'a>(
    plan: &'a Plan,
    unfinished: Option<&'a UnfinishedDeploy>,
    rule_keys: &'a [String],
    is_done: impl Fn(usize) -> bool,
) -> Vec<ChangedKey<'a>> {
    let visible = plan.changes.iter().enumerate().filter(|(_, change)| change.is_visible());
    let visible = visible.filter(|(at, change)| !change.is_write() || is_done(*at));
    let mut changed = Vec::with_capacity(plan.changes.len());
    changed.extend(visible.map(|(_, change)| changed_key(change)));
    let left = unfinished.into_iter().flat_map(|unfinished| &unfinished.pending);
    changed.extend(left.map(|pending| ChangedKey::unknown(&pending.key)));
    // The cache contains the bucket's response at exactly that path, or an error.
    let of_rule = |key: &'a String| ChangedKey { key, created: true, cached: None, copy_tags: None };
    changed.extend(rule_keys.iter().map(of_rule));
    // If a key is in both, nothing is known about the copies: the stricter reading applies.
    let known = |changed: &ChangedKey<'_>| changed.cached != Some(CachedHeaders::Unknown);
    changed.sort_by_key(|changed| (changed.key, changed.created, known(changed)));
    changed.dedup_by_key(|changed| changed.key);
    changed
}

/// The keys whose URLs changed, according to the outcomes.
pub(super) fn affected_keys<'a>(
    plan: &'a Plan,
    outcomes: &Outcomes,
    unfinished: Option<&'a UnfinishedDeploy>,
    rule_keys: &'a [String],
) -> Vec<ChangedKey<'a>> {
    let mut keys = changed_keys(plan, unfinished, rule_keys, |at| outcomes.get(at).may_have_succeeded());
    forget_overwritten(&mut keys, plan, outcomes);
    keys
}

/// The keys that are removed last, if `is_done` says so for their index in the plan.
pub(super) fn late_keys(plan: &Plan, is_done: impl Fn(usize) -> bool) -> Vec<ChangedKey<'_>> {
    plan.removals(true).filter(|&at| is_done(at)).map(|at| changed_key(&plan.changes[at])).collect()
}

/// The keys that were removed last.
pub(super) fn removed_late<'a>(plan: &'a Plan, outcomes: &Outcomes) -> Vec<ChangedKey<'a>> {
    let mut keys = late_keys(plan, |at| outcomes.get(at).may_have_succeeded());
    forget_overwritten(&mut keys, plan, outcomes);
    keys
}

/// Nothing is known about objects that others wrote meanwhile.
fn forget_overwritten(changed: &mut [ChangedKey<'_>], plan: &Plan, outcomes: &Outcomes) {
    let mut overwritten = plan
        .changes
        .iter()
        .zip(outcomes.iter())
        .filter(|(_, outcome)| matches!(**outcome, ChangeOutcome::Overwritten))
        .map(|(change, _)| change.key());
    // Both are in key order.
    let mut next = overwritten.next();
    for changed in changed {
        while next.is_some_and(|key| key < changed.key) {
            next = overwritten.next();
        }
        if next == Some(changed.key) {
            changed.copy_tags = None;
            changed.cached = Some(CachedHeaders::Unknown);
        }
    }
}

/// A changed key.
fn changed_key(change: &Change) -> ChangedKey<'_> {
    ChangedKey {
        key: change.key(),
        created: change.reason() == Reason::New,
        cached: change.subject().cached().headers(),
        copy_tags: change.tags_of_copies(),
    }
}

/// The manifest of what exists now, and of what will be true once CloudFront has accepted the invalidation: the
/// last one with the changes. It is never completely in memory: its rows are created as they are read.
pub(super) struct NextManifest<'a> {
    pub entries: &'a [Entry],
    pub plan: &'a Plan,
    /// The outcome of each change, in the plan's order.
    pub outcomes: &'a Outcomes,
    pub evicted: EvictedByPath<'a>,
    pub cleared: ClearedErrorPages<'a>,
    /// The time until which nobody else wrote what this run wrote, in seconds of S3's clock, if that was requested.
    pub as_of: Option<i64>,
}

impl NextManifest<'_> {
    /// Its rows, in key order: what was written, what was removed, and what differs from the `last` manifest.
    pub(super) fn rows(&self, last: impl Iterator<Item = (Key, Row)>) -> impl Iterator<Item = (Key, Row)> {
        let found = self.plan.rows.iter().map(|(key, next)| (key.clone(), next));
        let now = sorted::join(last, found, |last, next| match next {
            Some(next) => next.row(last),
            None => last,
        });
        let done = self.plan.changes.iter().zip(self.outcomes.iter()).filter_map(|(change, outcome)| {
            let row = row_after((self.plan, change), &outcome, self.entries, &self.evicted, self.as_of)?;
            Some((change.subject().key.clone(), row))
        });
        let rows = sorted::join(now, done, |now, done: Option<Option<Row>>| done.unwrap_or(now));
        rows.map(|(key, row)| {
            let row = self.evicted.after(&key, &row).unwrap_or(row);
            let next = self.cleared.after(&key, &row);
            (key, next.unwrap_or(row))
        })
    }
}

/// The row of a key after its change: `None` if it stays, `Some(None)` if there is none any more.
fn row_after(
    (plan, change): (&Plan, &Change),
    outcome: &ChangeOutcome,
    entries: &[Entry],
    evicted: &EvictedByPath<'_>,
    as_of: Option<i64>,
) -> Option<Option<Row>> {
    match (outcome, change) {
        (ChangeOutcome::Uploaded(uploaded), _) => {
            let entry = change.entry().and_then(|at| entries.get(at));
            let error_page = entry
                .and_then(|entry| error_pages::remembered_of_written(&entry.headers, change.subject().cached(), as_of));
            let class = entry.and_then(|entry| entry.headers.get().storage_class.as_deref());
            let MoreOfUpload { content, memory, compressed, .. } =
                uploaded.more.as_deref().cloned().unwrap_or_default();
            Some(Some(Row {
                content,
                headers: Some(uploaded.headers),
                compressed,
                copy_tags: evicted.tags_of_upload(memory.as_deref()),
                error_page,
                version: Version::of_answer(uploaded.version.as_deref(), class),
                ..Row::new(uploaded.size(change), uploaded.etag.clone())
            }))
        }
        (ChangeOutcome::Retagged(retagged), Change::Retag { row, .. }) => {
            // The ETag differs if the object had been uploaded in parts.
            let content = row.content();
            let error_page = row.error_page.clone().map(|page| Box::new(ErrorPage { as_of, ..*page }));
            Some(Some(Row {
                etag: retagged.etag.clone(),
                content: (*content != retagged.etag).then(|| Box::new(content.clone())),
                copy_tags: evicted.tags_of_upload(retagged.memory.as_ref()),
                error_page,
                version: retagged.version.clone(),
                ..(**row).clone()
            }))
        }
        (ChangeOutcome::Copied(copied), Change::Copy { subject, .. }) => {
            let from = plan.copy_from(change)?;
            // The ETag differs if the object had been uploaded in parts, or is encrypted with KMS.
            let row = from.object.row();
            let content = row.content();
            let page = from.error_page.as_deref().cloned().map(|page| error_pages::beside(page, subject.cached()));
            Some(Some(Row {
                etag: copied.etag.clone(),
                content: (*content != copied.etag).then(|| Box::new(content.clone())),
                copy_tags: evicted.tags_of_upload(from.memory.as_ref()),
                error_page: page.map(|page| Box::new(ErrorPage { as_of, ..page })),
                version: Version::of_answer(copied.version.as_deref(), from.common.class.as_deref()),
                ..row
            }))
        }
        (ChangeOutcome::Removed | ChangeOutcome::Overwritten, _) => Some(None),
        _ => None,
    }
}
