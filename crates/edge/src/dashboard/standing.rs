//! The URLs of a site: which of them are cached, which are stale, and how many there are of each.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;

use crate::State;
use crate::bucket::Bucket;
use crate::cache::{Copy, Key};
use crate::dashboard::is_outdated;
use crate::distribution::Distribution;
use crate::watch::Seen;

/// Maximum number of URLs listed at once. A site may have a hundred thousand of them.
const MOST_LISTED: usize = 500;
/// Maximum number of other URLs of one copy to name.
const MOST_ALIASES: usize = 20;
/// The characters that are not encoded in a URL's path.
const IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'(').remove(b')');

/// The parameters of the page's request.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// The version that it already shows.
    pub(super) after: Option<u64>,
    /// A distribution or a tenant.
    pub(super) site: Option<String>,
    /// The URLs to list.
    show: Show,
    /// A part of their names, in lowercase.
    find: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Show {
    #[default]
    All,
    Cached,
    Stale,
    Uncached,
    Evicted,
}

/// The number of URLs in each state, among those whose names match.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    stale: usize,
    fresh: usize,
    expired: usize,
    evicted: usize,
    absent: usize,
}

/// A URL of the origin, and its copy if there is one.
#[derive(Debug, Serialize)]
pub(super) struct Url {
    url: String,
    /// Other URLs that the same copy answers.
    asked_as: Vec<String>,
    state: Standing,
    /// Status of the copy.
    status: Option<u16>,
    bytes: Option<usize>,
    /// In seconds.
    age: Option<u64>,
    time_to_live: Option<u64>,
    #[serde(flatten)]
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    /// Viewers get what the origin would no longer answer.
    Stale,
    /// Viewers get what the origin would answer.
    Fresh,
    /// It is older than its time to live.
    Expired,
    /// An invalidation evicted it, and nobody has requested it since.
    Evicted,
    /// There is no copy.
    Absent,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned();
            match name {
                "after" => query.after = value.parse().ok(),
                "site" => query.site = Some(value),
                "find" => query.find = value.to_lowercase(),
                "show" => {
                    query.show = match value.as_str() {
                        "cached" => Show::Cached,
                        "stale" => Show::Stale,
                        "uncached" => Show::Uncached,
                        "evicted" => Show::Evicted,
                        _ => Show::All,
                    }
                }
                _ => {}
            }
        }
        query
    }

    fn finds(&self, url: &str) -> bool {
        self.find.is_empty() || url.to_lowercase().contains(&self.find)
    }
}

impl Show {
    fn has(self, state: Standing) -> bool {
        let is_cached = matches!(state, Standing::Stale | Standing::Fresh);
        match self {
            Show::All => true,
            Show::Cached => is_cached,
            Show::Stale => state == Standing::Stale,
            Show::Uncached => !is_cached,
            Show::Evicted => state == Standing::Evicted,
        }
    }
}

impl Counts {
    fn add(&mut self, state: Standing) {
        *match state {
            Standing::Stale => &mut self.stale,
            Standing::Fresh => &mut self.fresh,
            Standing::Expired => &mut self.expired,
            Standing::Evicted => &mut self.evicted,
            Standing::Absent => &mut self.absent,
        } += 1;
    }

    fn of(&self, show: Show) -> usize {
        let (cached, uncached) = (self.stale + self.fresh, self.expired + self.evicted + self.absent);
        match show {
            Show::All => cached + uncached,
            Show::Cached => cached,
            Show::Stale => self.stale,
            Show::Uncached => uncached,
            Show::Evicted => self.evicted,
        }
    }
}

