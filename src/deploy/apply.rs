//! Carries out one wave of the plan: bounded in flight, stopped by the first failure.

use super::plan::Change;
use crate::bucket::{Bucket, MAX_DELETE_KEYS, Stored};
use crate::error::Error;
use crate::site::etag::{MULTIPART_THRESHOLD, changed_while_read, read_all};
use crate::site::headers::Headers;
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Bytes of file contents held in memory at once, in KiB: three of the largest that are sent in one
/// piece, or thousands of pages.
const BODY_BUDGET_KIB: u32 = 48 * 1024;

/// What became of the changes of a wave.
#[derive(Debug, Default)]
pub struct Applied {
    /// Keys that are done, and what S3 stored under those that were uploaded.
    pub done: Vec<(String, Option<Stored>)>,
    /// Keys that failed, with the reason.
    pub failed: Vec<(String, Error)>,
    /// Keys that failed in such a way that they may be done all the same: they count as changed.
    pub doubtful: Vec<String>,
    /// Bytes sent.
    pub bytes: u64,
    /// Keys that were not begun, because something failed or the run was interrupted.
    pub left: u64,
    /// Keys that were not removed, because others had written them.
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
    /// Set by a signal: nothing new is begun, what is in flight is finished.
    pub stop: CancellationToken,
}

enum Outcome {
    Done(Stored),
    Failed { error: Error, doubtful: bool },
    Left,
}

/// Uploads the changes of one wave. `sent` is told the bytes of each finished piece.
pub async fn upload(
    bucket: &Bucket,
    root: &Path,
    changes: Vec<&Change>,
    limits: &Limits,
    sent: &(dyn Fn(u64) + Sync),
) -> Applied {
    let halt = AtomicBool::new(false);
    let memory = Arc::new(Semaphore::new(BODY_BUDGET_KIB as usize));
    let (halt, memory) = (&halt, &memory);
    let tasks = stream::iter(changes).map(|change| async move {
        if halt.load(Ordering::Relaxed) || limits.stop.is_cancelled() {
            return (change, Outcome::Left);
        }
        let outcome = upload_one(bucket, root, change, memory, limits, sent).await;
        if let Outcome::Failed { error, .. } = &outcome
            && !(limits.keep_going && error.is_about_the_file())
        {
            halt.store(true, Ordering::Relaxed);
        }
        (change, outcome)
    });
    let mut applied = Applied::default();
    let mut tasks = std::pin::pin!(tasks.buffer_unordered(limits.concurrency.max(1)));
    while let Some((change, outcome)) = tasks.next().await {
        match outcome {
            Outcome::Done(stored) => {
                applied.bytes += change.bytes;
                applied.done.push((change.key.clone(), Some(stored)));
            }
            Outcome::Failed { error, doubtful } => {
                if doubtful {
                    applied.doubtful.push(change.key.clone());
                }
                applied.failed.push((change.key.clone(), error));
            }
            Outcome::Left => applied.left += 1,
        }
    }
    applied
}

async fn upload_one(
    bucket: &Bucket,
    root: &Path,
    change: &Change,
    memory: &Semaphore,
    limits: &Limits,
    sent: &(dyn Fn(u64) + Sync),
) -> Outcome {
    let path = root.join(&change.key);
    let headers = Headers::of(&change.key);
    let result = if change.bytes > MULTIPART_THRESHOLD {
        bucket.put_parts(&change.key, &path, change.bytes, &headers, &limits.stop, sent).await
    } else {
        let kibibytes = (change.bytes.div_ceil(1024) as u32).clamp(1, BODY_BUDGET_KIB);
        let _held = memory.acquire_many(kibibytes).await;
        match read_whole(path.clone(), change.bytes).await {
            Ok(body) => bucket.put(&change.key, body, &headers).await.inspect(|_| sent(change.bytes)),
            Err(error) => Err(Error::unreadable(&path, &error)),
        }
    };
    match result {
        Ok(stored) => Outcome::Done(stored),
        Err(error) => Outcome::Failed { doubtful: may_have_landed(&error), error },
    }
}

/// Whether a failed upload may have been stored all the same: its answer was lost, or S3 failed
/// on its own side.
fn may_have_landed(error: &Error) -> bool {
    !error.is_about_the_file()
        && match error.aws_code() {
            None => true,
            Some(code) => matches!(code, "InternalError" | "ServiceUnavailable" | "RequestTimeout"),
        }
}

/// A file's bytes, if they are still as many as planned and nobody wrote while they were read.
async fn read_whole(path: PathBuf, size: u64) -> io::Result<Bytes> {
    let read = move || {
        let file = File::open(path)?;
        let before = file.metadata()?.modified().ok();
        let mut body = Vec::with_capacity(size as usize);
        read_all(&file, size, |chunk| body.extend_from_slice(chunk))?;
        if file.metadata()?.modified().ok() == before { Ok(Bytes::from(body)) } else { Err(changed_while_read()) }
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
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
