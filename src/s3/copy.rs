//! Restores an object from an earlier time: copied inside S3, from a version or from another key, and only while
//! the object that it replaces is unchanged.
//!
//! A copy preserves system and user metadata and tags. Storage class and website redirect must be set again,
//! annotations are lost, and the bucket's default encryption applies
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>).

use crate::aws::ambiguous::AmbiguousAnswer;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::head::Head;
use crate::s3::retag::{IN_SOURCE, LARGEST_COPY};
use crate::s3::{Bucket, headers, is_opaque};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    AnnotationDirective, CompletedMultipartUpload, CompletedPart, MetadataDirective, TaggingDirective,
};
use futures::{StreamExt, TryStreamExt, stream};
use percent_encoding::utf8_percent_encode;
use shipfront_site::etag::{Etag, part_size};
use shipfront_site::headers::Headers;
use shipfront_site::{Key, Target};
use std::sync::Arc;

/// Number of parts of one object that are copied at the same time.
const PARTS_IN_FLIGHT: usize = 4;
/// Number of attempts at a copy that conflicts with another request.
const TRIES: usize = 3;
/// An ETag that no object has.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

/// The source of a copy, and what a copy does not preserve by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The bucket and its folder.
    pub target: Arc<Target>,
    /// The key below that.
    pub key: Key,
    /// The version; `None` is the newest one.
    pub version: Option<Box<str>>,
    /// The ETag there.
    pub etag: Etag,
    /// Bytes.
    pub size: u64,
    /// The storage class of the copy; `None` is the default one.
    pub class: Option<Box<str>>,
    /// Where the copy redirects at a website endpoint.
    pub redirect: Option<Box<str>>,
}

impl Source {
    /// Its form in a request.
    fn named(&self) -> String {
        let key = self.target.full_key(&self.key);
        let key = utf8_percent_encode(&key, IN_SOURCE);
        let version = self.version.as_ref().map(|id| format!("?versionId={}", utf8_percent_encode(id, IN_SOURCE)));
        format!("{}/{key}{}", self.target.bucket(), version.unwrap_or_default())
    }

    /// Its form for display.
    fn shown(&self) -> String {
        let version = self.version.as_ref().map(|id| format!(" (version {id})"));
        format!("s3://{}/{}{}", self.target.bucket(), self.target.full_key(&self.key), version.unwrap_or_default())
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.etag)
    }
}

/// What must be at the target: otherwise the copy is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced<'a> {
    /// No object.
    Nothing,
    /// The object with this ETag.
    This(&'a Etag),
}

/// How to ensure that nothing else is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The store checks, in one step with the copy.
    Condition,
    /// A HEAD precedes the copy: a write in between is lost.
    Look,
}

/// The result of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copy {
    /// It was made.
    Made {
        /// Its ETag.
        etag: Etag,
        /// Its version, if the bucket keeps versions.
        version: Option<String>,
    },
    /// The object to replace has changed: nothing was done.
    Refused,
}

/// The result of a condition that cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The store refused the copy, as it must.
    Hold,
    /// The store made it.
    Ignored(Copy),
    /// It was not tried, or the result is inconclusive.
    Unknown,
}

/// The result of a copy request.
enum Answer {
    Made(Copy),
    /// A condition does not hold: that of the copy, or that of its source.
    Unmet,
    /// Another request came at the same time.
    Conflict,
    /// The object is larger than one request can copy.
    TooLarge,
}

impl Bucket {
    /// Copies an object to a key, in parts if it is too large for one request.
    pub async fn copy(&self, source: &Source, key: &str, replaced: Replaced<'_>, guard: Guard) -> Result<Copy> {
        for _ in 0..TRIES {
            if guard == Guard::Look && !is_replaced(self.head(key).await?.as_ref(), replaced) {
                return Ok(Copy::Refused);
            }
            let conditions = conditions(replaced, guard);
            let mut answer = match source.size > LARGEST_COPY {
                true => Answer::TooLarge,
                false => Box::pin(self.copy_whole(source, key, &conditions)).await?,
            };
            if let Answer::TooLarge = answer {
                answer = Box::pin(self.copy_parts(source, key, &conditions)).await?;
            }
            let is_conflict = matches!(answer, Answer::Conflict);
            if let Answer::Made(copy) = answer {
                return Ok(copy);
            }
            let live = self.head(key).await?;
            if !is_replaced(live.as_ref(), replaced) {
                return Box::pin(self.made_unseen(source, live)).await;
            }
            if !is_conflict {
                return Err(Error::failed(format!("{} changed in the meantime", source.shown()))
                    .hint("run the command again")
                    .of_kind(ErrorKind::PreconditionFailed)
                    .hint("run it again, which checks every object once more"));
            }
        }
        let message = format!("other requests for {key} conflicted with its copy {TRIES} times");
        Err(Error::failed(message).of_kind(ErrorKind::Busy))
    }

