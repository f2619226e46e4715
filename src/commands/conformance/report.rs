//! What conformance found: as text, as JSON and as Markdown.

use crate::aws::{Aws, Requests};
use crate::commands::conformance::cdn::Spent;
use crate::commands::conformance::check::{Finding, Status};
use crate::commands::conformance::trial::Trial;
use crate::error::Result;
use crate::escape::Shown;
use crate::exit::Exit;
use jiff::Timestamp;
use serde::Serialize;
use shipfront_invalidation::DistributionId;
use shipfront_site::Target;
use shipfront_site::Warning;
use std::fmt::{self, Display, Formatter, Write};

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) shipfront: &'static str,
    /// When, by this machine's clock.
    pub(super) made: Timestamp,
    /// `AWS`, or the host of another store.
    pub(super) store: String,
    /// The folder in which it was tried.
    pub(super) target: String,
    pub(super) distribution: Option<String>,
    /// In place of a distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
    /// The worst of it.
    pub(super) outcome: Status,
    pub(super) checks: Vec<Finding>,
    /// Settings that follow, with what they save.
    pub(super) advice: Vec<String>,
    /// What CloudFront counts.
    pub(super) spent: Spent,
    pub(super) requests: Requests,
    pub(super) warnings: Vec<Warning>,
    #[serde(skip)]
    is_interrupted: bool,
    #[serde(skip)]
    is_clean: bool,
}

impl Report {
    /// Of what was found, and of whether the folder is empty again.
    pub(super) fn new(
        folder: &Target,
        shown_by: Option<&DistributionId>,
        checks: Vec<Finding>,
        trial: &Trial,
        aws: &Aws,
        (cleaned, is_interrupted): (Result<()>, bool),
    ) -> Report {
        let (distribution, tenant) = match shown_by {
            Some(DistributionId::Distribution(id)) => (Some(id.clone()), None),
            Some(DistributionId::Tenant(id)) => (None, Some(id.clone())),
            None => (None, None),
        };
        let has = |status: Status| checks.iter().any(|finding| finding.status == status);
        let worst = [Status::Otherwise, Status::NotSupported, Status::AsExpected, Status::NotTried];
        let outcome = worst.into_iter().find(|&status| has(status)).unwrap_or(Status::NotTried);
        let is_clean = cleaned.is_ok();
        let warnings = cleaned.err().map(|error| Warning::from(&error));
        Report {
            shipfront: env!("CARGO_PKG_VERSION"),
            made: aws.clock().now(),
            store: aws.store(),
            target: folder.to_string(),
            distribution,
            tenant,
            outcome,
            advice: trial.learned().advice(),
            spent: trial.cdn().map(|cdn| cdn.spent()).unwrap_or_default(),
            requests: aws.requests(),
            checks,
            warnings: warnings.into_iter().collect(),
            is_interrupted,
            is_clean,
        }
    }

    /// How the run ends.
    pub(super) fn exit(&self) -> Exit {
        match self.outcome {
            _ if self.is_interrupted => Exit::Interrupted,
            Status::Otherwise => Exit::Different,
            _ if !self.is_clean => Exit::Failed,
            _ => Exit::Done,
        }
    }

    fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|finding| finding.status == status).count()
    }

    fn summary(&self) -> String {
        let all = [Status::AsExpected, Status::Otherwise, Status::NotSupported, Status::NotTried];
        all.map(|status| format!("{} {}", self.count(status), status.words())).join(", ")
    }

    /// The same for a page.
    pub(super) fn markdown(&self) -> String {
        let cell = |text: &str| Shown(text.replace('|', "\\|").replace('<', "&lt;")).to_string();
        let distribution = match (&self.distribution, &self.tenant) {
            (Some(id), _) => format!(" and distribution {id}"),
            (None, Some(id)) => format!(" and distribution tenant {id}"),
            (None, None) => String::new(),
        };
        let mut page = format!(
            "# Conformance of {}{distribution}\n\nshipfront {}, {:.0}: {}.\n\n| check | statement | is | expected | answered |\n|---|---|---|---|---|\n",
            cell(&self.store),
            self.shipfront,
            self.made,
            self.summary()
        );
        for Finding { name, statement, status, expected, answered, hint } in &self.checks {
            let hint = hint.as_deref().map(|hint| format!(" *{}*", cell(hint))).unwrap_or_default();
            let row = format!(
                "| {name} | {statement} | {} | {} | {}{hint} |\n",
                status.words(),
                cell(expected),
                cell(answered)
            );
            page.push_str(&row);
        }
        if !self.advice.is_empty() {
            page.push_str("\nWhat follows for `shipfront.toml`:\n\n");
        }
        for advice in &self.advice {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "- {}", cell(advice));
        }
        page
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for Finding { name, statement, status, expected, answered, hint } in &self.checks {
            writeln!(out, "{:13}  {name} ({statement}): {}", status.words(), Shown(answered))?;
            if *status == Status::Otherwise {
                writeln!(out, "{:15}expected: {expected}", "")?;
            }
            if let Some(hint) = hint {
                writeln!(out, "{:15}hint: {}", "", Shown(hint))?;
            }
        }
        for advice in &self.advice {
            writeln!(out, "setting: {}", Shown(advice))?;
        }
        writeln!(out, "{}: {}", self.store, self.summary())
    }
}
