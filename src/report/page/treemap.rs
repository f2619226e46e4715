//! Treemaps: rectangles whose area represents size. Uploads by bytes, evictions by URLs.

use crate::escape::{Shown, escaped};
use crate::report::ReportedChange;
use crate::report::page::verdict::counted;
use crate::report::page::{Ink, ink};
use crate::report::sizes::Sizes;
use indicatif::DecimalBytes;
use maud::{Markup, html};
use shipfront_invalidation::{Coverage, Invalidation};
use std::collections::BTreeMap;

/// The width of the drawing, in its own units.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 340.0;
/// The height of a folder's name.
const TITLE: f64 = 17.0;
/// The approximate width of a letter.
const LETTER: f64 = 6.6;
/// Areas that are smaller in either direction are not divided further.
const SMALL: f64 = 26.0;
/// Maximum depth of folders: deeper ones are too small to be seen.
const DEEPEST: usize = 24;
/// Maximum number of evicted URLs per named one.
const MOST_BESIDE: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// A folder, or a leaf with its color.
struct Node {
    name: String,
    title: String,
    size: f64,
    ink: Ink,
    below: Vec<Node>,
}

/// What was uploaded and removed, by bytes, in its folders. `None` if there is nothing.
pub(super) fn of_changes(changes: &[ReportedChange]) -> Option<Markup> {
    let changes: Vec<&ReportedChange> = changes.iter().filter(|change| change.action.moves_bytes()).collect();
    let total: u64 = changes.iter().map(|change| change.bytes).sum();
    if changes.is_empty() {
        return None;
    }
    // An empty file must still be visible.
    let least = (total as f64 / 2000.0).max(1.0);
    let root = folder("", &changes, (0, 0), least);
    let title = format!("{}, each as large as its size", counted(changes.len(), "file", "files"));
    Some(draw(root.below, &title))
}

/// What the items evict, by URLs. `None` if there is nothing.
pub(super) fn of_evictions(invalidations: &[Invalidation]) -> Option<Markup> {
    let nodes: Vec<Node> = invalidations.iter().flat_map(|invalidation| &invalidation.coverage).map(item).collect();
    let title =
        format!("{}, each as large as the number of URLs that it evicts", counted(nodes.len(), "path", "paths"));
    (!nodes.is_empty()).then(|| draw(nodes, &title))
}

fn item(coverage: &Coverage) -> Node {
    let Coverage { item, covers, collateral, evicts, .. } = coverage;
    let leaf = |name: String, count: u64, ink| Node {
        title: format!("{}: {}", Shown(item), Shown(&name)),
        name: escaped(&name).into_owned(),
        size: count as f64,
        ink,
        below: Vec::new(),
    };
    // Names that would be slivers next to the rest could not be read.
    let named = if collateral / MOST_BESIDE <= evicts.len() as u64 { &evicts[..] } else { &[] };
    let rest = collateral.saturating_sub(named.len() as u64);
    let more = if named.is_empty() { "" } else { "more " };
    let changed = leaf(format!("{covers} changed"), *covers, Ink::Changed);
    let named = named.iter().map(|url| leaf(url.clone(), 1, Ink::Evicted));
    let leaves =
        std::iter::once(changed).chain(named).chain([leaf(format!("{rest} {more}unchanged"), rest, Ink::Evicted)]);
    let several = coverage.is_several();
    let below: Vec<Node> = leaves.filter(|leaf| several && leaf.size > 0.0).collect();
    Node {
        name: escaped(item).into_owned(),
        title: format!("{}: {covers} changed and {collateral} unchanged URLs", Shown(item)),
        size: ((covers + collateral) as f64).max(1.0),
        ink: Ink::Changed,
        below,
    }
}

/// The tree of the changes whose keys share their first `start` bytes, at this depth.
fn folder(name: &str, changes: &[&ReportedChange], (start, depth): (usize, usize), least: f64) -> Node {
    let mut folders: BTreeMap<&str, Vec<&ReportedChange>> = BTreeMap::new();
    let mut below = Vec::new();
    for &change in changes {
        match change.key[start..].find('/').filter(|_| depth < DEEPEST) {
            Some(slash) => folders.entry(&change.key[start..=start + slash]).or_default().push(change),
            None => below.push(Node {
                name: escaped(&change.key[start..]).into_owned(),
                title: {
                    let size = Sizes::of(std::iter::once(change)).text("→");
                    format!("{}: {}, {size}", Shown(&change.key), change.reason.text())
                },
                size: (change.bytes as f64).max(least),
                ink: ink(change),
                below: Vec::new(),
            }),
        }
    }
    below.extend(
        folders.into_iter().map(|(name, changes)| folder(name, &changes, (start + name.len(), depth + 1), least)),
    );
    let bytes: u64 = changes.iter().map(|change| change.bytes).sum();
    let first = changes.first().map_or(Ink::Changed, |change| ink(change));
    Node {
        name: escaped(name).into_owned(),
        title: format!("{}: {}, {}", Shown(name), counted(changes.len(), "file", "files"), DecimalBytes(bytes)),
        size: below.iter().map(|node| node.size).sum(),
        ink: if changes.iter().all(|change| ink(change) == first) { first } else { Ink::Changed },
        below,
    }
}

