//! Where a record is kept, and which site it belongs to.

use super::{SITE, is_settled, writes_of_any_kind};
use crate::world::site::{BUCKET, World, run};

fn deploy(world: &World, target: &str, options: &[&str]) -> crate::world::site::Run {
    run(&mut world.command(&world.arguments("deploy", target, options)))
}

fn all_keys(world: &World, bucket: &str) -> Vec<String> {
    world.edge.objects(bucket).into_iter().map(|object| object.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prefixes_of_a_bucket_have_two_records_and_never_touch_each_other() {
    let world = World::new(&SITE).await;
    let target = |prefix: &str| format!("s3://{BUCKET}/{prefix}");
    deploy(&world, &target("blog"), &[]).expect(0);
    deploy(&world, &target("blog-archive"), &["--build-number", "9"]).expect(0);
    let before: Vec<_> = world.edge.objects(BUCKET).into_iter().filter(|o| o.key.contains("blog-archive/")).collect();
    assert_eq!(before.len(), SITE.len() + 2);
    world.remove("old.html");
    world.remove("style.css");
    deploy(&world, &target("blog"), &["--prune-after", "0s", "--build-number", "1"]).expect(0);
    let after: Vec<_> = world.edge.objects(BUCKET).into_iter().filter(|o| o.key.contains("blog-archive/")).collect();
    assert_eq!(after, before);
    let blog = all_keys(&world, BUCKET).into_iter().filter(|key| key.starts_with("blog/")).count();
    assert_eq!(blog, 3);
    assert_eq!(all_keys(&world, BUCKET).iter().filter(|key| key.ends_with("/state.json")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_can_be_kept_in_another_bucket() {
    let world = World::new(&SITE).await;
    world.edge.ensure_site("records").unwrap();
    let options = ["--record", "s3://records/www"];
    world.deploy(&options).expect(0);
    assert_eq!(all_keys(&world, BUCKET).len(), SITE.len());
    assert!(all_keys(&world, "records").contains(&"www/state.json".to_owned()));
    is_settled(&world, &options);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sites_cannot_share_a_record() {
    let world = World::new(&SITE).await;
    world.edge.ensure_site("records").unwrap();
    world.edge.ensure_site("other").unwrap();
    world.deploy(&["--record", "s3://records/www"]).expect(0);
    world.edge.clear_requests();
    deploy(&world, "s3://other", &["--record", "s3://records/www"]).expect(6).says("is the record of");
    assert_eq!(writes_of_any_kind(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_nothing_is_kept_and_nothing_is_removed_unasked() {
    let world = World::new(&SITE).await;
    world.deploy(&["--no-record"]).expect(0);
    assert_eq!(all_keys(&world, BUCKET).len(), SITE.len());
    world.remove("old.html");
    is_settled(&world, &["--no-record"]);
    world.deploy(&["--no-record", "--prune-after", "0s"]).expect(0);
    assert_eq!(all_keys(&world, BUCKET).len(), SITE.len() - 1);
}
