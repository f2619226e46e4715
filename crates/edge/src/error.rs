//! What can go wrong with the edge itself, as its user reads it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the edge cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    #[error("port {port} is taken by another program")]
    PortTaken { port: u16 },
    #[error("cannot listen on port {port}: {source}")]
    Listen { port: u16, source: io::Error },
    #[error("{} is in use by another local edge", .0.display())]
    DirectoryInUse(PathBuf),
    #[error("cannot use {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("{} is damaged at line {line}", path.display())]
    Damaged { path: PathBuf, line: usize },
    #[error("{0} is not a bucket name")]
    BucketName(String),
    #[error("there is no bucket {0}")]
    NoSuchBucket(String),
    #[error("there is no distribution {0}")]
    NoSuchDistribution(String),
    #[error("cannot keep the change: {0}")]
    Write(io::Error),
    #[error("no home directory is known: say where the local edge keeps its data")]
    NoHome,
}

impl EdgeError {
    pub(super) fn directory(path: &Path, source: io::Error) -> Self {
        Self::Directory { path: path.to_owned(), source }
    }
}
