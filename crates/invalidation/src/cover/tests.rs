//! Checks covers against brute force, and what a user sees of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::cover::*;

/// What may be between two cuts, including everything that CloudFront treats specially.
const PIECES: [&str; 10] = ["/", "a", "b", "~", "+", "%C3", "%A9", "%20", "*", "é"];

/// A path as pieces, its weight, and whether it changed.
type Piecewise = (Vec<&'static str>, u64, bool);

fn piecewise(longest: usize) -> impl Strategy<Value = Piecewise> {
    let piece = prop_oneof![3 => Just(0_usize), 5 => Just(1), 3 => Just(2), 3 => 3..PIECES.len()];
    (prop::collection::vec(piece, 0..longest), 0..4_u64, any::<bool>()).prop_map(|(pieces, weight, changed)| {
        let path = std::iter::once("/").chain(pieces.into_iter().map(|piece| PIECES[piece])).collect();
        (path, weight, changed)
    })
}

/// Maximum number of pieces in a wildcard's prefix, and whether the path may be sent itself.
fn trusted(path: &[&str]) -> (usize, bool) {
    let before_tilde = path.iter().position(|&piece| piece == "~");
    let star = path.len() > 1 && path.last() == Some(&"*");
    let longest = before_tilde.unwrap_or(usize::MAX).min(path.len() - 1).max(1);
    (longest, before_tilde.is_none() && !star)
}

/// Each path once, changed if any of its occurrences is.
fn distinct(site: &[Piecewise]) -> BTreeMap<&Vec<&'static str>, (u64, bool)> {
    let mut distinct = BTreeMap::new();
    for (path, weight, changed) in site {
        let known = distinct.entry(path).or_insert((0, false));
        *known = ((*weight).max(known.0), *changed || known.1);
    }
    distinct
}

