//! Carries out one wave of the plan: bounded in flight, stopped by the first failure.

use crate::deploy::body::{self, Body, Prepared};
use crate::deploy::on_cores;
use crate::deploy::plan::Change;
use crate::deploy::tagging::UploadTags;
use crate::deploy::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::multipart::Transfer;
use crate::s3::{Bucket, MAX_DELETE_KEYS, Stored};
use crate::terminal::Progress;
use shipfront_invalidation::tags::copy_tags::{Memory, Shared};
use shipfront_site::compression::Compressed;
use shipfront_site::etag::MULTIPART_THRESHOLD;
use shipfront_site::headers::{Headers, HeadersDigest};
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Bytes of file contents held in memory at once, in KiB: three of the largest that are sent in one
/// piece, or thousands of pages.
const BODY_BUDGET_KIB: u32 = 48 * 1024;

/// What was uploaded under a key.
#[derive(Debug, Clone)]
pub struct Uploaded {
    /// What S3 stored.
    pub stored: Stored,
    /// What must be remembered of the cache tags that it carries.
    pub memory: Option<Arc<Memory>>,
    /// Bytes of the object.
    pub size: u64,
    /// A digest of the headers it was uploaded with.
    pub headers: HeadersDigest,
    /// What came of compressing the file, where that was asked for.
    pub compressed: Option<Box<Compressed>>,
}

/// What became of the changes of a wave.
#[derive(Debug, Default)]
pub struct Applied {
    /// Keys that are done, and what was stored under those that were uploaded.
    pub done: Vec<(String, Option<Uploaded>)>,
    /// Keys that failed, with the reason.
    pub failed: Vec<(String, Error)>,
    /// Keys that failed in such a way that they may be done all the same: they count as changed.
    pub doubtful: Vec<String>,
    /// Bytes sent.
    pub bytes: u64,
    /// Keys that were not begun, because something failed or the run was interrupted.
    pub left: u64,
    /// Keys that were not removed, or not created, because others had written them.
    pub overwritten: Vec<String>,
}

impl Applied {
    /// Adds what became of another wave.
    pub fn extend(&mut self, other: Applied) {
        self.done.extend(other.done);
        self.failed.extend(other.failed);
        self.doubtful.extend(other.doubtful);
        self.bytes += other.bytes;
        self.left += other.left;
        self.overwritten.extend(other.overwritten);
    }

    /// Whether every change of the wave is done.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.left == 0
    }
}

/// How a wave is copy_tags out.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests in flight.
    pub concurrency: usize,
    /// Whether a file that cannot be read ends the wave.
    pub keep_going: bool,
    /// Whether an object that is there meanwhile stays as it is.
    pub create_only: bool,
    /// Set by a signal: nothing new is begun, what is in flight is finished.
    pub stop: CancellationToken,
}

/// What the lanes of one wave share.
struct WaveRun {
    bucket: Bucket,
    walk: Arc<Walk>,
    /// Uploads that nobody has taken, in order.
    changes: Mutex<vec::IntoIter<Change>>,
    upload_tags: Option<UploadTags>,
    /// What one deploy changes has much in common.
    memories: Shared<Memory>,
    halt: AtomicBool,
    memory: Semaphore,
    limits: Limits,
    progress: Progress,
}

