//! `PutObject`, `GetObject`, `HeadObject` and `CopyObject`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{HeaderMap, StatusCode};
use s3s::checksum::ChecksumHasher;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use crate::body::{Body, ReceiveError, Received};
use crate::bucket::{self, Conditions, CopyConditions, hex, write_error};
use crate::lock::{locked, reading};
use crate::s3::{Answer, Call, conditions, encryption, kept_headers, length, stored_headers, strong, timestamp};
use crate::store::Store;

/// Maximum size of the body of one request, in bytes.
const LARGEST_PUT: i64 = 5 << 30;

pub(super) async fn put(store: &Store, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
    let upload = Upload::of(&request, request.input.content_md5.as_deref(), request.input.content_length);
    let conditions = conditions(&request.headers)?;
    let headers = kept_headers(&request.headers);
    let input = request.input;
    let (bucket, received) = upload.receive(store, &input.bucket, input.body).await?;
    let object = bucket::Object {
        etag: bucket.etag(hex(&received.md5)),
        modified: bucket.now(),
        headers,
        body: received.segment.into(),
        version: None,
    };
    let object = bucket.put(&input.key, object, &conditions)?;
    let checksum = received.checksum;
    Ok(S3Response::new(PutObjectOutput {
        e_tag: strong(&object.etag),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        server_side_encryption: encryption(&bucket),
        version_id: bucket.version_of(&object),
        ..PutObjectOutput::default()
    }))
}

/// What a request says about its body.
pub(super) struct Upload {
    headers: HeaderMap,
    call: Arc<Call>,
    md5: Option<String>,
    length: Option<i64>,
}

impl Upload {
    pub(super) fn of<T>(request: &S3Request<T>, md5: Option<&str>, length: Option<i64>) -> Self {
        Self {
            headers: request.headers.clone(),
            call: request.extensions.get().cloned().unwrap_or_default(),
            md5: md5.map(str::to_owned),
            length,
        }
    }

    /// Reads the body to its end (even if it is refused: a client that is still sending would see a reset instead
    /// of the response), and checks it against what the request says about it.
    pub(super) async fn receive(
        self,
        store: &Store,
        bucket: &str,
        body: Option<StreamingBlob>,
    ) -> S3Result<(Arc<bucket::Bucket>, Received)> {
        let bucket = match store.bucket(bucket) {
            Ok(bucket) => bucket,
            Err(error) => {
                drain(body).await;
                return Err(error);
            }
        };
        if self.length.is_some_and(|length| length > LARGEST_PUT) {
            return Err(s3_error!(EntityTooLarge));
        }
        let received = store.bodies.receive(body, self.hasher()).await;
        let received = received.map_err(|error| match error {
            ReceiveError::Write(error) => write_error(&error),
            ReceiveError::Interrupted(source) => S3Error::with_source(S3ErrorCode::IncompleteBody, source),
        })?;
        self.check(&received)?;
        let has_checksum = self.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
        if has_checksum && reading(&bucket.settings).refuses_checksums {
            return Err(s3_error!(InvalidArgument, "Unsupported header received for this API call."));
        }
        Ok((bucket, received))
    }

    /// Computes the checksums that are in a header or announced as trailers.
    fn hasher(&self) -> ChecksumHasher {
        let announced = self.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
        let announced = announced.unwrap_or_default().to_ascii_lowercase();
        let wanted = |name: &str| self.headers.contains_key(name) || announced.contains(name);
        ChecksumHasher {
            // "crc32c" also begins with "crc32".
            crc32: (self.headers.contains_key("x-amz-checksum-crc32")
                || announced.split(',').any(|name| name.trim() == "x-amz-checksum-crc32"))
            .then(Default::default),
            crc32c: wanted("x-amz-checksum-crc32c").then(Default::default),
            sha1: wanted("x-amz-checksum-sha1").then(Default::default),
            sha256: wanted("x-amz-checksum-sha256").then(Default::default),
            crc64nvme: wanted("x-amz-checksum-crc64nvme").then(Default::default),
        }
    }

