//! Reads the files that only their bytes can distinguish from their objects, as many at once as there are cores.

use crate::deploy::change::Change;
use crate::deploy::diff::{Content, Pair};
use crate::deploy::entry::Entry;
use crate::deploy::plan::Plan;
use crate::deploy::walk::Walk;
use crate::open_files;
use crate::record::manifest::Row;
use rayon::prelude::*;
use shipfront_site::Key;
use shipfront_site::charset::{CharsetCheck, Checked};
use shipfront_site::compression::{self, Compressed};
use shipfront_site::etag::{self, Etag};
use std::io;
use std::path::Path;

/// Returns, for each pair in order, what reading its file showed.
///
/// Blocking, on all cores. Files that need no comparison are only opened, so that an unreadable one is found before
/// anything is written: they are read when they are sent.
pub fn compare(walk: &Walk, pairs: &[Pair]) -> Vec<Hashed> {
    pairs.par_iter().with_max_len(16).map(|pair| compare_one(walk, pair)).collect()
}

/// What reading a file showed.
#[derive(Debug)]
pub struct Hashed {
    /// Whether its bytes are those of the object.
    pub content: Content,
    /// The result of compressing it, if the object is its compressed form.
    pub compressed: Option<Box<Compressed>>,
    /// Whether it is UTF-8, if its headers depend on that and it was read.
    pub is_utf8: bool,
}

/// The keys of the files of a plan to upload that are not UTF-8, or declare another charset, where headers depend on
/// that. Blocking, on all cores.
pub fn other_charsets(walk: &Walk, plan: &Plan) -> Vec<Key> {
    let entry = |change: &Change| match change {
        Change::Upload { entry, .. } => walk.entries.get(*entry),
        _ => None,
    };
    let is_other = |entry: &&Entry| {
        charset_check(entry).is_some_and(|mut check| {
            let looked =
                open_files::open(&entry.path(&walk.root)).and_then(|file| look_through(file, Some(&mut check)));
            looked.is_ok() && !check.is_utf8()
        })
    };
    plan.changes.par_iter().filter_map(entry).filter(is_other).map(|entry| entry.key.clone()).collect()
}

fn compare_one(walk: &Walk, pair: &Pair) -> Hashed {
    let hashed = |content, compressed, is_utf8| Hashed { content, compressed, is_utf8 };
    let Some(entry) = pair.local.and_then(|local| walk.entries.get(local.at)) else {
        return hashed(Content::NotCompared, None, true);
    };
    let mut check = charset_check(entry);
    let compared = if entry.compression().is_empty() {
        compare_plain(&walk.root, entry, pair, check.as_mut()).map(|same| (same, None))
    } else {
        compare_compressed(&walk.root, entry, pair, check.as_mut())
    };
    let is_utf8 = check.is_none_or(CharsetCheck::is_utf8);
    match compared {
        Ok((None, _)) => hashed(Content::NotCompared, None, is_utf8),
        Ok((Some(true), compressed)) if pair.unlike_content().is_some() => {
            hashed(Content::SameByRecord, compressed, is_utf8)
        }
        Ok((Some(true), compressed)) => hashed(Content::Same, compressed, is_utf8),
        Ok((Some(false), _)) => hashed(Content::Different, None, is_utf8),
        Err(error) => hashed(Content::Unreadable(error.to_string()), None, true),
    }
}

/// The check of a file's bytes as they are read, if its headers depend on them.
pub(super) fn charset_check(entry: &Entry) -> Option<CharsetCheck> {
    entry.headers.get().charset_check().filter(|_| !entry.is_redirect())
}

/// Reads a file only to determine its charset.
pub(super) fn look_through(file: impl io::Read, check: Option<&mut CharsetCheck>) -> io::Result<()> {
    match check {
        Some(check) => io::copy(&mut Checked::new(file, Some(check)), &mut io::sink()).map(drop),
        None => Ok(()),
    }
}

fn compare_plain(
    root: &Path,
    entry: &Entry,
    pair: &Pair,
    check: Option<&mut CharsetCheck>,
) -> io::Result<Option<bool>> {
    if entry.is_redirect() {
        return pair.expected().map(|etag| etag::matches(io::empty(), 0, etag)).transpose();
    }
    let file = open_files::open(&entry.path(root))?;
    match pair.expected() {
        // There would be nothing to compare the bytes with.
        Some(etag @ Etag::Opaque(_)) => {
            look_through(file, check).and_then(|()| etag::matches(io::empty(), 0, etag)).map(Some)
        }
        Some(etag) => etag::matches(Checked::new(file, check), entry.size, etag).map(Some),
        None => Ok(None),
    }
}

/// A file that has not changed since it was compressed is not compressed again: the manifest knows its MD5.
fn compare_compressed(
    root: &Path,
    entry: &Entry,
    pair: &Pair,
    check: Option<&mut CharsetCheck>,
) -> io::Result<(Option<bool>, Option<Box<Compressed>>)> {
    let (path, size, asked) = (entry.path(root), entry.size, entry.compression());
    let file = open_files::open(&path)?;
    let Some((remote_size, remote_etag)) = &pair.remote else { return Ok((None, None)) };
    let known = pair.described().and_then(|row| row.compressed.as_ref());
    if let Some(known) = known.filter(|known| known.asked == asked) {
        let same = match known.encoding {
            // Then the object is the file itself, and its ETag must match.
            None => compare_plain(root, entry, pair, check)?,
            // An object of this size cannot be the result of compression.
            Some(_) if !compression::pays(size, *remote_size) => None,
            Some(_) => Some(etag::matches(Checked::new(file, check), size, &known.source)?),
        };
        return Ok((same, same.filter(|same| *same).map(|_| known.clone())));
    }
    // An object larger than the file cannot be the result of compression.
    if *remote_size > size {
        return Ok((None, None));
    }
    look_through(file, check)?;
    let expected: &Etag = pair.described().map_or(remote_etag, Row::content);
    let digested = compression::digest(size, asked, || open_files::open(&path))?;
    let same = digested.size == *remote_size && digested.etag == *expected;
    Ok((Some(same), same.then(|| Box::new(digested.compressed))))
}

/// Whether the file matches the object's own ETag. Blocking.
pub fn is_own(walk: &Walk, pair: &Pair) -> io::Result<bool> {
    let (Some(entry), Some((size, etag))) =
        (pair.local.and_then(|local| walk.entries.get(local.at)), pair.remote.as_ref())
    else {
        return Ok(false);
    };
    if entry.is_redirect() || !entry.compression().is_empty() || entry.size != *size {
        return Ok(false);
    }
    etag::matches(open_files::open(&entry.path(&walk.root))?, entry.size, etag)
}
