//! Replays a site's real deploys through the planner of invalidations, and prints what each strategy
//! would have sent and evicted: `cargo run --release --example replay -- HISTORY --free-paths 1000`.
//! With `--tags`, objects carry cache tags as shipfront would have uploaded them, and one strategy
//! more may send those.
//!
//! A history is one JSON object a line, one line a deploy: `put` holds `[key, etag, size,
//! [references]]` rows, `delete` holds keys, `time` is when it was, in RFC 3339 or as Unix seconds; the first line
//! is the first deploy. A viewer path is
//! here plainly `/` and the key, without directory forms, so that strategies can be compared on
//! equal terms. A put of the same ETag changes nothing.
//!
//! The paths of a deploy are those of the site before it and after it. Collateral counts the ones
//! that were there before and stay as they are; a path that the deploy creates has no cached copy
//! to lose, so it is no collateral, and is not cleared either unless `--count-created` asks for it
//! (shipfront does clear it: error pages are cached too; they carry no tags, so it goes by path).
//!
//! CloudFront bills each path of a calendar month (UTC) beyond the free ones. With `--free-paths`, a deploy may send
//! half of what the strategy's own deploys have left of the month's, and at least 15; without it, each deploy may
//! send `--max-paths`, and the dollars are those beyond the usual 1,000. Deploys without a time share a month.
//!
//! Tags are those of an object's last upload, which is when its bytes last changed, and were
//! derived from what was known then. Each deploy's number stands for its id.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use shipfront_invalidation::allowance::{Allowance, FEWEST_ITEMS, MaxPaths};
use shipfront_invalidation::cover::{Budget, Reach, SitePath, cover};
use shipfront_invalidation::tags::planner::{self, TaggedPath};
use shipfront_invalidation::tags::{Bytes, Tagger, Tags, Upload};

/// Replays a history of deploys through the planner of invalidations.
#[derive(Parser)]
struct Options {
    /// The history: one JSON line a deploy; unpacked if its name ends in `.gz`
    history: PathBuf,
    /// The most items that `cover` and `exact` send for a deploy
    #[arg(
        long,
        value_name = "N",
        default_value_t = 15,
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "free_paths"
    )]
    max_paths: u32,
    /// The free paths of a month; a deploy then sends at most half of those left, or 15
    #[arg(long, value_name = "N")]
    free_paths: Option<u32>,
    /// The most wildcards of a deploy, for `cover` and `tags` [default: as many as items]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_wildcards: Option<u32>,
    /// A strategy to replay; may be repeated [default: all four, but for tags]
    #[arg(long = "strategy", value_name = "STRATEGY")]
    strategies: Vec<Strategy>,
    /// Replay the strategy that chooses among cache tags too
    #[arg(long)]
    tags: bool,
    /// Clear created paths too
    #[arg(long)]
    count_created: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Options {
    /// What a deploy may send after `sent` paths in its month.
    fn budget(&self, sent: usize) -> Budget {
        let Some(free) = self.free_paths else {
            let items = self.max_paths as usize;
            let wildcards = self.max_wildcards.map_or(items, |most| most as usize);
            return Budget { wildcards, ..Budget::of_items(items) };
        };
        let allowance = Allowance { free: u64::from(free), used: Some(sent as u64) };
        let wildcards = self.max_wildcards.map_or(usize::MAX, |most| most as usize);
        let budget = MaxPaths::Auto.budget(allowance, 1, wildcards);
        Budget { wildcards: budget.wildcards.min(budget.items), ..budget }
    }

    fn free_a_month(&self) -> usize {
        self.free_paths.map_or(FREE_PATHS, |free| free as usize)
    }
}

/// Paths per month that CloudFront does not bill to an account, and the dollars for each further one
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PayingForInvalidation.html>).
const FREE_PATHS: usize = 1_000;
const DOLLARS_A_PATH: f64 = 0.005;
/// Maximum number of wildcards in progress under the older of CloudFront's rules.
const MOST_IN_PROGRESS: usize = 15;

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
    /// As `cover`, with cache tags as items too
    #[value(skip)]
    Tags,
}

/// What to invalidate: sorted paths, each with the tags of its cached copies.
#[derive(Default)]
struct Invalidation<'a> {
    /// At least one.
    changed: BTreeMap<&'a str, &'a Tags>,
    /// The rest of the site.
    unchanged: BTreeMap<&'a str, &'a Tags>,
}

