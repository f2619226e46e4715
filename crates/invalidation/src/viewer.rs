//! Every URL path at which one distribution serves a key, and how an invalidation may reach each.
//!
//! Everything follows from the distribution's configuration ([`DistributionShape`]): a [`Viewer`] compiles it once,
//! and then maps keys to [`ViewerPath`]s. If AWS's pages allow more than one reading, a path is kept if any reading
//! serves the key at it: one path too many costs an eviction, one too few leaves a stale page.

mod compile;
pub mod encoding;
mod error_page;
mod origin;
mod pattern;
mod shape;
#[cfg(test)]
mod tests;
mod typed;

pub use error_page::{
    ANY_CACHE_CONTROL, CACHE_CONTROL, CachedHeaders, ErrorPageAction, ErrorPagePolicy, TOLERATED_SECONDS, longer_lived,
    names_age,
};
pub use origin::{OriginKind, origin_is_bucket};
pub use shape::{
    CacheBehavior, Claim, CustomErrorResponse, DistributionShape, Origin, OriginAccess, OriginGroup, QueryStrings, Ttl,
    ViewerEvent, ViewerFunction,
};
pub use typed::{PathError, TypedPath, path_from_input};

use compile::{Base, Behavior};
pub use compile::{is_mistaken, shows_only_others};
use encoding::{MAX_PATH_CHARACTERS, cut_at, decode, encode_key, encode_typed, spellings};
use pattern::normalised;
use serde::{Deserialize, Serialize};
use shipfront_site::Warning;

/// The location of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub bucket: String,
    /// Empty, or ending in `/`.
    pub prefix: String,
}

/// Whether `/dir/` and `/dir` answer with `/dir/index.html` (`--index-alias`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexAlias {
    /// If the origin is a website endpoint, or a function may rewrite the request.
    #[default]
    Auto,
    Always,
    Never,
}

/// What the configuration does not reveal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewerOptions {
    pub index_alias: IndexAlias,
    /// Whether `/page` answers with `/page.html` (`--clean-urls`).
    pub clean_urls: bool,
    pub error_pages: ErrorPagePolicy,
}

/// One URL path that serves a key, encoded as CloudFront requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewerPath {
    /// Begins with `/`. Only a name for the report, unless `exact`.
    pub path: String,
    /// Whether an invalidation of `path` itself reaches it.
    pub exact: bool,
    /// The length in bytes of the longest prefix `p` whose wildcard `p*` is trusted to reach it: shorter than the
    /// path, because sources disagree on whether `/dir/*` reaches `/dir/`. Only for `/` is it 1, because AWS
    /// documents that `/*` is everything. At least 1, and never within an encoded triplet.
    pub wildcard_limit: usize,
    pub form: Form,
}

/// Why a path serves a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// It is the key, without the origin path.
    Key,
    /// `/` serves the default root object.
    DefaultRoot,
    /// `/dir/` serves `/dir/index.html`.
    DirectorySlash,
    /// `/dir` serves, or redirects to, `/dir/index.html`.
    DirectoryNoSlash,
    /// `/page` serves `/page.html`.
    CleanUrl,
    /// Another spelling of a `+` or a space in one of the above.
    PlusSpelling,
    /// The path with any query string, which is part of the cache key.
    QueryVariants,
}

impl ViewerPath {
    fn new(path: String, form: Form) -> Self {
        let mut exact = true;
        let mut limit = cut_at(&path, path.len() - 1);
        let mut force = |longest: usize| {
            exact = false;
            limit = limit.min(longest);
        };
        // CloudFront does not support `~` in any spelling, and treats a raw `?` as the start of a query string.
        for forbidden in ["%7E", "%3F"] {
            if let Some(at) = path.find(forbidden) {
                force(at);
            }
        }
        // A trailing one is a wildcard in any case; elsewhere, CloudFront's documentation does not say.
        if let Some(at) = path.find('*') {
            force(at);
        }
        if path.len() > MAX_PATH_CHARACTERS {
            force(cut_at(&path, MAX_PATH_CHARACTERS - 1));
        }
        Self { wildcard_limit: limit.max(1), path, exact, form }
    }

