//! The data of the dashboard: who requested what, what changed, and what was evicted and why.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::cache::{self, Gone, Key};
use crate::lock::locked;

/// Number of events to remember.
const MOST_EVENTS: usize = 300;
/// Number of changes of objects to remember until an invalidation.
const MOST_CHANGES: usize = 5000;
/// Number of URLs whose viewers are counted.
const MOST_URLS: usize = 20_000;
/// Number of invalidations to remember.
const MOST_INVALIDATIONS: usize = 20;
/// Number of causes and copies to name per item.
const MOST_NAMED: usize = 50;
/// Number of items to name per invalidation.
const MOST_ITEMS: usize = 200;
/// Number of objects of deploy records whose times are remembered.
const MOST_MARKS: usize = 20_000;
/// Nothing in this folder is part of the site.
pub(super) const RECORD_FOLDER: &str = ".shipfront";
/// What happened to an object that is gone.
const REMOVED: &str = "removed";

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    number: u64,
    at: Timestamp,
    /// The ID of the distribution, or the name of the bucket, where it happened; empty if it belongs to no site.
    #[serde(skip)]
    pub(super) place: String,
    /// `view`, `put`, `delete`, `invalidate` or `note`.
    kind: &'static str,
    /// A URL or a key.
    name: String,
    what: String,
}

/// Viewers of one URL.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Seen {
    pub(super) hits: u64,
    pub(super) misses: u64,
    /// The item that evicted the copy, until there is a new one.
    pub(super) evicted_by: Option<String>,
}

/// An invalidation, and its effect here.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ShownInvalidation {
    /// Its position among all events.
    #[serde(skip)]
    pub(super) number: u64,
    pub(super) distribution: String,
    id: String,
    pub(super) at: Timestamp,
    /// The number of its items, some of which are named.
    pub(super) sent: usize,
    items: Vec<ShownItem>,
    /// Number of copies evicted.
    pub(super) evicted: usize,
    /// How many of those were outdated.
    pub(super) outdated: usize,
    /// Number of the distribution's copies that stayed.
    pub(super) stayed: usize,
}

/// An item of an invalidation.
#[derive(Clone, Debug, Default, Serialize)]
struct ShownItem {
    item: String,
    /// What it does according to the deploy, if the deploy ran in the same process as this edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<String>,
    /// Changes since the last invalidation whose URLs the item covers.
    because: Vec<Because>,
    /// Copies that it evicted.
    evicted: Vec<Evicted>,
    /// How many more there are of each.
    more: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Because {
    key: String,
    what: &'static str,
    /// Why the deploy changed it, under the same condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Evicted {
    url: String,
    /// Whether the origin's answer had changed by then.
    outdated: bool,
}

#[derive(Debug)]
struct Change {
    number: u64,
    bucket: String,
    because: Because,
}

#[derive(Debug, Default)]
struct Log {
    number: u64,
    events: VecDeque<Event>,
    changes: VecDeque<Change>,
    seen: HashMap<Key, Seen>,
    invalidations: VecDeque<ShownInvalidation>,
    /// The last change before the last invalidation of each distribution.
    invalidated_up_to: HashMap<String, u64>,
    /// Objects of deploy records: their bucket, their key, and when they were written.
    marks: VecDeque<(String, String, u64)>,
}

/// All of this, as far as it is remembered.
#[derive(Debug, Default)]
pub(super) struct Watch {
    log: Mutex<Log>,
}

/// The part that the dashboard shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) version: u64,
    pub(super) events: Vec<Event>,
    pub(super) invalidations: Vec<ShownInvalidation>,
    pub(super) seen: HashMap<Key, Seen>,
}

/// An invalidation that took effect on copies.
#[derive(Debug)]
pub(super) struct TookEffect<'a> {
    pub(super) distribution: &'a str,
    pub(super) id: &'a str,
    pub(super) items: &'a [String],
    /// The distribution's origins, each with its path.
    pub(super) buckets: &'a [(String, String)],
    /// The evicted copies, each with whether it was outdated.
    pub(super) gone: &'a [(Gone, bool)],
    /// Number of the distribution's copies that stayed.
    pub(super) stayed: usize,
}

impl Watch {
    /// Records that a viewer was answered.
    pub(super) fn viewed(&self, key: &Key, asked: &str, status: u16, hit: bool) {
        let mut log = locked(&self.log);
        if log.seen.len() < MOST_URLS || log.seen.contains_key(key) {
            let seen = log.seen.entry(key.clone()).or_default();
            seen.evicted_by = None;
            *(if hit { &mut seen.hits } else { &mut seen.misses }) += 1;
        }
        let verdict = if hit { "hit" } else { "miss" };
        log.add(
            &key.distribution,
            "view",
            asked.to_owned(),
            if status < 400 { verdict.to_owned() } else { format!("{verdict} {status}") },
        );
    }

    /// Records that an object was stored, whether or not it replaced another one.
    pub(super) fn put(&self, bucket: &str, key: &str, before: Option<&str>, etag: &str) {
        let what = match before {
            None => "new",
            Some(before) if before == etag => "same bytes",
            Some(_) => "changed",
        };
        self.changed("put", bucket, key, what);
    }

