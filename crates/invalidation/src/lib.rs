//! From changed keys to the items of an invalidation, for every entry point.

pub mod allowance;
mod choose;
pub mod cover;
mod distribution_id;
mod error_pages;
mod invalidation;
mod site_url;
mod tagged;
pub mod tags;
mod url_set;
pub mod viewer;
mod whole_site;

pub use distribution_id::{DistributionId, is_plain_id};
pub use error_pages::ErrorPage;
pub use invalidation::{Coverage, Invalidation, InvalidationStatus, Step};

use crate::choose::{choose, excess_wildcards};
use crate::url_set::{Changed, UrlSet};
use allowance::{Allowance, MaxPaths};
use cover::{Budget, Item, Reach, SitePath};
use serde::{Deserialize, Serialize};
use shipfront_site::Target;
use shipfront_site::Warning;
use tagged::Choice;
use tags::Tagger;
use tags::copy_tags::{CopyTags, Reading};
use viewer::{
    CachedHeaders, DistributionShape, ErrorPageAction, Site, Viewer, ViewerFunction, ViewerOptions, ViewerPath,
};

/// Default maximum of wildcards in a deploy: CloudFront accepts one a second, or 15 in progress.
pub const MAX_WILDCARDS: usize = 10;

/// How items are chosen for the changed paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The items, at most --max-paths, that evict the fewest unchanged URLs
    #[default]
    Cover,
    /// Each changed URL, or /* when there are more than --max-paths
    Exact,
    /// Always /*
    All,
}

/// Whether cache tags are used (`--cache-tags`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum CacheTags {
    /// Where the distribution reads them from a header that S3 can send
    #[default]
    Auto,
    /// Not at all
    Off,
}

/// The user's decisions about invalidations.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How items are chosen.
    pub strategy: Strategy,
    /// Maximum number of items for a distribution.
    pub max_paths: MaxPaths,
    /// The month's free paths.
    pub allowance: Allowance,
    /// Maximum number of wildcards among them; up to [`cover::FORCED_WILDCARDS`] if paths that only wildcards clear
    /// need more.
    pub max_wildcards: usize,
    /// What a distribution's configuration does not reveal.
    pub viewer: ViewerOptions,
    /// Whether cache tags are used.
    pub cache_tags: CacheTags,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            strategy: Strategy::default(),
            max_paths: MaxPaths::default(),
            allowance: Allowance::default(),
            max_wildcards: MAX_WILDCARDS,
            viewer: ViewerOptions::default(),
            cache_tags: CacheTags::default(),
        }
    }
}

impl Policy {
    /// The same policy, with the number of free paths used this month; `None` if nothing counts them.
    #[must_use]
    pub fn counting(self, used: Option<u64>) -> Policy {
        Policy { allowance: Allowance { used, ..self.allowance }, ..self }
    }
}

/// A key whose URLs answer differently than before.
#[derive(Debug, Clone, Copy)]
pub struct ChangedKey<'a> {
    /// The key below the target's prefix.
    pub key: &'a str,
    /// Whether there was no object before: the edge may hold a cached error, but no copy.
    pub created: bool,
    /// The headers that determine how long copies at the edge live; `None` if there are no copies.
    pub cached: Option<CachedHeaders<'a>>,
    /// The tags of the copies that the edge may hold; `None` if they are not known for certain.
    pub copy_tags: Option<&'a CopyTags>,
}

impl<'a> ChangedKey<'a> {
    /// A key about which nothing is known.
    pub fn unknown(key: &'a str) -> ChangedKey<'a> {
        ChangedKey { key, created: false, cached: Some(CachedHeaders::Unknown), copy_tags: None }
    }
}

/// A distribution and the part of the site that it serves.
#[derive(Debug)]
struct Shown {
    id: DistributionId,
    viewer: Viewer,
    /// Whether its configuration could be read.
    readable: bool,
    /// How it reads cache tags, if they can be used.
    reading: Option<Reading>,
    /// The distribution whose configuration that is.
    configured_by: String,
    aliases: Vec<String>,
    /// The name that CloudFront assigned, if known.
    domain_name: Option<String>,
    /// Whether it serves the public: neither disabled nor a staging distribution.
    serves_viewers: bool,
}

/// A distribution that reads cache tags.
#[derive(Debug, Clone, Copy)]
pub struct TagReader<'a> {
    /// The distribution.
    pub id: &'a DistributionId,
    /// How it reads them.
    pub reading: &'a Reading,
    /// The distribution whose configuration says so; for a tenant, it is another one.
    pub configured_by: &'a str,
}

