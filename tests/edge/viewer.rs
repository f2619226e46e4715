//! What a viewer gets: cache, invalidations, error pages, origins.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use shipfront_edge::{
    CACHING_DISABLED, CacheBehavior, CachePolicy, CacheSettings, Distribution, Edge, ErrorResponse, Origin,
    OriginGroup, OriginKind, QueryStrings,
};

use crate::world::aws::{cloudfront, edge, s3};
use crate::world::http::{self, Answer, request};

pub(super) struct Site {
    pub(super) edge: Edge,
    pub(super) id: String,
    invalidations: std::cell::Cell<u32>,
}

impl Site {
    pub(super) async fn new() -> Self {
        let edge = edge().await;
        let id = edge.ensure_site("site").unwrap();
        Self { edge, id, invalidations: 0.into() }
    }

    pub(super) async fn put(&self, key: &str, body: &str) {
        self.put_with(key, body, None, None).await;
    }

    pub(super) async fn put_with(&self, key: &str, body: &str, control: Option<&str>, tag: Option<&str>) {
        let mut put = s3(&self.edge)
            .put_object()
            .bucket("site")
            .key(key)
            .content_type("text/plain")
            .set_cache_control(control.map(str::to_owned))
            .body(ByteStream::from(body.as_bytes().to_vec()));
        if let Some(tag) = tag {
            put = put.metadata("cache-tag", tag);
        }
        put.send().await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        http::get(&self.edge.viewer_url(), path).await
    }

    /// Body and whether it came from the cache.
    async fn seen(&self, path: &str) -> (String, bool) {
        let answer = self.get(path).await;
        (answer.text(), answer.header("age").is_some())
    }

    pub(super) async fn invalidate(&self, items: &[&str]) {
        use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
        self.invalidations.set(self.invalidations.get() + 1);
        let items: Vec<_> = items.iter().map(|&item| item.to_owned()).collect();
        let quantity = i32::try_from(items.len()).unwrap();
        let paths = Paths::builder().quantity(quantity).set_items(Some(items)).build().unwrap();
        let batch = InvalidationBatch::builder()
            .paths(paths)
            .caller_reference(self.invalidations.get().to_string())
            .build()
            .unwrap();
        let create = cloudfront(&self.edge).create_invalidation().distribution_id(&self.id);
        create.invalidation_batch(batch).send().await.unwrap();
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Distribution)) {
        let mut distribution = self.edge.distribution(&self.id).unwrap();
        change(&mut distribution);
        self.edge.put_distribution(distribution).unwrap();
    }
}

fn hit(text: &str) -> (String, bool) {
    (text.to_owned(), true)
}

fn miss(text: &str) -> (String, bool) {
    (text.to_owned(), false)
}

#[tokio::test]
async fn a_page_is_cached_until_it_is_invalidated_or_expires() {
    let site = Site::new().await;
    site.put_with("a.txt", "old", Some("max-age=60"), None).await;
    let first = site.get("/a.txt").await;
    assert_eq!((first.status, first.text().as_str()), (200, "old"));
    assert_eq!(first.header("x-cache"), Some("Miss from shipfront-edge"));
    assert_eq!(first.header("content-type"), Some("text/plain"));
    site.put_with("a.txt", "new", Some("max-age=60"), None).await;
    let second = site.get("/a.txt").await;
    assert_eq!(second.header("x-cache"), Some("Hit from shipfront-edge"));
    assert_eq!((second.text().as_str(), second.header("age")), ("old", Some("0")));
    site.invalidate(&["/a.txt"]).await;
    assert_eq!(site.seen("/a.txt").await, miss("new"));

    site.put_with("a.txt", "newer", Some("max-age=60"), None).await;
    site.edge.advance_clock(Duration::from_secs(59));
    assert_eq!(site.get("/a.txt").await.header("age"), Some("59"));
    site.edge.advance_clock(Duration::from_secs(1));
    assert_eq!(site.seen("/a.txt").await, miss("newer"));
}

