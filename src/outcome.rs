//! How a run ended: its word, what failed, and the error that ended it, as in the JSON.

use crate::error::{Error, ErrorKind};
use crate::exit::Exit;
use serde::Serialize;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The site is live and invalidated.
    Deployed,
    /// The target matches the source.
    NothingToDo,
    /// `plan`: nothing was written.
    Planned,
    /// Some files failed; everything that was changed is live and invalidated.
    Partial,
    /// An invalidation failed: the edge may serve old bytes.
    Stale,
    /// Live, but `--verify` found URLs that serve something else.
    Different,
    /// Live, but `--verify` got no response from some URLs, and saw no difference at the others.
    Unverified,
    /// Stopped by a signal; everything that had been changed was invalidated.
    Interrupted,
    /// A guard refused the plan: nothing was written.
    Refused,
    /// Nothing was changed, because something failed.
    Failed,
}

impl Outcome {
    /// Its word in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Deployed => "deployed",
            Outcome::NothingToDo => "nothing-to-do",
            Outcome::Planned => "planned",
            Outcome::Partial => "partial",
            Outcome::Stale => "stale",
            Outcome::Different => "different",
            Outcome::Unverified => "unverified",
            Outcome::Interrupted => "interrupted",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        }
    }

    /// The corresponding exit code.
    pub fn exit(self) -> Exit {
        match self {
            Outcome::Deployed | Outcome::NothingToDo | Outcome::Planned => Exit::Done,
            Outcome::Partial => Exit::Partial,
            Outcome::Stale => Exit::Stale,
            Outcome::Different | Outcome::Unverified => Exit::Different,
            Outcome::Interrupted => Exit::Interrupted,
            Outcome::Refused => Exit::Refused,
            Outcome::Failed => Exit::Failed,
        }
    }

    /// Whether it belongs to a plan that was not carried out.
    pub fn is_plan(self) -> bool {
        matches!(self, Outcome::Planned | Outcome::Refused)
    }
}

/// Something that failed, and what to do about it.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The key, if it concerns one.
    pub key: Option<String>,
    /// What happened.
    pub error: String,
    /// How to fix it.
    pub hint: Option<String>,
    /// The kind, for decisions of callers.
    #[serde(skip)]
    pub kind: ErrorKind,
}

impl Failure {
    /// An error in the form of the report.
    pub fn of(key: Option<&str>, error: &Error) -> Failure {
        Failure {
            key: key.map(str::to_owned),
            error: error.to_string(),
            hint: Some(error.hint_text().to_owned()),
            kind: error.kind(),
        }
    }
}

/// An error in the form of `--json`.
#[derive(Debug, Serialize)]
pub struct ErrorReport<'a> {
    shipfront: &'static str,
    outcome: &'static str,
    error: String,
    hint: &'a str,
}

impl ErrorReport<'_> {
    /// The error, with the outcome that matches the exit code.
    pub fn of(error: &Error) -> ErrorReport<'_> {
        ErrorReport {
            shipfront: env!("CARGO_PKG_VERSION"),
            outcome: error.outcome(),
            error: error.to_string(),
            hint: error.hint_text(),
        }
    }
}
