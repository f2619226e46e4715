//! The versions of an object, and how a bucket treats them.

use crate::aws::permission;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::{Bucket, form_decoded};
use aws_sdk_s3::types::EncodingType;
use shipfront_site::etag::Etag;

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundVersion {
    /// In S3's form; `null` is one from before versioning was enabled.
    pub id: String,
    /// Identifies its bytes.
    pub etag: Etag,
    /// When it was written, in seconds of S3's clock.
    pub modified: i64,
}

impl Bucket {
    /// The versions of one key, newest first; at most the thousand newest.
    pub async fn versions(&self, key: &str) -> Result<Vec<FoundVersion>> {
        let full = self.target.full_key(key);
        let request = self.client.list_object_versions().bucket(self.target.bucket()).prefix(&full);
        let request = request.encoding_type(EncodingType::Url);
        let answer = request.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        let answer = answer.map_err(|error| self.explain("ListObjectVersions", error))?;
        // A store that does not support it returns the keys as they are.
        let is_encoded = answer.encoding_type == Some(EncodingType::Url);
        let found = answer.versions.unwrap_or_default().into_iter().filter_map(|version| {
            let key = version.key?;
            if (if is_encoded { form_decoded(&key) } else { key }) != full {
                return None;
            }
            let etag = Etag::parse(version.e_tag.as_deref().unwrap_or_default());
            let modified = version.last_modified.map_or(0, |modified| modified.secs());
            Some(FoundVersion { id: version.version_id?, etag, modified })
        });
        Ok(found.collect())
    }

    /// The error of a request for a version, with the permissions that such a request needs.
    pub(super) fn of_version(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::AccessDenied => self.named(error.hint(permission::version_hint())),
            _ => error,
        }
    }
}
