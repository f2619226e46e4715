//! Errors that cross stages: each ends the run with an exit code and, where a fix is known, a hint.

use crate::exit::Exit;
use std::io;
use std::path::Path;

/// The result of a stage.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run, or a part of it, could not go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    exit: Exit,
    message: String,
    hint: Option<String>,
    code: Option<String>,
    superseded: bool,
    about_the_file: bool,
}

impl Error {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Error { exit, message: message.into(), hint: None, code: None, superseded: false, about_the_file: false }
    }

    /// The command line, or something it names, makes no sense (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Exit::Usage, message)
    }

    /// A guard refused before anything was written (exit 6).
    pub fn refused(message: impl Into<String>) -> Self {
        Error::new(Exit::Refused, message)
    }

    /// Something outside failed; the caller says later whether anything had landed (exit 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Error::new(Exit::Failed, message)
    }

    /// An invalidation was not accepted: what is live may be stale at the edge (exit 4).
    pub fn stale(message: impl Into<String>) -> Self {
        Error::new(Exit::Stale, message)
    }

    /// Another deploy holds the target (exit 5).
    pub fn locked(message: impl Into<String>) -> Self {
        Error::new(Exit::Locked, message)
    }

    /// A newer build went before (exit 5).
    pub fn superseded(message: impl Into<String>) -> Self {
        Error { superseded: true, ..Error::new(Exit::Locked, message) }
    }

    /// The word for the outcome, as the JSON has it.
    pub fn outcome(&self) -> &'static str {
        match self.exit {
            Exit::Locked if self.superseded => "superseded",
            Exit::Locked => "locked",
            Exit::Refused => "refused",
            Exit::Stale => "stale",
            Exit::Partial => "partial",
            Exit::Interrupted => "interrupted",
            _ => "failed",
        }
    }

    /// A file of the source cannot be read, or changed while it was (exit 1).
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let message = format!("cannot read {}: {error}", path.display());
        let hint = "let the build finish before the deploy starts, then run again";
        Error { about_the_file: true, ..Error::new(Exit::Failed, message).hint(hint) }
    }

    /// Whether a file of the source is to blame, not AWS.
    pub fn is_about_the_file(&self) -> bool {
        self.about_the_file
    }

    /// Says what the person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the names at hand in the place of those that stand for any.
    #[must_use]
    pub(crate) fn name_in_hint(mut self, any: &str, this: &str) -> Self {
        self.hint = self.hint.map(|hint| hint.replace(any, this));
        self
    }

    /// Keeps the AWS error code, so that callers need not read the message.
    #[must_use]
    pub fn with_code(mut self, code: Option<&str>) -> Self {
        self.code = code.map(str::to_owned);
        self
    }

    /// The same error with another exit code, once it is known what had landed.
    #[must_use]
    pub fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The exit code this error asks for.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do about it, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// AWS's error code (`AccessDenied`, `NoSuchBucket`), when AWS answered with one.
    pub fn aws_code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

impl From<shipfront_site::Error> for Error {
    fn from(error: shipfront_site::Error) -> Error {
        let exit = match error.kind() {
            shipfront_site::ErrorKind::Invalid => Exit::Usage,
            shipfront_site::ErrorKind::Refused => Exit::Refused,
        };
        Error { hint: error.hint_text().map(str::to_owned), ..Error::new(exit, error.to_string()) }
    }
}
