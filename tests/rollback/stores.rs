//! Unusual buckets and stores.

use super::{SITE, bodies, change, change_back, empty, first, history, is_settled, rollback, second, twice};
use crate::world::site::{BUCKET, TARGET, World, finish};
use shipfront_edge::{CopyConditions, Fault, Gate};

#[tokio::test(flavor = "multi_thread")]
async fn versioning_that_was_switched_on_between_two_deploys_is_enough() {
    let world = World::new(&SITE).await;
    world.deploy(&[]).expect(0);
    world.edge.set_versioning(BUCKET, true).unwrap();
    change(&world);
    world.deploy(&[]).expect(0);
    assert_eq!(history(&world)[1]["restorable"], "unknown");
    let run = rollback(&world, &[]).expect(0);
    assert_eq!(run.objects("copied"), 3);
    assert_eq!(world.count("ListObjectVersions"), 3, "only of those without a version id");
    assert_eq!(bodies(&world).await, first());
    change_back(&world);
    is_settled(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_versions_nothing_can_be_restored_and_the_error_says_why() {
    let world = World::new(&SITE).await;
    world.deploy(&[]).expect(0);
    change(&world);
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    rollback(&world, &[]).expect(6).says("app.js, index.html, old.html").says("turn on versioning");
    assert_eq!(world.writes(), [""; 0]);
    // While versioning is suspended, each write replaces the only version.
    let world = twice().await;
    world.edge.set_versioning(BUCKET, false).unwrap();
    world.write("app.js", "code three");
    world.deploy(&[]).expect(0);
    world.write("app.js", "code four");
    world.deploy(&[]).expect(0);
    rollback(&world, &[]).expect(6).says("app.js");
    let oldest = history(&world)[3]["deploy"].as_str().unwrap().to_owned();
    rollback(&world, &["--to", &oldest]).expect(0);
    assert_eq!(bodies(&world).await, first());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_kms_the_site_of_before_is_back_and_the_old_build_sends_nothing() {
    let world = empty().await;
    world.edge.set_opaque_etags(BUCKET, true).unwrap();
    world.deploy(&[]).expect(0);
    change(&world);
    world.deploy(&[]).expect(0);
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await, first());
    change_back(&world);
    is_settled(&world);
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await, second());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_are_copied_in_parts_and_keep_their_headers() {
    let world = empty().await;
    world.write("film.webm", vec![1; 20 << 20]);
    world.deploy(&[]).expect(0);
    let object = || world.edge.objects(BUCKET).into_iter().find(|object| object.key == "film.webm").unwrap();
    let before = object();
    world.write("film.webm", vec![2; 20 << 20]);
    world.deploy(&[]).expect(0);
    world.edge.set_largest_copy(BUCKET, 10 << 20).unwrap();
    world.edge.clear_requests();
    rollback(&world, &[]).expect(0);
    assert!(world.count("UploadPartCopy") >= 2 && world.count("AbortMultipartUpload") == 0);
    assert_eq!((object().etag, object().headers), (before.etag.clone(), before.headers.clone()));
    world.write("film.webm", vec![1; 20 << 20]);
    is_settled(&world);
    // A copy in one piece has another ETag, and the record knows that the bytes are the same.
    world.edge.set_largest_copy(BUCKET, 5 << 30).unwrap();
    rollback(&world, &[]).expect(0);
    rollback(&world, &[]).expect(0);
    assert_ne!(object().etag, before.etag);
    is_settled(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_conditions_of_copies_is_found_out_and_looked_at_before_each() {
    for conditions in [CopyConditions::Ignored, CopyConditions::Refused] {
        let world = twice().await;
        world.edge.set_copy_conditions(BUCKET, conditions).unwrap();
        let run = rollback(&world, &["--concurrency", "1"]).expect(0);
        assert!(run.warnings().contains("ignores the conditions of copies"), "{}", run.stdout);
        assert_eq!(run.objects("copied"), 3);
        assert_eq!(bodies(&world).await, first(), "{conditions:?}");
    }
    let world = twice().await;
    assert_eq!(rollback(&world, &[]).expect(0).warnings(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_before_the_look_at_an_object_is_left_alone_without_conditions() {
    for conditions in [CopyConditions::Ignored, CopyConditions::Refused] {
        let world = twice().await;
        world.edge.set_copy_conditions(BUCKET, conditions).unwrap();
        let gate = Gate::default();
        world.fault_of("CopyObject", "app.js", 0, 1, Fault::Hold(gate.clone()));
        let running = world.command(&["rollback", TARGET, "--json", "--concurrency", "1"]).spawn().unwrap();
        gate.reached().await;
        world.put("index.html", "theirs").await;
        gate.open();
        let run = finish(running).expect(3);
        assert_eq!(run.json["errors"][0]["key"], "index.html", "{}", run.stdout);
        assert_eq!(bodies(&world).await["index.html"], "theirs", "{conditions:?}");
    }
}
