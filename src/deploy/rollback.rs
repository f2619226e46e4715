//! `rollback`: a deploy whose source is what an earlier one left. No file is read: the manifests say what differs, and
//! everything that differs is checked before the first write. `promote` is the same with what a preview left.

mod live_objects;
mod look;
mod plan;
mod promote;

use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{refuse_other_buckets, shapes};
use crate::deploy::discover::Discovered;
use crate::deploy::executor::Executor;
use crate::deploy::planned::Planned;
use crate::deploy::rules::{RulesOf, find_recorded};
use crate::deploy::run::{Run, Stage};
use crate::deploy::tagging::Tagging;
use crate::deploy::walk::Walk;
use crate::deploy::{Deploy, new_deploy_id};
use crate::error::{Error, Result};
use crate::escape::Shown;
use crate::record::history::{Deployed, Direction, HistoryUpdate, name};
use crate::record::manifest::Manifest;
use crate::record::rules::RecordedRules;
use crate::record::session::Session;
use crate::s3::Bucket;
use plan::Planning;
use shipfront_invalidation::Viewers;
use shipfront_site::{RECORD_FOLDER, Target};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Prefix of the source's name if it is an earlier deploy.
pub(crate) const RESTORED: &str = "deploy:";
/// Prefix of the source's name if it is a preview.
pub(crate) const PROMOTED: &str = "preview:";

/// The deploy whose site to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// That of the last whole one before the live one.
    Before,
    /// The one with this ID, or with the only ID that begins with it.
    Deploy(String),
    /// That of the newest whole one with this build number.
    Build(u64),
    /// A preview.
    Preview(Promoted),
}

/// The preview to make live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// Its name, as typed.
    pub name: String,
    /// Its location.
    pub target: Target,
    /// The only deploy of it to accept, if one was named.
    pub deploy: Option<String>,
}

/// What to restore, and how.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// The deploy whose site to restore.
    pub choice: Choice,
    /// Whether it replaces what others wrote since.
    pub overwrite_foreign: bool,
    /// Whether a deploy may be brought back that left files as they were before it: then its site lacks them.
    pub allow_incomplete: bool,
}

/// An earlier deploy: its entry in the history, and its rules.
struct SourceDeploy {
    deployed: Deployed,
    /// Whether any deploy of the history kept copies of what it replaced.
    has_copies: bool,
    /// The rules that it published or, for a preview, those of its build.
    rules: Option<RecordedRules>,
    /// The preview, if it is one.
    preview: Option<promote::Origin>,
}

impl Choice {
    /// The chosen one of the deploys that are kept, the newest first. One that is not a whole site has to be named, and
    /// allowed.
    fn of(&self, deploys: &[Deployed], allow_incomplete: bool) -> Result<usize> {
        let whole = |may_be: &dyn Fn(&Deployed) -> bool| {
            let mut found = deploys.iter().enumerate().filter(|(_, deployed)| may_be(deployed));
            let at = found.clone().find(|(_, deployed)| deployed.is_complete());
            at.or_else(|| found.next()).map(|(at, _)| at)
        };
        let found = match self {
            Choice::Before => whole(&|deployed| deployed.deploy != deploys[0].deploy),
            // It is not in the history.
            Choice::Preview(_) => None,
            Choice::Build(number) => {
                whole(&|deployed| deployed.build.as_ref().is_some_and(|build| build.number == *number))
            }
            Choice::Deploy(id) => {
                let begins = |deployed: &&Deployed| deployed.deploy.starts_with(id.as_str());
                let exactly = deploys.iter().position(|deployed| deployed.deploy == *id);
                let only = || deploys.iter().filter(begins).count() == 1 && !id.is_empty();
                exactly.or_else(|| deploys.iter().position(|deployed| begins(&deployed)).filter(|_| only()))
            }
        };
        let at = found.ok_or_else(|| Error::refused(self.missing()).hint(self.hint(deploys)))?;
        match deploys.get(at) {
            Some(deployed) if !deployed.is_complete() => match self {
                Choice::Deploy(_) if allow_incomplete => Ok(at),
                _ => Err(incomplete(deployed)),
            },
            _ => Ok(at),
        }
    }

    /// What there is to go back to, as it was asked for.
    fn hint(&self, deploys: &[Deployed]) -> String {
        let others = deploys.iter().skip(1).filter(|deployed| deployed.is_complete());
        match self {
            _ if deploys.len() < 2 => "from now on, each deploy keeps the ones before it (--keep-deploys)".to_owned(),
            Choice::Build(_) => {
                let builds: BTreeSet<u64> =
                    others.filter_map(|deployed| Some(deployed.build.as_ref()?.number)).collect();
                match builds.is_empty() {
                    true => {
                        "no kept deploy has a build number: choose one with --to ID ('shipfront history')".to_owned()
                    }
                    false => {
                        let builds: Vec<String> = builds.into_iter().map(|number| number.to_string()).collect();
                        format!("available builds: {}; 'shipfront history' shows all deploys", builds.join(", "))
                    }
                }
            }
            _ => {
                let names: Vec<String> = others.map(name).collect();
                format!("available: {}; 'shipfront history' shows them", names.join(", "))
            }
        }
    }

