//! How long a request may go without a response: depends on its kind and size, instead of on the longest that any
//! may take.
//!
//! The limit applies to one attempt, from the moment it is sent until its response begins; time in the queue of the
//! [`limiter`](mod@crate::aws::limiter) does not count. The SDK retries a request that was silent for that long,
//! each time with a longer limit, because some responses are slow rather than lost.

use crate::aws::answer;
use crate::clock::Clock;
use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use std::time::Duration;

/// For a request without a body, which is answered in well under a second.
pub(super) const SMALL: Duration = Duration::from_secs(12);
/// The maximum for retries of such a request.
const SMALL_AGAIN: Duration = Duration::from_secs(48);
/// For requests that S3 processes before it responds: a copy, or the end of a multipart upload. A part of 16 MiB on
/// a slow, shared connection takes as long.
pub(super) const LARGE: Duration = Duration::from_secs(300);
/// For a request to delete a thousand objects; fewer have fewer bytes, and take less.
const MANY: Duration = Duration::from_secs(60);
/// Bytes of such a request per second in addition to the time of a small one.
const DELETED: u64 = 1536;
/// Bytes per second of a body on a slow, shared connection.
const SLOWEST: u64 = 56 * 1024;

/// How long it may take until the response to an attempt begins.
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

/// The number of a request's attempt, as the SDK reports it to AWS.
fn attempt(request: &HttpRequest) -> u32 {
    let reported = request.headers().get("amz-sdk-request").unwrap_or_default();
    let number = reported.split(';').find_map(|part| part.trim().strip_prefix("attempt="));
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// An HTTP client whose requests do not wait forever.
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
