//! The intent: what a run may leave stale, written before its first change.

use crate::error::Result;
use crate::record::extra::{self, Extra, Known};
use crate::record::{Intent, ndjson};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use shipfront_invalidation::DistributionId;
use shipfront_site::etag::Etag;
use std::borrow::Cow;

/// How the name of an intent ends that `--verify` left.
const OF_VERIFY: &str = "-verify";

/// What a run was to do with a key; the words are those of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PendingAction {
    /// The object is written.
    Upload,
    /// The object is deleted.
    Prune,
    /// The object stays, and is no longer in the source.
    Orphan,
    /// The object stays; its URLs are invalidated.
    Evict,
}

/// A key whose URLs the run may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingChange {
    /// The key below the target's prefix.
    pub key: String,
    /// What was to be done.
    pub action: PendingAction,
    /// Whether there was no object before.
    pub created: bool,
    /// The size of what was to be uploaded.
    pub bytes: u64,
    /// The ETag of the object that was there before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Etag>,
    /// Whether that object was ours.
    pub owned: bool,
    /// Whether what was to be uploaded may be smaller than `bytes`, because it is compressed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub compressed: bool,
    /// Fields that a later version wrote.
    #[serde(skip)]
    pub extra: Extra,
}

/// The fields of a line.
const KNOWN: Known = &[
    ("key", &[]),
    ("action", &[]),
    ("created", &[]),
    ("bytes", &[]),
    ("before", &[]),
    ("owned", &[]),
    ("compressed", &[]),
];

/// How a line is read.
struct Lines;

impl extra::Line<'_> for Lines {
    type Read = PendingChange;
}

impl PendingChange {
    /// Whether the object that is there now is ours: the one that was, if it was ours, or another
    /// one of the size that was to be uploaded.
    fn owns(&self, size: u64, etag: &Etag) -> bool {
        if self.before.as_ref() == Some(etag) {
            self.owned
        } else {
            self.action == PendingAction::Upload && self.is_of(size)
        }
    }

    /// Whether an object of this size may be what was to be uploaded.
    pub fn is_of(&self, size: u64) -> bool {
        size == self.bytes || self.compressed && size < self.bytes
    }
}

/// The intent of a run that never said it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedDeploy {
    /// The run.
    pub deploy: String,
    /// The distributions that it had to tell.
    pub distributions: Vec<DistributionId>,
    /// In key order.
    pub pending: Vec<PendingChange>,
}

impl UnfinishedDeploy {
    /// What was pending for a key.
    pub fn pending_change(&self, key: &str) -> Option<&PendingChange> {
        let at = self.pending.binary_search_by(|pending_change| pending_change.key.as_str().cmp(key)).ok()?;
        self.pending.get(at)
    }

    /// Whether an object that the manifest does not describe is ours all the same.
    pub fn owns(&self, key: &str, size: u64, etag: &Etag) -> bool {
        self.pending_change(key).is_some_and(|pending_change| pending_change.owns(size, etag))
    }
}

/// The name of what `--verify` found after a deploy: another one than that of the deploy's own plan, which stands
/// until the state names this one.
pub(super) fn of_verify(deploy: &str) -> String {
    format!("{deploy}{OF_VERIFY}")
}

/// Whether an intent is that of a deploy that was completed, and whose URLs `--verify` found to answer otherwise.
pub fn is_of_verify(deploy: &str) -> bool {
    deploy.ends_with(OF_VERIFY)
}

/// What an intent left, in words.
pub fn left_by(deploy: &str) -> String {
    match deploy.strip_suffix(OF_VERIFY) {
        Some(deploy) => format!("what --verify found otherwise after deploy {deploy}"),
        None => format!("what the interrupted deploy {deploy} had left"),
    }
}

/// How the names of plans begin.
pub(super) const PREFIX: &str = "plan-";

/// The name of the plan of a deploy.
pub(super) fn file_name(deploy: &str) -> String {
    format!("{PREFIX}{deploy}.ndjson.gz")
}

/// An intent as it is kept.
pub(super) fn encode<'a>(deploy: &str, mut pending: impl Iterator<Item = Cow<'a, PendingChange>>) -> Result<Vec<u8>> {
    ndjson::encode("plan", deploy, &Map::new(), |lines| {
        pending.try_for_each(|pending_change| match &pending_change.extra {
            None => lines.row(&*pending_change),
            Some(extra) => lines.row(&extra::joined(&*pending_change, KNOWN, extra)?),
        })
    })
}

/// Reads the plan of an intent; `what` names it in errors.
pub fn decode(intent: &Intent, bytes: &[u8], what: &str) -> Result<UnfinishedDeploy> {
    let mut pending: Vec<PendingChange> = Vec::new();
    ndjson::decode("plan", (bytes, 0), what, |line| {
        extra::read::<Lines, ()>(line, KNOWN, |line, extra| {
            pending.push(PendingChange { extra, ..line });
            Ok(())
        })
    })?;
    pending.sort_by(|a, b| a.key.cmp(&b.key));
    let distributions = intent.distributions.iter().cloned().map(DistributionId::Distribution);
    let tenants = intent.tenants.iter().cloned().map(DistributionId::Tenant);
    Ok(UnfinishedDeploy {
        deploy: intent.deploy.clone(),
        distributions: distributions.chain(tenants).collect(),
        pending,
    })
}
