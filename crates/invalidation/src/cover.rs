//! Chooses the invalidation items that clear every changed path of a site: provably those that evict the fewest
//! unchanged paths, then cost least, then have the fewest wildcards, then are the fewest.
//!
//! **Items.** An exact path clears that path. A wildcard `p*` evicts every path that starts with `p` (a plain
//! string prefix, not a directory), but is *trusted* to clear a changed path only if that path is longer than `p`:
//! sources disagree on whether `/dir/*` clears `/dir/`. So a changed `/dir/` needs an item of its own or a shorter
//! wildcard, and an unchanged `/dir/` counts as evicted. The exception is `/*`, which AWS documents as invalidating
//! everything: it is trusted for `/` too, so that a budget of one item always has an answer.
//!
//! **Two budgets.** A [`Budget`] limits the items, some of which are free, and the wildcards, which CloudFront
//! accepts more slowly. Paths that only a wildcard clears may need more wildcards than that, each the longest that
//! clears them ([`Curve::forced_wildcards`]): then the budget is as many as they need, up to
//! [`Budget::forced_wildcards`], because a second request costs less than what fewer wildcards would evict. A site
//! that needs still more, such as one with query strings in the cache key, shares wildcards: they end at what
//! several paths have in common, where that evicts least.
//!
//! **Why few wildcards matter.** Call the longest prefix that a wildcard for a changed path may have the path's
//! *stem*: all but its last character, or less where [`Reach::WildcardOnly`] says so. `p*` clears the path if, and
//! only if, `p` is a prefix of the stem. Take a wildcard of any valid answer and lengthen it to the longest common
//! prefix of the stems of the paths it clears: it still clears them, and evicts nothing that it did not evict
//! before. So some best answer contains only wildcards whose prefix is a stem or the common part of several stems,
//! that is, nodes of the longest-common-prefix tree of the stems: fewer than twice the changed paths. A limit adds
//! no others, because a path is attached to the node of its own stem however much more of it other paths share; if
//! it has no exact item, the only options are that node's wildcard or one above. An item below a chosen wildcard is
//! superfluous, so the chosen subtrees are disjoint and their collateral adds up. The wildcards determine the rest:
//! every path that none of them clears becomes an exact item.
//!
//! Prefixes end only at a *cut*: between characters, where an encoded triplet (`%C3`) counts as one. Whether a
//! prefix is a cut depends on nothing after it, so common prefixes shortened to cuts form a tree as well.
//!
//! **Where the result is exact.** Tables (see `sweep.rs`) hold the best result for each number of items and
//! wildcards. There are two exceptions, and both report an upper bound of their error ([`Curve::gap`]). After
//! `sweep::WORK` pairs of entries, tables keep for each number of wildcards only the lower convex hull of
//! collateral by items. Sums and minima of hulls are the hulls of sums and minima, so every answer kept is still
//! the best for its own number of items, and the hull bounds what any other could do: from the answer's `a` items
//! to the next one's `b`, the optimum for a budget of `n` is at least `(n - a) / (b - a)` of the way down. And with
//! more than `curve::MOST_ROWS` wildcards in the budget, and more than a quarter of `sweep::WORK` pairs, wildcards
//! are not counted but priced, as in Lagrangian relaxation: at a price of `p` evicted paths each, an answer with
//! `w` wildcards of `W` is at most `p (W - w)` from the optimum. The price is 0 if the best answer needs no more
//! than `W` anyway.
//!
//! **Time and memory.** At most O(changed × items × wildcards²), and after `sweep::WORK` about as many steps as the
//! hulls have corners. Paths are borrowed. In addition to pointers to them, memory holds the tables of the open
//! nodes, a wildcard for each node, and for each entry in use the pairs of its plan.

mod budget;
mod curve;
mod site;
mod sweep;
mod table;

pub use budget::{Budget, FORCED_WILDCARDS, REQUEST_WILDCARDS};
pub use curve::Curve;
use site::Site;

/// A URL path of the site, changed or not.
#[derive(Clone, Copy, Debug)]
pub struct SitePath<'a> {
    /// The path as CloudFront compares it: encoded, beginning with `/`.
    pub path: &'a str,
    /// The cost of evicting the path although it did not change: 1 to count paths.
    pub weight: u64,
    /// The items that may clear the path, if it changed.
    pub change: Option<Reach>,
}

