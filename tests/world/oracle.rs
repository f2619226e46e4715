//! What viewers may have cached: a cache that keeps everything that anybody could have fetched at any moment, as
//! full as possible.
//!
//! It replays the changes that the edge reports, and does not know how shipfront decides.

use super::sites::{Site, is_page, references};
use shipfront_edge::{Edge, Effect};
use shipfront_site::etag::{hex, md5};
use std::collections::{BTreeMap, BTreeSet};

/// The response at a URL, or none.
type Version = Option<Answer>;

/// Bytes and what comes with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    body: String,
    media_type: String,
    /// The cache tags of the distribution's copies.
    tags: BTreeSet<String>,
}

/// A bucket and the edge in front of it, as viewers see them.
pub(crate) struct Oracle {
    bucket: String,
    distribution: String,
    /// The header that the distribution reads cache tags from.
    tag_header: Option<String>,
    now: BTreeMap<String, Answer>,
    /// By URL path: every response that somebody may have got since it was last invalidated.
    cached: BTreeMap<String, BTreeSet<Version>>,
    /// Everything that is wrong.
    pub(crate) complaints: Vec<String>,
}

impl Oracle {
    /// A bucket that contains `contents`, all of it cached, with an error cached at the URL of each missing key of
    /// `others`.
    pub(crate) fn new<'a>(
        edge: &Edge,
        bucket: &str,
        distribution: &str,
        contents: &'a Site,
        others: impl Iterator<Item = &'a String>,
    ) -> Oracle {
        let objects = edge.objects(bucket);
        let tag_header = edge.distribution(distribution).unwrap().cache_tag_header;
        let headers = |key: &str| &objects.iter().find(|object| object.key == key).unwrap().headers;
        let answer = |(key, body): (&String, &String)| (key.clone(), answer(body, headers(key), tag_header.as_deref()));
        let now: BTreeMap<String, Answer> = contents.iter().map(answer).collect();
        let mut oracle = Oracle {
            bucket: bucket.to_owned(),
            distribution: distribution.to_owned(),
            tag_header,
            now,
            cached: BTreeMap::new(),
            complaints: Vec::new(),
        };
        for key in contents.keys().chain(others) {
            let version = oracle.now.get(key).cloned();
            oracle.cached.extend(urls(key).into_iter().map(|url| (url, BTreeSet::from([version.clone()]))));
        }
        oracle
    }

    /// Somebody requests every URL of a key; for a key that is new, an error was cached before.
    fn fetch(&mut self, key: &str) {
        let version = self.now.get(key).cloned();
        for url in urls(key) {
            self.cached.entry(url).or_insert_with(|| BTreeSet::from([None])).insert(version.clone());
        }
    }

    /// Applies what changed while `sources` were being deployed.
    pub(crate) fn replay(&mut self, effects: &[Effect], sources: &[&Site]) {
        for effect in effects {
            match effect {
                Effect::Put { bucket, key, etag, headers } if *bucket == self.bucket && !is_record(key) => {
                    // ETags that say nothing do not matter if there is only one source.
                    let made = |source: &&Site| {
                        let body = source.get(key);
                        body.is_some_and(|body| sources.len() == 1 || *etag == hex(&md5(body.as_bytes())))
                    };
                    let makers: Vec<&Site> = sources.iter().copied().filter(made).collect();
                    let Some(body) = makers.first().map(|source| &source[key]) else {
                        self.complaints.push(format!("{key} was uploaded, and is in no source"));
                        continue;
                    };
                    if is_page(key) {
                        self.check_references(key, body, &makers);
                    }
                    self.now.insert(key.clone(), answer(body, headers, self.tag_header.as_deref()));
                    self.fetch(key);
                }
                Effect::Delete { bucket, key } if *bucket == self.bucket && !is_record(key) => {
                    if sources.iter().all(|source| source.contains_key(key)) {
                        self.complaints.push(format!("{key} was deleted, and is in the source"));
                    }
                    self.check_unreferenced(key);
                    self.now.remove(key);
                    self.fetch(key);
                }
                Effect::Invalidate { distribution, items } if *distribution == self.distribution => {
                    self.invalidate(items);
                }
                _ => {}
            }
        }
    }

    /// Drops the cached responses; viewers come back in the next moment.
    fn invalidate(&mut self, items: &[String]) {
        let tags: Vec<&str> = items.iter().filter_map(|item| item.strip_prefix('#')).collect();
        for (url, versions) in &mut self.cached {
            let by_path = items.iter().any(|item| match item.strip_suffix('*') {
                Some(prefix) => url.starts_with(prefix),
                None => url == item,
            });
            let before = versions.len();
            let has_tag = |answer: &Answer| tags.iter().any(|tag| answer.tags.contains(*tag));
            versions.retain(|version| !by_path && !version.as_ref().is_some_and(has_tag));
            if versions.len() < before {
                let key = if url == "/" { "index.html" } else { &url[1..] };
                versions.insert(self.now.get(key).cloned());
            }
        }
    }

    /// A page needs the assets of its own build.
    fn check_references(&mut self, page: &str, body: &str, makers: &[&Site]) {
        let there = |asset: &str| self.now.get(asset).map(|answer| &answer.body);
        let complete = |source: &&Site| references(body).all(|asset| there(asset) == source.get(asset));
        if !makers.iter().any(complete) {
            self.complaints.push(format!("{page} was visible before its assets"));
        }
    }

    /// No page that anybody can see needs a removed asset.
    fn check_unreferenced(&mut self, asset: &str) {
        let pages = self.now.iter().filter(|(key, _)| is_page(key) && *key != asset);
        let visible = pages.filter(|(_, page)| references(&page.body).any(|needed| needed == asset));
        let visible: Vec<String> =
            visible.map(|(page, _)| format!("{page} in the bucket still needs {asset}")).collect();
        self.complaints.extend(visible);
        let cached = self.cached.iter().filter(|(url, versions)| {
            is_page(url) && versions.iter().flatten().any(|page| references(&page.body).any(|needed| needed == asset))
        });
        let cached: Vec<String> = cached.map(|(url, _)| format!("a cached {url} still needs {asset}")).collect();
        self.complaints.extend(cached);
    }

    /// Every URL at which anybody may have another response than the bucket returns now.
    pub(crate) fn stale(&self) -> Vec<String> {
        let stale = self.cached.iter().filter(|(url, versions)| {
            let key = if *url == "/" { "index.html" } else { &url[1..] };
            versions.len() != 1 || !versions.contains(&self.now.get(key).cloned())
        });
        stale.map(|(url, _)| url.clone()).collect()
    }

    /// The bucket as replayed.
    pub(crate) fn contents(&self) -> Site {
        self.now.iter().map(|(key, answer)| (key.clone(), answer.body.clone())).collect()
    }
}

fn answer(body: &str, headers: &BTreeMap<String, String>, tag_header: Option<&str>) -> Answer {
    let tags = tag_header.and_then(|header| headers.get(header)).into_iter().flat_map(|tags| tags.split(','));
    let media_type = headers["content-type"].clone();
    Answer { body: body.to_owned(), media_type, tags: tags.map(str::to_owned).collect() }
}

fn urls(key: &str) -> Vec<String> {
    let mut urls = vec![format!("/{key}")];
    if key == "index.html" {
        urls.push("/".to_owned());
    }
    urls
}

pub(crate) fn is_record(key: &str) -> bool {
    key.starts_with(".shipfront/")
}
