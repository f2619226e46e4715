//! The folder of all tests: what was written in it, and its removal.

use crate::clock::Clock;
use crate::commands::conformance::cdn::Cdn;
use crate::commands::conformance::evidence::Learned;
use crate::error::{Error, Result};
use crate::s3::trial::{Conditions, Deletion, Put, Refused, Tried};
use crate::s3::{Bucket, Declared, MAX_DELETE_KEYS, RemoteObject, Start};
use shipfront_site::etag::md5;
use shipfront_site::headers::Headers;
use shipfront_site::key::has_control_character;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A request that a signal cut off may take effect a little later.
const SETTLING: Duration = Duration::from_secs(1);
/// Maximum number of responses in a listing of the folder, which contains a few dozen objects.
const MOST_PAGES: u32 = 100;
/// How often the folder is listed until it is empty.
const SWEEPS: u32 = 5;

/// The folder, and the distribution if there is one.
pub(super) struct Trial {
    bucket: Bucket,
    clock: Clock,
    cdn: Option<Cdn>,
    /// The keys that were written, whatever a listing says about them.
    keys: Mutex<BTreeSet<String>>,
    /// Versions that can only be removed by ID, with their keys.
    versions: Mutex<BTreeSet<(String, String)>>,
    /// Held by a multipart upload, which must not be left incomplete.
    uploads: Arc<Semaphore>,
    learned: Mutex<Learned>,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        refused.error
    }
}

impl Trial {
    pub(super) fn new(bucket: Bucket, clock: &Clock) -> Trial {
        Trial {
            bucket,
            clock: clock.clone(),
            cdn: None,
            keys: Mutex::default(),
            versions: Mutex::default(),
            uploads: Arc::new(Semaphore::new(1)),
            learned: Mutex::default(),
        }
    }

    /// The same with a distribution.
    pub(super) fn with(self, cdn: Cdn) -> Trial {
        Trial { cdn: Some(cdn), ..self }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The distribution, if one is tested.
    pub(super) fn cdn(&self) -> Option<&Cdn> {
        self.cdn.as_ref()
    }

    /// A subfolder for one check.
    pub(super) fn folder(&self, name: &str) -> Result<Bucket> {
        self.bucket.below(&format!("{name}/"))
    }

    /// Remembers what to remove: a key, and a version that can only be removed by ID.
    pub(super) fn wrote(&self, bucket: &Bucket, key: &str, version: Option<&str>) {
        let key = bucket.target().full_key(key);
        let Some(own) = key.strip_prefix(self.bucket.target().prefix()) else { return };
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(own.to_owned());
        if let Some(version) = version {
            let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
            versions.insert((own.to_owned(), version.to_owned()));
        }
    }

    /// Writes an object.
    pub(super) async fn put(
        &self,
        bucket: &Bucket,
        key: &str,
        body: &str,
        headers: &Headers,
        conditions: Conditions<'_>,
    ) -> Tried<Put> {
        let body = body.as_bytes();
        self.wrote(bucket, key, None);
        let put = bucket.try_put(key, body, Declared::Md5(md5(body)), headers, conditions).await?;
        self.wrote(bucket, key, put.version.as_deref());
        Ok(put)
    }

    /// Writes an object in parts, to its end even after a signal.
    pub(super) async fn put_parts(
        &self,
        bucket: &Bucket,
        key: &str,
        parts: Vec<Vec<u8>>,
        if_absent: bool,
    ) -> Result<Tried<Put>> {
        self.wrote(bucket, key, None);
        let (bucket_of_task, name) = (bucket.clone(), key.to_owned());
        let put = self.undivided(async move { bucket_of_task.try_put_parts(&name, &parts, if_absent).await }).await?;
        if let Ok(put) = &put {
            self.wrote(bucket, key, put.version.as_deref());
        }
        Ok(put)
    }

    /// Runs something to its end, even after a signal. Nothing is removed before it has ended.
    pub(super) async fn undivided<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.uploads.clone().acquire_owned().await;
        let task = tokio::spawn(async move {
            let _permit = permit;
            work.await
        });
        task.await.map_err(|error| Error::failed(format!("a request broke off: {error}")))
    }

    /// Writes a text object unconditionally.
    pub(super) async fn write(&self, bucket: &Bucket, key: &str, body: &str) -> Tried<Put> {
        self.put(bucket, key, body, &text(), Conditions::default()).await
    }

