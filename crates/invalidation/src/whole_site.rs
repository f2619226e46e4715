//! Handles a site whose every URL changes, as in a first deploy: what clears them all evicts nothing else, so one
//! wildcard is the best choice, and finding it needs no table of paths.

use crate::cover::{Budget, Item, Reach, common_bytes, cut};
use std::borrow::Borrow;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// The wildcard that clears the changed paths, if there are no others; `None` if another choice may be better:
/// there are so few paths that each is free as an exact item, or only some wildcards clear one of them.
///
/// Paths may occur several times. Only their hashes are kept: two that share one count as one.
pub(super) fn wildcard<P: Borrow<str>>(paths: impl Iterator<Item = (P, Reach)>, budget: Budget) -> Option<Item> {
    let hasher = RandomState::new();
    let (mut counted, mut common) = (HashSet::new(), None::<String>);
    for (path, reach) in paths {
        let path: &str = path.borrow();
        if reach != Reach::Any {
            return None;
        }
        if !counted.insert(hasher.hash_one(path)) {
            continue;
        }
        let stem = reach.stem(path);
        match &mut common {
            None => common = Some(stem.to_owned()),
            Some(common) => common.truncate(cut(stem, common_bytes(common, stem))),
        }
    }
    let text = format!("{}*", common?);
    let is_best = counted.len() > budget.free_items.max(1);
    is_best.then_some(Item { text, wildcard: true, covers: counted.len(), collateral: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cover::{Curve, SitePath};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_what_the_cover_chooses(
            paths in proptest::collection::btree_set("/([ab/]|%C3%A9|%C3%A8){0,5}", 0..25), items in 1..9usize, free in 0..9usize,
        ) {
            let paths: BTreeSet<String> = paths;
            let budget = Budget { free_items: free, ..Budget::of_items(items) };
            let site: Vec<SitePath<'_>> = paths.iter().map(|path| SitePath::changed(path, Reach::Any)).collect();
            let curve = Curve::new(&site, budget);
            let twice = paths.iter().chain(&paths).map(|path| (path.as_str(), Reach::Any));
            if let Some(item) = wildcard(twice, budget) {
                prop_assert_eq!(curve.steps(), [(1, 0)]);
                prop_assert_eq!(curve.cover(budget).items, [item]);
            } else {
                prop_assert!(paths.len() <= free.max(1));
            }
        }
    }

    #[test]
    fn what_only_some_wildcards_clear_is_left_to_the_cover() {
        let paths = [("/a", Reach::Any), ("/b", Reach::WildcardOnly { limit: 1 })];
        assert_eq!(wildcard(paths.into_iter(), Budget::of_items(0)), None);
    }
}