/// The distributions of a deploy, each with the part of the site that it serves.
#[derive(Debug)]
pub struct Viewers {
    target: Target,
    policy: Policy,
    tagger: Tagger,
    viewers: Vec<Shown>,
}

impl Viewers {
    /// Compiles the configurations of the distributions.
    pub fn new(shapes: &[(DistributionId, DistributionShape)], target: &Target, policy: Policy) -> Viewers {
        let site = Site { bucket: target.bucket().to_owned(), prefix: target.prefix().to_owned() };
        let shown = |(id, shape): &(DistributionId, DistributionShape)| Shown {
            id: id.clone(),
            viewer: Viewer::new(shape, &site, policy.viewer),
            readable: shape.readable,
            reading: tagged::reading(shape).filter(|_| policy.cache_tags == CacheTags::Auto),
            configured_by: shape.configured_by.clone(),
            aliases: shape.aliases.clone(),
            domain_name: shape.domain_name.clone(),
            serves_viewers: shape.readable && !shape.disabled && !shape.staging && !shape.tenants_only,
        };
        let tagger = Tagger::new(target.to_string());
        Viewers { target: target.clone(), policy, tagger, viewers: shapes.iter().map(shown).collect() }
    }

    /// The budget for an invalidation of one distribution, after what the run has already `sent`.
    fn budget(&self, id: &DistributionId, sent: &[Invalidation]) -> Budget {
        let Policy { max_paths, allowance, max_wildcards, .. } = self.policy;
        let all = sent.iter().map(|invalidation| invalidation.items.len()).sum();
        let here = sent.iter().filter(|invalidation| invalidation.distribution == *id);
        let here = here.map(|invalidation| invalidation.items.len()).sum();
        max_paths.rest(allowance, self.viewers.len(), max_wildcards, (here, all))
    }

    /// The month's free paths, as the planner counts them.
    pub fn allowance(&self) -> Allowance {
        self.policy.allowance
    }

    /// Warnings about how URLs are found.
    pub fn warnings(&self) -> Vec<Warning> {
        self.viewers.iter().flat_map(|shown| shown.viewer.warnings()).cloned().collect()
    }

    /// The distributions.
    pub fn ids(&self) -> Vec<DistributionId> {
        self.viewers.iter().map(|shown| shown.id.clone()).collect()
    }

    /// The paths at which a distribution serves a key.
    pub fn paths(&self, id: &DistributionId, key: &str) -> Vec<ViewerPath> {
        let viewer = self.viewers.iter().find(|shown| shown.id == *id);
        viewer.map(|shown| shown.viewer.paths(&self.target.full_key(key))).unwrap_or_default()
    }

    /// Whether a distribution passes the bucket's headers on unchanged at a path.
    pub fn keep_headers(&self, id: &DistributionId, path: &str) -> bool {
        self.viewers.iter().any(|shown| shown.id == *id && shown.viewer.keeps_headers(path))
    }

    /// Whether any of the distributions serves an object, given its full key.
    pub fn serve_key(&self, full_key: &str) -> bool {
        self.viewers.iter().any(|shown| shown.viewer.serves(full_key))
    }

    /// Whether any of the distributions serves an object at `/`, given its full key.
    pub fn answer_at_root(&self, full_key: &str) -> bool {
        self.viewers.iter().any(|shown| shown.viewer.is_root(full_key))
    }

