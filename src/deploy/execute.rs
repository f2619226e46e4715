//! Carries out a plan: the waves, each behind a complete one, the invalidation of whatever landed, and the manifest
//! of what is then true. Deploys, shards and backfills are one executor with different plans.

use crate::cloudfront::send::{Patience, Sent, submit, wait};
use crate::deploy::apply::{self, Done, Limits};
use crate::deploy::change::{Change, ChangeOutcome};
use crate::deploy::discover::Discovered;
use crate::deploy::error_pages::ClearedErrorPages;
use crate::deploy::next_manifest::{NextManifest, landed_keys, late_keys};
use crate::deploy::planned::{Planned, items};
use crate::deploy::tagging::{self, EvictedByPath, UploadTags};
use crate::deploy::timeline::Timeline;
use crate::error::{ErrorKind, Result};
use crate::record::lease::CarryOver;
use crate::record::public_access;
use crate::record::session::{ActiveSession, Commit, Ending};
use crate::terminal::Terminal;
use shipfront_invalidation::{ChangedKey, DistributionId, Invalidation};
use shipfront_site::ObjectKind;

/// By what a plan is carried out.
pub(super) struct Executor<'a> {
    pub terminal: &'a Terminal,
    pub timeline: &'a Timeline,
    pub limits: Limits,
    pub patience: Patience,
}

/// A plan that is being carried out.
pub(super) struct Execution<'a> {
    executor: &'a Executor<'a>,
    deploy: &'a str,
    discovered: &'a Discovered,
    planned: &'a Planned,
    /// What became of each change, in the plan's order.
    outcomes: Vec<ChangeOutcome>,
    /// The distributions whose edges read cache tags.
    settled: Vec<DistributionId>,
    /// What CloudFront is told, as it was planned.
    items: Vec<Invalidation>,
    sent: Sent,
    warnings: Vec<String>,
}

/// What came of it.
pub(super) struct Executed<'e> {
    /// What became of each change, in the plan's order.
    pub outcomes: &'e [ChangeOutcome],
    /// Writes that were planned and are not done.
    pub left: u64,
    pub sent: Sent,
    pub warnings: Vec<String>,
    /// What is true now.
    pub next: NextManifest<'e>,
    /// Whether that is written; it counts only once the session names it.
    pub written: Result<()>,
}

impl<'a> Executor<'a> {
    /// Begins to carry out a plan.
    pub(super) fn begin(&'a self, deploy: &'a str, discovered: &'a Discovered, planned: &'a Planned) -> Execution<'a> {
        let outcomes = planned.plan.changes.iter().map(|_| ChangeOutcome::default()).collect();
        Execution {
            executor: self,
            deploy,
            discovered,
            planned,
            outcomes,
            settled: Vec::new(),
            items: Vec::new(),
            sent: Sent::default(),
            warnings: Vec::new(),
        }
    }

    /// Waits until CloudFront is done, if that is asked for.
    pub(super) async fn wait(&self, discovered: &Discovered, sent: &mut Sent) {
        if !sent.invalidations.is_empty() {
            let waiting = wait(&discovered.distributions, sent, self.patience, &self.limits.stop, self.terminal);
            self.timeline.during("wait", waiting).await;
        }
    }
}