    /// The same path with any query string: only a wildcard reaches those.
    fn query_variants(&self) -> Self {
        Self {
            path: format!("{}?", self.path),
            exact: false,
            wildcard_limit: cut_at(&self.path, MAX_PATH_CHARACTERS - 1),
            form: Form::QueryVariants,
        }
    }
}

/// How one distribution serves one site to viewers.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// The site's prefix.
    prefix: String,
    bases: Vec<Base>,
    behaviors: Vec<Behavior>,
    default_root_object: Option<String>,
    error_responses: Vec<CustomErrorResponse>,
    options: ViewerOptions,
    is_assumed: bool,
    warnings: Vec<Warning>,
}

/// What happens to a viewer path that may serve a key, over all readings.
#[derive(Clone, Copy, Default)]
struct Answer {
    /// The key may be served there.
    served: bool,
    /// ... and be cached.
    cached: bool,
    /// ... as the index document of a directory.
    index_documents: bool,
    query_strings: bool,
}

impl Viewer {
    /// Compiles what `shape` says about `site`.
    pub fn new(shape: &DistributionShape, site: &Site, options: ViewerOptions) -> Self {
        compile::compile(shape, site, options)
    }

    /// The paths at which `key`, a full key of the bucket, is served and cached: for a changed key, a deleted one,
    /// and a created one too (its URL may hold a cached error).
    ///
    /// Two keys may share a path, so the URL set is the union over its keys.
    pub fn paths(&self, key: &str) -> Vec<ViewerPath> {
        let mut found = Vec::new();
        for base in &self.bases {
            if let Some(rest) = key.strip_prefix(base.prefix.as_str()) {
                self.add_forms(base, rest, &mut found);
            }
        }
        found
    }

    /// Whether `key` is served at any path, cached or not.
    pub fn serves(&self, key: &str) -> bool {
        let served = |base: &Base, rest: &str| self.answer(base, &encode_key(rest)).served;
        self.bases.iter().any(|base| key.strip_prefix(base.prefix.as_str()).is_some_and(|rest| served(base, rest)))
    }

    /// One path for each cache behavior that certainly serves nothing of the site, such as an API's: its pattern as
    /// is. Copies that viewers cached there should not be evicted without need.
    pub fn foreign_paths(&self) -> Vec<String> {
        let shows_site = |behavior: &Behavior| self.bases.iter().any(|base| behavior.may_serve(base));
        let foreign = self.behaviors.iter().filter(|behavior| behavior.caches && !shows_site(behavior));
        foreign.map(|behavior| encode_typed(&behavior.pattern.text())).collect()
    }

    /// Warnings about how the paths were found, each with its remedy.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether no origin is known to serve the site, so that its paths are those of any origin that might.
    pub fn is_assumed(&self) -> bool {
        self.is_assumed
    }

    /// Whether the distribution serves nothing of the site, so that an invalidation is pointless.
    pub fn reaches_nothing(&self) -> bool {
        !self.bases.iter().any(|base| {
            let mut behaviors = self.behaviors.iter();
            behaviors.any(|behavior| behavior.may_serve(base))
        })
    }

    /// The part of the site's prefix in the URLs of its folder, empty for the root; `None` if the distribution
    /// serves nothing of the site, or if its URL there is not known.
    pub(crate) fn folder(&self) -> Option<String> {
        let ours =
            self.bases.iter().filter(|base| base.is_ours() && self.behaviors.iter().any(|at| at.may_serve(base)));
        let mut folders = ours.map(|base| self.prefix.strip_prefix(base.prefix.as_str()).unwrap_or_default());
        let first = folders.next()?;
        folders.all(|other| other == first).then(|| first.to_owned())
    }