    fn missing(&self) -> String {
        match self {
            Choice::Before => "no deploy before the live one is kept; nothing was changed".to_owned(),
            Choice::Deploy(id) => format!("no deploy {id} is kept; nothing was changed"),
            Choice::Build(number) => format!("no deploy of build {number} is kept; nothing was changed"),
            Choice::Preview(Promoted { name, .. }) => format!("there is no preview {name}; nothing was changed"),
        }
    }
}

/// Refuses a deploy whose site is not a whole one.
fn incomplete(deployed: &Deployed) -> Error {
    let files = if deployed.left == 1 { "1 file was" } else { &format!("{} files were", deployed.left) };
    let deploy = name(deployed);
    Error::refused(format!("deploy {deploy} is incomplete: {files} not deployed; nothing was changed")).hint(format!(
        "choose another one ('shipfront history'); to restore it without these files: --to {} --allow-removals",
        Shown(&deployed.deploy)
    ))
}

impl Deploy<'_> {
    /// Restores the target to what an earlier deploy left, and invalidates what changed. The settings are those of
    /// a deploy without a source.
    pub async fn rollback(&self, rollback: &Rollback) -> Result<Run> {
        let deploy = new_deploy_id(self.aws.clock());
        let since = self.aws.clock().start();
        loop {
            self.timeline.begin_again();
            let (mut discovered, source_deploy, rows) = self.unless_stopped(Box::pin(self.look_back(rollback))).await?;
            Box::pin(self.guard_order(&mut discovered)).await?;
            self.guard_interrupted()?;
            if self.unless_stopped(Box::pin(self.wait_for_lock(&discovered, &since))).await? {
                continue;
            }
            let mut planned =
                self.unless_stopped(Box::pin(self.bring_back(&mut discovered, &source_deploy, rows, rollback))).await?;
            if planned.refused.is_some() {
                return Ok(source_deploy.name(self.show(&discovered, planned)));
            }
            let done = match planned.is_empty() {
                true => self.note_build(&discovered).await?.then(|| self.nothing_to_do(&planned)),
                false => Box::pin(self.restorer(&deploy, &source_deploy).run(&discovered, &mut planned)).await?,
            };
            if let Some(mut done) = done {
                done.warnings.extend(self.changed_meanwhile(&source_deploy).await);
                let stage = Stage::Done { interrupted: done.interrupted };
                let newest = discovered.session.as_ref().and_then(Session::build).cloned();
                let direction = self.restorer(&deploy, &source_deploy).history_update.direction(newest.as_ref());
                let holds_back = newest.filter(|_| direction == Direction::Back).map(|build| build.number);
                let run = self.end(&deploy, &discovered, planned, stage, done);
                return Ok(source_deploy.name(Run { holds_back, ..run }));
            }
        }
    }

    /// Decides what a rollback would do, and writes nothing.
    pub async fn plan_rollback(&self, rollback: &Rollback) -> Result<Run> {
        let (mut discovered, source_deploy, rows) = Box::pin(self.look_back(rollback)).await?;
        if let Some(error) = self.superseded(discovered.session.as_ref()) {
            return Err(error);
        }
        let planned = Box::pin(self.bring_back(&mut discovered, &source_deploy, rows, rollback)).await?;
        Ok(source_deploy.name(self.show(&discovered, planned)))
    }

    fn restorer<'e>(&'e self, deploy: &'e str, source_deploy: &'e SourceDeploy) -> Executor<'e> {
        let Deployed { build, commit, deploy: restored, .. } = &source_deploy.deployed;
        if let Some(preview) = &source_deploy.preview {
            let history_update = HistoryUpdate {
                commit: commit.as_deref(),
                promotes: Some(preview.name()),
                ..self.settings.history_update()
            };
            return Executor { history_update, ..self.executor(deploy) };
        }
        let history_update = HistoryUpdate {
            build: build.as_ref(),
            commit: commit.as_deref(),
            restores: Some(restored),
            ..self.settings.history_update()
        };
        Executor { build: None, history_update, ..self.executor(deploy) }
    }

    /// Reads everything except the objects: the record, the distributions, and what the earlier deploy left, with the rows
    /// of its manifest.
    async fn look_back(&self, rollback: &Rollback) -> Result<(Discovered, Arc<SourceDeploy>, Manifest)> {
        let settings = self.settings;
        let open_session = async |bucket: &Bucket| Box::pin(Session::open(self.aws, bucket, &settings.record)).await;
        let target =
            Box::pin(Bucket::open(self.aws, &settings.target, settings.expected_owner.as_deref(), open_session));
        let distributions = Distributions::new(self.aws);
        let target_bucket = settings.target.bucket();
        let shapes = Box::pin(shapes(&distributions, &settings.distributions, settings.any_origin, target_bucket));
        let (target, shapes) = tokio::join!(target, shapes);
        let ((bucket, session), shapes) = (target?, shapes?);
        refuse_other_buckets(&shapes, target_bucket)?;
        let session = session.ok_or_else(|| {
            Error::usage("a rollback needs the deploy record").hint("run the command without --no-record")
        })?;
        let (source_deploy, rows) = match &rollback.choice {
            Choice::Preview(preview) => self.read_preview(preview, &session).await?,
            choice => SourceDeploy::read(&session, choice, rollback.allow_incomplete).await?,
        };
        source_deploy.guard_keys(&rows, &settings.target, session.place())?;
        let unfinished = session.unfinished().map(|unfinished| &**unfinished);
        let (shapes, withheld, gone) = Box::pin(self.with_unfinished(&distributions, shapes, unfinished)).await?;
        let warnings = session.warnings().iter().cloned().chain(gone).collect();
        let verified = settings.verify.as_ref().map(|site| site.distribution(&shapes)).transpose()?;
        let viewers = Viewers::new(&shapes, &settings.target, settings.policy.counting(Some(session.paths_used())));
        let tagging = Tagging::of(&viewers).map(Arc::new);
        let mut walk = Walk { warnings, ..Walk::default() };
        let of = if source_deploy.preview.is_some() { RulesOf::Preview } else { RulesOf::EarlierDeploy };
        let recorded = source_deploy.rules.as_ref();
        let finding = find_recorded(settings, &viewers, &distributions, (of, session.rules(), recorded), &rows);
        let found = Box::pin(finding).await?;
        walk.warnings.extend(found.warnings);
        let rules = found.plan.map(Arc::new);
        let (walk, session) = (Arc::new(walk), Some(session));
        Ok((
            Discovered { walk, bucket, session, viewers, withheld, distributions, verified, tagging, rules },
            Arc::new(source_deploy),
            rows,
        ))
    }

    /// Checks everything that differs, and decides.
    async fn bring_back(
        &self,
        discovered: &mut Discovered,
        source_deploy: &Arc<SourceDeploy>,
        earlier: Manifest,
        rollback: &Rollback,
    ) -> Result<Planned> {
        let live = discovered.session.as_mut().and_then(Session::take_manifest).unwrap_or_default();
        let planning = Planning { settings: self.settings, discovered, live: &live, source_deploy, rollback };
        let plan = self.timeline.during("compare", planning.plan(earlier)).await?;
        self.guard_preview(source_deploy).await?;
        let refused = source_deploy.preview.as_ref().and_then(|_| planning.refusal(&plan));
        let planned = Planned { refused, ..Planning::planned(discovered, plan, live) }.choose_items(discovered);
        Ok(self.with_orphans(discovered, planned))
    }
}

