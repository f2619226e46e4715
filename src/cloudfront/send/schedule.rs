//! What is sent when: decides sizes and pauses of requests from what CloudFront accepts, whatever its quota is.
//!
//! Which quota answers is not certain: 150 items and 1 wildcard a second are documented, 3,000 paths and 15
//! wildcards in progress were and are still met, and neither says how much one request may hold. So nothing
//! is relied on:
//! - What one distribution is to hear goes out whole where both documents allow it, in one request. Else, and
//!   once such a request is refused, wildcards go apart from paths, each at a pace of their own. Wildcards
//!   first: they are fewer, slower, and clear the most URLs. Paths do not wait for them.
//! - A request that is refused for load although nothing of ours is in progress is too large: half of it is
//!   next, down to a single item. While something of ours is in progress, the refusal may be about that:
//!   then a single item is next. If it is accepted, size does matter, and half is next. Else the wait is for
//!   ours to be done, after which the same size has its turn again.
//! - A size that holds is doubled after 4 requests; after each refusal of a doubled size it takes twice as many.
//! - A single item that is refused came too early: the pauses between its tries double, and its kind slows
//!   down to half the pace, and back by a quarter a request, never above the published one.
//!
//! It is a state machine without clock and I/O: times are given, as durations since the start.

use shipfront_invalidation::cover::REQUEST_WILDCARDS;
use std::collections::VecDeque;
use std::time::Duration;

/// Items in one request: CloudFront takes 150 paths or tags a second
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>).
const ITEMS: usize = 150;
/// Wildcards in one request.
const WILDCARDS: usize = REQUEST_WILDCARDS;
/// The pause after a refusal that makes the next request smaller.
const SHORT: Duration = Duration::from_millis(500);
/// The longest pause after a refusal.
const LONG: Duration = Duration::from_secs(60);
/// The slowest pace: items a second.
const SLOWEST: f64 = 1.0 / 60.0;
/// Requests of one size that are accepted before a larger one is tried.
const PROVEN: u32 = 4;

/// Requests that items take when none is refused.
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
    /// Send this, and say how it was answered.
    Send(Batch),
    /// Ask again after so long.
    Rest(Duration),
    /// All has been accepted or given up.
    Done,
}

/// The items of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Which of the planned invalidations they are of.
    pub(super) planned: usize,
    /// The items, in their order.
    pub(super) items: Vec<String>,
    lane: usize,
}

/// How CloudFront answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Accepted.
    Accepted,
    /// Refused for load or for size; of what was accepted before, so many requests are still in progress.
    Overload {
        /// Ours that are not known to be done.
        in_progress: usize,
    },
    /// Not answered, or CloudFront failed on its own side: the same request once more is the same invalidation.
    Unclear,
    /// Refused for good.
    Refused,
    /// Refused for good, and everything that is left of the invalidation was given up.
    Dropped,
}

/// What share a size and a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All that one distribution is to hear, of both kinds.
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
    /// Not to be tried again before.
    next: Duration,
    /// Where it was refused since its last acceptance: since when nothing at all was accepted.
    refused_since: Option<Duration>,
    /// Refusals since then after which no smaller request was left to try.
    refusals: i32,
    /// Whether a single item is to show what a refusal was about, and the size that was refused.
    probed: Option<usize>,
}

/// What was learned about one kind.
#[derive(Debug)]
struct Pace {
    /// Items of the next request, and of the largest.
    size: usize,
    largest: usize,
    /// Whether the size was never accepted since it was doubled.
    doubled: bool,
    /// Requests of the size that were accepted in a row, and how many it takes to try a larger one.
    accepted: u32,
    needed: u32,
    /// Items a second, and the published rate that it never exceeds.
    rate: f64,
    published: f64,
    /// When the next request may go out.
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

    /// So many items were too many.
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

/// All that is to be sent.
#[derive(Debug)]
pub(super) struct Schedule {
    lanes: Vec<Lane>,
    wildcards: Pace,
    paths: Pace,
    /// How long to go on without anything being accepted.
    busy: Duration,
    /// When all that is left is given up.
    until: Duration,
    /// Whether a request for a whole distribution was refused.
    apart: bool,
    given_up: Vec<Batch>,
}

impl Schedule {
    /// From the items of each planned invalidation. What is refused while nothing is accepted for `busy` is given
    /// up, and all that is not accepted by `until`.
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

    /// What to do at a time.
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

    /// The answer to a request that was sent at a time and answered at a later one. The pauses are multiplied by
    /// `jitter`, about 1, so that senders that were refused together do not come back together.
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
        // What one distribution gets through may be what another was refused for.
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

    /// The same once more, after a pause that doubles.
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

    /// Puts wildcards and paths in the place of the whole, each with the patience that is left.
    fn take_apart(&mut self, at: usize, next: Duration) {
        let whole = &mut self.lanes[at];
        let lane = Lane { items: std::mem::take(&mut whole.items), ..*whole };
        self.lanes.extend(lane.apart(next));
    }

    /// Gives up every lane that would be tried again only after its patience has ended.
    fn give_up_late(&mut self, now: Duration) {
        for at in 0..self.lanes.len() {
            let lane = &self.lanes[at];
            let ends = lane.refused_since.map(|since| since.saturating_add(self.busy));
            if ends.is_some_and(|ends| lane.next.max(now) >= ends) {
                self.drop_lane(at);
            }
        }
    }

    /// Gives up all that is not accepted by a time.
    pub(super) fn end_by(&mut self, until: Duration) {
        self.until = self.until.min(until);
    }

    /// Gives up all that is not accepted.
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

    /// Whether it matters that what was accepted before is done.
    pub(super) fn watches_progress(&self) -> bool {
        self.lanes.iter().any(|lane| lane.probed.is_some() && !lane.items.is_empty())
    }

    /// Nothing of ours is in progress any more: what was refused while it was has its turn again.
    pub(super) fn all_done(&mut self, now: Duration) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.probed.is_some()) {
            (lane.probed, lane.refusals, lane.next) = (None, 0, now);
        }
    }

    /// Everything that is left of an invalidation is given up: no request of it will be accepted.
    pub(super) fn give_up(&mut self, planned: usize) {
        for at in 0..self.lanes.len() {
            if self.lanes[at].planned == planned {
                self.drop_lane(at);
            }
        }
    }

    /// What was given up, and of which planned invalidation.
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
