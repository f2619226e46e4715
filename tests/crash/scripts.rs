//! One fault of every kind at every kind of request: whatever the run does about it, the next one leaves nothing
//! stale.

use super::{EVERYTHING, PLAIN, Place, Prepared, Scenario, Sources, directory, first, second};
use shipfront_edge::{Fault, Rule};
use std::path::Path;

const OPERATIONS: [&str; 5] = ["PutObject", "DeleteObjects", "CreateInvalidation", "GetObject", "ListObjectsV2"];

/// What goes wrong, and whether it lasts: a short fault is waited out, a lasting one ends the run.
fn faults() -> Vec<(Fault, u64)> {
    let error = |status, code: &str| {
        let (code, message) = (code.to_owned(), "said the script".to_owned());
        (Fault::Error { status, code, message }, 1)
    };
    let keys = ["app.1a.js", "old.html"].map(str::to_owned).to_vec();
    vec![
        (Fault::SlowDown, 2),
        (Fault::ResetBefore, 1),
        (Fault::ResetAfter, 1),
        (Fault::TruncateBody, 1),
        (Fault::DeleteErrors { keys }, 1),
        error(500, "InternalError"),
        error(412, "PreconditionFailed"),
        error(409, "ConditionalRequestConflict"),
        error(403, "AccessDenied"),
        error(400, "ExpiredToken"),
    ]
}

async fn try_one(prepared: &Prepared, second_source: &Path, operation: &str, skip: u64, fault: &Fault, count: u64) {
    let place = Place::new().await;
    let which = format!("{operation} {skip}: {fault:?}");
    let mut attempt = prepared.attempt(&place, which);
    let rule = Rule { operation: Some(operation.to_owned()), key: None, skip, count, fault: fault.clone() };
    place.edge.faults().add(rule);
    let ended = place.deploy(second_source, &attempt.target, &attempt.options()).await;
    place.edge.faults().clear();
    attempt.replay(&place, &second());
    // A run that reports success must be right.
    if let Ok(report) = ended
        && report.outcome.exit() == shipfront::exit::Exit::Done
    {
        assert_eq!(attempt.oracle.stale(), [""; 0], "{}: {report:#?}", attempt.which);
    }
    place.outlive_lease();
    attempt.conclude(&place, second_source, &second()).await;
}

async fn every_fault(operations: &[&str], skips: &[u64]) {
    let scenario = Scenario { options: &EVERYTHING, ..PLAIN };
    let sources = Sources { first: directory(&first()), second: directory(&second()) };
    let prepared = Prepared::new(&sources, scenario).await;
    let (prepared, source) = (&prepared, sources.second.path());
    let faults = faults();
    let tries = operations.iter().flat_map(|operation| {
        let at = |&skip| faults.iter().map(move |(fault, count)| (skip, fault, *count));
        skips
            .iter()
            .flat_map(at)
            .map(move |(skip, fault, count)| try_one(prepared, source, operation, skip, fault, count))
    });
    let tries: Vec<_> = tries.collect();
    // Most of the time is spent waiting for retries.
    let mut tries = futures::stream::StreamExt::buffer_unordered(futures::stream::iter(tries), 16);
    while futures::StreamExt::next(&mut tries).await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn any_fault_of_a_write_leaves_nothing_stale_for_good() {
    every_fault(&["PutObject"], &[0, 1, 2, 4, 6, 10, 11]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_fault_of_other_requests_leaves_nothing_stale_for_good() {
    every_fault(&OPERATIONS[1..], &[0, 1]).await;
}
