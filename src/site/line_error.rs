//! What is wrong with a line of a file, and what to do about it.

use crate::error::Error;
use std::path::Path;

/// A line that makes no sense.
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

    /// The error of the run, once it is known which file this is.
    pub fn of(self, file: &Path) -> Error {
        Error::usage(format!("{}:{}: {}", file.display(), self.line, self.message)).hint(self.hint)
    }
}
