//! A deploy that dies at any of its requests: the next one leaves nothing stale, deletes nothing
//! that is not its own and comes to the same end.

use crate::world::manifest::drift;
use crate::world::oracle::{Oracle, is_record};
use crate::world::sites::{Fate, Place, Site, directory, is_page, site};
use shipfront::deploy::report::Outcome;
use tempfile::TempDir;

const FOREIGN: [(&str, &str); 2] = [("foreign.html", "theirs"), ("uploads/photo.jpg", "theirs, too")];
/// Objects whose stored headers are not what the rules say, although their bytes are.
const DRIFTED: [&str; 2] = ["data.json", "drifted.html"];
const EVERYTHING: [&str; 2] = ["--prune-after", "0s"];

fn first() -> Site {
    site(&[
        ("about.html", r#"about <img src="/style.css">"#),
        ("app.1a.js", "code one"),
        ("data.json", "[]"),
        ("drifted.html", "drifted"),
        ("feed.xml", "feed one"),
        ("img/old.png", "picture of the past"),
        ("index.html", r#"welcome <img src="/app.1a.js"><img src="/style.css">"#),
        ("keep.html", r#"the same <img src="/logo.svg">"#),
        ("logo.svg", "logo"),
        ("old.html", r#"going <img src="/img/old.png"><img src="/app.1a.js">"#),
        ("style.css", "style one"),
    ])
}

fn second() -> Site {
    site(&[
        ("about.html", r#"about us <img src="/style.css">"#),
        ("app.2b.js", "code two"),
        ("data.json", "[]"),
        ("drifted.html", "drifted"),
        ("feed.xml", "feed two"),
        ("img/new.png", "new picture"),
        ("index.html", r#"welcome <img src="/app.2b.js"><img src="/style.css"><img src="/img/new.png">"#),
        ("keep.html", r#"the same <img src="/logo.svg">"#),
        ("logo.svg", "logo"),
        ("news/index.html", r#"news <img src="/app.2b.js">"#),
        ("style.css", "style two"),
    ])
}

/// What is tried at every request.
#[derive(Clone, Copy)]
struct Scenario {
    options: &'static [&'static str],
    /// ETags say nothing of the bytes.
    opaque: bool,
    /// The crash comes in the first deploy that there ever was, to a bucket that another tool filled.
    unrecorded: bool,
    /// Not the same site is deployed after the crash, but the one before.
    rollback: bool,
    /// At which request the second run dies, too, given where the first one did.
    again_at: Option<fn(u64) -> u64>,
}

const PLAIN: Scenario = Scenario { options: &[], opaque: false, unrecorded: false, rollback: false, again_at: None };

struct Sources {
    first: TempDir,
    second: TempDir,
}

/// Tries each request of a scenario until the run has no more of them; the number of crashes.
async fn everywhere(scenario: Scenario) -> u64 {
    let place = Place::new().await;
    let sources = Sources { first: directory(&first()), second: directory(&second()) };
    let mut crashes = 0;
    for nth in 1.. {
        for after_effect in [false, true] {
            if !try_one(&place, &sources, scenario, nth, after_effect).await {
                assert!(crashes > 40, "a deploy has more than {crashes} crash points");
                return crashes;
            }
            crashes += 1;
        }
    }
    crashes
}

/// One bucket, one crash and what follows; `false` when the run ended before its `nth` request.
async fn try_one(place: &Place, sources: &Sources, scenario: Scenario, nth: u64, after_effect: bool) -> bool {
    let which = format!("at request {nth}, {}", if after_effect { "after its effect" } else { "before its effect" });
    let bucket = format!("crash-{nth}-{after_effect}");
    let target = format!("s3://{bucket}");
    let distribution = place.edge.ensure_site(&bucket).unwrap();
    let mut options = vec!["--distribution", &distribution, "--concurrency", "1"];
    options.extend(scenario.options);
    place.edge.set_opaque_etags(&bucket, scenario.opaque).unwrap();

    let mut before = first();
    if scenario.unrecorded {
        for (key, body) in &before {
            place.put(&bucket, key, body.as_str(), "text/html; charset=utf-8").await;
        }
    } else {
        let report = place.deploy(sources.first.path(), &target, &options).await.unwrap();
        assert_eq!(report.outcome, Outcome::Deployed);
        for key in DRIFTED {
            drift(&place.edge, &bucket, key, &before[key]).await;
        }
    }
    for (key, body) in FOREIGN {
        place.put(&bucket, key, body, "text/plain").await;
        before.insert(key.to_owned(), body.to_owned());
    }
    let theirs = foreign(place, &bucket);

    let second = second();
    let mut oracle = Oracle::new(&place.edge, &bucket, &distribution, &before, second.keys());
    place.edge.clear_effects();
    if let Fate::Ended(report) = place.crash(sources.second.path(), &target, &options, nth, after_effect).await {
        assert_eq!(report.unwrap().outcome, Outcome::Deployed);
        return false;
    }
    let crashed = place.edge.effects();
    oracle.replay(&crashed, &second);
    let touched = crashed.iter().any(touches_site);
    let intent = place.state(&bucket).await.is_some_and(|state| !state["intent"].is_null());
    if !oracle.stale().is_empty() {
        assert!(touched && intent, "{which}: stale URLs that no intent names: {:?}", oracle.stale());
    }
    let (source, expected) = match scenario.rollback {
        true => (&sources.first, first()),
        false => (&sources.second, second),
    };
    if let Some(again_at) = scenario.again_at.map(|again_at| again_at(nth)) {
        place.outlive_lease();
        place.edge.clear_effects();
        place.crash(source.path(), &target, &options, again_at, !after_effect).await;
        oracle.replay(&place.edge.effects(), &expected);
    }

    place.outlive_lease();
    place.edge.clear_effects();
    let report = place.deploy(source.path(), &target, &options).await.unwrap();
    oracle.replay(&place.edge.effects(), &expected);
    assert_eq!(oracle.complaints, [""; 0], "{which}");
    assert_eq!(oracle.stale(), [""; 0], "{which}: stale at the end; {report:#?}");
    assert_eq!(foreign(place, &bucket), theirs, "{which}: foreign objects");
    if scenario.again_at.is_none() {
        assert_eq!(report.recovered.is_some(), intent, "{which}: recovered");
    }
    check_contents(place, &bucket, &expected, scenario, &which);
    assert_eq!(oracle.contents().len(), site_keys(place, &bucket).len(), "{which}: the oracle lost count");

    place.edge.clear_requests();
    let report = place.deploy(source.path(), &target, &options).await.unwrap();
    assert_eq!(report.outcome, Outcome::NothingToDo, "{which}: {report:#?}");
    let requests = place.edge.requests();
    let writes: Vec<&str> = requests.iter().map(|request| request.operation.as_str()).collect();
    assert!(
        !writes.iter().any(|name| ["PutObject", "DeleteObjects", "CreateInvalidation"].contains(name)),
        "{which}: {writes:?}"
    );
    true
}

fn touches_site(effect: &shipfront::edge::Effect) -> bool {
    use shipfront::edge::Effect::{Delete, Put};
    matches!(effect, Put { key, .. } | Delete { key, .. } if !is_record(key))
}

fn foreign(place: &Place, bucket: &str) -> Vec<shipfront::edge::ObjectSummary> {
    let objects = place.edge.objects(bucket).into_iter();
    objects.filter(|object| FOREIGN.iter().any(|(key, _)| *key == object.key)).collect()
}

fn site_keys(place: &Place, bucket: &str) -> Vec<String> {
    let objects = place.edge.objects(bucket).into_iter();
    objects.map(|object| object.key).filter(|key| !is_record(key)).collect()
}

/// The bucket holds the site, what others put there, and orphans that have time left.
fn check_contents(place: &Place, bucket: &str, expected: &Site, scenario: Scenario, which: &str) {
    let objects = place.edge.objects(bucket);
    for (key, body) in expected {
        let object = objects.iter().find(|object| object.key == *key);
        let object = object.unwrap_or_else(|| panic!("{which}: {key} is missing"));
        assert_eq!(object.size, body.len() as u64, "{which}: {key}");
        if !scenario.opaque {
            assert_eq!(object.etag, digest(body), "{which}: {key}");
        }
        assert_eq!(object.headers["content-type"], shipfront::site::media_type::of(key), "{which}: {key}");
    }
    let rest = objects.iter().map(|object| object.key.as_str()).filter(|key| {
        !is_record(key) && !expected.contains_key(*key) && !FOREIGN.iter().any(|(foreign, _)| foreign == key)
    });
    // Without a record nobody knew whose the objects of before were.
    let prunes = scenario.options == EVERYTHING.as_slice();
    let allowed = |key: &&str| (scenario.unrecorded && first().contains_key(*key)) || !(is_page(key) || prunes);
    let rest: Vec<&str> = rest.filter(|key| !allowed(key)).collect();
    assert_eq!(rest, [""; 0], "{which}: left behind");
}

fn digest(body: &str) -> String {
    shipfront::site::etag::hex(&shipfront::site::etag::md5(body.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_dies_anywhere_is_finished_by_the_next() {
    everywhere(PLAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_removes_at_once_and_dies_anywhere_is_finished_by_the_next() {
    everywhere(Scenario { options: &EVERYTHING, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_deploy_that_dies_anywhere_is_finished_by_the_next() {
    everywhere(Scenario { unrecorded: true, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_under_kms_is_recovered_although_etags_say_nothing() {
    everywhere(Scenario { opaque: true, options: &EVERYTHING, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_site_of_before_can_be_deployed_again() {
    everywhere(Scenario { rollback: true, options: &EVERYTHING, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_dies_is_recovered() {
    // Another request for each request of the first run: the soak tries more pairs.
    everywhere(Scenario { again_at: Some(|nth| 6 + nth * 7 % 24), options: &EVERYTHING, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_after_a_crash_that_dies_is_recovered() {
    // What the first run created, the second removes again: the intents alone remember it.
    let again_at = Some((|nth| 20 - nth % 4) as fn(u64) -> u64);
    everywhere(Scenario { again_at, rollback: true, options: &EVERYTHING, ..PLAIN }).await;
}

/// Many pairs of crashes, in every way of deploying. CONTRIBUTING names the command.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn soak_two_crashes_anywhere() {
    let shifts: [fn(u64) -> u64; 6] = [
        |nth| 4 + nth % 30,
        |nth| 4 + (nth + 5) % 30,
        |nth| 4 + (nth + 10) % 30,
        |nth| 4 + (nth + 15) % 30,
        |nth| 4 + (nth + 20) % 30,
        |nth| 4 + (nth + 25) % 30,
    ];
    for again_at in shifts {
        for options in [&[][..], &EVERYTHING] {
            for (opaque, rollback) in [(false, false), (true, false), (false, true)] {
                let again_at = Some(again_at);
                everywhere(Scenario { again_at, options, opaque, rollback, unrecorded: false }).await;
            }
        }
    }
}
