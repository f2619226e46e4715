//! Copies inside S3: restores objects of an earlier deploy, and keeps objects that are about to be replaced or
//! removed.

use crate::deploy::apply::{Done, Limits, failed};
use crate::deploy::change::{ChangeOutcome, Copied, Subject};
use crate::deploy::copy_from::CopyFrom;
use crate::deploy::lanes::{held, in_lanes};
use crate::deploy::outcomes::Outcomes;
use crate::deploy::plan::Plan;
use crate::error::{ErrorKind, Result};
use crate::record::Record;
use crate::record::manifest::{Manifest, Row, Version};
use crate::record::session::ActiveSession;
use crate::s3::Bucket;
use crate::s3::copy::{Copy, Guard, Replaced, Tried};
use crate::s3::retag::LARGEST_COPY;
use crate::terminal::Progress;
use shipfront_site::{Key, Warning};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
struct Restoring {
    bucket: Bucket,
    plan: Arc<Plan>,
    /// The outcome of each change of the plan.
    outcomes: Mutex<Outcomes>,
    halt: AtomicBool,
    limits: Limits,
    progress: Progress,
}

/// Makes copies, given by their indices in the plan, and writes the outcome of each to the `outcomes` of all; returns them
/// with a warning about the store.
pub(super) async fn restore(
    (bucket, plan): (&Bucket, &Arc<Plan>),
    (mut changes, outcomes): (Vec<usize>, Outcomes),
    guard: &CopyGuard,
    limits: Limits,
    progress: Progress,
) -> (Outcomes, Option<Warning>) {
    let (bucket, plan, concurrency) = (bucket.clone(), plan.clone(), limits.concurrency);
    let (outcomes, halt) = (Mutex::new(outcomes), AtomicBool::new(false));
    let restoring = Arc::new(Restoring { bucket, plan, outcomes, halt, limits, progress });
    let first = changes.iter().position(|&at| restoring.plan.changes[at].bytes() <= LARGEST_COPY);
    if let Some(first) = first.filter(|_| guard.0.get().is_none() && !restoring.is_over()) {
        let at = changes[first];
        match restoring.find_out(at, guard).await {
            Ok(None) => {}
            Ok(Some(made)) => {
                held(&restoring.outcomes).set(at, made);
                changes.remove(first);
            }
            Err(failed) => {
                held(&restoring.outcomes).set(at, failed);
                return (std::mem::take(&mut *held(&restoring.outcomes)), None);
            }
        }
    }
    let guard = guard.0.get().copied();
    let copying = restoring.clone();
    let copy = move |at| copying.clone().restore(at, guard.unwrap_or(Guard::Condition));
    in_lanes(changes.into_iter(), concurrency, copy).await;
    let warning = (guard == Some(Guard::Look)).then(|| Warning::new(LOOKS, LOOKS_REMEDY));
    (std::mem::take(&mut *held(&restoring.outcomes)), warning)
}

impl Restoring {
    /// Makes a copy, unless the wave is over.
    async fn restore(self: Arc<Restoring>, at: usize, guard: Guard) {
        let Some((subject, from)) = self.copy_of(at).filter(|_| !self.is_over()) else { return };
        let place = from.place();
        let copy = Box::pin(self.bucket.copy(&place, &subject.key, replaced(subject), guard));
        let outcome = outcome(self.limits.in_flight(&subject.key, copy).await);
        match &outcome {
            // A missing source says nothing about the others.
            ChangeOutcome::Failed { error, .. }
                if self.plan.changes[at].entry().is_some()
                    && matches!(error.kind(), ErrorKind::PreconditionFailed | ErrorKind::NotFound) => {}
            ChangeOutcome::Failed { .. } => self.halt.store(true, Ordering::Relaxed),
            _ => self.count(at),
        }
        held(&self.outcomes).set(at, outcome);
    }

