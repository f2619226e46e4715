//! Chooses the items for one distribution with the requested strategy, and counts what each of them evicts.

use crate::cover::{Budget, Curve, Item, REQUEST_WILDCARDS, Reach, SitePath};
use crate::url_set::UrlSet;
use crate::{Coverage, DistributionId, Invalidation, Step, Strategy};

/// Everything.
pub(crate) const ALL: &str = "/*";

/// Chooses the items.
pub(crate) fn choose(id: &DistributionId, strategy: Strategy, budget: Budget, all: &UrlSet) -> Invalidation {
    let url_set = &all.paths();
    let changed = url_set.iter().filter(|path| path.change.is_some()).count();
    let mut invalidation = Invalidation::of_items(id.clone(), Vec::new());
    let coverage = |item: Item| Coverage::of(item, None);
    invalidation.viewer_paths = changed as u64;
    invalidation.universe = all.len();
    let items = match strategy {
        Strategy::Cover => {
            let curve = Curve::new(url_set, budget.for_curve(changed));
            let cover = curve.cover(budget);
            invalidation.curve =
                curve.steps().into_iter().map(|(items, collateral)| Step { items, collateral }).collect();
            invalidation.coverage = cover.items.into_iter().map(coverage).collect();
            invalidation.collateral = cover.collateral;
            invalidation.items = invalidation.coverage.iter().map(|coverage| coverage.item.clone()).collect();
            let gap = curve.gap(budget);
            if gap > 0 {
                invalidation
                    .why
                    .push(format!("too many changes to find the optimum: at best, {gap} fewer URLs would be evicted"));
            }
            return invalidation;
        }
        Strategy::Exact => exact_items(url_set),
        Strategy::All => vec![ALL.to_owned()],
    };
    let items = if items.len() > budget.items { vec![ALL.to_owned()] } else { items };
    let items: Vec<Item> = items.into_iter().map(|text| counted(text, url_set)).collect();
    let wildcards: Vec<&Item> = items.iter().filter(|item| item.wildcard).collect();
    let evicted = |path: &&SitePath<'_>| path.change.is_none() && wildcards.iter().any(|item| item.evicts(path));
    invalidation.collateral = url_set.iter().filter(evicted).map(|path| path.weight).sum();
    invalidation.items = items.iter().map(|item| item.text.clone()).collect();
    invalidation.coverage = items.into_iter().map(coverage).collect();
    invalidation
}

/// Explains why there are more wildcards than allowed, or fewer than clear each path separately, if so: only if
/// nothing else clears a path. `needed` is how many would.
pub(crate) fn excess_wildcards(
    invalidation: &Invalidation,
    needed: usize,
    most: usize,
    budget: Budget,
) -> Option<String> {
    let wildcards = invalidation.items.iter().filter(|item| item.ends_with('*')).count();
    let has_tags = invalidation.items.iter().any(|item| item.starts_with('#'));
    let mut why = "some changed URLs can only be cleared by a wildcard".to_owned();
    let is_shared = needed > budget.wildcards_for(needed) && wildcards > 0 && !has_tags;
    if is_shared {
        let many = format!("; that would take {needed}, so URLs share wildcards");
        why.push_str(&many);
    }
    let requests = if wildcards > REQUEST_WILDCARDS { ", sent in several requests" } else { "" };
    let word = if wildcards == 1 { "wildcard" } else { "wildcards" };
    if wildcards > most.max(1) {
        Some(format!("{wildcards} wildcards instead of at most {most}{requests}: {why}"))
    } else {
        is_shared.then(|| format!("{wildcards} {word}: {why} (--max-wildcards allows more)"))
    }
}

