//! The cache of the viewer listener: what it keeps, for how long, and what an invalidation evicts.
//!
//! Where AWS's documentation is silent, the cache chooses the behavior that punishes a deploy tool for sending too
//! little:
//! - An entry remembers every URL under which it was requested, and the URL that a viewer-request function (or the
//!   default root object) rewrote it to. It is evicted only when all of them were covered, because AWS says to
//!   invalidate both the original and the rewritten URL.
//! - `/dir/*` does not evict `/dir/` itself; only in `/*` and in prefixes that do not end in a slash (`/dir*`,
//!   documented) may the `*` match nothing.
//! - A path with `%7E` evicts nothing: CloudFront does not support `~`, encoded or not.
//! - A copy of an error page under a URL that failed is kept for `ErrorCachingMinTTL`, or for as long as the page's
//!   own headers and its behavior say, whichever is longer.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::HeaderMap;

use crate::distributions::Caching;
use crate::evidence::Readings;
use crate::invalidation::is_tag;
use crate::lock::locked;

/// More than an error or a page with its assets needs; beyond it, the least recently used copies are removed.
const CAPACITY: usize = 256 << 20;
/// CloudFront ignores further tags.
const MOST_TAGS: usize = 50;

/// A response that can be served again.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether the origin answered with an error, regardless of a custom error page.
    pub(super) is_error: bool,
}

/// A copy that was evicted.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) key: Key,
    pub(super) stored: Arc<Stored>,
    /// The URLs that it answered.
    pub(super) urls: Vec<String>,
    pub(super) tags: Vec<String>,
}

/// A cached copy.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) key: Key,
    pub(super) stored: Arc<Stored>,
    pub(super) age: Duration,
    pub(super) ttl: Duration,
    /// The URLs that it answers.
    pub(super) urls: Vec<String>,
    pub(super) tags: Vec<String>,
}

/// A distribution, and the path and query string in the cache key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) distribution: String,
    pub(super) url: String,
}

#[derive(Debug)]
struct Entry {
    stored: Arc<Stored>,
    since: Instant,
    ttl: Duration,
    tags: Tags,
    /// The URLs that the entry answers and that were not invalidated since it was stored.
    uncovered: BTreeSet<String>,
    /// Those that were invalidated.
    covered: BTreeSet<String>,
    used: u64,
}

/// The tags of an entry, and the header from which they were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    header: String,
    tags: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    clock: u64,
    invalidations: u64,
}

/// All cached responses.
#[derive(Debug, Default)]
pub(super) struct Cache {
    state: Mutex<State>,
}

/// The state of the cache when the origin was asked. A response that was invalidated since is not stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill(u64);

impl Cache {
    /// Returns the response for `key`, requested under the URLs `spellings`, and its age.
    pub(super) fn lookup(&self, key: &Key, spellings: &[&str], now: Instant) -> Option<(Arc<Stored>, Duration)> {
        let mut state = locked(&self.state);
        state.clock += 1;
        let clock = state.clock;
        let entry = state.entries.get_mut(key)?;
        let age = now.saturating_duration_since(entry.since);
        if age >= entry.ttl {
            state.remove(key);
            return None;
        }
        entry.used = clock;
        for &spelling in spellings {
            if !entry.covered.contains(spelling) {
                entry.uncovered.insert(spelling.to_owned());
            }
        }
        Some((Arc::clone(&entry.stored), age))
    }

    /// Call before asking the origin.
    pub(super) fn begin_fill(&self) -> Fill {
        Fill(locked(&self.state).invalidations)
    }

    pub(super) fn store(
        &self,
        fill: Fill,
        key: Key,
        spellings: &[&str],
        stored: Arc<Stored>,
        tags: Tags,
        (now, ttl): (Instant, Duration),
    ) {
        let mut state = locked(&self.state);
        if state.invalidations != fill.0 || ttl.is_zero() {
            return;
        }
        let mut uncovered: BTreeSet<String> = spellings.iter().map(|&spelling| spelling.to_owned()).collect();
        let mut covered = BTreeSet::new();
        // One that was stored while the origin was asked has answered its own URLs.
        if let Some(before) = state.remove(&key) {
            covered = before.covered.difference(&uncovered).cloned().collect();
            uncovered.extend(before.uncovered);
        }
        state.clock += 1;
        state.bytes += stored.body.len();
        let entry = Entry { stored, since: now, ttl, tags, uncovered, covered, used: state.clock };
        state.entries.insert(key, entry);
        state.shrink();
    }

