//! CloudFront's REST API, as far as a deploy uses it.

mod documents;
mod functions;

use hyper::header::{CONTENT_TYPE, ETAG, HeaderValue, LOCATION};
use hyper::{Method, Response, StatusCode};
use s3s::Body;
use serde::Serialize;

use crate::State;
use crate::dashboard;
use crate::distribution::Distribution;
use crate::invalidation::Refusal;
use crate::tenant::Tenant;
use crate::timeline::Effect;
use crate::xml::{self, query_parameter};
use documents::{
    CachePolicy, DistributionConfig, DistributionTenant, Distributions, InvalidationBatch, InvalidationSummary, Page,
    Path,
};

/// The prefix of every path of the API.
pub(super) const VERSION: &str = "/2020-05-31/";

/// A request, by AWS's name for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// ID of the distribution, the tenant or the cache policy; name of the function or the store.
    pub(super) id: Option<String>,
    /// ID of the invalidation.
    second: Option<String>,
}

/// The operation of a path.
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
        ("GET", ["function"]) => ("ListFunctions", None, None),
        ("POST", ["function"]) => ("CreateFunction", None, None),
        ("GET", ["function", name]) => ("GetFunction", Some(*name), None),
        ("PUT", ["function", name]) => ("UpdateFunction", Some(*name), None),
        ("GET", ["function", name, "describe"]) => ("DescribeFunction", Some(*name), None),
        ("POST", ["function", name, "publish"]) => ("PublishFunction", Some(*name), None),
        ("POST", ["function", name, "test"]) => ("TestFunction", Some(*name), None),
        ("GET", ["key-value-store", name]) => ("DescribeKeyValueStore", Some(*name), None),
        _ => ("Unknown", None, None),
    };
    Operation { name, id: id.map(str::to_owned), second: second.map(str::to_owned) }
}

/// Answers a request; adds the items of a `CreateInvalidation` to `items` for the trace. With `keeps_copies`, it
/// evicts nothing.
pub(super) fn answer(
    state: &State,
    operation: &Operation,
    if_match: Option<&str>,
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
            let running = state.invalidations.running(&found.id, state.timeline.now());
            versioned("Distribution", &documents::Distribution::new(&found, status, running), &found.etag)
        }),
        "GetDistributionConfig" => {
            find(state, id).map(|found| versioned("DistributionConfig", &DistributionConfig::from(&found), &found.etag))
        }
        "GetDistributionTenant" => find_tenant(state, id)
            .map(|found| versioned("DistributionTenant", &DistributionTenant::from(&found), &found.id)),
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
        other => functions::answer(state, other, id, if_match, query, body).unwrap_or_else(|| {
            Err(Refusal::new(501, "NotImplemented", "The local edge does not know this operation."))
        }),
    };
    result.unwrap_or_else(|refusal| refuse(refusal.status, refusal.code, &refusal.message))
}

/// An error response in CloudFront's XML.
pub(super) fn refuse(status: u16, code: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    document(status, "ErrorResponse", &documents::ErrorResponse::new(code, message))
}

fn document<T: Serialize>(status: StatusCode, root: &str, content: &T) -> Response<Body> {
    let (status, text) = match xml::write(root, Some(xml::CLOUDFRONT), content) {
        Ok(text) => (status, text),
        // A name or a character that XML does not allow.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn versioned<T: Serialize>(root: &str, content: &T, etag: &str) -> Response<Body> {
    let mut response = document(StatusCode::OK, root, content);
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// The caller reference and items of an `InvalidationBatch`.
fn read_batch(body: &[u8]) -> Result<(String, Vec<String>), Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(400, "MissingBody", "This operation requires a body."));
    }
    let batch: InvalidationBatch = xml::read(body).map_err(|message| Refusal::new(400, "MalformedInput", message))?;
    let mismatch = || {
        let message = "The value of Quantity and the size of Items don't match.";
        Refusal::new(400, "InconsistentQuantities", message)
    };
    let items = batch.paths.counted().ok_or_else(mismatch)?;
    if batch.caller_reference.is_empty() {
        return Err(Refusal::new(400, "InvalidArgument", "The caller reference is empty."));
    }
    Ok((batch.caller_reference, items.into_iter().map(|Path::Path(item)| item).collect()))
}

fn find(state: &State, id: &str) -> Result<Distribution, Refusal> {
    let found = state.distributions.get(id).filter(|found| found.id == id);
    found.ok_or_else(|| Refusal::new(404, "NoSuchDistribution", "The specified distribution does not exist."))
}

fn find_tenant(state: &State, id: &str) -> Result<Tenant, Refusal> {
    let found = state.distributions.tenant(id);
    found.ok_or_else(|| Refusal::new(404, "EntityNotFound", "The specified distribution tenant does not exist."))
}

