//! Requests that arrive, and answers that come back, otherwise than they were sent: another server's ways, or a
//! proxy's.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, Uri};
use s3s::Body;

/// What is otherwise. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alteration {
    /// Headers of the request that it arrives with, or `None`, without.
    pub request_headers: Vec<(String, Option<String>)>,
    /// Parameters of the query with which it does not arrive.
    pub without_query: Vec<String>,
    /// What stands in the body of a request to CloudFront in the place of what was sent.
    pub request_text: Vec<(String, String)>,
    /// Headers of the answer, set, or with `None` taken off.
    pub answer_headers: Vec<(String, Option<String>)>,
    /// What stands in the body of the answer in the place of what was answered.
    pub answer_text: Vec<(String, String)>,
}

impl Alteration {
    /// The head of the request as it arrives.
    pub(super) fn of_request(&self, parts: &mut Parts) {
        set(&mut parts.headers, &self.request_headers);
        let Some(query) = parts.uri.query().filter(|_| !self.without_query.is_empty()) else { return };
        let stays = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            !self.without_query.iter().any(|without| without == name)
        };
        let query: Vec<&str> = query.split('&').filter(stays).collect();
        let text = format!("{}?{}", parts.uri.path(), query.join("&"));
        if let Ok(uri) = text.parse::<Uri>() {
            parts.uri = uri;
        }
    }

    /// The answer as it comes back.
    pub(super) async fn of_answer(&self, answer: Response<Body>) -> Response<Body> {
        let (mut parts, body) = answer.into_parts();
        set(&mut parts.headers, &self.answer_headers);
        if self.answer_text.is_empty() {
            return Response::from_parts(parts, body);
        }
        let bytes = BodyExt::collect(body).await.map(|body| body.to_bytes()).unwrap_or_default();
        let bytes = replaced(bytes, &self.answer_text);
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        Response::from_parts(parts, Body::from(bytes))
    }
}

/// A text with others in the place of some of its parts; bytes that are no text stay as they are.
pub(super) fn replaced(bytes: Bytes, pairs: &[(String, String)]) -> Bytes {
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    let mut text = Cow::Borrowed(text);
    for (from, to) in pairs {
        text = Cow::Owned(text.replace(from, to));
    }
    Bytes::from(text.into_owned())
}

fn set(headers: &mut HeaderMap, changes: &[(String, Option<String>)]) {
    for (name, value) in changes {
        let Ok(name) = HeaderName::try_from(name) else { continue };
        match value.as_ref().map(HeaderValue::try_from) {
            None => {
                headers.remove(name);
            }
            Some(Ok(value)) => {
                headers.insert(name, value);
            }
            Some(Err(_)) => {}
        }
    }
}
