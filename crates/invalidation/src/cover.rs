//! Chooses the invalidation items that clear every changed path of a site and evict as little else
//! as the budget allows: provably the least collateral, then the fewest items.
//!
//! **Items.** An exact path clears that path. A wildcard `p*` evicts every path that starts with
//! `p` (a plain string prefix, not a directory), but is *trusted* to clear a changed path only if
//! that is longer than `p`: whether `/dir/*` clears `/dir/` is contested. So a changed `/dir/`
//! needs an item of its own or a shorter wildcard, and an unchanged `/dir/` counts as evicted. The
//! exception is `/*`, which AWS documents as invalidating everything: it is trusted for `/` too, so
//! that a budget of one item always has an answer.
//!
//! **Why few wildcards matter.** Call the longest prefix that a wildcard for a changed path may
//! have the path's *stem*: all but its last character, or less where [`Reach::WildcardOnly`] says
//! so. `p*` clears the path if, and only if, `p` is a prefix of the stem. Take a wildcard of any
//! valid answer and lengthen it to the longest common prefix of the stems of the paths it clears:
//! it still clears them, and evicts nothing that it did not evict before. So some best answer has
//! only wildcards that are a stem or what several stems have in common, that is, nodes of the
//! longest-common-prefix tree of the stems: fewer than twice the changed paths. A limit adds no
//! others, since a path hangs on the node of its own stem however much more of it other paths
//! share; if it has no exact item, only that node's wildcard or one above is left. An item below a
//! chosen wildcard is superfluous, so the chosen subtrees are disjoint and their collateral adds
//! up.
//!
//! Prefixes end only at a *cut*: between characters, of which an encoded triplet (`%C3`) is one.
//! Whether a prefix is a cut depends on nothing after it, so common prefixes shortened to cuts form
//! a tree as well.
//!
//! **Memory.** Paths are borrowed. Beside a pointer for each there are the tables of the open nodes
//! (see `sweep.rs`) and, to read the answer back, some twenty words a changed path and four bytes
//! an entry of each merge with a choice: at most 4 × changed × budget bytes. Where nothing but a
//! wildcard is left, what is below it is forgotten.

mod sweep;

use sweep::{Choice, Share, Sweep, Table};

/// A URL path of the site, changed or not.
#[derive(Clone, Copy, Debug)]
pub struct SitePath<'a> {
    /// The path as CloudFront compares it: encoded, beginning with `/`.
    pub path: &'a str,
    /// What it costs to evict the path although it did not change: 1 to count paths.
    pub weight: u64,
    /// Which items may clear the path, if it changed.
    pub change: Option<Reach>,
}

impl<'a> SitePath<'a> {
    /// A path whose cached copy is still right, of weight 1.
    pub fn unchanged(path: &'a str) -> Self {
        SitePath { path, weight: 1, change: None }
    }

    /// A path whose cached copies must go, by the items that `reach` allows.
    pub fn changed(path: &'a str, reach: Reach) -> Self {
        SitePath { path, weight: 1, change: Some(reach) }
    }
}

/// Which items may clear a changed path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The path itself, or any wildcard with a prefix shorter than the path.
    Any,
    /// Only a wildcard, with a prefix of at most `limit` bytes: for a path with a `~`, the query
    /// strings of a path, a key that ends in `*`, a path longer than CloudFront accepts. The limit
    /// is lowered to the nearest cut that leaves the path at least one character, and is never
    /// below the `/` of `/*`.
    WildcardOnly {
        /// The longest prefix in bytes.
        limit: usize,
    },
}

impl Reach {
    /// What is left if both hold.
    pub(crate) fn and(self, other: Reach) -> Reach {
        match (self, other) {
            (Reach::Any, reach) | (reach, Reach::Any) => reach,
            (Reach::WildcardOnly { limit: left }, Reach::WildcardOnly { limit: right }) => {
                Reach::WildcardOnly { limit: left.min(right) }
            }
        }
    }

    /// The longest prefix of `path` that a wildcard for it may have.
    fn stem(self, path: &str) -> &str {
        let shorter = path.len().saturating_sub(1);
        let limit = match self {
            Reach::Any => shorter,
            Reach::WildcardOnly { limit } => limit.min(shorter),
        };
        &path[..cut(path, limit).max(usize::from(path.starts_with('/')))]
    }
}

/// The items of one invalidation, in the order of their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// What to send; empty only if nothing changed.
    pub items: Vec<Item>,
    /// The weight of all unchanged paths that the items evict.
    pub collateral: u64,
}

/// One path or wildcard of an invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As CloudFront takes it; a wildcard ends in `*`.
    pub text: String,
    /// Whether this is a wildcard.
    pub wildcard: bool,
    /// How many changed paths it clears.
    pub covers: usize,
    /// The weight of the unchanged paths that it evicts.
    pub collateral: u64,
}

impl Item {
    /// Whether the item, a path or a wildcard, is sure to clear `path` if that changed, or evicts it
    /// if not.
    pub(super) fn evicts(&self, path: &SitePath<'_>) -> bool {
        let prefix = self.text.strip_suffix('*').filter(|_| self.wildcard);
        match (prefix, path.change) {
            (Some(prefix), None) => path.path.starts_with(prefix),
            (Some(prefix), Some(reach)) => reach.stem(path.path).starts_with(prefix),
            (None, change) => self.text == path.path && matches!(change, None | Some(Reach::Any)),
        }
    }
}

