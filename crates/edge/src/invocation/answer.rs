//! The answers that CloudFront accepts from a function.
//!
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::event::{Body, Encoding, Event, Ordered, Request, Response, Values};

/// Maximum size of a body that a function generates, in bytes.
const LARGEST_BODY: usize = 40 * 1024;
/// Maximum length of a URI with its query string, in characters.
const LONGEST_URI: usize = 8192;

/// Headers that no function sees or sets.
const DISALLOWED: [&str; 22] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "upgrade",
    "x-accel-buffering",
    "x-accel-charset",
    "x-accel-limit-rate",
    "x-accel-redirect",
    "x-amzn-auth",
    "x-amzn-cf-billing",
    "x-amzn-cf-id",
    "x-amzn-cf-xff",
    "x-amzn-errortype",
    "x-amzn-fle-profile",
    "x-amzn-lambda-integration-tag",
    "x-amzn-requestid",
    "x-cache",
    "x-real-ip",
];
const DISALLOWED_BEGINNINGS: [&str; 3] = ["x-amz-cf-", "x-amzn-header-", "x-edge-"];
/// Headers that a function sees but cannot change.
const READ_ONLY_IN_REQUESTS: [&str; 4] = ["content-length", "host", "transfer-encoding", "via"];
const READ_ONLY_IN_RESPONSES: [&str; 2] = ["warning", "via"];

/// What happens to the event.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The request continues with these changes.
    Request(Request),
    /// The viewer gets this.
    Response(Response),
}

impl Answer {
    /// Its name in `TestFunction`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Response(_) => "response",
        }
    }
}

/// Whether a function may not see or set a header.
pub(super) fn is_disallowed(name: &str) -> bool {
    DISALLOWED.contains(&name) || DISALLOWED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Parses the answer that a function returned for `event`. An error says why CloudFront would not accept it.
pub(super) fn read(event: &Event, output: &str) -> Result<Answer, String> {
    let is_response = event.response.is_some()
        || serde_json::from_str::<Value>(output).is_ok_and(|value| value.get("statusCode").is_some());
    if is_response {
        let response: Response = serde_json::from_str(output).map_err(|error| format!("no response: {error}"))?;
        check_response(event, &response)?;
        Ok(Answer::Response(response))
    } else {
        let request: Request = serde_json::from_str(output).map_err(|error| format!("no request: {error}"))?;
        check_request(event, &request)?;
        Ok(Answer::Request(request))
    }
}

fn check_request(event: &Event, request: &Request) -> Result<(), String> {
    if request.method != event.request.method {
        return Err("the method is read-only".to_owned());
    }
    if !request.uri.starts_with('/') {
        return Err(format!("the URI {} does not begin with a slash", request.uri));
    }
    if request.uri.len() + super::event::query_text(&request.querystring).len() > LONGEST_URI {
        return Err(format!("the URI and its query string are longer than {LONGEST_URI} characters"));
    }
    // UTF-8 is accepted as well as triplets.
    if request.uri.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("the URI {} has spaces or control characters", request.uri.escape_debug()));
    }
    check_headers(&request.headers, &event.request.headers, &READ_ONLY_IN_REQUESTS)
}

fn check_response(event: &Event, response: &Response) -> Result<(), String> {
    if !(200..600).contains(&response.status_code) {
        return Err(format!("{} is no status code", response.status_code));
    }
    let none = Ordered::default();
    let (before, read_only): (_, &[&str]) = match &event.response {
        Some(before) => (&before.headers, &READ_ONLY_IN_RESPONSES),
        None => (&none, &[]),
    };
    check_headers(&response.headers, before, read_only)?;
    let size = response.body.as_ref().map(bytes).transpose()?.map_or(0, |body| body.len());
    if size > LARGEST_BODY {
        return Err(format!("the body is larger than {LARGEST_BODY} bytes"));
    }
    Ok(())
}

/// The bytes of a body.
pub(super) fn bytes(body: &Body) -> Result<Vec<u8>, String> {
    match body {
        Body::Text(text) | Body::Encoded { encoding: Encoding::Text, data: text } => Ok(text.clone().into_bytes()),
        Body::Encoded { encoding: Encoding::Base64, data } => {
            STANDARD.decode(data).map_err(|_| "the body is not in Base64".to_owned())
        }
    }
}

fn check_headers(after: &Ordered<Values>, before: &Ordered<Values>, read_only: &[&str]) -> Result<(), String> {
    for (name, values) in &after.0 {
        if name.chars().any(|c| c.is_ascii_uppercase()) || HeaderName::try_from(name.as_str()).is_err() {
            return Err(format!("{name} is no name of a header in lower case"));
        }
        if is_disallowed(name) {
            return Err(format!("the header {name} is disallowed"));
        }
        if let Some(bad) = values.each().find(|one| HeaderValue::from_bytes(one.value.as_bytes()).is_err()) {
            return Err(format!("the value of {name} has characters that no header has: {}", bad.value.escape_debug()));
        }
    }
    match read_only.iter().find(|name| after.get(name) != before.get(name)) {
        Some(name) => Err(format!("the header {name} is read-only")),
        None => Ok(()),
    }
}
