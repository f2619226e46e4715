//! A distribution: how its configuration affects freshness. Pure.

use crate::cloudfront::lookup::mistake_hint;
use crate::commands::doctor::{Finding, State};
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::viewer::{
    CACHE_CONTROL, CacheBehavior, CachedHeaders, Claim, DistributionShape, ErrorPageAction, Origin, OriginKind,
    QueryStrings, Site, TOLERATED_SECONDS, Viewer, ViewerOptions, is_mistaken, origin_is_bucket,
};
use shipfront_site::Target;

/// The prefix of metadata that S3 returns as response headers.
const METADATA: &str = "x-amz-meta-";

/// The findings about a distribution.
pub(super) fn findings(id: &DistributionId, shape: &DistributionShape, target: &Target) -> Vec<Finding> {
    let site = Site { bucket: target.bucket().to_owned(), prefix: target.prefix().to_owned() };
    let viewer = Viewer::new(shape, &site, ViewerOptions::default());
    let name = |check: &str| format!("{check} of {id}");
    if !shape.readable {
        let found = "cannot read it, so deploys assume the worst about URLs";
        return vec![
            Finding::new(name("configuration"), State::Warning, found)
                .fix("allow cloudfront:GetDistributionConfig, and cloudfront:GetDistributionTenant for tenants"),
        ];
    }
    let mut findings = vec![origin(&name("origin"), shape, &viewer, target)];
    if shape.disabled {
        let found = "it is disabled: viewers get nothing from it";
        findings.push(Finding::new(name("configuration"), State::Error, found).fix("enable the distribution"));
    }
    findings.push(root(&name("default root object"), shape, target));
    findings.push(error_pages(&name("error pages"), shape, &viewer));
    findings.push(query_strings(&name("query strings"), shape));
    findings.push(cache_tags(&name("cache tags"), shape));
    findings
}

fn origin(check: &str, shape: &DistributionShape, viewer: &Viewer, target: &Target) -> Finding {
    if is_mistaken(shape, target.bucket()) {
        let found = format!("no origin is the bucket {}, so deploys are refused", target.bucket());
        return Finding::new(check, State::Error, found).fix(mistake_hint(target.bucket()));
    }
    if viewer.reaches_nothing() {
        return Finding::new(check, State::Error, format!("no origin shows {target}"))
            .fix("name another distribution, or point an origin and its path at the site");
    }
    if viewer.is_assumed() && shape.claim == Claim::AnyOrigin {
        return Finding::new(check, State::Ok, format!("any may show {target}, as --any-origin says"));
    }
    if viewer.is_assumed() {
        let found = format!("no origin is known to show {target}: a deploy assumes that one does");
        return Finding::new(check, State::Warning, found)
            .fix("if an alias or a proxy stands for the bucket, --any-origin confirms it; otherwise name another distribution");
    }
    let ours =
        shape.origins.iter().filter(|at| origin_is_bucket(&at.domain_name, target.bucket()) != OriginKind::Other);
    let ours: Vec<String> = ours.map(|origin| format!("{}{}", origin.domain_name, origin.origin_path)).collect();
    Finding::new(check, State::Ok, ours.join(" and "))
}

fn root(check: &str, shape: &DistributionShape, target: &Target) -> Finding {
    let website = |at: &Origin| origin_is_bucket(&at.domain_name, target.bucket()) == OriginKind::S3Website;
    let other = |at: &Origin| origin_is_bucket(&at.domain_name, target.bucket()) == OriginKind::Other;
    let rewrites = |behavior: &CacheBehavior| behavior.viewer_request_function || behavior.origin_request_function;
    match &shape.default_root_object {
        Some(object) => Finding::new(check, State::Ok, object),
        None if shape.origins.iter().any(website) => {
            Finding::new(check, State::Ok, "none: the website endpoint has its own")
        }
        None if shape.cache_behaviors.iter().any(rewrites) => {
            Finding::new(check, State::Ok, "none: a function may handle it")
        }
        None if shape.origins.iter().all(other) => Finding::new(check, State::Ok, "none: the origin may have its own"),
        None => Finding::new(check, State::Warning, "none: / returns an error").fix("set it to index.html"),
    }
}

