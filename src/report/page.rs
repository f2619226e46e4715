//! `--report FILE.html`: the report as one page that needs nothing else, to look at or to keep.
//!
//! The markup escapes whatever it is given; the page runs no script and loads nothing, and its
//! Content-Security-Policy sees to that, too.

mod tree;
mod treemap;

use crate::deploy::change::{Action, Reason};
use crate::deploy::timeline::Span;
use crate::escape::{self, Shown};
use crate::outcome::{Failure, Outcome};
use crate::record::intent::left_by;
use crate::record::lease::time;
use crate::report::Report;
use crate::report::file::Ending;
use crate::report::{Fate, ReportedChange};
use indicatif::DecimalBytes;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use shipfront_invalidation::{Coverage, Invalidation};

const STYLE: &str = include_str!("page/style.css");
/// Items of one invalidation that are named.
const MOST_ITEMS: usize = 500;

/// What a change looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    New,
    Changed,
    Removed,
    Kept,
    Evicted,
    Undone,
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Ink::New => "new",
            Ink::Changed => "changed",
            Ink::Removed => "removed",
            Ink::Kept => "kept",
            Ink::Evicted => "evicted",
            Ink::Undone => "undone",
        }
    }

    fn sign(self) -> char {
        match self {
            Ink::New => '+',
            Ink::Changed => '~',
            Ink::Removed => '−',
            Ink::Kept => '?',
            Ink::Evicted => '!',
            Ink::Undone => '×',
        }
    }
}

/// The sign that stands for a change.
pub(super) fn sign(change: &ReportedChange) -> char {
    ink(change).sign()
}

fn ink(change: &ReportedChange) -> Ink {
    match (change.fate, change.action, change.reason) {
        (Fate::Failed | Fate::NotBegun, _, _) => Ink::Undone,
        (_, Action::Upload | Action::Copy, Reason::New) => Ink::New,
        (_, Action::Upload | Action::Retag | Action::Copy, _) => Ink::Changed,
        (_, Action::Prune, _) => Ink::Removed,
        (_, Action::Orphan, _) => Ink::Kept,
        (_, Action::Evict, _) => Ink::Evicted,
    }
}

/// The page.
pub(super) fn page(ending: &Ending<'_>, at: Timestamp) -> String {
    let (title, body) = match ending {
        Ending::Report(report) => {
            (format!("{}: {}", headline(report.outcome), Shown(&report.target)), of_report(report, at))
        }
        Ending::Error { error, source, target } => {
            let failure = Failure::of(None, error);
            let body = html! {
                (header("bad", "Nothing was changed", source, target, at, None))
                (problems(std::slice::from_ref(&failure), &[]))
            };
            (format!("Failed: {}", Shown(target)), body)
        }
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) footer { "shipfront " (env!("CARGO_PKG_VERSION")) } } }
        }
    };
    escape::visible(&page.into_string()).into_owned()
}

/// How the run ended, as a heading.
pub(super) fn headline(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Deployed => "Deployed",
        Outcome::NothingToDo => "No changes",
        Outcome::Planned => "Plan",
        Outcome::Partial => "Partly deployed",
        Outcome::Stale => "Live, but the edge may be stale",
        Outcome::Different => "Live, but viewers get something else",
        Outcome::Unverified => "Live, but what viewers get could not be verified",
        Outcome::Interrupted => "Interrupted",
        Outcome::Refused => "Refused. Nothing was changed",
        Outcome::Failed => "Failed",
    }
}

fn of_report(report: &Report, at: Timestamp) -> Markup {
    let class = match report.outcome {
        Outcome::Deployed | Outcome::NothingToDo => "good",
        Outcome::Planned => "plain",
        _ => "bad",
    };
    let visible: Vec<ReportedChange> = report.changes.iter().filter(|change| change.is_visible()).cloned().collect();
    html! {
        (header(class, headline(report.outcome), &report.source, &report.target, at, Some(report)))
        (problems(&report.errors, &report.warnings))
        (figures(report))
        @if !report.timeline.is_empty() { section { h2 { "When" } (timeline(&report.timeline, report.seconds.total)) } }
        @if let Some(map) = treemap::of_changes(&report.changes) {
            section { h2 { "Files, by size" } (map) (legend(&[Ink::New, Ink::Changed, Ink::Removed, Ink::Undone])) }
        }
        @if let Some(map) = treemap::of_evictions(&report.invalidations) {
            section { h2 { "Evicted from CloudFront, by URLs" } (map) (legend(&[Ink::Changed, Ink::Evicted])) }
        }
        @if !visible.is_empty() { section { h2 { "Changes" } (tree::tree(&visible)) } }
        @for invalidation in &report.invalidations { (of_invalidation(invalidation)) }
        section { h2 { "Cost" } p { "At list prices, " (report.cost) "." } (requests(report)) }
    }
}

fn header(class: &str, headline: &str, source: &str, target: &str, at: Timestamp, report: Option<&Report>) -> Markup {
    html! {
        header class=(class) {
            h1 { (headline) }
            p { code { (Shown(source)) } " → " code { (Shown(target)) } }
            p.note {
                (time(at))
                @if let Some(report) = report {
                    " · " (format!("{:.1} s", report.seconds.total)) " · " (report.deploy)
                    @if let Some(shard) = &report.shard { " · shard " (shard) }
                    @if let Some(recovered) = &report.recovered {
                        " · finished " (Shown(left_by(&recovered.deploy))) ": " (recovered.keys) " keys"
                    }
                }
            }
        }
    }
}

