//! What a deploy is to do, as the entry points have it from the person.

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
    /// On the local edge: what cannot be published is a warning.
    WherePossible,
    /// Always: what cannot be published is refused.
    Always,
}

/// What a deploy is to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The built site.
    pub source: PathBuf,
    /// Where it goes.
    pub target: Target,
    /// What of the source is no part of the site.
    pub walk: WalkRules,
    /// Whether a source that looks like a project is deployed all the same.
    pub allow_project: bool,
    /// What goes up when.
    pub kinds: ObjectKinds,
    /// Which distributions show it.
    pub distributions: Which,
    /// Whether any origin of those that are named may show it.
    pub any_origin: bool,
    /// Header rules, which prevail over those of the source's `_headers` file.
    pub headers: Vec<HeaderRule>,
    /// Whether redirects become objects.
    pub redirect_objects: RedirectObjects,
    /// How the source's `_headers` and `_redirects` are read.
    pub rules: RuleOptions,
    /// Whether the deploy publishes them, to functions that are there for it.
    pub publish_rules: PublishRules,
    /// How items are chosen.
    pub policy: Policy,
    /// How long to wait for CloudFront.
    pub patience: Patience,
    /// When objects that left the source go.
    pub prune_after: PruneAfter,
    /// The most objects that may leave the source in one run.
    pub max_delete: u64,
    /// Whether most of the pages, or the front page, may leave in this run.
    pub allow_removals: bool,
    /// Whether files that cannot be read are left out rather than ending the run.
    pub keep_going: bool,
    /// Transfers under way, some of which the limiter allows to send.
    pub concurrency: usize,
    /// The account that must own the bucket.
    pub expected_owner: Option<String>,
    /// Where the deploy record is kept.
    pub record: Place,
    /// Whether objects that are not in the source become ours.
    pub adopt: bool,
    /// How long to wait for another deploy.
    pub lock_timeout: Duration,
    /// Which build this is.
    pub build: Option<Build>,
    /// The commit that was built, where the environment tells it.
    pub commit: Option<String>,
    /// How many deploys stay restorable, the live one included.
    pub keep_deploys: u16,
    /// Whether copies are kept of what is replaced and removed.
    pub keep_copies: bool,
    /// Whether an older build may go over a newer one.
    pub force: bool,
    /// The site to look at once it is deployed.
    pub verify: Option<verify::Site>,
    /// Whether only a part of the assets is created, because other machines create the rest.
    pub shard: Option<Shard>,
    /// Of what the site is a preview, if it is one.
    pub preview: Option<Preview>,
}

/// A preview of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What its record says of it.
    pub new: NewPreview,
    /// The site that it may become, and where the deploy record of that is, if it is known.
    pub production: Option<(Target, Place)>,
}

impl Settings {
    /// Those of a run without a source, invalidations and options.
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
            record: Place::Beside,
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

    /// The site by whose distributions files and redirects are read: of a preview, the one that it may become.
    pub(super) fn site(&self) -> &Target {
        let production = self.preview.as_ref().and_then(|preview| preview.production.as_ref());
        production.map_or(&self.target, |(production, _)| production)
    }

    /// What the history says of a deploy of these settings.
    pub(super) fn history_update(&self) -> HistoryUpdate<'_> {
        let (build, commit) = (self.build.as_ref(), self.commit.as_deref());
        let (keep, keeps_copies) = (self.keep_deploys, self.keep_copies);
        let preview = self.preview.as_ref().map(|preview| &preview.new);
        HistoryUpdate { keep, build, commit, keeps_copies, preview, ..HistoryUpdate::default() }
    }
}
