//! Finds the objects of an earlier deploy, and what is in their places now: requested from S3 before anything is
//! written.

use crate::deploy::lanes::{held, in_lanes};
use crate::deploy::rollback::SourceDeploy;
use crate::deploy::rollback::live_objects::{Listing, LiveObject, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;
use crate::record::manifest::Row;
use crate::s3::Bucket;
use crate::s3::copy::Source;
use crate::s3::head::Head;
use shipfront_site::Key;
use shipfront_site::etag::Etag;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::Semaphore;

/// Storage classes from which nothing can be copied without restoring it first.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// What the record knows about a key.
#[derive(Default)]
pub(super) struct Known {
    /// What was last deployed for it.
    pub live: Option<Row>,
    /// The object to restore.
    pub source_deploy: Option<Row>,
    /// Whether an interrupted run may have changed it.
    pub is_pending: bool,
}

impl Known {
    /// Whether viewers get the same as then: the same bytes with the same headers.
    pub(super) fn is_same(&self) -> bool {
        let is_known = |row: &Row| !matches!(row.content(), Etag::Opaque(_));
        self.live.as_ref().zip(self.source_deploy.as_ref()).is_some_and(|(live, source_deploy)| {
            let same_bytes =
                live.etag == source_deploy.etag || is_known(live) && live.content() == source_deploy.content();
            same_bytes && live.size == source_deploy.size && live.headers == source_deploy.headers && !self.is_pending
        })
    }
}

/// S3's answer about a key.
#[derive(Debug)]
pub(super) struct Looked {
    /// The existing object.
    pub live: Option<LiveObject>,
    /// The location of the earlier deploy's object, if it must be restored.
    pub origin: Option<Result<Origin, Missing>>,
}

/// An object of an earlier deploy that was found.
#[derive(Debug)]
pub(super) struct Origin {
    pub place: Source,
    pub head: Head,
}

/// Why an object of an earlier deploy cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Its version no longer exists, or never did.
    Gone,
    /// A lifecycle rule moved it to an archive.
    Archived,
    /// Its version is not known, and the versions may not be listed.
    Unlisted,
}

/// The environment of the search.
pub(super) struct Looker {
    pub bucket: Bucket,
    pub record: Record,
    pub source_deploy: Arc<SourceDeploy>,
    pub concurrency: usize,
    /// As many, for all parts together: HEADs of kept copies are not limited otherwise.
    pub permits: Semaphore,
}

/// A key, what the record knows about it, and S3's answer if it was checked.
pub(super) type Checked = (Key, Known, Option<Looked>);

/// What the lanes of one part share.
struct PartRun {
    looker: Arc<Looker>,
    listing: Listing,
    checked: Mutex<Vec<Option<Checked>>>,
    failed: OnceLock<Error>,
}

impl PartRun {
    async fn look(self: Arc<PartRun>, at: usize, (key, known, is_checked): (Key, Known, bool)) {
        if self.failed.get().is_some() {
            return;
        }
        let looked = match is_checked {
            true => {
                // It is never closed.
                let _permit = self.looker.permits.acquire().await;
                Box::pin(self.looker.look(&key, &known, &self.listing)).await.map(Some)
            }
            false => Ok(None),
        };
        match looked {
            Ok(looked) => held(&self.checked)[at] = Some((key, known, looked)),
            // The first one is reported.
            Err(error) => drop(self.failed.set(error)),
        }
    }
}

impl Looker {
    /// Checks the keys of a part; the results are in their order.
    pub(super) async fn look_at(self: Arc<Looker>, part: Part<Known>) -> Result<Vec<Checked>> {
        let listing = part.list(|start| self.bucket.list(start)).await?;
        let checked = Mutex::new(part.keys.iter().map(|_| None).collect());
        let concurrency = self.concurrency;
        let run = Arc::new(PartRun { looker: self, listing, checked, failed: OnceLock::new() });
        let looking = run.clone();
        in_lanes(part.keys.into_iter().enumerate(), concurrency, move |(at, key)| looking.clone().look(at, key)).await;
        match run.failed.get() {
            Some(error) => Err(error.clone()),
            None => Ok(std::mem::take(&mut *held(&run.checked)).into_iter().flatten().collect()),
        }
    }

