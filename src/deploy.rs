//! The recipe of a deploy, in order. `plan` is the same recipe stopped before the first write.

pub mod apply;
pub mod backfill;
mod body;
mod compare;
pub mod diff;
mod discover;
pub mod hash;
pub mod head_check;
pub mod headers_and_redirects;
pub mod list;
mod lock;
pub mod manifest_index;
mod next_manifest;
pub mod plan;
pub mod settings;
pub mod shard;
pub mod tagging;
pub mod timeline;
pub mod verify;
pub mod walk;

use crate::aws::Aws;
use crate::cloudfront::send::{Sent, submit, wait};
use crate::deploy::discover::Discovered;
use crate::deploy::lock::{Turn, lost_lease};
use crate::deploy::manifest_index::ManifestIndex;
use crate::deploy::next_manifest::{
    changed_keys, changed_rows, landed, landed_keys, next_rows, removed_keys, written_until,
};
use crate::error::{Error, ErrorKind, Result};
use crate::record::lease::{CarryOver, Lease};
use crate::record::public_access;
use crate::report::{Recovered, Report, Seconds};
use crate::terminal::Terminal;
use apply::{Applied, Limits};
use compare::Compared;
use plan::{Action, Change, Plan, Wave};
pub use settings::Settings;
use shipfront_invalidation::ChangedKey;
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::Invalidation;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tagging::{EvictedByPath, UploadTags};
use timeline::Timeline;
use tokio_util::sync::CancellationToken;
use verify::Verified;

/// One run: its settings and the world it runs in.
#[derive(Debug)]
pub struct Deploy<'a> {
    /// What to do.
    pub settings: &'a Settings,
    /// As whom.
    pub aws: &'a Aws,
    /// Where to speak.
    pub terminal: &'a Terminal,
    /// Set by a signal.
    pub stop: CancellationToken,
}

/// What is to be done about what was found.
struct Decided {
    plan: Plan,
    /// What the edge was last told.
    told: Arc<ManifestIndex>,
    /// Whether the record differs from what is there in ways that no viewer sees.
    record_differs: bool,
    recovered: Option<Recovered>,
    warnings: Vec<String>,
    /// The distributions whose edges read cache tags.
    settled: Vec<DistributionId>,
    seconds: Seconds,
    timeline: Timeline,
}

/// What came of the writing part.
struct Done {
    applied: Applied,
    sent: Sent,
    /// Whether the manifest of it is written.
    recorded: Result<()>,
    /// What to tell the person if viewers may read the record.
    exposed: Option<String>,
}

impl Decided {
    fn has_pending(&self, key: &str) -> bool {
        let at = self.plan.changes.binary_search_by(|change| change.key.as_str().cmp(key));
        at.is_ok_and(|at| self.plan.changes[at].is_visible())
    }

    /// Whether nothing in the bucket, at the edge or in the record is to change.
    fn is_empty(&self) -> bool {
        self.plan.is_empty() && !self.record_differs && self.recovered.is_none()
    }
}

