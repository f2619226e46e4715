//! `Distribution`, `DistributionSummary` and `DistributionConfig`.

use jiff::Timestamp;
use serde::Serialize;

use super::{List, time};
use crate::distribution::{self, CacheSettings, ConnectionMode, OriginKind};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct Distribution {
    id: String,
    #[serde(rename = "ARN")]
    arn: String,
    status: &'static str,
    last_modified_time: String,
    in_progress_invalidation_batches: usize,
    domain_name: String,
    distribution_config: DistributionConfig,
}

/// A summary lacks the default root object and the cache tags, as in AWS's API.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct DistributionSummary {
    id: String,
    #[serde(rename = "ARN")]
    arn: String,
    #[serde(rename = "ETag")]
    etag: String,
    status: &'static str,
    last_modified_time: String,
    domain_name: String,
    #[serde(flatten)]
    shared: Shared,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct DistributionConfig {
    caller_reference: String,
    default_root_object: String,
    #[serde(flatten)]
    shared: Shared,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_tag_config: Option<CacheTagConfig>,
}

/// The common part of a summary and a configuration.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shared {
    aliases: List<Alias>,
    origins: List<Origin>,
    origin_groups: List<OriginGroup>,
    default_cache_behavior: CacheBehavior,
    cache_behaviors: List<CacheBehavior>,
    custom_error_responses: List<CustomErrorResponse>,
    comment: String,
    price_class: &'static str,
    enabled: bool,
    viewer_certificate: ViewerCertificate,
    restrictions: Restrictions,
    #[serde(rename = "WebACLId")]
    web_acl_id: &'static str,
    http_version: &'static str,
    #[serde(rename = "IsIPV6Enabled")]
    is_ipv6_enabled: bool,
    staging: bool,
    connection_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CacheTagConfig {
    header_name: String,
}

