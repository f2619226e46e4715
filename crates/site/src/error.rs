//! Errors in what a user or a file says: why it cannot be done, and how to fix it.

use std::path::Path;

/// The result of parsing user input.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input makes no sense.
    Invalid,
    /// The input makes sense but is refused.
    Refused,
}

/// Why something cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// An error for input that makes no sense.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Invalid, message: message.into(), hint: None }
    }

    /// An error for input that makes sense but is refused.
    pub fn refused(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Refused, ..Error::invalid(message) }
    }

    /// Adds a hint that says what the user can do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Error {
        Error { hint: Some(hint.into()), ..self }
    }

    /// The kind of problem.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// How to fix it, if known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// A line of a file that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line number, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub hint: String,
}

impl LineError {
    /// Describes what is wrong with a line and how to fix it.
    pub fn new(line: usize, message: impl Into<String>, hint: impl Into<String>) -> LineError {
        LineError { line, message: message.into(), hint: hint.into() }
    }

    /// The same error, with the file that contains the line.
    pub fn in_file(self, file: &Path) -> Error {
        Error::invalid(format!("{}:{}: {}", file.display(), self.line, self.message)).hint(self.hint)
    }
}
