//! A deploy of rules that dies at any of its requests, before and after its effect: the next one reaches the same
//! result.

use super::{FUNCTIONS, attach};
use crate::world::crashes::LeftBehind;
use crate::world::http::get;
use crate::world::oracle::is_record;
use crate::world::sites::{Place, Site, directory, site};
use serde_json::Value;
use shipfront::outcome::Outcome;
use shipfront_edge::{BucketContents, Effect, Fault, Function, Rule, Stage};
use tempfile::TempDir;

pub(super) const BUCKET: &str = "crashed-rules";
pub(super) const TARGET: &str = "s3://crashed-rules";
pub(super) const OPTIONS: [&str; 6] =
    ["--publish-rules", "--concurrency", "1", "--strategy", "exact", "--max-paths=100"];

pub(super) fn first() -> Site {
    site(&[
        ("_headers", "/*\n  X-Version: one\n"),
        ("_redirects", "/goes.html /about.html\n/shown.html /about.html 200\n"),
        ("about.html", "about"),
        ("index.html", "welcome"),
        ("old.html", "old"),
    ])
}

pub(super) fn second() -> Site {
    site(&[
        ("_headers", "/*\n  X-Version: two\n"),
        ("_redirects", "/old.html /about.html\n/shown.html /index.html 200\n"),
        ("about.html", "about us"),
        ("app.js", "code"),
        ("index.html", "welcome back"),
    ])
}

/// What viewers get, as `status text-or-place version`.
pub(super) async fn views(place: &Place) -> Vec<String> {
    let mut found = Vec::new();
    for path in ["/goes.html", "/shown.html", "/old.html", "/about.html", "/index.html", "/app.js"] {
        let answer = get(&place.edge.viewer_url(), path).await;
        let shown = answer.header("location").map_or_else(|| answer.text(), str::to_owned);
        let shown = if answer.status >= 400 { String::new() } else { shown };
        found.push(format!("{path} {} {shown} {}", answer.status, answer.header("x-version").unwrap_or_default()));
    }
    found
}

/// The URLs of the rules that an invalidation has named since the first deploy.
pub(super) fn evicted(effects: &[Effect]) -> Vec<&str> {
    let items = effects.iter().filter_map(|effect| match effect {
        Effect::Invalidate { items, .. } => Some(items),
        _ => None,
    });
    items.flatten().map(String::as_str).collect()
}

/// The state before each crash: the first site, with its rules live.
struct Prepared {
    contents: BucketContents,
    functions: Vec<Function>,
    /// The deploy whose manifest is current.
    manifest: Value,
    second: TempDir,
}

impl Prepared {
    async fn new() -> Prepared {
        let place = Place::new().await;
        let distribution = place.edge.ensure_site(BUCKET).unwrap();
        attach(&place.edge, BUCKET, &distribution);
        place.deploy(directory(&first()).path(), TARGET, &OPTIONS).await.unwrap();
        let live = |(_, name): (&str, &str)| place.edge.function(name, Stage::Live).unwrap();
        let contents = place.edge.bucket_contents(BUCKET).unwrap();
        let manifest = place.state(BUCKET).await.unwrap()["manifest"].clone();
        Prepared { contents, functions: FUNCTIONS.map(live).to_vec(), manifest, second: directory(&second()) }
    }

    async fn place(&self) -> Place {
        let place = Place::new().await;
        let distribution = place.edge.ensure_site(BUCKET).unwrap();
        attach(&place.edge, BUCKET, &distribution);
        for function in &self.functions {
            place.edge.put_function(function).unwrap();
        }
        place.edge.set_bucket_contents(BUCKET, &self.contents).unwrap();
        views(&place).await;
        place.edge.clear_effects();
        place
    }
}