    /// Tests whether the store checks the conditions of a copy, with one that cannot hold. A store that ignores it
    /// has then made the copy; no other copy is made this way.
    pub async fn try_conditions(&self, source: &Source, key: &str, replaced: Replaced<'_>) -> Result<Tried> {
        if source.size > LARGEST_COPY || !is_replaced(self.head(key).await?.as_ref(), replaced) {
            return Ok(Tried::Unknown);
        }
        match Box::pin(self.copy_whole(source, key, &(Some(NO_ETAG.to_owned()), None))).await {
            Ok(Answer::Made(copy)) => Ok(Tried::Ignored(copy)),
            Ok(Answer::Unmet) => Ok(Tried::Hold),
            Ok(Answer::Conflict | Answer::TooLarge) => Ok(Tried::Unknown),
            // This is the response to `If-Match` for a key without an object; for a missing version, the copy
            // itself reports it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Tried::Hold),
            Err(error) => Err(error),
        }
    }

    /// The object at the target, if it is the copy: the response was lost.
    async fn made_unseen(&self, source: &Source, live: Option<Head>) -> Result<Copy> {
        let Some(live) = live else { return Ok(Copy::Refused) };
        let place = self.place_of(source);
        let Some(original) = place.head_version(&source.key, source.version.as_deref()).await? else {
            return Ok(Copy::Refused);
        };
        let is_same = (!live.opaque && live.etag == original.etag
            || live.crc64.is_some() && live.crc64 == original.crc64)
            && live.size == original.size
            && Headers { storage_class: None, ..live.headers.clone() }
                == Headers { storage_class: None, ..original.headers }
            && live.metadata == original.metadata;
        Ok(if is_same { Copy::Made { etag: live.etag, version: live.version } } else { Copy::Refused })
    }

    /// The error of a copy, with the permissions that copying a version needs.
    fn of_source(&self, source: &Source, error: Error) -> Error {
        if source.version.is_some() { self.of_version(error) } else { error }
    }

    /// Where a source is, in reach of the same credentials.
    fn place_of(&self, source: &Source) -> Bucket {
        Bucket { target: source.target.clone(), ..self.clone() }
    }

    async fn copy_whole(
        &self,
        source: &Source,
        key: &str,
        (if_match, if_none_match): &(Option<String>, Option<String>),
    ) -> Result<Answer> {
        let request = self.client.copy_object().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request
            .copy_source(source.named())
            .copy_source_if_match(source.etag())
            .set_if_match(if_match.clone())
            .set_if_none_match(if_none_match.clone())
            .metadata_directive(MetadataDirective::Copy)
            .tagging_directive(TaggingDirective::Copy)
            .annotation_directive(AnnotationDirective::Exclude)
            .set_storage_class(source.class.as_deref().map(Into::into))
            .set_website_redirect_location(source.redirect.as_deref().map(str::to_owned))
            .set_expected_bucket_owner(self.expected_owner.clone())
            .set_expected_source_bucket_owner(self.expected_owner.clone());
        let lost = AmbiguousAnswer::default();
        let answer = match lost.observe(request.send()).await {
            Ok(answer) => answer,
            Err(error) => {
                return match (error.code(), error.message().unwrap_or_default()) {
                    (Some("PreconditionFailed"), _) => Ok(Answer::Unmet),
                    (Some("ConditionalRequestConflict"), _) => Ok(Answer::Conflict),
                    (Some("InvalidRequest"), message) if message.contains("maximum allowable size") => {
                        Ok(Answer::TooLarge)
                    }
                    // A store that does not support it has done nothing.
                    (Some("NotImplemented"), _) => Err(self.explain_key("CopyObject", key, error)),
                    _ => Err(lost.mark(self.of_source(source, self.explain_key("CopyObject", key, error)))),
                };
            }
        };
        let opaque = is_opaque(answer.server_side_encryption.as_ref(), answer.sse_customer_algorithm.as_deref());
        // A 200 may contain an error instead of a result.
        let etag = answer.copy_object_result.as_ref().and_then(|result| result.e_tag.as_deref()).map(Etag::parse);
        let etag = etag.ok_or_else(|| Error::failed(format!("S3 did not say that it copied {key}")))?;
        if !opaque && matches!((&etag, &source.etag), (Etag::Single(made), Etag::Single(sent)) if made != sent) {
            // Those of a source under KMS are not digests, and the bucket's default may have changed since.
            let original = self.place_of(source).head_version(&source.key, source.version.as_deref()).await?;
            if original.is_some_and(|original| !original.opaque) {
                return Err(Error::failed(format!("S3 copied other bytes to {key} than {} has", source.shown())));
            }
        }
        Ok(Answer::Made(Copy::Made { etag, version: answer.version_id }))
    }

