//! Limits S3 requests in flight: as many as S3 answers without throttling.
//!
//! Additive increase and multiplicative decrease, as in TCP (<https://www.rfc-editor.org/rfc/rfc5681>). The limit
//! doubles each round trip until S3 answers `503 Slow Down` more than sporadically. That halves it, once for all
//! requests that were sent before, and from there it grows by one each round trip. If S3 accepts nothing at all for
//! a while, the limit falls to its minimum, and then returns to half of its former value as fast as it rose at
//! first.
//!
//! One such response in a hundred says nothing about how many requests S3 accepts: halving for each would leave a
//! dozen in flight. Only that call waits before it is retried.
//!
//! Attempts are limited, not calls: a call that waits for its retry blocks nothing. The SDK is responsible for
//! retries.

use crate::clock::{Clock, Stopwatch};
use crate::open_files;
use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Number of requests in flight at the start. At 20 ms a request they are about the 3,500 writes a second that S3 accepts below
/// each prefix (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>).
const START: usize = 64;
/// A lower limit would be slow to notice that S3 accepts more again.
const LEAST: usize = 4;
/// Number of throttling responses in a round trip to ignore, ...
const STRAY: u64 = 2;
/// ... in addition to one in this many of the round trip's responses.
const STRAY_ONE_IN: u64 = 32;
/// Instead of a status: no connection could be opened.
const NO_CONNECTION: u16 = 0;
/// Maximum number of samples for the report.
const MOST_SAMPLES: usize = 1000;

/// The limit, shared by all senders.
#[derive(Debug)]
pub(crate) struct Limiter {
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Its integer part is the limit.
    limit: f64,
    most: f64,
    /// Below it, the limit doubles each round trip; above, it grows by one.
    threshold: f64,
    /// Number of permits to remove when they are returned.
    debt: usize,
    started: Stopwatch,
    /// Number of requests sent so far.
    sent: u64,
    /// That number when the limit was last halved.
    halved: u64,
    /// Whether a request that was sent after that succeeded.
    recovering: bool,
    slow_downs: u64,
    /// Number of responses in this round trip, and how many of them were throttling.
    answers: u64,
    refusals: u64,
    samples: Vec<Sample>,
}

/// The history of the limit in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Concurrency {
    /// Number of throttling responses.
    pub slow_downs: u64,
    /// Its start, each peak before it was halved, each low, its end.
    #[serde(rename = "turns")]
    pub samples: Vec<Sample>,
}

/// The limit at some time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sample {
    /// Since the start, in seconds.
    pub seconds: f64,
    /// Maximum number of S3 requests in flight.
    pub limit: usize,
}

impl Limiter {
    /// Creates a limiter with a maximum of `most` in flight; the report's seconds are the clock's.
    pub(crate) fn new(most: usize, clock: &Clock) -> Limiter {
        let most = most.max(1);
        let start = START.min(most);
        let state = State {
            limit: start as f64,
            most: most as f64,
            threshold: f64::INFINITY,
            debt: 0,
            started: clock.start(),
            sent: 0,
            halved: 0,
            recovering: true,
            slow_downs: 0,
            answers: 0,
            refusals: 0,
            samples: vec![Sample { seconds: 0.0, limit: start }],
        };
        Limiter { permits: Semaphore::new(start), state: Mutex::new(state) }
    }

    /// The history of the limit so far.
    pub(crate) fn trace(&self) -> Concurrency {
        let state = self.state();
        let mut samples = state.samples.clone();
        samples.push(state.now());
        Concurrency { slow_downs: state.slow_downs, samples }
    }

    /// Waits until another request may be sent.
    async fn admit(&self) -> Option<Admitted<'_>> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.ok()?;
        let mut state = self.state();
        state.sent += 1;
        Some(Admitted { limiter: self, permit: Some(permit), number: state.sent })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the response to a request.
    fn answered(&self, number: u64, status: u16) {
        let mut state = self.state();
        let before = state.limit as usize;
        // A limit that is not reached was not tested.
        let used = self.permits.available_permits() * 2 <= before;
        match status {
            429 | 503 => {
                state.slow_downs += 1;
                if state.is_overloaded(true) {
                    state.slow_down(number);
                }
            }
            NO_CONNECTION => state.slow_down(number),
            200..=499 => {
                state.is_overloaded(false);
                if used {
                    state.go_on(number);
                }
            }
            _ => {}
        }
        let after = state.limit as usize;
        if after < before {
            let missing = before - after;
            state.debt += missing - self.permits.forget_permits(missing);
        } else {
            let settled = state.debt.min(after - before);
            state.debt -= settled;
            self.permits.add_permits(after - before - settled);
        }
    }
}

impl State {
    fn now(&self) -> Sample {
        Sample { seconds: self.started.elapsed().as_secs_f64(), limit: self.limit as usize }
    }

    fn sample(&mut self) {
        if self.samples.len() < MOST_SAMPLES {
            self.samples.push(self.now());
        }
    }

    /// Counts a response, and returns whether this round trip had more refusals than sporadic ones.
    fn is_overloaded(&mut self, refused: bool) -> bool {
        if self.answers >= self.limit as u64 {
            (self.answers, self.refusals) = (0, 0);
        }
        self.answers += 1;
        self.refusals += u64::from(refused);
        // The minimum limit leaves no room for sporadic refusals.
        let stray = if self.limit as usize <= LEAST { 0 } else { STRAY + self.answers / STRAY_ONE_IN };
        self.refusals > stray
    }

    fn slow_down(&mut self, number: u64) {
        if number <= self.halved {
            return;
        }
        (self.answers, self.refusals) = (0, 0);
        let half = (self.limit / 2.0).max((LEAST as f64).min(self.most));
        if self.recovering {
            self.sample();
            self.threshold = half;
            self.recovering = false;
        }
        self.limit = half;
        self.halved = self.sent;
    }

