//! All viewer paths of the site, as far as a choice of items can tell them apart.
//!
//! Items are changed paths and prefixes of changed paths. Of an unchanged path it matters only which of
//! those it begins with: what it shares with the changed paths, and one character more. Unchanged paths
//! that agree in this, and in the cache tags to choose from, count as one of their number, so that a site of
//! a million takes no room.

use super::cover::{Reach, SitePath};
use super::tags::planner::Set;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

/// A changed path.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) path: String,
    pub(super) reach: Reach,
    /// Of the tags to choose from those that every copy is sure to carry.
    pub(super) tags: Set,
}

/// Unchanged paths that nothing tells apart.
#[derive(Debug)]
struct Alike {
    /// One of them.
    path: String,
    count: u64,
}

/// The changed paths, and how many others begin as they do.
#[derive(Debug)]
pub(super) struct Universe {
    /// In order, each once.
    changed: Vec<Changed>,
    /// By what they begin with and the tags to choose from that copies may carry.
    unchanged: BTreeMap<(String, Set), Alike>,
    /// Hashes of the unchanged paths: two keys may share one.
    counted: HashSet<u64>,
    hasher: RandomState,
}

impl Universe {
    /// The paths whose copies must go; of one that is there twice, the stricter reading counts.
    pub(super) fn of_changed(paths: impl Iterator<Item = Changed>) -> Universe {
        let mut changed: Vec<Changed> = paths.collect();
        changed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        changed.dedup_by(|later, first| {
            let same = later.path == first.path;
            if same {
                first.reach = first.reach.and(later.reach);
                first.tags &= later.tags;
            }
            same
        });
        Universe { changed, unchanged: BTreeMap::new(), counted: HashSet::new(), hasher: RandomState::new() }
    }

    /// Adds a path whose copies are right, with the tags that they may carry. Where two keys share a path,
    /// the first one's tags count.
    pub(super) fn add_unchanged(&mut self, path: &str, tags: Set) {
        let at = self.changed.partition_point(|changed| changed.path.as_str() < path);
        if self.changed.get(at).is_some_and(|changed| changed.path == path)
            || !self.counted.insert(self.hasher.hash_one(path))
        {
            return;
        }
        let neighbours = self.changed[at.saturating_sub(1)..].iter().take(2);
        let shared = neighbours.map(|changed| shared(&changed.path, path)).max().unwrap_or(0);
        let told_apart = path[..cut_after(path, shared)].to_owned();
        let alike = self.unchanged.entry((told_apart, tags));
        alike.or_insert_with(|| Alike { path: path.to_owned(), count: 0 }).count += 1;
    }

    /// The number of all paths.
    pub(super) fn len(&self) -> u64 {
        (self.changed.len() + self.counted.len()) as u64
    }

    /// The paths in order, each once, the unchanged ones with their number for a weight.
    pub(super) fn paths(&self) -> Vec<SitePath<'_>> {
        self.tagged().map(|(path, _)| path).collect()
    }

    /// The same, each with its tags.
    pub(super) fn tagged(&self) -> impl Iterator<Item = (SitePath<'_>, Set)> {
        let changed = self.changed.iter().map(|one| (SitePath::changed(&one.path, one.reach), one.tags));
        let unchanged = self
            .unchanged
            .iter()
            .map(|((_, tags), alike)| (SitePath { weight: alike.count, ..SitePath::unchanged(&alike.path) }, *tags));
        let mut paths: Vec<(SitePath<'_>, Set)> = changed.chain(unchanged).collect();
        paths.sort_unstable_by_key(|(path, _)| path.path);
        paths.into_iter()
    }
}

/// The length of what two paths begin with, in bytes.
fn shared(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}

/// The end of the character after so many bytes, an encoded triplet (`%C3`) being one character.
fn cut_after(path: &str, length: usize) -> usize {
    let bytes = path.as_bytes();
    let triplet = (length.saturating_sub(2)..=length).find(|&at| bytes.get(at) == Some(&b'%'));
    let end = triplet.map_or(length + 1, |at| at + 3).min(path.len());
    (end..path.len()).find(|&end| path.is_char_boundary(end)).unwrap_or(path.len())
}

#[cfg(test)]
mod tests {
    use super::super::cover::Curve;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn paths() -> impl Strategy<Value = BTreeSet<String>> {
        proptest::collection::btree_set("/([ab/]|%C3%A9|%C3%A8){0,5}", 0..25)
    }

    fn changed(path: &str) -> Changed {
        Changed { path: path.to_owned(), reach: Reach::Any, tags: 0 }
    }

    proptest! {
        #[test]
        fn counting_alike_paths_together_changes_no_choice(changed in paths(), unchanged in paths(), budget in 1..6usize) {
            let whole = unchanged.difference(&changed).map(|path| SitePath::unchanged(path));
            let mut whole: Vec<SitePath<'_>> =
                whole.chain(changed.iter().map(|path| SitePath::changed(path, Reach::Any))).collect();
            whole.sort_by_key(|path| path.path);
            let mut universe = Universe::of_changed(changed.iter().map(|path| self::changed(path)));
            // Twice, as two keys may share a path.
            unchanged.iter().chain(&unchanged).for_each(|path| universe.add_unchanged(path, 0));
            prop_assert_eq!(universe.len(), whole.len() as u64);
            let (expected, found) = (Curve::new(&whole, budget), Curve::new(&universe.paths(), budget));
            prop_assert_eq!(expected.steps(), found.steps());
            let (expected, found) = (expected.cover(budget), found.cover(budget));
            prop_assert_eq!(expected.collateral, found.collateral);
            prop_assert_eq!(expected.items, found.items);
        }
    }

    #[test]
    fn a_site_of_many_unchanged_paths_takes_the_room_of_the_changed_ones() {
        let mut universe = Universe::of_changed([changed("/blog/7")].into_iter());
        for at in 0..1000 {
            universe.add_unchanged(&format!("/docs/{at}"), 0);
            universe.add_unchanged(&format!("/blog/{at}"), 0);
        }
        // The changed one, `/d`, `/blog/` with each other digit, `/blog/7` with each.
        assert_eq!((universe.len(), universe.paths().len()), (2000, 1 + 1 + 9 + 10));
    }
}
