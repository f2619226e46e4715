//! The tree-knapsack behind the cover, in one pass over the sorted paths.
//!
//! For a node `v` of the tree, `f(v, j, w)` is the least collateral that clears the changed paths at and below `v`
//! with at most `j` items, at most `w` of them wildcards: either `v`'s wildcard, at the weight of the unchanged
//! paths with its prefix, or the best split of both numbers among `v`'s parts. The pass keeps the nodes that
//! contain the current path on a stack (there is no recursion; paths may nest thousands deep) and closes each when
//! the paths leave it; an unchanged path only adds its weight. A table keeps only entries that no other matches or
//! beats in items, wildcards and collateral together.

use super::Reach;
use super::table::{Bounds, Entry, Plan, Scratch, Table};

/// Number of pairs of entries to combine before tables are thinned.
pub(super) const WORK: u64 = 600_000_000;
/// Number of pairs of plans beyond those in use before unused ones are dropped.
const MOST_UNUSED: usize = 1 << 20;

/// What a pass counts, and up to which limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) bounds: Bounds,
    /// If wildcards are not counted (no rows): the price of a wildcard and of an evicted path. Otherwise 0 and 1.
    pub(super) price: u64,
    pub(super) scale: u64,
    /// Number of pairs of entries to combine before tables are thinned.
    pub(super) work: u64,
}

/// A wildcard at a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wildcard<'a> {
    pub(super) prefix: &'a str,
    pub(super) covers: usize,
    pub(super) collateral: u64,
}

/// The ways to clear a whole site.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome<'a> {
    /// Empty only if nothing changed.
    pub(super) table: Table,
    wildcards: Vec<Wildcard<'a>>,
    pairs: Vec<(Plan, Plan)>,
    /// Whether entries above the hull are missing.
    pub(super) is_thin: bool,
    /// Number of pairs of entries combined.
    pub(super) work: u64,
    /// Whether more pairs than allowed were needed; then the table is not correct.
    pub(super) is_over: bool,
}

impl<'a> Outcome<'a> {
    /// The wildcards of a plan.
    pub(super) fn wildcards(&self, plan: Plan) -> Vec<Wildcard<'a>> {
        let mut found = Vec::new();
        let mut pending = vec![plan];
        while let Some(plan) = pending.pop() {
            match plan {
                Plan::Exact => {}
                Plan::Wildcard(number) => found.push(self.wildcards[number as usize]),
                Plan::Both(number) => pending.extend(<[Plan; 2]>::from(self.pairs[number as usize])),
            }
        }
        found
    }
}

/// A node of the tree whose prefix the paths have not left yet.
struct Open<'a> {
    prefix: &'a str,
    /// Weight of the unchanged paths seen with this prefix, without those in open nodes further up the stack.
    weight: u64,
    /// The number of changed paths, likewise.
    covers: usize,
    /// The changed paths so far, each part with its own items; `None` before the first.
    parts: Option<Table>,
    /// Whether only a wildcard remains: some path needs it, or there are more parts than items.
    whole: bool,
}

impl<'a> Open<'a> {
    fn new(prefix: &'a str) -> Self {
        Open { prefix, weight: 0, covers: 0, parts: None, whole: false }
    }
}

