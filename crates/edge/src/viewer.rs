//! The viewer listener: selects the distribution, runs its functions, consults the cache, then the origin.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{
    ACCEPT_ENCODING, AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HOST, HeaderName, HeaderValue,
    IF_NONE_MATCH, LOCATION,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use s3s::Body;

use crate::State;
use crate::cache::{self, Key, Stored};
use crate::dashboard;
use crate::distribution::{CacheBehavior, ConnectionMode, Distribution, QueryStrings};
use crate::distributions::Caching;
use crate::invocation::{self, Failure};
use crate::origin::{self, Fetched};
use crate::previews;
use crate::server::host_name;

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Larger objects are passed on without being loaded into memory.
const LARGEST_CACHED: u64 = 32 << 20;
/// Statuses that CloudFront caches. Sources disagree about 403; the safe reading is that it is cached.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html>
const CACHED_ERRORS: [u16; 8] = [403, 404, 414, 500, 501, 502, 503, 504];
/// `ErrorCachingMinTTL` unless a custom error response sets it.
const ERROR_TTL: Duration = Duration::from_secs(10);

/// Answers one viewer.
pub(super) async fn answer<B>(state: &State, request: Request<B>) -> Response<Body> {
    let host = host_name(request.headers()).unwrap_or_default();
    if host == dashboard::HOST_NAME {
        return dashboard::answer(state, &request, "/").await;
    }
    let named = host.strip_suffix(".localhost").and_then(|label| {
        let distribution = state.distributions.at(label);
        distribution.or_else(|| previews::at(state, label))
    });
    // At a distribution's own name, every path is the site's.
    if named.is_none() && dashboard::is_at(request.uri().path()) {
        return dashboard::answer(state, &request, dashboard::PATH).await;
    }
    let Some(distribution) = named.or_else(|| state.distributions.default()) else {
        return plain(StatusCode::NOT_FOUND, "There is no distribution yet: deploy a site first.\n");
    };
    let is_tenant = state.distributions.tenant(&distribution.id).is_some();
    if distribution.connection_mode == ConnectionMode::TenantOnly && !is_tenant {
        return plain(StatusCode::NOT_FOUND, "Viewers reach this distribution through its tenants only.\n");
    }
    if !distribution.enabled {
        return plain(StatusCode::FORBIDDEN, "The distribution is disabled.\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::FORBIDDEN, "This distribution is for GET and HEAD only.\n");
    }
    let (path, query) = (state.readings().spelled(request.uri().path()), request.uri().query().unwrap_or_default());
    let path = path.as_ref();
    // The behavior selected before a function runs.
    let behavior = distribution.behavior(path);
    let seen = invocation::request(request.method().as_str(), path, query, request.headers());
    let (uri, sent) = match invocation::invoke(state, &distribution, behavior, seen.clone(), None) {
        None => (path.to_owned(), query.to_owned()),
        Some(Ok(invocation::Answer::Request(changed))) => {
            let query = invocation::query(&changed);
            (changed.uri, query)
        }
        // No function sees this response.
        Some(Ok(invocation::Answer::Response(made))) => return generated(&made, request.headers()),
        Some(Err(failure)) => return failed(&failure),
    };
    let rewritten = root_object(&distribution, uri);
    let target = target(state, &distribution, behavior, (path, query), (&rewritten, &sent));
    let answer = load(state, &distribution, behavior, target, &rewritten).await;
    let invoked = !answer.stored.is_error;
    let response = respond(answer, behavior, request.headers());
    if !invoked {
        return response;
    }
    let found = invocation::response(response.status().as_u16(), response.headers());
    match invocation::invoke(state, &distribution, behavior, seen, Some(found)) {
        Some(Ok(invocation::Answer::Response(changed))) => replaced(response, &changed),
        Some(Err(failure)) => failed(&failure),
        _ => response,
    }
}

/// A response that a function generates instead of the origin.
fn generated(made: &invocation::Response, asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::from(invocation::body(made).unwrap_or_default()));
    *response.status_mut() = StatusCode::from_u16(made.status_code).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = invocation::headers(made);
    let headers = response.headers_mut();
    // There is no TLS here: a redirect to the same host over TLS becomes one to the same host without it.
    let host = asked.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let path = location.and_then(|location| location.strip_prefix("https://")?.strip_prefix(host));
    let path = path.filter(|path| path.starts_with('/'));
    if let Some(location) = path.and_then(|path| HeaderValue::try_from(format!("http://{host}{path}")).ok()) {
        headers.insert(LOCATION, location);
    }
    // Browsers keep a permanent redirect forever, and the next site has the same address.
    if headers.contains_key(LOCATION) && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CACHE, HeaderValue::from_static("FunctionGeneratedResponse from shipfront-edge"));
    response
}