    /// Records that an object was removed.
    pub(super) fn deleted(&self, bucket: &str, key: &str) {
        self.changed("delete", bucket, key, REMOVED);
    }

    fn changed(&self, kind: &'static str, bucket: &str, key: &str, what: &'static str) {
        let mut log = locked(&self.log);
        if key.split('/').any(|part| part == RECORD_FOLDER) {
            // The summary of the deploys may be different now.
            log.number += 1;
            let number = log.number;
            log.marks.push_back((bucket.to_owned(), key.to_owned(), number));
            if log.marks.len() > MOST_MARKS {
                log.marks.pop_front();
            }
            return;
        }
        log.add(bucket, kind, key.to_owned(), what.to_owned());
        let number = log.number;
        let because = Because { key: key.to_owned(), what, reason: None };
        log.changes.push_back(Change { number, bucket: bucket.to_owned(), because });
        if log.changes.len() > MOST_CHANGES {
            log.changes.pop_front();
        }
    }

    /// Records a note.
    pub(super) fn note(&self, text: &str) {
        locked(&self.log).add("", "note", text.to_owned(), String::new());
    }

    /// Records that an invalidation took effect.
    pub(super) fn invalidated(&self, effect: &TookEffect<'_>) {
        let TookEffect { distribution, id, items, buckets, gone, stayed } = *effect;
        let mut log = locked(&self.log);
        let after = log.invalidated_up_to.get(distribution).copied().unwrap_or(0);
        let changes = log.changes.iter().filter(|change| change.number > after);
        let changes: Vec<(&Change, Vec<String>)> =
            changes.filter_map(|change| Some((change, paths(change, buckets)?))).collect();
        let (changed, copies) = (Changed::of(&changes), GoneIndex::of(gone));
        let evicted: Vec<Vec<usize>> = items.iter().map(|item| copies.by(item)).collect();
        let shown = items.iter().zip(&evicted).take(MOST_ITEMS);
        let shown: Vec<ShownItem> =
            shown.map(|(item, evicted)| shown_item(item, &changed.by(item), evicted, gone)).collect();
        for (item, evicted) in items.iter().zip(&evicted) {
            for &at in evicted {
                log.seen.entry(gone[at].0.key.clone()).or_default().evicted_by.get_or_insert(item.clone());
            }
        }
        let outdated = gone.iter().filter(|(_, outdated)| *outdated).count();
        let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
        let (paths, copies) = (count(items.len(), "path", "paths"), count(gone.len(), "copy", "copies"));
        let what = format!("{paths}, {copies} evicted, {outdated} outdated");
        log.add(distribution, "invalidate", id.to_owned(), what);
        let number = log.number;
        log.invalidated_up_to.insert(distribution.to_owned(), number);
        let at = Timestamp::now();
        log.invalidations.push_front(ShownInvalidation {
            number,
            distribution: distribution.to_owned(),
            id: id.to_owned(),
            at,
            sent: items.len(),
            items: shown,
            evicted: gone.len(),
            outdated,
            stayed,
        });
        log.invalidations.truncate(MOST_INVALIDATIONS);
    }

    /// When an object of a deploy record was first written after the event `after`, if that is remembered.
    pub(super) fn written(&self, bucket: &str, key: &str, after: u64) -> Option<u64> {
        let log = locked(&self.log);
        let mut marks = log.marks.iter();
        let found = marks.find(|(of, written, number)| *number > after && of == bucket && written == key);
        found.map(|(_, _, number)| *number)
    }

    /// The numbers of objects in these buckets that were stored and that were removed after one event and up to
    /// another, as far as it is remembered.
    pub(super) fn changed_between(&self, buckets: &[String], after: u64, until: u64) -> (usize, usize) {
        let log = locked(&self.log);
        let within =
            |change: &&Change| change.number > after && change.number <= until && buckets.contains(&change.bucket);
        // The last change of a key is the one that counts.
        let last: HashMap<&str, &str> = log
            .changes
            .iter()
            .filter(within)
            .map(|change| (change.because.key.as_str(), change.because.what))
            .collect();
        let removed = last.values().filter(|what| **what == REMOVED).count();
        (last.len() - removed, removed)
    }

    /// Adds a deploy's explanations of its invalidation: what an item does, and why a key was changed.
    pub(super) fn explain(
        &self,
        id: &str,
        effect: impl Fn(&str) -> Option<String>,
        reason: impl Fn(&str) -> Option<&'static str>,
    ) {
        let mut log = locked(&self.log);
        let shown = log.invalidations.iter_mut().filter(|shown| shown.id == id);
        for item in shown.flat_map(|shown| &mut shown.items) {
            item.effect = effect(&item.item);
            item.because.iter_mut().for_each(|because| because.reason = reason(&because.key));
        }
        log.number += 1;
    }

    /// The number of events so far.
    pub(super) fn version(&self) -> u64 {
        locked(&self.log).number
    }

