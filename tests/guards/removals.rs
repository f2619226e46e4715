//! Pages that are removed: a wrong directory never replaces the site.

use crate::world::site::{EXACT, World, run};
use std::fs;

/// A site of 20 files, 13 of them pages.
fn twenty() -> Vec<(String, String)> {
    let pages = (1..13).map(|page| format!("posts/{page:02}.html")).chain(["index.html".to_owned()]);
    let assets = (1..8).map(|asset| format!("assets/app.{asset}f8a2b1c.js"));
    pages.chain(assets).map(|name| (name.clone(), name)).collect()
}

async fn deployed() -> World {
    let files = twenty();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    World::deployed(&files).await
}

/// Replaces the source with another directory.
fn replace_source(world: &World, files: &[(&str, &str)]) {
    fs::remove_dir_all(world.source()).unwrap();
    fs::create_dir(world.source()).unwrap();
    for (name, text) in files {
        world.write(name, text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_page_over_a_site_of_twenty_files_is_refused_and_the_plan_shown_first() {
    let world = deployed().await;
    replace_source(&world, &[("index.html", "another project")]);
    for command in ["plan", "deploy"] {
        let refused = world.run(&world.arguments(command, "s3://www.example.com", &[])).expect(6);
        let refused = refused.says("12 of 13 deployed pages").says("hint:").says("--allow-removals");
        assert_eq!(refused.outcome(), "refused");
        assert_eq!(refused.objects("pruned"), 12, "the plan is there: {}", refused.stdout);
        assert_eq!(refused.changes().iter().filter(|change| change.starts_with("prune")).count(), 12);
        assert!(refused.json["error"].as_str().unwrap().contains("12 of 13 deployed pages"));
        assert!(refused.json["hint"].as_str().unwrap().contains("--allow-removals"));
        let source = world.source().to_str().unwrap();
        let text = world.run(&[command, source, "s3://www.example.com", "-v"]).expect(6);
        assert!(text.stdout.contains("removals:") && text.stdout.contains("01.html"), "{}", text.stdout);
        assert!(text.stdout.contains("nothing was written"), "{}", text.stdout);
        assert!(text.stderr.contains("12 of 13 deployed pages"), "{}", text.stderr);
    }
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.plan(&["--detailed-exit-code"]).exit, 6);

    world.deploy(&["--allow-removals"]).expect(0);
    assert_eq!(world.keys().iter().filter(|key| key.ends_with(".html")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lifts_the_guard_is_typed_for_each_run() {
    let world = deployed().await;
    replace_source(&world, &[("index.html", "another project")]);
    let arguments = world.arguments("deploy", "s3://www.example.com", &[]);
    run(world.command(&arguments).env("SHIPFRONT_ALLOW_REMOVALS", "true")).expect(6);
    fs::write(world.outside().join("shipfront.toml"), "allow-removals = true\n").unwrap();
    let refused = world.run(&arguments).expect(2).says("set for a single run").says("pass --allow-removals");
    assert!(!refused.stderr.contains("SHIPFRONT_ALLOW_REMOVALS"), "{}", refused.stderr);
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_with_new_names_count_toward_the_number_alone() {
    let name = |build: u32, asset: u32| format!("assets/app-{build}{asset:07x}.js");
    let world = World::new(&[("index.html", "one")]).await;
    (0..30).for_each(|asset| world.write(&name(1, asset), "code"));
    world.deploy(&[]).expect(0);
    for asset in 0..30 {
        world.remove(&name(1, asset));
        world.write(&name(2, asset), "code");
    }
    world.deploy(&["--max-delete", "29"]).expect(6).says("--max-delete 29");
    assert_eq!(world.deploy(&["--prune-after", "0s"]).expect(0).objects("pruned"), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_pages_or_less_than_half_of_them_may_leave() {
    let world = deployed().await;
    (1..11).for_each(|page| world.remove(&format!("posts/{page:02}.html")));
    assert_eq!(world.deploy(&[]).expect(0).objects("pruned"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_page_does_not_leave_by_accident() {
    let world = World::deployed(&[("about.html", "a"), ("index.html", "welcome")]).await;
    world.remove("index.html");
    for options in [&[][..], &["--prune-after", "never"]] {
        world.deploy(options).expect(6).says("the front page, index.html, is no longer in the source");
    }
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--allow-removals"]).expect(0);
    assert_eq!(world.keys(), ["about.html"]);
    world.write("about.html", "an edit");
    world.deploy(&[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_a_front_page_does_not_go_beside_the_one_of_another_tool_unasked() {
    let world = World::new(&[("about.html", "a")]).await;
    world.put("index.html", "uploaded by another tool").await;
    world.deploy(&[]).expect(6).says("the target has a front page, index.html, but the source has none");
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--allow-removals"]).expect(0);
    // From now on, it is known that the front page belongs to another tool.
    world.write("about.html", "an edit");
    world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["about.html", "index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_front_page_never_goes_live() {
    let world = World::deployed(&[("about.html", "a"), ("index.html", "welcome")]).await;
    for blank in ["", " \r\n\t", "\u{feff}", "\u{feff}\n"] {
        world.write("index.html", blank);
        world.deploy(&[]).expect(6).says("the front page, index.html, is empty");
    }
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--allow-removals"]).expect(0);
    // The live site was decided before; it is no reason to refuse the next deploy.
    world.write("about.html", "an edit");
    world.deploy(&[]).expect(0);
    let new = World::new(&[("index.html", "")]).await;
    new.deploy(&[]).expect(6);
    assert_eq!(new.keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_leaves_pages_without_anything_in_them_never_goes_live() {
    let world = deployed().await;
    for page in 1..13 {
        world.write(&format!("posts/{page:02}.html"), "");
    }
    let refused = world.deploy(&[]).expect(6).says("12 of 13 deployed pages").says("become empty");
    assert_eq!(refused.outcome(), "refused");
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--allow-removals"]).expect(0);
    // The live site was decided before.
    world.write("index.html", "an edit");
    world.deploy(&[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_report_and_its_junit_say_that_the_plan_was_refused() {
    let world = deployed().await;
    replace_source(&world, &[("index.html", "another project")]);
    let path = |name: &str| world.outside().join(name).to_str().unwrap().to_owned();
    let (page, junit) = (path("report.html"), path("report.xml"));
    world.deploy(&["--report", &page, "--report", &junit]).expect(6);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<h1>Refused: 12 of 13 deployed pages") && page.contains("01.html"), "{page}");
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("12 of 13 deployed pages") && junit.contains("hint: check that"), "{junit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_in_other_unicode_characters_does_not_remove_a_page() {
    let world = World::deployed(&[("index.html", "i"), ("caf\u{e9}.html", "one character")]).await;
    world.remove("caf\u{e9}.html");
    world.write("cafe\u{301}.html", "two characters");
    let refused = world.deploy(&EXACT).expect(6).says("another Unicode spelling").says("caf\\u{e9}.html");
    assert_eq!(refused.outcome(), "refused");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.keys(), ["caf\u{e9}.html", "index.html"]);
    world.deploy(&["--allow-removals"]).expect(0);
    assert_eq!(world.keys(), ["cafe\u{301}.html", "index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_change_though_browsers_keep_them_are_warned_of() {
    let world = World::new(&[("index.html", "i"), ("assets/app.4f8a2b1c.js", "one"), ("style.css", "one")]).await;
    world.write("_headers", "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n");
    world.deploy(&[]).expect(0);
    world.write("assets/app.4f8a2b1c.js", "other bytes");
    world.write("style.css", "other bytes");
    let run = world.deploy(&[]).expect(0).says("warning:");
    assert!(run.warnings().contains("assets/app.4f8a2b1c.js changed under the same name"), "{}", run.warnings());
    assert!(!run.warnings().contains("style.css"), "{}", run.warnings());
    world.write("assets/app.5e9b3c2d.js", "names with a hash");
    let run = world.deploy(&[]).expect(0);
    assert!(!run.warnings().contains("under the same name"), "{}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_becomes_empty_is_a_warning() {
    let world = World::new(&[("index.html", "i"), ("blog/index.html", "b")]).await;
    assert!(!world.deploy(&[]).expect(0).warnings().contains("is now empty"));
    world.write("blog/index.html", " \n");
    let run = world.deploy(&[]).expect(0);
    assert!(run.warnings().contains("blog/index.html had content"), "{:?}", run.warnings());
}
