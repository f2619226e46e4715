//! What limits the speed of a deploy, counted and not timed: sequential round trips, and connections.

use crate::world::sites::{Place, Site, directory, site, write};
use shipfront_edge::{Edge, RecordedRequest};
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::TempDir;

/// The edge's delay for each request: requests that come closer together than this cannot have waited for each
/// other.
const LATENCY: Duration = Duration::from_millis(250);
/// Number of attempts, the best of which counts: on a busy machine, a request may come as late as if it had waited
/// for another.
const TRIES: usize = 3;
const BUCKET: &str = "www.example.com";
const TARGET: &str = "s3://www.example.com";

/// Groups of requests that may have been in flight at the same time, one group after another.
fn round_trips(requests: Vec<RecordedRequest>) -> Vec<Vec<RecordedRequest>> {
    let mut trips: Vec<Vec<RecordedRequest>> = Vec::new();
    for request in requests {
        match trips.last_mut() {
            Some(trip) if request.at < trip[0].at + LATENCY => trip.push(request),
            _ => trips.push(vec![request]),
        }
    }
    trips
}

fn is_listing(trip: &[RecordedRequest]) -> bool {
    trip.iter().all(|request| request.operation == "ListObjectsV2")
}

fn is_invalidation(request: &RecordedRequest) -> bool {
    request.operation == "CreateInvalidation"
}

fn is_manifest(request: &RecordedRequest) -> bool {
    let is_named = request.key.as_deref().is_some_and(|key| key.starts_with(".shipfront/manifest-"));
    request.operation == "PutObject" && is_named
}

fn pages(count: usize) -> Site {
    (0..count).map(|page| (format!("page-{page:02}.html"), format!("page {page}"))).collect()
}

/// A slow edge with a site that is deployed there.
async fn deployed(before: &Site) -> (Place, TempDir) {
    let place = Place::slow(LATENCY).await;
    place.edge.ensure_site(BUCKET).unwrap();
    let source = directory(before);
    place.deploy(source.path(), TARGET, &["--no-wait"]).await.unwrap();
    place.edge.clear_requests();
    (place, source)
}

/// The round trips of a deploy of `after` over `before`, up to the one with the invalidation, without those that
/// only list: the fewest of some attempts.
async fn fewest_round_trips(before: &Site, after: impl Fn(usize) -> Site) -> Vec<Vec<RecordedRequest>> {
    let (place, source) = deployed(before).await;
    let mut fewest: Option<Vec<Vec<RecordedRequest>>> = None;
    for number in 0..TRIES {
        write(source.path(), &after(number));
        place.deploy(source.path(), TARGET, &["--no-wait"]).await.unwrap();
        let mut trips = round_trips(place.edge.requests());
        let last = trips.iter().position(|trip| trip.iter().any(is_invalidation)).unwrap();
        trips.truncate(last + 1);
        trips.retain(|trip| !is_listing(trip));
        if fewest.as_ref().is_none_or(|fewest| trips.len() < fewest.len()) {
            fewest = Some(trips);
        }
        place.edge.clear_requests();
    }
    fewest.unwrap()
}

fn shown(trips: &[Vec<RecordedRequest>]) -> Vec<Vec<String>> {
    let line = |request: &RecordedRequest| format!("{} {:?}", request.operation, request.key);
    trips.iter().map(|trip| trip.iter().map(line).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_page_is_live_after_six_round_trips() {
    let before = pages(20);
    let trips = fewest_round_trips(&before, |number| {
        let mut after = before.clone();
        after.insert("page-07.html".to_owned(), format!("another page 7, {number}"));
        after
    });
    let trips = trips.await;
    // The state; everything that it names; the plan; the lock; the page; the invalidation.
    assert!(trips.len() <= 6, "{:#?}", shown(&trips));
    assert!(trips.last().unwrap().iter().any(is_manifest), "the manifest is written beside: {:#?}", shown(&trips));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_page_and_its_asset_are_live_after_seven_round_trips() {
    let mut before = pages(20);
    before.insert("style.css".to_owned(), "body {}".to_owned());
    let trips = fewest_round_trips(&before, |number| {
        let mut after = before.clone();
        after.insert("page-07.html".to_owned(), format!("another page 7, {number}"));
        after.insert("style.css".to_owned(), format!("body {{ margin: {number}px }}"));
        after
    });
    let trips = trips.await;
    assert!(trips.len() <= 7, "{:#?}", shown(&trips));
}

/// The connections of all requests so far, and how many were in use at the same time.
fn connections(edge: &Edge) -> (usize, u64) {
    let requests = edge.requests();
    let connections: BTreeSet<u64> = requests.iter().map(|request| request.connection).collect();
    (connections.len(), requests.iter().map(|request| request.in_flight).max().unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_no_more_than_requests_under_way_at_once() {
    let place = Place::new().await;
    place.edge.ensure_site(BUCKET).unwrap();
    let files: Vec<(String, String)> = (0..300).map(|file| (format!("{file:03}.css"), "x".repeat(file))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(key, body)| (key.as_str(), body.as_str())).collect();
    let source = directory(&site(&files));
    place.deploy(source.path(), TARGET, &["--no-wait", "--concurrency", "8"]).await.unwrap();
    let (opened, at_once) = connections(&place.edge);
    // Those of the record and of CloudFront wait for no others.
    let most = 8 + 2;
    assert!(at_once <= most, "{at_once} requests at once");
    assert!(opened as u64 <= most, "{opened} connections for at most {most} requests at once");
}
