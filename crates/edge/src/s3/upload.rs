//! Multipart uploads. The parts stay in the files that they arrived in; completing moves no bytes.
//!
//! Uploads in progress are only in memory: after a restart, they and their parts are gone, as if they had been
//! aborted.

use std::collections::BTreeMap;
use std::sync::Arc;

use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::body::{Body, Segment};
use crate::bucket::{self, hex};
use crate::lock::locked;
use crate::s3::object::{Upload, copy_source, duplicate};
use crate::s3::{Answer, conditions, encryption, kept_headers, length, strong, timestamp};
use crate::store::Store;

/// Minimum size of every part except the last, in bytes.
const SMALLEST_PART: u64 = 5 << 20;

/// Uploads in progress, by key and upload ID: the order in which S3 lists them.
pub(crate) type Uploads = BTreeMap<(String, String), InProgress>;

/// An upload in progress.
#[derive(Clone, Debug)]
pub(crate) struct InProgress {
    initiated: i64,
    headers: BTreeMap<String, String>,
    parts: BTreeMap<i32, Stored>,
}

#[derive(Clone, Debug)]
struct Stored {
    etag: String,
    md5: Vec<u8>,
    modified: i64,
    segment: Segment,
}

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

pub(super) fn create(
    store: &Store,
    request: S3Request<CreateMultipartUploadInput>,
) -> Answer<CreateMultipartUploadOutput> {
    let headers = kept_headers(&request.headers);
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    // The time keeps an ID from before a restart from meaning another upload.
    let started = jiff::Timestamp::now().as_microsecond();
    let id = format!("{started:x}-{:x}", bucket.unique());
    let upload = InProgress { initiated: bucket.now(), headers, parts: BTreeMap::new() };
    locked(&bucket.uploads).insert((input.key.clone(), id.clone()), upload);
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        server_side_encryption: encryption(&bucket),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    }))
}

pub(super) async fn part(store: &Store, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
    let upload = Upload::of(&request, request.input.content_md5.as_deref(), request.input.content_length);
    let input = request.input;
    let (bucket, received) = upload.receive(store, &input.bucket, input.body).await?;
    let checksum = received.checksum;
    let stored = Stored {
        etag: bucket.etag(hex(&received.md5)),
        md5: received.md5.to_vec(),
        modified: bucket.now(),
        segment: received.segment,
    };
    let etag = stored.etag.clone();
    insert(&bucket, input.key, input.upload_id, input.part_number, stored)?;
    Ok(S3Response::new(UploadPartOutput {
        e_tag: strong(&etag),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        server_side_encryption: encryption(&bucket),
        ..UploadPartOutput::default()
    }))
}

fn insert(bucket: &bucket::Bucket, key: String, id: String, number: i32, part: Stored) -> S3Result<()> {
    if !(1..=10_000).contains(&number) {
        return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
    }
    let mut uploads = locked(&bucket.uploads);
    let upload = uploads.get_mut(&(key, id)).ok_or_else(no_such_upload)?;
    upload.parts.insert(number, part);
    Ok(())
}

pub(super) async fn part_copy(store: &Store, input: UploadPartCopyInput) -> Answer<UploadPartCopyOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let source = copy_source(store, &input.copy_source, input.copy_source_if_match, input.copy_source_if_none_match)?;
    let size = source.body.size();
    let range = match &input.copy_source_range {
        Some(range) => Range::parse(range)
            .map_err(|_| s3_error!(InvalidArgument, "The range specified is not valid"))?
            .check(size)?,
        None => 0..size,
    };
    let (body, md5) = duplicate(store, &source.body, range).await?;
    let Some(segment) = body.segments.into_iter().next() else {
        return Err(s3_error!(InternalError));
    };
    let stored = Stored { etag: bucket.etag(md5.clone()), md5: unhex(&md5), modified: bucket.now(), segment };
    let result = CopyPartResult {
        e_tag: strong(&stored.etag),
        last_modified: Some(timestamp(stored.modified)),
        ..CopyPartResult::default()
    };
    insert(&bucket, input.key, input.upload_id, input.part_number, stored)?;
    Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() }))
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

pub(super) fn complete(
    store: &Store,
    request: S3Request<CompleteMultipartUploadInput>,
) -> Answer<CompleteMultipartUploadOutput> {
    let conditions = conditions(&request.headers)?;
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let name = (input.key.clone(), input.upload_id);
    // Held until the object is stored, so that an upload is completed only once.
    let mut uploads = locked(&bucket.uploads);
    let upload = uploads.get(&name).ok_or_else(no_such_upload)?;
    let requested = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let parts = chosen_parts(upload, &requested)?;
    let mut digest = Md5::new();
    for part in &parts {
        digest.update(&part.md5);
    }
    let etag = format!("{}-{}", hex(&digest.finalize()), parts.len());
    let object = bucket::Object {
        etag: bucket.etag(etag),
        modified: bucket.now(),
        headers: upload.headers.clone(),
        body: Body { segments: parts.into_iter().map(|part| part.segment.clone()).collect() },
        version: None,
    };
    let object = bucket.put(&input.key, object, &conditions)?;
    uploads.remove(&name);
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: strong(&object.etag),
        server_side_encryption: encryption(&bucket),
        version_id: bucket.version_of(&object),
        ..CompleteMultipartUploadOutput::default()
    }))
}