/// An item with its effect.
fn counted(text: String, url_set: &[SitePath<'_>]) -> Item {
    if !text.ends_with('*') {
        return Item { text, wildcard: false, covers: 1, collateral: 0 };
    }
    let mut item = Item { text, wildcard: true, covers: 0, collateral: 0 };
    for path in url_set {
        match path.change {
            _ if !item.evicts(path) => {}
            Some(_) => item.covers += 1,
            None => item.collateral += path.weight,
        }
    }
    item
}

/// Each changed path itself, or the longest wildcard that is sure to reach it.
fn exact_items(url_set: &[SitePath<'_>]) -> Vec<String> {
    let mut items: Vec<String> = url_set
        .iter()
        .filter_map(|path| match path.change? {
            Reach::Any => Some(path.path.to_owned()),
            Reach::WildcardOnly { limit } => Some(format!("{}*", path.path.get(..limit).unwrap_or("/"))),
        })
        .collect();
    items.sort();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_WILDCARDS;
    use crate::url_set::Changed;

    fn id() -> DistributionId {
        DistributionId::Distribution("E1".to_owned())
    }

    fn url_set(unchanged: &[&str], changed: &[&str]) -> UrlSet {
        let changed = changed.iter().map(|&path| Changed { path: path.into(), reach: Reach::Any, tags: 0 });
        let mut all = UrlSet::of_changed(changed);
        unchanged.iter().for_each(|path| all.add_unchanged(path, 0));
        all
    }

    #[test]
    fn exact_sends_each_changed_path_and_everything_past_the_budget() {
        let url_set = url_set(&["/a", "/b"], &["/c", "/d"]);
        let within = choose(&id(), Strategy::Exact, Budget::of_items(2), &url_set);
        assert_eq!((within.items.as_slice(), within.collateral), (&["/c".to_owned(), "/d".to_owned()][..], 0));
        let past = choose(&id(), Strategy::Exact, Budget::of_items(1), &url_set);
        assert_eq!((past.items.as_slice(), past.collateral), (&["/*".to_owned()][..], 2));
    }

    #[test]
    fn all_is_everything_whatever_changed() {
        let all = choose(&id(), Strategy::All, Budget::of_items(50), &url_set(&["/a"], &["/b"]));
        assert_eq!(
            (all.items.as_slice(), all.viewer_paths, all.collateral, all.universe),
            (&["/*".to_owned()][..], 1, 1, 2)
        );
    }

    #[test]
    fn the_cover_says_what_each_item_does_and_what_another_budget_would_buy() {
        let url_set = url_set(&["/blog/x", "/y"], &["/blog/a", "/blog/b", "/c"]);
        let cover = choose(&id(), Strategy::Cover, Budget::of_items(2), &url_set);
        assert_eq!(cover.items, ["/blog/*", "/c"]);
        assert_eq!(cover.collateral, 1);
        assert_eq!(cover.coverage[0].covers, 2);
        assert_eq!(cover.curve.last().map(|step| (step.items, step.collateral)), Some((3, 0)));
    }

    /// How planning grows with the number of changes: run it with `--ignored --nocapture`.
    #[test]
    #[ignore = "prints and asserts nothing"]
    fn how_planning_grows() {
        for count in [25_000, 50_000, 100_000, 200_000] {
            let path = |number: usize| format!("/blog/{}/{:02}/post-{number}/", 2010 + number % 15, number % 12);
            for (what, every) in [("all", 1), ("every second", 2)] {
                let begun = std::time::Instant::now();
                let changed = (0..count).map(|number| path(number * every));
                let changed = changed.map(|path| Changed { path: path.into(), reach: Reach::Any, tags: 0 });
                let mut all = UrlSet::of_changed(changed);
                all.add_unchanged("/", 0);
                (0..count).filter(|_| every > 1).for_each(|number| all.add_unchanged(&path(2 * number + 1), 0));
                let budget = Budget { wildcards: MAX_WILDCARDS, ..Budget::of_items(500) };
                let chosen = choose(&id(), Strategy::Cover, budget, &all);
                let a_url = begun.elapsed() / count as u32;
                println!("{count:7} changed URLs, {what:12} {a_url:?} each, {} items", chosen.items.len());
            }
        }
    }
}
