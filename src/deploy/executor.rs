//! The one transaction that changes a site, whatever the plan: write what may become stale and take the lock, carry
//! out the plan, check what viewers get, update the record.
//!
//! Deploys, shards and backfills differ in what they discover and plan, and pass both to [`Executor::run`].

use crate::clock::{Clock, Stopwatch};
use crate::cloudfront::Distributions;
use crate::cloudfront::send::{Patience, Sent, wait};
use crate::deploy::apply::{IN_FLIGHT, Limits};
use crate::deploy::change::{Change, ChangeOutcome};
use crate::deploy::copies::CopyGuard;
use crate::deploy::discover::Discovered;
use crate::deploy::execute::{CarriedOut, Execution, LAST_WRITES};
use crate::deploy::lock::Lock;
use crate::deploy::outcomes::Outcomes;
use crate::deploy::plan::Plan;
use crate::deploy::planned::Planned;
use crate::deploy::publish::{self, RulesOutcome, Staged};
use crate::deploy::store_keys::{self, OldKeys};
use crate::deploy::timeline::Timeline;
use crate::deploy::verify::{Site, Verified};
use crate::error::{Error, Result};
use crate::record::Build;
use crate::record::history::{HistoryUpdate, Rows};
use crate::record::lease::CarryOver;
use crate::record::session::{ActiveSession, Commit, Ending};
use crate::terminal::Terminal;
use shipfront_site::Warning;

/// What carries out a plan.
pub(super) struct Executor<'a> {
    /// The ID of the run.
    pub deploy: &'a str,
    /// Its build, if it has a number.
    pub build: Option<&'a Build>,
    pub clock: &'a Clock,
    pub terminal: &'a Terminal,
    pub timeline: &'a Timeline,
    pub limits: Limits,
    pub patience: Patience,
    /// The site to check as viewers see it, at the end.
    pub verify: Option<&'a Site>,
    /// What the history records about it.
    pub history_update: HistoryUpdate<'a>,
    /// How to ensure that copies replace nothing else.
    pub guard: CopyGuard,
}

/// The result of a plan.
#[derive(Debug, Default)]
pub(super) struct Executed {
    /// The outcome of each change, in the plan's order.
    pub outcomes: Outcomes,
    pub sent: Sent,
    /// The result of `--verify`.
    pub verified: Option<Verified>,
    /// Whether a signal stopped it.
    pub interrupted: bool,
    pub warnings: Vec<Warning>,
    /// The outcome for the rules.
    pub rules: RulesOutcome,
}