/// A response as a function changed it.
fn replaced(response: Response<Body>, changed: &invocation::Response) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.status = StatusCode::from_u16(changed.status_code).unwrap_or(parts.status);
    let unseen = [X_CACHE].map(|name| (parts.headers.remove(&name), name));
    parts.headers = invocation::headers(changed);
    for (value, name) in unseen {
        parts.headers.extend(value.map(|value| (name, value)));
    }
    let Some(made) = invocation::body(changed).filter(|made| !made.is_empty()) else {
        return Response::from_parts(parts, body);
    };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(made))
}

fn failed(failure: &Failure) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("The distribution's function failed: {}\n", failure.message)));
    *response.status_mut() = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    if let Ok(verdict) = HeaderValue::from_str(&format!("{} from shipfront-edge", failure.kind)) {
        response.headers_mut().insert(X_CACHE, verdict);
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}

/// What a viewer gets before conditions are evaluated.
struct Answer {
    stored: Arc<Stored>,
    /// Instead of the stored body, if that was too large to keep.
    stream: Option<crate::body::Body>,
    /// `None` for a miss.
    age: Option<Duration>,
}

fn respond(answer: Answer, behavior: &CacheBehavior, asked: &HeaderMap) -> Response<Body> {
    let Answer { stored, stream, age } = answer;
    let unchanged = stored.status == 200
        && stored.headers.get(ETAG).is_some_and(|etag| {
            let seen = asked.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
            let etag = etag.to_str().unwrap_or_default();
            let mut seen = seen.unwrap_or_default().split(',').map(str::trim);
            seen.any(|seen| seen == "*" || seen.trim_start_matches("W/") == etag)
        });
    let mut response = match stream {
        _ if unchanged => Response::new(Body::empty()),
        Some(body) => {
            let size = body.size();
            let mut response = Response::new(Body::from(body.stream(0..size)));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
            response
        }
        None => Response::new(Body::from(stored.body.clone())),
    };
    let compressed = compressed(&stored, behavior, asked).filter(|_| !unchanged);
    let status = if unchanged { 304 } else { stored.status };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().extend(stored.headers.clone());
    if let Some((body, headers)) = compressed {
        *response.body_mut() = Body::from(body);
        response.headers_mut().extend(headers);
    }
    for (name, value) in &behavior.response_headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    let verdict = match age {
        _ if stored.status >= 400 => "Error from shipfront-edge",
        Some(_) => "Hit from shipfront-edge",
        None => "Miss from shipfront-edge",
    };
    response.headers_mut().insert(X_CACHE, HeaderValue::from_static(verdict));
    if let Some(age) = age {
        response.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
    }
    response
}

/// The body for a viewer who accepts gzip, and the headers that differ.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ServingCompressedFiles.html>
fn compressed(stored: &Stored, behavior: &CacheBehavior, asked: &HeaderMap) -> Option<(Vec<u8>, HeaderMap)> {
    let accepted = asked.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepts = accepted.split(',').any(|encoding| encoding.trim() == "gzip");
    let plain = stored.status == 200 && !stored.headers.contains_key(CONTENT_ENCODING) && !stored.body.is_empty();
    if !behavior.compress || !accepts || !plain {
        return None;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&stored.body).ok()?;
    let mut headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
    let etag =
        stored.headers.get(ETAG).and_then(|etag| HeaderValue::try_from(format!("W/{}", etag.to_str().ok()?)).ok());
    headers.extend(etag.map(|etag| (ETAG, etag)));
    Some((encoder.finish().ok()?, headers))
}

/// The cache key to look up: what a function and the default root object made of the path that a viewer `asked`
/// for.
fn target(
    state: &State,
    distribution: &Distribution,
    behavior: &CacheBehavior,
    asked: (&str, &str),
    rewritten: (&str, &str),
) -> Target {
    let caching = state.distributions.caching(behavior);
    let url = |(path, query): (&str, &str)| format!("{path}{}", query_in_key(&caching.query_strings, query));
    Target { key: Key { distribution: distribution.id.clone(), url: url(rewritten) }, asked: url(asked) }
}