impl<'a> SitePath<'a> {
    /// A path whose cached copy is still right, with weight 1.
    pub fn unchanged(path: &'a str) -> Self {
        SitePath { path, weight: 1, change: None }
    }

    /// A path whose cached copies must go, cleared by the items that `reach` allows.
    pub fn changed(path: &'a str, reach: Reach) -> Self {
        SitePath { path, weight: 1, change: Some(reach) }
    }
}

/// The items that may clear a changed path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The path itself, or any wildcard with a prefix shorter than the path.
    Any,
    /// Only a wildcard, with a prefix of at most `limit` bytes: for a path with a `~`, the query strings of a path,
    /// a key that ends in `*`, a path longer than CloudFront accepts. The limit is lowered to the nearest cut that
    /// leaves the path at least one character, and never below the `/` of `/*`.
    WildcardOnly {
        /// Maximum length of the prefix, in bytes.
        limit: usize,
    },
}

impl Reach {
    /// The items that both allow.
    pub(crate) fn and(self, other: Reach) -> Reach {
        match (self, other) {
            (Reach::Any, reach) | (reach, Reach::Any) => reach,
            (Reach::WildcardOnly { limit: left }, Reach::WildcardOnly { limit: right }) => {
                Reach::WildcardOnly { limit: left.min(right) }
            }
        }
    }

    /// The longest prefix of `path` that a wildcard for it may have.
    pub(crate) fn stem(self, path: &str) -> &str {
        let shorter = path.len().saturating_sub(1);
        let limit = match self {
            Reach::Any => shorter,
            Reach::WildcardOnly { limit } => limit.min(shorter),
        };
        &path[..cut(path, limit).max(usize::from(path.starts_with('/')))]
    }
}

/// The items of one invalidation, sorted by text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// The items to send; empty only if nothing changed.
    pub items: Vec<Item>,
    /// The total weight of the unchanged paths that the items evict.
    pub collateral: u64,
}

/// One path or wildcard of an invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// In CloudFront's form; a wildcard ends in `*`.
    pub text: String,
    /// Whether this is a wildcard.
    pub wildcard: bool,
    /// The number of changed paths that it clears.
    pub covers: usize,
    /// The total weight of the unchanged paths that it evicts.
    pub collateral: u64,
}

impl Item {
    /// The exact item of a path.
    fn exact(path: &SitePath<'_>) -> Item {
        Item { text: path.path.to_owned(), wildcard: false, covers: 1, collateral: 0 }
    }

    /// Whether this item, a path or a wildcard, is sure to clear `path` if that changed, or evicts it if not.
    pub(crate) fn evicts(&self, path: &SitePath<'_>) -> bool {
        let prefix = self.text.strip_suffix('*').filter(|_| self.wildcard);
        match (prefix, path.change) {
            (Some(prefix), None) => path.path.starts_with(prefix),
            (Some(prefix), Some(reach)) => reach.stem(path.path).starts_with(prefix),
            (None, change) => self.text == path.path && matches!(change, None | Some(Reach::Any)),
        }
    }
}

/// The best cover of the changed paths of `url_set` within `budget`; see [`Curve`].
pub fn cover(url_set: &[SitePath<'_>], budget: Budget) -> Cover {
    cover_within(url_set, budget, u64::MAX).0
}

/// The same, with tables that are thinned after this much work; also returns the work done.
pub(crate) fn cover_within(url_set: &[SitePath<'_>], budget: Budget, work: u64) -> (Cover, u64) {
    let site = Site::new(url_set);
    if let Some(cover) = site.exact_cover(budget) {
        return (cover, 0);
    }
    let curve = Curve::of_site(site, budget, work.min(sweep::WORK));
    (curve.cover(budget), curve.work())
}

/// The number of wildcards that clear the paths of `url_set` that only wildcards clear, each the longest for its
/// path.
pub fn forced_wildcards(url_set: &[SitePath<'_>]) -> usize {
    site::forced_wildcards(url_set)
}

/// The length of the common prefix of two paths, in bytes.
pub(crate) fn common_bytes(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}

/// The longest cut of `path` up to `limit` bytes: not inside a character, nor after a `%` and at most one
/// hexadecimal digit. (A `%` that does not begin a triplet does not occur in an encoded path; at worst a cut is
/// missed.)
pub(crate) fn cut(path: &str, limit: usize) -> usize {
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
