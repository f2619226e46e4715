//! Chooses items among cache tags, wildcards and paths: the tags, and the path cover of what they leave. The result
//! is never worse than the path cover alone.
//!
//! Choosing tags is red-blue set cover, which is hard even to approximate (Chlamtáč, Makarychev and Vakilian, arXiv
//! 2302.00213). But once the tags are chosen, the best paths for the rest are known ([`cover::Curve`]), so only
//! sets of tags need to be searched. The search begins with the greedy set, by (changed paths newly covered) / (1 +
//! unchanged paths newly evicted), once freely and once with each tag as the first, and then adds, drops and
//! exchanges tags as long as that improves the result. If there are few tags, all their sets are tried, and the
//! answer is optimal. On the 145 deploys of a published site, the items and collateral for 8, 15 and 50 items
//! summed up to the optimum that an integer program found.
//!
//! **What keeps it small.** A tag that alone evicts more than the path cover does is excluded, and so is one that
//! covers a single path which has an exact item. Of tags that cover and evict the same, one is kept, and none is
//! kept that covers no more than another and evicts no less. Unchanged paths that no wildcard and no tag can tell
//! apart become one path with their total weight. The work is bounded by the number of paths examined, never by
//! time, so that the same deploy gives the same items.

use crate::cover::{self, Budget, Cover, Item, Reach, SitePath, common_bytes};
use crate::tags::{Family, Tag};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// A URL path of the site with the tags of its cached copies.
#[derive(Clone, Copy, Debug)]
pub struct TaggedPath<'a> {
    /// The path, changed or not, regardless of its tags.
    pub path: SitePath<'a>,
    /// For a changed path: the tags that every cached copy is sure to carry; none if that is not known, or if an
    /// error may be cached, as for a created key. For an unchanged path: the tags that a cached copy may carry.
    pub tags: &'a [Tag],
}

/// Maximum number of candidate tags; a set of them is one word.
pub const MAX_CANDIDATES: usize = 128;
/// Number of paths that the search may examine in all: the reduced site once for each set tried.
const WORK: usize = 3_000_000;
/// Number of steps of the path cover that count as examining one path.
const STEPS_A_PATH: u64 = 32;
/// Number of steps of the path cover for one set after which its tables are thinned.
const SET_WORK: u64 = 20_000_000;

/// Number of candidates up to which all sets are tried.
const FEW: u32 = 10;

/// A set of candidates by index.
pub type Set = u128;

/// Items that clear the changed paths of `url_set` within the budget, never worse than those of the path cover with
/// the same budget: by collateral, then by cost of the items, by wildcards, and by items. Tags are items that begin
/// with `#`.
///
/// The paths may come in any order. If a path occurs more than once, the strictest reading applies: changed if it
/// changed anywhere, and then cleared only by the tags that all its occurrences have.
pub fn cover(url_set: &[TaggedPath<'_>], budget: Budget) -> Cover {
    let site = merge(url_set);
    let plain: Vec<SitePath<'_>> = site.iter().map(|merged| merged.path).collect();
    let paths_alone = cover::cover(&plain, budget);
    let worst = Value::new(0, 0, &paths_alone, budget);
    let problem = Problem::new(&site, candidates(&site, worst), budget);
    let chosen = problem.search(worst);
    let tags: Vec<Tag> = members(chosen).map(|index| problem.candidates[index]).collect();
    if tags.is_empty() {
        return paths_alone;
    }
    let paths = problem.paths_for(&problem.rest(chosen), tags.len(), u64::MAX).map(|(paths, _)| paths);
    let cover = describe(&site, &tags, &paths.unwrap_or(Cover { items: Vec::new(), collateral: 0 }));
    let value = Value::new(0, 0, &cover, budget);
    // If wildcards are priced, another pass need not find the same.
    if value < worst { cover } else { paths_alone }
}

/// A path of the site, without duplicates.
struct Merged<'a> {
    path: SitePath<'a>,
    tags: Cow<'a, [Tag]>,
}

/// The paths, sorted and without duplicates.
fn merge<'a>(url_set: &[TaggedPath<'a>]) -> Vec<Merged<'a>> {
    let mut sorted: Vec<&TaggedPath<'a>> = url_set.iter().collect();
    sorted.sort_by(|left, right| left.path.path.cmp(right.path.path));
    let merge_same = |same: &[&TaggedPath<'a>]| {
        let first = same[0];
        let mut merged = Merged { path: first.path, tags: Cow::Borrowed(first.tags) };
        if same.len() > 1 {
            let changes = same.iter().filter_map(|one| one.path.change);
            merged.path.change = changes.reduce(Reach::and);
            merged.path.weight = same.iter().map(|one| one.path.weight).max().unwrap_or(0);
            let tags = merged.tags.to_mut();
            if merged.path.change.is_some() {
                tags.retain(|tag| same.iter().all(|one| one.tags.contains(tag)));
            } else {
                tags.extend(same[1..].iter().flat_map(|one| one.tags));
                tags.sort_unstable();
                tags.dedup();
            }
        }
        merged
    };
    sorted.chunk_by(|left, right| left.path.path == right.path.path).map(merge_same).collect()
}

