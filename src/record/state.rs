//! The contents of `state.json`: who is deploying, what that run may leave stale, and which manifest is current.

use super::allowance::{self, PathCount};
use super::history::Deployed;
use super::lease::Holder;
use super::manifest;
use super::preview::PreviewNote;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shipfront_invalidation::{DistributionId, is_plain_id};
use shipfront_site::Target;

/// The one object that is written conditionally.
pub(crate) const STATE: &str = "state.json";
/// Maximum length of a deploy's name, in bytes.
const LONGEST_NAME: usize = 512;
/// The version that is written. Version 1 had no counts of paths and did not know error pages; it is read, and
/// converted by the next write. A later one is not read.
pub(super) const FORMAT: u32 = 2;

/// The highest possible number: nanoseconds since 1970 are below it.
const HIGHEST_BUILD: u64 = i64::MAX as u64;
/// A recorded build is believed up to this multiple of the number that is about to be deployed ...
const FARTHEST_FACTOR: u64 = 1_000;
/// ... and this many more. Two builds in progress at the same time are far closer.
const FARTHEST_AHEAD: u64 = 1_000_000;

/// A build of a CodeBuild project, or of any other source of build numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Numbers of different projects say nothing about each other.
    pub project: String,
    /// Higher is newer.
    pub number: u64,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

impl Build {
    /// A build of a project.
    pub fn new(project: impl Into<String>, number: u64) -> Build {
        Build { project: project.into(), number, extra: Map::new() }
    }

    /// Whether another build of the same numbering is newer.
    pub(super) fn is_left_behind_by(&self, other: &Build) -> bool {
        other.project == self.project && other.number > self.number
    }

    /// Whether a number can belong to the same numbering as this build's: one so far ahead belongs to another, or
    /// comes from somebody who wants to keep every build from going live.
    pub(super) fn is_of_numbering(&self, number: u64) -> bool {
        number <= self.number.saturating_mul(FARTHEST_FACTOR).saturating_add(FARTHEST_AHEAD).min(HIGHEST_BUILD)
    }
}

/// The last completed deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDeploy {
    /// Its ID.
    pub deploy: String,
    /// When it was completed, by its own clock.
    pub at: Timestamp,
    /// Number of objects that it uploaded.
    pub uploaded: u64,
    /// Number of objects that it deleted.
    pub pruned: u64,
    /// Whether a signal ended it before it was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Number of objects that it should have uploaded or deleted but did not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left: u64,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A run whose changes may not have been invalidated; the file with its name contains its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The run's ID.
    pub deploy: String,
    /// The distributions that it had to invalidate, whichever ones a later run uses.
    pub distributions: Vec<String>,
    /// The distribution tenants, likewise.
    pub tenants: Vec<String>,
    /// The paths that it intended to send: they count as sent until it reports how many it did send.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub paths: Option<PathCount>,
    /// The digest of the rules that it intended to publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Intent {
    pub(super) fn new(deploy: &str, ids: &[DistributionId], paths: PathCount, rules: Option<String>) -> Intent {
        let (mut distributions, mut tenants) = (Vec::new(), Vec::new());
        for id in ids {
            match id {
                DistributionId::Distribution(id) => distributions.push(id.clone()),
                DistributionId::Tenant(id) => tenants.push(id.clone()),
            }
        }
        Intent { deploy: deploy.to_owned(), distributions, tenants, paths: Some(paths), rules, extra: Map::new() }
    }
}

/// The contents of `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub(super) format: u32,
    /// Two sites must not share a record.
    pub(super) target: String,
    /// Increases with every write, so that no two states have the same ETag.
    pub(super) revision: u64,
    /// The run that is deploying now.
    pub lease: Option<Holder>,
    /// What may not have been invalidated.
    pub intent: Option<Intent>,
    /// The deploy whose manifest is current.
    pub manifest: Option<String>,
    /// The last completed deploy.
    pub last: Option<LastDeploy>,
    /// The newest build that was deployed or found nothing to do. An invalid value counts as absent.
    #[serde(default, deserialize_with = "allowance::lenient")]
    pub build: Option<Build>,
    /// The paths that deploys have sent this month.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub paths: Option<PathCount>,
    /// The deploys whose manifests are kept, newest first; see [`State::deploys`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<Deployed>,
    /// The newest build that was rolled back: builds up to it are refused.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub rolled_back: Option<Build>,
    /// The preview's note, if the site is a preview.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub preview: Option<PreviewNote>,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

impl State {
    pub(super) fn new(target: &Target) -> State {
        State {
            format: FORMAT,
            target: target.to_string(),
            revision: 0,
            lease: None,
            intent: None,
            manifest: None,
            last: None,
            build: None,
            paths: None,
            history: Vec::new(),
            rolled_back: None,
            preview: None,
            extra: Map::new(),
        }
    }

    /// A value that should be the name of a file of the record, or the ID of a distribution, but is not valid.
    /// Requests are made from these.
    pub(super) fn no_name(&self) -> Option<&str> {
        let of_deploys = self.intent.iter().map(|intent| &intent.deploy).chain(&self.manifest);
        let of_distributions = self.intent.iter().flat_map(|intent| intent.distributions.iter().chain(&intent.tenants));
        let no_deploy = of_deploys.filter(|name| name.len() > LONGEST_NAME);
        no_deploy.chain(of_distributions.filter(|id| !is_plain_id(id))).map(String::as_str).next()
    }

    /// The names of all manifests that it names.
    pub(super) fn manifests(&self) -> impl Iterator<Item = String> {
        let kept = self.history.iter().map(|deployed| &deployed.deploy);
        kept.chain(&self.manifest).map(|deploy| manifest::file_name(deploy))
    }

    /// The number of paths that deploys have sent in the month of a time; those of an interrupted one count as
    /// sent.
    pub(super) fn paths_used(&self, at: Timestamp) -> u64 {
        allowance::used(at, [self.paths.as_ref(), self.intent.as_ref().and_then(|intent| intent.paths.as_ref())])
    }

    /// The state after `sent` more paths were sent.
    pub(super) fn with_paths(self, at: Timestamp, sent: u64) -> State {
        let used = allowance::used(at, [self.paths.as_ref()]).saturating_add(sent);
        State { paths: Some(allowance::next(self.paths.as_ref(), at, used)), ..self }
    }

    /// Whether a newer build of the same project came first.
    pub fn supersedes(&self, build: Option<&Build>) -> bool {
        matches!((&self.build, build), (Some(recorded), Some(ours))
            if recorded.project == ours.project && ours.number < recorded.number && ours.is_of_numbering(recorded.number))
    }

    /// The recorded build, if its number cannot belong to the same numbering as that of this build.
    pub fn unbelievable(&self, build: Option<&Build>) -> Option<&Build> {
        let ours = build?;
        self.build
            .as_ref()
            .filter(|recorded| recorded.project == ours.project && !ours.is_of_numbering(recorded.number))
    }

    /// Whether this build is newer than the recorded one, and so worth recording.
    pub fn is_older_than(&self, build: Option<&Build>) -> bool {
        build.is_some_and(|ours| {
            self.unbelievable(build).is_some()
                || self
                    .build
                    .as_ref()
                    .is_none_or(|recorded| recorded.project != ours.project || recorded.number < ours.number)
        })
    }
}
