//! The invalidations in a report: paths next to the files they are for, the others below, and a line in the result.

use crate::deploy::change::Action;
use crate::escape::Shown;
use crate::report::{Report, cost};
use crate::wording::{counted, grouped, listed};
use anstyle::Style;
use shipfront_invalidation::viewer::encoding::encode_key;
use shipfront_invalidation::{Coverage, DistributionId, Invalidation, InvalidationStatus};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Formatter};

/// Number of lines of a list before the rest is only counted.
const SHORT_LIST: usize = 20;
/// Maximum width of the item column.
const WIDE_ITEM: usize = 60;
/// Everything.
const ALL: &str = "/*";
/// Why a wildcard is there.
const WILDCARDS: &str = "a wildcard also evicts the unchanged URLs that it matches";

/// The paths that are invalidated for one file only, by its key, and all others.
#[derive(Debug, Default)]
pub(super) struct PathsByFile<'a> {
    by_key: HashMap<&'a str, Vec<&'a str>>,
    rest: Vec<&'a str>,
}

impl<'a> PathsByFile<'a> {
    /// Assigns paths to files. A path whose spelling does not show its file is one of the others.
    pub(super) fn new(report: &'a Report) -> PathsByFile<'a> {
        let mut keys: HashMap<String, &str> = HashMap::new();
        let prefix = report.target.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let prefix = prefix.map_or("", |(_, prefix)| prefix.trim_end_matches('/'));
        for change in report.changes.iter().filter(|change| change.action != Action::Orphan) {
            for path in paths(prefix, &change.key) {
                keys.entry(path).or_insert(&change.key);
            }
        }
        let mut by_file = PathsByFile::default();
        let mut seen = HashSet::new();
        for invalidation in &report.invalidations {
            let coverage: HashMap<&str, &Coverage> =
                invalidation.coverage.iter().map(|coverage| (coverage.item.as_str(), coverage)).collect();
            for item in invalidation.items.iter().map(String::as_str).filter(|item| seen.insert(*item)) {
                let is_one = |coverage: &&Coverage| coverage.covers <= 1 && coverage.collateral == 0;
                let key = match item.strip_suffix('*') {
                    None => keys.get(item),
                    // For example, one for a path with any query string.
                    Some(path) if coverage.get(item).is_some_and(is_one) => keys.get(path),
                    Some(_) => None,
                };
                match key {
                    Some(key) => by_file.by_key.entry(key).or_default().push(item),
                    None => by_file.rest.push(item),
                }
            }
        }
        by_file
    }

    /// The paths for one file.
    pub(super) fn of(&self, key: &str) -> String {
        let paths = self.by_key.get(key).map(Vec::as_slice).unwrap_or_default();
        paths.iter().map(|path| Shown(path).to_string()).collect::<Vec<_>>().join(" ")
    }

    /// The paths that are not next to a file, the most costly first.
    pub(super) fn write_rest(&self, out: &mut Formatter<'_>, report: &Report) -> fmt::Result {
        // The result says if everything is invalidated.
        let evicts_others = report.invalidations.iter().any(|invalidation| invalidation.collateral > 0);
        if self.rest.is_empty() || (self.rest == [ALL] && !evicts_others) {
            return Ok(());
        }
        let invalidations = report.invalidations.iter();
        let coverage: HashMap<&str, &Coverage> = invalidations
            .flat_map(|invalidation| &invalidation.coverage)
            .map(|coverage| (coverage.item.as_str(), coverage))
            .collect();
        let collateral = |item: &&str| Reverse(coverage.get(*item).map_or(0, |coverage| coverage.collateral));
        let mut items = self.rest.clone();
        items.sort_by_key(collateral);
        let shown = if report.verbose { items.len() } else { items.len().min(SHORT_LIST) };
        let most = report.columns.map_or(WIDE_ITEM, |columns| usize::from(columns / 2)).min(WIDE_ITEM);
        let widths = items[..shown].iter().map(|item| item.chars().count()).filter(|width| *width <= most);
        let width = widths.max().unwrap_or(0);
        let title = if report.outcome.is_plan() { "other paths to invalidate" } else { "other invalidated paths" };
        writeln!(out, "{title}:")?;
        for item in &items[..shown] {
            match coverage.get(item) {
                Some(coverage) if coverage.is_several() => {
                    writeln!(out, "  {:width$}  {}", Shown(item), Shown(coverage.effect()))?;
                    write_evicted(out, coverage, report.verbose)?;
                }
                Some(coverage) => {
                    match &coverage.why {
                        Some(why) => writeln!(out, "  {:width$}  {}", Shown(item), Shown(why))?,
                        None => writeln!(out, "  {}", Shown(item))?,
                    }
                    write_evicted(out, coverage, report.verbose)?;
                }
                None => writeln!(out, "  {}", Shown(item))?,
            }
        }
        if items.len() > shown {
            writeln!(out, "  ... and {} more (--verbose lists all)", grouped((items.len() - shown) as u64))?;
        }
        let evicts = |item: &&&str| coverage.get(**item).is_some_and(|coverage| coverage.collateral > 0);
        match items.iter().find(evicts) {
            Some(_) => writeln!(out, "  ({WILDCARDS})"),
            None => Ok(()),
        }
    }
}

/// The unchanged URLs that an item evicts.
fn write_evicted(out: &mut Formatter<'_>, coverage: &Coverage, verbose: bool) -> fmt::Result {
    let Coverage { collateral, evicts, .. } = coverage;
    if !verbose || *collateral < 2 {
        return Ok(());
    }
    evicts.iter().try_for_each(|url| writeln!(out, "    evicts {}", Shown(url)))?;
    match collateral.saturating_sub(evicts.len() as u64) {
        0 => Ok(()),
        rest => writeln!(out, "    ... and {} more", grouped(rest)),
    }
}

/// The paths at which a distribution may serve a key: an origin path removes a part of the prefix, and a folder or
/// a page may be served without the end of its name.
fn paths(prefix: &str, key: &str) -> Vec<String> {
    let full = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}/{key}") };
    let below = full.len() - key.len();
    let starts = std::iter::once(0).chain(full[..below].match_indices('/').map(|(at, _)| at + 1));
    let mut paths = Vec::new();
    for start in starts {
        let path = encode_key(&full[start..]);
        if let Some(folder) = path.strip_suffix("index.html").filter(|folder| folder.ends_with('/')) {
            paths.push(folder.to_owned());
            paths.extend(folder.strip_suffix('/').filter(|folder| !folder.is_empty()).map(str::to_owned));
        }
        paths.extend(path.strip_suffix(".html").map(str::to_owned));
        paths.push(path);
    }
    paths
}

