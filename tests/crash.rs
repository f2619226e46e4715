//! A deploy that dies at any of its requests: the next one leaves nothing stale, deletes nothing that it does not
//! own, and reaches the same result.

mod scripts;

use crate::world::crashes::LeftBehind;
use crate::world::manifest::drift;
use crate::world::oracle::{Oracle, is_record};
use crate::world::sites::{Place, Site, directory, is_page, site};
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use shipfront_edge::{BucketContents, Effect, Fault, ObjectSummary, Rule};
use std::path::Path;
use tempfile::TempDir;

const BUCKET: &str = "crashed";
const FOREIGN: [(&str, &str); 2] = [("foreign.html", "theirs"), ("uploads/photo.jpg", "theirs, too")];
/// Objects whose stored headers differ from the rules, although their bytes are right.
const DRIFTED: [&str; 2] = ["data.json", "drifted.html"];
const WRITES: [&str; 3] = ["PutObject", "DeleteObjects", "CreateInvalidation"];
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

/// What is tested at every request.
#[derive(Clone, Copy)]
struct Scenario {
    options: &'static [&'static str],
    /// ETags say nothing about the bytes.
    opaque: bool,
    /// The crash happens in the very first deploy, to a bucket that another tool filled.
    unrecorded: bool,
    /// After the crash, the previous site is deployed instead of the same one.
    rollback: bool,
    /// At which request the second run dies as well, given where the first one did.
    again_at: Option<fn(u64) -> u64>,
    /// The distribution reads cache tags, and copies of everything that the first deploy uploaded carry them.
    tags: bool,
}

const PLAIN: Scenario =
    Scenario { options: &[], opaque: false, unrecorded: false, rollback: false, again_at: None, tags: false };

struct Sources {
    first: TempDir,
    second: TempDir,
}

/// Tries each request of a scenario until the run has no more of them; returns the number of crashes.
async fn everywhere(scenario: Scenario) -> u64 {
    let sources = Sources { first: directory(&first()), second: directory(&second()) };
    let prepared = Prepared::new(&sources, scenario).await;
    let place = Place::new().await;
    let (mut crashes, mut left) = (0, LeftBehind::default());
    for nth in 1.. {
        for after_effect in [false, true] {
            if !try_one(&place, &sources, &prepared, &mut left, (nth, after_effect)).await {
                assert!(crashes > 40, "a deploy has more than {crashes} crash points");
                assert!(left.len() > 10, "it leaves more than {} things behind", left.len());
                return crashes;
            }
            crashes += 1;
        }
    }
    crashes
}

/// One crash and its consequences; `false` if the run ended before its `nth` request.
async fn try_one(
    place: &Place,
    sources: &Sources,
    prepared: &Prepared,
    left: &mut LeftBehind,
    (nth, after_effect): (u64, bool),
) -> bool {
    let which = format!("at request {nth}, {}", if after_effect { "after its effect" } else { "before its effect" });
    let mut attempt = prepared.attempt(place, which);
    let scenario = prepared.scenario;
    let second = second();
    let (target, distribution) = (attempt.target.clone(), attempt.distribution.clone());
    let options = options(scenario, &distribution);
    if let Some(report) = place.crash(sources.second.path(), &target, &options, nth, after_effect).await {
        assert_eq!(report.unwrap().outcome, Outcome::Deployed);
        return false;
    }
    let crashed = attempt.replay(place, &second);
    let touched = crashed.iter().any(touches_site);
    let intent = place.state(BUCKET).await.is_some_and(|state| !state["intent"].is_null());
    let stale = attempt.oracle.stale();
    assert!(stale.is_empty() || touched && intent, "{}: stale URLs that no intent names: {stale:?}", attempt.which);

    let again_at = scenario.again_at.map(|again_at| again_at(nth));
    if !left.is_new(&crashed, again_at.map(|again_at| (again_at, after_effect))) {
        return true;
    }
    let (source, expected) = match scenario.rollback {
        true => (sources.first.path(), first()),
        false => (sources.second.path(), second),
    };
    if let Some(again_at) = again_at {
        place.outlive_lease();
        place.crash(source, &target, &options, again_at, !after_effect).await;
        attempt.replay(place, &expected);
        // And the third, at the worst moment.
        place.outlive_lease();
        let operation = Some("CreateInvalidation".to_owned());
        place.edge.faults().add(Rule { operation, key: None, skip: 0, count: 1, fault: Fault::CrashBefore });
        place.die(source, &target, &options).await;
        attempt.replay(place, &expected);
    }
    place.outlive_lease();
    let report = attempt.conclude(place, source, &expected).await;
    if scenario.again_at.is_none() {
        assert_eq!(report.recovered.is_some(), intent, "{}: recovered", attempt.which);
    }
    true
}

