//! The recipe of a deploy, in order. `plan` is the same recipe stopped before the first write.

pub mod apply;
pub mod diff;
pub mod list;
pub mod plan;
pub mod read;
pub mod report;
pub mod walk;

use crate::aws::Aws;
use crate::bucket::{Bucket, RemoteObject};
use crate::distribution::Distributions;
use crate::error::{Error, Result};
use crate::invalidation::find::{Which, shapes};
use crate::invalidation::send::{Invalidation, Patience, Sent, send};
use crate::invalidation::{ChangedKey, Policy, Viewers};
use crate::site::Target;
use crate::terminal::Terminal;
use apply::{Applied, Limits};
use diff::Reason;
use plan::{Plan, PruneAfter, Stage};
use report::{Report, Seconds};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use walk::Walk;

/// What a deploy is to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The built site.
    pub source: PathBuf,
    /// Where it goes.
    pub target: Target,
    /// Which distributions show it.
    pub distributions: Which,
    /// How items are chosen.
    pub policy: Policy,
    /// How long to wait for CloudFront.
    pub patience: Patience,
    /// When objects that left the source go.
    pub prune_after: PruneAfter,
    /// The most objects that one run may delete.
    pub max_delete: u64,
    /// Whether files that cannot be read are left out rather than ending the run.
    pub keep_going: bool,
    /// S3 requests in flight.
    pub concurrency: usize,
    /// The account that must own the bucket.
    pub expected_owner: Option<String>,
}

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

/// What was found before anything was decided.
struct Survey {
    walk: Walk,
    objects: Vec<RemoteObject>,
    bucket: Bucket,
    viewers: Viewers,
    distributions: Distributions,
    seconds: Seconds,
}