impl Execution<'_> {
    /// Uploads, removes, invalidates, and writes the manifest of what is then true.
    pub(super) async fn carry_out(&mut self, session: Option<&ActiveSession>) -> Executed<'_> {
        self.settle_tags().await;
        self.upload(ObjectKind::Assets, "assets").await;
        self.retag().await;
        self.upload(ObjectKind::Pages, "pages").await;
        self.remove(false, "removals").await;
        self.items = self.items_of_what_landed();
        let is_late = self.planned.plan.removals(true).next().is_some();
        let early = is_late && self.is_complete(true);
        if early {
            self.sent = self.invalidate().await;
            if self.sent.failed.is_empty() {
                // No page that needs them is at the edge any more.
                self.remove(true, "late removals").await;
                self.invalidate_late().await;
            }
        }
        let (mut sent, mut warnings) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.warnings));
        let this = &*self;
        // While CloudFront answers: nobody reads the manifest before it is named. No write to the site is under way
        // beside it: what is in flight when a run dies may still land.
        let telling = async { if early { Sent::default() } else { this.invalidate().await } };
        let (now, (next, written), exposed) = tokio::join!(telling, this.write_manifest(session), this.public_record());
        sent.extend(now);
        warnings.extend(exposed);
        Executed { outcomes: &this.outcomes, left: this.left(), sent, warnings, next, written }
    }

    /// What became of each change, in the plan's order.
    pub(super) fn into_outcomes(self) -> Vec<ChangeOutcome> {
        self.outcomes
    }

    /// Finds out for which distributions copies may come to count as tagged.
    async fn settle_tags(&mut self) {
        if self.discovered.tagging.is_some() {
            let Discovered { distributions, viewers, .. } = self.discovered;
            let (settled, warnings) = tagging::settled(distributions, viewers, &self.planned.index).await;
            self.settled = settled;
            self.warnings.extend(warnings);
        }
    }

    /// Uploads what is of a kind, only behind what goes before it.
    async fn upload(&mut self, kind: ObjectKind, stage: &'static str) {
        let changes: Vec<usize> = self.planned.plan.uploads(kind).collect();
        if changes.is_empty() || kind == ObjectKind::Pages && !self.may_go_on() {
            return;
        }
        let bytes = changes.iter().map(|&at| self.planned.plan.changes[at].bytes()).sum();
        let Executor { terminal, timeline, limits, .. } = self.executor;
        let progress = terminal.transfer(stage, changes.len() as u64, bytes);
        let of = (&self.discovered.walk, &self.planned.plan);
        let uploading = apply::upload(&self.discovered.bucket, of, changes, self.tags(), limits.clone(), progress);
        let done = timeline.during(stage, uploading).await;
        self.note(done);
    }

    /// Puts cache tags on what is there.
    async fn retag(&mut self) {
        let changes: Vec<usize> = self.planned.plan.retags().collect();
        let Some(tags) = self.tags().filter(|_| !changes.is_empty()) else { return };
        let bytes = changes.iter().map(|&at| self.planned.plan.changes[at].bytes()).sum();
        let Executor { terminal, timeline, limits, .. } = self.executor;
        let progress = terminal.transfer("tagging", changes.len() as u64, bytes);
        let copying = apply::retag(&self.discovered.bucket, &self.planned.plan, changes, &tags, limits, &progress);
        let done = timeline.during("assets", copying).await;
        self.note(done);
    }

    fn tags(&self) -> Option<UploadTags> {
        self.discovered.tagging.clone().map(|tagging| UploadTags { tagging, deploy: self.deploy.to_owned() })
    }

    /// Deletes only when everything before it is done.
    async fn remove(&mut self, late: bool, stage: &'static str) {
        let changes: Vec<usize> = self.planned.plan.removals(late).collect();
        let stop = &self.executor.limits.stop;
        if changes.is_empty() || !self.is_complete(late) || stop.is_cancelled() {
            return;
        }
        let unchanged_only = self.discovered.session.is_some();
        let removing = apply::remove(&self.discovered.bucket, &self.planned.plan, changes, unchanged_only, stop);
        let done = self.executor.timeline.during(stage, removing).await;
        self.note(done);
    }

    fn note(&mut self, done: Done) {
        for (at, outcome) in done {
            self.outcomes[at] = outcome;
        }
    }

    /// Pages go up only behind complete assets; a file the person chose to leave out is no obstacle.
    fn may_go_on(&self) -> bool {
        let Limits { keep_going, stop, .. } = &self.executor.limits;
        let is_no_obstacle = |at: usize| match &self.outcomes[at] {
            ChangeOutcome::NotBegun => false,
            ChangeOutcome::Failed { error, .. } => *keep_going && error.kind() == ErrorKind::UnreadableFile,
            _ => true,
        };
        !stop.is_cancelled() && self.planned.plan.uploads(ObjectKind::Assets).all(is_no_obstacle)
    }

    /// Whether every write is done that comes before the removals, or, `late`, before the late ones.
    fn is_complete(&self, late: bool) -> bool {
        let is_before = |change: &Change| match change {
            Change::Upload { .. } | Change::Retag { .. } => true,
            Change::Remove { late: is_late, .. } => late && !is_late,
            Change::Evict { .. } | Change::Orphan { .. } => false,
        };
        let mut before = self.planned.plan.changes.iter().zip(&self.outcomes).filter(|(change, _)| is_before(change));
        before.all(|(_, outcome)| !matches!(outcome, ChangeOutcome::NotBegun | ChangeOutcome::Failed { .. }))
    }

    /// How many writes of the plan are not done.
    fn left(&self) -> u64 {
        let is_left = |(change, outcome): &(&Change, &ChangeOutcome)| {
            change.is_write() && matches!(outcome, ChangeOutcome::NotBegun | ChangeOutcome::Failed { .. })
        };
        self.planned.plan.changes.iter().zip(&self.outcomes).filter(is_left).count() as u64
    }

    /// The keys whose URLs answer otherwise by what landed.
    fn landed_keys(&self) -> Vec<ChangedKey<'_>> {
        let unfinished = self.discovered.unfinished().map(|unfinished| &**unfinished);
        landed_keys(&self.planned.plan, &self.outcomes, unfinished)
    }

    /// What CloudFront is told of what landed.
    fn items_of_what_landed(&self) -> Vec<Invalidation> {
        let is_done = |outcome: &ChangeOutcome| {
            matches!(outcome, ChangeOutcome::Uploaded(_) | ChangeOutcome::Removed | ChangeOutcome::Retagged(_))
        };
        let mut changes = self.planned.plan.changes.iter().zip(&self.outcomes);
        if changes.all(|(change, outcome)| !change.is_write() || is_done(outcome)) {
            return self.planned.items.clone();
        }
        items(self.discovered, self.planned, &self.landed_keys(), &[])
    }

    async fn invalidate(&self) -> Sent {
        let Executor { terminal, timeline, patience, .. } = self.executor;
        let sending = submit(&self.discovered.distributions, self.deploy, self.items.clone(), *patience, terminal);
        timeline.during("invalidate", sending).await
    }

    /// Tells CloudFront about what was removed after it had heard of everything else.
    async fn invalidate_late(&mut self) {
        let others = self.planned.plan.changes.iter();
        let others = others.filter(|change| matches!(change, Change::Upload { .. } | Change::Evict { .. }));
        let others: Vec<&str> = others.map(Change::key).collect();
        let items = items(self.discovered, self.planned, &late_keys(&self.planned.plan, &self.outcomes), &others);
        let id = format!("{}-late", self.deploy);
        let Executor { terminal, patience, .. } = self.executor;
        let sent = submit(&self.discovered.distributions, &id, items, *patience, terminal).await;
        self.sent.extend(sent);
    }

    /// What to tell the person if viewers may read the record.
    async fn public_record(&self) -> Option<String> {
        let session = self.discovered.session.as_ref()?;
        public_access::warning(session.record(), &self.discovered.bucket, &self.discovered.viewers).await
    }

    /// Writes the manifest of what is there now, and of what is true once CloudFront was told.
    async fn write_manifest(&self, session: Option<&ActiveSession>) -> (NextManifest<'_>, Result<()>) {
        // Until then nobody else wrote what was uploaded: it matters for how sure tags are.
        let as_of = match session.filter(|_| self.discovered.tagging.is_some()) {
            Some(session) => session.now().await.map(|now| now.as_second()),
            None => None,
        };
        let changed = self.landed_keys().iter().map(|changed| changed.key).collect();
        let Discovered { viewers, tagging, walk, .. } = self.discovered;
        let evicted = EvictedByPath::new(viewers, tagging.as_deref(), &self.settled, as_of, &self.items, changed);
        let Planned { plan, index, .. } = self.planned;
        let cleared = ClearedErrorPages::new(viewers, &walk.entries, &self.items);
        let next = NextManifest { index, entries: &walk.entries, plan, outcomes: &self.outcomes, evicted, cleared };
        let written = match session {
            Some(session) => session.write_manifest(next.rows()).await,
            None => Ok(()),
        };
        (next, written)
    }
}

