//! What a part of the site costs by number of items and of wildcards: merging two parts, and dropping the entries
//! that no best answer needs.

/// The wildcards of an entry: all changed paths that none of them clears become exact items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// None at all.
    Exact,
    /// One wildcard, by number.
    Wildcard(u32),
    /// The wildcards of two plans, by the number of the pair.
    Both(u32),
}

/// A way to clear the changed paths of a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Number of wildcards, if they are counted.
    pub(super) row: u32,
    /// Number of items of both kinds.
    pub(super) items: u32,
    pub(super) cost: u64,
    pub(super) plan: Plan,
}

/// The ways to clear a part, by row and then by items. None is as good as another in all three numbers.
pub(super) type Table = Vec<Entry>;

/// A result of a merge: an entry without its plan, and the entries of both parts that it consists of.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) row: u32,
    pub(super) items: u32,
    pub(super) cost: u64,
    pub(super) left: u32,
    pub(super) right: u32,
}

/// Maximum size of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) rows: u32,
    pub(super) items: u32,
}

/// Memory that merges reuse.
#[derive(Default)]
pub(super) struct Scratch {
    cells: Vec<Candidate>,
    /// The least cost of the rows so far by number of items, where it falls.
    least: Vec<(u32, u64)>,
    merged: Vec<(u32, u64)>,
}

impl Scratch {
    /// All sums of an entry of `left` and one of `right` within the bounds that no other dominates, in order.
    pub(super) fn merge(&mut self, left: &[Entry], right: &[Entry], bounds: Bounds, thin: bool) -> Vec<Candidate> {
        let most = |table: &[Entry], by: fn(&Entry) -> u32| table.iter().map(by).max().unwrap_or(0);
        let fewest = |table: &[Entry]| table.iter().map(|entry| entry.items).min().unwrap_or(0);
        let rows = bounds.rows.min(most(left, |entry| entry.row) + most(right, |entry| entry.row));
        let last = most(left, |entry| entry.items).saturating_add(most(right, |entry| entry.items));
        // Thin tables need an entry past the limit: see `thin`.
        let last = if thin { last } else { last.min(bounds.items) };
        let first = fewest(left) + fewest(right);
        self.cells.clear();
        if first > last {
            return Vec::new();
        }
        let width = (last - first + 1) as usize;
        let size = width.saturating_mul(rows as usize + 1);
        let is_dense = size <= 4 * left.len() * right.len();
        let nothing = Candidate { row: 0, items: 0, cost: u64::MAX, left: 0, right: 0 };
        if is_dense {
            self.cells.resize(size, nothing);
        }
        for (left_at, one) in left.iter().enumerate() {
            for (right_at, other) in right.iter().enumerate() {
                let (row, items) = (one.row + other.row, one.items + other.items);
                if row > rows {
                    break;
                }
                if items > last {
                    continue;
                }
                let cost = one.cost.saturating_add(other.cost).min(u64::MAX - 1);
                let candidate = Candidate { row, items, cost, left: left_at as u32, right: right_at as u32 };
                if !is_dense {
                    self.cells.push(candidate);
                    continue;
                }
                let cell = &mut self.cells[row as usize * width + (items - first) as usize];
                if cost < cell.cost {
                    *cell = candidate;
                }
            }
        }
        if is_dense {
            self.cells.retain(|cell| cell.cost < u64::MAX);
        } else {
            self.cells.sort_unstable_by_key(|cell| (cell.row, cell.items, cell.cost, cell.left, cell.right));
        }
        self.prune(bounds, thin)
    }

    /// Inserts an entry into a table.
    pub(super) fn insert(&mut self, table: &mut Table, entry: Entry, bounds: Bounds, thin: bool) {
        self.cells.clear();
        let number = |(at, entry): (usize, &Entry)| Candidate {
            row: entry.row,
            items: entry.items,
            cost: entry.cost,
            left: at as u32,
            right: 0,
        };
        self.cells.extend(table.iter().enumerate().map(number));
        let at = self
            .cells
            .partition_point(|cell| (cell.row, cell.items, cell.cost) <= (entry.row, entry.items, entry.cost));
        self.cells.insert(at, number((table.len(), &entry)));
        table.push(entry);
        *table = self.prune(bounds, thin).into_iter().map(|cell| table[cell.left as usize]).collect();
    }

    /// Drops entries that another cell matches or beats and, in thin tables, everything above the hull.
    fn prune(&mut self, bounds: Bounds, thin: bool) -> Vec<Candidate> {
        let Scratch { cells, least, merged } = self;
        least.clear();
        let mut kept: Vec<Candidate> = Vec::new();
        for row in cells.chunk_by(|one, other| one.row == other.row) {
            let start = kept.len();
            let (mut below, mut best) = (0, u64::MAX);
            for cell in row {
                while below < least.len() && least[below].0 <= cell.items {
                    best = best.min(least[below].1);
                    below += 1;
                }
                if cell.cost < best {
                    best = cell.cost;
                    kept.push(*cell);
                }
            }
            if thin {
                thin_row(&mut kept, start, bounds.items);
            }
            merged.clear();
            let (mut before, mut own, mut best) = (0, start, u64::MAX);
            while before < least.len() || own < kept.len() {
                let takes_own = before == least.len() || own < kept.len() && kept[own].items < least[before].0;
                let (items, cost) = if takes_own {
                    own += 1;
                    (kept[own - 1].items, kept[own - 1].cost)
                } else {
                    before += 1;
                    least[before - 1]
                };
                if cost < best {
                    best = cost;
                    merged.push((items, cost));
                }
            }
            std::mem::swap(least, merged);
        }
        kept
    }
}

/// Keeps those entries of a row that are on the lower convex hull of cost by items, and only the first past
/// `limit`: the edge to it bounds what is possible below.
fn thin_row(kept: &mut Vec<Candidate>, start: usize, limit: u32) {
    let mut end = start;
    for at in start..kept.len() {
        let next = kept[at];
        while end >= start + 2 && !is_below(kept[end - 2], kept[end - 1], next) {
            end -= 1;
        }
        kept[end] = next;
        end += 1;
    }
    let past = kept[start..end].partition_point(|cell| cell.items <= limit);
    kept.truncate(end.min(start + past + 1));
}

/// Whether `middle` is below the line from `first` to `last`.
fn is_below(first: Candidate, middle: Candidate, last: Candidate) -> bool {
    let run = |cell: Candidate| i128::from(cell.items) - i128::from(first.items);
    let fall = |cell: Candidate| i128::from(first.cost) - i128::from(cell.cost);
    fall(middle) * run(last) > fall(last) * run(middle)
}
