//! The versions of a bucket's objects: what a put or a delete leaves behind if versioning is enabled.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html>
//!
//! Versions are in memory even if the bucket is in a directory: the next process finds the newest ones, with
//! versioning off.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use md5::{Digest, Md5};
use s3s::{S3Error, S3Result, s3_error};

use crate::bucket::{Bucket, Contents, Object, hex, no_such_key, write_error};
use crate::lock::{reading, writing};

/// The ID of objects stored while versioning was off or suspended.
pub(super) const NULL: &str = "null";

/// Whether writes leave versions behind. A bucket that never had versioning enabled has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versioning {
    Enabled,
    Suspended,
}

/// One version of a key.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) id: String,
    /// `None` is a delete marker.
    pub(super) object: Option<Arc<Object>>,
}

/// What a delete did.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// The version that was removed or, for a delete without one, the marker that was created.
    pub(super) version: Option<String>,
    /// Whether that is a delete marker.
    pub(super) marker: bool,
}

/// All versions of the keys that were written or deleted since versioning was enabled, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    by_key: BTreeMap<String, Vec<Version>>,
}

impl Versions {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// `None` for a key that was neither written nor deleted since versioning was enabled.
    pub(super) fn of(&self, key: &str) -> Option<&[Version]> {
        self.by_key.get(key).map(Vec::as_slice)
    }

    /// Adds the newest version of a key; `before` is the object that it replaces. Returns an object that is no
    /// longer a version: there is at most one null version.
    pub(super) fn add(&mut self, key: &str, before: Option<&Arc<Object>>, new: Version) -> Option<Arc<Object>> {
        let all = self.by_key.entry(key.to_owned()).or_default();
        if all.is_empty()
            && let Some(before) = before
        {
            all.push(Version { id: NULL.to_owned(), object: Some(Arc::clone(before)) });
        }
        let same = all.iter().position(|version| new.id == NULL && version.id == NULL);
        let replaced = same.and_then(|at| all.remove(at).object);
        all.push(new);
        replaced
    }

    /// Permanently removes a version, and returns which one is the newest now if it was.
    pub(super) fn remove(&mut self, key: &str, id: &str) -> Option<(Version, Newest)> {
        let all = self.by_key.get_mut(key)?;
        let at = all.iter().position(|version| version.id == id)?;
        let removed = all.remove(at);
        let newest = match all.last() {
            _ if at < all.len() => Newest::Same,
            None => Newest::Other(None),
            Some(last) => Newest::Other(last.object.clone()),
        };
        if all.is_empty() {
            self.by_key.remove(key);
        }
        Some((removed, newest))
    }
}

impl Bucket {
    /// The version of the next write; `None` if versioning was never enabled.
    pub(super) fn next_version(&self) -> Option<String> {
        let versioning = reading(&self.settings).versioning?;
        Some(match versioning {
            Versioning::Enabled => hex(&Md5::digest(format!("{}/{}", self.name, self.unique()))),
            Versioning::Suspended => NULL.to_owned(),
        })
    }

    /// The version of an object in responses; `None` if versioning was never enabled.
    pub(super) fn version_of(&self, object: &Object) -> Option<String> {
        reading(&self.settings).versioning?;
        Some(object.version.clone().unwrap_or_else(|| NULL.to_owned()))
    }

    /// The object that a read requests: the newest, or a specific version.
    pub(super) fn find(&self, key: &str, version: Option<&str>) -> S3Result<Arc<Object>> {
        let contents = reading(&self.contents);
        let history = contents.versions.of(key);
        let Some(id) = version else {
            let object = contents.objects.get(key).cloned();
            let hidden = history.is_some();
            return object.ok_or_else(|| if hidden { marked(no_such_key()) } else { no_such_key() });
        };
        let object = match history {
            None => contents.objects.get(key).filter(|_| id == NULL).cloned().map(Some),
            Some(history) => history.iter().find(|version| version.id == id).map(|version| version.object.clone()),
        };
        match object {
            Some(Some(object)) => Ok(object),
            Some(None) => {
                Err(marked(s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.")))
            }
            None => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
        }
    }

    /// All versions of the keys with a prefix, by key, newest first, each with whether it is the newest.
    pub(super) fn list_versions(&self, prefix: &str) -> Vec<(String, Version, bool)> {
        let contents = reading(&self.contents);
        let unversioned = contents.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let unversioned = unversioned.filter(|(key, _)| contents.versions.of(key).is_none());
        let plain = unversioned.map(|(key, object)| {
            (key.clone(), Version { id: NULL.to_owned(), object: Some(Arc::clone(object)) }, true)
        });
        let by_key = &contents.versions.by_key;
        let kept = by_key.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let kept = kept.flat_map(|(key, all)| {
            all.iter().rev().enumerate().map(move |(at, version)| (key.clone(), version.clone(), at == 0))
        });
        let mut all: Vec<_> = plain.chain(kept).collect();
        // The sort is stable: the versions of a key stay newest first.
        all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        all
    }

    /// Moves a version that is not the newest one to another storage class.
    pub(super) fn set_version_class(&self, key: &str, id: &str, class: &str) {
        let mut contents = writing(&self.contents);
        let all = contents.versions.by_key.get_mut(key).into_iter().flatten();
        for version in all.filter(|version| version.id == id) {
            version.object = version.object.as_ref().map(|object| {
                let mut headers = object.headers.clone();
                headers.insert("x-amz-storage-class".to_owned(), class.to_owned());
                Arc::new(Object {
                    etag: object.etag.clone(),
                    headers,
                    body: object.body.clone(),
                    version: object.version.clone(),
                    ..**object
                })
            });
        }
    }

    /// Permanently removes a version; if it was the newest, the one before it becomes current.
    pub(super) fn delete_version(&self, contents: &mut Contents, key: &str, id: &str) -> S3Result<Deleted> {
        let Some((removed, newest)) = contents.versions.remove(key, id) else {
            return Ok(Deleted { version: Some(id.to_owned()), marker: false });
        };
        if let Newest::Other(newest) = newest {
            contents.record(key, newest.as_deref()).map_err(|error| write_error(&error))?;
            match newest {
                Some(object) => {
                    self.record_put(key, &object);
                    contents.objects.insert(key.to_owned(), object);
                }
                None => {
                    if contents.objects.remove(key).is_some() {
                        self.record_delete(key);
                    }
                }
            }
        }
        let marker = removed.object.is_none();
        if let Some(object) = removed.object {
            object.body.discard();
        }
        Ok(Deleted { version: Some(removed.id), marker })
    }
}

/// An error whose cause is a delete marker.
fn marked(mut error: S3Error) -> S3Error {
    let name = HeaderName::from_static("x-amz-delete-marker");
    error.set_headers(HeaderMap::from_iter([(name, HeaderValue::from_static("true"))]));
    error
}

/// The newest version after a removal.
#[derive(Debug)]
pub(super) enum Newest {
    Same,
    /// An object, or a marker or nothing.
    Other(Option<Arc<Object>>),
}
