//! CloudFront's REST API, as far as a deploy uses it.

mod render;

use hyper::header::{CONTENT_TYPE, ETAG, HeaderValue, LOCATION};
use hyper::{Method, Response, StatusCode};
use s3s::Body;

use crate::State;
use crate::dashboard;
use crate::distribution::Distribution;
use crate::invalidation::{Invalidation, Refusal};
use crate::tenant::Tenant;
use crate::timeline::Effect;
use crate::xml::{self, Xml, query_parameter};

/// The prefix of every path of the API.
pub(super) const VERSION: &str = "/2020-05-31/";

/// A request, by AWS's name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// Id of the distribution, of the tenant or of the cache policy.
    pub(super) id: Option<String>,
    /// Id of the invalidation.
    second: Option<String>,
}

/// The operation that a path asks for.
pub(super) fn operation(method: &Method, path: &str) -> Operation {
    let rest = path.strip_prefix(VERSION).unwrap_or_default();
    let segments: Vec<&str> = rest.split('/').collect();
    let (name, id, second) = match (method.as_str(), segments.as_slice()) {
        ("GET", ["distribution"]) => ("ListDistributions", None, None),
        ("GET", ["distribution", id]) => ("GetDistribution", Some(*id), None),
        ("GET", ["distribution", id, "config"]) => ("GetDistributionConfig", Some(*id), None),
        ("POST", ["distribution", id, "invalidation"]) => ("CreateInvalidation", Some(*id), None),
        ("GET", ["distribution", id, "invalidation"]) => ("ListInvalidations", Some(*id), None),
        ("GET", ["distribution", id, "invalidation", invalidation]) => {
            ("GetInvalidation", Some(*id), Some(*invalidation))
        }
        ("GET", ["distribution-tenant", id]) => ("GetDistributionTenant", Some(*id), None),
        ("POST", ["distribution-tenant", id, "invalidation"]) => {
            ("CreateInvalidationForDistributionTenant", Some(*id), None)
        }
        ("GET", ["distribution-tenant", id, "invalidation", invalidation]) => {
            ("GetInvalidationForDistributionTenant", Some(*id), Some(*invalidation))
        }
        ("GET", ["cache-policy", id]) => ("GetCachePolicy", Some(*id), None),
        _ => ("Unknown", None, None),
    };
    Operation { name, id: id.map(str::to_owned), second: second.map(str::to_owned) }
}

/// Answers a request; the items of a `CreateInvalidation` go to `items` for the record. With
/// `keeps_copies` it clears nothing.
pub(super) fn answer(
    state: &State,
    operation: &Operation,
    query: &str,
    body: &[u8],
    items: &mut Vec<String>,
    keeps_copies: bool,
) -> Response<Body> {
    let mut invalidate = |kind, id, found| create_invalidation(state, (kind, id), body, items, keeps_copies, found);
    let id = operation.id.as_deref().unwrap_or_default();
    let result = match operation.name {
        "ListDistributions" => list_distributions(state, query),
        "GetDistribution" => find(state, id).map(|found| {
            let status = if state.distributions.is_deploying(&found.id) { "InProgress" } else { "Deployed" };
            versioned(render::distribution(&found, status), &found.etag)
        }),
        "GetDistributionConfig" => find(state, id).map(|found| {
            let text = Xml::document("DistributionConfig", |xml| render::config(xml, &found));
            versioned(text, &found.etag)
        }),
        "GetDistributionTenant" => find_tenant(state, id).map(|found| versioned(render::tenant(&found), &found.id)),
        "CreateInvalidation" => invalidate("distribution", id, find(state, id)),
        "CreateInvalidationForDistributionTenant" => {
            let parent = find_tenant(state, id).and_then(|tenant| find(state, &tenant.distribution_id));
            invalidate("distribution-tenant", id, parent)
        }
        "GetInvalidation" => find(state, id).and_then(|_| get_invalidation(state, id, operation.second.as_deref())),
        "GetInvalidationForDistributionTenant" => {
            find_tenant(state, id).and_then(|_| get_invalidation(state, id, operation.second.as_deref()))
        }
        "ListInvalidations" => list_invalidations(state, id, query),
        "GetCachePolicy" => get_cache_policy(state, id),
        _ => Err(Refusal::new(501, "NotImplemented", "The local edge does not know this operation.")),
    };
    result.unwrap_or_else(|refusal| refuse(refusal.status, refusal.code, &refusal.message))
}

/// An error answer in CloudFront's XML.
pub(super) fn refuse(status: u16, code: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    document(status, xml::error(code, message))
}

