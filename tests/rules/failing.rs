//! What goes wrong on the way, and the state after it.

use super::{FUNCTIONS, leads, live, publish, view, world, writes};
use crate::world::aws::s3;
use crate::world::site::{ALWAYS, BUCKET, World, denied, error};
use serde_json::Value;
use shipfront_edge::Stage;

async fn state(world: &World) -> Value {
    let got = s3(&world.edge).get_object().bucket(BUCKET).key(".shipfront/state.json").send().await.unwrap();
    serde_json::from_slice(&got.body.collect().await.unwrap().to_vec()).unwrap()
}

/// Keys of the record.
fn record(world: &World) -> Vec<String> {
    let keys = world.edge.objects(BUCKET).into_iter().map(|object| object.key);
    keys.filter(|key| key.starts_with(".shipfront/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_test_fails_nothing_is_published_and_site_and_record_stay_as_they_were() {
    let world = world(&[("index.html", "one")]).await;
    publish(&world).expect(0);
    let (before, files, code) = (state(&world).await, record(&world), live(&world.edge, "site-request"));
    world.write("index.html", "two");
    world.write("_redirects", "/old /index.html\n");
    for (operation, fault) in [
        ("TestFunction", error(400, "TestFunctionFailed")),
        ("UpdateFunction", denied()),
        ("UpdateFunction", error(412, "PreconditionFailed")),
    ] {
        world.edge.clear_requests();
        world.fault(operation, 0, ALWAYS, fault);
        let run = publish(&world).expect(1);
        assert!(run.stdout.contains("\"failed\""), "{}", run.stdout);
        world.edge.faults().clear();
        assert!(writes(&world).iter().all(|line| line.contains("Function")), "{:?}", writes(&world));
        let after = state(&world).await;
        for field in ["intent", "lease", "manifest", "paths", "last"] {
            assert_eq!(after[field], before[field], "{operation}: {field}");
        }
        assert_eq!((record(&world), live(&world.edge, "site-request")), (files.clone(), code.clone()));
        assert_eq!(view(&world, "/index.html").await.text(), "one");
    }
    publish(&world).expect(0);
    assert_eq!(leads(&world, "/old").await.0, 301);
}

/// What an interrupted run had left stays for the next one, although this one fails before it does anything.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_test_fails_an_earlier_intent_stays() {
    let world = world(&[("index.html", "one")]).await;
    publish(&world).expect(0);
    world.write("index.html", "two");
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    publish(&world).expect(4);
    world.edge.faults().clear();
    let before = state(&world).await;
    assert!(!before["intent"].is_null());
    world.write("_redirects", "/old /index.html\n");
    world.fault("TestFunction", 0, ALWAYS, error(400, "TestFunctionFailed"));
    publish(&world).expect(1);
    world.edge.faults().clear();
    assert_eq!(state(&world).await["intent"], before["intent"]);
    let run = publish(&world).expect(0);
    assert!(!run.json["recovered"].is_null(), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_publishing_fails_nothing_is_removed_and_the_next_deploy_publishes() {
    let world = world(&[("index.html", "one"), ("old.html", "old")]).await;
    publish(&world).expect(0);
    world.remove("old.html");
    world.write("index.html", "two");
    world.write("_redirects", "/old.html /index.html\n");
    world.fault("PublishFunction", 0, ALWAYS, error(400, "InvalidArgument"));
    let run = publish(&world).expect(3);
    assert!(run.stderr.contains("PublishFunction"), "{}", run.stderr);
    world.edge.faults().clear();
    assert_eq!(view(&world, "/old.html").await.text(), "old", "a page without its redirect would be missing");
    assert_eq!(view(&world, "/index.html").await.text(), "two");
    publish(&world).expect(0);
    assert_eq!(leads(&world, "/old.html").await, (301, "/index.html".to_owned()));
    assert_eq!(world.keys(), ["index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_something_else_changes_meanwhile_is_not_published() {
    let world = world(&[("index.html", "one")]).await;
    publish(&world).expect(0);
    world.write("_redirects", "/old /index.html\n");
    world.fault("PublishFunction", 0, ALWAYS, error(412, "PreconditionFailed"));
    let run = publish(&world).expect(1);
    assert!(run.stderr.contains("the function was changed in the meantime"), "{}", run.stderr);
    world.edge.faults().clear();
    publish(&world).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_do_not_fit_are_refused_before_anything_is_written() {
    let world = world(&[("index.html", "one")]).await;
    let page = |at: u64| format!("{:x}", at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let lines: String = (0..700).map(|at| format!("/old/{} /new/{}\n", page(at), page(at + 1000))).collect();
    world.write("_redirects", lines);
    let run = publish(&world).expect(6);
    assert!(run.stderr.contains("of 700 lines of _redirects fit") && run.stderr.contains("hint:"), "{}", run.stderr);
    assert_eq!(writes(&world), [""; 0]);
    for (_, name) in FUNCTIONS {
        assert_eq!(world.edge.function(name, Stage::Development), world.edge.function(name, Stage::Live));
    }
}
