//! The recipe of a deploy, in order. `plan` is the same recipe stopped before the first write.

pub mod apply;
pub mod backfill;
mod body;
pub mod change;
mod compare;
pub mod diff;
mod discover;
pub mod entry;
mod error_pages;
mod execute;
pub mod hash;
pub mod head_check;
pub mod headers_and_redirects;
mod intent;
pub mod list;
mod lock;
pub mod manifest_index;
mod next_manifest;
pub mod plan;
pub mod planned;
mod rule_warnings;
pub mod run;
pub mod settings;
pub mod shard;
pub mod tagging;
pub mod timeline;
pub mod verify;
pub mod walk;

use crate::aws::Aws;
use crate::cloudfront::send::Sent;
use crate::error::{Error, Result};
use crate::record::allowance::UsedPaths;
use crate::record::lease::CarryOver;
use crate::record::session::{ActiveSession, Session};
use crate::terminal::Terminal;
use apply::Limits;
use change::ChangeOutcome;
use discover::Discovered;
use execute::{Executed, Executor};
use lock::Lock;
use planned::Planned;
use run::{Run, Stage};
pub use settings::Settings;
use std::sync::Arc;
use timeline::Timeline;
use tokio_util::sync::CancellationToken;
use verify::Verified;

/// One run: its settings and the world it runs in.
#[derive(Debug)]
pub struct Deploy<'a> {
    settings: &'a Settings,
    aws: &'a Aws,
    terminal: &'a Terminal,
    /// Set by a signal.
    stop: CancellationToken,
    timeline: Timeline,
}

impl<'a> Deploy<'a> {
    /// A run that begins now. `stop` is set by a signal.
    pub fn new(settings: &'a Settings, aws: &'a Aws, terminal: &'a Terminal, stop: CancellationToken) -> Deploy<'a> {
        Deploy { settings, aws, terminal, stop, timeline: Timeline::start(aws.clock()) }
    }

    /// Makes the target what the source is, and tells CloudFront what changed.
    pub async fn run(&self) -> Result<Run> {
        let deploy = new_deploy_id();
        let since = self.aws.clock().start();
        loop {
            self.timeline.begin_again();
            let mut discovered = self.look_around().await?;
            self.guard_order(&mut discovered).await?;
            self.guard_interrupted()?;
            if self.wait_for_lock(&discovered, &since).await? {
                continue;
            }
            let planned = self.decide(&mut discovered).await?;
            if planned.is_empty() {
                if self.note_build(&mut discovered).await? {
                    return Ok(self.nothing_to_do(&deploy, &discovered, planned));
                }
                continue;
            }
            let session = match self.begin(&discovered, &planned, &deploy).await? {
                Lock::Changed => continue,
                Lock::None => None,
                Lock::Held(session) => Some(*session),
            };
            return Box::pin(self.carry_out(&deploy, &discovered, planned, session)).await;
        }
    }

    /// Decides what a deploy would do, and writes nothing.
    pub async fn plan(&self) -> Result<Run> {
        let mut discovered = self.look_around().await?;
        if let Some(error) = self.superseded(discovered.session.as_ref()) {
            return Err(error);
        }
        let planned = self.decide(&mut discovered).await?;
        let invalidations = planned.items.clone();
        let new_record = discovered.session.as_ref().map(Session::is_new);
        let mut warnings = Vec::new();
        if let Some(holder) = discovered.session.as_ref().and_then(Session::holder) {
            warnings.push(format!("{} is deploying: the plan may be another one when it is done", holder.owner));
        }
        let sent = Sent { invalidations, ..Sent::default() };
        Ok(self.end(
            &new_deploy_id(),
            &discovered,
            planned,
            Stage::Planned { new_record },
            (Vec::new(), sent, warnings),
        ))
    }

    /// Walks and looks at what there is.
    async fn look_around(&self) -> Result<Discovered> {
        match self.settings.shard {
            Some(_) => Box::pin(self.discover_for_shard()).await,
            None => Box::pin(self.discover()).await,
        }
    }

    /// Lists, compares, decides, and chooses what CloudFront is told.
    async fn decide(&self, discovered: &mut Discovered) -> Result<Planned> {
        let planned = match self.settings.shard {
            Some(shard) => Box::pin(self.missing_of(shard, discovered)).await?,
            None => Box::pin(self.compare(discovered)).await?,
        };
        Ok(planned.choose_items(discovered))
    }

    fn guard_interrupted(&self) -> Result<()> {
        match self.stop.is_cancelled() {
            true => Err(Error::interrupted("interrupted; nothing was changed")),
            false => Ok(()),
        }
    }

    /// A run that finds nothing to do writes nothing, unless its build is newer than the one recorded.
    /// `false` if another deploy came in between.
    async fn note_build(&self, discovered: &mut Discovered) -> Result<bool> {
        match discovered.session.take() {
            Some(session) => session.note_build(self.settings.build.as_ref()).await,
            None => Ok(true),
        }
    }

    fn nothing_to_do(&self, deploy: &str, discovered: &Discovered, planned: Planned) -> Run {
        let stage = Stage::Done { interrupted: self.stop.is_cancelled() };
        let outcomes = planned.plan.changes.iter().map(|_| ChangeOutcome::NotBegun).collect();
        self.end(deploy, discovered, planned, stage, (outcomes, Sent::default(), Vec::new()))
    }

    /// The waves, the invalidation and what is then true; looks at it as viewers do, and ends the session.
    async fn carry_out(
        &self,
        deploy: &str,
        discovered: &Discovered,
        planned: Planned,
        session: Option<ActiveSession>,
    ) -> Result<Run> {
        let executor = self.executor();
        let mut execution = executor.begin(deploy, discovered, &planned);
        // A stage is boxed where it would fill a thread's stack.
        let work = Box::pin(execution.carry_out(session.as_ref()));
        let mut done = match &session {
            Some(session) => session.under_lock(work).await?,
            None => work.await,
        };
        // A signal after this point interrupts nothing but the waiting.
        let interrupted = self.stop.is_cancelled();
        // What viewers get is looked at under the lock, so that the record can tell the next deploy.
        let looks = self.settings.verify.is_some() && done.sent.failed.is_empty() && !interrupted;
        let mut verified = None;
        if looks {
            executor.wait(discovered, &mut done.sent).await;
            verified = self.verify(discovered, &planned.plan, &done).await;
        }
        if let Some(session) = session {
            self.close(session, discovered, &planned, &mut done, verified.as_ref()).await;
        }
        if !looks {
            executor.wait(discovered, &mut done.sent).await;
        }
        if verified.is_none() && self.settings.verify.is_some() {
            done.warnings.push("what viewers get was not verified".to_owned());
        }
        let Executed { sent, warnings, .. } = done;
        let outcomes = execution.into_outcomes();
        let stage = Stage::Done { interrupted };
        let run = self.end(deploy, discovered, planned, stage, (outcomes, sent, warnings));
        Ok(Run { verified, ..run })
    }

    /// Ends the session. What viewers do not get as it is stays with the next deploy.
    async fn close(
        &self,
        session: ActiveSession,
        discovered: &Discovered,
        planned: &Planned,
        done: &mut Executed<'_>,
        verified: Option<&Verified>,
    ) {
        let before = discovered.unfinished().map_or(&[][..], |unfinished| &unfinished.pending);
        let entries = &discovered.walk.entries;
        let different = verified.map(|found| found.pending(&planned.plan, entries, before)).unwrap_or_default();
        let carry_over = match different.as_slice() {
            _ if done.is_doubtful() => CarryOver::Plan,
            [] => CarryOver::Nothing,
            pending => CarryOver::Pending(pending),
        };
        self.timeline.during("record", done.close(session, carry_over)).await;
    }

    fn executor(&self) -> Executor<'_> {
        let limits = Limits {
            concurrency: self.settings.concurrency,
            keep_going: self.settings.keep_going,
            create_only: self.settings.shard.is_some(),
            stop: self.stop.clone(),
        };
        let (terminal, timeline, patience) = (self.terminal, &self.timeline, self.settings.patience);
        Executor { terminal, timeline, limits, patience }
    }

