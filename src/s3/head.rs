//! What only a HEAD shows about an object: its headers, its encryption and its checksum.

use crate::error::{ErrorKind, Result};
use crate::s3::{Bucket, headers, is_opaque};
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use shipfront_site::etag::Etag;
use shipfront_site::headers::Headers;
use std::collections::HashMap;

/// An object as `HeadObject` describes it.
#[derive(Debug, Clone)]
pub struct Head {
    /// The headers it was uploaded with.
    pub headers: Headers,
    /// Its ETag.
    pub etag: Etag,
    /// Whether the ETag says nothing about the bytes.
    pub opaque: bool,
    /// The CRC-64/NVME of the whole object in base64, which S3 computes for every object that is uploaded without a
    /// checksum (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>).
    pub crc64: Option<String>,
    /// Its user metadata.
    pub metadata: HashMap<String, String>,
    /// Whether it has an `Expires` header, which no rule sets.
    pub expires: bool,
    /// When it was written, in seconds of S3's clock.
    pub modified: i64,
    /// Bytes.
    pub size: u64,
    /// Its version, if the bucket keeps versions.
    pub version: Option<String>,
}

impl Bucket {
    /// Requests an object's headers; `None` if it is gone, or they cannot be read.
    pub async fn head(&self, key: &str) -> Result<Option<Head>> {
        self.head_version(key, None).await
    }

    /// Requests the headers of a version of an object; `None` if it is gone, a delete marker, or they cannot be
    /// read.
    pub async fn head_version(&self, key: &str, version: Option<&str>) -> Result<Option<Head>> {
        let request = self.client.head_object().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.checksum_mode(ChecksumMode::Enabled).set_version_id(version.map(str::to_owned));
        let answer = match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => return Ok(None),
            // An object under SSE-C can only be read with its key.
            Err(error) if error.raw_response().is_some_and(|answer| matches!(answer.status().as_u16(), 400 | 405)) => {
                return Ok(None);
            }
            Err(error) if version.is_some() => return Err(self.of_version(self.explain_key("HeadObject", key, error))),
            Err(error) => {
                let error = self.explain_key("HeadObject", key, error);
                if error.kind() == ErrorKind::AccessDenied && self.is_absent(key).await {
                    return Ok(None);
                }
                return Err(error);
            }
        };
        let whole = answer.checksum_type.as_ref().is_none_or(|kind| *kind == ChecksumType::FullObject);
        let expires = answer.expires_string().is_some_and(|expires| !expires.is_empty());
        Ok(Some(Head {
            headers: headers::found(&answer),
            etag: Etag::parse(answer.e_tag.as_deref().unwrap_or_default()),
            opaque: is_opaque(answer.server_side_encryption.as_ref(), answer.sse_customer_algorithm.as_deref()),
            crc64: answer.checksum_crc64_nvme.filter(|_| whole),
            expires,
            modified: answer.last_modified.map_or(i64::MAX, |modified| modified.secs()),
            size: answer.content_length.unwrap_or(0).max(0) as u64,
            version: answer.version_id,
            metadata: answer.metadata.unwrap_or_default(),
        }))
    }
}
