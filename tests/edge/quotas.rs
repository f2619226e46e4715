//! CloudFront's quotas of invalidations, each rule separately and all at once, as AWS's own client sees them.

use std::time::Duration;

use aws_sdk_cloudfront::Client;
use shipfront_edge::{Edge, LoadRefusal, Progress, Quotas};

use super::cloudfront::invalidate;
use crate::world::aws::{cloudfront, code, edge};

const TOO_MANY: &str = "TooManyInvalidationsInProgress";

struct World {
    edge: Edge,
    client: Client,
    id: String,
    references: std::cell::Cell<u32>,
}

impl World {
    /// Invalidations take 20 seconds of the edge's clock, which does not move by itself.
    async fn under(quotas: Quotas) -> Self {
        let edge = edge().await;
        let id = edge.ensure_site("site").unwrap();
        edge.stop_clock();
        edge.set_invalidation_progress(Progress::After(Duration::from_secs(20)));
        edge.set_invalidation_quotas(quotas);
        let client = cloudfront(&edge);
        Self { edge, client, id, references: 0.into() }
    }

    /// Sends this many paths and wildcards in one request; returns `accepted`, or the code of the refusal.
    async fn send(&self, paths: usize, wildcards: usize) -> String {
        self.references.set(self.references.get() + 1);
        let number = self.references.get();
        let paths = (0..paths).map(|index| format!("/{number}/{index}"));
        let wildcards = (0..wildcards).map(|index| format!("/{number}/{index}/*"));
        let items: Vec<String> = paths.chain(wildcards).collect();
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        match invalidate(&self.client, &self.id, &number.to_string(), &items).await {
            Ok(_) => "accepted".to_owned(),
            Err(error) => code(&error).unwrap_or("reset").to_owned(),
        }
    }

    fn wait(&self, seconds: u64) {
        self.edge.advance_clock(Duration::from_secs(seconds));
    }

    async fn in_progress(&self) -> i32 {
        let got = self.client.get_distribution().id(&self.id).send().await.unwrap();
        got.distribution().unwrap().in_progress_invalidation_batches()
    }
}

#[tokio::test]
async fn without_quotas_everything_is_accepted() {
    let world = World::under(Quotas::default()).await;
    for _ in 0..3 {
        assert_eq!(world.send(2900, 100).await, "accepted");
    }
}

#[tokio::test]
async fn the_older_rule_counts_what_is_in_progress() {
    let world = World::under(Quotas::older()).await;
    assert_eq!(world.send(0, 16).await, TOO_MANY);
    assert_eq!(world.send(0, 15).await, "accepted");
    assert_eq!(world.send(0, 1).await, TOO_MANY);
    assert_eq!(world.send(2999, 0).await, "accepted", "paths are counted apart");
    assert_eq!(world.send(2, 0).await, TOO_MANY);
    assert_eq!(world.in_progress().await, 2);
    world.wait(20);
    assert_eq!(world.in_progress().await, 0);
    assert_eq!(world.send(2, 15).await, "accepted");
    assert_eq!(world.edge.invalidations(&world.id).len(), 3);
}

#[tokio::test]
async fn the_newer_rule_counts_what_comes_in_a_second() {
    let world = World::under(Quotas::newer()).await;
    assert_eq!(world.send(0, 2).await, "Throttling");
    assert_eq!(world.send(0, 1).await, "accepted");
    assert_eq!(world.send(0, 1).await, "Throttling");
    assert_eq!(world.send(149, 0).await, "accepted");
    assert_eq!(world.send(1, 0).await, "Throttling");
    world.wait(1);
    assert_eq!(world.send(149, 1).await, "accepted");
    world.wait(3600);
    assert_eq!(world.send(0, 2).await, "Throttling", "the bucket holds one");
    assert_eq!(world.send(151, 0).await, "Throttling");
}

#[tokio::test]
async fn a_rate_can_be_so_fast_that_nobody_waits() {
    let world = World::under(Quotas::newer().sped_up(1000.0)).await;
    for _ in 0..5 {
        world.edge.advance_clock(Duration::from_millis(1));
        assert_eq!(world.send(149, 1).await, "accepted");
    }
    assert_eq!(world.send(0, 2).await, "Throttling", "what is accepted at once stays");
}

#[tokio::test]
async fn a_request_can_be_limited_by_itself() {
    let mut quotas = Quotas::per_request(3, 1);
    let world = World::under(quotas.clone()).await;
    for _ in 0..3 {
        assert_eq!(world.send(2, 1).await, "accepted");
    }
    assert_eq!(world.send(3, 1).await, TOO_MANY);
    assert_eq!(world.send(0, 2).await, TOO_MANY);
    quotas.refusal = LoadRefusal::Throttling;
    world.edge.set_invalidation_quotas(quotas);
    assert_eq!(world.send(0, 2).await, "Throttling");
}

#[tokio::test]
async fn all_rules_at_once_let_through_what_is_small_and_patient() {
    let world = World::under(Quotas::strictest()).await;
    assert_eq!(world.send(6, 0).await, TOO_MANY, "the request's own limit");
    let mut refused = 0;
    let mut left = 32;
    while left > 0 {
        match world.send(4, 1).await.as_str() {
            "accepted" => left -= 1,
            code => {
                assert_eq!(code, TOO_MANY);
                refused += 1;
                world.wait(1);
            }
        }
    }
    // A wildcard a second, and 15 of them in each 20 seconds: the last two at 40 and 41 seconds.
    assert_eq!((refused, world.edge.invalidations(&world.id).len()), (41, 32));
}

#[tokio::test]
async fn what_is_asked_for_again_takes_nothing_from_the_quotas() {
    let world = World::under(Quotas::newer()).await;
    for _ in 0..3 {
        invalidate(&world.client, &world.id, "one", &["/a*"]).await.unwrap();
    }
    assert_eq!(world.send(149, 0).await, "accepted");
}
