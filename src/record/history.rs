//! The history: the last deploys, whose manifests stay in the record so that a rollback finds them.
//!
//! It is a list in the state, newest first, and so it is switched with the manifest in the same conditional write.
//! The first one is live. When a deploy leaves the list, its manifest is removed.

use crate::escape::Shown;
use crate::record::manifest::Row;
use crate::record::preview::NewPreview;
use crate::record::state::is_zero;
use crate::record::{Build, State, allowance};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Maximum number of deploys to keep, so that the state stays small.
pub const MOST_KEPT: u16 = 100;

/// A deploy whose site can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// Its ID, and the name of its manifest.
    pub deploy: String,
    /// When it was completed, by S3's clock.
    pub at: Timestamp,
    /// Its build, if it had a number. An invalid value counts as absent.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "allowance::lenient")]
    pub build: Option<Build>,
    /// The commit that was built, if the environment names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// Where it ran, for display.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub by: String,
    /// The deploy whose site it restored, if it was a rollback.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restored: Option<String>,
    /// The preview that it made live, if it was a promotion.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub promoted: Option<String>,
    /// Number of objects that it wrote.
    pub uploaded: u64,
    /// Number of objects that it deleted.
    pub pruned: u64,
    /// Number of objects that it should have written or deleted but did not.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub left: u64,
    /// Number of objects of its site.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub objects: Option<u64>,
    /// Number of its site's objects whose version ID is not known: a rollback searches for them. `None` if they
    /// were not counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_version: Option<u64>,
    /// Whether it kept a copy of each object that it replaced or deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub kept_copies: bool,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Deployed {
    /// Whether its site is a whole one. One that was interrupted, or of which files failed, left some as they were before:
    /// what viewers got was neither build.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }
}

/// Whether a deploy's site can be restored, as far as the record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Restorable {
    /// Completely.
    Yes,
    /// Not known until a rollback has checked: some objects have no version ID.
    Unknown,
}

/// What a deploy adds to the history.
#[derive(Debug, Clone, Copy, Default)]
pub struct HistoryUpdate<'a> {
    /// Number of deploys to keep, including this one.
    pub keep: u16,
    /// The build whose site this is, if it has a number.
    pub build: Option<&'a Build>,
    /// The commit whose site this is.
    pub commit: Option<&'a str>,
    /// The deploy whose site is restored, if it is a rollback.
    pub restores: Option<&'a str>,
    /// The preview that is made live, if it is a promotion.
    pub promotes: Option<&'a str>,
    /// What the site is a preview of, and for how long, if it is one.
    pub preview: Option<&'a NewPreview>,
    /// Whether copies of replaced and deleted objects are kept.
    pub keeps_copies: bool,
    /// Whether viewers see what they saw before: then the deploy replaces the last one in the list.
    pub is_same_site: bool,
}

/// How a run's build relates to the recorded ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It deploys a build.
    Onward,
    /// It restores a build older than the newest one, or one of unknown age.
    Back,
    /// It restores the newest build.
    Newest,
}

/// Figures about the rows of a manifest, for the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rows {
    /// Number of rows.
    pub all: u64,
    /// Number of rows without a version ID.
    pub without_version: u64,
    /// Total size of their objects, in bytes.
    pub bytes: u64,
}

impl HistoryUpdate<'_> {
    /// How a run's build relates to the recorded ones; the record contains the newest.
    pub fn direction(&self, newest: Option<&Build>) -> Direction {
        let is_newest = |build: &Build| {
            newest.is_some_and(|newest| newest.project == build.project && newest.number <= build.number)
        };
        match (self.restores, self.build) {
            (None, _) => Direction::Onward,
            (Some(_), Some(build)) if is_newest(build) => Direction::Newest,
            (Some(_), _) => Direction::Back,
        }
    }
}

impl Rows {
    /// Counts one more row.
    pub fn count(&mut self, row: &Row) {
        self.all += 1;
        self.bytes = self.bytes.saturating_add(row.size);
        self.without_version += u64::from(row.version.is_none());
    }
}

impl State {
    /// The deploys that are kept, newest first. They include one that an earlier version completed, as far as it
    /// left information.
    pub fn deploys(&self) -> Vec<Deployed> {
        let mut deploys = self.history.clone();
        if let Some(live) = &self.manifest {
            let at = deploys.iter().position(|deployed| deployed.deploy == *live);
            // Anything before it was never live, or no longer is: only the manifest says what is live.
            match at {
                Some(at) => deploys.drain(..at).for_each(drop),
                None => deploys.splice(0..0, [self.unlisted(live)]).for_each(drop),
            }
        }
        deploys
    }

    /// The live deploy, if an earlier version completed it.
    fn unlisted(&self, live: &str) -> Deployed {
        let last = self.last.as_ref().filter(|last| last.deploy == live);
        Deployed {
            deploy: live.to_owned(),
            at: last.map_or(Timestamp::UNIX_EPOCH, |last| last.at),
            build: None,
            commit: None,
            by: String::new(),
            restored: None,
            promoted: None,
            uploaded: last.map_or(0, |last| last.uploaded),
            pruned: last.map_or(0, |last| last.pruned),
            left: last.map_or(0, |last| last.left),
            objects: None,
            without_version: None,
            kept_copies: false,
            extra: Map::new(),
        }
    }

    /// The history with one more deploy, limited to the number to keep.
    pub(super) fn with_deploy(&self, mut deployed: Deployed, history_update: &HistoryUpdate<'_>) -> Vec<Deployed> {
        let mut before = self.deploys().into_iter();
        if history_update.is_same_site
            && let Some(last) = before.next()
        {
            // It replaced nothing: the last one's word stands, also on whether its site is a whole one.
            deployed.kept_copies = last.kept_copies;
            deployed.left = last.left;
            deployed.build = deployed.build.or(last.build);
            deployed.commit = deployed.commit.or(last.commit);
            deployed.restored = deployed.restored.or(last.restored);
        }
        std::iter::once(deployed).chain(before).take(usize::from(history_update.keep.clamp(1, MOST_KEPT))).collect()
    }

    /// The build because of which this one is refused: its site was rolled back, and no newer build has come since.
    pub fn holds_back(&self, build: Option<&Build>) -> Option<&Build> {
        let ours = build?;
        self.rolled_back.as_ref().filter(|from| {
            from.project == ours.project && ours.number <= from.number && ours.is_of_numbering(from.number)
        })
    }
}

/// Whether each of the deploys can be restored, newest first.
pub fn restorable(deploys: &[Deployed]) -> Vec<Restorable> {
    let mut all_kept = true;
    let of = |deployed: &Deployed| {
        let is_sure = deployed.without_version == Some(0) || all_kept;
        // The objects that it replaced itself are what the earlier ones need.
        all_kept &= deployed.kept_copies;
        if is_sure { Restorable::Yes } else { Restorable::Unknown }
    };
    deploys.iter().map(of).collect()
}

/// The display name of a deploy: its ID, with its build if it has a number.
pub fn name(deployed: &Deployed) -> String {
    let build = deployed.build.as_ref().map(|build| format!(" (build {})", build.number));
    format!("{}{}", Shown(&deployed.deploy), build.unwrap_or_default())
}
