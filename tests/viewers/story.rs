//! A site of nested index pages behind an origin path, two behaviors and a viewer-request function.

use super::audience::{Audience, audience, collateral, configure, deploy_to, items};
use crate::world::aws::s3;
use crate::world::site::World;
use shipfront_edge::{
    CacheBehavior, CachePolicy, CacheSettings, Distribution, ErrorResponse, Origin, OriginKind, QueryStrings,
};

const SITE: [&str; 19] = [
    "404.html",
    "about/index.html",
    "assets/app.js",
    "assets/deep/logo.svg",
    "assets/old.js",
    "assets/style.css",
    "blog/2024/first/index.html",
    "blog/2024/index.html",
    "blog/2024/second/index.html",
    "blog/index.html",
    "docs/a+b.html",
    "docs/café/index.html",
    "docs/index.html",
    "docs/my page.html",
    "docs/tea+cake/index.html",
    "feed.xml",
    "index.html",
    "people/index.html",
    "robots.txt",
];
/// Keys of the bucket behind `/api/*`.
const API: [&str; 2] = ["api/status.json", "api/v1/index.html"];

/// The site in `s3://www.example.com/site`, deployed; `/api/*` is another bucket's.
async fn world(extra: &[&str]) -> World {
    world_with(extra, None).await
}

/// The same, where the distribution reads cache tags from a header.
async fn world_with(extra: &[&str], tag_header: Option<&str>) -> World {
    let mut files: Vec<(&str, &str)> = SITE.iter().map(|key| (*key, *key)).collect();
    files.extend(extra.iter().map(|key| (*key, *key)));
    let world = World::new(&files).await;
    world.edge.ensure_site("api.example.com").unwrap();
    for key in API {
        let put = s3(&world.edge).put_object().bucket("api.example.com").key(key);
        put.body(key.as_bytes().to_vec().into()).send().await.unwrap();
    }
    world.edge.put_cache_policy(CachePolicy {
        id: "with-queries".to_owned(),
        name: "with-queries".to_owned(),
        min_ttl: 0,
        default_ttl: 86_400,
        max_ttl: 31_536_000,
        query_strings: QueryStrings::All,
    });
    configure(&world, |distribution| {
        distribution.origins[0].origin_path = "/site".to_owned();
        distribution.origins.push(Origin {
            id: "api".to_owned(),
            domain_name: "api.example.com.s3.us-east-1.amazonaws.com".to_owned(),
            origin_path: String::new(),
            kind: OriginKind::S3,
        });
        let mut assets = CacheBehavior::new("/assets/*", &distribution.origins[0].id);
        assets.cache = CacheSettings::Policy("with-queries".to_owned());
        distribution.behaviors = vec![CacheBehavior::new("/api/*", "api"), assets];
        // Long, so that a missing page that stays cached is noticed.
        distribution.error_responses = vec![ErrorResponse {
            error_code: 404,
            page_path: Some("/404.html".to_owned()),
            response_code: Some(404),
            error_caching_min_ttl: 300,
        }];
        distribution.cache_tag_header = tag_header.map(str::to_owned);
        *distribution = Distribution::with_index_rewrite(distribution.clone());
    });
    deploy_to(&world, "site", &["--distribution", &world.distribution]).expect(0);
    world
}

/// Everybody who reads the site, and has requested what is not there yet.
fn everybody<'a>(world: &'a World, touched: &[&str]) -> Audience<'a> {
    audience(world).of(&SITE).of(&API).of(&["not/there/index.html", ".shipfront/site/state.json"]).touching(touched)
}

/// What the edit below changes, creates and deletes.
const TOUCHED: [&str; 11] = [
    "about/index.html",
    "assets/app.js",
    "assets/new.js",
    "assets/old.js",
    "blog/2024/first/index.html",
    "blog/2024/second/index.html",
    "docs/a+b.html",
    "docs/café/index.html",
    "docs/my page.html",
    "index.html",
    "news/today/index.html",
];