impl Executed<'_> {
    /// Ends the session: the manifest becomes the current one, unless CloudFront was not told.
    /// `interrupted` is whether a signal had come by the time that nothing more was begun.
    pub(super) async fn close(&mut self, session: ActiveSession, carry_over: CarryOver<'_>, interrupted: bool) {
        let count = |is_meant: fn(&ChangeOutcome) -> bool| self.outcomes.iter().filter(|o| is_meant(o)).count() as u64;
        let uploaded = count(|outcome| matches!(outcome, ChangeOutcome::Uploaded(_) | ChangeOutcome::Retagged(_)));
        let removed = count(|outcome| matches!(outcome, ChangeOutcome::Removed));
        let written = std::mem::replace(&mut self.written, Ok(()));
        let paths = self.sent.paths();
        let ending = match self.sent.failed.is_empty() {
            true => {
                let interrupted = interrupted && self.left > 0;
                let left = self.left;
                session.commit(written, Commit { uploaded, removed, left, interrupted, paths, carry_over }).await
            }
            false => session.abandon(paths).await,
        };
        match ending {
            Ending::Recorded => {}
            Ending::Outdated(warning) => self.sent.warnings.push(warning),
            Ending::TakenOver(error) => self.sent.failed.push(error),
        }
    }

    /// Whether it is unknown of some write whether it landed: the next run then needs the whole plan.
    pub(super) fn is_doubtful(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome, ChangeOutcome::Failed { may_have_landed: true, .. }))
    }
}
