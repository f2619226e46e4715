//! Finds files that production has under another key, by the digest of their bytes.

use crate::deploy::change::Change;
use crate::deploy::diff::{Local, Pair};
use crate::deploy::entry::Entry;
use crate::deploy::plan::Plan;
use crate::deploy::preview::Question;
use crate::deploy::walk::Walk;
use crate::open_files;
use crate::record::manifest::{Manifest, Row};
use rayon::prelude::*;
use shipfront_site::Key;
use shipfront_site::compression;
use shipfront_site::etag::Etag;
use std::collections::{HashMap, HashSet};

/// Keys of objects by the digest of their files. The same bytes may be there with several headers.
type ByDigest = HashMap<Etag, Vec<Key>>;

/// The uploads whose bytes production has, though not the key, each with the object that has them.
///
/// Blocking, on all cores. Results are compared again like any other object: this only says where to look.
pub(super) fn moved(plan: &Plan, production: &Manifest, walk: &Walk) -> Vec<Question> {
    let (mut by_digest, mut sizes) = (ByDigest::new(), HashSet::new());
    for (key, row) in production.rows() {
        let digest = row.compressed.as_ref().map_or(row.content(), |compressed| &compressed.source);
        by_digest.entry(digest.clone()).or_default().push(key);
        sizes.insert(row.size);
    }
    let find = |(at, change): (usize, &Change)| {
        let Change::Upload { entry, bytes, .. } = change else { return None };
        let file = walk.entries.get(*entry)?;
        // A compressed object has a different size.
        let may_be_there = sizes.contains(&file.size) || !file.compression().is_empty();
        if file.is_redirect() || production.row(&file.key).is_some() || !may_be_there {
            return None;
        }
        let (key, row) = same((&by_digest, production), walk, file)?;
        let (local, remote) = (Local { at: *entry, size: *bytes }, (row.size, row.etag.clone()));
        let pair =
            Pair { key, local: Some(local), remote: Some(remote), row: Some(row), rewritten: false, modified: 0 };
        Some(Question { at, pair })
    };
    plan.changes.par_iter().enumerate().with_max_len(16).filter_map(find).collect()
}

/// The object that equals a file, with headers that the file may get.
fn same((by_digest, production): (&ByDigest, &Manifest), walk: &Walk, file: &Entry) -> Option<(Key, Row)> {
    let path = file.path(&walk.root);
    // An unreadable file is reported when it is uploaded.
    let digested = compression::digest(file.size, &[], || open_files::open(&path)).ok()?;
    let found = [&digested.etag, &digested.compressed.source].into_iter().filter_map(|etag| by_digest.get(etag));
    let has_headers = |row: &Row| row.headers.is_some_and(|headers| file.headers.are_digested(headers));
    found.flatten().find_map(|key| production.row(key).filter(has_headers).map(|row| (key.clone(), row)))
}
