//! Copies inside S3: restores objects of an earlier deploy, and keeps objects that are about to be replaced or
//! removed.

use crate::deploy::apply::{Done, Limits, failed};
use crate::deploy::change::{Change, ChangeOutcome, Copied, CopyFrom, Subject};
use crate::deploy::manifest_index::ManifestIndex;
use crate::deploy::plan::Plan;
use crate::error::{ErrorKind, Result};
use crate::record::manifest::{Row, Version};
use crate::record::session::ActiveSession;
use crate::s3::Bucket;
use crate::s3::copy::{Copy, Guard, Replaced, Tried};
use crate::s3::retag::LARGEST_COPY;
use crate::terminal::Progress;
use futures::{StreamExt, stream};
use shipfront_site::Warning;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OnceCell;

/// How the store treats the conditions of copies: determined with the first copy of a run.
#[derive(Debug, Default)]
pub(super) struct CopyGuard(OnceCell<Guard>);

/// The warning if conditions of copies have no effect.
const LOOKS: &str = "this store ignores the conditions of copies: shipfront checks each object right before its copy instead, and overwrites what others write in between";
/// What helps against it.
const LOOKS_REMEDY: &str =
    "let nothing else write while a rollback runs, or use a store that 'shipfront conformance' finds to check them";

/// The copies of one wave.
pub(super) struct Restoring<'a> {
    pub bucket: &'a Bucket,
    pub plan: &'a Plan,
    pub guard: &'a CopyGuard,
    pub limits: &'a Limits,
    pub progress: &'a Progress,
}

impl Restoring<'_> {
    /// Makes copies, given by their indices in the plan, and enters what became of each among the `outcomes` of all;
    /// returns a warning about the store.
    pub(super) async fn run(&self, mut changes: Vec<usize>, outcomes: &mut [ChangeOutcome]) -> Option<Warning> {
        let first = changes.iter().position(|&at| self.plan.changes[at].bytes() <= LARGEST_COPY);
        if let Some(first) = first.filter(|_| self.guard.0.get().is_none() && !self.limits.stop.is_cancelled()) {
            let at = changes[first];
            match self.find_out(at).await {
                Ok(None) => {}
                Ok(Some(made)) => {
                    outcomes[at] = made;
                    changes.remove(first);
                }
                Err(failed) => {
                    outcomes[at] = failed;
                    return None;
                }
            }
        }
        let halt = AtomicBool::new(false);
        let copies = stream::iter(changes).map(|at| {
            let halt = &halt;
            async move {
                let (Some((subject, from)), false) = (self.copy_of(at), self.is_over(halt)) else {
                    return (at, ChangeOutcome::NotBegun);
                };
                let guard = self.guard.0.get().copied().unwrap_or(Guard::Condition);
                let copy = Box::pin(self.bucket.copy(&from.place, &subject.key, replaced(subject), guard));
                let outcome = outcome(self.limits.in_flight(&subject.key, copy).await, from);
                match &outcome {
                    // A missing source says nothing about the others.
                    ChangeOutcome::Failed { error, .. }
                        if from.otherwise.is_some()
                            && matches!(error.kind(), ErrorKind::PreconditionFailed | ErrorKind::NotFound) => {}
                    ChangeOutcome::Failed { .. } => halt.store(true, Ordering::Relaxed),
                    _ => self.count(at),
                }
                (at, outcome)
            }
        });
        let mut copies = pin!(copies.buffer_unordered(self.limits.concurrency.max(1)));
        while let Some((at, outcome)) = copies.next().await {
            outcomes[at] = outcome;
        }
        let looks = self.guard.0.get() == Some(&Guard::Look);
        looks.then(|| Warning::new(LOOKS, LOOKS_REMEDY))
    }

    /// Determines how the store treats conditions, with the first copy; returns its outcome if that made the copy.
    async fn find_out(&self, at: usize) -> Result<Option<ChangeOutcome>, ChangeOutcome> {
        let Some((subject, from)) = self.copy_of(at) else { return Ok(None) };
        let trying = Box::pin(self.bucket.try_conditions(&from.place, &subject.key, replaced(subject)));
        let (found, made) = match self.limits.in_flight(&subject.key, trying).await {
            Ok(Tried::Hold) => (Guard::Condition, None),
            Ok(Tried::Ignored(copy)) => (Guard::Look, Some(outcome(Ok(copy), from))),
            Err(error) if error.kind() == ErrorKind::NotImplemented => (Guard::Look, None),
            Ok(Tried::Unknown) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if made.is_some() {
            self.count(at);
        }
        // Nothing else determines it concurrently.
        let _ = self.guard.0.set(found);
        Ok(made)
    }

    fn copy_of(&self, at: usize) -> Option<(&Subject, &CopyFrom)> {
        match &self.plan.changes[at] {
            Change::Copy { subject, from, .. } => Some((subject, from)),
            _ => None,
        }
    }

    fn is_over(&self, halt: &AtomicBool) -> bool {
        self.limits.stop.is_cancelled() || halt.load(Ordering::Relaxed)
    }

    fn count(&self, at: usize) {
        self.progress.add(self.plan.changes[at].bytes());
        self.progress.file();
    }
}

