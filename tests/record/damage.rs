//! A record that cannot be read is an error with a hint: it is never treated as an empty one.

use super::{PRUNE, SITE, STATE, hint};
use crate::world::aws::s3;
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, World, error};
use serde_json::Value;

/// A world whose next deploy would remove something.
async fn world() -> World {
    let world = World::deployed(&SITE).await;
    world.remove("old.html");
    world
}

async fn refuses(world: &World, what: &str) {
    let before = world.edge.objects(BUCKET);
    world.edge.clear_requests();
    let run = world.deploy(&PRUNE).expect(6);
    assert!(!hint(&run).is_empty(), "{what}: no way out: {}", run.stdout);
    assert_eq!(world.edge.objects(BUCKET), before, "{what}: something was written");
    world.run(&["status", crate::world::site::TARGET]).expect(6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_foreign_or_newer_state_stops_the_deploy() {
    let world = world().await;
    let whole = manifest::read(&world.edge, BUCKET, STATE).await;
    let state: Value = serde_json::from_slice(&whole).unwrap();
    let altered = |change: &dyn Fn(&mut Value)| {
        let mut state = state.clone();
        change(&mut state);
        serde_json::to_vec(&state).unwrap()
    };
    let intent = serde_json::json!({"deploy": "gone", "distributions": [], "tenants": []});
    let bad = [
        ("empty", Vec::new()),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("no JSON", b"welcome".to_vec()),
        ("no state", b"{}".to_vec()),
        ("newer", altered(&|state| state["format"] = 99.into())),
        ("of another site", altered(&|state| state["target"] = "s3://elsewhere".into())),
        ("naming what is not there", altered(&|state| state["manifest"] = "gone".into())),
        ("naming an intent that is not there", altered(&|state| state["intent"] = intent.clone())),
    ];
    for (what, body) in bad {
        world.put(STATE, body).await;
        refuses(&world, what).await;
    }
    world.put(STATE, whole).await;
    world.deploy(&PRUNE).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_newer_manifest_stops_the_deploy() {
    let world = world().await;
    let key = manifest::key(&world.edge, BUCKET).await;
    let whole = manifest::read(&world.edge, BUCKET, &key).await;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    let bad = [
        ("empty", Vec::new()),
        ("cut off", whole[..whole.len() - 9].to_vec()),
        ("no gzip", b"welcome".to_vec()),
        ("altered", flipped),
    ];
    for (what, body) in bad {
        world.put(&key, body).await;
        refuses(&world, what).await;
    }
    world.put(&key, whole.clone()).await;
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["format"] == 2 {
            line["format"] = 3.into();
        }
    })
    .await;
    refuses(&world, "newer").await;
    world.put(&key, whole).await;
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if !line["rows"].is_null() {
            line["rows"] = 4.into();
        }
    })
    .await;
    refuses(&world, "too few rows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_may_not_be_read_is_not_taken_for_none() {
    let world = world().await;
    world.fault_of("GetObject", STATE, 0, ALWAYS, error(403, "AccessDenied"));
    let before = world.edge.objects(BUCKET);
    let run = world.deploy(&PRUNE);
    assert_ne!(run.exit, 0, "{}", run.stdout);
    assert_eq!(world.edge.objects(BUCKET), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_conditions_is_reported() {
    let world = World::new(&SITE).await;
    world.fault_of("PutObject", STATE, 0, ALWAYS, error(501, "NotImplemented"));
    let run = world.deploy(&[]).expect(6);
    assert!(hint(&run).contains("--no-record"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--no-record"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_conditions_is_found_out() {
    let world = World::new(&SITE).await;
    world.edge.set_ignore_conditions(BUCKET, true).unwrap();
    let run = world.deploy(&[]).expect(6);
    assert!(hint(&run).contains("--no-record"), "{}", run.stdout);
    assert_eq!(world.edge.objects(BUCKET), []);
    world.deploy(&["--no-record"]).expect(0);
    assert_eq!(world.keys().len(), SITE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_folder_the_next_deploy_starts_over_and_deletes_nothing() {
    let world = world().await;
    for object in world.edge.objects(BUCKET).iter().filter(|object| object.key.starts_with(".shipfront/")) {
        s3(&world.edge).delete_object().bucket(BUCKET).key(&object.key).send().await.unwrap();
    }
    world.edge.clear_requests();
    let run = world.deploy(&PRUNE).expect(0);
    assert_eq!((run.objects("uploaded"), run.objects("pruned")), (0, 0));
    assert!(world.keys().contains(&"old.html".to_owned()));
    assert_eq!(world.count("CreateInvalidation"), 1, "nobody knows what the edge was told");
}
