//! The paths of a site in the form that a pass needs.

use super::sweep::{Outcome, Rules, Sweep};
use super::{Budget, Cover, Item, Reach, SitePath, common_bytes, cut};
use std::borrow::Cow;

/// The paths of a site, sorted and without duplicates.
pub(super) struct Site<'a, 's> {
    paths: Cow<'s, [SitePath<'a>]>,
    pub(super) changed: Vec<SitePath<'a>>,
    /// The number of wildcards that clear the paths that only wildcards clear, each the longest for its path.
    pub(super) forced: usize,
}

impl<'a, 's> Site<'a, 's> {
    pub(super) fn new(url_set: &'s [SitePath<'a>]) -> Site<'a, 's> {
        // Usually they are sorted, and numerous.
        let paths = if url_set.is_sorted_by(|left, right| left.path < right.path) {
            Cow::Borrowed(url_set)
        } else {
            Cow::Owned(Site::in_order(url_set))
        };
        let changed: Vec<SitePath<'a>> = paths.iter().filter(|path| path.change.is_some()).copied().collect();
        let forced = forced_wildcards(&changed);
        Site { paths, changed, forced }
    }

    fn in_order(url_set: &[SitePath<'a>]) -> Vec<SitePath<'a>> {
        let mut sorted: Vec<&SitePath<'a>> = url_set.iter().collect();
        sorted.sort_unstable_by(|left, right| left.path.cmp(right.path));
        let merge = |same: &[&SitePath<'a>]| SitePath {
            path: same[0].path,
            weight: same.iter().map(|one| one.weight).max().unwrap_or(0),
            change: same.iter().filter_map(|one| one.change).reduce(Reach::and),
        };
        sorted.chunk_by(|left, right| left.path == right.path).map(merge).collect()
    }

    /// Every changed path as an exact item, if that is possible and free: nothing is better.
    pub(super) fn exact_cover(&self, budget: Budget) -> Option<Cover> {
        let suffices = self.forced == 0 && self.changed.len() <= budget.items.max(1).min(budget.free_items);
        suffices.then(|| Cover { items: self.changed.iter().map(Item::exact).collect(), collateral: 0 })
    }

    /// The total weight of all unchanged paths.
    pub(super) fn unchanged_weight(&self) -> u64 {
        let unchanged = self.paths.iter().filter(|path| path.change.is_none());
        unchanged.fold(0, |sum, path| sum.saturating_add(path.weight))
    }

    /// One pass over the paths.
    pub(super) fn sweep(&self, rules: Rules) -> Outcome<'a> {
        let mut sweep = Sweep::new(rules, u64::MAX);
        self.paths_into(&mut sweep);
        sweep.finish()
    }

    /// The same, unless more than `most` pairs of entries would have to be combined.
    pub(super) fn sweep_within(&self, rules: Rules, most: u64) -> Option<Outcome<'a>> {
        let mut sweep = Sweep::new(rules, most);
        self.paths_into(&mut sweep);
        (!sweep.is_over()).then(|| sweep.finish()).filter(|outcome| !outcome.is_over)
    }

    fn paths_into(&self, sweep: &mut Sweep<'a>) {
        let mut previous = "";
        for path in self.paths.iter() {
            if sweep.is_over() {
                return;
            }
            sweep.leave_for(cut(path.path, common_bytes(previous, path.path)));
            match path.change {
                Some(reach) => sweep.add_changed(path.path, reach),
                None => sweep.add_unchanged(path.path, path.weight),
            }
            previous = path.path;
        }
    }
}

/// The number of wildcards that clear the paths that only wildcards clear, each the longest for its path.
pub(super) fn forced_wildcards(changed: &[SitePath<'_>]) -> usize {
    let limited = changed.iter().filter_map(|path| match path.change {
        Some(reach @ Reach::WildcardOnly { .. }) => Some(reach.stem(path.path)),
        _ => None,
    });
    let mut stems: Vec<&str> = limited.collect();
    stems.sort_unstable();
    stems.dedup_by(|later, first| later.starts_with(*first));
    stems.len()
}
