//! Replays a site's real deploys through the planner of invalidations, and tells what each strategy
//! would have sent and evicted: `cargo run --release --example replay -- HISTORY --max-paths 15`.
//!
//! A history is one JSON object a line, one line a deploy: `put` holds `[key, etag, size,
//! [references]]` rows, `delete` holds keys; the first line is the first deploy. A viewer path is
//! here plainly `/` and the key, without directory forms, so that strategies can be compared on
//! equal terms. A put of the same ETag changes nothing.
//!
//! The paths of a deploy are those of the site before it and after it. Collateral counts the ones
//! that were there before and stay as they are; a path that the deploy creates has no cached copy
//! to lose, so it is no collateral, and is not cleared either unless `--count-created` asks for it
//! (shipfront does clear it: error pages are cached too).

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use flate2::read::MultiGzDecoder;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use shipfront::invalidation::cover::{Reach, SitePath, cover};

/// Replays a history of deploys through the planner of invalidations.
#[derive(Parser)]
struct Options {
    /// The history: one JSON line a deploy; unpacked if its name ends in `.gz`
    history: PathBuf,
    /// The most items that `cover` and `exact` send for a deploy
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    max_paths: u32,
    /// A strategy to replay; may be repeated [default: all four]
    #[arg(long = "strategy", value_name = "STRATEGY")]
    strategies: Vec<Strategy>,
    /// Clear created paths too
    #[arg(long)]
    count_created: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How to choose the items of a deploy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Strategy {
    /// The least collateral that the budget allows
    Cover,
    /// `/*` whenever something changes
    All,
    /// Each path, or `/*` past the budget
    Exact,
    /// Directories until at most eight are left, or `/*`, as bep/s3deploy has it
    Collapse,
}

impl Strategy {
    /// The items for the changed paths of a deploy, which are at least one; `unchanged` is the rest
    /// of the site.
    fn items(self, changed: &BTreeSet<&str>, unchanged: &BTreeSet<&str>, budget: usize) -> BTreeSet<String> {
        let everything = || BTreeSet::from(["/*".to_owned()]);
        match self {
            Strategy::Cover => {
                let unchanged = unchanged.iter().map(|path| SitePath::unchanged(path));
                let changed = changed.iter().map(|path| SitePath::changed(path, Reach::Any));
                let universe: Vec<SitePath<'_>> = unchanged.chain(changed).collect();
                cover(&universe, budget).items.into_iter().map(|item| item.text).collect()
            }
            Strategy::Exact if changed.len() <= budget => changed.iter().map(|path| (*path).to_owned()).collect(),
            Strategy::All | Strategy::Exact => everything(),
            Strategy::Collapse => collapse(changed).unwrap_or_else(everything),
        }
    }
}

/// The threshold of s3deploy, which cannot be set.
const COLLAPSE_THRESHOLD: usize = 8;

/// Collapses paths the way s3deploy does: level by level from the deepest, whatever lies below the
/// level becomes a wildcard two directories further up (a file's directory, then its parent; never
/// above the first directory). `None` if more than the threshold are left. It also sends `/dir/`
/// for `/dir/index.html`; that is about viewer paths, and left out.
fn collapse(changed: &BTreeSet<&str>) -> Option<BTreeSet<String>> {
    let slashes = |path: &str| path.matches('/').count();
    let mut items: BTreeSet<String> = changed.iter().map(|path| (*path).to_owned()).collect();
    let deepest = items.iter().map(|path| slashes(path)).max().unwrap_or(0);
    for level in (1..=deepest).rev() {
        if items.len() <= COLLAPSE_THRESHOLD {
            break;
        }
        items = items
            .into_iter()
            .map(|path| {
                if slashes(&path) <= level {
                    return path;
                }
                let directories: Vec<&str> = path.split('/').skip(1).collect();
                let kept = directories.len().saturating_sub(2).max(1);
                format!("/{}/*", directories[..kept].join("/"))
            })
            .collect();
    }
    (items.len() <= COLLAPSE_THRESHOLD).then_some(items)
}

/// How many of `paths` the items evict, counted anew and not taken from the planner.
fn evicted(items: &BTreeSet<String>, paths: &BTreeSet<&str>) -> usize {
    let mut total = 0;
    let mut outer: Option<&str> = None;
    // In their order, an item that another includes comes after it.
    let mut prefixes: Vec<&str> = items.iter().filter_map(|item| item.strip_suffix('*')).collect();
    prefixes.sort_unstable();
    for prefix in prefixes {
        if outer.is_none_or(|outer| !prefix.starts_with(outer)) {
            total += paths.range(prefix..).take_while(|path| path.starts_with(prefix)).count();
            outer = Some(prefix);
        }
    }
    total
}

/// One line of a history.
#[derive(Deserialize)]
struct Deploy {
    put: Vec<Put>,
    delete: Vec<String>,
}

/// Key, ETag, and what does not matter to paths: the size and the references.
#[derive(Deserialize)]
struct Put(String, String, IgnoredAny, IgnoredAny);

/// What a deploy does to a path that it touches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    /// Other bytes, or none any more.
    Changed,
    Created,
}

