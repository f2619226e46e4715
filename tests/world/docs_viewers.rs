//! Everybody who reads a site whose pages are directories, before a deploy and after it.

use super::http::{Answer, request};
use futures::StreamExt;
use serde_json::Value;
use shipfront_edge::{CachedCopy, Distribution, Edge, EdgeError, ErrorResponse};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Contents by key.
type Files = BTreeMap<String, String>;

/// How long an old error page may be served at URLs without a page.
const ERROR_PAGE_LIFE: Duration = Duration::from_secs(60);
const ERROR_PAGE: &str = "404.html";
const CONCURRENCY: usize = 8;

/// The readers of a bucket's distribution.
pub(crate) struct Viewers<'a> {
    edge: &'a Edge,
    bucket: &'a str,
    distribution: &'a str,
    /// The URLs of a copy that earlier deploys reached without evicting it, because it answers other URLs as well.
    /// The edge evicts it with the last of them.
    reached: RefCell<BTreeMap<String, BTreeSet<String>>>,
}

/// What is cached before a deploy.
pub(crate) struct Warm {
    copies: Vec<CachedCopy>,
    /// The URLs of what is in the bucket, and of the next site.
    urls: BTreeSet<String>,
}

impl Warm {
    /// How many copies there are.
    pub(crate) fn len(&self) -> usize {
        self.copies.len()
    }
}

/// What a deploy did to the cache.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    /// The items that were sent.
    pub(crate) items: Vec<String>,
    /// The cached URLs that were evicted and whose answer changed.
    pub(crate) changed: usize,
    /// The cached URLs that were evicted needlessly.
    pub(crate) unchanged: usize,
    /// The cached errors that were evicted at URLs without a key: nobody can list those, so no report counts them.
    pub(crate) errors: usize,
    /// Differences from what the report announces.
    pub(crate) complaints: Vec<String>,
}

impl Effect {
    /// How many of the items are wildcards.
    pub(crate) fn wildcards(&self) -> usize {
        self.items.iter().filter(|item| item.ends_with('*')).count()
    }
}

/// Configures a bucket's distribution for a site of directories with an error page, and stops its clock.
pub(crate) fn configure(edge: &Edge, distribution: &str) -> Result<(), EdgeError> {
    let mut found = edge.distribution(distribution).ok_or(EdgeError::NoSuchDistribution(distribution.to_owned()))?;
    let response = |code| ErrorResponse {
        error_code: code,
        page_path: Some(format!("/{ERROR_PAGE}")),
        response_code: Some(404),
        error_caching_min_ttl: 10,
    };
    found.error_responses = vec![response(403), response(404)];
    edge.put_distribution(Distribution::with_index_rewrite(found))?;
    edge.stop_clock();
    Ok(())
}

