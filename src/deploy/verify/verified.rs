//! The result of `--verify`, for the report and for the next deploy.

use crate::deploy::change::Change;
use crate::deploy::entry::Entry;
use crate::deploy::intent::pending;
use crate::deploy::plan::Plan;
use crate::record::intent::PendingChange;
use crate::wording::counted;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// The result, for the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The checked site.
    pub site: String,
    /// Number of changed URLs whose response is known.
    pub urls: usize,
    /// How many of them were checked.
    pub checked: usize,
    /// URLs that serve something else than they should.
    pub differences: Vec<Difference>,
    /// URLs with a header that is not the object's: a response headers policy or a function may have set it.
    pub overridden: Vec<Difference>,
    /// URLs that gave no response: whether viewers get them as deployed is not known.
    pub unanswered: Vec<Difference>,
}

/// A URL that serves something else than it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The URL.
    pub url: String,
    /// The key that it belongs to.
    pub key: String,
    /// What is wrong with the response.
    pub found: String,
}

impl Verified {
    /// What it is of a run in which no URL changed.
    pub(in crate::deploy) fn of_nothing(site: String) -> Verified {
        let (differences, overridden, unanswered) = (Vec::new(), Vec::new(), Vec::new());
        Verified { site, urls: 0, checked: 0, differences, overridden, unanswered }
    }

    /// What came of it, to be followed by the site: it is verified only if URLs were looked at, and some answered.
    pub fn headline(&self) -> &'static str {
        match self.checked {
            0 => "Nothing to verify at",
            checked if self.unanswered.len() == checked => "Not verified at",
            _ => "Verified at",
        }
    }

    /// What was found, in words that follow the site.
    pub fn verdict(&self) -> String {
        let urls = counted(self.urls as u64, "changed URL");
        if self.urls == 0 {
            return "no URL changed".to_owned();
        }
        if self.unanswered.len() == self.checked {
            return match self.checked {
                1 => "the changed URL did not answer".to_owned(),
                checked if checked == self.urls => format!("none of the {urls} answered"),
                checked => format!("none of {checked} of the {urls} answered"),
            };
        }
        let said = match self.differences.len() {
            0 if self.unanswered.is_empty() => "as deployed".to_owned(),
            0 => "no difference".to_owned(),
            different => format!("{different} serving something else"),
        };
        let said = format!("{} of {urls}, {said}", self.checked);
        match self.unanswered.len() {
            0 => said,
            count => format!("{said}, {count} did not answer"),
        }
    }

    /// The keys of the differences.
    fn keys(&self) -> HashSet<&str> {
        self.differences.iter().map(|difference| difference.key.as_str()).collect()
    }

    /// What the next deploy must invalidate again, if anything: what was seen to differ. A missing response is no
    /// reason to evict anything, because CloudFront has reported completion. `entries` are the walk's, and `left`
    /// is what an interrupted run had left.
    pub(in crate::deploy) fn pending(
        &self,
        plan: &Plan,
        entries: &[Entry],
        left: &[PendingChange],
    ) -> Vec<PendingChange> {
        let keys = self.keys();
        let changes = plan.changes.iter().filter(|change| keys.contains(change.key()));
        let written: HashSet<&str> = changes.clone().filter(|change| change.is_write()).map(Change::key).collect();
        // An object that was not written again is as the earlier run left it, and that run's intent knows what was
        // there before.
        let left: HashMap<&str, &PendingChange> = left
            .iter()
            .map(|left| (left.key.as_str(), left))
            .filter(|(key, _)| keys.contains(key) && !written.contains(key))
            .collect();
        let ours = changes.filter(|change| !left.contains_key(change.key()));
        let mut all: Vec<PendingChange> = ours.map(|change| pending(change, entries)).collect();
        all.extend(left.into_values().cloned());
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }
}
