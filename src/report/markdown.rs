//! `--report FILE.md`: the report in Markdown, which GitHub shows as the summary of a job, and others as a comment.
//!
//! External text is never in a place where Markdown is interpreted: it is in blocks of HTML, in which Markdown has
//! no meaning and everything is escaped. A block ends at a blank line, and no external text contains a line break.
//! GitHub accepts a megabyte per step; a long list is cut well before.

use crate::deploy::change::Action;
use crate::escape::Shown;
use crate::outcome::Failure;
use crate::report::file::Ending;
use crate::report::page::{headline, sign};
use crate::report::sizes::Sizes;
use crate::report::{Fate, Report, ReportedChange};
use indicatif::DecimalBytes;
use maud::{Markup, PreEscaped, html};
use shipfront_invalidation::Invalidation;
use shipfront_site::Warning;

/// Longer lists are folded.
const SHORT_LIST: usize = 20;
/// Maximum size of one list, in bytes.
const MOST_BYTES: usize = 150_000;
/// Maximum number of invalidations whose items are named.
const MOST_INVALIDATIONS: usize = 3;
/// Maximum number of errors, and of warnings, to name.
const MOST_PROBLEMS: usize = 10;
/// Maximum size of an error or a warning in bytes, which may become four times as large in HTML.
const MOST_OF_PROBLEM: usize = 1_500;

/// The document.
pub(super) fn document(ending: &Ending<'_>) -> String {
    let blocks = match ending {
        Ending::Report(report) => of_report(report),
        Ending::Error { error, source, target } => vec![
            "## Nothing was changed".to_owned(),
            about(source, target, None).into_string(),
            problems(&[Failure::of(None, error)], &[]),
        ],
    };
    let blocks: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    blocks.join("\n\n") + "\n"
}

fn of_report(report: &Report) -> Vec<String> {
    let mut blocks = vec![
        format!("## {}", headline(report.outcome)),
        about(&report.source, &report.target, Some(report)).into_string(),
        problems(&report.errors, &report.warnings),
        counts(report),
    ];
    let changes: Vec<&ReportedChange> = report.changes.iter().filter(|change| change.is_visible()).collect();
    blocks.push(listed("change", &changes, |change| change_row(change)));
    for invalidation in report.invalidations.iter().take(MOST_INVALIDATIONS) {
        blocks.push(of_invalidation(invalidation, report));
    }
    if report.invalidations.len() > MOST_INVALIDATIONS {
        blocks.push(format!("... and {} more invalidations", report.invalidations.len() - MOST_INVALIDATIONS));
    }
    blocks.push(closing(report).into_string());
    blocks
}

/// The site's address, the source and the target.
fn about(source: &str, target: &str, report: Option<&Report>) -> Markup {
    html! {
        p {
            @if let Some(url) = report.and_then(|report| report.url.as_deref()) { a href=(url) { (url) } br; }
            code { (Shown(source)) } " → " code { (Shown(target)) }
            @if let Some(shard) = report.and_then(|report| report.shard.as_deref()) { ", shard " (shard) }
        }
    }
}

/// Errors with their hints, and warnings, as in the log.
fn problems(errors: &[Failure], warnings: &[Warning]) -> String {
    if errors.is_empty() && warnings.is_empty() {
        return String::new();
    }
    let more = |count: usize, what: &str| {
        let rest = count.saturating_sub(MOST_PROBLEMS);
        (rest > 0).then(|| format!("... and {rest} more {what}\n"))
    };
    let block = html! {
        pre {
            @for Failure { key, error, hint, .. } in errors.iter().take(MOST_PROBLEMS) {
                "error: " @if let Some(key) = key.as_ref().filter(|key| !error.contains(*key)) { (cut(key)) ": " } (cut(error)) "\n"
                @if let Some(hint) = hint { "hint: " (cut(hint)) "\n" }
            }
            (more(errors.len(), "errors").unwrap_or_default())
            @for warning in warnings.iter().take(MOST_PROBLEMS) { "warning: " (cut(&warning.to_string())) "\n" }
            (more(warnings.len(), "warnings").unwrap_or_default())
        }
    };
    block.into_string()
}

