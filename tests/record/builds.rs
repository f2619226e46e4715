//! The order of builds, and runs that find nothing to do.

use super::{PRUNE, SITE, count, is_settled, status, writes_of_any_kind};
use crate::world::site::{ALWAYS, World, denied};
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_with_nothing_to_do_reads_three_small_files_and_writes_nothing() {
    let world = World::deployed(&SITE).await;
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    assert_eq!((count(&world, "GetObject"), count(&world, "HeadObject"), writes_of_any_kind(&world)), (3, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_build_never_replaces_a_newer_one_unless_forced() {
    let world = World::new(&SITE).await;
    world.deploy(&["--build-number", "7"]).expect(0);
    world.write("index.html", "of an older build");
    world.edge.clear_requests();
    world.deploy(&["--build-number", "6"]).expect(5).says("superseded");
    assert_eq!(writes_of_any_kind(&world), 0);
    world.deploy(&["--build-number", "6", "--force"]).expect(0);
    assert_eq!(world.writes(), ["PUT index.html", "INVALIDATE / /index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_build_without_changes_is_noted_with_one_write() {
    let world = World::new(&SITE).await;
    world.deploy(&["--build-number", "7"]).expect(0);
    world.edge.clear_requests();
    assert_eq!(world.deploy(&["--build-number", "8"]).expect(0).outcome(), "nothing-to-do");
    assert_eq!((count(&world, "PutObject"), writes_of_any_kind(&world)), (1, 1));
    world.write("index.html", "of the slower build 7");
    world.deploy(&["--build-number", "7"]).expect(5);
    assert_eq!(status(&world)["build"]["number"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_build_still_finishes_what_another_left_stale() {
    let world = World::new(&SITE).await;
    world.deploy(&["--build-number", "1"]).expect(0);
    world.write("index.html", "of build 5");
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    world.deploy(&["--build-number", "5"]).expect(4);
    world.edge.faults().clear();
    let before = status(&world);
    world.edge.clear_requests();
    world.write("index.html", "of build 3");
    let run = world.deploy(&["--build-number", "3"]).expect(5);
    assert!(run.json["hint"].as_str().unwrap().contains("was invalidated"), "{}", run.stdout);
    assert_eq!(world.writes(), ["INVALIDATE / /index.html"]);
    // The state stays as the interrupted run left it: the paths are counted in the side file.
    let requests = world.edge.requests();
    let put = requests.iter().filter(|request| request.operation == "PutObject").filter_map(|put| put.key.as_deref());
    assert_eq!(put.collect::<BTreeSet<&str>>(), BTreeSet::from([".shipfront/foreign.json"]));
    let counts = |of: Value| of["allowance"]["used"].as_u64().unwrap();
    assert_eq!(counts(status(&world)), counts(before) + 2);
    let run = world.deploy(&["--build-number", "6"]).expect(0);
    assert_eq!(run.json["recovered"]["keys"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_that_failed_is_made_up_for_although_no_file_differs() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "welcome back");
    world.remove("old.html");
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    world.deploy(&PRUNE).expect(4);
    assert!(!status(&world)["pending"].is_null());
    world.edge.faults().clear();
    world.edge.clear_requests();
    let run = world.deploy(&PRUNE).expect(0);
    assert!(!run.json["recovered"].is_null());
    assert_eq!(run.objects("uploaded"), 0);
    assert_eq!(world.writes(), ["INVALIDATE / /index.html /old.html"]);
    assert!(status(&world)["pending"].is_null());
    is_settled(&world, &PRUNE);
}