fn document(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn versioned(text: String, etag: &str) -> Response<Body> {
    let mut response = document(StatusCode::OK, text);
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

fn find(state: &State, id: &str) -> Result<Distribution, Refusal> {
    let found = state.distributions.get(id).filter(|found| found.id == id);
    found.ok_or_else(|| Refusal::new(404, "NoSuchDistribution", "The specified distribution does not exist."))
}

fn find_tenant(state: &State, id: &str) -> Result<Tenant, Refusal> {
    let found = state.distributions.tenant(id);
    found.ok_or_else(|| Refusal::new(404, "EntityNotFound", "The specified distribution tenant does not exist."))
}

/// `kind` is what the id is of, in the words of a path; `found` is the distribution whose configuration holds.
fn create_invalidation(
    state: &State,
    (kind, id): (&str, &str),
    body: &[u8],
    items: &mut Vec<String>,
    keeps_copies: bool,
    found: Result<Distribution, Refusal>,
) -> Result<Response<Body>, Refusal> {
    let (reference, batch) = xml::read_batch(body)?;
    items.clone_from(&batch);
    let found = found?;
    let (invalidation, new) = state.invalidations.create(id, reference, batch, state.timeline.now())?;
    if new {
        let header = found.cache_tag_header.as_deref();
        let gone = if keeps_copies { Vec::new() } else { state.cache.invalidate(id, header, &invalidation.items) };
        dashboard::tell(state, id, &invalidation, gone);
        let items = invalidation.items.clone();
        state.timeline.record(Effect::Invalidate { distribution: id.to_owned(), items });
    }
    let mut response = document(StatusCode::CREATED, render::invalidation(&invalidation));
    let location = format!("https://cloudfront.amazonaws.com{VERSION}{kind}/{id}/invalidation/{}", invalidation.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn get_invalidation(state: &State, id: &str, invalidation: Option<&str>) -> Result<Response<Body>, Refusal> {
    let wanted = invalidation.unwrap_or_default();
    let found = state
        .invalidations
        .poll(id, wanted, state.timeline.now())
        .ok_or_else(|| Refusal::new(404, "NoSuchInvalidation", "The specified invalidation does not exist."))?;
    Ok(document(StatusCode::OK, render::invalidation(&found)))
}

fn get_cache_policy(state: &State, id: &str) -> Result<Response<Body>, Refusal> {
    let policy = state
        .distributions
        .policy(id)
        .ok_or_else(|| Refusal::new(404, "NoSuchCachePolicy", "The cache policy does not exist."))?;
    Ok(versioned(render::cache_policy(&policy), &policy.id))
}

fn list_distributions(state: &State, query: &str) -> Result<Response<Body>, Refusal> {
    let all = state.distributions.all();
    let page = Paging::of(query, state.list_page_size())?;
    Ok(document(
        StatusCode::OK,
        page.render(
            "DistributionList",
            &all,
            |found| &found.id,
            |xml, found| {
                xml.element("DistributionSummary", |xml| render::summary(xml, found));
            },
        ),
    ))
}

fn list_invalidations(state: &State, id: &str, query: &str) -> Result<Response<Body>, Refusal> {
    find(state, id)?;
    let mut all = state.invalidations.list(id);
    // The newest first.
    all.reverse();
    let page = Paging::of(query, state.list_page_size())?;
    let id = |found: &Invalidation| found.id.clone();
    Ok(document(
        StatusCode::OK,
        page.render(
            "InvalidationList",
            &all,
            |found| &found.id,
            |xml, found| {
                xml.element("InvalidationSummary", |xml| {
                    xml.text("Id", id(found));
                    xml.text("CreateTime", render::time(found.created));
                    xml.text("Status", found.status.as_str());
                });
            },
        ),
    ))
}

/// `Marker` is the last id of the page before.
struct Paging {
    marker: String,
    limit: usize,
}

impl Paging {
    fn of(query: &str, page_size: usize) -> Result<Self, Refusal> {
        let limit = match query_parameter(query, "MaxItems") {
            None => page_size,
            Some(text) => {
                let asked: usize =
                    text.parse().map_err(|_| Refusal::new(400, "InvalidArgument", "MaxItems is not a number."))?;
                asked.clamp(1, page_size)
            }
        };
        Ok(Self { marker: query_parameter(query, "Marker").unwrap_or_default(), limit })
    }

    fn render<T>(&self, name: &str, all: &[T], id: impl Fn(&T) -> &String, each: impl Fn(&mut Xml, &T)) -> String {
        let start = all.iter().position(|item| *id(item) == self.marker).map_or(0, |at| at + 1);
        let page = &all[start..all.len().min(start + self.limit)];
        let truncated = start + page.len() < all.len();
        Xml::document(name, |xml| {
            xml.text("Marker", &self.marker);
            if truncated && let Some(last) = page.last() {
                xml.text("NextMarker", id(last));
            }
            xml.text("MaxItems", self.limit);
            xml.text("IsTruncated", truncated);
            xml.text("Quantity", page.len());
            if !page.is_empty() {
                xml.element("Items", |xml| page.iter().for_each(|item| each(xml, item)));
            }
        })
    }
}
