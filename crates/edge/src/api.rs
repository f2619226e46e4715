//! The API listener: names each request, consults the fault script, and passes the request to its service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, IF_MATCH,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use jiff::fmt::rfc2822::DateTimePrinter;
use s3s::{Body, StdError};
use serde::Serialize;

use crate::State;
use crate::alteration::replaced;
use crate::chunked;
use crate::cloudfront;
use crate::codepipeline;
use crate::faults::{Fault, Verdict};
use crate::key_values;
use crate::lock::{locked, reading};
use crate::operation;
use crate::s3::{Call, DEFAULT_REGION};
use crate::server::{ConnectionNumber, Reset};
use crate::trace::RecordedRequest;
use crate::xml;

/// The only account.
const ACCOUNT: &str = "000000000000";
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");
/// The header for requests that change something and have no header of AWS's clients.
const MARK: &str = "x-shipfront-edge";
/// The other services' bodies are small; S3's are streamed without being collected.
const LARGEST_BATCH_BODY: usize = 32 << 20;
const TRUNCATION_PAUSE: Duration = Duration::from_millis(20);

/// A request by name.
struct Named {
    name: &'static str,
    bucket: Option<String>,
    /// The S3 key, the distribution ID, the name of a function or the ARN of a store.
    key: Option<String>,
    service: Service,
}

/// The service that a request is for.
#[derive(Debug, PartialEq)]
enum Service {
    S3,
    CloudFront(cloudfront::Operation),
    KeyValues(key_values::Operation),
    CodePipeline,
}

/// The body of S3's errors.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct S3Error<'a> {
    code: &'a str,
    message: &'a str,
}

impl Service {
    fn name(&self) -> &'static str {
        match self {
            Service::S3 => "s3",
            Service::CloudFront(_) => "cloudfront",
            Service::KeyValues(_) => "cloudfront-keyvaluestore",
            Service::CodePipeline => "codepipeline",
        }
    }
}

impl Named {
    fn of(parts: &Parts) -> Self {
        let path = parts.uri.path();
        if let Some(name) = codepipeline::operation(&parts.headers) {
            return Self { name, bucket: None, key: None, service: Service::CodePipeline };
        }
        if path.starts_with(cloudfront::VERSION) {
            let operation = cloudfront::operation(&parts.method, path);
            let (name, key) = (operation.name, operation.id.clone());
            return Self { name, bucket: None, key, service: Service::CloudFront(operation) };
        }
        if let Some(operation) = key_values::operation(&parts.method, path) {
            let (name, key) = (operation.name, Some(operation.store.clone()));
            return Self { name, bucket: None, key, service: Service::KeyValues(operation) };
        }
        let query = parts.uri.query().unwrap_or_default();
        let copies = parts.headers.contains_key("x-amz-copy-source");
        let (bucket, key) = operation::target(path);
        Self {
            name: operation::name(&parts.method, bucket.is_some(), key.is_some(), query, copies),
            bucket,
            key,
            service: Service::S3,
        }
    }

    fn error(&self, status: u16, code: &str, message: &str) -> Response<Body> {
        match self.service {
            Service::CloudFront(_) => return cloudfront::refuse(status, code, message),
            Service::KeyValues(_) => return key_values::refuse(status, code, message),
            Service::CodePipeline => return codepipeline::refuse(status, code, message),
            Service::S3 => {}
        }
        let text = xml::write("Error", None, &S3Error { code, message }).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let xml = HeaderValue::from_static("application/xml");
        response.headers_mut().insert(CONTENT_TYPE, xml);
        response
    }
}

/// Whether a web page may have made a browser send this request to change something here. A browser sends no header
/// of these names to another site unless that site agrees, which the edge never does; and the browser says which
/// site the page is from.
fn may_be_a_page(parts: &Parts) -> bool {
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    let ours = |name: &HeaderName| {
        let name = name.as_str();
        name == "authorization" || name == MARK || name.starts_with("x-amz-") || name.starts_with("amz-sdk-")
    };
    changes && (parts.headers.contains_key("origin") || !parts.headers.keys().any(ours))
}

