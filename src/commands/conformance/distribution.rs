//! The distribution: what it caches, what an invalidation clears, how many items a request may have.

use crate::cloudfront::Accepted;
use crate::cloudfront::viewer::View;
use crate::commands::conformance::cdn::{Cdn, Probe, no_distribution};
use crate::commands::conformance::check::{Check, Seen, check};
use crate::commands::conformance::trial::{Trial, text};
use crate::error::{Error, Result};
use crate::s3::Bucket;
use crate::s3::trial::Conditions;
use shipfront_invalidation::InvalidationStatus;
use shipfront_site::headers::Headers;
use std::time::Duration;

/// Number of wildcards in the request that tests the quota: one more than may be in progress under the older rule.
const MANY_WILDCARDS: u64 = 16;
/// Error pages whose copies may live longer, in seconds, are not waited for.
const LONGEST_ERROR: u64 = 30;

pub(super) const CHECKS: &[Check] = &[
    check!(
        "warm-url-is-kept",
        "1.12",
        "a URL that was requested twice is cached, and does not change when its object changes",
        "the distribution caches nothing below the prefix, so invalidations are unnecessary: use --distribution none",
        warm_url_is_kept
    ),
    check!(
        "path-clears",
        "1.1",
        "invalidating a URL's exact path evicts it",
        "viewers would stay stale: do not rely on invalidations here",
        path_clears
    ),
    check!(
        "completed-is-fresh",
        "1.15",
        "when an invalidation is Completed, viewers see the change",
        "--verify may see old copies: wait before you check",
        completed_is_fresh
    ),
    check!(
        "wildcard-clears",
        "1.5",
        "a wildcard evicts the URLs that are longer than its prefix, and nothing else",
        "use --max-wildcards 0",
        wildcard_clears
    ),
    check!(
        "directory-is-cleared",
        "1.5",
        "/dir/* and /dir/ together evict /dir/ and everything below it",
        "use --strategy exact",
        directory_is_cleared
    ),
    check!(
        "aliases-are-cleared",
        "1.12",
        "invalidating the path of a key and of each URL that a function rewrites to it evicts all of them",
        "use --strategy all",
        aliases_are_cleared
    ),
    check!(
        "tag-clears",
        "1.13",
        "invalidating a cache tag evicts the copies that carry it",
        "use --cache-tags off",
        tag_clears
    ),
    check!(
        "query-strings",
        "1.2",
        "the paths that a deploy sends for a page also evict its URLs with a query string",
        "use --strategy all",
        query_strings
    ),
    check!(
        "error-is-cleared",
        "1.1",
        "once an object exists, invalidating its path evicts an error that was cached for the URL",
        "viewers may get an error for a new page until the error expires: lower ErrorCachingMinTTL",
        error_is_cleared
    ),
    check!(
        "error-page-ages",
        "1.6",
        "copies of an error page at other URLs live no longer than its headers and ErrorCachingMinTTL say",
        "use --error-page all",
        error_page_ages
    ),
    check!(
        "same-reference",
        "1.8",
        "repeating a caller reference with the same items returns the same invalidation; with other items it is refused",
        "a repeated request may be charged twice: check the bill",
        same_reference
    ),
    check!(
        "wildcards-in-a-request",
        "1.8",
        "CloudFront accepts many wildcards, in several requests if necessary",
        "set max-wildcards to the number that was accepted",
        wildcards_in_a_request
    ),
    check!(
        "paths-in-a-request",
        "1.8",
        "CloudFront accepts many paths, in several requests if necessary",
        "set max-paths to the number that was accepted",
        paths_in_a_request
    ),
];

/// The distribution, if one is tested and serves the folder.
pub(super) fn shown(trial: &Trial) -> Result<&Cdn> {
    let cdn = trial.cdn().ok_or_else(no_distribution)?;
    if cdn.url("any").is_none() {
        return Err(Error::interrupted("the distribution keeps nothing of the folder, by its configuration"));
    }
    Ok(cdn)
}

/// What happened to a page that was cached, changed and invalidated.
pub(super) enum Story {
    /// The edge did not cache it at any URL.
    NotKept(View),
    /// A URL serves the old page.
    Stale(String),
    /// All serve the new one, after this time.
    Fresh(Duration, Accepted),
}

