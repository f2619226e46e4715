//! Compiles a distribution's configuration into the form that a [`Viewer`] needs for every key.

use crate::viewer::encoding::{decode, encode_typed};
use crate::viewer::origin::{OriginKind, names_a_bucket, origin_is_bucket};
use crate::viewer::pattern::PathPattern;
use crate::viewer::shape::{
    CacheBehavior, Claim, DistributionShape, Origin, OriginGroup, QueryStrings, Ttl, ViewerFunction,
};
use crate::viewer::{IndexAlias, Site, Viewer, ViewerOptions};
use shipfront_site::Warning;

/// A place in the bucket that one origin serves from its root.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// The part of the key that the viewer path lacks: empty, or ending in `/`.
    pub(super) prefix: String,
    /// The origin's index among the distribution's origins.
    origin: usize,
    /// Whether a behavior that may fetch from any origin may fetch from this one.
    ours: bool,
    /// Whether the origin itself answers for a directory with its index document.
    pub(super) index_documents: bool,
}

/// The relevant properties of a cache behavior.
#[derive(Clone, Debug)]
pub(super) struct Behavior {
    pub(super) pattern: PathPattern,
    /// The origins that it may fetch from without a function.
    origins: Vec<usize>,
    /// Whether one of them may be anything, such as a proxy in front of the site's bucket.
    unknown_target: bool,
    /// Whether a function may change the path or the origin.
    pub(super) rewrites: bool,
    /// False if its MaxTTL is 0.
    pub(super) caches: bool,
    pub(super) query_strings: bool,
    /// Whether viewers may get other headers than the origin's.
    pub(super) alters_headers: bool,
    pub(super) ttl: Option<Ttl>,
    pub(super) functions: Vec<ViewerFunction>,
}

impl Base {
    /// Whether its origin serves the site, by its name or because somebody says so.
    pub(super) fn is_ours(&self) -> bool {
        self.ours
    }
}

impl Behavior {
    /// Whether it fetches from the origin of `base` without a function.
    pub(super) fn asks(&self, base: &Base) -> bool {
        self.origins.contains(&base.origin)
    }

    /// Whether it may serve the key at a viewer path below `base`.
    pub(super) fn may_serve(&self, base: &Base) -> bool {
        self.origins.contains(&base.origin) || base.ours && (self.rewrites || self.unknown_target)
    }

    /// Whether its origin is a bucket and has no fallback.
    pub(super) fn asks_one_known_origin(&self) -> bool {
        self.origins.len() == 1 && !self.unknown_target
    }
}

/// How an origin relates to the site's bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Bucket,
    BucketWebsite,
    AnotherBucket,
    Unknown,
}

impl Relation {
    fn of(origin: &Origin, bucket: &str) -> Self {
        match origin_is_bucket(&origin.domain_name, bucket) {
            OriginKind::S3Rest => Self::Bucket,
            OriginKind::S3Website => Self::BucketWebsite,
            // Only the tenant knows the value.
            OriginKind::Other if origin.domain_name.contains("{{") => Self::Unknown,
            OriginKind::Other if names_a_bucket(&origin.domain_name) => Self::AnotherBucket,
            OriginKind::Other => Self::Unknown,
        }
    }

    fn is_ours(self) -> bool {
        matches!(self, Self::Bucket | Self::BucketWebsite)
    }
}

/// Whether the user names a distribution that certainly serves other buckets than `bucket`: each origin is one by
/// its name, and no function before the origin may choose another.
pub fn is_mistaken(shape: &DistributionShape, bucket: &str) -> bool {
    shape.claim == Claim::Named && shows_only_others(shape, bucket)
}

/// Whether a distribution certainly serves only other buckets than `bucket`, however it was named.
pub fn shows_only_others(shape: &DistributionShape, bucket: &str) -> bool {
    let origins: Vec<Relation> = shape.origins.iter().map(|origin| Relation::of(origin, bucket)).collect();
    shape.readable
        && !origins.is_empty()
        && origins.iter().all(|&relation| relation == Relation::AnotherBucket)
        && asks_known_origins(shape, &origins)
}

/// Whether every behavior fetches from the origins that it names, and those are known.
fn asks_known_origins(shape: &DistributionShape, origins: &[Relation]) -> bool {
    let behaviors = shape.cache_behaviors.iter().map(|behavior| compile_behavior(behavior, shape, origins));
    behaviors.into_iter().all(|behavior| !behavior.rewrites && !behavior.unknown_target)
}

/// How the origins of a distribution relate to the site.
struct Relations {
    /// One for each origin.
    origins: Vec<Relation>,
    /// Whether an origin certainly serves the site.
    site_is_known: bool,
    /// Whether a statement counts for more than the names of the origins: an access point, a proxy, a function or
    /// replication may be between them and the bucket.
    believed: bool,
}

