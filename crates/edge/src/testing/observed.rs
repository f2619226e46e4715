//! What there is and what happened, for assertions.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{Edge, Effect, Invalidation, JobResult, RecordedRequest};

/// An object, for assertions.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectSummary {
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Without quotation marks.
    pub etag: String,
    pub last_modified: Timestamp,
    /// Content headers, `x-amz-meta-*`, redirect and storage class, by lower-case name.
    pub headers: BTreeMap<String, String>,
}

impl Edge {
    /// The objects of a bucket in the order of their keys' bytes; none when it does not exist.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> Vec<ObjectSummary> {
        let objects = self.state.store.bucket(bucket).map(|bucket| bucket.all());
        let objects = objects.unwrap_or_default().into_iter();
        let summaries = objects.map(|(key, object)| ObjectSummary {
            key,
            size: object.body.size(),
            etag: object.etag.clone(),
            last_modified: Timestamp::from_second(object.modified).unwrap_or_default(),
            headers: object.headers.clone(),
        });
        summaries.collect()
    }

    /// The latest API requests in the order of their arrival, those that were reset too.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.trace.all()
    }

    /// Forgets the requests so far; their numbers go on.
    pub fn clear_requests(&self) {
        self.state.trace.clear();
    }

    /// The invalidations of a distribution or of a tenant, in the order of their acceptance.
    #[must_use]
    pub fn invalidations(&self, distribution: &str) -> Vec<Invalidation> {
        self.state.invalidations.list(distribution)
    }

    /// The answers to CodePipeline's jobs, by the job's id, in the order in which they came.
    #[must_use]
    pub fn job_results(&self) -> Vec<(String, JobResult)> {
        self.state.jobs.all()
    }

    /// What changed objects and cached copies, in the order in which it did, whether or not
    /// anybody got an answer.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.state.timeline.effects()
    }

    /// Forgets what changed so far.
    pub fn clear_effects(&self) {
        self.state.timeline.clear_effects();
    }
}
