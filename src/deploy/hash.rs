//! Reads the files that only their bytes can tell apart from their objects, as many at once as there are cores.

use crate::deploy::diff::{Content, Pair};
use crate::deploy::walk::Walk;
use crate::record::manifest::Row;
use rayon::prelude::*;
use shipfront_site::compression::{self, Compressed};
use shipfront_site::etag::{self, Etag};
use shipfront_site::rules::Encoding;
use std::fs::File;
use std::io;

/// For each pair, in order, what reading its file told.
///
/// Blocking, on all cores. Files that need no comparison are opened, so that an unreadable one is found
/// before anything is written.
pub fn compare(walk: &Walk, pairs: &[Pair]) -> Vec<Read> {
    pairs.par_iter().with_max_len(16).map(|pair| compare_one(walk, pair)).collect()
}

/// What reading a file told, and what came of compressing it if it is the object's that way.
pub type Read = (Content, Option<Box<Compressed>>);

fn compare_one(walk: &Walk, pair: &Pair) -> Read {
    let Some(size) = pair.local else { return (Content::NotCompared, None) };
    let asked = walk.compression(&pair.key);
    let compared = if !asked.is_empty() {
        compare_compressed(walk, pair, size, &asked)
    } else {
        compare_plain(walk, pair, size).map(|same| (same, None))
    };
    match compared {
        Ok((None, _)) => (Content::NotCompared, None),
        Ok((Some(true), compressed)) => (Content::Same, compressed),
        Ok((Some(false), _)) => (Content::Different, None),
        Err(error) => (Content::Unreadable(error.to_string()), None),
    }
}

fn compare_plain(walk: &Walk, pair: &Pair, size: u64) -> io::Result<Option<bool>> {
    if walk.is_redirect(&pair.key) {
        return pair.expected().map(|etag| etag::matches(io::empty(), 0, etag)).transpose();
    }
    let file = File::open(walk.path(&pair.key))?;
    pair.expected().map(|etag| etag::matches(file, size, etag)).transpose()
}

/// A file that did not change since it was compressed is not compressed again: the manifest knows its MD5.
fn compare_compressed(
    walk: &Walk,
    pair: &Pair,
    size: u64,
    asked: &[Encoding],
) -> io::Result<(Option<bool>, Option<Box<Compressed>>)> {
    let path = walk.path(&pair.key);
    let file = File::open(&path)?;
    let Some((remote_size, remote_etag)) = &pair.remote else { return Ok((None, None)) };
    let known = pair.described().and_then(|row| row.compressed.as_ref());
    if let Some(known) = known.filter(|known| known.asked == asked) {
        let same = etag::matches(file, size, &known.source)?;
        return Ok((Some(same), same.then(|| known.clone())));
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
