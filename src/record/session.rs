//! A run's way through the record: what was read, the lock and the plan under which it writes, and how it ends.
//!
//! [`Session`] is the record as it was read; nobody writes by it. [`Session::begin`] writes the plan and takes the
//! lock in one step with naming it, and gives the [`ActiveSession`] under which changes are made. It ends in
//! [`ActiveSession::commit`], which makes the manifest the current one, or in [`ActiveSession::abandon`], which
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
    /// Its id.
    pub deploy: &'a str,
    /// Its build, if it has a number.
    pub build: Option<&'a Build>,
    /// The distributions that it has to tell.
    pub distributions: &'a [DistributionId],
    /// All that it may leave stale, in key order.
    pub pending: Box<dyn Iterator<Item = Cow<'a, PendingChange>> + Send + 'a>,
    /// The paths that it is to send to CloudFront.
    pub paths: u64,
    /// The digest of the rules that it is to publish.
    pub rules: Option<String>,
    /// Where it stands among the builds.
    pub direction: Direction,
    /// What the site is a preview of, and for how long, if it is one.
    pub preview: Option<&'a NewPreview>,
}

impl Session {
    /// Reads the record of the site in `bucket` and all that it names; `None` where none is kept.
    pub async fn open(aws: &Aws, bucket: &Bucket, place: &Place) -> Result<Option<Session>> {
        let Some(record) = Record::of(aws, bucket, place).await? else { return Ok(None) };
        let snapshot = Box::pin(record.read()).await?;
        Ok(Some(Session { record, snapshot }))
    }

    /// Reads the state alone: enough to know whose turn it is.
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

    /// Who took the lock, also where the lease has expired.
    pub fn lease(&self) -> Option<&Holder> {
        self.snapshot.state.lease.as_ref()
    }

    /// Takes the lock away from its holder: what that run had begun stays pending. `false` if the record changed
    /// since it was read.
    pub async fn unlock(self) -> Result<bool> {
        self.record.unlock(self.snapshot).await
    }

    /// The last deploy that was completed.
    pub fn last(&self) -> Option<&LastDeploy> {
        self.snapshot.state.last.as_ref()
    }

    /// The newest build that was deployed or found nothing to do.
    pub fn build(&self) -> Option<&Build> {
        self.snapshot.state.build.as_ref()
    }

    /// The deploys that are kept, the newest first.
    pub fn deploys(&self) -> Vec<Deployed> {
        self.snapshot.state.deploys()
    }

    /// The deploy whose manifest is current.
    pub fn live(&self) -> Option<&str> {
        self.snapshot.state.manifest.as_deref()
    }

    /// What is to be known of the site, if it is a preview.
    pub fn preview(&self) -> Option<&PreviewNote> {
        self.snapshot.state.preview.as_ref()
    }

    /// Removes the record, the state first, which must still be the one that was read: `false` if it is not. What a run
    /// that ended long ago left goes with it. Nothing of the site is touched.
    pub async fn remove(self) -> Result<bool> {
        self.record.remove_all(&self.snapshot).await
    }

    /// The newest build that was rolled back, where it or an older one is this one.
    pub fn holding_back(&self, build: Option<&Build>) -> Option<&Build> {
        self.snapshot.state.holds_back(build)
    }

    /// Whether the lock is free now.
    pub async fn is_free(&self) -> Result<bool> {
        Ok(self.record.look().await?.holder().is_none())
    }

    /// What of it could not be read, which does no harm.
    pub fn warnings(&self) -> &[String] {
        &self.snapshot.warnings
    }

    /// What an interrupted run may have left stale.
    pub fn unfinished(&self) -> Option<&Arc<UnfinishedDeploy>> {
        self.snapshot.unfinished.as_ref()
    }

    /// The paths that this month's deploys, and whatever else counts in this record, have sent to CloudFront.
    pub fn paths_used(&self) -> u64 {
        let of_events = allowance::used(self.now(), [self.snapshot.other_paths.as_ref()]);
        self.snapshot.state.paths_used(self.now()).saturating_add(of_events)
    }

