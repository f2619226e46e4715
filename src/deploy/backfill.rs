//! `shipfront tags --backfill`: puts cache tags on the objects that are there, under the lease and the record as
//! a deploy does.
//!
//! Each object is copied onto itself while it has the ETag that was listed. What was copied goes by path then,
//! since copies in the cache carry no tags, and counts as tagged after that. A backfill that dies is finished by the
//! next deploy, which invalidates what it may have copied.

use crate::aws::{Aws, Requests};
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{Which, shapes};
use crate::cloudfront::send::{Patience, Sent, submit, wait};
use crate::deploy::apply::may_have_landed;
use crate::deploy::lock::lost_lease;
use crate::deploy::manifest_index::ManifestIndex;
use crate::deploy::next_manifest::next_rows;
use crate::deploy::plan::Action;
use crate::deploy::tagging::{self, EvictedByPath, Tagging};
use crate::deploy::{list, new_deploy_id};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome};
use crate::record::intent::{PendingChange, left_by};
use crate::record::lease::{CarryOver, Lease};
use crate::record::manifest::Row;
use crate::record::{Place, Record, Snapshot};
use crate::s3::retag::{LARGEST_COPY, Retagged};
use crate::s3::{Bucket, RemoteObject};
use crate::terminal::Terminal;
use futures::{StreamExt, stream};
use serde::Serialize;
use shipfront_invalidation::Invalidation;
use shipfront_invalidation::tags::copy_tags::Memory;
use shipfront_invalidation::{ChangedKey, Policy, Viewers};
use shipfront_site::Target;
use shipfront_site::etag::Etag;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use tokio_util::sync::CancellationToken;

/// What is to be tagged, and how.
#[derive(Debug)]
pub struct Backfill<'a> {
    /// The site.
    pub target: &'a Target,
    /// Its distributions.
    pub distributions: Which,
    /// How items are chosen.
    pub policy: Policy,
    /// How long to wait for CloudFront.
    pub patience: Patience,
    /// Where the record is.
    pub record: Place,
    /// The account that must own the bucket.
    pub expected_owner: Option<&'a str>,
    /// Copies in flight.
    pub concurrency: usize,
    /// As whom.
    pub aws: &'a Aws,
    /// Where to speak.
    pub terminal: &'a Terminal,
    /// Set by a signal.
    pub stop: CancellationToken,
}

/// What was tagged.
#[derive(Debug, Serialize)]
pub struct BackfillReport {
    shipfront: &'static str,
    deploy: String,
    /// How it ended.
    pub outcome: Outcome,
    target: String,
    /// Objects that carry tags now.
    tagged: u64,
    /// Objects that copy_tags theirs already.
    kept: u64,
    /// Objects that were left as they are, and why.
    left: Vec<LeftAlone>,
    invalidations: Vec<Invalidation>,
    requests: Requests,
    warnings: Vec<String>,
    errors: Vec<Failure>,
}

#[derive(Debug, Serialize)]
struct LeftAlone {
    key: String,
    reason: String,
}

/// All that is there before anything is done.
struct Found {
    bucket: Bucket,
    record: Record,
    snapshot: Snapshot,
    told: ManifestIndex,
    viewers: Viewers,
    tagging: Tagging,
}

/// What became of the copies.
#[derive(Default)]
struct Copied {
    /// The ETag of each, and what must be remembered of its tags.
    done: BTreeMap<String, (Etag, Option<Memory>)>,
    left: Vec<LeftAlone>,
    failed: Vec<(String, Error)>,
    interrupted: bool,
}

