//! The writes of a plan, in order: the waves, each after a complete one, the invalidation of everything that was
//! changed, and the manifest of the result.

use crate::cloudfront::send::{STOPPING, Sent, submit};
use crate::deploy::apply::{self, Done, IN_FLIGHT, Limits};
use crate::deploy::change::{Change, ChangeOutcome};
use crate::deploy::copies;
use crate::deploy::discover::Discovered;
use crate::deploy::error_pages::{self, ClearedErrorPages};
use crate::deploy::executor::Executor;
use crate::deploy::next_manifest::{NextManifest, affected_keys, removed_late};
use crate::deploy::outcomes::Outcomes;
use crate::deploy::planned::{Planned, items, late_items};
use crate::deploy::publish::{self, Drafts, RulesOutcome};
use crate::deploy::tagging::{self, EvictedByPath, UploadTags};
use crate::deploy::verify::{Chooser, Sample};
use crate::error::{Error, ErrorKind, Result};
use crate::record::history::Rows;
use crate::record::manifest::Manifest;
use crate::record::public_access;
use crate::record::session::ActiveSession;
use shipfront_invalidation::{ChangedKey, DistributionId, Invalidation};
use shipfront_site::ObjectKind;
use shipfront_site::Warning;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Time limit of the check whether viewers can read the record.
const LOOKING: Duration = Duration::from_secs(30);
/// Time limit of each of the last writes to the record after a signal.
pub(super) const LAST_WRITES: Duration = Duration::from_secs(2);

/// A plan that is being carried out.
pub(super) struct Execution<'a> {
    executor: &'a Executor<'a>,
    discovered: &'a Discovered,
    planned: &'a Planned,
    /// What was last deployed.
    index: Arc<Manifest>,
    /// The outcome of each change, in the plan's order.
    outcomes: Outcomes,
    /// The distributions whose edge locations read cache tags.
    settled: Vec<DistributionId>,
    /// The planned invalidations.
    items: Vec<Invalidation>,
    /// Whether a copy of an object to be replaced or removed could not be kept.
    is_unkept: bool,
    /// Number of copies that could not be made and were uploaded instead, and why the first failed.
    uncopied: (usize, Option<String>),
    sent: Sent,
    warnings: Vec<Warning>,
    /// The code that is ready to be published.
    drafts: Drafts,
    rules: RulesOutcome,
}

/// The result of the writes.
pub(super) struct CarriedOut {
    /// The outcome of each change, in the plan's order.
    pub outcomes: Outcomes,
    /// Number of planned writes that are not done.
    pub left: u64,
    pub sent: Sent,
    pub warnings: Vec<Warning>,
    /// Figures about the new manifest, if it is written; it counts only once the session names it.
    pub written: Result<Rows>,
    /// The URLs for `--verify`.
    pub sample: Option<Sample>,
    /// The outcome for the rules.
    pub rules: RulesOutcome,
}

impl<'a> Execution<'a> {
    /// Prepares the execution of a plan.
    pub(super) fn new(
        executor: &'a Executor<'a>,
        discovered: &'a Discovered,
        (planned, index): (&'a Planned, Arc<Manifest>),
        drafts: Drafts,
    ) -> Execution<'a> {
        Execution {
            executor,
            discovered,
            planned,
            index,
            outcomes: planned.untouched(),
            settled: Vec::new(),
            items: Vec::new(),
            is_unkept: false,
            uncopied: (0, None),
            sent: Sent::default(),
            warnings: Vec::new(),
            rules: if drafts.is_empty() { RulesOutcome::Nothing } else { RulesOutcome::NotBegun },
            drafts,
        }
    }