impl Story {
    /// The result for an invalidation that must clear all.
    pub(super) fn seen(self) -> Seen {
        match self {
            Story::NotKept(view) => Seen::not_tried(not_kept(&view)),
            Story::Stale(path) => Seen::otherwise(format!("{path} stays as it was")),
            Story::Fresh(after, _) => Seen::whether(true, format!("fresh after {:.1} s", after.as_secs_f64())),
        }
    }
}

fn not_kept(view: &View) -> String {
    let cache = view.cache.as_deref().unwrap_or("no X-Cache");
    format!("the edge does not keep it: status {}, {cache}", view.status)
}

/// A page in one of its states.
pub(super) fn state(key: &str, generation: u32) -> String {
    format!("{key}, state {generation}")
}

/// Writes a page, and has the edge cache it at these URLs; returns those at which it does.
pub(super) async fn keep(
    trial: &Trial,
    (bucket, key, headers): (&Bucket, &str, &Headers),
    paths: &[String],
    generation: u32,
) -> Result<Result<Vec<String>, View>> {
    let (cdn, body) = (shown(trial)?, state(key, generation));
    trial.put(bucket, key, &body, headers, Conditions::default()).await?;
    let (mut kept, mut last) = (Vec::new(), View::default());
    for path in paths {
        let view = cdn.keep(path).await?;
        if view.body == body && view.status == 200 && view.is_hit() {
            kept.push(path.clone());
        } else {
            last = view;
        }
    }
    Ok(if kept.is_empty() { Err(last) } else { Ok(kept) })
}

/// Caches a page at URLs, changes it, invalidates items, and checks all of the URLs.
pub(super) async fn story(
    trial: &Trial,
    page: (&Bucket, &str, &Headers),
    paths: &[String],
    items: &[String],
) -> Result<Story> {
    let cdn = shown(trial)?;
    let (bucket, key, headers) = page;
    let kept = match keep(trial, page, paths, 1).await? {
        Ok(kept) => kept,
        Err(view) => return Ok(Story::NotKept(view)),
    };
    trial.put(bucket, key, &state(key, 2), headers, Conditions::default()).await?;
    let accepted = cdn.evict(items).await?;
    let mut longest = Duration::ZERO;
    for path in kept {
        match cdn.turns(&path, &state(key, 2)).await? {
            Some(after) => longest = longest.max(after),
            None => return Ok(Story::Stale(path)),
        }
    }
    Ok(Story::Fresh(longest, accepted))
}

/// The URL of a key in a check's folder.
pub(super) fn url(cdn: &Cdn, folder: &str, key: &str) -> String {
    cdn.url(&format!("{folder}/{key}")).unwrap_or_default()
}

async fn warm_url_is_kept(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket, headers) = (shown(trial)?, trial.folder("warm-url-is-kept")?, text());
    let path = url(cdn, "warm-url-is-kept", "page.txt");
    if let Err(view) = keep(trial, (&bucket, "page.txt", &headers), std::slice::from_ref(&path), 1).await? {
        return Ok(Seen::otherwise(not_kept(&view)));
    }
    trial.write(&bucket, "page.txt", &state("page.txt", 2)).await?;
    let view = cdn.get(&path).await?;
    Ok(Seen::whether(view.body == state("page.txt", 1), view.cache.unwrap_or_default()))
}

async fn path_clears(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket) = (shown(trial)?, trial.folder("path-clears")?);
    let path = url(cdn, "path-clears", "page.txt");
    let items = std::slice::from_ref(&path);
    let story = story(trial, (&bucket, "page.txt", &text()), items, items).await?;
    if let Story::Fresh(after, _) = &story {
        trial.learn(|learned| learned.seconds_until_fresh = Some(after.as_secs_f64()));
    }
    Ok(story.seen())
}

async fn completed_is_fresh(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket, headers) = (shown(trial)?, trial.folder("completed-is-fresh")?, text());
    let path = url(cdn, "completed-is-fresh", "page.txt");
    let items = std::slice::from_ref(&path);
    if let Err(view) = keep(trial, (&bucket, "page.txt", &headers), items, 1).await? {
        return Ok(Seen::not_tried(not_kept(&view)));
    }
    trial.write(&bucket, "page.txt", &state("page.txt", 2)).await?;
    let watch = trial.clock().start();
    let accepted = cdn.evict(items).await?;
    if !cdn.done(&accepted).await? {
        return Ok(Seen::otherwise(format!("not completed within {} s", watch.elapsed().as_secs())));
    }
    let view = cdn.get(&path).await?;
    let answered = format!("completed after {:.1} s: {}", watch.elapsed().as_secs_f64(), view.body);
    Ok(Seen::whether(view.body == state("page.txt", 2), answered))
}