impl Backfill<'_> {
    /// Tags what is not tagged yet.
    pub async fn run(&self) -> Result<BackfillReport> {
        let found = self.find().await?;
        let deploy = new_deploy_id();
        let objects = list::one_by_one(|start| {
            let bucket = found.bucket.clone();
            async move { bucket.list(start).await }
        })
        .await?;
        let mut left = Vec::new();
        let mut kept = 0;
        let mut candidates: Vec<(&RemoteObject, &Row)> = Vec::new();
        for (object, row) in described(&found.told, &objects) {
            let copy_tags = row.copy_tags.as_ref().filter(|copy_tags| !copy_tags.is_outlived(object.modified));
            if copy_tags
                .is_some_and(|copy_tags| found.viewers.tag_readers().all(|reader| copy_tags.is_read(reader.reading)))
            {
                kept += 1;
            } else if object.size > LARGEST_COPY {
                left.push(LeftAlone {
                    key: object.key.clone(),
                    reason: "it is larger than one copy takes, 5 GB".to_owned(),
                });
            } else {
                candidates.push((object, row));
            }
        }
        let mut copied = Copied { left, ..Copied::default() };
        let mut sent = Sent::default();
        let distributions = Distributions::new(self.aws);
        if !candidates.is_empty() {
            let pending: Vec<PendingChange> = candidates.iter().map(|(object, _)| pending_change(object)).collect();
            let ids = found.viewers.ids();
            let lease = Lease::take(&found.record, &found.snapshot, &deploy, None, &ids, &pending).await?;
            let lease = lease
                .ok_or_else(|| Error::locked("another run came first; nothing was changed").hint("run it again"))?;
            let work = self.copy_and_tell(&found, &deploy, &candidates, &lease, &mut copied);
            let (told, recorded) = tokio::select! {
                done = work => done,
                () = lease.lost() => return Err(lost_lease()),
            };
            sent = told;
            // What may have been copied although its answer was lost stays in the intent.
            let doubtful = copied.failed.iter().any(|(_, error)| may_have_landed(error));
            let left = if doubtful { CarryOver::Plan } else { CarryOver::Nothing };
            let given_back = match recorded {
                Ok(()) if sent.failed.is_empty() => lease.complete(copied.done.len() as u64, 0, left).await,
                recorded => lease.abandon().await.and(recorded),
            };
            if let Err(error) = given_back {
                sent.warnings.push(format!(
                    "the deploy record was not brought up to date: {error}; the next deploy invalidates once more"
                ));
            }
            wait(&distributions, &mut sent, self.patience, &self.stop, self.terminal).await;
        }
        let mut report = self.report(deploy, kept, copied, sent);
        report.warnings.splice(0..0, found.viewers.warnings());
        Ok(report)
    }

    async fn find(&self) -> Result<Found> {
        let read = async |bucket: &Bucket| match Record::of(self.aws, bucket, &self.record).await? {
            Some(record) => record.read().await.map(|snapshot| Some((record, snapshot))),
            None => Ok(None),
        };
        let (bucket, record) = Bucket::open(self.aws, self.target, self.expected_owner, read).await?;
        let (record, mut snapshot) =
            record.ok_or_else(|| Error::usage("without a deploy record nobody knows what is ours"))?;
        if let Some(holder) = snapshot.holder() {
            return Err(Error::locked(format!("another deploy is under way: {}; nothing was changed", holder.owner)));
        }
        if let Some(unfinished) = &snapshot.unfinished {
            let message = format!("{} is not invalidated yet; nothing was changed", left_by(&unfinished.deploy));
            return Err(Error::refused(message).hint("run 'shipfront deploy', which finishes it, and then this again"));
        }
        let Some(manifest) = snapshot.manifest.take() else {
            return Err(
                Error::refused("nothing was deployed there yet, so nothing is ours to tag").hint("deploy first")
            );
        };
        let shapes = shapes(&Distributions::new(self.aws), &self.distributions, self.target.bucket()).await?;
        let viewers = Viewers::new(&shapes, self.target, self.policy);
        let tagging = Tagging::of(&viewers).ok_or_else(|| {
            Error::refused("no distribution of the site reads cache tags that S3 can send; nothing was changed")
                .hint("'shipfront tags --enable' prints what to change")
        })?;
        let acls = Error::refused("objects of the bucket may have ACLs, which a copy would lose; nothing was changed")
            .hint("disable ACLs on the bucket (BucketOwnerEnforced); what a deploy uploads is tagged in any case");
        if !bucket.has_no_acls().await? {
            return Err(acls);
        }
        let told = ManifestIndex::read(&manifest, &[])?;
        Ok(Found { bucket, record, snapshot, told, viewers, tagging })
    }

    /// Copies, and tells CloudFront of what was copied. The manifest is written in any case, and named only
    /// if CloudFront was told.
    async fn copy_and_tell(
        &self,
        found: &Found,
        deploy: &str,
        candidates: &[(&RemoteObject, &Row)],
        lease: &Lease,
        copied: &mut Copied,
    ) -> (Sent, Result<()>) {
        let distributions = Distributions::new(self.aws);
        let (settled, warnings) = tagging::settled(&distributions, &found.viewers, &found.told).await;
        self.copy(found, deploy, candidates, copied).await;
        let done = copied.done.keys().map(String::as_str);
        let told: Vec<&str> = done.chain(copied.failed.iter().map(|(key, _)| key.as_str())).collect();
        let changed: Vec<_> = told.iter().map(|key| ChangedKey::unknown(key)).collect();
        let rest = found.told.rows(&[]).map(|(key, _)| key);
        let rest: Vec<&str> = rest.filter(|key| !copied.done.contains_key(*key)).collect();
        let planned = found.viewers.plan(&changed, rest.iter().copied(), |_| None);
        let as_of = found.record.look().await.ok().map(|snapshot| snapshot.now.as_second());
        let keys = copied.done.keys().map(String::as_str).collect();
        let evicted_by_path = EvictedByPath::new(&found.viewers, Some(&found.tagging), &settled, as_of, &planned, keys);
        let changed = changed_rows(found, copied, &evicted_by_path);
        let rows = next_rows(found.told.rows(&[]), &changed);
        let rows = rows.map(|(key, row)| (key, evicted_by_path.after(key, row).map_or(Cow::Borrowed(row), Cow::Owned)));
        let written = lease.write_manifest(rows).await;
        let mut sent = submit(&distributions, deploy, planned, self.patience, self.terminal).await;
        sent.warnings.extend(warnings);
        (sent, written)
    }

    async fn copy(&self, found: &Found, deploy: &str, candidates: &[(&RemoteObject, &Row)], copied: &mut Copied) {
        let bytes = candidates.iter().map(|(object, _)| object.size).sum();
        let progress = self.terminal.transfer("tagging", candidates.len() as u64, bytes);
        let copies = stream::iter(candidates).map(|(object, row)| async move {
            if self.stop.is_cancelled() {
                return (*object, None);
            }
            let tag_header = found.tagging.again(&object.key, deploy, row.copy_tags.as_deref());
            let done = found.bucket.retag(&object.key, &object.etag, &tag_header.metadata).await;
            (*object, Some(done.map(|done| (done, tag_header.memory))))
        });
        let mut copies = copies.buffer_unordered(self.concurrency.max(1));
        while let Some((object, done)) = copies.next().await {
            let key = object.key.clone();
            match done {
                None => copied.interrupted = true,
                Some(Ok((Retagged::Yes { etag, redirects }, memory))) => {
                    copied.done.insert(key, (etag, memory.filter(|_| !redirects)));
                    progress.add(object.size);
                    progress.file();
                }
                Some(Ok((Retagged::No(reason), _))) => copied.left.push(LeftAlone { key, reason: reason.to_owned() }),
                Some(Err(error)) => copied.failed.push((key, error)),
            }
        }
        copied.left.sort_by(|a, b| a.key.cmp(&b.key));
    }

    fn report(&self, deploy: String, kept: u64, copied: Copied, sent: Sent) -> BackfillReport {
        let mut errors: Vec<Failure> = copied.failed.iter().map(|(key, error)| Failure::of(Some(key), error)).collect();
        errors.extend(sent.failed.iter().map(|error| Failure::of(None, error)));
        let outcome = match () {
            () if !sent.failed.is_empty() => Outcome::Stale,
            () if copied.interrupted => Outcome::Interrupted,
            () if !errors.is_empty() && copied.done.is_empty() => Outcome::Failed,
            () if !errors.is_empty() => Outcome::Partial,
            () if copied.done.is_empty() => Outcome::NothingToDo,
            () => Outcome::Deployed,
        };
        BackfillReport {
            shipfront: env!("CARGO_PKG_VERSION"),
            deploy,
            outcome,
            target: self.target.to_string(),
            tagged: copied.done.len() as u64,
            kept,
            left: copied.left,
            invalidations: sent.invalidations,
            requests: self.aws.requests(),
            warnings: sent.warnings,
            errors,
        }
    }
}

