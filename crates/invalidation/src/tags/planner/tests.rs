//! Checks the choice against brute force and against its own description.

use crate::cover;
use crate::tags::planner::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A tag, by number.
fn tag(number: u8) -> Tag {
    let letters = [b'a' + number / 26, b'a' + number % 26];
    let text = format!("vaaaaa{}{}", char::from(letters[0]), char::from(letters[1]));
    Tag::parse(&text).unwrap()
}

/// A path, its weight, what may clear it if it changed, and the tags on it.
type Row = (String, u64, Option<Reach>, Vec<Tag>);

fn row(tags: u8, most: usize) -> impl Strategy<Value = Row> {
    let change = prop_oneof![
        4 => Just(None),
        4 => Just(Some(Reach::Any)),
        1 => (1..4_usize).prop_map(|limit| Some(Reach::WildcardOnly { limit })),
    ];
    let copy_tags = prop::collection::btree_set(0..tags, 0..most);
    ("/[ab]{0,2}(/[ab]{1,2}){0,2}", 0..3_u64, change, copy_tags)
        .prop_map(|(path, weight, change, copy_tags)| (path, weight, change, copy_tags.into_iter().map(tag).collect()))
}

fn tagged(rows: &[Row]) -> Vec<TaggedPath<'_>> {
    rows.iter()
        .map(|(path, weight, change, tags)| TaggedPath {
            path: SitePath { path, weight: *weight, change: *change },
            tags,
        })
        .collect()
}

fn plain(rows: &[Row]) -> Vec<SitePath<'_>> {
    tagged(rows).into_iter().map(|tagged| tagged.path).collect()
}

fn budgets(most: usize) -> impl Strategy<Value = Budget> {
    (1..most, 0..most, 1..4_usize, 0..5_usize).prop_map(|(items, free_items, wildcards, forced_wildcards)| Budget {
        items,
        free_items,
        wildcards,
        forced_wildcards,
    })
}

/// The best value over all sets of tags, each with the best paths for the rest.
fn brute_force(rows: &[Row], tags: u8, budget: Budget) -> Value {
    let sets = 0..1_u32 << tags;
    let try_set = |set: u32| {
        let chosen: Vec<Tag> = (0..tags).filter(|number| set >> number & 1 == 1).map(tag).collect();
        let by_tag = |row: &Row| row.3.iter().any(|tag| chosen.contains(tag));
        let evicted: u64 = rows.iter().filter(|row| row.2.is_none() && by_tag(row)).map(|row| row.1).sum();
        let rest: Vec<Row> = rows.iter().filter(|row| !by_tag(row)).cloned().collect();
        let left = budget.items.checked_sub(chosen.len())?;
        if rest.iter().all(|row| row.2.is_none()) {
            let none = Cover { items: Vec::new(), collateral: 0 };
            return Some(Value::new(evicted, chosen.len(), &none, budget));
        }
        let free_items = budget.free_items.saturating_sub(chosen.len());
        let left = Budget { items: left, free_items, ..budget };
        let paths = (left.items > 0).then(|| cover::cover(&plain(&rest), left))?;
        Some(Value::new(evicted, chosen.len(), &paths, budget))
    };
    sets.filter_map(try_set).min().unwrap()
}

/// One row per path.
fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let by_path: BTreeMap<String, Row> = rows.into_iter().map(|row| (row.0.clone(), row)).collect();
    by_path.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn small_sites_get_the_best_there_is(rows in prop::collection::vec(row(7, 4), 1..16), budget in budgets(6)) {
        let rows = distinct(rows);
        let ours = cover(&tagged(&rows), budget);
        prop_assert_eq!(Value::new(0, 0, &ours, budget), brute_force(&rows, 7, budget), "{:?}", ours);
    }

    #[test]
    fn every_changed_path_is_cleared_within_the_budget_and_never_worse_than_by_paths_alone(
        rows in prop::collection::vec(row(30, 8), 1..40),
        budget in budgets(20),
    ) {
        let ours = cover(&tagged(&rows), budget);
        let paths = cover::cover(&plain(&rows), budget);
        prop_assert!(ours.items.len() <= budget.items);
        prop_assert!(Value::new(0, 0, &ours, budget) <= Value::new(0, 0, &paths, budget));
        let forced: BTreeSet<&str> = rows.iter().filter(|row| matches!(row.2, Some(Reach::WildcardOnly { .. })))
            .map(|row| row.0.as_str()).collect();
        let wildcards = ours.items.iter().filter(|item| item.wildcard).count();
        prop_assert!(wildcards <= budget.wildcards.max(forced.len().min(budget.forced_wildcards)));

        let mut sites: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in &rows {
            sites.entry(&row.0).or_default().push(row);
        }
        let mut collateral = 0;
        let mut each = vec![(0_usize, 0_u64); ours.items.len()];
        for (path, same) in sites {
            let changed: Vec<Reach> = same.iter().filter_map(|row| row.2).collect();
            let weight = same.iter().map(|row| row.1).max().unwrap();
            let mut hit = false;
            for (item, (covers, evicts)) in ours.items.iter().zip(&mut each) {
                let (by_path, reach) = (SitePath::unchanged(path), changed.iter().copied().reduce(Reach::and));
                let takes = match (item.text.strip_prefix('#'), reach) {
                    (Some(tag), Some(_)) => same.iter().all(|row| row.3.contains(&Tag::parse(tag).unwrap())),
                    (Some(tag), None) => same.iter().any(|row| row.3.contains(&Tag::parse(tag).unwrap())),
                    (None, reach) => item.evicts(&SitePath { change: reach, ..by_path }),
                };
                hit |= takes;
                *covers += usize::from(takes && reach.is_some());
                *evicts += if takes && reach.is_none() { weight } else { 0 };
            }
            prop_assert!(hit || changed.is_empty(), "{} by {:?}", path, ours);
            collateral += if hit && changed.is_empty() { weight } else { 0 };
        }
        prop_assert_eq!(collateral, ours.collateral);
        prop_assert_eq!(each, ours.items.iter().map(|item| (item.covers, item.collateral)).collect::<Vec<_>>());
    }

    #[test]
    fn no_item_is_superfluous(rows in prop::collection::vec(row(12, 5), 1..40), budget in budgets(9)) {
        let rows = distinct(rows);
        let ours = cover(&tagged(&rows), budget);
        let clears = |item: &Item, row: &Row| match item.text.strip_prefix('#') {
            Some(tag) => row.3.contains(&Tag::parse(tag).unwrap()),
            None => item.evicts(&SitePath { path: &row.0, weight: row.1, change: row.2 }),
        };
        for superfluous in &ours.items {
            let others = || ours.items.iter().filter(|item| *item != superfluous);
            let all = rows.iter().filter(|row| row.2.is_some()).all(|row| others().any(|item| clears(item, row)));
            prop_assert!(!all, "{:?} in {:?}", superfluous, ours);
        }
    }
}

