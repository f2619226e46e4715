//! If the distribution reads cache tags, no URL form is old after a deploy, whatever the copies carry, and what
//! paths cannot reach is invalidated by tag.

use super::audience::{Audience, audience, collateral, configure, items};
use crate::world::aws::s3;
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, Run, World, denied};
use shipfront_edge::{CachePolicy, CacheSettings, ErrorResponse, QueryStrings};
use std::time::Duration;

const HEADER: &str = "x-amz-meta-cache-tag";
/// Pages of a section that change together, among others that do not.
const SITE: [&str; 12] = [
    "404.html",
    "a/index.html",
    "b/index.html",
    "c/index.html",
    "d/one.html",
    "d/two.html",
    "e/three.html",
    "e/four.html",
    "home/~ann/index.html",
    "home/~bob/index.html",
    "index.html",
    "style.css",
];
/// Every second one, so that a wildcard for two costs one that did not change.
const TOUCHED: [&str; 4] = ["a/index.html", "c/index.html", "d/one.html", "e/three.html"];
/// Fewer items than there are changed URLs.
const FEW: [&str; 2] = ["--max-paths", "3"];

fn read_tags(world: &World, header: &str) {
    configure(world, |distribution| distribution.cache_tag_header = Some(header.to_owned()));
}

/// The site deployed for the first time, to a distribution that already reads tags.
async fn tagged() -> World {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    read_tags(&world, HEADER);
    world.deploy(&[]).expect(0);
    world
}

fn everybody(world: &World) -> Audience<'_> {
    audience(world).of(&SITE).touching(&TOUCHED)
}

fn edit(world: &World, text: &str) {
    for key in TOUCHED {
        world.write(key, format!("{text} {key}"));
    }
}

fn tags(run: &Run) -> usize {
    items(run).iter().filter(|item| item.starts_with('#')).count()
}

