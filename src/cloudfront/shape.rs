//! Extracts what determines URLs from CloudFront's own configuration types.

use aws_sdk_cloudfront::types::{
    self, CachePolicyConfig, CachePolicyQueryStringBehavior, ConnectionMode, DistributionConfig, EventType,
    ForwardedValues, FunctionAssociations, LambdaFunctionAssociations,
};
use shipfront_invalidation::is_plain_id;
use shipfront_invalidation::viewer::{
    CacheBehavior, Claim, CustomErrorResponse, DistributionShape, Origin, OriginAccess, OriginGroup, QueryStrings, Ttl,
    ViewerEvent, ViewerFunction,
};
use std::collections::{BTreeSet, HashMap};

/// The TTLs of a behavior without any, in seconds
/// (<https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CachePolicyConfig.html>).
const DEFAULT_TTL: i64 = 86_400;
const MAX_TTL: i64 = 31_536_000;
/// `ErrorCachingMinTTL` of a custom error response that sets none
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html>).
const ERROR_CACHING_MIN_TTL: i64 = 10;

/// The cache policies, by ID; `None` for those that could not be read.
pub(super) type Policies = HashMap<String, Option<CachePolicyConfig>>;

/// The IDs of the cache policies that a configuration names.
pub(super) fn cache_policy_ids(config: &DistributionConfig) -> BTreeSet<String> {
    let default = config.default_cache_behavior.iter().filter_map(|behavior| behavior.cache_policy_id.clone());
    let behaviors = config.cache_behaviors.iter().flat_map(|behaviors| behaviors.items.iter().flatten());
    let named = default.chain(behaviors.filter_map(|behavior| behavior.cache_policy_id.clone()));
    // A value that is not an ID cannot be requested, so its behavior stays unread.
    named.filter(|id| is_plain_id(id)).collect()
}

/// The shape of a configuration.
pub(super) fn of(id: &str, etag: Option<String>, config: DistributionConfig, policies: &Policies) -> DistributionShape {
    let origins = config.origins.map(|origins| origins.items).unwrap_or_default();
    let groups = config.origin_groups.and_then(|groups| groups.items).unwrap_or_default();
    let ordered = config.cache_behaviors.and_then(|behaviors| behaviors.items).unwrap_or_default();
    let behaviors = ordered.into_iter().map(Behavior::from).chain(config.default_cache_behavior.map(Behavior::from));
    let aliases = config.aliases.and_then(|aliases| aliases.items).unwrap_or_default();
    let errors = config.custom_error_responses.and_then(|responses| responses.items).unwrap_or_default();
    DistributionShape {
        id: id.to_owned(),
        readable: true,
        origins: origins.into_iter().map(origin).collect(),
        origin_groups: groups.into_iter().map(origin_group).collect(),
        default_root_object: config.default_root_object.filter(|object| !object.is_empty()),
        cache_behaviors: behaviors.map(|behavior| behavior.shape(policies)).collect(),
        custom_error_responses: errors.into_iter().map(error_response).collect(),
        cache_tag_header: config.cache_tag_config.map(|tags| tags.header_name.to_ascii_lowercase()),
        config_etag: etag,
        configured_by: id.to_owned(),
        aliases: aliases.iter().map(|alias| alias.to_ascii_lowercase()).collect(),
        domain_name: None,
        disabled: !config.enabled,
        staging: config.staging.unwrap_or(false),
        tenants_only: config.connection_mode == Some(ConnectionMode::TenantOnly),
        tenant: false,
        claim: Claim::default(),
    }
}

/// Inserts a tenant's parameter where the configuration refers to it as `{{name}}`.
pub(super) fn fill_in(shape: &mut DistributionShape, name: &str, value: &str) {
    let place = format!("{{{{{name}}}}}");
    for origin in &mut shape.origins {
        origin.origin_path = origin.origin_path.replace(&place, value);
        origin.domain_name = origin.domain_name.replace(&place, value);
    }
}

fn origin(origin: types::Origin) -> Origin {
    let control = origin.origin_access_control_id.is_some_and(|id| !id.is_empty());
    let identity = origin.s3_origin_config.is_some_and(|config| !config.origin_access_identity.is_empty());
    let access = match (control, identity) {
        (true, _) => OriginAccess::Control,
        (_, true) => OriginAccess::Identity,
        _ => OriginAccess::Open,
    };
    let origin_path = origin.origin_path.unwrap_or_default();
    Origin { id: origin.id, domain_name: origin.domain_name, origin_path, access }
}

fn origin_group(group: types::OriginGroup) -> OriginGroup {
    let members = group.members.map(|members| members.items).unwrap_or_default();
    OriginGroup { id: group.id, members: members.into_iter().map(|member| member.origin_id).collect() }
}

fn error_response(response: types::CustomErrorResponse) -> CustomErrorResponse {
    CustomErrorResponse {
        error_code: u16::try_from(response.error_code).unwrap_or(0),
        response_page_path: response.response_page_path.unwrap_or_default(),
        error_caching_min_ttl: seconds(response.error_caching_min_ttl, ERROR_CACHING_MIN_TTL),
    }
}

fn seconds(value: Option<i64>, default: i64) -> u64 {
    value.unwrap_or(default).max(0) as u64
}

/// The common part of the default behavior and the ordered ones, which are two types of the SDK.
struct Behavior {
    path_pattern: String,
    target_origin_id: String,
    cache_policy_id: Option<String>,
    forwarded_values: Option<ForwardedValues>,
    ttl: [Option<i64>; 3],
    response_headers_policy_id: Option<String>,
    functions: Option<FunctionAssociations>,
    lambdas: Option<LambdaFunctionAssociations>,
}

