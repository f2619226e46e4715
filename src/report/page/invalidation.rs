//! An invalidation on the page: its paths, what each evicts, and why it is sent.

use crate::escape::Shown;
use crate::report::page::verdict::counted;
use crate::wording::grouped;
use maud::{Markup, html};
use shipfront_invalidation::{Coverage, Invalidation, InvalidationStatus};

/// Maximum number of items to name per invalidation.
const MOST_ITEMS: usize = 500;

/// The section of one invalidation.
pub(super) fn section(invalidation: &Invalidation) -> Markup {
    let Invalidation { distribution, id, status, items, viewer_paths, collateral, universe, why, coverage, .. } =
        invalidation;
    let others = universe.saturating_sub(*viewer_paths);
    let stay = others.saturating_sub(*collateral);
    let failed = *status == InvalidationStatus::Failed;
    html! {
        section {
            h2 { "Invalidation" @if let Some(id) = id { " " (Shown(id)) } }
            p {
                @match status {
                    InvalidationStatus::Planned => { "To send to " },
                    InvalidationStatus::InProgress => { "In progress on " },
                    InvalidationStatus::Completed => { "Completed on " },
                    InvalidationStatus::Failed => { strong.failed { "Not accepted" } " by " },
                }
                (Shown(distribution)) ": " (counted(items.len(), "path", "paths"))
                @if *viewer_paths > 0 {
                    " for " (grouped(*viewer_paths)) @if *viewer_paths == 1 { " changed URL" } @else { " changed URLs" }
                }
                @if others > 0 && !failed {
                    "; " (grouped(stay)) " of " (grouped(others))
                    @if others == 1 { " other URL " } @else { " other URLs " }
                    @match (status, others) {
                        (InvalidationStatus::Planned, _) => { "would stay cached" },
                        (_, 1) => { "stays cached" },
                        _ => { "stay cached" },
                    }
                }
            }
            @for why in why { p.note { (Shown(why)) } }
            table {
                thead { tr { th scope="col" { "Path" } th scope="col" { "Changed URLs" } th scope="col" { "Other URLs evicted" } } }
                tbody {
                    @for item in items.iter().take(MOST_ITEMS) {
                        @let counts = coverage.iter().find(|coverage| coverage.item == *item);
                        tr {
                            td { code { (Shown(item)) } @if let Some(counts) = counts { (beside(counts)) } }
                            td { @if let Some(counts) = counts { (grouped(counts.covers)) } }
                            td { @if let Some(counts) = counts { (grouped(counts.collateral)) } }
                        }
                    }
                }
            }
            @if items.len() > MOST_ITEMS { p.note { "and " (grouped((items.len() - MOST_ITEMS) as u64)) " more: --json names all" } }
        }
    }
}

/// Why an item is sent, and which unchanged URLs it evicts.
fn beside(coverage: &Coverage) -> Markup {
    let Coverage { collateral, evicts, why, .. } = coverage;
    html! {
        @if let Some(why) = why { div.note { (Shown(why)) } }
        @if let [only] = &evicts[..] && *collateral == 1 { div.note { "evicts " (Shown(only)) } }
        @else if let [first, others @ ..] = &evicts[..] {
            details.note {
                summary { "evicts " (Shown(first)) " and " (grouped(collateral.saturating_sub(1))) " more" }
                @for url in others { div { (Shown(url)) } }
                @if *collateral > evicts.len() as u64 { div { "and " (grouped(collateral - evicts.len() as u64)) " more" } }
            }
        }
    }
}
