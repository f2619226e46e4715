//! Decides when this run may write: waits for another deploy, yields to a newer build, takes the lock.

use crate::clock::Stopwatch;
use crate::cloudfront::send::submit;
use crate::deploy::discover::Discovered;
use crate::deploy::execute::LAST_WRITES;
use crate::deploy::executor::Executor;
use crate::deploy::intent::all_pending;
use crate::deploy::planned::Planned;
use crate::deploy::{Deploy, new_deploy_id};
use crate::error::{Error, Result};
use crate::record::intent::left_by;
use crate::record::lease::Holder;
use crate::record::session::{ActiveSession, Intended, Session};
use shipfront_invalidation::ChangedKey;
use shipfront_site::Key;
use std::time::Duration;

/// How often a waiting deploy checks whether the lock is free.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The permission to write.
pub(super) enum Lock {
    /// It is held.
    Held(Box<ActiveSession>),
    /// No record is kept: nothing excludes another deploy.
    None,
    /// The record changed since it was read: everything must be examined again.
    Changed,
}

impl Deploy<'_> {
    /// Waits while another deploy holds the lock. Returns `true` if it had to: what was read is then outdated.
    pub(super) async fn wait_for_lock(&self, discovered: &Discovered, since: &Stopwatch) -> Result<bool> {
        let Some(session) = &discovered.session else { return Ok(false) };
        let Some(holder) = session.holder() else { return Ok(false) };
        let limit = self.settings.lock_timeout;
        let progress = self.terminal.wait("waiting");
        self.terminal.say(format_args!("waiting for another deploy: {holder}"));
        loop {
            if since.elapsed() >= limit {
                return Err(locked(holder, limit));
            }
            progress.message(&format!("{holder}; for {} s", since.elapsed().as_secs()));
            tokio::select! {
                () = self.aws.clock().sleep(LOOK_EVERY.min(limit.saturating_sub(since.elapsed()))) => {}
                () = self.stop.cancelled() => {
                    return Err(Error::interrupted("interrupted while waiting for another deploy; nothing was changed"));
                }
            }
            if session.is_free().await? {
                return Ok(true);
            }
        }
    }

    /// Refuses a build that is older than the deployed one, after finishing what an interrupted run left.
    pub(super) async fn guard_order(&self, discovered: &mut Discovered) -> Result<()> {
        let Some(error) = self.superseded(discovered.session.as_ref()) else { return Ok(()) };
        let hint = match self.finish_unfinished(discovered).await? {
            None => return Err(error),
            Some((deploy, None)) => format!("{} was invalidated", left_by(&deploy)),
            Some((deploy, Some(failure))) => format!("{} could not be invalidated: {failure}", left_by(&deploy)),
        };
        let force = error.hint_text().to_owned();
        Err(error.hint(format!("{hint}; {force}")))
    }

    /// Why this build must not replace the deployed one, if so.
    pub(super) fn superseded(&self, session: Option<&Session>) -> Option<Error> {
        let ours = self.settings.build.as_ref().filter(|_| !self.settings.force)?;
        let session = session?;
        let (newer, held) = (session.superseding(Some(ours)), session.holding_back(Some(ours)));
        // Outside CodeBuild, a number may have no project.
        let of = if ours.project.is_empty() { String::new() } else { format!(" of {}", ours.project) };
        let ours = format!("build {}{of}", ours.number);
        let message = match (newer, held) {
            (_, Some(from)) => format!(
                "build {} was rolled back, so {ours} is refused until a newer build is deployed; nothing was written",
                from.number
            ),
            (Some(newer), None) => {
                format!("{ours} is superseded by build {}; nothing was written", newer.number)
            }
            (None, None) => return None,
        };
        let hint = if held.is_some() {
            "pass --force to deploy it anyway"
        } else {
            "pass --force to deploy the older build anyway"
        };
        Some(Error::superseded(message).hint(hint))
    }

    /// Sends the invalidation that an interrupted run did not. The intent stays: the next deploy needs it to know
    /// which objects shipfront owns.
    async fn finish_unfinished(&self, discovered: &mut Discovered) -> Result<Option<(String, Option<Error>)>> {
        let index = discovered.session.as_mut().and_then(Session::take_manifest).unwrap_or_default();
        let Some(session) = discovered.session.as_ref().filter(|session| session.holder().is_none()) else {
            return Ok(None);
        };
        let Some(unfinished) = session.unfinished() else { return Ok(None) };
        let changed: Vec<_> = unfinished.pending.iter().map(|pending| ChangedKey::unknown(&pending.key)).collect();
        let unchanged: Vec<Key> = index.rows().map(|(key, _)| key).collect();
        let planned = discovered.viewers.plan(&changed, unchanged.iter().map(Key::as_str), |_| None);
        let (id, patience) = (new_deploy_id(self.aws.clock()), self.settings.patience);
        let sent = submit(&discovered.distributions, &id, planned, patience, &self.stop, self.terminal).await;
        // Not in the state, which stays as the interrupted run left it. A run that may not write counts nothing.
        let counting = session.count_paths(sent.paths());
        let counted = self.aws.clock().timeout_after(&self.stop, LAST_WRITES, counting).await;
        if let Some(Err(error)) = counted {
            self.terminal.detail(format_args!("the paths were not counted: {error}"));
        }
        let failed = sent.failed.into_iter().chain(discovered.withheld()).next();
        Ok(Some((unfinished.deploy.clone(), failed)))
    }
}

impl Executor<'_> {
    /// Writes what may become stale, then takes the lock.
    pub(super) async fn begin(&self, discovered: &Discovered, planned: &Planned) -> Result<Lock> {
        let Some(session) = &discovered.session else { return Ok(Lock::None) };
        let unfinished = session.unfinished().map(|unfinished| &**unfinished);
        let intended = Intended {
            deploy: self.deploy,
            build: self.build,
            distributions: &discovered.to_tell(),
            pending: all_pending(&planned.plan, &discovered.walk.entries, unfinished, planned.rule_keys()),
            paths: planned.paths(),
            rules: planned
                .rules
                .as_ref()
                .filter(|rules| !rules.functions.is_empty())
                .map(|rules| rules.recorded.digest()),
            direction: self.history_update.direction(session.build()),
            preview: self.history_update.preview,
        };
        Ok(session.begin(intended).await?.map_or(Lock::Changed, |session| Lock::Held(Box::new(session))))
    }
}

fn locked(holder: &Holder, limit: Duration) -> Error {
    Error::locked(format!("another deploy is under way: {holder}; waited {} s, nothing was changed", limit.as_secs()))
        .hint("wait longer with --lock-timeout, or release the lock with 'shipfront unlock' if that deploy died")
}
