//! Two deploys at once: one after the other, the newer build last, never a mixture of the two.

use crate::world::oracle::{Oracle, is_record};
use crate::world::patience;
use crate::world::sites::{Place, Site, directory, site};
use shipfront::clock::Hand;
use shipfront::error::Error;
use shipfront::exit::Exit;
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use shipfront_edge::{BucketContents, Fault, Gate, RecordedRequest, Rule};
use shipfront_site::etag::{hex, md5};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

const BUCKET: &str = "www.example.com";
const TARGET: &str = "s3://www.example.com";
const STATE: &str = ".shipfront/state.json";

/// The site of build `number`.
fn build(number: u32) -> Site {
    let index = format!(r#"welcome {number} <img src="/app.{number}.js"><img src="/style.css">"#);
    let page = format!(r#"news of {number} <img src="/style.css">"#);
    site(&[
        (&format!("app.{number}.js"), &format!("code {number}")),
        ("index.html", &index),
        (&format!("news/{number}.html"), &page),
        ("style.css", &format!("style {number}")),
    ])
}

/// A place where build 1 is deployed.
async fn deployed() -> (Place, Oracle) {
    let place = Place::new().await;
    let oracle = deploy_first(&place).await;
    (place, oracle)
}

/// The same, with a clock that the test advances.
async fn deployed_by_hand() -> (Place, Oracle, Hand) {
    let (place, hand) = Place::by_hand().await;
    let oracle = deploy_first(&place).await;
    (place, oracle, hand)
}

async fn deploy_first(place: &Place) -> Oracle {
    place.edge.ensure_site(BUCKET).unwrap();
    deploy(place, 1, &["--build-number", "1"]).await.unwrap();
    place.edge.clear_effects();
    place.edge.clear_requests();
    watch(place)
}

/// Another place whose bucket has the contents from when build 1 was deployed.
async fn deployed_before(contents: &BucketContents) -> (Place, Oracle) {
    let place = Place::new().await;
    place.edge.ensure_site(BUCKET).unwrap();
    place.edge.set_bucket_contents(BUCKET, contents).unwrap();
    let oracle = watch(&place);
    (place, oracle)
}

fn watch(place: &Place) -> Oracle {
    let distribution = place.edge.ensure_site(BUCKET).unwrap();
    let others = [build(2), build(3)];
    Oracle::new(&place.edge, BUCKET, &distribution, &build(1), others.iter().flat_map(Site::keys))
}

async fn deploy(place: &Place, number: u32, options: &[&str]) -> Result<Report, Error> {
    let source = directory(&build(number));
    start(place, source.path(), options).await
}

async fn start(place: &Place, source: &Path, options: &[&str]) -> Result<Report, Error> {
    let options: Vec<&str> = ["--prune-after", "0s", "--concurrency", "1"].iter().chain(options).copied().collect();
    place.start(source, TARGET, &options).await
}

fn once(place: &Place, operation: Option<&str>, key: Option<&str>, skip: u64, fault: Fault) {
    let (operation, key) = (operation.map(str::to_owned), key.map(str::to_owned));
    place.edge.faults().add(Rule { operation, key, skip, count: 1, fault });
}

/// The build in the bucket, if the bucket contains exactly one.
fn held(place: &Place) -> Option<u32> {
    let objects = place.edge.objects(BUCKET).into_iter().filter(|object| !is_record(&object.key));
    let held: Vec<(String, String)> = objects.map(|object| (object.key, object.etag)).collect();
    let digests = |site: Site| site.into_iter().map(|(key, body)| (key, hex(&md5(body.as_bytes()))));
    (1..=3).find(|&number| digests(build(number)).collect::<Vec<_>>() == held)
}

fn exit(result: &Result<Report, Error>) -> Exit {
    match result {
        Ok(report) => report.outcome.exit(),
        Err(error) => error.exit(),
    }
}

/// Ends when the edge has received no request for a while: everything that is left is waiting.
async fn quiet(place: &Place) {
    let count = || place.edge.requests().last().map_or(0, |request| request.ordinal);
    loop {
        let before = count();
        tokio::time::sleep(Duration::from_millis(150)).await;
        if count() == before {
            return;
        }
    }
}

/// Holds one deploy before its `nth` request, lets the other run as far as it gets, and lets both continue. `None`
/// if the first ended before its `nth` request.
async fn interleave(contents: &BucketContents, nth: u64, builds: Option<(u32, u32)>) -> Option<u32> {
    let (place, mut oracle) = deployed_before(contents).await;
    let (one, other) = builds.unwrap_or((2, 3));
    let sources = (directory(&build(one)), directory(&build(other)));
    let numbers = (one.to_string(), other.to_string());
    let options = |number| match builds {
        Some(_) => vec!["--build-number", number],
        None => Vec::new(),
    };
    let gate = Gate::default();
    once(&place, None, None, nth - 1, Fault::Hold(gate.clone()));
    let one_options = options(numbers.0.as_str());
    let mut first = pin!(start(&place, sources.0.path(), &one_options));
    tokio::select! {
        ended = &mut first => {
            assert_eq!(ended.unwrap().outcome, Outcome::Deployed);
            return None;
        }
        () = gate.reached() => {}
    }
    let release = async {
        quiet(&place).await;
        gate.open();
    };
    let other_options = options(numbers.1.as_str());
    let second = start(&place, sources.1.path(), &other_options);
    let (first, second, ()) = tokio::join!(first, second, release);

    oracle.replay(&place.edge.effects(), &[&build(one), &build(other)]);
    assert_eq!(oracle.complaints, [""; 0], "request {nth}");
    assert_eq!(oracle.stale(), [""; 0], "request {nth}: stale; {first:#?} {second:#?}");
    let held = held(&place).unwrap_or_else(|| panic!("request {nth}: a mixture: {:?}", oracle.contents()));
    if builds.is_some() {
        assert_eq!(held, 3, "request {nth}: the newer build wins");
        let (older, newer) = if one == 3 { (&second, &first) } else { (&first, &second) };
        assert_eq!(exit(newer), Exit::Done, "request {nth}: {newer:?}");
        assert!(matches!(exit(older), Exit::Done | Exit::Locked), "request {nth}: {older:?}");
    } else {
        assert_eq!((exit(&first), exit(&second)), (Exit::Done, Exit::Done), "request {nth}");
    }
    let number = if held == one { &numbers.0 } else { &numbers.1 };
    let again = deploy(&place, held, &options(number.as_str())).await.unwrap();
    assert_eq!(again.outcome, Outcome::NothingToDo, "request {nth}: {again:#?}");
    Some(held)
}

/// Every request of the first, many at a time: most of them wait.
async fn everywhere(builds: Option<(u32, u32)>) -> Vec<u32> {
    let (place, _) = deployed().await;
    let contents = place.edge.bucket_contents(BUCKET).unwrap();
    let mut winners = Vec::new();
    for batch in 0.. {
        let tries = (1..=12).map(|at| interleave(&contents, batch * 12 + at, builds));
        let ended = futures::future::join_all(tries).await;
        winners.extend(ended.iter().flatten());
        if ended.contains(&None) {
            assert!(winners.len() > 15, "a deploy has more requests than {}", winners.len());
            return winners;
        }
    }
    winners
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_deploys_at_once_one_comes_whole_after_the_other() {
    let winners = everywhere(None).await;
    assert!(winners.contains(&2) && winners.contains(&3), "whoever is last: {winners:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_build_that_is_held_up_anywhere_never_wins() {
    everywhere(Some((2, 3))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_build_that_is_held_up_anywhere_wins() {
    everywhere(Some((3, 2))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_the_state_whose_answer_was_lost_is_known_as_ones_own() {
    for skip in [0, 1] {
        let (place, _) = deployed().await;
        once(&place, Some("PutObject"), Some(STATE), skip, Fault::ResetAfter);
        let report = deploy(&place, 2, &[]).await.unwrap();
        assert_eq!(report.outcome, Outcome::Deployed, "write {skip}");
        let doubts = report.warnings.iter().filter(|warning| warning.to_string().contains("not updated")).count();
        assert_eq!(doubts, 0, "write {skip}: {:?}", report.warnings);
        let lists = place.edge.requests().iter().filter(|request| request.operation == "ListObjectsV2").count();
        assert_eq!(lists, 2, "nothing was looked at again");
        assert_eq!(deploy(&place, 2, &[]).await.unwrap().outcome, Outcome::NothingToDo);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_over_the_state_makes_a_deploy_look_again() {
    for (status, code) in [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict")] {
        let (place, _) = deployed().await;
        let fault = Fault::Error { status, code: code.to_owned(), message: "said the script".to_owned() };
        once(&place, Some("PutObject"), Some(STATE), 0, fault);
        assert_eq!(deploy(&place, 2, &[]).await.unwrap().outcome, Outcome::Deployed, "{code}");
        let requests = place.edge.requests();
        let lists = requests.iter().filter(|request| request.operation == "ListObjectsV2").count();
        assert_eq!(lists, 4, "{code}: everything was looked at again");
        assert_eq!(held(&place), Some(2));
    }
}

/// Holds a deploy of build 2 at its first page, under its lease.
async fn stuck(place: &Place, gate: &Gate) {
    // A retry of the same upload is held as well.
    let (operation, key) = (Some("PutObject".to_owned()), Some("index.html".to_owned()));
    place.edge.faults().add(Rule { operation, key, skip: 0, count: u64::MAX, fault: Fault::Hold(gate.clone()) });
}

/// Lets time pass for the deploys and for S3 alike.
fn pass(place: &Place, hand: &Hand, seconds: u64) {
    place.edge.advance_clock(Duration::from_secs(seconds));
    hand.advance(Duration::from_secs(seconds));
}

/// How often the state was written, or a write was attempted.
fn state_writes(place: &Place) -> usize {
    let is_write =
        |request: &&RecordedRequest| request.operation == "PutObject" && request.key.as_deref() == Some(STATE);
    place.edge.requests().iter().filter(is_write).count()
}

/// Lets enough time pass that the lease is renewed, and waits until S3 has received and answered the renewal: time
/// that passes before that is silence.
async fn renewal(place: &Place, hand: &Hand) {
    let before = state_writes(place);
    pass(place, hand, 25);
    patience::until(async || state_writes(place) > before, || "the lease is not renewed".to_owned()).await;
    quiet(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_renewed_is_not_taken_over() {
    let (place, _, hand) = deployed_by_hand().await;
    let gate = Gate::default();
    stuck(&place, &gate).await;
    let holder = deploy(&place, 2, &[]);
    let others = async {
        gate.reached().await;
        // Longer than a lease lasts.
        for _ in 0..5 {
            renewal(&place, &hand).await;
        }
        let other = deploy(&place, 3, &["--lock-timeout", "0s"]).await;
        assert_eq!(exit(&other), Exit::Locked, "{other:?}");
        gate.open();
    };
    let (holder, ()) = tokio::join!(holder, others);
    assert_eq!(holder.unwrap().outcome, Outcome::Deployed);
    assert_eq!(held(&place), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_renewed_is_given_up_before_it_ends() {
    let (place, _, hand) = deployed_by_hand().await;
    let gate = Gate::default();
    stuck(&place, &gate).await;
    let holder = deploy(&place, 2, &[]);
    let others = async {
        gate.reached().await;
        let fault =
            Fault::Error { status: 403, code: "AccessDenied".to_owned(), message: "said the script".to_owned() };
        let (operation, key) = (Some("PutObject".to_owned()), Some(STATE.to_owned()));
        place.edge.faults().add(Rule { operation, key, skip: 0, count: u64::MAX, fault });
        renewal(&place, &hand).await;
        pass(&place, &hand, 40);
    };
    let holder = async { tokio::time::timeout(patience::LIMIT, holder).await.expect("it gives up") };
    let (holder, ()) = tokio::join!(holder, others);
    assert_eq!(exit(&holder), Exit::Stale, "{holder:?}");
    assert!(holder.unwrap_err().to_string().contains("the lock was lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_whose_lease_was_taken_over_stops() {
    let (place, mut oracle, hand) = deployed_by_hand().await;
    let gate = Gate::default();
    stuck(&place, &gate).await;
    let holder = deploy(&place, 2, &[]);
    let other = async {
        gate.reached().await;
        // Only S3's clock: the holder has not noticed.
        place.outlive_lease();
        place.edge.faults().clear();
        let other = deploy(&place, 3, &["--lock-timeout", "0s"]).await.unwrap();
        pass(&place, &hand, 25);
        other
    };
    let holder = async { tokio::time::timeout(patience::LIMIT, holder).await.expect("it notices") };
    let (holder, other) = tokio::join!(holder, other);
    assert_eq!(exit(&holder), Exit::Stale, "{holder:?}");
    assert!(other.recovered.is_some());
    assert_eq!(held(&place), Some(3));
    oracle.replay(&place.edge.effects(), &[&build(2), &build(3)]);
    assert_eq!(oracle.stale(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_longer_than_the_lease_is_trusted_asks_before_it_gives_up() {
    let (place, mut oracle, hand) = deployed_by_hand().await;
    let gate = Gate::default();
    stuck(&place, &gate).await;
    let holder = deploy(&place, 2, &[]);
    let pause = async {
        gate.reached().await;
        let before = state_writes(&place);
        pass(&place, &hand, 62);
        patience::until(async || state_writes(&place) > before, || "nobody asked".to_owned()).await;
        quiet(&place).await;
        gate.open();
        // The upload that was silent for that long is retried after a pause.
        pass(&place, &hand, 10);
    };
    let holder = async { tokio::time::timeout(patience::LIMIT, holder).await.expect("it goes on") };
    let (holder, ()) = tokio::join!(holder, pause);
    assert_eq!(holder.unwrap().outcome, Outcome::Deployed);
    assert_eq!(held(&place), Some(2));
    oracle.replay(&place.edge.effects(), &[&build(2)]);
    assert_eq!(oracle.stale(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_in_which_another_deploy_took_over_is_the_end() {
    let (place, mut oracle, hand) = deployed_by_hand().await;
    let gate = Gate::default();
    stuck(&place, &gate).await;
    let holder = deploy(&place, 2, &[]);
    let other = async {
        gate.reached().await;
        place.outlive_lease();
        place.edge.faults().clear();
        let other = deploy(&place, 3, &["--lock-timeout", "0s"]).await.unwrap();
        hand.advance(Duration::from_secs(200));
        other
    };
    let holder = async { tokio::time::timeout(patience::LIMIT, holder).await.expect("it notices") };
    let (holder, other) = tokio::join!(holder, other);
    assert_eq!(exit(&holder), Exit::Stale, "{holder:?}");
    assert!(other.recovered.is_some());
    assert_eq!(held(&place), Some(3));
    oracle.replay(&place.edge.effects(), &[&build(2), &build(3)]);
    assert_eq!(oracle.stale(), [""; 0]);
}
