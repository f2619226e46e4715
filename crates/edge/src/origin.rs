//! Origin requests: from a path to an object of a bucket, as the REST and website endpoints resolve it.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION};
use percent_encoding::percent_decode_str;

use crate::body::Body;
use crate::bucket::{Bucket, Object};
use crate::distribution::{CacheBehavior, Distribution, Origin, OriginKind};
use crate::lock::reading;
use crate::policy;
use crate::s3::stored_headers;
use crate::store::Store;

/// An origin's response.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Fetched {
    fn error(status: u16, code: &str) -> Self {
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>");
        Self {
            status,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/xml"))]),
            body: Body::from(Bytes::from(text)),
        }
    }

    fn redirect(status: u16, location: &str) -> Self {
        Self { status, headers: header(LOCATION, location), body: Body::default() }
    }
}

fn header(name: HeaderName, value: &str) -> HeaderMap {
    HeaderValue::from_bytes(value.as_bytes()).map(|value| (name, value)).into_iter().collect()
}

/// Asks the origins of a behavior for `path`, raw as the viewer or a function spelled it.
pub(super) fn fetch(store: &Store, distribution: &Distribution, behavior: &CacheBehavior, path: &str) -> Fetched {
    let (origins, failover) = distribution.targets(behavior);
    let mut answer = Fetched::error(502, "BadGateway");
    for origin in origins {
        answer = ask(store, origin, path);
        if !failover.contains(&answer.status) {
            break;
        }
    }
    answer
}

fn ask(store: &Store, origin: &Origin, path: &str) -> Fetched {
    let Some(Ok(bucket)) = origin.bucket().map(|name| store.bucket(name)) else {
        return Fetched::error(502, "BadGateway");
    };
    let raw = format!("{}{path}", origin.origin_path);
    // S3 reads a plus sign in a URL as a space.
    let spaced = raw.trim_start_matches('/').replace('+', " ");
    let Ok(key) = percent_decode_str(&spaced).decode_utf8() else {
        return Fetched::error(400, "InvalidURI");
    };
    if bucket.policy().is_some_and(|policy| policy::denies(&policy, &bucket.name, &key)) {
        return Fetched::error(403, "AccessDenied");
    }
    match origin.kind {
        OriginKind::S3 => match bucket.get(&key) {
            Some(object) => serve(&object),
            None => missing(&bucket),
        },
        OriginKind::Website => website(&bucket, &raw, &key),
    }
}

fn missing(bucket: &Bucket) -> Fetched {
    if reading(&bucket.settings).missing_is_forbidden {
        Fetched::error(403, "AccessDenied")
    } else {
        Fetched::error(404, "NoSuchKey")
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/IndexDocumentSupport.html>
fn website(bucket: &Bucket, raw: &str, key: &str) -> Fetched {
    let directory = key.is_empty() || key.ends_with('/');
    let name = if directory { format!("{key}index.html") } else { key.to_owned() };
    match bucket.get(&name) {
        Some(object) => match object.headers.get("x-amz-website-redirect-location") {
            Some(location) => Fetched::redirect(301, location),
            None => serve(&object),
        },
        None if !directory && bucket.get(&format!("{key}/index.html")).is_some() => {
            Fetched::redirect(302, &format!("{raw}/"))
        }
        None => missing(bucket),
    }
}

fn serve(object: &Arc<Object>) -> Fetched {
    let mut headers = stored_headers(object);
    // The REST endpoint serves the object itself; neither header means anything to a viewer.
    headers.remove("x-amz-storage-class");
    headers.extend(header(ETAG, &format!("\"{}\"", object.etag)));
    if let Ok(modified) = jiff::Timestamp::from_second(object.modified)
        && let Ok(text) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&modified)
    {
        headers.extend(header(LAST_MODIFIED, &text));
    }
    Fetched { status: 200, headers, body: object.body.clone() }
}
