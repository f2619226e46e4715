//! The recipe of a deploy, in order. `plan` is the same recipe, stopped before the first write.

pub mod apply;
pub mod backfill;
mod body;
pub mod change;
mod compare;
pub(crate) mod copies;
pub mod copy_from;
pub mod diff;
mod discover;
pub mod entry;
mod error_pages;
mod execute;
mod executor;
mod guards;
pub mod hash;
pub mod head_check;
pub mod headers_and_redirects;
mod intent;
mod lanes;
pub mod list;
mod lock;
mod next_manifest;
pub mod outcomes;
mod pattern_warnings;
pub mod plan;
pub mod planned;
pub mod preview;
mod publish;
pub mod rollback;
mod rule_warnings;
pub mod rules;
pub mod run;
pub mod settings;
pub mod shard;
pub mod sorted;
mod source_guard;
mod store_keys;
pub mod tagging;
pub mod timeline;
pub mod verify;
pub mod walk;

use crate::aws::Aws;
use crate::clock::Clock;
use crate::cloudfront::send::Sent;
use crate::error::{Error, Result};
use crate::record::allowance::UsedPaths;
use crate::record::session::Session;
use crate::terminal::Terminal;
use apply::{IN_FLIGHT, Limits};
use change::{Change, Reason};
use copies::CopyGuard;
use diff::PruneAfter;
use discover::Discovered;
use executor::{Executed, Executor};
use jiff::Timestamp;
use planned::Planned;
use run::{ReportedPreview, Run, Stage};
pub use settings::{PublishRules, Settings};
use shipfront_site::Warning;
use std::sync::Arc;
use timeline::Timeline;
use tokio_util::sync::CancellationToken;
use verify::Verified;