    /// Deletes, and remembers the resulting delete markers.
    pub(super) async fn delete(&self, bucket: &Bucket, deletions: &[Deletion<'_>]) -> Tried<Vec<(String, String)>> {
        let done = bucket.try_delete(deletions).await?;
        // Only what was requested may be removed, whatever the response names.
        for (key, marker) in done.markers.iter().filter(|(key, _)| deletions.iter().any(|asked| asked.key == key)) {
            self.wrote(bucket, key, Some(marker));
        }
        Ok(done.refused)
    }

    /// Everything in a folder, as listed.
    pub(super) async fn list(&self, bucket: &Bucket) -> Result<Vec<RemoteObject>> {
        let mut objects = Vec::new();
        let mut start = Start::Beginning;
        for _ in 0..MOST_PAGES {
            let page = bucket.list(start).await?;
            objects.extend(page.objects);
            match page.next {
                Some(token) => start = Start::Token(token),
                None => return Ok(objects),
            }
        }
        Err(Error::failed(format!("the listing of {} has no end", bucket.target())))
    }

    /// Whether the folder is empty.
    pub(super) async fn is_empty(&self) -> Result<bool> {
        Ok(self.bucket.list_at_most(Start::Beginning, Some(1)).await?.objects.is_empty())
    }

    /// Records what was found out.
    pub(super) fn learn(&self, lesson: impl FnOnce(&mut Learned)) {
        lesson(&mut self.learned.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything that was found out.
    pub(super) fn learned(&self) -> Learned {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Removes everything that was written, including objects whose response was lost.
    ///
    /// # Errors
    /// What may be left, and how to remove it.
    pub(super) async fn clean_up(&self, is_interrupted: bool) -> Result<()> {
        let removed = self.remove_all(is_interrupted).await;
        removed.map_err(|error| {
            let folder = self.bucket.target();
            Error::failed(format!("something may be left at {folder}: {error}"))
                .hint(format!("remove it with 'aws s3 rm --recursive {folder}'"))
        })
    }

    async fn remove_all(&self, is_interrupted: bool) -> Result<()> {
        let _nothing_under_way = self.uploads.acquire().await;
        if is_interrupted {
            self.clock.sleep(SETTLING).await;
        }
        // Versions first, permanently: then deleting a key leaves no marker.
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut left = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        left.retain(|key| !versions.iter().any(|(named, _)| named == key));
        let of_version = |(key, version)| Deletion { key, etag: None, version: Some(version) };
        let versions: Vec<_> =
            versions.iter().map(|(key, version)| of_version((key.as_str(), version.as_str()))).collect();
        self.remove(&versions).await?;
        // What is known to be there first: whatever a listing says, it is removed.
        for _ in 0..SWEEPS {
            if !left.is_empty() {
                let keys: Vec<_> = left.iter().map(|key| Deletion { key, ..Deletion::default() }).collect();
                self.remove(&keys).await?;
                if is_interrupted {
                    self.clock.sleep(SETTLING).await;
                }
            }
            // A name that something on the way might treat as a path out of the folder was not written by this run.
            let leads_out = |key: &str| key.split('/').any(|part| part == "." || part == "..");
            let (others, listed): (Vec<_>, Vec<_>) =
                self.list(&self.bucket).await?.into_iter().partition(|object| leads_out(&object.key));
            left = listed.into_iter().map(|object| object.key).collect();
            match (left.is_empty(), others.first()) {
                (false, _) => {}
                (true, Some(other)) => return Err(Error::failed(format!("{:?} is not of this run", other.key))),
                (true, None) => return Ok(()),
            }
        }
        Err(Error::failed("it is not empty"))
    }

    /// Deletes, with lists if they can contain the keys.
    async fn remove(&self, deletions: &[Deletion<'_>]) -> Result<()> {
        let (apart, listed): (Vec<_>, Vec<_>) =
            deletions.iter().cloned().partition(|deletion| has_control_character(deletion.key));
        for deletion in &apart {
            self.bucket.try_delete_one(deletion).await?;
        }
        for some in listed.chunks(MAX_DELETE_KEYS) {
            refuse_none(self.bucket.try_delete(some).await?.refused)?;
        }
        Ok(())
    }
}

fn refuse_none(refused: Vec<(String, String)>) -> Result<()> {
    match refused.into_iter().find(|(_, code)| code != "NoSuchKey" && code != "NoSuchVersion") {
        Some((key, code)) => Err(Error::failed(format!("{key} was not deleted: {code}"))),
        None => Ok(()),
    }
}

/// The headers of text that caches keep for ten minutes.
pub(super) fn text() -> Headers {
    Headers {
        content_type: "text/plain; charset=utf-8".to_owned(),
        cache_control: Some("public, max-age=0, s-maxage=600".to_owned()),
        ..Headers::default()
    }
}
