//! What is refused, skipped or left alone, so that nothing is lost when in doubt.

mod files;
mod names;
mod project;
mod removals;

use crate::world::site::{BUCKET, EXACT, TARGET, World, run};

const SITE: [(&str, &str); 5] = [
    ("about.html", "about"),
    ("app.js", "code"),
    ("index.html", "welcome"),
    ("news.html", "news"),
    ("old.html", "old"),
];

const PRUNE: [&str; 2] = ["--prune-after", "0s"];

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_source_never_empties_the_site() {
    let world = World::deployed(&SITE).await;
    for (name, _) in SITE {
        world.remove(name);
    }
    world.write(".gitkeep", "hidden files do not count");
    let run = world.deploy(&PRUNE).expect(6).says("no files to deploy").says("hint: build the site first");
    assert_eq!(run.outcome(), "refused");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.keys().len(), SITE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_missing_or_a_file_is_a_usage_error() {
    let world = World::deployed(&SITE).await;
    let missing = world.path("no-such-directory");
    world.run(&["deploy", missing.to_str().unwrap(), TARGET]).expect(2).says("does not exist").says("hint:");
    let file = world.path("index.html");
    let run = world.run(&["deploy", file.to_str().unwrap(), TARGET, "--prune-after", "0s"]).expect(2);
    run.says("is a file, not a directory").says("hint:");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_removals_than_allowed_refuse_the_whole_deploy() {
    let world = World::deployed(&SITE).await;
    for name in ["about.html", "app.js", "old.html"] {
        world.remove(name);
    }
    world.write("index.html", "an edit that must wait, too");
    let refused = world.deploy(&[PRUNE[0], PRUNE[1], "--max-delete", "2"]).expect(6);
    assert_eq!(refused.says("--max-delete 2").says("hint:").outcome(), "refused");
    assert_eq!(world.writes(), [""; 0], "not even a part of it is done");

    let allowed = world.deploy(&[PRUNE[0], PRUNE[1], "--max-delete", "3"]).expect(0);
    assert_eq!(allowed.objects("pruned"), 3);
    assert_eq!(world.keys(), ["index.html", "news.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_that_stay_do_not_count_as_removals() {
    let world = World::deployed(&SITE).await;
    world.remove("old.html");
    world.deploy(&["--max-delete", "0", "--prune-after", "never"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_never_touches_its_neighbours() {
    let world = World::new(&SITE).await;
    let neighbours = ["blog", "blog-archive/2019.html", "blog.html", "blogs/a.html", "index.html"];
    for key in neighbours {
        world.put(key, "not in the source").await;
    }
    let mut options = EXACT.to_vec();
    options.extend(PRUNE);
    world.write("removed.html", "removed");
    world.run(&world.arguments("deploy", "s3://www.example.com/blog", &options)).expect(0);
    world.remove("removed.html");
    world.write("about.html", "an edit");
    world.edge.clear_requests();
    world.run(&world.arguments("deploy", "s3://www.example.com/blog", &options)).expect(0);
    let keys = world.keys();
    for key in neighbours {
        assert!(keys.contains(&key.to_owned()), "{key} is gone: {keys:?}");
    }
    assert!(!keys.contains(&"blog/removed.html".to_owned()));
    let writes = world.writes();
    assert!(writes.contains(&"DELETE blog/removed.html".to_owned()), "{writes:?}");
    assert_eq!(writes.last().unwrap(), "INVALIDATE /blog/about.html /blog/removed.html");
}

#[tokio::test(flavor = "multi_thread")]
async fn shipfronts_own_records_are_never_deleted_or_invalidated() {
    let world = World::deployed(&SITE).await;
    world.put(".shipfront/blog/manifest-1.ndjson.gz", "x").await;
    world.orphan(&[("stray.html", "this one goes")]);
    let run = world.deploy(&[EXACT[0], EXACT[1], PRUNE[0], PRUNE[1]]).expect(0);
    assert_eq!(world.writes(), ["DELETE stray.html", "INVALIDATE /stray.html"]);
    assert_eq!(run.changes(), ["prune orphaned stray.html"]);
    let objects = world.edge.objects(BUCKET);
    assert!(objects.iter().any(|object| object.key == ".shipfront/blog/manifest-1.ndjson.gz"));
    assert_eq!(world.keys().len(), SITE.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_of_a_failed_codebuild_build_is_refused_before_any_request() {
    let world = World::new(&SITE).await;
    let arguments = world.arguments("deploy", TARGET, &[]);
    let refused = run(world.command(&arguments).env("CODEBUILD_BUILD_SUCCEEDING", "0")).expect(6);
    assert_eq!(refused.says("CODEBUILD_BUILD_SUCCEEDING").outcome(), "refused");
    assert_eq!(world.edge.requests(), []);
    run(world.command(&arguments).env("CODEBUILD_BUILD_SUCCEEDING", "1")).expect(0);
    assert_eq!(world.keys().len(), SITE.len());
}
