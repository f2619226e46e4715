//! No page before its assets, nothing needless, nothing stale: the order of the requests of a deploy.

use crate::world::site::{ALWAYS, EXACT, World, denied};
use shipfront_edge::Fault;
use std::fs::File;
use std::time::{Duration, SystemTime};

const BEFORE: [(&str, &str); 6] = [
    ("about.html", "about us"),
    ("assets/app.js", "one"),
    ("assets/gone.png", "a picture"),
    ("assets/style.css", "body {}"),
    ("index.html", "welcome"),
    ("old.html", "old"),
];

/// A deployed site whose source then adds, changes and removes assets and pages.
async fn edited() -> World {
    let world = World::deployed(&BEFORE).await;
    world.write("assets/app.js", "two");
    world.write("assets/new.css", "html {}");
    world.write("index.html", "welcome back");
    world.write("news/index.html", "news");
    world.remove("assets/gone.png");
    world.remove("old.html");
    world
}

const EXACT_AND_PRUNE: [&str; 6] = [EXACT[0], EXACT[1], EXACT[2], EXACT[3], "--prune-after", "0s"];

fn is_page(line: &str) -> bool {
    line.starts_with("PUT") && line.contains(".html")
}

fn is_asset(line: &str) -> bool {
    line.starts_with("PUT") && !line.contains(".html")
}

fn is_removal(line: &str) -> bool {
    line.starts_with("DELETE")
}

