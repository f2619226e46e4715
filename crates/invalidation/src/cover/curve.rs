//! The best covers of a site for all budgets up to a largest one.

use super::site::Site;
use super::sweep::{self, Outcome, Rules, Wildcard};
use super::table::{Bounds, Entry};
use super::{Budget, Cover, Item, Reach, SitePath};

/// Number of wildcards in a budget up to which they are counted however large the tables are, which are then
/// thinned. More are counted while that takes little work, otherwise priced.
const MOST_ROWS: usize = 24;
/// The cost of an evicted path if wildcards are priced: the lowest price is less than one path for all of them.
const SCALE: u64 = 1 << 20;
/// Number of prices between one and its double.
const PRICES_AN_OCTAVE: u32 = 8;

/// The best covers for every budget up to a largest one.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    changed: Vec<SitePath<'a>>,
    forced: usize,
    largest: Budget,
    rules: Rules,
    outcome: Outcome<'a>,
}

impl<'a> Curve<'a> {
    /// Computes the covers of `url_set` for all budgets of up to `largest.items` items and up to
    /// `largest.wildcards` wildcards.
    ///
    /// The paths may come in any order; sorted ones are faster. If a path occurs more than once, the strictest
    /// reading applies: changed if it changed anywhere, cleared only by items that every [`Reach`] allows;
    /// otherwise the greatest weight.
    pub fn new(url_set: &[SitePath<'a>], largest: Budget) -> Self {
        Curve::of_site(Site::new(url_set), largest, sweep::WORK)
    }

    pub(super) fn of_site(site: Site<'a, '_>, largest: Budget, work: u64) -> Self {
        let (items, wildcards) = extent(&site, largest);
        let rules = Rules { bounds: bounds(wildcards, items), price: 0, scale: 1, work };
        let outcome = if wildcards > MOST_ROWS { site.sweep_within(rules, work / 4) } else { Some(site.sweep(rules)) };
        match outcome {
            Some(outcome) => Curve { changed: site.changed, forced: site.forced, largest, rules, outcome },
            // Several passes instead of one.
            None => Curve::priced(site, largest, work / 32),
        }
    }

    pub(super) fn priced(site: Site<'a, '_>, largest: Budget, work: u64) -> Self {
        let (items, wildcards) = extent(&site, largest);
        let rules = Rules { bounds: bounds(0, items), price: 1, scale: SCALE, work };
        let (rules, outcome) = price_wildcards(&site, wildcards, rules);
        Curve { changed: site.changed, forced: site.forced, largest, rules, outcome }
    }

    /// The number of pairs of table entries combined.
    pub(super) fn work(&self) -> u64 {
        self.outcome.work
    }

    /// The number of wildcards that clear the paths that only wildcards clear, each as long as possible: see
    /// [`Budget::wildcards_for`].
    pub fn forced_wildcards(&self) -> usize {
        self.forced
    }

    /// The least collateral within `budget`; budgets beyond the largest count as the largest.
    pub fn collateral(&self, budget: Budget) -> u64 {
        self.best(budget).map_or(0, |(_, wildcards)| collateral(&wildcards))
    }

    /// An upper bound of how far the collateral of [`Curve::cover`] for this budget exceeds the least possible; 0
    /// if it is certainly optimal.
    pub fn gap(&self, budget: Budget) -> u64 {
        let allowed = self.allowed(budget);
        let Rules { bounds: Bounds { rows, .. }, price, scale, .. } = self.rules;
        let Some((_, wildcards)) = self.best(budget).filter(|_| rows == 0 || self.outcome.is_thin) else { return 0 };
        let mut entries: Vec<&Entry> =
            self.outcome.table.iter().filter(|entry| entry.row as usize <= allowed.wildcards).collect();
        entries.sort_by_key(|entry| (entry.items, entry.cost));
        let within = entries.partition_point(|entry| entry.items as usize <= allowed.items);
        if !self.outcome.is_thin {
            entries.truncate(within);
        }
        let least = lower_bound(entries.split_at(within), allowed.items as u64);
        let prices = if rows > 0 { 0 } else { price.saturating_mul(allowed.wildcards as u64) };
        collateral(&wildcards).saturating_sub(least.saturating_sub(prices).div_ceil(scale))
    }

    /// The numbers of items at which one more item begins to help, each with its collateral: the first is one item,
    /// and collateral falls from each to the next. Empty if nothing changed.
    pub fn steps(&self) -> Vec<(usize, u64)> {
        let allowed = self.allowed(self.largest);
        let step = |(entry, wildcards): (&Entry, Vec<Wildcard<'_>>)| (entry.items as usize, collateral(&wildcards));
        let mut steps: Vec<(usize, u64)> = self.entries(allowed).map(step).collect();
        steps.sort_unstable();
        let mut least = u64::MAX;
        steps.retain(|&(_, collateral)| {
            let falls = collateral < least;
            least = least.min(collateral);
            falls
        });
        steps
    }

    /// The best cover within `budget`; budgets beyond the largest count as the largest.
    pub fn cover(&self, budget: Budget) -> Cover {
        let Some((_, mut wildcards)) = self.best(budget) else {
            return Cover { items: Vec::new(), collateral: 0 };
        };
        // None is a prefix of another.
        wildcards.sort_unstable_by_key(|wildcard| wildcard.prefix);
        let by_wildcard = |path: &SitePath<'_>, reach: Reach| {
            let stem = reach.stem(path.path);
            let next = wildcards.partition_point(|wildcard| wildcard.prefix <= stem);
            next > 0 && stem.starts_with(wildcards[next - 1].prefix)
        };
        let left = self.changed.iter().filter(|path| path.change.is_some_and(|reach| !by_wildcard(path, reach)));
        let mut items: Vec<Item> = left.map(Item::exact).collect();
        items.extend(wildcards.iter().map(|wildcard| Item {
            text: format!("{}*", wildcard.prefix),
            wildcard: true,
            covers: wildcard.covers,
            collateral: wildcard.collateral,
        }));
        items.sort_unstable_by(|left, right| left.text.cmp(&right.text));
        Cover { items, collateral: collateral(&wildcards) }
    }

    /// The effective budget for this site.
    fn allowed(&self, budget: Budget) -> Budget {
        let largest = self.largest;
        let allowed = Budget {
            items: budget.items.min(largest.items).max(1),
            wildcards: budget.wildcards.min(largest.wildcards),
            forced_wildcards: budget.forced_wildcards.min(largest.forced_wildcards),
            ..budget
        };
        Budget { wildcards: allowed.wildcards_for(self.forced), ..allowed }
    }

    /// The ways to clear the site that a budget allows, with their wildcards.
    fn entries(&self, allowed: Budget) -> impl Iterator<Item = (&Entry, Vec<Wildcard<'a>>)> {
        let within =
            move |entry: &&Entry| entry.items as usize <= allowed.items && entry.row as usize <= allowed.wildcards;
        let with_wildcards = |entry: &'_ Entry| self.outcome.wildcards(entry.plan);
        let entries = self.outcome.table.iter().filter(within);
        entries
            .map(move |entry| (entry, with_wildcards(entry)))
            .filter(move |(_, wildcards)| wildcards.len() <= allowed.wildcards)
    }

    /// The best of them.
    fn best(&self, budget: Budget) -> Option<(&Entry, Vec<Wildcard<'a>>)> {
        let allowed = self.allowed(budget);
        self.entries(allowed).min_by_key(|(entry, wildcards)| {
            let items = entry.items as usize;
            (collateral(wildcards), allowed.paid(items), wildcards.len(), items)
        })
    }
}

/// The numbers of items and wildcards that may be of use.
fn extent(site: &Site<'_, '_>, largest: Budget) -> (usize, usize) {
    let items = largest.items.min(site.changed.len()).max(1);
    (items, largest.wildcards_for(site.forced).clamp(1, items))
}

fn bounds(rows: usize, items: usize) -> Bounds {
    Bounds { rows: rows as u32, items: u32::try_from(items).unwrap_or(u32::MAX) }
}

/// The collateral of disjoint wildcards.
fn collateral(wildcards: &[Wildcard<'_>]) -> u64 {
    wildcards.iter().fold(0, |sum, wildcard| sum.saturating_add(wildcard.collateral))
}

/// A lower bound of the cost for `items` from the entries that need no more, and from those that need more: the
/// lower convex hull of all.
fn lower_bound((within, past): (&[&Entry], &[&Entry]), items: u64) -> u64 {
    let least = within.iter().map(|entry| entry.cost).min().unwrap_or(0);
    let lines = within.iter().flat_map(|one| past.iter().map(move |other| (one, other)));
    let at_items = lines.map(|(one, other)| {
        let (run, all) = (items - u64::from(one.items), u64::from(other.items) - u64::from(one.items));
        let fall = u128::from(one.cost.saturating_sub(other.cost)) * u128::from(run);
        one.cost.saturating_sub(fall.div_ceil(u128::from(all)) as u64)
    });
    at_items.fold(least, u64::min)
}

/// The pass at approximately the lowest price of a wildcard at which there are at most `most` of them.
fn price_wildcards<'a>(site: &Site<'a, '_>, most: usize, rules: Rules) -> (Rules, Outcome<'a>) {
    let are_few = |outcome: &Outcome<'_>| {
        // The last is the cheapest.
        let best = outcome.table.iter().rfind(|entry| entry.items <= rules.bounds.items);
        best.is_none_or(|entry| outcome.wildcards(entry.plan).len() <= most)
    };
    let outcome = site.sweep(rules);
    if are_few(&outcome) {
        return (rules, outcome);
    }
    // More expensive than all unchanged paths together: no wildcard is sent unless it is needed.
    let octaves = u64::BITS - (site.unchanged_weight().saturating_mul(SCALE)).leading_zeros() + 1;
    let (mut many, mut few) = (0, octaves.min(u64::BITS - 2) * PRICES_AN_OCTAVE);
    let at = |step: u32| {
        let rules = Rules { price: price(step), ..rules };
        (rules, site.sweep(rules))
    };
    let mut best = at(few);
    while many + 1 < few {
        let middle = u32::midpoint(many, few);
        let found = at(middle);
        if are_few(&found.1) {
            (few, best) = (middle, found);
        } else {
            many = middle;
        }
    }
    best
}

fn price(step: u32) -> u64 {
    let octave = 1_u64 << (step / PRICES_AN_OCTAVE);
    octave + octave / u64::from(PRICES_AN_OCTAVE) * u64::from(step % PRICES_AN_OCTAVE)
}
