//! Every API request and its answer in a file, to be held against AWS's own models of them.
//!
//! The bodies of objects are left out: what they are is not S3's to say. Of an answer that a script breaks off, nothing
//! arrives while it is recorded.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};
use s3s::Body;
use serde_json::{Value, json};

use crate::lock::{locked, writing};
use crate::{Edge, EdgeError};

/// The variable that names the file.
pub const RECORDING_VARIABLE: &str = "SHIPFRONT_EDGE_RECORDING";

/// The file.
#[derive(Debug)]
pub(super) struct Recording(Mutex<File>);

/// A request that is recorded.
#[derive(Debug)]
pub(super) struct Recorded {
    service: &'static str,
    operation: String,
    method: String,
    uri: String,
    headers: Value,
    body: Option<String>,
}

/// Whether bodies of this operation are objects.
fn is_object(operation: &str) -> bool {
    matches!(operation, "PutObject" | "UploadPart" | "GetObject")
}

impl Recording {
    /// The file that the environment names, if it names one.
    pub(super) fn of_environment() -> Result<Option<Self>, EdgeError> {
        let Some(path) = std::env::var_os(RECORDING_VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
        Self::to(Path::new(&path)).map(Some)
    }

    fn to(path: &Path) -> Result<Self, EdgeError> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(|file| Self(Mutex::new(file))).map_err(|error| EdgeError::directory(path, error))
    }

    /// Takes down a request; its body goes on.
    pub(super) async fn request(
        &self,
        (service, operation): (&'static str, &str),
        parts: &Parts,
        body: Body,
    ) -> (Recorded, Body) {
        let (body, text) = if is_object(operation) { (body, None) } else { kept(body).await };
        // The only question for another service that the edge is asked.
        let asks = text.as_deref().and_then(|text| text.split('&').find_map(|pair| pair.strip_prefix("Action=")));
        let (service, operation) = match asks.filter(|_| service == "s3" && parts.uri.path() == "/") {
            Some(action) => ("sts", action.to_owned()),
            None => (service, operation.to_owned()),
        };
        let recorded = Recorded {
            service,
            operation,
            method: parts.method.to_string(),
            uri: parts.uri.to_string(),
            headers: headers(&parts.headers),
            body: text,
        };
        (recorded, body)
    }

    /// Writes a request with its answer; the answer's body goes on.
    pub(super) async fn answer(&self, request: Recorded, answer: Response<Body>) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let whole = !is_object(&request.operation) || parts.status.as_u16() >= 300;
        let (body, text) = if whole { kept(body).await } else { (body, None) };
        let line = json!({
            "service": request.service,
            "operation": request.operation,
            "method": request.method,
            "uri": request.uri,
            "headers": request.headers,
            "body": request.body,
            "status": parts.status.as_u16(),
            "answer_headers": headers(&parts.headers),
            "answer_body": text,
        });
        // What is not recorded is missed by whoever reads it.
        let _ = locked(&self.0).write_all(format!("{line}\n").as_bytes());
        Response::from_parts(parts, body)
    }
}

impl Edge {
    /// Writes each API request from now on, and its answer, to the end of a file: one line of JSON each, to be held
    /// against AWS's models. The variable `SHIPFRONT_EDGE_RECORDING` does so from the start.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn record_requests(&self, path: &Path) -> Result<(), EdgeError> {
        *writing(&self.state.recording) = Some(Arc::new(Recording::to(path)?));
        Ok(())
    }
}

/// A body, and its text.
async fn kept(body: Body) -> (Body, Option<String>) {
    let bytes: Bytes = BodyExt::collect(body).await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (Body::from(bytes), Some(text))
}

fn headers(headers: &HeaderMap) -> Value {
    let pairs = headers.iter().filter(|(name, _)| *name != "authorization");
    let pairs = pairs.map(|(name, value)| {
        (name.as_str().to_owned(), Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    Value::Object(pairs.collect())
}
