//! What was last deployed for each key: the manifest, aligned with the files of the source.
//!
//! A key in both is stored once, with its file: the index of a million keys is then only as large as its rows.

use crate::deploy::entry::Entry;
use crate::deploy::on_cores;
use crate::deploy::walk::Walk;
use crate::error::Result;
use crate::record::manifest::{Manifest, Row};
use shipfront_invalidation::tags::copy_tags::{CopyTags, Standing};
use shipfront_site::Key;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

/// The rows of a manifest, for the source's files and for other keys.
#[derive(Debug, Default)]
pub struct ManifestIndex {
    /// One for each file, in order; empty if there is no manifest.
    of_files: Vec<Option<Row>>,
    /// The rows whose keys are not in the source, in key order.
    others: Vec<(Key, Row)>,
    /// How objects came to carry their tags.
    standings: Vec<Arc<Standing>>,
}

impl ManifestIndex {
    /// Reads the manifest, if there is one, without delaying anything else.
    pub(super) async fn load(manifest: Option<Manifest>, walk: Arc<Walk>) -> Result<ManifestIndex> {
        match manifest {
            Some(manifest) => on_cores(move || ManifestIndex::read(&manifest, &walk.entries)).await?,
            None => Ok(ManifestIndex::default()),
        }
    }

    /// Reads a manifest. `files` must be in key order, as its rows are.
    pub fn read(manifest: &Manifest, files: &[Entry]) -> Result<ManifestIndex> {
        let mut index = ManifestIndex { of_files: vec![None; files.len()], others: Vec::new(), standings: Vec::new() };
        let mut at = 0;
        let standings = manifest.read_beside(files.len() as u64, |key, row| {
            while files.get(at).is_some_and(|file| &*file.key < key) {
                at += 1;
            }
            match files.get(at) {
                Some(file) if &*file.key == key => index.of_files[at] = Some(row),
                _ => index.others.push((key.into(), row)),
            }
        })?;
        Ok(ManifestIndex { standings, ..index })
    }

    /// All the ways in which objects came to carry their tags.
    pub fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().map(|standing| &**standing)
    }

    /// The row of a file, by its index among those with which the rows were read.
    pub fn of_file(&self, at: usize) -> Option<&Row> {
        self.of_files.get(at)?.as_ref()
    }

    /// Looks up the tags of keys. `files` are those with which the rows were read; keys in order are found fastest.
    pub fn copy_tags<'a>(&'a self, files: &'a [Entry]) -> impl Fn(&str) -> Option<&'a CopyTags> {
        let last = Cell::new(0);
        move |key| {
            if self.standings.is_empty() {
                return None;
            }
            let next = last.get() + 1;
            let file = match files.get(next) {
                Some(file) if &*file.key == key => Ok(next),
                _ => files.binary_search_by(|file| (*file.key).cmp(key)),
            };
            let row = match file {
                Ok(at) => {
                    last.set(at);
                    self.of_files.get(at)?.as_ref()
                }
                Err(_) => {
                    let at = self.others.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
                    self.others.get(at).map(|(_, row)| row)
                }
            };
            row?.copy_tags.as_deref()
        }
    }

    /// All rows, in key order. `files` are those with which they were read.
    pub fn rows<'a>(&'a self, files: &'a [Entry]) -> impl Iterator<Item = (&'a str, &'a Row)> {
        self.rows_of(files, 0..files.len(), &self.others).map(|(key, row)| (key.as_str(), row))
    }

    /// The rows after one key and up to another.
    pub fn rows_between<'a>(
        &'a self,
        files: &'a [Entry],
        after: Option<&str>,
        up_to: Option<&str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Row)> {
        let others = between(&self.others, |(key, _)| key, after, up_to);
        self.rows_of(files, between(files, |file| &file.key, after, up_to), &self.others[others])
    }

    fn rows_of<'a>(
        &'a self,
        files: &'a [Entry],
        range: Range<usize>,
        others: &'a [(Key, Row)],
    ) -> impl Iterator<Item = (&'a Key, &'a Row)> {
        let rows = self.of_files.get(range.clone()).unwrap_or_default();
        let of_files = files[range].iter().zip(rows).filter_map(|(file, row)| Some((&file.key, row.as_ref()?)));
        merge(of_files, others.iter().map(|(key, row)| (key, row)))
    }
}

