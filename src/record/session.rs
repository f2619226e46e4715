//! A run's protocol with the record: what was read, the lock and the plan under which it writes, and how it ends.
//!
//! A [`Session`] is the record as it was read; it cannot write. [`Session::begin`] writes the plan, takes the lock
//! and names the plan in one step, and returns the [`ActiveSession`] under which changes are made. It ends with
//! [`ActiveSession::commit`], which makes the manifest the current one, or with [`ActiveSession::abandon`], which
//! leaves the plan to the next run. Both also end the lease.

use crate::aws::Aws;
use crate::error::{Error, ErrorKind, Result};
use crate::record::allowance::{self, UsedPaths};
use crate::record::external_writes::ExternalWrites;
use crate::record::history::{Deployed, Direction, HistoryUpdate, Rows};
use crate::record::intent::{PendingChange, UnfinishedDeploy};
use crate::record::lease::{CarryOver, Holder, Lease};
use crate::record::manifest::{Manifest, Row};
use crate::record::preview::{NewPreview, PreviewNote};
use crate::record::rules::RecordedRules;
use crate::record::{Build, LastDeploy, Place, Record, Snapshot};
use crate::s3::Bucket;
use jiff::Timestamp;
use shipfront_invalidation::DistributionId;
use shipfront_site::Target;
use shipfront_site::Warning;
use std::borrow::{Borrow, Cow};
use std::sync::Arc;

/// The record of a site as a run finds it.
#[derive(Debug)]
pub struct Session {
    record: Record,
    snapshot: Snapshot,
}

/// What a run is about to do.
pub struct Intended<'a> {
    /// Its ID.
    pub deploy: &'a str,
    /// Its build, if it has a number.
    pub build: Option<&'a Build>,
    /// The distributions that it has to invalidate.
    pub distributions: &'a [DistributionId],
    /// Everything that it may leave stale, in key order.
    pub pending: Box<dyn Iterator<Item = Cow<'a, PendingChange>> + Send + 'a>,
    /// Number of paths that it will send to CloudFront.
    pub paths: u64,
    /// The digest of the rules that it will publish.
    pub rules: Option<String>,
    /// How its build relates to the recorded ones.
    pub direction: Direction,
    /// What the site is a preview of, and for how long, if it is one.
    pub preview: Option<&'a NewPreview>,
}

impl Session {
    /// Reads the record of the site in `bucket` and everything that it names; `None` if no record is kept.
    pub async fn open(aws: &Aws, bucket: &Bucket, place: &Place) -> Result<Option<Session>> {
        let Some(record) = Record::of(aws, bucket, place).await? else { return Ok(None) };
        let snapshot = Box::pin(record.read()).await?;
        Ok(Some(Session { record, snapshot }))
    }

    /// Reads only the state: enough to know who holds the lock.
    pub async fn look(aws: &Aws, bucket: &Bucket, place: &Place) -> Result<Option<Session>> {
        let Some(record) = Record::of(aws, bucket, place).await? else { return Ok(None) };
        let snapshot = record.look().await?;
        Ok(Some(Session { record, snapshot }))
    }

    /// Where the record is kept.
    pub fn place(&self) -> &Target {
        self.record.place()
    }

    /// The record itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether there is no record yet.
    pub fn is_new(&self) -> bool {
        self.snapshot.is_new()
    }

    /// S3's time when the record was read.
    pub fn now(&self) -> Timestamp {
        self.snapshot.now
    }

    /// Who holds the lock, unless the lease has expired.
    pub fn holder(&self) -> Option<&Holder> {
        self.snapshot.holder()
    }

    /// The last holder of the lock, even if the lease has expired.
    pub fn lease(&self) -> Option<&Holder> {
        self.snapshot.state.lease.as_ref()
    }

    /// Takes the lock away from its holder: what that run had begun stays pending. `false` if the record has
    /// changed since it was read.
    pub async fn unlock(self) -> Result<bool> {
        self.record.unlock(self.snapshot).await
    }