    /// Copies an object part by part, and aborts on any failure. All headers are set again, to those of the source.
    async fn copy_parts(
        &self,
        source: &Source,
        key: &str,
        conditions: &(Option<String>, Option<String>),
    ) -> Result<Answer> {
        let original = self.place_of(source).head_version(&source.key, source.version.as_deref()).await?;
        let Some(Head { headers, metadata, .. }) = original.filter(|original| original.etag == source.etag) else {
            return Ok(Answer::Unmet);
        };
        let headers = Headers {
            storage_class: source.class.as_deref().map(str::to_owned),
            website_redirect: source.redirect.as_deref().map(str::to_owned),
            metadata: metadata.into_iter().collect(),
            ..headers
        };
        let request = self.client.create_multipart_upload().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = headers::with_headers!(request, &headers);
        let created = request.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        let created = created.map_err(|error| self.explain_key("CreateMultipartUpload", key, error))?;
        let id = created.upload_id.ok_or_else(|| Error::failed(format!("S3 gave no upload id for {key}")))?;
        let copied = self.copy_each_part(source, key, &id, conditions).await;
        if !matches!(copied, Ok(Answer::Made(_))) {
            let abort = self.client.abort_multipart_upload().bucket(self.target.bucket());
            let abort = abort.key(self.target.full_key(key)).upload_id(&id);
            // Whether it worked or not, the original error is the one that counts.
            let _ = abort.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        }
        copied
    }

    async fn copy_each_part(
        &self,
        source: &Source,
        key: &str,
        id: &str,
        (if_match, if_none_match): &(Option<String>, Option<String>),
    ) -> Result<Answer> {
        // Cut as in an upload, so that the ETag is the same.
        let length = part_size(source.size);
        let parts = stream::iter(0..source.size.div_ceil(length)).map(|at| async move {
            let (first, end) = (at * length, (at * length + length).min(source.size));
            let request = self.client.upload_part_copy().bucket(self.target.bucket()).key(self.target.full_key(key));
            let request = request
                .upload_id(id)
                .part_number(at as i32 + 1)
                .copy_source(source.named())
                .copy_source_range(format!("bytes={first}-{}", end - 1))
                .copy_source_if_match(source.etag())
                .set_expected_bucket_owner(self.expected_owner.clone())
                .set_expected_source_bucket_owner(self.expected_owner.clone());
            let answer = request.send().await;
            let answer =
                answer.map_err(|error| self.of_source(source, self.explain_key("UploadPartCopy", key, error)))?;
            let etag = answer.copy_part_result.and_then(|result| result.e_tag);
            let etag = etag.ok_or_else(|| Error::failed(format!("S3 did not say that it copied a part of {key}")))?;
            Ok::<_, Error>(CompletedPart::builder().part_number(at as i32 + 1).e_tag(etag).build())
        });
        let parts: Vec<CompletedPart> = parts.buffered(PARTS_IN_FLIGHT).try_collect().await?;
        let completed = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request =
            self.client.complete_multipart_upload().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.upload_id(id).multipart_upload(completed);
        let request = request.set_if_match(if_match.clone()).set_if_none_match(if_none_match.clone());
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let lost = AmbiguousAnswer::default();
        match lost.observe(request.send()).await {
            Ok(answer) => {
                let etag = answer.e_tag.as_deref().map(Etag::parse);
                let etag = etag.ok_or_else(|| Error::failed(format!("S3 answered without an ETag for {key}")))?;
                Ok(Answer::Made(Copy::Made { etag, version: answer.version_id }))
            }
            Err(error) => match error.code() {
                Some("PreconditionFailed") => Ok(Answer::Unmet),
                Some("ConditionalRequestConflict") => Ok(Answer::Conflict),
                _ => Err(lost.mark(self.explain_key("CompleteMultipartUpload", key, error))),
            },
        }
    }
}

/// `If-Match` and `If-None-Match`.
fn conditions(replaced: Replaced<'_>, guard: Guard) -> (Option<String>, Option<String>) {
    match (guard, replaced) {
        (Guard::Look, _) => (None, None),
        (Guard::Condition, Replaced::Nothing) => (None, Some("*".to_owned())),
        (Guard::Condition, Replaced::This(etag)) => (Some(format!("\"{etag}\"")), None),
    }
}

fn is_replaced(live: Option<&Head>, replaced: Replaced<'_>) -> bool {
    match (live, replaced) {
        (None, Replaced::Nothing) => true,
        (Some(live), Replaced::This(etag)) => live.etag == *etag,
        _ => false,
    }
}
