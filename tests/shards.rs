//! A deploy that several machines share: shards create assets, a regular deploy does the rest.

use crate::world::command::repository;
use crate::world::site::{BUCKET, World, finish, run};
use shipfront_edge::{Fault, Gate};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const SHARDS: usize = 4;
const PAGES: usize = 20;

/// A site of pages and assets that was never deployed.
async fn site() -> World {
    let world = World::new(&[]).await;
    for at in 0..PAGES {
        world.write(&format!("{at:02}/index.html"), format!("page {at}"));
        for asset in 0..5 {
            world.write(&format!("{at:02}/image-{asset}.png"), format!("image {at} {asset}"));
        }
    }
    world
}

fn shard(index: usize) -> String {
    format!("--shard={index}/{SHARDS}")
}

fn is_page(key: &str) -> bool {
    key.ends_with(".html")
}

/// Checks that the site is complete, that the edge has it, and that another deploy finds nothing to do.
fn is_settled(world: &World) {
    assert_eq!(world.keys().len(), PAGES * 6);
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_create_all_assets_between_them_and_nothing_else() {
    let world = site().await;
    let started: Vec<_> = (1..=SHARDS).map(|index| world.start(&[&shard(index)])).collect();
    let runs: Vec<_> = started.into_iter().map(|child| finish(child).expect(0)).collect();
    let uploaded: Vec<u64> = runs.iter().map(|run| run.objects("uploaded")).collect();
    assert_eq!(uploaded.iter().sum::<u64>(), PAGES as u64 * 5, "each asset once: {uploaded:?}");
    assert!(uploaded.iter().all(|&count| count > 0), "{uploaded:?}");
    assert!(world.keys().iter().all(|key| !is_page(key)));
    let written = world.edge.requests().into_iter().filter(|request| !request.operation.starts_with("List"));
    let allowed = ["PutObject", "GetObject", "GetDistributionConfig"];
    assert!(written.clone().all(|request| allowed.contains(&request.operation.as_str())));
    assert_eq!(runs[1].json["shard"], "2/4");

    world.edge.clear_requests();
    let last = world.deploy(&[]).expect(0);
    assert_eq!((last.objects("uploaded"), last.objects("kept")), (PAGES as u64, PAGES as u64 * 5));
    // A visitor may have requested an asset before it existed.
    let reported: BTreeSet<String> = last.changes().into_iter().filter(|change| change.starts_with("evict")).collect();
    assert_eq!(reported.len(), PAGES * 5);
    is_settled(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_dies_is_made_up_for_by_its_repetition_or_by_the_deploy() {
    for repeated in [true, false] {
        let world = site().await;
        world.fault("PutObject", 7, 1, Fault::Hold(Gate::default()));
        let mut dying = world.start(&[&shard(2), "--concurrency", "1"]);
        world.arrival_of("PutObject", 8).await;
        dying.kill().unwrap();
        dying.wait().unwrap();
        world.edge.faults().clear();
        for index in [1, 3, 4].into_iter().chain(repeated.then_some(2)) {
            world.deploy(&[&shard(index)]).expect(0);
        }
        let lacking = PAGES * 5 - world.keys().len();
        assert_eq!(lacking == 0, repeated);
        let last = world.deploy(&[]).expect(0);
        assert_eq!(last.objects("uploaded"), (PAGES + lacking) as u64);
        is_settled(&world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_runs_twice_finds_nothing_to_do() {
    let world = site().await;
    world.deploy(&[&shard(3)]).expect(0);
    let again = world.deploy(&[&shard(3)]).expect(0);
    assert_eq!((again.outcome(), again.objects("uploaded")), ("nothing-to-do", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_comes_before_its_shards_does_their_work_and_they_do_no_harm() {
    let world = site().await;
    world.deploy(&[&shard(1)]).expect(0);
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    for index in 1..=SHARDS {
        assert_eq!(world.deploy(&[&shard(index)]).expect(0).outcome(), "nothing-to-do");
    }
    assert_eq!(world.writes(), [""; 0]);
    is_settled(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_never_replaces_an_object_even_one_that_came_while_it_ran() {
    let world = site().await;
    world.deploy(&[&shard(1)]).expect(0);
    let taken = "10/image-0.png";
    let gate = Gate::default();
    world.fault_of("PutObject", taken, 0, 1, Fault::Hold(gate.clone()));
    let running = world.start(&["--shard", "1/1"]);
    world.arrival("PUT 10/image-0.png").await;
    world.put(taken, "of another build").await;
    gate.open();
    let run = finish(running).expect(0);
    assert!(run.warnings().contains("others wrote 10/image-0.png in the meantime"), "{}", run.warnings());
    let etag = |key: &str| world.edge.objects(BUCKET).into_iter().find(|object| object.key == key).unwrap().etag;
    let others = etag(taken);
    // The deploy that follows decides about a file that would replace another one.
    world.write("00/image-0.png", "changed");
    assert_eq!(world.deploy(&["--shard", "1/1"]).expect(0).outcome(), "nothing-to-do");
    assert_eq!(etag(taken), others);
    let last = world.deploy(&[]).expect(0);
    assert!(last.changes().contains(&"upload size 00/image-0.png".to_owned()), "{:?}", last.changes());
    assert_ne!(etag(taken), others);
    is_settled(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_of_an_older_build_is_superseded() {
    let world = site().await;
    world.deploy(&["--build-number", "7"]).expect(0);
    world.write("00/new.png", "new");
    world.deploy(&["--build-number", "6", "--shard", "1/2"]).expect(5).says("superseded");
    world.deploy(&["--build-number", "8", "--shard", "1/1"]).expect(0);
    assert!(world.keys().contains(&"00/new.png".to_owned()));
    world.deploy(&["--shard", "3/2"]).expect(2).says("write it as 2/4");
}

/// The relevant parts of `examples/codebuild-batch/buildspec.yml`.
#[derive(serde::Deserialize)]
struct Buildspec {
    batch: Batch,
    phases: BTreeMap<String, Phase>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Batch {
    build_graph: Vec<Build>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Build {
    identifier: String,
    #[serde(default)]
    depend_on: Vec<String>,
    #[serde(default)]
    env: Environment,
}

#[derive(Default, serde::Deserialize)]
struct Environment {
    variables: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct Phase {
    commands: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_batch_of_the_example_deploys_a_site_between_its_builds() {
    let text = std::fs::read_to_string(repository("examples/codebuild-batch/buildspec.yml")).unwrap();
    let spec: Buildspec = yaml_serde::from_str(&text).unwrap();
    let world = site().await;
    let programs = world.outside().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(world.command(&[]).get_program(), programs.join("shipfront")).unwrap();
    let script = spec.phases["post_build"].commands.join("\n");
    let mut done: Vec<&String> = Vec::new();
    for build in &spec.batch.build_graph {
        assert!(build.depend_on.iter().all(|other| done.contains(&other)), "{} comes too early", build.identifier);
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script]).current_dir(world.source().parent().unwrap());
        world.settle(&mut shell);
        shell.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        shell.env("CODEBUILD_BUILD_SUCCEEDING", "1").env("SHIPFRONT_TARGET", format!("s3://{BUCKET}"));
        shell.envs(&build.env.variables);
        run(&mut shell).expect(0);
        done.push(&build.identifier);
        let pages = world.keys().iter().filter(|key| is_page(key)).count();
        assert_eq!(pages > 0, build.env.variables.is_empty(), "{}", build.identifier);
    }
    is_settled(&world);
}