impl Executor<'_> {
    /// Carries out a plan for what was discovered. `None`, with nothing changed, if the record has changed since it
    /// was read: then everything must be examined again.
    pub(super) async fn run(&self, discovered: &Discovered, planned: &mut Planned) -> Result<Option<Executed>> {
        let Limits { clock, stop, .. } = &self.limits;
        let progress = self.terminal.wait("record");
        let begun = clock.timeout_after(stop, IN_FLIGHT, Box::pin(self.begin(discovered, planned))).await;
        drop(progress);
        let interrupted =
            || Err(Error::interrupted("interrupted before the record was written; the site was not changed"));
        let session = match begun.unwrap_or_else(interrupted)? {
            Lock::Changed => return Ok(None),
            Lock::None => None,
            Lock::Held(session) => Some(*session),
        };
        let (session, Staged { drafts, old_keys }) = Box::pin(self.stage(discovered, planned, session)).await?;
        let index = std::mem::take(&mut planned.index);
        let planned = &*planned;
        // Stages are boxed because they would fill a thread's stack.
        let work = Box::pin(Execution::new(self, discovered, (planned, index), drafts).carry_out(session.as_ref()));
        let mut done = match &session {
            Some(session) => Box::pin(session.under_lock(work)).await?,
            None => work.await,
        };
        // After this point, a signal interrupts only the waiting.
        let interrupted = self.limits.stop.is_cancelled();
        // What viewers get is checked under the lock, so that the result can be recorded for the next deploy.
        let looks = self.verify.is_some() && done.sent.failed.is_empty() && !interrupted;
        let mut verified = None;
        if looks {
            Box::pin(self.wait(discovered, &mut done.sent)).await;
            verified = Box::pin(self.verify(done.sample.take())).await;
        }
        let since = self.clock.start();
        let mut is_committed = false;
        if let Some(session) = session {
            let closing = self.close(session, discovered, planned, &mut done, (verified.as_ref(), interrupted));
            is_committed = Box::pin(closing).await;
        }
        if !looks {
            Box::pin(self.wait(discovered, &mut done.sent)).await;
        }
        if is_committed && done.rules.is_done() {
            let removing = self.remove_keys(&old_keys, &discovered.distributions, &since);
            done.warnings.extend(Box::pin(removing).await);
        }
        let CarriedOut { outcomes, sent, mut warnings, rules, .. } = done;
        if matches!(rules, RulesOutcome::NotBegun) {
            warnings.push(Warning::new(
                "the rules were not published, because the uploads before them did not finish",
                "the next deploy publishes them",
            ));
        }
        if verified.is_none() && self.verify.is_some() {
            let hint = "look at the site yourself: later deploys verify only what they change";
            warnings.push(Warning::new("what viewers get was not verified", hint));
        }
        Ok(Some(Executed { outcomes, sent, verified, interrupted, warnings, rules }))
    }

    /// Tests the rules before the site is touched. If they fail, the record is left as it was found.
    async fn stage(
        &self,
        discovered: &Discovered,
        planned: &Planned,
        session: Option<ActiveSession>,
    ) -> Result<(Option<ActiveSession>, Staged)> {
        let Some(rules) = &planned.rules else { return Ok((session, Staged::default())) };
        let Some(session) = session else { return Ok((None, Staged::default())) };
        let staging = session.under_lock(Box::pin(publish::stage(rules, &discovered.distributions, self.clock)));
        let staging = self.timeline.during("rules", staging);
        let interrupted =
            || Ok(Err(Error::interrupted("interrupted before anything was uploaded; the site was not changed")));
        let Limits { clock, stop, .. } = &self.limits;
        let staged = clock.timeout_after(stop, IN_FLIGHT, staging).await;
        match staged.unwrap_or_else(interrupted)? {
            Ok(staged) => Ok((Some(session), staged)),
            Err(error) => {
                let ending = clock.timeout_after(stop, LAST_WRITES, Box::pin(session.take_back())).await;
                if let Some(Ending::Outdated(warning)) = ending {
                    self.terminal.warn(&warning);
                }
                Err(error)
            }
        }
    }

    /// Removes the keys of the previous code once viewers get the new code everywhere. Returns a warning if that
    /// fails.
    async fn remove_keys(
        &self,
        old_keys: &[OldKeys],
        distributions: &Distributions,
        since: &Stopwatch,
    ) -> Option<Warning> {
        if old_keys.iter().all(OldKeys::is_empty) {
            return None;
        }
        let removing = async {
            distributions.let_arrive(since.elapsed()).await;
            store_keys::remove_old(old_keys, distributions).await
        };
        let Limits { clock, stop, .. } = &self.limits;
        let removed = clock.timeout_after(stop, LAST_WRITES, self.timeline.during("rules", removing)).await;
        removed.unwrap_or_else(|| {
            let left = "interrupted before the keys of earlier rules were removed";
            Some(Warning::new(left, "the next deploy removes them"))
        })
    }

    /// Waits until CloudFront is done, if requested.
    async fn wait(&self, discovered: &Discovered, sent: &mut Sent) {
        if !sent.invalidations.is_empty() {
            let waiting = wait(&discovered.distributions, sent, self.patience, &self.limits.stop, self.terminal);
            self.timeline.during("wait", waiting).await;
        }
    }

    /// Ends the session: the manifest becomes the current one, unless CloudFront did not accept the invalidation.
    /// URLs that serve something else, and writes that may have succeeded although their response was lost, are
    /// left to the next deploy. Returns whether the record is up to date.
    async fn close(
        &self,
        session: ActiveSession,
        discovered: &Discovered,
        planned: &Planned,
        done: &mut CarriedOut,
        (verified, interrupted): (Option<&Verified>, bool),
    ) -> bool {
        let before = discovered.unfinished().map_or(&[][..], |unfinished| &unfinished.pending);
        let entries = &discovered.walk.entries;
        let different = verified.map(|found| found.pending(&planned.plan, entries, before)).unwrap_or_default();
        let carry_over = match different.as_slice() {
            _ if done.is_doubtful() || done.rules.is_doubtful() => CarryOver::Plan,
            [] => CarryOver::Nothing,
            pending => CarryOver::Pending(pending),
        };
        let closed = {
            let has_same_rules = matches!(done.rules, RulesOutcome::Nothing | RulesOutcome::NotBegun);
            let is_same_site = planned.recovered.is_none() && has_same_rules && done.is_seen_by_nobody(&planned.plan);
            let history_update = HistoryUpdate { is_same_site, ..self.history_update };
            let closing = done.close(session, carry_over, history_update, interrupted);
            let closed = self.limits.clock.timeout_after(&self.limits.stop, LAST_WRITES, closing);
            let _progress = self.terminal.wait("record");
            self.timeline.during("record", closed).await
        };
        if closed.is_none() {
            done.sent.warnings.push(Warning::new(
                "interrupted before the deploy record was updated",
                "the next deploy invalidates once more",
            ));
        }
        closed.unwrap_or(false)
    }
}

