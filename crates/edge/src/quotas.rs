//! The quotas of invalidations, as settings: the documented rules, and stricter ones.
//!
//! CloudFront's documentation has had two rules, and both are met in the field. Which of them answers, its
//! scope and its burst are not published, so a client has to get through under each and under both:
//! - the **older** rule counts what is in progress: at most 3,000 paths and 15 wildcards of a distribution
//!   (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/InvalidationLimits.html>);
//! - the **newer** rule counts what comes in a second: 150 paths or tags, and 1 wildcard
//!   (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-invalidations>).
//!   It is modelled as two token buckets, so that a request with more wildcards than the bucket holds
//!   is never accepted whole;
//! - a **limit of each request** stands for rules that nobody published.

use std::collections::HashMap;
use std::time::Duration;

use crate::invalidation::Refusal;

/// The quotas of invalidations. The default is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotas {
    /// The older rule.
    pub in_progress: Option<InProgressQuota>,
    /// The newer rule.
    pub rate: Option<RateQuota>,
    /// A limit of each request by itself.
    pub request: Option<RequestQuota>,
    /// How the rate and the limit of a request refuse. The older rule always answers
    /// `TooManyInvalidationsInProgress`.
    pub refusal: LoadRefusal,
}

/// At most so much of one distribution is in progress at a time; the two are counted apart. How long an
/// invalidation is in progress is a setting of its own: [`Progress`](crate::Progress).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InProgressQuota {
    /// Paths and tags without a wildcard.
    pub paths: usize,
    /// Paths that end in `*`.
    pub wildcards: usize,
}

/// So much is accepted in a second. A wildcard takes one token of each bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateQuota {
    /// All items.
    pub items: TokenBucket,
    /// Paths that end in `*`.
    pub wildcards: TokenBucket,
    /// What shares the buckets.
    pub scope: QuotaScope,
    /// What fills the buckets.
    pub clock: QuotaClock,
}

/// A bucket of tokens, full at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    /// Tokens that come each second.
    pub per_second: f64,
    /// Tokens that it holds at most. A request that needs more is refused however long it waits.
    pub size: f64,
}

/// What shares the buckets of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaScope {
    /// All distributions and tenants of the edge.
    #[default]
    Account,
    /// Each distribution or tenant has its own.
    Distribution,
}

/// What fills the buckets of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaClock {
    /// Time, and [`Edge::advance_clock`](crate::Edge::advance_clock).
    #[default]
    Running,
    /// [`Edge::advance_clock`](crate::Edge::advance_clock) alone: a test neither waits nor races.
    ByHand,
}

/// At most so much in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestQuota {
    /// All items.
    pub items: usize,
    /// Paths that end in `*`.
    pub wildcards: usize,
}

/// The error of a request that is one too many; both are a 400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRefusal {
    /// `TooManyInvalidationsInProgress`
    #[default]
    TooManyInvalidationsInProgress,
    /// `Throttling`
    Throttling,
}

impl Quotas {
    /// The older rule alone: 3,000 paths and 15 wildcards in progress.
    #[must_use]
    pub fn older() -> Self {
        Self { in_progress: Some(InProgressQuota { paths: 3000, wildcards: 15 }), ..Self::default() }
    }

    /// The newer rule alone, as strict as it can be read: 150 items and 1 wildcard a second over the whole
    /// account, and buckets that hold one second's worth.
    #[must_use]
    pub fn newer() -> Self {
        let rate = RateQuota {
            items: TokenBucket { per_second: 150.0, size: 150.0 },
            wildcards: TokenBucket { per_second: 1.0, size: 1.0 },
            scope: QuotaScope::Account,
            clock: QuotaClock::Running,
        };
        Self { rate: Some(rate), refusal: LoadRefusal::Throttling, ..Self::default() }
    }

    /// A limit of each request alone.
    #[must_use]
    pub fn per_request(items: usize, wildcards: usize) -> Self {
        Self { request: Some(RequestQuota { items, wildcards }), ..Self::default() }
    }