fn chosen_parts<'a>(upload: &'a InProgress, requested: &[CompletedPart]) -> S3Result<Vec<&'a Stored>> {
    if requested.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let mut parts: Vec<&Stored> = Vec::with_capacity(requested.len());
    let mut before = 0;
    for wanted in requested {
        let number = wanted.part_number.unwrap_or(0);
        if number <= before {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        before = number;
        let said = wanted.e_tag.as_ref().map(ETag::value);
        let part = upload.parts.get(&number).filter(|part| said == Some(part.etag.as_str()));
        parts.push(
            part.ok_or_else(|| s3_error!(InvalidPart, "One or more of the specified parts could not be found."))?,
        );
    }
    let all_but_last = parts.iter().rev().skip(1);
    if all_but_last.into_iter().any(|part| part.segment.size < SMALLEST_PART) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    Ok(parts)
}

pub(super) fn abort(store: &Store, input: &AbortMultipartUploadInput) -> Answer<AbortMultipartUploadOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let name = (input.key.clone(), input.upload_id.clone());
    locked(&bucket.uploads).remove(&name).ok_or_else(no_such_upload)?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) fn list(store: &Store, input: ListMultipartUploadsInput) -> Answer<ListMultipartUploadsOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.key_marker.clone().unwrap_or_default();
    let after_id = input.upload_id_marker.clone();
    let limit = input.max_uploads.unwrap_or(1000).clamp(1, 1000);
    let uploads = locked(&bucket.uploads);
    let mut matching = uploads.iter().filter(|((key, id), _)| {
        // Without an upload ID, the marker represents all uploads of its key.
        let later = match &after_id {
            Some(after_id) => (key, id) > (&after, after_id),
            None => *key > after,
        };
        key.starts_with(&prefix) && (later || after.is_empty())
    });
    let page: Vec<_> = matching.by_ref().take(usize::try_from(limit).unwrap_or(1)).collect();
    let truncated = matching.next().is_some();
    let last = page.last().filter(|_| truncated).map(|(name, _)| (*name).clone());
    let listed = page.iter().map(|((key, id), upload)| MultipartUpload {
        initiated: Some(timestamp(upload.initiated)),
        key: Some(key.clone()),
        upload_id: Some(id.clone()),
        owner: Some(crate::s3::listing::owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..MultipartUpload::default()
    });
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: Some(listed.collect()),
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key_marker: input.key_marker,
        max_uploads: Some(limit),
        next_key_marker: last.as_ref().map(|(key, _)| key.clone()),
        next_upload_id_marker: last.map(|(_, id)| id),
        prefix: input.prefix,
        upload_id_marker: input.upload_id_marker,
        ..ListMultipartUploadsOutput::default()
    }))
}

pub(super) fn list_parts(store: &Store, input: ListPartsInput) -> Answer<ListPartsOutput> {
    let bucket: Arc<bucket::Bucket> = store.bucket(&input.bucket)?;
    let uploads = locked(&bucket.uploads);
    let name = (input.key.clone(), input.upload_id.clone());
    let upload = uploads.get(&name).ok_or_else(no_such_upload)?;
    let after = input.part_number_marker.unwrap_or(0).max(0);
    let limit = input.max_parts.unwrap_or(1000).clamp(1, 1000);
    let mut later = upload.parts.range(after.saturating_add(1)..);
    let page: Vec<_> = later.by_ref().take(usize::try_from(limit).unwrap_or(1)).collect();
    let truncated = later.next().is_some();
    let next = page.last().filter(|_| truncated).map(|(number, _)| **number);
    let parts = page.iter().map(|(number, part)| Part {
        e_tag: strong(&part.etag),
        last_modified: Some(timestamp(part.modified)),
        part_number: Some(**number),
        size: length(part.segment.size),
        ..Part::default()
    });
    Ok(S3Response::new(ListPartsOutput {
        parts: Some(parts.collect()),
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key: Some(input.key),
        max_parts: Some(limit),
        next_part_number_marker: next,
        part_number_marker: input.part_number_marker,
        upload_id: Some(input.upload_id),
        owner: Some(crate::s3::listing::owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    }))
}
