//! Distributions: the parts of CloudFront's `DistributionConfig` that decide what a viewer gets.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::functions::{self, Function};

/// A distribution. <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// `E` and 13 uppercase letters and digits.
    pub id: String,
    /// The version, which differs after each change. Set by the edge.
    pub etag: String,
    /// Viewers get 403 from a disabled distribution.
    pub enabled: bool,
    /// Alternate domain names.
    pub aliases: Vec<String>,
    /// A staging distribution of continuous deployment.
    pub staging: bool,
    /// Returned by CloudFront's API, without effect.
    pub comment: String,
    /// At least one.
    pub origins: Vec<Origin>,
    /// Pairs of origins.
    pub origin_groups: Vec<OriginGroup>,
    /// The object that `/` serves; empty for none.
    pub default_root_object: String,
    /// Cache behaviors in order of precedence, before the default one.
    pub behaviors: Vec<CacheBehavior>,
    /// The behavior if no pattern matches.
    pub default_behavior: CacheBehavior,
    /// At most one for each status.
    pub error_responses: Vec<ErrorResponse>,
    /// `CacheTagConfig.HeaderName`: the origin's response header that carries cache tags.
    pub cache_tag_header: Option<String>,
    #[serde(default)]
    /// Whether viewers reach it directly, or only through its tenants.
    pub connection_mode: ConnectionMode,
}

/// How viewers reach a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionMode {
    /// At its own domain name and aliases.
    #[default]
    Direct,
    /// At the names of its tenants.
    TenantOnly,
}

/// Where objects come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Unique among origins and origin groups.
    pub id: String,
    /// `<bucket>.s3.<region>.amazonaws.com`, or a website endpoint of a bucket.
    pub domain_name: String,
    /// Prepended to the path of each origin request: empty, or `/dir` without a trailing slash.
    pub origin_path: String,
    /// The endpoint to ask.
    pub kind: OriginKind,
}

/// The kind of an origin's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OriginKind {
    /// The REST endpoint of a bucket (`S3OriginConfig`).
    S3,
    /// The website endpoint of a bucket (`CustomOriginConfig`): index documents and redirects.
    Website,
}

/// Two origins, of which the second answers if the first fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OriginGroup {
    /// Unique among origins and origin groups.
    pub id: String,
    /// IDs of origins, the primary first.
    pub members: Vec<String>,
    /// Statuses of the primary that make CloudFront ask the next.
    pub status_codes: Vec<u16>,
}

/// The settings for the paths that match a pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheBehavior {
    /// `*` and `?` are wildcards; the default behavior's pattern is `*`.
    pub path_pattern: String,
    /// ID of an origin or of an origin group.
    pub target_origin_id: String,
    /// Cache key and times to live.
    pub cache: CacheSettings,
    /// CloudFront Functions, at most one for each event. The edge runs the live stage of functions that it has, if
    /// it is built with the feature `functions`; it only lists others.
    pub functions: Vec<FunctionAssociation>,
    /// Lambda@Edge functions. The edge lists them but runs none.
    pub lambda_functions: Vec<FunctionAssociation>,
    /// Headers that a response headers policy sets instead of the origin's, by lowercase name.
    #[serde(default)]
    pub response_headers: Vec<(String, String)>,
    /// Whether responses are compressed for viewers that accept it.
    #[serde(default)]
    pub compress: bool,
}

/// The contents of the cache key, and how long responses are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CacheSettings {
    /// ID of a cache policy.
    Policy(String),
    /// Settings in the behavior itself (`ForwardedValues`), as in older distributions.
    Legacy {
        /// Whether the whole query string is in the cache key.
        query_string: bool,
        /// Seconds.
        min_ttl: u64,
        /// Seconds.
        default_ttl: u64,
        /// Seconds.
        max_ttl: u64,
    },
}

/// A function of a behavior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionAssociation {
    /// `viewer-request`, `origin-request`, `origin-response` or `viewer-response`.
    pub event_type: String,
    /// The function's ARN.
    pub arn: String,
}

