//! Carries out one wave of the plan: a bounded number of requests in flight, stopped by the first failure.

use crate::clock::Clock;
use crate::deploy::body::{self, Body, Prepared};
use crate::deploy::change::{Change, ChangeOutcome, MoreOfUpload, Retagged, Uploaded};
use crate::deploy::entry::{Entry, FileFacts};
use crate::deploy::lanes::{held, in_lanes};
use crate::deploy::on_cores;
use crate::deploy::outcomes::Outcomes;
use crate::deploy::plan::Plan;
use crate::deploy::tagging::{TagHeader, UploadTags};
use crate::deploy::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::record::manifest::Version;
use crate::s3::multipart::Transfer;
use crate::s3::{self, Bucket, MAX_DELETE_KEYS, Stored};
use crate::terminal::Progress;
use shipfront_invalidation::tags::copy_tags::{Memory, Shared};
use shipfront_site::etag::{Etag, MULTIPART_THRESHOLD};
use shipfront_site::headers::Headers;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Maximum size of file contents in memory at once, in KiB: three of the largest that are sent in one piece, or
/// thousands of pages.
const BODY_BUDGET_KIB: u32 = 48 * 1024;

/// The outcomes of changes, each with its index in the plan.
pub type Done = Vec<(usize, ChangeOutcome)>;

/// How a wave is carried out.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Maximum number of requests in flight.
    pub concurrency: usize,
    /// Whether the wave continues after a file that cannot be read.
    pub keep_going: bool,
    /// Whether an object that was created meanwhile stays as it is.
    pub create_only: bool,
    /// Set by a signal: nothing new is started, requests in flight are finished.
    pub stop: CancellationToken,
    /// The clock that limits how long they may take.
    pub clock: Clock,
}

impl Limits {
    /// A request that is cut off soon after a signal: it may have had its effect.
    pub(super) async fn in_flight<T>(&self, what: &str, request: impl Future<Output = Result<T>>) -> Result<T> {
        let cut_off = || {
            Error::failed(format!("{what} was interrupted before S3 answered"))
                .of_kind(ErrorKind::Unanswered)
                .hint("the next deploy checks whether it succeeded")
        };
        self.clock.timeout_after(&self.stop, IN_FLIGHT, request).await.unwrap_or_else(|| Err(cut_off()))
    }
}

/// How long requests in flight may take after a signal. Together with the time for CloudFront and for the record,
/// it is less than the 30 seconds after which containers are killed.
pub(super) const IN_FLIGHT: Duration = Duration::from_secs(4);

/// What the lanes of one wave share.
struct WaveRun {
    bucket: Bucket,
    walk: Arc<Walk>,
    plan: Arc<Plan>,
    /// The outcome of each change of the plan.
    outcomes: Mutex<Outcomes>,
    tags: Option<UploadTags>,
    /// The objects that one deploy changes have much in common.
    memories: Shared<Memory>,
    halt: AtomicBool,
    memory: Semaphore,
    limits: Limits,
    progress: Progress,
}

/// Uploads the changes of one wave, given by their indices in the plan, and writes the outcome of each to the
/// `outcomes` of all.
pub async fn upload(
    bucket: &Bucket,
    (walk, plan): (&Arc<Walk>, &Arc<Plan>),
    (changes, outcomes): (Vec<usize>, Outcomes),
    tags: Option<UploadTags>,
    limits: Limits,
    progress: Progress,
) -> Outcomes {
    let concurrency = limits.concurrency;
    let wave = Arc::new(WaveRun {
        bucket: bucket.clone(),
        walk: walk.clone(),
        plan: plan.clone(),
        outcomes: Mutex::new(outcomes),
        tags,
        memories: Shared::default(),
        halt: AtomicBool::new(false),
        memory: Semaphore::new(BODY_BUDGET_KIB as usize),
        limits,
        progress,
    });
    let uploading = wave.clone();
    in_lanes(changes.into_iter(), concurrency, move |at| uploading.clone().upload(at)).await;
    std::mem::take(&mut *held(&wave.outcomes))
}