/// One crash and its consequences; `false` if the run ended before its `nth` request.
async fn try_one(
    prepared: &Prepared,
    left: &mut LeftBehind,
    (nth, after_effect): (u64, bool),
    undisturbed: &mut Vec<String>,
) -> bool {
    let (place, two) = (prepared.place().await, &prepared.second);
    let which = format!("at request {nth}, {}", if after_effect { "after its effect" } else { "before its effect" });
    if let Some(report) = place.crash(two.path(), TARGET, &OPTIONS, nth, after_effect).await {
        assert_eq!(report.unwrap().outcome, Outcome::Deployed, "{which}");
        *undisturbed = views(&place).await;
        return false;
    }
    // Viewers fill the cache with whatever there is.
    views(&place).await;
    let crashed = place.edge.effects();
    let touched = crashed
        .iter()
        .any(|effect| matches!(effect, Effect::Put { key, .. } | Effect::Delete { key, .. } if !is_record(key)));
    let live = place.edge.function("site-request", Stage::Live).unwrap().code;
    let published = live.contains("'/old.html'");
    let state = place.state(BUCKET).await.unwrap();
    let (intent, committed) = (!state["intent"].is_null(), state["manifest"] != prepared.manifest);
    assert!(intent || committed || !(touched || published), "{which}: something is live of which no intent tells");
    if !left.is_new(&crashed, code(&place)) {
        return true;
    }
    place.outlive_lease();
    let report = place.deploy(two.path(), TARGET, &OPTIONS).await.unwrap();
    assert!(matches!(report.outcome, Outcome::Deployed | Outcome::NothingToDo), "{which}: {report:#?}");
    let effects = place.edge.effects();
    for url in ["/goes.html", "/shown.html"] {
        assert!(evicted(&effects).contains(&url), "{which}: {url} was not evicted: {:?}", evicted(&effects));
    }
    let seen = views(&place).await;
    assert_eq!(seen, at_the_end(), "{which}");
    place.edge.clear_requests();
    let third = place.deploy(two.path(), TARGET, &OPTIONS).await.unwrap();
    assert_eq!(third.outcome, Outcome::NothingToDo, "{which}: {third:#?}");
    let reads = |operation: &str| ["Get", "List", "Head", "Describe"].iter().any(|read| operation.starts_with(read));
    let writes: Vec<String> =
        place.edge.requests().into_iter().map(|request| request.operation).filter(|name| !reads(name)).collect();
    assert_eq!(writes, [""; 0], "{which}");
    true
}

/// The code of the functions, at both of their stages.
pub(super) fn code(place: &Place) -> Vec<Option<String>> {
    let stages = FUNCTIONS.iter().flat_map(|&(_, name)| [Stage::Development, Stage::Live].map(|stage| (name, stage)));
    stages.map(|(name, stage)| place.edge.function(name, stage).map(|function| function.code)).collect()
}

pub(super) fn at_the_end() -> Vec<String> {
    [
        "/goes.html 404  ",
        "/shown.html 200 welcome back two",
        "/old.html 301 /about.html ",
        "/about.html 200 about us two",
        "/index.html 200 welcome back two",
        "/app.js 200 code two",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_of_rules_that_dies_anywhere_is_finished_by_the_next() {
    let prepared = Prepared::new().await;
    let (mut crashes, mut left, mut undisturbed) = (0, LeftBehind::default(), Vec::new());
    for nth in 1.. {
        for after_effect in [false, true] {
            if !try_one(&prepared, &mut left, (nth, after_effect), &mut undisturbed).await {
                assert_eq!(undisturbed, at_the_end());
                assert!(crashes > 50, "a deploy of rules has more than {crashes} crash points");
                assert!(left.len() > 10, "it leaves more than {} things behind", left.len());
                return;
            }
            crashes += 1;
        }
    }
}

/// A deploy of other rules than the dead run's knows only from the intent what that one made the cache answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_before_evict_what_those_of_a_dead_deploy_had_changed() {
    let prepared = Prepared::new().await;
    let place = prepared.place().await;
    let operation = Some("CreateInvalidation".to_owned());
    place.edge.faults().add(Rule { operation, key: None, skip: 0, count: 1, fault: Fault::CrashBefore });
    assert!(place.die(prepared.second.path(), TARGET, &OPTIONS).await.is_none());
    place.outlive_lease();
    let report = place.deploy(directory(&first()).path(), TARGET, &OPTIONS).await.unwrap();
    assert!(report.recovered.is_some(), "{report:#?}");
    let effects = place.edge.effects();
    for url in ["/goes.html", "/shown.html"] {
        assert!(evicted(&effects).contains(&url), "{url} was not evicted: {:?}", evicted(&effects));
    }
}
