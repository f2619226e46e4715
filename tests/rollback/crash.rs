//! A rollback that dies at any of its requests is finished by the next run, of either kind.

use crate::world::crashes::LeftBehind;
use crate::world::oracle::{Oracle, is_record};
use crate::world::sites::{Place, Site, directory, site};
use shipfront::outcome::Outcome;
use shipfront_edge::BucketContents;
use shipfront_site::etag::{hex, md5};
use tempfile::TempDir;

const BUCKET: &str = "restored";
const TARGET: &str = "s3://restored";
const FOREIGN: (&str, &str) = ("theirs.html", "theirs");

fn first() -> Site {
    site(&[
        ("about.html", r#"about <img src="/style.css">"#),
        ("app.1a.js", "code one"),
        ("index.html", r#"welcome <img src="/app.1a.js"><img src="/style.css">"#),
        ("keep.html", "the same"),
        ("old.html", r#"going <img src="/app.1a.js">"#),
        ("style.css", "style one"),
    ])
}

fn second() -> Site {
    site(&[
        ("about.html", r#"about us <img src="/style.css">"#),
        ("app.2b.js", "code two"),
        ("index.html", r#"welcome <img src="/app.2b.js"><img src="/style.css">"#),
        ("keep.html", "the same"),
        ("news.html", r#"news <img src="/app.2b.js">"#),
        ("style.css", "style two"),
    ])
}

/// What finishes a dead rollback.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Rollback,
    OldBuild,
    NewBuild,
}

struct Scenario {
    next: Next,
    /// ETags say nothing about the bytes.
    opaque: bool,
    tags: bool,
    /// The bucket keeps no versions, but the record keeps copies.
    copies: bool,
}

const PLAIN: Scenario = Scenario { next: Next::Rollback, opaque: false, tags: false, copies: false };

struct Prepared {
    place: Place,
    distribution: String,
    contents: BucketContents,
    /// The deploy to go back to.
    deploy: String,
    sources: (TempDir, TempDir),
}

impl Prepared {
    async fn new(scenario: &Scenario) -> Prepared {
        let place = Place::new().await;
        let distribution =
            if scenario.tags { place.tagged_site(BUCKET) } else { place.edge.ensure_site(BUCKET).unwrap() };
        if !scenario.copies {
            place.edge.set_versioning(BUCKET, true).unwrap();
        }
        place.edge.set_opaque_etags(BUCKET, scenario.opaque).unwrap();
        let sources = (directory(&first()), directory(&second()));
        let deploy = async |source: &TempDir| {
            Box::pin(place.deploy(source.path(), TARGET, &options(scenario, &distribution))).await.unwrap();
            place.state(BUCKET).await.unwrap()["manifest"].as_str().unwrap().to_owned()
        };
        let oldest = deploy(&sources.0).await;
        deploy(&sources.1).await;
        place.put(BUCKET, FOREIGN.0, FOREIGN.1, "text/html; charset=utf-8").await;
        let contents = place.edge.bucket_contents(BUCKET).unwrap();
        Prepared { place, distribution, contents, deploy: oldest, sources }
    }
}

fn options<'a>(scenario: &Scenario, distribution: &'a str) -> Vec<&'a str> {
    let mut options = vec!["--distribution", distribution, "--concurrency", "1", "--prune-after", "0s"];
    options.extend(["--history", "copies"].into_iter().filter(|_| scenario.copies));
    options
}

/// Tries each request of a rollback until it has no more of them; returns the number of crashes.
async fn everywhere(scenario: Scenario) -> u64 {
    let prepared = Box::pin(Prepared::new(&scenario)).await;
    let (mut crashes, mut left) = (0, LeftBehind::default());
    for nth in 1.. {
        for after_effect in [false, true] {
            if !Box::pin(try_one(&prepared, &scenario, &mut left, (nth, after_effect))).await {
                assert!(crashes > 40, "a rollback has more than {crashes} crash points");
                assert!(left.len() > 10, "it leaves more than {} things behind", left.len());
                return crashes;
            }
            crashes += 1;
        }
    }
    crashes
}

async fn try_one(
    prepared: &Prepared,
    scenario: &Scenario,
    left: &mut LeftBehind,
    (nth, after_effect): (u64, bool),
) -> bool {
    let Prepared { place, distribution, contents, deploy, sources } = prepared;
    let which = format!("at request {nth}, {}", if after_effect { "after its effect" } else { "before its effect" });
    place.edge.set_bucket_contents(BUCKET, contents).unwrap();
    let mut before = second();
    before.insert(FOREIGN.0.to_owned(), FOREIGN.1.to_owned());
    let mut oracle = Oracle::new(&place.edge, BUCKET, distribution, &before, first().keys());
    place.edge.clear_effects();
    let mut back = options(scenario, distribution);
    back.extend(["--to", deploy]);
    if let Some(report) = Box::pin(place.crash_rollback(TARGET, &back, nth, after_effect)).await {
        assert_eq!(report.unwrap().outcome, Outcome::Deployed);
        return false;
    }
    let crashed = place.edge.effects();
    oracle.replay(&crashed, &[&first()]);
    let intent = place.state(BUCKET).await.is_some_and(|state| !state["intent"].is_null());
    assert!(oracle.stale().is_empty() || intent, "{which}: stale URLs that no intent names: {:?}", oracle.stale());
    place.outlive_lease();
    place.edge.clear_effects();
    if !left.is_new(&crashed, ()) {
        return true;
    }
    let (source, expected) = match scenario.next {
        Next::Rollback | Next::OldBuild => (sources.0.path(), first()),
        Next::NewBuild => (sources.1.path(), second()),
    };
    let options = options(scenario, distribution);
    let report = match scenario.next {
        Next::Rollback => Box::pin(place.rollback(TARGET, &back)).await,
        Next::OldBuild | Next::NewBuild => Box::pin(place.deploy(source, TARGET, &options)).await,
    };
    let report = report.unwrap_or_else(|error| panic!("{which}: {error}"));
    assert_eq!(report.outcome.exit(), shipfront::exit::Exit::Done, "{which}: {report:#?}");
    assert_eq!(report.recovered.is_some(), intent, "{which}: recovered");
    oracle.replay(&place.edge.effects(), &[&expected]);
    assert_eq!(oracle.complaints, [""; 0], "{which}");
    assert_eq!(oracle.stale(), [""; 0], "{which}: stale at the end; {report:#?}");
    check_contents(place, &expected, scenario, &which);
    let third = Box::pin(place.deploy(source, TARGET, &options)).await.unwrap();
    assert_eq!(third.outcome, Outcome::NothingToDo, "{which}: {third:#?}");
    true
}

fn check_contents(place: &Place, expected: &Site, scenario: &Scenario, which: &str) {
    let objects = place.edge.objects(BUCKET).into_iter().filter(|object| !is_record(&object.key));
    let held: Vec<(String, String)> = objects.map(|object| (object.key, object.etag)).collect();
    let keys: Vec<&str> = held.iter().map(|(key, _)| key.as_str()).collect();
    let mut wanted: Vec<&str> = expected.keys().map(String::as_str).chain([FOREIGN.0]).collect();
    wanted.sort_unstable();
    assert_eq!(keys, wanted, "{which}");
    for (key, etag) in held.iter().filter(|(key, _)| !scenario.opaque && *key != FOREIGN.0) {
        assert_eq!(*etag, hex(&md5(expected[key].as_bytes())), "{which}: {key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_dies_anywhere_is_finished_by_the_next_one() {
    everywhere(PLAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_dies_anywhere_is_finished_by_a_deploy_of_the_old_build() {
    everywhere(Scenario { next: Next::OldBuild, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_dies_anywhere_is_undone_by_a_deploy_of_the_new_build() {
    everywhere(Scenario { next: Next::NewBuild, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_dies_under_kms_is_finished() {
    everywhere(Scenario { opaque: true, ..PLAIN }).await;
    everywhere(Scenario { opaque: true, next: Next::OldBuild, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_with_cache_tags_that_dies_is_finished() {
    everywhere(Scenario { tags: true, ..PLAIN }).await;
    everywhere(Scenario { tags: true, next: Next::NewBuild, ..PLAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_from_copies_that_dies_is_finished() {
    everywhere(Scenario { copies: true, ..PLAIN }).await;
    everywhere(Scenario { copies: true, next: Next::NewBuild, ..PLAIN }).await;
}

/// A dead deploy is rolled back as well: to the site of the last completed one, or to one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_dies_anywhere_is_rolled_back() {
    let prepared = Box::pin(Prepared::new(&PLAIN)).await;
    let Prepared { place, distribution, contents, deploy, sources } = &prepared;
    let third =
        site(&[("about.html", "about all"), ("app.3c.js", "code three"), ("index.html", "new"), ("third.html", "3")]);
    let third_source = directory(&third);
    let options = options(&PLAIN, distribution);
    let mut crashes = 0;
    for nth in 1..40 {
        place.edge.set_bucket_contents(BUCKET, contents).unwrap();
        let live = place.state(BUCKET).await.unwrap()["manifest"].as_str().unwrap().to_owned();
        let mut before = second();
        before.insert(FOREIGN.0.to_owned(), FOREIGN.1.to_owned());
        let others: Vec<String> = first().into_keys().chain(third.keys().cloned()).collect();
        let mut oracle = Oracle::new(&place.edge, BUCKET, distribution, &before, others.iter());
        place.edge.clear_effects();
        if Box::pin(place.crash(third_source.path(), TARGET, &options, nth, nth % 2 == 0)).await.is_some() {
            break;
        }
        crashes += 1;
        oracle.replay(&place.edge.effects(), &[&third]);
        place.outlive_lease();
        place.edge.clear_effects();
        let (to, expected, source) = match nth % 3 {
            0 => (live.as_str(), second(), &sources.1),
            _ => (deploy.as_str(), first(), &sources.0),
        };
        let mut back = options.clone();
        back.extend(["--to", to]);
        let report = Box::pin(place.rollback(TARGET, &back)).await.unwrap_or_else(|error| panic!("{nth}: {error}"));
        oracle.replay(&place.edge.effects(), &[&expected]);
        assert_eq!(oracle.stale(), [""; 0], "{nth}: {report:#?}");
        check_contents(place, &expected, &PLAIN, &nth.to_string());
        let settled = Box::pin(place.deploy(source.path(), TARGET, &options)).await.unwrap();
        assert_eq!(settled.outcome, Outcome::NothingToDo, "{nth}: {settled:#?}");
    }
    assert!(crashes > 20, "{crashes}");
}
