//! `--report FILE.html`: the report as one self-contained page, to view or to keep.
//!
//! What changed comes first. The markup escapes everything; the page runs no script and loads nothing, which its
//! Content-Security-Policy enforces as well.

mod figures;
mod invalidation;
mod tree;
mod treemap;
mod verdict;

use crate::deploy::change::{Action, Reason};
use crate::deploy::rules::FunctionChange;
use crate::deploy::timeline::Span;
use crate::escape::{self, Shown};
use crate::outcome::{Failure, Outcome};
use crate::record::intent::left_by;
use crate::record::lease::time;
use crate::report::Report;
use crate::report::file::Ending;
use crate::report::provenance::{Named, Provenance, is_web};
use crate::report::{Fate, ReportedChange};
use crate::wording::grouped;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use shipfront_site::Warning;
use verdict::Mood;

const STYLE: &str = include_str!("page/style.css");
/// From this many changes on, folders and treemaps help; fewer are a list.
const MANY: usize = 30;
/// Maximum number of hidden files to name.
const MOST_HIDDEN: usize = 20;

/// The color of a change.
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

/// The symbol of a change.
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
pub(super) fn page(ending: &Ending<'_>, at: Timestamp, provenance: &Provenance) -> String {
    let (title, target, body) = match ending {
        Ending::Report(report) => {
            (verdict::of_report(report), report.target.as_str(), of_report(report, at, provenance))
        }
        Ending::Error { error, source, target } => {
            let failure = Failure::of(None, error);
            let title = verdict::of_error(error);
            let body = html! {
                (header(Mood::Bad, &title, (source, target), at, provenance, None))
                (problems(std::slice::from_ref(&failure), &[]))
            };
            (title, *target, body)
        }
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { (title) ": " (Shown(target)) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } footer { "shipfront " (env!("CARGO_PKG_VERSION")) } }
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

fn of_report(report: &Report, at: Timestamp, provenance: &Provenance) -> Markup {
    let visible: Vec<&ReportedChange> = report.changes.iter().filter(|change| change.is_visible()).collect();
    let is_large = visible.len() >= MANY;
    let (mood, title) = (Mood::of(report.outcome), verdict::of_report(report));
    html! {
        (header(mood, &title, (&report.source, &report.target), at, provenance, Some(report)))
        (problems(&report.errors, &report.warnings))
        (figures::figures(report))
        @if !visible.is_empty() { section { h2 { "Changes" } (tree::changes(&visible)) (hidden(report)) } }
        @if let Some(map) = treemap::of_changes(&report.changes).filter(|_| is_large) {
            section.wide { h2 { "Changes by size" } (map) (legend(&[Ink::New, Ink::Changed, Ink::Removed, Ink::Undone])) }
        }
        @for each in &report.invalidations { (invalidation::section(each)) }
        @if let Some(map) = treemap::of_evictions(&report.invalidations).filter(|_| is_large) {
            section.wide { h2 { "Evicted URLs by path" } (map) (legend(&[Ink::Changed, Ink::Evicted])) }
        }
        (rules(report))
        (verified(report))
        @if !report.timeline.is_empty() { section { h2 { "Time" } (timeline(&report.timeline, report.seconds.total)) } }
        section {
            h2 { "Cost" }
            p { "At list prices, " (report.cost) "." }
            @if let Some(allowance) = &report.allowance { p { (allowance) "." } }
            (requests(report))
        }
    }
}

fn header(
    mood: Mood,
    title: &str,
    (source, target): (&str, &str),
    at: Timestamp,
    provenance: &Provenance,
    report: Option<&Report>,
) -> Markup {
    html! {
        header class=(mood.class()) {
            h1 { (title) }
            @if let Some(url) = report.and_then(|report| report.url.as_deref()) { p.site { (link(Some(url), url)) } }
            p { code { (Shown(source)) } " → " code { (Shown(target)) } }
            p.note {
                (time(at))
                @if let Some(report) = report { " · " (format!("{:.1} s", report.seconds.total)) }
                @if let Some(Named { name, url }) = &provenance.commit { " · commit " (link(url.as_deref(), name)) }
                @if let Some(Named { name, url }) = &provenance.build { " · " (link(url.as_deref(), name)) }
                @if let Some(report) = report {
                    @if !report.deploy.is_empty() { " · deploy " (Shown(&report.deploy)) }
                    @if let Some(shard) = &report.shard { " · assets of shard " (shard) }
                    @if let Some(recovered) = &report.recovered {
                        " · finished " (Shown(left_by(&recovered.deploy))) ": " (grouped(recovered.keys)) @if recovered.keys == 1 { " key" } @else { " keys" }
                    }
                }
            }
        }
    }
}

/// A link, if the URL is a web address; otherwise only the text.
fn link(url: Option<&str>, text: &str) -> Markup {
    html! {
        @if let Some(url) = url.filter(|url| is_web(url)) { a href=(url) rel="noopener noreferrer" { (Shown(text)) } }
        @else { (Shown(text)) }
    }
}

fn problems(errors: &[Failure], warnings: &[Warning]) -> Markup {
    let title = match (errors.len(), warnings.len()) {
        (0, 1) => "Warning",
        (0, _) => "Warnings",
        (1, 0) => "What is wrong",
        _ => "Problems",
    };
    html! {
        @if !errors.is_empty() || !warnings.is_empty() {
            section.problems {
                h2 { (title) }
                @for Failure { key, error, hint, .. } in errors {
                    div.problem.error {
                        p {
                            strong { "Error: " }
                            @if let Some(key) = key.as_ref().filter(|key| !error.contains(*key)) { code { (Shown(key)) } ": " }
                            (Shown(error))
                        }
                        @if let Some(hint) = hint { p.note { "hint: " (Shown(hint)) } }
                    }
                }
                @for warning in warnings { div.problem { p { strong { "Warning: " } (Shown(warning)) } } }
            }
        }
    }
}

/// What was left out of the source, so that nobody looks for it.
fn hidden(report: &Report) -> Markup {
    let more = report.hidden.len().saturating_sub(MOST_HIDDEN);
    html! {
        @if !report.hidden.is_empty() {
            p.note {
                "Hidden files are left out: "
                @for (at, name) in report.hidden.iter().take(MOST_HIDDEN).enumerate() {
                    @if at > 0 { ", " }
                    code { (Shown(name)) }
                }
                @if more > 0 { ", and " (more) " more" }
            }
        }
    }
}

/// The functions whose rules change.
fn rules(report: &Report) -> Markup {
    html! {
        @for function in report.rules.iter().filter(|function| function.change != FunctionChange::Unchanged) {
            section {
                h2 { "Rules: " (function.function) }
                p { "Function " code { (Shown(&function.name)) } ": " (function.change.word()) }
                ul.rules {
                    @for line in &function.lines {
                        li { code { (Shown(&line.rule)) } " " (line.change.word()) @if let Some(reason) = &line.reason { ": " (Shown(reason)) } }
                    }
                }
            }
        }
    }
}

/// The result of `--verify`; problems are among the errors.
fn verified(report: &Report) -> Markup {
    html! {
        @if let Some(verified) = &report.verified {
            section {
                h2 { "Verification" }
                p { (verified.headline()) " " (link(Some(&verified.site), &verified.site)) ": " (verified.verdict()) }
            }
        }
    }
}

/// The stages as bars, one below another.
fn timeline(spans: &[Span], total: f64) -> Markup {
    let total = spans.iter().fold(total, |total, span| total.max(span.end)).max(f64::EPSILON);
    let percent = |seconds: f64| seconds / total * 100.0;
    html! {
        div.timeline {
            @for Span { stage, start, end } in spans {
                div.stage { (stage) }
                div.track aria-hidden="true" {
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
        p.note { @for (name, count) in counts { span.count { (count) " " (name) } " " } }
    }
}
