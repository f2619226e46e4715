//! Finds the objects of an earlier deploy, and what is in their places now: requested from S3 before anything is
//! written.

use crate::deploy::rollback::SourceDeploy;
use crate::error::{ErrorKind, Result};
use crate::record::Record;
use crate::record::manifest::Row;
use crate::s3::Bucket;
use crate::s3::copy::Source;
use crate::s3::head::Head;
use shipfront_site::Key;

/// Storage classes from which nothing can be copied without restoring it first.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// S3's answer about a key.
#[derive(Debug)]
pub(super) struct Looked {
    /// The existing object.
    pub live: Option<Head>,
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
pub(super) struct Looker<'a> {
    pub bucket: &'a Bucket,
    pub record: &'a Record,
    pub source_deploy: &'a SourceDeploy,
}

impl Looker<'_> {
    /// Checks a key; `row` is that of the earlier deploy, if its object must be restored.
    pub(super) async fn look(&self, key: &Key, row: Option<&Row>) -> Result<Looked> {
        let origin = async {
            match row {
                Some(row) => self.origin(key, row).await.map(Some),
                None => Ok(None),
            }
        };
        let (live, origin) = tokio::try_join!(self.bucket.head(key), origin)?;
        Ok(Looked { live, origin })
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
        Ok(head.filter(|head| head.etag == row.etag))
    }

    fn at_version(&self, key: &Key, id: &str, head: Head, class: Option<String>) -> Result<Origin, Missing> {
        Origin::new(self.bucket, key, (Some(id.to_owned()), class), head)
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
