//! Who owns an object, what the edge was last invalidated for, and when the object is removed.

use super::{DAY, PRUNE, SITE, hold, is_settled, object, status};
use crate::world::aws::s3;
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, World, denied, finish};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

const HTML: &str = "text/html; charset=utf-8";

/// Puts an object as another tool of the same site would.
async fn upload(world: &World, key: &str, body: &str, media_type: &str) {
    let put = s3(&world.edge).put_object().bucket(BUCKET).key(key).content_type(media_type);
    put.body(body.as_bytes().to_vec().into()).send().await.unwrap();
    world.edge.clear_requests();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_there_is_never_removed_unless_it_is_adopted() {
    let world = World::new(&SITE).await;
    world.put("theirs.html", "theirs").await;
    world.put("img/theirs.png", "theirs").await;
    world.deploy(&PRUNE).expect(0);
    world.put("later.html", "theirs").await;
    world.write("index.html", "again");
    assert_eq!(world.deploy(&PRUNE).expect(0).objects("pruned"), 0);
    let mut adopt = PRUNE.to_vec();
    adopt.push("--adopt");
    world.edge.clear_requests();
    assert_eq!(world.deploy(&adopt).expect(0).objects("pruned"), 3);
    let ours: Vec<&str> = SITE.iter().map(|(key, _)| *key).collect();
    assert_eq!(world.keys(), ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_overwritten_while_the_deploy_runs_is_not_deleted() {
    let world = World::deployed(&SITE).await;
    world.remove("old.html");
    let gate = hold(&world, "DeleteObjects", None);
    let child = world.start(&PRUNE);
    gate.reached().await;
    upload(&world, "old.html", "theirs now", HTML).await;
    gate.open();
    let run = finish(child).expect(0);
    assert!(run.warnings().contains("others overwrote old.html"), "{}", run.warnings());
    assert_eq!(object(&world, "old.html").size, 10);
    is_settled(&world, &PRUNE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_overwritten_between_two_deploys_is_theirs() {
    let world = World::deployed(&SITE).await;
    world.remove("old.html");
    upload(&world, "old.html", "theirs now", HTML).await;
    let run = world.deploy(&PRUNE).expect(0);
    assert_eq!(run.objects("pruned"), 0);
    assert_eq!(object(&world, "old.html").size, 10);
    assert_eq!(world.writes(), ["INVALIDATE /old.html"], "nobody told the edge");
    is_settled(&world, &PRUNE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_changed_behind_our_back_is_put_right_and_invalidated() {
    let world = World::deployed(&SITE).await;
    upload(&world, "index.html", "defaced", HTML).await;
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload etag index.html"]);
    assert_eq!(world.writes(), ["PUT index.html", "INVALIDATE / /index.html"]);
    s3(&world.edge).delete_object().bucket(BUCKET).key("about.html").send().await.unwrap();
    world.edge.clear_requests();
    assert_eq!(world.deploy(&[]).expect(0).changes(), ["upload new about.html"]);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_build_uploaded_by_another_tool_is_kept_and_it_is_invalidated() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "welcome two");
    upload(&world, "index.html", "welcome two", HTML).await;
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["evict untold index.html"]);
    assert_eq!(world.writes(), ["INVALIDATE / /index.html"]);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_header_rule_uploads_exactly_the_objects_concerned() {
    let world = World::deployed(&SITE).await;
    manifest::drift(&world.edge, BUCKET, "style.css", "style").await;
    manifest::drift(&world.edge, BUCKET, "about.html", "about").await;
    world.edge.clear_requests();
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload headers about.html", "upload headers style.css"]);
    assert_eq!(object(&world, "style.css").headers["content-type"], "text/css; charset=utf-8");
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_encrypted_with_kms_are_compared_without_uploading_them_again() {
    let world = World::new(&SITE).await;
    world.edge.set_opaque_etags(BUCKET, true).unwrap();
    assert_eq!(world.deploy(&[]).expect(0).objects("uploaded"), 5);
    is_settled(&world, &[]);
    world.write("index.html", "WELCOME");
    assert_eq!(world.deploy(&[]).expect(0).changes(), ["upload etag index.html"]);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_another_tool_sent_in_parts_is_kept() {
    let world = World::new(&SITE).await;
    let film = "film ".repeat(1_400_000);
    world.write("film.mp4", &film);
    let client = s3(&world.edge);
    let begun = client.create_multipart_upload().bucket(BUCKET).key("film.mp4").content_type("video/mp4");
    let id = begun.send().await.unwrap().upload_id.unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(film.as_bytes().chunks(5 << 20)) {
        let sent = client.upload_part().bucket(BUCKET).key("film.mp4").upload_id(&id).part_number(number);
        let etag = sent.body(part.to_vec().into()).send().await.unwrap().e_tag.unwrap();
        parts = parts.parts(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("film.mp4").upload_id(&id);
    complete.multipart_upload(parts.build()).send().await.unwrap();
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.objects("uploaded"), run.objects("kept")), (5, 1));
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_go_when_they_are_old_enough_by_s3s_clock_and_pages_at_once() {
    let world = World::deployed(&SITE).await;
    world.remove("old.html");
    world.remove("style.css");
    world.deploy(&["--prune-after", "7d"]).expect(0);
    assert_eq!(world.keys(), ["about.html", "app.js", "index.html", "style.css"]);
    assert_eq!(status(&world)["orphans"][0]["key"], "style.css");
    world.edge.advance_clock(6 * DAY);
    is_settled(&world, &["--prune-after", "7d"]);
    world.edge.advance_clock(2 * DAY);
    is_settled(&world, &["--prune-after", "never"]);
    // Announced long before, so that no guard applies.
    world.deploy(&["--prune-after", "7d", "--max-delete", "0"]).expect(0);
    assert_eq!(world.writes(), ["DELETE style.css", "INVALIDATE /style.css"]);
    is_settled(&world, &["--prune-after", "7d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_that_comes_back_starts_its_time_again() {
    let world = World::deployed(&SITE).await;
    world.remove("style.css");
    world.deploy(&[]).expect(0);
    world.edge.advance_clock(6 * DAY);
    world.write("style.css", "style");
    world.deploy(&[]).expect(0);
    world.remove("style.css");
    world.deploy(&[]).expect(0);
    world.edge.advance_clock(2 * DAY);
    is_settled(&world, &[]);
    assert!(world.keys().contains(&"style.css".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_removals_are_refused_as_a_whole() {
    let world = World::deployed(&SITE).await;
    world.remove("old.html");
    world.remove("style.css");
    world.deploy(&["--prune-after", "0s", "--max-delete", "1"]).expect(6);
    assert_eq!(super::writes_of_any_kind(&world), 0);
    world.deploy(&["--prune-after", "0s", "--max-delete", "2"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_stays_while_a_page_that_may_need_it_could_not_be_replaced() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "does without a style");
    world.remove("style.css");
    world.fault_of("PutObject", "index.html", 0, ALWAYS, denied());
    world.deploy(&PRUNE);
    assert!(world.keys().contains(&"style.css".to_owned()), "{:?}", world.writes());
    world.edge.faults().clear();
    world.deploy(&PRUNE).expect(0);
    assert!(!world.keys().contains(&"style.css".to_owned()));
}
