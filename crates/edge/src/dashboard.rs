//! The dashboard: a page that shows what is at the local edge, what an invalidation evicted and why,
//! while it happens.
//!
//! It is at a path that no site has, [`PATH`], on any host that names no distribution, and for browsers also at
//! `dashboard.localhost`. The page asks for `state.json?after=VERSION` each second and gets a short answer while
//! nothing happened.

use std::collections::HashSet;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, LOCATION,
};
use hyper::{HeaderMap, Request, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::Body;
use serde::Serialize;

use crate::State;
use crate::cache::{Copy, Gone, Key, Stored};
use crate::distribution::Distribution;
use crate::evictions::Eviction;
use crate::invalidation::Invalidation;
use crate::origin::{self, Fetched};
use crate::watch::{Event, Seen, Shown, ShownInvalidation};

/// Where any tool finds it, at the viewers' port. Deploy records are kept in that folder, so no site's files are.
pub(super) const PATH: &str = "/.shipfront/dashboard/";
/// Where browsers find it as well: other tools may not resolve such a name.
pub(super) const HOST_NAME: &str = "dashboard.localhost";
const PAGE: &str = include_str!("dashboard/page.html");
/// URLs that are listed although there is no copy of them.
const MOST_COLD: usize = 2000;
/// What a URL says by itself.
const IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'(').remove(b')');
/// The headers in which a viewer sees an outdated copy.
const COMPARED: [HeaderName; 4] = [ETAG, LOCATION, CONTENT_TYPE, CACHE_CONTROL];

/// What the page shows.
#[derive(Serialize)]
struct Page {
    version: u64,
    distributions: Vec<Site>,
    urls: Vec<Url>,
    /// URLs without a copy that are not listed.
    more: usize,
    invalidations: Vec<ShownInvalidation>,
    events: Vec<Event>,
}

#[derive(Serialize)]
struct Site {
    id: String,
    bucket: String,
    url: String,
}

/// A URL of the origin, and its copy if there is one.
#[derive(Serialize)]
struct Url {
    distribution: String,
    url: String,
    /// Other URLs that the same copy answers.
    asked_as: Vec<String>,
    state: Standing,
    /// Of the copy.
    status: Option<u16>,
    bytes: Option<usize>,
    /// In seconds.
    age: Option<u64>,
    time_to_live: Option<u64>,
    #[serde(flatten)]
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    /// Viewers get what the origin would not answer any more.
    Stale,
    /// Viewers get what the origin would answer.
    Fresh,
    /// It is older than its time to live.
    Expired,
    /// An invalidation took it away, and nobody asked since.
    Evicted,
    /// There is no copy.
    Absent,
}

