//! How tests inspect the cache: the copies in it, which of them are outdated, and what was evicted.

use std::time::Duration;

use shipfront_edge::ErrorResponse;

use super::viewer::Site;

/// The URLs of the copies in the cache; outdated ones are marked with `!`.
fn cached(site: &Site) -> Vec<String> {
    let mark = |outdated: bool| if outdated { "!" } else { "" };
    site.edge.cached(&site.id).iter().map(|copy| format!("{}{}", mark(copy.outdated), copy.url)).collect()
}

/// What invalidations have evicted so far, each with the URLs that the copy answered.
fn evicted(site: &Site) -> Vec<(String, Vec<String>, bool)> {
    let evictions = site.edge.evictions(&site.id).into_iter();
    evictions.map(|eviction| (eviction.url, eviction.answered, eviction.outdated)).collect()
}

fn urls(urls: &[&str]) -> Vec<String> {
    urls.iter().map(|&url| url.to_owned()).collect()
}

#[tokio::test]
async fn the_copies_in_the_cache_are_listed_with_what_they_answer_until_they_expire() {
    let site = Site::new().await;
    site.change(|distribution| distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned()));
    site.put_with("a.txt", "a", Some("max-age=60"), Some("page")).await;
    site.put("index.html", "i").await;
    assert!(site.edge.cached(&site.id).is_empty(), "nobody asked yet");
    site.get("/a.txt").await;
    site.get("/").await;
    site.edge.advance_clock(Duration::from_secs(59));
    let copies = site.edge.cached(&site.id);
    assert_eq!((copies[0].url.as_str(), copies[0].status, copies[0].outdated), ("/a.txt", 200, false));
    assert_eq!((copies[0].age.as_secs(), copies[0].time_to_live.as_secs()), (59, 60));
    assert_eq!(copies[0].tags, ["page"]);
    assert_eq!(copies[0].etag.as_deref(), Some("0cc175b9c0f1b6a831c399e269772661"));
    assert_eq!(copies[1].answers, ["/", "/index.html"]);
    assert!(site.edge.cached("E0000000000000").is_empty());

    site.edge.advance_clock(Duration::from_secs(1));
    assert_eq!(cached(&site), ["/index.html"]);
}

#[tokio::test]
async fn what_an_invalidation_evicted_is_listed_with_whether_it_had_to() {
    let site = Site::new().await;
    for key in ["index.html", "a/1", "a/2", "b"] {
        site.put(key, "old").await;
    }
    for url in ["/", "/a/1", "/a/2", "/b"] {
        site.get(url).await;
    }
    site.put("index.html", "new").await;
    site.put("a/1", "new").await;
    assert_eq!(cached(&site), ["!/a/1", "/a/2", "/b", "!/index.html"]);

    site.invalidate(&["/index.html", "/a/*"]).await;
    let first = [("/a/1".to_owned(), urls(&["/a/1"]), true), ("/a/2".to_owned(), urls(&["/a/2"]), false)];
    assert_eq!(evicted(&site), first);
    assert_eq!(cached(&site), ["/b", "!/index.html"], "it answers / as well, which was not sent");
    let invalidations = site.edge.invalidations(&site.id);
    assert!(site.edge.evictions(&site.id).iter().all(|eviction| eviction.invalidation == invalidations[0].id));

    site.edge.clear_evictions();
    site.invalidate(&["/"]).await;
    assert_eq!(evicted(&site), [("/index.html".to_owned(), urls(&["/", "/index.html"]), true)]);
    assert_eq!(cached(&site), ["/b"]);
}

#[tokio::test]
async fn a_copy_of_an_error_page_is_outdated_with_the_page() {
    let site = Site::new().await;
    site.change(|distribution| {
        let page = ErrorResponse {
            error_code: 404,
            page_path: Some("/index.html".to_owned()),
            response_code: Some(200),
            error_caching_min_ttl: 300,
        };
        distribution.error_responses = vec![page];
    });
    site.put("index.html", "app").await;
    site.get("/deep/route").await;
    assert_eq!(cached(&site), ["/deep/route", "/index.html"]);
    site.put("index.html", "another app").await;
    assert_eq!(cached(&site), ["!/deep/route", "!/index.html"]);
    site.invalidate(&["/*"]).await;
    site.get("/deep/route").await;
    assert_eq!(cached(&site), ["/deep/route", "/index.html"]);
    site.put("deep/route", "a page").await;
    assert_eq!(cached(&site), ["!/deep/route", "/index.html"]);
}