/// The pass over the sorted paths: for each, [`Sweep::leave_for`] and then one of the `add`s.
pub(super) struct Sweep<'a> {
    rules: Rules,
    /// The open nodes; each prefix is a proper prefix of the next, and all are prefixes of the current path.
    open: Vec<Open<'a>>,
    wildcards: Vec<Wildcard<'a>>,
    pairs: Vec<(Plan, Plan)>,
    /// Number of pairs in use at the last check.
    used: usize,
    scratch: Scratch,
    work: u64,
    /// Maximum work, and whether more was needed.
    most: u64,
    is_over: bool,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(rules: Rules, most: u64) -> Self {
        Sweep {
            rules,
            open: Vec::new(),
            wildcards: Vec::new(),
            pairs: Vec::new(),
            used: 0,
            scratch: Scratch::default(),
            work: 0,
            most,
            is_over: false,
        }
    }

    /// Whether the pass has exceeded its work, so that continuing is pointless.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn add_unchanged(&mut self, path: &'a str, weight: u64) {
        let node = self.node(path);
        node.weight = node.weight.saturating_add(weight);
    }

    pub(super) fn add_changed(&mut self, path: &'a str, reach: Reach) {
        let node = self.node(reach.stem(path));
        node.covers += 1;
        if reach == Reach::Any {
            // The stem is all but the last character, no shorter than the common part with the preceding path: the
            // node is the top of the stack.
            self.absorb(vec![Entry { row: 0, items: 1, cost: 0, plan: Plan::Exact }]);
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
                // A stem much shorter than its path is inserted between open nodes. The nodes below it keep what
                // they have: everything in them leaves the current path's prefix right after their own.
                let index = below.map_or(0, |index| index + 1);
                self.open.insert(index, Open::new(prefix));
                index
            }
        };
        &mut self.open[index]
    }

    /// Leaves the last path for one that shares `length` bytes with it, a cut: closes the nodes with longer
    /// prefixes.
    pub(super) fn leave_for(&mut self, length: usize) {
        while let Some(node) = self.open.pop_if(|open| open.prefix.len() > length) {
            if self.open.last().is_none_or(|parent| parent.prefix.len() < length) {
                self.open.push(Open::new(&node.prefix[..length]));
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

    /// The table of a node that gets no more paths; `None` if nothing below it changed.
    fn close(&mut self, node: Open<'a>) -> Option<Table> {
        let Open { prefix, weight: collateral, covers, .. } = node;
        let mut table = node.parts.filter(|_| !node.whole).unwrap_or_default();
        if table.is_empty() && !node.whole {
            return None;
        }
        let Rules { bounds, price, scale, .. } = self.rules;
        let row = u32::from(bounds.rows > 0);
        let cost = collateral.saturating_mul(scale).saturating_add(price).min(u64::MAX - 1);
        // Not if an item or a wildcard does as well, as one does below the only part.
        if !table.iter().take_while(|entry| entry.row <= row).any(|entry| entry.items == 1 && entry.cost <= cost) {
            let plan = Plan::Wildcard(self.wildcards.len() as u32);
            self.wildcards.push(Wildcard { prefix, covers, collateral });
            let thin = self.is_thin();
            self.scratch.insert(&mut table, Entry { row, items: 1, cost, plan }, bounds, thin);
        }
        Some(table)
    }

    fn is_thin(&self) -> bool {
        self.work >= self.rules.work
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
            None => part,
            Some(before) => self.both(&before, &part),
        };
        if let Some(node) = self.open.last_mut() {
            // If nothing fits the budget, only the wildcard remains.
            node.whole = merged.is_empty();
            node.parts = Some(merged);
        }
        if self.pairs.len() > 2 * self.used + MOST_UNUSED {
            self.drop_unused();
        }
    }

    /// The best splits of all items and wildcards between two parts.
    fn both(&mut self, left: &[Entry], right: &[Entry]) -> Table {
        let pairs = left.len() as u64 * right.len() as u64;
        if self.work.saturating_add(pairs) > self.most {
            self.is_over = true;
            return Table::new();
        }
        self.work += pairs;
        let thin = self.is_thin();
        let merged = self.scratch.merge(left, right, self.rules.bounds, thin);
        let mut join = |one: Plan, other: Plan| match (one, other) {
            (Plan::Exact, plan) | (plan, Plan::Exact) => plan,
            both => {
                self.pairs.push(both);
                Plan::Both(self.pairs.len() as u32 - 1)
            }
        };
        merged
            .into_iter()
            .map(|found| {
                let plan = join(left[found.left as usize].plan, right[found.right as usize].plan);
                Entry { row: found.row, items: found.items, cost: found.cost, plan }
            })
            .collect()
    }

    /// Drops the pairs of plans that no open node's table refers to.
    fn drop_unused(&mut self) {
        let mut numbers = vec![u32::MAX; self.pairs.len()];
        let mark = |plan: &Plan, numbers: &mut Vec<u32>| {
            if let Plan::Both(number) = plan {
                numbers[*number as usize] = 0;
            }
        };
        let tables = || self.open.iter().filter_map(|open| open.parts.as_ref());
        tables().flatten().for_each(|entry| mark(&entry.plan, &mut numbers));
        // A pair consists of older ones.
        for at in (0..self.pairs.len()).rev() {
            if numbers[at] == 0 {
                mark(&self.pairs[at].0, &mut numbers);
                mark(&self.pairs[at].1, &mut numbers);
            }
        }
        let renumber = |plan: &mut Plan, numbers: &[u32]| {
            if let Plan::Both(number) = plan {
                *number = numbers[*number as usize];
            }
        };
        let mut next = 0;
        for at in 0..self.pairs.len() {
            if numbers[at] == 0 {
                numbers[at] = next as u32;
                let (mut left, mut right) = self.pairs[at];
                renumber(&mut left, &numbers);
                renumber(&mut right, &numbers);
                self.pairs[next] = (left, right);
                next += 1;
            }
        }
        self.pairs.truncate(next);
        self.used = next;
        for entry in self.open.iter_mut().filter_map(|open| open.parts.as_mut()).flatten() {
            renumber(&mut entry.plan, &numbers);
        }
    }

    /// Closes all open nodes and returns the ways to clear the whole site.
    pub(super) fn finish(mut self) -> Outcome<'a> {
        self.leave_for(0);
        let table = self.open.pop().and_then(|root| self.close(root)).unwrap_or_default();
        let (is_thin, is_over) = (self.is_thin(), self.is_over);
        Outcome { table, wildcards: self.wildcards, pairs: self.pairs, is_thin, work: self.work, is_over }
    }
}
