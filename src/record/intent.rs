//! The intent: what a run may leave stale, written before its first change.

use crate::error::Result;
use crate::record::extra::{self, Extra, Known};
use crate::record::{Intent, ndjson};
use crate::s3::chunks::Chunks;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use shipfront_invalidation::DistributionId;
use shipfront_site::etag::Etag;
use std::borrow::Cow;

/// Suffix of the name of an intent that `--verify` left.
const OF_VERIFY: &str = "-verify";

/// What a run planned to do with a key; the words are those of the file.
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
    /// The planned action.
    pub action: PendingAction,
    /// Whether there was no object before.
    pub created: bool,
    /// The size of the object to upload, in bytes.
    pub bytes: u64,
    /// The ETag of the previous object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Etag>,
    /// Whether shipfront owned that object.
    pub owned: bool,
    /// Whether the uploaded object may be smaller than `bytes` because it is compressed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub compressed: bool,
    /// Fields written by a later version.
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

/// How a line is parsed.
struct Lines;

impl extra::Line<'_> for Lines {
    type Read = PendingChange;
}

impl PendingChange {
    /// Whether shipfront owns the object that is there now: it is the previous one, if that was owned, or another
    /// one with the size of the object to upload.
    fn owns(&self, size: u64, etag: &Etag) -> bool {
        if self.before.as_ref() == Some(etag) {
            self.owned
        } else {
            self.action == PendingAction::Upload && self.is_of(size)
        }
    }

    /// Whether an object of this size may be the one that was to be uploaded.
    pub fn is_of(&self, size: u64) -> bool {
        size == self.bytes || self.compressed && size < self.bytes
    }
}

/// The intent of a run that never reported completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedDeploy {
    /// The run's ID.
    pub deploy: String,
    /// The distributions that it had to invalidate.
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

    /// Whether shipfront owns an object that the manifest does not describe.
    pub fn owns(&self, key: &str, size: u64, etag: &Etag) -> bool {
        self.pending_change(key).is_some_and(|pending_change| pending_change.owns(size, etag))
    }
}

/// The name for what `--verify` found after a deploy: it differs from the deploy's own plan, which remains until
/// the state names this one.
pub(super) fn of_verify(deploy: &str) -> String {
    format!("{deploy}{OF_VERIFY}")
}

/// Whether an intent belongs to a completed deploy whose URLs `--verify` found to serve something else.
pub fn is_of_verify(deploy: &str) -> bool {
    deploy.ends_with(OF_VERIFY)
}

/// Describes what an intent left behind.
pub fn left_by(deploy: &str) -> String {
    match deploy.strip_suffix(OF_VERIFY) {
        Some(deploy) => format!("the URLs that --verify found different after deploy {deploy}"),
        None => format!("the interrupted deploy {deploy}"),
    }
}

/// The word for a plan in its first line.
const KIND: &str = "plan";

/// Prefix of the names of plans.
pub(super) const PREFIX: &str = "plan-";

/// The file name of a deploy's plan.
pub(crate) fn file_name(deploy: &str) -> String {
    format!("{PREFIX}{deploy}.ndjson.gz")
}

/// Encodes an intent for storage.
pub(super) fn encode<'a>(deploy: &str, mut pending: impl Iterator<Item = Cow<'a, PendingChange>>) -> Result<Chunks> {
    ndjson::encode(KIND, deploy, &Map::new(), |lines| {
        pending.try_for_each(|pending_change| match &pending_change.extra {
            None => lines.row(&*pending_change),
            Some(extra) => lines.row(&extra::joined(&*pending_change, KNOWN, extra)?),
        })
    })
}

/// The rows of a plan, as they are read.
#[derive(Debug, Default)]
pub(super) struct PlanRows(Vec<PendingChange>);

impl ndjson::Rows for PlanRows {
    const KIND: &str = KIND;

    fn row(&mut self, line: &str) -> Result<(), String> {
        extra::read::<Lines, ()>(line, KNOWN, |line, extra| {
            self.0.push(PendingChange { extra, ..line });
            Ok(())
        })
    }
}

impl PlanRows {
    /// What the run of an intent left.
    pub(super) fn of(self, intent: &Intent) -> UnfinishedDeploy {
        let mut pending = self.0;
        pending.sort_by(|a, b| a.key.cmp(&b.key));
        let distributions = intent.distributions.iter().cloned().map(DistributionId::Distribution);
        let tenants = intent.tenants.iter().cloned().map(DistributionId::Tenant);
        UnfinishedDeploy {
            deploy: intent.deploy.clone(),
            distributions: distributions.chain(tenants).collect(),
            pending,
        }
    }
}

/// Parses the plan of an intent that is all there; `what` names it in errors.
pub fn decode(intent: &Intent, bytes: &[u8], what: &str) -> Result<UnfinishedDeploy> {
    let (rows, _) = ndjson::read_all(bytes, what, PlanRows::default())?;
    Ok(rows.of(intent))
}