    /// All rules at once: the older, the newer, and at most 5 items and 1 wildcard in a request.
    #[must_use]
    pub fn strictest() -> Self {
        Self {
            in_progress: Self::older().in_progress,
            request: Self::per_request(5, 1).request,
            refusal: LoadRefusal::TooManyInvalidationsInProgress,
            ..Self::newer()
        }
    }

    /// The same with a rate that is `factor` times faster, so that a test under a running clock is quick. The
    /// sizes of the buckets, and so what is accepted at once, stay.
    #[must_use]
    pub fn sped_up(mut self, factor: f64) -> Self {
        if let Some(rate) = &mut self.rate {
            rate.items.per_second *= factor;
            rate.wildcards.per_second *= factor;
        }
        self
    }

    /// The same with a clock that only [`Edge::advance_clock`](crate::Edge::advance_clock) moves.
    #[must_use]
    pub fn by_hand(mut self) -> Self {
        if let Some(rate) = &mut self.rate {
            rate.clock = QuotaClock::ByHand;
        }
        self
    }
}

/// How many items there are of what the quotas count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) items: usize,
    pub(super) wildcards: usize,
}

impl Load {
    pub(super) fn of<'a>(items: impl IntoIterator<Item = &'a String>) -> Self {
        let mut load = Self::default();
        for item in items {
            load.items += 1;
            load.wildcards += usize::from(item.starts_with('/') && item.ends_with('*'));
        }
        load
    }

    fn paths(self) -> usize {
        self.items - self.wildcards
    }
}

/// The time of the edge, as the quotas need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuotaTime {
    /// Since the edge started, with what the clock was put forward.
    pub(super) running: Duration,
    /// What the clock was put forward.
    pub(super) by_hand: Duration,
}

/// The settings and how full the buckets are.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    quotas: Quotas,
    buckets: HashMap<String, Level>,
}

/// The tokens of one scope.
#[derive(Clone, Copy, Debug)]
struct Level {
    items: f64,
    wildcards: f64,
    at: Duration,
}

impl Limiter {
    /// Sets the quotas, with full buckets.
    pub(super) fn set(&mut self, quotas: Quotas) {
        *self = Self { quotas, buckets: HashMap::new() };
    }

    pub(super) fn set_in_progress(&mut self, quota: Option<InProgressQuota>) {
        self.quotas.in_progress = quota;
    }

    /// Takes what a request needs from the buckets, or refuses it and takes nothing.
    pub(super) fn admit(
        &mut self,
        distribution: &str,
        load: Load,
        in_progress: Load,
        time: QuotaTime,
    ) -> Result<(), Refusal> {
        if let Some(quota) = self.quotas.in_progress
            && (over(load.paths(), in_progress.paths(), quota.paths)
                || over(load.wildcards, in_progress.wildcards, quota.wildcards))
        {
            return Err(LoadRefusal::TooManyInvalidationsInProgress.refusal());
        }
        let refusal = self.quotas.refusal;
        if let Some(quota) = self.quotas.request
            && (load.items > quota.items || load.wildcards > quota.wildcards)
        {
            return Err(refusal.refusal());
        }
        let rate = self.quotas.rate;
        if rate.is_some_and(|rate| !self.take(distribution, rate, load, time)) {
            return Err(refusal.refusal());
        }
        Ok(())
    }

    fn take(&mut self, distribution: &str, rate: RateQuota, load: Load, time: QuotaTime) -> bool {
        let now = match rate.clock {
            QuotaClock::Running => time.running,
            QuotaClock::ByHand => time.by_hand,
        };
        let scope = match rate.scope {
            QuotaScope::Account => "",
            QuotaScope::Distribution => distribution,
        };
        let full = Level { items: rate.items.size, wildcards: rate.wildcards.size, at: now };
        let level = self.buckets.entry(scope.to_owned()).or_insert(full);
        let passed = now.saturating_sub(level.at).as_secs_f64();
        let filled = |tokens: f64, bucket: TokenBucket| (tokens + passed * bucket.per_second).min(bucket.size);
        level.items = filled(level.items, rate.items);
        level.wildcards = filled(level.wildcards, rate.wildcards);
        level.at = now;
        let (items, wildcards) = (tokens(load.items), tokens(load.wildcards));
        let accepted = items <= level.items && wildcards <= level.wildcards;
        if accepted {
            level.items -= items;
            level.wildcards -= wildcards;
        }
        accepted
    }
}