/// A page that is served under the URL that failed cannot be reached by a path of its own.
fn error_pages(check: &str, shape: &DistributionShape, viewer: &Viewer) -> Finding {
    let responses = shape.custom_error_responses.iter();
    let slow = responses.clone().filter(|response| response.error_caching_min_ttl > TOLERATED_SECONDS);
    let slow: Vec<String> =
        slow.map(|response| format!("{} for {} s", response.error_code, response.error_caching_min_ttl)).collect();
    if !slow.is_empty() {
        return Finding::new(check, State::Warning, format!("errors stay cached for long: {}", slow.join(", ")))
            .fix(format!("set their ErrorCachingMinTTL to at most {TOLERATED_SECONDS} seconds"));
    }
    let pages: Vec<&str> =
        responses.map(|response| response.response_page_path.as_str()).filter(|path| !path.is_empty()).collect();
    // Evaluated as a deploy does for a changed page, with the header that it gets unless a rule sets another.
    let headers = [CachedHeaders::Known { cache_control: Some(CACHE_CONTROL), expires: false }];
    let reason = viewer.error_page_candidates().find_map(|key| match viewer.error_page_action(&key, &headers) {
        Some(ErrorPageAction::Everything { reason }) => Some(reason),
        _ => None,
    });
    match (pages.as_slice(), reason) {
        ([], _) => Finding::new(check, State::Ok, "none of its own"),
        (_, Some(reason)) => Finding::new(check, State::Warning, format!("when one changes, a deploy may evict everything: {reason}"))
            .fix(format!(
                "give the error page a cache behavior of its own whose MinTTL is at most {TOLERATED_SECONDS} s (examples/hosting)"
            )),
        (pages, None) => Finding::new(check, State::Ok, pages.join(" and ")),
    }
}

fn query_strings(check: &str, shape: &DistributionShape) -> Finding {
    let patterns = |wanted: &dyn Fn(&CacheBehavior) -> bool| {
        let found = shape.cache_behaviors.iter().filter(|behavior| wanted(behavior));
        found.map(|behavior| behavior.path_pattern.as_str()).collect::<Vec<_>>().join(", ")
    };
    let caches = |behavior: &CacheBehavior| behavior.ttl.is_none_or(|ttl| ttl.max > 0);
    let unread = patterns(&|behavior| behavior.query_strings == QueryStrings::Unknown);
    let keyed = patterns(&|behavior| {
        caches(behavior) && matches!(behavior.query_strings, QueryStrings::Some(_) | QueryStrings::All)
    });
    if !keyed.is_empty() {
        let found =
            format!("part of the cache key for {keyed}: each changed URL needs a wildcard, which may evict others");
        return Finding::new(check, State::Warning, found)
            .fix("use a cache policy without query strings, such as Managed-CachingOptimized, where pages do not depend on them");
    }
    if !unread.is_empty() {
        return Finding::new(check, State::NotChecked, format!("the cache policy for {unread} could not be read"))
            .fix("allow cloudfront:GetCachePolicy");
    }
    if !shape.cache_behaviors.iter().any(caches) {
        return Finding::new(check, State::Warning, "nothing is cached: every request goes to S3")
            .fix("use a cache policy with a MaxTTL above 0");
    }
    Finding::new(check, State::Ok, "not part of the cache key")
}