    /// The distributions that cache anything of an object, given its full key.
    pub fn showing(&self, full_key: &str) -> impl Iterator<Item = &DistributionId> {
        self.viewers.iter().filter(|shown| !shown.viewer.paths(full_key).is_empty()).map(|shown| &shown.id)
    }

    /// The distributions that read cache tags which uploads can carry.
    pub fn tag_readers(&self) -> impl Iterator<Item = TagReader<'_>> {
        self.viewers.iter().filter_map(|shown| {
            let reading = shown.reading.as_ref()?;
            Some(TagReader { id: &shown.id, reading, configured_by: &shown.configured_by })
        })
    }

    /// The behaviors that fetch from the site's own origin: their distribution, their paths, and their functions.
    pub fn functions(&self) -> impl Iterator<Item = (&DistributionId, String, &[ViewerFunction])> {
        self.viewers
            .iter()
            .flat_map(|shown| shown.viewer.functions().map(move |(pattern, functions)| (&shown.id, pattern, functions)))
    }

    /// The distributions whose configuration could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &DistributionId> {
        self.viewers.iter().filter(|shown| !shown.readable).map(|shown| &shown.id)
    }

    /// Whether the origin itself serves a directory's index document.
    pub fn have_index_documents(&self) -> bool {
        self.viewers.iter().any(|shown| shown.viewer.has_index_documents())
    }

    /// Whether every distribution answers errors with this page, given its path.
    pub fn answer_errors_with(&self, page: &str) -> bool {
        self.viewers.iter().all(|shown| shown.viewer.answers_errors_with(page))
    }

    /// The part of the target's prefix that is in the URLs of its keys: empty, or ending in `/`.
    pub fn folder(&self) -> String {
        self.viewers.first().and_then(|shown| shown.viewer.folder()).unwrap_or_default()
    }

    /// The host names of the site, as far as the distributions know them.
    pub fn hosts(&self) -> Vec<String> {
        self.viewers.iter().flat_map(|shown| shown.aliases.iter().cloned()).collect()
    }

    /// The URL at which viewers find the site: at `site` (scheme and host) if the user names it, otherwise at the
    /// name of a distribution. `None` if no name is known. No character in it is special to a shell.
    pub fn url(&self, site: Option<&str>) -> Option<String> {
        match site {
            Some(site) => {
                let path = self.viewers.iter().find_map(|shown| site_url::path(&shown.viewer))?;
                Some(format!("{}{path}", site.trim_end_matches('/')))
            }
            None => site_url::url(&self.viewers, self.target.bucket()),
        }
    }

    /// Derives the tags of the site's objects.
    pub fn tagger(&self) -> &Tagger {
        &self.tagger
    }

    /// Whether `items` are sure to clear, by path, every copy of a key in a distribution.
    pub fn are_cleared_by_path(&self, id: &DistributionId, key: &str, items: &[String]) -> bool {
        let Some(shown) = self.viewers.iter().find(|shown| shown.id == *id) else { return false };
        shown.viewer.paths(&self.target.full_key(key)).iter().all(|path| {
            let site_path = SitePath::changed(&path.path, reach(path));
            items.iter().any(|text| {
                let wildcard = text.ends_with('*');
                Item { text: text.clone(), wildcard, covers: 0, collateral: 0 }.evicts(&site_path)
            })
        })
    }

    /// The items for each distribution that serves any changed key. `unchanged` is the rest of the site, and
    /// `copy_tags` returns the tags of its objects.
    pub fn plan<'a, 'c>(
        &self,
        changed: &[ChangedKey<'_>],
        unchanged: impl Iterator<Item = &'a str> + Clone,
        copy_tags: impl Fn(&str) -> Option<&'c CopyTags>,
    ) -> Vec<Invalidation> {
        self.plan_after(&[], changed, unchanged, copy_tags)
    }

    /// The same within the rest of the run's budget, after what it has already `sent`.
    pub fn plan_after<'a, 'c>(
        &self,
        sent: &[Invalidation],
        changed: &[ChangedKey<'_>],
        unchanged: impl Iterator<Item = &'a str> + Clone,
        copy_tags: impl Fn(&str) -> Option<&'c CopyTags>,
    ) -> Vec<Invalidation> {
        if changed.is_empty() {
            return Vec::new();
        }
        let plan =
            |shown: &Shown| self.plan_one(shown, self.budget(&shown.id, sent), changed, unchanged.clone(), &copy_tags);
        self.viewers.iter().filter_map(plan).collect()
    }

    fn plan_one<'a, 'c>(
        &self,
        shown: &Shown,
        budget: Budget,
        changed: &[ChangedKey<'_>],
        unchanged: impl Iterator<Item = &'a str> + Clone,
        copy_tags: &impl Fn(&str) -> Option<&'c CopyTags>,
    ) -> Option<Invalidation> {
        let viewer = &shown.viewer;
        let (everything, why) = self.error_pages(viewer, changed);
        let strategy = if everything { Strategy::All } else { self.policy.strategy };
        let choice = Choice::new(self, shown, strategy, changed, unchanged.clone(), copy_tags);
        let paths = |key: &str| viewer.paths(&self.target.full_key(key));
        let changes_all = strategy == Strategy::Cover
            && !choice.has_tags()
            && viewer.foreign_paths().is_empty()
            && unchanged.clone().all(|key| paths(key).is_empty());
        if changes_all {
            let changed_paths = changed.iter().flat_map(|changed| paths(changed.key));
            let changed_paths = changed_paths.map(|path| {
                let reach = reach(&path);
                (path.path, reach)
            });
            if let Some(item) = whole_site::wildcard(changed_paths, budget) {
                let chosen = Invalidation::of_whole_site(shown.id.clone(), item);
                let mut chosen = choice.improve(chosen, budget, &UrlSet::of_changed(std::iter::empty()), changed);
                chosen.why.splice(0..0, why);
                return Some(chosen);
            }
        }
        let changed_paths = changed.iter().flat_map(|changed| {
            let tags = choice.sure_tags(changed);
            paths(changed.key).into_iter().map(move |path| (path, tags))
        });
        let changed_paths = changed_paths.map(|(path, tags)| {
            let tags = if tags != 0 && viewer.is_tagged(&path) { tags } else { 0 };
            Changed { reach: reach(&path), path: path.path.into(), tags }
        });
        let mut url_set = UrlSet::of_changed(changed_paths);
        if url_set.len() == 0 {
            return None;
        }
        for key in unchanged {
            let tags = choice.possible_tags(key, copy_tags);
            paths(key).iter().for_each(|path| url_set.add_unchanged(&path.path, tags));
        }
        viewer.foreign_paths().iter().for_each(|path| url_set.add_unchanged(path, 0));
        let chosen = choose(&shown.id, strategy, budget, &url_set);
        let mut chosen = choice.improve(chosen, budget, &url_set, changed);
        choice.name_evicted(&mut chosen, &url_set);
        chosen.why.splice(0..0, why);
        let needed = if strategy == Strategy::Cover { cover::forced_wildcards(&url_set.paths()) } else { 0 };
        chosen.why.extend(excess_wildcards(&chosen, needed, self.policy.max_wildcards, budget));
        Some(chosen)
    }

    /// Whether a changed error page requires invalidating everything, and what is done about each error page and
    /// why.
    fn error_pages(&self, viewer: &Viewer, changed: &[ChangedKey<'_>]) -> (bool, Vec<String>) {
        let mut everything = false;
        let mut why = Vec::new();
        for changed in changed {
            match viewer.error_page_action(&self.target.full_key(changed.key), changed.cached.as_slice()) {
                Some(ErrorPageAction::Everything { reason }) => {
                    everything = true;
                    why.push(reason);
                }
                Some(ErrorPageAction::OwnPath { reason }) => why.push(reason),
                None => {}
            }
        }
        (everything, why)
    }
}

fn reach(path: &ViewerPath) -> Reach {
    if path.exact { Reach::Any } else { Reach::WildcardOnly { limit: path.wildcard_limit } }
}
