//! Cache tags as they are uploaded.

mod backfill;

use crate::world::site::{BUCKET, World};
use shipfront_edge::Distribution;
use std::collections::BTreeMap;

const HEADER: &str = "x-amz-meta-cache-tag";

/// A world whose distributions read these headers.
async fn world(files: &[(&str, &str)], headers: &[&str]) -> World {
    let world = World::new(files).await;
    for (at, header) in headers.iter().enumerate() {
        let mut distribution = match at {
            0 => world.edge.distribution(&world.distribution).unwrap(),
            at => Distribution { id: format!("EOTHER{at}"), ..Distribution::for_bucket(BUCKET) },
        };
        distribution.cache_tag_header = Some((*header).to_owned());
        world.edge.put_distribution(distribution).unwrap();
    }
    world
}

/// User metadata by key.
fn metadata(world: &World) -> BTreeMap<String, BTreeMap<String, String>> {
    let objects = world.edge.objects(BUCKET).into_iter().filter(|object| !object.key.starts_with(".shipfront/"));
    objects
        .map(|object| {
            let headers = object.headers.into_iter().filter(|(name, _)| name.starts_with("x-amz-meta-"));
            (object.key, headers.collect())
        })
        .collect()
}

fn tags<'a>(metadata: &'a BTreeMap<String, BTreeMap<String, String>>, key: &str) -> Vec<&'a str> {
    metadata[key][HEADER].split(',').collect()
}

/// How many tags of one family two objects share.
fn shared(metadata: &BTreeMap<String, BTreeMap<String, String>>, one: &str, other: &str, family: char) -> usize {
    let others = tags(metadata, other);
    tags(metadata, one).iter().filter(|tag| tag.starts_with(family) && others.contains(tag)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_upload_carries_the_tags_of_its_key_its_deploy_and_what_it_refers_to() {
    let page = r#"<link rel=stylesheet href="/site.css"><script src="https://www.example.com/app.js"></script>"#;
    let files = [("a/one.html", page), ("b/two.html", page), ("b/three.html", "no references"), ("site.css", "body{}")];
    let world = world(&files, &[HEADER]).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.aliases = vec!["WWW.example.com".to_owned()];
    world.edge.put_distribution(distribution).unwrap();
    world.write("film.webm", vec![1; 20 << 20]);
    world.deploy(&[]).expect(0);
    let first = metadata(&world);
    assert_eq!(first.len(), 5);
    for (key, entries) in &first {
        assert_eq!(entries.len(), 1, "{key}");
        assert_eq!(tags(&first, key).iter().filter(|tag| tag.starts_with('k')).count(), 1, "{key}");
        assert_eq!(shared(&first, key, "site.css", 'v'), 1, "{key}: one deploy");
    }
    assert_eq!(shared(&first, "a/one.html", "b/two.html", 'r'), 2, "site.css and app.js");
    assert_eq!(shared(&first, "b/two.html", "b/three.html", 'd'), 2, "all pages, and those of b");
    assert_eq!(shared(&first, "b/three.html", "a/one.html", 'r'), 0);

    world.write("a/one.html", "another");
    world.write("b/three.html", "another");
    world.deploy(&[]).expect(0);
    let second = metadata(&world);
    assert_eq!(shared(&second, "a/one.html", "b/three.html", 'v'), 1);
    assert_eq!(shared(&second, "a/one.html", "b/two.html", 'v'), 0, "b/two.html did not change");
    assert_eq!(second["b/two.html"], first["b/two.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_header_that_s3_can_send_or_when_asked_not_to_uploads_carry_none() {
    for (headers, options) in [
        (&[][..], &[][..]),
        (&["Cache-Tag"], &[]),
        (&[HEADER], &["--cache-tags", "off"]),
        (&[HEADER], &["--no-record"]),
        (&[HEADER], &["--distribution", "none"]),
    ] {
        let world = world(&[("index.html", "x")], headers).await;
        world.deploy(options).expect(0);
        assert!(metadata(&world)["index.html"].is_empty(), "{headers:?} {options:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_distributions_header_gets_the_tags_as_far_as_they_fit() {
    let many: String = (0..60).map(|number| format!("<script src=/{number}.js></script>")).collect();
    let read = ["x-amz-meta-a", "x-amz-meta-b", "x-amz-meta-c"];
    let world = world(&[("index.html", &many)], &read).await;
    world.deploy(&[]).expect(0);
    let found = &metadata(&world)["index.html"];
    assert_eq!(found.len(), 3);
    let bytes: usize = found.iter().map(|(name, value)| name.len() - "x-amz-meta-".len() + value.len()).sum();
    assert!((1000..1537).contains(&bytes), "{bytes}");
    assert!(found.values().all(|value| value.split(',').count() == 50 && *value == found["x-amz-meta-a"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_tag_their_assets_and_the_deploy_after_them_knows_it() {
    let world = world(&[("index.html", "x"), ("app.js", "code"), ("site.css", "body{}")], &[HEADER]).await;
    for shard in ["--shard=1/2", "--shard=2/2"] {
        world.deploy(&[shard]).expect(0);
    }
    let before = metadata(&world);
    assert_eq!(before.len(), 2);
    assert!(before.values().all(|entries| entries.contains_key(HEADER)));
    world.deploy(&[]).expect(0);
    assert_eq!(metadata(&world)["app.js"], before["app.js"], "it stays as it is");
    for key in ["app.js", "site.css", "index.html"] {
        world.write(key, "another");
    }
    let run = world.deploy(&["--max-paths", "2"]).expect(0);
    let items = run.json["invalidations"][0]["items"].to_string();
    assert!(items.contains('#'), "{items}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_may_read_no_distribution_uploads_without_tags() {
    use crate::world::site::{ALWAYS, denied};
    let world = world(&[("index.html", "x"), ("app.js", "code")], &[HEADER]).await;
    world.fault("ListDistributions", 0, ALWAYS, denied());
    world.deploy(&["--shard=1/1"]).expect(0);
    assert!(metadata(&world)["app.js"].is_empty());
}
