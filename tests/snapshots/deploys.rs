//! Deploys and plans that succeed.

use super::{Shell, deployed, site};
use crate::world::site::{TARGET, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_deploy_and_the_next_that_has_nothing_to_do() {
    let world = site().await;
    Shell::of(&world).types("deploy public s3://www.example.com").reads("deploy-first");
    Shell::of(&world).types("deploy public s3://www.example.com").reads("deploy-nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit() {
    let world = deployed().await;
    world.write("index.html", "welcome back");
    world.write("assets/new.css", "html {}");
    Shell::of(&world).types("deploy public s3://www.example.com").reads("deploy-edit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_is_reported_in_full() {
    let world = deployed().await;
    world.write("index.html", "welcome back");
    Shell::of(&world).types("deploy public s3://www.example.com --verbose --concurrency 1").reads("deploy-verbose");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_an_asset_that_left_the_source() {
    let world = deployed().await;
    world.remove("about/index.html");
    world.remove("assets/app.js");
    let mut shell = Shell::of(&world);
    shell.types("deploy public s3://www.example.com").types("status s3://www.example.com").reads("deploy-deletion");
    Shell::of(&world).types("deploy public s3://www.example.com --prune-after 0s").reads("deploy-prune");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_quiet() {
    let world = site().await;
    Shell::of(&world).types("deploy public s3://www.example.com --quiet").reads("deploy-quiet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_for_machines() {
    let world = deployed().await;
    world.write("index.html", "welcome back");
    world.remove("assets/app.js");
    Shell::of(&world).types("deploy public s3://www.example.com --json --concurrency 1").reads("deploy-json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_verified_and_one_that_viewers_do_not_see() {
    let world = deployed().await;
    let viewer = world.edge.viewer_url();
    crate::world::http::get(&viewer, "/index.html").await;
    world.write("index.html", "welcome back");
    let line = format!("deploy public s3://www.example.com --verify {viewer}");
    Shell::of(&world).types(&line).reads("verify-done");
    crate::world::http::get(&viewer, "/index.html").await;
    world.write("index.html", "welcome again");
    world.fault("CreateInvalidation", 0, 1, shipfront_edge::Fault::KeepCopies);
    Shell::of(&world).types(&line).reads("verify-differences");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_redirects_beside_the_files() {
    let world = site().await;
    world.write(
        "_headers",
        "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n  X-Frame-Options: DENY\n",
    );
    world.write("_redirects", "/old /about/\n/blog/* /news/:splat 302\n");
    Shell::of(&world).types("deploy public s3://www.example.com").reads("deploy-with-headers-and-redirects");
    Shell::of(&world).types("headers public").reads("headers");
    Shell::of(&world).types("redirects public").reads("redirects");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_an_edit() {
    let world = deployed().await;
    world.write("index.html", "welcome back");
    world.write("assets/new.css", "html {}");
    world.remove("about/index.html");
    Shell::of(&world).types("plan public s3://www.example.com --detailed-exit-code").reads("plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_nothing_to_do() {
    let world = deployed().await;
    Shell::of(&world).types("plan public s3://www.example.com --detailed-exit-code").reads("plan-nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_evicts_what_has_not_changed() {
    let names: Vec<String> = (0..30).map(|at| format!("guides/page-{at:02}.html")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a page")).collect();
    let world = World::new(&files).await;
    world.close_the_record().await;
    world.deploy(&[]).expect(0);
    for at in [3, 7, 12, 24] {
        world.write(&names[at], "an edit");
    }
    let line = format!("plan public {TARGET} --max-paths 1");
    Shell::of(&world).types(&line).types(&format!("{line} --verbose")).reads("plan-with-collateral");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_by_cache_tags_and_how_they_are_turned_on() {
    let world = deployed().await;
    Shell::of(&world).types("tags --enable s3://www.example.com").reads("tags-enable");
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
    world.edge.put_distribution(distribution).unwrap();
    Shell::of(&world)
        .types("tags --enable s3://www.example.com")
        .types("tags --backfill s3://www.example.com")
        .types("tags --backfill s3://www.example.com")
        .reads("tags-backfill");
}
