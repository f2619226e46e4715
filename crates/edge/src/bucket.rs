//! A bucket: an ordered map of objects, with a journal if it is stored in a directory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use md5::{Digest, Md5};
use s3s::dto::{ETagCondition, LifecycleRules};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::body::Body;
use crate::journal::{Journal, Line, ObjectRecord};
use crate::lock::{reading, writing};
use crate::s3::Uploads;
use crate::timeline::{Effect, Timeline};
use crate::versions::{Deleted, NULL, Version, Versioning, Versions};

/// An object, immutable: a change creates another object under the same key.
#[derive(Debug)]
pub(super) struct Object {
    /// Without quotation marks.
    pub(super) etag: String,
    /// Seconds since the epoch, as precise as S3.
    pub(super) modified: i64,
    /// Content headers, `x-amz-meta-*`, redirect and storage class, by lowercase name.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Body,
    /// `None` is the null version.
    pub(super) version: Option<String>,
}

/// The settings of a bucket that a test may change.
#[derive(Clone, Debug, Default)]
pub(super) struct BucketSettings {
    /// With `None`, the bucket accepts requests signed for any region.
    pub(super) region: Option<String>,
    /// Whether ETags are independent of the bytes, as with SSE-KMS.
    pub(super) opaque_etags: bool,
    /// Whether the origin answers 403 for a missing key, as without `s3:ListBucket`.
    pub(super) missing_is_forbidden: bool,
    /// Whether writes succeed regardless of their conditions.
    pub(super) ignores_conditions: bool,
    /// Whether uploads with a checksum other than Content-MD5 are refused.
    pub(super) refuses_checksums: bool,
    /// Whether each page of a listing is in reverse order, which S3 never does.
    pub(super) lists_backwards: bool,
    /// Whether objects may have ACLs, as in buckets created before 2023.
    pub(super) acls: bool,
    /// Whether objects may be locked.
    pub(super) object_lock: bool,
    /// `None` if versioning was never enabled.
    pub(super) versioning: Option<Versioning>,
    /// The rules of the lifecycle configuration; the edge does not apply them.
    pub(super) lifecycle: Option<LifecycleRules>,
    /// How `CopyObject` treats conditions.
    pub(super) copy_conditions: CopyConditions,
    /// Maximum size of an object that one `CopyObject` copies, in bytes; `None` is S3's own limit.
    pub(super) largest_copy: Option<u64>,
}

/// How a store treats `If-Match` and `If-None-Match` in a `CopyObject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyConditions {
    /// It evaluates them, as S3 does.
    #[default]
    Hold,
    /// It ignores them, as many other stores do.
    Ignored,
    /// It refuses them with 501.
    Refused,
}

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) created: i64,
    pub(super) settings: RwLock<BucketSettings>,
    pub(super) uploads: Mutex<Uploads>,
    /// The bucket policy's JSON.
    policy: RwLock<Option<String>>,
    pub(super) contents: RwLock<Contents>,
    sequence: AtomicU64,
    timeline: Arc<Timeline>,
}

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) objects: BTreeMap<String, Arc<Object>>,
    pub(super) journal: Option<Journal>,
    pub(super) versions: Versions,
}

/// The `If-Match` and `If-None-Match` of a write.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl Conditions {
    fn check(&self, existing: Option<&Arc<Object>>) -> S3Result<()> {
        if self.if_none_match.is_some() && existing.is_some() {
            return Err(precondition_failed());
        }
        match (&self.if_match, existing) {
            (None, _) | (Some(ETagCondition::Any), Some(_)) => Ok(()),
            (Some(_), None) => Err(no_such_key()),
            (Some(ETagCondition::ETag(etag)), Some(object)) if etag.value() == object.etag => Ok(()),
            (Some(_), Some(_)) => Err(precondition_failed()),
        }
    }
}