/// The line of the result: how many paths, and how much of the cache stays.
pub(super) fn write_summary(out: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let mut distributions: BTreeMap<&DistributionId, Vec<&Invalidation>> = BTreeMap::new();
    for invalidation in &report.invalidations {
        distributions.entry(&invalidation.distribution).or_default().push(invalidation);
    }
    let bold = Style::new().bold();
    for (id, sent) in &distributions {
        let name = if distributions.len() > 1 { format!(" {}", Shown(id)) } else { String::new() };
        writeln!(out, "{bold}CloudFront{name}:{bold:#} {}", summary(report, sent))?;
    }
    Ok(())
}

fn summary(report: &Report, sent: &[&Invalidation]) -> String {
    let items = || sent.iter().flat_map(|invalidation| &invalidation.items);
    let tags = items().filter(|item| item.starts_with('#')).count() as u64;
    let paths = items().count() as u64 - tags;
    let counts = [(paths, "path"), (tags, "cache tag")];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(*count, noun));
    let what = if items().eq([ALL]) { "everything (/*)".to_owned() } else { listed(&counts.collect::<Vec<_>>()) };
    let is_any = |status| sent.iter().any(|invalidation| invalidation.status == status);
    let what = if report.outcome.is_plan() || is_any(InvalidationStatus::Planned) {
        format!("{what} to invalidate")
    } else if is_any(InvalidationStatus::Failed) {
        format!("{what} not invalidated")
    } else if is_any(InvalidationStatus::InProgress) {
        format!("invalidation of {what} in progress")
    } else {
        format!("{what} invalidated")
    };
    let universe = sent.iter().map(|invalidation| invalidation.universe).max().unwrap_or(0);
    let changed: u64 = sent.iter().map(|invalidation| invalidation.viewer_paths).sum();
    let collateral: u64 = sent.iter().map(|invalidation| invalidation.collateral).sum();
    let others = universe.saturating_sub(changed);
    let is_sent = !is_any(InvalidationStatus::Failed);
    if others == 0 && is_sent && items().eq([ALL]) {
        return format!("{what}, because every URL is new or changed");
    }
    if others == 0 || !is_sent {
        return what;
    }
    let urls = if others == 1 { "URL stays" } else { "URLs stay" };
    format!("{what}, {} of {} other {urls} cached", grouped(others.saturating_sub(collateral)), grouped(others))
}

