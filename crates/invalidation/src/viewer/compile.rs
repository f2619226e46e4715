//! Turns a distribution's configuration into what a [`Viewer`] asks of every key.

use crate::viewer::encoding::{decode, encode_typed};
use crate::viewer::origin::{OriginKind, names_a_bucket, origin_is_bucket};
use crate::viewer::pattern::PathPattern;
use crate::viewer::shape::{CacheBehavior, Claim, DistributionShape, Origin, OriginGroup, QueryStrings, Ttl};
use crate::viewer::{IndexAlias, Site, Viewer, ViewerOptions};

/// A place in the bucket that one origin shows from its root.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// What of the key the viewer path lacks: empty, or ending in `/`.
    pub(super) prefix: String,
    /// The origin's place among the distribution's origins.
    origin: usize,
    /// Whether a behavior that may ask any origin may ask this one.
    ours: bool,
    /// Whether the origin itself answers for a directory with its index document.
    pub(super) index_documents: bool,
}

/// A cache behavior, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Behavior {
    pub(super) pattern: PathPattern,
    /// The origins it may fetch from without a function's doing.
    origins: Vec<usize>,
    /// One of them may be anything, such as a proxy in front of our bucket.
    unknown_target: bool,
    /// A function may change the path or the origin.
    pub(super) rewrites: bool,
    /// False if its MaxTTL is 0.
    pub(super) caches: bool,
    pub(super) query_strings: bool,
    /// Viewers may get other headers than the origin's.
    pub(super) alters_headers: bool,
    pub(super) ttl: Option<Ttl>,
}

impl Behavior {
    /// Whether it may answer with the key that lies at a viewer path below `base`.
    pub(super) fn may_serve(&self, base: &Base) -> bool {
        self.origins.contains(&base.origin) || base.ours && (self.rewrites || self.unknown_target)
    }

    /// Whether nothing stands in for its origin, which is a bucket.
    pub(super) fn asks_one_known_origin(&self) -> bool {
        self.origins.len() == 1 && !self.unknown_target
    }
}

/// What an origin is to the site's bucket.
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
            // Only the tenant knows what stands here.
            OriginKind::Other if origin.domain_name.contains("{{") => Self::Unknown,
            OriginKind::Other if names_a_bucket(&origin.domain_name) => Self::AnotherBucket,
            OriginKind::Other => Self::Unknown,
        }
    }

    fn is_ours(self) -> bool {
        matches!(self, Self::Bucket | Self::BucketWebsite)
    }
}

/// Whether a distribution certainly shows other buckets than `bucket`: each origin is one by its name, and no
/// function before the origin may choose another.
pub fn is_certainly_another_bucket(shape: &DistributionShape, bucket: &str) -> bool {
    let relations: Vec<Relation> = shape.origins.iter().map(|origin| Relation::of(origin, bucket)).collect();
    let is_known = |behavior: &CacheBehavior| {
        let behavior = compile_behavior(behavior, shape, &relations);
        !behavior.rewrites && !behavior.unknown_target
    };
    shape.readable
        && !relations.is_empty()
        && relations.iter().all(|&relation| relation == Relation::AnotherBucket)
        && shape.cache_behaviors.iter().all(is_known)
}

/// What each origin is to the site's bucket, as far as the person's word does not decide it.
///
/// Where somebody names a distribution and no origin is the bucket by its name, that somebody is believed: an
/// access point, a proxy or a function may stand between, unless that is certainly not so.
fn relations(shape: &DistributionShape, bucket: &str) -> Vec<Relation> {
    let mut relations: Vec<Relation> = shape.origins.iter().map(|origin| Relation::of(origin, bucket)).collect();
    let is_believed = match shape.claim {
        Claim::Origins => false,
        Claim::Named => {
            !relations.iter().any(|relation| relation.is_ours()) && !is_certainly_another_bucket(shape, bucket)
        }
        Claim::AnyOrigin => true,
    };
    if is_believed {
        for relation in relations.iter_mut().filter(|relation| !relation.is_ours()) {
            *relation = Relation::Unknown;
        }
    }
    relations
}

pub(super) fn compile(shape: &DistributionShape, site: &Site, options: ViewerOptions) -> Viewer {
    let assumed;
    let shape = if shape.readable {
        shape
    } else {
        assumed = assume(shape, site);
        &assumed
    };
    let relations = relations(shape, &site.bucket);
    let is_named = shape.claim != Claim::Origins;
    let mut error_responses = shape.custom_error_responses.clone();
    // A range that cannot be satisfied is the one error that CloudFront never caches.
    error_responses.retain(|found| found.error_code != 416 && !found.response_page_path.is_empty());
    for response in &mut error_responses {
        response.response_page_path = encode_typed(&response.response_page_path);
    }
    let root = shape.default_root_object.as_deref().unwrap_or_default();
    let mut root = root.trim_start_matches('/');
    if root.is_empty() && is_named && !bucket_is_known(&relations) {
        root = "index.html";
    }
    let mut viewer = Viewer {
        bases: bases(shape, site, &relations),
        behaviors: shape.cache_behaviors.iter().map(|behavior| compile_behavior(behavior, shape, &relations)).collect(),
        default_root_object: (!root.is_empty()).then(|| root.to_owned()),
        error_responses,
        options,
        warnings: Vec::new(),
    };
    viewer.warnings = warnings(shape, site, &viewer, &relations);
    viewer
}