/// The best cover of `universe`'s changed paths with at most `budget` items; see [`Curve`].
pub fn cover(universe: &[SitePath<'_>], budget: usize) -> Cover {
    Curve::new(universe, budget).cover(budget)
}

/// The best covers for every budget up to a largest one.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    choices: Vec<Choice<'a>>,
    splits: Vec<u32>,
    root: Option<Table>,
}

impl<'a> Curve<'a> {
    /// Computes the covers of `universe` for all budgets from 1 to `largest` (0 is read as 1:
    /// something must be sent).
    ///
    /// The paths may come in any order, and faster in theirs. Of a path given more than once the
    /// strictest reading holds: changed if it is anywhere, by the items that every [`Reach`]
    /// allows, else the greatest weight.
    pub fn new(universe: &[SitePath<'a>], largest: usize) -> Self {
        let changed = universe.iter().filter(|one| one.change.is_some()).count();
        let mut sorted: Vec<&SitePath<'a>> = universe.iter().collect();
        sorted.sort_unstable_by(|left, right| left.path.cmp(right.path));
        // More items than changed paths are never of use.
        let mut sweep = Sweep::new(largest.min(changed).max(1));
        let mut previous = "";
        for same in sorted.chunk_by(|left, right| left.path == right.path) {
            let path = same[0].path;
            sweep.leave_for(cut(path, common_bytes(previous, path)));
            match same.iter().filter_map(|one| one.change).reduce(Reach::and) {
                Some(reach) => sweep.add_changed(path, reach),
                None => {
                    let weight = same.iter().map(|one| one.weight).max();
                    sweep.add_unchanged(path, weight.unwrap_or(0));
                }
            }
            previous = path;
        }
        let (choices, splits, root) = sweep.finish();
        Curve { choices, splits, root }
    }

    /// The least collateral for `budget` items; budgets beyond the largest count as the largest.
    pub fn collateral(&self, budget: usize) -> u64 {
        self.root.as_ref().map_or(0, |root| root.costs[self.items_for(budget, root) - 1])
    }

    /// The budgets at which one item more begins to pay, each with its collateral: the first is one
    /// item, and collateral falls from each to the next. Empty if nothing changed.
    pub fn steps(&self) -> Vec<(usize, u64)> {
        let costs = self.root.as_ref().map_or(&[][..], |root| &root.costs);
        let pays = |&(index, cost): &(usize, u64)| index == 0 || cost < costs[index - 1];
        costs.iter().copied().enumerate().filter(pays).map(|(index, cost)| (index + 1, cost)).collect()
    }

    /// The best cover with at most `budget` items; budgets beyond the largest count as the largest.
    pub fn cover(&self, budget: usize) -> Cover {
        let Some(root) = &self.root else {
            return Cover { items: Vec::new(), collateral: 0 };
        };
        let mut items = Vec::new();
        // The number of items at the root is the least for its collateral, and hence so is each
        // part's share.
        let mut pending = vec![(root.choice, self.items_for(budget, root))];
        while let Some((choice, count)) = pending.pop() {
            match self.choices[choice] {
                Choice::Exact(path) => {
                    items.push(Item { text: path.to_owned(), wildcard: false, covers: 1, collateral: 0 });
                }
                Choice::Wildcard { otherwise: Some((from, parts)), .. } if count >= from => {
                    pending.push((parts, count))
                }
                Choice::Wildcard { prefix, covers, collateral, .. } => {
                    items.push(Item { text: format!("{prefix}*"), wildcard: true, covers, collateral });
                }
                Choice::Both { left, right, least, share } => {
                    let spare = count - least.0 - least.1;
                    let for_left = match share {
                        Share::Left => spare,
                        Share::Right => 0,
                        Share::Split(start) => self.splits[start + spare] as usize,
                    };
                    pending.push((left, least.0 + for_left));
                    pending.push((right, least.1 + spare - for_left));
                }
            }
        }
        items.sort_unstable_by(|left, right| left.text.cmp(&right.text));
        Cover { items, collateral: self.collateral(budget) }
    }

    /// The fewest items that evict no more than `budget` items must.
    fn items_for(&self, budget: usize, root: &Table) -> usize {
        let collateral = root.costs[budget.clamp(1, root.costs.len()) - 1];
        root.costs.partition_point(|&cost| cost > collateral) + 1
    }
}

/// How many bytes two paths share from their beginning.
pub(super) fn common_bytes(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}

/// The longest cut of `path` up to `limit` bytes: not inside a character, nor after a `%` and at
/// most one hexadecimal digit. (A `%` that begins no triplet does not occur in an encoded path; at
/// worst a cut is missed.)
fn cut(path: &str, limit: usize) -> usize {
    let bytes = path.as_bytes();
    let inside = |at: usize| {
        !path.is_char_boundary(at)
            || bytes[at - 1] == b'%'
            || (at > 1 && bytes[at - 2] == b'%' && bytes[at - 1].is_ascii_hexdigit())
    };
    (1..=limit.min(path.len())).rev().find(|&at| !inside(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
