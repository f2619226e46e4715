//! What the history shows, and what it keeps.

use super::{bodies, change, empty, first, history, rollback, second, twice};
use crate::world::site::{BUCKET, TARGET, World, denied, run};
use serde_json::{Value, json};

/// The files of the record, except the state.
fn files(world: &World) -> Vec<String> {
    let objects = world.edge.objects(BUCKET).into_iter().map(|object| object.key);
    objects.filter(|key| key.starts_with(".shipfront/") && !key.ends_with("state.json")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_and_status_list_each_kept_deploy() {
    let world = empty().await;
    let mut first = world.command(&world.arguments("deploy", TARGET, &["--build-number", "41"]));
    run(first.env("GITHUB_SHA", "0123456789abcdef")).expect(0);
    change(&world);
    world.deploy(&["--build-number", "42"]).expect(0);
    let deploys = history(&world);
    let of = |name: &str| deploys.iter().map(|deploy| deploy[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("live"), [true, false]);
    assert_eq!(of("commit"), [Value::Null, json!("0123456789abcdef")]);
    assert_eq!(deploys.iter().map(|deploy| deploy["build"]["number"].clone()).collect::<Vec<_>>(), [42, 41]);
    assert_eq!(
        (of("uploaded"), of("pruned"), of("objects")),
        (vec![json!(3), json!(5)], vec![json!(1), json!(0)], vec![json!(5), json!(5)])
    );
    assert_eq!(of("restorable"), ["yes", "yes"]);
    assert!(deploys[0]["by"].as_str().unwrap().starts_with("process "), "{}", deploys[0]);
    let text = world.run(&["history", TARGET]).expect(0).stdout;
    assert!(text.contains("build 41  0123456789") && text.contains("3 uploaded, 1 removed; live"), "{text}");
    assert_eq!(world.run(&["status", TARGET, "--json"]).expect(0).json["deploys"].as_array().unwrap(), &deploys);
    let status = world.run(&["status", TARGET]).expect(0).stdout;
    assert!(status.contains("1 earlier deploy kept"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_deploys_are_kept_and_the_files_of_others_go() {
    let world = empty().await;
    for number in 0..5 {
        world.write("index.html", format!("welcome {number}"));
        world.deploy(&["--keep-deploys", "3"]).expect(0);
    }
    assert_eq!((history(&world).len(), files(&world).len()), (3, 3), "{:?}", files(&world));
    // The remainder of a dead run is removed, and what is kept stays.
    let stray = ".shipfront/manifest-20010101t000000z-00000000.ndjson.gz";
    world.put(stray, "stray").await;
    world.edge.advance_clock(std::time::Duration::from_secs(2 * 86_400));
    world.write("index.html", "welcome again");
    world.deploy(&["--keep-deploys", "4"]).expect(0);
    assert_eq!((history(&world).len(), files(&world).len()), (4, 4), "{:?}", files(&world));
    assert!(!files(&world).contains(&stray.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_changes_nothing_for_viewers_takes_the_place_of_the_last() {
    let world = twice().await;
    let before = history(&world);
    // Orphans are remembered with their day: the record changes, the site does not.
    world.remove("style.css");
    world.deploy(&[]).expect(0);
    let after = history(&world);
    assert_eq!(after.len(), 2);
    assert_ne!(after[0]["deploy"], before[0]["deploy"]);
    assert_eq!(after[1], before[1]);
    rollback(&world, &[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_before_there_was_one_begins_with_the_live_deploy() {
    let world = twice().await;
    let bytes = crate::world::manifest::read(&world.edge, BUCKET, ".shipfront/state.json").await;
    let mut state: Value = serde_json::from_slice(&bytes).unwrap();
    let kept = state.as_object_mut().unwrap().remove("history").unwrap();
    world.put(".shipfront/state.json", serde_json::to_vec(&state).unwrap()).await;
    let deploys = history(&world);
    assert_eq!((deploys.len(), &deploys[0]["deploy"]), (1, &kept[0]["deploy"]));
    world.write("index.html", "welcome three");
    world.deploy(&[]).expect(0);
    assert_eq!(history(&world).len(), 2);
    let run = rollback(&world, &[]).expect(0);
    assert_eq!(run.changes(), ["copy size index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_an_earlier_version_deployed_in_between_what_it_removed_is_named() {
    let world = twice().await;
    let gone = history(&world)[1]["deploy"].as_str().unwrap().to_owned();
    let client = crate::world::aws::s3(&world.edge);
    let key = format!(".shipfront/manifest-{gone}.ndjson.gz");
    client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    assert_eq!(history(&world)[1]["restorable"], "no");
    rollback(&world, &[]).expect(6).says("an older version of shipfront has deployed since");
    assert_eq!(world.writes(), [""; 0]);
}

/// The site, a deploy of which one page fails, and the deploy that finishes it.
async fn with_a_half() -> World {
    let world = empty().await;
    world.deploy(&["--build-number", "41"]).expect(0);
    change(&world);
    world.fault_of("PutObject", "index.html", 0, 1, denied());
    world.deploy(&["--build-number", "42"]).expect(3);
    world.deploy(&["--build-number", "42"]).expect(0);
    world.edge.clear_requests();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_incomplete_is_shown_as_such_and_is_never_the_one_that_comes_back_by_default() {
    let world = with_a_half().await;
    let deploys = history(&world);
    let of = |name: &str| deploys.iter().map(|deploy| deploy[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("incomplete"), [false, true, false]);
    // The page that failed, the removal that waits for it, and what was not begun any more.
    let left = deploys[1]["left"].as_u64().filter(|left| *left >= 2).unwrap();
    let text = world.run(&["history", TARGET]).expect(0).stdout;
    assert!(text.contains(&format!("; incomplete: {left} files were not deployed\n")), "{text}");
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await, first());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_incomplete_comes_back_only_if_it_is_named_and_allowed() {
    let world = with_a_half().await;
    let deploys = history(&world);
    let half = deploys[1]["deploy"].as_str().unwrap();
    for options in [&["--to", half][..], &["--to", half, "--plan"], &["--allow-removals", "--to", "20010101t"]] {
        let refused = rollback(&world, options).expect(6);
        assert_eq!(refused.outcome(), "refused");
    }
    rollback(&world, &["--to", half]).expect(6).says("is incomplete: ");
    rollback(&world, &["--to", half]).says(&format!("--to {half} --allow-removals"));
    assert_eq!(world.writes(), [""; 0]);
    // Of a build it is the whole one.
    world.write("index.html", "welcome three");
    world.deploy(&["--build-number", "43"]).expect(0);
    rollback(&world, &["--build", "42"]).expect(0);
    assert_eq!(bodies(&world).await, second());
    rollback(&world, &["--to", half, "--allow-removals"]).expect(0);
    let back = bodies(&world).await;
    assert_eq!((&*back["index.html"], &*back["app.js"]), ("welcome", "code two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_incomplete_deploys_are_kept_none_comes_back_by_itself() {
    let world = empty().await;
    world.fault_of("PutObject", "index.html", 0, 1, denied());
    world.deploy(&["--build-number", "41"]).expect(3);
    world.deploy(&["--build-number", "41"]).expect(0);
    rollback(&world, &[]).expect(6).says("is incomplete: ");
    world.write("index.html", "welcome two");
    world.deploy(&["--build-number", "42"]).expect(0);
    // The one that finished it is whole.
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await, first());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_of_which_nothing_landed_leaves_the_site_of_the_last_a_whole_one() {
    let world = empty().await;
    world.deploy(&[]).expect(0);
    change(&world);
    world.fault_of("PutObject", "app.js", 0, 1, denied());
    world.deploy(&[]).expect(1);
    let deploys = history(&world);
    assert_eq!((deploys.len(), &deploys[0]["incomplete"]), (1, &json!(false)), "{deploys:?}");
    world.deploy(&[]).expect(0);
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await, first());
}