    fn go_on(&mut self, number: u64) {
        if number <= self.halved {
            return;
        }
        if !self.recovering {
            self.sample();
            self.recovering = true;
        }
        self.limit += if self.limit < self.threshold { 1.0 } else { 1.0 / self.limit.floor() };
        self.limit = self.limit.min(self.most);
    }
}

/// A request in flight.
struct Admitted<'a> {
    limiter: &'a Limiter,
    permit: Option<SemaphorePermit<'a>>,
    /// The first request is 1.
    number: u64,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        if state.debt > 0
            && let Some(permit) = self.permit.take()
        {
            state.debt -= 1;
            permit.forget();
        }
    }
}

/// An HTTP client whose requests wait for permission to be sent.
#[derive(Debug)]
pub(crate) struct Limited {
    client: SharedHttpClient,
    limiter: Arc<Limiter>,
}

impl Limited {
    pub(crate) fn new(client: SharedHttpClient, limiter: Arc<Limiter>) -> Limited {
        Limited { client, limiter }
    }
}

impl HttpClient for Limited {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(LimitedConnector { connector, limiter: self.limiter.clone() })
    }
}

#[derive(Debug)]
struct LimitedConnector {
    connector: SharedHttpConnector,
    limiter: Arc<Limiter>,
}

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (connector, limiter) = (self.connector.clone(), self.limiter.clone());
        HttpConnectorFuture::new(async move {
            let admitted = limiter.admit().await;
            let answer = connector.call(request).await;
            match (&admitted, &answer) {
                (Some(admitted), Ok(answer)) => limiter.answered(admitted.number, answer.status().as_u16()),
                // No connection could be opened: the remedy is also to send fewer at once.
                (Some(admitted), Err(error)) if open_files::is_exhausted(error) => {
                    limiter.answered(admitted.number, NO_CONNECTION);
                }
                _ => {}
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(limiter: &Limiter) -> usize {
        limiter.state().limit as usize
    }

    /// Sends as many requests as are admitted at once, all with the same response.
    async fn round(limiter: &Limiter, status: u16) -> usize {
        let mut sent = Vec::new();
        while limiter.permits.available_permits() > 0 {
            sent.extend(limiter.admit().await);
        }
        sent.iter().for_each(|admitted| limiter.answered(admitted.number, status));
        sent.len()
    }

    #[tokio::test]
    async fn the_limit_doubles_until_it_is_asked_to_slow_down_and_then_grows_by_one() {
        let limiter = Limiter::new(256, &Clock::default());
        let mut sent = Vec::new();
        for status in [200, 200, 503, 200, 200] {
            sent.push(round(&limiter, status).await);
        }
        assert_eq!(sent, [64, 128, 256, 128, 129]);
        assert_eq!(limiter.trace().slow_downs, 256);
    }

    /// Sends as many requests as are admitted at once; those with certain numbers are refused.
    async fn mixed_round(limiter: &Limiter, is_refused: impl Fn(u64) -> bool) -> usize {
        let mut sent = Vec::new();
        while limiter.permits.available_permits() > 0 {
            sent.extend(limiter.admit().await);
        }
        for admitted in &sent {
            limiter.answered(admitted.number, if is_refused(admitted.number) { 503 } else { 200 });
        }
        sent.len()
    }

    #[tokio::test]
    async fn one_refusal_in_a_hundred_leaves_the_limit_as_it_is() {
        let limiter = Limiter::new(256, &Clock::default());
        for _ in 0..200 {
            mixed_round(&limiter, |number| number % 100 == 0).await;
        }
        assert_eq!(limit(&limiter), 256);
        assert!(limiter.trace().slow_downs > 400);
    }

    #[tokio::test]
    async fn where_s3_takes_so_many_a_round_trip_the_limit_stays_about_there() {
        let limiter = Limiter::new(256, &Clock::default());
        let (mut most, mut last) = (0, 0);
        for round in 0..200 {
            let begun = last;
            let sent = mixed_round(&limiter, |number| number > begun + 30).await;
            last += sent as u64;
            if round >= 10 {
                most = most.max(sent);
            }
        }
        assert!((30..=40).contains(&most), "{most} at once where 30 are taken");
    }

    #[tokio::test]
    async fn after_a_storm_the_limit_comes_back() {
        let limiter = Limiter::new(256, &Clock::default());
        for status in [200, 200, 200, 503, 503, 503, 503, 503, 503, 503] {
            round(&limiter, status).await;
        }
        assert_eq!(limit(&limiter), LEAST);
        for _ in 0..5 {
            round(&limiter, 200).await;
        }
        assert_eq!(limit(&limiter), 128);
        let samples: Vec<usize> = limiter.trace().samples.iter().map(|sample| sample.limit).collect();
        assert_eq!(samples, [64, 256, 4, 128]);
    }

    #[tokio::test]
    async fn a_limit_that_nobody_reaches_does_not_grow_and_one_that_is_set_is_kept() {
        let limiter = Limiter::new(256, &Clock::default());
        for _ in 0..100 {
            let admitted = limiter.admit().await.unwrap();
            limiter.answered(admitted.number, 200);
        }
        assert_eq!(limit(&limiter), START);
        let one = Limiter::new(1, &Clock::default());
        for status in [200, 503, 503, 200, 200] {
            assert_eq!(round(&one, status).await, 1);
        }
    }

    #[tokio::test]
    async fn requests_that_are_given_up_leave_room_for_others() {
        let limiter = Limiter::new(8, &Clock::default());
        let first: Vec<_> = futures::future::join_all((0..8).map(|_| limiter.admit())).await;
        drop(first);
        assert_eq!(limiter.permits.available_permits(), 8);
    }
}
