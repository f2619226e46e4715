//! The parts of a distribution's configuration that determine the URLs of a key.
//!
//! `src/cloudfront/shape.rs` fills this in from `GetDistributionConfig` and the cache policies it names.

use serde::{Deserialize, Serialize};

/// The configuration of one distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DistributionShape {
    pub id: String,
    /// Whether the configuration could be read. If not (no `cloudfront:GetDistributionConfig`), all but `id` is
    /// empty, and the viewer paths are a conservative guess.
    pub readable: bool,
    pub origins: Vec<Origin>,
    pub origin_groups: Vec<OriginGroup>,
    /// The key below the origin path that `/` serves, if any.
    pub default_root_object: Option<String>,
    /// In CloudFront's order, the default cache behavior (`*`) last.
    pub cache_behaviors: Vec<CacheBehavior>,
    pub custom_error_responses: Vec<CustomErrorResponse>,
    /// The origin response header that carries cache tags (`CacheTagConfig`), in lowercase.
    pub cache_tag_header: Option<String>,
    /// The ETag of the configuration: it changes whenever the configuration does.
    pub config_etag: Option<String>,
    /// The ID of the distribution whose configuration this is; for a tenant, it differs from `id`.
    pub configured_by: String,
    /// Alternate domain names, in lowercase.
    pub aliases: Vec<String>,
    /// The name that CloudFront assigned, such as `d111111abcdef8.cloudfront.net`. It is not in the configuration
    /// but in the list of distributions.
    pub domain_name: Option<String>,
    pub staging: bool,
    /// It serves nobody.
    pub disabled: bool,
    /// `ConnectionMode` is `tenant-only`: viewers reach it only through distribution tenants.
    pub tenants_only: bool,
    /// This is how one tenant serves the distribution, and `id` is the tenant's.
    pub tenant: bool,
    /// How it is known that the distribution serves the site.
    pub claim: Claim,
}

impl DistributionShape {
    /// A distribution whose configuration shipfront may not read.
    pub fn unreadable(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }
}

/// How it is known that a distribution serves the site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Only by its origins.
    #[default]
    Origins,
    /// The user names it: it serves the site unless every origin is certainly another bucket.
    Named,
    /// The user names it and says that any origin may serve the site (`--any-origin`), such as another bucket that
    /// the site's bucket is replicated to.
    AnyOrigin,
    /// The deploy record names it: a deploy that did not finish had to invalidate it. One whose every origin is
    /// certainly another bucket is excluded before: anybody who can write the record could name it.
    Recorded,
}

/// Where CloudFront fetches from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub id: String,
    pub domain_name: String,
    /// The prefix that CloudFront adds to the path: empty, or `/` and a folder. In a multi-tenant distribution, it
    /// may contain a parameter (`{{name}}`).
    pub origin_path: String,
    pub access: OriginAccess,
}

/// How CloudFront authenticates to an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginAccess {
    /// Not at all.
    #[default]
    Open,
    /// With an origin access control.
    Control,
    /// With an origin access identity, its predecessor.
    Identity,
}

/// Origins that replace each other on failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginGroup {
    pub id: String,
    /// The IDs of the origins.
    pub members: Vec<String>,
}

/// How the paths of one pattern are fetched and cached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheBehavior {
    pub path_pattern: String,
    /// The ID of an origin or of an origin group.
    pub target_origin_id: String,
    pub query_strings: QueryStrings,
    /// `None` if the cache policy could not be read.
    pub ttl: Option<Ttl>,
    /// A CloudFront Function or Lambda@Edge function runs before the cache is looked up.
    pub viewer_request_function: bool,
    /// A Lambda@Edge function runs between the cache and the origin.
    pub origin_request_function: bool,
    /// A response headers policy, or a function for responses, may give viewers other headers than the origin's.
    pub alters_headers: bool,
    /// The functions that run for viewer requests and viewer responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<ViewerFunction>,
}

/// A function that a behavior calls between viewers and the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerFunction {
    pub event: ViewerEvent,
    /// The ARN of a CloudFront Function, or of Lambda@Edge.
    pub arn: String,
}

/// When CloudFront calls a function between viewers and the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewerEvent {
    /// Before the cache is looked up.
    #[serde(rename = "viewer-request")]
    Request,
    /// Before a response with a status below 400 leaves, whether or not it comes from the cache.
    #[serde(rename = "viewer-response")]
    Response,
}

impl ViewerEvent {
    /// Both events.
    pub const ALL: [ViewerEvent; 2] = [ViewerEvent::Request, ViewerEvent::Response];

    /// CloudFront's name for it.
    pub fn word(self) -> &'static str {
        match self {
            ViewerEvent::Request => "viewer-request",
            ViewerEvent::Response => "viewer-response",
        }
    }
}

impl ViewerFunction {
    /// The name of a CloudFront Function; `None` for one of Lambda@Edge.
    pub fn name(&self) -> Option<&str> {
        let (before, name) = self.arn.rsplit_once(":function/")?;
        before.contains(":cloudfront:").then_some(name)
    }
}

/// Which query strings are part of the cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryStrings {
    #[default]
    None,
    /// Only those named, or (`allExcept`) all but some: a short list represents either.
    Some(Vec<String>),
    All,
    /// The cache policy could not be read (no `cloudfront:GetCachePolicy`).
    Unknown,
}

/// How long a behavior keeps cached copies, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ttl {
    pub min: u64,
    pub default: u64,
    pub max: u64,
}

/// CloudFront's response when the origin returns an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomErrorResponse {
    pub error_code: u16,
    /// The viewer path of the page; empty if only the TTL is customized.
    pub response_page_path: String,
    /// `ErrorCachingMinTTL` in seconds; CloudFront's default is 10.
    pub error_caching_min_ttl: u64,
}
