//! The state and the history of the edge, for assertions.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::ETAG;
use jiff::Timestamp;

use crate::dashboard;
use crate::{Edge, Effect, Eviction, Invalidation, JobResult, RecordedRequest, RequestCounts};

/// An object, for assertions.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectSummary {
    /// UTF-8, decoded.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Without quotation marks.
    pub etag: String,
    /// `None` if versioning was never enabled.
    pub version: Option<String>,
    /// In whole seconds, as in S3.
    pub last_modified: Timestamp,
    /// Content headers, `x-amz-meta-*`, redirect and storage class, by lowercase name.
    pub headers: BTreeMap<String, String>,
}

/// A copy that viewers get without a request to the origin.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedCopy {
    /// The path and query string of its cache key: after a rewrite of a directory to its index.html.
    pub url: String,
    /// The URLs under which viewers requested it, and the one of its cache key, sorted.
    pub answers: Vec<String>,
    /// The status that viewers get.
    pub status: u16,
    /// Without quotation marks; `None` if the response has none.
    pub etag: Option<String>,
    /// The cache tags that it carries.
    pub tags: Vec<String>,
    /// How long it has been in the cache.
    pub age: Duration,
    /// How long it is kept there.
    pub time_to_live: Duration,
    /// Whether the origin would answer differently now, so that viewers get something stale.
    pub outdated: bool,
}

impl Edge {
    /// The copies in the cache of a distribution or of a tenant that viewers would get now, by URL, without those
    /// past their time to live. Reading them does not count as use.
    #[must_use]
    pub fn cached(&self, distribution: &str) -> Vec<CachedCopy> {
        let Some(found) = dashboard::find(&self.state, distribution) else { return Vec::new() };
        let copies = self.state.cache.copies(&found.id, self.state.timeline.now()).into_iter();
        let copies = copies.filter(|copy| copy.age < copy.ttl);
        let mut copies: Vec<CachedCopy> = copies
            .map(|copy| CachedCopy {
                outdated: dashboard::is_outdated(&self.state, &found, &copy.key, &copy.stored),
                url: copy.key.url,
                answers: copy.urls,
                status: copy.stored.status,
                etag: copy
                    .stored
                    .headers
                    .get(ETAG)
                    .and_then(|etag| Some(etag.to_str().ok()?.trim_matches('"').to_owned())),
                tags: copy.tags,
                age: copy.age,
                time_to_live: copy.ttl,
            })
            .collect();
        copies.sort_by(|a, b| a.url.cmp(&b.url));
        copies
    }

    /// The copies that invalidations evicted from the cache of a distribution or of a tenant, in the order of the
    /// invalidations: the latest 200,000 of the edge.
    #[must_use]
    pub fn evictions(&self, distribution: &str) -> Vec<Eviction> {
        self.state.evictions.of(distribution)
    }

    /// Clears the evictions so far.
    pub fn clear_evictions(&self) {
        self.state.evictions.clear();
    }

    /// The objects of a bucket in the order of their keys' bytes; empty if the bucket does not exist.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> Vec<ObjectSummary> {
        let Ok(bucket) = self.state.store.bucket(bucket) else { return Vec::new() };
        let objects = bucket.all().into_iter();
        let summaries = objects.map(|(key, object)| ObjectSummary {
            key,
            size: object.body.size(),
            etag: object.etag.clone(),
            version: bucket.version_of(&object),
            last_modified: Timestamp::from_second(object.modified).unwrap_or_default(),
            headers: object.headers.clone(),
        });
        summaries.collect()
    }

    /// The latest API requests in order of arrival, including those that were reset.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.trace.all()
    }

    /// The number of API requests since [`clear_requests`](Edge::clear_requests), including those that
    /// [`requests`](Edge::requests) no longer holds.
    #[must_use]
    pub fn request_counts(&self) -> RequestCounts {
        self.state.trace.counts()
    }

    /// Clears the requests so far; their numbering continues.
    pub fn clear_requests(&self) {
        self.state.trace.clear();
    }

    /// The invalidations of a distribution or of a tenant, in order of acceptance.
    #[must_use]
    pub fn invalidations(&self, distribution: &str) -> Vec<Invalidation> {
        self.state.invalidations.list(distribution, self.state.timeline.now())
    }

    /// The results of CodePipeline's jobs with the jobs' IDs, in order of arrival.
    #[must_use]
    pub fn job_results(&self) -> Vec<(String, JobResult)> {
        self.state.jobs.all()
    }

    /// What changed objects and cached copies, in order, whether or not anybody got a response.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.state.timeline.effects()
    }

    /// Clears the effects so far.
    pub fn clear_effects(&self) {
        self.state.timeline.clear_effects();
    }
}
