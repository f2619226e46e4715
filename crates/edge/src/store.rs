//! All buckets, in memory or in a directory: `buckets/<name>.ndjson`, `buckets/<name>.policy` and `bodies/`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use s3s::{S3Result, s3_error};

use crate::EdgeError;
use crate::body::{Bodies, Body};
use crate::bucket::{Bucket, Contents, Object, write_error};
use crate::directory;
use crate::journal::{Journal, JournalError, ObjectRecord};
use crate::lock::{locked, reading, writing};
use crate::timeline::Timeline;

/// All buckets.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) bodies: Bodies,
    directory: Option<PathBuf>,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    timeline: Arc<Timeline>,
}

impl Store {
    /// An empty store in memory.
    pub(super) fn in_memory() -> Self {
        Self { bodies: Bodies::new(None, 0), directory: None, buckets: RwLock::default(), timeline: Arc::default() }
    }

    /// Loads the store in `directory`; files of bodies that no journal refers to are removed.
    pub(super) fn open(directory: &Path) -> Result<Self, EdgeError> {
        let unusable = |error| EdgeError::directory(directory, error);
        let bodies = directory.join("bodies");
        directory::make_folder(&bodies).map_err(unusable)?;
        for shard in 0..256_u64 {
            let path = crate::body::path_of(&bodies, shard);
            fs::create_dir_all(path.parent().unwrap_or(&bodies)).map_err(unusable)?;
        }
        let journals = directory.join("buckets");
        directory::make_folder(&journals).map_err(unusable)?;
        let mut replayed = Vec::new();
        for entry in fs::read_dir(&journals).map_err(unusable)? {
            let path = entry.map_err(unusable)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let Some(name) = name.strip_suffix(".ndjson") else {
                continue;
            };
            let (journal, objects) = Journal::open(&path).map_err(|error| match error {
                JournalError::Io(error) => EdgeError::directory(&path, error),
                JournalError::Corrupt(line) => EdgeError::Damaged { path: path.clone(), line },
            })?;
            replayed.push((name.to_owned(), journal, objects));
        }
        let segments = replayed.iter().flat_map(|(_, _, objects)| objects.values());
        let used: HashMap<u64, u64> = segments.flat_map(|object| object.segments.iter().copied()).collect();
        let next = sweep(&bodies, &used).map_err(unusable)?;
        let store = Self {
            bodies: Bodies::new(Some(bodies), next),
            directory: Some(directory.to_owned()),
            buckets: RwLock::default(),
            timeline: Arc::default(),
        };
        for (name, journal, records) in replayed {
            let objects = records.into_iter();
            let objects = objects.map(|(key, record)| (key, Arc::new(store.object(record))));
            let contents = Contents { objects: objects.collect(), journal: Some(journal), ..Contents::default() };
            let bucket = Arc::new(Bucket::new(&name, contents, Arc::clone(&store.timeline)));
            match fs::read_to_string(journals.join(format!("{name}.policy"))) {
                Ok(policy) => bucket.set_policy(Some(policy)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(error)),
            }
            writing(&store.buckets).insert(name, bucket);
        }
        Ok(store)
    }

    fn object(&self, record: ObjectRecord<'static>) -> Object {
        let segments = record.segments.iter();
        Object {
            etag: record.etag.into_owned(),
            modified: record.modified,
            headers: record.headers.into_owned(),
            body: Body { segments: segments.map(|&(id, size)| self.bodies.existing(id, size)).collect() },
            version: None,
        }
    }

    pub(super) fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        reading(&self.buckets)
            .get(name)
            .cloned()
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    pub(super) fn timeline(&self) -> &Arc<Timeline> {
        &self.timeline
    }

    pub(super) fn buckets(&self) -> Vec<Arc<Bucket>> {
        reading(&self.buckets).values().cloned().collect()
    }

    /// Creates the bucket if it does not exist.
    pub(super) fn create(&self, name: &str) -> io::Result<()> {
        let mut buckets = writing(&self.buckets);
        if buckets.contains_key(name) {
            return Ok(());
        }
        let mut contents = Contents::default();
        if let Some(path) = self.journal_path(name) {
            let (journal, _) = Journal::open(&path).map_err(io::Error::other)?;
            contents.journal = Some(journal);
        }
        buckets.insert(name.to_owned(), Arc::new(Bucket::new(name, contents, Arc::clone(&self.timeline))));
        Ok(())
    }

    /// Removes an empty bucket.
    pub(super) fn remove(&self, name: &str) -> S3Result<()> {
        let bucket = self.bucket(name)?;
        let mut buckets = writing(&self.buckets);
        if !bucket.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        if let Some(path) = self.journal_path(name) {
            fs::remove_file(path).map_err(|error| write_error(&error))?;
        }
        self.set_policy(&bucket, None).map_err(|error| write_error(&error))?;
        locked(&bucket.uploads).clear();
        buckets.remove(name);
        Ok(())
    }

    /// Stores the bucket's policy, or removes it.
    pub(super) fn set_policy(&self, bucket: &Bucket, policy: Option<String>) -> io::Result<()> {
        if let Some(path) = self.file_of(&bucket.name, "policy") {
            match &policy {
                Some(policy) => fs::write(path, policy)?,
                None => remove_if_present(&path)?,
            }
        }
        bucket.set_policy(policy);
        Ok(())
    }

    fn journal_path(&self, name: &str) -> Option<PathBuf> {
        self.file_of(name, "ndjson")
    }

    fn file_of(&self, name: &str, extension: &str) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?;
        Some(directory.join("buckets").join(format!("{name}.{extension}")))
    }
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes bodies that were in flight when the last process ended; returns the next free number.
fn sweep(bodies: &Path, used: &HashMap<u64, u64>) -> io::Result<u64> {
    let mut next = used.keys().max().map_or(0, |highest| highest + 1);
    for shard in fs::read_dir(bodies)? {
        for file in fs::read_dir(shard?.path())? {
            let path = file?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Ok(id) = u64::from_str_radix(name, 16)
                && !used.contains_key(&id)
            {
                fs::remove_file(&path)?;
                next = next.max(id + 1);
            }
        }
    }
    Ok(next)
}