/// Answers one API request.
pub(super) async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Reset> {
    let (parts, body) = request.into_parts();
    let named = Named::of(&parts);
    let recording = reading(&state.recording).clone();
    let Some(recording) = recording else { return carry_out(&state, named, parts, Body::from(body)).await };
    let (request, body) = recording.request((named.service.name(), named.name), &parts, Body::from(body)).await;
    carry_out(&state, named, parts, body).await.map(|answer| recording.answer(request, answer))
}

async fn carry_out(state: &State, named: Named, parts: Parts, body: Body) -> Result<Response<Body>, Reset> {
    if may_be_a_page(&parts) {
        return Ok(named.error(
            403,
            "AccessDenied",
            "A request that changes something needs a header x-amz-* or x-shipfront-edge.",
        ));
    }
    let ordinal = state.trace.begin(RecordedRequest {
        ordinal: 0,
        operation: named.name.to_owned(),
        bucket: named.bucket.clone(),
        key: named.key.clone(),
        items: Vec::new(),
        status: 0,
        at: state.started.elapsed(),
        headers: recorded_headers(&parts.headers),
        access_key: credential(&parts.headers, 0),
        connection: parts.extensions.get::<ConnectionNumber>().copied().unwrap_or_default().0,
        in_flight: 0,
    });
    if !state.latency.is_zero() {
        tokio::time::sleep(state.latency).await;
    }
    let s3_write = named.service == Service::S3 && !matches!(parts.method, Method::GET | Method::HEAD);
    let verdict = state.faults.verdict(named.name, named.key.as_deref(), s3_write);
    let mut items = Vec::new();
    let result = match verdict {
        Verdict::Pass => Ok(handle(state, &named, parts, body, &mut items, Bent::default()).await),
        Verdict::Fault(fault) => strike(state, &named, fault, parts, body, &mut items).await,
    };
    let status = result.as_ref().map_or(0, |response| response.status().as_u16());
    state.trace.finish(ordinal, status, items);
    result.map(|response| dated(state, response))
}