fn cache_tags(check: &str, shape: &DistributionShape) -> Finding {
    match &shape.cache_tag_header {
        None => Finding::new(check, State::Ok, "off: paths are invalidated"),
        Some(header) if header.starts_with(METADATA) => Finding::new(check, State::Ok, format!("read from {header}")),
        Some(header) => Finding::new(check, State::Warning, format!("read from {header}, which S3 cannot send"))
            .fix("name a header that begins with x-amz-meta- in CacheTagConfig"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_invalidation::viewer::{CustomErrorResponse, Ttl};

    fn good() -> DistributionShape {
        let (id, domain_name) = ("o".to_owned(), "b.s3.eu-west-1.amazonaws.com".to_owned());
        DistributionShape {
            readable: true,
            origins: vec![Origin { id: id.clone(), domain_name, ..Origin::default() }],
            default_root_object: Some("index.html".to_owned()),
            cache_behaviors: vec![CacheBehavior {
                path_pattern: "*".to_owned(),
                target_origin_id: id,
                ttl: Some(Ttl { min: 0, default: 60, max: 60 }),
                ..CacheBehavior::default()
            }],
            ..DistributionShape::default()
        }
    }

    /// The findings that are not ok, such as `origin error`.
    fn complaints(change: impl FnOnce(&mut DistributionShape)) -> Vec<String> {
        let mut shape = good();
        change(&mut shape);
        let (id, target) = (DistributionId::Distribution("E1".to_owned()), Target::parse("s3://bbb").unwrap());
        for origin in &mut shape.origins {
            origin.domain_name = origin.domain_name.replacen("b.s3", "bbb.s3", 1);
        }
        let found = findings(&id, &shape, &target).into_iter().filter(|finding| finding.state != State::Ok);
        found
            .inspect(|finding| assert!(finding.fix.is_some(), "{finding:?}"))
            .map(|finding| format!("{} {}", finding.check.split(" of ").next().unwrap(), finding.state.word()))
            .collect()
    }

    #[test]
    fn each_fault_of_a_configuration_is_found_and_comes_with_its_repair() {
        let error =
            |ttl| CustomErrorResponse { error_code: 404, error_caching_min_ttl: ttl, ..CustomErrorResponse::default() };
        assert_eq!(complaints(|_| {}), [""; 0]);
        assert_eq!(complaints(|shape| shape.readable = false), ["configuration warning"]);
        assert_eq!(complaints(|shape| shape.disabled = true), ["configuration error"]);
        assert_eq!(complaints(|shape| shape.origins[0].origin_path = "/x".into()), [""; 0], "a folder of the site");
        assert_eq!(complaints(|shape| shape.origins[0].domain_name = "o.s3.amazonaws.com".into()), ["origin error"]);
        assert_eq!(complaints(|shape| shape.origins[0].domain_name = "cdn.example".into()), ["origin warning"]);
        assert_eq!(complaints(|shape| shape.default_root_object = None), ["default root object warning"]);
        assert_eq!(complaints(|shape| shape.custom_error_responses = vec![error(60)]), [""; 0]);
        assert_eq!(complaints(|shape| shape.custom_error_responses = vec![error(61)]), ["error pages warning"]);
        let page = |ttl: u64| {
            move |shape: &mut DistributionShape| {
                shape.custom_error_responses = vec![error(10)];
                shape.custom_error_responses[0].response_page_path = "/404.html".into();
                shape.cache_behaviors[0].ttl = Some(Ttl { min: ttl, default: 86_400, max: 86_400 });
            }
        };
        assert_eq!(complaints(page(60)), [""; 0]);
        assert_eq!(complaints(page(61)), ["error pages warning"]);
        let queries = |value| move |shape: &mut DistributionShape| shape.cache_behaviors[0].query_strings = value;
        assert_eq!(complaints(queries(QueryStrings::All)), ["query strings warning"]);
        assert_eq!(complaints(queries(QueryStrings::Unknown)), ["query strings not checked"]);
        let nothing = Ttl { min: 0, default: 0, max: 0 };
        assert_eq!(complaints(|shape| shape.cache_behaviors[0].ttl = Some(nothing)), ["query strings warning"]);
        assert_eq!(complaints(|shape| shape.cache_tag_header = Some("x-amz-meta-tags".into())), [""; 0]);
        assert_eq!(complaints(|shape| shape.cache_tag_header = Some("cache-tag".into())), ["cache tags warning"]);
    }
}
