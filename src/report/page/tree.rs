//! The changes: a few as a list, many as a tree of folders that open and close without a script.

use crate::escape::Shown;
use crate::report::page::verdict::counted;
use crate::report::page::{MANY, ink};
use crate::report::sizes::Sizes;
use crate::report::{Fate, ReportedChange};
use crate::wording::grouped;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Maximum number of files to name; a page with more is slow to open, and `--json` names all.
const MOST_FILES: usize = 5000;
/// Maximum number of files for which all folders are open.
const FEW_FILES: usize = 60;
/// Maximum depth of folders; anything deeper is named with the rest of its path.
const DEEPEST: usize = 24;

/// All changes, in key order.
pub(super) fn changes(changes: &[&ReportedChange]) -> Markup {
    let named = &changes[..changes.len().min(MOST_FILES)];
    html! {
        div.tree {
            @if changes.len() < MANY {
                ul { @for change in named { li { (file(change, &change.key)) } } }
            } @else {
                (below(named, (0, 0), named.len() <= FEW_FILES))
            }
        }
        @if changes.len() > named.len() {
            p.note { "and " (grouped((changes.len() - named.len()) as u64)) " more: --json names all" }
        }
    }
}

/// The contents of a folder at this depth: the changes whose keys share their first `start` bytes.
fn below(changes: &[&ReportedChange], (start, depth): (usize, usize), open: bool) -> Markup {
    let mut folders: BTreeMap<&str, Vec<&ReportedChange>> = BTreeMap::new();
    let mut files = Vec::new();
    for &change in changes {
        match change.key[start..].find('/').filter(|_| depth < DEEPEST) {
            Some(slash) => folders.entry(&change.key[start..=start + slash]).or_default().push(change),
            None => files.push(change),
        }
    }
    html! {
        ul {
            @for (name, changes) in folders { li { (folder(name, &changes, (start, depth), open)) } }
            @for change in files { li { (file(change, &change.key[start..])) } }
        }
    }
}

fn folder(name: &str, changes: &[&ReportedChange], (start, depth): (usize, usize), open: bool) -> Markup {
    let sizes = Sizes::of(changes.iter().copied());
    let undone = changes.iter().filter(|change| is_undone(change)).count();
    html! {
        details open[open] {
            summary {
                span.name { (Shown(name)) }
                span.what {
                    @if undone > 0 { span.failed { (grouped(undone as u64)) " not done" } }
                    span { (counted(changes.len(), "change", "changes")) }
                    span.size { (sizes.text("→")) }
                }
            }
            (below(changes, (start + name.len(), depth + 1), open))
        }
    }
}

fn file(change: &ReportedChange, name: &str) -> Markup {
    let ink = ink(change);
    html! {
        div.file {
            span class=(format!("sign {}", ink.class())) aria-hidden="true" { (ink.sign()) }
            span.name { (Shown(name)) }
            span.what {
                @if is_undone(change) {
                    span.failed { @if change.fate == Fate::Failed { "failed" } @else { "not done" } }
                }
                span { (change.reason.text()) }
                span.size { (Sizes::of(std::iter::once(change)).text("→")) }
            }
        }
    }
}

fn is_undone(change: &ReportedChange) -> bool {
    matches!(change.fate, Fate::Failed | Fate::NotBegun)
}