    /// The number of copies of a distribution.
    pub(super) fn count(&self, distribution: &str) -> usize {
        locked(&self.state).entries.keys().filter(|key| key.distribution == distribution).count()
    }

    /// The copies of a distribution.
    pub(super) fn copies(&self, distribution: &str, now: Instant) -> Vec<Copy> {
        let state = locked(&self.state);
        let copy = |(key, entry): (&Key, &Entry)| Copy {
            key: key.clone(),
            stored: Arc::clone(&entry.stored),
            age: now.saturating_duration_since(entry.since),
            ttl: entry.ttl,
            urls: entry.uncovered.union(&entry.covered).cloned().collect(),
            tags: entry.tags.tags.clone(),
        };
        state.entries.iter().filter(|(key, _)| key.distribution == distribution).map(copy).collect()
    }

    /// Evicts what `items` cover, and returns it. Tags count only if they were read from the header that the
    /// distribution reads now.
    pub(super) fn invalidate(
        &self,
        distribution: &str,
        tag_header: Option<&str>,
        items: &[String],
        readings: Readings,
    ) -> Vec<Gone> {
        let items: Vec<String> = items.iter().map(|item| readings.spelled(item).into_owned()).collect();
        let items = Items::of(&items, readings);
        let read = |tags: &Tags| tag_header.is_some_and(|header| header.eq_ignore_ascii_case(&tags.header));
        let mut state = locked(&self.state);
        state.invalidations += 1;
        let mut gone = Vec::new();
        for (key, entry) in &mut state.entries {
            if key.distribution != distribution {
                continue;
            }
            let (covered, uncovered) =
                std::mem::take(&mut entry.uncovered).into_iter().partition(|url| items.cover(url));
            entry.uncovered = uncovered;
            entry.covered = entry.covered.union(&covered).cloned().collect();
            let tagged = read(&entry.tags) && entry.tags.tags.iter().any(|tag| items.tags.contains(tag));
            let by_key = readings.key_path_clears_aliases && items.cover(&key.url);
            let by_alias = readings.alias_path_clears_key && !entry.covered.is_empty();
            if entry.uncovered.is_empty() || tagged || by_key || by_alias {
                gone.push(key.clone());
            }
        }
        let remove = |key: Key| {
            let entry = state.remove(&key)?;
            let urls = entry.covered.union(&entry.uncovered).cloned().collect();
            let tags = if read(&entry.tags) { entry.tags.tags } else { Vec::new() };
            Some(Gone { key, stored: entry.stored, urls, tags })
        };
        gone.into_iter().filter_map(remove).collect()
    }
}

impl State {
    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.stored.body.len();
        Some(entry)
    }

    fn shrink(&mut self) {
        if self.bytes <= CAPACITY {
            return;
        }
        let mut by_age: Vec<(u64, Key)> = self.entries.iter().map(|(key, entry)| (entry.used, key.clone())).collect();
        by_age.sort_by_key(|(used, _)| *used);
        // More than needed, so that a full cache is not sorted for each response.
        for (_, key) in by_age {
            if self.bytes <= CAPACITY / 10 * 9 {
                break;
            }
            self.remove(&key);
        }
    }
}

/// Returns a function that says whether one of these items clears a URL.
pub(super) fn clears(items: &[String]) -> impl Fn(&str) -> bool {
    let items = Items::of(items, Readings::default());
    move |url| items.cover(url)
}

/// The items of an invalidation, grouped so that each entry is matched once.
struct Items<'a> {
    exact: HashSet<&'a str>,
    prefixes: Vec<&'a str>,
    tags: HashSet<String>,
    readings: Readings,
}