impl WaveRun {
    /// Uploads the object of a change, unless the wave is over.
    async fn upload(self: Arc<WaveRun>, at: usize) {
        let change = &self.plan.changes[at];
        let is_over = self.halt.load(Ordering::Relaxed) || self.limits.stop.is_cancelled();
        let Some(entry) = change.entry().filter(|_| !is_over) else { return };
        let outcome = self.outcome(self.send(change, entry).await);
        held(&self.outcomes).set(at, outcome);
    }

    fn outcome(&self, sent: Result<Uploaded>) -> ChangeOutcome {
        match sent {
            Ok(uploaded) => {
                self.progress.file();
                ChangeOutcome::Uploaded(uploaded)
            }
            Err(error) if self.limits.create_only && is_taken(&error) => ChangeOutcome::Overwritten,
            Err(error) => {
                if !(self.limits.keep_going && error.kind() == ErrorKind::UnreadableFile) {
                    self.halt.store(true, Ordering::Relaxed);
                }
                failed(error)
            }
        }
    }

    async fn send(&self, change: &Change, at: usize) -> Result<Uploaded> {
        let entry: &Entry = &self.walk.entries[at];
        let (key, size) = (&*entry.key, entry.size);
        let in_memory = match (size > MULTIPART_THRESHOLD, entry.compression().is_empty()) {
            // Files that are sent in parts are read from the disk.
            (true, true) => 0,
            (false, true) => size,
            // Before and after compression.
            (_, false) => 2 * size.min(MULTIPART_THRESHOLD),
        };
        let _held = self.memory.acquire_many((in_memory.div_ceil(1024) as u32).clamp(1, BODY_BUDGET_KIB)).await;
        let tagging = self.tags.as_ref().map(|tags| tags.tagging.clone());
        let prepare = on_cores({
            let walk = self.walk.clone();
            move || {
                let entry = &walk.entries[at];
                let references = tagging.map(|tagging| tagging.references(&entry.key, &entry.path(&walk.root)));
                body::prepare(&walk.root, entry).map(|prepared| (prepared, references.unwrap_or_default()))
            }
        });
        let (Prepared { body, size: sent, compressed, is_utf8 }, references) = prepare.await??;
        let encoding = compressed.as_ref().and_then(|compressed| compressed.encoding);
        let found = FileFacts { encoding, is_utf8 };
        let headers = entry.headers.stored(found);
        let tag_header = self.tags.as_ref().map(|tags| tags.header(change, &references, &headers));
        let TagHeader { metadata, memory } = tag_header.unwrap_or_default();
        let with = (&headers, metadata.as_slice());
        let stored = match &body {
            Body::Whole(bytes, crc64) => {
                let put = self.bucket.put(key, (bytes, crc64), with, self.limits.create_only);
                let stored = self.limits.in_flight(key, put).await?;
                self.progress.add(size);
                stored
            }
            Body::Parts(path) => Box::pin(self.send_parts(key, path, sent, with)).await?,
            Body::Scratch(path) => Box::pin(self.send_parts(key, path, sent, with)).await?,
        };
        let memory = memory.map(|memory| self.memories.share(memory));
        let Stored { etag, content, version } = stored;
        let version = Version::id_of_answer(version.as_deref());
        let content = (content != etag).then(|| Box::new(content));
        let size = (sent != change.bytes()).then_some(sent);
        let more = MoreOfUpload { content, memory, compressed, size, has_other_charset: !is_utf8 };
        Ok(Uploaded { etag, headers: entry.headers.digest(found), version, more: more.boxed() })
    }

    /// A separate function, so that the futures of the hundreds of lanes that send small files are not as large as
    /// this.
    async fn send_parts(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        with: (&Headers, &[(String, String)]),
    ) -> Result<Stored> {
        let sent = |bytes| self.progress.add(bytes);
        let Limits { create_only, stop, clock, .. } = &self.limits;
        let transfer = Transfer { create_only: *create_only, stop, cut_off: (clock, IN_FLIGHT), uploaded: &sent };
        self.bucket.put_parts(key, path, size, with, transfer).await
    }
}

pub(super) fn failed(error: Error) -> ChangeOutcome {
    ChangeOutcome::Failed { may_have_succeeded: may_have_succeeded(&error), error: Box::new(error) }
}