impl Relations {
    fn new(shape: &DistributionShape, site: &Site) -> Self {
        let mut origins: Vec<Relation> =
            shape.origins.iter().map(|origin| Relation::of(origin, &site.bucket)).collect();
        let shows_site = |(origin, relation): (&Origin, &Relation)| {
            relation.is_ours() && prefixes(origin, site).iter().any(|prefix| overlaps(prefix, site))
        };
        let site_is_known = shape.origins.iter().zip(&origins).any(shows_site);
        let may_be_shown = origins.contains(&Relation::Unknown) || !asks_known_origins(shape, &origins);
        let believed = match shape.claim {
            Claim::Origins => false,
            Claim::Named => !site_is_known && may_be_shown,
            Claim::Recorded => !site_is_known,
            Claim::AnyOrigin => true,
        };
        for relation in origins.iter_mut().filter(|relation| believed && !relation.is_ours()) {
            *relation = Relation::Unknown;
        }
        Self { origins, site_is_known, believed }
    }
}

pub(super) fn compile(shape: &DistributionShape, site: &Site, options: ViewerOptions) -> Viewer {
    let assumed;
    let shape = if shape.readable {
        shape
    } else {
        assumed = assume(shape, site);
        &assumed
    };
    let relations = Relations::new(shape, site);
    let mut error_responses = shape.custom_error_responses.clone();
    // An unsatisfiable range is the only error that CloudFront never caches.
    error_responses.retain(|found| found.error_code != 416 && !found.response_page_path.is_empty());
    for response in &mut error_responses {
        response.response_page_path = encode_typed(&response.response_page_path);
    }
    let root = shape.default_root_object.as_deref().unwrap_or_default();
    let mut root = root.trim_start_matches('/');
    if root.is_empty() && relations.believed && !relations.site_is_known {
        root = "index.html";
    }
    let behaviors = shape.cache_behaviors.iter();
    let mut viewer = Viewer {
        prefix: site.prefix.clone(),
        bases: bases(shape, site, &relations),
        behaviors: behaviors.map(|behavior| compile_behavior(behavior, shape, &relations.origins)).collect(),
        default_root_object: (!root.is_empty()).then(|| root.to_owned()),
        error_responses,
        options,
        is_assumed: !relations.site_is_known,
        warnings: Vec::new(),
    };
    viewer.warnings = warnings(shape, site, &viewer, &relations);
    viewer
}

/// The configuration to assume if the real one may not be read: the origin path is any folder that contains the
/// site's prefix, `/` serves `index.html`, a function may rewrite, and query strings are in the cache key.
///
/// An origin path below the prefix is not assumed: every folder of every key would be one more path.
fn assume(shape: &DistributionShape, site: &Site) -> DistributionShape {
    let origins: Vec<Origin> = folders(&site.prefix)
        .map(|folder| Origin {
            id: folder.to_owned(),
            domain_name: format!("{}.s3.amazonaws.com", site.bucket),
            origin_path: format!("/{folder}"),
            ..Origin::default()
        })
        .collect();
    let group = OriginGroup { id: "*".to_owned(), members: origins.iter().map(|origin| origin.id.clone()).collect() };
    DistributionShape {
        origins,
        default_root_object: Some("index.html".to_owned()),
        cache_behaviors: vec![CacheBehavior {
            path_pattern: "*".to_owned(),
            target_origin_id: group.id.clone(),
            query_strings: QueryStrings::Unknown,
            ttl: None,
            viewer_request_function: true,
            origin_request_function: true,
            alters_headers: true,
            functions: Vec::new(),
        }],
        origin_groups: vec![group],
        ..shape.clone()
    }
}

/// The empty prefix, and each folder down to `prefix` itself.
fn folders(prefix: &str) -> impl Iterator<Item = &str> {
    let ends = prefix.match_indices('/').map(|(slash, _)| slash + 1);
    std::iter::once(0).chain(ends).map(|end| &prefix[..end])
}

fn bases(shape: &DistributionShape, site: &Site, relations: &Relations) -> Vec<Base> {
    let mut bases = Vec::new();
    for (index, (origin, &relation)) in shape.origins.iter().zip(&relations.origins).enumerate() {
        if relation == Relation::AnotherBucket {
            continue;
        }
        let mut prefixes = prefixes(origin, site);
        if !relation.is_ours() && (relations.believed || !relations.site_is_known) {
            // A host of any kind in front of the bucket may serve any folder above the site as its root.
            let more: Vec<String> = folders(&site.prefix).map(str::to_owned).collect();
            prefixes.extend(more.into_iter().filter(|folder| !prefixes.contains(folder)).collect::<Vec<_>>());
        }
        // A folder next to the site contains none of its keys.
        prefixes.retain(|prefix| overlaps(prefix, site));
        bases.extend(prefixes.into_iter().map(|prefix| Base {
            prefix,
            origin: index,
            ours: relation.is_ours() || relations.believed,
            index_documents: relation != Relation::Bucket,
        }));
    }
    bases
}

/// The prefixes of keys that an origin omits from its paths.
fn prefixes(origin: &Origin, site: &Site) -> Vec<String> {
    if origin.origin_path.contains("{{") {
        // Only the tenant knows the value; a configuration that cannot be read is no different.
        return folders(&site.prefix).map(str::to_owned).collect();
    }
    vec![key_prefix(&origin.origin_path)]
}