/// The site between two deploys: the ETag of each viewer path.
#[derive(Default)]
struct Site(BTreeMap<String, String>);

impl Site {
    /// What a deploy would do, by path.
    fn touched_by(&self, deploy: &Deploy) -> BTreeMap<String, Touch> {
        let mut touched = BTreeMap::new();
        for key in &deploy.delete {
            let path = viewer_path(key);
            if self.0.contains_key(&path) {
                touched.insert(path, Touch::Changed);
            }
        }
        for Put(key, etag, ..) in &deploy.put {
            let path = viewer_path(key);
            match self.0.get(&path) {
                Some(known) if known == etag => touched.remove(&path),
                Some(_) => touched.insert(path, Touch::Changed),
                None => touched.insert(path, Touch::Created),
            };
        }
        touched
    }

    fn apply(&mut self, deploy: Deploy) {
        for key in deploy.delete {
            self.0.remove(&viewer_path(&key));
        }
        self.0.extend(deploy.put.into_iter().map(|Put(key, etag, ..)| (viewer_path(&key), etag)));
    }
}

fn viewer_path(key: &str) -> String {
    format!("/{key}")
}

/// What a replay tells; `--json` prints it as it is.
#[derive(Serialize)]
struct Report {
    /// Lines of the history.
    deploys: usize,
    /// Deploys for which there was something to clear.
    #[serde(skip)]
    invalidating: usize,
    /// Changed and deleted paths, over all deploys.
    changed: usize,
    created: usize,
    strategies: BTreeMap<Strategy, Totals>,
}

/// A strategy's sums over all deploys.
#[derive(Clone, Copy, Default, Serialize)]
struct Totals {
    items: usize,
    /// Unchanged paths evicted.
    collateral: usize,
    /// Deploys for which `/*` was sent.
    fallbacks: usize,
}

/// Replays the lines of a history.
fn replay(history: impl BufRead, options: &Options) -> Result<Report, Box<dyn Error>> {
    let chosen = if options.strategies.is_empty() { Strategy::value_variants() } else { &options.strategies };
    let strategies = chosen.iter().map(|strategy| (*strategy, Totals::default())).collect();
    let mut report = Report { deploys: 0, invalidating: 0, changed: 0, created: 0, strategies };
    let mut site = Site::default();
    for (index, line) in history.lines().enumerate() {
        let deploy: Deploy = serde_json::from_str(&line?).map_err(|error| format!("line {}: {error}", index + 1))?;
        let touched = site.touched_by(&deploy);
        let created = touched.values().filter(|touch| **touch == Touch::Created).count();
        report.deploys += 1;
        report.created += created;
        report.changed += touched.len() - created;

        let clears = |touch: Touch| touch == Touch::Changed || options.count_created;
        let changed: BTreeSet<&str> =
            touched.iter().filter(|(_, touch)| clears(**touch)).map(|(path, _)| path.as_str()).collect();
        if !changed.is_empty() {
            report.invalidating += 1;
            let unchanged: BTreeSet<&str> =
                site.0.keys().map(String::as_str).filter(|path| !touched.contains_key(*path)).collect();
            for (strategy, totals) in &mut report.strategies {
                let items = strategy.items(&changed, &unchanged, options.max_paths as usize);
                totals.items += items.len();
                totals.collateral += evicted(&items, &unchanged);
                totals.fallbacks += usize::from(items.contains("/*"));
            }
        }
        site.apply(deploy);
    }
    Ok(report)
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(reader)))
}

fn print_table(report: &Report, options: &Options) {
    let Report { deploys, invalidating, changed, created, .. } = report;
    println!("{deploys} deploys, {invalidating} of them with paths to clear; at most {} items each", options.max_paths);
    println!("{changed} paths changed or deleted, {created} created");
    println!();
    println!("{:<10} {:>8} {:>12} {:>10}", "strategy", "items", "collateral", "sent /*");
    for (strategy, totals) in &report.strategies {
        let name = strategy.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        println!("{name:<10} {:>8} {:>12} {:>10}", totals.items, totals.collateral, totals.fallbacks);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let report = replay(open(&options.history)?, &options)?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print_table(&report, &options);
    }
    Ok(())
}
