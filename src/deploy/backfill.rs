//! `shipfront tags --backfill`: adds cache tags to existing objects, under the lock and with the record, like a
//! deploy.
//!
//! Each object is copied onto itself while it has the ETag that was listed. Copied objects are then invalidated by
//! path, because their cached copies carry no tags, and count as tagged after that. If a backfill dies, the next
//! deploy finishes it by invalidating what it may have copied.

use crate::aws::Aws;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{Which, refuse_other_buckets, shapes};
use crate::cloudfront::send::{Patience, Sent};
use crate::deploy::apply::Limits;
use crate::deploy::change::{Before, Change, ChangeOutcome, Existing, Reason, Subject};
use crate::deploy::copies::CopyGuard;
use crate::deploy::discover::Discovered;
use crate::deploy::executor::{Executed, Executor};
use crate::deploy::plan::Plan;
use crate::deploy::planned::Planned;
use crate::deploy::tagging::Tagging;
use crate::deploy::timeline::Timeline;
use crate::deploy::walk::Walk;
use crate::deploy::{error_pages, list, new_deploy_id};
use crate::error::{Error, Result};
use crate::record::Place;
use crate::record::history::HistoryUpdate;
use crate::record::intent::left_by;
use crate::record::manifest::{Manifest, Row};
use crate::record::session::Session;
use crate::s3::retag::LARGEST_COPY;
use crate::s3::{Bucket, RemoteObject};
use crate::terminal::Terminal;
use shipfront_invalidation::{Policy, Viewers};
use shipfront_site::Target;
use shipfront_site::Warning;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The objects to tag, and how.
#[derive(Debug)]
pub struct Backfill<'a> {
    /// The site.
    pub target: &'a Target,
    /// Its distributions.
    pub distributions: Which,
    /// Whether any origin of the named distributions may serve it.
    pub any_origin: bool,
    /// How items are chosen.
    pub policy: Policy,
    /// How long to wait for CloudFront.
    pub patience: Patience,
    /// The location of the record.
    pub record: Place,
    /// The account that must own the bucket.
    pub expected_owner: Option<&'a str>,
    /// What the history records about it.
    pub history_update: HistoryUpdate<'a>,
    /// Maximum number of copies in flight.
    pub concurrency: usize,
    /// The AWS configuration.
    pub aws: &'a Aws,
    /// The output.
    pub terminal: &'a Terminal,
    /// Set by a signal.
    pub stop: CancellationToken,
}

/// An object that was left alone, and why.
#[derive(Debug, serde::Serialize)]
pub struct LeftAlone {
    /// Its key below the target's prefix.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// The result of a backfill.
#[derive(Debug)]
pub struct Backfilled {
    /// The ID of the run.
    pub deploy: String,
    /// Number of objects tagged by this run.
    pub tagged: u64,
    /// Number of objects that already carried theirs.
    pub kept: u64,
    /// Objects that were left alone, in key order.
    pub left: Vec<LeftAlone>,
    /// Copies that failed, by key.
    pub failed: Vec<(String, Error)>,
    /// What CloudFront was asked to invalidate.
    pub sent: Sent,
    /// Whether a signal stopped it.
    pub interrupted: bool,
    /// Warnings.
    pub warnings: Vec<Warning>,
}

impl Backfill<'_> {
    /// Tags everything that is not tagged yet.
    pub async fn run(&self) -> Result<Backfilled> {
        let (deploy, timeline) = (new_deploy_id(self.aws.clock()), Timeline::start(self.aws.clock()));
        let (discovered, index) = self.discover().await?;
        let (mut planned, mut left) = self.plan(&discovered, index).await?;
        let done = match planned.is_empty() {
            true => Executed::default(),
            false => Box::pin(self.executor(&deploy, &timeline).run(&discovered, &mut planned))
                .await?
                .ok_or_else(|| Error::locked("another run was faster; nothing was changed").hint("run it again"))?,
        };
        let (mut tagged, mut failed, mut interrupted) = (0, Vec::new(), false);
        for (change, outcome) in planned.plan.changes.iter().zip(done.outcomes.iter()) {
            let key = change.key().to_string();
            match &*outcome {
                ChangeOutcome::Retagged(_) => tagged += 1,
                ChangeOutcome::LeftAlone(reason) => left.push(LeftAlone { key, reason: (*reason).to_owned() }),
                ChangeOutcome::Failed { error, .. } => failed.push((key, (**error).clone())),
                _ => interrupted = true,
            }
        }
        left.sort_by(|a, b| a.key.cmp(&b.key));
        let (kept, sent) = (planned.plan.kept, done.sent);
        let mut warnings = discovered.viewers.warnings();
        warnings.extend(done.warnings);
        Ok(Backfilled { deploy, tagged, kept, left, failed, sent, interrupted, warnings })
    }