/// One page of a listing, in the order of the keys' bytes.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Arc<Object>)>,
    pub(super) common_prefixes: Vec<String>,
    /// Where the next page starts, if there is one.
    pub(super) next: Option<Position>,
}

/// The position after which a listing continues.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Position {
    /// After this key.
    Key(String),
    /// After all keys with this prefix.
    CommonPrefix(String),
}

impl Bucket {
    pub(super) fn new(name: &str, contents: Contents, timeline: Arc<Timeline>) -> Self {
        Self {
            name: name.to_owned(),
            created: timeline.time().as_second(),
            settings: RwLock::default(),
            uploads: Mutex::default(),
            policy: RwLock::default(),
            contents: RwLock::new(contents),
            sequence: AtomicU64::new(0),
            timeline,
        }
    }

    pub(super) fn policy(&self) -> Option<String> {
        reading(&self.policy).clone()
    }

    /// Sets the policy for this process only; [`crate::store::Store::set_policy`] stores it.
    pub(super) fn set_policy(&self, policy: Option<String>) {
        *writing(&self.policy) = policy;
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Object>> {
        reading(&self.contents).objects.get(key).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        let contents = reading(&self.contents);
        contents.objects.is_empty() && contents.versions.is_empty()
    }

    pub(super) fn all(&self) -> Vec<(String, Arc<Object>)> {
        let contents = reading(&self.contents);
        let pairs = contents.objects.iter();
        pairs.map(|(key, object)| (key.clone(), Arc::clone(object))).collect()
    }

    /// The objects whose keys begin with `start` and that `asked` accepts, in key order.
    pub(super) fn below(&self, start: &str, asked: impl Fn(&str, &Object) -> bool) -> Vec<(String, Arc<Object>)> {
        let contents = reading(&self.contents);
        let pairs = contents.objects.range(start.to_owned()..).take_while(|(key, _)| key.starts_with(start));
        let pairs = pairs.filter(|(key, object)| asked(key, object));
        pairs.map(|(key, object)| (key.clone(), Arc::clone(object))).collect()
    }

    /// Visits the keys that begin with `start` in order, without copying them.
    pub(super) fn for_each_below(&self, start: &str, mut each: impl FnMut(&str)) {
        let contents = reading(&self.contents);
        let keys = contents.objects.range(start.to_owned()..).map(|(key, _)| key);
        keys.take_while(|key| key.starts_with(start)).for_each(|key| each(key));
    }

    /// Replaces the contents without keeping versions of the old ones. A journal would miss this, so it is only for
    /// a store in memory.
    pub(super) fn replace_all(&self, others: Contents) -> io::Result<()> {
        let mut contents = writing(&self.contents);
        if contents.journal.is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        *contents = others;
        Ok(())
    }

    /// Stores `object`. Conditions, journal and map are one atomic step: two writers never both succeed.
    pub(super) fn put(&self, key: &str, mut object: Object, conditions: &Conditions) -> S3Result<Arc<Object>> {
        let mut contents = writing(&self.contents);
        object.version = self.next_version();
        self.check(conditions, contents.objects.get(key))?;
        contents.record(key, Some(&object)).map_err(|error| write_error(&error))?;
        object.body.keep();
        let object = Arc::new(object);
        let old = contents.objects.insert(key.to_owned(), Arc::clone(&object));
        let before = old.as_ref().map(|old| old.etag.as_str());
        self.timeline.watch.put(&self.name, key, before, &object.etag);
        let left = match &object.version {
            None => old,
            Some(id) => {
                let version = Version { id: id.clone(), object: Some(Arc::clone(&object)) };
                contents.versions.add(key, old.as_ref(), version)
            }
        };
        if let Some(left) = left {
            left.body.discard();
        }
        self.record_put(key, &object);
        Ok(object)
    }

    pub(super) fn record_put(&self, key: &str, object: &Object) {
        self.timeline.record(Effect::Put {
            bucket: self.name.clone(),
            key: key.to_owned(),
            etag: object.etag.clone(),
            headers: object.headers.clone(),
        });
    }

    /// Removes `key`, leaving a delete marker if versioning is enabled, or permanently removes one of its versions.
    /// A missing key is an error only if a condition requires it.
    pub(super) fn delete(&self, key: &str, version: Option<&str>, conditions: &Conditions) -> S3Result<Deleted> {
        let mut contents = writing(&self.contents);
        self.check(conditions, contents.objects.get(key))?;
        if let Some(id) = version
            && (id != NULL || contents.versions.of(key).is_some())
        {
            return self.delete_version(&mut contents, key, id);
        }
        let next = self.next_version().filter(|_| version.is_none());
        if let Some(id) = &next {
            let before = contents.objects.get(key).cloned();
            if contents.objects.contains_key(key) {
                contents.record(key, None).map_err(|error| write_error(&error))?;
            }
            let marker = Version { id: id.clone(), object: None };
            if let Some(left) = contents.versions.add(key, before.as_ref(), marker) {
                left.body.discard();
            }
            if contents.objects.remove(key).is_some() {
                self.record_delete(key);
            }
            return Ok(Deleted { version: next, marker: true });
        }
        if contents.objects.contains_key(key) {
            contents.record(key, None).map_err(|error| write_error(&error))?;
            if let Some(old) = contents.objects.remove(key) {
                old.body.discard();
            }
            self.record_delete(key);
        }
        Ok(Deleted::default())
    }

    pub(super) fn record_delete(&self, key: &str) {
        self.timeline.watch.deleted(&self.name, key);
        self.timeline.record(Effect::Delete { bucket: self.name.clone(), key: key.to_owned() });
    }

    fn check(&self, conditions: &Conditions, existing: Option<&Arc<Object>>) -> S3Result<()> {
        if reading(&self.settings).ignores_conditions { Ok(()) } else { conditions.check(existing) }
    }

    /// S3's time, in seconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        self.timeline.time().as_second()
    }