/// The quality of a choice: lower is better, collateral first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Value {
    collateral: u64,
    /// Number of items that cost.
    paid: usize,
    /// CloudFront accepts fewer of these at a time than tags and paths
    /// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>).
    wildcards: usize,
    items: usize,
}

impl Value {
    fn new(evicted_by_tags: u64, tags: usize, paths: &Cover, budget: Budget) -> Value {
        let items = tags + paths.items.len();
        Value {
            collateral: evicted_by_tags.saturating_add(paths.collateral),
            paid: budget.paid(items),
            wildcards: paths.items.iter().filter(|item| item.wildcard).count(),
            items,
        }
    }
}

/// The effect of a tag before anything else is chosen.
#[derive(Clone, Copy, Default)]
struct Effect {
    covers: u32,
    /// Whether it covers a path that has no exact item.
    beyond_paths: bool,
    collateral: u64,
    /// Tags with the same paths have the same sum of path hashes.
    signature: u64,
}

impl Effect {
    /// Compares covered paths per (evicted paths + one), without division.
    fn compare_ratio(&self, other: &Effect) -> Ordering {
        let scale = |one: &Effect, other: &Effect| u128::from(one.covers) * (1 + u128::from(other.collateral));
        scale(self, other).cmp(&scale(other, self))
    }
}

/// The effect of each tag of the changed paths, counted path by path, so that the site need not be in memory.
#[derive(Default)]
pub struct Effects {
    effects: HashMap<Tag, Effect>,
    hash: BuildHasherDefault<DefaultHasher>,
    paths: usize,
}

impl Effects {
    /// Counts a changed path that each of `tags` clears. All changed paths come first.
    pub fn add_changed(&mut self, tags: &[Tag], reach: Reach) {
        let hash = self.next();
        for tag in tags {
            let effect = self.effects.entry(*tag).or_default();
            effect.covers += 1;
            effect.beyond_paths |= reach != Reach::Any;
            effect.signature = effect.signature.wrapping_add(hash);
        }
    }

    /// Keeps only the tags that do more than a path does; returns whether there are any.
    pub fn settle(&mut self) -> bool {
        self.effects.retain(|_, effect| effect.covers > 1 || effect.beyond_paths);
        !self.effects.is_empty()
    }