    fn executor<'e>(&'e self, deploy: &'e str, timeline: &'e Timeline) -> Executor<'e> {
        let (concurrency, stop) = (self.concurrency, self.stop.clone());
        Executor {
            deploy,
            build: None,
            clock: self.aws.clock(),
            terminal: self.terminal,
            timeline,
            limits: Limits { concurrency, keep_going: true, create_only: false, stop, clock: self.aws.clock().clone() },
            patience: self.patience,
            verify: None,
            history_update: self.history_update,
            guard: CopyGuard::default(),
        }
    }

    /// Reads the record and the distributions: without them, there is nothing to tag.
    async fn discover(&self) -> Result<(Discovered, Manifest)> {
        let open_session = async |bucket: &Bucket| Session::open(self.aws, bucket, &self.record).await;
        let (bucket, session) = Bucket::open(self.aws, self.target, self.expected_owner, open_session).await?;
        let mut session = session.ok_or_else(|| {
            Error::usage("tagging needs a deploy record, which says what shipfront uploaded")
                .hint("deploy once without --no-record")
        })?;
        if let Some(holder) = session.holder() {
            return Err(Error::locked(format!("another deploy is under way: {}; nothing was changed", holder.owner))
                .hint("run it again when that deploy is done"));
        }
        if let Some(unfinished) = session.unfinished() {
            let message = format!("{} is not invalidated yet; nothing was changed", left_by(&unfinished.deploy));
            return Err(Error::refused(message).hint("run 'shipfront deploy' to finish it, then run this again"));
        }
        let Some(manifest) = session.take_manifest() else {
            return Err(Error::refused("nothing has been deployed there yet").hint("deploy first"));
        };
        let distributions = Distributions::new(self.aws);
        let target_bucket = self.target.bucket();
        let shapes = shapes(&distributions, &self.distributions, self.any_origin, target_bucket).await?;
        refuse_other_buckets(&shapes, target_bucket)?;
        let policy = self.policy.counting(Some(session.paths_used()));
        let viewers = Viewers::new(&shapes, self.target, policy);
        let tagging = Tagging::of(&viewers).ok_or_else(|| {
            Error::refused("no distribution of the site reads cache tags that S3 can send; nothing was changed")
                .hint("'shipfront tags --enable' prints what to change")
        })?;
        if !bucket.has_no_acls().await? {
            let message = "objects of the bucket may have ACLs, which a copy would lose; nothing was changed";
            return Err(Error::refused(message)
                .hint("disable ACLs on the bucket (BucketOwnerEnforced); deploys tag what they upload in any case"));
        }
        if !bucket.has_no_locks().await? {
            let message = "the bucket has Object Lock, and a copy would lose holds and retention; nothing was changed";
            return Err(Error::refused(message).hint("deploys tag what they upload in any case"));
        }
        let (walk, session, tagging) = (Arc::new(Walk::default()), Some(session), Some(Arc::new(tagging)));
        let (withheld, verified) = (Vec::new(), None);
        let rules = None;
        Ok((Discovered { walk, bucket, session, viewers, withheld, distributions, verified, tagging, rules }, manifest))
    }

    /// The objects that carry no tags yet, and those that cannot get any.
    async fn plan(&self, discovered: &Discovered, index: Manifest) -> Result<(Planned, Vec<LeftAlone>)> {
        let objects = list::one_by_one(|start| {
            let bucket = discovered.bucket.clone();
            async move { bucket.list(start).await }
        });
        let mut objects = objects.await?.into_iter().peekable();
        let (mut plan, mut left) = (Plan::default(), Vec::new());
        for (key, row) in index.rows() {
            while objects.next_if(|object| object.key.as_str() < key.as_str()).is_some() {}
            // Only an object that the record describes is known well enough.
            let object = objects.next_if(|object| object.key == *key && object.etag == row.etag);
            let Some(object) = object else {
                plan.staying.push(key);
                continue;
            };
            let copy_tags = row.copy_tags.as_ref().filter(|copy_tags| !copy_tags.is_outlived(object.modified));
            let mut readers = discovered.viewers.tag_readers();
            if copy_tags.is_some_and(|copy_tags| readers.all(|reader| copy_tags.is_read(reader.reading))) {
                plan.kept += 1;
                plan.staying.push(object.key.into());
            } else if object.size > LARGEST_COPY {
                plan.staying.push(object.key.as_str().into());
                left.push(LeftAlone {
                    key: object.key,
                    reason: "it is larger than 5 GB, the limit of a copy".to_owned(),
                });
            } else {
                plan.changes.push(change(object, row));
            }
        }
        let planned = Planned {
            orphans_go: None,
            plan: Arc::new(plan),
            index: Arc::new(index),
            record_differs: false,
            recovered: None,
            refused: None,
            items: Vec::new(),
            late_items: Vec::new(),
            rules: None,
            warnings: Vec::new(),
        };
        Ok((planned.choose_items(discovered), left))
    }
}

fn change(object: RemoteObject, row: Row) -> Change {
    let existing = Some(Existing { etag: object.etag, size: object.size, is_compressed: false, owned: true });
    // Whatever the cached copies carry, they are invalidated by path.
    let cached = error_pages::cached(Some(&row), None);
    let before = Before { existing, copy_tags: None, cached };
    let subject = Subject::new(object.key.into(), Reason::Headers, before);
    Change::Retag { subject, bytes: object.size, row: Box::new(row) }
}