/// A text on one line, with a limited length.
fn cut(text: &str) -> String {
    let mut shown = Shown(text).to_string();
    if shown.len() > MOST_OF_PROBLEM {
        let end = (0..=MOST_OF_PROBLEM).rev().find(|&at| shown.is_char_boundary(at)).unwrap_or(0);
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// The numbers as a table.
fn counts(report: &Report) -> String {
    let objects = &report.objects;
    let planned = report.outcome.is_plan();
    let word = |done, to_do| if planned { to_do } else { done };
    let collateral: u64 = report.invalidations.iter().map(|invalidation| invalidation.collateral).sum();
    let all = [
        (word("uploaded", "to upload"), objects.uploaded.to_string(), true),
        (word("sent", "to send"), DecimalBytes(objects.bytes_uploaded).to_string(), true),
        ("unchanged", objects.kept.to_string(), true),
        (word("removed", "to remove"), objects.pruned.to_string(), objects.pruned > 0),
        ("not in the source, kept", objects.orphaned.to_string(), objects.orphaned > 0),
        ("unknown, left alone", objects.unknown.to_string(), objects.unknown > 0),
        ("not done", objects.failed.to_string(), objects.failed > 0),
        (word("paths invalidated", "paths to invalidate"), report.cost.paths.to_string(), true),
        (word("unchanged URLs evicted", "unchanged URLs to evict"), collateral.to_string(), collateral > 0),
    ];
    let shown: Vec<_> = all.iter().filter(|(.., is_shown)| *is_shown).collect();
    let row = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
    let names = row(shown.iter().map(|(name, ..)| *name).collect());
    let numbers = row(shown.iter().map(|(_, number, _)| number.as_str()).collect());
    format!("{names}\n{}\n{numbers}", row(vec!["---:"; shown.len()]))
}

/// A list under its count, folded if it is long.
fn listed<T>(noun: &str, entries: &[T], row: impl Fn(&T) -> Markup) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    let mut named = 0;
    for entry in entries {
        let row = row(entry).into_string();
        if rows.len() + row.len() > MOST_BYTES {
            break;
        }
        rows.push('\n');
        rows.push_str(&row);
        named += 1;
    }
    let rest = entries.len() - named;
    let block = html! {
        details open[entries.len() <= SHORT_LIST] {
            summary { (entries.len()) " " (noun) @if entries.len() != 1 { "s" } }
            table {
                (PreEscaped(rows))
                @if rest > 0 { tr { td { "... and " (rest) " more: the JSON report names all" } } }
            }
        }
    };
    block.into_string()
}

fn change_row(change: &ReportedChange) -> Markup {
    let fate = match change.fate {
        Fate::Failed => ", failed",
        Fate::NotBegun => ", not done",
        Fate::Planned | Fate::Done => "",
    };
    let size = Sizes::of(std::iter::once(change)).text("→");
    html! {
        tr {
            td { (sign(change)) }
            td { code { (Shown(&change.key)) } }
            td { @if change.action != Action::Evict { (size) } }
            td { (change.reason.text()) (fate) }
        }
    }
}

fn of_invalidation(invalidation: &Invalidation, report: &Report) -> String {
    let Invalidation { distribution, id, status, items, viewer_paths, .. } = invalidation;
    let urls = if *viewer_paths == 1 { "URL" } else { "URLs" };
    let what = html! {
        p {
            "Invalidation " @if let Some(id) = id { code { (Shown(id)) } " " } "on " (Shown(distribution))
            @if !report.outcome.is_plan() { ", " (status) }
            @if *viewer_paths > 0 { ", for " (viewer_paths) " changed " (urls) }
            ":"
        }
    };
    format!(
        "{}\n\n{}",
        what.into_string(),
        listed("path", items, |item| html! { tr { td { code { (Shown(item)) } } } })
    )
}

/// The cost, and the ID of the deploy.
fn closing(report: &Report) -> Markup {
    html! {
        p {
            "Cost at list prices: " (report.cost) "."
            @if let Some(allowance) = &report.allowance { br; (allowance) }
            @if let Some(verified) = &report.verified {
                br; (verified.headline()) " " code { (Shown(&verified.site)) } ": " (verified.verdict())
            }
            br; "Deploy " code { (Shown(&report.deploy)) } ", " (format!("{:.1} s", report.seconds.total))
            ", shipfront " (report.shipfront)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::change::{Reason, Wave};
    use crate::deploy::run::Run;
    use crate::escape::tests::{hostile, is_seen};
    use crate::terminal::{Terminal, Volume};
    use proptest::prelude::*;

    fn change(key: &str) -> ReportedChange {
        ReportedChange {
            key: key.into(),
            action: Action::Upload,
            reason: Reason::New,
            wave: Wave::Pages,
            bytes: 1000,
            bytes_before: None,
            late: false,
            fate: Fate::Done,
            error: None,
        }
    }

    fn report() -> Report {
        Report::new(Run::of_nothing(), &Terminal::new(Volume::Quiet, false))
    }

    #[test]
    fn a_long_list_is_folded_and_a_very_long_one_is_cut_before_github_refuses_it() {
        let text = |changes: usize, key: &str| {
            let changes = (0..changes).map(|at| change(&format!("{at}{key}"))).collect();
            document(&Ending::Report(&Report { changes, ..report() }))
        };
        assert!(text(20, ".html").contains("<details open><summary>20 changes</summary>"));
        assert!(text(21, ".html").contains("<details><summary>21 changes</summary>"));
        let long = text(20_000, &"<".repeat(900));
        assert!(long.len() < 200_000 && long.contains(" more: the JSON report names all"), "{}", long.len());
        let mut worst = report();
        let long = "<".repeat(100_000);
        worst.warnings = vec![Warning::new(&long, &long); 100];
        let error = crate::error::Error::failed(long.clone()).hint(long.clone());
        worst.errors = vec![Failure::of(Some(&"&".repeat(1024)), &error); 100];
        let distribution = shipfront_invalidation::DistributionId::Distribution("E1".to_owned());
        worst.invalidations = vec![Invalidation::of_items(distribution, vec!["<".repeat(4000); 1000]); 9];
        worst.changes = (0..100_000).map(|_| change(&"<".repeat(1024))).collect();
        let text = document(&Ending::Report(&worst));
        assert!(text.len() < 1 << 20, "GitHub takes a MiB of a step: {}", text.len());
    }

    proptest! {
        #[test]
        fn text_of_others_ends_no_block_and_hides_nothing(text in hostile()) {
            let mut report = report();
            report.changes = vec![change(&text), change(&format!("<img src=x>{text}"))];
            report.warnings = vec![Warning::new(&text, &text)];
            report.errors = vec![Failure { key: Some(text.clone()), hint: Some(text.clone()),
                ..Failure::of(None, &crate::error::Error::failed(text.clone())) }];
            report.source = text.clone();
            report.target = text.clone();
            report.deploy = text.clone();
            let shown = document(&Ending::Report(&report));
            report.changes = vec![change("a"), change("b")];
            for text in [&mut report.source, &mut report.target, &mut report.deploy] { *text = "plain".to_owned(); }
            report.warnings = vec![Warning::new("plain", "plain")];
            report.errors = vec![Failure { key: Some("plain".to_owned()), hint: Some("plain".to_owned()),
                ..Failure::of(None, &crate::error::Error::failed("other")) }];
            let plain = document(&Ending::Report(&report));
            prop_assert_eq!(shown.lines().count(), plain.lines().count());
            for (shown, plain) in shown.lines().zip(plain.lines()) {
                prop_assert_eq!(shown.is_empty(), plain.is_empty(), "a blank line ends a block");
                prop_assert!(is_seen(shown) && !shown.contains("<img"), "{:?}", shown);
                prop_assert_eq!(shown.starts_with('<'), plain.starts_with('<'), "{:?}", shown);
            }
        }
    }
}