async fn wildcard_clears(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket, headers) = (shown(trial)?, trial.folder("wildcard-clears")?, text());
    let path = |key: &str| url(cdn, "wildcard-clears", key);
    let spared = [path("b/page.txt")];
    if let Err(view) = keep(trial, (&bucket, "b/page.txt", &headers), &spared, 1).await? {
        return Ok(Seen::not_tried(not_kept(&view)));
    }
    trial.write(&bucket, "b/page.txt", &state("b/page.txt", 2)).await?;
    let story =
        story(trial, (&bucket, "a/page.txt", &headers), &[path("a/page.txt")], &[format!("{}*", path("a/"))]).await?;
    let Story::Fresh(_, accepted) = &story else { return Ok(story.seen()) };
    cdn.done(accepted).await?;
    let view = cdn.get(&spared[0]).await?;
    if view.body == state("b/page.txt", 1) {
        return Ok(story.seen());
    }
    Ok(Seen::otherwise(format!("it cleared {} as well", spared[0])))
}

async fn directory_is_cleared(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket, headers) = (shown(trial)?, trial.folder("directory-is-cleared")?, text());
    let directory = url(cdn, "directory-is-cleared", "dir/");
    // If a function answers for directories, viewers see their index.html.
    let pages = ["dir/index.html", "dir/"];
    let mut kept = None;
    for key in pages {
        if keep(trial, (&bucket, key, &headers), std::slice::from_ref(&directory), 1).await?.is_ok() {
            kept = Some(key);
            break;
        }
    }
    let Some(key) = kept else { return Ok(Seen::not_tried("no object answers at /dir/ here")) };
    trial.write(&bucket, key, &state(key, 2)).await?;
    let wildcard = format!("{directory}*");
    let accepted = cdn.evict(std::slice::from_ref(&wildcard)).await?;
    let done = cdn.done(&accepted).await?;
    let alone = cdn.get(&directory).await?.body == state(key, 2);
    if done {
        trial.learn(|learned| learned.readings.directory_wildcard_clears_directory = Some(alone));
    }
    let mut items = cdn.items(&format!("directory-is-cleared/{key}"));
    items.push(directory.clone());
    items.sort();
    items.dedup();
    cdn.evict(&items).await?;
    let fresh = cdn.turns(&directory, &state(key, 2)).await?.is_some();
    let alone = if alone { "the wildcard alone clears /dir/" } else { "the wildcard alone leaves /dir/" };
    Ok(Seen::whether(fresh, if fresh { alone.to_owned() } else { format!("{directory} stays as it was") }))
}

async fn aliases_are_cleared(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket, headers) = (shown(trial)?, trial.folder("aliases-are-cleared")?, text());
    let folder = "aliases-are-cleared";
    let page = (&bucket, "dir/index.html", &headers);
    let (own, alias) = (url(cdn, folder, "dir/index.html"), url(cdn, folder, "dir/"));
    let both = [own.clone(), alias.clone()];
    match keep(trial, page, &both, 1).await? {
        Err(view) => return Ok(Seen::not_tried(not_kept(&view))),
        Ok(kept) if !kept.contains(&alias) => {
            return Ok(Seen::not_tried("no function or website endpoint answers for /dir/"));
        }
        Ok(_) => {}
    }
    // One path at a time: which of the two serves the next state then?
    let mut cleared = Vec::new();
    for (generation, item) in [(2, &own), (3, &alias)] {
        trial.write(&bucket, "dir/index.html", &state("dir/index.html", generation)).await?;
        let accepted = cdn.evict(std::slice::from_ref(item)).await?;
        let done = cdn.done(&accepted).await?;
        let next = state("dir/index.html", generation);
        let seen = (cdn.get(&own).await?.body == next, cdn.get(&alias).await?.body == next);
        cleared.push((done, seen));
        // All of them, before the next test.
        cdn.evict(&cdn.items(&format!("{folder}/dir/index.html"))).await?;
        for path in &both {
            if cdn.turns(path, &next).await?.is_none() {
                return Ok(Seen::otherwise(format!("{path} stays as it was")));
            }
            cdn.keep(path).await?;
        }
    }
    let (by_key, by_alias) = (cleared[0].1, cleared[1].1);
    trial.learn(|learned| {
        learned.readings.key_path_clears_aliases = cleared[0].0.then_some(by_key.0 && by_key.1);
        learned.readings.alias_path_clears_key = cleared[1].0.then_some(by_alias.0 && by_alias.1);
    });
    let shown = |(own, alias): (bool, bool)| match (own, alias) {
        (true, true) => "both",
        (true, false) => "the key's alone",
        (false, true) => "the alias's alone",
        (false, false) => "neither",
    };
    Ok(Seen::whether(true, format!("the key's path clears {}, the alias's {}", shown(by_key), shown(by_alias))))
}