impl Strategy {
    /// The items that clear the changed paths of a deploy.
    fn items(self, invalidation: &Invalidation<'_>, budget: Budget) -> BTreeSet<String> {
        let Invalidation { changed, unchanged } = invalidation;
        let everything = || BTreeSet::from(["/*".to_owned()]);
        let unchanged =
            unchanged.iter().map(|(path, tags)| TaggedPath { path: SitePath::unchanged(path), tags: tags.as_slice() });
        let to_clear = changed
            .iter()
            .map(|(path, tags)| TaggedPath { path: SitePath::changed(path, Reach::Any), tags: tags.as_slice() });
        let url_set = unchanged.chain(to_clear);
        let chosen = match self {
            Strategy::Cover => cover(&url_set.map(|tagged| tagged.path).collect::<Vec<_>>(), budget),
            Strategy::Tags => planner::cover(&url_set.collect::<Vec<_>>(), budget),
            Strategy::Exact if changed.len() <= budget.items => {
                return changed.keys().map(|path| (*path).to_owned()).collect();
            }
            Strategy::All | Strategy::Exact => return everything(),
            Strategy::Collapse => return collapse(changed.keys().copied()).unwrap_or_else(everything),
        };
        chosen.items.into_iter().map(|item| item.text).collect()
    }
}

/// s3deploy's threshold, which cannot be configured.
const COLLAPSE_THRESHOLD: usize = 8;

/// Collapses paths as s3deploy does: level by level from the deepest, everything below the level becomes a wildcard
/// two directories further up (a file's directory, then its parent; never above the first directory). `None` if
/// more than the threshold are left. It also sends `/dir/` for `/dir/index.html`; that concerns viewer paths, and
/// is omitted.
fn collapse<'a>(changed: impl Iterator<Item = &'a str>) -> Option<BTreeSet<String>> {
    let slashes = |path: &str| path.matches('/').count();
    let mut items: BTreeSet<String> = changed.map(str::to_owned).collect();
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

/// How many of `paths` the items evict, counted here instead of taken from the planner.
fn evicted(items: &BTreeSet<String>, paths: &BTreeMap<&str, &Tags>) -> usize {
    let tags: BTreeSet<&str> = items.iter().filter_map(|item| item.strip_prefix('#')).collect();
    let prefixes: Vec<&str> = items.iter().filter_map(|item| item.strip_suffix('*')).collect();
    let evicted = |(path, carried): &(&&str, &&Tags)| {
        prefixes.iter().any(|prefix| path.starts_with(prefix))
            || !tags.is_empty() && carried.as_slice().iter().any(|tag| tags.contains(tag.to_string().as_str()))
    };
    paths.iter().filter(evicted).count()
}

/// One line of a history.
#[derive(Deserialize)]
struct Deploy {
    #[serde(default)]
    time: Option<Time>,
    put: Vec<Put>,
    delete: Vec<String>,
}

/// When a deploy was.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Rfc3339(Timestamp),
    Seconds(i64),
}

impl Time {
    /// The calendar month, year first.
    fn month(&self) -> Result<(i16, i8), Box<dyn Error>> {
        let time = match self {
            Time::Rfc3339(time) => *time,
            Time::Seconds(seconds) => Timestamp::from_second(*seconds)?,
        };
        let date = time.to_zoned(TimeZone::UTC).date();
        Ok((date.year(), date.month()))
    }
}

/// Key, ETag, what does not matter here (the size), and the keys of the scripts and style sheets
/// referred to.
#[derive(Deserialize)]
struct Put(String, String, IgnoredAny, Vec<String>);

/// What a deploy does to a path that it touches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    /// Changed bytes, or a deletion.
    Changed,
    Created,
}

/// The site between two deploys: by viewer path, the ETag of its object, and the tags of the object's last upload.
#[derive(Default)]
struct Site(BTreeMap<String, (String, Tags)>);

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
                Some((known, _)) if known == etag => touched.remove(&path),
                Some(_) => touched.insert(path, Touch::Changed),
                None => touched.insert(path, Touch::Created),
            };
        }
        touched
    }

    /// What must be cleared if `touched` is what a deploy does.
    fn invalidation<'a>(&'a self, touched: &'a BTreeMap<String, Touch>, count_created: bool) -> Invalidation<'a> {
        const NONE: &Tags = &Tags::NONE;
        let mut invalidation = Invalidation::default();
        for (path, touch) in touched {
            match touch {
                Touch::Changed => invalidation.changed.insert(path, self.0.get(path).map_or(NONE, |(_, tags)| tags)),
                Touch::Created if count_created => invalidation.changed.insert(path, NONE),
                Touch::Created => None,
            };
        }
        let unchanged = self.0.iter().filter(|(path, _)| !touched.contains_key(*path));
        invalidation.unchanged = unchanged.map(|(path, (_, tags))| (path.as_str(), tags)).collect();
        invalidation
    }

    /// Carries out a deploy.
    fn apply(&mut self, id: &str, deploy: Deploy, tagger: &Tagger) {
        let before: BTreeMap<String, Option<(String, Tags)>> =
            deploy.delete.iter().map(|key| (viewer_path(key), self.0.remove(&viewer_path(key)))).collect();
        for Put(key, etag, _, references) in deploy.put {
            let path = viewer_path(&key);
            let known = self.0.remove(&path).or_else(|| before.get(&path).cloned().flatten());
            let bytes = match &known {
                None => Bytes::New,
                Some((same, previous)) if *same == etag => Bytes::Same { previous },
                Some((_, previous)) => Bytes::Changed { previous },
            };
            // Unchanged objects are not uploaded.
            let tags = match bytes {
                Bytes::Same { previous } => previous.clone(),
                bytes => tagger.tags(&Upload { key: &key, references: &references, deploy: id, bytes }),
            };
            self.0.insert(path, (etag, tags));
        }
    }
}

