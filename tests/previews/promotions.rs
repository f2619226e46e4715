//! A promotion: production becomes identical to the preview, under the promises of a deploy.

use super::{
    PREVIEWS, bodies, change, changed, original, preview, previews, production, promote, promotion, put, text, world,
};
use crate::world::aws::s3;
use crate::world::site::{BUCKET, TARGET, World, finish};
use serde_json::Value;
use shipfront_edge::{Fault, Gate};

/// Production, and a preview with other code, another front page, one page more and one less.
async fn previewed() -> World {
    let world = world().await;
    change(&world);
    preview(&world, "new", &[]).expect(0);
    world.edge.clear_requests();
    world
}

fn history(world: &World) -> Vec<Value> {
    world.run(&["history", TARGET, "--json"]).expect(0).json["deploys"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn production_becomes_the_preview_in_the_waves_of_a_deploy() {
    let world = previewed().await;
    let plan = promote(&world, "new", &["--plan"]).expect(0);
    assert_eq!((plan.outcome(), plan.objects("copied"), plan.objects("pruned")), ("planned", 3, 1));
    assert_eq!(world.writes(), [""; 0]);
    let run = promote(&world, "new", &["--concurrency", "1"]).expect(0);
    assert_eq!((run.outcome(), run.objects("copied"), run.objects("kept")), ("deployed", 3, 2), "{}", run.stdout);
    assert_eq!(
        run.changes(),
        ["copy size app.js", "copy size index.html", "copy new new.html", "prune orphaned old.html"]
    );
    assert_eq!(run.json["source"], "preview:new");
    let writes: Vec<String> = world.writes().into_iter().filter(|write| !write.contains("412")).collect();
    let expected = [
        "CopyObject app.js",
        "CopyObject index.html",
        "CopyObject new.html",
        "DELETE old.html",
        "INVALIDATE / /app.js /index.html /new.html /old.html",
    ];
    assert_eq!(writes, expected);
    assert_eq!(production(&world).await, changed());
    // A deploy of the same build finds nothing to do, and so does another promotion.
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    let again = promote(&world, "new", &[]).expect(0);
    assert_eq!(again.outcome(), "nothing-to-do", "{}", again.stdout);
    let deploys = history(&world);
    assert_eq!((deploys.len(), &deploys[0]["promoted"]), (2, &"new".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_rolled_back_as_any_deploy() {
    let world = world().await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.write("index.html", "welcome one");
    world.deploy(&[]).expect(0);
    world.write("index.html", "welcome");
    world.deploy(&[]).expect(0);
    change(&world);
    preview(&world, "new", &[]).expect(0);
    promote(&world, "new", &[]).expect(0);
    let run = world.run(&["rollback", TARGET, "--json"]).expect(0);
    assert_eq!(run.outcome(), "deployed");
    let mut expected = original();
    assert_eq!(production(&world).await["index.html"], expected.remove("index.html").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_commit_are_those_of_the_promoted_build_and_the_build_number_is_the_runs() {
    let world = world().await;
    let settings = world.outside().join("shipfront.toml");
    std::fs::write(&settings, "[[headers]]\nfiles = \"*.css\"\ncache-control = \"max-age=77\"\n").unwrap();
    let mut deploy = world.command(&world.arguments(
        "deploy",
        TARGET,
        &["--preview", "new", "--previews-target", super::AT, "--config", settings.to_str().unwrap()],
    ));
    crate::world::site::run(deploy.env("GITHUB_SHA", "1a2b3c")).expect(0);
    let run = promote(&world, "new", &["--build-number", "7"]).expect(0);
    assert_eq!(run.changes(), ["copy headers style.css"]);
    let head = s3(&world.edge).head_object().bucket(BUCKET).key("style.css").send().await.unwrap();
    assert_eq!(head.cache_control(), Some("max-age=77"));
    let live = &history(&world)[0];
    assert_eq!((&live["commit"], &live["build"]["number"]), (&"1a2b3c".into(), &7.into()));
    world.deploy(&["--build-number", "6"]).expect(5);
    assert_eq!(promote(&world, "new", &["--build-number", "6"]).expect(5).outcome(), "superseded");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_complete_preview_of_this_site_is_promoted_and_only_the_deploy_that_is_meant() {
    let world = previewed().await;
    promote(&world, "nothing", &[]).expect(6).says("there is no preview nothing");
    let live = previews(&world, &[]).expect(0).json["previews"][0]["deploy"].as_str().unwrap().to_owned();
    promote(&world, "new", &["--deploy", "20010101t000000z-00000000"]).expect(6).says(&live);
    world.edge.ensure_site("other.example.com").unwrap();
    let other = ["promote", "new", "s3://other.example.com", "--previews-target", super::AT, "--json"];
    world.run(&other).expect(6).says("is one of s3://www.example.com");
    // Its deploy dies.
    world.write("index.html", "welcome three");
    world.fault_of("PutObject", "new/index.html", 0, 1, Fault::CrashBefore);
    let mut dying = world
        .command(&world.arguments("deploy", TARGET, &["--preview", "new", "--previews-target", super::AT]))
        .spawn()
        .unwrap();
    world.crash().await;
    dying.kill().unwrap();
    dying.wait().unwrap();
    world.edge.faults().clear();
    world.edge.faults().revive();
    promote(&world, "new", &[]).expect(6).says("is not complete: a deploy of it is under way");
    assert_eq!(production(&world).await, original());
    world.edge.advance_clock(std::time::Duration::from_secs(91));
    promote(&world, "new", &[]).expect(6).says("its last deploy was interrupted");
    preview(&world, "new", &[]).expect(0);
    promote(&world, "new", &[]).expect(0);
    assert_eq!(production(&world).await["index.html"], "welcome three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_is_deployed_again_before_the_first_write_is_not_promoted() {
    let world = previewed().await;
    let gate = Gate::default();
    world.fault("GetBucketOwnershipControls", 0, 1, Fault::Hold(gate.clone()));
    let running = world.command(&promotion("new", &[])).spawn().unwrap();
    gate.reached().await;
    world.write("style.css", "style two");
    preview(&world, "new", &[]).expect(0);
    world.edge.clear_requests();
    gate.open();
    let run = finish(running).expect(6);
    assert_eq!(run.outcome(), "refused", "{}", run.stdout);
    assert_eq!(production(&world).await, original());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_changes_while_it_is_promoted_is_not_half_promoted() {
    let world = previewed().await;
    let gate = Gate::default();
    // Not the copy that tests the store's conditions, but that of the first page.
    world.fault_of("CopyObject", "index.html", 0, 1, Fault::Hold(gate.clone()));
    let running = world.command(&promotion("new", &["--concurrency", "1"])).spawn().unwrap();
    gate.reached().await;
    world.write("index.html", "welcome three");
    preview(&world, "new", &[]).expect(0);
    gate.open();
    let run = finish(running).expect(3);
    assert_eq!((run.outcome(), run.objects("copied"), run.objects("pruned")), ("partial", 1, 0), "{}", run.stdout);
    assert!(run.json["errors"][0]["error"].as_str().unwrap().contains("changed in the meantime"), "{}", run.stdout);
    assert_eq!(run.json["invalidations"][0]["items"], serde_json::json!(["/app.js"]), "what landed is fresh");
    let now = production(&world).await;
    assert_eq!((now["index.html"].as_str(), now["old.html"].as_str()), ("welcome", "old"), "no page before its assets");
    promote(&world, "new", &[]).expect(0);
    assert_eq!(production(&world).await["index.html"], "welcome three");
}

/// For the same bytes with other headers, the ETag says nothing: a version does, otherwise there is a warning.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_change_meanwhile_are_those_of_the_version_or_a_warning() {
    for versioned in [false, true] {
        let world = world().await;
        world.edge.set_versioning(PREVIEWS, versioned).unwrap();
        change(&world);
        preview(&world, "new", &[]).expect(0);
        let settings = world.outside().join("shipfront.toml");
        std::fs::write(&settings, "[[headers]]\nfiles = \"*.html\"\ncache-control = \"max-age=77\"\n").unwrap();
        let gate = Gate::default();
        world.fault_of("CopyObject", "index.html", 0, 1, Fault::Hold(gate.clone()));
        let running = world.command(&promotion("new", &["--concurrency", "1"])).spawn().unwrap();
        gate.reached().await;
        preview(&world, "new", &["--config", settings.to_str().unwrap()]).expect(0);
        gate.open();
        let run = finish(running).expect(0);
        assert!(run.warnings().contains("was deployed again, or removed, during the promotion"), "{}", run.warnings());
        let head = s3(&world.edge).head_object().bucket(BUCKET).key("index.html").send().await.unwrap();
        let expected = if versioned { None } else { Some("max-age=77") };
        assert_eq!(head.cache_control(), expected, "versioned: {versioned}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_which_something_could_not_be_uploaded_is_not_promoted() {
    let world = previewed().await;
    world.write("app.js", "code three");
    world.write("index.html", "welcome three");
    world.fault_of("PutObject", "new/index.html", 0, u64::MAX, crate::world::site::denied());
    preview(&world, "new", &[]).expect(3);
    world.edge.faults().clear();
    promote(&world, "new", &[]).expect(6).says("its last deploy left 1 object undone");
    assert_eq!(production(&world).await, original());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_whose_deploy_begins_before_the_first_write_is_not_promoted() {
    let world = previewed().await;
    let (gate, other) = (Gate::default(), Gate::default());
    world.fault("GetBucketOwnershipControls", 0, 1, Fault::Hold(gate.clone()));
    world.fault_of("PutObject", "new/style.css", 0, 1, Fault::Hold(other.clone()));
    let running = world.command(&promotion("new", &[])).spawn().unwrap();
    gate.reached().await;
    world.write("style.css", "style two");
    let arguments = world.arguments("deploy", TARGET, &["--preview", "new", "--previews-target", super::AT]);
    let deploying = world.command(&arguments).spawn().unwrap();
    other.reached().await;
    gate.open();
    finish(running).expect(6);
    other.open();
    finish(deploying).expect(0);
    assert_eq!(production(&world).await, original());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_guarded_on_both_sides() {
    let world = previewed().await;
    world.put("index.html", "theirs").await;
    let refused = promote(&world, "new", &[]).expect(6).says("changed by others since the last deploy");
    assert_eq!((refused.outcome(), world.writes().len()), ("refused", 0));
    promote(&world, "new", &["--overwrite-foreign"]).expect(0);
    assert_eq!(production(&world).await, changed());
    world.write("app.js", "code three");
    preview(&world, "new", &[]).expect(0);
    put(&world, "new/app.js", "theirs, too").await;
    promote(&world, "new", &["--overwrite-foreign"]).expect(6).says("was changed since its last deploy");
    assert_eq!(production(&world).await, changed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_without_most_of_the_pages_is_refused_as_in_a_deploy() {
    let world = world().await;
    for number in 0..20 {
        world.write(&format!("page-{number}.html"), "page");
    }
    world.deploy(&[]).expect(0);
    for number in 0..20 {
        world.remove(&format!("page-{number}.html"));
    }
    preview(&world, "few", &[]).expect(0);
    world.edge.clear_requests();
    let refused = promote(&world, "few", &[]).expect(6);
    assert_eq!((refused.outcome(), world.writes().len()), ("refused", 0));
    promote(&world, "few", &["--max-delete", "5", "--allow-removals"]).expect(6).says("--max-delete");
    assert_eq!(promote(&world, "few", &["--allow-removals"]).expect(0).objects("pruned"), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_says_what_was_promoted() {
    let world = previewed().await;
    let arguments = ["promote", "new", TARGET, "--previews-target", super::AT];
    let plan = text(&world, &[&arguments[..], &["--plan"]].concat()).expect(0).stdout;
    assert!(plan.contains("Plan to promote preview new in s3://www.example.com"), "{plan}");
    assert!(plan.contains("1 new file, 2 changes, and 1 removal"), "{plan}");
    let done = text(&world, &arguments).expect(0).stdout;
    assert!(done.contains("Promoted preview new"), "{done}");
    let none = text(&world, &arguments).expect(0).stdout;
    assert!(none.contains("No changes: s3://www.example.com matches preview new"), "{none}");
    assert_eq!(bodies(&world, PREVIEWS, "new/").await, changed(), "the preview stays");
}
