//! A run that is asked to stop while CloudFront does not accept what must be invalidated.

use super::SITE;
use crate::world::site::{ALWAYS, TARGET, World, error, finish, signal, stop};
use shipfront::aws::{Aws, AwsOptions};
use shipfront::clock::{Clock, Hand};
use shipfront::cloudfront::Distributions;
use shipfront::cloudfront::send::{Patience, Sent, submit};
use shipfront::terminal::{Terminal, Volume};
use shipfront_edge::{Fault, Gate};
use shipfront_invalidation::{DistributionId, Invalidation, InvalidationStatus};
use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const ENOUGH: Duration = Duration::from_secs(30);
const LITTLE: Duration = Duration::from_millis(20);

/// Sends a path with a clock that the test advances, sets the signal after CloudFront got a request, and then lets
/// time pass: returns what was sent, and after how many seconds of that clock.
async fn stopped_by_hand(world: &World) -> (Sent, u64) {
    let (clock, hand): (Clock, Hand) = Clock::by_hand();
    let options = AwsOptions { endpoint_url: Some(world.edge.api_url()), local: true, clock, ..AwsOptions::default() };
    let distributions = Distributions::new(&Aws::load(&options).await.unwrap());
    let id = DistributionId::Distribution(world.distribution.clone());
    let planned = vec![Invalidation::of_items(id, vec!["/about.html".to_owned()])];
    let patience =
        Patience { busy: Duration::from_secs(900), silence: Duration::from_secs(600), until: None, completion: None };
    let (stop, terminal) = (CancellationToken::new(), Terminal::new(Volume::Quiet, true));
    let done = Cell::new(false);
    let sending = async {
        let sent = submit(&distributions, "d1", planned, patience, &stop, &terminal).await;
        done.set(true);
        sent
    };
    let time = async {
        world.arrival_of("CreateInvalidation", 1).await;
        stop.cancel();
        tokio::time::sleep(10 * LITTLE).await;
        let mut seconds = 0;
        while !done.get() {
            assert!(seconds < 120, "it goes on");
            hand.advance(Duration::from_secs(1));
            seconds += 1;
            tokio::time::sleep(LITTLE).await;
        }
        seconds
    };
    tokio::join!(sending, time)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_hangs_is_cut_off_soon_after_a_signal_and_is_not_taken_for_accepted() {
    let world = World::deployed(&SITE).await;
    let gate = Gate::default();
    world.fault("CreateInvalidation", 0, ALWAYS, Fault::Hold(gate.clone()));
    let (sent, seconds) = stopped_by_hand(&world).await;
    assert!((10..=30).contains(&seconds), "{seconds} s");
    assert_eq!(sent.invalidations[0].status, InvalidationStatus::Failed);
    assert!(sent.failed[0].to_string().starts_with("interrupted before CloudFront accepted"), "{}", sent.failed[0]);
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudfront_that_refuses_everything_is_given_up_soon_after_a_signal() {
    for refusal in [error(400, "TooManyInvalidationsInProgress"), error(400, "Throttling"), error(503, "Unavailable")] {
        let world = World::deployed(&SITE).await;
        world.fault("CreateInvalidation", 0, ALWAYS, refusal);
        let (sent, seconds) = stopped_by_hand(&world).await;
        assert!(seconds <= 30, "{seconds} s");
        assert_eq!((sent.paths(), sent.failed.len()), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_accepted_before_a_signal_is_sent_by_the_next_run() {
    let world = World::deployed(&SITE).await;
    world.write("about.html", "an edit");
    world.fault("CreateInvalidation", 0, ALWAYS, error(400, "TooManyInvalidationsInProgress"));
    let mut child = world.start(&[]);
    world.arrival_of("CreateInvalidation", 1).await;
    stop(&mut child, "TERM");
    let stopped = Instant::now();
    let run = finish(child).expect(4);
    assert!(stopped.elapsed() < ENOUGH, "{:?}", stopped.elapsed());
    assert_eq!(run.outcome(), "stale");
    let hints: Vec<&str> =
        run.json["errors"].as_array().unwrap().iter().filter_map(|error| error["hint"].as_str()).collect();
    assert_eq!(hints, ["the next deploy sends it"]);
    let status = world.run(&["status", TARGET, "--json"]).expect(0).json;
    assert!(status["lease"].is_null() && status["pending"]["keys"] == 1, "{status}");

    world.edge.faults().clear();
    world.edge.clear_requests();
    world.deploy(&["--lock-timeout", "0s"]).expect(0);
    assert_eq!(world.writes(), ["INVALIDATE /about.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_paths_that_are_not_accepted_before_a_signal_are_reported_and_the_others_counted() {
    let world = World::deployed(&SITE).await;
    let used = |world: &World| world.run(&["status", TARGET, "--json"]).expect(0).json["allowance"]["used"].as_u64();
    let before = used(&world).unwrap();
    let invalidate = ["invalidate", "--target", TARGET, "--distribution", &world.distribution, "--json"];
    let start = |paths: &[String]| {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        world.command(&[&invalidate[..], &paths].concat()).spawn().unwrap()
    };
    // The first request is accepted, and none after it.
    world.fault("CreateInvalidation", 1, ALWAYS, error(400, "TooManyInvalidationsInProgress"));
    world.edge.clear_requests();
    let mut child = start(&(0..400).map(|at| format!("/{at}")).collect::<Vec<_>>());
    world.arrival_of("CreateInvalidation", 2).await;
    stop(&mut child, "TERM");
    let stopped = Instant::now();
    let run = finish(child).expect(4);
    assert!(stopped.elapsed() < ENOUGH, "{:?}", stopped.elapsed());
    let sent = run.json["invalidations"].as_array().unwrap().iter().filter(|each| each["id"].is_string());
    let sent: usize = sent.map(|each| each["items"].as_array().unwrap().len()).sum();
    assert!((1..400).contains(&sent), "{sent}");
    assert_eq!(used(&world), Some(before + sent as u64));
    // Before it sends, there is nothing to finish.
    let gate = Gate::default();
    world.edge.faults().clear();
    world.fault("ListDistributions", 0, ALWAYS, Fault::Hold(gate.clone()));
    world.edge.clear_requests();
    let child = world.command(&["invalidate", "https://www.example.com/a"]).spawn().unwrap();
    gate.reached().await;
    signal(&child, "TERM");
    finish(child).expect(130).says("nothing was sent");
    gate.open();
}

/// A deploy, started by a shell command, that gets SIGHUP while its upload is held; returns its exit code.
async fn hung_up(start: &str) -> i32 {
    let world = World::deployed(&SITE).await;
    world.write("app.js", "code two");
    world.write("index.html", "welcome two");
    let gate = Gate::default();
    world.fault_of("PutObject", "app.js", 0, 1, Fault::Hold(gate.clone()));
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{start}; exec \"$@\""), "sh"]).arg(crate::world::command::binary());
    command.args(world.arguments("deploy", TARGET, &[]));
    world.settle(&mut command);
    let child = command.spawn().unwrap();
    gate.reached().await;
    signal(&child, "HUP");
    tokio::time::sleep(10 * LITTLE).await;
    gate.open();
    let run = finish(child);
    let last = world.writes().pop().unwrap();
    assert!(last.starts_with("INVALIDATE") && last.contains("/app.js"), "{last}");
    run.exit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_closed_stops_a_deploy_in_order() {
    assert_eq!(hung_up(":").await, 130);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_was_started_to_outlive_its_terminal_does() {
    assert_eq!(hung_up("trap '' HUP").await, 0);
}
