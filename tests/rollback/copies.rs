//! Copies in the record, if the bucket keeps no versions.

use super::{SITE, bodies, change, change_back, first, history, is_settled, rollback, second};
use crate::world::site::{ALWAYS, BUCKET, World, denied};

const COPIES: [&str; 2] = ["--history", "copies"];

fn kept(world: &World) -> usize {
    let objects = world.edge.objects(BUCKET).into_iter();
    objects.filter(|object| object.key.starts_with(".shipfront/kept/")).count()
}

async fn twice() -> World {
    let world = World::new(&SITE).await;
    world.deploy(&COPIES).expect(0);
    change(&world);
    world.deploy(&COPIES).expect(0);
    world.edge.clear_requests();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_what_was_replaced_and_removed_bring_the_site_back() {
    let world = twice().await;
    assert_eq!(kept(&world), 3);
    assert_eq!(history(&world)[1]["restorable"], "yes");
    let run = rollback(&world, &COPIES).expect(0);
    assert_eq!(run.objects("copied"), 3);
    assert_eq!(bodies(&world).await, first());
    change_back(&world);
    is_settled(&world);
    rollback(&world, &COPIES).expect(0);
    assert_eq!(bodies(&world).await, second());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_with_the_deploys_that_need_them() {
    let world = twice().await;
    for number in 0..3 {
        world.write("index.html", format!("welcome again {number}"));
        world.deploy(&["--history", "copies", "--keep-deploys", "3"]).expect(0);
    }
    assert_eq!(kept(&world), 2, "one front page for each deploy before the live one");
    rollback(&world, &["--history", "copies", "--keep-deploys", "3"]).expect(0);
    assert_eq!(bodies(&world).await["index.html"], "welcome again 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_replaced_before_its_copy_is_kept() {
    let world = twice().await;
    world.write("index.html", "welcome three");
    world.write("app.js", "code three");
    let before = bodies(&world).await;
    // It gets a HEAD before it is kept.
    world.fault_of("HeadObject", "index.html", 0, ALWAYS, denied());
    let run = world.deploy(&COPIES).expect(1);
    assert_eq!(run.outcome(), "failed", "{}", run.stdout);
    world.edge.faults().clear();
    assert_eq!(bodies(&world).await, before);
    assert_eq!(world.count("PutObject"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_asked_for_nothing_is_copied() {
    let world = World::new(&SITE).await;
    world.deploy(&[]).expect(0);
    change(&world);
    world.edge.clear_requests();
    world.deploy(&[]).expect(0);
    assert_eq!((world.count("CopyObject"), kept(&world)), (0, 0));
}

/// What a plan says that a rollback sends, and what it sends.
fn planned_and_sent(world: &World, options: &[&str]) -> [Vec<u64>; 2] {
    let plan = rollback(world, &[options, &["--plan"]].concat()).expect(0);
    let run = rollback(world, options).expect(0);
    [&plan.json["cost"]["requests"], &run.json["requests"]].map(|requests| {
        let count = |name: &str| requests[name].as_u64().unwrap();
        ["list", "head", "put", "delete", "create_invalidation"].map(count).to_vec()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_counts_what_is_looked_at_and_the_copies_that_are_kept() {
    let world = twice().await;
    let [planned, sent] = planned_and_sent(&world, &COPIES);
    assert_eq!(planned, sent, "with copies");
    let world = super::twice().await;
    let [planned, sent] = planned_and_sent(&world, &[]);
    assert_eq!(planned, sent, "with versions");
}
