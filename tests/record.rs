//! The deploy record: what it remembers, who owns each object, and what happens when it is not as it should be.

mod allowance;
mod builds;
mod damage;
mod format;
mod hostile;
mod interruptions;
mod limits;
mod ownership;
mod places;
mod unfinished;

use crate::world::site::{BUCKET, Run, TARGET, World};
use serde_json::Value;
use shipfront_edge::{Fault, Gate};
use std::time::Duration;

const SITE: [(&str, &str); 5] = [
    ("about.html", "about"),
    ("app.js", "code"),
    ("index.html", "welcome"),
    ("old.html", "old"),
    ("style.css", "style"),
];
const STATE: &str = ".shipfront/state.json";
const PRUNE: [&str; 2] = ["--prune-after", "0s"];
const DAY: Duration = Duration::from_secs(86_400);

/// Advances the clock past the end of a lease that is not renewed.
fn outlive_lease(world: &World) {
    world.edge.advance_clock(shipfront::record::lease::LEASE + Duration::from_secs(1));
}

/// A gate for one kind of requests, optionally for one key.
fn hold(world: &World, operation: &str, key: Option<&str>) -> Gate {
    let gate = Gate::default();
    let fault = Fault::Hold(gate.clone());
    match key {
        Some(key) => world.fault_of(operation, key, 0, 1, fault),
        None => world.fault(operation, 0, 1, fault),
    }
    gate
}

/// Changes the state in the bucket.
async fn rewrite_state(world: &World, change: impl FnOnce(&mut Value)) {
    let bytes = crate::world::manifest::read(&world.edge, BUCKET, STATE).await;
    let mut state = serde_json::from_slice(&bytes).unwrap();
    change(&mut state);
    world.put(STATE, serde_json::to_vec(&state).unwrap()).await;
}

/// The state in the bucket.
async fn state(world: &World) -> Value {
    serde_json::from_slice(&crate::world::manifest::read(&world.edge, BUCKET, STATE).await).unwrap()
}

/// `status --json`.
fn status(world: &World) -> Value {
    world.run(&["status", TARGET, "--json"]).expect(0).json
}

/// Checks that the next deploy changes nothing.
fn is_settled(world: &World, options: &[&str]) {
    world.edge.clear_requests();
    assert_eq!(world.deploy(options).expect(0).outcome(), "nothing-to-do");
    assert_eq!(writes_of_any_kind(world), 0);
}

/// Writes to the record included.
fn writes_of_any_kind(world: &World) -> usize {
    ["PutObject", "DeleteObjects", "CreateInvalidation"].iter().map(|operation| count(world, operation)).sum()
}

/// Requests of an operation, those to the record included.
fn count(world: &World, operation: &str) -> usize {
    world.edge.requests().iter().filter(|request| request.operation == operation).count()
}

fn hint(run: &Run) -> &str {
    run.json["hint"].as_str().unwrap_or_default()
}

fn object(world: &World, key: &str) -> shipfront_edge::ObjectSummary {
    let mut objects = world.edge.objects(BUCKET).into_iter();
    objects.find(|object| object.key == key).unwrap_or_else(|| panic!("{key} is missing"))
}
