//! `ListObjects` and `ListObjectsV2`: pages of the ordered map.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Response, S3Result, s3_error};

use crate::bucket::{self, Page, Position};
use crate::lock::reading;
use crate::s3::{Answer, length, strong, timestamp};
use crate::store::Store;

/// S3 never returns more in one page.
const LARGEST_PAGE: i32 = 1000;

/// What `encoding-type=url` does not encode; a space becomes `+`, as in a form.
const LEFT_PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

pub(super) fn owner() -> Owner {
    Owner { display_name: Some("local".to_owned()), id: Some("000000000000".to_owned()) }
}

struct Encoding(bool);

impl Encoding {
    fn of(requested: Option<&EncodingType>) -> Self {
        Self(requested.is_some_and(|encoding| encoding.as_str() == EncodingType::URL))
    }

    fn apply(&self, text: &str) -> String {
        if self.0 { utf8_percent_encode(text, LEFT_PLAIN).to_string().replace(' ', "+") } else { text.to_owned() }
    }

    fn contents(&self, objects: &[(String, Arc<bucket::Object>)]) -> ObjectList {
        let objects = objects.iter().map(|(key, object)| {
            let class = object.headers.get("x-amz-storage-class").cloned();
            let class = class.map_or_else(
                || ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
                ObjectStorageClass::from,
            );
            Object {
                e_tag: strong(&object.etag),
                key: Some(self.apply(key)),
                last_modified: Some(timestamp(object.modified)),
                size: length(object.body.size()),
                storage_class: Some(class),
                ..Object::default()
            }
        });
        objects.collect()
    }

    fn prefixes(&self, prefixes: &[String]) -> CommonPrefixList {
        let prefixes = prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.apply(prefix)) });
        prefixes.collect()
    }
}

fn page_size(requested: Option<i32>) -> S3Result<(i32, usize)> {
    let size = requested.unwrap_or(LARGEST_PAGE);
    let limit = usize::try_from(size.min(LARGEST_PAGE))
        .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
    Ok((size, limit))
}

fn delimiter(requested: Option<&String>) -> Option<&str> {
    requested.map(String::as_str).filter(|delimiter| !delimiter.is_empty())
}

pub(super) fn list_objects_v2(store: &Store, input: ListObjectsV2Input) -> Answer<ListObjectsV2Output> {
    let bucket = store.bucket(&input.bucket)?;
    let (max_keys, limit) = page_size(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => Some(read_token(token)?),
        None => input.start_after.clone().map(Position::Key),
    };
    let prefix = input.prefix.unwrap_or_default();
    let mut page = bucket.list(&prefix, delimiter(input.delimiter.as_ref()), after, limit);
    if reading(&bucket.settings).lists_backwards {
        page.objects.reverse();
    }
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let Page { objects, common_prefixes, next } = page;
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(&prefix)),
        max_keys: Some(max_keys),
        key_count: i32::try_from(objects.len() + common_prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(next.is_some()),
        next_continuation_token: next.as_ref().map(write_token),
        contents: Some(encoding.contents(&objects)),
        common_prefixes: Some(encoding.prefixes(&common_prefixes)),
        delimiter: input.delimiter.map(|delimiter| encoding.apply(&delimiter)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|after| encoding.apply(&after)),
        ..ListObjectsV2Output::default()
    }))
}

pub(super) fn list_objects(store: &Store, input: ListObjectsInput) -> Answer<ListObjectsOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let (max_keys, limit) = page_size(input.max_keys)?;
    let delimiter = delimiter(input.delimiter.as_ref());
    let after = input.marker.clone().filter(|marker| !marker.is_empty()).map(|marker| {
        // A marker that is a common prefix of the preceding page represents everything in it.
        if delimiter.is_some_and(|delimiter| marker.ends_with(delimiter)) {
            Position::CommonPrefix(marker)
        } else {
            Position::Key(marker)
        }
    });
    let prefix = input.prefix.unwrap_or_default();
    let Page { objects, common_prefixes, next } = bucket.list(&prefix, delimiter, after, limit);
    let encoding = Encoding::of(input.encoding_type.as_ref());
    // S3 sends a next marker only if the last key would not do.
    let next_marker = next.as_ref().filter(|_| delimiter.is_some()).map(|next| match next {
        Position::Key(text) | Position::CommonPrefix(text) => encoding.apply(text),
    });
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(&prefix)),
        marker: Some(encoding.apply(&input.marker.unwrap_or_default())),
        max_keys: Some(max_keys),
        is_truncated: Some(next.is_some()),
        contents: Some(encoding.contents(&objects)),
        common_prefixes: Some(encoding.prefixes(&common_prefixes)),
        next_marker,
        delimiter: input.delimiter.map(|delimiter| encoding.apply(&delimiter)),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    }))
}

pub(super) fn list_object_versions(store: &Store, input: ListObjectVersionsInput) -> Answer<ListObjectVersionsOutput> {
    let bucket = store.bucket(&input.bucket)?;
    let (max_keys, limit) = page_size(input.max_keys)?;
    let prefix = input.prefix.unwrap_or_default();
    let all = bucket.list_versions(&prefix);
    // The one that ended the preceding page; without its ID, all versions of its key.
    let before = |key: &str, id: &str| match (&input.key_marker, &input.version_id_marker) {
        (Some(marker), Some(version)) => key == marker && id == version,
        (Some(marker), None) => key <= marker.as_str(),
        _ => false,
    };
    let first = all.iter().rposition(|(key, version, _)| before(key, &version.id)).map_or(0, |at| at + 1);
    let page = &all[first..all.len().min(first + limit)];
    let last = page.last().filter(|_| first + page.len() < all.len());
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (key, version, is_latest) in page {
        let (key, version_id, is_latest) = (Some(encoding.apply(key)), Some(version.id.clone()), Some(*is_latest));
        match &version.object {
            Some(object) => versions.push(ObjectVersion {
                key,
                version_id,
                is_latest,
                e_tag: strong(&object.etag),
                last_modified: Some(timestamp(object.modified)),
                size: length(object.body.size()),
                owner: Some(owner()),
                ..ObjectVersion::default()
            }),
            None => markers.push(DeleteMarkerEntry { key, version_id, is_latest, ..DeleteMarkerEntry::default() }),
        }
    }
    Ok(S3Response::new(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(&prefix)),
        max_keys: Some(max_keys),
        is_truncated: Some(last.is_some()),
        next_key_marker: last.map(|(key, ..)| encoding.apply(key)),
        next_version_id_marker: last.map(|(_, version, _)| version.id.clone()),
        key_marker: input.key_marker,
        version_id_marker: input.version_id_marker,
        versions: Some(versions),
        delete_markers: Some(markers),
        encoding_type: input.encoding_type,
        ..ListObjectVersionsOutput::default()
    }))
}

fn write_token(position: &Position) -> String {
    URL_SAFE_NO_PAD.encode(match position {
        Position::Key(key) => format!("k{key}"),
        Position::CommonPrefix(prefix) => format!("p{prefix}"),
    })
}

fn read_token(token: &str) -> S3Result<Position> {
    let invalid = || s3_error!(InvalidArgument, "The continuation token provided is incorrect");
    let text = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let text = String::from_utf8(text).map_err(|_| invalid())?;
    match (text.strip_prefix('k'), text.strip_prefix('p')) {
        (Some(key), _) => Ok(Position::Key(key.to_owned())),
        (_, Some(prefix)) => Ok(Position::CommonPrefix(prefix.to_owned())),
        _ => Err(invalid()),
    }
}
