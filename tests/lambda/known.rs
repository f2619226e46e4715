//! Changes that CloudFront was already asked to invalidate cost no path, and those that only look so are
//! invalidated.

use super::messages::{invalidated, queue, written};
use crate::world::aws;
use crate::world::function::{Function, event};
use crate::world::site::{BUCKET, World, denied};
use serde_json::Value;
use shipfront_edge::{Fault, Gate};

const SITE: [(&str, &str); 4] =
    [("index.html", "home"), ("about.html", "about"), ("notes/a.html", "a"), ("notes/b.html", "b")];

/// A site that was deployed, and the function for its bucket's events.
async fn deployed() -> (World, Function) {
    let world = World::deployed(&SITE).await;
    let function = Function::start(&world, &[]).await;
    (world, function)
}

fn etag(world: &World, key: &str) -> String {
    world.edge.objects(BUCKET).into_iter().find(|object| object.key == key).unwrap().etag
}

/// Another tool writes an object; returns the event that S3 sends for it.
async fn overwrite(world: &World, key: &str, body: &str, media_type: &str) -> Value {
    let put = aws::s3(&world.edge).put_object().bucket(BUCKET).key(key).content_type(media_type);
    put.body(body.as_bytes().to_vec().into()).send().await.unwrap();
    written(key, &etag(world, key))
}

const HTML: &str = "text/html; charset=utf-8";

