//! One GET as a viewer sends it: identity encoding, no redirect except to the key itself, no more of a body than
//! there may be.

use crate::aws::viewer_connector;
use crate::clock::Clock;
use crate::deploy::verify::{Answer, COMPARED, Check, ENCODING, Expected, LARGEST_BODY, Site, Wrong};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use backon::{ExponentialBuilder, Retryable};
use shipfront_site::etag::{Etag, Matcher};
use std::time::Duration;

/// Time limit of one response, including its body.
const LIMIT: Duration = Duration::from_secs(60);
/// Number of further attempts if there was no response or the edge was busy.
const MORE_ATTEMPTS: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A viewer of the site.
pub(super) struct Viewer<'a> {
    site: &'a Site,
    connector: Connector,
    clock: &'a Clock,
}

impl<'a> Viewer<'a> {
    pub(super) fn new(site: &'a Site, clock: &'a Clock) -> Viewer<'a> {
        Viewer { site, connector: viewer_connector(), clock }
    }

    /// What is wrong with a URL, if anything.
    pub(super) async fn look(&self, check: &Check) -> Option<Wrong> {
        let mut answer = self.patiently(check, &check.path).await;
        if let Ok(Answer { status: 301 | 302 | 307 | 308, location: Some(location), .. }) = &answer
            && let Some(path) = check.own_path(self.site, location)
        {
            answer = self.patiently(check, &path).await;
        }
        match answer {
            Ok(answer) => check.difference(self.site, &answer),
            Err(error) => Some(Wrong::Unanswered(format!("cannot be fetched: {error}"))),
        }
    }

    async fn patiently(&self, check: &Check, path: &str) -> Result<Answer, String> {
        let backoff =
            ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_jitter().with_max_times(MORE_ATTEMPTS);
        let ask = || async {
            match self.clock.timeout(LIMIT, self.get(check, path)).await {
                Some(Ok(answer)) if answer.status == 429 || answer.status >= 500 => Err(Ok(answer)),
                Some(Ok(answer)) => Ok(answer),
                Some(Err(error)) => Err(Err(error)),
                None => Err(Err(format!("no answer within {} s", LIMIT.as_secs()))),
            }
        };
        let clock = self.clock.clone();
        ask.retry(backoff).sleep(move |pause| clock.sleep(pause)).await.or_else(|last| last)
    }

    async fn get(&self, check: &Check, path: &str) -> Result<Answer, String> {
        let mut request = HttpRequest::get(format!("{}{path}", self.site)).map_err(|error| error.to_string())?;
        request.headers_mut().insert("accept-encoding", "identity");
        request.headers_mut().insert("user-agent", concat!("shipfront/", env!("CARGO_PKG_VERSION")));
        let response = self.connector.call(request).await.map_err(|error| causes(&error))?;
        let header = |name: &str| response.headers().get(name).map(str::to_owned);
        let age = header("age").map(|age| format!(", {age} s old")).unwrap_or_default();
        let mut answer = Answer {
            status: response.status().as_u16(),
            location: header("location"),
            headers: COMPARED.map(header),
            content_length: header("content-length").and_then(|length| length.parse().ok()),
            etag: header("etag").map(|etag| etag.trim_start_matches("W/").to_owned()),
            cache: header("x-cache").map(|cache| format!("{cache}{age}")),
            bytes_match: None,
        };
        answer.headers[ENCODING].take_if(|name| name == "identity");
        if let Expected::Object { size, content, .. } = &check.expected
            && answer.status == 200
            && *size <= LARGEST_BODY
            && !matches!(content, Etag::Opaque(_))
        {
            let mut matcher = Matcher::new(*size, content);
            let mut body = ByteStream::new(response.into_body());
            let mut read = 0;
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|error| causes(&error))?;
                read += chunk.len() as u64;
                if read > *size {
                    break;
                }
                matcher.update(&chunk);
            }
            answer.bytes_match = Some(read == *size && matcher.matches());
        }
        Ok(answer)
    }
}

/// An error with its causes, which contain the reason.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
