//! Previews are listed, and removed when they are no longer needed: everything that they own, and nothing else.

use super::{
    AT, PREVIEWS, bodies, change, keys, listed, original, preview, previews, production, prune, put, text, world,
};
use crate::world::site::{ALWAYS, World, denied, finish};
use shipfront_edge::{Fault, Gate};
use shipfront_site::host_label::host_label;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn names(run: &crate::world::site::Run, field: &str) -> Vec<String> {
    let each = run.json[field].as_array().unwrap().iter();
    each.map(|one| one.as_str().or(one["name"].as_str()).unwrap().to_owned()).collect()
}

async fn three() -> World {
    let world = world().await;
    preview(&world, "short", &["--expires", "1h"]).expect(0);
    change(&world);
    preview(&world, "feature/long", &[]).expect(0);
    preview(&world, "42", &["--expires", "30d"]).expect(0);
    world.edge.clear_requests();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn each_preview_is_listed_with_its_age_expiry_commit_and_size() {
    let world = world().await;
    assert_eq!(listed(&world).len(), 0);
    let arguments = world.arguments("deploy", super::TARGET, &["--preview", "feature/long", "--previews-target", AT]);
    crate::world::site::run(world.command(&arguments).env("GITHUB_SHA", "1a2b3c4d5e6f7a8b")).expect(0);
    preview(&world, "42", &["--expires", "1h"]).expect(0);
    world.edge.advance_clock(2 * HOUR + Duration::from_secs(30));
    let all = listed(&world);
    let long = &all["feature/long"];
    assert_eq!(long["label"], host_label("feature/long"));
    assert_eq!((&long["commit"], &long["objects"]), (&"1a2b3c4d5e6f7a8b".into(), &5.into()));
    assert_eq!((&long["bytes"], &long["production"]), (&24.into(), &super::TARGET.into()));
    assert_eq!((&long["expired"], &all["42"]["expired"]), (&false.into(), &true.into()));
    assert!((7200..7300).contains(&long["age"].as_i64().unwrap()), "{long}");
    let said = text(&world, &["previews", AT, "--previews-url", "https://{name}.preview.example.com"]).expect(0).stdout;
    assert!(
        said.contains("42  https://42.preview.example.com/\n    deployed 2 hours ago, 5 objects (24 B); expired"),
        "{said}"
    );
    assert!(said.contains("commit 1a2b3c4d5e"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expired_is_pruned_with_its_record_and_what_others_wrote_stays() {
    let world = three().await;
    put(&world, "short/theirs.txt", "theirs").await;
    put(&world, "short/index.html", "theirs, too").await;
    world.edge.advance_clock(2 * HOUR);
    let run = previews(&world, &["--prune"]).expect(0);
    assert_eq!(
        (names(&run, "removed"), names(&run, "kept")),
        (vec!["short".to_owned()], vec!["42".to_owned(), "feature/long".to_owned()])
    );
    assert_eq!(run.json["removed"][0]["objects"], 4);
    assert_eq!(names(&run, "removed").len(), 1);
    assert_eq!(run.json["removed"][0]["foreign"], serde_json::json!(["index.html", "theirs.txt"]));
    assert!(run.warnings().contains("index.html, theirs.txt"), "{}", run.stdout);
    let left: Vec<String> = keys(&world).into_iter().filter(|key| key.contains("short/")).collect();
    assert_eq!(left, ["short/index.html", "short/theirs.txt"], "its record is gone");
    assert_eq!(production(&world).await, original());
    assert_eq!(bodies(&world, PREVIEWS, "42/").await, super::changed());
    // A deploy extends its expiry.
    world.edge.advance_clock(6 * 24 * HOUR);
    preview(&world, "feature/long", &[]).expect(0);
    world.edge.advance_clock(6 * 24 * HOUR);
    assert_eq!(names(&previews(&world, &["--prune"]).expect(0), "removed"), [""; 0]);
    // The name is free again.
    preview(&world, "short", &[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_of_branches_that_are_gone_are_pruned() {
    let world = three().await;
    let run = prune(&world, "main\n0a1b\trefs/heads/feature/long\nshort\n").expect(0);
    assert_eq!(
        (names(&run, "removed"), names(&run, "kept")),
        (vec!["42".to_owned()], vec!["feature/long".to_owned(), "short".to_owned()])
    );
    let list = world.outside().join("branches");
    std::fs::write(&list, "short\n").unwrap();
    let run = previews(&world, &["--prune", "--keep-from", list.to_str().unwrap()]).expect(0);
    assert_eq!(names(&run, "removed"), ["feature/long"]);
    assert_eq!(listed(&world).into_keys().collect::<Vec<_>>(), ["short"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_is_refused() {
    let world = three().await;
    for list in ["", "\n\n"] {
        prune(&world, list).expect(6).says("--keep-from is empty");
    }
    previews(&world, &["--prune", "--keep-from", "no-such-file"]).expect(2);
    previews(&world, &["--keep-from", "-"]).expect(2);
    assert_eq!(listed(&world).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_preview_is_removed_by_its_name() {
    let world = three().await;
    let run = previews(&world, &["--remove", "feature/long"]).expect(0);
    assert_eq!(run.json["removed"][0]["objects"], 5);
    let label = host_label("feature/long");
    assert!(keys(&world).iter().all(|key| !key.contains(&label)), "{:?}", keys(&world));
    assert_eq!(listed(&world).len(), 2);
    previews(&world, &["--remove", "feature/long"]).expect(6).says("there is no preview");
    // A name that looks like a label is a separate name.
    preview(&world, "feature/long", &[]).expect(0);
    previews(&world, &["--remove", &label]).expect(6);
    assert_eq!(listed(&world).len(), 3);
    let said = text(&world, &["previews", AT, "--remove", "42"]).expect(0).stdout;
    assert_eq!(said, "Removed preview 42: 5 objects\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_no_preview_is_neither_listed_nor_removed() {
    let world = three().await;
    world.run(&world.arguments("deploy", "s3://previews.example.com/site", &["--distribution", "none"])).expect(0);
    assert_eq!(listed(&world).len(), 3);
    previews(&world, &["--remove", "site"]).expect(6).says("is not a preview");
    prune(&world, "nothing\n").expect(0);
    assert_eq!(bodies(&world, PREVIEWS, "site/").await.len(), 5);
    assert_eq!(listed(&world).len(), 0);
    world.edge.clear_requests();
    assert_eq!(
        world
            .run(&world.arguments("deploy", "s3://previews.example.com/site", &["--distribution", "none"]))
            .expect(0)
            .outcome(),
        "nothing-to-do"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_is_being_deployed_is_waited_for_and_then_checked_again() {
    let world = three().await;
    world.edge.advance_clock(2 * HOUR);
    let gate = Gate::default();
    world.fault_of("PutObject", "short/index.html", 0, 1, Fault::Hold(gate.clone()));
    world.write("index.html", "welcome again");
    let arguments = world.arguments("deploy", super::TARGET, &["--preview", "short", "--previews-target", AT]);
    let deploying = world.command(&arguments).spawn().unwrap();
    gate.reached().await;
    let refused = previews(&world, &["--remove", "short", "--lock-timeout", "0s"]).expect(5);
    assert!(refused.json["error"].as_str().unwrap().contains("another deploy is under way"), "{}", refused.stdout);
    let pruning = world.command(&["previews", AT, "--json", "--prune"]).spawn().unwrap();
    world.arrival_of("ListObjectsV2", 5).await;
    gate.open();
    finish(deploying).expect(0);
    let run = finish(pruning).expect(0);
    assert_eq!(names(&run, "removed"), [""; 0], "it is not expired any more: {}", run.stdout);
    assert_eq!(bodies(&world, PREVIEWS, "short/").await["index.html"], "welcome again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_is_deployed_after_it_was_found_expired_stays() {
    let world = three().await;
    world.edge.advance_clock(2 * HOUR);
    let gate = Gate::default();
    // The second read of its state is that of its own removal.
    world.fault_of("GetObject", ".shipfront/short/state.json", 1, 1, Fault::Hold(gate.clone()));
    let pruning = world.command(&["previews", AT, "--json", "--prune"]).spawn().unwrap();
    gate.reached().await;
    preview(&world, "short", &[]).expect(0);
    gate.open();
    let run = finish(pruning).expect(0);
    assert_eq!(names(&run, "removed"), [""; 0], "{}", run.stdout);
    assert_eq!(bodies(&world, PREVIEWS, "short/").await, super::changed());
}

/// Between the removal of its objects and of its record, nobody holds the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_is_deployed_while_its_record_is_about_to_go_stays() {
    let world = three().await;
    previews(&world, &["--remove", "42"]).expect(0);
    let requests = world.edge.requests().into_iter().filter(|request| request.operation == "DeleteObjects");
    let before = requests.take_while(|request| request.items != [".shipfront/42/state.json"]).count();
    world.edge.advance_clock(2 * HOUR);
    let gate = Gate::default();
    world.fault("DeleteObjects", before as u64, 1, Fault::Hold(gate.clone()));
    let pruning = world.command(&["previews", AT, "--json", "--prune"]).spawn().unwrap();
    gate.reached().await;
    preview(&world, "short", &[]).expect(0);
    gate.open();
    let run = finish(pruning).expect(0);
    assert_eq!(names(&run, "removed"), [""; 0], "{}", run.stdout);
    assert!(listed(&world).contains_key("short"));
    assert_eq!(bodies(&world, PREVIEWS, "short/").await, super::changed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_is_named_and_the_next_run_removes_it() {
    let world = three().await;
    world.fault("DeleteObjects", 0, ALWAYS, denied());
    let run = prune(&world, "short\n");
    assert_eq!((run.exit, run.json["errors"].as_array().unwrap().len()), (1, 2), "{}", run.stdout);
    world.edge.faults().clear();
    assert_eq!(names(&prune(&world, "short\n").expect(0), "removed"), ["42", "feature/long"]);
}
