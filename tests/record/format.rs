//! Versions of the record: an earlier one is carried over, a later one survives, or is refused as such.

use super::{SITE, is_settled, rewrite_state, state};
use crate::world::manifest;
use crate::world::site::{BUCKET, TARGET, World};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_format_1_is_read_and_carried_over() {
    let world = World::deployed(&SITE).await;
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["format"] == 2 {
            line["format"] = 1.into();
        }
    })
    .await;
    rewrite_state(&world, |state| {
        state["format"] = 1.into();
        state.as_object_mut().unwrap().remove("paths");
    })
    .await;
    is_settled(&world, &[]);
    assert_eq!(state(&world).await["format"], 1, "nothing was written");
    world.write("about.html", "more about");
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.json["objects"]["uploaded"].as_u64(), run.json["allowance"]["used"].as_u64()), (Some(1), Some(1)));
    assert_eq!(state(&world).await["format"], 2);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_this_version_does_not_know_survive_its_rewriting() {
    let world = World::deployed(&SITE).await;
    let later = json!({"of": ["a", "later", "version"]});
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["key"] == "style.css" {
            line["later"] = later.clone();
        }
    })
    .await;
    rewrite_state(&world, |state| state["later"] = later.clone()).await;
    world.write("about.html", "more about");
    world.deploy(&[]).expect(0);
    assert_eq!(state(&world).await["later"], later);
    // It is read through the same function, which rewrites nothing here.
    let kept = std::sync::atomic::AtomicUsize::new(0);
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["later"] == later {
            assert_eq!(line["key"], "style.css");
            kept.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    })
    .await;
    assert_eq!(kept.into_inner(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_wrote_is_called_that_and_nothing_is_changed() {
    let world = World::deployed(&SITE).await;
    // Whatever else it holds: this version cannot know.
    world.put(super::STATE, r#"{"format": 3, "target": {"bucket": "www.example.com"}}"#).await;
    world.write("about.html", "more about");
    for command in [vec!["deploy", world.source().to_str().unwrap(), TARGET], vec!["status", TARGET]] {
        let run = world.run(&command).expect(6);
        assert!(run.stderr.contains("was written by a newer shipfront"), "{}", run.stderr);
    }
    assert_eq!(world.writes(), [""; 0]);
}