/// Edits, deploys and checks everything; returns how many tags were sent.
async fn round(world: &World, text: &str, options: &[&str]) -> (Run, usize) {
    let mut everybody = everybody(world);
    everybody.fill().await;
    edit(world, text);
    let run = world.deploy(options).expect(0);
    assert_eq!(everybody.stale().await, [""; 0], "{text}: sent {:?}", items(&run));
    let tags = tags(&run);
    (run, tags)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_together_goes_by_its_tag_the_next_time() {
    let world = tagged().await;
    // The first time, only the first deploy shows what changes together, which is everything.
    let (first, _) = round(&world, "first", &FEW).await;
    let (second, tags) = round(&world, "second", &FEW).await;
    assert!(tags > 0, "{:?}", items(&second));
    assert!(collateral(&second) < collateral(&first), "{first:?} {second:?}");
    assert_eq!(collateral(&second), 0, "{:?}", items(&second));
    let lost = {
        let mut everybody = everybody(&world);
        everybody.fill().await;
        edit(&world, "third");
        let run = world.deploy(&FEW).expect(0);
        everybody.check(&run).await
    };
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_lists_the_tags_that_the_deploy_sends_and_why() {
    let world = tagged().await;
    round(&world, "first", &FEW).await;
    edit(&world, "second");
    let plan = world.plan(&FEW).expect(0);
    let run = world.deploy(&FEW).expect(0);
    assert_eq!(items(&plan), items(&run));
    let coverage = run.json["invalidations"][0]["coverage"].as_array().unwrap();
    let of_tags: Vec<_> = coverage.iter().filter(|one| one["item"].as_str().unwrap().starts_with('#')).collect();
    assert!(!of_tags.is_empty() && of_tags.iter().all(|one| one["why"].is_string()), "{coverage:?}");
    edit(&world, "third");
    let mut command = world.command(&["plan", world.source().to_str().unwrap(), "s3://www.example.com"]);
    let text = crate::world::site::run(command.args(FEW)).expect(0).stdout;
    assert!(text.contains(" changed URLs: what "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_uploaded_before_tags_were_read_goes_by_path_once() {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    world.deploy(&[]).expect(0);
    read_tags(&world, HEADER);
    assert_eq!(round(&world, "untagged copies", &FEW).await.1, 0);
    assert!(round(&world, "tagged copies", &FEW).await.1 > 0);
    assert_eq!(round(&world, "with tags off", &["--max-paths", "3", "--cache-tags", "off"]).await.1, 0);
    assert_eq!(round(&world, "no longer tagged", &FEW).await.1, 0);
    assert!(round(&world, "tagged again", &FEW).await.1 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_change_of_the_configuration_makes_every_copy_go_by_path_once_more_and_is_reported() {
    let world = tagged().await;
    assert!(!round(&world, "first", &[]).await.0.warnings().contains("configuration"));
    assert!(round(&world, "second", &FEW).await.1 > 0);
    for change in ["x-amz-meta-other", HEADER] {
        read_tags(&world, change);
        let (run, tags) = round(&world, change, &FEW).await;
        assert_eq!(tags, 0, "{change}: {:?}", items(&run));
        assert!(run.warnings().contains("changed since its copies were tagged"), "{}", run.warnings());
        let (run, tags) = round(&world, "and again", &FEW).await;
        assert!(tags > 0 && !run.warnings().contains("changed since"), "{change}: {}", run.warnings());
    }
    configure(&world, |distribution| "another comment".clone_into(&mut distribution.comment));
    assert_eq!(round(&world, "any change", &FEW).await.1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_tool_uploaded_goes_by_path_even_if_the_bytes_are_the_same() {
    let world = tagged().await;
    assert!(round(&world, "first", &FEW).await.1 > 0);
    world.edge.advance_clock(Duration::from_secs(5));
    for key in TOUCHED {
        let put = s3(&world.edge).put_object().bucket(BUCKET).key(key).content_type("text/html; charset=utf-8");
        put.body(format!("first {key}").into_bytes().into()).send().await.unwrap();
    }
    // All copies are evicted, and viewers get new ones, without tags.
    world.run(&["invalidate", "/*"]).expect(0);
    assert_eq!(round(&world, "second", &FEW).await.1, 0);
    assert!(round(&world, "third", &FEW).await.1 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_runs_without_an_invalidation_uploaded_goes_by_path_even_if_it_is_as_the_record_has_it() {
    let world = tagged().await;
    round(&world, "first", &FEW).await;
    // S3's times are in seconds: as if everything that follows were in the same second as the record.
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if let Some(as_of) = line["tags"]["as_of"].as_i64() {
            line["tags"]["as_of"] = (as_of + 3600).into();
        }
    })
    .await;
    for text in ["second", "first"] {
        edit(&world, text);
        world.fault("CreateInvalidation", 0, 1, denied());
        world.deploy(&FEW).expect(4);
    }
    // The old copies are evicted, and viewers get those of the second upload, whose tags are not the record's.
    world.run(&["invalidate", "/*"]).expect(0);
    let (run, tags) = round(&world, "third", &FEW).await;
    assert_eq!(tags, 0, "{:?}", items(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_goes_by_path_as_an_error_may_be_cached_there() {
    let world = tagged().await;
    round(&world, "first", &[]).await;
    let new = ["a/new.html", "c/new.html"];
    let mut everybody = everybody(&world).touching(&new);
    everybody.fill().await;
    edit(&world, "second");
    new.iter().for_each(|key| world.write(key, "new"));
    let run = world.deploy(&["--max-paths", "4"]).expect(0);
    everybody.check(&run).await;
    assert!(items(&run).contains(&"/a/new.html".to_owned()) && tags(&run) > 0, "{:?}", items(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_headers_change_paths_go() {
    let world = tagged().await;
    round(&world, "first", &[]).await;
    // As if an older rule had set other headers.
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if TOUCHED.iter().any(|key| line["key"] == *key) {
            line["headers"] = "0123456789abcdef".into();
        }
    })
    .await;
    let mut everybody = everybody(&world);
    everybody.fill().await;
    let run = world.deploy(&FEW).expect(0);
    assert_eq!(run.objects("uploaded"), 4);
    assert_eq!(tags(&run), 0, "{:?}", items(&run));
    everybody.check(&run).await;
    assert!(round(&world, "second", &FEW).await.1 > 0, "after that they are tagged");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_counts_as_tagged_before_the_edges_read_tags() {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    read_tags(&world, HEADER);
    world.edge.set_deploying(&world.distribution, true);
    let run = world.deploy(&[]).expect(0);
    assert!(run.warnings().contains("still deploying the configuration"), "{}", run.warnings());
    assert_eq!(round(&world, "first", &FEW).await.1, 0);
    world.edge.set_deploying(&world.distribution, false);
    assert_eq!(round(&world, "second", &FEW).await.1, 0);
    assert!(round(&world, "third", &FEW).await.1 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_permission_to_see_that_nothing_counts_as_tagged_and_it_is_named() {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    read_tags(&world, HEADER);
    world.fault("GetDistribution", 0, ALWAYS, denied());
    let run = world.deploy(&[]).expect(0);
    assert!(run.warnings().contains("allow cloudfront:GetDistribution"), "{}", run.warnings());
    assert_eq!(round(&world, "first", &FEW).await.1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_record_that_knows_no_tags_is_read_and_everything_goes_by_path() {
    let world = tagged().await;
    round(&world, "first", &[]).await;
    manifest::rewrite(&world.edge, BUCKET, |line| {
        let Some(line) = line.as_object_mut() else { return };
        line.remove("carried");
        line.remove("tags");
    })
    .await;
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    assert_eq!(round(&world, "second", &FEW).await.1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_for_everything_makes_all_that_carries_tags_count_as_tagged() {
    let world = tagged().await;
    world.edge.set_deploying(&world.distribution, true);
    read_tags(&world, HEADER);
    world.deploy(&[]).expect(0);
    world.edge.set_deploying(&world.distribution, false);
    world.write("index.html", "another");
    assert_eq!(items(&world.deploy(&["--strategy", "all"]).expect(0)), ["/*"]);
    assert!(round(&world, "tagged by /*", &FEW).await.1 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn query_strings_and_tildes_go_by_the_tag_of_the_key() {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    world.edge.put_cache_policy(CachePolicy {
        id: "queries".to_owned(),
        name: "queries".to_owned(),
        min_ttl: 0,
        default_ttl: 86_400,
        max_ttl: 31_536_000,
        query_strings: QueryStrings::All,
    });
    configure(&world, |distribution| {
        distribution.default_behavior.cache = CacheSettings::Policy("queries".to_owned());
        distribution.cache_tag_header = Some(HEADER.to_owned());
    });
    world.deploy(&[]).expect(0);
    let touched = ["home/~ann/index.html", "style.css"];
    let mut everybody = audience(&world).of(&SITE).touching(&touched);
    everybody.fill().await;
    touched.iter().for_each(|key| world.write(key, "another"));
    let run = world.deploy(&[]).expect(0);
    assert_eq!((items(&run).len(), tags(&run), collateral(&run)), (2, 2, 0), "{:?}", items(&run));
    let why: Vec<&str> = run.json["invalidations"][0]["coverage"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["why"].as_str().unwrap())
        .collect();
    assert!(why.iter().any(|why| why.contains("home/~ann/index.html, because CloudFront accepts no ~")), "{why:?}");
    assert!(why.contains(&"all copies of style.css, with any query string"), "{why:?}");
    assert_eq!(everybody.check(&run).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_rewrite_that_nobody_knows_the_tag_of_the_key_reaches_every_url() {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    configure(&world, |distribution| {
        *distribution = distribution.clone().with_index_rewrite();
        distribution.cache_tag_header = Some(HEADER.to_owned());
    });
    // shipfront does not know about the directories.
    let never = ["--index-alias", "never"];
    world.deploy(&never).expect(0);
    let mut everybody = audience(&world).of(&SITE).touching(&["b/index.html"]);
    everybody.fill().await;
    world.write("b/index.html", "another");
    let run = world.deploy(&never).expect(0);
    assert_eq!((items(&run).len(), tags(&run)), (1, 1), "{:?}", items(&run));
    assert_eq!(
        run.json["invalidations"][0]["coverage"][0]["why"],
        "all copies of b/index.html, also at URLs that only a function maps to it"
    );
    everybody.check(&run).await;
}

/// A deployed site whose distribution reads tags and shows an error page.
async fn with_error_page() -> World {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    configure(&world, |distribution| {
        distribution.cache_tag_header = Some(HEADER.to_owned());
        distribution.error_responses = vec![ErrorResponse {
            error_code: 404,
            page_path: Some("/404.html".to_owned()),
            response_code: Some(404),
            error_caching_min_ttl: 10,
        }];
    });
    world.deploy(&[]).expect(0);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_that_changes_with_others_by_their_tag_still_goes_by_its_path() {
    let world = with_error_page().await;
    let options = ["--error-page", "own-path", FEW[0], FEW[1]];
    let deploy = |text: &str| {
        edit(&world, text);
        world.write("404.html", format!("{text} error"));
        world.deploy(&options).expect(0)
    };
    deploy("first");
    // By now, one tag is that of everything that changed, including the error page.
    let run = deploy("second");
    let by_path =
        |item: &String| item.strip_suffix('*').map_or(item == "/404.html", |start| "/404.html".starts_with(start));
    assert!(tags(&run) > 0 && items(&run).iter().any(by_path), "{:?}", items(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_an_error_page_goes_beside_its_path_and_never_instead_of_it() {
    let world = with_error_page().await;
    world.write("404.html", "lost");
    let run = world.deploy(&["--error-page", "own-path"]).expect(0);
    assert_eq!((items(&run).len(), tags(&run)), (2, 1), "{:?}", items(&run));
    assert!(items(&run).contains(&"/404.html".to_owned()), "{:?}", items(&run));
    // Everything is evicted without tags.
    world.write("404.html", "lost again");
    assert_eq!(items(&world.deploy(&["--error-page", "all"]).expect(0)), ["/*"]);
}
