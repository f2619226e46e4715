//! S3 requests that fail: waited out, retried, or given up without a loss.

use super::{PRUNE, SITE};
use crate::world::aws;
use crate::world::site::{ALWAYS, BUCKET, EXACT, World, denied, error};
use shipfront_edge::Fault;

/// More than two parts.
const LARGE: usize = 36 << 20;

fn exact_and_prune() -> Vec<&'static str> {
    [&EXACT[..], &PRUNE[..]].concat()
}

/// Bytes that no two parts share.
fn large_content() -> Vec<u8> {
    (0..LARGE as u64 / 8).flat_map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect()
}

/// A deployed site to which a large file is added.
async fn with_large_file() -> World {
    let world = World::deployed(&SITE).await;
    world.write("film.webm", large_content());
    world
}

async fn uploads_in_progress(world: &World) -> usize {
    let list = aws::s3(&world.edge).list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    list.uploads().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_s3_slows_down_are_sent_again() {
    let world = World::new(&SITE).await;
    world.fault("PutObject", 1, 2, Fault::SlowDown);
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), world.count("PutObject")), ("deployed", SITE.len() + 2));
    let puts = world.edge.requests().iter().filter(|request| request.operation == "PutObject").count();
    assert_eq!(run.json["requests"]["put"], puts, "the report counts what AWS charges");
    assert_eq!(world.keys().len(), SITE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_before_or_after_its_effect_is_tried_again() {
    let world = World::new(&SITE).await;
    world.fault_of("PutObject", "app.js", 0, 1, Fault::ResetBefore);
    world.fault_of("PutObject", "index.html", 0, 1, Fault::ResetAfter);
    world.fault("ListObjectsV2", 0, 1, Fault::ResetBefore);
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), run.objects("uploaded")), ("deployed", SITE.len() as u64));
    assert_eq!(world.keys().len(), SITE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_in_the_middle_is_asked_for_again() {
    let world = World::deployed(&SITE).await;
    let objects = world.edge.objects(BUCKET).into_iter().map(|object| object.key);
    let manifest = objects.into_iter().find(|key| key.starts_with(".shipfront/manifest-")).unwrap();
    world.write("app.js", "edited");
    let requests = [
        ("GetObject", ".shipfront/state.json"),
        ("GetObject", &manifest),
        ("ListObjectsV2", ""),
        ("GetDistributionConfig", &world.distribution),
        ("CreateInvalidation", &world.distribution),
    ];
    for (operation, key) in requests {
        match key {
            "" => world.fault(operation, 0, 1, Fault::TruncateBody),
            key => world.fault_of(operation, key, 0, 1, Fault::TruncateBody),
        }
    }
    let run = world.deploy(&EXACT).expect(0);
    assert_eq!((run.outcome(), world.count("CreateInvalidation")), ("deployed", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_was_lost_is_invalidated_although_it_failed() {
    let world = World::deployed(&SITE).await;
    world.write("app.js", "stored, but nobody was told");
    world.fault_of("PutObject", "app.js", 0, 1, Fault::ResetAfter);
    world.fault_of("PutObject", "app.js", 1, ALWAYS, error(400, "ExpiredToken"));
    let run = world.deploy(&EXACT).expect(3).says("credentials have expired");
    assert_eq!(run.outcome(), "partial");
    assert_eq!(world.writes(), ["PUT app.js -> reset", "PUT app.js -> 400", "INVALIDATE /app.js"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_whose_answer_was_lost_is_invalidated_although_it_failed() {
    let world = World::deployed(&SITE).await;
    world.remove("about.html");
    world.fault("DeleteObjects", 0, 1, Fault::ResetAfter);
    world.fault("DeleteObjects", 1, ALWAYS, error(400, "ExpiredToken"));
    world.deploy(&exact_and_prune()).expect(3).says("credentials have expired");
    assert_eq!(world.writes()[..3], ["DELETE about.html -> reset", "DELETE -> 400", "INVALIDATE /about.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_whose_answer_was_lost_is_invalidated_whatever_the_next_answer_is() {
    let world = with_large_file().await;
    world.fault("CompleteMultipartUpload", 0, 1, Fault::ResetAfter);
    world.fault("CompleteMultipartUpload", 1, ALWAYS, error(404, "NoSuchUpload"));
    world.deploy(&EXACT).expect(3).says("film.webm");
    assert!(world.keys().contains(&"film.webm".to_owned()));
    assert_eq!(world.writes().last().unwrap(), "INVALIDATE /film.webm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_breaks_off_is_not_taken_for_the_whole() {
    let world = World::deployed(&SITE).await;
    world.fault("ListObjectsV2", 1, 1, Fault::TruncateBody);
    let run = world.deploy(&exact_and_prune()).expect(0);
    assert_eq!(run.objects("kept"), SITE.len() as u64);
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_s3_would_not_delete_is_named_and_the_others_are_gone_and_invalidated() {
    let world = World::deployed(&SITE).await;
    world.orphan(&[("one.html", "1"), ("two.html", "2")]);
    world.fault("DeleteObjects", 0, ALWAYS, Fault::DeleteErrors { keys: vec!["two.html".to_owned()] });
    let run = world.deploy(&exact_and_prune()).expect(3).says("two.html");
    assert_eq!((run.outcome(), run.objects("pruned"), run.objects("failed")), ("partial", 1, 1));
    assert_eq!(run.json["errors"][0]["key"], "two.html");
    assert!(world.keys().contains(&"two.html".to_owned()));
    let writes = world.writes();
    assert!(writes.iter().any(|line| line.starts_with("INVALIDATE") && line.contains("/one.html")), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_up_in_parts_and_ends_as_one_object() {
    let world = with_large_file().await;
    world.deploy(&EXACT).expect(0);
    let writes = world.writes();
    assert_eq!(writes.first().unwrap(), "BEGIN film.webm");
    assert_eq!(writes.iter().filter(|line| *line == "PART film.webm").count(), 3);
    assert_eq!(writes[4..], ["COMPLETE film.webm", "INVALIDATE /film.webm"]);
    let object = world.edge.objects(BUCKET).into_iter().find(|object| object.key == "film.webm").unwrap();
    assert_eq!(object.size, LARGE as u64);
    assert!(object.etag.ends_with("-3"), "{}", object.etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_part_fails_is_aborted() {
    let world = with_large_file().await;
    world.fault("UploadPart", 1, ALWAYS, denied());
    let run = world.deploy(&EXACT).expect(1).says("film.webm").says("s3:PutObject");
    assert_eq!(run.outcome(), "failed");
    assert_eq!(world.writes().last().unwrap(), "ABORT film.webm");
    assert_eq!(uploads_in_progress(&world).await, 0, "parts left behind would be paid for");
    assert!(!world.keys().contains(&"film.webm".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_says_200_and_means_failure_is_no_success() {
    let world = with_large_file().await;
    world.fault("CompleteMultipartUpload", 0, ALWAYS, Fault::ErrorInBody { code: "InvalidPart".to_owned() });
    let run = world.deploy(&EXACT).expect(1).says("film.webm").says("InvalidPart");
    assert_eq!(run.outcome(), "failed");
    assert_eq!(world.writes().last().unwrap(), "ABORT film.webm");
    assert_eq!(uploads_in_progress(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_failed_on_s3s_side_is_asked_for_again() {
    let world = with_large_file().await;
    world.fault("CompleteMultipartUpload", 0, 1, Fault::ErrorInBody { code: "InternalError".to_owned() });
    world.deploy(&EXACT).expect(0);
    assert!(world.keys().contains(&"film.webm".to_owned()));
    assert_eq!(uploads_in_progress(&world).await, 0);
}
