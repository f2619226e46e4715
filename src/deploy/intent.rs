//! What a run may leave stale, in the form that the record keeps for the next one.

use crate::deploy::change::{Change, Reason};
use crate::deploy::entry::Entry;
use crate::deploy::plan::Plan;
use crate::deploy::sorted::merge;
use crate::record::intent::{PendingAction, PendingChange, UnfinishedDeploy};
use std::borrow::Cow;

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
        owned: change.subject().existing().is_some_and(|existing| existing.owned),
        compressed: entry.is_some_and(|entry| !entry.compression().is_empty()),
        extra: None,
    }
}

/// Everything that a plan may leave stale, and what an interrupted run did, in key order.
///
/// At the URLs of `rule_keys`, requests reach the cache differently once rules are published.
pub(super) fn all_pending<'a>(
    plan: &'a Plan,
    entries: &'a [Entry],
    unfinished: Option<&'a UnfinishedDeploy>,
    rule_keys: &'a [String],
) -> Box<dyn Iterator<Item = Cow<'a, PendingChange>> + Send + 'a> {
    let visible = plan.changes.iter().filter(|change| change.is_visible());
    let ours = visible.map(|change| (change.key(), Cow::Owned(pending(change, entries))));
    let left = unfinished.into_iter().flat_map(|unfinished| &unfinished.pending);
    let left = left.map(|left| (left.key.as_str(), Cow::Borrowed(left)));
    let mut rule_keys: Vec<&str> = rule_keys.iter().map(String::as_str).collect();
    rule_keys.sort_unstable();
    rule_keys.dedup();
    let of_rules = rule_keys.into_iter().map(|key| (key, Cow::Owned(of_rule(key))));
    // This run's own change says most about a key.
    Box::new(merge(of_rules, merge(left, ours)).map(|(_, pending)| pending))
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