impl<'a> Items<'a> {
    fn of(items: &'a [String], readings: Readings) -> Self {
        let mut sorted = Self { exact: HashSet::new(), prefixes: Vec::new(), tags: HashSet::new(), readings };
        for item in items {
            if let Some(tag) = item.strip_prefix('#') {
                sorted.tags.insert(tag.to_ascii_lowercase());
            } else if item.contains("%7E") || item.contains("%7e") {
            } else if let Some(prefix) = item.strip_suffix('*') {
                sorted.prefixes.push(prefix);
            } else {
                sorted.exact.insert(item);
            }
        }
        sorted
    }

    /// Whether the wildcard of a prefix reaches the URL that equals the prefix.
    fn reaches(&self, prefix: &str) -> bool {
        !prefix.ends_with('/') || prefix == "/" || self.readings.directory_wildcard_clears_directory
    }

    fn cover(&self, url: &str) -> bool {
        self.exact.contains(url)
            || self
                .prefixes
                .iter()
                .any(|prefix| url.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() || self.reaches(prefix)))
    }
}

/// The tags in the header that the distribution reads, in the form in which they are compared.
pub(super) fn tags(header: Option<&str>, headers: &HeaderMap) -> Tags {
    let Some(header) = header else {
        return Tags::default();
    };
    let values = headers.get_all(header.to_ascii_lowercase());
    let values = values.iter().filter_map(|value| value.to_str().ok());
    let tags = values
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim_matches(' ').to_ascii_lowercase())
        .filter(|tag| is_tag(tag))
        .take(MOST_TAGS)
        .collect();
    Tags { header: header.to_owned(), tags }
}

/// How long a successful response with these headers is kept.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Expiration.html>
pub(super) fn time_to_live(caching: &Caching, headers: &HeaderMap) -> Duration {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let control = text("cache-control").unwrap_or_default().to_ascii_lowercase();
    let directives: Vec<&str> = control.split(',').map(str::trim).collect();
    let seconds = |name: &str| {
        let mut values = directives.iter().filter_map(|directive| directive.split_once('='));
        let (_, value) = values.find(|(found, _)| *found == name)?;
        value.trim_matches('"').parse().ok().map(Duration::from_secs)
    };
    let forbidden = ["no-store", "no-cache", "private"];
    let wish = if directives.iter().any(|directive| forbidden.contains(directive)) {
        Some(Duration::ZERO)
    } else {
        seconds("s-maxage").or_else(|| seconds("max-age")).or_else(|| text("expires").map(until))
    };
    wish.unwrap_or(caching.default_ttl).min(caching.max_ttl).max(caching.min_ttl)
}