#[tokio::test]
async fn a_viewer_that_has_the_page_gets_no_body() {
    let site = Site::new().await;
    site.put("a.txt", "text").await;
    let etag = site.get("/a.txt").await.header("etag").unwrap().to_owned();
    let base = site.edge.viewer_url();
    let again = request(&base, "GET", "/a.txt", &[("if-none-match", &etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let head = request(&base, "HEAD", "/a.txt", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("4"), 0));
    assert_eq!(request(&base, "POST", "/a.txt", &[]).await.status, 403);
}

#[tokio::test]
async fn the_root_needs_both_of_its_urls_invalidated() {
    let site = Site::new().await;
    site.put("index.html", "old").await;
    site.put("dir/index.html", "dir").await;
    assert_eq!(site.seen("/").await, miss("old"));
    assert_eq!(site.get("/dir/").await.status, 404);
    site.put("index.html", "new").await;
    site.invalidate(&["/index.html"]).await;
    assert_eq!(site.seen("/").await, hit("old"));
    site.invalidate(&["/"]).await;
    assert_eq!(site.seen("/").await, miss("new"));
}

#[tokio::test]
async fn a_rewritten_url_needs_both_of_its_urls_invalidated() {
    let site = Site::new().await;
    site.change(|distribution| *distribution = distribution.clone().with_index_rewrite());
    site.put("blog/index.html", "old").await;
    assert_eq!(site.seen("/blog/").await, miss("old"));
    assert_eq!(site.seen("/blog").await, hit("old"));
    site.put("blog/index.html", "new").await;
    site.invalidate(&["/blog/index.html", "/blog/"]).await;
    assert_eq!(site.seen("/blog").await, hit("old"));
    site.invalidate(&["/blog"]).await;
    assert_eq!(site.seen("/blog/").await, miss("new"));
    site.put("blog/index.html", "newest").await;
    site.invalidate(&["/*"]).await;
    assert_eq!(site.seen("/blog/").await, miss("newest"));
}

#[tokio::test]
async fn a_missing_page_is_cached_with_the_error_page_under_its_own_url() {
    let site = Site::new().await;
    site.put_with("404.html", "lost", Some("max-age=10"), None).await;
    let missing = site.get("/soon.txt").await;
    assert_eq!((missing.status, missing.text().as_str()), (404, "lost"));
    assert_eq!(missing.header("x-cache"), Some("Error from shipfront-edge"));
    site.put("soon.txt", "here").await;
    assert_eq!(site.seen("/soon.txt").await, hit("lost"));
    site.invalidate(&["/soon.txt"]).await;
    assert_eq!(site.seen("/soon.txt").await, miss("here"));

    // The error page itself is cached, so a new one is served once its own URL is invalidated.
    site.put_with("404.html", "found", Some("max-age=10"), None).await;
    assert_eq!(site.seen("/other").await, miss("lost"));
    site.invalidate(&["/404.html"]).await;
    assert_eq!(site.seen("/other").await, hit("lost"));
    site.edge.advance_clock(Duration::from_secs(10));
    assert_eq!(site.seen("/other").await, miss("found"));
}

/// The documentation contradicts itself: the longer time applies.
#[tokio::test]
async fn a_copy_of_an_error_page_lives_as_long_as_its_own_headers_say_and_no_shorter_than_errors_do() {
    for (control, seconds) in [
        (Some("no-cache"), 10),
        (Some("max-age=0, s-maxage=60"), 60),
        (Some("max-age=5"), 10),
        (Some("max-age=7200"), 3600),
        // The DefaultTTL of its behavior.
        (None, 600),
    ] {
        let site = Site::new().await;
        site.edge.stop_clock();
        site.change(|distribution| {
            let mut errors = CacheBehavior::new("/errors/*", &distribution.origins[0].id);
            errors.cache = CacheSettings::Legacy { query_string: false, min_ttl: 1, default_ttl: 600, max_ttl: 3600 };
            distribution.behaviors.push(errors);
            distribution.error_responses = vec![ErrorResponse {
                error_code: 404,
                page_path: Some("/errors/lost.html".to_owned()),
                response_code: Some(404),
                error_caching_min_ttl: 10,
            }];
        });
        site.put_with("errors/lost.html", "lost", control, None).await;
        assert_eq!(site.seen("/nowhere").await, miss("lost"));
        site.put("nowhere", "here").await;
        site.edge.advance_clock(Duration::from_secs(seconds - 1));
        assert_eq!(site.seen("/nowhere").await, hit("lost"), "{control:?}");
        site.edge.advance_clock(Duration::from_secs(1));
        assert_eq!(site.seen("/nowhere").await, miss("here"), "{control:?}");
    }
}

#[tokio::test]
async fn a_forbidden_bucket_can_fall_back_to_the_index_page() {
    let site = Site::new().await;
    site.edge.set_missing_forbidden("site", true).unwrap();
    site.change(|distribution| {
        distribution.error_responses = vec![ErrorResponse {
            error_code: 403,
            page_path: Some("/index.html".to_owned()),
            response_code: Some(200),
            error_caching_min_ttl: 300,
        }];
    });
    site.put_with("index.html", "app", Some("no-cache"), None).await;
    let route = site.get("/deep/route").await;
    assert_eq!((route.status, route.text().as_str()), (200, "app"));
    site.put("deep/route", "page").await;
    site.edge.advance_clock(Duration::from_secs(299));
    assert_eq!(site.seen("/deep/route").await, hit("app"));
    site.edge.advance_clock(Duration::from_secs(1));
    assert_eq!(site.seen("/deep/route").await, miss("page"));
}

#[tokio::test]
async fn behaviors_decide_what_is_cached_and_query_strings_are_part_of_the_key_if_they_say_so() {
    let site = Site::new().await;
    site.edge.put_cache_policy(CachePolicy {
        id: "version".to_owned(),
        name: "version".to_owned(),
        min_ttl: 0,
        default_ttl: 60,
        max_ttl: 600,
        query_strings: QueryStrings::Whitelist(vec!["v".to_owned()]),
    });
    site.change(|distribution| {
        for (pattern, policy) in [("/live/*", CACHING_DISABLED), ("/js/*", "version")] {
            let mut behavior = CacheBehavior::new(pattern, "S3-site");
            behavior.cache = CacheSettings::Policy(policy.to_owned());
            distribution.behaviors.push(behavior);
        }
    });
    site.put("live/a", "live").await;
    assert_eq!(site.seen("/live/a").await, miss("live"));
    assert_eq!(site.seen("/live/a").await, miss("live"));
    assert_eq!(site.seen("/live/none").await.1, site.seen("/live/none").await.1);
    site.put("live/none", "now").await;
    assert_eq!(site.seen("/live/none").await, miss("now"));

    site.put("js/a", "one").await;
    assert_eq!(site.seen("/js/a?v=1&x=2").await, miss("one"));
    assert_eq!(site.seen("/js/a?v=1&x=3").await, hit("one"));
    assert_eq!(site.seen("/js/a?v=2").await, miss("one"));
    site.put("js/a", "two").await;
    site.invalidate(&["/js/a", "/js/a?v=2"]).await;
    assert_eq!(site.seen("/js/a?v=1").await, hit("one"));
    assert_eq!(site.seen("/js/a?v=2").await, miss("two"));
    site.invalidate(&["/js/a*"]).await;
    assert_eq!(site.seen("/js/a?v=1").await, miss("two"));
    // Elsewhere the query string is not part of the key.
    site.put("b", "b").await;
    assert_eq!(site.seen("/b?x=1").await, miss("b"));
    assert_eq!(site.seen("/b").await, hit("b"));
}

#[tokio::test]
async fn tags_clear_what_carried_them_once_the_distribution_reads_them() {
    let site = Site::new().await;
    site.put_with("a", "old", None, Some("one, Two")).await;
    assert_eq!(site.seen("/a").await, miss("old"));
    site.put_with("a", "new", None, Some("one, Two")).await;
    site.invalidate(&["#two"]).await;
    assert_eq!(site.seen("/a").await, hit("old"));
    site.invalidate(&["/a"]).await;
    site.change(|distribution| {
        distribution.cache_tag_header = Some("X-Amz-Meta-Cache-Tag".to_owned());
    });
    assert_eq!(site.seen("/a").await, miss("new"));
    site.put_with("a", "newest", None, Some("one")).await;
    site.invalidate(&["#tw"]).await;
    assert_eq!(site.seen("/a").await, hit("new"));
    site.invalidate(&["#TWO"]).await;
    assert_eq!(site.seen("/a").await, miss("newest"));
}

#[tokio::test]
async fn paths_are_decoded_as_s3_decodes_them_and_cached_as_they_are_spelled() {
    let site = Site::new().await;
    for key in ["a b", "a+b", "é~(1).txt"] {
        site.put(key, key).await;
    }
    for path in ["/a%20b", "/a+b"] {
        assert_eq!(site.seen(path).await, miss("a b"), "{path}");
    }
    assert_eq!(site.seen("/a%2Bb").await, miss("a+b"));
    assert_eq!(site.seen("/%C3%A9~(1).txt").await, miss("é~(1).txt"));
    assert_eq!(site.seen("/%C3%A9%7E(1).txt").await, miss("é~(1).txt"));
    site.invalidate(&["/%C3%A9%7E(1).txt"]).await;
    assert!(site.seen("/%C3%A9%7E(1).txt").await.1);
    site.invalidate(&["/%C3%A9*"]).await;
    assert!(!site.seen("/%C3%A9~(1).txt").await.1);
}

#[tokio::test]
async fn origins_have_paths_groups_and_website_endpoints() {
    let site = Site::new().await;
    site.change(|distribution| {
        let origin = |id: &str, path: &str, kind, host: &str| Origin {
            id: id.to_owned(),
            domain_name: format!("site.{host}.amazonaws.com"),
            origin_path: path.to_owned(),
            kind,
        };
        distribution.origins[0].origin_path = "/production".to_owned();
        let website = origin("website", "", OriginKind::Website, "s3-website-us-east-1");
        distribution.origins.push(website);
        distribution.origins.push(origin("spare", "/spare", OriginKind::S3, "s3.us-east-1"));
        distribution.origin_groups.push(OriginGroup {
            id: "group".to_owned(),
            members: vec!["S3-site".to_owned(), "spare".to_owned()],
            status_codes: vec![404],
        });
        distribution.behaviors.push(CacheBehavior::new("/web*", "website"));
        distribution.behaviors.push(CacheBehavior::new("/img/*", "group"));
    });
    site.put("production/a", "production").await;
    site.put("spare/img/x", "spare").await;
    site.put("web/index.html", "index").await;
    let redirect = s3(&site.edge).put_object().bucket("site").key("web/old");
    redirect.website_redirect_location("/web/").send().await.unwrap();
    assert_eq!(site.seen("/a").await, miss("production"));
    assert_eq!(site.seen("/img/x").await, miss("spare"));
    assert_eq!(site.seen("/web/").await, miss("index"));
    let folder = site.get("/web").await;
    assert_eq!((folder.status, folder.header("location")), (302, Some("/web/")));
    let moved = site.get("/web/old").await;
    assert_eq!((moved.status, moved.header("location")), (301, Some("/web/")));
}

#[tokio::test]
async fn the_host_chooses_the_distribution_and_strangers_are_refused() {
    let site = Site::new().await;
    let other = site.edge.ensure_site("other").unwrap();
    site.put("name", "site").await;
    let body = ByteStream::from_static(b"other");
    s3(&site.edge).put_object().bucket("other").key("name").body(body).send().await.unwrap();
    let named = async |host: &str| {
        let answer = request(&site.edge.viewer_url(), "GET", "/name", &[("host", host)]).await;
        (answer.status, answer.text())
    };
    let text = |text: &str| (200, text.to_owned());
    assert_eq!(named(&format!("{other}.localhost:80")).await, text("other"));
    assert_eq!(named(&format!("{}.LOCALHOST", site.id.to_lowercase())).await, text("site"));
    assert_eq!(named("localhost").await, text("site"));
    site.edge.set_default(&other).unwrap();
    assert_eq!(named("localhost").await, text("other"));
    assert_eq!(named("evil.example.com").await.0, 403);
    let api = request(&site.edge.api_url(), "GET", "/site", &[("host", "evil.example.com")]).await;
    assert_eq!(api.status, 403);
}

#[tokio::test]
async fn a_large_object_is_streamed_and_not_kept() {
    let site = Site::new().await;
    let body = vec![7; 33 << 20];
    let put = s3(&site.edge).put_object().bucket("site").key("large");
    put.body(ByteStream::from(body.clone())).send().await.unwrap();
    for _ in 0..2 {
        let answer = site.get("/large").await;
        assert_eq!(answer.header("x-cache"), Some("Miss from shipfront-edge"));
        assert!(answer.body == body);
    }
}