/// A custom error response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// The origin's status.
    pub error_code: u16,
    /// The page to serve instead of the origin's; `None` keeps the response and sets only how long it is kept.
    pub page_path: Option<String>,
    /// The viewer's status; `None` keeps the origin's.
    pub response_code: Option<u16>,
    /// Seconds that the error is kept under the requested URL.
    pub error_caching_min_ttl: u64,
}

/// A cache policy. <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CachePolicyConfig.html>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachePolicy {
    /// A UUID on AWS; any text here.
    pub id: String,
    /// Unique on AWS.
    pub name: String,
    /// Seconds.
    pub min_ttl: u64,
    /// Seconds.
    pub default_ttl: u64,
    /// Seconds.
    pub max_ttl: u64,
    /// The query strings in the cache key.
    pub query_strings: QueryStrings,
}

/// Query strings in the cache key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum QueryStrings {
    /// None is in the key.
    None,
    /// The parameters of these names.
    Whitelist(Vec<String>),
    /// The whole query string.
    All,
}

/// AWS's managed cache policy that keeps objects for a day, without query strings in the key.
pub const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
/// AWS's managed cache policy that keeps nothing.
pub const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";

pub(super) const DAY: u64 = 86_400;
pub(super) const YEAR: u64 = 31_536_000;

impl CacheBehavior {
    /// A behavior for `path_pattern` with the TTLs that CloudFront sets by default.
    #[must_use]
    pub fn new(path_pattern: &str, target_origin_id: &str) -> Self {
        Self {
            path_pattern: path_pattern.to_owned(),
            target_origin_id: target_origin_id.to_owned(),
            cache: CacheSettings::Legacy { query_string: false, min_ttl: 0, default_ttl: DAY, max_ttl: YEAR },
            functions: Vec::new(),
            lambda_functions: Vec::new(),
            response_headers: Vec::new(),
            compress: false,
        }
    }
}

impl Origin {
    /// The bucket in the domain name; `None` for a host that is not S3's.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        let host = self.domain_name.strip_suffix(".amazonaws.com")?;
        let end = [".s3-website", ".s3."].into_iter().filter_map(|mark| host.rfind(mark)).max();
        end.or_else(|| host.strip_suffix(".s3").map(str::len)).map(|end| &host[..end])
    }
}

impl Distribution {
    /// The distribution that a new bucket gets.
    #[must_use]
    pub fn for_bucket(bucket: &str) -> Self {
        let origin = format!("S3-{bucket}");
        Self {
            id: identifier(&format!("distribution of {bucket}")),
            etag: String::new(),
            enabled: true,
            aliases: Vec::new(),
            staging: false,
            comment: format!("local edge of {bucket}"),
            origins: vec![Origin {
                id: origin.clone(),
                domain_name: format!("{bucket}.s3.us-east-1.amazonaws.com"),
                origin_path: String::new(),
                kind: OriginKind::S3,
            }],
            origin_groups: Vec::new(),
            default_root_object: "index.html".to_owned(),
            behaviors: Vec::new(),
            default_behavior: CacheBehavior::new("*", &origin),
            error_responses: vec![ErrorResponse {
                error_code: 404,
                page_path: Some("/404.html".to_owned()),
                response_code: Some(404),
                error_caching_min_ttl: 10,
            }],
            cache_tag_header: None,
            connection_mode: ConnectionMode::Direct,
        }
    }

    /// The same with a viewer-request function, as many sites have it, that serves `/dir/index.html` at `/dir/` and
    /// `/dir`: [`Function::index_rewrite`], which [`Edge::put_distribution`](crate::Edge::put_distribution) creates
    /// if it does not exist.
    #[must_use]
    pub fn with_index_rewrite(self) -> Self {
        self.with_function("viewer-request", &Function::index_rewrite().name)
    }

    /// The same with a function for an event of the default behavior, replacing the previous one.
    #[must_use]
    pub fn with_function(mut self, event_type: &str, name: &str) -> Self {
        self.default_behavior.functions.retain(|function| function.event_type != event_type);
        let association = FunctionAssociation { event_type: event_type.to_owned(), arn: functions::arn(name) };
        self.default_behavior.functions.push(association);
        self
    }

