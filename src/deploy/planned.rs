//! What to do about what was discovered, and what CloudFront must invalidate.

use crate::deploy::change::Change;
use crate::deploy::discover::Discovered;
use crate::deploy::next_manifest::{changed_keys, late_keys};
use crate::deploy::outcomes::Outcomes;
use crate::deploy::plan::Plan;
use crate::deploy::rules::RulesPlan;
use crate::error::Error;
use crate::record::manifest::Manifest;
use jiff::Timestamp;
use serde::Serialize;
use shipfront_invalidation::{ChangedKey, Invalidation};
use shipfront_site::Warning;
use std::sync::Arc;

/// An interrupted run that this one finished, or a run whose differences `--verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The run's ID; it ends in `-verify` if `--verify` left the intent.
    pub deploy: String,
    /// Number of keys that it may have changed without an invalidation, or that were found to be different.
    pub keys: u64,
}

/// What to do about what was discovered.
pub(super) struct Planned {
    pub plan: Arc<Plan>,
    /// What was last deployed; empty once the plan is carried out.
    pub index: Arc<Manifest>,
    /// When the first of the objects that left the source may be removed, if ever one is.
    pub orphans_go: Option<Timestamp>,
    /// Whether the record differs from reality in ways that no viewer sees.
    pub record_differs: bool,
    /// The interrupted run that this one finishes.
    pub recovered: Option<Recovered>,
    /// Why a guard refuses it, if one does.
    pub refused: Option<Error>,
    /// What CloudFront must invalidate once everything except the late removals is done.
    pub items: Vec<Invalidation>,
    /// What CloudFront must invalidate for the late removals.
    pub late_items: Vec<Invalidation>,
    /// What to do about rules.
    pub rules: Option<Arc<RulesPlan>>,
    pub warnings: Vec<Warning>,
}

impl Planned {
    /// Whether nothing changes in the bucket, at the edge or in the record.
    pub(super) fn is_empty(&self) -> bool {
        let rules = self.rules.as_ref().is_none_or(|rules| rules.is_empty());
        self.plan.is_empty() && !self.record_differs && self.recovered.is_none() && rules
    }

    /// The keys at whose URLs requests reach the cache differently once the rules are published.
    pub(super) fn rule_keys(&self) -> &[String] {
        self.rules.as_ref().map_or(&[], |rules| &rules.keys)
    }

    /// The outcome of each change before anything is done.
    pub(super) fn untouched(&self) -> Outcomes {
        Outcomes::untouched(self.plan.changes.len())
    }

    /// Chooses what CloudFront must invalidate once everything is done.
    pub(super) fn choose_items(mut self, discovered: &Discovered) -> Planned {
        let unfinished = discovered.unfinished().map(|unfinished| &**unfinished);
        let is_late = |at: usize| matches!(self.plan.changes[at], Change::Remove { late: true, .. });
        let changed = changed_keys(&self.plan, unfinished, self.rule_keys(), |at| !is_late(at));
        let of = (&self, &*self.index);
        let (items, late) = (items(discovered, of, &changed), late_keys(&self.plan, |_| true));
        let late_items = late_items(discovered, of, &items, &late);
        (self.items, self.late_items) = (items, late_items);
        self
    }

    /// The number of paths in it.
    pub(super) fn paths(&self) -> u64 {
        self.items.iter().chain(&self.late_items).map(|invalidation| invalidation.items.len() as u64).sum()
    }
}

/// What CloudFront must invalidate for changed keys, given what was last deployed.
pub(super) fn items(
    discovered: &Discovered,
    (planned, index): (&Planned, &Manifest),
    changed: &[ChangedKey<'_>],
) -> Vec<Invalidation> {
    let entries = &discovered.walk.entries;
    discovered.viewers.plan(changed, planned.plan.unchanged(entries), index.copy_tags())
}

/// What CloudFront must invalidate for the late removals, within what the `earlier` items leave of the budget. By
/// then, what this run has changed belongs to the rest of the site.
pub(super) fn late_items(
    discovered: &Discovered,
    (planned, index): (&Planned, &Manifest),
    earlier: &[Invalidation],
    removed: &[ChangedKey<'_>],
) -> Vec<Invalidation> {
    let entries = &discovered.walk.entries;
    let others = planned.plan.changes.iter();
    let others =
        others.filter(|change| matches!(change, Change::Upload { .. } | Change::Evict { .. } | Change::Copy { .. }));
    let unchanged = planned.plan.unchanged(entries).chain(others.map(Change::key));
    discovered.viewers.plan_after(earlier, removed, unchanged, index.copy_tags())
}