fn overlaps(prefix: &str, site: &Site) -> bool {
    prefix.starts_with(&site.prefix) || site.prefix.starts_with(prefix)
}

/// The origin path as a prefix of keys.
fn key_prefix(origin_path: &str) -> String {
    let folder = decode(origin_path.trim_matches('/'));
    if folder.is_empty() { String::new() } else { format!("{folder}/") }
}

fn compile_behavior(behavior: &CacheBehavior, shape: &DistributionShape, relations: &[Relation]) -> Behavior {
    let target = &behavior.target_origin_id;
    let group = shape.origin_groups.iter().find(|group| group.id == *target);
    let members = group.map_or(std::slice::from_ref(target), |group| &group.members);
    let origins: Vec<usize> =
        members.iter().filter_map(|member| shape.origins.iter().position(|origin| origin.id == *member)).collect();
    Behavior {
        pattern: PathPattern::new(&behavior.path_pattern),
        unknown_target: origins.len() < members.len()
            || origins.iter().any(|&origin| relations[origin] == Relation::Unknown),
        origins,
        rewrites: behavior.viewer_request_function || behavior.origin_request_function,
        caches: behavior.ttl.is_none_or(|ttl| ttl.max > 0),
        query_strings: behavior.query_strings != QueryStrings::None,
        alters_headers: behavior.alters_headers,
        functions: behavior.functions.clone(),
        ttl: behavior.ttl,
    }
}

fn warnings(shape: &DistributionShape, site: &Site, viewer: &Viewer, relations: &Relations) -> Vec<Warning> {
    let DistributionShape { id, .. } = shape;
    let Site { bucket, prefix } = site;
    let mut warnings = Vec::new();
    if !shape.readable {
        let roots = viewer.bases.iter().map(|base| format!("/{}", base.prefix));
        let roots: Vec<String> = roots.collect();
        let tenant = if shape.tenant { "cloudfront:GetDistributionTenant, " } else { "" };
        warnings.push(Warning::new(
            format_args!(
                "the configuration of {id} could not be read: shipfront assumes that / shows {}, that directories answer \
                 with their index.html, and that query strings are part of the cache key, and leaves copies of error pages \
                 under other URLs to expire",
                roots.join(" or ")
            ),
            format_args!("allow {tenant}cloudfront:GetDistributionConfig and cloudfront:GetCachePolicy for exact paths"),
        ));
        return warnings;
    }
    let unread = |behavior: &CacheBehavior| behavior.ttl.is_none() || behavior.query_strings == QueryStrings::Unknown;
    if shape.cache_behaviors.iter().any(unread) {
        warnings.push(Warning::new(
            format_args!("a cache policy of {id} could not be read: shipfront assumes that query strings are part of the cache key"),
            "allow cloudfront:GetCachePolicy for exact paths, and check that the policy exists",
        ));
    }
    if viewer.reaches_nothing() {
        warnings.push(Warning::new(
            format_args!("no origin of {id} shows s3://{bucket}/{prefix}: nothing is invalidated there"),
            "name the right distribution with --distribution",
        ));
    } else if !relations.site_is_known && shape.claim != Claim::AnyOrigin {
        let may_show = |origin: &&Origin| match Relation::of(origin, bucket) {
            Relation::Unknown => true,
            Relation::AnotherBucket => shape.claim != Claim::Named,
            Relation::Bucket | Relation::BucketWebsite => false,
        };
        let mut hosts: Vec<&str> = shape.origins.iter().filter(may_show).map(|at| at.domain_name.as_str()).collect();
        if hosts.is_empty() {
            hosts.push("what a function chooses");
        }
        let mut roots: Vec<String> = viewer.bases.iter().map(|base| format!("/{}", base.prefix)).collect();
        roots.sort_unstable();
        roots.dedup();
        let directories = match viewer.options.index_alias {
            IndexAlias::Never => "",
            IndexAlias::Auto | IndexAlias::Always => " and that directories answer with their index.html",
        };
        warnings.push(Warning::new(
            format_args!(
                "no origin of {id} is known to show s3://{bucket}/{prefix}: shipfront assumes that {} shows it, that / \
                 shows {}{directories}, and that nothing rewrites other paths",
                hosts.join(" or "),
                roots.join(" or ")
            ),
            "--any-origin confirms it; otherwise name the right distribution with --distribution",
        ));
    }
    let origin_request = shape.cache_behaviors.iter().any(|found| found.origin_request_function);
    if origin_request && relations.site_is_known && viewer.options.index_alias == IndexAlias::Auto {
        warnings.push(Warning::new(
            format_args!(
                "an origin-request function of {id} may rewrite any path: shipfront assumes that directories answer with \
                 their index.html, and that nothing rewrites other paths"
            ),
            "--index-alias always or never says which is so",
        ));
    }
    if shape.tenants_only {
        warnings
            .push(Warning::new(format_args!("{id} is multi-tenant"), "name its tenants with --distribution-tenant"));
    }
    warnings
}