impl SourceDeploy {
    async fn read(session: &Session, choice: &Choice, allow_incomplete: bool) -> Result<(SourceDeploy, Manifest)> {
        let mut deploys = session.deploys();
        let has_copies = deploys.iter().any(|deployed| deployed.kept_copies);
        let at = choice.of(&deploys, allow_incomplete)?;
        let deployed = deploys.swap_remove(at);
        let manifest = session.record().manifest(&deployed.deploy).await?.ok_or_else(|| {
            Error::refused(format!("the manifest of deploy {} is gone; nothing was changed", name(&deployed))).hint(
                "an older version of shipfront has deployed since and kept none: use the newest version everywhere",
            )
        })?;
        let rules = manifest.rules();
        Ok((SourceDeploy { deployed, has_copies, rules, preview: None }, manifest))
    }

    /// Refuses keys that no deploy of a source has: otherwise, anybody who can write the record could have copies
    /// replace objects that are not part of the site, such as the deploy records of its bucket.
    fn guard_keys(&self, rows: &Manifest, target: &Target, record: &Target) -> Result<()> {
        let record = Some(record).filter(|record| record.bucket() == target.bucket());
        let record =
            record.and_then(|record| record.prefix().strip_prefix(target.prefix())).filter(|folder| !folder.is_empty());
        let is_none = |key: &str| {
            let is_of_record = key.starts_with(RECORD_FOLDER) || record.is_some_and(|folder| key.starts_with(folder));
            key.is_empty() || is_of_record
        };
        match rows.rows().find(|(key, _)| is_none(key)) {
            None => Ok(()),
            Some((key, _)) => Err(Error::refused(format!(
                "the manifest of deploy {} names {key:?}, which is no key of a site; nothing was changed",
                self.deployed.deploy
            ))
            .hint("something else wrote the deploy record: check who can write it")),
        }
    }

    /// Names the deploy, or the preview, as the report's source.
    fn name(&self, run: Run) -> Run {
        if let Some(preview) = &self.preview {
            return Run { source: format!("{PROMOTED}{}", preview.name()), ..run };
        }
        Run { source: format!("{RESTORED}{}", self.deployed.deploy), ..run }
    }
}
