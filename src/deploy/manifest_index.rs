//! What was last deployed of each key: the manifest, read once and searched often.

use crate::deploy::on_cores;
use crate::error::Result;
use crate::record::manifest::{Manifest, Row};
use crate::record::packed_rows::{PackedRows, Packer};
use shipfront_invalidation::tags::copy_tags::{CopyTags, Standing};
use shipfront_site::Key;
use std::ops::Range;
use std::sync::Arc;

/// The rows of a manifest by key.
#[derive(Debug, Clone, Default)]
pub struct ManifestIndex {
    rows: PackedRows,
    /// How objects came to carry their tags.
    standings: Vec<Arc<Standing>>,
}

impl ManifestIndex {
    /// Reads the manifest, if there is one, beside a source of so many files, where that holds up nothing else.
    pub(super) async fn load(manifest: Option<Manifest>, files: usize) -> Result<ManifestIndex> {
        match manifest {
            Some(manifest) => on_cores(move || ManifestIndex::read(manifest, files)).await?,
            None => Ok(ManifestIndex::default()),
        }
    }

    /// Reads a manifest beside a source of so many files.
    pub fn read(manifest: Manifest, files: usize) -> Result<ManifestIndex> {
        let mut rows = Packer::default();
        let standings = manifest.read_beside(files as u64, |key, row| rows.add(key, row))?;
        Ok(ManifestIndex { rows: rows.finish(), standings })
    }

    /// All the ways in which objects came to carry their tags.
    pub fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().map(|standing| &**standing)
    }

    /// No fewer than the number of rows, and a few more at most.
    pub fn most_rows(&self) -> usize {
        self.rows.most_rows()
    }

    /// The row of a key.
    pub fn row(&self, key: &str) -> Option<Row> {
        self.rows.get(key)
    }

    /// Finds the tags of keys.
    pub fn copy_tags<'a>(&'a self) -> impl Fn(&str) -> Option<&'a CopyTags> {
        |key| if self.standings.is_empty() { None } else { self.rows.copy_tags(key) }
    }

    /// All rows, in key order.
    pub fn rows(&self) -> impl Iterator<Item = (Key, Row)> {
        self.rows.iter()
    }

    /// All rows, in key order, which are freed as they are read.
    pub fn into_rows(self) -> impl Iterator<Item = (Key, Row)> {
        self.rows.into_rows()
    }

    /// The rows after one key and up to another.
    pub fn rows_between<'a>(
        &'a self,
        after: Option<&'a str>,
        up_to: Option<&'a str>,
    ) -> impl Iterator<Item = (Key, Row)> + use<'a> {
        self.rows.between(after, up_to)
    }
}

/// The range of a sorted list after one key and up to another.
pub fn between<T>(sorted: &[T], key: impl Fn(&T) -> &str, after: Option<&str>, up_to: Option<&str>) -> Range<usize> {
    let start = after.map_or(0, |after| sorted.partition_point(|each| key(each) <= after));
    let end = up_to.map_or(sorted.len(), |up_to| sorted.partition_point(|each| key(each) <= up_to));
    start..end.max(start)
}

/// Merges two sorted lists of pairs; if a key is in both, the second list's value is used.
pub fn merge<K: Ord, T>(
    first: impl Iterator<Item = (K, T)>,
    second: impl Iterator<Item = (K, T)>,
) -> impl Iterator<Item = (K, T)> {
    join(first, second, |first, second| second.or(first))
}

/// Merges two sorted lists of pairs: `both` combines the values of a key, at least one of which exists; the key is
/// omitted if the result is `None`.
pub fn join<K: Ord, A, B, T>(
    first: impl Iterator<Item = (K, A)>,
    second: impl Iterator<Item = (K, B)>,
    both: impl Fn(Option<A>, Option<B>) -> Option<T>,
) -> impl Iterator<Item = (K, T)> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || {
        loop {
            let (is_first, is_second) = match (first.peek(), second.peek()) {
                (Some((one, _)), Some((other, _))) => (one <= other, other <= one),
                (one, other) => (one.is_some(), other.is_some()),
            };
            let (key_of_first, one) = first.next_if(|_| is_first).unzip();
            let (key_of_second, other) = second.next_if(|_| is_second).unzip();
            let key = key_of_first.or(key_of_second)?;
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
    use std::collections::BTreeMap;

    fn keys() -> impl Strategy<Value = BTreeMap<String, u64>> {
        proptest::collection::btree_map("[ab/é]{1,4}", 0..9u64, 0..20)
    }

    proptest! {
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
        assert_eq!(ManifestIndex::default().rows().count(), 0);
        assert_eq!(ManifestIndex::default().rows_between(None, Some("b")).count(), 0);
        assert_eq!(ManifestIndex::default().row("a"), None);
    }
}
