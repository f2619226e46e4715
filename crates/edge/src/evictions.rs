//! What invalidations evicted: a test replays a site's history and compares this with what a deploy announced.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::cache::Gone;
use crate::lock::locked;

/// Number of evictions to remember; the oldest are dropped first.
const LONGEST_MEMORY: usize = 200_000;

/// A copy that an invalidation evicted. A copy that answered several URLs, such as `/dir/` and `/dir/index.html`,
/// is one eviction, and is evicted once invalidations have covered all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Eviction {
    /// The ID of the distribution or of the tenant.
    pub distribution: String,
    /// The ID of the invalidation.
    pub invalidation: String,
    /// The path and query string of the copy's cache key.
    pub url: String,
    /// The URLs under which viewers requested it, and the one of its cache key, sorted.
    pub answered: Vec<String>,
    /// The cache tags by which it could be evicted.
    pub tags: Vec<String>,
    /// Whether the origin's answer had changed by then. A copy that was not outdated was evicted needlessly.
    pub outdated: bool,
}

impl Eviction {
    pub(super) fn new(invalidation: &str, gone: Gone, outdated: bool) -> Self {
        Self {
            distribution: gone.key.distribution,
            invalidation: invalidation.to_owned(),
            url: gone.key.url,
            answered: gone.urls,
            tags: gone.tags,
            outdated,
        }
    }
}

/// The evictions of an edge, in order.
#[derive(Debug, Default)]
pub(super) struct Evictions {
    all: Mutex<VecDeque<Eviction>>,
}

impl Evictions {
    pub(super) fn add(&self, evictions: impl Iterator<Item = Eviction>) {
        let mut evictions: Vec<Eviction> = evictions.collect();
        evictions.sort_by(|a, b| a.url.cmp(&b.url));
        let mut all = locked(&self.all);
        all.extend(evictions);
        let surplus = all.len().saturating_sub(LONGEST_MEMORY);
        all.drain(..surplus);
    }

    pub(super) fn of(&self, distribution: &str) -> Vec<Eviction> {
        locked(&self.all).iter().filter(|eviction| eviction.distribution == distribution).cloned().collect()
    }

    pub(super) fn clear(&self) {
        locked(&self.all).clear();
    }
}