/// The objects of which the record knows what they are.
fn described<'a>(told: &'a ManifestIndex, objects: &'a [RemoteObject]) -> Vec<(&'a RemoteObject, &'a Row)> {
    let mut objects = objects.iter().peekable();
    let mut found = Vec::new();
    for (key, row) in told.rows(&[]) {
        while objects.next_if(|object| object.key.as_str() < key).is_some() {}
        found
            .extend(objects.next_if(|object| object.key == key && object.etag == row.etag).map(|object| (object, row)));
    }
    found
}

/// What the next run must know if this one dies.
fn pending_change(object: &RemoteObject) -> PendingChange {
    PendingChange {
        key: object.key.clone(),
        action: Action::Upload,
        created: false,
        bytes: object.size,
        compressed: false,
        before: Some(object.etag.clone()),
        owned: true,
    }
}

/// The rows of what was copied: other tags, and another ETag where the object had been uploaded in parts.
fn changed_rows(found: &Found, copied: &Copied, evicted_by_path: &EvictedByPath<'_>) -> BTreeMap<String, Option<Row>> {
    let rows = found.told.rows(&[]).filter_map(|(key, row)| {
        let (etag, memory) = copied.done.get(key)?;
        let content = row.content();
        let row = Row {
            etag: etag.clone(),
            content: (content != etag).then(|| Box::new(content.clone())),
            copy_tags: evicted_by_path.of_upload(memory.as_ref()),
            ..row.clone()
        };
        Some((key.to_owned(), Some(row)))
    });
    rows.collect()
}

impl BackfillReport {
    /// What did not end as hoped but is no failure.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What failed.
    pub fn errors(&self) -> &[Failure] {
        &self.errors
    }

    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        self.outcome.exit()
    }
}

impl Display for BackfillReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {} objects tagged, {} were already", self.target, self.tagged, self.kept)?;
        for LeftAlone { key, reason } in &self.left {
            writeln!(out, "  {key} was left as it is: {reason}")?;
        }
        for Invalidation { distribution, id, status, items, .. } in &self.invalidations {
            let id = id.as_deref().unwrap_or("not accepted");
            writeln!(out, "  {distribution}: invalidation {id}, {status}: {}", items.join(" "))?;
        }
        Ok(())
    }
}
