//! A request without a response costs seconds, and after a signal nothing continues for longer than half a minute.

use crate::world::patience;
use crate::world::sites::{Place, Site, directory, site, until};
use shipfront::clock::Hand;
use shipfront::error::Error;
use shipfront::exit::Exit;
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use shipfront_edge::{Fault, Gate, Rule};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const BUCKET: &str = "www.example.com";
const TARGET: &str = "s3://www.example.com";
const STATE: &str = ".shipfront/state.json";
const OPTIONS: [&str; 4] = ["--prune-after", "0s", "--concurrency", "1"];
/// Real time for each second of the clock, enough for the edge to answer a request.
const A_SECOND: Duration = Duration::from_millis(60);

/// A request: its operation, its key, and the number of similar ones before it.
type Request = (&'static str, Option<&'static str>, u64);

fn build(number: u32) -> Site {
    site(&[(&format!("app.{number}.js"), &format!("code {number}")), ("index.html", &format!("welcome {number}"))])
}

/// A place where build 1 is deployed, with its requests of one kind held.
async fn held((operation, key, skip): Request, count: u64) -> (Place, Hand, Gate) {
    let (place, hand) = Place::by_hand().await;
    place.edge.ensure_site(BUCKET).unwrap();
    place.start(directory(&build(1)).path(), TARGET, &OPTIONS).await.unwrap();
    let gate = Gate::default();
    let (operation, key) = (Some(operation.to_owned()), key.map(str::to_owned));
    place.edge.faults().add(Rule { operation, key, skip, count, fault: Fault::Hold(gate.clone()) });
    (place, hand, gate)
}

/// Deploys build 2, and lets time pass once its request is held: returns how it ended, and after how many seconds.
async fn deploy(place: &Place, hand: &Hand, gate: &Gate, is_stopped: bool) -> (Result<Report, Error>, u64) {
    let (source, stop) = (directory(&build(2)), CancellationToken::new());
    let deploying = until(place, source.path(), TARGET, &OPTIONS, stop.clone());
    let mut seconds = 0;
    let time = async {
        gate.reached().await;
        if is_stopped {
            stop.cancel();
        }
        loop {
            tokio::time::sleep(A_SECOND).await;
            hand.advance(Duration::from_secs(1));
            seconds += 1;
        }
    };
    let ended = async {
        tokio::select! {
            ended = deploying => ended,
            () = time => unreachable!("time goes on"),
        }
    };
    let ended = tokio::time::timeout(patience::LIMIT, ended).await.expect("it hangs");
    (ended, seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_request_that_nobody_answers_costs_seconds_and_is_sent_again() {
    let requests: [Request; 10] = [
        ("ListObjectsV2", None, 0),
        ("GetObject", Some(STATE), 0),
        ("GetDistributionConfig", None, 0),
        ("PutObject", Some(STATE), 0),
        ("PutObject", Some("app.2.js"), 0),
        ("PutObject", Some("index.html"), 0),
        ("PutObject", Some(STATE), 1),
        ("CreateInvalidation", None, 0),
        ("GetBucketPolicy", None, 0),
        ("DeleteObjects", None, 0),
    ];
    for request in requests {
        let (place, hand, gate) = held(request, 1).await;
        let (ended, seconds) = deploy(&place, &hand, &gate, false).await;
        assert_eq!(ended.unwrap().outcome, Outcome::Deployed, "{request:?}");
        assert!((10..=30).contains(&seconds), "{request:?}: {seconds} s");
        gate.open();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_policy_that_nobody_answers_for_keeps_no_deploy() {
    let (place, hand, gate) = held(("GetBucketPolicy", None, 0), u64::MAX).await;
    let (ended, seconds) = deploy(&place, &hand, &gate, false).await;
    assert_eq!(ended.unwrap().outcome, Outcome::Deployed);
    assert!(seconds <= 40, "{seconds} s");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudfront_that_answers_nothing_is_given_up_by_the_time_that_one_waits_for_it() {
    let (place, hand, gate) = held(("CreateInvalidation", None, 0), u64::MAX).await;
    let (source, options) = (directory(&build(2)), [&OPTIONS[..], &["--wait-timeout", "40s"]].concat());
    let deploying = place.start(source.path(), TARGET, &options);
    let time = async {
        gate.reached().await;
        for _ in 0..90 {
            tokio::time::sleep(A_SECOND).await;
            hand.advance(Duration::from_secs(1));
        }
    };
    let deploying = async { tokio::time::timeout(patience::LIMIT, deploying).await.expect("it hangs") };
    let (ended, ()) = tokio::join!(deploying, time);
    assert_eq!(ended.unwrap().outcome.exit(), Exit::Stale);
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_signal_nothing_that_hangs_keeps_a_deploy_for_longer_than_half_a_minute() {
    let requests: [Request; 9] = [
        ("ListObjectsV2", None, 0),
        ("GetObject", Some(STATE), 0),
        ("GetDistributionConfig", None, 0),
        ("PutObject", Some(STATE), 0),
        ("PutObject", Some("app.2.js"), 0),
        ("PutObject", Some("index.html"), 0),
        ("DeleteObjects", None, 0),
        ("CreateInvalidation", None, 0),
        ("PutObject", Some(STATE), 1),
    ];
    for request in requests {
        let (place, hand, gate) = held(request, u64::MAX).await;
        let (ended, seconds) = deploy(&place, &hand, &gate, true).await;
        assert!(seconds <= 30, "{request:?}: {seconds} s");
        match ended {
            Ok(report) => assert_ne!(report.outcome, Outcome::NothingToDo, "{request:?}"),
            Err(error) => assert_eq!(error.exit(), Exit::Interrupted, "{request:?}: {error}"),
        }
        gate.open();
    }
}
