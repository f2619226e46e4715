//! Whose turn it is: waits for another deploy, gives way to a newer build, takes the lease.

use crate::cloudfront::send::{Sent, submit};
use crate::deploy::discover::Discovered;
use crate::deploy::manifest_index::ManifestIndex;
use crate::deploy::walk::Walk;
use crate::deploy::{Decided, Deploy};
use crate::error::{Error, Result};
use crate::record::Snapshot;
use crate::record::intent::{PendingChange, left_by};
use crate::record::lease::{Holder, Lease};
use shipfront_invalidation::ChangedKey;
use std::time::{Duration, Instant};

/// How often a waiting deploy looks whether the lease is free.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The right to write.
pub(super) enum Turn {
    /// Under a lease.
    Leased(Lease),
    /// No record is kept: nothing keeps another deploy away.
    Unrecorded,
    /// The record changed since it was read: look at everything again.
    LookAgain,
}

impl Deploy<'_> {
    /// Waits while another deploy holds the lease. `true` if it had to: what was seen is then old.
    pub(super) async fn wait_for_turn(&self, discovered: &Discovered, waiting_since: Instant) -> Result<bool> {
        let Some((record, snapshot)) = &discovered.record else { return Ok(false) };
        let Some(holder) = snapshot.holder() else { return Ok(false) };
        let limit = self.settings.lock_timeout;
        let progress = self.terminal.wait("waiting");
        self.terminal.say(format_args!("waiting for another deploy: {holder}"));
        loop {
            if waiting_since.elapsed() >= limit {
                return Err(locked(holder, limit));
            }
            progress.message(&format!("{holder}; for {} s", waiting_since.elapsed().as_secs()));
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY.min(limit.saturating_sub(waiting_since.elapsed()))) => {}
                () = self.stop.cancelled() => {
                    return Err(Error::interrupted("interrupted while waiting for another deploy; nothing was changed"));
                }
            }
            if record.look().await?.holder().is_none() {
                return Ok(true);
            }
        }
    }

    /// Refuses a build that is older than what is deployed, after finishing what an interrupted run left.
    pub(super) async fn guard_order(&self, discovered: &mut Discovered) -> Result<()> {
        let Some(error) = self.superseded(discovered.record.as_ref().map(|(_, snapshot)| snapshot)) else {
            return Ok(());
        };
        let hint = match self.finish_unfinished(discovered).await? {
            None => return Err(error),
            Some((deploy, None)) => format!("{} was invalidated", left_by(&deploy)),
            Some((deploy, Some(failure))) => format!("{} could not be invalidated: {failure}", left_by(&deploy)),
        };
        let force = error.hint_text().unwrap_or_default().to_owned();
        Err(error.hint(format!("{hint}; {force}")))
    }

    /// Why this build must not go over what is deployed, if it must not.
    pub(super) fn superseded(&self, snapshot: Option<&Snapshot>) -> Option<Error> {
        let snapshot = snapshot?;
        let (newer, ours) = (snapshot.state.build.as_ref()?, self.settings.build.as_ref()?);
        if self.settings.force || !snapshot.state.supersedes(Some(ours)) {
            return None;
        }
        // Outside CodeBuild a number may have no project.
        let of = if ours.project.is_empty() { String::new() } else { format!(" of {}", ours.project) };
        let message =
            format!("build {}{of} is superseded: build {} went before; nothing was written", ours.number, newer.number);
        Some(Error::superseded(message).hint("--force deploys the older build all the same"))
    }

    /// Tells CloudFront what an interrupted run did not. The intent stays: the next deploy needs it
    /// to know what is whose.
    async fn finish_unfinished(&self, discovered: &mut Discovered) -> Result<Option<(String, Option<Error>)>> {
        let told = ManifestIndex::of(discovered.take_manifest(), discovered.walk.clone()).await?;
        let Some((_, snapshot)) = discovered.record.as_ref().filter(|(_, snapshot)| snapshot.holder().is_none()) else {
            return Ok(None);
        };
        let Some(unfinished) = &snapshot.unfinished else { return Ok(None) };
        let changed: Vec<_> =
            unfinished.pending.iter().map(|pending_change| ChangedKey::unknown(&pending_change.key)).collect();
        let files = &discovered.walk.files;
        let unchanged: Vec<&str> = told.rows(files).map(|(key, _)| key).collect();
        let planned = discovered.viewers.plan(&changed, unchanged.iter().copied(), |_| None);
        let id = crate::deploy::new_deploy_id();
        let sent: Sent = submit(&discovered.distributions, &id, planned, self.settings.patience, self.terminal).await;
        Ok(Some((unfinished.deploy.clone(), sent.failed.into_iter().next())))
    }

    /// Writes down what may become stale and takes the lease, in this order.
    pub(super) async fn take_turn(&self, discovered: &Discovered, decided: &Decided, deploy: &str) -> Result<Turn> {
        let Some((record, snapshot)) = &discovered.record else { return Ok(Turn::Unrecorded) };
        let pending = pending(decided, snapshot, &discovered.walk);
        match Lease::take(record, snapshot, deploy, self.settings.build.as_ref(), &discovered.viewers.ids(), &pending)
            .await?
        {
            Some(lease) => Ok(Turn::Leased(lease)),
            None => Ok(Turn::LookAgain),
        }
    }
}

/// Everything this run may leave stale, and what an interrupted one did.
fn pending(decided: &Decided, snapshot: &Snapshot, walk: &Walk) -> Vec<PendingChange> {
    let ours = decided.plan.changes.iter().filter(|change| change.is_visible());
    let ours = ours.map(|change| PendingChange::of(change, walk));
    let mut pending: Vec<PendingChange> = ours.collect();
    let left = snapshot.unfinished.iter().flat_map(|unfinished| unfinished.pending.iter().cloned());
    let left: Vec<PendingChange> = left.filter(|left| !decided.has_pending(&left.key)).collect();
    pending.extend(left);
    pending.sort_by(|a, b| a.key.cmp(&b.key));
    pending
}

fn locked(holder: &Holder, limit: Duration) -> Error {
    Error::locked(format!("another deploy is under way: {holder}; waited {} s, nothing was changed", limit.as_secs()))
        .hint("wait longer with --lock-timeout, or, if that deploy is dead, take its lease with 'shipfront unlock'")
}

/// The end of a run whose lease is gone: another deploy may be writing.
pub(super) fn lost_lease() -> Error {
    Error::stale("the lease could not be renewed and was given up: what had landed was not invalidated")
        .hint("run the deploy again: it finishes what this one began, and invalidates what it changed")
}