    /// At most `limit` keys and common prefixes after `after`.
    pub(super) fn list(&self, prefix: &str, delimiter: Option<&str>, after: Option<Position>, limit: usize) -> Page {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let contents = reading(&self.contents);
        let mut page = Page::default();
        if limit == 0 {
            return page;
        }
        let mut last = after;
        let mut count = 0;
        loop {
            let start = match &last {
                Some(Position::Key(key)) if key.as_str() >= prefix => Excluded(key.clone()),
                // No key sorts between the last one of a prefix and this.
                Some(Position::CommonPrefix(common)) if common.as_str() >= prefix => {
                    Excluded(format!("{common}\u{10FFFF}"))
                }
                _ => Included(prefix.to_owned()),
            };
            let mut jump = None;
            for (key, object) in contents.objects.range((start, Unbounded)) {
                let Some(rest) = key.strip_prefix(prefix) else {
                    return page;
                };
                if count == limit {
                    page.next = last;
                    return page;
                }
                let common = delimiter.and_then(|delimiter| {
                    let end = rest.find(delimiter)? + delimiter.len();
                    Some(&key[..prefix.len() + end])
                });
                count += 1;
                if let Some(common) = common {
                    page.common_prefixes.push(common.to_owned());
                    jump = Some(Position::CommonPrefix(common.to_owned()));
                    break;
                }
                page.objects.push((key.clone(), Arc::clone(object)));
                last = Some(Position::Key(key.clone()));
            }
            match jump {
                Some(position) => last = Some(position),
                None => return page,
            }
        }
    }

    /// The ETag that an object with this digest gets here.
    pub(super) fn etag(&self, digest: String) -> String {
        if !reading(&self.settings).opaque_etags {
            return digest;
        }
        hex(&Md5::digest(format!("{digest}/{}", self.unique())))
    }

    /// A number that this bucket has not returned before in this process.
    pub(super) fn unique(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }
}

