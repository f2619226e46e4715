//! Reads the files that only their bytes can tell apart from their objects, as many at once as there are cores.

use crate::deploy::diff::{Content, Pair};
use crate::deploy::entry::Entry;
use crate::deploy::walk::Walk;
use crate::record::manifest::Row;
use rayon::prelude::*;
use shipfront_site::compression::{self, Compressed};
use shipfront_site::etag::{self, Etag};
use std::fs::File;
use std::io;
use std::path::Path;

/// For each pair, in order, what reading its file told.
///
/// Blocking, on all cores. Files that need no comparison are opened, so that an unreadable one is found
/// before anything is written.
pub fn compare(walk: &Walk, pairs: &[Pair]) -> Vec<Hashed> {
    pairs.par_iter().with_max_len(16).map(|pair| compare_one(walk, pair)).collect()
}

/// What reading a file told, and what came of compressing it if it is the object's that way.
pub type Hashed = (Content, Option<Box<Compressed>>);

fn compare_one(walk: &Walk, pair: &Pair) -> Hashed {
    let Some(entry) = pair.local.and_then(|local| walk.entries.get(local.at)) else {
        return (Content::NotCompared, None);
    };
    let compared = if entry.compression().is_empty() {
        compare_plain(&walk.root, entry, pair).map(|same| (same, None))
    } else {
        compare_compressed(&walk.root, entry, pair)
    };
    match compared {
        Ok((None, _)) => (Content::NotCompared, None),
        Ok((Some(true), compressed)) if pair.unlike_content().is_some() => (Content::SameByRecord, compressed),
        Ok((Some(true), compressed)) => (Content::Same, compressed),
        Ok((Some(false), _)) => (Content::Different, None),
        Err(error) => (Content::Unreadable(error.to_string()), None),
    }
}

fn compare_plain(root: &Path, entry: &Entry, pair: &Pair) -> io::Result<Option<bool>> {
    if entry.is_redirect() {
        return pair.expected().map(|etag| etag::matches(io::empty(), 0, etag)).transpose();
    }
    let file = File::open(entry.path(root))?;
    pair.expected().map(|etag| etag::matches(file, entry.size, etag)).transpose()
}

/// A file that did not change since it was compressed is not compressed again: the manifest knows its MD5.
fn compare_compressed(root: &Path, entry: &Entry, pair: &Pair) -> io::Result<(Option<bool>, Option<Box<Compressed>>)> {
    let (path, size, asked) = (entry.path(root), entry.size, entry.compression());
    let file = File::open(&path)?;
    let Some((remote_size, remote_etag)) = &pair.remote else { return Ok((None, None)) };
    let known = pair.described().and_then(|row| row.compressed.as_ref());
    if let Some(known) = known.filter(|known| known.asked == asked) {
        let same = match known.encoding {
            // Then the object is the file, and its ETag has to say so.
            None => compare_plain(root, entry, pair)?,
            // An object of this size is none that compression made.
            Some(_) if !compression::pays(size, *remote_size) => None,
            Some(_) => Some(etag::matches(file, size, &known.source)?),
        };
        return Ok((same, same.filter(|same| *same).map(|_| known.clone())));
    }
    // Beyond its own size an object is none that compression made.
    if *remote_size > size {
        return Ok((None, None));
    }
    let expected: &Etag = pair.described().map_or(remote_etag, Row::content);
    let digested = compression::digest(size, asked, || File::open(&path))?;
    let same = digested.size == *remote_size && digested.etag == *expected;
    Ok((Some(same), same.then(|| Box::new(digested.compressed))))
}

/// Whether the object's own ETag says that it is the file. Blocking.
pub fn is_own(walk: &Walk, pair: &Pair) -> io::Result<bool> {
    let (Some(entry), Some((size, etag))) =
        (pair.local.and_then(|local| walk.entries.get(local.at)), pair.remote.as_ref())
    else {
        return Ok(false);
    };
    if entry.is_redirect() || !entry.compression().is_empty() || entry.size != *size {
        return Ok(false);
    }
    etag::matches(File::open(entry.path(&walk.root))?, entry.size, etag)
}