    /// The data to show, newest first.
    pub(super) fn shown(&self) -> Shown {
        let log = locked(&self.log);
        Shown {
            version: log.number,
            events: log.events.iter().rev().cloned().collect(),
            invalidations: log.invalidations.iter().cloned().collect(),
            seen: log.seen.clone(),
        }
    }
}

impl Log {
    fn add(&mut self, place: &str, kind: &'static str, name: String, what: String) {
        self.number += 1;
        let (number, at, place) = (self.number, Timestamp::now(), place.to_owned());
        self.events.push_back(Event { number, at, place, kind, name, what });
        if self.events.len() > MOST_EVENTS {
            self.events.pop_front();
        }
    }
}

/// The changes since the last invalidation by the paths of their URLs, sorted, so that an item finds its own
/// quickly.
struct Changed<'a> {
    by_path: Vec<(&'a str, &'a Change)>,
}

impl<'a> Changed<'a> {
    fn of(changes: &'a [(&'a Change, Vec<String>)]) -> Self {
        let paths = changes.iter().flat_map(|(change, paths)| paths.iter().map(|path| (path.as_str(), *change)));
        let mut by_path: Vec<_> = paths.collect();
        by_path.sort_by_key(|(path, change)| (*path, change.number));
        Self { by_path }
    }

    /// The changes whose URLs an item covers, in order, as many as are shown.
    fn by(&self, item: &str) -> Vec<&'a Change> {
        let prefix = item.strip_suffix('*');
        let decoded = percent_decode_str(prefix.unwrap_or(item)).decode_utf8_lossy();
        // A wildcard may cut a character in two.
        let start = decoded.trim_end_matches('\u{FFFD}');
        let start = if prefix.is_some() { start } else { &decoded };
        let first = self.by_path.partition_point(|(path, _)| *path < start);
        let covered = self.by_path[first..].iter();
        let covered =
            covered.take_while(|(path, _)| if prefix.is_some() { path.starts_with(start) } else { *path == start });
        let mut changes: Vec<&Change> = covered.map(|(_, change)| *change).collect();
        changes.sort_by_key(|change| change.number);
        changes.dedup_by_key(|change| change.number);
        changes
    }
}

/// The evicted copies, by the URLs that they answered and their tags.
struct GoneIndex<'a> {
    gone: &'a [(Gone, bool)],
    by_url: HashMap<&'a str, Vec<usize>>,
    by_tag: HashMap<&'a str, Vec<usize>>,
}

impl<'a> GoneIndex<'a> {
    fn of(gone: &'a [(Gone, bool)]) -> Self {
        let mut index = Self { gone, by_url: HashMap::new(), by_tag: HashMap::new() };
        for (at, (copy, _)) in gone.iter().enumerate() {
            copy.urls.iter().for_each(|url| index.by_url.entry(url).or_default().push(at));
            copy.tags.iter().for_each(|tag| index.by_tag.entry(tag).or_default().push(at));
        }
        index
    }

    /// The indices of those that an item clears.
    fn by(&self, item: &str) -> Vec<usize> {
        if let Some(tag) = item.strip_prefix('#') {
            return self.by_tag.get(tag.to_ascii_lowercase().as_str()).cloned().unwrap_or_default();
        }
        // CloudFront does not support `~`, encoded or not.
        if item.contains("%7E") || item.contains("%7e") {
            return Vec::new();
        }
        if !item.ends_with('*') {
            return self.by_url.get(item).cloned().unwrap_or_default();
        }
        let items = [item.to_owned()];
        let clears = cache::clears(&items);
        let copies = self.gone.iter().enumerate();
        copies.filter(|(_, (copy, _))| copy.urls.iter().any(|url| clears(url))).map(|(at, _)| at).collect()
    }
}

fn shown_item(item: &str, changes: &[&Change], evicted: &[usize], gone: &[(Gone, bool)]) -> ShownItem {
    let named = evicted.iter().take(MOST_NAMED).map(|&at| &gone[at]);
    let more = changes.len().saturating_sub(MOST_NAMED) + evicted.len().saturating_sub(MOST_NAMED);
    ShownItem {
        item: item.to_owned(),
        effect: None,
        because: changes.iter().take(MOST_NAMED).map(|change| change.because.clone()).collect(),
        evicted: named.map(|(copy, outdated)| Evicted { url: copy.key.url.clone(), outdated: *outdated }).collect(),
        more,
    }
}

/// The decoded paths under which viewers may know a key; `None` if the distribution does not serve it.
fn paths(change: &Change, buckets: &[(String, String)]) -> Option<Vec<String>> {
    let key = format!("/{}", change.because.key);
    let shown = buckets.iter().filter(|(bucket, _)| *bucket == change.bucket);
    let path = shown.filter_map(|(_, origin_path)| key.strip_prefix(origin_path.as_str())).next()?;
    let directory = path.strip_suffix("index.html").filter(|directory| directory.ends_with('/'));
    let mut paths = vec![path.to_owned()];
    if let Some(directory) = directory {
        paths.extend([directory.to_owned(), directory.trim_end_matches('/').to_owned()]);
    }
    Some(paths)
}