/// Whether a path is the dashboard's, where it shares a host.
pub(super) fn is_at(path: &str) -> bool {
    path.strip_prefix(PATH.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a browser; the dashboard is at `base`.
pub(super) fn answer<B>(state: &State, request: &Request<B>, base: &str) -> Response<Body> {
    match request.uri().path().strip_prefix(base) {
        None => {
            let mut response = respond("text/plain; charset=utf-8", String::new());
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(LOCATION, HeaderValue::from_static(PATH));
            response
        }
        Some("") => respond("text/html; charset=utf-8", PAGE.to_owned()),
        Some("state.json") => {
            let query = request.uri().query().unwrap_or_default();
            let after = query.strip_prefix("after=").and_then(|after| after.parse::<u64>().ok());
            let version = state.timeline.watch.version();
            let text = if after == Some(version) {
                format!("{{\"version\":{version}}}")
            } else {
                let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
                let port = host.and_then(|host| host.rsplit_once(':')).map_or("80", |(_, port)| port);
                serde_json::to_string(&page(state, port)).unwrap_or_default()
            };
            respond("application/json", text)
        }
        Some(_) => {
            let mut response = respond("text/plain; charset=utf-8", format!("The dashboard is at {base}.\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

fn respond(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    for (name, value) in [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, policy)] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Notes what an invalidation did.
pub(super) fn note_invalidation(state: &State, id: &str, invalidation: &Invalidation, gone: Vec<Gone>) {
    let Some(distribution) = find(state, id) else { return };
    let outdated = |gone: Gone| {
        let outdated = is_outdated(state, &distribution, &gone.key, &gone.stored);
        (gone, outdated)
    };
    let gone: Vec<_> = gone.into_iter().map(outdated).collect();
    let origins = distribution.origins.iter();
    let buckets: Vec<_> =
        origins.filter_map(|origin| Some((origin.bucket()?.to_owned(), origin.origin_path.clone()))).collect();
    state.timeline.watch.invalidated(id, &invalidation.id, &invalidation.items, &buckets, &gone);
    let evicted = |(gone, outdated): (Gone, bool)| Eviction::new(&invalidation.id, gone, outdated);
    state.evictions.add(gone.into_iter().map(evicted));
}

/// A distribution, or one as a tenant of it shows it.
pub(super) fn find(state: &State, id: &str) -> Option<Distribution> {
    let tenant = || {
        let tenant = state.distributions.tenant(id)?;
        Some(tenant.view(&state.distributions.get(&tenant.distribution_id)?))
    };
    state.distributions.get(id).or_else(tenant)
}

/// Whether the origin would answer otherwise now, the page that a custom error response shows included.
pub(super) fn is_outdated(state: &State, distribution: &Distribution, key: &Key, stored: &Stored) -> bool {
    let path = key.url.split('?').next().unwrap_or_default();
    let fetch = |path: &str| origin::fetch(&state.store, distribution, distribution.behavior(path), path);
    let mut now = fetch(path);
    if now.status >= 400
        && let Some(rule) = distribution.error_responses.iter().find(|rule| rule.error_code == now.status)
        && let Some(page) = rule.page_path.as_deref().map(fetch)
        && page.status == 200
    {
        now = Fetched { status: rule.response_code.unwrap_or(rule.error_code), ..page };
    }
    let compared = |headers: &HeaderMap| COMPARED.map(|name| headers.get(name).cloned());
    stored.status != now.status || compared(&stored.headers) != compared(&now.headers)
}

fn page(state: &State, port: &str) -> Page {
    let Shown { version, events, invalidations, mut seen } = state.timeline.watch.shown();
    let distributions = state.distributions.all();
    let mut urls = Vec::new();
    let mut known = HashSet::new();
    for copy in state.cache.copies(state.timeline.now()) {
        let seen = seen.remove(&copy.key).unwrap_or_default();
        known.insert(copy.key.clone());
        urls.push(of_copy(state, copy, seen));
    }
    let mut more = 0;
    let absent = distributions.iter().flat_map(|distribution| keys(state, distribution)).chain(seen.keys().cloned());
    // A key that was seen and is gone is listed once.
    let absent: Vec<Key> = absent.filter(|key| known.insert(key.clone())).collect();
    for key in absent {
        let seen = seen.remove(&key).unwrap_or_default();
        if seen.evicted_by.is_none() && urls.len() >= MOST_COLD {
            more += 1;
            continue;
        }
        urls.push(of_absent(key, seen));
    }
    urls.sort_by(|a, b| (a.state, &a.distribution, &a.url).cmp(&(b.state, &b.distribution, &b.url)));
    let site = |distribution: Distribution| Site {
        url: format!("http://{}.localhost:{port}", distribution.id.to_ascii_lowercase()),
        bucket: distribution.origins.iter().find_map(|origin| origin.bucket()).unwrap_or_default().to_owned(),
        id: distribution.id,
    };
    Page { version, distributions: distributions.into_iter().map(site).collect(), urls, more, invalidations, events }
}

/// The URLs of a distribution's objects, those of the deploy record left out.
fn keys(state: &State, distribution: &Distribution) -> Vec<Key> {
    let (origins, _) = distribution.targets(&distribution.default_behavior);
    let Some(origin) = origins.first() else { return Vec::new() };
    let Some(Ok(bucket)) = origin.bucket().map(|bucket| state.store.bucket(bucket)) else { return Vec::new() };
    let folder = format!("{}/", origin.origin_path.trim_matches('/'));
    let folder = folder.trim_start_matches('/');
    let objects = bucket.all().into_iter().filter_map(|(key, _)| key.strip_prefix(folder).map(str::to_owned));
    let of_site = objects.filter(|key| !key.split('/').any(|part| part == ".shipfront"));
    let key = |key: String| Key {
        distribution: distribution.id.clone(),
        url: format!("/{}", utf8_percent_encode(&key, IN_PATHS)),
    };
    of_site.map(key).collect()
}

fn of_copy(state: &State, copy: Copy, seen: Seen) -> Url {
    let Copy { key, stored, age, ttl, urls, .. } = copy;
    let outdated =
        find(state, &key.distribution).is_some_and(|distribution| is_outdated(state, &distribution, &key, &stored));
    let standing = match (age >= ttl, outdated) {
        (true, _) => Standing::Expired,
        (false, true) => Standing::Stale,
        (false, false) => Standing::Fresh,
    };
    Url {
        asked_as: urls.into_iter().filter(|url| *url != key.url).collect(),
        distribution: key.distribution,
        url: key.url,
        state: standing,
        status: Some(stored.status),
        bytes: Some(stored.body.len()),
        age: Some(age.as_secs()),
        time_to_live: Some(ttl.as_secs()),
        seen,
    }
}

fn of_absent(key: Key, seen: Seen) -> Url {
    Url {
        distribution: key.distribution,
        url: key.url,
        asked_as: Vec::new(),
        state: if seen.evicted_by.is_some() { Standing::Evicted } else { Standing::Absent },
        status: None,
        bytes: None,
        age: None,
        time_to_live: None,
        seen,
    }
}