    /// Counts an unchanged path that each of `tags` evicts.
    pub fn add_unchanged(&mut self, tags: &[Tag], weight: u64) {
        let hash = self.next();
        for tag in tags {
            if let Some(effect) = self.effects.get_mut(tag) {
                effect.collateral = effect.collateral.saturating_add(weight);
                effect.signature = effect.signature.wrapping_add(hash);
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.paths += 1;
        self.hash.hash_one(self.paths)
    }

    /// The tags that evict at most `most`, one of those with the same effect, the most promising first.
    pub fn select(self, most: u64) -> Vec<Tag> {
        // A tag that evicts as much as all paths do may still save items.
        let mut promising: Vec<(Tag, Effect)> =
            self.effects.into_iter().filter(|(_, effect)| effect.collateral <= most).collect();
        // Of tags with the same effect, an object's own tag is the best: it reaches nothing unknown.
        promising.sort_unstable_by_key(|(tag, effect)| (effect.signature, !tag.is(Family::Key), *tag));
        promising.dedup_by_key(|(_, effect)| effect.signature);
        promising.sort_unstable_by(|(left_tag, left), (right_tag, right)| {
            right.compare_ratio(left).then(left_tag.cmp(right_tag))
        });
        promising.truncate(MAX_CANDIDATES);
        promising.into_iter().map(|(tag, _)| tag).collect()
    }
}

/// The tags that may be part of an answer better than `worst`, the most promising first.
fn candidates(site: &[Merged<'_>], worst: Value) -> Vec<Tag> {
    let mut effects = Effects::default();
    for merged in site {
        if let Some(reach) = merged.path.change {
            effects.add_changed(&merged.tags, reach);
        }
    }
    effects.settle();
    for merged in site.iter().filter(|merged| merged.path.change.is_none()) {
        effects.add_unchanged(&merged.tags, merged.path.weight);
    }
    effects.select(worst.collateral)
}

/// The site as the search sees it.
struct Problem<'a> {
    budget: Budget,
    candidates: Vec<Tag>,
    /// Unchanged ones represent all paths that nothing can tell apart.
    paths: Vec<(SitePath<'a>, Set)>,
    /// The candidates worth trying.
    worthwhile: Set,
}

impl<'a> Problem<'a> {
    fn new(site: &[Merged<'a>], mut candidates: Vec<Tag>, budget: Budget) -> Self {
        candidates.truncate(MAX_CANDIDATES);
        let index: HashMap<Tag, usize> = candidates.iter().enumerate().map(|(index, tag)| (*tag, index)).collect();
        let set = |merged: &Merged<'_>| {
            let indices = merged.tags.iter().filter_map(|tag| index.get(tag));
            indices.fold(0, |set: Set, index| set | 1 << index)
        };
        let mut paths: Vec<(SitePath<'a>, Set)> = Vec::new();
        let mut before = "";
        for gap in site.split_inclusive(|merged| merged.path.change.is_some()) {
            let after = gap.last().filter(|last| last.path.change.is_some());
            let next = after.map_or("", |after| after.path.path);
            // A wildcard that has a changed path and one of the gap also has the adjacent changed path, so only
            // what a path shares with both neighbors matters.
            let mut alike: HashMap<(bool, usize, Set), usize> = HashMap::new();
            for merged in gap.iter().filter(|merged| merged.path.change.is_none()) {
                let (left, right) = (common_bytes(before, merged.path.path), common_bytes(merged.path.path, next));
                let set = set(merged);
                let known = *alike.entry((left < right, left.max(right), set)).or_insert(paths.len());
                match paths.get_mut(known) {
                    Some((path, _)) => path.weight = path.weight.saturating_add(merged.path.weight),
                    None => paths.push((merged.path, set)),
                }
            }
            if let Some(after) = after {
                paths.push((after.path, set(after)));
                before = next;
            }
        }
        let worthwhile = worthwhile(&paths, candidates.len());
        Problem { budget, candidates, paths, worthwhile }
    }

    /// The best set of tags found; empty if none is better than `worst`.
    fn search(&self, worst: Value) -> Set {
        let mut search = Search { problem: self, work: WORK, chosen: 0, value: worst };
        if self.worthwhile.count_ones() <= FEW && (self.paths.len() + 1) << FEW <= WORK {
            let mut set = self.worthwhile;
            while set != 0 {
                search.accept_if_better(set);
                set = (set - 1) & self.worthwhile;
            }
            return search.chosen;
        }
        let mut best = (worst, 0);
        // Greedy without a given first choice, and with each of the candidates as the first.
        for first in std::iter::once(0).chain(members(self.worthwhile).map(|index| 1 << index)) {
            (search.chosen, search.value) = (0, worst);
            let mut greedy = first;
            search.accept_if_better(greedy);
            while let Some(next) = search.greedy_choice(greedy) {
                greedy |= next;
                search.accept_if_better(greedy);
            }
            while search.step() {}
            best = best.min((search.value, search.chosen));
        }
        best.1
    }

    /// The paths that remain if the tags of `chosen` are sent.
    fn rest(&self, chosen: Set) -> Vec<SitePath<'a>> {
        self.paths.iter().filter(|(_, set)| set & chosen == 0).map(|(path, _)| *path).collect()
    }

    /// The best paths in addition to `tags` tags, and the work done; `None` if the required ones do not fit.
    fn paths_for(&self, rest: &[SitePath<'a>], tags: usize, work: u64) -> Option<(Cover, u64)> {
        if rest.iter().all(|path| path.change.is_none()) {
            return Some((Cover { items: Vec::new(), collateral: 0 }, 0));
        }
        self.budget.less(tags).map(|left| cover::cover_within(rest, left, work))
    }

    /// The value of `chosen` with the best paths for the rest, and the work done; `None` if it is not better than
    /// `limit`, or not within the budget.
    fn value(&self, chosen: Set, limit: Value) -> (Option<Value>, u64) {
        let tags = chosen.count_ones() as usize;
        let evicted = self.paths.iter().filter(|(path, set)| path.change.is_none() && set & chosen != 0);
        let by_tags = evicted.fold(0_u64, |sum, (path, _)| sum.saturating_add(path.weight));
        let at_least = Value { collateral: by_tags, paid: self.budget.paid(tags), wildcards: 0, items: tags };
        if tags > self.budget.items.max(1) || at_least >= limit {
            return (None, 0);
        }
        match self.paths_for(&self.rest(chosen), tags, SET_WORK) {
            Some((paths, work)) => {
                let value = Value::new(by_tags, tags, &paths, self.budget);
                ((value < limit).then_some(value), work)
            }
            None => (None, 0),
        }
    }
}

/// A walk from one set to a better one.
struct Search<'p, 'a> {
    problem: &'p Problem<'a>,
    work: usize,
    chosen: Set,
    value: Value,
}

impl Search<'_, '_> {
    /// Whether there is work left to examine all paths once more.
    fn has_work(&mut self) -> bool {
        let left = self.work.checked_sub(self.problem.paths.len() + 1);
        self.work = left.unwrap_or(0);
        left.is_some()
    }

    fn accept_if_better(&mut self, set: Set) -> bool {
        if !self.has_work() {
            return false;
        }
        let (better, work) = self.problem.value(set, self.value);
        self.work = self.work.saturating_sub((work / STEPS_A_PATH) as usize);
        if let Some(value) = better {
            (self.chosen, self.value) = (set, value);
        }
        better.is_some()
    }

    /// The candidate that covers most in relation to what it evicts in addition to `chosen`; `None` if none is left
    /// that does more than a path can, or there is no room.
    fn greedy_choice(&mut self, chosen: Set) -> Option<Set> {
        let problem = self.problem;
        if chosen.count_ones() as usize >= problem.budget.items || !self.has_work() {
            return None;
        }
        let mut gains = vec![Effect::default(); problem.candidates.len()];
        for (path, set) in problem.paths.iter().filter(|(_, set)| set & chosen == 0) {
            for index in members(*set) {
                match path.change {
                    Some(reach) => {
                        gains[index].covers += 1;
                        gains[index].beyond_paths |= reach != Reach::Any;
                    }
                    None => gains[index].collateral = gains[index].collateral.saturating_add(path.weight),
                }
            }
        }
        let useful = |index: &usize| gains[*index].covers > 1 || gains[*index].beyond_paths;
        let best = members(problem.worthwhile & !chosen)
            .filter(useful)
            .reduce(|best, index| if gains[index].compare_ratio(&gains[best]).is_gt() { index } else { best });
        best.map(|index| 1 << index)
    }

    /// Takes the first better set with one tag less, one more, or one exchanged.
    fn step(&mut self) -> bool {
        let chosen = self.chosen;
        let others = self.problem.worthwhile & !chosen;
        members(chosen).any(|index| self.accept_if_better(chosen & !(1 << index)))
            || members(others).any(|index| self.accept_if_better(chosen | 1 << index))
            || members(others).any(|new| {
                let with = chosen | 1 << new;
                members(chosen).any(|old| self.accept_if_better(with & !(1 << old)))
            })
    }
}

/// The candidates without one that is at least as good: that covers all that they cover and evicts no more. (Of two
/// with the same effect, the signatures have kept one.)
fn worthwhile(paths: &[(SitePath<'_>, Set)], candidates: usize) -> Set {
    // For each candidate: those that cover everything that it covers, and those that evict everything that it
    // evicts.
    let mut cover_as_much = vec![Set::MAX; candidates];
    let mut evict_as_much = vec![Set::MAX; candidates];
    for (path, set) in paths {
        let limits = if path.change.is_some() { &mut cover_as_much } else { &mut evict_as_much };
        for index in members(*set) {
            limits[index] &= set;
        }
    }
    let all = (0..candidates).fold(0, |all: Set, index| all | 1 << index);
    let mut worthwhile = all;
    for (index, covering) in cover_as_much.into_iter().enumerate() {
        let better =
            members(covering & worthwhile & !(1 << index)).any(|other| evict_as_much[other] & (1 << index) != 0);
        if better {
            worthwhile &= !(1 << index);
        }
    }
    worthwhile
}

/// The indices in a set, in ascending order.
pub fn members(mut set: Set) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(lowest)
    })
}

/// The chosen items, each with its effect on the whole site.
fn describe(site: &[Merged<'_>], tags: &[Tag], paths: &Cover) -> Cover {
    let tag_item = |tag: &Tag| Item { text: tag.item(), wildcard: false, covers: 0, collateral: 0 };
    let path_item = |item: &Item| Item { covers: 0, collateral: 0, ..item.clone() };
    let mut cover =
        Cover { items: tags.iter().map(tag_item).chain(paths.items.iter().map(path_item)).collect(), collateral: 0 };
    for merged in site {
        let path = merged.path;
        let mut evicted = false;
        for (index, item) in cover.items.iter_mut().enumerate() {
            let takes = match tags.get(index) {
                Some(tag) => merged.tags.contains(tag),
                None => item.evicts(&path),
            };
            evicted |= takes;
            match path.change {
                None if takes => item.collateral = item.collateral.saturating_add(path.weight),
                Some(_) if takes => item.covers += 1,
                _ => {}
            }
        }
        if evicted && path.change.is_none() {
            cover.collateral = cover.collateral.saturating_add(path.weight);
        }
    }
    cover.items.sort_unstable_by(|left, right| left.text.cmp(&right.text));
    cover
}

#[cfg(test)]
mod tests;