impl Deploy<'_> {
    /// Decides what a deploy would do, and writes nothing.
    pub async fn plan(&self) -> Result<Report> {
        if let Some(shard) = self.settings.shard {
            return self.run_shard(shard, true).await;
        }
        let started = Instant::now();
        let mut discovered = self.discover().await?;
        if let Some(error) = self.superseded(discovered.record.as_ref().map(|(_, snapshot)| snapshot)) {
            return Err(error);
        }
        let decided = self.decide(&mut discovered, started).await?;
        let changed = changed_keys(&discovered, &decided.plan, |_| true);
        let invalidations = self.items(&discovered, &decided, &changed, &[]);
        let mut report = self.report(new_deploy_id(), &discovered, decided, invalidations);
        if let Some(holder) = discovered.record.as_ref().and_then(|(_, snapshot)| snapshot.holder()) {
            report.warnings.push(format!("{} is deploying: the plan may be another one when it is done", holder.owner));
        }
        report.seconds.total = started.elapsed().as_secs_f64();
        report.count_cost(discovered.record.as_ref().map(|(_, snapshot)| snapshot.is_new()));
        Ok(report)
    }

    /// Makes the target what the source is, and tells CloudFront what changed.
    pub async fn run(&self) -> Result<Report> {
        if let Some(shard) = self.settings.shard {
            return self.run_shard(shard, false).await;
        }
        let started = Instant::now();
        let deploy = new_deploy_id();
        loop {
            let mut discovered = self.discover().await?;
            self.guard_order(&mut discovered).await?;
            if self.stop.is_cancelled() {
                return Err(Error::interrupted("interrupted; nothing was changed"));
            }
            if self.wait_for_turn(&discovered, started).await? {
                continue;
            }
            let decided = self.decide(&mut discovered, started).await?;
            if decided.is_empty() {
                if !self.note_build(&mut discovered).await? {
                    continue;
                }
                return Ok(self.nothing_to_do(deploy, &discovered, decided, started));
            }
            let outcome = match self.take_turn(&discovered, &decided, &deploy).await? {
                Turn::LookAgain => continue,
                Turn::Unrecorded => self.carry_out(deploy, discovered, decided, None).await,
                Turn::Leased(lease) => self.carry_out(deploy, discovered, decided, Some(lease)).await,
            };
            return outcome.map(|mut report| {
                report.seconds.total = started.elapsed().as_secs_f64();
                report.requests = self.aws.requests();
                report.concurrency = self.aws.concurrency();
                report.count_cost(None);
                report
            });
        }
    }

    /// Compares, decides and guards.
    async fn decide(&self, discovered: &mut Discovered, started: Instant) -> Result<Decided> {
        let settings = self.settings;
        let mut timeline = Timeline::since(started);
        timeline.took("walk", discovered.began, Duration::from_secs_f64(discovered.walk_seconds));
        let manifest = discovered.take_manifest();
        let has_manifest = manifest.is_some();
        let comparing = Instant::now();
        let Compared { mut plan, told, warning, seconds } = self.compare(discovered, manifest).await?;
        timeline.took("list", comparing, Duration::from_secs_f64(seconds.list));
        timeline.ends("compare", comparing);
        let mut warnings: Vec<String> = warning.into_iter().collect();
        self.guard_problems(&plan.problems)?;
        plan.guard(settings.max_delete, settings.prune_after)?;
        plan.problems.splice(0..0, discovered.walk.problems.iter().cloned());
        let record_differs = discovered.record.is_some() && (!has_manifest || !plan.rows.is_empty());
        let recovered = discovered
            .unfinished()
            .map(|unfinished| Recovered { deploy: unfinished.deploy.clone(), keys: unfinished.pending.len() as u64 });
        if !plan.is_empty() {
            warnings.extend(tagging::resets(&discovered.viewers, &told));
        }
        Ok(Decided { plan, told, record_differs, recovered, warnings, settled: Vec::new(), seconds, timeline })
    }

    /// A run that finds nothing to do writes nothing, unless its build is newer than the one recorded:
    /// without that, a slow older build would win later. `false` if another deploy came in between.
    async fn note_build(&self, discovered: &mut Discovered) -> Result<bool> {
        match (discovered.record.take(), &self.settings.build) {
            (Some((record, snapshot)), Some(build)) if snapshot.state.is_older_than(Some(build)) => {
                record.note_build(snapshot, build.clone()).await
            }
            _ => Ok(true),
        }
    }

    fn nothing_to_do(&self, deploy: String, discovered: &Discovered, decided: Decided, started: Instant) -> Report {
        let mut report = self.report(deploy, discovered, decided, Vec::new());
        report.complete(&Applied::default(), Sent::default(), self.stop.is_cancelled());
        report.seconds.total = started.elapsed().as_secs_f64();
        report.count_cost(None);
        report
    }

    /// Uploads, removes, invalidates and writes down what is now true.
    async fn carry_out(
        &self,
        deploy: String,
        discovered: Discovered,
        mut decided: Decided,
        lease: Option<Lease>,
    ) -> Result<Report> {
        let (mut seconds, mut timeline) = (decided.seconds, decided.timeline.clone());
        if discovered.tagging.is_some() {
            let (settled, warnings) =
                tagging::settled(&discovered.distributions, &discovered.viewers, &decided.told).await;
            decided.settled = settled;
            decided.warnings.extend(warnings);
        }
        let work = self.write_and_tell(&deploy, &discovered, &decided, lease.as_ref(), &mut seconds, &mut timeline);
        let Done { applied, mut sent, recorded, exposed } = match &lease {
            None => work.await,
            Some(lease) => tokio::select! {
                done = work => done,
                () = lease.lost() => return Err(lost_lease()),
            },
        };
        // A signal after this point interrupts nothing but the waiting.
        let interrupted = self.stop.is_cancelled();
        let waiting = Instant::now();
        // What viewers get is looked at under the lease, so that the record can tell the next deploy.
        let look = self.settings.verify.is_some() && sent.failed.is_empty() && !interrupted;
        let mut verified = None;
        if look {
            wait(&discovered.distributions, &mut sent, self.settings.patience, &self.stop, self.terminal).await;
            let nothing_new = EvictedByPath::new(&discovered.viewers, None, &[], None, &[], HashSet::new());
            let (landed, changed) = (landed(&applied), changed_rows(&decided.plan, &applied, &nothing_new));
            let rows = next_rows(decided.told.rows(&discovered.walk.files), &changed);
            verified = self.verify(&discovered, &decided.plan, &landed, rows).await;
        }
        if let Some(lease) = lease {
            let recording = Instant::now();
            self.give_back(lease, &discovered, &decided.plan, (&applied, recorded), verified.as_ref(), &mut sent).await;
            timeline.ends("record", recording);
        }
        if !look {
            wait(&discovered.distributions, &mut sent, self.settings.patience, &self.stop, self.terminal).await;
        }
        seconds.invalidate += waiting.elapsed().as_secs_f64();
        if !sent.invalidations.is_empty() {
            timeline.ends("wait", waiting);
        }
        let mut report = self.report(deploy, &discovered, Decided { seconds, timeline, ..decided }, Vec::new());
        report.complete(&applied, sent, interrupted);
        report.warnings.extend(exposed);
        match verified {
            Some(verified) => report.verify(verified, discovered.record.is_some()),
            None if self.settings.verify.is_some() => {
                report.warnings.push("what viewers get was not verified".to_owned())
            }
            None => {}
        }
        Ok(report)
    }

    /// The waves, each behind a complete one, the invalidation of whatever landed, and what is then true.
    async fn write_and_tell(
        &self,
        deploy: &str,
        discovered: &Discovered,
        decided: &Decided,
        lease: Option<&Lease>,
        seconds: &mut Seconds,
        timeline: &mut Timeline,
    ) -> Done {
        let plan = &decided.plan;
        let applying = Instant::now();
        let mut applied = self.upload(deploy, discovered, plan, Wave::Assets, timeline).await;
        if self.may_go_on(&applied) {
            applied.extend(self.upload(deploy, discovered, plan, Wave::Pages, timeline).await);
        } else {
            applied.left += plan.uploads(Wave::Pages).count() as u64;
        }
        self.remove(discovered, plan, false, &mut applied, timeline).await;
        seconds.apply = applying.elapsed().as_secs_f64();

        let invalidating = Instant::now();
        let late = plan.removals(true).count() as u64;
        let planned = self.items(discovered, decided, &landed_keys(discovered, plan, &applied), &[]);
        let told = planned.clone();
        let tell = async {
            let sent = submit(&discovered.distributions, deploy, planned, self.settings.patience, self.terminal).await;
            timeline.ends("invalidate", invalidating);
            sent
        };
        // No write to the site is under way beside it: what is in flight when a run dies may still land.
        let exposed = exposed_record(discovered);
        let (sent, recorded, exposed) = if late > 0 && applied.is_complete() {
            let (mut sent, exposed) = tokio::join!(tell, exposed);
            if sent.failed.is_empty() {
                // No page that needs them is at the edge any more.
                let mut late = Applied::default();
                self.remove(discovered, plan, true, &mut late, timeline).await;
                sent.extend(self.tell_late(discovered, decided, &late, deploy).await);
                applied.extend(late);
            }
            (sent, self.write_manifest(lease, discovered, decided, &applied, &told).await, exposed)
        } else {
            // A page that did not go up, or did not go, may still need them.
            applied.left += late;
            // While CloudFront answers: nobody reads it before it is named.
            tokio::join!(tell, self.write_manifest(lease, discovered, decided, &applied, &told), exposed)
        };
        seconds.invalidate = invalidating.elapsed().as_secs_f64();
        Done { applied, sent, recorded, exposed }
    }

    /// Writes the manifest of what is there now, and of what is true once CloudFront was told.
    async fn write_manifest(
        &self,
        lease: Option<&Lease>,
        discovered: &Discovered,
        decided: &Decided,
        applied: &Applied,
        told: &[Invalidation],
    ) -> Result<()> {
        let Some(lease) = lease else { return Ok(()) };
        let evicted_by_path =
            landed_keys(discovered, &decided.plan, applied).iter().map(|changed| changed.key).collect();
        let evicted_by_path = EvictedByPath::new(
            &discovered.viewers,
            discovered.tagging.as_deref(),
            &decided.settled,
            written_until(discovered).await,
            told,
            evicted_by_path,
        );
        let changed = changed_rows(&decided.plan, applied, &evicted_by_path);
        let rows = next_rows(decided.told.rows(&discovered.walk.files), &changed);
        let rows = rows.map(|(key, row)| (key, evicted_by_path.after(key, row).map_or(Cow::Borrowed(row), Cow::Owned)));
        lease.write_manifest(rows).await
    }

    /// Makes the manifest the current one, unless CloudFront was not told: then the intent stays. What viewers
    /// do not get as it is stays in it, too.
    async fn give_back(
        &self,
        lease: Lease,
        discovered: &Discovered,
        plan: &Plan,
        (applied, recorded): (&Applied, Result<()>),
        verified: Option<&Verified>,
        sent: &mut Sent,
    ) {
        let done = if !sent.failed.is_empty() {
            lease.abandon().await
        } else if recorded.is_err() {
            lease.abandon().await.and(recorded)
        } else {
            let uploaded = applied.done.iter().filter(|(_, stored)| stored.is_some()).count() as u64;
            let pruned = applied.done.len() as u64 - uploaded;
            let before = discovered.unfinished().map_or(&[][..], |unfinished| &unfinished.pending);
            let different = verified.map(|found| found.pending(plan, &discovered.walk, before)).unwrap_or_default();
            let left = match different.as_slice() {
                _ if !applied.doubtful.is_empty() => CarryOver::Plan,
                [] => CarryOver::Nothing,
                pending => CarryOver::Pending(pending),
            };
            lease.complete(uploaded, pruned, left).await
        };
        if let Err(error) = done {
            if error.kind() == ErrorKind::Stale {
                return sent.failed.push(error);
            }
            let place = discovered.record.as_ref().map(|(record, _)| record.place().to_string()).unwrap_or_default();
            sent.warnings.push(format!("the deploy record at {place} was not brought up to date: {error}; the next deploy invalidates once more"));
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            concurrency: self.settings.concurrency,
            keep_going: self.settings.keep_going,
            create_only: false,
            stop: self.stop.clone(),
        }
    }

    /// Pages go up only behind complete assets; a file the person chose to leave out is no obstacle.
    fn may_go_on(&self, applied: &Applied) -> bool {
        !self.stop.is_cancelled()
            && applied.left == 0
            && applied
                .failed
                .iter()
                .all(|(_, error)| self.settings.keep_going && error.kind() == ErrorKind::UnreadableFile)
    }

    async fn upload(
        &self,
        deploy: &str,
        discovered: &Discovered,
        plan: &Plan,
        stage: Wave,
        timeline: &mut Timeline,
    ) -> Applied {
        let tag_header = if stage == Wave::Assets { "assets" } else { "pages" };
        let (files, bytes) =
            plan.uploads(stage).fold((0, 0), |(files, bytes), change| (files + 1, bytes + change.bytes));
        if files == 0 {
            return Applied::default();
        }
        let began = Instant::now();
        let progress = self.terminal.transfer(tag_header, files, bytes);
        let changes = plan.uploads(stage);
        let upload_tags = discovered.tagging.clone().map(|tagging| UploadTags { tagging, deploy: deploy.to_owned() });
        let applied =
            apply::upload(&discovered.bucket, &discovered.walk, changes, upload_tags, self.limits(), progress).await;
        timeline.ends(tag_header, began);
        applied
    }

    /// Deletes only when everything before it is done.
    async fn remove(
        &self,
        discovered: &Discovered,
        plan: &Plan,
        late: bool,
        applied: &mut Applied,
        timeline: &mut Timeline,
    ) {
        let changes: Vec<&Change> = plan.removals(late).collect();
        if !applied.is_complete() || self.stop.is_cancelled() {
            applied.left += changes.len() as u64;
            return;
        }
        if changes.is_empty() {
            return;
        }
        let (recorded, began) = (discovered.record.is_some(), Instant::now());
        applied.extend(apply::prune(&discovered.bucket, changes, recorded, &self.limits()).await);
        timeline.ends(if late { "late removals" } else { "removals" }, began);
    }

    /// What CloudFront is to be told of changed keys; of the rest of the site, `others` are what this run has changed.
    fn items(
        &self,
        discovered: &Discovered,
        decided: &Decided,
        changed: &[ChangedKey<'_>],
        others: &[&str],
    ) -> Vec<Invalidation> {
        let files = &discovered.walk.files;
        let unchanged = decided.plan.unchanged(files).chain(others.iter().copied());
        discovered.viewers.plan(changed, unchanged, decided.told.copy_tags(files))
    }

    /// Tells CloudFront about what was removed after it had heard of everything else.
    async fn tell_late(&self, discovered: &Discovered, decided: &Decided, late: &Applied, deploy: &str) -> Sent {
        let others = decided.plan.changes.iter();
        let others = others.filter(|change| matches!(change.action, Action::Upload | Action::Evict));
        let others: Vec<&str> = others.map(|change| &*change.key).collect();
        let planned = self.items(discovered, decided, &removed_keys(&decided.plan, late), &others);
        let id = format!("{deploy}-late");
        submit(&discovered.distributions, &id, planned, self.settings.patience, self.terminal).await
    }

    fn report(
        &self,
        deploy: String,
        discovered: &Discovered,
        decided: Decided,
        invalidations: Vec<Invalidation>,
    ) -> Report {
        let source = self.settings.source.display().to_string();
        let mut report = Report::planned(deploy, source, self.settings.target.to_string(), decided.plan, invalidations);
        report.seconds = decided.seconds;
        report.timeline = decided.timeline.into_spans();
        report.recovered = decided.recovered;
        report.requests = self.aws.requests();
        report.concurrency = self.aws.concurrency();
        report.verbose = self.terminal.is_verbose();
        report.columns = self.terminal.columns();
        report.warnings.extend(decided.warnings);
        report.warnings.extend(discovered.walk.warnings.iter().cloned());
        report.warnings.extend(discovered.viewers.warnings());
        report
    }
}

/// Only a run that wrote asks whether viewers can read the record, and only where there is one.
async fn exposed_record(discovered: &Discovered) -> Option<String> {
    let (record, _) = discovered.record.as_ref()?;
    public_access::warning(record, &discovered.bucket, &discovered.viewers).await
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