impl From<types::CacheBehavior> for Behavior {
    #[expect(deprecated, reason = "distributions made before cache policies still carry these fields")]
    fn from(behavior: types::CacheBehavior) -> Behavior {
        Behavior {
            path_pattern: behavior.path_pattern,
            target_origin_id: behavior.target_origin_id,
            cache_policy_id: behavior.cache_policy_id,
            forwarded_values: behavior.forwarded_values,
            ttl: [behavior.min_ttl, behavior.default_ttl, behavior.max_ttl],
            response_headers_policy_id: behavior.response_headers_policy_id,
            functions: behavior.function_associations,
            lambdas: behavior.lambda_function_associations,
        }
    }
}

impl From<types::DefaultCacheBehavior> for Behavior {
    #[expect(deprecated, reason = "distributions made before cache policies still carry these fields")]
    fn from(behavior: types::DefaultCacheBehavior) -> Behavior {
        Behavior {
            path_pattern: "*".to_owned(),
            target_origin_id: behavior.target_origin_id,
            cache_policy_id: behavior.cache_policy_id,
            forwarded_values: behavior.forwarded_values,
            ttl: [behavior.min_ttl, behavior.default_ttl, behavior.max_ttl],
            response_headers_policy_id: behavior.response_headers_policy_id,
            functions: behavior.function_associations,
            lambdas: behavior.lambda_function_associations,
        }
    }
}

impl Behavior {
    fn shape(self, policies: &Policies) -> CacheBehavior {
        let (query_strings, ttl) = match &self.cache_policy_id {
            Some(id) => match policies.get(id) {
                Some(Some(policy)) => (policy_query_strings(policy), Some(policy_ttl(policy))),
                _ => (QueryStrings::Unknown, None),
            },
            None => {
                let [min, default, max] = self.ttl;
                (legacy_query_strings(self.forwarded_values.as_ref()), Some(ttl(min, default, max)))
            }
        };
        let has = |event: EventType| {
            let mut functions = self.functions.iter().flat_map(|functions| functions.items.iter().flatten());
            let mut lambdas = self.lambdas.iter().flat_map(|lambdas| lambdas.items.iter().flatten());
            functions.any(|function| function.event_type == event) || lambdas.any(|lambda| lambda.event_type == event)
        };
        let event = |event: &EventType| match event {
            EventType::ViewerRequest => Some(ViewerEvent::Request),
            EventType::ViewerResponse => Some(ViewerEvent::Response),
            _ => None,
        };
        let functions = self.functions.iter().flat_map(|functions| functions.items.iter().flatten());
        let functions = functions.map(|function| (&function.event_type, &function.function_arn));
        let lambdas = self.lambdas.iter().flat_map(|lambdas| lambdas.items.iter().flatten());
        let lambdas = lambdas.map(|lambda| (&lambda.event_type, &lambda.lambda_function_arn));
        let functions = functions.chain(lambdas);
        let functions = functions.filter_map(|(of, arn)| Some(ViewerFunction { event: event(of)?, arn: arn.clone() }));
        let policy = self.response_headers_policy_id.as_ref().is_some_and(|id| !id.is_empty());
        CacheBehavior {
            alters_headers: policy || has(EventType::ViewerResponse) || has(EventType::OriginResponse),
            viewer_request_function: has(EventType::ViewerRequest),
            functions: functions.collect(),
            origin_request_function: has(EventType::OriginRequest),
            path_pattern: self.path_pattern,
            target_origin_id: self.target_origin_id,
            query_strings,
            ttl,
        }
    }
}

fn ttl(min: Option<i64>, default: Option<i64>, max: Option<i64>) -> Ttl {
    let min = seconds(min, 0);
    Ttl { min, default: seconds(default, DEFAULT_TTL).max(min), max: seconds(max, MAX_TTL).max(min) }
}

fn policy_ttl(policy: &CachePolicyConfig) -> Ttl {
    ttl(Some(policy.min_ttl), policy.default_ttl, policy.max_ttl)
}

fn policy_query_strings(policy: &CachePolicyConfig) -> QueryStrings {
    let parameters = policy.parameters_in_cache_key_and_forwarded_to_origin.as_ref();
    let Some(config) = parameters.and_then(|parameters| parameters.query_strings_config.as_ref()) else {
        return QueryStrings::None;
    };
    let names = || config.query_strings.iter().flat_map(|names| names.items.iter().flatten()).cloned().collect();
    match &config.query_string_behavior {
        CachePolicyQueryStringBehavior::None => QueryStrings::None,
        CachePolicyQueryStringBehavior::Whitelist => QueryStrings::Some(names()),
        CachePolicyQueryStringBehavior::All | CachePolicyQueryStringBehavior::AllExcept => QueryStrings::All,
        // A value that this SDK does not know yet: the safe reading is that some are in the key.
        _ => QueryStrings::Unknown,
    }
}

fn legacy_query_strings(values: Option<&ForwardedValues>) -> QueryStrings {
    match values {
        Some(values) if values.query_string => {
            let keys = values.query_string_cache_keys.iter().flat_map(|keys| keys.items.iter().flatten());
            let keys: Vec<String> = keys.cloned().collect();
            if keys.is_empty() { QueryStrings::All } else { QueryStrings::Some(keys) }
        }
        _ => QueryStrings::None,
    }
}
