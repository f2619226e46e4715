//! What a deploy should do, as the entry points received it from the user.

use crate::aws::MOST_IN_FLIGHT;
use crate::cloudfront::lookup::Which;
use crate::cloudfront::send::Patience;
use crate::deploy::diff::PruneAfter;
use crate::deploy::headers_and_redirects::RedirectObjects;
use crate::deploy::shard::Shard;
use crate::deploy::verify;
use crate::deploy::walk::WalkRules;
use crate::record::history::HistoryUpdate;
use crate::record::preview::NewPreview;
use crate::record::{Build, Place};
use shipfront_invalidation::Policy;
use shipfront_site::ObjectKinds;
use shipfront_site::Target;
use shipfront_site::platform::RuleOptions;
use shipfront_site::rules::HeaderRule;
use std::path::PathBuf;
use std::time::Duration;

/// Whether a deploy publishes rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishRules {
    /// Never.
    Never,
    /// On the local edge: rules that cannot be published are a warning.
    WherePossible,
    /// Always: rules that cannot be published are refused.
    Always,
}

/// What a deploy should do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The built site.
    pub source: PathBuf,
    /// The destination.
    pub target: Target,
    /// Which parts of the source are not part of the site.
    pub walk: WalkRules,
    /// Whether to deploy a source that looks like a project.
    pub allow_project: bool,
    /// The patterns of pages and assets.
    pub kinds: ObjectKinds,
    /// The distributions that serve it.
    pub distributions: Which,
    /// Whether any origin of the named distributions may serve it.
    pub any_origin: bool,
    /// Header rules, which override those of the source's `_headers` file.
    pub headers: Vec<HeaderRule>,
    /// Whether redirects become objects.
    pub redirect_objects: RedirectObjects,
    /// How the source's `_headers` and `_redirects` are read.
    pub rules: RuleOptions,
    /// Whether the deploy publishes them to existing functions.
    pub publish_rules: PublishRules,
    /// How items are chosen.
    pub policy: Policy,
    /// How long to wait for CloudFront.
    pub patience: Patience,
    /// When objects that left the source are removed.
    pub prune_after: PruneAfter,
    /// Maximum number of objects that may leave the source in one run.
    pub max_delete: u64,
    /// Whether most of the pages, or the front page, may be removed in this run.
    pub allow_removals: bool,
    /// Whether files that cannot be read are left out instead of ending the run.
    pub keep_going: bool,
    /// Maximum number of transfers in progress, of which the limiter lets some send.
    pub concurrency: usize,
    /// The account that must own the bucket.
    pub expected_owner: Option<String>,
    /// The location of the deploy record.
    pub record: Place,
    /// Whether shipfront takes ownership of objects that are not in the source.
    pub adopt: bool,
    /// How long to wait for another deploy.
    pub lock_timeout: Duration,
    /// The build.
    pub build: Option<Build>,
    /// The commit that was built, if the environment names it.
    pub commit: Option<String>,
    /// Number of deploys that stay restorable, including the live one.
    pub keep_deploys: u16,
    /// Whether copies of replaced and removed objects are kept.
    pub keep_copies: bool,
    /// Whether an older build may replace a newer one.
    pub force: bool,
    /// The site to check after the deploy.
    pub verify: Option<verify::Site>,
    /// The part of the assets to create, if other machines create the rest.
    pub shard: Option<Shard>,
    /// What the site is a preview of, if it is one.
    pub preview: Option<Preview>,
}

/// A preview of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What its record says about it.
    pub new: NewPreview,
    /// The site that it may become, and the location of that site's deploy record, if known.
    pub production: Option<(Target, Place)>,
}

impl Settings {
    /// The settings of a run without a source, invalidations and options.
    pub fn of_nothing(target: Target, expected_owner: Option<&str>) -> Settings {
        Settings {
            source: PathBuf::new(),
            target,
            walk: WalkRules::default(),
            allow_project: false,
            kinds: ObjectKinds::default(),
            distributions: Which::None,
            any_origin: false,
            headers: Vec::new(),
            redirect_objects: RedirectObjects::Auto,
            rules: RuleOptions::default(),
            publish_rules: PublishRules::Never,
            policy: Policy::default(),
            patience: Patience { busy: Duration::ZERO, silence: Duration::ZERO, until: None, completion: None },
            prune_after: PruneAfter::Never,
            max_delete: u64::MAX,
            allow_removals: true,
            keep_going: false,
            concurrency: usize::from(MOST_IN_FLIGHT),
            expected_owner: expected_owner.map(str::to_owned),
            record: Place::SiteFolder,
            adopt: false,
            lock_timeout: Duration::ZERO,
            build: None,
            commit: None,
            keep_deploys: 1,
            keep_copies: false,
            force: false,
            verify: None,
            shard: None,
            preview: None,
        }
    }

    /// The site whose distributions determine how files and redirects are read: for a preview, the one that it may
    /// become.
    pub(super) fn site(&self) -> &Target {
        let production = self.preview.as_ref().and_then(|preview| preview.production.as_ref());
        production.map_or(&self.target, |(production, _)| production)
    }

    /// What the history records about a deploy with these settings.
    pub(super) fn history_update(&self) -> HistoryUpdate<'_> {
        let (build, commit) = (self.build.as_ref(), self.commit.as_deref());
        let (keep, keeps_copies) = (self.keep_deploys, self.keep_copies);
        let preview = self.preview.as_ref().map(|preview| &preview.new);
        HistoryUpdate { keep, build, commit, keeps_copies, preview, ..HistoryUpdate::default() }
    }
}