    /// How far a change of `key` reaches if it is an error page; `None` if it is not.
    ///
    /// `cached` lists every set of headers that cached copies may carry: those before this deploy and, if an
    /// earlier run was interrupted, those that it sent; none for a created key.
    pub fn error_page_action(&self, key: &str, cached: &[CachedHeaders<'_>]) -> Option<ErrorPageAction> {
        let (responses, page_ttls) = self.error_page(key)?;
        error_page::decide(self.options.error_pages, &responses, &page_ttls, cached)
    }

    /// The settings of the distribution that keep copies of an error page for longer than [`TOLERATED_SECONDS`],
    /// whatever the page's headers say, each with its value in seconds. Empty if `key` is not an error page, or if
    /// the user has decided what to do.
    pub fn error_page_obstacles(&self, key: &str) -> Vec<(&'static str, u64)> {
        match self.error_page(key).filter(|_| self.options.error_pages == ErrorPagePolicy::Auto) {
            Some((responses, page_ttls)) => error_page::obstacles(&responses, &page_ttls),
            None => Vec::new(),
        }
    }

    /// The error codes that `key` answers, in ascending order; empty if it is not an error page.
    pub fn error_codes(&self, key: &str) -> Vec<u16> {
        let responses = self.error_page(key).map(|(responses, _)| responses).unwrap_or_default();
        let mut codes: Vec<u16> = responses.iter().map(|response| response.error_code).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// The keys that may be error pages; each is one if [`Viewer::error_codes`] says so.
    pub fn error_page_candidates(&self) -> impl Iterator<Item = String> {
        self.bases.iter().flat_map(|base| {
            let pages = self.error_responses.iter().map(|response| decode(&response.response_page_path));
            pages.map(|page| format!("{}{}", base.prefix, page.trim_start_matches('/')))
        })
    }

    /// The patterns of the behaviors that fetch from the site's own origin, each with its functions.
    pub fn functions(&self) -> impl Iterator<Item = (String, &[ViewerFunction])> {
        let asks_site = |behavior: &&Behavior| self.bases.iter().any(|base| behavior.asks(base));
        self.behaviors.iter().filter(asks_site).map(|found| (found.pattern.text(), found.functions.as_slice()))
    }

    /// Whether one of the site's origins serves index documents itself: it is the bucket's website endpoint.
    pub fn has_index_documents(&self) -> bool {
        self.bases.iter().any(|base| base.index_documents)
    }

    /// Whether the distribution answers an error with this page, given its path.
    pub fn answers_errors_with(&self, page: &str) -> bool {
        self.error_responses.iter().any(|response| response.response_page_path == page)
    }

    /// Whether `/` serves `key`.
    pub fn is_root(&self, key: &str) -> bool {
        self.paths(key).iter().any(|path| path.path == "/")
    }

    /// The custom error responses that serve `key`, and the TTLs of each behavior that may serve its own path;
    /// `None` if it is not an error page.
    fn error_page(&self, key: &str) -> Option<(Vec<&CustomErrorResponse>, Vec<Option<Ttl>>)> {
        if self.error_responses.is_empty() || !self.behaviors.iter().any(|found| found.caches) {
            return None;
        }
        let own_path = |base: &Base| {
            let path = encode_key(key.strip_prefix(base.prefix.as_str())?);
            self.answer(base, &path).served.then_some(path)
        };
        let own_paths: Vec<String> = self.bases.iter().filter_map(own_path).collect();
        let responses: Vec<&CustomErrorResponse> =
            self.error_responses.iter().filter(|response| own_paths.contains(&response.response_page_path)).collect();
        let page_path = &responses.first()?.response_page_path;
        let page_ttls = self.behaviors_of(page_path).map(|found| found.ttl).collect();
        Some((responses, page_ttls))
    }

    /// Adds the paths of a key that is `rest` below the origin path of `base`.
    fn add_forms(&self, base: &Base, rest: &str, found: &mut Vec<ViewerPath>) {
        self.add(base, rest, Form::Key, found);
        if self.default_root_object.as_deref() == Some(rest) {
            self.add(base, rest, Form::DefaultRoot, found);
        }
        if self.options.index_alias != IndexAlias::Never
            && let Some(directory) = rest.strip_suffix("index.html")
        {
            if directory.is_empty() {
                self.add(base, "", Form::DirectorySlash, found);
            } else if let Some(without_slash) = directory.strip_suffix('/') {
                self.add(base, directory, Form::DirectorySlash, found);
                self.add(base, without_slash, Form::DirectoryNoSlash, found);
            }
        }
        if self.options.clean_urls
            && let Some(page) = rest.strip_suffix(".html")
            && !page.is_empty()
            && !page.ends_with('/')
        {
            self.add(base, page, Form::CleanUrl, found);
        }
    }

    /// Adds the paths of one form, if the distribution serves them from `base`.
    fn add(&self, base: &Base, target: &str, form: Form, found: &mut Vec<ViewerPath>) {
        let paths = match form {
            Form::DefaultRoot => vec!["/".to_owned()],
            _ => spellings(target),
        };
        for (index, path) in paths.into_iter().enumerate() {
            let mut answer = self.answer(base, &path);
            if form == Form::DefaultRoot {
                // AWS does not say whether `/` or the object's own path selects the behavior.
                answer.merge(self.answer(base, &encode_key(target)));
            }
            let directory = matches!(form, Form::DirectorySlash | Form::DirectoryNoSlash);
            let guessed = directory && self.options.index_alias == IndexAlias::Auto;
            if !answer.cached || guessed && !answer.index_documents {
                continue;
            }
            let form = if index == 0 { form } else { Form::PlusSpelling };
            let viewer_path = ViewerPath::new(path, form);
            // A wildcard that ends before the path reaches its variants as well.
            let variants = (answer.query_strings && viewer_path.exact).then(|| viewer_path.query_variants());
            for each in std::iter::once(viewer_path).chain(variants) {
                if !found.iter().any(|known| known.path == each.path) {
                    found.push(each);
                }
            }
        }
    }

    fn answer(&self, base: &Base, path: &str) -> Answer {
        let mut answer = Answer::default();
        for behavior in self.behaviors_of(path).filter(|found| found.may_serve(base)) {
            answer.merge(Answer {
                served: true,
                cached: behavior.caches,
                index_documents: behavior.caches && (base.index_documents || behavior.rewrites),
                query_strings: behavior.caches && behavior.query_strings,
            });
        }
        answer
    }

    /// Whether every copy at a path of a key comes from the bucket itself, and so carries the tags of its object.
    ///
    /// Another origin, including a fallback, may answer without them; a website endpoint's redirect from `/dir` to
    /// `/dir/` has none, and becomes stale when the directory does.
    pub fn is_tagged(&self, path: &ViewerPath) -> bool {
        let plain = path.path.strip_suffix('?').filter(|_| path.form == Form::QueryVariants).unwrap_or(&path.path);
        let of_object = matches!(path.form, Form::Key | Form::DefaultRoot | Form::DirectorySlash | Form::CleanUrl);
        (of_object || !self.bases.iter().any(|base| base.index_documents))
            && self.behaviors_of(plain).all(Behavior::asks_one_known_origin)
    }

    /// Whether viewers get the headers of a path as the bucket has them: nothing in the configuration sets others
    /// on the way.
    pub fn keeps_headers(&self, path: &str) -> bool {
        self.behaviors_of(path).all(|behavior| behavior.asks_one_known_origin() && !behavior.alters_headers)
    }

    /// Whether a function may serve the key at `path` at other paths as well.
    pub fn may_rewrite(&self, path: &ViewerPath) -> bool {
        self.behaviors_of(&path.path).any(|behavior| behavior.rewrites)
    }

    /// The behavior that `path` belongs to; several if the readings differ: AWS does not say whether patterns see
    /// encoded characters, and a browser may have normalized the path.
    fn behaviors_of(&self, path: &str) -> impl Iterator<Item = &Behavior> {
        let first = |path: &str| {
            let mut behaviors = self.behaviors.iter();
            behaviors.find(|behavior| behavior.pattern.matches(path))
        };
        let raw = first(path);
        let decoded = path.contains('%').then(|| first(&decode(path)));
        let dotted = path.contains("//") || path.contains("/.");
        let normal = dotted.then(|| first(&normalised(path)));
        [raw, decoded.flatten(), normal.flatten()].into_iter().flatten()
    }
}

impl Answer {
    fn merge(&mut self, other: Self) {
        self.served |= other.served;
        self.cached |= other.cached;
        self.index_documents |= other.index_documents;
        self.query_strings |= other.query_strings;
    }
}