fn edit(world: &World) {
    for key in TOUCHED {
        world.write(key, format!("a new {key}"));
    }
    world.remove("assets/old.js");
    world.remove("blog/2024/second/index.html");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_edit_no_url_form_is_old_and_no_other_url_is_lost() {
    let world = world(&[]).await;
    let mut everybody = everybody(&world, &TOUCHED);
    everybody.fill().await;
    edit(&world);
    let options = ["--prune-after", "0s", "--distribution", &world.distribution];
    let run = deploy_to(&world, "site", &options).expect(0);
    assert_eq!((run.objects("uploaded"), run.objects("pruned")), (9, 2));
    assert_eq!((collateral(&run), everybody.check(&run).await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_cache_tags_no_url_form_is_old_and_only_what_the_plan_announced_is_lost() {
    let mut sent = 0;
    for budget in ["3", "6", "50"] {
        let world = world_with(&[], Some("x-amz-meta-cache-tag")).await;
        for day in ["monday", "tuesday", "wednesday"] {
            let mut everybody = everybody(&world, &TOUCHED);
            everybody.fill().await;
            for key in TOUCHED.iter().filter(|key| day != "tuesday" || !key.starts_with("blog/")) {
                world.write(key, format!("{day}'s {key}"));
            }
            let options = ["--prune-after", "0s", "--max-paths", budget, "--distribution", &world.distribution];
            if day == "wednesday" {
                world.remove("assets/old.js");
                world.remove("blog/2024/second/index.html");
            }
            let run = deploy_to(&world, "site", &options).expect(0);
            let lost = everybody.check(&run).await;
            assert!(budget != "50" || lost.is_empty(), "{day}: {lost:?}");
            sent += items(&run).iter().filter(|item| item.starts_with('#')).count();
        }
    }
    assert!(sent > 0, "no tag was ever sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_few_items_only_what_the_plan_announced_is_lost() {
    let mut last = u64::MAX;
    for budget in ["1", "7", "9", "12"] {
        let world = world(&[]).await;
        let mut everybody = everybody(&world, &TOUCHED);
        everybody.fill().await;
        edit(&world);
        let options = ["--prune-after", "never", "--max-paths", budget, "--distribution", &world.distribution];
        let plan = world.run(&world.arguments("plan", "s3://www.example.com/site", &options)).expect(0);
        let run = deploy_to(&world, "site", &options).expect(0);
        assert_eq!(items(&run), items(&plan));
        assert!(items(&run).len() <= budget.parse().unwrap());
        let lost = everybody.check(&run).await;
        assert_eq!(budget == "1", items(&run) == ["/*"], "{budget}");
        assert_eq!(lost.is_empty(), collateral(&run) == 0, "{budget}: {lost:?}");
        assert!(collateral(&run) < last, "{budget} items spare more than fewer");
        last = collateral(&run);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_a_directory_is_fresh_although_its_wildcard_leaves_it() {
    let others: Vec<String> = (0..12).map(|number| format!("wiki/{number:02}/index.html")).collect();
    let mut files: Vec<&str> = others.iter().map(String::as_str).collect();
    files.push("wiki/index.html");
    // A shorter wildcard, which would clear the directory itself, would evict this.
    let world = world(&[&files[..], &["wiki.html"]].concat()).await;
    let mut everybody = everybody(&world, &files).of(&["wiki.html"]);
    everybody.fill().await;
    for key in &files {
        world.write(key, "another");
    }
    let options = ["--max-paths", "4", "--distribution", &world.distribution];
    let run = deploy_to(&world, "site", &options).expect(0);
    let sent = items(&run);
    assert!(sent.contains(&"/wiki/*".to_owned()) && sent.contains(&"/wiki/".to_owned()), "{sent:?}");
    assert_eq!((everybody.check(&run).await.len(), collateral(&run)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_origin_answers_is_not_evicted_to_save_an_item() {
    let files = ["ape/index.html", "apple.html"];
    let world = world(&files).await;
    let mut everybody = everybody(&world, &files);
    everybody.fill().await;
    for key in files {
        world.write(key, "another");
    }
    let run = deploy_to(&world, "site", &["--distribution", &world.distribution]).expect(0);
    let lost = everybody.check(&run).await;
    assert_eq!((lost.len(), collateral(&run)), (0, 0), "{lost:?}: {:?}", items(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tilde_costs_its_neighbours_and_nobody_else() {
    let files = ["home/~ann/index.html", "home/~bob/index.html", "home/index.html"];
    let world = world(&files).await;
    let mut everybody = everybody(&world, &["home/~ann/index.html"]).of(&files);
    everybody.fill().await;
    world.write("home/~ann/index.html", "moved");
    let run = deploy_to(&world, "site", &["--distribution", &world.distribution]).expect(0);
    assert_eq!(items(&run), ["/home/*"]);
    let lost = everybody.check(&run).await;
    // A URL that shares a copy with `/home/`, which no wildcard clears, is still there.
    assert!(lost.iter().any(|url| url.starts_with("/home/~bob")) && !lost.contains("/home/"), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_can_come_back_and_a_dead_end_can_open() {
    let world = world(&[]).await;
    let touched = ["blog/2024/second/index.html"];
    let mut everybody = everybody(&world, &touched);
    world.remove(touched[0]);
    deploy_to(&world, "site", &[]).expect(0);
    everybody.fill().await;
    assert_eq!(everybody.see("/blog/2024/second/").await.status, 404);
    world.write(touched[0], "back");
    let run = deploy_to(&world, "site", &[]).expect(0);
    assert_eq!(everybody.check(&run).await.len(), 0);
    assert_eq!(everybody.see("/blog/2024/second").await.body, "back");
}
