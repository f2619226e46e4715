//! S3 asks to slow down, for a while, more often than a client's usual number of retries.

use crate::world::site::World;
use serde_json::Value;
use shipfront_edge::Fault;

/// Far more than the SDK's own bucket of retries, which contains a hundred.
const STORM: u64 = 150;
const FILES: usize = 600;

/// A site of small assets that was never deployed.
async fn large_site() -> World {
    let world = World::new(&[("index.html", "welcome")]).await;
    for number in 0..FILES {
        world.write(&format!("assets/{number}.js"), format!("code {number}"));
    }
    world
}

fn limits(json: &Value) -> Vec<u64> {
    let turns = json["concurrency"]["turns"].as_array().unwrap();
    turns.iter().map(|turn| turn["limit"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_slow_downs_is_waited_out_and_the_requests_in_flight_grow_again() {
    let world = large_site().await;
    world.fault("PutObject", 200, STORM, Fault::SlowDown);
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), world.keys().len()), ("deployed", FILES + 1));
    assert_eq!(run.json["concurrency"]["slow_downs"], STORM);
    let limits = limits(&run.json);
    let [start, peak, .., end] = limits[..] else { panic!("{limits:?}") };
    // It may come in bursts.
    let low = limits[2..].iter().copied().min().unwrap();
    assert!(start == 64 && low <= peak / 2 && end > low, "{limits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_s3_caps_are_all_made() {
    let world = large_site().await;
    world.edge.faults().cap_writes_per_second(Some(FILES as u32 / 2));
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), world.keys().len()), ("deployed", FILES + 1));
    assert_eq!(run.objects("failed"), 0);
}