impl CarriedOut {
    /// `interrupted` is whether a signal had come by the time that nothing more was started. Returns whether the
    /// manifest is now the current one.
    async fn close(
        &mut self,
        session: ActiveSession,
        carry_over: CarryOver<'_>,
        history_update: HistoryUpdate<'_>,
        interrupted: bool,
    ) -> bool {
        let is_told = self.sent.failed.is_empty();
        let count = |is_meant: fn(&ChangeOutcome) -> bool| {
            self.outcomes.iter().filter(|outcome| is_meant(outcome)).count() as u64
        };
        let uploaded = count(is_written);
        let removed = count(|outcome| matches!(outcome, ChangeOutcome::Removed));
        let (written, rows) = match std::mem::replace(&mut self.written, Ok(Rows::default())) {
            Ok(rows) => (Ok(()), rows),
            Err(error) => (Err(error), Rows::default()),
        };
        let (paths, left) = (self.sent.paths(), self.left);
        let interrupted = interrupted && left > 0;
        let ending = match is_told {
            true => {
                let commit = Commit { uploaded, removed, left, interrupted, paths, carry_over, history_update, rows };
                session.commit(written, commit).await
            }
            false => session.abandon(paths).await,
        };
        match ending {
            Ending::Recorded => return is_told,
            Ending::Outdated(warning) => self.sent.warnings.push(warning),
            Ending::TakenOver(error) => self.sent.failed.push(error),
        }
        false
    }

    /// Whether no viewer sees a difference: at most, objects got cache tags.
    fn is_seen_by_nobody(&self, plan: &Plan) -> bool {
        plan.changes.iter().zip(self.outcomes.iter()).all(|(change, outcome)| match change {
            Change::Orphan { .. } | Change::Retag { .. } => true,
            Change::Evict { .. } => false,
            Change::Upload { .. } | Change::Remove { .. } | Change::Copy { .. } => !outcome.may_have_succeeded(),
        })
    }

    /// Whether it is unknown if some write succeeded: the next run then needs the whole plan.
    fn is_doubtful(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(*outcome, ChangeOutcome::Failed { may_have_succeeded: true, .. }))
    }
}

/// Whether a change wrote an object.
fn is_written(outcome: &ChangeOutcome) -> bool {
    matches!(outcome, ChangeOutcome::Uploaded(_) | ChangeOutcome::Retagged(_) | ChangeOutcome::Copied(_))
}
