//! `shipfront tags`: what to change, and tags for existing objects.

use super::{HEADER, metadata};
use crate::world::aws::s3;
use crate::world::http::get;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, denied, error};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::StorageClass;
use std::time::Duration;

const SITE: [(&str, &str); 4] =
    [("index.html", "welcome"), ("about.html", "about"), ("app.js", "code"), ("old.html", "old")];

/// A site that was deployed before its distribution reads tags, with an object that another tool gave headers.
async fn untagged() -> World {
    let world = World::new(&SITE).await;
    world.write("film.webm", vec![1; 20 << 20]);
    world.deploy(&[]).expect(0);
    let put = s3(&world.edge).put_object().bucket(BUCKET).key("app.js").content_type("text/javascript; charset=utf-8");
    let put = put.cache_control("max-age=60").content_language("en").content_disposition("inline");
    let put = put.expires(DateTime::from_secs(2_000_000_000));
    let put = put.storage_class(StorageClass::StandardIa).metadata("theirs", "kept");
    put.body(b"code".to_vec().into()).send().await.unwrap();
    read_tags(&world);
    world
}

fn read_tags(world: &World) {
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.cache_tag_header = Some(HEADER.to_owned());
    world.edge.put_distribution(distribution).unwrap();
    world.edge.clear_requests();
}

