//! Reads the files that only their bytes can tell apart from their objects, as many at once as there are cores.

use super::diff::{Content, Pair};
use crate::site::etag;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// For each pair, in order, what reading its file told. `read` is told the bytes of each file compared.
///
/// Blocking: call it where blocking is allowed. Files that need no comparison are opened, so that an
/// unreadable one is found before anything is written.
pub fn compare(root: &Path, pairs: &[Pair], read: &(dyn Fn(u64) + Sync)) -> Vec<Content> {
    let next = AtomicUsize::new(0);
    let contents = Mutex::new(vec![Content::NotCompared; pairs.len()]);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        // Found apart and put in place at the end: the lock is taken once a worker.
        let mut found = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(pair) = pairs.get(at) else { break };
            match compare_one(root, pair) {
                Content::NotCompared => {}
                content => {
                    if pair.expected().is_some() {
                        read(pair.local.unwrap_or(0));
                    }
                    found.push((at, content));
                }
            }
        }
        let mut contents = contents.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, content) in found {
            contents[at] = content;
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    contents.into_inner().unwrap_or_else(PoisonError::into_inner)
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
