//! Builds and other runs around a rollback.

use super::{bodies, change, empty, first, history, rollback, second, twice};
use crate::world::site::{BUCKET, TARGET, finish};
use shipfront_edge::{Fault, Gate};

#[tokio::test(flavor = "multi_thread")]
async fn builds_up_to_the_one_that_was_rolled_back_stay_away_until_a_newer_one() {
    let world = empty().await;
    world.deploy(&["--build-number", "41"]).expect(0);
    change(&world);
    world.deploy(&["--build-number", "42"]).expect(0);
    let run = rollback(&world, &["--build", "41"])
        .expect(0)
        .says("Build 42 and older ones are refused until a newer build is deployed");
    assert_eq!(run.objects("copied"), 3);
    assert_eq!(bodies(&world).await, first());
    for number in ["41", "42"] {
        let refused = world.deploy(&["--build-number", number]).expect(5);
        assert_eq!(refused.outcome(), "superseded");
        assert!(refused.json["error"].as_str().unwrap().contains("build 42 was rolled back"), "{}", refused.stdout);
    }
    assert_eq!(bodies(&world).await, first());
    world.deploy(&["--build-number", "42", "--force"]).expect(0);
    assert_eq!(bodies(&world).await, second());
    rollback(&world, &[]).expect(0);
    world.deploy(&["--build-number", "43"]).expect(0);
    assert_eq!(bodies(&world).await, second());
    // It is as it was before: the same build again is not an older one.
    world.deploy(&["--build-number", "43"]).expect(0);
    world.deploy(&["--build-number", "42"]).expect(5);
    rollback(&world, &["--build", "41"]).expect(0);
    world.deploy(&[]).expect(0);
    assert_eq!(bodies(&world).await, second(), "builds without a number are not affected");
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_to_the_newest_build_holds_none_back() {
    let world = empty().await;
    world.deploy(&["--build-number", "41"]).expect(0);
    change(&world);
    world.deploy(&["--build-number", "42"]).expect(0);
    rollback(&world, &[]).expect(0);
    rollback(&world, &["--build", "42"]).expect(0);
    assert_eq!(bodies(&world).await, second());
    world.deploy(&["--build-number", "42"]).expect(0);
    world.deploy(&["--build-number", "41"]).expect(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rollbacks_at_once_one_waits_and_finds_it_done() {
    let world = twice().await;
    let target = history(&world)[1]["deploy"].as_str().unwrap().to_owned();
    let gate = Gate::default();
    world.fault("CopyObject", 0, 1, Fault::Hold(gate.clone()));
    let arguments = ["rollback", TARGET, "--json", "--to", &target];
    let one = world.command(&arguments).spawn().unwrap();
    gate.reached().await;
    rollback(&world, &["--lock-timeout", "0s"]).expect(5).says("another deploy is under way");
    let other = world.command(&arguments).spawn().unwrap();
    gate.open();
    let (one, other) = (finish(one).expect(0), finish(other).expect(0));
    assert_eq!((one.outcome(), other.outcome()), ("deployed", "nothing-to-do"));
    assert_eq!(bodies(&world).await, first());
    assert!(!world.edge.objects(BUCKET).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_comes_in_between_is_rolled_back_over_with_its_own_looks() {
    let world = twice().await;
    // Its state is written after the rollback has checked and before it begins.
    let gate = Gate::default();
    world.fault_of("PutObject", ".shipfront/state.json", 0, 1, Fault::Hold(gate.clone()));
    let target = history(&world)[1]["deploy"].as_str().unwrap().to_owned();
    let late = world.command(&["rollback", TARGET, "--json", "--to", &target]).spawn().unwrap();
    gate.reached().await;
    world.write("third.html", "third");
    world.deploy(&[]).expect(0);
    gate.open();
    let run = finish(late).expect(0);
    assert_eq!(run.objects("pruned"), 2, "{}", run.stdout);
    assert_eq!(bodies(&world).await, first());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_build_has_a_number_nothing_is_said_of_builds() {
    let world = twice().await;
    let back = world.run(&["rollback", TARGET]).expect(0);
    assert!(!back.stderr.contains("refused"), "{}", back.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_build_is_offered_builds() {
    let world = empty().await;
    world.deploy(&["--build-number", "41"]).expect(0);
    change(&world);
    world.deploy(&["--build-number", "42"]).expect(0);
    rollback(&world, &["--build", "7"]).expect(6).says("available builds: 41; ");
}
