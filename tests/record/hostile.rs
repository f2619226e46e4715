//! What a record that somebody else wrote can do, and what it cannot: it is believed as far as the bucket, the
//! files and the configuration confirm it.

use super::{PRUNE, SITE, STATE, is_settled, outlive_lease, rewrite_state, state};
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, denied, run};
use serde_json::Value;
use shipfront_edge::Distribution;
use shipfront_site::etag::{hex, md5};
use std::time::Duration;

const SIDE_FILE: &str = ".shipfront/foreign.json";

/// Somebody overwrites a page, and changes the manifest to say that its bytes are those of the file.
async fn forge(world: &World, key: &str, body: &'static str, claimed: &str) {
    world.put(key, body).await;
    let (etag, claimed) = (hex(&md5(body.as_bytes())), hex(&md5(claimed.as_bytes())));
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["key"] == key {
            line["etag"] = etag.clone().into();
            line["content"] = claimed.clone().into();
        }
    })
    .await;
    world.edge.clear_requests();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_the_record_alone_gives_does_not_keep_a_file_from_being_uploaded() {
    let world = World::deployed(&SITE).await;
    forge(&world, "about.html", "EVIL!", "about").await;
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload etag about.html"]);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_under_kms_are_explained_by_one_request_for_all() {
    let world = World::new(&SITE).await;
    world.edge.set_opaque_etags(BUCKET, true).unwrap();
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    assert_eq!((world.count("HeadObject"), world.count("PutObject")), (1, 0));
    // A role that may not HEAD an object checks how the bucket encrypts.
    world.fault("HeadObject", 0, ALWAYS, denied());
    world.deploy(&[]);
    assert_eq!(world.count("GetBucketEncryption"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_left_the_source_before_it_was_written_counts_as_an_orphan_of_now() {
    let world = World::new(&SITE).await;
    world.orphan(&[("chunk.js", "a chunk that open tabs need")]);
    world.deploy(&["--prune-after", "7d"]).expect(0);
    for orphaned in [1, i64::MIN, i64::MAX] {
        manifest::rewrite(&world.edge, BUCKET, |line| {
            if line["key"] == "chunk.js" {
                line["orphaned"] = orphaned.into();
            }
        })
        .await;
        world.deploy(&["--prune-after", "7d"]).expect(0);
        assert!(world.keys().contains(&"chunk.js".to_owned()), "{orphaned}");
    }
    // Nor does such a time get it past the guard.
    for orphaned in [1, i64::MAX] {
        manifest::rewrite(&world.edge, BUCKET, |line| {
            if line["key"] == "chunk.js" {
                line["orphaned"] = orphaned.into();
            }
        })
        .await;
        world.deploy(&["--prune-after", "0s", "--max-delete", "0"]).expect(6);
    }
}

/// A deploy that could not invalidate, to whose intent somebody added a distribution of another site.
async fn with_foreign_intent() -> (World, &'static str) {
    const FOREIGN: &str = "E9FOREIGN000000";
    let world = World::deployed(&SITE).await;
    world.edge.ensure_site("other.example.com").unwrap();
    let mut distribution = Distribution::for_bucket("other.example.com");
    distribution.id = FOREIGN.to_owned();
    world.edge.put_distribution(distribution).unwrap();
    world.write("index.html", "welcome two");
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    world.deploy(&[]).expect(4);
    world.edge.faults().clear();
    rewrite_state(&world, |state| {
        state["intent"]["distributions"].as_array_mut().unwrap().push(FOREIGN.into());
    })
    .await;
    (world, FOREIGN)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_of_another_bucket_is_reported_only_where_the_person_names_it() {
    let (world, foreign) = with_foreign_intent().await;
    for _ in 0..2 {
        let run = world.deploy(&[]).expect(4);
        assert!(run.stderr.contains("--any-origin") && run.stderr.contains(foreign), "{}", run.stderr);
        assert_eq!(world.edge.invalidations(foreign).len(), 0);
        assert!(state(&world).await["intent"]["distributions"].as_array().unwrap().contains(&foreign.into()));
    }
    assert!(!world.edge.invalidations(&world.distribution).is_empty(), "its own is told");
    world.deploy(&["--distribution", &world.distribution, "--distribution", foreign, "--any-origin"]).expect(0);
    assert_eq!(world.edge.invalidations(foreign).len(), 1);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_number_that_no_build_has_stops_no_build() {
    for number in ["18446744073709551615", "9223372036854775808", "1e300", "-1", "\"many\""] {
        let world = World::new(&SITE).await;
        world.deploy(&["--build-number", "7"]).expect(0);
        let text = String::from_utf8(manifest::read(&world.edge, BUCKET, STATE).await).unwrap();
        world.put(STATE, text.replace("\"number\": 7", &format!("\"number\": {number}"))).await;
        world.write("index.html", "of build 8");
        let run = world.deploy(&["--build-number", "8"]).expect(0);
        assert_eq!(state(&world).await["build"]["number"], 8, "{number}: {}", run.stderr);
        world.deploy(&["--build-number", "7"]).expect(5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_at_its_end_goes_on() {
    let world = World::deployed(&SITE).await;
    rewrite_state(&world, |state| state["revision"] = u64::MAX.into()).await;
    world.write("index.html", "welcome two");
    world.deploy(&[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_which_no_request_can_be_made_is_refused_in_a_line() {
    let long = "x".repeat(200_000);
    let intent = |deploy: &str, distribution: &str, tenant: &str| serde_json::json!({"deploy": deploy, "distributions": [distribution], "tenants": [tenant]});
    let states: [(&str, Value); 6] = [
        ("manifest", long.clone().into()),
        ("intent", intent(&long, "E1", "dt_1")),
        ("intent", intent("d1", &long, "dt_1")),
        ("intent", intent("d1", "E1", &long)),
        ("intent", intent("d1", "../E1?x", "dt_1")),
        ("intent", intent("d1", "E1", "")),
    ];
    for (field, value) in states {
        let world = World::deployed(&SITE).await;
        rewrite_state(&world, |state| state[field] = value).await;
        for command in [&["deploy"][..], &["plan"], &["doctor"], &["status"], &["unlock"]] {
            let run = match command[0] {
                "deploy" | "plan" => world.run(&world.arguments(command[0], TARGET, &[])),
                other => world.run(&[other, TARGET, "--json"]),
            };
            let run = run.expect(if command[0] == "doctor" { 1 } else { 6 });
            assert!(run.stderr.len() < 1000 && run.stdout.len() < 5000, "{command:?}: {}", run.stderr);
        }
    }
}

/// The one file next to the side file that has its bytes.
fn aside(world: &World) -> Option<String> {
    let objects = world.edge.objects(BUCKET).into_iter().map(|object| object.key);
    objects.into_iter().find(|key| key.starts_with(&format!("{SIDE_FILE}.")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_file_that_is_none_is_moved_aside_and_loses_nothing() {
    let world = World::deployed(&SITE).await;
    let garbage = r#"{"revision": 3, "keys": {"about.html": 7"#;
    world.put(SIDE_FILE, garbage).await;
    // A run that has nothing to do writes nothing.
    assert!(world.deploy(&[]).expect(0).warnings().contains("foreign.json is not what shipfront writes"));
    assert_eq!(aside(&world), None);
    world.write("index.html", "welcome two");
    world.deploy(&[]).expect(0);
    let aside = aside(&world).expect("it was moved aside");
    assert_eq!(manifest::read(&world.edge, BUCKET, &aside).await, garbage.as_bytes());
    let marks: Value = serde_json::from_slice(&manifest::read(&world.edge, BUCKET, SIDE_FILE).await).unwrap();
    assert!(marks["keys"][""].is_string(), "every key is marked: {marks}");
    assert_eq!(world.deploy(&[]).expect(0).warnings(), "");
    // A file that is too large to be read stays where it is.
    let large = vec![b' '; 17 << 20];
    world.put(SIDE_FILE, large.clone()).await;
    world.write("index.html", "welcome three");
    let warnings = world.deploy(&[]).expect(0).warnings();
    assert!(warnings.contains("has more than 16777216 bytes, so the function for"), "{warnings}");
    assert_eq!(manifest::read(&world.edge, BUCKET, SIDE_FILE).await.len(), large.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_folder_is_no_target_for_any_command() {
    let world = World::deployed(&SITE).await;
    let source = world.source().to_str().unwrap().to_owned();
    let spellings = [
        ".shipfront",
        ".shipfront/",
        ".shipfront/x",
        "./.shipfront",
        "/.shipfront",
        "%2Eshipfront/x",
        "blog/.shipfront",
    ];
    for spelling in spellings {
        let target = format!("s3://{BUCKET}/{spelling}");
        let commands: [&[&str]; 10] = [
            &["deploy", &source, &target],
            &["deploy", &source, &target, "--record", "s3://records/x"],
            &["deploy", &source, &target, "--no-record"],
            &["deploy", &source, &target, "--shard", "1/2"],
            &["plan", &source, &target],
            &["doctor", &target],
            &["policy", &target],
            &["tags", "--backfill", &target],
            &["status", &target],
            &["unlock", &target],
        ];
        for command in commands {
            let ended = run(&mut world.command(command)).expect(2);
            assert!(
                ended.stderr.contains("prefix") || ended.stderr.contains(".shipfront"),
                "{command:?}: {}",
                ended.stderr
            );
        }
    }
    run(&mut world.command(&["policy", "--bucket", BUCKET, "--prefix", ".shipfront/x"])).expect(2);
    run(&mut world.command(&["invalidate", "/a", "--target", &format!("{TARGET}/.shipfront")])).expect(2);
    assert_eq!(world.edge.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_brings_nothing_into_the_records_folder() {
    let world = World::new(&SITE).await;
    world.write(".shipfront/state.json", "{}");
    for options in [&["--no-record"][..], &["--no-record", "--shard", "1/1"]] {
        let options = [options, &["--include-hidden", ".shipfront/**"]].concat();
        world.deploy(&options).expect(0);
        assert!(!world.edge.objects(BUCKET).iter().any(|object| object.key.starts_with(".shipfront/")));
    }
}

/// Files as dead runs leave them; files of another site's record, and of no deploy at all, stay.
async fn litter(world: &World) -> (Vec<String>, Vec<String>) {
    let strays = ["plan-dead.ndjson.gz", "manifest-dead.ndjson.gz"].map(|name| format!(".shipfront/{name}")).to_vec();
    let others = ["blog/manifest-b.ndjson.gz", "manifest-notes.txt", "plan-x/y.ndjson.gz"];
    let others = others.map(|name| format!(".shipfront/{name}")).to_vec();
    for key in strays.iter().chain(&others) {
        world.put(key, "dead").await;
    }
    (strays, others)
}

fn is_there(world: &World, key: &String) -> bool {
    world.edge.objects(BUCKET).iter().any(|object| object.key == *key)
}

fn lists_of_the_record(world: &World) -> usize {
    super::count(world, "ListObjectsV2")
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_manifests_that_no_state_names_are_removed_once_they_are_older_than_a_lease() {
    let world = World::deployed(&SITE).await;
    let (strays, others) = litter(&world).await;
    // Nothing reveals them, and there is no request for them.
    outlive_lease(&world);
    world.deploy(&[]).expect(0);
    let lists = lists_of_the_record(&world);
    world.write("index.html", "two");
    world.edge.clear_requests();
    world.deploy(&[]).expect(0);
    assert_eq!(lists_of_the_record(&world), lists, "no request more");
    assert!(strays.iter().all(|key| is_there(&world, key)));
    // A run that did not end well is a reason.
    world.write("index.html", "three");
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    world.deploy(&[]).expect(4);
    world.edge.faults().clear();
    let young = ".shipfront/plan-young.ndjson.gz".to_owned();
    world.put(&young, "of a deploy that is about to take the lock").await;
    world.deploy(&PRUNE).expect(0);
    assert!(!strays.iter().any(|key| is_there(&world, key)), "{strays:?}");
    assert!(others.iter().chain([&young]).all(|key| is_there(&world, key)));
    // So is a day.
    world.edge.advance_clock(Duration::from_secs(86_401));
    world.write("index.html", "four");
    world.deploy(&[]).expect(0);
    assert!(!is_there(&world, &young));
    is_settled(&world, &[]);
}