    fn check(&self, received: &Received) -> S3Result<()> {
        if self.length.is_some_and(|expected| length(received.segment.size) != Some(expected)) {
            return Err(s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header"
            ));
        }
        if let Some(expected) = &self.md5 {
            let expected = STANDARD.decode(expected).ok().filter(|digest| digest.len() == 16);
            let expected =
                expected.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid."))?;
            if expected != received.md5 {
                return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
            }
        }
        let trailers = locked(&self.call.trailers);
        let checksum = &received.checksum;
        for (name, computed) in [
            ("x-amz-checksum-crc32", &checksum.checksum_crc32),
            ("x-amz-checksum-crc32c", &checksum.checksum_crc32c),
            ("x-amz-checksum-sha1", &checksum.checksum_sha1),
            ("x-amz-checksum-sha256", &checksum.checksum_sha256),
            ("x-amz-checksum-crc64nvme", &checksum.checksum_crc64nvme),
        ] {
            let said = self.headers.get(name).or_else(|| trailers.get(name));
            if let (Some(said), Some(computed)) = (said, computed)
                && said.as_bytes() != computed.as_bytes()
            {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."));
            }
        }
        Ok(())
    }
}

pub(super) async fn drain(body: Option<StreamingBlob>) {
    use futures::StreamExt;
    if let Some(mut body) = body {
        while let Some(Ok(_)) = body.next().await {}
    }
}

pub(super) fn get(store: &Store, input: GetObjectInput) -> Answer<GetObjectOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let object = bucket.find(&input.key, input.version_id.as_deref())?;
    let seen = Seen {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    seen.check(&object)?;
    let size = object.body.size();
    let range = match input.range {
        Some(range) => Some(range.check(size)?),
        None => None,
    };
    let part = range.clone().unwrap_or(0..size);
    let content_range = range.as_ref().map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(object.body.stream(part.clone())),
        content_length: length(part.end - part.start),
        content_range,
        e_tag: strong(&object.etag),
        last_modified: Some(timestamp(object.modified)),
        server_side_encryption: encryption(&bucket),
        version_id: bucket.version_of(&object),
        ..GetObjectOutput::default()
    };
    let mut answer = S3Response::with_headers(output, stored_headers(&object));
    if range.is_some() {
        answer.status = Some(StatusCode::PARTIAL_CONTENT);
    }
    Ok(answer)
}

pub(super) async fn head(store: &Store, input: HeadObjectInput) -> Answer<HeadObjectOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let object = bucket.find(&input.key, input.version_id.as_deref())?;
    let seen = Seen {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    seen.check(&object)?;
    let asks = input.checksum_mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let checksum = if asks { Some(checksum(&object.body).await?) } else { None };
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        checksum_type: asks.then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        checksum_crc64nvme: checksum,
        content_length: length(object.body.size()),
        e_tag: strong(&object.etag),
        last_modified: Some(timestamp(object.modified)),
        server_side_encryption: encryption(&bucket),
        version_id: bucket.version_of(&object),
        ..HeadObjectOutput::default()
    };
    Ok(S3Response::with_headers(output, stored_headers(&object)))
}

/// The checksum that S3 computes for every object that is uploaded without one
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>).
async fn checksum(body: &Body) -> S3Result<String> {
    let bytes = body.bytes().await.map_err(|error| S3Error::with_source(S3ErrorCode::InternalError, error))?;
    let mut hasher = ChecksumHasher { crc64nvme: Some(Default::default()), ..ChecksumHasher::default() };
    hasher.update(&bytes);
    let computed = hasher.finalize().checksum_crc64nvme;
    computed.ok_or_else(|| s3_error!(InternalError, "no checksum was computed"))
}