fn replaced(subject: &Subject) -> Replaced<'_> {
    subject.existing().map_or(Replaced::Nothing, |existing| Replaced::This(&existing.etag))
}

fn outcome(copied: Result<Copy>, from: &CopyFrom) -> ChangeOutcome {
    match copied {
        Ok(Copy::Made { etag, version }) => {
            let version = Version::of_answer(version.as_deref(), from.place.class.as_deref());
            ChangeOutcome::Copied(Copied { etag, version })
        }
        Ok(Copy::Refused) => ChangeOutcome::Overwritten,
        Err(error) => failed(error),
    }
}

/// What a plan replaces or removes of which copies are to be kept, by its place in the plan and with its row: what is as
/// the record describes it, and has no version that stays.
pub(super) fn to_keep<'a>(plan: &'a Plan, index: &'a ManifestIndex) -> impl Iterator<Item = (usize, Row)> + use<'a> {
    let mut rows = index.rows().peekable();
    let writes = plan.changes.iter().enumerate().filter(|(_, change)| change.is_write());
    writes.filter_map(move |(at, change)| {
        while rows.next_if(|(key, _)| key.as_str() < change.key()).is_some() {}
        let (_, row) = rows.next_if(|(key, _)| key.as_str() == change.key())?;
        (change.before() == Some(&row.etag) && row.version.is_none()).then_some((at, row))
    })
}

/// Keeps copies of the objects that a plan replaces or removes, if they are as the record describes them and have
/// no version that stays. Returns those that failed, and whether all others are done.
pub(super) async fn keep(
    bucket: &Bucket,
    session: &ActiveSession,
    (plan, index): (&Plan, &ManifestIndex),
    limits: &Limits,
) -> (Done, bool) {
    let (halt, left) = (AtomicBool::new(false), AtomicBool::new(false));
    let keeping = stream::iter(to_keep(plan, index)).map(|(at, row)| {
        let (halt, left, key) = (&halt, &left, plan.changes[at].key());
        async move {
            if limits.stop.is_cancelled() || halt.load(Ordering::Relaxed) {
                left.store(true, Ordering::Relaxed);
                return None;
            }
            let kept = limits.in_flight(key, Box::pin(session.record().keep(bucket, key, &row))).await;
            halt.fetch_or(kept.is_err(), Ordering::Relaxed);
            // Nothing of the site was touched by it.
            let failed = |error| ChangeOutcome::Failed { error: Box::new(error), may_have_succeeded: false };
            Some((at, failed(kept.err()?)))
        }
    });
    let failed = keeping.buffer_unordered(limits.concurrency.max(1)).filter_map(async |failed| failed);
    let failed: Done = failed.collect().await;
    let is_complete = !halt.into_inner() && !left.into_inner();
    (failed, is_complete)
}