async fn tag_clears(trial: &Trial) -> Result<Seen> {
    let cdn = shown(trial)?;
    let name = cdn.shape().cache_tag_header.as_deref().and_then(|header| header.strip_prefix("x-amz-meta-"));
    let Some(name) = name else { return Ok(Seen::not_tried("the distribution reads no cache tags that S3 can send")) };
    let bucket = trial.folder("tag-clears")?;
    let tag = format!("shipfront-trial-{}", fastrand::u32(..));
    let headers = Headers { metadata: [(name.to_owned(), tag.clone())].into(), ..text() };
    let path = url(cdn, "tag-clears", "page.txt");
    Ok(story(trial, (&bucket, "page.txt", &headers), &[path], &[format!("#{tag}")]).await?.seen())
}

async fn query_strings(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket) = (shown(trial)?, trial.folder("query-strings")?);
    let path = url(cdn, "query-strings", "page.txt");
    let paths = [path.clone(), format!("{path}?a=b")];
    let items = cdn.items("query-strings/page.txt");
    Ok(story(trial, (&bucket, "page.txt", &text()), &paths, &items).await?.seen())
}

async fn error_is_cleared(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket) = (shown(trial)?, trial.folder("error-is-cleared")?);
    let path = url(cdn, "error-is-cleared", "page.txt");
    let before = cdn.keep(&path).await?;
    if before.status < 400 {
        return Ok(Seen::not_tried(format!("a missing page is answered with {}", before.status)));
    }
    trial.write(&bucket, "page.txt", &state("page.txt", 1)).await?;
    let kept = cdn.get(&path).await?.status == before.status;
    trial.learn(|learned| match before.status {
        403 => learned.readings.keeps_forbidden = Some(kept),
        404 => learned.readings.keeps_not_found = Some(kept),
        _ => {}
    });
    cdn.evict(&cdn.items("error-is-cleared/page.txt")).await?;
    let fresh = cdn.turns(&path, &state("page.txt", 1)).await?;
    let kept = if kept { "is kept" } else { "is not kept" };
    Ok(match fresh {
        Some(_) => Seen::whether(true, format!("the error {} {kept}, and goes", before.status)),
        None => Seen::otherwise(format!("{path} still answers with the error {}", before.status)),
    })
}

async fn error_page_ages(trial: &Trial) -> Result<Seen> {
    let (cdn, bucket) = (shown(trial)?, trial.folder("error-page-ages")?);
    let page = url(cdn, "error-page-ages", "error.html");
    let responses = &cdn.shape().custom_error_responses;
    let Some(response) = responses.iter().find(|response| response.response_page_path == page) else {
        return Ok(Seen::not_tried(format!("no error page of the distribution is {page}")));
    };
    let longest = response.error_caching_min_ttl.max(2);
    if longest > LONGEST_ERROR {
        return Ok(Seen::not_tried(format!("copies may live for {longest} s, by ErrorCachingMinTTL")));
    }
    let headers = Headers { cache_control: Some("max-age=0, s-maxage=2, must-revalidate".to_owned()), ..text() };
    let write = async |generation| {
        let body = state("error.html", generation);
        trial.put(&bucket, "error.html", &body, &headers, Conditions::default()).await
    };
    write(1).await?;
    let missing = url(cdn, "error-page-ages", "missing.txt");
    let before = cdn.keep(&missing).await?;
    if before.body != state("error.html", 1) {
        return Ok(Seen::not_tried(format!(
            "a missing page is answered with {}, and not with the page",
            before.status
        )));
    }
    write(2).await?;
    cdn.evict(std::slice::from_ref(&page)).await?;
    trial.clock().sleep(Duration::from_secs(longest)).await;
    Ok(match cdn.turns(&missing, &state("error.html", 2)).await? {
        Some(after) => Seen::whether(true, format!("fresh {:.1} s after their age", after.as_secs_f64())),
        None => Seen::otherwise(format!("{missing} shows the old page past {longest} s")),
    })
}

