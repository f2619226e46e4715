//! The calls for functions and key-value stores.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use s3s::Body;

use super::documents::{self, FunctionList, FunctionRequest, FunctionSummary, Functions, TestFunctionRequest};
use super::{Paging, VERSION, document, versioned};
use crate::State;
use crate::functions::{Function, Stage, Version, arn, invalid_version, missing};
use crate::invalidation::Refusal;
use crate::xml::{self, query_parameter};

/// Maximum size of a test event, in bytes.
const LARGEST_EVENT: usize = 40 * 1024;
/// The header's spelling in AWS's model of this one response.
const ETTAG: HeaderName = HeaderName::from_static("ettag");

/// Answers a request for functions or stores; `None` for any other. `name` is the function's name.
pub(super) fn answer(
    state: &State,
    operation: &str,
    name: &str,
    if_match: Option<&str>,
    query: &str,
    body: &[u8],
) -> Option<Result<Response<Body>, Refusal>> {
    Some(match operation {
        "ListFunctions" => list(state, query),
        "DescribeFunction" => described(state, name, query),
        "GetFunction" => get(state, name, query),
        "CreateFunction" => create(state, body),
        "UpdateFunction" => update(state, name, if_match, body),
        "PublishFunction" => publish(state, name, if_match),
        "TestFunction" => test(state, name, if_match, body),
        "DescribeKeyValueStore" => describe_store(state, name),
        _ => return None,
    })
}

/// `UNPUBLISHED`, `UNASSOCIATED` or `DEPLOYED`. A function reaches the edge locations as soon as it is published.
fn status(state: &State, name: &str, stage: Stage, is_published: bool) -> &'static str {
    match stage {
        Stage::Development if !is_published => "UNPUBLISHED",
        _ if state.distributions.has_function(&arn(name)) => "DEPLOYED",
        _ => "UNASSOCIATED",
    }
}

fn stage_of(query: &str) -> Result<Stage, Refusal> {
    stage_named(query_parameter(query, "Stage"))
}

fn stage_named(name: Option<String>) -> Result<Stage, Refusal> {
    let stage = name.as_deref().map_or(Some(Stage::Development), Stage::named);
    stage.ok_or_else(|| Refusal::new(400, "InvalidArgument", "The stage is neither DEVELOPMENT nor LIVE."))
}

fn list(state: &State, query: &str) -> Result<Response<Body>, Refusal> {
    let wanted = query_parameter(query, "Stage").map(|name| stage_named(Some(name))).transpose()?;
    let all: Vec<_> = state.functions.all().into_iter().collect();
    let all: Vec<_> = all.into_iter().filter(|(_, stage, _)| wanted.is_none_or(|wanted| *stage == wanted)).collect();
    let summary = |(version, stage, is_published): &(Version, Stage, bool)| {
        let status = status(state, &version.function.name, *stage, *is_published);
        Functions::FunctionSummary(FunctionSummary::new(version, *stage, status))
    };
    // ETags distinguish the stages of one function.
    let page = Paging::of(query, state.list_page_size())?.page(&all, |(version, ..)| &version.etag, summary);
    let list = FunctionList { next_marker: page.next_marker, max_items: page.max_items, list: page.list };
    Ok(document(StatusCode::OK, "FunctionList", &list))
}

fn summary(state: &State, version: &Version, stage: Stage, is_published: bool) -> FunctionSummary {
    FunctionSummary::new(version, stage, status(state, &version.function.name, stage, is_published))
}

fn described(state: &State, name: &str, query: &str) -> Result<Response<Body>, Refusal> {
    let stage = stage_of(query)?;
    let (version, is_published) = state.functions.get(name, stage).ok_or_else(missing)?;
    Ok(versioned("FunctionSummary", &summary(state, &version, stage, is_published), &version.etag))
}

fn get(state: &State, name: &str, query: &str) -> Result<Response<Body>, Refusal> {
    let (version, _) = state.functions.get(name, stage_of(query)?).ok_or_else(missing)?;
    let mut response = Response::new(Body::from(version.function.code));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(etag) = HeaderValue::from_str(&version.etag) {
        response.headers_mut().insert(hyper::header::ETAG, etag);
    }
    Ok(response)
}

