//! Carries out one wave of the plan: bounded in flight, stopped by the first failure.

use super::on_cores;
use super::plan::Change;
use super::tagging::{Label, Labels, Tagging};
use crate::bucket::multipart::Transfer;
use crate::bucket::{Bucket, MAX_DELETE_KEYS, Stored};
use crate::error::{Error, Result};
use crate::invalidation::tags::carried::{Memory, Shared};
use crate::site::etag::{MULTIPART_THRESHOLD, changed_while_read, md5};
use crate::site::headers::Headers;
use crate::terminal::Progress;
use bytes::Bytes;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
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
}

/// What became of the changes of a wave.
#[derive(Debug, Default)]
pub struct Applied {
    /// Keys that are done, and what S3 stored under those that were uploaded.
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

/// How a wave is carried out.
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
struct Wave {
    bucket: Bucket,
    root: PathBuf,
    /// Uploads that nobody has taken, in order.
    changes: Mutex<vec::IntoIter<Change>>,
    labels: Option<Labels>,
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
    root: &Path,
    changes: impl Iterator<Item = &'a Change>,
    labels: Option<Labels>,
    limits: Limits,
    progress: Progress,
) -> Applied {
    let changes: Vec<Change> = changes.cloned().collect();
    let lanes = limits.concurrency.clamp(1, changes.len().max(1));
    let wave = Arc::new(Wave {
        bucket: bucket.clone(),
        root: root.to_owned(),
        changes: Mutex::new(changes.into_iter()),
        labels,
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

impl Wave {
    /// One file after the other, until there are no more.
    async fn lane(self: Arc<Wave>) -> Applied {
        let mut applied = Applied::default();
        while let Some(change) = self.next() {
            if self.halt.load(Ordering::Relaxed) || self.limits.stop.is_cancelled() {
                applied.left += 1;
                continue;
            }
            let sent = self.send(&change).await;
            let Change { key, bytes, .. } = change;
            match sent {
                Ok(uploaded) => {
                    applied.bytes += bytes;
                    applied.done.push((key, Some(uploaded)));
                }
                Err(error) if self.limits.create_only && is_taken(&error) => applied.overwritten.push(key),
                Err(error) => {
                    if !(self.limits.keep_going && error.is_about_the_file()) {
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
        let path = self.root.join(key);
        let headers = Headers::of(key);
        // Pages are looked through for what they refer to.
        let reader = self.labels.as_ref().filter(|_| Tagging::asks_for_references(key));
        let reader = reader.map(|labels| (labels.tagging.clone(), key.to_owned()));
        if size > MULTIPART_THRESHOLD {
            let references = on_cores({
                let path = path.clone();
                move || reader.and_then(|(tagging, key)| Some(tagging.references(&key, File::open(path).ok()?)))
            });
            let label = self.label(change, &references.await?.unwrap_or_default());
            let sent = |bytes| self.progress.add(bytes);
            let transfer = Transfer { create_only: self.limits.create_only, stop: &self.limits.stop, uploaded: &sent };
            // Apart, so that the hundreds of lanes that send small files are not as large as this.
            let put = self.bucket.put_parts(key, &path, size, (&headers, &label.metadata), transfer);
            return Ok(self.uploaded(Box::pin(put).await?, label));
        }
        let kibibytes = (size.div_ceil(1024) as u32).clamp(1, BODY_BUDGET_KIB);
        let _held = self.memory.acquire_many(kibibytes).await;
        let read = on_cores({
            let path = path.clone();
            move || {
                let (body, digest) = read_whole(&path, size)?;
                let references = reader.map(|(tagging, key)| tagging.references(&key, &*body));
                Ok((body, digest, references.unwrap_or_default()))
            }
        });
        let (body, digest, references) = read.await?.map_err(|error| Error::unreadable(&path, &error))?;
        let label = self.label(change, &references);
        let with = (&headers, label.metadata.as_slice());
        let stored = self.bucket.put(key, body, digest, with, self.limits.create_only).await?;
        self.progress.add(size);
        Ok(self.uploaded(stored, label))
    }

    fn label(&self, change: &Change, references: &[String]) -> Label {
        self.labels.as_ref().map(|labels| labels.of(change, references)).unwrap_or_default()
    }

    fn uploaded(&self, stored: Stored, label: Label) -> Uploaded {
        Uploaded { stored, memory: label.memory.map(|memory| self.memories.share(memory)) }
    }
}

/// Whether an object could not be created because there is one.
fn is_taken(error: &Error) -> bool {
    matches!(error.aws_code(), Some("PreconditionFailed" | "ConditionalRequestConflict"))
}

/// Whether a failed upload may have been stored all the same: its answer was lost, or S3 failed
/// on its own side.
pub(super) fn may_have_landed(error: &Error) -> bool {
    !error.is_about_the_file()
        && match error.aws_code() {
            None => true,
            Some(code) => matches!(code, "InternalError" | "ServiceUnavailable" | "RequestTimeout"),
        }
}

/// A file's bytes and their MD5, if they are still as many as planned and nobody wrote while they were read.
fn read_whole(path: &Path, size: u64) -> io::Result<(Bytes, [u8; 16])> {
    let file = File::open(path)?;
    let before = file.metadata()?.modified().ok();
    let mut body = Vec::with_capacity(size as usize);
    // One byte more would be a file that grew.
    (&file).take(size + 1).read_to_end(&mut body)?;
    if body.len() as u64 != size || file.metadata()?.modified().ok() != before {
        return Err(changed_while_read());
    }
    let digest = md5(&body);
    Ok((Bytes::from(body), digest))
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
                    match error.aws_code() {
                        Some("PreconditionFailed") => applied.overwritten.push(key),
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
