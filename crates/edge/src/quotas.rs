//! The quotas of invalidations, as settings: the documented rules, and stricter ones.
//!
//! CloudFront's documentation has had two rules, and both occur in practice. Which of them applies, its scope and
//! its burst are not published, so a client must succeed under each and under both:
//! - the **older** rule limits what is in progress: at most 3,000 paths and 15 wildcards of a distribution
//!   (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/InvalidationLimits.html>);
//! - the **newer** rule limits the rate per second: 150 paths or tags, and 1 wildcard
//!   (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-invalidations>).
//!   It is modeled as two token buckets, so that a request with more wildcards than the bucket holds is never
//!   accepted as a whole;
//! - a **limit of each request** represents rules that nobody published.

use std::collections::HashMap;
use std::time::Instant;

use crate::invalidation::Refusal;

/// The quotas of invalidations. The default is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotas {
    /// The older rule.
    pub in_progress: Option<InProgressQuota>,
    /// The newer rule.
    pub rate: Option<RateQuota>,
    /// A limit of each single request.
    pub request: Option<RequestQuota>,
    /// How the rate and the limit of a request refuse. The older rule always answers
    /// `TooManyInvalidationsInProgress`.
    pub refusal: LoadRefusal,
}

/// Maximum amounts of one distribution in progress at a time; the two are counted separately. How long an
/// invalidation is in progress is a separate setting: [`Progress`](crate::Progress).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InProgressQuota {
    /// Paths and tags without a wildcard.
    pub paths: usize,
    /// Paths that end in `*`.
    pub wildcards: usize,
}

/// Amounts accepted per second. A wildcard takes one token of each bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateQuota {
    /// All items.
    pub items: TokenBucket,
    /// Paths that end in `*`.
    pub wildcards: TokenBucket,
    /// What shares the token buckets.
    pub scope: QuotaScope,
}

/// A bucket of tokens, initially full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    /// Tokens added per second.
    pub per_second: f64,
    /// Maximum number of tokens. A request that needs more is refused however long it waits.
    pub size: f64,
}

/// What shares the token buckets of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaScope {
    /// All distributions and tenants of the edge.
    #[default]
    Account,
    /// Each distribution or tenant has its own.
    Distribution,
}

/// Maximum amounts in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestQuota {
    /// All items.
    pub items: usize,
    /// Paths that end in `*`.
    pub wildcards: usize,
}

/// The error of a request that exceeds a limit; both are a 400.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRefusal {
    /// `TooManyInvalidationsInProgress`
    #[default]
    TooManyInvalidationsInProgress,
    /// `Throttling`
    Throttling,
}

impl Quotas {
    /// Only the older rule: 3,000 paths and 15 wildcards in progress.
    #[must_use]
    pub fn older() -> Self {
        Self { in_progress: Some(InProgressQuota { paths: 3000, wildcards: 15 }), ..Self::default() }
    }

    /// Only the newer rule, in its strictest reading: 150 items and 1 wildcard a second over the whole account, and
    /// buckets that hold one second's worth.
    #[must_use]
    pub fn newer() -> Self {
        let rate = RateQuota {
            items: TokenBucket { per_second: 150.0, size: 150.0 },
            wildcards: TokenBucket { per_second: 1.0, size: 1.0 },
            scope: QuotaScope::Account,
        };
        Self { rate: Some(rate), refusal: LoadRefusal::Throttling, ..Self::default() }
    }

    /// Only a limit of each request.
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

    /// The same with a rate that is `factor` times faster, so that a client that waits by its own clock waits for a
    /// shorter time. The sizes of the buckets, and so what is accepted at once, stay. A test that moves the clock
    /// itself does not need this: [`Edge::stop_clock`](crate::Edge::stop_clock).
    #[must_use]
    pub fn sped_up(mut self, factor: f64) -> Self {
        if let Some(rate) = &mut self.rate {
            rate.items.per_second *= factor;
            rate.wildcards.per_second *= factor;
        }
        self
    }
}

/// The amounts that the quotas count.
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

/// The settings, and the levels of the buckets.
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
    at: Instant,
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
        now: Instant,
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
        if rate.is_some_and(|rate| !self.take(distribution, rate, load, now)) {
            return Err(refusal.refusal());
        }
        Ok(())
    }

    fn take(&mut self, distribution: &str, rate: RateQuota, load: Load, now: Instant) -> bool {
        let scope = match rate.scope {
            QuotaScope::Account => "",
            QuotaScope::Distribution => distribution,
        };
        let full = Level { items: rate.items.size, wildcards: rate.wildcards.size, at: now };
        let level = self.buckets.entry(scope.to_owned()).or_insert(full);
        let passed = now.saturating_duration_since(level.at).as_secs_f64();
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

/// Only what a request adds can be too much: one without wildcards passes even if there are too many.
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
    use std::time::Duration;

    /// A limiter, and the time of its start.
    struct World {
        limiter: Limiter,
        start: Instant,
    }

    impl World {
        fn under(quotas: Quotas) -> Self {
            let mut limiter = Limiter::default();
            limiter.set(quotas);
            Self { limiter, start: Instant::now() }
        }

        /// Whether this many paths and wildcards are accepted, `seconds` after the start.
        fn admits(&mut self, distribution: &str, paths: usize, wildcards: usize, seconds: u64) -> bool {
            let load = Load { items: paths + wildcards, wildcards };
            let now = self.start + Duration::from_secs(seconds);
            self.limiter.admit(distribution, load, Load::default(), now).is_ok()
        }
    }

    #[test]
    fn a_bucket_holds_one_second_and_fills_with_time() {
        let mut world = World::under(Quotas::newer());
        assert!(world.admits("E1", 149, 1, 0));
        assert!(!world.admits("E1", 1, 0, 0));
        assert!(!world.admits("E2", 1, 0, 0), "the account has one bucket");
        assert!(world.admits("E1", 150, 0, 1));
        assert!(world.admits("E1", 0, 1, 2), "the wildcard's token came meanwhile");
        assert!(!world.admits("E1", 0, 1, 2));
        assert!(world.admits("E1", 0, 1, 3));
    }

    #[test]
    fn more_wildcards_than_the_bucket_holds_never_pass_whole() {
        let mut world = World::under(Quotas::newer());
        assert!(!world.admits("E1", 0, 2, 0));
        assert!(!world.admits("E1", 0, 2, 3600));
        assert!(!world.admits("E1", 151, 0, 3600));
        assert!(world.admits("E1", 0, 1, 3600), "a refusal takes nothing");
    }

    #[test]
    fn a_distribution_can_have_buckets_of_its_own() {
        let mut quotas = Quotas::newer();
        quotas.rate = quotas.rate.map(|rate| RateQuota { scope: QuotaScope::Distribution, ..rate });
        let mut world = World::under(quotas);
        assert!(world.admits("E1", 150, 0, 0));
        assert!(world.admits("E2", 150, 0, 0));
    }

    #[test]
    fn paths_and_wildcards_in_progress_are_counted_apart() {
        let mut world = World::under(Quotas::older());
        let mut admits = |paths: usize, wildcards: usize, before: (usize, usize)| {
            let load = Load { items: paths + wildcards, wildcards };
            let before = Load { items: before.0 + before.1, wildcards: before.1 };
            world.limiter.admit("E1", load, before, world.start).is_ok()
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