    /// The last completed deploy.
    pub fn last(&self) -> Option<&LastDeploy> {
        self.snapshot.state.last.as_ref()
    }

    /// The newest build that was deployed or found nothing to do.
    pub fn build(&self) -> Option<&Build> {
        self.snapshot.state.build.as_ref()
    }

    /// The deploys that are kept, newest first.
    pub fn deploys(&self) -> Vec<Deployed> {
        self.snapshot.state.deploys()
    }

    /// The deploy whose manifest is current.
    pub fn live(&self) -> Option<&str> {
        self.snapshot.state.manifest.as_deref()
    }

    /// The preview's note, if the site is a preview.
    pub fn preview(&self) -> Option<&PreviewNote> {
        self.snapshot.state.preview.as_ref()
    }

    /// Removes the record, the state first, which must still be the one that was read: `false` if it is not.
    /// Remainders of runs that ended long ago are removed as well. The site is not touched.
    pub async fn remove(self) -> Result<bool> {
        self.record.remove_all(&self.snapshot).await
    }

    /// The newest build that was rolled back, if that is this build or a newer one.
    pub fn holding_back(&self, build: Option<&Build>) -> Option<&Build> {
        self.snapshot.state.holds_back(build)
    }

    /// Whether the lock is free now.
    pub async fn is_free(&self) -> Result<bool> {
        Ok(self.record.look().await?.holder().is_none())
    }

    /// What could not be read, which is harmless.
    pub fn warnings(&self) -> &[Warning] {
        &self.snapshot.warnings
    }

    /// What an interrupted run may have left stale.
    pub fn unfinished(&self) -> Option<&Arc<UnfinishedDeploy>> {
        self.snapshot.unfinished.as_ref()
    }

    /// The number of paths that this month's deploys, and whatever else counts in this record, have sent to
    /// CloudFront.
    pub fn paths_used(&self) -> u64 {
        let of_events = allowance::used(self.now(), [self.snapshot.other_paths.as_ref()]);
        self.snapshot.state.paths_used(self.now()).saturating_add(of_events)
    }

    /// The same, with the site's free paths of the month.
    pub fn paths(&self, free: u64) -> UsedPaths {
        UsedPaths { month: allowance::month_of(self.now()), used: self.paths_used(), free }
    }

    /// Reads the keys that other tools wrote.
    pub async fn external_writes(&self) -> Result<ExternalWrites> {
        self.record.external_writes().await
    }

    /// Counts paths that were sent outside deploys.
    pub async fn count_paths(&self, paths: u64) -> Result<()> {
        if paths == 0 { Ok(()) } else { self.external_writes().await?.count_paths(paths).await }
    }

    /// What was last deployed; `None` if no deploy was ever completed.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.snapshot.manifest.as_ref()
    }

    /// The rules that the last deploy published.
    pub fn rules(&self) -> Option<RecordedRules> {
        RecordedRules::of_line(&self.snapshot.manifest_extra)
    }

    /// Takes the manifest out of the session: it need not stay in memory with what is made from it.
    pub fn take_manifest(&mut self) -> Option<Manifest> {
        self.snapshot.manifest.take()
    }

    /// The newer build of the same project in the record, if there is one.
    pub fn superseding(&self, build: Option<&Build>) -> Option<&Build> {
        self.snapshot.state.build.as_ref().filter(|_| self.snapshot.state.supersedes(build))
    }

    /// The recorded build, if its number cannot belong to the same numbering as that of this build.
    pub fn unbelievable(&self, build: Option<&Build>) -> Option<&Build> {
        self.snapshot.state.unbelievable(build)
    }

    /// Records the build of a run that found nothing to do, if it is newer than the recorded one: otherwise, a slow
    /// older build could be deployed later. `false` if another run came in between.
    pub async fn note_build(&self, build: Option<&Build>) -> Result<bool> {
        match build.filter(|build| self.snapshot.state.is_older_than(Some(build))) {
            Some(build) => self.record.note_build(&self.snapshot, build.clone()).await,
            None => Ok(true),
        }
    }

    /// Writes what may become stale and takes the lock; `None` if the record has changed since it was read.
    pub async fn begin(&self, intended: Intended<'_>) -> Result<Option<ActiveSession>> {
        let lease = Lease::take(&self.record, &self.snapshot, intended).await?;
        Ok(lease.map(|lease| ActiveSession { lease, record: self.record.clone() }))
    }
}

