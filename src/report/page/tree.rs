//! The changes as a tree of folders that open and close, without a script.

use crate::escape::Shown;
use crate::report::page::ink;
use crate::report::sizes::Sizes;
use crate::report::{Fate, ReportedChange};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Files that are named; a page with more of them is slow to open, and `--json` names all.
const MOST_FILES: usize = 5000;
/// With no more than these, all folders are open.
const FEW_FILES: usize = 60;

/// The tree of all changes, which come in key order.
pub(super) fn tree(changes: &[ReportedChange]) -> Markup {
    let named: Vec<&ReportedChange> = changes.iter().take(MOST_FILES).collect();
    html! {
        div.tree { (below(&named, 0, named.len() <= FEW_FILES)) }
        @if changes.len() > named.len() {
            p.note { "and " (changes.len() - named.len()) " more: --json names all" }
        }
    }
}

/// What is in a folder: the changes whose keys begin with the same `start` bytes.
fn below(changes: &[&ReportedChange], start: usize, open: bool) -> Markup {
    let mut folders: BTreeMap<&str, Vec<&ReportedChange>> = BTreeMap::new();
    let mut files = Vec::new();
    for &change in changes {
        match change.key[start..].find('/') {
            Some(slash) => folders.entry(&change.key[start..=start + slash]).or_default().push(change),
            None => files.push(change),
        }
    }
    html! {
        ul {
            @for (name, changes) in folders { li { (folder(name, &changes, start, open)) } }
            @for change in files { li { (file(change, &change.key[start..])) } }
        }
    }
}

fn folder(name: &str, changes: &[&ReportedChange], start: usize, open: bool) -> Markup {
    let sizes = Sizes::of(changes.iter().copied());
    let undone = changes.iter().filter(|change| is_undone(change)).count();
    html! {
        details open[open] {
            summary {
                span.name { (Shown(name)) }
                @if undone > 0 { span.why.failed { (undone) " not done" } }
                span.why { (changes.len()) @if changes.len() == 1 { " change" } @else { " changes" } }
                span.size { (sizes.text("→")) }
            }
            (below(changes, start + name.len(), open))
        }
    }
}

fn file(change: &ReportedChange, name: &str) -> Markup {
    let ink = ink(change);
    html! {
        div.file {
            span class=(format!("sign {}", ink.class())) { (ink.sign()) }
            span.name { (Shown(name)) }
            @if is_undone(change) {
                span.why.failed { @if change.fate == Fate::Failed { "failed" } @else { "not done" } }
            }
            span.why { (change.reason.word()) }
            span.size { (Sizes::of(std::iter::once(change)).text("→")) }
        }
    }
}

fn is_undone(change: &ReportedChange) -> bool {
    matches!(change.fate, Fate::Failed | Fate::NotBegun)
}