/// The configuration that stands in for one that may not be read: the origin path is any folder
/// that the site's prefix lies in, `/` answers with `index.html`, a function may rewrite, and
/// query strings are in the cache key.
///
/// An origin path below the prefix is left out: every folder of every key would be a path more.
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

fn bases(shape: &DistributionShape, site: &Site, relations: &[Relation]) -> Vec<Base> {
    let bucket_is_known = bucket_is_known(relations);
    let is_named = shape.claim != Claim::Origins;
    let mut bases = Vec::new();
    for (index, (origin, &relation)) in shape.origins.iter().zip(relations).enumerate() {
        if relation == Relation::AnotherBucket {
            continue;
        }
        let mut prefixes = vec![key_prefix(&origin.origin_path)];
        if origin.origin_path.contains("{{") {
            // Only the tenant knows what stands here; the unreadable case is no different.
            prefixes = folders(&site.prefix).map(str::to_owned).collect();
        } else if !relation.is_ours() && (is_named || !bucket_is_known) {
            // A host of any kind in front of the bucket may show any folder above the site as its root.
            let more = folders(&site.prefix).filter(|&folder| folder != prefixes[0]).map(str::to_owned);
            prefixes.extend(more.collect::<Vec<_>>());
        }
        // Of a folder beside the site, no key is ours.
        prefixes.retain(|prefix| prefix.starts_with(&site.prefix) || site.prefix.starts_with(prefix.as_str()));
        bases.extend(prefixes.into_iter().map(|prefix| Base {
            prefix,
            origin: index,
            ours: relation.is_ours() || is_named && !bucket_is_known,
            index_documents: relation != Relation::Bucket,
        }));
    }
    bases
}

fn bucket_is_known(relations: &[Relation]) -> bool {
    relations.iter().any(|relation| relation.is_ours())
}

/// The origin path as the beginning of keys.
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
        ttl: behavior.ttl,
    }
}

fn warnings(shape: &DistributionShape, site: &Site, viewer: &Viewer, relations: &[Relation]) -> Vec<String> {
    let DistributionShape { id, .. } = shape;
    let Site { bucket, prefix } = site;
    let mut warnings = Vec::new();
    if !shape.readable {
        let roots = viewer.bases.iter().map(|base| format!("/{}", base.prefix));
        let roots: Vec<String> = roots.collect();
        let tenant = if shape.tenant { "cloudfront:GetDistributionTenant, " } else { "" };
        warnings.push(format!(
            "the configuration of {id} could not be read: assuming that / shows {}, that \
             directories answer with their index.html and that query strings are cached apart, \
             and leaving copies of error pages under other URLs to expire; allow {tenant}\
             cloudfront:GetDistributionConfig and cloudfront:GetCachePolicy for exact paths",
            roots.join(" or ")
        ));
        return warnings;
    }
    let unread = |behavior: &CacheBehavior| behavior.ttl.is_none() || behavior.query_strings == QueryStrings::Unknown;
    if shape.cache_behaviors.iter().any(unread) {
        warnings.push(format!(
            "a cache policy of {id} could not be read: assuming that query strings are cached \
             apart; allow cloudfront:GetCachePolicy for exact paths"
        ));
    }
    if viewer.reaches_nothing() {
        warnings.push(format!(
            "no origin of {id} shows s3://{bucket}/{prefix}: nothing to invalidate there; is it \
             the right distribution?"
        ));
    } else if !bucket_is_known(relations) {
        let unknown = shape.origins.iter().zip(relations);
        let hosts: Vec<&str> = unknown
            .filter(|&(_, &relation)| relation == Relation::Unknown)
            .map(|(origin, _)| origin.domain_name.as_str())
            .collect();
        let mut roots: Vec<String> = viewer.bases.iter().map(|base| format!("/{}", base.prefix)).collect();
        roots.sort_unstable();
        roots.dedup();
        let directories = match viewer.options.index_alias {
            IndexAlias::Never => "",
            IndexAlias::Auto | IndexAlias::Always => " and that directories answer with their index.html",
        };
        warnings.push(format!(
            "no origin of {id} is known to be the bucket {bucket}: assuming that {} shows it, that / shows {}{directories}; \
             other rewrites are not covered",
            hosts.join(" or "),
            roots.join(" or ")
        ));
    }
    let origin_request = shape.cache_behaviors.iter().any(|found| found.origin_request_function);
    if origin_request && bucket_is_known(relations) && viewer.options.index_alias == IndexAlias::Auto {
        warnings.push(format!(
            "an origin-request function of {id} may rewrite any path: assuming that directories \
             answer with their index.html; other rewrites are not covered"
        ));
    }
    if shape.tenants_only {
        warnings.push(format!("{id} has no viewers of its own: name its tenants with --distribution-tenant"));
    }
    warnings
}