    /// Determines how the store treats conditions, with the first copy; returns its outcome if that made the copy.
    async fn find_out(&self, at: usize, guard: &CopyGuard) -> Result<Option<ChangeOutcome>, ChangeOutcome> {
        let Some((subject, from)) = self.copy_of(at) else { return Ok(None) };
        let place = from.place();
        let trying = Box::pin(self.bucket.try_conditions(&place, &subject.key, replaced(subject)));
        let (found, made) = match self.limits.in_flight(&subject.key, trying).await {
            Ok(Tried::Hold) => (Guard::Condition, None),
            Ok(Tried::Ignored(copy)) => (Guard::Look, Some(outcome(Ok(copy)))),
            Err(error) if error.kind() == ErrorKind::NotImplemented => (Guard::Look, None),
            Ok(Tried::Unknown) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if made.is_some() {
            self.count(at);
        }
        // Nothing else determines it concurrently.
        let _ = guard.0.set(found);
        Ok(made)
    }

    /// What a copy replaces, and its source.
    fn copy_of(&self, at: usize) -> Option<(&Subject, Cow<'_, CopyFrom>)> {
        let change = &self.plan.changes[at];
        Some((change.subject(), self.plan.copy_from(change)?))
    }

    fn is_over(&self) -> bool {
        self.limits.stop.is_cancelled() || self.halt.load(Ordering::Relaxed)
    }

    fn count(&self, at: usize) {
        self.progress.add(self.plan.changes[at].bytes());
        self.progress.file();
    }
}

fn replaced(subject: &Subject) -> Replaced<'_> {
    subject.existing().map_or(Replaced::Nothing, |existing| Replaced::This(&existing.etag))
}

fn outcome(copied: Result<Copy>) -> ChangeOutcome {
    match copied {
        Ok(Copy::Made { etag, version }) => {
            let version = Version::id_of_answer(version.as_deref());
            ChangeOutcome::Copied(Copied { etag, version })
        }
        Ok(Copy::Refused) => ChangeOutcome::Overwritten,
        Err(error) => failed(error),
    }
}

/// What a plan replaces or removes of which copies are to be kept, by its place in the plan and with its row: what is as
/// the record describes it, and has no version that stays.
pub(super) fn to_keep<'a>(plan: &'a Plan, index: &'a Manifest) -> impl Iterator<Item = (usize, Row)> + use<'a> {
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
    (plan, index): (&Plan, &Manifest),
    limits: &Limits,
) -> (Done, bool) {
    let mut to_keep = to_keep(plan, index);
    let keeping = Arc::new(Keeping {
        bucket: bucket.clone(),
        record: session.record().clone(),
        failed: Mutex::default(),
        halt: AtomicBool::new(false),
        left: AtomicBool::new(false),
        limits: limits.clone(),
    });
    loop {
        let some =
            to_keep.by_ref().take(KEPT_AT_ONCE).map(|(at, row)| (at, plan.changes[at].subject().key.clone(), row));
        let some: Vec<(usize, Key, Row)> = some.collect();
        if some.is_empty() {
            break;
        }
        let kept = keeping.clone();
        in_lanes(some.into_iter(), limits.concurrency, move |(at, key, row)| kept.clone().keep(at, key, row)).await;
    }
    let is_complete = !keeping.halt.load(Ordering::Relaxed) && !keeping.left.load(Ordering::Relaxed);
    (std::mem::take(&mut *held(&keeping.failed)), is_complete)
}

/// Number of rows in memory at once.
const KEPT_AT_ONCE: usize = 4_096;

/// The copies that are kept.
struct Keeping {
    bucket: Bucket,
    record: Record,
    failed: Mutex<Done>,
    halt: AtomicBool,
    left: AtomicBool,
    limits: Limits,
}

impl Keeping {
    async fn keep(self: Arc<Keeping>, at: usize, key: Key, row: Row) {
        if self.limits.stop.is_cancelled() || self.halt.load(Ordering::Relaxed) {
            self.left.store(true, Ordering::Relaxed);
            return;
        }
        let keeping = Box::pin(self.record.keep(&self.bucket, &key, &row));
        if let Err(error) = self.limits.in_flight(&key, keeping).await {
            self.halt.store(true, Ordering::Relaxed);
            // Nothing of the site was touched by it.
            let failed = ChangeOutcome::Failed { error: Box::new(error), may_have_succeeded: false };
            held(&self.failed).push((at, failed));
        }
    }
}
