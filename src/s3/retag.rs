//! Adds user metadata to an existing object, by a copy onto itself that keeps everything else.

use crate::error::{Error, Result};
use crate::s3::Bucket;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{MetadataDirective, ObjectOwnership, StorageClass};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use shipfront_site::etag::Etag;

/// Maximum size of an object that one `CopyObject` copies, in bytes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>).
pub const LARGEST_COPY: u64 = 5 << 30;
/// Maximum size of user metadata in S3 in bytes, names and values together
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>).
const MOST_METADATA: usize = 2048;
/// Characters that are not encoded in a copy source.
pub(super) const IN_SOURCE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The result for an object.
#[derive(Debug)]
pub enum Retagged {
    /// It has the metadata, and this ETag.
    Yes {
        /// The ETag now, which differs if the object had been uploaded in parts.
        etag: Etag,
        /// Whether it is a redirect at a website endpoint: whether such responses carry tags is unknown.
        redirects: bool,
        /// Its version now, if the bucket keeps versions.
        version: Option<String>,
        /// Its storage class, unless it is the default.
        class: Option<String>,
    },
    /// It was left as it is, and why.
    No(&'static str),
}

impl Bucket {
    /// Adds user metadata to an object, while it has this ETag. All other headers, its storage class and its
    /// encryption stay.
    ///
    /// What a copy does not preserve by itself is set again. That is not possible for an ACL or a lock: see
    /// [`Bucket::has_no_acls`] and [`Bucket::has_no_locks`].
    pub async fn retag(&self, key: &str, etag: &Etag, metadata: &[(String, String)]) -> Result<Retagged> {
        let request = self.client.head_object().bucket(self.target.bucket()).key(self.target.full_key(key));
        let head = match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(head) => head,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
                return Ok(Retagged::No("it is gone"));
            }
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 400) => {
                return Ok(Retagged::No("it is encrypted with a customer-provided key (SSE-C)"));
            }
            Err(error) => return Err(self.explain_key("HeadObject", key, error)),
        };
        if head.e_tag.as_deref().map(Etag::parse).as_ref() != Some(etag) {
            return Ok(Retagged::No("it was written in the meantime"));
        }
        // Visible only with permission (s3:GetObjectRetention, s3:GetObjectLegalHold): a bucket that can have locks
        // is refused as a whole, see `Bucket::has_no_locks`.
        let is_locked = head.object_lock_mode.is_some()
            || head.object_lock_legal_hold_status.is_some()
            || head.object_lock_event_hold.is_some();
        if is_locked {
            return Ok(Retagged::No("it is locked, and a copy would not be"));
        }
        if matches!(head.storage_class, Some(StorageClass::Glacier | StorageClass::DeepArchive)) {
            return Ok(Retagged::No("it is archived"));
        }
        let expires = match head.expires_string.as_deref() {
            None => None,
            Some(text) => {
                match aws_sdk_s3::primitives::DateTime::from_str(text, aws_sdk_s3::primitives::DateTimeFormat::HttpDate)
                {
                    Ok(date) => Some(date),
                    Err(_) => return Ok(Retagged::No("its Expires header is not a date, and a copy would lose it")),
                }
            }
        };
        let mut all = head.metadata.unwrap_or_default();
        all.extend(metadata.iter().cloned());
        if all.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MOST_METADATA {
            return Ok(Retagged::No("its own metadata leaves no room for tags"));
        }
        let redirects = head.website_redirect_location.is_some();
        let class = head.storage_class.clone();
        let quoted = format!("\"{etag}\"");
        let full_key = self.target.full_key(key);
        let source = format!("{}/{}", self.target.bucket(), utf8_percent_encode(&full_key, IN_SOURCE));
        let request = self.client.copy_object().bucket(self.target.bucket()).key(full_key).copy_source(source);
        let request = request.copy_source_if_match(&quoted).if_match(&quoted);
        let request = request.metadata_directive(MetadataDirective::Replace).set_metadata(Some(all));
        let request = request
            .set_cache_control(head.cache_control)
            .set_content_disposition(head.content_disposition)
            .set_content_encoding(head.content_encoding)
            .set_content_language(head.content_language)
            .set_content_type(head.content_type)
            .set_expires(expires)
            .set_storage_class(head.storage_class)
            .set_website_redirect_location(head.website_redirect_location)
            .set_server_side_encryption(head.server_side_encryption)
            .set_ssekms_key_id(head.ssekms_key_id)
            .set_bucket_key_enabled(head.bucket_key_enabled);
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let request = request.set_expected_source_bucket_owner(self.expected_owner.clone());
        let lost = crate::aws::ambiguous::AmbiguousAnswer::default();
        let answer = match lost.observe(request.send()).await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("PreconditionFailed") => {
                return Ok(Retagged::No("it was written in the meantime"));
            }
            Err(error) => return Err(lost.mark(self.explain_key("CopyObject", key, error))),
        };
        // A 200 may contain an error instead of a result.
        let etag = answer.copy_object_result.as_ref().and_then(|result| result.e_tag.clone());
        let etag = etag.ok_or_else(|| Error::failed(format!("S3 did not say that it copied {key}")))?;
        let class = class.map(|class| class.as_str().to_owned());
        Ok(Retagged::Yes { etag: Etag::parse(&etag), redirects, version: answer.version_id, class })
    }

    /// Whether no object can be locked or on hold; a copy would be neither.
    ///
    /// Locks exist only in buckets with Object Lock
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>). A store that does not support
    /// the request has none.
    pub async fn has_no_locks(&self) -> Result<bool> {
        let request = self.client.get_object_lock_configuration().bucket(self.target.bucket());
        match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(answer) => {
                let lock = answer.object_lock_configuration.and_then(|lock| lock.object_lock_enabled);
                Ok(lock.is_none())
            }
            Err(error) if matches!(error.code(), Some("ObjectLockConfigurationNotFoundError" | "NotImplemented")) => {
                Ok(true)
            }
            Err(error) => Err(self.explain("GetObjectLockConfiguration", error)),
        }
    }

    /// Whether objects have no ACLs of their own, which a copy would lose
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>).
    pub async fn has_no_acls(&self) -> Result<bool> {
        let request = self.client.get_bucket_ownership_controls().bucket(self.target.bucket());
        match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(answer) => {
                let rules = answer.ownership_controls.map(|controls| controls.rules).unwrap_or_default();
                Ok(rules.iter().any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced))
            }
            // A store that does not support the request may have ACLs nevertheless.
            Err(error)
                if matches!(
                    error.code(),
                    Some("OwnershipControlsNotFoundError" | "NotImplemented" | "MethodNotAllowed")
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(self.explain("GetBucketOwnershipControls", error)),
        }
    }
}
