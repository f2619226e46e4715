//! Viewers who request every form of every URL, before a deploy and after it.

use crate::world::http::request;
use crate::world::site::{Run, TARGET, World};
use shipfront_edge::{CACHING_DISABLED, CacheSettings, Distribution};
use std::collections::BTreeSet;

/// The ID of the distribution that caches nothing, and so always serves the current state.
const TRUTH: &str = "ETRUTH00000000";

/// What a viewer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) body: String,
    location: Option<String>,
    pub(super) hit: bool,
}

/// The viewers of one host, with the URLs that they request.
pub(super) struct Audience<'a> {
    world: &'a World,
    host: String,
    /// The distribution behind the host.
    distribution: Distribution,
    /// All requested URLs.
    urls: BTreeSet<String>,
    /// Those whose responses a deploy is about to change.
    touched: BTreeSet<String>,
    /// Those in the cache.
    cached: BTreeSet<String>,
}

/// Every way in which viewers may request a key at `/` + `rest`.
pub(super) fn forms(rest: &str) -> BTreeSet<String> {
    let mut paths = vec![rest];
    paths.extend(rest.strip_suffix("index.html"));
    paths.extend(rest.strip_suffix("/index.html"));
    paths.extend(rest.strip_suffix(".html"));
    let mut forms = BTreeSet::new();
    for path in paths {
        let encoded: String = path.bytes().map(encode).collect();
        let spellings = [encoded.clone(), encoded.replace("%20", "+"), encoded.replace('~', "%7E"), raw_plus(&encoded)];
        for spelling in spellings {
            forms.extend([format!("/{spelling}"), format!("/{spelling}?utm=1"), format!("/{spelling}?v=2&utm=1")]);
        }
    }
    forms
}

fn encode(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    }
}

fn raw_plus(encoded: &str) -> String {
    encoded.replace("%2B", "+")
}

/// The viewers of the world's own distribution.
pub(super) fn audience(world: &World) -> Audience<'_> {
    let host = format!("{}.localhost", world.distribution);
    Audience::at(world, &host, world.edge.distribution(&world.distribution).unwrap())
}

impl<'a> Audience<'a> {
    /// The viewers of a host with this distribution.
    pub(super) fn at(world: &'a World, host: &str, distribution: Distribution) -> Audience<'a> {
        let (urls, touched, cached) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Audience { world, host: host.to_owned(), distribution, urls, touched, cached }
    }

    /// Viewers who also request every form of these keys.
    pub(super) fn of(mut self, keys: &[&str]) -> Self {
        self.urls.extend(keys.iter().flat_map(|key| forms(key)));
        self
    }

    /// The keys that the next deploy will change, create or delete.
    pub(super) fn touching(mut self, keys: &[&str]) -> Self {
        self.touched.extend(keys.iter().flat_map(|key| forms(key)));
        self.urls.extend(self.touched.iter().cloned());
        self
    }

    pub(super) async fn see(&self, url: &str) -> Seen {
        self.see_at(&self.host, url).await
    }

    async fn see_at(&self, host: &str, url: &str) -> Seen {
        let answer = request(&self.world.edge.viewer_url(), "GET", url, &[("host", host)]).await;
        Seen {
            status: answer.status,
            body: answer.text(),
            location: answer.header("location").map(str::to_owned),
            hit: answer.header("age").is_some(),
        }
    }

    /// Requests everything, so that the cache contains everything that it would.
    pub(super) async fn fill(&mut self) {
        for url in self.urls.clone() {
            self.see(&url).await;
            if self.see(&url).await.hit {
                self.cached.insert(url);
            }
        }
        assert!(self.touched.iter().any(|url| self.cached.contains(url)), "nothing is cached: {:?}", self.touched);
    }

    /// Requests everything again; returns the URLs that serve something else than the origin would now.
    pub(super) async fn stale(&self) -> Vec<String> {
        self.again().await.0
    }

    /// Requests everything again: nothing may be stale, and of what did not change, only what a wildcard among
    /// `items` covers may be gone. Returns those that are gone.
    #[track_caller]
    pub(super) fn check(&self, run: &Run) -> impl Future<Output = BTreeSet<String>> {
        let caller = std::panic::Location::caller();
        let items = items(run);
        async move {
            let (stale, lost) = self.again().await;
            assert_eq!(stale, [""; 0], "stale; sent {items:?} ({caller})");
            let covered = |url: &&String| {
                let prefixes = items.iter().filter_map(|item| item.strip_suffix('*'));
                // A URL does not show which copies carry a tag: that they are counted is checked below.
                prefixes.into_iter().any(|prefix| url.starts_with(prefix))
                    || items.iter().any(|item| item.starts_with('#'))
            };
            let needless: Vec<_> = lost.iter().filter(|url| !covered(url)).collect();
            assert!(needless.is_empty(), "lost {needless:?}; sent {items:?} ({caller})");
            assert!(collateral(run) > 0 || lost.is_empty(), "lost {lost:?}, not reported ({caller})");
            lost
        }
    }

    async fn again(&self) -> (Vec<String>, BTreeSet<String>) {
        let mut truth = self.distribution.clone();
        truth.id = TRUTH.to_owned();
        for behavior in truth.behaviors.iter_mut().chain([&mut truth.default_behavior]) {
            behavior.cache = CacheSettings::Policy(CACHING_DISABLED.to_owned());
        }
        self.world.edge.put_distribution(truth).unwrap();
        let (mut stale, mut lost) = (Vec::new(), BTreeSet::new());
        for url in &self.urls {
            let seen = self.see(url).await;
            let expected = self.see_at(&format!("{TRUTH}.localhost"), url).await;
            assert!(!expected.hit);
            if !self.touched.contains(url) && self.cached.contains(url) && !seen.hit {
                lost.insert(url.clone());
            }
            if (Seen { hit: false, ..seen.clone() }) != expected {
                stale.push(format!("{url} -> {} {}", seen.status, seen.body));
            }
        }
        self.world.edge.remove_distribution(TRUTH).unwrap();
        (stale, lost)
    }
}

/// All items that a run sent.
pub(super) fn items(run: &Run) -> Vec<String> {
    let invalidations = run.json["invalidations"].as_array().unwrap().iter();
    let items = invalidations.flat_map(|invalidation| invalidation["items"].as_array().unwrap());
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// How many unchanged URLs a run reports as evicted.
pub(super) fn collateral(run: &Run) -> u64 {
    let invalidations = run.json["invalidations"].as_array().unwrap().iter();
    invalidations.map(|invalidation| invalidation["collateral"].as_u64().unwrap()).sum()
}

/// `deploy` to a folder of the world's bucket.
pub(super) fn deploy_to(world: &World, prefix: &str, options: &[&str]) -> Run {
    world.run(&world.arguments("deploy", &format!("{TARGET}/{prefix}"), options))
}

/// Changes the world's distribution.
pub(super) fn configure(world: &World, change: impl FnOnce(&mut Distribution)) {
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    change(&mut distribution);
    world.edge.put_distribution(distribution).unwrap();
}
