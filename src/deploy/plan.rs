//! The plan: what will be uploaded, removed and invalidated, and the guards that refuse. Pure.

use super::diff::{Decision, Pair, Reason};
use crate::error::{Error, Result};
use crate::site::Wave;
use serde::Serialize;

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The file is sent.
    Upload,
    /// The object is deleted.
    Prune,
    /// The object is no longer in the source, and stays.
    Orphan,
}

/// When it is done: the three waves of a deploy, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// New and changed assets.
    Assets,
    /// New and changed pages.
    Pages,
    /// Removals.
    Prune,
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key below the target's prefix.
    pub key: String,
    /// What is done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// When.
    pub wave: Stage,
    /// The size of what is sent or removed.
    pub bytes: u64,
}

impl Change {
    /// Whether the URLs of the key answer differently once this is done.
    pub fn is_visible(&self) -> bool {
        self.action != Action::Orphan
    }
}

/// What is known of all keys of the site once every decision is made.
#[derive(Debug, Default)]
pub struct Plan {
    /// Uploads, removals and orphans, in key order.
    pub changes: Vec<Change>,
    /// Keys whose objects stay as they are, orphans and unknown ones included: the rest of the site.
    pub unchanged: Vec<String>,
    /// Objects equal to their files.
    pub kept: u64,
    /// Keys of which not enough is known.
    pub unknown: u64,
    /// Files that could not be read, with the reason.
    pub problems: Vec<String>,
}

/// When objects that are no longer in the source are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneAfter {
    /// In the deploy that orphans them.
    Now,
    /// Not at all.
    Never,
}

/// Collects the decisions into a plan.
pub fn plan(pairs: Vec<Pair>, decisions: Vec<Decision>, prune_after: PruneAfter) -> Plan {
    let mut plan = Plan::default();
    for (pair, decision) in pairs.into_iter().zip(decisions) {
        let Pair { key, local, remote } = pair;
        let remote_size = remote.as_ref().map(|(size, _)| *size);
        let was_there = remote.is_some();
        match decision {
            Decision::Upload(reason) => {
                let wave = match Wave::of(&key) {
                    Wave::Assets => Stage::Assets,
                    Wave::Pages => Stage::Pages,
                };
                plan.changes.push(Change { key, action: Action::Upload, reason, wave, bytes: local.unwrap_or(0) });
            }
            Decision::Keep => {
                plan.kept += 1;
                plan.unchanged.push(key);
            }
            Decision::Orphan => {
                let action = match prune_after {
                    PruneAfter::Now => Action::Prune,
                    PruneAfter::Never => Action::Orphan,
                };
                if action == Action::Orphan {
                    plan.unchanged.push(key.clone());
                }
                let bytes = remote_size.unwrap_or(0);
                plan.changes.push(Change { key, action, reason: Reason::Orphaned, wave: Stage::Prune, bytes });
            }
            Decision::Unknown(problem) => {
                plan.unknown += 1;
                plan.problems.extend(problem.map(|problem| format!("{key}: {problem}")));
                if was_there {
                    plan.unchanged.push(key);
                }
            }
        }
    }
    plan
}

impl Plan {
    /// The changes of a stage that are to be carried out.
    pub fn stage(&self, stage: Stage) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.wave == stage && change.is_visible())
    }

    /// Whether nothing is to be uploaded or removed.
    pub fn is_empty(&self) -> bool {
        !self.changes.iter().any(Change::is_visible)
    }

    /// Refuses the plan as a whole when it would remove more than was allowed.
    pub fn guard(&self, max_delete: u64) -> Result<()> {
        let prune = self.stage(Stage::Prune).count() as u64;
        if prune <= max_delete {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{prune} objects would be deleted, more than --max-delete {max_delete}; nothing was changed"
        ))
        .hint(format!("check that the source is the whole site; if it is, pass --max-delete {prune}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::etag::Etag;

    fn pair(key: &str) -> Pair {
        Pair { key: key.to_owned(), local: Some(1), remote: Some((1, Etag::Opaque("x".into()))) }
    }

    #[test]
    fn a_removal_beyond_the_guard_refuses_the_whole_plan() {
        let pairs = vec![pair("a"), pair("b"), pair("c")];
        let decisions = vec![Decision::Orphan, Decision::Orphan, Decision::Keep];
        let plan = plan(pairs, decisions, PruneAfter::Now);
        assert_eq!(plan.guard(1).unwrap_err().exit(), crate::exit::Exit::Refused);
        assert!(plan.guard(2).is_ok());
    }

    #[test]
    fn orphans_stay_part_of_the_site_unless_they_are_pruned() {
        let decisions = || vec![Decision::Orphan, Decision::Unknown(None), Decision::Keep];
        let pairs = || vec![pair("a"), pair("b"), pair("c")];
        let kept = plan(pairs(), decisions(), PruneAfter::Never);
        assert!(kept.is_empty());
        assert_eq!(kept.unchanged, ["a", "b", "c"]);
        let pruned = plan(pairs(), decisions(), PruneAfter::Now);
        assert_eq!(pruned.unchanged, ["b", "c"]);
        assert_eq!(pruned.stage(Stage::Prune).count(), 1);
    }
}
