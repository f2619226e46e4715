//! Records every API request and its response in a file, to be checked against AWS's own models of them.
//!
//! The bodies of objects are omitted: S3 does not define their contents. A response is passed on frame by frame, so
//! that a script can slow it down or break it off while it is recorded, too; the line then says that it broke off.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};
use s3s::{Body, StdError};
use serde_json::{Map, Value, json};

use crate::lock::{locked, writing};
use crate::{Edge, EdgeError};

/// The variable that names the file.
pub const RECORDING_VARIABLE: &str = "SHIPFRONT_EDGE_RECORDING";

/// The file.
#[derive(Debug)]
pub(super) struct Recording(Mutex<File>);

/// A recorded request.
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
    /// The file that the environment variable names, if it is set.
    pub(super) fn of_environment() -> Result<Option<Self>, EdgeError> {
        let Some(path) = std::env::var_os(RECORDING_VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
        Self::to(Path::new(&path)).map(Some)
    }

    fn to(path: &Path) -> Result<Self, EdgeError> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(|file| Self(Mutex::new(file))).map_err(|error| EdgeError::directory(path, error))
    }

    /// Records a request; its body is passed on.
    pub(super) async fn request(
        &self,
        (service, operation): (&'static str, &str),
        parts: &Parts,
        body: Body,
    ) -> (Recorded, Body) {
        let (body, text) = if is_object(operation) { (body, None) } else { kept(body).await };
        // The only question of another service that the edge answers.
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

    /// Writes a request with its response once the response's body has been sent.
    pub(super) fn answer(self: Arc<Self>, request: Recorded, answer: Response<Body>) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let is_kept = !is_object(&request.operation) || parts.status.as_u16() >= 300;
        // A server sends no body in response to HEAD.
        let has_ended = request.method == "HEAD";
        let line = json!({
            "service": request.service,
            "operation": request.operation,
            "method": request.method,
            "uri": request.uri,
            "headers": request.headers,
            "body": request.body,
            "status": parts.status.as_u16(),
            "answer_headers": headers(&parts.headers),
        });
        let Value::Object(line) = line else { return Response::from_parts(parts, body) };
        let copied = Copied { body, text: is_kept.then(Vec::new), has_ended, line, recording: self };
        Response::from_parts(parts, Body::http_body_unsync(copied))
    }
}

/// The body of a response, of which a copy is kept while it is sent. Its line is written when it ends, in whatever
/// way.
struct Copied {
    body: Body,
    /// What has been sent so far; `None` for an object.
    text: Option<Vec<u8>>,
    has_ended: bool,
    line: Map<String, Value>,
    recording: Arc<Recording>,
}

impl hyper::body::Body for Copied {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(text), Some(data)) = (&mut self.text, frame.data_ref()) {
                    text.extend_from_slice(data);
                }
            }
            Poll::Ready(None) => self.has_ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        // A server does not poll for the end if the length announces it.
        let is_whole = self.has_ended || self.body.is_end_stream();
        let text = self.text.take().map(|text| String::from_utf8_lossy(&text).into_owned());
        self.line.insert("answer_body".to_owned(), text.into());
        if !is_whole {
            self.line.insert("answer_broke_off".to_owned(), true.into());
        }
        let line = Value::Object(std::mem::take(&mut self.line));
        // A missing line is noticed by whoever reads the file.
        let _ = locked(&self.recording.0).write_all(format!("{line}\n").as_bytes());
    }
}

impl Edge {
    /// From now on, appends each API request and its response to a file: one line of JSON each, to be checked
    /// against AWS's models. The variable `SHIPFRONT_EDGE_RECORDING` does so from the start.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn record_requests(&self, path: &Path) -> Result<(), EdgeError> {
        *writing(&self.state.recording) = Some(Arc::new(Recording::to(path)?));
        Ok(())
    }
}

/// A body, and its text; one that breaks off does so again.
async fn kept(body: Body) -> (Body, Option<String>) {
    match BodyExt::collect(body).await {
        Ok(body) => {
            let bytes: Bytes = body.to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            (Body::from(bytes), Some(text))
        }
        Err(error) => {
            let end = futures::stream::iter([Err::<Frame<Bytes>, StdError>(error)]);
            (Body::http_body_unsync(StreamBody::new(end)), None)
        }
    }
}

fn headers(headers: &HeaderMap) -> Value {
    let pairs = headers.iter().filter(|(name, _)| *name != "authorization");
    let pairs = pairs.map(|(name, value)| {
        (name.as_str().to_owned(), Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    Value::Object(pairs.collect())
}