fn texts(cover: &Cover) -> Vec<&str> {
    cover.items.iter().map(|item| item.text.as_str()).collect()
}

fn rows(paths: &[(&str, Option<Reach>, &[u8])]) -> Vec<Row> {
    let row = |(path, change, tags): &(&str, Option<Reach>, &[u8])| {
        ((*path).to_owned(), 1, *change, tags.iter().copied().map(tag).collect())
    };
    paths.iter().map(row).collect()
}

const ANY: Option<Reach> = Some(Reach::Any);

#[test]
fn one_tag_takes_what_changed_together_wherever_it_lies() {
    let site = rows(&[
        ("/a/x", ANY, &[1]),
        ("/b/x", ANY, &[1]),
        ("/c/x", ANY, &[1]),
        ("/a/y", None, &[2]),
        ("/b/y", None, &[]),
    ]);
    let ours = cover(&tagged(&site), Budget::of_items(2));
    assert_eq!((texts(&ours), ours.collateral), (vec![tag(1).item().as_str()], 0));
    assert_eq!((ours.items[0].covers, ours.items[0].wildcard), (3, false));
}

#[test]
fn what_carries_no_tag_for_sure_goes_by_path() {
    let site = rows(&[("/a", ANY, &[1]), ("/b", ANY, &[1]), ("/created", ANY, &[]), ("/z", None, &[])]);
    assert_eq!(texts(&cover(&tagged(&site), Budget::of_items(3))), [tag(1).item().as_str(), "/created"]);
}

#[test]
fn of_two_objects_at_one_path_only_the_tags_of_both_are_trusted() {
    let site = rows(&[
        ("/a", ANY, &[1, 2]),
        ("/a", None, &[2]),
        ("/b", ANY, &[1, 2]),
        ("/c", ANY, &[1, 2]),
        ("/d", None, &[2]),
        ("/e", None, &[]),
    ]);
    let ours = cover(&tagged(&site), Budget::of_items(2));
    assert_eq!((texts(&ours), ours.collateral), (vec![tag(1).item().as_str(), "/a"], 0));
    assert_eq!(texts(&cover(&tagged(&site), Budget::of_items(1))), [tag(2).item().as_str()]);
}

#[test]
fn what_no_exact_path_reaches_goes_by_its_own_tag_before_it_costs_others() {
    let tilde = Some(Reach::WildcardOnly { limit: 4 });
    let site = rows(&[("/js/vendor~x.js", tilde, &[1]), ("/js/app.js", None, &[2])]);
    assert_eq!(texts(&cover(&tagged(&site), Budget::of_items(5))), [tag(1).item()]);
    assert_eq!(
        texts(&cover(&tagged(&site[..1]), Budget::of_items(5))),
        [tag(1).item()],
        "a wildcard that evicts nothing is still one"
    );
}

#[test]
fn nothing_changed_sends_nothing_and_many_alike_are_no_trouble() {
    assert_eq!(cover(&[], Budget::of_items(3)).items, []);
    assert_eq!(cover(&tagged(&rows(&[("/a", None, &[1])])), Budget::of_items(3)).items, []);
    let site: Vec<Row> = (0..3_000_u32)
        .map(|number| {
            (
                format!("/{}/{number}", number % 50),
                1,
                (number % 3 == 0).then_some(Reach::Any),
                (0..40)
                    .collect::<Vec<u8>>()
                    .iter()
                    .filter(|each| number % (u32::from(**each) + 2) == 0)
                    .map(|each| tag(*each))
                    .collect(),
            )
        })
        .collect();
    let ours = cover(&tagged(&site), Budget::of_items(4));
    assert_eq!((texts(&ours), ours.collateral), (vec![tag(1).item().as_str()], 0));
}
