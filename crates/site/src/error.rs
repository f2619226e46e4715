//! Why what a person or a file says cannot be done, and what to do about it.

use std::path::Path;

/// The result of reading what somebody wrote.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It makes no sense.
    Invalid,
    /// It makes sense, and is refused.
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
    /// What was written makes no sense.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Invalid, message: message.into(), hint: None }
    }

    /// What was written makes sense, and is refused.
    pub fn refused(message: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Refused, ..Error::invalid(message) }
    }

    /// Says what the person can do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Error {
        Error { hint: Some(hint.into()), ..self }
    }

    /// The kind of problem.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do about it, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// A line of a file that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl LineError {
    /// What is wrong with a line, and what to do.
    pub fn new(line: usize, message: impl Into<String>, hint: impl Into<String>) -> LineError {
        LineError { line, message: message.into(), hint: hint.into() }
    }

    /// The same with the file that the line is in.
    pub fn in_file(self, file: &Path) -> Error {
        Error::invalid(format!("{}:{}: {}", file.display(), self.line, self.message)).hint(self.hint)
    }
}
