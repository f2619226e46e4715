//! Determines which of the site's objects the distributions serve as error pages, and what clearing them takes.

use crate::choose::ALL;
use crate::viewer::TOLERATED_SECONDS;
use crate::{DistributionId, Invalidation, Shown, Viewers};
use shipfront_site::Warning;

/// An object that a distribution serves under URLs that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage<'a> {
    /// The distribution.
    pub distribution: &'a DistributionId,
    /// The error codes that it answers, in ascending order.
    pub codes: Vec<u16>,
    /// Whether `/` serves it as well: a single-page application.
    pub is_root: bool,
}

impl Viewers {
    /// The sorted keys below the target's prefix that a distribution serves as error pages, whether or not such
    /// objects exist.
    pub fn error_page_keys(&self) -> Vec<String> {
        let candidates = self.viewers.iter().flat_map(|shown| shown.viewer.error_page_candidates());
        let mut keys: Vec<String> = candidates
            .filter_map(|full_key| full_key.strip_prefix(self.target.prefix()).map(str::to_owned))
            .filter(|key| !key.is_empty() && self.error_page(key).is_some())
            .collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// How the first distribution that serves a key as an error page does so.
    pub fn error_page(&self, key: &str) -> Option<ErrorPage<'_>> {
        let full_key = self.target.full_key(key);
        self.viewers.iter().find_map(|Shown { id, viewer, .. }| {
            let codes = viewer.error_codes(&full_key);
            let is_root = viewer.is_root(&full_key);
            (!codes.is_empty()).then_some(ErrorPage { distribution: id, codes, is_root })
        })
    }

    /// Whether there is a distribution and the configuration of each could be read: otherwise, there may be error
    /// pages other than the known ones.
    pub fn know_error_pages(&self) -> bool {
        !self.viewers.is_empty() && self.viewers.iter().all(|shown| shown.readable)
    }

    /// The settings of the distributions because of which each change of an error page evicts everything, whatever
    /// its headers: one sentence each, with the value to lower.
    pub fn error_page_obstacles(&self, key: &str) -> Vec<Warning> {
        let full_key = self.target.full_key(key);
        let of_distribution = |Shown { id, viewer, .. }: &Shown| {
            let obstacles = viewer.error_page_obstacles(&full_key).into_iter();
            let sentence = |(rule, seconds): (&str, u64)| {
                Warning::new(
                    format_args!(
                        "the {rule} of {seconds} s keeps /{key} in the cache of the {id} under any URL, so every change of it invalidates /*"
                    ),
                    format_args!("set it to at most {TOLERATED_SECONDS} s"),
                )
            };
            obstacles.map(sentence).collect::<Vec<_>>()
        };
        self.viewers.iter().flat_map(of_distribution).collect()
    }

    /// Whether what was sent cleared all copies of an error page, including those under unknown URLs: every
    /// distribution that serves it as an error page was invalidated completely.
    pub fn cleared_error_page(&self, key: &str, sent: &[Invalidation]) -> bool {
        let full_key = self.target.full_key(key);
        let mut serving =
            self.viewers.iter().filter(|shown| !shown.viewer.error_codes(&full_key).is_empty()).peekable();
        let cleared = |shown: &Shown| {
            let of_it = sent.iter().filter(|sent| sent.distribution == shown.id);
            of_it.flat_map(|sent| &sent.items).any(|item| item == ALL)
        };
        serving.peek().is_some() && serving.all(cleared)
    }
}
