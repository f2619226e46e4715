//! `CachePolicy`. <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CachePolicyConfig.html>

use jiff::Timestamp;
use serde::Serialize;

use super::{List, time};
use crate::distribution::{self, QueryStrings};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct CachePolicy {
    id: String,
    last_modified_time: String,
    cache_policy_config: CachePolicyConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CachePolicyConfig {
    comment: &'static str,
    name: String,
    #[serde(rename = "DefaultTTL")]
    default_ttl: u64,
    #[serde(rename = "MaxTTL")]
    max_ttl: u64,
    #[serde(rename = "MinTTL")]
    min_ttl: u64,
    parameters_in_cache_key_and_forwarded_to_origin: Parameters,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    enable_accept_encoding_gzip: bool,
    enable_accept_encoding_brotli: bool,
    headers_config: HeadersConfig,
    cookies_config: CookiesConfig,
    query_strings_config: QueryStringsConfig,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HeadersConfig {
    header_behavior: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CookiesConfig {
    cookie_behavior: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct QueryStringsConfig {
    query_string_behavior: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_strings: Option<List<Name>>,
}

#[derive(Serialize)]
enum Name {
    Name(String),
}

impl From<&distribution::CachePolicy> for CachePolicy {
    fn from(policy: &distribution::CachePolicy) -> Self {
        let (query_string_behavior, names) = match &policy.query_strings {
            QueryStrings::None => ("none", None),
            QueryStrings::Whitelist(names) => ("whitelist", Some(names.iter().cloned().map(Name::Name).collect())),
            QueryStrings::All => ("all", None),
        };
        Self {
            id: policy.id.clone(),
            last_modified_time: time(Timestamp::UNIX_EPOCH),
            cache_policy_config: CachePolicyConfig {
                comment: "",
                name: policy.name.clone(),
                default_ttl: policy.default_ttl,
                max_ttl: policy.max_ttl,
                min_ttl: policy.min_ttl,
                parameters_in_cache_key_and_forwarded_to_origin: Parameters {
                    enable_accept_encoding_gzip: false,
                    enable_accept_encoding_brotli: false,
                    headers_config: HeadersConfig { header_behavior: "none" },
                    cookies_config: CookiesConfig { cookie_behavior: "none" },
                    query_strings_config: QueryStringsConfig { query_string_behavior, query_strings: names },
                },
            },
        }
    }
}