async fn load(
    state: &State,
    distribution: &Distribution,
    behavior: &CacheBehavior,
    target: Target,
    path: &str,
) -> Answer {
    let caching = state.distributions.caching(behavior);
    let watch = &state.timeline.watch;
    if let Some(hit) = target.lookup(state) {
        watch.viewed(&target.key, &target.asked, hit.stored.status, true);
        return hit;
    }
    let fill = state.cache.begin_fill();
    let fetched = origin::fetch(&state.store, distribution, behavior, path);
    watch.viewed(&target.key, &target.asked, fetched.status, false);
    if fetched.status < 400 {
        return keep(state, distribution, &caching, target, fill, fetched).await;
    }
    let mut rules = distribution.error_responses.iter();
    let rule = rules.find(|rule| rule.error_code == fetched.status);
    let mut stored = Arc::new(whole(&fetched).await);
    let mut ttl = rule.map_or(ERROR_TTL, |rule| Duration::from_secs(rule.error_caching_min_ttl));
    let page = rule.and_then(|rule| Some((rule, rule.page_path.as_deref()?)));
    if let Some((rule, path)) = page {
        let page = error_page(state, distribution, path).await;
        if page.status == 200 {
            // The documentation contradicts itself on which of the two applies: the longer one leaves more stale.
            let caching = state.distributions.caching(distribution.behavior(path));
            ttl = ttl.max(cache::time_to_live(&caching, &page.headers));
            stored = Arc::new(Stored {
                status: rule.response_code.unwrap_or(rule.error_code),
                headers: page.headers.clone(),
                body: page.body.clone(),
                is_error: true,
            });
        }
    }
    // A behavior that caches nothing does not cache errors either.
    if CACHED_ERRORS.contains(&fetched.status) && state.readings().keeps(fetched.status) && !caching.max_ttl.is_zero() {
        let time = (state.timeline.now(), ttl);
        let spellings = [target.asked.as_str(), target.key.url.as_str()];
        // Whether the tags of an error page apply to its copies is not documented: here they do not.
        let no_tags = cache::Tags::default();
        let key = target.key.clone();
        state.cache.store(fill, key, &spellings, Arc::clone(&stored), no_tags, time);
    }
    Answer { stored, stream: None, age: None }
}

/// A page from the cache under its own URL, as CloudFront fetches it: a stale one stays stale.
async fn error_page(state: &State, distribution: &Distribution, page: &str) -> Arc<Stored> {
    let behavior = distribution.behavior(page);
    let caching = state.distributions.caching(behavior);
    let target =
        Target { key: Key { distribution: distribution.id.clone(), url: page.to_owned() }, asked: page.to_owned() };
    if let Some(hit) = target.lookup(state) {
        return hit.stored;
    }
    let fill = state.cache.begin_fill();
    let fetched = origin::fetch(&state.store, distribution, behavior, page);
    if fetched.status < 400 {
        keep(state, distribution, &caching, target, fill, fetched).await.stored
    } else {
        Arc::new(whole(&fetched).await)
    }
}

/// What was requested, and the key under which it is cached.
struct Target {
    key: Key,
    asked: String,
}

impl Target {
    fn lookup(&self, state: &State) -> Option<Answer> {
        let spellings = [self.asked.as_str(), self.key.url.as_str()];
        let (stored, age) = state.cache.lookup(&self.key, &spellings, state.timeline.now())?;
        Some(Answer { stored, stream: None, age: Some(age) })
    }
}

/// Caches a successful response for as long as its headers and the behavior say.
async fn keep(
    state: &State,
    distribution: &Distribution,
    caching: &Caching,
    target: Target,
    fill: cache::Fill,
    fetched: Fetched,
) -> Answer {
    if fetched.body.size() > LARGEST_CACHED {
        let (status, headers) = (fetched.status, fetched.headers);
        let stored = Arc::new(Stored { status, headers, body: bytes::Bytes::new(), is_error: false });
        return Answer { stored, stream: Some(fetched.body), age: None };
    }
    let ttl = cache::time_to_live(caching, &fetched.headers);
    let header = distribution.cache_tag_header.as_deref();
    let header = header.filter(|_| !state.distributions.is_deploying(&distribution.id));
    let tags = cache::tags(header, &fetched.headers);
    let stored = Arc::new(whole(&fetched).await);
    if stored.status < 400 {
        let time = (state.timeline.now(), ttl);
        let spellings = [target.asked.as_str(), target.key.url.as_str()];
        let key = target.key.clone();
        state.cache.store(fill, key, &spellings, Arc::clone(&stored), tags, time);
    }
    Answer { stored, stream: None, age: None }
}

/// The whole response in memory; a body that cannot be read is the origin's failure.
async fn whole(fetched: &Fetched) -> Stored {
    let (status, headers, body) = match fetched.body.bytes().await {
        Ok(body) => (fetched.status, fetched.headers.clone(), body),
        Err(_) => (502, HeaderMap::new(), bytes::Bytes::from_static(b"The origin failed.\n")),
    };
    Stored { status, headers, body, is_error: status >= 400 }
}

/// The default root object, only for `/`.
fn root_object(distribution: &Distribution, path: String) -> String {
    let root = distribution.default_root_object.trim_start_matches('/');
    if path == "/" && !root.is_empty() { format!("/{root}") } else { path }
}

fn query_in_key(policy: &QueryStrings, query: &str) -> String {
    let kept = match policy {
        QueryStrings::None => String::new(),
        QueryStrings::All => query.to_owned(),
        QueryStrings::Whitelist(names) => {
            let pairs = query.split('&').filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                names.iter().any(|wanted| wanted == name)
            });
            pairs.collect::<Vec<_>>().join("&")
        }
    };
    if kept.is_empty() { kept } else { format!("?{kept}") }
}
