//! Decides when to send what: derives sizes and pauses of requests from what CloudFront accepts, whatever its quota
//! is.
//!
//! Which quota applies is not certain: 150 items and 1 wildcard a second are documented, 3,000 paths and 15
//! wildcards in progress were documented and still occur, and neither says how much one request may contain. So
//! nothing is relied on:
//! - The items for one distribution are sent in one request if both documents allow it. Otherwise, and once such a
//!   request is refused, wildcards are sent separately from paths, each at their own pace. Wildcards first: they
//!   are fewer, slower, and clear the most URLs. Paths do not wait for them.
//! - A request that is refused for load although none of this run's invalidations is in progress is too large: half
//!   of it is next, down to a single item. While one of them is in progress, it may be the reason for the refusal:
//!   then a single item is next. If that is accepted, size does matter, and half is next. Otherwise, sending waits
//!   until they are completed and then tries the same size again.
//! - A size that is accepted is doubled after 4 requests; each refusal of a doubled size doubles that number.
//! - A single item that is refused was sent too early: the pauses between its attempts double, and its kind slows
//!   down to half the pace, then recovers by a quarter with each request, never above the published one.
//!
//! It is a state machine without clock and I/O: times are parameters, as durations since the start.

use shipfront_invalidation::cover::REQUEST_WILDCARDS;
use std::collections::VecDeque;
use std::time::Duration;

/// Maximum number of items in one request: CloudFront accepts 150 paths or tags a second
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>).
const ITEMS: usize = 150;
/// Maximum number of wildcards in one request.
const WILDCARDS: usize = REQUEST_WILDCARDS;
/// The pause after a refusal that makes the next request smaller.
const SHORT: Duration = Duration::from_millis(500);
/// The longest pause after a refusal.
const LONG: Duration = Duration::from_secs(60);
/// The slowest pace, in items per second.
const SLOWEST: f64 = 1.0 / 60.0;
/// Number of accepted requests of one size before a larger one is tried.
const PROVEN: u32 = 4;

/// The number of requests that items need if none is refused.
pub(super) fn requests(items: &[String]) -> usize {
    let wildcards = items.iter().filter(|item| is_wildcard(item)).count();
    if is_one_request(items.len(), wildcards) {
        return usize::from(!items.is_empty());
    }
    wildcards.div_ceil(WILDCARDS) + (items.len() - wildcards).div_ceil(ITEMS)
}

fn is_one_request(items: usize, wildcards: usize) -> bool {
    items <= ITEMS && wildcards <= WILDCARDS
}

fn is_wildcard(item: &str) -> bool {
    item.starts_with('/') && item.ends_with('*')
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this, and report the answer.
    Send(Batch),
    /// Ask again after this time.
    Rest(Duration),
    /// Everything has been accepted or given up.
    Done,
}

/// The items of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// The planned invalidation that they belong to.
    pub(super) planned: usize,
    /// The items, in order.
    pub(super) items: Vec<String>,
    lane: usize,
}

/// How CloudFront answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Accepted.
    Accepted,
    /// Refused for load or for size; this many earlier requests are still in progress.
    Overload {
        /// The number of this run's requests that are not known to be completed.
        in_progress: usize,
    },
    /// Not answered, or CloudFront failed: repeating the request results in the same invalidation.
    Unclear,
    /// Refused permanently.
    Refused,
    /// Refused permanently, and the rest of the invalidation was given up.
    Dropped,
}

/// A group of items that share a size and a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All items for one distribution, of both kinds.
    Whole,
    Wildcards,
    Paths,
}

/// Items of one kind for one distribution.
#[derive(Debug)]
struct Lane {
    planned: usize,
    kind: Kind,
    items: VecDeque<String>,
    /// Not to be tried again before this time.
    next: Duration,
    /// If it was refused since its last acceptance: the time since which nothing at all was accepted.
    refused_since: Option<Duration>,
    /// The number of refusals since then after which no smaller request was left to try.
    refusals: i32,
    /// If a single item is sent to find the reason for a refusal: the size that was refused.
    probed: Option<usize>,
}

/// What is known about one kind.
#[derive(Debug)]
struct Pace {
    /// The number of items in the next request, and the maximum.
    size: usize,
    largest: usize,
    /// Whether the size has never been accepted since it was doubled.
    doubled: bool,
    /// The number of consecutive accepted requests of this size, and how many are needed to try a larger one.
    accepted: u32,
    needed: u32,
    /// Items per second, and the published rate, which it never exceeds.
    rate: f64,
    published: f64,
    /// When the next request may be sent.
    next: Duration,
}

impl Pace {
    fn new(largest: usize, published: f64) -> Pace {
        Pace {
            size: largest,
            largest,
            doubled: false,
            accepted: 0,
            needed: PROVEN,
            rate: published,
            published,
            next: Duration::ZERO,
        }
    }

