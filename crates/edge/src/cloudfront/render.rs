//! CloudFront's documents, element by element.
//! Names and order: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>.

use jiff::Timestamp;

use crate::distribution::{
    CacheBehavior, CachePolicy, CacheSettings, ConnectionMode, Distribution, FunctionAssociation, Origin, OriginKind,
    QueryStrings,
};
use crate::invalidation::Invalidation;
use crate::tenant::Tenant;
use crate::xml::Xml;

pub(super) fn time(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

pub(super) fn invalidation(invalidation: &Invalidation) -> String {
    Xml::document("Invalidation", |xml| {
        xml.text("Id", &invalidation.id);
        xml.text("Status", invalidation.status.as_str());
        xml.text("CreateTime", time(invalidation.created));
        xml.element("InvalidationBatch", |xml| {
            xml.list("Paths", &invalidation.items, |xml, item| xml.text("Path", item));
            xml.text("CallerReference", &invalidation.caller_reference);
        });
    })
}

fn arn(distribution: &Distribution) -> String {
    format!("arn:aws:cloudfront::000000000000:distribution/{}", distribution.id)
}

fn domain(distribution: &Distribution) -> String {
    format!("{}.localhost", distribution.id.to_ascii_lowercase())
}

pub(super) fn distribution(distribution: &Distribution, status: &str) -> String {
    Xml::document("Distribution", |xml| {
        xml.text("Id", &distribution.id);
        xml.text("ARN", arn(distribution));
        xml.text("Status", status);
        xml.text("LastModifiedTime", time(Timestamp::UNIX_EPOCH));
        xml.text("InProgressInvalidationBatches", 0);
        xml.text("DomainName", domain(distribution));
        xml.element("DistributionConfig", |xml| config(xml, distribution));
    })
}

/// Lists of a tenant have no number, unlike those of a distribution.
pub(super) fn tenant(tenant: &Tenant) -> String {
    Xml::document("DistributionTenant", |xml| {
        xml.text("Id", &tenant.id);
        xml.text("DistributionId", &tenant.distribution_id);
        xml.text("Name", &tenant.id);
        xml.text("Arn", format!("arn:aws:cloudfront::000000000000:distribution-tenant/{}", tenant.id));
        xml.element("Domains", |xml| {
            for domain in &tenant.domains {
                xml.element("member", |xml| {
                    xml.text("Domain", domain);
                    xml.text("Status", "active");
                });
            }
        });
        xml.element("Parameters", |xml| {
            for (name, value) in &tenant.parameters {
                xml.element("member", |xml| {
                    xml.text("Name", name);
                    xml.text("Value", value);
                });
            }
        });
        xml.text("Enabled", true);
        xml.text("Status", "Deployed");
    })
}

/// A summary lacks the default root object and the cache tags, as AWS's does.
pub(super) fn summary(xml: &mut Xml, distribution: &Distribution) {
    xml.text("Id", &distribution.id);
    xml.text("ARN", arn(distribution));
    xml.text("ETag", &distribution.etag);
    xml.text("Status", "Deployed");
    xml.text("LastModifiedTime", time(Timestamp::UNIX_EPOCH));
    xml.text("DomainName", domain(distribution));
    shared(xml, distribution);
}

/// The content of a `DistributionConfig`.
pub(super) fn config(xml: &mut Xml, distribution: &Distribution) {
    xml.text("CallerReference", &distribution.id);
    xml.text("DefaultRootObject", &distribution.default_root_object);
    shared(xml, distribution);
    if let Some(header) = &distribution.cache_tag_header {
        xml.element("CacheTagConfig", |xml| xml.text("HeaderName", header));
    }
}

fn shared(xml: &mut Xml, distribution: &Distribution) {
    xml.list("Aliases", &distribution.aliases, |xml, alias| xml.text("CNAME", alias));
    xml.list("Origins", &distribution.origins, origin);
    xml.list("OriginGroups", &distribution.origin_groups, |xml, group| {
        xml.element("OriginGroup", |xml| {
            xml.text("Id", &group.id);
            xml.element("FailoverCriteria", |xml| {
                xml.list("StatusCodes", &group.status_codes, |xml, code| {
                    xml.text("StatusCode", code);
                });
            });
            xml.list("Members", &group.members, |xml, member| {
                xml.element("OriginGroupMember", |xml| xml.text("OriginId", member));
            });
        });
    });
    xml.element("DefaultCacheBehavior", |xml| behavior(xml, &distribution.default_behavior));
    xml.list("CacheBehaviors", &distribution.behaviors, |xml, found| {
        xml.element("CacheBehavior", |xml| {
            xml.text("PathPattern", &found.path_pattern);
            behavior(xml, found);
        });
    });
    xml.list("CustomErrorResponses", &distribution.error_responses, |xml, response| {
        xml.element("CustomErrorResponse", |xml| {
            xml.text("ErrorCode", response.error_code);
            if let Some(path) = &response.page_path {
                xml.text("ResponsePagePath", path);
                xml.text("ResponseCode", response.response_code.unwrap_or(response.error_code));
            }
            xml.text("ErrorCachingMinTTL", response.error_caching_min_ttl);
        });
    });
    xml.text("Comment", &distribution.comment);
    xml.text("PriceClass", "PriceClass_All");
    xml.text("Enabled", distribution.enabled);
    xml.element("ViewerCertificate", |xml| xml.text("CloudFrontDefaultCertificate", true));
    xml.element("Restrictions", |xml| {
        xml.element("GeoRestriction", |xml| {
            xml.text("RestrictionType", "none");
            xml.text("Quantity", 0);
        });
    });
    xml.text("WebACLId", "");
    xml.text("HttpVersion", "http2");
    xml.text("IsIPV6Enabled", true);
    xml.text("Staging", distribution.staging);
    let mode = match distribution.connection_mode {
        ConnectionMode::Direct => "direct",
        ConnectionMode::TenantOnly => "tenant-only",
    };
    xml.text("ConnectionMode", mode);
}

fn origin(xml: &mut Xml, origin: &Origin) {
    xml.element("Origin", |xml| {
        xml.text("Id", &origin.id);
        xml.text("DomainName", &origin.domain_name);
        xml.text("OriginPath", &origin.origin_path);
        xml.element("CustomHeaders", |xml| xml.text("Quantity", 0));
        match origin.kind {
            OriginKind::S3 => xml.element("S3OriginConfig", |xml| {
                xml.text("OriginAccessIdentity", "");
            }),
            OriginKind::Website => xml.element("CustomOriginConfig", |xml| {
                xml.text("HTTPPort", 80);
                xml.text("HTTPSPort", 443);
                xml.text("OriginProtocolPolicy", "http-only");
            }),
        }
        xml.text("ConnectionAttempts", 3);
        xml.text("ConnectionTimeout", 10);
    });
}

fn behavior(xml: &mut Xml, behavior: &CacheBehavior) {
    let functions = |xml: &mut Xml, list: &str, item: &str, arn: &str, all: &[FunctionAssociation]| {
        xml.list(list, all, |xml, function| {
            xml.element(item, |xml| {
                xml.text(arn, &function.arn);
                xml.text("EventType", &function.event_type);
            });
        });
    };
    xml.text("TargetOriginId", &behavior.target_origin_id);
    xml.text("ViewerProtocolPolicy", "allow-all");
    xml.text("SmoothStreaming", false);
    xml.text("Compress", behavior.compress);
    functions(
        xml,
        "LambdaFunctionAssociations",
        "LambdaFunctionAssociation",
        "LambdaFunctionARN",
        &behavior.lambda_functions,
    );
    functions(xml, "FunctionAssociations", "FunctionAssociation", "FunctionARN", &behavior.functions);
    if !behavior.response_headers.is_empty() {
        xml.text("ResponseHeadersPolicyId", "response-headers");
    }
    match &behavior.cache {
        CacheSettings::Policy(id) => xml.text("CachePolicyId", id),
        CacheSettings::Legacy { query_string, min_ttl, default_ttl, max_ttl } => {
            xml.element("ForwardedValues", |xml| {
                xml.text("QueryString", query_string);
                xml.element("Cookies", |xml| xml.text("Forward", "none"));
            });
            xml.text("MinTTL", min_ttl);
            xml.text("DefaultTTL", default_ttl);
            xml.text("MaxTTL", max_ttl);
        }
    }
}

pub(super) fn cache_policy(policy: &CachePolicy) -> String {
    let (behavior, names): (_, &[String]) = match &policy.query_strings {
        QueryStrings::None => ("none", &[]),
        QueryStrings::Whitelist(names) => ("whitelist", names),
        QueryStrings::All => ("all", &[]),
    };
    Xml::document("CachePolicy", |xml| {
        xml.text("Id", &policy.id);
        xml.text("LastModifiedTime", time(Timestamp::UNIX_EPOCH));
        xml.element("CachePolicyConfig", |xml| {
            xml.text("Comment", "");
            xml.text("Name", &policy.name);
            xml.text("DefaultTTL", policy.default_ttl);
            xml.text("MaxTTL", policy.max_ttl);
            xml.text("MinTTL", policy.min_ttl);
            xml.element("ParametersInCacheKeyAndForwardedToOrigin", |xml| {
                xml.text("EnableAcceptEncodingGzip", false);
                xml.text("EnableAcceptEncodingBrotli", false);
                xml.element("HeadersConfig", |xml| xml.text("HeaderBehavior", "none"));
                xml.element("CookiesConfig", |xml| xml.text("CookieBehavior", "none"));
                xml.element("QueryStringsConfig", |xml| {
                    xml.text("QueryStringBehavior", behavior);
                    if !names.is_empty() {
                        xml.list("QueryStrings", names, |xml, name| xml.text("Name", name));
                    }
                });
            });
        });
    })
}
