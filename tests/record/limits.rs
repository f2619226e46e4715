//! What a run refuses to do, and the order in which it does the rest.

use super::{PRUNE, SITE, is_settled, writes_of_any_kind};
use crate::world::site::{ALWAYS, BUCKET, World, denied, error, run};

#[tokio::test(flavor = "multi_thread")]
async fn keep_going_does_not_put_pages_before_an_asset_that_s3_refused() {
    let world = World::deployed(&SITE).await;
    world.write("app.js", "code two");
    world.write("index.html", "the page that needs both");
    world.write("style.css", "style two");
    world.fault_of("PutObject", "style.css", 0, ALWAYS, denied());
    let options = ["--keep-going", "--concurrency", "1"];
    assert_eq!(world.deploy(&options).expect(3).outcome(), "partial");
    assert_eq!(world.writes(), ["PUT app.js", "PUT style.css -> 403", "INVALIDATE /app.js"]);
    world.edge.faults().clear();
    world.edge.clear_requests();
    world.deploy(&options).expect(0);
    assert_eq!(world.writes()[..2], ["PUT style.css", "PUT index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_too_assets_go_after_the_pages_are_invalidated() {
    let world = World::new(&SITE).await;
    world.deploy(&["--no-record"]).expect(0);
    world.write("index.html", "without the style");
    world.remove("style.css");
    world.edge.clear_requests();
    world.deploy(&["--no-record", "--prune-after", "0s"]).expect(0);
    let expected = ["PUT index.html", "INVALIDATE / /index.html", "DELETE style.css", "INVALIDATE /style.css"];
    assert_eq!(world.writes(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_an_earlier_run_was_asked_to_keep_count_when_they_go() {
    let world = World::deployed(&SITE).await;
    world.remove("about.html");
    world.remove("old.html");
    world.deploy(&["--prune-after", "never"]).expect(0);
    world.edge.clear_requests();
    world.deploy(&["--max-delete", "1"]).expect(6).says("--max-delete 2");
    assert_eq!(writes_of_any_kind(&world), 0);
    assert_eq!(world.deploy(&["--max-delete", "2"]).expect(0).objects("pruned"), 2);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_superseded_build_says_so_and_writes_nothing() {
    let world = World::new(&SITE).await;
    world.deploy(&["--build-number", "1"]).expect(0);
    world.write("index.html", "of build 5");
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    world.deploy(&["--build-number", "5"]).expect(4);
    world.edge.faults().clear();
    world.edge.clear_requests();
    world.plan(&["--build-number", "3"]).expect(5).says("superseded");
    assert_eq!(writes_of_any_kind(&world), 0);
    world.plan(&["--build-number", "3", "--force"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_not_kept_where_the_site_is() {
    let world = World::new(&SITE).await;
    world.write("state/index.html", "a page");
    let target = format!("s3://{BUCKET}/blog/2026");
    for (place, why) in [
        (target.clone(), "the site's own folder"),
        (format!("s3://{BUCKET}/blog"), "one above it"),
        (format!("{target}/state"), "state/index.html"),
    ] {
        let arguments = world.arguments("deploy", &target, &["--record", &place]);
        run(&mut world.command(&arguments)).expect(2).says(why);
        assert_eq!(writes_of_any_kind(&world), 0, "{place}");
    }
    let beside = format!("s3://{BUCKET}/blog/2026-record");
    run(&mut world.command(&world.arguments("deploy", &target, &["--record", &beside]))).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_heeds_one_kind_of_condition_only_is_found_out() {
    let world = World::new(&SITE).await;
    world.edge.set_ignore_conditions(BUCKET, true).unwrap();
    // The second write tests If-None-Match.
    world.fault_of("PutObject", super::STATE, 1, 1, error(412, "PreconditionFailed"));
    let run = world.deploy(&PRUNE).expect(6);
    assert!(super::hint(&run).contains("--no-record"), "{}", run.stdout);
    assert_eq!(world.edge.objects(BUCKET), []);
}