/// The matching URLs of a site as far as they are listed, the number in each state, and how many are not listed.
pub(super) fn of(
    state: &State,
    site: &Distribution,
    seen: HashMap<Key, Seen>,
    query: &Query,
) -> (Counts, Vec<Url>, usize) {
    let of_site = seen.into_iter().filter(|(key, _)| key.distribution == site.id);
    let mut seen: HashMap<String, Seen> = of_site.map(|(key, seen)| (key.url, seen)).collect();
    let mut counts = Counts::default();
    let mut copies = Vec::new();
    let mut known = HashSet::new();
    for copy in state.cache.copies(&site.id, state.timeline.now()) {
        known.insert(copy.key.url.clone());
        let is_asked = query.finds(&copy.key.url) || copy.urls.iter().any(|url| query.finds(url));
        if is_asked {
            let standing = standing(state, site, &copy);
            counts.add(standing);
            copies.push((standing, copy));
        }
    }
    copies.retain(|(standing, _)| query.show.has(*standing));
    copies.sort_by(|(a, one), (b, other)| (a, &one.key.url).cmp(&(b, &other.key.url)));
    copies.truncate(MOST_LISTED);
    let listed = copies.into_iter();
    let mut urls: Vec<Url> = listed
        .map(|(standing, copy)| {
            let seen = seen.remove(&copy.key.url).unwrap_or_default();
            of_copy(standing, copy, seen)
        })
        .collect();
    let mut absent = Vec::new();
    // Evicted URLs come before those that nobody requested.
    let evicted = seen.iter().filter(|(_, seen)| seen.evicted_by.is_some()).map(|(url, _)| url);
    let mut evicted: Vec<String> = evicted.filter(|url| !known.contains(*url)).cloned().collect();
    evicted.sort_unstable();
    for url in evicted.into_iter().filter(|url| query.finds(url)) {
        counts.add(Standing::Evicted);
        if query.show.has(Standing::Evicted) && urls.len() < MOST_LISTED {
            let seen = seen.get(&url).cloned().unwrap_or_default();
            urls.push(of_absent(Standing::Evicted, url.clone(), seen));
        }
        known.insert(url);
    }
    let mut add = |url: &str| {
        if known.contains(url) || !query.finds(url) {
            return;
        }
        counts.add(Standing::Absent);
        if query.show.has(Standing::Absent) && urls.len() + absent.len() < MOST_LISTED {
            absent.push(url.to_owned());
        }
    };
    let mut own = HashSet::new();
    let mut url = String::new();
    for_each_key(state, site, |key| {
        url.clear();
        // Writing to a string cannot fail.
        let _ = write!(url, "/{}", utf8_percent_encode(key, IN_PATHS));
        add(&url);
        if seen.contains_key(&url) {
            own.insert(url.clone());
        }
    });
    // URLs that were requested and are gone or never existed.
    seen.keys().filter(|url| !own.contains(*url)).for_each(|url| add(url));
    absent.sort_unstable();
    urls.extend(absent.into_iter().map(|url| {
        let seen = seen.get(&url).cloned().unwrap_or_default();
        of_absent(Standing::Absent, url, seen)
    }));
    let more = counts.of(query.show).saturating_sub(urls.len());
    (counts, urls, more)
}

/// Visits the keys of a distribution's objects below its origin path, except those of the deploy record.
fn for_each_key(state: &State, site: &Distribution, mut each: impl FnMut(&str)) {
    let Some((bucket, folder)) = place(state, site) else { return };
    bucket.for_each_below(&folder, |key| {
        let key = &key[folder.len()..];
        if !is_of_record(key) {
            each(key);
        }
    });
}

/// The bucket of a distribution, and the folder in it that viewers see.
fn place(state: &State, site: &Distribution) -> Option<(Arc<Bucket>, String)> {
    let (origins, _) = site.targets(&site.default_behavior);
    let origin = origins.first()?;
    let bucket = state.store.bucket(origin.bucket()?).ok()?;
    let folder = format!("{}/", origin.origin_path.trim_matches('/'));
    Some((bucket, folder.trim_start_matches('/').to_owned()))
}

fn is_of_record(key: &str) -> bool {
    key.split('/').any(|part| part == crate::watch::RECORD_FOLDER)
}

fn standing(state: &State, site: &Distribution, copy: &Copy) -> Standing {
    if copy.age >= copy.ttl {
        Standing::Expired
    } else if is_outdated(state, site, &copy.key, &copy.stored) {
        Standing::Stale
    } else {
        Standing::Fresh
    }
}

fn of_copy(state: Standing, copy: Copy, seen: Seen) -> Url {
    let Copy { key, stored, age, ttl, urls, .. } = copy;
    let mut asked_as: Vec<String> = urls.into_iter().filter(|url| *url != key.url).collect();
    // The shortest are the ones that people know.
    asked_as.sort_by_key(|url| (url.len(), Reverse(url.ends_with('/'))));
    asked_as.truncate(MOST_ALIASES);
    Url {
        asked_as,
        url: key.url,
        state,
        status: Some(stored.status),
        bytes: Some(stored.body.len()),
        age: Some(age.as_secs()),
        time_to_live: Some(ttl.as_secs()),
        seen,
    }
}

fn of_absent(state: Standing, url: String, seen: Seen) -> Url {
    Url { url, asked_as: Vec::new(), state, status: None, bytes: None, age: None, time_to_live: None, seen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_what_it_does_not_know_is_everything() {
        let query = Query::parse("after=7&show=cached&find=Caf%C3%A9+men%C3%BC&site=E1&x=y&&=");
        assert_eq!((query.after, query.show, query.site.as_deref()), (Some(7), Show::Cached, Some("E1")));
        assert!(query.finds("/blog/CAFÉ menü") && !query.finds("/blog/caf"));
        let query = Query::parse("after=-1&show=nothing&find=%FF");
        assert_eq!((query.after, query.show, query.site), (None, Show::All, None));
        assert!(Query::parse("").finds("/anything"));
    }

    #[test]
    fn counts_of_a_filter_are_those_of_what_it_shows() {
        let all = [Standing::Stale, Standing::Fresh, Standing::Expired, Standing::Evicted, Standing::Absent];
        let mut counts = Counts::default();
        for (at, state) in all.iter().enumerate() {
            (0..=at).for_each(|_| counts.add(*state));
        }
        for show in [Show::All, Show::Cached, Show::Stale, Show::Uncached, Show::Evicted] {
            let shown = all.iter().enumerate().filter(|(_, state)| show.has(**state)).map(|(at, _)| at + 1);
            assert_eq!(counts.of(show), shown.sum::<usize>(), "{show:?}");
        }
    }
}