    /// Reduces the size after `refused` items were too many.
    fn shrink(&mut self, refused: usize) {
        if self.doubled {
            self.needed = self.needed.saturating_mul(2);
        }
        (self.size, self.doubled, self.accepted) = ((refused / 2).clamp(1, self.size), false, 0);
    }

    fn accept(&mut self, items: usize) {
        if items < self.size {
            return;
        }
        (self.doubled, self.accepted) = (false, self.accepted + 1);
        if self.accepted >= self.needed && self.size < self.largest {
            (self.size, self.doubled, self.accepted) = ((self.size * 2).min(self.largest), true, 0);
        }
    }

    fn spend(&mut self, items: usize, now: Duration) {
        self.rate = (self.rate * 1.25).min(self.published);
        self.next = now + Duration::from_secs_f64(items as f64 / self.rate);
    }

    fn slow_down(&mut self) {
        self.rate = (self.rate / 2.0).max(SLOWEST);
    }
}

/// Everything that is to be sent.
#[derive(Debug)]
pub(super) struct Schedule {
    lanes: Vec<Lane>,
    wildcards: Pace,
    paths: Pace,
    /// How long to continue while nothing is accepted.
    busy: Duration,
    /// When the rest is given up.
    until: Duration,
    /// Whether a request for a whole distribution was refused.
    apart: bool,
    given_up: Vec<Batch>,
}