/// The number of invalidations since the deploys.
fn count(world: &World) -> usize {
    world.count("CreateInvalidation")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_deploy_cost_no_path() {
    let (world, function) = deployed().await;
    let events: Vec<Value> = SITE.iter().map(|(key, _)| written(key, &etag(&world, key))).collect();
    function.invoke(&queue(&events)).await.unwrap();
    assert_eq!(count(&world), 0);
    assert_eq!(world.count("HeadObject"), SITE.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploading_the_same_bytes_again_costs_no_path() {
    let (world, function) = deployed().await;
    let event = overwrite(&world, "about.html", "about", HTML).await;
    function.invoke(&event).await.unwrap();
    assert_eq!(count(&world), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bytes_other_headers_and_removals_are_reported_exactly() {
    let (world, function) = deployed().await;
    let bytes = overwrite(&world, "about.html", "About", HTML).await;
    function.invoke(&bytes).await.unwrap();
    let headers = overwrite(&world, "notes/a.html", "a", "text/plain").await;
    function.invoke(&headers).await.unwrap();
    aws::s3(&world.edge).delete_object().bucket(BUCKET).key("notes/b.html").send().await.unwrap();
    let mut removed = event("s3-object-removed-delete");
    removed["Records"][0]["s3"]["object"]["key"] = "notes/b.html".into();
    function.invoke(&removed).await.unwrap();
    let invalidated = invalidated(&world);
    assert_eq!(invalidated[invalidated.len() - 3..], [["/about.html"], ["/notes/a.html"], ["/notes/b.html"]]);
}

/// Its copies are under any URL, and no event contains the headers of earlier versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_page_that_others_changed_takes_everything() {
    let world = World::deployed(&[("404.html", "lost"), ("index.html", "home")]).await;
    let function = Function::start(&world, &[]).await;
    let event = overwrite(&world, "404.html", "lost, and found", HTML).await;
    function.invoke(&event).await.unwrap();
    assert_eq!(invalidated(&world).pop().unwrap(), ["/*"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_come_back_after_others_are_reported_and_then_known_again() {
    let (world, function) = deployed().await;
    let other = overwrite(&world, "about.html", "other", HTML).await;
    function.invoke(&other).await.unwrap();
    // The edge may have cached the other bytes since: that the manifest knows these proves nothing.
    let back = overwrite(&world, "about.html", "about", HTML).await;
    function.invoke(&back).await.unwrap();
    assert_eq!(count(&world), 2);
    let again = overwrite(&world, "about.html", "about", HTML).await;
    function.invoke(&again).await.unwrap();
    assert_eq!(count(&world), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_late_is_reported_although_the_object_is_the_manifests_again() {
    let (world, function) = deployed().await;
    let other = overwrite(&world, "about.html", "other", HTML).await;
    let back = overwrite(&world, "about.html", "about", HTML).await;
    function.invoke(&back).await.unwrap();
    assert_eq!(count(&world), 0);
    function.invoke(&other).await.unwrap();
    assert_eq!(count(&world), 1);
    function.invoke(&back).await.unwrap();
    assert_eq!(count(&world), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_record_may_not_be_written_nothing_is_taken_for_known() {
    let (world, function) = deployed().await;
    world.fault_of("PutObject", ".shipfront/foreign.json", 0, u64::MAX, denied());
    let event = overwrite(&world, "about.html", "about", HTML).await;
    function.invoke(&event).await.unwrap();
    assert_eq!(count(&world), 1);
    assert!(function.log().contains("allow s3:PutObject"), "{}", function.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_cannot_be_marked_is_reported_and_comes_again() {
    let (world, function) = deployed().await;
    let known = overwrite(&world, "about.html", "about", HTML).await;
    function.invoke(&known).await.unwrap();
    world.fault_of("PutObject", ".shipfront/foreign.json", 0, u64::MAX, denied());
    let other = overwrite(&world, "about.html", "other", HTML).await;
    let answer = function.invoke(&queue(&[other])).await.unwrap();
    assert_eq!(super::messages::back(&answer), ["m0"]);
    assert_eq!(invalidated(&world).pop().unwrap(), ["/about.html"], "and it is told all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cover_knows_the_rest_of_the_site_from_the_manifest() {
    let pages: Vec<(String, String)> = (0..40).map(|at| (format!("blog/{at}.html"), at.to_string())).collect();
    let files: Vec<(&str, &str)> =
        pages.iter().map(|(key, body)| (key.as_str(), body.as_str())).chain([("zoo.html", "zoo")]).collect();
    let world = World::deployed(&files).await;
    let function = Function::start(&world, &[("SHIPFRONT_OPTIONS", "--max-paths 2")]).await;
    let mut events = Vec::new();
    for (key, _) in &pages {
        events.push(overwrite(&world, key, "new", HTML).await);
    }
    function.invoke(&queue(&events)).await.unwrap();
    assert_eq!(invalidated(&world).pop().unwrap(), ["/blog/*"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deploy_under_way_uploads_is_left_to_it_and_other_writes_are_not() {
    let (world, function) = deployed().await;
    world.write("about.html", "about, and more");
    let gate = Gate::default();
    world.fault("CreateInvalidation", 0, 1, Fault::Hold(gate.clone()));
    let deploy = world.start(&[]);
    gate.reached().await;
    let mut ours = written("about.html", &etag(&world, "about.html"));
    ours["Records"][0]["s3"]["object"]["size"] = 15.into();
    function.invoke(&ours).await.unwrap();
    assert_eq!(count(&world), 1, "that of the deploy");
    let foreign = overwrite(&world, "about.html", "of other length", "text/plain").await;
    function.invoke(&foreign).await.unwrap();
    assert_eq!(count(&world), 2);
    gate.open();
    crate::world::site::finish(deploy).expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deploy_that_died_left_behind_is_reported_by_its_events() {
    let (world, function) = deployed().await;
    world.write("about.html", "about, and more");
    world.edge.faults().add(shipfront_edge::Rule {
        operation: Some("CreateInvalidation".to_owned()),
        key: None,
        skip: 0,
        count: 1,
        fault: Fault::CrashBefore,
    });
    let mut deploy = world.start(&[]);
    world.crash().await;
    deploy.kill().unwrap();
    deploy.wait().unwrap();
    world.edge.faults().clear();
    world.edge.faults().revive();
    world.edge.advance_clock(shipfront::record::lease::LEASE + std::time::Duration::from_secs(1));
    let mut event = written("about.html", &etag(&world, "about.html"));
    event["Records"][0]["s3"]["object"]["size"] = 15.into();
    function.invoke(&event).await.unwrap();
    assert_eq!(invalidated(&world).pop().unwrap(), ["/about.html"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_in_a_folder_has_its_own_record() {
    let world = World::new(&SITE).await;
    let run = world.run(&world.arguments("deploy", "s3://www.example.com/blog", &[])).expect(0);
    assert_eq!(run.outcome(), "deployed");
    world.edge.clear_requests();
    let function = Function::start(&world, &[]).await;
    let known = written("blog/about.html", &etag(&world, "blog/about.html"));
    function.invoke(&known).await.unwrap();
    assert_eq!(count(&world), 0);
    let other = overwrite(&world, "blog/about.html", "other", HTML).await;
    function.invoke(&other).await.unwrap();
    assert_eq!(invalidated(&world).pop().unwrap(), ["/blog/about.html"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_a_warning_and_everything_is_reported() {
    let (world, function) = deployed().await;
    world.put(".shipfront/state.json", "{").await;
    let event = written("about.html", &etag(&world, "about.html"));
    function.invoke(&event).await.unwrap();
    assert_eq!(invalidated(&world).pop().unwrap(), ["/about.html"]);
    assert!(function.log().contains("cannot be read"), "{}", function.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_file_of_others_writes_is_none_every_event_is_reported_and_nothing_is_lost() {
    let (world, function) = deployed().await;
    let garbage = "welcome to the side file";
    world.put(".shipfront/foreign.json", garbage).await;
    let again = written("about.html", &etag(&world, "about.html"));
    function.invoke(&again).await.unwrap();
    assert_eq!(count(&world), 1, "nobody knows whether it was marked");
    let other = overwrite(&world, "notes/a.html", "other", HTML).await;
    function.invoke(&other).await.unwrap();
    assert_eq!(count(&world), 2);
    let kept = crate::world::manifest::read(&world.edge, BUCKET, ".shipfront/foreign.json").await;
    assert_eq!(kept, garbage.as_bytes(), "the function, which may write this file alone, leaves it to a deploy");
}

/// Names below the record's folder that no site has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_in_a_place_that_is_no_sites_does_not_stop_the_events() {
    let (world, function) = deployed().await;
    for place in [".shipfront/x", "a/..", "a/"] {
        world.put(&format!(".shipfront/{place}/state.json"), "{}").await;
    }
    let other = overwrite(&world, "about.html", "other", HTML).await;
    function.invoke(&other).await.unwrap();
    assert_eq!(count(&world), 1);
}