#[derive(Serialize)]
enum Alias {
    #[serde(rename = "CNAME")]
    Cname(String),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Origin {
    id: String,
    domain_name: String,
    origin_path: String,
    custom_headers: List<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_origin_config: Option<S3OriginConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_origin_config: Option<CustomOriginConfig>,
    connection_attempts: u32,
    connection_timeout: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct S3OriginConfig {
    origin_access_identity: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CustomOriginConfig {
    #[serde(rename = "HTTPPort")]
    http_port: u16,
    #[serde(rename = "HTTPSPort")]
    https_port: u16,
    origin_protocol_policy: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OriginGroup {
    id: String,
    failover_criteria: FailoverCriteria,
    members: List<OriginGroupMember>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverCriteria {
    status_codes: List<StatusCode>,
}

#[derive(Serialize)]
enum StatusCode {
    StatusCode(u16),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OriginGroupMember {
    origin_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CacheBehavior {
    /// The default behavior has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_pattern: Option<String>,
    target_origin_id: String,
    viewer_protocol_policy: &'static str,
    smooth_streaming: bool,
    compress: bool,
    lambda_function_associations: List<LambdaFunctionAssociation>,
    function_associations: List<FunctionAssociation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_headers_policy_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_policy_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded_values: Option<ForwardedValues>,
    #[serde(rename = "MinTTL", skip_serializing_if = "Option::is_none")]
    min_ttl: Option<u64>,
    #[serde(rename = "DefaultTTL", skip_serializing_if = "Option::is_none")]
    default_ttl: Option<u64>,
    #[serde(rename = "MaxTTL", skip_serializing_if = "Option::is_none")]
    max_ttl: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LambdaFunctionAssociation {
    #[serde(rename = "LambdaFunctionARN")]
    arn: String,
    event_type: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionAssociation {
    #[serde(rename = "FunctionARN")]
    arn: String,
    event_type: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ForwardedValues {
    query_string: bool,
    cookies: Cookies,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Cookies {
    forward: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CustomErrorResponse {
    error_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_page_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_code: Option<u16>,
    #[serde(rename = "ErrorCachingMinTTL")]
    error_caching_min_ttl: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ViewerCertificate {
    cloud_front_default_certificate: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Restrictions {
    geo_restriction: GeoRestriction,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GeoRestriction {
    restriction_type: &'static str,
    quantity: usize,
}

impl Distribution {
    pub(in crate::cloudfront) fn new(
        found: &distribution::Distribution,
        status: &'static str,
        in_progress_invalidation_batches: usize,
    ) -> Self {
        Self {
            id: found.id.clone(),
            arn: arn(found),
            status,
            last_modified_time: time(Timestamp::UNIX_EPOCH),
            in_progress_invalidation_batches,
            domain_name: domain(found),
            distribution_config: found.into(),
        }
    }
}

impl From<&distribution::Distribution> for DistributionSummary {
    fn from(found: &distribution::Distribution) -> Self {
        Self {
            id: found.id.clone(),
            arn: arn(found),
            etag: found.etag.clone(),
            status: "Deployed",
            last_modified_time: time(Timestamp::UNIX_EPOCH),
            domain_name: domain(found),
            shared: found.into(),
        }
    }
}

impl From<&distribution::Distribution> for DistributionConfig {
    fn from(found: &distribution::Distribution) -> Self {
        let header = found.cache_tag_header.clone();
        Self {
            caller_reference: found.id.clone(),
            default_root_object: found.default_root_object.clone(),
            shared: found.into(),
            cache_tag_config: header.map(|header_name| CacheTagConfig { header_name }),
        }
    }
}

impl From<&distribution::Distribution> for Shared {
    fn from(found: &distribution::Distribution) -> Self {
        let with_pattern = |behavior: &distribution::CacheBehavior| CacheBehavior {
            path_pattern: Some(behavior.path_pattern.clone()),
            ..behavior.into()
        };
        Self {
            aliases: found.aliases.iter().cloned().map(Alias::Cname).collect(),
            origins: found.origins.iter().map(Origin::from).collect(),
            origin_groups: found.origin_groups.iter().map(OriginGroup::from).collect(),
            default_cache_behavior: (&found.default_behavior).into(),
            cache_behaviors: found.behaviors.iter().map(with_pattern).collect(),
            custom_error_responses: found.error_responses.iter().map(CustomErrorResponse::from).collect(),
            comment: found.comment.clone(),
            price_class: "PriceClass_All",
            enabled: found.enabled,
            viewer_certificate: ViewerCertificate { cloud_front_default_certificate: true },
            restrictions: Restrictions { geo_restriction: GeoRestriction { restriction_type: "none", quantity: 0 } },
            web_acl_id: "",
            http_version: "http2",
            is_ipv6_enabled: true,
            staging: found.staging,
            connection_mode: match found.connection_mode {
                ConnectionMode::Direct => "direct",
                ConnectionMode::TenantOnly => "tenant-only",
            },
        }
    }
}

impl From<&distribution::Origin> for Origin {
    fn from(origin: &distribution::Origin) -> Self {
        let is_website = origin.kind == OriginKind::Website;
        let custom = CustomOriginConfig { http_port: 80, https_port: 443, origin_protocol_policy: "http-only" };
        Self {
            id: origin.id.clone(),
            domain_name: origin.domain_name.clone(),
            origin_path: origin.origin_path.clone(),
            custom_headers: List::from_iter([]),
            s3_origin_config: (!is_website).then_some(S3OriginConfig { origin_access_identity: "" }),
            custom_origin_config: is_website.then_some(custom),
            connection_attempts: 3,
            connection_timeout: 10,
        }
    }
}

impl From<&distribution::OriginGroup> for OriginGroup {
    fn from(group: &distribution::OriginGroup) -> Self {
        let member = |id: &String| OriginGroupMember { origin_id: id.clone() };
        Self {
            id: group.id.clone(),
            failover_criteria: FailoverCriteria {
                status_codes: group.status_codes.iter().copied().map(StatusCode::StatusCode).collect(),
            },
            members: group.members.iter().map(member).collect(),
        }
    }
}

impl From<&distribution::CacheBehavior> for CacheBehavior {
    fn from(behavior: &distribution::CacheBehavior) -> Self {
        let lambda = |function: &distribution::FunctionAssociation| LambdaFunctionAssociation {
            arn: function.arn.clone(),
            event_type: function.event_type.clone(),
        };
        let function = |function: &distribution::FunctionAssociation| FunctionAssociation {
            arn: function.arn.clone(),
            event_type: function.event_type.clone(),
        };
        let (policy, legacy) = match &behavior.cache {
            CacheSettings::Policy(id) => (Some(id.clone()), None),
            CacheSettings::Legacy { query_string, min_ttl, default_ttl, max_ttl } => {
                (None, Some((*query_string, [*min_ttl, *default_ttl, *max_ttl])))
            }
        };
        let forwarded = |(query_string, _)| ForwardedValues { query_string, cookies: Cookies { forward: "none" } };
        let ttl = |which: usize| legacy.map(|(_, ttls)| ttls[which]);
        Self {
            path_pattern: None,
            target_origin_id: behavior.target_origin_id.clone(),
            viewer_protocol_policy: "allow-all",
            smooth_streaming: false,
            compress: behavior.compress,
            lambda_function_associations: behavior.lambda_functions.iter().map(lambda).collect(),
            function_associations: behavior.functions.iter().map(function).collect(),
            response_headers_policy_id: (!behavior.response_headers.is_empty()).then_some("response-headers"),
            cache_policy_id: policy,
            forwarded_values: legacy.map(forwarded),
            min_ttl: ttl(0),
            default_ttl: ttl(1),
            max_ttl: ttl(2),
        }
    }
}

impl From<&distribution::ErrorResponse> for CustomErrorResponse {
    fn from(response: &distribution::ErrorResponse) -> Self {
        let code = response.response_code.unwrap_or(response.error_code);
        Self {
            error_code: response.error_code,
            response_page_path: response.page_path.clone(),
            response_code: response.page_path.is_some().then_some(code),
            error_caching_min_ttl: response.error_caching_min_ttl,
        }
    }
}

fn arn(distribution: &distribution::Distribution) -> String {
    format!("arn:aws:cloudfront::000000000000:distribution/{}", distribution.id)
}

fn domain(distribution: &distribution::Distribution) -> String {
    format!("{}.localhost", distribution.id.to_ascii_lowercase())
}
