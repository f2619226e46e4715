//! The continuation token: lets the next invocation of a job check CloudFront, instead of having this one sleep.

use crate::clock::Clock;
use crate::cloudfront::Distributions;
use crate::error::{Error, Result};
use crate::lambda::pipeline::answer::Verdict;
use serde::{Deserialize, Serialize};
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::{Invalidation, InvalidationStatus};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long CloudFront may take before the job ends without it: the default of `--wait-timeout`.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(10 * 60);
/// Maximum length of a token, in characters
/// (<https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html>).
const TOKEN_LIMIT: usize = 2048;
/// Maximum size of IDs in the output variables, which have 122,880 bytes in all
/// (<https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html>).
const IDS_LIMIT: usize = 16 * 1024;

/// Invalidations that CloudFront accepted, and the result to report once they are completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// Until when to wait, in seconds since the epoch.
    until: i64,
    invalidations: Vec<Accepted>,
    summary: String,
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Accepted {
    #[serde(rename = "d")]
    distribution: String,
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    tenant: bool,
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    open: bool,
}

impl Waiting {
    /// Creates the value from what was sent, and from the final result.
    pub(super) fn new(sent: &[Invalidation], mut variables: BTreeMap<String, String>, summary: String) -> Waiting {
        let items: usize = sent.iter().map(|invalidation| invalidation.items.len()).sum();
        variables.insert("invalidationPaths".to_owned(), items.to_string());
        let accepted = sent.iter().filter_map(|invalidation| {
            let (distribution, tenant) = match &invalidation.distribution {
                DistributionId::Distribution(id) => (id.clone(), false),
                DistributionId::Tenant(id) => (id.clone(), true),
            };
            let open = invalidation.status == InvalidationStatus::InProgress;
            Some(Accepted { distribution, tenant, id: invalidation.id.clone()?, open })
        });
        Waiting { until: 0, invalidations: accepted.collect(), summary, variables }
    }

    /// Whether there is anything to wait for.
    pub(super) fn is_open(&self) -> bool {
        self.invalidations.iter().any(|accepted| accepted.open)
    }

    /// Limits the wait, from now on.
    pub(super) fn for_at_most(self, limit: Duration, clock: &Clock) -> Waiting {
        let limit = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        Waiting { until: clock.now().as_second().saturating_add(limit), ..self }
    }

    /// Parses one of shipfront's tokens.
    pub(super) fn parse(token: &str) -> Result<Waiting> {
        serde_json::from_str(token).map_err(|_| {
            Error::failed("the continuation token is not one of shipfront's")
                .hint("retry the action from its beginning")
        })
    }

    /// Asks CloudFront for the progress, once.
    pub(super) async fn look(mut self, distributions: &Distributions, clock: &Clock) -> Verdict {
        for accepted in self.invalidations.iter_mut().filter(|accepted| accepted.open) {
            let name = accepted.distribution.clone();
            let distribution =
                if accepted.tenant { DistributionId::Tenant(name) } else { DistributionId::Distribution(name) };
            match distributions.invalidation_status(&distribution, &accepted.id).await {
                Ok(status) => accepted.open = status == InvalidationStatus::InProgress,
                Err(error) => {
                    let hint = error.own_hint().unwrap_or("it continues without shipfront");
                    self.summary = format!("{}; cannot see whether CloudFront is done: {error} ({hint})", self.summary);
                    return self.done();
                }
            }
        }
        if !self.is_open() {
            return self.done();
        }
        if clock.now().as_second() >= self.until {
            self.summary +=
                "; CloudFront accepted the invalidation but did not complete it in time: it continues by itself";
            return self.done();
        }
        self.verdict()
    }

    /// There is nothing left to wait for.
    pub(super) fn done(mut self) -> Verdict {
        let ids: Vec<&str> = self.invalidations.iter().map(|accepted| accepted.id.as_str()).collect();
        let mut names: Vec<&str> = self.invalidations.iter().map(|accepted| accepted.distribution.as_str()).collect();
        names.dedup();
        if !ids.is_empty() {
            self.summary = format!("{}; invalidation {} on {}", self.summary, ids.join(" "), names.join(" "));
        }
        // An empty variable cannot be distinguished from one that is not set.
        for (name, values) in [("invalidationIds", ids), ("distributions", names)] {
            if !values.is_empty() {
                self.variables.insert(name.to_owned(), joined(&values));
            }
        }
        Verdict::Done { summary: self.summary, variables: self.variables }
    }

    /// Continues, if the token fits; what CloudFront has accepted needs nobody to wait.
    pub(super) fn verdict(self) -> Verdict {
        match serde_json::to_string(&self) {
            Ok(token) if token.chars().count() <= TOKEN_LIMIT => {
                let open = self.invalidations.iter().filter(|accepted| accepted.open).count();
                let ids = crate::lambda::pipeline::count(open, "invalidation");
                Verdict::Waiting { summary: format!("{}; waiting for CloudFront: {ids}", self.summary), token }
            }
            _ => self.done(),
        }
    }
}

/// As many as fit.
fn joined(values: &[&str]) -> String {
    let mut text = String::new();
    for value in values {
        if text.len() + value.len() >= IDS_LIMIT {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(count: usize) -> Vec<Invalidation> {
        let accepted = |at: usize| Invalidation {
            id: Some(format!("I2J0I21PCUYOIK{at:08}")),
            status: InvalidationStatus::InProgress,
            ..Invalidation::of_items(DistributionId::Distribution("E2QWRUHAPOMQZL".to_owned()), vec!["/a".to_owned()])
        };
        (0..count).map(accepted).collect()
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let waiting =
            Waiting::new(&sent(2), BTreeMap::new(), "done".to_owned()).for_at_most(WAIT_LIMIT, &Clock::default());
        let Verdict::Waiting { token, .. } = waiting.clone().verdict() else { panic!("nothing to wait for") };
        assert_eq!(Waiting::parse(&token).unwrap(), waiting);
        assert!(Waiting::parse("another's").is_err());
    }

    #[test]
    fn what_has_no_room_in_a_token_is_not_waited_for() {
        let Verdict::Done { variables, .. } = Waiting::new(&sent(2000), BTreeMap::new(), String::new()).verdict()
        else {
            panic!("no token is that long")
        };
        assert_eq!(variables["invalidationPaths"], "2000");
        assert!(variables["invalidationIds"].len() <= IDS_LIMIT);
    }
}