/// What was sent, by request, why, and what other budgets would do.
pub(super) fn write_details(out: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    for invalidation in &report.invalidations {
        let Invalidation { distribution, items, viewer_paths, universe, .. } = invalidation;
        let id = invalidation.id.as_deref().map(|id| format!(" {}", Shown(id))).unwrap_or_default();
        let status = if report.outcome.is_plan() { String::new() } else { format!(", {}", invalidation.status) };
        let paths = counted(items.len() as u64, "path");
        write!(out, "Invalidation{id} of the {}{status}: {paths}", Shown(distribution))?;
        // If a distribution gets several requests, the first has the counts.
        if *universe > 0 || *viewer_paths > 0 {
            write!(out, " for {}", counted(*viewer_paths, "changed URL"))?;
        }
        writeln!(out)?;
        invalidation.why.iter().try_for_each(|why| writeln!(out, "  {}", Shown(why)))?;
        if report.outcome.is_plan() {
            write_curve(out, report, invalidation)?;
        }
    }
    Ok(())
}

/// What other budgets would evict, and what they cost: one path, ten, this plan, and a path for each changed URL.
fn write_curve(out: &mut Formatter<'_>, report: &Report, invalidation: &Invalidation) -> fmt::Result {
    let curve = &invalidation.curve;
    if curve.len() < 2 {
        return Ok(());
    }
    let this = invalidation.items.len();
    let at = |items: usize| curve.iter().rev().find(|step| step.items <= items).or(curve.first());
    let all = curve.last().map_or(this, |step| step.items);
    let mut budgets = vec![1, 10, this, all];
    budgets.retain(|&items| items <= all.max(this));
    budgets.sort_unstable();
    budgets.dedup();
    let mut rows: Vec<(usize, u64, bool)> = Vec::new();
    for items in budgets {
        let Some(step) = at(items) else { continue };
        let is_this = items == this;
        // A budget that is not used up equals the next smaller one.
        let items = if is_this { this } else { step.items };
        if rows.iter().all(|&(known, ..)| known != items) {
            rows.push((items, step.collateral, is_this));
        }
    }
    let money = !report.is_local;
    let title = if money { "      cost" } else { "" };
    writeln!(out, "  paths  unchanged URLs evicted{title}")?;
    for (items, collateral, is_this) in rows {
        let price = match (money, cost::of_paths(items as u64, report.allowance.as_ref())) {
            (false, _) => String::new(),
            (true, price) => format!("{price:>10}"),
        };
        let mark = if is_this { "  <- plan" } else { "" };
        writeln!(out, "  {:>5}  {:>22}{price}{mark}", grouped(items as u64), grouped(collateral))?;
    }
    Ok(())
}
