//! The tree-knapsack behind the cover, in one pass over the sorted paths.
//!
//! For a node `v` of the tree, `f(v, j)` is the least collateral that clears the changed paths at
//! and below `v` with at most `j` items: either `v`'s wildcard, at the weight of the unchanged
//! paths with its prefix, or the best split of `j` among `v`'s parts. The pass keeps the nodes that
//! the current path is in on a stack (nothing recurses; paths may nest thousands deep) and closes
//! each when the paths leave it; an unchanged path only adds its weight. The table of `n` changed
//! paths has at most `min(n, budget)` entries, which bounds all merges together by O(changed ×
//! budget).

use crate::cover::Reach;

/// The least collateral of a part of the site by number of items.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The fewest items that clear the part's changed paths.
    pub(super) least: usize,
    /// For `least` items, for one more, and so on; never rises.
    pub(super) costs: Vec<u64>,
    /// How to clear the part, in `choices`.
    pub(super) choice: usize,
}

/// How a part of the site is evicted_by_path, by number of items.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice<'a> {
    /// By the path itself.
    Exact(&'a str),
    /// By one wildcard; or, from so many items on, by another choice.
    Wildcard { prefix: &'a str, covers: usize, collateral: u64, otherwise: Option<(usize, usize)> },
    /// Both parts by items of their own: each at least its `least`, and what is left by `share`.
    Both { left: usize, right: usize, least: (usize, usize), share: Share },
}

/// Who gets the items that two parts do not need.
#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    Left,
    Right,
    /// The left part as many as `splits` says from here on, by the number there are.
    Split(usize),
}

/// A node of the tree whose prefix the paths have not left yet.
struct Open<'a> {
    prefix: &'a str,
    /// Of the unchanged paths seen with this prefix, less those in open nodes further up the stack.
    weight: u64,
    /// The number of changed paths, likewise.
    covers: usize,
    /// The changed paths so far, each part with items of its own; `None` before the first.
    parts: Option<Table>,
    /// Whether only a wildcard is left: some path needs it, or there are more parts than items.
    whole: bool,
    /// Lengths of `choices` and `splits` from which on all they hold is about this prefix.
    mark: (usize, usize),
}

impl<'a> Open<'a> {
    fn new(prefix: &'a str, mark: (usize, usize)) -> Self {
        Open { prefix, weight: 0, covers: 0, parts: None, whole: false, mark }
    }
}

