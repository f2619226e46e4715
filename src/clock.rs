//! The time of a run: this machine's, or one that is advanced manually.
//!
//! A run and its AWS configuration share one clock, which governs the renewal of the lease, the wait for
//! CloudFront, retries, and times that are recorded. S3's clock is separate, and is the only one that determines
//! how old a lease is.

use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

/// Maximum length of one sleep, because the machine's clock may be set, or the machine may sleep as well.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// A clock. Clones share the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// `None` is this machine's clock.
    by_hand: Option<ByHand>,
}

/// A clock that moves only when it is advanced.
#[derive(Debug, Clone)]
struct ByHand {
    passed: Receiver<Duration>,
    /// Held so that the channel stays open.
    _hand: Hand,
    /// The initial time.
    began: Timestamp,
}

/// A point in time, which only the clock that returned it can interpret.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: Instant,
    passed: Duration,
}

impl Moment {
    /// The moment `length` later.
    pub fn after(self, length: Duration) -> Moment {
        Moment { at: self.at + length, passed: self.passed.saturating_add(length) }
    }
}

/// Advances a clock.
#[derive(Debug, Clone)]
pub struct Hand(Arc<Sender<Duration>>);

impl Hand {
    /// Lets time pass, which ends shorter waits.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|passed| *passed = passed.saturating_add(by));
    }
}

impl Clock {
    /// A clock that moves only when it is advanced. At first, it shows this machine's time.
    pub fn by_hand() -> (Clock, Hand) {
        let (sender, passed) = tokio::sync::watch::channel(Duration::ZERO);
        let hand = Hand(Arc::new(sender));
        let by_hand = ByHand { passed, _hand: hand.clone(), began: Timestamp::now() };
        (Clock { by_hand: Some(by_hand) }, hand)
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match &self.by_hand {
            Some(ByHand { began, .. }) => {
                let passed = SignedDuration::try_from(self.passed()).unwrap_or(SignedDuration::MAX);
                began.saturating_add(passed).unwrap_or(Timestamp::MAX)
            }
            None => Timestamp::now(),
        }
    }

    /// The current moment.
    pub fn moment(&self) -> Moment {
        Moment { at: Instant::now(), passed: self.passed() }
    }

    /// The time left until a moment; zero if it has passed.
    pub fn until(&self, moment: Moment) -> Duration {
        match self.by_hand {
            Some(_) => moment.passed.saturating_sub(self.passed()),
            None => moment.at.saturating_duration_since(Instant::now()),
        }
    }

    /// Starts a stopwatch.
    pub fn start(&self) -> Stopwatch {
        Stopwatch { clock: self.clone(), began: Instant::now(), began_at: SystemTime::now(), passed: self.passed() }
    }

    /// Waits.
    pub fn sleep(&self, length: Duration) -> impl Future<Output = ()> + Send + Sync + use<> {
        let by_hand = self.by_hand.clone();
        let end = self.passed().saturating_add(length);
        async move {
            match by_hand {
                // It cannot fail, because the sender is held here as well.
                Some(ByHand { mut passed, _hand, .. }) => drop(passed.wait_for(|passed| *passed >= end).await),
                None => tokio::time::sleep(length).await,
            }
        }
    }

    /// The result of work, if it ends within a limit.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(limit) => None,
        }
    }

    /// The result of work, if it ends, within a limit once `stop` is set.
    pub async fn timeout_after<T>(
        &self,
        stop: &CancellationToken,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let stopped = async {
            stop.cancelled().await;
            self.sleep(limit).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = stopped => None,
        }
    }

    fn passed(&self) -> Duration {
        self.by_hand.as_ref().map_or(Duration::ZERO, |by_hand| *by_hand.passed.borrow())
    }
}

/// Measures a duration by a clock.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    clock: Clock,
    began: Instant,
    began_at: SystemTime,
    passed: Duration,
}

impl Stopwatch {
    /// The time since it was started, by the steady clock.
    pub fn elapsed(&self) -> Duration {
        match self.clock.by_hand {
            Some(_) => self.clock.passed().saturating_sub(self.passed),
            None => self.began.elapsed(),
        }
    }

    /// Waits until it shows `length`, by whichever clock shows more.
    pub async fn reaches(&self, length: Duration) {
        while self.longest() < length {
            let left = length.saturating_sub(self.longest());
            let nap = if self.clock.by_hand.is_some() { left } else { left.min(LONGEST_NAP) };
            self.clock.sleep(nap).await;
        }
    }

    /// The time since it was started, by whichever clock shows more: the steady one stops while a machine sleeps,
    /// the other may be set.
    pub fn longest(&self) -> Duration {
        match self.clock.by_hand {
            Some(_) => self.elapsed(),
            None => self.began.elapsed().max(self.began_at.elapsed().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_by_hand_waits_until_the_hand_has_moved_so_far() {
        let (clock, hand) = Clock::by_hand();
        let watch = clock.start();
        let wait = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        hand.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!wait.is_finished());
        hand.advance(Duration::from_secs(1));
        wait.await.unwrap();
        watch.reaches(Duration::from_secs(10)).await;
        assert_eq!((watch.elapsed(), watch.longest()), (Duration::from_secs(10), Duration::from_secs(10)));
        assert_eq!(clock.start().elapsed(), Duration::ZERO);
    }

    #[test]
    fn the_time_of_day_and_moments_to_come_move_with_the_hand() {
        let (clock, hand) = Clock::by_hand();
        let (began, end) = (clock.now(), clock.moment().after(Duration::from_secs(10)));
        hand.advance(Duration::from_secs(9));
        assert_eq!((clock.now().as_second() - began.as_second(), clock.until(end)), (9, Duration::from_secs(1)));
        hand.advance(Duration::from_secs(9));
        assert_eq!(clock.until(end), Duration::ZERO);
    }

    #[tokio::test]
    async fn work_is_cut_off_at_its_limit_and_not_before() {
        let (clock, hand) = Clock::by_hand();
        assert_eq!(clock.timeout(Duration::from_secs(1), async { 7 }).await, Some(7));
        let work = tokio::spawn({
            let clock = clock.clone();
            async move { clock.timeout(Duration::from_secs(1), std::future::pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        hand.advance(Duration::from_secs(1));
        assert_eq!(work.await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_clock_of_the_machine_moves_by_itself() {
        let clock = Clock::default();
        let watch = clock.start();
        clock.sleep(Duration::from_millis(2)).await;
        let elapsed = watch.elapsed();
        assert!(elapsed >= Duration::from_millis(2) && watch.longest() >= elapsed);
        let moment = clock.moment();
        assert!(clock.until(moment) == Duration::ZERO && !clock.until(moment.after(Duration::from_secs(60))).is_zero());
        assert_eq!(clock.timeout(Duration::from_millis(1), std::future::pending::<()>()).await, None);
    }
}
