//! Hands items to CloudFront: in batches, at the published pace, until they are accepted and done.

use crate::cloudfront::{Accepted, Distributions, Refusal};
use crate::error::Error;
use crate::terminal::Terminal;
use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use shipfront_invalidation::{Invalidation, InvalidationStatus};
use shipfront_site::etag::{hex, md5};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Items in one request: CloudFront takes 150 paths or tags a second
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>).
pub const ITEMS_PER_REQUEST: usize = 150;

/// How long to go on when CloudFront is busy, and whether to wait until the edges are clean.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a refusal for load is waited out before it counts as a failure.
    pub busy: Duration,
    /// How long to wait for `Completed`; `None` does not wait.
    pub completion: Option<Duration>,
}

/// What became of the invalidations.
#[derive(Debug, Default)]
pub struct Sent {
    /// One for each request.
    pub invalidations: Vec<Invalidation>,
    /// The distributions for which one failed, and why.
    pub failed: Vec<Error>,
    /// What did not end as hoped but is no failure.
    pub warnings: Vec<String>,
}

impl Sent {
    /// Adds what was sent later.
    pub fn extend(&mut self, other: Sent) {
        self.invalidations.extend(other.invalidations);
        self.failed.extend(other.failed);
        self.warnings.extend(other.warnings);
    }
}

/// Asks CloudFront for what was planned, distribution by distribution, until it takes it.
pub async fn submit(
    distributions: &Distributions,
    deploy: &str,
    planned: Vec<Invalidation>,
    patience: Patience,
    terminal: &Terminal,
) -> Sent {
    let mut sent = Sent::default();
    let mut pause = Duration::ZERO;
    for (number, mut invalidation) in batches(planned).into_iter().enumerate() {
        distributions.clock.sleep(pause).await;
        let reference = caller_reference(deploy, number, &invalidation);
        match create(distributions, &invalidation, &reference, patience.busy, terminal).await {
            Ok(accepted) => {
                invalidation.id = Some(accepted.id);
                invalidation.status = accepted.status;
            }
            Err(error) => {
                invalidation.status = InvalidationStatus::Failed;
                sent.failed.push(error);
            }
        }
        pause = pace(&invalidation.items);
        sent.invalidations.push(invalidation);
    }
    sent
}

/// Splits what is too much for one request.
fn batches(planned: Vec<Invalidation>) -> Vec<Invalidation> {
    let split = |invalidation: Invalidation| {
        let items = invalidation.items.clone();
        let batches = items.chunks(ITEMS_PER_REQUEST).enumerate().map(|(at, items)| {
            let mut batch = Invalidation { items: items.to_vec(), ..invalidation.clone() };
            if at > 0 {
                (batch.viewer_paths, batch.collateral, batch.universe) = (0, 0, 0);
                (batch.why, batch.coverage, batch.curve) = (Vec::new(), Vec::new(), Vec::new());
            }
            batch
        });
        batches.collect::<Vec<_>>()
    };
    planned.into_iter().flat_map(split).collect()
}

/// The same request again is the same invalidation, free of charge; the next deploy's never is.
fn caller_reference(deploy: &str, number: usize, invalidation: &Invalidation) -> String {
    let text = format!("{deploy}\n{}\n{number}\n{}", invalidation.distribution, invalidation.items.join("\n"));
    format!("shipfront-{}", hex(&md5(text.as_bytes())))
}

/// How long the items take CloudFront at the rates it publishes: 150 items and one wildcard a second.
fn pace(items: &[String]) -> Duration {
    let wildcards = items.iter().filter(|item| item.ends_with('*')).count();
    Duration::from_secs_f64((items.len() as f64 / ITEMS_PER_REQUEST as f64).max(wildcards as f64))
}

