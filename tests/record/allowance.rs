//! The month's allowance of free paths: what counts, and what it bounds.

use super::{SITE, hold, outlive_lease, rewrite_state, state, status};
use crate::world::site::{TARGET, World};
use serde_json::json;

/// A site of forty folders, each with a page that changes and one that does not.
async fn folders() -> World {
    let names: Vec<String> =
        (0..40).flat_map(|at| [format!("{at}/changes.html"), format!("{at}/stays.html")]).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "page")).collect();
    World::deployed(&files).await
}

fn edit(world: &World, content: &str) {
    (0..40).for_each(|at| world.write(&format!("{at}/changes.html"), content));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_deploys_send_counts_in_the_month_and_bounds_the_next() {
    let world = folders().await;
    let before = status(&world)["allowance"]["used"].as_u64().unwrap();
    edit(&world, "an edit");
    let run = world.deploy(&[]).expect(0);
    let invalidation = &run.json["invalidations"][0];
    assert_eq!((&invalidation["items"].as_array().unwrap().len(), &invalidation["collateral"]), (&40, &json!(0)));
    assert_eq!(run.json["allowance"]["used"], before + 40);
    assert_eq!(status(&world)["allowance"], run.json["allowance"]);
    // Little is left: what does not change has to go, too, rather than the money.
    rewrite_state(&world, |state| state["paths"]["used"] = 990.into()).await;
    edit(&world, "another edit");
    let run = world.plan(&[]).expect(0);
    let invalidation = &run.json["invalidations"][0];
    assert!(invalidation["items"].as_array().unwrap().len() <= 15, "{invalidation}");
    assert!(invalidation["collateral"].as_u64() > Some(0), "{invalidation}");
    assert!(run.json["cost"]["invalidation_dollars"].as_f64().unwrap() <= 0.025, "at most 15 - 10 paths are billed");
    // A larger share is not used up.
    let run = world.plan(&["--free-paths", "5000"]).expect(0);
    assert_eq!(run.json["invalidations"][0]["collateral"], 0);
    assert_eq!(
        run.json["allowance"],
        json!({"month": state(&world).await["paths"]["month"], "used": 990, "free": 5000})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_dies_counts_what_it_was_to_send() {
    let world = World::deployed(&SITE).await;
    let before = status(&world)["allowance"]["used"].as_u64().unwrap();
    world.write("about.html", "more about");
    world.write("index.html", "a warm welcome");
    let gate = hold(&world, "CreateInvalidation", None);
    let mut child = world.start(&[]);
    gate.reached().await;
    let planned = state(&world).await["intent"]["paths"]["used"].as_u64().unwrap();
    assert!(planned >= 2, "{planned}");
    child.kill().unwrap();
    child.wait().unwrap();
    world.edge.faults().clear();
    assert_eq!(status(&world)["allowance"]["used"], before + planned);
    outlive_lease(&world);
    let run = world.deploy(&[]).expect(0);
    let sent = run.json["invalidations"][0]["items"].as_array().unwrap().len() as u64;
    assert_eq!(run.json["allowance"]["used"], before + planned + sent, "CloudFront may have accepted both");
    assert_eq!(state(&world).await["paths"]["used"], before + planned + sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_ends_gives_the_whole_allowance_again() {
    let world = World::deployed(&SITE).await;
    let old = json!({"month": "2020-02", "used": 1_000});
    rewrite_state(&world, |state| state["paths"] = old).await;
    assert_eq!(status(&world)["allowance"]["used"], 0);
    world.write("about.html", "more about");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.json["allowance"]["used"], 1);
    let paths = state(&world).await["paths"].clone();
    assert_eq!((&paths["used"], paths["month"] == "2020-02"), (&json!(1), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_invalidated_by_hand_counts_where_the_target_is_known() {
    let world = World::deployed(&SITE).await;
    let before = status(&world)["allowance"]["used"].as_u64().unwrap();
    let paths = ["invalidate", "/a", "/b", "--distribution", &world.distribution];
    world.run(&paths).expect(0);
    assert_eq!(status(&world)["allowance"]["used"], before, "nobody knows whose paths these are");
    world.run(&[&paths[..], &["--target", TARGET]].concat()).expect(0);
    assert_eq!(status(&world)["allowance"]["used"], before + 2);
    world.write("about.html", "more about");
    assert_eq!(world.deploy(&[]).expect(0).json["allowance"]["used"], before + 3);
}
