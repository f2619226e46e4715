//! What a run found, did and cost: one value with two faces, JSON and text.

pub mod cost;
pub mod file;
mod junit;
mod page;
mod sizes;
mod text;

use crate::aws::Requests;
use crate::aws::limiter::Concurrency;
use crate::cloudfront::send::Sent;
use crate::deploy::apply::Applied;
use crate::deploy::plan::{Action, Change, Fate, Plan};
use crate::deploy::timeline::Span;
use crate::deploy::verify::{Difference, Verified};
use crate::error::{Error, ErrorKind};
use crate::outcome::{Failure, Outcome};
use cost::Cost;
use serde::Serialize;
use shipfront_invalidation::Invalidation;
use std::collections::HashSet;

/// Objects by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectCounts {
    /// Sent; in a plan, to be sent.
    pub uploaded: u64,
    /// Equal to their files, and left alone.
    pub kept: u64,
    /// Deleted; in a plan, to be deleted.
    pub pruned: u64,
    /// No longer in the source, and still there.
    pub orphaned: u64,
    /// Not enough is known to touch them.
    pub unknown: u64,
    /// Not done, because they or something before them failed.
    pub failed: u64,
    /// Bytes sent; in a plan, to be sent.
    pub bytes_uploaded: u64,
}

/// Wall time by stage, in seconds. `walk` and the reading of distributions overlap, and so do `list` and
/// `hash`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Seconds {
    /// Reading the source directory.
    pub walk: f64,
    /// Listing the target.
    pub list: f64,
    /// Comparing bytes.
    pub hash: f64,
    /// Uploads and deletions.
    pub apply: f64,
    /// Until CloudFront was done, or accepted it where nobody waits.
    pub invalidate: f64,
    /// All of it.
    pub total: f64,
}

/// An interrupted run whose work this one finished, or one of which `--verify` found differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The run; what `--verify` left ends in `-verify`.
    pub deploy: String,
    /// Keys that it may have changed without telling the edge, or that were found otherwise.
    pub keys: u64,
}

/// The report of a deploy or a plan. Its JSON is an interface: fields are added, never changed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of shipfront.
    pub shipfront: &'static str,
    /// The id of this run.
    pub deploy: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The source as given.
    pub source: String,
    /// The target as a URL.
    pub target: String,
    /// Counts.
    pub objects: ObjectCounts,
    /// What differs, key by key, and why.
    pub changes: Vec<Change>,
    /// What CloudFront is told.
    pub invalidations: Vec<Invalidation>,
    /// What was sent to AWS.
    pub requests: Requests,
    /// What that costs; of a plan, what the deploy would.
    pub cost: Cost,
    /// How many S3 requests were in flight.
    pub concurrency: Concurrency,
    /// Where the time went.
    pub seconds: Seconds,
    /// When each stage began and ended.
    pub timeline: Vec<Span>,
    /// What an interrupted run had left and this one finished.
    pub recovered: Option<Recovered>,
    /// What went other than one may expect.
    pub warnings: Vec<String>,
    /// What failed.
    pub errors: Vec<Failure>,
    /// What `--verify` found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// Which shard of a deploy that several machines share this was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Whether the text names every file.
    #[serde(skip)]
    pub verbose: bool,
    /// How wide the terminal is that the text is for.
    #[serde(skip)]
    pub columns: Option<u16>,
}

impl Report {
    /// The report of a plan; a deploy completes it.
    pub fn planned(
        deploy: String,
        source: String,
        target: String,
        plan: Plan,
        invalidations: Vec<Invalidation>,
    ) -> Report {
        let mut objects = ObjectCounts { kept: plan.kept, unknown: plan.unknown, ..ObjectCounts::default() };
        for change in &plan.changes {
            match change.action {
                Action::Upload => {
                    objects.uploaded += 1;
                    objects.bytes_uploaded += change.bytes;
                }
                Action::Prune => objects.pruned += 1,
                Action::Orphan => objects.orphaned += 1,
                Action::Evict => {}
            }
        }
        let problem =
            |problem: &String| Failure { key: None, error: problem.clone(), hint: None, kind: ErrorKind::Other };
        Report {
            shipfront: env!("CARGO_PKG_VERSION"),
            deploy,
            outcome: Outcome::Planned,
            source,
            target,
            objects,
            errors: plan.problems.iter().map(problem).collect(),
            changes: plan.changes,
            invalidations,
            requests: Requests::default(),
            cost: Cost::default(),
            concurrency: Concurrency::default(),
            seconds: Seconds::default(),
            timeline: Vec::new(),
            recovered: None,
            warnings: Vec::new(),
            verified: None,
            shard: None,
            verbose: false,
            columns: None,
        }
    }