impl Schedule {
    /// Creates a schedule from the items of each planned invalidation. Items that are refused while nothing is
    /// accepted for `busy` are given up, as is everything that is not accepted by `until`.
    pub(super) fn new<'p>(planned: impl Iterator<Item = &'p [String]>, busy: Duration, until: Duration) -> Schedule {
        let mut schedule = Schedule {
            lanes: Vec::new(),
            wildcards: Pace::new(WILDCARDS, 1.0),
            paths: Pace::new(ITEMS, ITEMS as f64),
            busy,
            until,
            apart: false,
            given_up: Vec::new(),
        };
        for (planned, items) in planned.enumerate() {
            let whole = Lane::new(planned, Kind::Whole, items.iter().cloned(), Duration::ZERO);
            let wildcards = whole.wildcards();
            if wildcards > 0 && wildcards < items.len() && is_one_request(items.len(), wildcards) {
                schedule.lanes.push(whole);
            } else {
                schedule.lanes.extend(whole.apart(Duration::ZERO));
            }
        }
        schedule
    }

    /// What to do at this time.
    pub(super) fn next(&mut self, now: Duration) -> Step {
        let waiting = self.lanes.iter().enumerate().filter(|(_, lane)| !lane.items.is_empty());
        let Some((due, at)) = waiting.map(|(at, lane)| (self.due(lane), at)).min() else { return Step::Done };
        if due.max(now) >= self.until {
            self.give_up_all();
            return Step::Done;
        }
        if due > now {
            return Step::Rest(due - now);
        }
        if self.apart && self.lanes[at].kind == Kind::Whole {
            self.take_apart(at, now);
            return self.next(now);
        }
        let lane = &self.lanes[at];
        let size = match (lane.kind, lane.probed) {
            (Kind::Whole, _) => lane.items.len(),
            (_, Some(_)) => 1,
            (Kind::Wildcards, None) => self.wildcards.size,
            (Kind::Paths, None) => self.paths.size,
        };
        let items = lane.items.iter().take(size).cloned().collect();
        Step::Send(Batch { planned: lane.planned, items, lane: at })
    }

    fn due(&self, lane: &Lane) -> Duration {
        lane.next.max(match lane.kind {
            Kind::Whole => self.wildcards.next.max(self.paths.next),
            Kind::Wildcards => self.wildcards.next,
            Kind::Paths => self.paths.next,
        })
    }

    /// Handles the answer to a request, given when it was sent and when it was answered. The pauses are multiplied
    /// by `jitter`, about 1, so that senders that were refused together do not come back together.
    pub(super) fn answered(&mut self, batch: &Batch, answer: Answer, sent: Duration, now: Duration, jitter: f64) {
        let (at, items) = (batch.lane, batch.items.len());
        match answer {
            Answer::Accepted => self.accepted(batch, now),
            Answer::Refused => {
                self.lanes[at].items.drain(..items);
                self.given_up.push(batch.clone());
            }
            Answer::Dropped => {}
            Answer::Unclear => self.retry(at, sent, now, jitter),
            Answer::Overload { in_progress } => {
                self.lanes[at].refused_since.get_or_insert(sent);
                let short = now + SHORT.mul_f64(jitter);
                if self.lanes[at].kind == Kind::Whole {
                    self.apart = true;
                    self.take_apart(at, short);
                } else if items == 1 {
                    if self.lanes[at].refusals == 0 && self.lanes[at].probed.is_none() {
                        self.pace(at).slow_down();
                    }
                    self.retry(at, sent, now, jitter);
                } else if in_progress > 0 {
                    (self.lanes[at].probed, self.lanes[at].next) = (Some(items), short);
                } else {
                    self.pace(at).shrink(items);
                    self.lanes[at].next = short;
                }
                self.give_up_late(now);
            }
        }
    }

    fn accepted(&mut self, batch: &Batch, now: Duration) {
        let (items, wildcards) = (batch.items.len(), batch.items.iter().filter(|item| is_wildcard(item)).count());
        // One distribution's success may be the reason for another's refusal.
        for lane in &mut self.lanes {
            lane.refused_since = lane.refused_since.map(|_| now);
        }
        let lane = &mut self.lanes[batch.lane];
        lane.items.drain(..items);
        (lane.refused_since, lane.refusals) = (None, 0);
        let (kind, probed) = (lane.kind, lane.probed.take());
        if kind != Kind::Whole {
            match probed {
                Some(refused) => self.pace(batch.lane).shrink(refused),
                None => self.pace(batch.lane).accept(items),
            }
        }
        if wildcards > 0 {
            self.wildcards.spend(wildcards, now);
        }
        if kind != Kind::Wildcards {
            self.paths.spend(items, now);
        }
    }

    /// Retries the same, after a pause that doubles.
    fn retry(&mut self, at: usize, sent: Duration, now: Duration, jitter: f64) {
        let lane = &mut self.lanes[at];
        lane.refused_since.get_or_insert(sent);
        let pause = SHORT.mul_f64(2_f64.powi(lane.refusals.min(10))).min(LONG).mul_f64(jitter);
        (lane.refusals, lane.next) = (lane.refusals + 1, now + pause);
        self.give_up_late(now);
    }

    fn pace(&mut self, at: usize) -> &mut Pace {
        match self.lanes[at].kind {
            Kind::Wildcards => &mut self.wildcards,
            Kind::Whole | Kind::Paths => &mut self.paths,
        }
    }

    /// Replaces the whole with wildcards and paths, each with the patience that is left.
    fn take_apart(&mut self, at: usize, next: Duration) {
        let whole = &mut self.lanes[at];
        let lane = Lane { items: std::mem::take(&mut whole.items), ..*whole };
        self.lanes.extend(lane.apart(next));
    }

    /// Gives up every lane whose next attempt would come only after its patience has ended.
    fn give_up_late(&mut self, now: Duration) {
        for at in 0..self.lanes.len() {
            let lane = &self.lanes[at];
            let ends = lane.refused_since.map(|since| since.saturating_add(self.busy));
            if ends.is_some_and(|ends| lane.next.max(now) >= ends) {
                self.drop_lane(at);
            }
        }
    }

    /// Gives up everything that is not accepted by this time.
    pub(super) fn end_by(&mut self, until: Duration) {
        self.until = self.until.min(until);
    }

    /// Gives up everything that is not accepted.
    pub(super) fn give_up_all(&mut self) {
        (0..self.lanes.len()).for_each(|at| self.drop_lane(at));
    }

    fn drop_lane(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        if !lane.items.is_empty() {
            let items = lane.items.drain(..).collect();
            self.given_up.push(Batch { planned: lane.planned, items, lane: at });
        }
    }

    /// Whether the completion of earlier requests matters.
    pub(super) fn watches_progress(&self) -> bool {
        self.lanes.iter().any(|lane| lane.probed.is_some() && !lane.items.is_empty())
    }

    /// Handles that none of this run's invalidations is in progress any more: what was refused in the meantime is
    /// tried again.
    pub(super) fn all_done(&mut self, now: Duration) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.probed.is_some()) {
            (lane.probed, lane.refusals, lane.next) = (None, 0, now);
        }
    }

    /// Gives up the rest of an invalidation: no request of it will be accepted.
    pub(super) fn give_up(&mut self, planned: usize) {
        for at in 0..self.lanes.len() {
            if self.lanes[at].planned == planned {
                self.drop_lane(at);
            }
        }
    }

    /// What was given up, each with its planned invalidation.
    pub(super) fn into_given_up(self) -> impl Iterator<Item = (usize, Vec<String>)> {
        self.given_up.into_iter().map(|batch| (batch.planned, batch.items))
    }
}

impl Lane {
    fn new(planned: usize, kind: Kind, items: impl Iterator<Item = String>, next: Duration) -> Lane {
        Lane { planned, kind, items: items.collect(), next, refused_since: None, refusals: 0, probed: None }
    }

    fn wildcards(&self) -> usize {
        self.items.iter().filter(|item| is_wildcard(item)).count()
    }

    fn apart(self, next: Duration) -> [Lane; 2] {
        let (wildcards, paths): (Vec<String>, Vec<String>) = self.items.into_iter().partition(|item| is_wildcard(item));
        [(Kind::Wildcards, wildcards), (Kind::Paths, paths)].map(|(kind, items)| {
            let lane = Lane::new(self.planned, kind, items.into_iter(), next);
            Lane { refused_since: self.refused_since, ..lane }
        })
    }
}

#[cfg(test)]
mod tests;