impl<'a> Viewers<'a> {
    /// The readers of this distribution, which serves this bucket.
    pub(crate) fn new(edge: &'a Edge, bucket: &'a str, distribution: &'a str) -> Viewers<'a> {
        Viewers { edge, bucket, distribution, reached: RefCell::default() }
    }

    /// Requests every URL of what is in the bucket and of the next site, so that the cache contains everything that
    /// it can; returns what it contains.
    pub(crate) async fn warm(&self, next: &Files) -> Warm {
        let objects = self.edge.objects(self.bucket).into_iter().map(|object| object.key);
        let there = objects.filter(|key| !key.starts_with(".shipfront/"));
        let urls: BTreeSet<String> = there.chain(next.keys().cloned()).flat_map(|key| urls(&key)).collect();
        self.ask(urls.clone()).await;
        self.edge.clear_evictions();
        Warm { copies: self.edge.cached(self.distribution), urls }
    }

    /// What a deploy evicted of the copies that were there `before` it, compared with its report.
    pub(crate) fn effect(&self, before: &Warm, report: &Value) -> Effect {
        let invalidations = || report["invalidations"].as_array().into_iter().flatten();
        let count = |name: &str| invalidations().filter_map(|sent| sent[name].as_u64()).sum::<u64>() as usize;
        let listed =
            |name: &'static str| invalidations().filter_map(move |sent| sent[name].as_array()).flatten().cloned();
        let items: Vec<String> = listed("items").filter_map(|item| item.as_str().map(str::to_owned)).collect();
        let mut effect = Effect { items, ..Effect::default() };

        let copies = || before.copies.iter();
        let mut reached = self.reached.borrow_mut();
        let earlier = |copy: &CachedCopy, url: &String| reached.get(&copy.url).is_some_and(|urls| urls.contains(url));
        let announced = copies().filter(|copy| {
            copy.answers.iter().any(|url| matches_any(&effect.items, url))
                && copy.answers.iter().all(|url| matches_any(&effect.items, url) || earlier(copy, url))
        });
        let announced: BTreeSet<String> = announced.map(|copy| copy.url.clone()).collect();
        let mut evicted = BTreeSet::new();
        // A copy past its time to live stays in the cache until it is requested: evicting it loses nothing.
        let alive: BTreeSet<&String> = copies().map(|copy| &copy.url).collect();
        let evictions = self.edge.evictions(self.distribution).into_iter();
        for gone in evictions.filter(|gone| alive.contains(&gone.url)) {
            let now = gone.answered.iter().filter(|url| matches_any(&effect.items, url));
            let (of_keys, errors): (Vec<_>, Vec<_>) = now.partition(|url| before.urls.contains(*url));
            effect.errors += errors.len();
            let of_keys = of_keys.len();
            *(if gone.outdated { &mut effect.changed } else { &mut effect.unchanged }) += of_keys;
            evicted.insert(gone.url);
        }
        let left = copies().filter(|copy| !evicted.contains(&copy.url)).map(|copy| {
            let urls = copy.answers.iter().filter(|url| matches_any(&effect.items, url) || earlier(copy, url));
            (copy.url.clone(), urls.cloned().collect())
        });
        let left = left.collect();
        *reached = left;
        let mut complain = |complaint: String| effect.complaints.push(complaint);
        for url in evicted.symmetric_difference(&announced) {
            let what = if evicted.contains(url) { "evicted and not announced" } else { "announced and not evicted" };
            complain(format!("{url} was {what}"));
        }
        if effect.changed != count("viewer_paths") {
            complain(format!("{} changed URLs were evicted, {} announced", effect.changed, count("viewer_paths")));
        }
        // If a copy answers several URLs, a wildcard may reach only one, and leaves it.
        let whole = |copy: &&CachedCopy| !announced.contains(&copy.url);
        let reached_now =
            copies().filter(whole).flat_map(|copy| &copy.answers).filter(|url| before.urls.contains(*url));
        let reached_now = reached_now.filter(|url| matches_any(&effect.items, url)).count();
        if effect.unchanged + reached_now != count("collateral") {
            let (unchanged, collateral) = (effect.unchanged, count("collateral"));
            complain(format!("{unchanged} unchanged URLs were evicted, {reached_now} reached, {collateral} announced"));
        }
        let covered = listed("coverage").filter_map(|item| item["covers"].as_u64()).sum::<u64>() as usize;
        if covered != count("viewer_paths") {
            complain(format!("the items cover {covered} of {} changed URLs", count("viewer_paths")));
        }
        effect
    }

    /// Requests every URL of the site and of the previous one, at once and when old error pages have expired;
    /// returns those that serve old bytes.
    pub(crate) async fn stale(&self, before: &Files, now: &Files) -> BTreeSet<String> {
        let urls: BTreeSet<String> = before.keys().chain(now.keys()).flat_map(|key| urls(key)).collect();
        let answers = self.ask(urls.clone()).await;
        let mut stale: BTreeSet<String> =
            answers.iter().filter(|(url, answer)| !is_fresh(url, answer, before, now, false)).map(first).collect();
        self.edge.advance_clock(ERROR_PAGE_LIFE);
        let answers = self.ask(urls).await;
        stale.extend(answers.iter().filter(|(url, answer)| !is_fresh(url, answer, before, now, true)).map(first));
        // Copies that were not requested again are old as well.
        let outdated = self.edge.cached(self.distribution).into_iter().filter(|copy| copy.outdated);
        stale.extend(outdated.map(|copy| copy.url));
        stale
    }

    async fn ask(&self, urls: BTreeSet<String>) -> Vec<(String, Answer)> {
        let host = format!("{}.localhost", self.distribution);
        let base = self.edge.viewer_url();
        let requests = urls.into_iter().map(|url| {
            let (host, base) = (host.clone(), base.clone());
            async move {
                let answer = request(&base, "GET", &url, &[("host", &host)]).await;
                (url, answer)
            }
        });
        futures::stream::iter(requests).buffer_unordered(CONCURRENCY).collect().await
    }
}

fn first((url, _): &(String, Answer)) -> String {
    url.clone()
}

/// Whether a URL serves what the site says; at one without a page, whether the error page itself is the current one
/// matters only later.
fn is_fresh(url: &str, answer: &Answer, before: &Files, now: &Files, later: bool) -> bool {
    let key = key(url, now);
    match (now.get(&key), before.get(&key)) {
        (Some(body), _) => answer.status == 200 && answer.body == body.as_bytes(),
        // An asset stays for open pages.
        (None, Some(body)) if key.starts_with("assets/") && answer.status == 200 => answer.body == body.as_bytes(),
        (None, _) => answer.status == 404 && (!later || now[ERROR_PAGE].as_bytes() == answer.body),
    }
}

/// The key whose object a URL serves.
fn key(url: &str, files: &Files) -> String {
    let path = url.trim_start_matches('/');
    if path.is_empty() || path.ends_with('/') {
        format!("{path}index.html")
    } else if files.contains_key(path) || path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        path.to_owned()
    } else {
        format!("{path}/index.html")
    }
}

/// The URLs that serve a key: a directory's three, or one.
fn urls(key: &str) -> Vec<String> {
    let mut urls = vec![format!("/{key}")];
    if let Some(folder) = key.strip_suffix("index.html") {
        urls.push(format!("/{folder}"));
        urls.extend(folder.strip_suffix('/').map(|folder| format!("/{folder}")));
    }
    urls
}

/// Whether one of the items clears a URL, in the strictest reading of the documentation: `/dir/*` leaves `/dir/`.
fn matches_any(items: &[String], url: &str) -> bool {
    items.iter().any(|item| match item.strip_suffix('*') {
        Some("/") => true,
        Some(prefix) => url.starts_with(prefix) && (url.len() > prefix.len() || !prefix.ends_with('/')),
        None => item == url,
    })
}
