//! Invokes functions: the event that each gets, and what happens to its answer.

mod answer;
mod event;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

pub(super) use answer::Answer;
use event::{Context, Event, Ordered, Values, Viewer};
pub(super) use event::{Request, Response};

use crate::State;
use crate::distribution::{CacheBehavior, Distribution};
use crate::engine::{self, Run, Store};
use crate::functions::{self, Function, Stage};
use crate::invalidation::Refusal;

pub(super) const VIEWER_REQUEST: &str = "viewer-request";
pub(super) const VIEWER_RESPONSE: &str = "viewer-response";

/// The result of a test of a function.
#[derive(Debug)]
pub(super) struct Tested {
    /// `{"request": ...}` or `{"response": ...}`; empty after an error.
    pub(super) output: String,
    /// Empty if there is none.
    pub(super) error: String,
    pub(super) logs: Vec<String>,
    pub(super) utilization: u32,
}

/// Why a viewer gets no answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// 502 for an answer that CloudFront does not accept, 503 for a function that returned none.
    pub(super) status: u16,
    /// The beginning of `x-cache`.
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Failure {
    fn execution(message: String) -> Self {
        Self { status: 503, kind: "FunctionExecutionError", message }
    }

    fn validation(message: String) -> Self {
        Self { status: 502, kind: "FunctionValidationError", message }
    }
}

/// Runs a function with a client's event.
pub(super) fn test(state: &State, function: &Function, event: &str) -> Result<Tested, Refusal> {
    try_out(function, store(state, function), event)
}

fn try_out(function: &Function, store: Option<Store>, event: &str) -> Result<Tested, Refusal> {
    let parsed: Event = serde_json::from_str(event)
        .map_err(|error| Refusal::new(400, "InvalidArgument", format!("The event object is not valid: {error}.")))?;
    let none = || Refusal::new(400, "UnsupportedOperation", "This edge was built without the feature 'functions'.");
    let Run { output, logs, utilization } = engine::run(&function.code, event, store).ok_or_else(none)?;
    let found = output.and_then(|output| match answer::read(&parsed, &output) {
        Ok(answer) => Ok(format!("{{\"{}\":{output}}}", answer.kind())),
        Err(reason) => Err(format!("The function returned an invalid value: {reason}.")),
    });
    let (output, error) = match found {
        Ok(output) => (output, String::new()),
        Err(error) => (String::new(), error),
    };
    Ok(Tested { output, error, logs, utilization })
}

/// The values that the function may read.
fn store(state: &State, function: &Function) -> Option<Store> {
    let store = function.key_value_store.as_deref().and_then(|arn| state.key_value_stores.at(arn));
    store.map(|store| store.values)
}

impl Function {
    /// The function's result for an event in JSON, as `TestFunction` returns it: `{"request": ...}` or
    /// `{"response": ...}`. `values` are the contents of its key-value store, if it has one.
    ///
    /// # Errors
    /// A message that says why there is no result.
    pub fn run(&self, event: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
        let store = self.key_value_store.as_ref().map(|_| Arc::new(values.clone()));
        let tested = try_out(self, store, event).map_err(|refusal| refusal.message)?;
        if tested.error.is_empty() { Ok(tested.output) } else { Err(tested.error) }
    }
}

/// A viewer's request as functions see it.
pub(super) fn request(method: &str, path: &str, query: &str, headers: &HeaderMap) -> Request {
    Request {
        method: method.to_owned(),
        uri: path.to_owned(),
        querystring: event::query(query),
        headers: allowed(event::headers(headers)),
        cookies: event::cookies(headers),
    }
}

/// A response as functions see it, without its body.
pub(super) fn response(status: u16, headers: &HeaderMap) -> Response {
    Response {
        status_code: status,
        status_description: String::new(),
        headers: allowed(event::headers(headers)),
        cookies: Ordered::default(),
        body: None,
    }
}

fn allowed(headers: Ordered<Values>) -> Ordered<Values> {
    Ordered(headers.0.into_iter().filter(|(name, _)| !answer::is_disallowed(name)).collect())
}

/// The query string of a request that a function changed.
pub(super) fn query(request: &Request) -> String {
    event::query_text(&request.querystring)
}

/// The headers of a function's response, without those that functions do not see.
pub(super) fn headers(response: &Response) -> HeaderMap {
    let each = response.headers.0.iter().flat_map(|(name, values)| values.each().map(move |one| (name, &one.value)));
    let each =
        each.map(|(name, value)| (HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(value.as_bytes())));
    let mut map = HeaderMap::new();
    for (name, value) in each {
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    for (name, cookie) in &response.cookies.0 {
        for one in cookie.each() {
            let attributes = one.attributes.as_ref().map(|attributes| format!("; {attributes}"));
            let line = format!("{name}={}{}", one.value, attributes.unwrap_or_default());
            if let Ok(line) = HeaderValue::try_from(line) {
                map.append(hyper::header::SET_COOKIE, line);
            }
        }
    }
    map
}

/// The body of a function's response, if it generated one.
pub(super) fn body(response: &Response) -> Option<Bytes> {
    let body = response.body.as_ref()?;
    answer::bytes(body).ok().map(Bytes::from)
}

/// Invokes the function of a behavior for viewer requests or, with `response`, for viewer responses; `None` if it
/// has none that runs.
pub(super) fn invoke(
    state: &State,
    distribution: &Distribution,
    behavior: &CacheBehavior,
    request: Request,
    response: Option<Response>,
) -> Option<Result<Answer, Failure>> {
    let event_type = if response.is_some() { VIEWER_RESPONSE } else { VIEWER_REQUEST };
    let association = behavior.functions.iter().find(|association| association.event_type == event_type)?;
    let (version, _) = state.functions.get(functions::name_in(&association.arn)?, Stage::Live)?;
    let event = Event {
        version: "1.0".to_owned(),
        context: Context {
            distribution_domain_name: format!("{}.cloudfront.net", distribution.id.to_ascii_lowercase()),
            distribution_id: distribution.id.clone(),
            event_type: event_type.to_owned(),
            request_id: format!("{:016x}", fastrand::u64(..)),
        },
        viewer: Viewer { ip: "127.0.0.1".to_owned() },
        request,
        response,
    };
    let text = match serde_json::to_string(&event) {
        Ok(text) => text,
        Err(error) => return Some(Err(Failure::execution(error.to_string()))),
    };
    let run = engine::run(&version.function.code, &text, store(state, &version.function))?;
    Some(match run.output {
        Err(message) => Err(Failure::execution(message)),
        Ok(output) => answer::read(&event, &output).map_err(Failure::validation),
    })
}
