//! Chooses the invalidation items that clear every changed path of a site: provably those that evict the fewest
//! unchanged paths, then cost least, then have the fewest wildcards, then are the fewest.
//!
//! **Items.** An exact path clears that path. A wildcard `p*` evicts every path that starts with
//! `p` (a plain string prefix, not a directory), but is *trusted* to clear a changed path only if
//! that is longer than `p`: whether `/dir/*` clears `/dir/` is contested. So a changed `/dir/`
//! needs an item of its own or a shorter wildcard, and an unchanged `/dir/` counts as evicted. The
//! exception is `/*`, which AWS documents as invalidating everything: it is trusted for `/` too, so
//! that a budget of one item always has an answer.
//!
//! **Two budgets.** A [`Budget`] allows so many items, some of them for free, and so many wildcards, which
//! CloudFront takes more slowly. Paths that only a wildcard clears may need more wildcards than that, each the longest
//! that clears them ([`Curve::forced_wildcards`]): then the budget is as many as they need, up to
//! [`Budget::forced_wildcards`], because a second request costs less than what fewer wildcards would evict. A site
//! that needs still more, such as one with query strings in the cache key, shares wildcards: they end at what several
//! paths have in common, where that evicts least.
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
//! up. The wildcards decide the rest: what none of them clears is an exact item.
//!
//! Prefixes end only at a *cut*: between characters, of which an encoded triplet (`%C3`) is one.
//! Whether a prefix is a cut depends on nothing after it, so common prefixes shortened to cuts form
//! a tree as well.
//!
//! **Exact, and where not.** Tables (see `sweep.rs`) hold the best for each number of items and wildcards. There
//! are two exceptions, and both say by how much they may be wrong ([`Curve::gap`]). After `sweep::WORK` pairs of
//! entries, tables keep of each number of wildcards only the lower convex hull of collateral by items. Sums and
//! minima of hulls are the hulls of sums and minima, so every answer kept is still the best for its own number of
//! items, and the hull bounds what any other could do: from the answer's `a` items to the next one's `b`, the
//! optimum for a budget of `n` is at least `(n - a) / (b - a)` of the way down. And with more than
//! `curve::MOST_ROWS` wildcards in the budget, and more than a quarter of `sweep::WORK` pairs, these are not counted but
//! priced, as in Lagrangian relaxation: at a price of `p` evicted paths each, an answer with `w` wildcards of `W` is at most `p (W - w)` from the optimum. The
//! price is 0 where the best answer needs no more than `W` anyway.
//!
//! **Time and memory.** At most O(changed × items × wildcards²), and after `sweep::WORK` about as many steps as
//! the hulls have corners. Paths are borrowed. Beside pointers to them there are the tables of the open
//! nodes, a wildcard for each node, and for each entry in use the pairs that its plan is made of.

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
    pub(crate) fn stem(self, path: &str) -> &str {
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
    /// A path by itself.
    fn exact(path: &SitePath<'_>) -> Item {
        Item { text: path.path.to_owned(), wildcard: false, covers: 1, collateral: 0 }
    }

    /// Whether the item, a path or a wildcard, is sure to clear `path` if that changed, or evicts it
    /// if not.
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

/// The same, with tables that are thinned after so much work, and the work that it took.
pub(crate) fn cover_within(url_set: &[SitePath<'_>], budget: Budget, work: u64) -> (Cover, u64) {
    let site = Site::new(url_set);
    if let Some(cover) = site.exact_cover(budget) {
        return (cover, 0);
    }
    let curve = Curve::of_site(site, budget, work.min(sweep::WORK));
    (curve.cover(budget), curve.work())
}

/// How many wildcards clear the paths of `url_set` that only wildcards clear, each the longest for its path.
pub fn forced_wildcards(url_set: &[SitePath<'_>]) -> usize {
    site::forced_wildcards(url_set)
}

/// How many bytes two paths share from their beginning.
pub(crate) fn common_bytes(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}

/// The longest cut of `path` up to `limit` bytes: not inside a character, nor after a `%` and at
/// most one hexadecimal digit. (A `%` that begins no triplet does not occur in an encoded path; at
/// worst a cut is missed.)
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