fn is_tagged(world: &World) -> bool {
    metadata(world).values().all(|entries| entries.contains_key(HEADER))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_tagged_keeps_every_header_and_goes_by_path_once() {
    let world = untagged().await;
    let headers = |key: &str| world.edge.objects(BUCKET).into_iter().find(|object| object.key == key).unwrap().headers;
    let before = headers("app.js");
    assert!(before.len() >= 7, "{before:?}");
    get(&world.edge.viewer_url(), "/about.html").await;
    let run = world.run(&["tags", "--backfill", TARGET, "--json"]).expect(0);
    assert_eq!((run.outcome(), &run.json["tagged"]), ("deployed", &5.into()));
    let mut after = headers("app.js");
    assert!(after.remove(HEADER).is_some_and(|tags| tags.starts_with('k')));
    assert_eq!(after, before);
    assert!(is_tagged(&world));
    let items = run.json["invalidations"][0]["items"].to_string();
    assert!(!items.contains('#') && items.contains('/'), "{items}");
    assert!(get(&world.edge.viewer_url(), "/about.html").await.header("age").is_none(), "its copy was evicted");

    // The record knows: nothing is left to do, for either.
    let again = world.run(&["tags", "--backfill", TARGET, "--json"]).expect(0);
    assert_eq!((again.outcome(), &again.json["kept"]), ("nothing-to-do", &5.into()));
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do", "the film's ETag is another one now");
    for (key, _) in SITE {
        world.write(key, "all at once");
    }
    let run = world.deploy(&["--max-paths", "2"]).expect(0);
    assert!(run.json["invalidations"][0]["items"].to_string().contains('#'), "{}", run.json["invalidations"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_meanwhile_is_left_to_them() {
    let world = untagged().await;
    let put = s3(&world.edge).put_object().bucket(BUCKET).key("about.html");
    put.body(b"theirs".to_vec().into()).send().await.unwrap();
    world.fault_of("CopyObject", "old.html", 0, 1, error(412, "PreconditionFailed"));
    let run = world.run(&["tags", "--backfill", TARGET, "--json"]).expect(0);
    assert_eq!(run.json["tagged"], 3);
    assert_eq!(run.json["left"][0]["key"], "old.html");
    assert!(!metadata(&world)["about.html"].contains_key(HEADER), "nobody knows whose it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_dies_is_finished_by_the_next_deploy() {
    let world = untagged().await;
    get(&world.edge.viewer_url(), "/about.html").await;
    world.edge.faults().crash_at(17, true);
    let mut child = world.command(&["tags", "--backfill", TARGET, "--json"]).spawn().unwrap();
    world.crash().await;
    child.kill().unwrap();
    child.wait().unwrap();
    world.edge.faults().clear();
    world.edge.faults().revive();
    world.edge.advance_clock(Duration::from_secs(91));
    let refused = world.run(&["tags", "--backfill", TARGET, "--json"]).expect(6);
    assert!(refused.json["error"].to_string().contains("interrupted deploy"), "{}", refused.stdout);
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.json["recovered"]["keys"], 5);
    assert!(get(&world.edge.viewer_url(), "/about.html").await.header("age").is_none(), "its copy was evicted");
    world.run(&["tags", "--backfill", TARGET]).expect(0);
    assert!(is_tagged(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_where_it_could_do_harm_or_no_good() {
    let world = untagged().await;
    world.edge.set_acls(BUCKET, true).unwrap();
    world.run(&["tags", "--backfill", TARGET]).expect(6).says("ACLs");
    world.edge.set_acls(BUCKET, false).unwrap();
    world.fault("GetBucketOwnershipControls", 0, 1, denied());
    world.run(&["tags", "--backfill", TARGET]).expect(1).says("allow s3:GetBucketOwnershipControls");
    world.edge.set_object_lock(BUCKET, true).unwrap();
    world.run(&["tags", "--backfill", TARGET]).expect(6).says("Object Lock");
    world.edge.set_object_lock(BUCKET, false).unwrap();
    world.fault("GetObjectLockConfiguration", 0, 1, denied());
    world.run(&["tags", "--backfill", TARGET]).expect(1).says("allow s3:GetBucketObjectLockConfiguration");
    assert!(!is_tagged(&world));
    // A store that does not support the request.
    world.fault("GetObjectLockConfiguration", 0, 1, error(501, "NotImplemented"));
    world.run(&["tags", "--backfill", TARGET]).expect(0);
    let plain = World::deployed(&SITE).await;
    plain.run(&["tags", "--backfill", TARGET]).expect(6).says("tags --enable");
    let empty = World::new(&SITE).await;
    empty.run(&["tags", "--backfill", TARGET]).expect(6).says("deploy first");
    plain.run(&["tags"]).expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_is_named_and_the_others_are_reported() {
    let world = untagged().await;
    world.fault_of("CopyObject", "about.html", 0, ALWAYS, denied());
    let run = world.run(&["tags", "--backfill", TARGET, "--json"]).expect(3);
    assert_eq!((run.outcome(), &run.json["tagged"]), ("partial", &4.into()));
    assert!(run.json["errors"][0]["key"] == "about.html", "{}", run.stdout);
    let hint = run.json["errors"][0]["hint"].as_str().unwrap();
    let policy = world.run(&["policy", TARGET, "--backfill"]).expect(0).stdout;
    for action in ["GetObjectAnnotation", "PutObjectAnnotation", "GetObjectTagging", "PutObjectTagging"] {
        assert!(hint.contains(&format!("s3:{action}")), "{hint}");
        assert!(policy.contains(&format!("\"s3:{action}\"")), "{policy}");
    }
    for action in
        ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls", "cloudfront:GetDistribution\""]
    {
        assert!(policy.contains(action), "{action} is not in {policy}");
    }
    assert!(!world.run(&["policy", TARGET]).expect(0).stdout.contains("Annotation"));
    let world = untagged().await;
    world.fault("CreateInvalidation", 0, 1, error(400, "InvalidArgument"));
    world.run(&["tags", "--backfill", TARGET, "--json"]).expect(4);
    assert_eq!(world.deploy(&[]).expect(0).json["recovered"]["keys"], 5, "the next deploy does it");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_to_turn_tags_on_is_printed_and_nothing_is_changed() {
    let world = World::new(&[]).await;
    let before = world.edge.distribution(&world.distribution);
    world.run(&["tags", "--enable", TARGET]).expect(0);
    assert_eq!(world.edge.distribution(&world.distribution), before);
    world.run(&["tags", "--enable", "--header", "Cache-Tag"]).expect(2).says("x-amz-meta-");
    let json = world.run(&["tags", "--enable", "--json"]).expect(0).json;
    assert!(json["cli"].as_str().unwrap().contains("--id ID"), "{json}");
}
