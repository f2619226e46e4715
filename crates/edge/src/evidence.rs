//! What somebody found out about CloudFront in an account of their own, for the edge to follow.
//!
//! `shipfront conformance --evidence FILE` writes the file. What it does not cover keeps its default: where the
//! documentation is silent, the reading that punishes a tool for invalidating too little.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;

use crate::lock::writing;
use crate::{Edge, EdgeError, QuotaScope, Quotas, RateQuota, RequestQuota, TokenBucket};

/// The variable that names the file.
pub const EVIDENCE_VARIABLE: &str = "SHIPFRONT_EDGE_EVIDENCE";

/// How CloudFront treats what its documentation leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    /// `/dir/*` clears `/dir/` as well.
    pub directory_wildcard_clears_directory: bool,
    /// The path of a key clears the copy at every URL that a function rewrites to it.
    pub key_path_clears_aliases: bool,
    /// The path of one URL that a function rewrites clears the copy that all of them share.
    pub alias_path_clears_key: bool,
    /// Lowercase and uppercase digits of an encoded character make one path.
    pub spellings_are_one: bool,
    /// A 403 error is cached.
    pub keeps_forbidden: bool,
    /// A 404 error is cached.
    pub keeps_not_found: bool,
}

impl Default for Readings {
    fn default() -> Self {
        Self {
            directory_wildcard_clears_directory: false,
            key_path_clears_aliases: false,
            alias_path_clears_key: false,
            spellings_are_one: false,
            keeps_forbidden: true,
            keeps_not_found: true,
        }
    }
}

impl Readings {
    /// A path in the form that distinguishes copies.
    pub(super) fn spelled<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if !self.spellings_are_one || !path.contains('%') {
            return Cow::Borrowed(path);
        }
        let mut spelled = String::with_capacity(path.len());
        for (at, part) in path.split('%').enumerate() {
            let digits = if at > 0 { part.char_indices().nth(2).map_or(part.len(), |(end, _)| end) } else { 0 };
            if at > 0 {
                spelled.push('%');
            }
            spelled.push_str(&part[..digits].to_ascii_uppercase());
            spelled.push_str(&part[digits..]);
        }
        Cow::Owned(spelled)
    }

    /// Whether an error is cached.
    pub(super) fn keeps(&self, status: u16) -> bool {
        match status {
            403 => self.keeps_forbidden,
            404 => self.keeps_not_found,
            _ => true,
        }
    }
}

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Evidence {
    #[serde(default)]
    quotas: LearnedQuotas,
    #[serde(default)]
    readings: LearnedReadings,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct LearnedQuotas {
    wildcards_taken: Option<usize>,
    wildcards_refused: Option<usize>,
    paths_taken: Option<usize>,
    paths_refused: Option<usize>,
    wildcards_per_second: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct LearnedReadings {
    directory_wildcard_clears_directory: Option<bool>,
    key_path_clears_aliases: Option<bool>,
    alias_path_clears_key: Option<bool>,
    spellings_are_one: Option<bool>,
    keeps_forbidden: Option<bool>,
    keeps_not_found: Option<bool>,
}

impl Evidence {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that cannot be read, or that is not an evidence file.
    pub fn read(path: &Path) -> Result<Self, EdgeError> {
        let failed = |reason: String| EdgeError::Evidence { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }

    /// How CloudFront treats what its documentation leaves open.
    #[must_use]
    pub fn readings(&self) -> Readings {
        let (learned, without) = (&self.readings, Readings::default());
        Readings {
            directory_wildcard_clears_directory: learned
                .directory_wildcard_clears_directory
                .unwrap_or(without.directory_wildcard_clears_directory),
            key_path_clears_aliases: learned.key_path_clears_aliases.unwrap_or(without.key_path_clears_aliases),
            alias_path_clears_key: learned.alias_path_clears_key.unwrap_or(without.alias_path_clears_key),
            spellings_are_one: learned.spellings_are_one.unwrap_or(without.spellings_are_one),
            keeps_forbidden: learned.keeps_forbidden.unwrap_or(without.keeps_forbidden),
            keeps_not_found: learned.keeps_not_found.unwrap_or(without.keeps_not_found),
        }
    }

    /// The quotas that were observed; others are unlimited.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        const MANY: f64 = 1e9;
        let learned = &self.quotas;
        let most = |taken: Option<usize>, refused: Option<usize>| match refused {
            Some(refused) => taken.unwrap_or(1).clamp(1, refused.max(2) - 1),
            None => usize::MAX,
        };
        let refuses = learned.wildcards_refused.is_some() || learned.paths_refused.is_some();
        let request = refuses.then(|| RequestQuota {
            items: most(learned.paths_taken, learned.paths_refused),
            wildcards: most(learned.wildcards_taken, learned.wildcards_refused),
        });
        let rate = learned.wildcards_per_second.filter(|rate| *rate > 0.0).map(|per_second| RateQuota {
            items: TokenBucket { per_second: MANY, size: MANY },
            wildcards: TokenBucket { per_second, size: per_second.max(1.0) },
            scope: QuotaScope::Distribution,
        });
        Quotas { request, rate, ..Quotas::default() }
    }
}

impl Edge {
    /// Changes how the edge treats what CloudFront's documentation leaves open.
    pub fn set_readings(&self, readings: Readings) {
        *writing(&self.state.readings) = readings;
    }

    /// Follows what was found out about CloudFront.
    pub fn follow(&self, evidence: &Evidence) {
        self.set_readings(evidence.readings());
        self.set_invalidation_quotas(evidence.quotas());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_evidence_says_is_followed_and_the_rest_stays_strict() {
        let text = r#"{"shipfront": "0.1.0", "quotas": {"wildcards_taken": 4, "wildcards_refused": 16},
            "readings": {"key_path_clears_aliases": true, "keeps_forbidden": false}, "seconds_until_fresh": 3.5}"#;
        let evidence: Evidence = serde_json::from_str(text).unwrap();
        let expected = Readings { key_path_clears_aliases: true, keeps_forbidden: false, ..Readings::default() };
        assert_eq!(evidence.readings(), expected);
        let request = RequestQuota { items: usize::MAX, wildcards: 4 };
        assert_eq!(evidence.quotas(), Quotas { request: Some(request), ..Quotas::default() });
        assert_eq!(Evidence::default().quotas(), Quotas::default());
    }

    #[test]
    fn digits_of_encoded_characters_are_one_where_they_are_read_so() {
        let one = Readings { spellings_are_one: true, ..Readings::default() };
        assert_eq!(one.spelled("/caf%c3%a9/%2b%a"), "/caf%C3%A9/%2B%A");
        assert_eq!(Readings::default().spelled("/caf%c3"), "/caf%c3");
    }
}