    /// Uploads, removes, invalidates, and writes the manifest of the result.
    pub(super) async fn carry_out(mut self, session: Option<&ActiveSession>) -> CarriedOut {
        Box::pin(self.settle_tags()).await;
        Box::pin(self.keep_copies(session)).await;
        Box::pin(self.upload(ObjectKind::Assets, "assets")).await;
        Box::pin(self.copy(ObjectKind::Assets, "assets")).await;
        Box::pin(self.retag()).await;
        Box::pin(self.upload(ObjectKind::Pages, "pages")).await;
        Box::pin(self.copy(ObjectKind::Pages, "pages")).await;
        self.warnings.extend(self.uncopied());
        Box::pin(self.publish()).await;
        Box::pin(self.remove(false, "removals")).await;
        self.items = self.affected_items();
        let is_late = self.planned.plan.removals(true).next().is_some();
        let early = is_late && self.is_complete(true);
        if early {
            self.sent = Box::pin(self.invalidate()).await;
            if self.sent.failed.is_empty() {
                // No page that needs them is left at the edge.
                Box::pin(self.remove(true, "late removals")).await;
                Box::pin(self.invalidate_late()).await;
            }
        }
        let (mut sent, mut warnings) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.warnings));
        let index = std::mem::take(&mut self.index);
        let this = &self;
        // While CloudFront responds: nobody reads the manifest before it is named. No write to the site is in
        // progress at the same time: requests in flight may still take effect after a run dies.
        let invalidating = async { if early { Sent::default() } else { Box::pin(this.invalidate()).await } };
        let Limits { clock, stop, .. } = &this.executor.limits;
        let limit = if early { LAST_WRITES } else { STOPPING };
        let looking = clock.timeout_after(stop, limit, Box::pin(this.public_record()));
        let writing = clock.timeout_after(stop, limit, Box::pin(this.write_manifest(session, index)));
        let (now, written, exposed) = tokio::join!(invalidating, writing, looking);
        let cut_off = || (Err(Error::interrupted("interrupted before S3 took the manifest")), None);
        let ((written, sample), exposed) = (written.unwrap_or_else(cut_off), exposed.flatten());
        sent.extend(now);
        sent.failed.extend(self.discovered.withheld());
        warnings.extend(exposed);
        let left = self.left();
        CarriedOut { outcomes: self.outcomes, left, sent, warnings, written, sample, rules: self.rules }
    }

    /// Determines for which distributions copies may begin to count as tagged.
    async fn settle_tags(&mut self) {
        if self.discovered.tagging.is_some() {
            let Discovered { distributions, viewers, .. } = self.discovered;
            let Limits { clock, stop, .. } = &self.executor.limits;
            let settling = tagging::settled(distributions, viewers, &self.index);
            // Without a response, copies count as untagged.
            if let Some((settled, warnings)) = clock.timeout_after(stop, IN_FLIGHT, settling).await {
                self.settled = settled;
                self.warnings.extend(warnings);
            }
        }
    }

    /// Uploads the objects of a kind, only if everything before it is complete.
    async fn upload(&mut self, kind: ObjectKind, stage: &'static str) {
        let changes: Vec<usize> = self.planned.plan.uploads(kind).collect();
        if !changes.is_empty() && self.may_begin(kind) {
            self.send(changes, stage).await;
        }
    }

    async fn send(&mut self, changes: Vec<usize>, stage: &'static str) {
        let bytes = changes.iter().map(|&at| self.planned.plan.changes[at].bytes()).sum();
        let Executor { terminal, timeline, limits, .. } = self.executor;
        let progress = terminal.transfer(stage, changes.len() as u64, bytes);
        let of = (&self.discovered.walk, &self.planned.plan);
        let changes = (changes, std::mem::take(&mut self.outcomes));
        let uploading = apply::upload(&self.discovered.bucket, of, changes, self.tags(), limits.clone(), progress);
        self.outcomes = timeline.during(stage, uploading).await;
    }

    /// Restores the objects of a kind, only if everything before it is complete.
    async fn copy(&mut self, kind: ObjectKind, stage: &'static str) {
        let changes: Vec<usize> = self.planned.plan.copies(kind).collect();
        if changes.is_empty() || !self.may_begin(kind) {
            return;
        }
        let bytes = changes.iter().map(|&at| self.planned.plan.changes[at].bytes()).sum();
        let Executor { terminal, timeline, limits, guard, .. } = self.executor;
        let progress = terminal.transfer(stage, changes.len() as u64, bytes);
        let of = (&self.discovered.bucket, &self.planned.plan);
        let changes = (changes, std::mem::take(&mut self.outcomes));
        let restoring = copies::restore(of, changes, guard, limits.clone(), progress);
        let (outcomes, warning) = timeline.during(stage, Box::pin(restoring)).await;
        self.outcomes = outcomes;
        self.warnings.extend(warning.filter(|warning| !self.warnings.contains(warning)));
        self.upload_instead(kind, stage).await;
    }

    /// Uploads the files of copies that could not be made.
    async fn upload_instead(&mut self, kind: ObjectKind, stage: &'static str) {
        let plan = &self.planned.plan;
        let is_left = |at: &usize| {
            let is_done = matches!(*self.outcomes.get(*at), ChangeOutcome::Copied(_));
            !is_done && plan.changes[*at].entry().is_some()
        };
        let changes: Vec<usize> = plan.copies(kind).filter(is_left).collect();
        if changes.is_empty() || self.executor.limits.stop.is_cancelled() {
            return;
        }
        let why = changes.iter().find_map(|at| match &*self.outcomes.get(*at) {
            ChangeOutcome::Failed { error, .. } => Some(error.to_string()),
            _ => None,
        });
        self.uncopied = (self.uncopied.0 + changes.len(), self.uncopied.1.take().or(why));
        self.send(changes, stage).await;
    }

    /// A warning about the copies that could not be made, if there are any.
    fn uncopied(&self) -> Option<Warning> {
        let (count, why) = &self.uncopied;
        let objects = if *count == 1 { "1 object was".to_owned() } else { format!("{count} objects were") };
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let notice = format!("{objects} uploaded because a copy could not be made{why}");
        (*count > 0).then(|| Warning::new(notice, "nothing is missing; the next deploy copies again where it can"))
    }

    /// Keeps copies of objects that are about to be replaced or removed, if the bucket keeps no versions of them.
    /// Without these copies, nothing else starts.
    async fn keep_copies(&mut self, session: Option<&ActiveSession>) {
        let Some(session) = session.filter(|_| self.executor.history_update.keeps_copies) else { return };
        let Executor { timeline, limits, .. } = self.executor;
        let of = (&*self.planned.plan, &*self.index);
        let keeping = copies::keep(&self.discovered.bucket, session, of, limits);
        let (failed, is_complete) = timeline.during("keep", Box::pin(keeping)).await;
        self.is_unkept = !is_complete;
        self.note(failed);
    }

    /// Adds cache tags to existing objects.
    async fn retag(&mut self) {
        let changes: Vec<usize> = self.planned.plan.retags().collect();
        let Some(tags) = self.tags().filter(|_| !changes.is_empty()) else { return };
        let bytes = changes.iter().map(|&at| self.planned.plan.changes[at].bytes()).sum();
        let Executor { terminal, timeline, limits, .. } = self.executor;
        let progress = terminal.transfer("tagging", changes.len() as u64, bytes);
        let (plan, changes) = (&self.planned.plan, (changes, std::mem::take(&mut self.outcomes)));
        let copying = apply::retag(&self.discovered.bucket, plan, changes, tags, limits.clone(), progress);
        self.outcomes = timeline.during("assets", copying).await;
    }

    /// Publishes the rules, once everything that they may lead to is there.
    async fn publish(&mut self) {
        let Executor { timeline, limits, .. } = self.executor;
        if self.drafts.is_empty() || !self.has_uploaded_all() || limits.stop.is_cancelled() {
            return;
        }
        let distributions = &self.discovered.distributions;
        let arriving = timeline.during("rules", self.drafts.let_keys_arrive(distributions));
        if limits.clock.timeout_after(&limits.stop, Duration::ZERO, arriving).await.is_none() {
            return;
        }
        let publishing = publish::publish(&self.drafts, distributions);
        self.rules = match timeline.during("rules", publishing).await {
            Ok(()) => RulesOutcome::Published,
            Err(error) => RulesOutcome::Failed(error),
        };
    }

    fn tags(&self) -> Option<UploadTags> {
        self.discovered.tagging.clone().map(|tagging| UploadTags { tagging, deploy: self.executor.deploy.to_owned() })
    }

    /// Deletes only if everything before it is done.
    async fn remove(&mut self, late: bool, stage: &'static str) {
        let changes: Vec<usize> = self.planned.plan.removals(late).collect();
        let stop = &self.executor.limits.stop;
        if changes.is_empty() || self.is_unkept || !self.is_complete(late) || stop.is_cancelled() {
            return;
        }
        let unchanged_only = self.discovered.session.is_some();
        let limits = &self.executor.limits;
        let of = (changes, &mut self.outcomes);
        let removing = apply::remove(&self.discovered.bucket, &self.planned.plan, of, unchanged_only, limits);
        self.executor.timeline.during(stage, removing).await;
    }

    fn note(&mut self, done: Done) {
        for (at, outcome) in done {
            self.outcomes.set(at, outcome);
        }
    }

    /// Pages are uploaded only after complete assets; a file that the user chose to leave out is no obstacle.
    /// Nothing starts without the copies that must be kept.
    fn may_begin(&self, kind: ObjectKind) -> bool {
        !self.is_unkept && (kind == ObjectKind::Assets || self.may_go_on())
    }

    fn may_go_on(&self) -> bool {
        let Limits { keep_going, stop, .. } = &self.executor.limits;
        let is_no_obstacle = |at: usize| match &*self.outcomes.get(at) {
            ChangeOutcome::NotBegun => false,
            ChangeOutcome::Failed { error, .. } => *keep_going && error.kind() == ErrorKind::UnreadableFile,
            _ => true,
        };
        let plan = &self.planned.plan;
        let mut assets = plan.uploads(ObjectKind::Assets).chain(plan.copies(ObjectKind::Assets));
        !stop.is_cancelled() && assets.all(is_no_obstacle)
    }

    /// Whether all writes before the removals, or with `late`, before the late ones, are done.
    fn is_complete(&self, late: bool) -> bool {
        self.rules.is_done() && self.is_done_before(late)
    }

    /// Whether every upload is done.
    fn has_uploaded_all(&self) -> bool {
        self.is_done_before(false)
    }

    fn is_done_before(&self, late: bool) -> bool {
        let is_before = |change: &Change| match change {
            Change::Upload { .. } | Change::Retag { .. } | Change::Copy { .. } => true,
            Change::Remove { late: is_late, .. } => late && !is_late,
            Change::Evict { .. } | Change::Orphan { .. } => false,
        };
        let mut before =
            self.planned.plan.changes.iter().zip(self.outcomes.iter()).filter(|(change, _)| is_before(change));
        before.all(|(_, outcome)| !matches!(*outcome, ChangeOutcome::NotBegun | ChangeOutcome::Failed { .. }))
    }

    /// Number of planned writes that are not done.
    fn left(&self) -> u64 {
        let is_left = |(change, outcome): &(&Change, Cow<'_, ChangeOutcome>)| {
            change.is_write() && matches!(**outcome, ChangeOutcome::NotBegun | ChangeOutcome::Failed { .. })
        };
        self.planned.plan.changes.iter().zip(self.outcomes.iter()).filter(is_left).count() as u64
    }

    /// The keys whose URLs answer differently because of the changes that were made.
    fn affected_keys(&self) -> Vec<ChangedKey<'_>> {
        let unfinished = self.discovered.unfinished().map(|unfinished| &**unfinished);
        let rule_keys = if self.rules.may_have_succeeded() { self.planned.rule_keys() } else { &[] };
        affected_keys(&self.planned.plan, &self.outcomes, unfinished, rule_keys)
    }

    /// What CloudFront must invalidate for the changes that were made.
    fn affected_items(&self) -> Vec<Invalidation> {
        let is_done = |outcome: &ChangeOutcome| {
            use ChangeOutcome::{Copied, Removed, Retagged, Uploaded};
            matches!(outcome, Uploaded(_) | Removed | Retagged(_) | Copied(_))
        };
        let is_later = |change: &Change| matches!(change, Change::Remove { late: true, .. });
        let mut changes = self.planned.plan.changes.iter().zip(self.outcomes.iter());
        let all_done = changes.all(|(change, outcome)| !change.is_write() || is_later(change) || is_done(&outcome));
        if all_done && self.rules.may_have_succeeded() {
            return self.planned.items.clone();
        }
        items(self.discovered, (self.planned, &self.index), &self.affected_keys())
    }

    async fn invalidate(&self) -> Sent {
        let Executor { deploy, terminal, timeline, patience, limits, .. } = self.executor;
        let (to, items) = (&self.discovered.distributions, self.items.clone());
        let sending = submit(to, deploy, items, *patience, &limits.stop, terminal);
        timeline.during("invalidate", sending).await
    }

    /// Invalidates what was removed after the invalidation of everything else.
    async fn invalidate_late(&mut self) {
        let removed = removed_late(&self.planned.plan, &self.outcomes);
        let items = late_items(self.discovered, (self.planned, &self.index), &self.items, &removed);
        let id = format!("{}-late", self.executor.deploy);
        let Executor { terminal, patience, limits, .. } = self.executor;
        let sent = submit(&self.discovered.distributions, &id, items, *patience, &limits.stop, terminal).await;
        self.sent.extend(sent);
    }

    /// A warning if viewers may read the record.
    async fn public_record(&self) -> Option<Warning> {
        let session = self.discovered.session.as_ref()?;
        let looking = public_access::warning(session.record(), &self.discovered.bucket, &self.discovered.viewers);
        // Every deploy checks this, and none waits long for it.
        self.executor.clock.timeout(LOOKING, looking).await.flatten()
    }

    /// Writes the manifest of what exists now, and of what will be true once CloudFront has accepted the
    /// invalidation. Chooses the URLs for `--verify` while its rows are written. What was last deployed is freed as it is
    /// read: the new manifest takes as much memory.
    async fn write_manifest(
        &self,
        session: Option<&ActiveSession>,
        index: Arc<Manifest>,
    ) -> (Result<Rows>, Option<Sample>) {
        let Discovered { viewers, tagging, walk, .. } = self.discovered;
        let plan = &self.planned.plan;
        let mut changes = plan.changes.iter();
        // Until then, nobody else wrote the uploaded objects: that decides how certain tags are, and how long error
        // pages stay.
        let matters = tagging.is_some() || changes.any(|change| error_pages::is_written(plan, change, &walk.entries));
        let as_of = match session.filter(|_| matters) {
            Some(session) => session.now().await.map(|now| now.as_second()),
            None => None,
        };
        // It matters only if copies may begin to count as tagged.
        let changed = if self.settled.is_empty() { Vec::new() } else { self.affected_keys() };
        let changed = changed.iter().map(|changed| changed.key).collect();
        let evicted = EvictedByPath::new(viewers, tagging.as_deref(), &self.settled, as_of, &self.items, changed);
        let rules = self.planned.rules.as_ref().filter(|_| self.rules.is_done()).map(|rules| &rules.recorded);
        let cleared = ClearedErrorPages::new(viewers, &walk.entries, &self.items);
        let next = NextManifest { entries: &walk.entries, plan, outcomes: &self.outcomes, evicted, cleared, as_of };
        let last = Arc::unwrap_or_clone(index).into_rows();
        let id = self.discovered.verified.as_ref().filter(|_| self.executor.verify.is_some());
        let Some(id) = id else {
            return match session {
                Some(session) => {
                    let mut counted = Rows::default();
                    let rows = next.rows(last).inspect(|(_, row)| counted.count(row));
                    (session.write_manifest(rows, rules).await.map(|()| counted), None)
                }
                None => (Ok(Rows::default()), None),
            };
        };
        let mut chooser = Chooser::new(self.discovered, id, plan, &self.outcomes);
        let mut counted = Rows::default();
        let mut rows = next.rows(last).inspect(|(key, row)| {
            counted.count(row);
            chooser.see(key, row);
        });
        let written = match session {
            Some(session) => session.write_manifest(rows.by_ref(), rules).await,
            None => Ok(()),
        };
        // The rows that were not written.
        rows.for_each(drop);
        (written.map(|()| counted), Some(chooser.finish()))
    }
}