async fn same_reference(trial: &Trial) -> Result<Seen> {
    let cdn = shown(trial)?;
    let items = [url(cdn, "same-reference", "page.txt")];
    let others = [url(cdn, "same-reference", "other.txt")];
    let reference = format!("shipfront-trial-{}", fastrand::u64(..));
    let first = cdn.evict_as(&reference, &items).await?.map_err(|refusal| refusal.error)?;
    let again = cdn.evict_as(&reference, &items).await?.map_err(|refusal| refusal.error)?;
    if first.id != again.id {
        return Ok(Seen::otherwise(format!("it is another invalidation: {} after {}", again.id, first.id)));
    }
    Ok(match cdn.evict_as(&reference, &others).await? {
        Ok(other) => Seen::otherwise(format!("other items under it are taken: {}", other.id)),
        Err(_) => Seen::whether(true, format!("{} both times, and others are refused", first.id)),
    })
}

/// How many items were accepted: the result, the maximum of one request, and those left for a further test.
async fn many(trial: &Trial, items: Vec<String>) -> Result<(Seen, Option<u64>, Vec<String>)> {
    let (cdn, all) = (shown(trial)?, items.len());
    let (sent, waited, rest) = match cdn.probe(items).await? {
        Probe::Whole => {
            return Ok((Seen::whether(true, format!("{all} were taken at once")), Some(all as u64), Vec::new()));
        }
        Probe::Parts(sent, waited, rest) => (sent, waited, rest),
    };
    let half = all - rest.len();
    let taken = sent.invalidations.iter().filter(|request| request.status != InvalidationStatus::Failed);
    let sizes: Vec<usize> = taken.filter(|request| request.id.is_some()).map(|request| request.items.len()).collect();
    let largest = sizes.iter().max().map(|&size| size as u64);
    if let Some(error) = sent.failed.into_iter().next() {
        let taken: usize = sizes.iter().sum();
        let answered = format!("{all} at once were refused, and {taken} of {half} taken: {error}");
        return Ok((Seen::otherwise(answered), largest, Vec::new()));
    }
    let (seconds, requests) = (waited.as_secs_f64(), sizes.len());
    let answered = format!("{all} at once were refused, {half} taken in {requests} requests within {seconds:.1} s");
    Ok((Seen::whether(true, answered), largest, rest))
}

async fn wildcards_in_a_request(trial: &Trial) -> Result<Seen> {
    let cdn = shown(trial)?;
    let count = cdn.left().wildcards.min(MANY_WILDCARDS);
    let items = (0..count).map(|number| format!("{}*", url(cdn, "wildcards-in-a-request", &format!("{number}/a"))));
    let (mut seen, largest, rest) = many(trial, items.collect()).await?;
    let pace = cdn.pace(&rest).await?;
    if pace.taken > 0 {
        let pace = match pace.per_second {
            Some(rate) => format!("{} one by one at {rate:.1} a second, {} refusals", pace.taken, pace.refusals),
            None => format!("{} one by one without a refusal", pace.taken),
        };
        seen.answered = format!("{}; {pace}", seen.answered);
    }
    trial.learn(|learned| {
        learned.quotas.wildcards_taken = largest;
        learned.quotas.wildcards_refused = (largest < Some(count) && largest.is_some()).then_some(count);
        learned.quotas.wildcards_per_second = pace.per_second;
    });
    Ok(seen)
}

async fn paths_in_a_request(trial: &Trial) -> Result<Seen> {
    let cdn = shown(trial)?;
    let count = cdn.left().paths;
    let items = (0..count).map(|number| url(cdn, "paths-in-a-request", &format!("{number}.txt")));
    let (seen, largest, _) = many(trial, items.collect()).await?;
    trial.learn(|learned| {
        learned.quotas.paths_taken = largest;
        learned.quotas.paths_refused = (largest < Some(count) && largest.is_some()).then_some(count);
    });
    Ok(seen)
}
