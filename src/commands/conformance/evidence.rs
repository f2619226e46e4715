//! What was found out: CloudFront's quotas, and how it treats what its documentation leaves open, for the local
//! edge to follow.

use crate::commands::conformance::report::Report;
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::Serialize;

/// What was found out. `None` was not observed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Learned {
    pub(super) quotas: Quotas,
    pub(super) readings: Readings,
    /// How long it took until a viewer saw a change, from the response to the invalidation on.
    pub(super) seconds_until_fresh: Option<f64>,
}

/// How many items CloudFront accepts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Quotas {
    /// The largest number of wildcards in an accepted request.
    pub(super) wildcards_taken: Option<u64>,
    /// The smallest number of wildcards in a refused request.
    pub(super) wildcards_refused: Option<u64>,
    /// The largest number of paths in an accepted request.
    pub(super) paths_taken: Option<u64>,
    /// The smallest number of paths in a refused request.
    pub(super) paths_refused: Option<u64>,
    /// The error code of the refusal.
    pub(super) refusal: Option<String>,
    /// Wildcards accepted per second, sent one by one without a pause, from the first refusal on.
    pub(super) wildcards_per_second: Option<f64>,
}

/// How CloudFront treats what its documentation leaves open.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Readings {
    /// `/dir/*` clears `/dir/` as well.
    pub(super) directory_wildcard_clears_directory: Option<bool>,
    /// The path of the key clears the URLs that a function rewrites to it.
    pub(super) key_path_clears_aliases: Option<bool>,
    /// A URL that a function rewrites clears the copy of all of them.
    pub(super) alias_path_clears_key: Option<bool>,
    /// `%c3` and `%C3` are one copy, or are evicted together.
    pub(super) spellings_are_one: Option<bool>,
    /// A 403 error is cached.
    pub(super) keeps_forbidden: Option<bool>,
    /// A 404 error is cached.
    pub(super) keeps_not_found: Option<bool>,
}

/// The file.
#[derive(Serialize)]
struct Evidence<'a> {
    shipfront: &'static str,
    written: Timestamp,
    store: &'a str,
    distribution: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(flatten)]
    learned: &'a Learned,
}

impl Learned {
    /// The file for `SHIPFRONT_EDGE_EVIDENCE`.
    pub(super) fn json(&self, report: &Report) -> Result<String> {
        let evidence = Evidence {
            shipfront: env!("CARGO_PKG_VERSION"),
            written: report.made,
            store: &report.store,
            distribution: report.distribution.as_deref(),
            tenant: report.tenant.as_deref(),
            learned: self,
        };
        let text = serde_json::to_string_pretty(&evidence);
        text.map(|text| text + "\n").map_err(|error| Error::failed(format!("the evidence cannot be written: {error}")))
    }

    /// Recommended settings, with what they save.
    pub(super) fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let readings = &self.readings;
        if readings.key_path_clears_aliases == Some(true) {
            advice.push(
                "index-alias = \"never\": the path of a key clears /dir/ and /dir, too, so that a changed page costs one \
                 path instead of three"
                    .to_owned(),
            );
        }
        if let Some(refused) = self.quotas.wildcards_refused {
            let taken = self.quotas.wildcards_taken.unwrap_or(1).max(1);
            advice.push(format!(
                "max-wildcards = {taken}: a request with {refused} wildcards is refused at first, so that a deploy with \
                 fewer of them is done sooner"
            ));
        }
        advice
    }
}
