//! The limits of one invalidation.

use std::num::NonZeroUsize;

/// Maximum number of wildcards in progress under CloudFront's older rule, and so in one request.
pub const REQUEST_WILDCARDS: usize = 15;
/// Maximum number of wildcards for paths that only wildcards clear, unless the user asks for more: two requests
/// under the older rule, and half a minute under the newer one of 1 wildcard a second. A deploy holds its lock for
/// that long.
pub const FORCED_WILDCARDS: usize = 2 * REQUEST_WILDCARDS;
/// Product of changed paths and items up to which computing twice the items is quick.
const QUICK: usize = 1_000_000;

/// Maximum numbers of items and wildcards in an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Items of any kind, including wildcards; 0 is read as 1, because something must be sent.
    pub items: usize,
    /// The number of free items; each one beyond costs. May be more than `items`.
    pub free_items: usize,
    /// Wildcards; 0 is read as 1, because `/*` must be possible.
    pub wildcards: usize,
    /// Wildcards if paths that only wildcards clear need more than `wildcards`: as many as they need, up to this.
    pub forced_wildcards: usize,
}

impl Budget {
    /// A number of items of any kind, all free.
    pub fn of_items(items: usize) -> Budget {
        Budget { items, free_items: items, wildcards: items, forced_wildcards: items }
    }

    /// The rest of the budget after `items` items that are not wildcards; `None` if nothing is left.
    pub(crate) fn less(self, items: usize) -> Option<Budget> {
        let left = NonZeroUsize::new(self.items.max(1).checked_sub(items)?)?;
        Some(Budget { items: left.get(), free_items: self.free_items.saturating_sub(items), ..self })
    }

    /// The budget up to which a curve is of interest: it shows what twice the items would buy, unless that takes
    /// long.
    pub(crate) fn for_curve(self, changed: usize) -> Budget {
        let is_quick = changed.saturating_mul(self.items) < QUICK;
        Budget { items: if is_quick { self.items.saturating_mul(2) } else { self.items }, ..self }
    }

    /// Maximum number of wildcards if `needed` of them clear the paths that only wildcards clear, each separately.
    pub fn wildcards_for(self, needed: usize) -> usize {
        self.wildcards.max(needed.min(self.forced_wildcards)).clamp(1, self.items.max(1))
    }

    /// The number of items that cost, out of `items`.
    pub(crate) fn paid(self, items: usize) -> usize {
        items.saturating_sub(self.free_items)
    }
}