impl Contents {
    pub(super) fn record(&mut self, key: &str, object: Option<&Object>) -> io::Result<()> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        journal.append(&Line {
            key: Cow::Borrowed(key),
            object: object.map(|object| ObjectRecord {
                etag: Cow::Borrowed(&object.etag),
                modified: object.modified,
                headers: Cow::Borrowed(&object.headers),
                segments: object.body.file_ids().unwrap_or_default(),
            }),
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

/// A disk error as an S3 error. Nothing was stored.
pub(super) fn write_error(error: &io::Error) -> S3Error {
    match error.kind() {
        // Not one of S3's codes, because its disks are never full: clients would retry InternalError.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let code = S3ErrorCode::Custom("InsufficientStorage".into());
            let mut full = S3Error::with_message(code, "disk full: the local edge could not store the object");
            full.set_status_code(hyper::StatusCode::INSUFFICIENT_STORAGE);
            full
        }
        _ => S3Error::with_message(S3ErrorCode::InternalError, format!("the local edge could not write: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(keys: &[&str]) -> Bucket {
        let bucket = Bucket::new("b", Contents::default(), Arc::default());
        for key in keys {
            bucket.put(key, object("e"), &Conditions::default()).unwrap();
        }
        bucket
    }

    fn object(etag: &str) -> Object {
        Object { etag: etag.to_owned(), modified: 0, headers: BTreeMap::new(), body: Body::default(), version: None }
    }

    /// The keys and prefixes of all pages of at most `limit`.
    fn pages(bucket: &Bucket, prefix: &str, delimiter: Option<&str>, limit: usize) -> Vec<String> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = bucket.list(prefix, delimiter, after, limit);
            assert!(page.objects.len() + page.common_prefixes.len() <= limit);
            all.extend(page.common_prefixes);
            all.extend(page.objects.into_iter().map(|(key, _)| key));
            match page.next {
                Some(position) => after = Some(position),
                None => return all,
            }
        }
    }

    #[test]
    fn pages_of_any_size_give_the_same_listing() {
        let bucket = bucket(&["a", "a/b", "a/c/d", "a0", "b/", "b/x", "é/ü", "z"]);
        for limit in 1..10 {
            let mut whole = pages(&bucket, "", None, limit);
            assert_eq!(whole, ["a", "a/b", "a/c/d", "a0", "b/", "b/x", "z", "é/ü"]);
            whole = pages(&bucket, "a/", None, limit);
            assert_eq!(whole, ["a/b", "a/c/d"]);
            whole = pages(&bucket, "", Some("/"), limit);
            whole.sort();
            assert_eq!(whole, ["a", "a/", "a0", "b/", "z", "é/"]);
        }
    }

    #[test]
    fn a_full_disk_is_reported_in_plain_words() {
        let error = write_error(&io::ErrorKind::StorageFull.into());
        assert!(error.message().unwrap().starts_with("disk full"));
    }

    #[test]
    fn a_conditional_write_needs_the_state_it_names() {
        let bucket = bucket(&["there"]);
        let create_only = Conditions { if_none_match: Some(ETagCondition::Any), ..Conditions::default() };
        let replace = |etag: &str| Conditions {
            if_match: Some(ETagCondition::ETag(s3s::dto::ETag::Strong(etag.to_owned()))),
            ..Conditions::default()
        };
        let code = |result: S3Result<Arc<Object>>| result.unwrap_err().code().as_str().to_owned();
        assert_eq!(code(bucket.put("there", object("n"), &create_only)), "PreconditionFailed");
        assert_eq!(code(bucket.put("there", object("n"), &replace("x"))), "PreconditionFailed");
        assert_eq!(code(bucket.put("gone", object("n"), &replace("e"))), "NoSuchKey");
        assert!(bucket.put("there", object("n"), &replace("e")).is_ok());
        assert!(bucket.put("new", object("n"), &create_only).is_ok());
    }
}