fn draw(nodes: Vec<Node>, title: &str) -> Markup {
    let area = Area { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT };
    html! {
        svg.treemap viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) preserveAspectRatio="none" { (draw_all(nodes, area)) }
    }
}

fn draw_all(mut nodes: Vec<Node>, area: Area) -> Markup {
    nodes.sort_by(|a, b| b.size.total_cmp(&a.size));
    let sizes: Vec<f64> = nodes.iter().map(|node| node.size).collect();
    let areas = squarify(&sizes, area);
    html! {
        @for (node, area) in nodes.into_iter().zip(areas) { (draw_one(node, area)) }
    }
}

fn draw_one(node: Node, area: Area) -> Markup {
    let Area { x, y, width, height } = area;
    let divided = !node.below.is_empty() && width >= SMALL && height >= SMALL + TITLE;
    let inner = Area { x: x + 2.0, y: y + TITLE, width: width - 4.0, height: height - TITLE - 2.0 };
    let letters = ((width - 8.0) / LETTER).max(0.0) as usize;
    let is_url = node.ink == Ink::Evicted && node.name.starts_with('/');
    let label = (letters >= 3 && height >= TITLE).then(|| shortened(&node.name, letters, is_url));
    let class = if divided { "folder" } else { node.ink.class() };
    html! {
        g {
            title { (node.title) }
            rect class=(class) x=(number(x)) y=(number(y)) width=(number(width.max(0.0))) height=(number(height.max(0.0))) {}
            @if let Some(label) = label { text x=(number(x + 4.0)) y=(number(y + 12.5)) { (label) } }
        }
        @if divided { (draw_all(node.below, inner)) }
    }
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

/// As much of a name as fits: for a URL its end, because those of one item have the same beginning.
fn shortened(name: &str, letters: usize, end: bool) -> String {
    let all = name.chars().count();
    let most = letters.saturating_sub(1);
    if all <= letters {
        name.to_owned()
    } else if end {
        format!("…{}", name.chars().skip(all - most).collect::<String>())
    } else {
        format!("{}…", name.chars().take(most).collect::<String>())
    }
}

/// Rectangles for decreasing sizes, as square as possible, row by row (Bruls, Huizing and van Wijk, 2000).
fn squarify(sizes: &[f64], mut free: Area) -> Vec<Area> {
    let total: f64 = sizes.iter().sum();
    let scale = if total > 0.0 { free.width * free.height / total } else { 0.0 };
    let mut areas = Vec::with_capacity(sizes.len());
    let mut rest = sizes;
    while !rest.is_empty() {
        let short = free.width.min(free.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], short, scale) <= worst(&rest[..count], short, scale) {
            count += 1;
        }
        let (row, left) = rest.split_at(count);
        rest = left;
        let sum: f64 = row.iter().sum::<f64>() * scale;
        let depth = if short > 0.0 { sum / short } else { 0.0 };
        let mut along = 0.0;
        for size in row {
            let length = if depth > 0.0 { size * scale / depth } else { 0.0 };
            areas.push(if free.width >= free.height {
                Area { x: free.x, y: free.y + along, width: depth, height: length }
            } else {
                Area { x: free.x + along, y: free.y, width: length, height: depth }
            });
            along += length;
        }
        if free.width >= free.height {
            free = Area { x: free.x + depth, width: free.width - depth, ..free };
        } else {
            free = Area { y: free.y + depth, height: free.height - depth, ..free };
        }
    }
    areas
}

/// The worst aspect ratio of a row's rectangles.
fn worst(row: &[f64], short: f64, scale: f64) -> f64 {
    let sum: f64 = row.iter().sum::<f64>() * scale;
    let (largest, least) = (row[0] * scale, row[row.len() - 1] * scale);
    let (side, sum) = (short * short, sum * sum);
    if sum == 0.0 || least == 0.0 || side == 0.0 {
        return f64::INFINITY;
    }
    (side * largest / sum).max(sum / (side * least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rectangles_fill_the_area_in_proportion_and_stay_within_it(mut sizes in proptest::collection::vec(1.0..1e6f64, 1..60)) {
            sizes.sort_by(|a, b| b.total_cmp(a));
            let area = Area { x: 3.0, y: 5.0, width: 400.0, height: 150.0 };
            let areas = squarify(&sizes, area);
            let total: f64 = sizes.iter().sum();
            prop_assert_eq!(areas.len(), sizes.len());
            for (size, rectangle) in sizes.iter().zip(&areas) {
                let share = rectangle.width * rectangle.height / (area.width * area.height);
                prop_assert!((share - size / total).abs() < 1e-6, "{share} {}", size / total);
                prop_assert!(rectangle.x >= 3.0 - 1e-6 && rectangle.x + rectangle.width <= 403.0 + 1e-6);
                prop_assert!(rectangle.y >= 5.0 - 1e-6 && rectangle.y + rectangle.height <= 155.0 + 1e-6);
            }
        }
    }
}