/// The record of a site while a run holds its lock.
#[derive(Debug)]
pub struct ActiveSession {
    lease: Lease,
    record: Record,
}

/// What the next run must know about one that ends.
#[derive(Debug)]
pub struct Commit<'a> {
    /// Number of objects uploaded.
    pub uploaded: u64,
    /// Number of objects removed.
    pub removed: u64,
    /// Number of objects that should have been uploaded or removed but were not.
    pub left: u64,
    /// Whether a signal is why.
    pub interrupted: bool,
    /// Number of paths that CloudFront accepted.
    pub paths: u64,
    /// What is left to the next run.
    pub carry_over: CarryOver<'a>,
    /// What the history records about it.
    pub history_update: HistoryUpdate<'a>,
    /// Figures about its manifest.
    pub rows: Rows,
}

/// How a session ended.
#[derive(Debug)]
pub enum Ending {
    /// The record is up to date.
    Recorded,
    /// The record is not up to date: the next run invalidates again. The message for the user.
    Outdated(Warning),
    /// Another run has the lock: the live site may be stale.
    TakenOver(Error),
}

impl ActiveSession {
    /// Runs work that only the holder of the lock may do; cancels it if the lock is lost.
    pub async fn under_lock<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.lease.hold(work).await.ok_or_else(|| {
            Error::stale("the lock was lost, so the uploaded files were not invalidated")
                .hint("run the deploy again to finish and invalidate them")
        })
    }

    /// The record itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// S3's time now, if S3 responds: until then, nobody else has written.
    pub async fn now(&self) -> Option<Timestamp> {
        self.record.look().await.ok().map(|snapshot| snapshot.now)
    }

    /// Writes what will be true once CloudFront has accepted the invalidation. Until [`ActiveSession::commit`]
    /// names it, nobody reads it. Without `rules`, those of the last deploy stay.
    pub async fn write_manifest<K: AsRef<str>, R: Borrow<Row>>(
        &self,
        rows: impl Iterator<Item = (K, R)>,
        rules: Option<&RecordedRules>,
    ) -> Result<()> {
        self.lease.write_manifest(rows, rules).await
    }

    /// Nothing of the plan was done: withdraws the intent, and leaves the record as it was found.
    pub async fn take_back(self) -> Ending {
        let place = self.record.place().clone();
        Ending::of(self.lease.take_back().await, &place)
    }

    /// After the invalidation: makes the manifest the current one, if it was `written`.
    pub async fn commit(self, written: Result<()>, commit: Commit<'_>) -> Ending {
        let place = self.record.place().clone();
        let done = match written {
            Ok(()) => self.lease.complete(&commit).await,
            Err(error) => self.lease.abandon(commit.paths).await.and(Err(error)),
        };
        Ending::of(done, &place)
    }

    /// Not everything was invalidated: the plan stays for the next run. `paths` is the number that CloudFront
    /// accepted.
    pub async fn abandon(self, paths: u64) -> Ending {
        let place = self.record.place().clone();
        Ending::of(self.lease.abandon(paths).await, &place)
    }
}

impl Ending {
    fn of(done: Result<()>, place: &Target) -> Ending {
        match done {
            Ok(()) => Ending::Recorded,
            Err(error) if error.kind() == ErrorKind::Stale => Ending::TakenOver(error),
            Err(error) => Ending::Outdated(Warning::new(
                format_args!("the deploy record at {place} was not updated: {error}"),
                "the next deploy invalidates once more",
            )),
        }
    }
}
