//! The figures of a run: how much of CloudFront's cache stays, and what was sent.

use crate::outcome::Outcome;
use crate::report::Report;
use crate::wording::grouped;
use indicatif::DecimalBytes;
use maud::{Markup, html};
use shipfront_invalidation::{Invalidation, InvalidationStatus};

/// The URLs that did not change, and how many of them stay cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    stay: u64,
    others: u64,
}

impl Kept {
    /// For all distributions together; `None` if they were not counted, or an invalidation was not accepted.
    pub(super) fn of(invalidations: &[Invalidation]) -> Option<Kept> {
        let failed = |invalidation: &Invalidation| invalidation.status == InvalidationStatus::Failed;
        if invalidations.iter().any(failed) || invalidations.iter().all(|invalidation| invalidation.universe == 0) {
            return None;
        }
        let others = |invalidation: &Invalidation| invalidation.universe.saturating_sub(invalidation.viewer_paths);
        Some(Kept {
            others: invalidations.iter().map(others).sum(),
            stay: invalidations.iter().map(|each| others(each).saturating_sub(each.collateral)).sum(),
        })
    }

    /// In percent: 100 only if all stay. `None` if there are no others.
    pub(super) fn percent(self) -> Option<String> {
        if self.others == 0 {
            return None;
        }
        let tenths = u128::from(self.stay) * 1000 / u128::from(self.others);
        Some(match (tenths / 10, tenths % 10) {
            (99, tenth) => format!("99.{tenth}%"),
            (0, tenth) if self.stay > 0 => format!("0.{tenth}%"),
            (whole, _) => format!("{whole}%"),
        })
    }
}

/// The section of the figures.
pub(super) fn figures(report: &Report) -> Markup {
    let objects = &report.objects;
    let planned = report.outcome.is_plan();
    let word = |done, to_do| if planned { to_do } else { done };
    let figure = |name: &str, count: u64, what: &str, always: bool| {
        html! { @if always || count > 0 { div { dt { (what) } dd data-figure=(name) { (grouped(count)) } } } }
    };
    html! {
        section.figures aria-labelledby="figures" {
            h2 #figures.unseen { "Figures" }
            (headline(report))
            dl {
                (figure("uploaded", objects.uploaded, word("uploaded", "to upload"), true))
                @if objects.bytes_uploaded > 0 {
                    div { dt { (word("sent", "to send")) } dd { (DecimalBytes(objects.bytes_uploaded)) } }
                }
                (figure("copied", objects.copied, word("copied inside S3", "to copy inside S3"), false))
                (figure("pruned", objects.pruned, word("removed", "to remove"), false))
                (figure("kept", objects.kept, "unchanged", true))
                (figure("orphaned", objects.orphaned, "no longer in the source, kept", false))
                (figure("unknown", objects.unknown, "unknown, left alone", false))
                (figure("failed", objects.failed, "not done", false))
                (figure("paths", report.cost.paths, word("paths invalidated", "paths to invalidate"), true))
            }
        }
    }
}

/// The share of the cache that stays, in large type.
fn headline(report: &Report) -> Markup {
    let stay = |others| match (report.outcome.is_plan(), others) {
        (true, _) => "would stay cached",
        (false, 1) => "stays cached",
        (false, _) => "stay cached",
    };
    match Kept::of(&report.invalidations) {
        // What would stay is not good news about something that does not happen.
        _ if report.outcome == Outcome::Refused => html! {},
        Some(kept) => html! {
            p.headline {
                @if let Some(percent) = kept.percent() {
                    strong data-figure="share" { (percent) }
                    span {
                        span data-figure="stay" { (grouped(kept.stay)) } " of "
                        span data-figure="others" { (grouped(kept.others)) }
                        @if kept.others == 1 { " other URL " } @else { " other URLs " } (stay(kept.others))
                    }
                } @else {
                    span { "Every URL of the site is new or changed" }
                }
            }
        },
        None if report.outcome == Outcome::NothingToDo => html! {
            p.headline { span { "Nothing was uploaded, and everything stays cached" } }
        },
        None => html! {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_invalidation::DistributionId;

    fn invalidation(universe: u64, viewer_paths: u64, collateral: u64) -> Invalidation {
        let id = DistributionId::Distribution("E1".to_owned());
        Invalidation { universe, viewer_paths, collateral, ..Invalidation::of_items(id, vec!["/a".to_owned()]) }
    }

    #[test]
    fn a_hundred_percent_is_all_and_what_nobody_counted_is_no_figure() {
        let percent = |stay, others| Kept { stay, others }.percent();
        for (stay, others, expected) in [
            (20, 27, "74%"),
            (33, 33, "100%"),
            (99_999, 100_000, "99.9%"),
            (995, 1000, "99.5%"),
            (1, 1000, "0.1%"),
            (1, 100_000, "0.0%"),
            (0, 7, "0%"),
            (u64::MAX, u64::MAX, "100%"),
        ] {
            assert_eq!(percent(stay, others).as_deref(), Some(expected), "{stay} of {others}");
        }
        assert_eq!(percent(0, 0), None);
        // Two distributions, and a second request of the first one, which carries no counts.
        let all = [invalidation(10, 2, 3), invalidation(0, 0, 0), invalidation(20, 20, 0)];
        assert_eq!(Kept::of(&all), Some(Kept { stay: 5, others: 8 }));
        assert_eq!(Kept::of(&[]), None);
        assert_eq!(Kept::of(&[invalidation(0, 0, 0)]), None);
        let failed = Invalidation { status: InvalidationStatus::Failed, ..invalidation(10, 2, 3) };
        assert_eq!(Kept::of(&[invalidation(10, 2, 3), failed]), None, "nobody knows what stays");
    }
}
