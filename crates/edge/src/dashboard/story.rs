//! What the last deploy did to the cache: what it uploaded, what its invalidations evicted, and what stayed.

use jiff::Timestamp;
use serde::Serialize;

use crate::dashboard::history::OfBucket;
use crate::watch::{ShownInvalidation, Watch};

/// The last deploy of a site or, if no record contains one, what led to the last invalidation.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Story {
    /// The deploy's ID.
    deploy: Option<String>,
    at: Option<Timestamp>,
    uploaded: u64,
    removed: u64,
    /// What it should have done but did not.
    left: u64,
    /// Whether this edge was running meanwhile: only then is the effect on the cache known.
    seen: bool,
    /// Number of invalidations, their paths, the copies that they evicted, and how many of those were outdated.
    invalidations: usize,
    paths: usize,
    evicted: usize,
    outdated: usize,
    /// Number of copies left after them.
    stayed: Option<usize>,
    /// Number of objects stored or removed since, without an invalidation.
    since: usize,
    /// A later deploy that did not end.
    unfinished: Option<String>,
    /// Whether a deploy is running.
    running: bool,
}

impl Story {
    /// Tells the story of a site in these buckets, with its invalidations, newest first.
    pub(super) fn of(
        watch: &Watch,
        buckets: &[String],
        histories: &[OfBucket],
        invalidations: &[ShownInvalidation],
    ) -> Self {
        let newest = histories.iter().filter(|of| !of.history.deploys.is_empty());
        let newest = newest.max_by_key(|of| of.history.deploys.first().map(|deploy| deploy.at));
        let mut story = match newest {
            Some(of) => Self::of_record(watch, of, invalidations),
            None => Self::of_watch(watch, buckets, invalidations),
        };
        let open = histories.iter().find(|of| of.history.unfinished.is_some() || of.history.is_running);
        if let Some(open) = open {
            story.unfinished = open.history.unfinished.clone();
            story.running = open.history.is_running;
        }
        let last = invalidations.first().map_or(0, |last| last.number);
        let ended = newest.and_then(|of| Some(Self::span(watch, of)?.1)).unwrap_or(0);
        let (stored, removed) = watch.changed_between(buckets, last.max(ended), u64::MAX);
        story.since = stored + removed;
        story
    }

    fn of_record(watch: &Watch, of: &OfBucket, invalidations: &[ShownInvalidation]) -> Self {
        let Some(deploy) = of.history.deploys.first() else { return Self::default() };
        let seen = Self::span(watch, of);
        let within = |shown: &&ShownInvalidation| {
            seen.is_some_and(|(began, ended)| shown.number > began && shown.number <= ended)
        };
        Self {
            deploy: Some(deploy.id.clone()),
            at: Some(deploy.at),
            uploaded: deploy.uploaded,
            removed: deploy.removed,
            left: deploy.left,
            seen: seen.is_some(),
            ..Self::of_invalidations(invalidations.iter().filter(within))
        }
    }

    /// When the last deploy began and ended, if this edge was running meanwhile: known from the times at which its
    /// record was written.
    fn span(watch: &Watch, of: &OfBucket) -> Option<(u64, u64)> {
        let (plan, manifest) = &of.history.deploys.first()?.written;
        let began = watch.written(&of.bucket, plan, 0)?;
        let manifest = watch.written(&of.bucket, manifest, began)?;
        Some((began, watch.written(&of.bucket, &of.key, manifest)?))
    }

    /// Without a record: what changed before the last invalidation.
    fn of_watch(watch: &Watch, buckets: &[String], invalidations: &[ShownInvalidation]) -> Self {
        let Some(last) = invalidations.first() else { return Self::default() };
        let before = invalidations.get(1).map_or(0, |before| before.number);
        let (stored, removed) = watch.changed_between(buckets, before, last.number);
        Self {
            at: Some(last.at),
            uploaded: stored as u64,
            removed: removed as u64,
            seen: true,
            ..Self::of_invalidations(std::iter::once(last))
        }
    }

    /// Newest first.
    fn of_invalidations<'a>(invalidations: impl Iterator<Item = &'a ShownInvalidation>) -> Self {
        let mut story = Self::default();
        for shown in invalidations {
            story.stayed.get_or_insert(shown.stayed);
            story.invalidations += 1;
            story.paths += shown.sent;
            story.evicted += shown.evicted;
            story.outdated += shown.outdated;
        }
        story
    }
}
