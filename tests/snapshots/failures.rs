//! Deploys that are refused, fail or are stopped, and errors with hints.

use super::{Shell, deployed, site};
use crate::world::site::{ALWAYS, denied, error, finish, stop};
use shipfront_edge::{Fault, Gate};

const DEPLOY: &str = "deploy public s3://www.example.com --concurrency 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_a_guard_refuses() {
    let world = deployed().await;
    world.remove("about/index.html");
    Shell::of(&world).types(&format!("{DEPLOY} --max-delete 0")).reads("refused-too-many-deletions");
    for name in ["404.html", "index.html", "assets/app.js", "assets/style.css"] {
        world.remove(name);
    }
    Shell::of(&world).types(DEPLOY).reads("refused-empty-source");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_and_the_deploy_after_it() {
    let world = deployed().await;
    world.write("assets/app.js", "more code");
    world.write("assets/style.css", "body { margin: 0 }");
    world.write("index.html", "welcome back");
    world.fault_of("PutObject", "assets/style.css", 0, 1, denied());
    Shell::of(&world).types(DEPLOY).types("status s3://www.example.com").types(DEPLOY).reads("partly-deployed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_that_fails_and_the_deploy_after_it() {
    let world = deployed().await;
    world.write("index.html", "welcome back");
    world.fault("CreateInvalidation", 0, 1, denied());
    Shell::of(&world).types(DEPLOY).types(DEPLOY).reads("stale");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_stopped_and_the_next() {
    let world = deployed().await;
    world.write("assets/app.js", "more code");
    world.write("index.html", "welcome back");
    let gate = Gate::default();
    world.fault_of("PutObject", "assets/app.js", 0, 1, Fault::Hold(gate.clone()));
    let mut shell = Shell::of(&world);
    let mut child = shell.command(DEPLOY).spawn().unwrap();
    gate.reached().await;
    stop(&mut child, "INT");
    gate.open();
    shell.came(DEPLOY, &finish(child)).types(DEPLOY).reads("interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_dies_is_seen_unlocked_and_finished() {
    let world = deployed().await;
    world.write("index.html", "welcome back");
    let gate = Gate::default();
    world.fault("CreateInvalidation", 0, 1, Fault::Hold(gate.clone()));
    let mut shell = Shell::of(&world);
    let mut dead = shell.command(DEPLOY).spawn().unwrap();
    gate.reached().await;
    dead.kill().unwrap();
    dead.wait().unwrap();
    world.edge.faults().clear();
    shell.meanwhile("A deploy was killed before its invalidation.");
    shell.types("status s3://www.example.com");
    shell.types(&format!("{DEPLOY} --lock-timeout 0s"));
    shell.types("unlock s3://www.example.com");
    shell.types("unlock s3://www.example.com --yes");
    shell.types("unlock s3://www.example.com --yes");
    shell.types(DEPLOY);
    shell.types("status s3://www.example.com");
    shell.reads("unlock");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_was_overtaken() {
    let world = site().await;
    world.deploy(&["--build-number", "8"]).expect(0);
    Shell::of(&world).types(&format!("{DEPLOY} --build-number 7")).reads("superseded");
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_that_are_missing() {
    let world = deployed().await;
    world.write("index.html", "welcome back");
    world.remove("about/index.html");
    let mut shell = Shell::of(&world);
    for (operation, line) in [
        ("ListObjectsV2", DEPLOY),
        ("GetDistributionConfig", "plan public s3://www.example.com"),
        ("PutObject", DEPLOY),
        ("DeleteObjects", DEPLOY),
    ] {
        world.fault(operation, 0, ALWAYS, denied());
        shell.meanwhile(&format!("{operation} is denied.")).types(line);
        world.edge.faults().clear();
    }
    world.fault("ListObjectsV2", 0, ALWAYS, error(400, "ExpiredToken"));
    shell.meanwhile("The credentials have expired.").types(DEPLOY).reads("permissions");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_and_makes_no_sense() {
    let world = site().await;
    let mut shell = Shell::of(&world);
    for line in [
        "deploy",
        "deploy public",
        "deploy public www.example.com",
        "deploy missing s3://www.example.com",
        "deploy s3://www.example.com public",
        "deploy public s3://no-such-bucket --distribution none",
        "deploy public s3://www.example.com --distribution E0000000000000",
        "deploy public s3://www.example.com --max-delete few",
        "deploy public s3://www.example.com --prune-after soon",
        "deploy public s3://www.example.com --strategie all",
        "",
        "invalidate",
        "status",
        "tags",
        "redirects public",
        "import missing.yml",
    ] {
        shell.types(line);
    }
    shell.reads("usage");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_make_no_sense() {
    let world = site().await;
    let mut shell = Shell::of(&world);
    for text in ["targt = \"s3://www.example.com\"\n", "max-paths = \"many\"\n", "[env.staging]\nprune-after = 7\n"] {
        std::fs::write(world.outside().join("shipfront.toml"), text).unwrap();
        shell.meanwhile(&format!("shipfront.toml: {}", text.trim().replace('\n', " / ")));
        shell.types("deploy public s3://www.example.com");
    }
    std::fs::write(world.outside().join("shipfront.toml"), "source = \"public\"\n").unwrap();
    shell.meanwhile("shipfront.toml: source = \"public\"").types("deploy --env staging").reads("settings");
}
