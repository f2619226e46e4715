//! What the next run does about one that did not end: it forgets no owned object, takes none of somebody else's,
//! and invalidates every distribution that had to be.

use super::{PRUNE, SITE, hold, is_settled, object, outlive_lease};
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, denied, error, finish};
use shipfront_edge::{Distribution, Fault};

/// Runs a deploy that is killed at its first request of a kind, before the request takes effect.
async fn die_before(world: &World, operation: &str, key: Option<&str>) {
    let gate = hold(world, operation, key);
    let mut child = world.start(&PRUNE);
    gate.reached().await;
    child.kill().unwrap();
    child.wait().unwrap();
    world.edge.faults().clear();
    outlive_lease(world);
    world.edge.clear_requests();
}

/// Runs a deploy whose invalidation CloudFront denies.
fn deploy_denied(world: &World) {
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    world.deploy(&PRUNE).expect(4);
    world.edge.faults().clear();
    world.edge.clear_requests();
}

/// Checks that a page that is no longer in the source is permanently removed.
fn removes(world: &World, key: &str) {
    world.remove(key);
    world.deploy(&PRUNE).expect(0);
    assert_eq!(world.writes(), [format!("DELETE {key}"), format!("INVALIDATE /{key}")]);
    assert!(!world.keys().contains(&key.to_owned()));
    is_settled(world, &PRUNE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_dead_run_had_changed_is_removed_when_it_leaves_the_source() {
    let world = World::deployed(&SITE).await;
    world.write("old.html", "not so old");
    die_before(&world, "CreateInvalidation", None).await;
    assert_eq!(object(&world, "old.html").size, 10, "it died too early");
    removes(&world, "old.html");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_page_is_still_owned_after_two_runs_that_could_not_invalidate() {
    let world = World::deployed(&SITE).await;
    world.write("new.html", "new");
    deploy_denied(&world);
    deploy_denied(&world);
    removes(&world, "new.html");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_others_is_not_taken_for_the_upload_that_a_dead_run_never_began() {
    let world = World::deployed(&SITE).await;
    world.put("theirs.html", "theirs").await;
    world.write("theirs.html", "ours!!");
    die_before(&world, "PutObject", Some("theirs.html")).await;
    world.remove("theirs.html");
    assert_eq!(world.deploy(&PRUNE).expect(0).objects("pruned"), 0);
    assert!(world.keys().contains(&"theirs.html".to_owned()));
    is_settled(&world, &PRUNE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_succeeded_without_an_answer_is_ours_and_goes_with_its_file() {
    let world = World::deployed(&SITE).await;
    world.write("new.html", "new");
    world.fault_of("PutObject", "new.html", 0, 1, Fault::ResetAfter);
    world.fault_of("PutObject", "new.html", 1, ALWAYS, error(400, "ExpiredToken"));
    world.deploy(&PRUNE).expect(3);
    world.edge.faults().clear();
    world.edge.clear_requests();
    assert_eq!(object(&world, "new.html").size, 3, "it did not land");
    removes(&world, "new.html");
}

async fn tells_both(next: &[&str]) {
    let world = World::deployed(&SITE).await;
    let mut second = Distribution::for_bucket(BUCKET);
    second.id = "E2SECOND000000".to_owned();
    world.edge.put_distribution(second).unwrap();
    world.write("index.html", "welcome two");
    die_before(&world, "CreateInvalidation", None).await;
    let before = world.edge.invalidations(&world.distribution).len();
    world.deploy(next).expect(0);
    assert_eq!(world.edge.invalidations(&world.distribution).len(), before + 1, "{next:?}");
    assert_eq!(world.edge.invalidations("E2SECOND000000").len(), 1, "{next:?}");
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_for_one_distribution_invalidates_both_that_a_dead_run_left_stale() {
    tells_both(&["--distribution", "E2SECOND000000"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_for_no_distribution_invalidates_both_that_a_dead_run_left_stale() {
    tells_both(&["--distribution", "none"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_that_a_dead_run_left_work_although_no_file_differs() {
    let world = World::deployed(&SITE).await;
    let detailed = ["--detailed-exit-code"];
    world.plan(&detailed).expect(0);
    world.write("new.html", "new");
    die_before(&world, "PutObject", Some("new.html")).await;
    world.remove("new.html");
    let plan = world.plan(&detailed).expect(10);
    assert_eq!(plan.changes(), [""; 0]);
    assert_eq!(plan.json["recovered"]["keys"], 1);
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&[]).expect(0);
    assert_eq!(world.writes(), ["INVALIDATE /new.html"]);
    world.plan(&detailed).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_meets_the_end_of_a_deploy_reads_again() {
    let world = World::deployed(&SITE).await;
    for command in [world.arguments("plan", TARGET, &[]), vec!["status", TARGET, "--json"]] {
        world.write("index.html", format!("welcome to {}", command[0]));
        let before = manifest::key(&world.edge, BUCKET).await;
        let gate = hold(&world, "GetObject", Some(&before));
        let reader = world.command(&command).spawn().unwrap();
        gate.reached().await;
        world.deploy(&["--keep-deploys", "1"]).expect(0);
        gate.open();
        finish(reader).expect(0);
        assert!(world.edge.objects(BUCKET).iter().all(|object| object.key != before), "nothing was taken away");
    }
}