/// One run: its settings and its environment.
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
    /// Creates a run that begins now. `stop` is set by a signal.
    pub fn new(settings: &'a Settings, aws: &'a Aws, terminal: &'a Terminal, stop: CancellationToken) -> Deploy<'a> {
        Deploy { settings, aws, terminal, stop, timeline: Timeline::start(aws.clock()) }
    }

    /// Makes the target match the source, and invalidates what changed.
    pub async fn run(&self) -> Result<Run> {
        let deploy = new_deploy_id(self.aws.clock());
        let since = self.aws.clock().start();
        loop {
            self.timeline.begin_again();
            let mut discovered = self.unless_stopped(Box::pin(self.look_around())).await?;
            Box::pin(self.guard_order(&mut discovered)).await?;
            self.guard_interrupted()?;
            if self.unless_stopped(Box::pin(self.wait_for_lock(&discovered, &since))).await? {
                continue;
            }
            let mut planned = self.unless_stopped(Box::pin(self.decide(&mut discovered))).await?;
            if planned.refused.is_some() {
                return self.show_uploads(&discovered, planned).await;
            }
            let done = match planned.is_empty() {
                true => Box::pin(self.note_build(&discovered)).await?.then(|| self.nothing_to_do(&planned)),
                false => Box::pin(self.executor(&deploy).run(&discovered, &mut planned)).await?,
            };
            if let Some(done) = done {
                let stage = Stage::Done { interrupted: done.interrupted };
                return Ok(self.end(&deploy, &discovered, planned, stage, done));
            }
        }
    }

    /// Decides what a deploy would do, and writes nothing.
    pub async fn plan(&self) -> Result<Run> {
        let mut discovered = self.look_around().await?;
        if let Some(error) = self.superseded(discovered.session.as_ref()) {
            return Err(error);
        }
        let planned = self.decide(&mut discovered).await?;
        self.show_uploads(&discovered, planned).await
    }

    /// The result of a plan that is not carried out, with what a deploy learns of files as it sends them.
    async fn show_uploads(&self, discovered: &Discovered, mut planned: Planned) -> Result<Run> {
        let (walk, plan) = (discovered.walk.clone(), planned.plan.clone());
        let others = on_cores(move || hash::other_charsets(&walk, &plan)).await?;
        let plan = Arc::make_mut(&mut planned.plan);
        others.iter().for_each(|key| plan.other_charsets.add(key));
        Ok(self.show(discovered, planned))
    }

    /// The result of a plan that is not carried out.
    fn show(&self, discovered: &Discovered, planned: Planned) -> Run {
        let invalidations = planned.items.iter().chain(&planned.late_items).cloned().collect();
        let new_record = discovered.session.as_ref().map(Session::is_new);
        let mut warnings = Vec::new();
        if let Some(holder) = discovered.session.as_ref().and_then(Session::holder) {
            let notice = format!("{} is deploying, which may change the plan", holder.owner);
            warnings.push(Warning::new(notice, "plan again when it is done"));
        }
        warnings.extend(discovered.withheld().map(|error| Warning::from(&error)));
        let sent = Sent { invalidations, ..Sent::default() };
        let kept_copies = match self.settings.keep_copies {
            true => copies::to_keep(&planned.plan, &planned.index).count() as u64,
            false => 0,
        };
        let nothing_done = Executed { sent, warnings, ..Executed::default() };
        let deploy = new_deploy_id(self.aws.clock());
        self.end(&deploy, discovered, planned, Stage::Planned { new_record, kept_copies }, nothing_done)
    }

    /// Reads the source, the target's state and the distributions.
    async fn look_around(&self) -> Result<Discovered> {
        match self.settings.shard {
            Some(_) => Box::pin(self.discover_for_shard()).await,
            None => Box::pin(self.discover()).await,
        }
    }

    /// Lists, compares, decides, and chooses what CloudFront must invalidate.
    async fn decide(&self, discovered: &mut Discovered) -> Result<Planned> {
        let planned = match self.settings.shard {
            Some(shard) => Box::pin(self.missing_of(shard, discovered)).await?,
            None => Box::pin(self.compare(discovered)).await?,
        };
        let planned = match &self.settings.preview {
            Some(preview) => Box::pin(self.copy_from_production(preview, discovered, planned)).await?,
            None => planned,
        };
        Ok(self.with_orphans(discovered, planned.choose_items(discovered)))
    }

    /// Runs read-only work, which ends with a signal, whatever it waits for.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.stop.cancelled() => Err(Error::interrupted("interrupted; nothing was changed")),
        }
    }

    fn guard_interrupted(&self) -> Result<()> {
        match self.stop.is_cancelled() {
            true => Err(Error::interrupted("interrupted; nothing was changed")),
            false => Ok(()),
        }
    }

    /// A run that finds nothing to do writes nothing, unless its build is newer than the recorded one. `false` if
    /// another deploy came in between.
    async fn note_build(&self, discovered: &Discovered) -> Result<bool> {
        match &discovered.session {
            Some(session) => {
                let noting = session.note_build(self.settings.build.as_ref());
                let noted = self.aws.clock().timeout_after(&self.stop, IN_FLIGHT, noting).await;
                noted.unwrap_or_else(|| Err(Error::interrupted("interrupted; the site was not changed")))
            }
            None => Ok(true),
        }
    }

    fn nothing_to_do(&self, planned: &Planned) -> Executed {
        let interrupted = self.stop.is_cancelled();
        // Whoever asks for it reads that nothing was looked at: no silence is to pass for a site that is right.
        let verified = self.settings.verify.as_ref().map(|site| Verified::of_nothing(site.to_string()));
        Executed { outcomes: planned.untouched(), interrupted, verified, ..Executed::default() }
    }

    fn executor<'e>(&'e self, deploy: &'e str) -> Executor<'e> {
        let settings = self.settings;
        Executor {
            deploy,
            build: settings.build.as_ref(),
            clock: self.aws.clock(),
            terminal: self.terminal,
            timeline: &self.timeline,
            limits: Limits {
                concurrency: settings.concurrency,
                keep_going: settings.keep_going,
                create_only: settings.shard.is_some(),
                stop: self.stop.clone(),
                clock: self.aws.clock().clone(),
            },
            patience: settings.patience,
            verify: settings.verify.as_ref(),
            history_update: settings.history_update(),
            guard: CopyGuard::default(),
        }
    }

    /// A plan with when the first of the objects that left the source may be removed.
    fn with_orphans(&self, discovered: &Discovered, planned: Planned) -> Planned {
        Planned { orphans_go: self.orphans_go(discovered, &planned), ..planned }
    }

    /// When the first of the objects that left the source may be removed, if ever one is.
    fn orphans_go(&self, discovered: &Discovered, planned: &Planned) -> Option<Timestamp> {
        let PruneAfter::Seconds(age) = self.settings.prune_after else { return None };
        let orphans = planned.plan.changes.iter().filter(|change| matches!(change, Change::Orphan { .. }));
        let mut ours = orphans.filter(|change| change.reason() != Reason::Foreign).map(Change::key).peekable();
        ours.peek()?;
        let now = discovered.session.as_ref()?.now().as_second();
        let rows = ours.filter_map(|key| planned.index.row(key));
        let first = rows.filter_map(|row| row.orphaned).filter(|since| *since <= now).min();
        Timestamp::from_second(first.unwrap_or(now).saturating_add(age)).ok()
    }

    /// The contents of a report.
    fn end(&self, deploy: &str, discovered: &Discovered, planned: Planned, stage: Stage, done: Executed) -> Run {
        let now = discovered.session.as_ref().map(Session::now);
        let preview = self.settings.preview.as_ref().map(|preview| ReportedPreview {
            name: preview.new.name.clone(),
            expires: now.map(|now| preview.new.expires(now)),
        });
        let Planned { plan, orphans_go, recovered, refused, mut warnings, rules, .. } = planned;
        let Executed { outcomes, sent, verified, rules: rules_outcome, .. } = done;
        warnings.extend(done.warnings);
        warnings.extend(discovered.walk.warnings.iter().cloned());
        warnings.extend(discovered.viewers.warnings());
        let mut plan = Arc::unwrap_or_clone(plan);
        // Those of copies are known already.
        let uploads = plan.changes.iter().zip(outcomes.iter());
        let uploads = uploads.filter(|(change, _)| matches!(change, Change::Upload { .. }));
        let sent_without = uploads.filter(|(_, outcome)| outcome.has_other_charset());
        sent_without.for_each(|(change, _)| plan.other_charsets.add(change.key()));
        warnings.extend(plan.other_charsets.warning());
        let free = self.settings.policy.allowance.free;
        let allowance = discovered.session.as_ref().map(|session| session.paths(free));
        let allowance = allowance.map(|before| UsedPaths { used: before.used.saturating_add(sent.paths()), ..before });
        Run {
            deploy: deploy.to_owned(),
            source: self.settings.source.display().to_string(),
            target: self.settings.target.to_string(),
            url: discovered.viewers.url(self.settings.verify.as_ref().map(ToString::to_string).as_deref()),
            stage,
            changes: plan.changes,
            outcomes,
            kept: plan.kept,
            unknown: plan.unknown,
            problems: plan.problems,
            refused,
            hidden: discovered.walk.hidden.clone(),
            rules: rules.map(|rules| rules.report()).unwrap_or_default(),
            rules_failed: rules_outcome.error().map(|error| (error.clone(), rules_outcome.is_doubtful())),
            sent,
            recovered,
            verified,
            allowance,
            preview,
            orphans_go,
            holds_back: None,
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

/// Runs CPU-bound work where it does not delay the handling of AWS's responses.
async fn on_cores<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    rayon::spawn(move || drop(sender.send(work())));
    receiver.await.map_err(|_| Error::failed("reading or comparing the source failed"))
}

/// A new ID for each run, in chronological order: with a reused ID, CloudFront would treat a later invalidation as
/// a repetition.
pub fn new_deploy_id(clock: &Clock) -> String {
    let now = clock.now().strftime("%Y%m%dt%H%M%Sz");
    format!("{now}-{:08x}", fastrand::u32(..))
}