/// The contents of the bucket before each attempt: the first site, deployed, next to objects of others and a few
/// whose headers are old.
struct Prepared {
    scenario: Scenario,
    before: Site,
    contents: BucketContents,
}

impl Prepared {
    async fn new(sources: &Sources, scenario: Scenario) -> Prepared {
        let place = Place::new().await;
        let distribution = set_up(&place, scenario);
        let mut before = first();
        if scenario.unrecorded {
            for (key, body) in &before {
                place.put(BUCKET, key, body.as_str(), "text/html; charset=utf-8").await;
            }
        } else {
            let options = options(scenario, &distribution);
            let report = place.deploy(sources.first.path(), &format!("s3://{BUCKET}"), &options).await.unwrap();
            assert_eq!(report.outcome, Outcome::Deployed);
            for key in DRIFTED {
                drift(&place.edge, BUCKET, key, &before[key]).await;
            }
        }
        for (key, body) in FOREIGN {
            place.put(BUCKET, key, body, "text/plain").await;
            before.insert(key.to_owned(), body.to_owned());
        }
        Prepared { scenario, before, contents: place.edge.bucket_contents(BUCKET).unwrap() }
    }

    /// Restores the bucket of a place to the start of each attempt.
    fn attempt(&self, place: &Place, which: String) -> Attempt {
        let (scenario, distribution) = (self.scenario, set_up(place, self.scenario));
        place.edge.set_bucket_contents(BUCKET, &self.contents).unwrap();
        let theirs = foreign(place);
        let oracle = Oracle::new(&place.edge, BUCKET, &distribution, &self.before, second().keys());
        place.edge.clear_effects();
        Attempt { which, scenario, target: format!("s3://{BUCKET}"), distribution, oracle, theirs }
    }
}

/// The bucket and its distribution as a scenario needs them; returns the distribution's ID.
fn set_up(place: &Place, scenario: Scenario) -> String {
    let distribution = if scenario.tags { place.tagged_site(BUCKET) } else { place.edge.ensure_site(BUCKET).unwrap() };
    place.edge.set_opaque_etags(BUCKET, scenario.opaque).unwrap();
    distribution
}

/// One attempt, from a prepared bucket.
struct Attempt {
    which: String,
    scenario: Scenario,
    target: String,
    distribution: String,
    oracle: Oracle,
    theirs: Vec<ObjectSummary>,
}

impl Attempt {
    fn options(&self) -> Vec<&str> {
        options(self.scenario, &self.distribution)
    }

    /// Shows the oracle what has changed since the last time.
    fn replay(&mut self, place: &Place, source: &Site) -> Vec<Effect> {
        let effects = place.edge.effects();
        place.edge.clear_effects();
        self.oracle.replay(&effects, &[source]);
        effects
    }

