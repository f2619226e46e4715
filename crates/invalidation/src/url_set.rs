//! All viewer paths of the site, as far as a choice of items can tell them apart.
//!
//! Items are changed paths and prefixes of changed paths. For an unchanged path, it only matters which of those are
//! prefixes of it: what it shares with the changed paths, and one character more. Unchanged paths that agree in
//! this, and in the candidate cache tags, are represented by their number, and only a few are remembered by name,
//! so that a site of a million paths takes little memory.

use crate::cover::{Reach, SitePath};
use crate::tags::planner::Set;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

/// A changed path.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) path: Box<str>,
    pub(super) reach: Reach,
    /// The candidate tags that every copy is sure to carry.
    pub(super) tags: Set,
}

/// Number of paths to remember among those that nothing tells apart.
const MOST_ALIKE: usize = 20;
/// Number of paths to remember in all, beyond one of each kind.
const MOST_REMEMBERED: usize = 10_000;

/// Unchanged paths that nothing tells apart.
#[derive(Debug, Default)]
struct Alike {
    /// The first of them, at least one.
    paths: Vec<String>,
    count: u64,
}

/// The changed paths, and the number of others that share each prefix.
#[derive(Debug)]
pub(super) struct UrlSet {
    /// Sorted, without duplicates.
    changed: Vec<Changed>,
    /// By their prefix and the candidate tags that copies may carry.
    unchanged: BTreeMap<(String, Set), Alike>,
    /// Hashes of the unchanged paths, because two keys may share a path.
    counted: HashSet<u64>,
    hasher: RandomState,
    /// How many more paths may be remembered.
    room: usize,
}

impl UrlSet {
    /// Creates the set from the paths whose copies must go; for a duplicate path, the stricter reading applies.
    pub(super) fn of_changed(paths: impl Iterator<Item = Changed>) -> UrlSet {
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
        UrlSet {
            changed,
            unchanged: BTreeMap::new(),
            counted: HashSet::new(),
            hasher: RandomState::new(),
            room: MOST_REMEMBERED,
        }
    }

    /// Adds a path whose copies are right, with the tags that they may carry. If two keys share a path, the first
    /// one's tags count.
    pub(super) fn add_unchanged(&mut self, path: &str, tags: Set) {
        let at = self.changed.partition_point(|changed| &*changed.path < path);
        if self.changed.get(at).is_some_and(|changed| *changed.path == *path)
            || !self.counted.insert(self.hasher.hash_one(path))
        {
            return;
        }
        let neighbours = self.changed[at.saturating_sub(1)..].iter().take(2);
        let shared = neighbours.map(|changed| shared(&changed.path, path)).max().unwrap_or(0);
        let told_apart = path[..cut_after(path, shared)].to_owned();
        let alike = self.unchanged.entry((told_apart, tags)).or_default();
        alike.count += 1;
        if alike.paths.is_empty() {
            alike.paths.push(path.to_owned());
        } else if self.room > 0 && alike.paths.len() < MOST_ALIKE {
            alike.paths.push(path.to_owned());
            self.room -= 1;
        }
    }

    /// The first remembered unchanged paths that begin with `prefix` and, if `tags` is given, may carry one of
    /// those.
    pub(super) fn first_of(&self, prefix: &str, tags: Option<Set>, most: usize) -> Vec<String> {
        let kinds = self.unchanged.range((prefix.to_owned(), Set::MIN)..);
        let kinds = kinds.take_while(|((beginning, _), _)| beginning.starts_with(prefix));
        let tagged = kinds.filter(|((_, copy_tags), _)| tags.is_none_or(|tags| copy_tags & tags != 0));
        let mut paths: Vec<&String> = tagged.flat_map(|(_, alike)| &alike.paths).collect();
        paths.sort_unstable();
        paths.into_iter().take(most).cloned().collect()
    }

    /// The number of all paths.
    pub(super) fn len(&self) -> u64 {
        (self.changed.len() + self.counted.len()) as u64
    }

    /// The sorted paths without duplicates; unchanged ones have their number as weight.
    pub(super) fn paths(&self) -> Vec<SitePath<'_>> {
        self.tagged().map(|(path, _)| path).collect()
    }

    /// The same, each with its tags.
    pub(super) fn tagged(&self) -> impl Iterator<Item = (SitePath<'_>, Set)> {
        let changed = self.changed.iter().map(|one| (SitePath::changed(&one.path, one.reach), one.tags));
        let unchanged = self.unchanged.iter().filter_map(|((_, tags), alike)| {
            let path = alike.paths.first()?;
            Some((SitePath { weight: alike.count, ..SitePath::unchanged(path) }, *tags))
        });
        let mut paths: Vec<(SitePath<'_>, Set)> = changed.chain(unchanged).collect();
        paths.sort_unstable_by_key(|(path, _)| path.path);
        paths.into_iter()
    }
}