    /// The same, with what the month has free for the site.
    pub fn paths(&self, free: u64) -> UsedPaths {
        UsedPaths { month: allowance::month_of(self.now()), used: self.paths_used(), free }
    }

    /// Reads the keys that others wrote.
    pub async fn external_writes(&self) -> Result<ExternalWrites> {
        self.record.external_writes().await
    }

    /// Counts paths that were sent beside deploys.
    pub async fn count_paths(&self, paths: u64) -> Result<()> {
        if paths == 0 { Ok(()) } else { self.external_writes().await?.count_paths(paths).await }
    }

    /// What was last deployed; `None` where no deploy was ever completed.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.snapshot.manifest.as_ref()
    }

    /// The rules that the last deploy published.
    pub fn rules(&self) -> Option<RecordedRules> {
        RecordedRules::of_line(&self.snapshot.manifest_extra)
    }

    /// The manifest, once: it need not be held beside what is made of it.
    pub fn take_manifest(&mut self) -> Option<Manifest> {
        self.snapshot.manifest.take()
    }

    /// The session without what was last deployed, which is most of it.
    pub fn without_manifest(mut self) -> Session {
        self.snapshot.manifest = None;
        self
    }

    /// The newer build of the same project that is recorded, if there is one.
    pub fn superseding(&self, build: Option<&Build>) -> Option<&Build> {
        self.snapshot.state.build.as_ref().filter(|_| self.snapshot.state.supersedes(build))
    }

    /// The recorded build, where its number cannot be of the same numbering as that of this build.
    pub fn unbelievable(&self, build: Option<&Build>) -> Option<&Build> {
        self.snapshot.state.unbelievable(build)
    }

    /// Records the build of a run that found nothing to do, if it is newer than the recorded one: without that, a
    /// slow older build would win later. `false` if another run came in between.
    pub async fn note_build(&self, build: Option<&Build>) -> Result<bool> {
        match build.filter(|build| self.snapshot.state.is_older_than(Some(build))) {
            Some(build) => self.record.note_build(&self.snapshot, build.clone()).await,
            None => Ok(true),
        }
    }

    /// Writes down what may become stale and takes the lock; `None` if the record changed since it was read.
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

/// What the next run must know of one that ends.
#[derive(Debug)]
pub struct Commit<'a> {
    /// Objects that were uploaded.
    pub uploaded: u64,
    /// Objects that were removed.
    pub removed: u64,
    /// Objects that were to be uploaded or removed, and were not.
    pub left: u64,
    /// Whether a signal is why.
    pub interrupted: bool,
    /// Paths that CloudFront took.
    pub paths: u64,
    /// What is left to the next run.
    pub carry_over: CarryOver<'a>,
    /// What the history says of it.
    pub history_update: HistoryUpdate<'a>,
    /// What its manifest has.
    pub rows: Rows,
}

/// How a session ended.
#[derive(Debug)]
pub enum Ending {
    /// The record says what is so.
    Recorded,
    /// The record does not say so: the next run invalidates once more. The sentence for the person.
    Outdated(String),
    /// Another run has the lock: what is live may be stale.
    TakenOver(Error),
}

impl ActiveSession {
    /// Does work that only the holder of the lock may do; gives it up where the lock is lost.
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

    /// S3's time now, if S3 answers: until then nobody else has written.
    pub async fn now(&self) -> Option<Timestamp> {
        self.record.look().await.ok().map(|snapshot| snapshot.now)
    }

    /// Writes what will be true once CloudFront accepted the invalidation. Until [`ActiveSession::commit`] names it, nobody reads it.
    /// Without `rules`, those of the last deploy stay.
    pub async fn write_manifest<K: AsRef<str>, R: Borrow<Row>>(
        &self,
        rows: impl Iterator<Item = (K, R)>,
        rules: Option<&RecordedRules>,
    ) -> Result<()> {
        self.lease.write_manifest(rows, rules).await
    }

    /// Nothing of the plan was done: takes the intent back, and leaves the record as it was found.
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

    /// Not everything was invalidated: the plan stays for the next run. `paths` are those that it took.
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
            Err(error) => Ending::Outdated(format!(
                "the deploy record at {place} was not updated: {error}; the next deploy invalidates once more"
            )),
        }
    }
}
