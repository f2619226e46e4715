//! Errors of the edge itself, as its user reads them.

use std::io;
use std::path::{Path, PathBuf};

/// Why the edge cannot do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// Another program listens on the port.
    #[error("port {port} is taken by another program")]
    PortTaken {
        /// The requested port.
        port: u16,
    },
    /// The port is not available for another reason.
    #[error("cannot listen on port {port}: {source}")]
    Listen {
        /// The requested port.
        port: u16,
        /// The operating system's error.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error("{} is in use by another local edge", .0.display())]
    DirectoryInUse(PathBuf),
    /// The directory cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A journal that this program did not write, or that is damaged.
    #[error("{} is damaged at line {line}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line number, from 1.
        line: usize,
    },
    /// A name that S3 would not accept.
    #[error("{0} is not a bucket name")]
    BucketName(String),
    /// A bucket that does not exist.
    #[error("there is no bucket {0}")]
    NoSuchBucket(String),
    /// A distribution that does not exist.
    #[error("there is no distribution {0}")]
    NoSuchDistribution(String),
    /// A function that CloudFront would not accept.
    #[error("the function {0}: {1}")]
    Function(String, String),
    /// The disk refused a change. Nothing was changed.
    #[error("cannot keep the change: {0}")]
    Write(io::Error),
    /// An evidence file that is not valid.
    #[error("{} is no evidence: {reason}", path.display())]
    Evidence {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no default directory because no home directory is known.
    #[error("no home directory is known: say where the local edge keeps its data")]
    NoHome,
}

impl EdgeError {
    pub(super) fn directory(path: &Path, source: io::Error) -> Self {
        Self::Directory { path: path.to_owned(), source }
    }
}