/// Only what a request brings can be too much: one without wildcards passes although there are too many.
fn over(new: usize, before: usize, most: usize) -> bool {
    new > 0 && before + new > most
}

/// Batches are far below 2^32 items.
fn tokens(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

impl LoadRefusal {
    fn refusal(self) -> Refusal {
        match self {
            Self::TooManyInvalidationsInProgress => Refusal::new(
                400,
                "TooManyInvalidationsInProgress",
                "You have exceeded the maximum number of allowable InProgress invalidation batch requests, or invalidation objects.",
            ),
            Self::Throttling => Refusal::new(400, "Throttling", "Rate exceeded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether so many paths and wildcards are accepted, `seconds` after the start.
    fn admits(limiter: &mut Limiter, distribution: &str, paths: usize, wildcards: usize, seconds: u64) -> bool {
        let load = Load { items: paths + wildcards, wildcards };
        let time = QuotaTime { running: Duration::ZERO, by_hand: Duration::from_secs(seconds) };
        limiter.admit(distribution, load, Load::default(), time).is_ok()
    }

    fn limiter(quotas: Quotas) -> Limiter {
        let mut limiter = Limiter::default();
        limiter.set(quotas.by_hand());
        limiter
    }

    #[test]
    fn a_bucket_holds_one_second_and_fills_with_time() {
        let mut limiter = limiter(Quotas::newer());
        assert!(admits(&mut limiter, "E1", 149, 1, 0));
        assert!(!admits(&mut limiter, "E1", 1, 0, 0));
        assert!(!admits(&mut limiter, "E2", 1, 0, 0), "the account has one bucket");
        assert!(admits(&mut limiter, "E1", 150, 0, 1));
        assert!(admits(&mut limiter, "E1", 0, 1, 2), "the wildcard's token came meanwhile");
        assert!(!admits(&mut limiter, "E1", 0, 1, 2));
        assert!(admits(&mut limiter, "E1", 0, 1, 3));
    }

    #[test]
    fn more_wildcards_than_the_bucket_holds_never_pass_whole() {
        let mut limiter = limiter(Quotas::newer());
        assert!(!admits(&mut limiter, "E1", 0, 2, 0));
        assert!(!admits(&mut limiter, "E1", 0, 2, 3600));
        assert!(!admits(&mut limiter, "E1", 151, 0, 3600));
        assert!(admits(&mut limiter, "E1", 0, 1, 3600), "a refusal takes nothing");
    }

    #[test]
    fn a_distribution_can_have_buckets_of_its_own() {
        let mut quotas = Quotas::newer();
        quotas.rate = quotas.rate.map(|rate| RateQuota { scope: QuotaScope::Distribution, ..rate });
        let mut limiter = limiter(quotas);
        assert!(admits(&mut limiter, "E1", 150, 0, 0));
        assert!(admits(&mut limiter, "E2", 150, 0, 0));
    }

    #[test]
    fn paths_and_wildcards_in_progress_are_counted_apart() {
        let mut limiter = limiter(Quotas::older());
        let time = QuotaTime { running: Duration::ZERO, by_hand: Duration::ZERO };
        let mut admits = |paths: usize, wildcards: usize, before: (usize, usize)| {
            let load = Load { items: paths + wildcards, wildcards };
            let before = Load { items: before.0 + before.1, wildcards: before.1 };
            limiter.admit("E1", load, before, time).is_ok()
        };
        assert!(admits(3000, 15, (0, 0)));
        assert!(!admits(0, 16, (0, 0)));
        assert!(!admits(1, 0, (3000, 0)));
        assert!(admits(0, 1, (3000, 14)));
        assert!(admits(1, 0, (0, 15)));
        assert!(!admits(0, 1, (0, 15)));
    }

    #[test]
    fn a_tag_is_no_wildcard_whatever_it_ends_in() {
        let items = ["/a", "/b*", "#c*"].map(str::to_owned);
        assert_eq!(Load::of(&items), Load { items: 3, wildcards: 1 });
    }
}