fn with_site<T>(site: &[Piecewise], then: impl FnOnce(&[SitePath<'_>]) -> T) -> T {
    let joined: Vec<String> = site.iter().map(|(path, ..)| path.concat()).collect();
    let paths: Vec<SitePath<'_>> = std::iter::zip(site, &joined)
        .map(|((pieces, weight, changed), path)| {
            let (longest, exact) = trusted(pieces);
            let limit = pieces[..longest].concat().len();
            let reach = if exact { Reach::Any } else { Reach::WildcardOnly { limit } };
            SitePath { path, weight: *weight, change: changed.then_some(reach) }
        })
        .collect();
    then(&paths)
}

/// The quality of items, lower is better: collateral, items beyond the free ones, wildcards, items.
type Value = (u64, usize, usize, usize);

fn value(cover: &Cover, budget: Budget) -> Value {
    let wildcards = cover.items.iter().filter(|item| item.wildcard).count();
    (cover.collateral, cover.items.len().saturating_sub(budget.free_items), wildcards, cover.items.len())
}

/// The wildcards that the budget allows: those for paths without an exact item, each as long as possible, may be
/// more, up to a limit of their own.
fn most_wildcards(site: &[Piecewise], budget: Budget) -> usize {
    let distinct = distinct(site);
    let forced = distinct.iter().filter(|(path, known)| known.1 && !trusted(path).1);
    let prefixes: BTreeSet<&[&str]> = forced.map(|(path, _)| &path[..trusted(path).0]).collect();
    let needed = |prefix: &&&[&str]| (1..prefix.len()).all(|length| !prefixes.contains(&prefix[..length]));
    let needed = prefixes.iter().filter(needed).count();
    if needed <= budget.wildcards {
        budget.wildcards
    } else {
        budget.wildcards.max(budget.forced_wildcards.min(needed))
    }
}

/// The best value over all sets of valid items within the budget: tries every item that clears the first path that
/// is not yet cleared.
fn brute_force(site: &[Piecewise], budget: Budget) -> Option<Value> {
    let most = most_wildcards(site, budget);
    let site = distinct(site);
    let changed: Vec<&Vec<&str>> = site.iter().filter(|(_, known)| known.1).map(|(path, _)| *path).collect();
    let unchanged: Vec<(String, u64)> =
        site.iter().filter(|(_, known)| !known.1).map(|(path, known)| (path.concat(), known.0)).collect();
    fn search(
        left: &[&Vec<&str>],
        prefixes: &mut Vec<String>,
        exact: usize,
        (budget, most): (Budget, usize),
        unchanged: &[(String, u64)],
    ) -> Option<Value> {
        let items = exact + prefixes.len();
        let Some((first, others)) = left.split_first() else {
            let evicted = |path: &String| prefixes.iter().any(|prefix| path.starts_with(prefix));
            let collateral = unchanged.iter().filter(|(path, _)| evicted(path)).map(|(_, weight)| weight).sum();
            return Some((collateral, items.saturating_sub(budget.free_items), prefixes.len(), items));
        };
        if items == budget.items {
            return None;
        }
        let (longest, may_be_exact) = trusted(first);
        let mut best = if may_be_exact { search(others, prefixes, exact + 1, (budget, most), unchanged) } else { None };
        let longest = if prefixes.len() < most { longest } else { 0 };
        for length in 1..=longest {
            let prefix = &first[..length];
            let is_cleared = |path: &Vec<&str>| path.starts_with(prefix) && length <= trusted(path).0;
            let left: Vec<&Vec<&str>> = others.iter().filter(|path| !is_cleared(path)).copied().collect();
            prefixes.push(prefix.concat());
            let found = search(&left, prefixes, exact, (budget, most), unchanged);
            prefixes.pop();
            best = best.into_iter().chain(found).min();
        }
        best
    }
    search(&changed, &mut Vec::new(), 0, (budget, most), &unchanged)
}

fn budgets(most_items: usize) -> impl Strategy<Value = Budget> {
    (1..most_items, 0..most_items, 1..5_usize, 0..7_usize).prop_map(
        |(items, free_items, wildcards, forced_wildcards)| Budget { items, free_items, wildcards, forced_wildcards },
    )
}

/// The result of a pass that counts or prices wildcards, and its bound.
fn limited(paths: &[SitePath<'_>], budget: Budget, work: u64) -> (Cover, u64) {
    let curve = Curve::of_site(Site::new(paths), budget, work);
    (curve.cover(budget), curve.gap(budget))
}

/// Shortens the deepest paths to their directories, level by level, until they are few enough.
fn by_directory(changed: &[String], budget: usize) -> BTreeSet<String> {
    let mut items: BTreeSet<String> = changed.iter().cloned().collect();
    for depth in (1..10).rev() {
        if items.len() <= budget {
            return items;
        }
        let shorten = |item: &String| match item.match_indices('/').nth(depth) {
            Some((at, _)) => item[..=at].to_owned() + "*",
            None => item.clone(),
        };
        items = items.iter().map(shorten).collect();
    }
    if items.len() <= budget { items } else { BTreeSet::from(["/*".to_owned()]) }
}

fn texts(cover: &Cover) -> Vec<&str> {
    cover.items.iter().map(|item| item.text.as_str()).collect()
}

fn plain(paths: &[&'static str]) -> Vec<SitePath<'static>> {
    paths.iter().map(|path| SitePath::changed(path, Reach::Any)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_other_items_are_better_within_both_budgets(
        site in prop::collection::vec(piecewise(5), 1..11),
        budget in budgets(8),
    ) {
        let best = brute_force(&site, budget);
        let ours = with_site(&site, |paths| cover(paths, budget));
        prop_assert_eq!(Some(value(&ours, budget)), best, "{:?}", ours);
    }

    #[test]
    fn a_thinned_answer_is_within_the_bound_that_it_states(
        site in prop::collection::vec(piecewise(7), 1..60),
        budget in budgets(30),
        work in 0..400_u64,
    ) {
        let ((exact, none), (thin, gap)) =
            with_site(&site, |paths| (limited(paths, budget, u64::MAX), limited(paths, budget, work)));
        prop_assert_eq!(none, 0);
        prop_assert!(thin.items.len() <= budget.items);
        prop_assert!(value(&thin, budget).2 <= most_wildcards(&site, budget));
        prop_assert!(thin.collateral - gap <= exact.collateral && exact.collateral <= thin.collateral,
            "{} of {} with {}", thin.collateral, exact.collateral, gap);
        // An answer on the hull is the best for its own number of items.
        let own = Budget { items: thin.items.len().max(1), wildcards: value(&thin, budget).2.max(1), ..budget };
        let best = with_site(&site, |paths| cover(paths, own));
        if work == 0 {
            prop_assert_eq!(best.collateral, thin.collateral);
        }
    }

    #[test]
    fn many_wildcards_are_counted_while_that_takes_little_and_else_priced_within_the_bound(
        site in prop::collection::vec(piecewise(9), 40..120),
        work in prop_oneof![Just(u64::MAX), 0..40_000_u64],
    ) {
        let budget = Budget { wildcards: 30, ..Budget::of_items(40) };
        let ((exact, none), (found, gap)) =
            with_site(&site, |paths| (limited(paths, budget, u64::MAX), limited(paths, budget, work)));
        prop_assert_eq!(none, 0);
        prop_assert!(value(&found, budget).2 <= 30);
        prop_assert!(found.collateral - gap <= exact.collateral && exact.collateral <= found.collateral);
    }

    #[test]
    fn priced_wildcards_are_within_the_bound_that_is_stated(
        site in prop::collection::vec(piecewise(7), 1..60),
        budget in budgets(30),
        work in prop_oneof![Just(u64::MAX), 0..3_000_u64],
    ) {
        let (exact, (priced, gap)) = with_site(&site, |paths| {
            let curve = Curve::priced(Site::new(paths), budget, work);
            (cover(paths, budget), (curve.cover(budget), curve.gap(budget)))
        });
        prop_assert!(priced.items.len() <= budget.items);
        prop_assert!(value(&priced, budget).2 <= most_wildcards(&site, budget));
        prop_assert!(priced.collateral - gap <= exact.collateral && exact.collateral <= priced.collateral,
            "{} of {} with {}", priced.collateral, exact.collateral, gap);
    }

    #[test]
    fn every_changed_path_is_cleared_by_a_trusted_item(
        site in prop::collection::vec(piecewise(9), 1..80),
        budget in budgets(20),
    ) {
        let ours = with_site(&site, |paths| cover(paths, budget));
        prop_assert!(ours.items.len() <= budget.items);
        let mut cleared = vec![0; ours.items.len()];
        let mut evicted = vec![0; ours.items.len()];
        for (path, (weight, changed)) in distinct(&site) {
            let text = path.concat();
            let (longest, exact) = trusted(path);
            let limit = path[..longest].concat().len();
            let mut found = false;
            for (index, item) in ours.items.iter().enumerate() {
                let prefix = item.text.strip_suffix('*').filter(|_| item.wildcard);
                let clears = match prefix {
                    Some(prefix) => text.starts_with(prefix) && prefix.len() <= limit,
                    None => exact && item.text == text,
                };
                found |= clears;
                cleared[index] += usize::from(changed && clears);
                if !changed && prefix.map_or(item.text == text, |prefix| text.starts_with(prefix)) {
                    evicted[index] += weight;
                }
            }
            prop_assert!(found || !changed, "{} by {:?}", text, ours);
        }
        prop_assert_eq!(cleared, ours.items.iter().map(|item| item.covers).collect::<Vec<_>>());
        let collateral: Vec<u64> = ours.items.iter().map(|item| item.collateral).collect();
        prop_assert_eq!(&evicted, &collateral);
        prop_assert_eq!(evicted.iter().sum::<u64>(), ours.collateral);
    }

    #[test]
    fn a_wildcard_never_cuts_a_character_or_a_triplet(
        site in prop::collection::vec(piecewise(9), 1..80),
        budget in budgets(20),
    ) {
        let ours = with_site(&site, |paths| cover(paths, budget));
        let paths: Vec<_> = distinct(&site).into_keys().collect();
        for item in ours.items.iter().filter(|item| item.wildcard) {
            let prefix = &item.text[..item.text.len() - 1];
            let at_cut = |path: &&Vec<&str>| (1..=path.len()).any(|n| path[..n].concat() == prefix);
            prop_assert!(paths.iter().any(at_cut), "{}", item.text);
        }
    }

    #[test]
    fn the_curve_falls_and_agrees_with_the_cover_of_each_budget(
        site in prop::collection::vec(piecewise(7), 1..40),
    ) {
        with_site(&site, |paths| {
            let curve = Curve::new(paths, Budget { wildcards: 3, ..Budget::of_items(12) });
            let mut steps = Vec::new();
            for budget in (1..=12).map(|items| Budget { wildcards: 3, ..Budget::of_items(items) }) {
                let ours = curve.cover(budget);
                let direct = cover(paths, budget);
                prop_assert_eq!(&direct, &ours);
                prop_assert_eq!(curve.collateral(budget), ours.collateral);
                if !ours.items.is_empty() && steps.last().is_none_or(|&(_, least)| least > ours.collateral) {
                    steps.push((budget.items, ours.collateral));
                }
            }
            prop_assert!(steps.is_sorted_by(|left, right| left.0 < right.0 && left.1 > right.1));
            prop_assert_eq!(steps, curve.steps());
            Ok(())
        })?;
    }

    #[test]
    fn collapsing_by_directory_is_never_better(
        site in prop::collection::btree_map("(/[ab]{1,2}){1,4}", any::<bool>(), 1..60),
        budget in 1..12_usize,
    ) {
        let (changed, unchanged): (Vec<_>, Vec<_>) = site.iter().partition(|(_, new)| **new);
        let changed: Vec<String> = changed.into_iter().map(|(path, _)| path.clone()).collect();
        let items = by_directory(&changed, budget);
        let prefixes: Vec<&str> = items.iter().filter_map(|item| item.strip_suffix('*')).collect();
        let evicted = |path: &str| prefixes.iter().any(|prefix| path.starts_with(prefix));
        let collapsed = unchanged.iter().filter(|(path, _)| evicted(path)).count() as u64;

        let changed = changed.iter().map(|path| SitePath::changed(path, Reach::Any));
        let unchanged = unchanged.iter().map(|(path, _)| SitePath::unchanged(path));
        let paths: Vec<SitePath<'_>> = unchanged.chain(changed).collect();
        prop_assert!(cover(&paths, Budget::of_items(budget)).collateral <= collapsed);
    }
}

#[test]
fn nothing_changed_sends_nothing() {
    let none = Cover { items: Vec::new(), collateral: 0 };
    assert_eq!(cover(&[], Budget::of_items(5)), none);
    let curve = Curve::new(&[SitePath::unchanged("/a")], Budget::of_items(5));
    assert_eq!(
        (curve.cover(Budget::of_items(5)), curve.steps(), curve.collateral(Budget::of_items(1))),
        (none, vec![], 0)
    );
}

#[test]
fn one_changed_path_is_sent_as_it_is() {
    assert_eq!(texts(&cover(&plain(&["/a", "/a"]), Budget::of_items(0))), ["/a"]);
    assert_eq!(texts(&cover(&plain(&["/"]), Budget::of_items(9))), ["/"]);
}

#[test]
fn of_a_path_given_twice_the_strictest_reading_holds() {
    let limits = [Reach::WildcardOnly { limit: 4 }, Reach::Any, Reach::WildcardOnly { limit: 3 }];
    let mut site = vec![SitePath::unchanged("/abcd"), SitePath::unchanged("/x")];
    site.extend(limits.map(|reach| SitePath::changed("/abcd", reach)));
    assert_eq!(texts(&cover(&site, Budget::of_items(9))), ["/ab*"]);
    let mut twice = plain(&["/b1", "/b2"]);
    twice.extend([1, 7, 5].map(|weight| SitePath { weight, ..SitePath::unchanged("/b3") }));
    assert_eq!((cover(&twice, Budget::of_items(1)).collateral, cover(&twice, Budget::of_items(2)).collateral), (7, 0));
}

#[test]
fn exact_paths_are_preferred_while_they_are_free() {
    let mut site = plain(&["/about", "/about/", "/about/index.html"]);
    site.push(SitePath::unchanged("/e"));
    let free = |items: usize, free_items: usize| Budget { free_items, wildcards: 10, ..Budget::of_items(items) };
    assert_eq!(texts(&cover(&site, free(3, 3))), ["/about", "/about/", "/about/index.html"]);
    assert_eq!(texts(&cover(&site, free(9, 2))), ["/abou*"], "a wildcard before a dollar");
    site.push(SitePath::unchanged("/abound"));
    assert_eq!(texts(&cover(&site, free(9, 0))), ["/about", "/about*"], "a dollar before an eviction");
}

#[test]
fn a_whole_directory_is_one_item_where_each_costs() {
    let mut site = plain(&["/dir/a", "/dir/b", "/dir/c"]);
    site.push(SitePath::unchanged("/e"));
    assert_eq!(texts(&cover(&site, Budget { free_items: 0, ..Budget::of_items(9) })), ["/dir/*"]);
    let item = Item { text: "/*".into(), wildcard: true, covers: 4, collateral: 1 };
    site.push(SitePath::changed("/", Reach::Any));
    assert_eq!(cover(&site, Budget::of_items(1)).items, [item]);
    assert_eq!(texts(&cover(&site, Budget::of_items(2))), ["/", "/dir/*"]);
}

#[test]
fn where_wildcards_are_few_they_go_where_they_evict_least() {
    let mut site = plain(&["/a/1", "/a/2", "/b/1", "/b/2", "/b/3", "/c/1"]);
    site.extend(["/a/x", "/a/y", "/b/x", "/z"].map(SitePath::unchanged));
    let budget = |items: usize, wildcards: usize| Budget { wildcards, ..Budget::of_items(items) };
    assert_eq!(texts(&cover(&site, budget(3, 2))), ["/a/*", "/b/*", "/c/1"]);
    assert_eq!(texts(&cover(&site, budget(4, 2))), ["/a/1", "/a/2", "/b/*", "/c/1"]);
    assert_eq!(texts(&cover(&site, budget(3, 1))), ["/*"]);
}

#[test]
fn paths_that_only_wildcards_clear_get_as_many_as_they_need() {
    let limited = |path: &'static str| SitePath::changed(path, Reach::WildcardOnly { limit: path.len() - 2 });
    let mut site = vec![limited("/a/1~x"), limited("/b/2~x"), limited("/c/3~x"), limited("/c/3~xy")];
    site.extend(plain(&["/d/1", "/d/2"]));
    site.extend(["/a", "/b", "/c", "/d/"].map(SitePath::unchanged));
    let budget = Budget { wildcards: 1, ..Budget::of_items(9) };
    assert_eq!(texts(&cover(&site, budget)), ["/a/1*", "/b/2*", "/c/3*", "/d/1", "/d/2"]);
    assert_eq!(Curve::new(&site, budget).forced_wildcards(), 3);
}

#[test]
fn past_the_most_wildcards_for_such_paths_they_share_those_that_evict_least() {
    let limited = |path: &'static str| SitePath::changed(path, Reach::WildcardOnly { limit: path.len() - 1 });
    let mut site: Vec<_> = ["/a/1?", "/a/2?", "/b/1?", "/b/2?", "/c/1?"].map(limited).into();
    site.extend(["/a/3", "/b/3", "/b/4", "/c/2"].map(SitePath::unchanged));
    let budget = |wildcards, forced_wildcards| Budget { wildcards, forced_wildcards, ..Budget::of_items(9) };
    assert_eq!(texts(&cover(&site, budget(1, 5))), ["/a/1*", "/a/2*", "/b/1*", "/b/2*", "/c/1*"]);
    assert_eq!(texts(&cover(&site, budget(1, 4))), ["/a/*", "/b/1*", "/b/2*", "/c/1*"]);
    assert_eq!(texts(&cover(&site, budget(1, 3))), ["/a/*", "/b/*", "/c/1*"]);
    assert_eq!(texts(&cover(&site, budget(4, 3))), ["/a/*", "/b/1*", "/b/2*", "/c/1*"], "the person asks for more");
    assert_eq!(texts(&cover(&site, budget(1, 0))), ["/*"]);
}

#[test]
fn the_form_of_a_directory_is_not_left_to_its_wildcard() {
    let mut site = plain(&["/dir/", "/dir/a", "/dir/b"]);
    site.push(SitePath::unchanged("/dire"));
    assert_eq!(texts(&cover(&site, Budget::of_items(2))), ["/dir/", "/dir/*"]);
    assert_eq!(texts(&cover(&site, Budget::of_items(1))), ["/dir*"]);
    assert_eq!(texts(&cover(&site, Budget::of_items(3))), ["/dir/", "/dir/a", "/dir/b"]);
}

#[test]
fn a_tilde_and_query_strings_are_cleared_from_before_them() {
    let site = [
        SitePath::changed("/js/vendors~x.js", Reach::WildcardOnly { limit: "/js/vendors".len() }),
        SitePath::changed("/page?", Reach::WildcardOnly { limit: "/page".len() }),
        SitePath::changed("/page/next", Reach::Any),
        SitePath::unchanged("/js/vendor.js"),
        SitePath::unchanged("/pages"),
    ];
    let ours = cover(&site, Budget::of_items(50));
    assert_eq!((texts(&ours), ours.collateral), (vec!["/js/vendors*", "/page*"], 1));
}

#[test]
fn paths_nested_thousands_deep_are_no_deeper_recursion() {
    let long = "/".repeat(4_000);
    let mut site: Vec<_> = (1..4_000).map(|length| SitePath::changed(&long[..length], Reach::Any)).collect();
    site.extend((1..4_000).filter(|length| length % 7 == 0).map(|length| SitePath::unchanged(&long[..length])));
    assert_eq!(texts(&cover(&site, Budget::of_items(1))), ["/*"]);
    let wide: Vec<String> = (0..300).map(|number| format!("/{}{number}", "x".repeat(3_990))).collect();
    let site: Vec<_> = wide.iter().map(|path| SitePath::changed(path, Reach::Any)).collect();
    assert_eq!(texts(&cover(&site, Budget::of_items(3))), [format!("/{}*", "x".repeat(3_990))]);
}