/// Uploads the changes of one wave.
///
/// As many lanes as may be in flight each take one file after the other, spread over the runtime's threads.
/// They end with the future that is returned.
pub async fn upload<'a>(
    bucket: &Bucket,
    walk: &Arc<Walk>,
    changes: impl Iterator<Item = &'a Change>,
    upload_tags: Option<UploadTags>,
    limits: Limits,
    progress: Progress,
) -> Applied {
    let changes: Vec<Change> = changes.cloned().collect();
    let lanes = limits.concurrency.clamp(1, changes.len().max(1));
    let wave = Arc::new(WaveRun {
        bucket: bucket.clone(),
        walk: walk.clone(),
        changes: Mutex::new(changes.into_iter()),
        upload_tags,
        memories: Shared::default(),
        halt: AtomicBool::new(false),
        memory: Semaphore::new(BODY_BUDGET_KIB as usize),
        limits,
        progress,
    });
    let mut running: JoinSet<Applied> = (0..lanes).map(|_| wave.clone().lane()).collect();
    let mut applied = Applied::default();
    while let Some(lane) = running.join_next().await {
        match lane {
            Ok(lane) => applied.extend(lane),
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
    applied
}

impl WaveRun {
    /// One file after the other, until there are no more.
    async fn lane(self: Arc<WaveRun>) -> Applied {
        let mut applied = Applied::default();
        while let Some(change) = self.next() {
            if self.halt.load(Ordering::Relaxed) || self.limits.stop.is_cancelled() {
                applied.left += 1;
                continue;
            }
            let sent = self.send(&change).await;
            let key = change.key;
            match sent {
                Ok(uploaded) => {
                    self.progress.file();
                    applied.bytes += uploaded.size;
                    applied.done.push((key, Some(uploaded)));
                }
                Err(error) if self.limits.create_only && is_taken(&error) => applied.overwritten.push(key),
                Err(error) => {
                    if !(self.limits.keep_going && error.kind() == ErrorKind::UnreadableFile) {
                        self.halt.store(true, Ordering::Relaxed);
                    }
                    if may_have_landed(&error) {
                        applied.doubtful.push(key.clone());
                    }
                    applied.failed.push((key, error));
                }
            }
        }
        applied
    }

    fn next(&self) -> Option<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    async fn send(&self, change: &Change) -> Result<Uploaded> {
        let (key, size) = (change.key.as_str(), change.bytes);
        let headers = self.walk.headers(key);
        let in_memory = match (size > MULTIPART_THRESHOLD, headers.compress.is_empty()) {
            // What is sent in parts is read from its file.
            (true, true) => 0,
            (false, true) => size,
            // Before and after.
            (_, false) => 2 * size.min(MULTIPART_THRESHOLD),
        };
        let _held = self.memory.acquire_many((in_memory.div_ceil(1024) as u32).clamp(1, BODY_BUDGET_KIB)).await;
        let tagging = self.upload_tags.as_ref().map(|upload_tags| upload_tags.tagging.clone());
        let prepare = on_cores({
            let (walk, key, asked) = (self.walk.clone(), key.to_owned(), headers.compress.clone());
            move || {
                let references = tagging.map(|tagging| tagging.references(&key, &walk.path(&key)));
                body::prepare(&walk, &key, size, &asked).map(|prepared| (prepared, references.unwrap_or_default()))
            }
        });
        let (Prepared { body, size: sent, compressed }, references) = prepare.await??;
        let headers = headers.compressed(compressed.as_ref().and_then(|compressed| compressed.encoding));
        let tag_header = self
            .upload_tags
            .as_ref()
            .map(|upload_tags| upload_tags.of(change, &references, &headers))
            .unwrap_or_default();
        let with = (&headers, tag_header.metadata.as_slice());
        let stored = match &body {
            Body::Whole(bytes, digest) => {
                let stored = self.bucket.put(key, bytes.clone(), *digest, with, self.limits.create_only).await?;
                self.progress.add(size);
                stored
            }
            Body::Parts(path) => Box::pin(self.send_parts(key, path, sent, with)).await?,
            Body::Scratch(path) => Box::pin(self.send_parts(key, path, sent, with)).await?,
        };
        let memory = tag_header.memory.map(|memory| self.memories.share(memory));
        Ok(Uploaded { stored, size: sent, headers: headers.digest(), compressed, memory })
    }

    /// Apart, so that the hundreds of lanes that send small files are not as large as this.
    async fn send_parts(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        with: (&Headers, &[(String, String)]),
    ) -> Result<Stored> {
        let sent = |bytes| self.progress.add(bytes);
        let transfer = Transfer { create_only: self.limits.create_only, stop: &self.limits.stop, uploaded: &sent };
        self.bucket.put_parts(key, path, size, with, transfer).await
    }
}

/// Whether an object could not be created because there is one.
fn is_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PreconditionFailed | ErrorKind::Conflict)
}

/// Whether a failed upload may have been stored all the same: its answer was lost, or S3 failed
/// on its own side.
pub(super) fn may_have_landed(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unanswered | ErrorKind::ServerFault | ErrorKind::Other)
}

/// Deletes objects, in as few requests as S3 allows; with `unchanged_only`, each only while it is the
/// one that was listed.
pub async fn prune(bucket: &Bucket, changes: Vec<&Change>, unchanged_only: bool, limits: &Limits) -> Applied {
    let mut applied = Applied::default();
    for batch in changes.chunks(MAX_DELETE_KEYS) {
        if limits.stop.is_cancelled() || !applied.failed.is_empty() {
            applied.left += batch.len() as u64;
            continue;
        }
        let keys: Vec<_> = batch
            .iter()
            .map(|change| (change.key.as_str(), change.before.as_ref().filter(|_| unchanged_only)))
            .collect();
        match bucket.delete(&keys).await {
            Ok(refused) => {
                let refused_keys: HashSet<&str> = refused.iter().map(|(key, _)| key.as_str()).collect();
                let done = keys.iter().filter(|(key, _)| !refused_keys.contains(key));
                applied.done.extend(done.map(|&(key, _)| (key.to_owned(), None)));
                for (key, error) in refused {
                    match error.kind() {
                        ErrorKind::PreconditionFailed => applied.overwritten.push(key),
                        _ => applied.failed.push((key, error)),
                    }
                }
            }
            Err(error) => {
                if may_have_landed(&error) {
                    applied.doubtful.extend(keys.iter().map(|&(key, _)| key.to_owned()));
                }
                applied.failed.extend(keys.iter().map(|&(key, _)| (key.to_owned(), error.clone())));
            }
        }
    }
    applied
}