fn create(state: &State, body: &[u8]) -> Result<Response<Body>, Refusal> {
    let request: FunctionRequest = read(body)?;
    let name = request.name.clone();
    let version = state.functions.create(function(state, &name, request)?, state.timeline.time())?;
    let mut response =
        versioned("FunctionSummary", &summary(state, &version, Stage::Development, false), &version.etag);
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("https://cloudfront.amazonaws.com{VERSION}function/{name}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn update(state: &State, name: &str, if_match: Option<&str>, body: &[u8]) -> Result<Response<Body>, Refusal> {
    let function = function(state, name, read(body)?)?;
    let version = state.functions.update(function, if_match, state.timeline.time())?;
    let (_, is_published) = state.functions.get(name, Stage::Development).ok_or_else(missing)?;
    let summary = summary(state, &version, Stage::Development, is_published);
    let mut response = document(StatusCode::OK, "FunctionSummary", &summary);
    if let Ok(etag) = HeaderValue::from_str(&version.etag) {
        response.headers_mut().insert(ETTAG, etag);
    }
    Ok(response)
}

fn publish(state: &State, name: &str, if_match: Option<&str>) -> Result<Response<Body>, Refusal> {
    let version = state.functions.publish(name, if_match, state.timeline.time())?;
    Ok(document(StatusCode::OK, "FunctionSummary", &summary(state, &version, Stage::Live, true)))
}

fn test(state: &State, name: &str, if_match: Option<&str>, body: &[u8]) -> Result<Response<Body>, Refusal> {
    let request: TestFunctionRequest = read(body)?;
    let stage = stage_named(request.stage)?;
    let (version, is_published) = state.functions.get(name, stage).ok_or_else(missing)?;
    if if_match != Some(version.etag.as_str()) {
        return Err(invalid_version());
    }
    let event = text(&request.event_object)?;
    if event.len() > LARGEST_EVENT {
        let message = format!("The event is larger than {LARGEST_EVENT} bytes.");
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    let tested = crate::invocation::test(state, &version.function, &event)?;
    let result = documents::TestResult {
        function_summary: summary(state, &version, stage, is_published),
        compute_utilization: tested.utilization.to_string(),
        function_execution_logs: documents::Logs { lines: tested.logs },
        function_error_message: tested.error,
        function_output: tested.output,
    };
    Ok(document(StatusCode::OK, "TestResult", &result))
}

fn describe_store(state: &State, name: &str) -> Result<Response<Body>, Refusal> {
    let store = state.key_value_stores.named(name);
    let store = store.ok_or_else(|| Refusal::new(404, "EntityNotFound", "The key-value store does not exist."))?;
    Ok(versioned("KeyValueStore", &documents::KeyValueStore::from(&store), &store.etag))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    xml::read(body).map_err(|message| Refusal::new(400, "MalformedInput", message))
}

/// Decodes a Base64 text of a request.
fn text(encoded: &str) -> Result<String, Refusal> {
    let bytes = STANDARD.decode(encoded.trim()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Refusal::new(400, "InvalidArgument", "A document is no text in Base64."))
}

fn function(state: &State, name: &str, request: FunctionRequest) -> Result<Function, Refusal> {
    let invalid = |message: &str| Refusal::new(400, "InvalidArgument", message);
    let config = request.function_config;
    let stores = config.key_value_store_associations.map(documents::List::counted);
    let stores = match stores {
        None => Vec::new(),
        Some(stores) => stores.ok_or_else(|| {
            let message = "The value of Quantity and the size of Items don't match.";
            Refusal::new(400, "InconsistentQuantities", message)
        })?,
    };
    let mut stores = stores.into_iter().map(documents::KeyValueStoreAssociation::into_arn);
    let key_value_store = stores.next();
    if stores.next().is_some() {
        return Err(invalid("A function has at most one key-value store."));
    }
    if key_value_store.as_ref().is_some_and(|arn| state.key_value_stores.at(arn).is_none()) {
        return Err(invalid("The key-value store does not exist."));
    }
    let code = text(&request.function_code)?;
    Ok(Function { name: name.to_owned(), comment: config.comment, runtime: config.runtime, code, key_value_store })
}