    /// Enters what was really done in place of what was planned.
    pub fn complete(&mut self, applied: &Applied, sent: Sent, interrupted: bool) {
        let nothing_planned = !self.changes.iter().any(Change::is_visible);
        self.objects.uploaded = applied.done.iter().filter(|(_, stored)| stored.is_some()).count() as u64;
        self.objects.pruned = applied.done.iter().filter(|(_, stored)| stored.is_none()).count() as u64;
        self.objects.bytes_uploaded = applied.bytes;
        self.objects.failed = applied.failed.len() as u64 + applied.left;
        self.errors.extend(applied.failed.iter().map(|(key, error)| Failure::of(Some(key), error)));
        self.errors.extend(sent.failed.iter().map(|error| Failure::of(None, error)));
        self.outcome = if !sent.failed.is_empty() {
            Outcome::Stale
        } else if interrupted {
            Outcome::Interrupted
        } else if !applied.is_complete() && applied.done.is_empty() && applied.doubtful.is_empty() {
            Outcome::Failed
        } else if !self.errors.is_empty() {
            Outcome::Partial
        } else if nothing_planned && sent.invalidations.is_empty() {
            Outcome::NothingToDo
        } else {
            Outcome::Deployed
        };
        self.settle(applied, sent.failed.is_empty());
        self.invalidations = sent.invalidations;
        self.warnings.extend(sent.warnings);
        let overwritten =
            |key| format!("{key} was overwritten by others since the last deploy: it is theirs now, and stays");
        self.warnings.extend(applied.overwritten.iter().map(overwritten));
    }

    /// Enters what `--verify` found. A worse outcome stays. Without a record the next deploy does not know of it.
    pub fn verify(&mut self, verified: Verified, is_recorded: bool) {
        if let Some(first) = verified.differences.first() {
            let url = |at: &Difference| Error::failed(format!("{} {}", at.url, at.found));
            let hint = if is_recorded {
                "the next deploy invalidates it again; if it answers so for good, something beside the bucket decides"
            } else {
                "no deploy remembers it with --no-record: evict it with 'shipfront invalidate'; if it answers so for \
                 good, something beside the bucket decides"
            };
            let failure = |at: &Difference| {
                let error = if at == first { url(at).hint(hint) } else { url(at) };
                Failure::of(Some(&at.key), &error)
            };
            self.errors.extend(verified.differences.iter().map(failure));
            if matches!(self.outcome, Outcome::Deployed | Outcome::NothingToDo) {
                self.outcome = Outcome::Different;
            }
        }
        self.verified = Some(verified);
    }

    /// Enters what became of each change.
    fn settle(&mut self, applied: &Applied, told: bool) {
        let done: HashSet<&str> =
            applied.done.iter().map(|(key, _)| key).chain(&applied.overwritten).map(String::as_str).collect();
        let failed: HashSet<&str> = applied.failed.iter().map(|(key, _)| key.as_str()).collect();
        for change in &mut self.changes {
            change.fate = match change.action {
                Action::Orphan => Fate::Done,
                Action::Evict if told => Fate::Done,
                Action::Evict => Fate::Failed,
                _ if done.contains(change.key.as_str()) => Fate::Done,
                _ if failed.contains(change.key.as_str()) => Fate::Failed,
                _ => Fate::NotBegun,
            };
        }
    }

    /// Whether the plan has anything to do.
    pub fn has_changes(&self) -> bool {
        self.recovered.is_some() || self.changes.iter().any(Change::is_visible)
    }
}
