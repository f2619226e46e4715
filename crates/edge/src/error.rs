//! What can go wrong with the edge itself, as its user reads it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the edge cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// A port that another program listens on.
    #[error("port {port} is taken by another program")]
    PortTaken {
        /// The port that was asked for.
        port: u16,
    },
    /// A port that cannot be had for another reason.
    #[error("cannot listen on port {port}: {source}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another process has the directory.
    #[error("{} is in use by another local edge", .0.display())]
    DirectoryInUse(PathBuf),
    /// A directory that cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A journal that this program did not write, or not so.
    #[error("{} is damaged at line {line}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A name that S3 would not take.
    #[error("{0} is not a bucket name")]
    BucketName(String),
    /// A bucket that does not exist.
    #[error("there is no bucket {0}")]
    NoSuchBucket(String),
    /// A distribution that does not exist.
    #[error("there is no distribution {0}")]
    NoSuchDistribution(String),
    /// A function that CloudFront would not take.
    #[error("the function {0}: {1}")]
    Function(String, String),
    /// A disk that does not take a change. Nothing was changed.
    #[error("cannot keep the change: {0}")]
    Write(io::Error),
    /// A file of evidence that is not valid.
    #[error("{} is no evidence: {reason}", path.display())]
    Evidence {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No default directory, since no home directory is known.
    #[error("no home directory is known: say where the local edge keeps its data")]
    NoHome,
}

impl EdgeError {
    pub(super) fn directory(path: &Path, source: io::Error) -> Self {
        Self::Directory { path: path.to_owned(), source }
    }
}
