//! Reads the files that only their bytes can tell apart from their objects, as many at once as there are cores.

use super::diff::{Content, Pair};
use crate::site::etag;
use rayon::prelude::*;
use std::fs::File;
use std::path::Path;

/// For each pair, in order, what reading its file told.
///
/// Blocking, on all cores. Files that need no comparison are opened, so that an unreadable one is found
/// before anything is written.
pub fn compare(root: &Path, pairs: &[Pair]) -> Vec<Content> {
    pairs.par_iter().with_max_len(16).map(|pair| compare_one(root, pair)).collect()
}

fn compare_one(root: &Path, pair: &Pair) -> Content {
    let Some(size) = pair.local else { return Content::NotCompared };
    let opened = File::open(root.join(&pair.key));
    let compared = match pair.expected() {
        Some(etag) => opened.and_then(|file| etag::matches(file, size, etag)).map(Some),
        None => opened.map(|_| None),
    };
    match compared {
        Ok(None) => Content::NotCompared,
        Ok(Some(true)) => Content::Same,
        Ok(Some(false)) => Content::Different,
        Err(error) => Content::Unreadable(error.to_string()),
    }
}
