//! Covers checked against brute force, and what a user sees of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::cover::*;

/// What may stand between two cuts, with all that CloudFront treats specially.
const PIECES: [&str; 10] = ["/", "a", "b", "~", "+", "%C3", "%A9", "%20", "*", "é"];

/// A path in its pieces, its weight, and whether it changed.
type Piecewise = (Vec<&'static str>, u64, bool);

fn piecewise(longest: usize) -> impl Strategy<Value = Piecewise> {
    let piece = prop_oneof![3 => Just(0_usize), 5 => Just(1), 3 => Just(2), 3 => 3..PIECES.len()];
    (prop::collection::vec(piece, 0..longest), 0..4_u64, any::<bool>()).prop_map(|(pieces, weight, changed)| {
        let path = std::iter::once("/").chain(pieces.into_iter().map(|piece| PIECES[piece])).collect();
        (path, weight, changed)
    })
}

/// How many pieces a wildcard's prefix may have at most, and whether the path may be sent itself.
fn trusted(path: &[&str]) -> (usize, bool) {
    let before_tilde = path.iter().position(|&piece| piece == "~");
    let star = path.len() > 1 && path.last() == Some(&"*");
    let longest = before_tilde.unwrap_or(usize::MAX).min(path.len() - 1).max(1);
    (longest, before_tilde.is_none() && !star)
}

/// One path each, changed if any of the same path is.
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

/// The least collateral, and for it the fewest items, over all sets of at most `budget` valid
/// items: tries every item that clears the first path not yet evicted_by_path.
fn brute_force(site: &[Piecewise], budget: usize) -> Option<(u64, usize)> {
    let site = distinct(site);
    let changed: Vec<&Vec<&str>> = site.iter().filter(|(_, known)| known.1).map(|(path, _)| *path).collect();
    let unchanged: Vec<(String, u64)> =
        site.iter().filter(|(_, known)| !known.1).map(|(path, known)| (path.concat(), known.0)).collect();
    fn search(
        left: &[&Vec<&str>],
        prefixes: &mut Vec<String>,
        items: usize,
        budget: usize,
        unchanged: &[(String, u64)],
    ) -> Option<(u64, usize)> {
        let Some((first, others)) = left.split_first() else {
            let evicted = |path: &String| prefixes.iter().any(|prefix| path.starts_with(prefix));
            return Some((unchanged.iter().filter(|(path, _)| evicted(path)).map(|(_, weight)| weight).sum(), items));
        };
        if items == budget {
            return None;
        }
        let (longest, exact) = trusted(first);
        let mut best = if exact { search(others, prefixes, items + 1, budget, unchanged) } else { None };
        for length in 1..=longest {
            let prefix = &first[..length];
            let evicted_by_path = |path: &Vec<&str>| path.starts_with(prefix) && length <= trusted(path).0;
            let left: Vec<&Vec<&str>> = others.iter().filter(|path| !evicted_by_path(path)).copied().collect();
            prefixes.push(prefix.concat());
            let found = search(&left, prefixes, items + 1, budget, unchanged);
            prefixes.pop();
            best = best.into_iter().chain(found).min();
        }
        best
    }
    search(&changed, &mut Vec::new(), 0, budget, &unchanged)
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
    fn no_other_items_evict_less_or_are_fewer(
        site in prop::collection::vec(piecewise(5), 1..11),
        budget in 1..6_usize,
    ) {
        let best = brute_force(&site, budget);
        let ours = with_site(&site, |paths| cover(paths, budget));
        prop_assert_eq!(Some((ours.collateral, ours.items.len())), best, "{:?}", ours);
    }

    #[test]
    fn every_changed_path_is_cleared_by_a_trusted_item(
        site in prop::collection::vec(piecewise(9), 1..80),
        budget in 1..20_usize,
    ) {
        let ours = with_site(&site, |paths| cover(paths, budget));
        prop_assert!(ours.items.len() <= budget);
        let mut evicted_by_path = vec![0; ours.items.len()];
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
                evicted_by_path[index] += usize::from(changed && clears);
                if !changed && prefix.map_or(item.text == text, |prefix| text.starts_with(prefix)) {
                    evicted[index] += weight;
                }
            }
            prop_assert!(found || !changed, "{} by {:?}", text, ours);
        }
        prop_assert_eq!(evicted_by_path, ours.items.iter().map(|item| item.covers).collect::<Vec<_>>());
        let collateral: Vec<u64> = ours.items.iter().map(|item| item.collateral).collect();
        prop_assert_eq!(&evicted, &collateral);
        prop_assert_eq!(evicted.iter().sum::<u64>(), ours.collateral);
    }

    #[test]
    fn a_wildcard_never_cuts_a_character_or_a_triplet(
        site in prop::collection::vec(piecewise(9), 1..80),
        budget in 1..20_usize,
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
            let curve = Curve::new(paths, 12);
            let mut steps = Vec::new();
            for budget in 1..=12 {
                let ours = curve.cover(budget);
                let direct = cover(paths, budget);
                let step = (ours.items.len(), ours.collateral);
                prop_assert_eq!((direct.items.len(), direct.collateral), step);
                prop_assert_eq!(curve.collateral(budget), ours.collateral);
                if step.0 > 0 && steps.last() != Some(&step) {
                    steps.push(step);
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
        prop_assert!(cover(&paths, budget).collateral <= collapsed);
    }
}

#[test]
fn nothing_changed_sends_nothing() {
    let none = Cover { items: Vec::new(), collateral: 0 };
    assert_eq!(cover(&[], 5), none);
    let curve = Curve::new(&[SitePath::unchanged("/a")], 5);
    assert_eq!((curve.cover(5), curve.steps(), curve.collateral(1)), (none, vec![], 0));
}

#[test]
fn one_changed_path_is_sent_as_it_is() {
    assert_eq!(texts(&cover(&plain(&["/a", "/a"]), 0)), ["/a"]);
    assert_eq!(texts(&cover(&plain(&["/"]), 9)), ["/"]);
}

#[test]
fn of_a_path_given_twice_the_strictest_reading_holds() {
    let limits = [Reach::WildcardOnly { limit: 4 }, Reach::Any, Reach::WildcardOnly { limit: 3 }];
    let mut site = vec![SitePath::unchanged("/abcd"), SitePath::unchanged("/x")];
    site.extend(limits.map(|reach| SitePath::changed("/abcd", reach)));
    assert_eq!(texts(&cover(&site, 9)), ["/ab*"]);
    let mut twice = plain(&["/b1", "/b2"]);
    twice.extend([1, 7, 5].map(|weight| SitePath { weight, ..SitePath::unchanged("/b3") }));
    assert_eq!((cover(&twice, 1).collateral, cover(&twice, 2).collateral), (7, 0));
}

#[test]
fn a_whole_directory_is_one_item_even_if_there_is_room_for_more() {
    let mut site = plain(&["/dir/a", "/dir/b", "/dir/c"]);
    site.push(SitePath::unchanged("/e"));
    assert_eq!(texts(&cover(&site, 9)), ["/dir/*"]);
    let item = Item { text: "/*".into(), wildcard: true, covers: 4, collateral: 1 };
    site.push(SitePath::changed("/", Reach::Any));
    assert_eq!(cover(&site, 1).items, [item]);
    assert_eq!(texts(&cover(&site, 2)), ["/", "/dir/*"]);
}

#[test]
fn the_form_of_a_directory_is_not_left_to_its_wildcard() {
    let mut site = plain(&["/dir/", "/dir/a", "/dir/b"]);
    site.push(SitePath::unchanged("/dire"));
    assert_eq!(texts(&cover(&site, 2)), ["/dir/", "/dir/*"]);
    assert_eq!(texts(&cover(&site, 1)), ["/dir*"]);
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
    let ours = cover(&site, 50);
    assert_eq!((texts(&ours), ours.collateral), (vec!["/js/vendors*", "/page*"], 1));
}

#[test]
fn paths_nested_thousands_deep_are_no_deeper_recursion() {
    let long = "/".repeat(4_000);
    let mut site: Vec<_> = (1..4_000).map(|length| SitePath::changed(&long[..length], Reach::Any)).collect();
    site.extend((1..4_000).filter(|length| length % 7 == 0).map(|length| SitePath::unchanged(&long[..length])));
    assert_eq!(texts(&cover(&site, 1)), ["/*"]);
    let wide: Vec<String> = (0..300).map(|number| format!("/{}{number}", "x".repeat(3_990))).collect();
    let site: Vec<_> = wide.iter().map(|path| SitePath::changed(path, Reach::Any)).collect();
    assert_eq!(texts(&cover(&site, 3)), [format!("/{}*", "x".repeat(3_990))]);
}
