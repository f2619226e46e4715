//! How long a request may go without an answer: by its kind and size, and not as long as the largest may take.
//!
//! The limit is that of one attempt, from the moment it is sent until its answer begins; time in the queue of the
//! [`limiter`](mod@crate::aws::limiter) does not count. What was silent for so long is tried again by the SDK, each time
//! with more patience, because some answers are slow and not lost.

use crate::aws::answer;
use crate::clock::Clock;
use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use std::time::Duration;

/// For a request that carries nothing, and is answered in well under a second.
pub(super) const SMALL: Duration = Duration::from_secs(12);
/// The most for such a request when it is tried again.
const SMALL_AGAIN: Duration = Duration::from_secs(48);
/// For what S3 works on before it answers: a copy, the end of an upload in parts. A part of 16 MiB on a slow line that
/// many share takes as long.
pub(super) const LARGE: Duration = Duration::from_secs(300);
/// For a request to delete a thousand objects; fewer are fewer bytes, and take less.
const MANY: Duration = Duration::from_secs(60);
/// Bytes of such a request for each second beyond those of a small one.
const DELETED: u64 = 1536;
/// Bytes a second of a body on a slow line that many share.
const SLOWEST: u64 = 56 * 1024;

/// How long the answer to an attempt may take to begin.
fn limit(method: &str, uri: &str, is_copy: bool, body: Option<u64>, attempt: u32) -> Duration {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let names = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let body = match body {
        Some(bytes) if !is_copy => bytes,
        _ => return LARGE,
    };
    // `CompleteMultipartUpload`.
    if method == "POST" && names("uploadId") {
        return LARGE;
    }
    let deletes = method == "POST" && names("delete");
    let least = if deletes { MANY.min(SMALL + Duration::from_secs(body / DELETED)) } else { SMALL };
    let patient = least.saturating_mul(1 << attempt.saturating_sub(1).min(8)).min(SMALL_AGAIN.max(least));
    (patient + Duration::from_secs(body / SLOWEST)).min(LARGE)
}

/// Which attempt of its call a request is, as the SDK tells AWS.
fn attempt(request: &HttpRequest) -> u32 {
    let reported = request.headers().get("amz-sdk-request").unwrap_or_default();
    let number = reported.split(';').find_map(|part| part.trim().strip_prefix("attempt="));
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// An HTTP client whose requests do not wait for ever.
#[derive(Debug)]
pub(super) struct Impatient {
    client: SharedHttpClient,
    clock: Clock,
}

impl Impatient {
    pub(super) fn new(client: SharedHttpClient, clock: Clock) -> Impatient {
        Impatient { client, clock }
    }
}

impl HttpClient for Impatient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(ImpatientConnector { connector, clock: self.clock.clone() })
    }
}

#[derive(Debug)]
struct ImpatientConnector {
    connector: SharedHttpConnector,
    clock: Clock,
}

impl HttpConnector for ImpatientConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_copy = request.headers().get("x-amz-copy-source").is_some();
        let body = request.body().content_length();
        let limit = limit(request.method(), request.uri(), is_copy, body, attempt(&request));
        let is_object = request.uri().contains("x-id=GetObject");
        let (answer, clock) = (self.connector.call(request), self.clock.clone());
        HttpConnectorFuture::new(async move {
            let silent = || ConnectorError::timeout(format!("no answer began within {} s", limit.as_secs()).into());
            let answer = clock.timeout(limit, answer).await.unwrap_or_else(|| Err(silent()))?;
            Ok(answer::bounded(answer, is_object, &clock))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_waits_seconds_and_what_is_large_as_long_as_it_may_take() {
        let seconds = |method, uri, body, attempt| limit(method, uri, false, body, attempt).as_secs();
        assert_eq!(seconds("GET", "https://b.s3/?list-type=2", Some(0), 1), 12);
        assert_eq!(seconds("PUT", "https://b.s3/index.html", Some(5), 1), 12);
        assert_eq!([2, 3, 4, 9].map(|attempt| seconds("GET", "https://b.s3/x", Some(0), attempt)), [24, 48, 48, 48]);
        assert_eq!(seconds("POST", "https://b.s3/?delete", Some(90 << 10), 1), 61);
        assert_eq!(seconds("POST", "https://b.s3/?delete", Some(300), 1), 12);
        assert_eq!(seconds("POST", "https://b.s3/x?uploadId=7", Some(900), 1), 300);
        assert_eq!(limit("PUT", "https://b.s3/x", true, Some(0), 1).as_secs(), 300);
        let part = seconds("PUT", "https://b.s3/x?partNumber=1&uploadId=7", Some(16 << 20), 1);
        assert!((290..=300).contains(&part), "{part}");
        assert_eq!(seconds("PUT", "https://b.s3/x", None, 1), 300);
    }
}