    /// All that a report tells.
    fn end(
        &self,
        deploy: &str,
        discovered: &Discovered,
        planned: Planned,
        stage: Stage,
        (outcomes, sent, more): (Vec<ChangeOutcome>, Sent, Vec<String>),
    ) -> Run {
        let Planned { plan, recovered, mut warnings, .. } = planned;
        warnings.extend(more);
        warnings.extend(discovered.walk.warnings.iter().cloned());
        warnings.extend(discovered.viewers.warnings());
        let plan = Arc::unwrap_or_clone(plan);
        let free = self.settings.policy.allowance.free;
        let allowance = discovered.session.as_ref().map(|session| session.paths(free));
        let allowance = allowance.map(|before| UsedPaths { used: before.used.saturating_add(sent.paths()), ..before });
        Run {
            deploy: deploy.to_owned(),
            source: self.settings.source.display().to_string(),
            target: self.settings.target.to_string(),
            stage,
            changes: plan.changes,
            outcomes,
            kept: plan.kept,
            unknown: plan.unknown,
            problems: plan.problems,
            sent,
            recovered,
            verified: None,
            allowance,
            is_recorded: discovered.session.is_some(),
            shard: self.settings.shard,
            warnings,
            requests: self.aws.requests(),
            concurrency: self.aws.concurrency(),
            spans: self.timeline.spans(),
            seconds: self.timeline.seconds(),
        }
    }
}

/// Runs what takes a core's time where it holds up no answer of AWS.
async fn on_cores<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    rayon::spawn(move || drop(sender.send(work())));
    receiver.await.map_err(|_| Error::failed("reading or comparing the source broke off"))
}

/// A new id for each run, in the order of time: an id that came back would let CloudFront take a
/// later invalidation for a repetition.
pub fn new_deploy_id() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dt%H%M%Sz");
    format!("{now}-{:08x}", fastrand::u32(..))
}
