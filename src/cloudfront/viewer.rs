//! A viewer: one GET of a URL as a browser sends it, and what the cache says about its response.

use crate::aws::viewer_connector;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use std::time::Duration;

/// Time limit of one response, including its body.
const LIMIT: Duration = Duration::from_secs(30);
/// Number of attempts without a response, and the pause between them.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// Only this many bytes of a larger body are read.
const LARGEST_BODY: usize = 64 << 10;

/// A viewer of a site.
#[derive(Debug)]
pub struct Viewer {
    site: String,
    connector: Connector,
    clock: Clock,
}

/// A response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
    /// `X-Cache`: where the edge got the response from.
    pub cache: Option<String>,
}

impl View {
    /// Whether it came from the cache.
    pub fn is_hit(&self) -> bool {
        self.cache.as_deref().is_some_and(|cache| cache.to_ascii_lowercase().contains("hit"))
    }
}

impl Viewer {
    /// A viewer of `https://host` or `http://host:port`.
    pub fn new(site: &str, clock: &Clock) -> Viewer {
        Viewer { site: site.trim_end_matches('/').to_owned(), connector: viewer_connector(), clock: clock.clone() }
    }

    /// Requests a path, which is sent as it is written.
    pub async fn get(&self, path: &str) -> Result<View> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.clock.sleep(PAUSE).await;
            }
            match self.clock.timeout(LIMIT, self.ask(path)).await {
                Some(Ok(view)) => return Ok(view),
                Some(Err(problem)) => last = problem,
                None => last = format!("no answer within {} s", LIMIT.as_secs()),
            }
        }
        Err(Error::failed(format!("{}{path} cannot be fetched: {last}", self.site))
            .of_kind(ErrorKind::Unanswered)
            .hint("check that this machine can reach the site"))
    }

    async fn ask(&self, path: &str) -> Result<View, String> {
        let mut request = HttpRequest::get(format!("{}{path}", self.site)).map_err(|error| error.to_string())?;
        request.headers_mut().insert("accept-encoding", "identity");
        request.headers_mut().insert("user-agent", concat!("shipfront/", env!("CARGO_PKG_VERSION")));
        let response = self.connector.call(request).await.map_err(|error| cause(&error))?;
        let (status, cache) = (response.status().as_u16(), response.headers().get("x-cache").map(str::to_owned));
        let mut body = ByteStream::new(response.into_body());
        let mut read = Vec::new();
        while let Some(chunk) = body.next().await {
            read.extend_from_slice(&chunk.map_err(|error| cause(&error))?);
            if read.len() > LARGEST_BODY {
                break;
            }
        }
        Ok(View { status, body: String::from_utf8_lossy(&read).into_owned(), cache })
    }
}

/// What went wrong in the end, without the layers in between.
fn cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}
