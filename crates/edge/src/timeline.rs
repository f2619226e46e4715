//! The edge's clock, which tests advance, and what changed in which order: the evidence that tests replay.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::lock::locked;
use crate::watch::Watch;

/// Number of changes to remember; the oldest are dropped first.
const LONGEST_MEMORY: usize = 200_000;

/// Something that changed what viewers may see.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// An object was stored.
    Put {
        /// The bucket.
        bucket: String,
        /// Decoded.
        key: String,
        /// Without quotation marks.
        etag: String,
        /// As in an [`ObjectSummary`](crate::ObjectSummary).
        headers: BTreeMap<String, String>,
    },
    /// An object was removed.
    Delete {
        /// The bucket.
        bucket: String,
        /// Decoded.
        key: String,
    },
    /// An invalidation was accepted.
    Invalidate {
        /// The ID of the distribution or of the tenant.
        distribution: String,
        /// Paths and `#tags`, as sent.
        items: Vec<String>,
    },
}

/// The clock and the order of changes of a whole edge.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    ahead_ms: AtomicU64,
    stopped_at: Mutex<Option<Instant>>,
    effects: Mutex<VecDeque<Effect>>,
    /// What the dashboard shows.
    pub(super) watch: Watch,
}

impl Timeline {
    pub(super) fn now(&self) -> Instant {
        let stopped_at = *locked(&self.stopped_at);
        stopped_at.unwrap_or_else(Instant::now) + self.ahead()
    }

    /// The time that S3 answers with.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::now().checked_add(self.ahead()).unwrap_or(Timestamp::MAX)
    }

    /// How far the clock was advanced.
    pub(super) fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub(super) fn stop(&self) {
        locked(&self.stopped_at).get_or_insert_with(Instant::now);
    }

    pub(super) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn record(&self, effect: Effect) {
        let mut effects = locked(&self.effects);
        if effects.len() == LONGEST_MEMORY {
            effects.pop_front();
        }
        effects.push_back(effect);
    }

    pub(super) fn effects(&self) -> Vec<Effect> {
        locked(&self.effects).iter().cloned().collect()
    }

    pub(super) fn clear_effects(&self) {
        locked(&self.effects).clear();
    }
}
