//! What one invalidation may be made of.

use std::num::NonZeroUsize;

/// Wildcards that CloudFront has in progress at most by its older rule, and so the most of one request.
pub const REQUEST_WILDCARDS: usize = 15;
/// The most wildcards for paths that only wildcards clear, where the person asks for no more: two requests by the older
/// rule, and half a minute at the newer one of 1 wildcard a second. A deploy holds its lock for that long.
pub const FORCED_WILDCARDS: usize = 2 * REQUEST_WILDCARDS;
/// Changed paths times items up to which twice the items take no time.
const QUICK: usize = 1_000_000;

/// The most items and wildcards of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Items of any kind, wildcards among them; 0 is read as 1, as something must be sent.
    pub items: usize,
    /// So many of them are free; each beyond costs. May be more than `items`.
    pub free_items: usize,
    /// Wildcards; 0 is read as 1, as `/*` must be possible.
    pub wildcards: usize,
    /// Wildcards where paths that only wildcards clear need more than `wildcards`: as many as they need, up to this.
    pub forced_wildcards: usize,
}

impl Budget {
    /// So many items, of any kind and all free.
    pub fn of_items(items: usize) -> Budget {
        Budget { items, free_items: items, wildcards: items, forced_wildcards: items }
    }

    /// What is left after `items` that are no wildcards; `None` if nothing is.
    pub(crate) fn less(self, items: usize) -> Option<Budget> {
        let left = NonZeroUsize::new(self.items.max(1).checked_sub(items)?)?;
        Some(Budget { items: left.get(), free_items: self.free_items.saturating_sub(items), ..self })
    }

    /// The budget up to which a curve is of interest: it says what twice the items would buy, unless that takes
    /// long.
    pub(crate) fn for_curve(self, changed: usize) -> Budget {
        let is_quick = changed.saturating_mul(self.items) < QUICK;
        Budget { items: if is_quick { self.items.saturating_mul(2) } else { self.items }, ..self }
    }

    /// The most wildcards where `needed` clear the paths that only wildcards clear, each by itself.
    pub fn wildcards_for(self, needed: usize) -> usize {
        self.wildcards.max(needed.min(self.forced_wildcards)).clamp(1, self.items.max(1))
    }

    /// How many of so many items cost.
    pub(crate) fn paid(self, items: usize) -> usize {
        items.saturating_sub(self.free_items)
    }
}