/// Whether an object could not be created because one exists.
fn is_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PreconditionFailed | ErrorKind::Conflict)
}

/// Whether a failed write may have been stored after all: its response was lost, or S3 failed.
fn may_have_succeeded(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unanswered | ErrorKind::ServerFault | ErrorKind::Other)
}

/// Deletes objects, in as few requests as S3 allows, and enters what became of each among the `outcomes` of all; with
/// `unchanged_only`, each only while it is the one that was listed.
pub async fn remove(
    bucket: &Bucket,
    plan: &Plan,
    (changes, outcomes): (Vec<usize>, &mut Outcomes),
    unchanged_only: bool,
    limits: &Limits,
) {
    let mut halt = false;
    for batch in changes.chunks(MAX_DELETE_KEYS) {
        if limits.stop.is_cancelled() || halt {
            break;
        }
        let key = |at: &usize| {
            let change = &plan.changes[*at];
            (change.key(), change.before().filter(|_| unchanged_only))
        };
        let keys: Vec<(&str, Option<&Etag>)> = batch.iter().map(key).collect();
        match limits.in_flight("the removal", bucket.delete(&keys)).await {
            Ok(refused) => {
                let mut refused: HashMap<String, Error> = refused.into_iter().collect();
                for (at, (key, _)) in batch.iter().zip(keys) {
                    let outcome = match refused.remove(key) {
                        None => ChangeOutcome::Removed,
                        Some(error) if error.kind() == ErrorKind::PreconditionFailed => ChangeOutcome::Overwritten,
                        Some(error) => {
                            halt = true;
                            ChangeOutcome::Failed { error: Box::new(error), may_have_succeeded: false }
                        }
                    };
                    outcomes.set(*at, outcome);
                }
            }
            Err(error) => {
                halt = true;
                batch.iter().for_each(|at| outcomes.set(*at, failed(error.clone())));
            }
        }
    }
}

/// The objects that get cache tags.
struct Retagging {
    bucket: Bucket,
    plan: Arc<Plan>,
    outcomes: Mutex<Outcomes>,
    tags: UploadTags,
    limits: Limits,
    progress: Progress,
}

/// Copies objects onto themselves with cache tags, given by their indices in the plan, and writes the outcome of each to
/// the `outcomes` of all. Objects that must not be copied are left alone.
pub async fn retag(
    bucket: &Bucket,
    plan: &Arc<Plan>,
    (changes, outcomes): (Vec<usize>, Outcomes),
    tags: UploadTags,
    limits: Limits,
    progress: Progress,
) -> Outcomes {
    let (bucket, plan, concurrency) = (bucket.clone(), plan.clone(), limits.concurrency);
    let retagging = Arc::new(Retagging { bucket, plan, outcomes: Mutex::new(outcomes), tags, limits, progress });
    let tagging = retagging.clone();
    in_lanes(changes.into_iter(), concurrency, move |at| tagging.clone().retag(at)).await;
    std::mem::take(&mut *held(&retagging.outcomes))
}

impl Retagging {
    async fn retag(self: Arc<Retagging>, at: usize) {
        let Change::Retag { subject, row, bytes } = &self.plan.changes[at] else { return };
        let Some(existing) = subject.existing().filter(|_| !self.limits.stop.is_cancelled()) else { return };
        let TagHeader { metadata, memory } = self.tags.again(&subject.key, row.copy_tags.as_deref());
        let copy = self.bucket.retag(&subject.key, &existing.etag, &metadata);
        let outcome = match self.limits.in_flight(&subject.key, copy).await {
            Ok(s3::retag::Retagged::Yes { etag, redirects, version, class }) => {
                self.progress.add(*bytes);
                self.progress.file();
                let version = Version::of_answer(version.as_deref(), class.as_deref());
                ChangeOutcome::Retagged(Box::new(Retagged { etag, memory: memory.filter(|_| !redirects), version }))
            }
            Ok(s3::retag::Retagged::No(why)) => ChangeOutcome::LeftAlone(why),
            Err(error) => failed(error),
        };
        held(&self.outcomes).set(at, outcome);
    }
}
