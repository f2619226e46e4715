//! Changes requests on arrival, and responses on return: the behavior of other servers or proxies.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, Uri};
use s3s::Body;

/// The changes. The default is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alteration {
    /// Request headers to set on arrival, or with `None`, to remove.
    pub request_headers: Vec<(String, Option<String>)>,
    /// Query parameters to remove on arrival.
    pub without_query: Vec<String>,
    /// Replacements in the body of a request to CloudFront.
    pub request_text: Vec<(String, String)>,
    /// Response headers to set, or with `None`, to remove.
    pub answer_headers: Vec<(String, Option<String>)>,
    /// Replacements in the body of the response.
    pub answer_text: Vec<(String, String)>,
}

impl Alteration {
    /// Changes the head of the request on arrival.
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

    /// Changes the response.
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

/// Replaces parts of a text; bytes that are not text stay as they are.
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
