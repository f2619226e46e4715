//! A check: an assumption, what depends on it, and what was observed.

use crate::commands::conformance::trial::Trial;
use crate::error::{Error, ErrorKind, Result};
use futures::future::LocalBoxFuture;
use serde::Serialize;

/// An assumption about S3 or CloudFront, and how to test it.
pub(super) struct Check {
    /// Its name, such as `create-only`.
    pub(super) name: &'static str,
    /// The statement of SEMANTICS.md that depends on it.
    pub(super) statement: &'static str,
    /// The assumption.
    pub(super) expected: &'static str,
    /// What to do if it does not hold.
    pub(super) hint: &'static str,
    /// Runs the test.
    pub(super) look: for<'t> fn(&'t Trial) -> LocalBoxFuture<'t, Result<Seen>>,
}

/// A row of a table of checks.
macro_rules! check {
    ($name:literal, $statement:literal, $expected:literal, $hint:literal, $look:expr) => {
        $crate::commands::conformance::check::Check {
            name: $name,
            statement: $statement,
            expected: $expected,
            hint: $hint,
            look: |trial| Box::pin($look(trial)),
        }
    };
}
pub(super) use check;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// The assumption holds.
    AsExpected,
    /// It does not hold.
    Otherwise,
    /// The endpoint does not support this at all.
    NotSupported,
    /// It could not be tested here.
    NotTried,
}

impl Status {
    pub(super) fn words(self) -> &'static str {
        match self {
            Status::AsExpected => "passed",
            Status::Otherwise => "failed",
            Status::NotSupported => "not supported",
            Status::NotTried => "skipped",
        }
    }
}

/// What was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: Status,
    pub(super) answered: String,
}

impl Seen {
    /// The assumption holds, or does not.
    pub(super) fn whether(as_expected: bool, answered: impl Into<String>) -> Seen {
        let status = if as_expected { Status::AsExpected } else { Status::Otherwise };
        Seen { status, answered: answered.into() }
    }

    /// The assumption does not hold.
    pub(super) fn otherwise(answered: impl Into<String>) -> Seen {
        Seen::whether(false, answered)
    }

    /// Why it was not tested.
    pub(super) fn not_tried(why: impl Into<String>) -> Seen {
        Seen { status: Status::NotTried, answered: why.into() }
    }
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) statement: &'static str,
    pub(super) status: Status,
    pub(super) expected: &'static str,
    pub(super) answered: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

impl Check {
    /// The finding for an observation. A denied permission or a missing response says nothing about the assumption.
    pub(super) fn finding(&self, seen: Result<Seen>) -> Finding {
        let (seen, hint) = match seen {
            Ok(seen) => {
                let says = matches!(seen.status, Status::Otherwise | Status::NotSupported);
                (seen, says.then(|| self.hint.to_owned()))
            }
            Err(error) => {
                let status = status_of(&error);
                let own = if status == Status::NotTried { error.own_hint() } else { Some(self.hint) };
                (Seen { status, answered: error.to_string() }, own.map(str::to_owned))
            }
        };
        Finding {
            name: self.name,
            statement: self.statement,
            status: seen.status,
            expected: self.expected,
            answered: seen.answered,
            hint: hint.filter(|hint| !hint.is_empty()),
        }
    }

    /// The finding for a check that a signal prevented.
    pub(super) fn interrupted(&self) -> Finding {
        self.finding(Ok(Seen::not_tried("interrupted")))
    }
}

fn status_of(error: &Error) -> Status {
    match error.kind() {
        ErrorKind::NotImplemented => Status::NotSupported,
        ErrorKind::AccessDenied
        | ErrorKind::Credentials
        | ErrorKind::Unanswered
        | ErrorKind::Busy
        | ErrorKind::ServerFault
        | ErrorKind::Interrupted => Status::NotTried,
        _ => Status::Otherwise,
    }
}