/// Checks that every line of one kind comes before every line of the other, and that there are some of both.
#[track_caller]
fn assert_before(lines: &[String], first: impl Fn(&str) -> bool, then: impl Fn(&str) -> bool) {
    let last_first = lines.iter().rposition(|line| first(line)).unwrap();
    let first_then = lines.iter().position(|line| then(line)).unwrap();
    assert!(last_first < first_then, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_its_name_and_names_others_goes_up_once_they_are_there() {
    let last = [
        "_app/version.json",
        "about.rsc",
        "about/__data.json",
        "about/index.txt",
        "mf/remoteEntry.js",
        "pagefind/pagefind-entry.json",
        "releases/beta-mac.yml",
        "releases/latest.yml",
        "search/search_index.json",
    ];
    let world = World::new(&[("assets/z.4f8a.js", "z"), ("pool/tool.deb", "t")]).await;
    for key in last {
        world.write(key, key);
    }
    world.deploy(&["--no-wait", "--concurrency", "1"]).expect(0);
    let writes = world.writes();
    let names_others = |line: &str| line.starts_with("PUT") && last.iter().any(|key| line.contains(key));
    let is_named = |line: &str| line.starts_with("PUT assets/") || line.starts_with("PUT pool/");
    assert_eq!(writes.iter().filter(|line| names_others(line)).count(), last.len(), "{writes:#?}");
    assert_before(&writes, is_named, names_others);
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_go_up_before_pages_removed_pages_go_then_and_removed_assets_once_they_are_invalidated() {
    let world = edited().await;
    let mut options = EXACT_AND_PRUNE.to_vec();
    options.extend(["--concurrency", "1"]);
    let run = world.deploy(&options).expect(0);
    assert_eq!(run.outcome(), "deployed");
    assert_eq!(
        world.writes(),
        [
            "PUT assets/app.js",
            "PUT assets/new.css",
            "PUT index.html",
            "PUT news/index.html",
            "DELETE old.html",
            "INVALIDATE / /assets/app.js /assets/new.css /index.html /news/index.html /old.html",
            "DELETE assets/gone.png",
            "INVALIDATE /assets/gone.png",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wave_waits_until_the_one_before_is_complete() {
    let world = edited().await;
    // Each wave has a request that S3 accepts only at the second attempt: whatever did not wait for it would
    // overtake it.
    world.fault_of("PutObject", "assets/app.js", 0, 1, Fault::SlowDown);
    world.fault_of("PutObject", "index.html", 0, 1, Fault::SlowDown);
    world.fault("DeleteObjects", 0, 1, Fault::SlowDown);
    world.deploy(&EXACT_AND_PRUNE).expect(0);
    let writes = world.writes();
    assert_eq!(writes.len(), 11, "{writes:#?}");
    assert_before(&writes, is_asset, is_page);
    assert_before(&writes, is_page, is_removal);
    assert_before(&writes, |line| line == "DELETE old.html", |line| line.starts_with("INVALIDATE"));
    assert_before(&writes, |line| line.contains("/index.html"), |line| line == "DELETE assets/gone.png");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_goes_up_when_one_of_its_assets_could_not() {
    let world = edited().await;
    world.fault_of("PutObject", "assets/new.css", 0, ALWAYS, denied());
    let mut options = EXACT_AND_PRUNE.to_vec();
    options.extend(["--concurrency", "1"]);
    let run = world.deploy(&options).expect(3).says("assets/new.css");
    assert_eq!(run.outcome(), "partial");
    assert_eq!(
        world.writes(),
        ["PUT assets/app.js", "PUT assets/new.css -> 403", "INVALIDATE /assets/app.js"],
        "what landed is invalidated, nothing is deleted"
    );
    assert_eq!((run.objects("uploaded"), run.objects("pruned")), (1, 0));
    assert_eq!(run.objects("failed"), 5, "the asset, two pages and two removals: {}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_only_upload_fails_nothing_changed_and_nothing_is_invalidated() {
    let world = World::deployed(&BEFORE).await;
    world.write("assets/app.js", "two");
    world.fault("PutObject", 0, ALWAYS, denied());
    let run = world.deploy(&EXACT_AND_PRUNE).expect(1);
    assert_eq!(run.outcome(), "failed");
    assert_eq!(world.writes(), ["PUT assets/app.js -> 403"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_when_a_page_could_not_be_uploaded() {
    let world = edited().await;
    world.fault_of("PutObject", "index.html", 0, ALWAYS, denied());
    let mut options = EXACT_AND_PRUNE.to_vec();
    options.push("--keep-going");
    let run = world.deploy(&options).expect(3);
    assert_eq!(world.count("DeleteObjects"), 0);
    assert!(world.keys().contains(&"old.html".to_owned()));
    assert_eq!(run.objects("pruned"), 0);
    let invalidated = world.writes().pop().unwrap();
    assert!(invalidated.starts_with("INVALIDATE /assets/app.js /assets/new.css"), "{invalidated}");
    assert!(!invalidated.contains("/old.html") && !invalidated.contains("/index.html "), "{invalidated}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_uploads_and_invalidates_nothing() {
    let world = World::deployed(&BEFORE).await;
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.outcome(), "nothing-to-do");
    assert_eq!((run.objects("uploaded"), run.objects("kept")), (0, 6));
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_file_edit_uploads_one_file_and_invalidates_only_its_urls() {
    let world = World::deployed(&BEFORE).await;
    world.write("about.html", "about them");
    let run = world.deploy(&EXACT).expect(0);
    assert_eq!(world.writes(), ["PUT about.html", "INVALIDATE /about.html"]);
    assert_eq!(run.changes(), ["upload size about.html"]);
    assert_eq!(run.json["invalidations"][0]["collateral"], 0);

    world.edge.clear_requests();
    world.write("index.html", "WELCOME");
    let run = world.deploy(&EXACT).expect(0);
    assert_eq!(world.writes(), ["PUT index.html", "INVALIDATE / /index.html"]);
    assert_eq!(run.changes(), ["upload etag index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_threshold_the_exact_strategy_invalidates_everything() {
    let world = World::deployed(&BEFORE).await;
    for (round, expected) in [(2, "INVALIDATE /about.html /old.html"), (3, "INVALIDATE /*")] {
        world.edge.clear_requests();
        for name in ["about.html", "old.html", "assets/app.js"].iter().take(round) {
            world.write(name, format!("round {round}"));
        }
        world.deploy(&["--strategy", "exact", "--max-paths", "2"]).expect(0);
        assert_eq!(world.writes().last().unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cover_stays_within_its_budget_and_still_clears_every_changed_url() {
    let world = World::deployed(&BEFORE).await;
    for name in ["about.html", "old.html", "assets/app.js", "assets/style.css"] {
        world.write(name, "changed");
    }
    let run = world.deploy(&["--max-paths", "3"]).expect(0);
    let items: Vec<&str> =
        run.json["invalidations"][0]["items"].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
    assert!(items.len() <= 3, "{items:?}");
    for url in ["/about.html", "/old.html", "/assets/app.js", "/assets/style.css"] {
        let clears = |item: &&str| *item == url || item.strip_suffix('*').is_some_and(|prefix| url.starts_with(prefix));
        assert!(items.iter().any(clears), "{url} by {items:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_checkout_whose_times_are_all_new_uploads_nothing() {
    let world = World::deployed(&BEFORE).await;
    for (name, days) in BEFORE.iter().map(|(name, _)| name).zip(1..) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 * 365);
        File::options().write(true).open(world.path(name)).unwrap().set_modified(time).unwrap();
    }
    world.deploy(&[]).expect(0);
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_keeps_size_and_time_is_found() {
    let world = World::deployed(&BEFORE).await;
    let time = world.path("old.html").metadata().unwrap().modified().unwrap();
    world.write("old.html", "new");
    File::options().write(true).open(world.path("old.html")).unwrap().set_modified(time).unwrap();
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload etag old.html"]);
    assert_eq!(world.writes()[0], "PUT old.html");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_left_the_source_go_at_once_and_assets_stay_for_open_tabs() {
    let world = edited().await;
    let run = world.deploy(&EXACT).expect(0);
    assert_eq!((run.objects("orphaned"), run.objects("pruned")), (1, 1));
    assert!(world.keys().contains(&"assets/gone.png".to_owned()) && !world.keys().contains(&"old.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_left_the_source_goes_where_that_was_asked_for() {
    let world = edited().await;
    let mut options = EXACT.to_vec();
    options.extend(["--prune-after", "never"]);
    let run = world.deploy(&options).expect(0);
    assert_eq!((run.objects("orphaned"), run.objects("pruned")), (2, 0));
    assert_eq!(world.count("DeleteObjects"), 0);
    assert!(world.keys().contains(&"old.html".to_owned()));
    let invalidated = world.writes().pop().unwrap();
    assert!(!invalidated.contains("old.html"), "it answers as before: {invalidated}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_its_reason() {
    let world = edited().await;
    world.write("assets/style.css", "BODY {}");
    let run = world.deploy(&["--prune-after", "0s"]).expect(0);
    assert_eq!(
        run.changes(),
        [
            "upload etag assets/app.js",
            "prune orphaned assets/gone.png",
            "upload new assets/new.css",
            "upload etag assets/style.css",
            "upload size index.html",
            "upload new news/index.html",
            "prune orphaned old.html",
        ]
    );
}
