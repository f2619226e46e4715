//! Runs that are stopped or killed, and what people learn about them.

use super::{SITE, STATE, hold, is_settled, outlive_lease, status, writes_of_any_kind};
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, error, finish, signal, stop};
use shipfront_site::headers::Headers;

/// A deployed site with a changed asset and a changed page.
async fn edited() -> World {
    let world = World::deployed(&SITE).await;
    world.write("app.js", "code two");
    world.write("index.html", "welcome two");
    world.edge.clear_requests();
    world
}

async fn stops_in_order(name: &str) {
    let world = edited().await;
    world.write("style.css", "style two");
    let gate = hold(&world, "PutObject", Some("app.js"));
    let mut child = world.start(&["--concurrency", "1"]);
    gate.reached().await;
    stop(&mut child, name);
    gate.open();
    let run = finish(child).expect(130);
    assert_eq!(run.outcome(), "interrupted");
    assert_eq!(world.writes(), ["PUT app.js", "INVALIDATE /app.js"]);
    let reported = status(&world);
    assert!(reported["lease"].is_null() && reported["pending"].is_null(), "{reported}");
    assert_eq!((&reported["last"]["interrupted"], &reported["last"]["left"]), (&true.into(), &2.into()), "{reported}");
    let text = world.run(&["status", TARGET]).expect(0).stdout;
    assert!(text.contains("it was interrupted: 2 changes missing"), "{text}");
    world.edge.clear_requests();
    world.deploy(&[]).expect(0);
    let reported = status(&world);
    assert!(reported["last"]["interrupted"].is_null() && reported["last"]["left"].is_null(), "{reported}");
    assert_eq!(world.writes(), ["PUT style.css", "PUT index.html", "INVALIDATE / /index.html /style.css"]);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_finishes_and_invalidates_what_is_in_flight() {
    stops_in_order("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_stopped_finishes_and_invalidates_what_is_in_flight() {
    stops_in_order("TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_goes_away_finishes_and_invalidates_what_is_in_flight() {
    stops_in_order("HUP").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once_and_the_next_run_finishes() {
    let world = edited().await;
    let gate = hold(&world, "CreateInvalidation", None);
    let mut child = world.start(&[]);
    gate.reached().await;
    stop(&mut child, "INT");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    world.edge.faults().clear();
    outlive_lease(&world);
    world.edge.clear_requests();
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.json["recovered"]["keys"], 2);
    assert_eq!(world.writes(), ["INVALIDATE / /app.js /index.html"]);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_deploy_is_shown_can_be_unlocked_and_is_finished() {
    let world = edited().await;
    let gate = hold(&world, "PutObject", Some("index.html"));
    let mut child = world.start(&["--build-number", "3"]);
    gate.reached().await;
    child.kill().unwrap();
    child.wait().unwrap();
    world.edge.faults().clear();

    let reported = status(&world);
    assert!(reported["lease"]["owner"].is_string(), "{reported}");
    assert_eq!(reported["pending"]["keys"], 2);
    let text = world.run(&["status", TARGET]).expect(0).stdout;
    assert!(text.contains("! held by process") && text.contains("pending      2 files"), "{text}");
    let run = world.deploy(&["--lock-timeout", "0s"]).expect(5);
    assert!(run.json["hint"].as_str().unwrap().contains("shipfront unlock"), "{}", run.stdout);
    world.edge.clear_requests();
    world.run(&["unlock", TARGET]).expect(5);
    assert_eq!(writes_of_any_kind(&world), 0, "nobody was asked");
    world.run(&["unlock", TARGET, "--yes"]).expect(0);
    assert!(status(&world)["lease"].is_null());

    world.edge.clear_requests();
    let run = world.deploy(&["--lock-timeout", "0s"]).expect(0);
    assert_eq!(run.json["recovered"]["keys"], 2);
    let invalidated = world.writes().pop().unwrap();
    assert_eq!(invalidated, "INVALIDATE / /app.js /index.html");
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_lease_is_taken_over_without_asking() {
    let world = edited().await;
    let gate = hold(&world, "PutObject", Some("app.js"));
    let mut child = world.start(&[]);
    gate.reached().await;
    child.kill().unwrap();
    child.wait().unwrap();
    world.edge.faults().clear();
    world.deploy(&["--lock-timeout", "0s"]).expect(5);
    outlive_lease(&world);
    assert!(status(&world)["expired_lease"].is_object());
    world.deploy(&["--lock-timeout", "0s"]).expect(0);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_in_the_middle_leave_nothing_stale_for_good() {
    let world = edited().await;
    let expired = || error(400, "ExpiredToken");
    world.fault_of("PutObject", "index.html", 0, ALWAYS, expired());
    world.fault("CreateInvalidation", 0, ALWAYS, expired());
    world.fault_of("PutObject", STATE, 1, ALWAYS, expired());
    world.deploy(&[]).expect(4);
    world.edge.faults().clear();
    outlive_lease(&world);
    world.edge.clear_requests();
    let run = world.deploy(&[]).expect(0);
    assert!(!run.json["recovered"].is_null());
    assert_eq!(world.writes(), ["PUT index.html", "INVALIDATE / /app.js /index.html"]);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_an_interrupted_run_may_have_changed_are_asked_for_again() {
    let world = World::deployed(&SITE).await;
    manifest::drift(&world.edge, BUCKET, "style.css", "style").await;
    world.fault("CreateInvalidation", 0, ALWAYS, error(403, "AccessDenied"));
    world.deploy(&[]).expect(4);
    let run = world.deploy(&[]).expect(4);
    assert_eq!(run.changes(), ["evict recovered style.css"], "it was uploaded already");
    world.edge.faults().clear();
    // And the other way round, as after a downgrade: the manifest still has what the rules say, but the interrupted
    // run stored something else.
    let reported = Headers::of("style.css").digest();
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["key"] == "style.css" {
            line["headers"] = reported.to_string().into();
        }
    })
    .await;
    world.put("style.css", "style").await;
    assert_eq!(world.deploy(&[]).expect(0).changes(), ["upload headers style.css"]);
    is_settled(&world, &[]);
}
