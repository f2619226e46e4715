//! What is to be done about what was found, and what CloudFront is to be told of it.

use crate::deploy::discover::Discovered;
use crate::deploy::manifest_index::ManifestIndex;
use crate::deploy::next_manifest::changed_keys;
use crate::deploy::plan::Plan;
use crate::error::Error;
use serde::Serialize;
use shipfront_invalidation::{ChangedKey, Invalidation};
use std::sync::Arc;

/// An interrupted run whose work this one finished, or one of which `--verify` found differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The run; what `--verify` left ends in `-verify`.
    pub deploy: String,
    /// Keys that it may have changed without telling the edge, or that were found otherwise.
    pub keys: u64,
}

/// What is to be done about what was found.
pub(super) struct Planned {
    pub plan: Arc<Plan>,
    /// What the edge was last told.
    pub index: Arc<ManifestIndex>,
    /// Whether the record differs from what is there in ways that no viewer sees.
    pub record_differs: bool,
    /// The interrupted run whose work this one finishes.
    pub recovered: Option<Recovered>,
    /// Why a guard refuses it, if one does.
    pub refused: Option<Error>,
    /// What CloudFront is told once all of it is done.
    pub items: Vec<Invalidation>,
    pub warnings: Vec<String>,
}

impl Planned {
    /// Whether nothing in the bucket, at the edge or in the record is to change.
    pub(super) fn is_empty(&self) -> bool {
        self.plan.is_empty() && !self.record_differs && self.recovered.is_none()
    }

    /// Chooses what CloudFront is told once all of it is done.
    pub(super) fn choose_items(mut self, discovered: &Discovered) -> Planned {
        let unfinished = discovered.unfinished().map(|unfinished| &**unfinished);
        let changed = changed_keys(&self.plan, unfinished, |_| true);
        self.items = items(discovered, &self, &changed, &[]);
        self
    }

    /// How many paths that takes.
    pub(super) fn paths(&self) -> u64 {
        self.items.iter().map(|invalidation| invalidation.items.len() as u64).sum()
    }
}

/// What CloudFront is to be told of changed keys; of the rest of the site, `others` are what this run has changed.
pub(super) fn items(
    discovered: &Discovered,
    planned: &Planned,
    changed: &[ChangedKey<'_>],
    others: &[&str],
) -> Vec<Invalidation> {
    let entries = &discovered.walk.entries;
    let unchanged = planned.plan.unchanged(entries).chain(others.iter().copied());
    discovered.viewers.plan(changed, unchanged, planned.index.copy_tags(entries))
}
