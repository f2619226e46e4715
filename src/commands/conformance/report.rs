//! The result of conformance: as text, as JSON and as Markdown.

use crate::aws::{Aws, Requests};
use crate::commands::conformance::cdn::Spent;
use crate::commands::conformance::check::{Finding, Status};
use crate::commands::conformance::trial::Trial;
use crate::error::Result;
use crate::escape::Shown;
use crate::exit::Exit;
use crate::wording::Mark;
use jiff::Timestamp;
use serde::Serialize;
use shipfront_invalidation::DistributionId;
use shipfront_site::Target;
use shipfront_site::Warning;
use std::fmt::{self, Display, Formatter, Write};

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) shipfront: &'static str,
    /// The time, by this machine's clock.
    pub(super) made: Timestamp,
    /// `AWS`, or the host of another store.
    pub(super) store: String,
    /// The folder of the tests.
    pub(super) target: String,
    pub(super) distribution: Option<String>,
    /// The tenant, instead of a distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
    /// The worst result.
    pub(super) outcome: Status,
    pub(super) checks: Vec<Finding>,
    /// Recommended settings, with what they save.
    pub(super) advice: Vec<String>,
    /// The amounts that CloudFront counts.
    pub(super) spent: Spent,
    pub(super) requests: Requests,
    pub(super) warnings: Vec<Warning>,
    /// Whether its text has a line for each check.
    #[serde(skip)]
    pub(super) verbose: bool,
    #[serde(skip)]
    is_interrupted: bool,
    #[serde(skip)]
    is_clean: bool,
}

impl Report {
    /// Creates a report from the findings, and from whether the folder is empty again.
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
            verbose: false,
            is_interrupted,
            is_clean,
        }
    }

    /// The exit code.
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
        let counts = all.into_iter().map(|status| (self.count(status), status.words())).filter(|(count, _)| *count > 0);
        counts.map(|(count, words)| format!("{count} {words}")).collect::<Vec<_>>().join(", ")
    }

    /// The report as Markdown.
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
    /// What is different, then what is not supported, not tried and as expected in few lines, and a verdict last.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for (status, mark) in [(Status::Otherwise, Mark::Bad), (Status::NotSupported, Mark::Warning)] {
            for Finding { name, statement, expected, answered, hint, .. } in self.in_status(status) {
                let words = if status == Status::NotSupported { "not supported: " } else { "" };
                writeln!(out, "{mark} {name} ({statement}): {words}{expected}")?;
                writeln!(out, "    answered: {}", Shown(answered))?;
                if let Some(hint) = hint {
                    writeln!(out, "    fix: {}", Shown(hint))?;
                }
            }
        }
        if self.verbose {
            for (status, mark) in [(Status::NotTried, "-".to_owned()), (Status::AsExpected, Mark::Good.to_string())] {
                for Finding { name, statement, answered, hint, .. } in self.in_status(status) {
                    writeln!(out, "{mark} {name} ({statement}): {}", Shown(answered))?;
                    if let Some(hint) = hint {
                        writeln!(out, "    fix: {}", Shown(hint))?;
                    }
                }
            }
        } else {
            self.write_folded(out)?;
        }
        for advice in &self.advice {
            writeln!(out, "setting: {}", Shown(advice))?;
        }
        writeln!(out, "{}", self.verdict())
    }
}

impl Report {
    fn in_status(&self, status: Status) -> impl Iterator<Item = &Finding> {
        self.checks.iter().filter(move |finding| finding.status == status)
    }

    /// What was not tried, by the reason, and the names of what is as expected.
    fn write_folded(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<(&str, Option<&str>, Vec<&str>)> = Vec::new();
        for Finding { name, answered, hint, .. } in self.in_status(Status::NotTried) {
            match reasons.iter_mut().find(|(reason, ..)| reason == answered) {
                Some((.., names)) => names.push(name),
                None => reasons.push((answered, hint.as_deref(), vec![name])),
            }
        }
        for (reason, hint, names) in reasons {
            writeln!(out, "- skipped, {}: {}", Shown(reason), names.join(", "))?;
            if let Some(hint) = hint {
                writeln!(out, "    fix: {}", Shown(hint))?;
            }
        }
        let names: Vec<&str> = self.in_status(Status::AsExpected).map(|finding| finding.name).collect();
        if !names.is_empty() {
            writeln!(out, "{} passed: {}", Mark::Good, names.join(", "))?;
        }
        writeln!(out, "  (--verbose lists the answers)")
    }

    fn verdict(&self) -> String {
        let (store, summary) = (Shown(&self.store), self.summary());
        match self.outcome {
            Status::Otherwise => Mark::Bad.line(format!("{store} does not behave as shipfront expects: {summary}")),
            Status::NotSupported => Mark::Warning.line(format!("{store} does not support all operations: {summary}")),
            Status::AsExpected => Mark::Good.line(format!("{store} behaves as shipfront expects: {summary}")),
            Status::NotTried => Mark::Warning.line(format!("nothing was tried at {store}: {summary}")),
        }
    }
}
