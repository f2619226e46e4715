//! The month's allowance of free paths: what counts, and what it limits.

use super::{SITE, hold, outlive_lease, rewrite_state, state, status};
use crate::world::site::{BUCKET, Run, TARGET, World};
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
    assert_eq!(world.deploy(&["--build-number", "7"]).expect(0).json["allowance"], run.json["allowance"]);
    // Little is left: it evicts unchanged pages rather than cost money.
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_invalidated_by_hand_counts_in_a_record_elsewhere_that_is_named() {
    let world = World::new(&SITE).await;
    world.edge.ensure_site("records").unwrap();
    let record = ["--record", "s3://records/www"];
    world.deploy(&record).expect(0);
    let used =
        || world.run(&["status", TARGET, "--json", record[0], record[1]]).expect(0).json["allowance"]["used"].clone();
    let before = used().as_u64().unwrap();
    let paths = ["invalidate", "/a", "/b", "--distribution", &world.distribution, "--target", TARGET];
    world.run(&[&paths[..], &record].concat()).expect(0);
    assert_eq!(used(), before + 2);
    // As in the settings, whether or not there are URLs.
    let settings = world.outside().join("shipfront.toml");
    std::fs::write(&settings, format!("target = \"{TARGET}\"\nrecord = \"s3://records/www\"\n")).unwrap();
    let paths = ["invalidate", "https://www.example.com/c", "--distribution", &world.distribution];
    world.run(&[&paths[..], &["--config", settings.to_str().unwrap()]].concat()).expect(0);
    assert_eq!(used(), before + 3);
    world.run(&["invalidate", "/a", "--record", "s3://records"]).expect(2).says("names a whole bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_by_the_sites_own_share() {
    let world = World::deployed(&SITE).await;
    let free = |arguments: &[&str]| {
        world.run(&[&["status", TARGET, "--json"], arguments].concat()).expect(0).json["allowance"]["free"].clone()
    };
    assert_eq!((free(&[]), free(&["--free-paths", "200"])), (json!(1000), json!(200)));
    let settings = world.outside().join("shipfront.toml");
    std::fs::write(&settings, "free-paths = 300\n").unwrap();
    let of_file = ["--config", settings.to_str().unwrap()];
    assert_eq!(free(&of_file), json!(300));
    assert_eq!(free(&[&of_file[..], &["--free-paths", "0"]].concat()), json!(0));
}

/// The paths that a run sent, or would send, for each invalidation.
fn paths(run: &Run) -> Vec<usize> {
    let reported = run.json["invalidations"].as_array().unwrap();
    reported.iter().map(|one| one["items"].as_array().unwrap().len()).collect()
}

/// Twenty pages that change and forty assets that are removed at once, each with an unchanged neighbor. Half of the
/// month is 50.
async fn pages_and_late_removals() -> (World, [&'static str; 4]) {
    let world = World::new(&[("index.html", "welcome")]).await;
    for at in 0..40 {
        for name in ["goes.js", "stays.js", "page.html", "stays.html"].into_iter().take(if at < 20 { 4 } else { 2 }) {
            world.write(&format!("{at}/{name}"), "as it was");
        }
    }
    world.deploy(&[]).expect(0);
    (0..20).for_each(|at| world.write(&format!("{at}/page.html"), "an edit"));
    (0..40).for_each(|at| world.remove(&format!("{at}/goes.js")));
    rewrite_state(&world, |state| state["paths"]["used"] = 0.into()).await;
    (world, ["--prune-after", "0s", "--free-paths", "100"])
}

#[tokio::test(flavor = "multi_thread")]
async fn late_removals_come_out_of_the_same_half_of_the_month() {
    let (world, options) = pages_and_late_removals().await;
    let planned = paths(&world.plan(&options).expect(0));
    let run = world.deploy(&options).expect(0);
    assert_eq!(run.objects("pruned"), 40);
    assert_eq!(paths(&run), [20, 30], "50 in all, where 60 paths would evict nothing");
    assert_eq!((planned, &run.json["allowance"]["used"]), (paths(&run), &json!(50)));
    assert!(run.json["invalidations"][1]["collateral"].as_u64() > Some(0));
    assert_eq!(world.keys().iter().filter(|key| key.ends_with("goes.js")).count(), 0, "{BUCKET}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_dies_counts_its_late_removals_too() {
    let (world, options) = pages_and_late_removals().await;
    let gate = hold(&world, "DeleteObjects", None);
    let mut child = world.start(&options);
    gate.reached().await;
    assert_eq!(world.count("CreateInvalidation"), 1);
    assert_eq!(state(&world).await["intent"]["paths"]["used"], 50);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status(&world)["allowance"]["used"], 50);
}
