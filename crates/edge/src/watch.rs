//! What the dashboard shows: who asked for what, what changed, and what was evicted and why.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::cache::{self, Gone, Key};
use crate::lock::locked;

/// Events that are remembered.
const MOST_EVENTS: usize = 300;
/// Changes of objects that are remembered until an invalidation.
const MOST_CHANGES: usize = 5000;
/// URLs whose viewers are counted.
const MOST_URLS: usize = 20_000;
/// Invalidations that are remembered.
const MOST_INVALIDATIONS: usize = 20;
/// Causes and copies that are named of one item.
const MOST_NAMED: usize = 50;
/// Whatever is in there is no part of the site.
const RECORD_FOLDER: &str = ".shipfront";

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    number: u64,
    at: Timestamp,
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
    /// The item that evicted the copy, until there is another one.
    pub(super) evicted_by: Option<String>,
}

/// An invalidation, and what it did here.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ShownInvalidation {
    distribution: String,
    id: String,
    at: Timestamp,
    items: Vec<ShownItem>,
}

/// An item of it.
#[derive(Clone, Debug, Default, Serialize)]
struct ShownItem {
    item: String,
    /// What the deploy says that it does, if the deploy ran beside this edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<String>,
    /// Changes since the last invalidation whose URLs the item covers.
    because: Vec<Because>,
    /// Copies that went by it.
    evicted: Vec<Evicted>,
    /// How many of each there are beyond those that are named.
    more: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Because {
    key: String,
    what: &'static str,
    /// Why the deploy changed it, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Evicted {
    url: String,
    /// Whether it was not any more what the origin answers.
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
}

/// All of it, as far as it is remembered.
#[derive(Debug, Default)]
pub(super) struct Watch {
    log: Mutex<Log>,
}

/// What the dashboard shows of it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) version: u64,
    pub(super) events: Vec<Event>,
    pub(super) invalidations: Vec<ShownInvalidation>,
    pub(super) seen: HashMap<Key, Seen>,
}

impl Watch {
    /// A viewer was answered.
    pub(super) fn viewed(&self, key: &Key, asked: &str, status: u16, hit: bool) {
        let mut log = locked(&self.log);
        if log.seen.len() < MOST_URLS || log.seen.contains_key(key) {
            let seen = log.seen.entry(key.clone()).or_default();
            seen.evicted_by = None;
            *(if hit { &mut seen.hits } else { &mut seen.misses }) += 1;
        }
        let verdict = if hit { "hit" } else { "miss" };
        log.add(
            "view",
            asked.to_owned(),
            if status < 400 { verdict.to_owned() } else { format!("{verdict} {status}") },
        );
    }

    /// An object was stored, over another one or not.
    pub(super) fn put(&self, bucket: &str, key: &str, before: Option<&str>, etag: &str) {
        let what = match before {
            None => "new",
            Some(before) if before == etag => "same bytes",
            Some(_) => "changed",
        };
        self.changed("put", bucket, key, what);
    }

    /// An object was removed.
    pub(super) fn deleted(&self, bucket: &str, key: &str) {
        self.changed("delete", bucket, key, "removed");
    }

    fn changed(&self, kind: &'static str, bucket: &str, key: &str, what: &'static str) {
        if key.split('/').any(|part| part == RECORD_FOLDER) {
            return;
        }
        let mut log = locked(&self.log);
        log.add(kind, key.to_owned(), what.to_owned());
        let number = log.number;
        let because = Because { key: key.to_owned(), what, reason: None };
        log.changes.push_back(Change { number, bucket: bucket.to_owned(), because });
        if log.changes.len() > MOST_CHANGES {
            log.changes.pop_front();
        }
    }

    /// Somebody has something to say.
    pub(super) fn note(&self, text: &str) {
        locked(&self.log).add("note", text.to_owned(), String::new());
    }

