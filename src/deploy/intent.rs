//! What a run may leave stale, as the record keeps it for the next one.

use crate::deploy::change::{Change, Reason};
use crate::deploy::entry::Entry;
use crate::deploy::plan::Plan;
use crate::record::intent::{PendingAction, PendingChange, UnfinishedDeploy};

/// What a change of the plan may leave stale. `entries` are the walk's.
pub(super) fn pending(change: &Change, entries: &[Entry]) -> PendingChange {
    let action = match change {
        Change::Upload { .. } | Change::Retag { .. } | Change::Copy { .. } => PendingAction::Upload,
        Change::Remove { .. } => PendingAction::Prune,
        Change::Evict { .. } => PendingAction::Evict,
        Change::Orphan { .. } => PendingAction::Orphan,
    };
    let entry = change.entry().and_then(|at| entries.get(at));
    PendingChange {
        key: change.key().to_owned(),
        action,
        created: change.reason() == Reason::New,
        bytes: entry.map_or(change.bytes(), |entry| entry.size),
        before: change.before().cloned(),
        owned: change.subject().existing.as_ref().is_some_and(|existing| existing.owned),
        compressed: entry.is_some_and(|entry| !entry.compression().is_empty()),
        extra: None,
    }
}

/// Everything that a plan may leave stale, and what an interrupted run did, in key order.
///
/// At the URLs of `rule_keys` the cache is asked otherwise once rules are published.
pub(super) fn all_pending(
    plan: &Plan,
    entries: &[Entry],
    unfinished: Option<&UnfinishedDeploy>,
    rule_keys: &[String],
) -> Vec<PendingChange> {
    let ours = plan.changes.iter().filter(|change| change.is_visible());
    let mut all: Vec<PendingChange> = ours.map(|change| pending(change, entries)).collect();
    let left = unfinished.into_iter().flat_map(|unfinished| unfinished.pending.iter());
    all.extend(left.filter(|left| !plan.is_visible(&left.key)).cloned());
    all.sort_by(|a, b| a.key.cmp(&b.key));
    let known = |key: &String| all.binary_search_by(|pending| pending.key.cmp(key)).is_ok();
    let of_rules: Vec<PendingChange> = rule_keys.iter().filter(|key| !known(key)).map(|key| of_rule(key)).collect();
    all.extend(of_rules);
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

/// A key that is only invalidated.
fn of_rule(key: &str) -> PendingChange {
    PendingChange {
        key: key.to_owned(),
        action: PendingAction::Evict,
        created: false,
        bytes: 0,
        before: None,
        owned: false,
        compressed: false,
        extra: None,
    }
}
