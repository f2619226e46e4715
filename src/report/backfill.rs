//! The report of `shipfront tags --backfill`.

use crate::aws::Aws;
use crate::aws::Requests;
use crate::deploy::backfill::{Backfilled, LeftAlone};
use crate::escape::{Shown, shown};
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome};
use serde::Serialize;
use shipfront_invalidation::Invalidation;
use shipfront_site::Target;
use shipfront_site::Warning;
use std::fmt::{self, Display, Formatter};

/// The result of the tagging.
#[derive(Debug, Serialize)]
pub struct BackfillReport {
    shipfront: &'static str,
    deploy: String,
    /// How it ended.
    pub outcome: Outcome,
    target: String,
    /// Number of objects tagged by this run.
    tagged: u64,
    /// Number of objects that already carried theirs.
    kept: u64,
    /// Objects that were left alone, and why.
    left: Vec<LeftAlone>,
    invalidations: Vec<Invalidation>,
    requests: Requests,
    warnings: Vec<Warning>,
    errors: Vec<Failure>,
}

impl BackfillReport {
    /// The report of a backfill of `target`.
    pub fn new(done: Backfilled, target: &Target, aws: &Aws) -> BackfillReport {
        let Backfilled { deploy, tagged, kept, left, failed, sent, interrupted, mut warnings } = done;
        let mut errors: Vec<Failure> = failed.iter().map(|(key, error)| Failure::of(Some(key), error)).collect();
        errors.extend(sent.failed.iter().map(|error| Failure::of(None, error)));
        warnings.extend(sent.warnings);
        let outcome = match () {
            () if !sent.failed.is_empty() => Outcome::Stale,
            () if interrupted => Outcome::Interrupted,
            () if !errors.is_empty() && tagged == 0 => Outcome::Failed,
            () if !errors.is_empty() => Outcome::Partial,
            () if tagged == 0 => Outcome::NothingToDo,
            () => Outcome::Deployed,
        };
        BackfillReport {
            shipfront: env!("CARGO_PKG_VERSION"),
            deploy,
            outcome,
            target: target.to_string(),
            tagged,
            kept,
            left,
            invalidations: sent.invalidations,
            requests: aws.requests(),
            warnings,
            errors,
        }
    }

    /// Problems that are not failures.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What failed.
    pub fn errors(&self) -> &[Failure] {
        &self.errors
    }

    /// The corresponding exit code.
    pub fn exit(&self) -> Exit {
        self.outcome.exit()
    }
}

impl Display for BackfillReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {} objects tagged, {} already tagged", Shown(&self.target), self.tagged, self.kept)?;
        for LeftAlone { key, reason } in &self.left {
            writeln!(out, "  {} was left as it is: {}", Shown(key), Shown(reason))?;
        }
        for Invalidation { distribution, id, status, items, .. } in &self.invalidations {
            let (distribution, id) = (Shown(distribution), Shown(id.as_deref().unwrap_or("not accepted")));
            writeln!(out, "  {distribution}: invalidation {id}, {status}:{}", shown(items))?;
        }
        Ok(())
    }
}