/// Sets the date to the edge's time, if its clock differs from the machine's.
fn dated(state: &State, mut response: Response<Body>) -> Response<Body> {
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&state.timeline.time());
    if !state.timeline.ahead().is_zero()
        && let Some(date) = date.ok().and_then(|date| HeaderValue::from_str(&date).ok())
    {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// What the script changes about a request that is carried out nevertheless.
#[derive(Default)]
struct Bent {
    /// Keys that are not deleted.
    undeletable: Vec<String>,
    /// Whether an invalidation evicts no copies.
    keeps_copies: bool,
    /// Replacements in the body of a request to CloudFront.
    text: Vec<(String, String)>,
}

async fn strike(
    state: &State,
    named: &Named,
    fault: Fault,
    mut parts: Parts,
    mut body: Body,
    items: &mut Vec<String>,
) -> Result<Response<Body>, Reset> {
    match fault {
        Fault::ResetBefore => Err(Reset),
        Fault::ResetAfter => {
            handle(state, named, parts, body, items, Bent::default()).await;
            Err(Reset)
        }
        Fault::CrashBefore => {
            state.faults.settle();
            Err(Reset)
        }
        Fault::CrashAfter => {
            handle(state, named, parts, body, items, Bent::default()).await;
            state.faults.settle();
            Err(Reset)
        }
        Fault::Hold(gate) => {
            gate.pass().await;
            Ok(handle(state, named, parts, body, items, Bent::default()).await)
        }
        Fault::Delay(duration) => {
            tokio::time::sleep(duration).await;
            Ok(handle(state, named, parts, body, items, Bent::default()).await)
        }
        Fault::TruncateBody => Ok(truncate(handle(state, named, parts, body, items, Bent::default()).await).await),
        Fault::DeleteErrors { keys } => {
            Ok(handle(state, named, parts, body, items, Bent { undeletable: keys, ..Bent::default() }).await)
        }
        Fault::KeepCopies => {
            Ok(handle(state, named, parts, body, items, Bent { keeps_copies: true, ..Bent::default() }).await)
        }
        Fault::Alter(alteration) => {
            alteration.of_request(&mut parts);
            let bent = Bent { text: alteration.request_text.clone(), ..Bent::default() };
            Ok(alteration.of_answer(handle(state, named, parts, body, items, bent).await).await)
        }
        Fault::SlowDown => {
            drain(&mut body).await;
            let code = if named.service == Service::S3 { "SlowDown" } else { "ServiceUnavailable" };
            Ok(named.error(503, code, "Please reduce your request rate."))
        }
        Fault::Error { status, code, message } => {
            drain(&mut body).await;
            Ok(named.error(status, &code, &message))
        }
        Fault::ErrorInBody { code } => {
            drain(&mut body).await;
            Ok(named.error(200, &code, "We encountered an internal error. Please try again."))
        }
    }
}

/// Reads the rest of the body: a client that is still sending would see a reset instead of the response.
async fn drain(body: &mut Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Sends half of the body, then ends the connection.
async fn truncate(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let bytes = BodyExt::collect(body).await.map(|body| body.to_bytes()).unwrap_or_default();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = futures::stream::iter([Ok(Frame::data(bytes.slice(..bytes.len() / 2)))]);
    // The pause lets the first half leave; without it, not even the head would be sent.
    let end = futures::stream::once(async {
        tokio::time::sleep(TRUNCATION_PAUSE).await;
        Err(Reset)
    });
    let body = Body::http_body_unsync(StreamBody::new(half.chain(end)));
    Response::from_parts(parts, body)
}

async fn handle(
    state: &State,
    named: &Named,
    parts: Parts,
    body: Body,
    items: &mut Vec<String>,
    bent: Bent,
) -> Response<Body> {
    if named.service == Service::S3 {
        return handle_s3(state, named, parts, body, items, bent.undeletable).await;
    }
    let limited = http_body_util::Limited::new(body, LARGEST_BATCH_BODY);
    let Ok(body) = BodyExt::collect(limited).await else {
        return named.error(413, "BatchTooLarge", "The request body could not be read.");
    };
    let body = replaced(body.to_bytes(), &bent.text);
    let query = parts.uri.query().unwrap_or_default();
    let if_match = parts.headers.get(IF_MATCH).and_then(|etag| etag.to_str().ok());
    match &named.service {
        Service::CloudFront(operation) => {
            cloudfront::answer(state, operation, if_match, query, &body, items, bent.keeps_copies)
        }
        Service::KeyValues(_) if !key_values::is_signed(&parts.headers) => {
            named.error(403, "AccessDeniedException", "The request has no signature of version 4A for all regions.")
        }
        Service::KeyValues(operation) => {
            let stores = &state.key_value_stores;
            key_values::answer(stores, operation, if_match, query, &body, items, state.timeline.time())
        }
        _ => {
            items.extend(codepipeline::job(&body));
            state.jobs.answer(named.name, &body)
        }
    }
}

async fn handle_s3(
    state: &State,
    named: &Named,
    mut parts: Parts,
    mut body: Body,
    items: &mut Vec<String>,
    undeletable: Vec<String>,
) -> Response<Body> {
    if let Some(refusal) = refuse_owner(named, &parts.headers).or_else(|| refuse_region(state, named, &parts.headers)) {
        drain(&mut body).await;
        return refusal;
    }
    let call = Arc::new(Call { undeletable, ..Call::default() });
    let body = prepare(&mut parts, body, &call);
    parts.extensions.insert(Arc::clone(&call));
    let answer = state.s3.0.call(Request::from_parts(parts, body)).await;
    *items = std::mem::take(&mut *locked(&call.items));
    answer.unwrap_or_else(|_| named.error(500, "InternalError", "The local edge failed."))
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
fn refuse_owner(named: &Named, headers: &HeaderMap) -> Option<Response<Body>> {
    let names = ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];
    let mut expected = names.iter().filter_map(|name| headers.get(*name));
    expected
        .any(|owner| owner.as_bytes() != ACCOUNT.as_bytes())
        .then(|| named.error(403, "AccessDenied", "Access Denied"))
}

fn refuse_region(state: &State, named: &Named, headers: &HeaderMap) -> Option<Response<Body>> {
    let bucket = state.store.bucket(named.bucket.as_deref()?).ok()?;
    let region = reading(&bucket.settings).region.clone()?;
    let signed = credential(headers, 2)?;
    // This operation is answered for every region: clients use it to find the region.
    if signed == region || named.name == "GetBucketLocation" {
        return None;
    }
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    let mut response = named.error(301, "PermanentRedirect", message);
    let region = HeaderValue::from_str(&region);
    let region = region.unwrap_or(HeaderValue::from_static(DEFAULT_REGION));
    response.headers_mut().insert(BUCKET_REGION, region);
    Some(response)
}

/// A part of `Authorization: AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/s3/aws4_request`.
fn credential(headers: &HeaderMap, part: usize) -> Option<String> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    credential.split('/').nth(part).map(str::to_owned)
}

/// Removes everything that only authenticates (any credentials are accepted, and `s3s` would refuse what it cannot
/// check), and the framing of `aws-chunked`.
fn prepare(parts: &mut Parts, body: Body, call: &Call) -> Body {
    parts.headers.remove(AUTHORIZATION);
    parts.uri = without_signature(&parts.uri);
    let hash = parts.headers.remove("x-amz-content-sha256");
    let chunked = hash.is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING-"));
    if !chunked {
        return body;
    }
    if let Some(length) = parts.headers.get("x-amz-decoded-content-length").cloned() {
        parts.headers.insert(CONTENT_LENGTH, length);
    }
    strip_aws_chunked(&mut parts.headers);
    let data = TryStreamExt::map_err(BodyStream::new(body), StdError::from)
        .try_filter_map(|frame| async move { Ok(frame.into_data().ok()) });
    let data = StreamExt::boxed(data);
    let decoded = chunked::decode(data, Arc::clone(&call.trailers)).map_ok(Frame::<Bytes>::data);
    Body::http_body_unsync(StreamBody::new(decoded))
}

/// A presigned URL without its signature.
fn without_signature(uri: &Uri) -> Uri {
    let query = uri.query().unwrap_or_default().split('&');
    let (signature, rest): (Vec<&str>, Vec<&str>) =
        query.partition(|pair| operation::is_signature(pair.split('=').next().unwrap_or_default()));
    if signature.is_empty() {
        return uri.clone();
    }
    let text = format!("{}?{}", uri.path(), rest.join("&"));
    text.trim_end_matches('?').parse().unwrap_or_else(|_| uri.clone())
}

/// `aws-chunked` is how the body is transferred, not how the object is encoded.
fn strip_aws_chunked(headers: &mut HeaderMap) {
    let encodings = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encodings = encodings.unwrap_or_default().split(',').map(str::trim);
    let kept: Vec<&str> = encodings.filter(|name| !name.is_empty() && *name != "aws-chunked").collect();
    let kept = HeaderValue::from_str(&kept.join(",")).ok().filter(|kept| !kept.is_empty());
    match kept {
        Some(kept) => headers.insert(CONTENT_ENCODING, kept),
        None => headers.remove(CONTENT_ENCODING),
    };
}

/// The headers of a request that tests may want to see.
fn recorded_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    const RECORDED: [&str; 11] = [
        "cache-control",
        "content-encoding",
        "content-length",
        "content-md5",
        "content-type",
        "if-match",
        "if-none-match",
        "x-amz-checksum-crc64nvme",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-expected-bucket-owner",
    ];
    let wanted = headers
        .iter()
        .filter(|(name, _)| RECORDED.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-"));
    wanted
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}
