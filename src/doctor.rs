//! `doctor`: looks at everything that a deploy relies on, changes nothing, and says what to repair.
//!
//! What cannot be seen is told as not checked, never as right. `bucket` and `distribution` turn what AWS
//! answers into findings; what follows from a configuration alone is decided there without I/O.

mod bucket;
mod distribution;
mod permissions;

use crate::aws::Aws;
use crate::distribution::Distributions;
use crate::error::Error;
use crate::invalidation::find::Which;
use crate::invalidation::{Policy, Viewers, find};
use crate::record::Place;
use crate::site::Target;
use permissions::Evidence;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// What is to be looked at.
#[derive(Debug, Clone)]
pub struct Doctor {
    /// The site.
    pub target: Target,
    /// Which distributions show it.
    pub distributions: Which,
    /// Where the deploy record is kept.
    pub place: Place,
    /// The account that must own the bucket.
    pub expected_owner: Option<String>,
    /// Whether an object is written, and removed again, where the record is: nothing else tells whether
    /// writes are allowed, and kept apart by conditions.
    pub probe: bool,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It cannot be seen from here.
    NotChecked,
    /// A deploy works, and could do better or costs more.
    Warning,
    /// A deploy fails, or viewers do.
    Error,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::NotChecked => "not checked",
            State::Warning => "warning",
            State::Error => "error",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn new(check: impl Into<String>, state: State, found: impl Into<String>) -> Finding {
        Finding { check: check.into(), state, found: found.into(), fix: None }
    }

    fn fix(self, fix: impl Into<String>) -> Finding {
        Finding { fix: Some(fix.into()), ..self }
    }

    /// What an error tells: what the deploy would meet, too.
    fn of_error(check: &str, error: &Error) -> Finding {
        let finding = Finding::new(check, State::Error, error.to_string());
        Finding { fix: error.hint_text().map(str::to_owned), ..finding }
    }

    /// What a question told that only the doctor asks: without an answer nothing is wrong.
    fn unanswered(check: &str, error: &Error) -> Finding {
        Finding { state: State::NotChecked, ..Finding::of_error(check, error) }
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of shipfront.
    pub shipfront: &'static str,
    /// The site as a URL.
    pub target: String,
    /// The worst of it.
    pub outcome: State,
    /// Line by line.
    pub findings: Vec<Finding>,
}

impl Report {
    fn of(target: &Target, findings: Vec<Finding>) -> Report {
        // What was not checked is neither good nor bad.
        let states = findings.iter().map(|finding| finding.state).filter(|&state| state != State::NotChecked);
        let outcome = states.max().unwrap_or(State::Ok);
        Report { shipfront: env!("CARGO_PKG_VERSION"), target: target.to_string(), outcome, findings }
    }

    fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for Finding { check, state, found, fix } in &self.findings {
            writeln!(out, "{:11}  {check}: {found}", state.word())?;
            if let Some(fix) = fix {
                writeln!(out, "{:11}    fix: {fix}", "")?;
            }
        }
        let counts = [(State::Error, "errors"), (State::Warning, "warnings"), (State::NotChecked, "not checked")];
        let counts = counts.map(|(state, word)| format!("{} {word}", self.count(state)));
        writeln!(out, "{}: {} ok, {}", self.target, self.count(State::Ok), counts.join(", "))
    }
}

impl Doctor {
    /// Looks at everything. What cannot be looked at, because something before it failed, is left out.
    pub async fn examine(&self, aws: &Aws) -> Report {
        let mut evidence = Evidence::default();
        let mut findings = vec![credentials(aws).await];
        let distributions = Distributions::new(aws);
        let shapes = find::shapes(&distributions, &self.distributions, self.target.bucket());
        let bucket = self.bucket(aws, &mut evidence);
        let (shapes, (bucket, seen)) = tokio::join!(shapes, bucket);
        findings.extend(seen);
        let shapes = match shapes {
            Ok(shapes) => {
                if self.distributions == Which::Auto {
                    evidence.works("cloudfront:ListDistributions");
                }
                shapes
            }
            Err(error) => {
                if self.distributions == Which::Auto && error.to_string().starts_with("cannot look") {
                    evidence.denied("cloudfront:ListDistributions");
                }
                findings.push(Finding::of_error("distributions", &error));
                Vec::new()
            }
        };
        if self.distributions == Which::None {
            findings.push(Finding::new("distributions", State::NotChecked, "none is to be told: --distribution none"));
        }
        let policy = Policy { max_paths: 1, ..Policy::default() };
        let viewers = Viewers::new(&shapes, &self.target, policy);
        if let Some((bucket, record)) = &bucket {
            findings.extend(self.policy_findings(aws, bucket, record.as_ref(), &viewers, &shapes, &mut evidence).await);
        }
        for (id, shape) in &shapes {
            findings.extend(distribution::findings(id, shape, &self.target));
            evidence.of_shape(shape);
            evidence.of_invalidations(&distributions, id).await;
        }
        findings.extend(evidence.findings(self, aws.is_amazon(), &shapes));
        Report::of(&self.target, findings)
    }
}

/// Whose the credentials are.
async fn credentials(aws: &Aws) -> Finding {
    const CHECK: &str = "credentials";
    match aws.identity().await {
        Ok(identity) if !identity.arn.is_empty() => {
            Finding::new(CHECK, State::Ok, format!("{} (account {})", identity.arn, identity.account))
        }
        Err(error) if aws.is_amazon() => Finding::of_error(CHECK, &error),
        _ => Finding::new(CHECK, State::NotChecked, "this endpoint does not tell whose they are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_makes_nothing_better_or_worse() {
        let finding = |state| Finding::new("x", state, "y");
        let outcome = |states: &[State]| {
            let target = Target::parse("s3://www.example.com").unwrap();
            Report::of(&target, states.iter().map(|&state| finding(state)).collect()).outcome
        };
        assert_eq!(outcome(&[State::Ok, State::NotChecked]), State::Ok);
        assert_eq!(outcome(&[State::NotChecked, State::Warning, State::Ok]), State::Warning);
        assert_eq!(outcome(&[State::Warning, State::Error, State::NotChecked]), State::Error);
    }
}