async fn create(
    distributions: &Distributions,
    invalidation: &Invalidation,
    reference: &str,
    busy: Duration,
    terminal: &Terminal,
) -> Result<Accepted, Error> {
    let started = distributions.clock.start();
    let progress = terminal.wait("invalidate");
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(60))
        .with_jitter()
        .with_total_delay(Some(busy))
        .without_max_times();
    let request = || distributions.create_invalidation(&invalidation.distribution, reference, &invalidation.items);
    let clock = distributions.clock.clone();
    request
        .retry(backoff)
        .sleep(move |delay| clock.sleep(delay))
        .when(|refusal: &Refusal| refusal.passes && started.elapsed() < busy)
        .notify(|refusal, delay| {
            progress.message(&format!("{}, trying again in {:.1} s", refusal.error, delay.as_secs_f64()));
            terminal.detail(format_args!("{}; trying again in {:.1} s", refusal.error, delay.as_secs_f64()));
        })
        .await
        .map_err(|refusal| refusal.error)
}

/// Waits until all are completed, if that is asked for. What is not done in time is left to
/// CloudFront, with a warning.
pub async fn wait(
    distributions: &Distributions,
    sent: &mut Sent,
    patience: Patience,
    stop: &CancellationToken,
    terminal: &Terminal,
) {
    let Some(limit) = patience.completion else { return };
    let started = distributions.clock.start();
    let progress = terminal.wait("invalidate");
    // CloudFront needs 25 s in 95 of 100 cases, and the SDK's own waiter polls every 20 s.
    let polls =
        ExponentialBuilder::default().with_min_delay(Duration::from_millis(500)).with_max_delay(Duration::from_secs(5));
    let mut delays = polls.without_max_times().build();
    loop {
        let mut open = 0;
        for invalidation in &mut sent.invalidations {
            let Some(id) = invalidation.id.as_deref().filter(|_| invalidation.status == InvalidationStatus::InProgress)
            else {
                continue;
            };
            match distributions.invalidation_status(&invalidation.distribution, id).await {
                Ok(status) => invalidation.status = status,
                Err(error) => {
                    let hint = error.hint_text().unwrap_or("it goes on without shipfront");
                    sent.warnings.push(format!("cannot see whether invalidation {id} is done: {error} ({hint})"));
                    return;
                }
            }
            open += usize::from(invalidation.status == InvalidationStatus::InProgress);
        }
        if open == 0 {
            return;
        }
        let delay = delays.next().unwrap_or(Duration::from_secs(5));
        if started.elapsed() + delay > limit {
            sent.warnings.push(format!(
                "CloudFront accepted the invalidation but had not finished it after {} s; it goes on without shipfront",
                limit.as_secs()
            ));
            return;
        }
        let (done, all) = (sent.invalidations.len() - open, sent.invalidations.len());
        progress.message(&format!("CloudFront is done with {done} of {all}, after {} s", started.elapsed().as_secs()));
        tokio::select! {
            () = distributions.clock.sleep(delay) => {}
            () = stop.cancelled() => {
                let left = "no longer waiting: CloudFront accepted the invalidation and goes on without shipfront";
                return sent.warnings.push(left.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_invalidation::DistributionId;

    fn invalidation(items: usize) -> Invalidation {
        let items = (0..items).map(|at| format!("/{at}")).collect();
        Invalidation {
            viewer_paths: 7,
            collateral: 3,
            universe: 9,
            ..Invalidation::of_items(DistributionId::Distribution("E1".into()), items)
        }
    }

    #[test]
    fn a_request_has_at_most_150_items_and_the_counts_are_told_once() {
        let batches = batches(vec![invalidation(301)]);
        assert_eq!(batches.iter().map(|batch| batch.items.len()).collect::<Vec<_>>(), [150, 150, 1]);
        assert_eq!(batches.iter().map(|batch| batch.viewer_paths).sum::<u64>(), 7);
    }

    #[test]
    fn a_caller_reference_is_the_same_for_a_retry_and_another_for_the_next_deploy() {
        let reference = |deploy, number| caller_reference(deploy, number, &invalidation(2));
        assert_eq!(reference("a", 0), reference("a", 0));
        assert_ne!(reference("a", 0), reference("b", 0));
        assert_ne!(reference("a", 0), reference("a", 1));
    }

    #[test]
    fn the_pace_is_that_of_the_slower_rate() {
        assert_eq!(pace(&invalidation(150).items), Duration::from_secs(1));
        assert_eq!(pace(&["/a*".to_owned(), "/b*".to_owned(), "/c".to_owned()]), Duration::from_secs(2));
    }
}