fn viewer_path(key: &str) -> String {
    format!("/{key}")
}

/// The result of a replay; `--json` prints it unchanged.
#[derive(Serialize)]
struct Report {
    /// Lines of the history.
    deploys: usize,
    /// Deploys with something to clear.
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
    /// Maximum number of wildcards in a deploy.
    wildcards_max: usize,
    /// Deploys with more wildcards than may be in progress.
    deploys_over_15_wildcards: usize,
    /// Dollars for the paths beyond the free ones of their month.
    dollars: f64,
    /// Paths sent in the month of the last deploy.
    #[serde(skip)]
    sent: usize,
    /// Paths that were not free, over all months.
    #[serde(skip)]
    billed: usize,
}

impl Totals {
    /// Counts a deploy's items.
    fn count(&mut self, items: &BTreeSet<String>, collateral: usize, free: usize) {
        let wildcards = items.iter().filter(|item| item.ends_with('*')).count();
        let billed_before = self.sent.saturating_sub(free);
        self.sent += items.len();
        self.billed += self.sent.saturating_sub(free) - billed_before;
        self.items += items.len();
        self.collateral += collateral;
        self.fallbacks += usize::from(items.contains("/*"));
        self.wildcards_max = self.wildcards_max.max(wildcards);
        self.deploys_over_15_wildcards += usize::from(wildcards > MOST_IN_PROGRESS);
        self.dollars = self.billed as f64 * DOLLARS_A_PATH;
    }
}

/// Replays the lines of a history.
fn replay(history: impl BufRead, options: &Options) -> Result<Report, Box<dyn Error>> {
    let chosen = if options.strategies.is_empty() { Strategy::value_variants() } else { &options.strategies };
    let chosen = chosen.iter().copied().chain(options.tags.then_some(Strategy::Tags));
    let strategies = chosen.map(|strategy| (strategy, Totals::default())).collect();
    let mut report = Report { deploys: 0, invalidating: 0, changed: 0, created: 0, strategies };
    let tagger = Tagger::new("replay");
    let mut site = Site::default();
    let mut month = None;
    for (index, line) in history.lines().enumerate() {
        let deploy: Deploy = serde_json::from_str(&line?).map_err(|error| format!("line {}: {error}", index + 1))?;
        let deploy_month = deploy.time.as_ref().map(Time::month).transpose()?;
        if deploy_month != month {
            month = deploy_month;
            report.strategies.values_mut().for_each(|totals| totals.sent = 0);
        }
        let touched = site.touched_by(&deploy);
        let created = touched.values().filter(|touch| **touch == Touch::Created).count();
        report.deploys += 1;
        report.created += created;
        report.changed += touched.len() - created;

        let invalidation = site.invalidation(&touched, options.count_created);
        if !invalidation.changed.is_empty() {
            report.invalidating += 1;
            for (strategy, totals) in &mut report.strategies {
                let items = strategy.items(&invalidation, options.budget(totals.sent));
                let collateral = evicted(&items, &invalidation.unchanged);
                totals.count(&items, collateral, options.free_a_month());
            }
        }
        site.apply(&index.to_string(), deploy, &tagger);
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
    let budget = match options.free_paths {
        Some(free) => format!("at most half of what is left of the month's {free} items each, or {FEWEST_ITEMS}"),
        None => format!("at most {} items each", options.max_paths),
    };
    println!("{deploys} deploys, {invalidating} of them with paths to clear; {budget}");
    println!("{changed} paths changed or deleted, {created} created");
    println!();
    println!(
        "{:<10} {:>8} {:>12} {:>10} {:>14} {:>10} {:>10}",
        "strategy", "items", "collateral", "sent /*", "most wildcards", "over 15", "dollars"
    );
    for (strategy, totals) in &report.strategies {
        let name = strategy.to_possible_value().map_or_else(|| "tags".to_owned(), |value| value.get_name().to_owned());
        let Totals { items, collateral, fallbacks, wildcards_max, deploys_over_15_wildcards, dollars, .. } = totals;
        println!(
            "{name:<10} {items:>8} {collateral:>12} {fallbacks:>10} {wildcards_max:>14} \
             {deploys_over_15_wildcards:>10} {dollars:>10.2}"
        );
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