    /// The first behavior whose pattern matches `path`, otherwise the default one.
    #[must_use]
    pub fn behavior(&self, path: &str) -> &CacheBehavior {
        let mut behaviors = self.behaviors.iter();
        let matching = behaviors.find(|behavior| {
            WildMatch::new(behavior.path_pattern.trim_start_matches('/')).matches(path.trim_start_matches('/'))
        });
        matching.unwrap_or(&self.default_behavior)
    }

    /// Whether a behavior has the function with this ARN.
    pub(super) fn has_function(&self, arn: &str) -> bool {
        let mut behaviors = self.behaviors.iter().chain([&self.default_behavior]);
        behaviors.any(|behavior| behavior.functions.iter().any(|function| function.arn == arn))
    }

    /// The origins that a behavior asks, in order, and the statuses at which it asks the next.
    pub(super) fn targets(&self, behavior: &CacheBehavior) -> (Vec<&Origin>, &[u16]) {
        let origin = |id: &String| self.origins.iter().find(|origin| origin.id == *id);
        let mut groups = self.origin_groups.iter();
        match groups.find(|group| group.id == behavior.target_origin_id) {
            Some(group) => {
                let members = group.members.iter().filter_map(origin).collect();
                (members, &group.status_codes)
            }
            None => (origin(&behavior.target_origin_id).into_iter().collect(), &[]),
        }
    }

    /// The first target of a behavior that does not exist.
    pub(super) fn dangling(&self) -> Option<&str> {
        let behaviors = self.behaviors.iter().chain([&self.default_behavior]);
        let mut targets = behaviors.map(|behavior| behavior.target_origin_id.as_str());
        targets.find(|target| {
            !self.origins.iter().any(|origin| origin.id == *target)
                && !self.origin_groups.iter().any(|group| group.id == *target)
        })
    }
}

/// `E` and 13 letters and digits that depend only on `seed`.
pub(super) fn identifier(seed: &str) -> String {
    const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut number = u128::from_be_bytes(Md5::digest(seed).into());
    let mut id = String::from("E");
    for _ in 0..13 {
        id.push(char::from(ALPHABET[(number % 36) as usize]));
        number /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_of_an_origin_is_read_from_its_domain() {
        let bucket = |domain: &str| {
            let origin = Origin {
                id: String::new(),
                domain_name: domain.to_owned(),
                origin_path: String::new(),
                kind: OriginKind::S3,
            };
            origin.bucket().map(str::to_owned)
        };
        let www = Some("www.example.com".to_owned());
        assert_eq!(bucket("www.example.com.s3.eu-west-1.amazonaws.com"), www);
        assert_eq!(bucket("www.example.com.s3.amazonaws.com"), www);
        assert_eq!(bucket("www.example.com.s3-website-us-east-1.amazonaws.com"), www);
        assert_eq!(bucket("www.example.com.s3-website.eu-central-1.amazonaws.com"), www);
        assert_eq!(bucket("www.example.com"), None);
    }

    #[test]
    fn the_first_matching_behavior_wins() {
        let mut distribution = Distribution::for_bucket("b");
        for pattern in ["img/*.png", "/img/*", "a?c"] {
            distribution.behaviors.push(CacheBehavior::new(pattern, "S3-b"));
        }
        let pattern = |path: &str| distribution.behavior(path).path_pattern.clone();
        assert_eq!(pattern("/img/x/y.png"), "img/*.png");
        assert_eq!(pattern("/img/x.gif"), "/img/*");
        assert_eq!(pattern("/abc"), "a?c");
        assert_eq!(pattern("/abcd"), "*");
        assert_eq!(pattern("/IMG/x.gif"), "*");
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_decided_at_once() {
        let mut distribution = Distribution::for_bucket("b");
        distribution.behaviors.push(CacheBehavior::new(&format!("{}b", "a*".repeat(40)), "S3-b"));
        assert_eq!(distribution.behavior(&format!("/{}", "a".repeat(10_000))).path_pattern, "*");
    }
}
