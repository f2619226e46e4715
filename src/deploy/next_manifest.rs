//! What was done, as keys whose URLs answer otherwise, and as rows of the next manifest.

use crate::deploy::apply::{Applied, Uploaded};
use crate::deploy::diff::Reason;
use crate::deploy::discover::Discovered;
use crate::deploy::manifest_index;
use crate::deploy::plan::{Change, Plan};
use crate::deploy::tagging::EvictedByPath;
use crate::record::manifest::Row;
use shipfront_invalidation::ChangedKey;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The keys of which something was done, or may have been.
pub(super) fn landed(applied: &Applied) -> HashSet<&str> {
    let done = applied.done.iter().map(|(key, _)| key);
    done.chain(&applied.doubtful).chain(&applied.overwritten).map(String::as_str).collect()
}

/// The keys whose URLs answer otherwise by what was done.
pub(super) fn landed_keys<'a>(discovered: &'a Discovered, plan: &'a Plan, applied: &Applied) -> Vec<ChangedKey<'a>> {
    let landed = landed(applied);
    let mut keys = changed_keys(discovered, plan, |change| !change.is_write() || landed.contains(change.key.as_str()));
    forget_overwritten(&mut keys, applied);
    keys
}

/// The keys that were removed last.
pub(super) fn removed_keys<'a>(plan: &'a Plan, late: &Applied) -> Vec<ChangedKey<'a>> {
    let landed = landed(late);
    let removed = plan.removals(true).filter(|change| landed.contains(change.key.as_str()));
    let mut keys: Vec<_> = removed.map(changed_key).collect();
    forget_overwritten(&mut keys, late);
    keys
}

/// Of what others have written meanwhile no tags are known.
fn forget_overwritten(changed: &mut [ChangedKey<'_>], applied: &Applied) {
    for changed in changed.iter_mut().filter(|changed| applied.overwritten.iter().any(|key| key == changed.key)) {
        changed.copy_tags = None;
    }
}

/// A key as it changes.
fn changed_key(change: &Change) -> ChangedKey<'_> {
    ChangedKey { key: &change.key, created: change.reason == Reason::New, copy_tags: change.tags_of_copies() }
}

/// The keys whose URLs answer otherwise, with those that an interrupted run may have changed.
pub(super) fn changed_keys<'a>(
    discovered: &'a Discovered,
    plan: &'a Plan,
    landed: impl Fn(&Change) -> bool,
) -> Vec<ChangedKey<'a>> {
    let visible = plan.changes.iter().filter(|change| change.is_visible() && landed(change));
    let mut changed: Vec<_> = visible.map(changed_key).collect();
    let left = discovered.unfinished().into_iter().flat_map(|unfinished| &unfinished.pending);
    let left = left.map(|pending_change| ChangedKey::unknown(&pending_change.key));
    changed.extend(left);
    // Of a key that is in both, nothing is known of the copies: the stricter reading stays.
    changed.sort_by_key(|changed| (changed.key, changed.created));
    changed.dedup_by_key(|changed| changed.key);
    changed
}

/// Until when S3 knows that nobody else wrote what was uploaded: its own time, where that matters.
pub(super) async fn written_until(discovered: &Discovered) -> Option<i64> {
    let (record, _) = discovered.record.as_ref().filter(|_| discovered.tagging.is_some())?;
    record.look().await.ok().map(|snapshot| snapshot.now.as_second())
}

/// The rows in which the next manifest differs from the last: what landed, what was removed, and what was
/// found to be otherwise.
pub(super) fn changed_rows(
    plan: &Plan,
    applied: &Applied,
    evicted_by_path: &EvictedByPath<'_>,
) -> BTreeMap<String, Option<Row>> {
    let mut rows: BTreeMap<String, Option<Row>> = plan.rows.iter().cloned().collect();
    rows.extend(applied.overwritten.iter().map(|key| (key.clone(), None)));
    let done: HashMap<&str, _> = applied.done.iter().map(|(key, stored)| (key.as_str(), stored)).collect();
    for change in plan.changes.iter().filter(|change| change.is_write()) {
        let Some(uploaded) = done.get(change.key.as_str()) else { continue };
        let row = uploaded.as_ref().map(|Uploaded { stored, size, headers, compressed, memory }| Row {
            size: *size,
            etag: stored.etag.clone(),
            content: (stored.content != stored.etag).then(|| Box::new(stored.content.clone())),
            headers: Some(*headers),
            compressed: compressed.clone(),
            orphaned: None,
            copy_tags: evicted_by_path.of_upload(memory.as_deref()),
        });
        rows.insert(change.key.clone(), row);
    }
    rows
}

/// The rows of the next manifest, in key order.
pub(super) fn next_rows<'a>(
    last: impl Iterator<Item = (&'a str, &'a Row)>,
    changed: &'a BTreeMap<String, Option<Row>>,
) -> impl Iterator<Item = (&'a str, &'a Row)> {
    let changed = changed.iter().map(|(key, row)| (key.as_str(), row.as_ref()));
    manifest_index::merge(last.map(|(key, row)| (key, Some(row))), changed).filter_map(|(key, row)| Some((key, row?)))
}
