//! The dashboard: a page that shows what is at the local edge, what the last deploy did to it and why, as it
//! happens.
//!
//! Its path, [`PATH`], is one that no site has, on any host that does not name a distribution. For browsers, it is
//! also at `dashboard.localhost`. The page requests `state.json` each second, for one site and the URLs that it
//! shows, and gets a short response if nothing happened. It is read-only: at that path the dashboard shares the
//! site's origin, and the site's scripts could do everything that a button on the page can.

pub(super) mod history;
mod page;
mod standing;
mod story;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, LOCATION,
};
use hyper::{HeaderMap, Request, Response, StatusCode};
use s3s::Body;
use serde::Serialize;

use crate::State;
use crate::cache::{Gone, Key, Stored};
use crate::distribution::Distribution;
use crate::evictions::Eviction;
use crate::invalidation::Invalidation;
use crate::origin::{self, Fetched};
use crate::watch::{Event, Shown, ShownInvalidation, TookEffect};

use standing::{Counts, Query, Url};
use story::Story;

/// Where any tool finds it, on the viewer port. Deploy records are kept in that folder, so no site has files there.
pub(super) const PATH: &str = "/.shipfront/dashboard/";
/// Where browsers find it as well: other tools may not resolve such a name.
pub(super) const HOST_NAME: &str = "dashboard.localhost";
/// The page runs only its own script and style, connects only to this server, and cannot be framed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The headers that show a viewer an outdated copy.
const COMPARED: [HeaderName; 4] = [ETAG, LOCATION, CONTENT_TYPE, CACHE_CONTROL];

/// What the page shows.
#[derive(Serialize)]
struct Page {
    version: u64,
    distributions: Vec<Site>,
    /// The ID of the site that the rest belongs to.
    site: Option<String>,
    counts: Counts,
    urls: Vec<Url>,
    /// Number of matching URLs that are not listed.
    more: usize,
    story: Option<Story>,
    history: Vec<history::ShownDeploy>,
    invalidations: Vec<ShownInvalidation>,
    events: Vec<Event>,
}

#[derive(Serialize)]
struct Site {
    id: String,
    bucket: String,
    url: String,
}

/// Whether a path is the dashboard's, on a host that it shares.
pub(super) fn is_at(path: &str) -> bool {
    path.strip_prefix(PATH.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a browser; the dashboard is at `base`.
pub(super) async fn answer<B>(state: &State, request: &Request<B>, base: &str) -> Response<Body> {
    match request.uri().path().strip_prefix(base) {
        None => {
            let mut response = respond("text/plain; charset=utf-8", String::new());
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(LOCATION, HeaderValue::from_static(PATH));
            response
        }
        Some("") => respond("text/html; charset=utf-8", page::document()),
        Some("state.json") => {
            let query = Query::parse(request.uri().query().unwrap_or_default());
            let version = state.timeline.watch.version();
            let text = if query.after == Some(version) {
                format!("{{\"version\":{version}}}")
            } else {
                let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
                let port = host.and_then(|host| host.rsplit_once(':')).map_or("80", |(_, port)| port).to_owned();
                serde_json::to_string(&shown(state, &query, &port).await).unwrap_or_default()
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
    for (name, value) in [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, POLICY)] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Records what an invalidation did.
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
    state.timeline.watch.invalidated(&TookEffect {
        distribution: id,
        id: &invalidation.id,
        items: &invalidation.items,
        buckets: &buckets,
        gone: &gone,
        stayed: state.cache.count(id),
    });
    let evicted = |(gone, outdated): (Gone, bool)| Eviction::new(&invalidation.id, gone, outdated);
    state.evictions.add(gone.into_iter().map(evicted));
}

/// A distribution, or one as a tenant of it serves it.
pub(super) fn find(state: &State, id: &str) -> Option<Distribution> {
    let tenant = || {
        let tenant = state.distributions.tenant(id)?;
        Some(tenant.view(&state.distributions.get(&tenant.distribution_id)?))
    };
    state.distributions.get(id).or_else(tenant)
}

/// Whether the origin would answer differently now, including the page of a custom error response.
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

/// What the page shows of a site: the requested one, or the one at `localhost`.
async fn shown(state: &State, query: &Query, port: &str) -> Page {
    let Shown { version, events, invalidations, seen } = state.timeline.watch.shown();
    let all = state.distributions.all();
    let tenants = state.distributions.tenants();
    let asked = query.site.as_deref().and_then(|id| find(state, id));
    let site = asked.or_else(|| state.distributions.default());
    let known = all.iter().map(|distribution| (distribution.id.clone(), bucket_of(distribution)));
    let tenants = tenants.iter().filter_map(|tenant| Some((tenant.id.clone(), bucket_of(&find(state, &tenant.id)?))));
    let distributions = known.chain(tenants).map(|(id, bucket)| Site {
        url: format!("http://{}.localhost:{port}", id.to_ascii_lowercase().replace('_', "-")),
        bucket,
        id,
    });
    let mut page = Page {
        version,
        distributions: distributions.collect(),
        site: site.as_ref().map(|site| site.id.clone()),
        counts: Counts::default(),
        urls: Vec::new(),
        more: 0,
        story: None,
        history: Vec::new(),
        invalidations: Vec::new(),
        events: Vec::new(),
    };
    let Some(site) = site else {
        page.events = events.into_iter().filter(|event| event.place.is_empty()).collect();
        return page;
    };
    let (counts, urls, more) = standing::of(state, &site, seen, query);
    (page.counts, page.urls, page.more) = (counts, urls, more);
    let origins = site.origins.iter().filter_map(|origin| origin.bucket());
    let buckets: Vec<String> = origins.map(str::to_owned).collect();
    let of_site = |place: &str| place.is_empty() || place == site.id || buckets.iter().any(|bucket| bucket == place);
    page.events = events.into_iter().filter(|event| of_site(&event.place)).collect();
    page.invalidations = invalidations.into_iter().filter(|shown| shown.distribution == site.id).collect();
    let histories = history::of(state, &buckets).await;
    page.story = Some(Story::of(&state.timeline.watch, &buckets, &histories, &page.invalidations));
    page.history = history::shown(histories);
    page
}

fn bucket_of(distribution: &Distribution) -> String {
    distribution.origins.iter().find_map(|origin| origin.bucket()).unwrap_or_default().to_owned()
}