/// The length of the common prefix of two paths, in bytes.
fn shared(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}

/// The end of the character after `length` bytes, where an encoded triplet (`%C3`) counts as one character.
fn cut_after(path: &str, length: usize) -> usize {
    let bytes = path.as_bytes();
    let triplet = (length.saturating_sub(2)..=length).find(|&at| bytes.get(at) == Some(&b'%'));
    let end = triplet.map_or(length + 1, |at| at + 3).min(path.len());
    (end..path.len()).find(|&end| path.is_char_boundary(end)).unwrap_or(path.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cover::{Budget, Curve};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn paths() -> impl Strategy<Value = BTreeSet<String>> {
        proptest::collection::btree_set("/([ab/]|%C3%A9|%C3%A8){0,5}", 0..25)
    }

    fn changed(path: &str) -> Changed {
        Changed { path: path.into(), reach: Reach::Any, tags: 0 }
    }

    proptest! {
        #[test]
        fn counting_alike_paths_together_changes_no_choice(changed in paths(), unchanged in paths(), items in 1..6usize, wildcards in 1..4usize) {
            let whole = unchanged.difference(&changed).map(|path| SitePath::unchanged(path));
            let mut whole: Vec<SitePath<'_>> =
                whole.chain(changed.iter().map(|path| SitePath::changed(path, Reach::Any))).collect();
            whole.sort_by_key(|path| path.path);
            let mut url_set = UrlSet::of_changed(changed.iter().map(|path| self::changed(path)));
            // Twice, because two keys may share a path.
            unchanged.iter().chain(&unchanged).for_each(|path| url_set.add_unchanged(path, 0));
            prop_assert_eq!(url_set.len(), whole.len() as u64);
            let budget = Budget { wildcards, ..Budget::of_items(items) };
            let (expected, found) = (Curve::new(&whole, budget), Curve::new(&url_set.paths(), budget));
            prop_assert_eq!(expected.steps(), found.steps());
            let (expected, found) = (expected.cover(budget), found.cover(budget));
            prop_assert_eq!(expected.collateral, found.collateral);
            prop_assert_eq!(expected.items, found.items);
        }
    }

    #[test]
    fn a_site_of_many_unchanged_paths_takes_the_room_of_the_changed_ones() {
        let mut url_set = UrlSet::of_changed([changed("/blog/7")].into_iter());
        for at in 0..1000 {
            url_set.add_unchanged(&format!("/docs/{at}"), 0);
            url_set.add_unchanged(&format!("/blog/{at}"), 0);
        }
        // The changed one, `/d`, `/blog/` with each other digit, `/blog/7` with each.
        assert_eq!((url_set.len(), url_set.paths().len()), (2000, 1 + 1 + 9 + 10));
        let remembered = |url_set: &UrlSet| url_set.unchanged.values().map(|alike| alike.paths.len()).sum::<usize>();
        assert!(remembered(&url_set) <= (1 + 9 + 10) * MOST_ALIKE, "{}", remembered(&url_set));

        let mut url_set = UrlSet::of_changed((0..5000).map(|at| changed(&format!("/{at:04}"))));
        (0..50_000).for_each(|at| url_set.add_unchanged(&format!("/{:04}/{at:05}", at / 10), 0));
        assert_eq!(remembered(&url_set), 5000 + MOST_REMEMBERED);
        assert_eq!(url_set.first_of("/4999", None, 9), ["/4999/49990"], "each kind has one");
    }

    #[test]
    fn the_first_of_what_an_item_evicts_are_known_by_name() {
        let mut url_set = UrlSet::of_changed(["/about/", "/abridged/"].map(changed).into_iter());
        for (path, tags) in [("/x", 0b10), ("/about-us/", 0b01), ("/absent", 0b11), ("/about-them/", 0)] {
            url_set.add_unchanged(path, tags);
        }
        assert_eq!(url_set.first_of("/ab", None, 9), ["/about-them/", "/about-us/", "/absent"]);
        assert_eq!(url_set.first_of("/abou", None, 1), ["/about-them/"]);
        assert_eq!(url_set.first_of("", Some(0b10), 9), ["/absent", "/x"]);
        assert_eq!(url_set.first_of("/about/", None, 9), [""; 0]);
    }
}