/// `kind` is the kind of ID, as a path spells it; `found` is the distribution whose configuration applies.
fn create_invalidation(
    state: &State,
    (kind, id): (&str, &str),
    body: &[u8],
    items: &mut Vec<String>,
    keeps_copies: bool,
    found: Result<Distribution, Refusal>,
) -> Result<Response<Body>, Refusal> {
    let (reference, batch) = read_batch(body)?;
    items.clone_from(&batch);
    let found = found?;
    let (invalidation, new) = state.invalidations.create(id, reference, batch, state.timeline.now())?;
    if new {
        let header = found.cache_tag_header.as_deref();
        let gone = if keeps_copies {
            Vec::new()
        } else {
            state.cache.invalidate(id, header, &invalidation.items, state.readings())
        };
        dashboard::note_invalidation(state, id, &invalidation, gone);
        let items = invalidation.items.clone();
        state.timeline.record(Effect::Invalidate { distribution: id.to_owned(), items });
    }
    let mut response = document(StatusCode::CREATED, "Invalidation", &documents::Invalidation::from(&invalidation));
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
    Ok(document(StatusCode::OK, "Invalidation", &documents::Invalidation::from(&found)))
}

fn get_cache_policy(state: &State, id: &str) -> Result<Response<Body>, Refusal> {
    let policy = state
        .distributions
        .policy(id)
        .ok_or_else(|| Refusal::new(404, "NoSuchCachePolicy", "The cache policy does not exist."))?;
    Ok(versioned("CachePolicy", &CachePolicy::from(&policy), &policy.id))
}

fn list_distributions(state: &State, query: &str) -> Result<Response<Body>, Refusal> {
    let all = state.distributions.all();
    let summary = |found: &Distribution| Distributions::DistributionSummary(found.into());
    let page = Paging::of(query, state.list_page_size())?.page(&all, |found| &found.id, summary);
    Ok(document(StatusCode::OK, "DistributionList", &page))
}

fn list_invalidations(state: &State, id: &str, query: &str) -> Result<Response<Body>, Refusal> {
    find(state, id)?;
    let mut all = state.invalidations.list(id, state.timeline.now());
    // The newest first.
    all.reverse();
    let page = Paging::of(query, state.list_page_size())?;
    let page = page.page(&all, |found| &found.id, |found| InvalidationSummary::from(found));
    Ok(document(StatusCode::OK, "InvalidationList", &page))
}

/// `Marker` is the last ID of the preceding page.
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

    fn page<T, S>(self, all: &[T], id: impl Fn(&T) -> &String, summary: impl Fn(&T) -> S) -> Page<S> {
        let start = all.iter().position(|item| *id(item) == self.marker).map_or(0, |at| at + 1);
        let items = &all[start..all.len().min(start + self.limit)];
        let is_truncated = start + items.len() < all.len();
        Page {
            marker: self.marker,
            next_marker: items.last().filter(|_| is_truncated).map(|last| id(last).clone()),
            max_items: self.limit,
            is_truncated,
            list: items.iter().map(summary).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_and_its_count_is_checked() {
        let batch = |quantity: usize| {
            let namespace = xml::CLOUDFRONT;
            let body = format!(
                "<InvalidationBatch xmlns=\"{namespace}\"><Paths><Quantity>{quantity}</Quantity><Items><Path>/a&amp;b</Path><Path>#t</Path></Items></Paths><CallerReference>r</CallerReference></InvalidationBatch>"
            );
            read_batch(body.as_bytes())
        };
        let (reference, items) = batch(2).unwrap();
        assert_eq!((reference.as_str(), items), ("r", vec!["/a&b".to_owned(), "#t".to_owned()]));
        assert_eq!(batch(3).unwrap_err().code, "InconsistentQuantities");
        for items in ["", "<Items/>", "<Items></Items>"] {
            let body =
                format!("<B><Paths><Quantity>0</Quantity>{items}</Paths><CallerReference>r</CallerReference></B>");
            assert_eq!(read_batch(body.as_bytes()).unwrap().1, Vec::<String>::new(), "{items}");
        }
        assert_eq!(read_batch(b"").unwrap_err().code, "MissingBody");
        assert_eq!(read_batch(b"<x/>").unwrap_err().code, "MalformedInput");
    }

    #[test]
    fn a_page_ends_with_the_marker_of_the_next() {
        let all = ["a", "b", "c"].map(str::to_owned);
        let page = |query: &str| {
            let page = Paging::of(query, 2).unwrap().page(&all, |item| item, |item| Path::Path(item.clone()));
            xml::write("L", None, &page).unwrap().split_once('\n').unwrap().1.to_owned()
        };
        assert_eq!(
            page(""),
            "<L><Marker/><NextMarker>b</NextMarker><MaxItems>2</MaxItems><IsTruncated>true</IsTruncated><Quantity>2</Quantity><Items><Path>a</Path><Path>b</Path></Items></L>"
        );
        assert_eq!(
            page("Marker=c"),
            "<L><Marker>c</Marker><MaxItems>2</MaxItems><IsTruncated>false</IsTruncated><Quantity>0</Quantity></L>"
        );
    }
}