/// The range of a sorted list after one key and up to another.
pub fn between<T>(sorted: &[T], key: impl Fn(&T) -> &str, after: Option<&str>, up_to: Option<&str>) -> Range<usize> {
    let start = after.map_or(0, |after| sorted.partition_point(|each| key(each) <= after));
    let end = up_to.map_or(sorted.len(), |up_to| sorted.partition_point(|each| key(each) <= up_to));
    start..end.max(start)
}

/// Merges two sorted lists of pairs; if a key is in both, the second list's value is used.
pub fn merge<K: Ord + Copy, T>(
    first: impl Iterator<Item = (K, T)>,
    second: impl Iterator<Item = (K, T)>,
) -> impl Iterator<Item = (K, T)> {
    join(first, second, |first, second| second.or(first))
}

/// Merges two sorted lists of pairs: `both` combines the values of a key, at least one of which exists; the key is
/// omitted if the result is `None`.
pub fn join<K: Ord + Copy, A, B, T>(
    first: impl Iterator<Item = (K, A)>,
    second: impl Iterator<Item = (K, B)>,
    both: impl Fn(Option<A>, Option<B>) -> Option<T>,
) -> impl Iterator<Item = (K, T)> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || {
        loop {
            let heads = [first.peek().map(|(key, _)| *key), second.peek().map(|(key, _)| *key)];
            let key = heads.into_iter().flatten().min()?;
            let one = first.next_if(|(other, _)| *other == key).map(|(_, one)| one);
            let other = second.next_if(|(other, _)| *other == key).map(|(_, other)| other);
            if let Some(made) = both(one, other) {
                return Some((key, made));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shipfront_site::etag::Etag;
    use std::collections::BTreeMap;

    fn row(size: u64) -> Row {
        Row::new(size, Etag::Opaque("x".into()))
    }

    fn keys() -> impl Strategy<Value = BTreeMap<String, u64>> {
        proptest::collection::btree_map("[ab/é]{1,4}", 0..9u64, 0..20)
    }

    proptest! {
        #[test]
        fn every_row_is_found_between_its_neighboring_keys(
            local in keys(), rows in keys(), bounds in proptest::collection::btree_set("[ab/é]{1,4}", 0..4),
        ) {
            let files: Vec<_> =
                local.iter().map(|(key, &size)| Entry::file(key.as_str(), size)).collect();
            let encoded: Vec<_> = rows.iter().map(|(key, &size)| (key.as_str(), row(size))).collect();
            let manifest = Manifest::of(encoded.iter().map(|(key, row)| (*key, row)));
            let index = ManifestIndex::read(&manifest, &files).unwrap();
            prop_assert!(index.rows(&files).eq(encoded.iter().map(|(key, row)| (*key, row))));

            let bounds: Vec<Option<&str>> =
                [None].into_iter().chain(bounds.iter().map(|bound| Some(bound.as_str()))).chain([None]).collect();
            let parts = bounds.windows(2).flat_map(|pair| index.rows_between(&files, pair[0], pair[1]));
            prop_assert!(parts.map(|(key, row)| (key.as_str(), row)).eq(index.rows(&files)), "the parts are the whole");
        }

        #[test]
        fn of_two_lists_the_second_prevails(first in keys(), second in keys()) {
            let lists = [&first, &second].map(|list| list.iter().map(|(key, size)| (key.as_str(), *size)));
            let [one, other] = lists.clone();
            let merged: Vec<_> = merge(one, other).collect();
            let expected: BTreeMap<_, _> = lists.into_iter().flatten().collect();
            prop_assert_eq!(merged, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn without_a_manifest_there_are_no_rows() {
        let files = [Entry::file("a", 1)];
        assert_eq!(ManifestIndex::default().rows(&files).count(), 0);
        assert_eq!(ManifestIndex::default().rows_between(&files, None, Some("b")).count(), 0);
    }
}
