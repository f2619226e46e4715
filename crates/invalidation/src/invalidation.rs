//! The invalidation of one distribution, and what each of its items does.

use crate::DistributionId;
use crate::cover::Item;
use serde::Serialize;
use std::fmt;

/// The progress of an invalidation. The words are those of the JSON and, once it was accepted, CloudFront's own
/// (<https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_Invalidation.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum InvalidationStatus {
    /// Not sent yet.
    #[serde(rename = "planned")]
    Planned,
    /// Accepted, and on its way to the edge locations.
    InProgress,
    /// Done.
    Completed,
    /// Not accepted.
    #[serde(rename = "failed")]
    Failed,
}

impl InvalidationStatus {
    /// Parses CloudFront's word, or that of a server that uses capitals. A word that is not documented only means
    /// that it is not completed.
    pub fn parse(word: &str) -> InvalidationStatus {
        if word.eq_ignore_ascii_case("Completed") {
            InvalidationStatus::Completed
        } else {
            InvalidationStatus::InProgress
        }
    }
}

impl fmt::Display for InvalidationStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            InvalidationStatus::Planned => "planned",
            InvalidationStatus::InProgress => "InProgress",
            InvalidationStatus::Completed => "Completed",
            InvalidationStatus::Failed => "failed",
        })
    }
}

/// The items to send to one distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invalidation {
    /// The distribution or tenant.
    pub distribution: DistributionId,
    /// CloudFront's ID of the invalidation, once it was accepted.
    pub id: Option<String>,
    /// Its progress.
    pub status: InvalidationStatus,
    /// Paths in CloudFront's form; a trailing `*` makes a wildcard, a leading `#` a cache tag.
    pub items: Vec<String>,
    /// Changed viewer paths that the items cover. If a distribution gets several requests, the first carries the
    /// counts.
    pub viewer_paths: u64,
    /// Unchanged viewer paths that the items evict.
    pub collateral: u64,
    /// All viewer paths of the site on this distribution, plus one for each other cache behavior.
    pub universe: u64,
    /// Why the choice differs from what one may expect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// What each item does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<Coverage>,
    /// The least collateral by number of items, at the numbers where it falls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<Step>,
}

impl Invalidation {
    /// Items whose effect on the site is not counted.
    pub fn of_items(distribution: DistributionId, items: Vec<String>) -> Invalidation {
        Invalidation {
            distribution,
            id: None,
            status: InvalidationStatus::Planned,
            items,
            viewer_paths: 0,
            collateral: 0,
            universe: 0,
            why: Vec::new(),
            coverage: Vec::new(),
            curve: Vec::new(),
        }
    }

    /// The single item for a site whose every path changed.
    pub(crate) fn of_whole_site(distribution: DistributionId, item: Item) -> Invalidation {
        Invalidation {
            viewer_paths: item.covers as u64,
            universe: item.covers as u64,
            curve: vec![Step { items: 1, collateral: item.collateral }],
            items: vec![item.text.clone()],
            coverage: vec![Coverage::of(item, None)],
            ..Invalidation::of_items(distribution, Vec::new())
        }
    }
}

/// What one item does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// A path, wildcard or `#tag`.
    pub item: String,
    /// Changed viewer paths that it clears.
    pub covers: u64,
    /// Unchanged viewer paths that it evicts.
    pub collateral: u64,
    /// The first of those, if there are many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evicts: Vec<String>,
    /// What a cache tag means, and why it is sent instead of a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Coverage {
    /// An item's effect, and why it is sent.
    pub fn of(item: Item, why: Option<String>) -> Coverage {
        Coverage { item: item.text, covers: item.covers as u64, collateral: item.collateral, evicts: Vec::new(), why }
    }

    /// Whether the item may reach more than one URL.
    pub fn is_several(&self) -> bool {
        self.item.ends_with('*') || self.item.starts_with('#')
    }

    /// In a line: `2 changed URLs, evicts /about-us/ and 3 more`.
    pub fn effect(&self) -> String {
        let collateral = self.collateral;
        let evicted = match (&self.evicts[..], collateral) {
            (_, 0) => String::new(),
            ([only], 1) => format!(", evicts {only}"),
            ([first, ..], _) => format!(", evicts {first} and {} more", collateral - 1),
            ([], _) => format!(", evicts {collateral} others"),
        };
        let why = self.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let urls = if self.covers == 1 { "URL" } else { "URLs" };
        format!("{} changed {urls}{evicted}{why}", self.covers)
    }
}

/// A point of the curve from budget to collateral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Number of items.
    pub items: usize,
    /// The least number of unchanged viewer paths that this many items evict.
    pub collateral: u64,
}