impl Deploy<'_> {
    /// Decides what a deploy would do, and writes nothing.
    pub async fn plan(&self) -> Result<Report> {
        let started = Instant::now();
        let mut survey = self.survey().await?;
        let (plan, mut seconds) = self.decide(&mut survey)?;
        let invalidations = survey.viewers.plan(&changed_keys(&plan, |_| true), &plan.unchanged);
        seconds.total = started.elapsed().as_secs_f64();
        Ok(self.report(new_deploy_id(), survey, plan, invalidations, seconds))
    }

    /// Makes the target what the source is, and tells CloudFront what changed.
    pub async fn run(&self) -> Result<Report> {
        let started = Instant::now();
        let deploy = new_deploy_id();
        let mut survey = self.survey().await?;
        let (plan, mut seconds) = self.decide(&mut survey)?;

        let applying = Instant::now();
        let mut applied = self.upload(&survey, &plan, Stage::Assets).await;
        if self.may_go_on(&applied) {
            applied.extend(self.upload(&survey, &plan, Stage::Pages).await);
        } else {
            applied.left += plan.stage(Stage::Pages).count() as u64;
        }
        if applied.is_complete() && !self.stop.is_cancelled() {
            applied.extend(self.prune(&survey, &plan).await);
        } else {
            applied.left += plan.stage(Stage::Prune).count() as u64;
        }
        seconds.apply = applying.elapsed().as_secs_f64();

        let invalidating = Instant::now();
        let sent = self.invalidate(&survey, &plan, &applied, &deploy).await;
        seconds.invalidate = invalidating.elapsed().as_secs_f64();

        seconds.total = started.elapsed().as_secs_f64();
        let mut report = self.report(deploy, survey, plan, Vec::new(), seconds);
        report.complete(&applied, sent, self.stop.is_cancelled());
        Ok(report)
    }

    /// Looks at the source, the target and the distributions, all at once.
    async fn survey(&self) -> Result<Survey> {
        let settings = self.settings;
        let walk = async {
            let started = Instant::now();
            let (source, prefix) = (settings.source.clone(), settings.target.prefix().to_owned());
            let walk = tokio::task::spawn_blocking(move || walk::walk(&source, &prefix)).await;
            let walk = walk.map_err(|error| Error::failed(format!("walking the source failed: {error}")))??;
            self.guard_source(&walk)?;
            Ok((walk, started.elapsed().as_secs_f64()))
        };
        let list = async {
            let bucket = Bucket::open(self.aws, &settings.target, settings.expected_owner.as_deref()).await?;
            let started = Instant::now();
            let progress = self.terminal.count("listing");
            let objects = list::list(&bucket, &|listed| progress.set(listed)).await?;
            Ok((bucket, objects, started.elapsed().as_secs_f64()))
        };
        let distributions = Distributions::new(self.aws);
        let shapes = shapes(&distributions, &settings.distributions, settings.target.bucket());
        let (walk, list, shapes) = tokio::join!(walk, list, shapes);
        // The person's own mistakes first, then AWS's answers.
        let ((walk, walk_seconds), shapes, (bucket, objects, list_seconds)) = (walk?, shapes?, list?);
        let viewers = Viewers::new(&shapes, &settings.target, settings.policy);
        let seconds = Seconds { walk: walk_seconds, list: list_seconds, ..Seconds::default() };
        Ok(Survey { walk, objects, bucket, viewers, distributions, seconds })
    }

    fn guard_source(&self, walk: &Walk) -> Result<()> {
        let source = self.settings.source.display();
        if walk.files.is_empty() {
            return Err(Error::refused(format!("the source {source} has no files to deploy; nothing was changed"))
                .hint("build the site first; shipfront never empties a site"));
        }
        self.guard_problems(&walk.problems)
    }

    fn guard_problems(&self, problems: &[String]) -> Result<()> {
        match problems {
            [] => Ok(()),
            _ if self.settings.keep_going => Ok(()),
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" (and {} more like it)", rest.len()) };
                Err(Error::refused(format!("{first}{more}; nothing was changed"))
                    .hint("repair it, or deploy the rest with --keep-going: what cannot be read is then left as it is"))
            }
        }
    }

    /// Compares, decides and guards.
    fn decide(&self, survey: &mut Survey) -> Result<(Plan, Seconds)> {
        let mut seconds = survey.seconds;
        let hashing = Instant::now();
        let pairs = diff::join(std::mem::take(&mut survey.walk.files), std::mem::take(&mut survey.objects));
        let to_read = pairs.iter().filter(|pair| pair.needs_digest()).filter_map(|pair| pair.local).sum();
        let progress = self.terminal.bytes("comparing", to_read);
        let read = |bytes| progress.add(bytes);
        let contents = tokio::task::block_in_place(|| read::compare(&survey.walk.root, &pairs, &read));
        seconds.hash = hashing.elapsed().as_secs_f64();
        let unknown = &survey.walk.unknown;
        let decisions =
            pairs.iter().zip(&contents).map(|(pair, content)| diff::decide(pair, content, unknown)).collect();
        let mut plan = plan::plan(pairs, decisions, self.settings.prune_after);
        self.guard_problems(&plan.problems)?;
        plan.guard(self.settings.max_delete)?;
        plan.problems.splice(0..0, std::mem::take(&mut survey.walk.problems));
        Ok((plan, seconds))
    }

    fn limits(&self) -> Limits {
        Limits { concurrency: self.settings.concurrency, keep_going: self.settings.keep_going, stop: self.stop.clone() }
    }

    /// Pages go up only behind complete assets; a file the person chose to leave out is no obstacle.
    fn may_go_on(&self, applied: &Applied) -> bool {
        !self.stop.is_cancelled() && applied.left == 0 && (applied.failed.is_empty() || self.settings.keep_going)
    }

    async fn upload(&self, survey: &Survey, plan: &Plan, stage: Stage) -> Applied {
        let changes: Vec<_> = plan.stage(stage).collect();
        let label = if stage == Stage::Assets { "assets" } else { "pages" };
        let progress = self.terminal.bytes(label, changes.iter().map(|change| change.bytes).sum());
        apply::upload(&survey.bucket, &survey.walk.root, changes, &self.limits(), &|bytes| progress.add(bytes)).await
    }

    async fn prune(&self, survey: &Survey, plan: &Plan) -> Applied {
        apply::prune(&survey.bucket, plan.stage(Stage::Prune).collect(), &self.limits()).await
    }

    /// Tells CloudFront about everything that landed, whatever else failed.
    async fn invalidate(&self, survey: &Survey, plan: &Plan, applied: &Applied, deploy: &str) -> Sent {
        let landed: HashSet<&str> = applied.done.iter().chain(&applied.doubtful).map(String::as_str).collect();
        let changed = changed_keys(plan, |key| landed.contains(key));
        let planned = survey.viewers.plan(&changed, &plan.unchanged);
        send(&survey.distributions, deploy, planned, self.settings.patience, self.terminal).await
    }

    fn report(
        &self,
        deploy: String,
        survey: Survey,
        plan: Plan,
        invalidations: Vec<Invalidation>,
        seconds: Seconds,
    ) -> Report {
        let source = self.settings.source.display().to_string();
        let mut report = Report::planned(deploy, source, self.settings.target.to_string(), plan, invalidations);
        report.seconds = seconds;
        report.requests = self.aws.requests();
        report.verbose = self.terminal.is_verbose();
        report.warnings.extend(survey.walk.warnings);
        report.warnings.extend(survey.viewers.warnings());
        report
    }
}

fn changed_keys<'a>(plan: &'a Plan, landed: impl Fn(&str) -> bool) -> Vec<ChangedKey<'a>> {
    let visible = plan.changes.iter().filter(|change| change.is_visible() && landed(&change.key));
    visible.map(|change| ChangedKey { key: &change.key, created: change.reason == Reason::New }).collect()
}

/// A new id for each run, in the order of time: an id that came back would let CloudFront take a
/// later invalidation for a repetition.
pub fn new_deploy_id() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dt%H%M%Sz");
    format!("{now}-{:08x}", fastrand::u32(..))
}