    /// Checks a key.
    async fn look(&self, key: &Key, known: &Known, listing: &Listing) -> Result<Looked> {
        let origin = async {
            match &known.source_deploy {
                Some(row) => self.origin(key, row).await.map(Some),
                None => Ok(None),
            }
        };
        let (live, origin) = tokio::try_join!(self.live(key, known, listing), origin)?;
        Ok(Looked { live, origin })
    }

    /// The live object of a key. A listing is trusted where it shows what the record says, and its headers do not matter
    /// because it has other bytes than the earlier one. Anything else is rare, and S3 is asked about it.
    async fn live(&self, key: &Key, known: &Known, listing: &Listing) -> Result<Option<LiveObject>> {
        let is_usual = |found: &Option<LiveObject>| match (found, &known.live) {
            (Some(found), Some(row)) => {
                let is_other = known.source_deploy.as_ref().is_none_or(|earlier| earlier.etag != found.etag);
                is_other && found.etag == row.etag && found.size == row.size
            }
            (None, None) => !known.is_pending,
            _ => false,
        };
        match listing.find(key).filter(is_usual) {
            Some(live) => Ok(live),
            None => Ok(self.bucket.head(key).await?.map(LiveObject::from)),
        }
    }

    async fn origin(&self, key: &Key, row: &Row) -> Result<Result<Origin, Missing>> {
        if let Some(preview) = &self.source_deploy.preview {
            return preview.look(key, row).await;
        }
        if let Some(version) = &row.version
            && let Some(head) = self.version(key, &version.id, row).await?
        {
            let class = version.class.as_deref().map(str::to_owned);
            return Ok(self.at_version(key, &version.id, head, class));
        }
        if self.source_deploy.has_copies
            && let Some((place, head)) = self.record.kept(row).await?
        {
            return Ok(Ok(Origin { place, head }));
        }
        // Shards and earlier versions of shipfront recorded no version ID.
        let mut versions = match self.bucket.versions(key).await {
            Ok(versions) => versions,
            Err(error) if error.kind() == ErrorKind::AccessDenied => return Ok(Err(Missing::Unlisted)),
            Err(error) if error.kind() == ErrorKind::NotImplemented => return Ok(Err(Missing::Gone)),
            Err(error) => return Err(error),
        };
        versions.retain(|version| version.etag == row.etag);
        // The one that existed when the deploy was completed; the same bytes may have been written again with other
        // headers.
        let completed = self.source_deploy.deployed.at.as_second();
        let then = versions.iter().find(|version| version.modified <= completed).or(versions.first());
        let Some(version) = then else { return Ok(Err(Missing::Gone)) };
        Ok(match self.version(key, &version.id, row).await? {
            Some(head) => {
                let class = head.headers.storage_class.clone();
                self.at_version(key, &version.id, head, class)
            }
            None => Err(Missing::Gone),
        })
    }

    /// A version, if it still matches the row.
    async fn version(&self, key: &str, id: &str, row: &Row) -> Result<Option<Head>> {
        let head = self.bucket.head_version(key, Some(id)).await?;
        Ok(head.filter(|head| head.etag == row.etag && head.size == row.size))
    }

    fn at_version(&self, key: &Key, id: &str, head: Head, class: Option<String>) -> Result<Origin, Missing> {
        Origin::new(&self.bucket, key, (Some(id.to_owned()), class), head)
    }
}

impl Origin {
    /// The object of a bucket, at a version if it has one, with the storage class for its copy.
    pub(super) fn new(
        bucket: &Bucket,
        key: &Key,
        (version, class): (Option<String>, Option<String>),
        head: Head,
    ) -> Result<Origin, Missing> {
        let place = Source {
            target: bucket.shared_target(),
            key: key.clone(),
            version: version.map(Into::into),
            etag: head.etag.clone(),
            size: head.size,
            class: class.map(Into::into),
            redirect: head.headers.website_redirect.as_deref().map(Into::into),
        };
        match head.headers.storage_class.as_deref() {
            Some(class) if ARCHIVES.contains(&class) => Err(Missing::Archived),
            _ => Ok(Origin { place, head }),
        }
    }
}
