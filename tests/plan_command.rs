//! `plan`, and what machines read: JSON, exit codes, and no output that was not requested.

use crate::world::command::on_terminal;
use crate::world::site::{ALWAYS, EXACT, Run, TARGET, World, denied};
use serde_json::Value;
use std::collections::BTreeSet;

const SITE: [(&str, &str); 4] =
    [("app.js", "code"), ("index.html", "welcome"), ("old.html", "old"), ("style.css", "style")];

/// A deployed site with an addition, an edit and a removal.
async fn edited() -> World {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    world.write("new.css", "new");
    world.remove("old.html");
    world
}

fn options() -> Vec<&'static str> {
    [&EXACT[..], &["--prune-after", "0s"]].concat()
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_fields(value: &Value, expected: &str) {
    assert_eq!(fields(value), expected.split(' ').collect(), "{value}");
}

/// The arguments of a run without `--json`.
fn as_text<'a>(world: &'a World, command: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = world.arguments(command, TARGET, options);
    arguments.retain(|argument| *argument != "--json");
    arguments
}

#[track_caller]
fn assert_plain(run: &Run) {
    assert!(!run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
    assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_nothing_and_says_what_the_deploy_after_it_does() {
    let world = edited().await;
    let plan = world.plan(&options()).expect(0);
    assert_eq!(plan.outcome(), "planned");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.keys().len(), SITE.len());

    let deploy = world.deploy(&options()).expect(0);
    assert_eq!(plan.json["changes"], deploy.json["changes"]);
    assert_eq!(deploy.changes(), ["upload etag index.html", "upload new new.css", "prune orphaned old.html"]);
    for count in ["uploaded", "kept", "pruned", "orphaned", "unknown", "failed", "bytes_uploaded"] {
        assert_eq!(plan.objects(count), deploy.objects(count), "{count}");
    }
    let (planned, sent) = (&plan.json["invalidations"][0], &deploy.json["invalidations"][0]);
    for field in ["distribution", "items", "viewer_paths", "collateral", "universe"] {
        assert_eq!(planned[field], sent[field], "{field}");
    }
    assert_eq!((planned["status"].as_str(), planned["id"].as_str()), (Some("planned"), None));
    assert_eq!((plan.json["target"].as_str(), deploy.json["target"].as_str()), (Some(TARGET), Some(TARGET)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_has_the_documented_fields_and_they_mean_what_they_say() {
    let world = edited().await;
    let run = world.deploy(&options()).expect(0);
    let json = &run.json;
    assert_fields(
        json,
        "shipfront deploy outcome source target url objects changes invalidations requests cost seconds timeline concurrency \
         allowance recovered warnings errors",
    );
    assert_fields(&json["objects"], "uploaded kept pruned orphaned unknown failed bytes_uploaded copied");
    assert_fields(&json["seconds"], "walk list hash apply invalidate total");
    assert_fields(&json["requests"], "list head get put delete create_invalidation cloudfront_read");
    let change = |key: &str| {
        let mut changes = json["changes"].as_array().unwrap().iter();
        changes.find(|change| change["key"] == key).unwrap()
    };
    assert_fields(change("new.css"), "key action reason wave bytes bytes_before");
    let sizes = |key| (change(key)["bytes"].as_u64(), change(key)["bytes_before"].as_u64());
    assert_eq!(sizes("new.css"), (Some(3), None), "there was none");
    assert_eq!(sizes("index.html"), (Some(7), Some(7)));
    assert_eq!(sizes("old.html"), (Some(3), Some(3)), "what is removed");
    assert_eq!((&change("new.css")["wave"], &change("new.css")["bytes"]), (&"assets".into(), &3.into()));
    assert_eq!(change("index.html")["wave"], "pages");
    assert_eq!((&change("old.html")["wave"], &change("old.html")["action"]), (&"prune".into(), &"prune".into()));

    assert_eq!(json["shipfront"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["source"], world.source().to_str().unwrap());
    assert_eq!((run.objects("uploaded"), run.objects("kept"), run.objects("pruned")), (2, 2, 1));
    assert_eq!(run.objects("bytes_uploaded"), ("an edit".len() + "new".len()) as u64);
    // Two files; the record's plan, lease, manifest and release, and the removal of its old files.
    assert_eq!(json["requests"]["put"], 6);
    assert_eq!((&json["requests"]["delete"], &json["requests"]["create_invalidation"]), (&2.into(), &1.into()));
    assert_eq!(json["requests"]["list"], world.count("ListObjectsV2"));
    let invalidation = &json["invalidations"][0];
    let base: BTreeSet<&str> = "distribution id status items viewer_paths collateral universe".split(' ').collect();
    assert!(fields(invalidation).is_superset(&base), "{invalidation}");
    // `/` and three keys changed; two keys did not.
    assert_eq!((&invalidation["viewer_paths"], &invalidation["universe"]), (&4.into(), &6.into()));
    assert_eq!(invalidation["id"], world.edge.invalidations(&world.distribution).pop().unwrap().id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_the_size_of_what_is_replaced() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "i".repeat(2100));
    world.write("app.js", "a longer code");
    let page = world.outside().join("plan.html");
    let plan = world.plan(&["--report", page.to_str().unwrap()]).expect(0);
    let sizes = |change: &Value| (change["bytes_before"].as_u64(), change["bytes"].as_u64());
    let changes = plan.json["changes"].as_array().unwrap();
    assert_eq!(changes.iter().map(sizes).collect::<Vec<_>>(), [(Some(4), Some(13)), (Some(7), Some(2100))]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(">7 B → 2.10 kB</span>"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_the_unchanged_urls_that_each_item_evicts() {
    let mut site = vec![("about/a.html".to_owned(), "a"), ("about/b.html".to_owned(), "b")];
    site.extend((0..40).map(|at| (format!("about/z-{at:02}.html"), "z")));
    let site: Vec<(&str, &str)> = site.iter().map(|(key, text)| (key.as_str(), *text)).collect();
    let world = World::deployed(&site).await;
    world.write("about/a.html", "an edit");
    world.write("about/b.html", "an edit");
    let page = world.outside().join("plan.html");
    for (strategy, item) in [("cover", "/about/*"), ("exact", "/*"), ("all", "/*")] {
        let options = ["--max-paths", "1", "--strategy", strategy, "--report", page.to_str().unwrap()];
        let plan = world.plan(&options).expect(0);
        let coverage = &plan.json["invalidations"][0]["coverage"][0];
        assert_eq!(
            (&coverage["item"], &coverage["covers"], &coverage["collateral"]),
            (&item.into(), &2.into(), &40.into())
        );
        let named: Vec<String> = (0..20).map(|at| format!("/about/z-{at:02}.html")).collect();
        assert_eq!(coverage["evicts"], serde_json::json!(named), "the first, and no more of many");
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(page.contains("evicts /about/z-00.html and 39 more"), "{page}");
        assert!(
            page.contains(&format!("<code>{item}</code>")) && page.contains("<div>/about/z-07.html</div>"),
            "{page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_fits_a_narrow_terminal_and_cuts_no_name() {
    let world = edited().await;
    let long = "guides/a-page-with-a-name-that-is-long/and-its-chapter.html";
    world.write(long, "new");
    for columns in [60, 200] {
        let Some(shown) = on_terminal(&world.command(&as_text(&world, "plan", &options())), columns) else { return };
        assert!(shown.contains(long) && shown.contains("~ index.html"), "{shown}");
        let longest = shown.lines().filter(|line| !line.contains(long) && !line.contains("/tmp/"));
        assert!(longest.clone().count() > 10, "{shown}");
        assert!(longest.map(str::len).max() <= Some(columns.into()), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_detailed_exit_code_says_whether_there_are_changes() {
    let world = World::deployed(&SITE).await;
    world.plan(&["--detailed-exit-code"]).expect(0);
    world.write("app.js", "an edit");
    world.plan(&["--detailed-exit-code"]).expect(10);
    world.plan(&[]).expect(0);
    world.deploy(&[]).expect(0);
    world.plan(&["--detailed-exit-code"]).expect(0);
    world.remove("old.html");
    world.plan(&["--detailed-exit-code", "--prune-after", "never"]).expect(0);
    world.plan(&["--detailed-exit-code"]).expect(10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_meets_the_same_guards_as_the_deploy() {
    let world = edited().await;
    let options = ["--prune-after", "0s", "--max-delete", "0"];
    let (plan, deploy) = (world.plan(&options).expect(6), world.deploy(&options).expect(6));
    for field in ["outcome", "error", "hint", "objects", "changes", "invalidations"] {
        assert_eq!(plan.json[field], deploy.json[field], "{field}");
    }
    assert_eq!(plan.stderr, deploy.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_needs_no_permission_to_write() {
    let world = edited().await;
    for operation in ["PutObject", "DeleteObjects", "CreateInvalidation"] {
        world.fault(operation, 0, ALWAYS, denied());
    }
    world.plan(&options()).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_json_has_an_outcome_an_error_and_a_hint() {
    let world = World::new(&SITE).await;
    for (arguments, exit, outcome) in [
        (world.arguments("deploy", "not-a-target", &[]), 2, "failed"),
        (world.arguments("deploy", TARGET, &["--distribution", "E0000000000000"]), 2, "failed"),
        (world.arguments("plan", "s3://no-such-bucket", &["--distribution", "none"]), 1, "failed"),
        (vec!["deploy", world.outside().join("missing").to_str().unwrap(), TARGET, "--json"], 2, "failed"),
    ] {
        let run = world.run(&arguments).expect(exit);
        assert_fields(&run.json, "shipfront outcome error hint");
        assert_eq!(run.outcome(), outcome);
        for said in ["error", "hint"] {
            let text = run.json[said].as_str().unwrap_or_default();
            assert!(!text.is_empty() && run.stderr.contains(text), "the text says the same: {text} {}", run.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_stdout_is_one_object_whatever_happens() {
    let world = edited().await;
    world.fault("PutObject", 0, 1, denied());
    for run in [world.plan(&[]).expect(0), world.deploy(&[]), world.deploy(&["--verbose"]).expect(0)] {
        assert!(run.json.is_object(), "{}", run.stdout);
    }
    let quiet = world.deploy(&["--quiet"]).expect(0);
    assert_eq!(quiet.outcome(), "nothing-to-do", "--quiet does not take away what --json asks for");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_says_nothing_of_success_and_everything_of_failure() {
    let world = edited().await;
    world.close_the_record().await;
    for command in ["plan", "deploy", "deploy"] {
        let run = world.run(&as_text(&world, command, &["--quiet"])).expect(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{command}");
    }
    world.fault("ListObjectsV2", 0, ALWAYS, denied());
    let run = world.run(&as_text(&world, "deploy", &["--quiet"])).expect(1);
    assert_eq!(run.stdout, "");
    run.says("error:").says("hint:");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_gets_no_escape_codes() {
    let world = edited().await;
    assert_plain(&world.run(&as_text(&world, "plan", &[])).expect(0));
    assert_plain(&world.run(&as_text(&world, "deploy", &["--verbose"])).expect(0));
    assert_plain(&world.run(&as_text(&world, "deploy", &["--max-delete", "x"])).expect(2));
    world.fault("ListObjectsV2", 0, ALWAYS, denied());
    assert_plain(&world.run(&as_text(&world, "deploy", &[])).expect(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_dry_run_is_pointed_to_plan() {
    let world = World::new(&[("index.html", "i")]).await;
    for flag in ["--dry-run", "--dryrun", "-n"] {
        world.deploy(&[flag]).expect(2).says("'shipfront plan' shows what a deploy would do");
    }
    assert_eq!(world.keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_source_is_named_with_the_day_until_which_it_stays() {
    let world = World::deployed(&SITE).await;
    world.remove("style.css");
    let day = |days: i64| {
        let now = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap();
        now.strftime("%Y-%m-%d").to_string()
    };
    let said = |options: &[&str]| world.run(&as_text(&world, "plan", options)).expect(0).stdout;
    world.write("index.html", "an edit");
    for (options, days) in [(&[][..], 7), (&["--prune-after", "30d"][..], 30)] {
        let (text, before) = (said(options), day(days));
        let line =
            |day: &str| format!("1 object no longer in the source stays until {day} (--prune-after): style.css\n");
        assert!(text.contains(&line(&before)) || text.contains(&line(&day(days))), "{text}");
    }
    let never = said(&["--prune-after", "never"]);
    assert!(never.contains("1 object no longer in the source stays for now (--prune-after): style.css\n"), "{never}");
    // One that left before goes before.
    world.deploy(&[]).expect(0);
    world.edge.advance_clock(std::time::Duration::from_secs(3 * 86_400));
    world.write("index.html", "another edit");
    world.remove("app.js");
    let text = said(&[]);
    let (before, after) = (day(7), day(6));
    let line = |day: &str| format!("2 objects no longer in the source stay at least until {day} (--prune-after): ");
    assert!(text.contains(&line(&before)) || text.contains(&line(&after)), "{text}");
}