    /// An invalidation took effect. `buckets` are the distribution's origins, each with its path; `gone` says
    /// of each copy whether it was outdated.
    pub(super) fn invalidated(
        &self,
        distribution: &str,
        id: &str,
        items: &[String],
        buckets: &[(String, String)],
        gone: &[(Gone, bool)],
    ) {
        let mut log = locked(&self.log);
        let after = log.invalidated_up_to.get(distribution).copied().unwrap_or(0);
        let changes = log.changes.iter().filter(|change| change.number > after);
        let changes: Vec<(&Change, Vec<String>)> =
            changes.filter_map(|change| Some((change, paths(change, buckets)?))).collect();
        let items: Vec<ShownItem> = items.iter().map(|item| shown_item(item, &changes, gone)).collect();
        let outdated = gone.iter().filter(|(_, outdated)| *outdated).count();
        for item in &items {
            for (copy, _) in gone.iter().filter(|(copy, _)| copy.goes_by(&item.item)) {
                log.seen.entry(copy.key.clone()).or_default().evicted_by.get_or_insert(item.item.clone());
            }
        }
        let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
        let (items_sent, copies) = (count(items.len(), "item", "items"), count(gone.len(), "copy", "copies"));
        let what = format!("{items_sent}, {copies} evicted, {outdated} outdated");
        log.add("invalidate", id.to_owned(), what);
        let number = log.number;
        log.invalidated_up_to.insert(distribution.to_owned(), number);
        let at = Timestamp::now();
        log.invalidations.push_front(ShownInvalidation {
            distribution: distribution.to_owned(),
            id: id.to_owned(),
            at,
            items,
        });
        log.invalidations.truncate(MOST_INVALIDATIONS);
    }

    /// Adds what the deploy knows of its invalidation: what an item does, and why a key was changed.
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

    /// How often anything happened.
    pub(super) fn version(&self) -> u64 {
        locked(&self.log).number
    }

    /// What is to be shown, the newest first.
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
    fn add(&mut self, kind: &'static str, name: String, what: String) {
        self.number += 1;
        self.events.push_back(Event { number: self.number, at: Timestamp::now(), kind, name, what });
        if self.events.len() > MOST_EVENTS {
            self.events.pop_front();
        }
    }
}

fn shown_item(item: &str, changes: &[(&Change, Vec<String>)], gone: &[(Gone, bool)]) -> ShownItem {
    let because: Vec<Because> = changes
        .iter()
        .filter(|(_, paths)| paths.iter().any(|path| covers(item, path)))
        .map(|(change, _)| change.because.clone())
        .collect();
    let copies = gone.iter().filter(|(copy, _)| copy.goes_by(item));
    let evicted: Vec<Evicted> =
        copies.map(|(copy, outdated)| Evicted { url: copy.key.url.clone(), outdated: *outdated }).collect();
    let more = because.len().saturating_sub(MOST_NAMED) + evicted.len().saturating_sub(MOST_NAMED);
    let first = |mut named: Vec<Because>| {
        named.truncate(MOST_NAMED);
        named
    };
    let mut evicted = evicted;
    evicted.truncate(MOST_NAMED);
    ShownItem { item: item.to_owned(), effect: None, because: first(because), evicted, more }
}

/// The paths under which viewers may know a key, decoded; `None` if the distribution does not show it.
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

/// Whether an item covers a decoded path, as far as a person wants to know.
fn covers(item: &str, path: &str) -> bool {
    let prefix = item.strip_suffix('*');
    let decoded = percent_decode_str(prefix.unwrap_or(item)).decode_utf8_lossy();
    match prefix {
        // A wildcard may cut a letter in two.
        Some(_) => path.starts_with(decoded.trim_end_matches('\u{FFFD}')),
        None => path == decoded,
    }
}

impl Gone {
    fn goes_by(&self, item: &str) -> bool {
        cache::covers(item, &self.urls, &self.tags)
    }
}