/// The pass over the sorted paths: for each, [`Sweep::leave_for`] and then one of the `add`s.
pub(super) struct Sweep<'a> {
    budget: usize,
    /// The open nodes; each prefix is a proper prefix of the next, and all of them of the current
    /// path.
    open: Vec<Open<'a>>,
    choices: Vec<Choice<'a>>,
    splits: Vec<u32>,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(budget: usize) -> Self {
        Sweep { budget, open: Vec::new(), choices: Vec::new(), splits: Vec::new() }
    }

    pub(super) fn add_unchanged(&mut self, path: &'a str, weight: u64) {
        let node = self.node(path);
        node.weight = node.weight.saturating_add(weight);
    }

    pub(super) fn add_changed(&mut self, path: &'a str, reach: Reach) {
        let node = self.node(reach.stem(path));
        node.covers += 1;
        if reach == Reach::Any {
            // The stem is all but the last character, no shorter than what the path shares with the
            // one before it: the node is the top of the stack.
            let exact = Table { least: 1, costs: vec![0], choice: self.choices.len() };
            self.choices.push(Choice::Exact(path));
            self.absorb(exact);
        } else {
            node.whole = true;
        }
    }

    /// The open node of `prefix`, which must be a prefix of the current path.
    fn node(&mut self, prefix: &'a str) -> &mut Open<'a> {
        let below = self.open.iter().rposition(|open| open.prefix.len() <= prefix.len());
        let index = match below {
            Some(index) if self.open[index].prefix.len() == prefix.len() => index,
            below => {
                // A stem much shorter than its path comes in between open nodes. The ones it goes
                // under keep what they have: what is in a node further down has left the current
                // path's prefix right after its own.
                let index = below.map_or(0, |index| index + 1);
                let mark = (self.choices.len(), self.splits.len());
                self.open.insert(index, Open::new(prefix, mark));
                index
            }
        };
        &mut self.open[index]
    }

    /// Leaves the last path for one that shares `length` bytes with it, a cut: closes the nodes
    /// with longer prefixes.
    pub(super) fn leave_for(&mut self, length: usize) {
        while let Some(node) = self.open.pop_if(|open| open.prefix.len() > length) {
            if self.open.last().is_none_or(|parent| parent.prefix.len() < length) {
                let prefix = &node.prefix[..length];
                self.open.push(Open::new(prefix, node.mark));
            }
            let (weight, covers) = (node.weight, node.covers);
            let part = self.close(node);
            if let Some(parent) = self.open.last_mut() {
                parent.weight = parent.weight.saturating_add(weight);
                parent.covers += covers;
            }
            if let Some(part) = part {
                self.absorb(part);
            }
        }
    }

    /// The table of a node of which no more paths come; `None` if nothing below it changed.
    fn close(&mut self, node: Open<'a>) -> Option<Table> {
        let Open { prefix, weight: collateral, covers, .. } = node;
        let mut costs = vec![collateral];
        let mut otherwise = None;
        match node.parts.filter(|_| !node.whole) {
            None if !node.whole => return None,
            // A single part has a prefix that is no shorter, and so no worse, for its own wildcard.
            Some(part) if part.least == 1 => return Some(part),
            Some(parts) => {
                let worse = parts.costs.partition_point(|&cost| cost >= collateral);
                if worse < parts.costs.len() {
                    otherwise = Some((parts.least + worse, parts.choice));
                    costs.resize(parts.least + worse - 1, collateral);
                    costs.extend_from_slice(&parts.costs[worse..]);
                }
            }
            None => {}
        }
        if otherwise.is_none() {
            self.choices.truncate(node.mark.0);
            self.splits.truncate(node.mark.1);
        }
        self.choices.push(Choice::Wildcard { prefix, covers, collateral, otherwise });
        Some(Table { least: 1, costs, choice: self.choices.len() - 1 })
    }

    /// Adds a part to the top of the stack.
    fn absorb(&mut self, part: Table) {
        let Some(node) = self.open.last_mut() else {
            return;
        };
        if node.whole {
            return;
        }
        let merged = match node.parts.take() {
            None => Some(part),
            Some(before) => self.both(before, part),
        };
        if let Some(node) = self.open.last_mut() {
            node.whole = merged.is_none();
            node.parts = merged;
        }
    }

    /// The best split of every number of items between two parts; `None` if they need more than the
    /// budget.
    fn both(&mut self, left: Table, right: Table) -> Option<Table> {
        let least = left.least + right.least;
        let spare = (left.costs.len() + right.costs.len() - 2).min(self.budget.checked_sub(least)?);
        let mut costs = Vec::with_capacity(spare + 1);
        let share = if right.costs.len() == 1 {
            costs.extend(left.costs[..=spare].iter().map(|cost| cost.saturating_add(right.costs[0])));
            Share::Left
        } else if left.costs.len() == 1 {
            costs.extend(right.costs[..=spare].iter().map(|cost| cost.saturating_add(left.costs[0])));
            Share::Right
        } else {
            let start = self.splits.len();
            for extra in 0..=spare {
                let fewest = (extra + 1).saturating_sub(right.costs.len());
                let most = extra.min(left.costs.len() - 1);
                let split = |for_left: usize| left.costs[for_left].saturating_add(right.costs[extra - for_left]);
                let best = (fewest..=most).min_by_key(|&for_left| split(for_left))?;
                costs.push(split(best));
                self.splits.push(best as u32);
            }
            Share::Split(start)
        };
        // Items that buy nothing are not worth an entry.
        let last = costs[spare];
        costs.truncate(costs.partition_point(|&cost| cost > last) + 1);
        self.choices.push(Choice::Both {
            left: left.choice,
            right: right.choice,
            least: (left.least, right.least),
            share,
        });
        Some(Table { least, costs, choice: self.choices.len() - 1 })
    }

    /// Closes what is open: the choices, their splits, and the table of the whole site if anything
    /// changed.
    pub(super) fn finish(mut self) -> (Vec<Choice<'a>>, Vec<u32>, Option<Table>) {
        self.leave_for(0);
        let root = self.open.pop().and_then(|root| self.close(root));
        (self.choices, self.splits, root)
    }
}