    /// The run after: everything is as it should be, and another run has nothing to do.
    async fn conclude(&mut self, place: &Place, source: &Path, expected: &Site) -> Report {
        let report = place.deploy(source, &self.target, &self.options()).await.unwrap();
        self.replay(place, expected);
        let which = &self.which;
        assert_eq!(self.oracle.complaints, [""; 0], "{which}");
        assert_eq!(self.oracle.stale(), [""; 0], "{which}: stale at the end; {report:#?}");
        assert_eq!(foreign(place), self.theirs, "{which}: foreign objects");
        check_contents(place, expected, self.scenario, which);
        assert_eq!(self.oracle.contents().len(), site_keys(place).len(), "{which}: the oracle lost count");

        place.edge.clear_requests();
        let third = place.deploy(source, &self.target, &self.options()).await.unwrap();
        assert_eq!(third.outcome, Outcome::NothingToDo, "{which}: {third:#?}");
        let requests = place.edge.requests().into_iter().map(|request| request.operation);
        let writes: Vec<String> = requests.filter(|name| WRITES.contains(&name.as_str())).collect();
        assert_eq!(writes, [""; 0], "{which}");
        report
    }
}

fn options(scenario: Scenario, distribution: &str) -> Vec<&str> {
    let fixed = ["--distribution", distribution, "--concurrency", "1"];
    fixed.iter().chain(scenario.options).copied().collect()
}

fn touches_site(effect: &Effect) -> bool {
    matches!(effect, Effect::Put { key, .. } | Effect::Delete { key, .. } if !is_record(key))
}

fn foreign(place: &Place) -> Vec<ObjectSummary> {
    let objects = place.edge.objects(BUCKET).into_iter();
    objects.filter(|object| FOREIGN.iter().any(|(key, _)| *key == object.key)).collect()
}

fn site_keys(place: &Place) -> Vec<String> {
    let objects = place.edge.objects(BUCKET).into_iter();
    objects.map(|object| object.key).filter(|key| !is_record(key)).collect()
}

/// Checks that the bucket contains the site, what others put there, and orphans that have time left.
fn check_contents(place: &Place, expected: &Site, scenario: Scenario, which: &str) {
    let objects = place.edge.objects(BUCKET);
    for (key, body) in expected {
        let object = objects.iter().find(|object| object.key == *key);
        let object = object.unwrap_or_else(|| panic!("{which}: {key} is missing"));
        assert_eq!(object.size, body.len() as u64, "{which}: {key}");
        if !scenario.opaque {
            assert_eq!(object.etag, digest(body), "{which}: {key}");
        }
        assert_eq!(object.headers["content-type"], shipfront_site::media_type::of(key), "{which}: {key}");
    }
    let rest = objects.iter().map(|object| object.key.as_str()).filter(|key| {
        !is_record(key) && !expected.contains_key(*key) && !FOREIGN.iter().any(|(foreign, _)| foreign == key)
    });
    // Without a record, it was not known who owned the previous objects.
    let prunes = scenario.options == EVERYTHING.as_slice();
    let allowed = |key: &&str| (scenario.unrecorded && first().contains_key(*key)) || !(is_page(key) || prunes);
    let rest: Vec<&str> = rest.filter(|key| !allowed(key)).collect();
    assert_eq!(rest, [""; 0], "{which}: left behind");
}

fn digest(body: &str) -> String {
    shipfront_site::etag::hex(&shipfront_site::etag::md5(body.as_bytes()))
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
async fn a_deploy_with_cache_tags_that_dies_anywhere_is_finished_by_the_next() {
    everywhere(Scenario { tags: true, options: &EVERYTHING, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_cache_tags_a_rollback_after_a_crash_that_dies_is_recovered() {
    let again_at = Some((|nth| 20 - nth % 4) as fn(u64) -> u64);
    everywhere(Scenario { tags: true, again_at, rollback: true, options: &EVERYTHING, ..PLAIN }).await;
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
    // A different request for each request of the first run: the soak tries more pairs.
    everywhere(Scenario { again_at: Some(|nth| 6 + nth * 7 % 24), options: &EVERYTHING, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_after_a_crash_that_dies_is_recovered() {
    // What the first run created, the second removes again: only the intents remember it.
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
            for (opaque, rollback, tags) in
                [(false, false, false), (true, false, false), (false, true, false), (false, false, true)]
            {
                let again_at = Some(again_at);
                everywhere(Scenario { again_at, options, opaque, rollback, tags, ..PLAIN }).await;
            }
        }
    }
}
