//! Rollbacks of many objects: what is in their places is listed, and everything else is as in one of few.

use super::rollback;
use crate::world::aws::s3;
use crate::world::site::{ALWAYS, BUCKET, World, error};

const PAGES: usize = 120;

fn name(at: usize) -> String {
    format!("page-{at:04}.html")
}

/// A site of many pages that was deployed twice, each time with other bytes.
async fn twice() -> World {
    twice_with(PAGES).await
}

async fn twice_with(pages: usize) -> World {
    let world = World::new(&[("index.html", "welcome")]).await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.close_the_record().await;
    for build in ["first", "second"] {
        (0..pages).for_each(|at| world.write(&name(at), format!("page {at}, {build}")));
        world.deploy(&[]).expect(0);
    }
    world.edge.clear_requests();
    world
}

/// The numbers of HEADs and of listings of what a rollback checks; one listing finds the bucket.
fn checks(world: &World) -> (usize, usize) {
    (world.count("HeadObject"), world.count("ListObjectsV2") - 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_places_of_many_objects_is_listed() {
    let world = twice().await;
    let plan = rollback(&world, &["--plan"]).expect(0);
    assert_eq!(plan.changes().len(), PAGES);
    assert_eq!(checks(&world), (PAGES, 1), "a HEAD for each version, and no more");
    let run = rollback(&world, &[]).expect(0);
    assert_eq!((run.outcome(), run.objects("copied")), ("deployed", PAGES as u64));
    (0..PAGES).for_each(|at| world.write(&name(at), format!("page {at}, first")));
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_objects_those_that_others_changed_are_found() {
    let world = twice().await;
    world.put(&name(7), "theirs").await;
    s3(&world.edge).delete_object().bucket(BUCKET).key(name(110)).send().await.unwrap();
    world.edge.clear_requests();
    let refused = rollback(&world, &[]).expect(6).says("page-0007.html, page-0110.html").says("2 objects were");
    assert_eq!((refused.outcome(), world.writes().len()), ("refused", 0));
    let run = rollback(&world, &["--overwrite-foreign"]).expect(0);
    assert_eq!(run.objects("copied"), PAGES as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_objects_one_that_is_in_its_place_is_not_copied() {
    let world = twice().await;
    // Somebody brought one of them back by hand.
    let client = s3(&world.edge);
    let versions = client.list_object_versions().bucket(BUCKET).prefix(name(3)).send().await.unwrap();
    let oldest = versions.versions().last().and_then(|version| version.version_id()).unwrap();
    let source = format!("{BUCKET}/{}?versionId={oldest}", name(3));
    client.copy_object().bucket(BUCKET).key(name(3)).copy_source(source).send().await.unwrap();
    world.edge.clear_requests();
    let plan = rollback(&world, &["--overwrite-foreign", "--plan"]).expect(0);
    assert_eq!(plan.changes().len(), PAGES);
    assert_eq!(checks(&world), (PAGES + 1, 1), "whether it is in its place takes its headers");
    let run = rollback(&world, &["--overwrite-foreign"]).expect(0);
    assert_eq!((run.objects("copied"), run.objects("failed")), (PAGES as u64 - 1, 0));
    assert!(run.changes().contains(&"evict headers page-0003.html".to_owned()), "{:?}", run.changes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_about_one_of_many_objects_ends_it_before_anything_is_written() {
    let world = twice().await;
    world.fault_of("HeadObject", &name(50), 0, ALWAYS, error(403, "AccessDenied"));
    let failed = rollback(&world, &[]).expect(1).says("HeadObject").says(&name(50));
    assert_eq!((failed.outcome(), world.writes().len()), ("failed", 0));
    let plan = rollback(&world, &["--plan"]).expect(1);
    assert!(plan.json["changes"].as_array().is_none_or(Vec::is_empty), "{}", plan.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_objects_than_a_listing_has_come_back() {
    let pages = 1_010;
    let world = twice_with(pages).await;
    world.put(&name(950), "theirs").await;
    world.edge.clear_requests();
    let refused = rollback(&world, &[]).expect(6).says("page-0950.html").says("1 object was");
    assert_eq!(refused.outcome(), "refused");
    // What is not as the record says gets a HEAD, too.
    assert_eq!(checks(&world), (pages + 1, 2));
    let run = rollback(&world, &["--overwrite-foreign"]).expect(0);
    assert_eq!(run.objects("copied"), pages as u64);
    let keys: Vec<String> = run.changes();
    assert!(keys.is_sorted_by_key(|change| change.rsplit(' ').next().map(str::to_owned)), "in the order of the keys");
    (0..pages).for_each(|at| world.write(&name(at), format!("page {at}, first")));
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_out_of_order_proves_nothing() {
    let world = twice().await;
    world.edge.set_lists_backwards(BUCKET, true).unwrap();
    let plan = rollback(&world, &["--plan"]).expect(0);
    assert_eq!(plan.changes().len(), PAGES);
    assert_eq!(checks(&world), (2 * PAGES, 1), "then each is requested");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_places_of_few_objects_is_requested() {
    let world = twice().await;
    (0..PAGES - 20).for_each(|at| world.write(&name(at), format!("page {at}, second")));
    (PAGES - 20..PAGES).for_each(|at| world.write(&name(at), format!("page {at}, third")));
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    let plan = rollback(&world, &["--plan"]).expect(0);
    assert_eq!(plan.changes().len(), 20);
    assert_eq!(checks(&world), (40, 0));
}
