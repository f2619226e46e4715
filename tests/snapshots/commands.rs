//! The commands that are not deploys.

use super::{Shell, deployed, pin, site};
use crate::local::Machine;
use crate::local::preview::Preview;
use crate::world::site::{BUCKET, run};

#[tokio::test(flavor = "multi_thread")]
async fn invalidations_by_hand() {
    let world = deployed().await;
    Shell::of(&world)
        .types("invalidate /about/ /img/*")
        .types("invalidate café/menü.html --json")
        .types("invalidate --quiet /about/")
        .types("invalidate https://other.example.com/")
        .reads("invalidate");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_of_a_site_that_is_well_and_of_one_that_is_not() {
    let world = deployed().await;
    Shell::of(&world).types("doctor s3://www.example.com").types("doctor s3://no-such-bucket").reads("doctor");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_site_before_and_after_its_first_deploy() {
    let world = site().await;
    let mut shell = Shell::of(&world);
    shell.types("status s3://www.example.com").types("unlock s3://www.example.com");
    world.deploy(&["--build-number", "7"]).expect(0);
    shell.types("status s3://www.example.com").types("status s3://www.example.com --json").reads("status");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies() {
    let world = site().await;
    Shell::of(&world).types("policy s3://www.example.com --distribution E2QWRUHAPOMQZL").reads("policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_for_a_project_that_has_none() {
    let world = site().await;
    std::fs::write(world.outside().join("hugo.toml"), "title = 'A site'\n").unwrap();
    let mut shell = Shell::of(&world);
    shell.types("init").types("init");
    shell.transcript += &std::fs::read_to_string(world.outside().join("shipfront.toml")).unwrap();
    shell.reads("init");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_other_tools() {
    let world = site().await;
    let s3deploy = "\
bucket: www.example.com
region: eu-west-1
routes:
    - route: '^.+\\.(js|css|svg|ttf)$'
      headers:
         Cache-Control: 'max-age=630720000, no-transform, public'
      gzip: true
    - route: '^.+\\.(html|xml|json)$'
      gzip: true
    - route: '(?i)^a(?=b)'
      headers:
         X-Odd: '1'
";
    std::fs::write(world.outside().join(".s3deploy.yml"), s3deploy).unwrap();
    Shell::of(&world).types("import .s3deploy.yml").reads("import");
}

#[test]
fn a_local_deploy_and_a_preview() {
    let machine = Machine::new();
    let known = [(machine.directory().to_str().unwrap(), "[directory]")];
    for name in ["local-first", "local-nothing-to-do"] {
        let deploy = machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
        pin(name, &format!("{}--- stderr\n{}", deploy.stdout, deploy.stderr), &known);
    }
    pin("preview", Preview::start(&machine).said(), &known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_from_the_history_and_back() {
    let world = site().await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.deploy(&["--build-number", "7"]).expect(0);
    world.write("index.html", "welcome back");
    world.remove("about/index.html");
    world.deploy(&["--build-number", "8"]).expect(0);
    Shell::of(&world)
        .types("history s3://www.example.com")
        .types("rollback s3://www.example.com --plan --build 7")
        .types("rollback s3://www.example.com --build 7")
        .types("rollback s3://www.example.com --build 7")
        .reads("rollback");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_from_its_deploy_to_its_promotion_and_removal() {
    let world = deployed().await;
    world.edge.ensure_site("previews.example.com").unwrap();
    world.write("index.html", "welcome back");
    let at = "--previews-target s3://previews.example.com";
    let url = "--previews-url https://{name}.preview.example.com";
    Shell::of(&world)
        .types(&format!("deploy public s3://www.example.com --preview search {at} {url}"))
        .types(&format!("deploy public s3://www.example.com --preview search {at} {url}"))
        .types("previews s3://previews.example.com")
        .types(&format!("promote search s3://www.example.com {at} --plan"))
        .types(&format!("promote search s3://www.example.com {at}"))
        .types(&format!("promote search s3://www.example.com {at}"))
        .types("previews s3://previews.example.com --remove search")
        .types("previews s3://previews.example.com")
        .reads("previews");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_other_tools() {
    let world = site().await;
    let mut shell = Shell::of(&world);
    for line in [
        "sync public s3://www.example.com",
        "ls",
        "rm",
        "mb",
        "invalidation",
        "deplyo",
        "deploy --dry-run",
        "deploy --delete",
    ] {
        shell.types(line);
    }
    shell.reads("other-tools");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_build() {
    let world = site().await;
    let mut shell = Shell::of(&world);
    let line = "deploy public s3://www.example.com";
    let run = run(shell.command(line).env("CI", "true"));
    shell.came(line, &run).reads("build-log");
}