/// A date that cannot be parsed counts as past.
fn until(date: &str) -> Duration {
    let date = jiff::fmt::rfc2822::parse(date).map(|date| date.timestamp().as_second());
    let left = date.unwrap_or(0) - jiff::Timestamp::now().as_second();
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::QueryStrings;
    use hyper::header::{HeaderName, HeaderValue};

    struct World {
        cache: Cache,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { cache: Cache::default(), now: Instant::now() }
        }

        fn store(&self, url: &str, spellings: &[&str], tags: &[&str]) {
            let stored = Arc::new(Stored {
                status: 200,
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"x"),
                is_error: false,
            });
            let tags = Tags { header: "tags".to_owned(), tags: tags.iter().map(|&tag| tag.to_owned()).collect() };
            let fill = self.cache.begin_fill();
            let time = (self.now, Duration::from_secs(60));
            self.cache.store(fill, key(url), spellings, stored, tags, time);
        }

        fn holds(&self, url: &str) -> bool {
            self.cache.lookup(&key(url), &[], self.now).is_some()
        }

        fn invalidate(&self, items: &[&str]) {
            let items: Vec<_> = items.iter().map(|&item| item.to_owned()).collect();
            self.cache.invalidate("E", Some("tags"), &items, Readings::default());
        }
    }

    fn key(url: &str) -> Key {
        Key { distribution: "E".to_owned(), url: url.to_owned() }
    }

    #[test]
    fn wildcards_are_raw_prefixes_and_the_contested_ones_do_not_match() {
        for (item, url, cleared) in [
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a*", "/a", true),
            ("/a*", "/ab?c=d", true),
            ("/dir/*", "/dir/x/y", true),
            ("/dir/*", "/dir/", false),
            ("/dir/*", "/dir", false),
            ("/*", "/", true),
            ("/a", "/a?q=1", false),
            ("/a*b", "/axb", false),
            ("/%7Euser", "/%7Euser", false),
            ("/%41", "/A", false),
        ] {
            let world = World::new();
            world.store(url, &[url], &[]);
            world.invalidate(&[item]);
            assert_eq!(!world.holds(url), cleared, "{item} {url}");
        }
    }

    #[test]
    fn an_entry_goes_when_all_its_spellings_are_covered() {
        let world = World::new();
        world.store("/d/index.html", &["/d/", "/d/index.html"], &[]);
        world.invalidate(&["/d/index.html"]);
        assert!(world.holds("/d/index.html"));
        world.invalidate(&["/d/"]);
        assert!(!world.holds("/d/index.html"));
    }

    #[test]
    fn an_entry_that_two_viewers_filled_at_once_answers_the_urls_of_both() {
        let world = World::new();
        let fill = world.cache.begin_fill();
        world.store("/d/index.html", &["/d"], &[]);
        let stored = Arc::new(Stored { status: 200, headers: HeaderMap::new(), body: Bytes::new(), is_error: false });
        let time = (world.now, Duration::from_secs(60));
        world.cache.store(fill, key("/d/index.html"), &["/d/"], stored, Tags::default(), time);
        world.invalidate(&["/d/"]);
        assert!(world.holds("/d/index.html"));
        world.invalidate(&["/d"]);
        assert!(!world.holds("/d/index.html"));
    }

    #[test]
    fn a_tag_clears_its_entries_whatever_the_case() {
        let world = World::new();
        world.store("/a", &["/a"], &["page"]);
        world.store("/b", &["/b"], &["pages"]);
        world.invalidate(&["#PAGE"]);
        assert!(!world.holds("/a"));
        assert!(world.holds("/b"));
    }

    #[test]
    fn an_answer_read_before_an_invalidation_is_not_stored_after_it() {
        let world = World::new();
        let fill = world.cache.begin_fill();
        world.invalidate(&["/a"]);
        let stored = Arc::new(Stored { status: 200, headers: HeaderMap::new(), body: Bytes::new(), is_error: false });
        let time = (world.now, Duration::from_secs(60));
        world.cache.store(fill, key("/a"), &["/a"], stored, Tags::default(), time);
        assert!(!world.holds("/a"));
    }

    #[test]
    fn the_least_recently_used_make_room() {
        let world = World::new();
        let body = Bytes::from(vec![0; CAPACITY / 4]);
        for number in 0..6 {
            let stored =
                Arc::new(Stored { status: 200, headers: HeaderMap::new(), body: body.clone(), is_error: false });
            let url = format!("/{number}");
            let fill = world.cache.begin_fill();
            let time = (world.now, Duration::from_secs(60));
            world.cache.store(fill, key(&url), &[&url], stored, Tags::default(), time);
            assert!(world.holds("/0"));
        }
        assert!(!world.holds("/1"));
        assert!(locked(&world.cache.state).bytes <= CAPACITY);
    }

    #[test]
    fn the_time_to_live_is_the_origins_wish_within_bounds() {
        let seconds = Duration::from_secs;
        let caching = |min, default, max| Caching {
            min_ttl: seconds(min),
            default_ttl: seconds(default),
            max_ttl: seconds(max),
            query_strings: QueryStrings::None,
        };
        for (control, bounds, expected) in [
            ("", (0, 100, 1000), 100),
            ("max-age=5", (0, 100, 1000), 5),
            ("max-age=5, s-maxage=7", (0, 100, 1000), 7),
            ("max-age=5", (60, 100, 1000), 60),
            ("public, max-age=31536000, immutable", (0, 100, 1000), 1000),
            ("no-store", (0, 100, 1000), 0),
            ("no-cache", (1, 100, 1000), 1),
            ("private, max-age=9", (0, 100, 1000), 0),
            ("max-age=5", (0, 0, 0), 0),
        ] {
            let mut headers = HeaderMap::new();
            if !control.is_empty() {
                let name = HeaderName::from_static("cache-control");
                headers.insert(name, HeaderValue::from_static(control));
            }
            let (min, default, max) = bounds;
            let found = time_to_live(&caching(min, default, max), &headers);
            assert_eq!(found, seconds(expected), "{control}");
        }
    }
}