fn problems(errors: &[Failure], warnings: &[String]) -> Markup {
    html! {
        @if !errors.is_empty() || !warnings.is_empty() {
            section.problems {
                @for Failure { key, error, hint, .. } in errors {
                    div.problem.failed {
                        p { @if let Some(key) = key { code { (Shown(key)) } ": " } (Shown(error)) }
                        @if let Some(hint) = hint { p.note { "hint: " (Shown(hint)) } }
                    }
                }
                @for warning in warnings { div.problem.warning { p { (Shown(warning)) } } }
            }
        }
    }
}

fn figures(report: &Report) -> Markup {
    let objects = &report.objects;
    let planned = report.outcome.is_plan();
    let word = |done, to_do| if planned { to_do } else { done };
    let items: usize = report.invalidations.iter().map(|invalidation| invalidation.items.len()).sum();
    let collateral: u64 = report.invalidations.iter().map(|invalidation| invalidation.collateral).sum();
    let figure = |count: String, what: &str, always: bool| {
        html! { @if always || count != "0" { div.figure { strong { (count) } span { (what) } } } }
    };
    html! {
        section.figures {
            (figure(objects.uploaded.to_string(), word("uploaded", "to upload"), true))
            (figure(DecimalBytes(objects.bytes_uploaded).to_string(), word("sent", "to send"), true))
            (figure(objects.kept.to_string(), "unchanged", true))
            (figure(objects.pruned.to_string(), word("deleted", "to delete"), false))
            (figure(objects.orphaned.to_string(), "no longer in the source, kept", false))
            (figure(objects.unknown.to_string(), "unknown, left alone", false))
            (figure(objects.failed.to_string(), "not done", false))
            (figure(items.to_string(), word("items invalidated", "items to invalidate"), true))
            (figure(collateral.to_string(), word("unchanged URLs evicted", "unchanged URLs to evict"), true))
        }
    }
}

/// The stages as bars below each other.
fn timeline(spans: &[Span], total: f64) -> Markup {
    let total = spans.iter().fold(total, |total, span| total.max(span.end)).max(f64::EPSILON);
    let percent = |seconds: f64| seconds / total * 100.0;
    html! {
        div.timeline {
            @for Span { stage, start, end } in spans {
                div.stage { (stage) }
                div.track {
                    div class=(format!("bar {}", stage.replace(' ', "-")))
                        style=(format!("left:{:.2}%;width:{:.2}%", percent(*start), percent(end - start)))
                        title=(format!("{start:.3} s to {end:.3} s")) {}
                }
                div.seconds { (duration(end - start)) }
            }
        }
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

fn legend(inks: &[Ink]) -> Markup {
    let word = |ink: Ink| match ink {
        Ink::Undone => "not done",
        Ink::Evicted => "unchanged, evicted all the same",
        other => other.class(),
    };
    html! {
        p.legend { @for &ink in inks { span { i class=(ink.class()) {} (word(ink)) } } }
    }
}

fn of_invalidation(invalidation: &Invalidation) -> Markup {
    let Invalidation { distribution, id, status, items, viewer_paths, collateral, universe, why, coverage, .. } =
        invalidation;
    html! {
        section {
            h2 { "Invalidation" @if let Some(id) = id { " " (Shown(id)) } }
            p {
                (Shown(distribution)) ", " (status) ": " (items.len()) @if items.len() == 1 { " item for " } @else { " items for " } (viewer_paths)
                @if *viewer_paths == 1 { " changed URL; " } @else { " changed URLs; " }
                (universe.saturating_sub(*viewer_paths).saturating_sub(*collateral)) " of " (universe.saturating_sub(*viewer_paths)) " other URLs stay cached"
            }
            @for why in why { p.note { (Shown(why)) } }
            div.scroll { table {
                thead { tr { th { "Item" } th { "Changed URLs" } th { "Unchanged URLs" } } }
                tbody {
                    @for item in items.iter().take(MOST_ITEMS) {
                        @let counts = coverage.iter().find(|coverage| coverage.item == *item);
                        tr {
                            td { code { (Shown(item)) } @if let Some(counts) = counts { (beside(counts)) } }
                            td { @if let Some(counts) = counts { (counts.covers) } }
                            td { @if let Some(counts) = counts { (counts.collateral) } }
                        }
                    }
                }
            } }
            @if items.len() > MOST_ITEMS { p.note { "and " (items.len() - MOST_ITEMS) " more: --json names all" } }
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
                summary { "evicts " (Shown(first)) " and " (collateral - 1) " more" }
                @for url in others { div { (Shown(url)) } }
                @if *collateral > evicts.len() as u64 { div { "and " (collateral - evicts.len() as u64) " more" } }
            }
        }
    }
}

fn requests(report: &Report) -> Markup {
    let requests = &report.cost.requests;
    let counts = [
        ("LIST", requests.list),
        ("GET", requests.get),
        ("HEAD", requests.head),
        ("PUT", requests.put),
        ("DELETE", requests.delete),
        ("CreateInvalidation", requests.create_invalidation),
        ("CloudFront reads", requests.cloudfront_read),
    ];
    html! {
        p.note { @for (name, count) in counts { span.count { (count) " " (name) } } }
    }
}