/// The conditions of a read.
struct Seen {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

impl Seen {
    fn check(&self, object: &bucket::Object) -> S3Result<()> {
        let matches = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == object.etag,
        };
        let modified = timestamp(object.modified);
        let unmet = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !matches(condition),
            (None, Some(since)) => modified > *since,
            (None, None) => false,
        };
        if unmet {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

/// The object that a copy reads, if its conditions hold.
pub(super) fn copy_source(
    store: &Store,
    source: &CopySource,
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<Arc<bucket::Object>> {
    let CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(s3_error!(NotImplemented, "only buckets can be copied from"));
    };
    let object = store.bucket(bucket)?.find(key, version_id.as_deref())?;
    let seen = Seen { if_match, if_none_match, if_modified_since: None, if_unmodified_since: None };
    // A copy has no 304.
    let unmet = |_| s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold");
    seen.check(&object).map_err(unmet)?;
    Ok(object)
}

/// Maximum size of an object that one `CopyObject` copies, in bytes.
const LARGEST_COPY: u64 = 5 << 30;

pub(super) async fn copy(store: &Store, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
    let bucket = store.bucket(&request.input.bucket)?;
    let (of_conditions, largest) = {
        let settings = reading(&bucket.settings);
        (settings.copy_conditions, settings.largest_copy.unwrap_or(LARGEST_COPY))
    };
    let has_conditions = ["if-match", "if-none-match"].iter().any(|name| request.headers.contains_key(*name));
    let conditions = match of_conditions {
        CopyConditions::Hold => conditions(&request.headers)?,
        CopyConditions::Refused if has_conditions => {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented"
            ));
        }
        CopyConditions::Ignored | CopyConditions::Refused => Conditions::default(),
    };
    let input = request.input;
    let source = copy_source(store, &input.copy_source, input.copy_source_if_match, input.copy_source_if_none_match)?;
    if source.body.size() > largest {
        return Err(s3_error!(
            InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: {largest}"
        ));
    }
    let replace = input.metadata_directive.is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    // Copying an older version over the object itself restores it.
    let itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, version_id: None }
        if **bucket == *input.bucket && **key == *input.key);
    let mut headers: BTreeMap<String, String>;
    if replace {
        headers = kept_headers(&request.headers);
    } else if itself && input.storage_class.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
        ));
    } else {
        headers = source.headers.clone();
        // Neither is ever copied: both are what this request says.
        for name in ["x-amz-website-redirect-location", "x-amz-storage-class"] {
            headers.remove(name);
            if let Some(value) = request.headers.get(name).and_then(|value| value.to_str().ok()) {
                headers.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    let copied = match &input.copy_source {
        CopySource::Bucket { bucket, .. } => store.bucket(bucket)?.version_of(&source),
        _ => None,
    };
    let (body, md5) = duplicate(store, &source.body, 0..source.body.size()).await?;
    let object = bucket::Object { etag: bucket.etag(md5), modified: bucket.now(), headers, body, version: None };
    let object = bucket.put(&input.key, object, &conditions)?;
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: strong(&object.etag),
            last_modified: Some(timestamp(object.modified)),
            ..CopyObjectResult::default()
        }),
        server_side_encryption: encryption(&bucket),
        version_id: bucket.version_of(&object),
        copy_source_version_id: copied,
        ..CopyObjectOutput::default()
    }))
}

/// A copy of part of a body with its MD5, in hexadecimal.
pub(super) async fn duplicate(store: &Store, body: &Body, range: std::ops::Range<u64>) -> S3Result<(Body, String)> {
    let stream = body.stream(range);
    let received = store.bodies.receive(Some(stream), ChecksumHasher::default()).await;
    let received = received.map_err(|error| match error {
        ReceiveError::Write(error) => write_error(&error),
        ReceiveError::Interrupted(source) => S3Error::with_source(S3ErrorCode::InternalError, source),
    })?;
    let md5 = hex(&received.md5);
    Ok((received.segment.into(), md5))
}
