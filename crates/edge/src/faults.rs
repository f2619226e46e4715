//! The fault script: every API request is named, counted, and may meet a fault.
//!
//! Faults are counted, never random: the same requests in the same order meet the same faults.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::alteration::Alteration;
use crate::lock::locked;

/// The folder of deploy records, whose reads and writes are counted separately.
const RECORD_FOLDER: &str = ".shipfront/";

/// A fault and the requests that meet it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// AWS's name of the operation, such as `PutObject`; `None` matches any.
    pub operation: Option<String>,
    /// The S3 key or the distribution ID; `None` matches any except the objects of the deploy record, whose
    /// requests would disturb the count.
    pub key: Option<String>,
    /// Number of matching requests that pass first.
    pub skip: u64,
    /// Number of matching requests that then meet the fault; `u64::MAX` means all of them.
    pub count: u64,
    /// The fault.
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// 503, S3's `SlowDown` or CloudFront's `ServiceUnavailable`.
    SlowDown,
    /// An error in AWS's XML.
    Error {
        /// HTTP status.
        status: u16,
        /// AWS's code, such as `AccessDenied`.
        code: String,
        /// The message.
        message: String,
    },
    /// The connection breaks before the request has any effect.
    ResetBefore,
    /// The request has its effect, and its response is lost.
    ResetAfter,
    /// The response breaks off in the middle of its body.
    TruncateBody,
    /// The request waits first.
    Delay(Duration),
    /// The request waits until somebody opens the gate.
    Hold(Gate),
    /// This request and all later ones are reset, until [`Faults::revive`].
    CrashBefore,
    /// The same, but this request has its effect.
    CrashAfter,
    /// `DeleteObjects`: 200 with an error for each of these keys.
    DeleteErrors {
        /// The keys that are not deleted.
        keys: Vec<String>,
    },
    /// `CreateInvalidation`: accepted and completed as usual, but every copy stays.
    KeepCopies,
    /// The request is changed on arrival, or its response on return.
    Alter(Box<Alteration>),
    /// `CompleteMultipartUpload` and `CopyObject`: 200 with an error in the body, and no effect.
    ErrorInBody {
        /// AWS's code, such as `InternalError`.
        code: String,
    },
}

/// A gate at which requests wait until it is opened; then it stays open.
#[derive(Clone, Debug)]
pub struct Gate(Arc<(Semaphore, Semaphore)>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new((Semaphore::new(0), Semaphore::new(0))))
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Gate {
    /// Waits until one more request is at the gate.
    pub async fn reached(&self) {
        if let Ok(permit) = self.0.0.acquire().await {
            permit.forget();
        }
    }

    /// Lets all requests continue.
    pub fn open(&self) {
        self.0.1.close();
    }

    pub(super) async fn pass(&self) {
        self.0.0.add_permits(1);
        // An error means that the gate was opened.
        let _ = self.0.1.acquire().await;
    }
}

/// The script's decision about one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Pass,
    Fault(Fault),
}

/// The script.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Counted>,
    crash: Option<Crash>,
    crashed: bool,
    /// Whether the request that met the crash has had its effect, if any.
    settled: bool,
    writes_per_second: Option<u32>,
    /// Faults that S3 requests meet periodically.
    recurring: Vec<Recurring>,
    window: Option<(Instant, u32)>,
}

#[derive(Debug)]
struct Counted {
    rule: Rule,
    seen: u64,
}

/// A fault that every nth request meets.
#[derive(Debug)]
struct Recurring {
    fault: Fault,
    one_in: u64,
    seen: u64,
}

#[derive(Debug)]
struct Crash {
    requests_left: u64,
    after_effect: bool,
}

impl Faults {
    /// Adds a rule. A request is counted by each rule that matches it, and meets the fault of the first one that is
    /// due.
    pub fn add(&self, rule: Rule) {
        locked(&self.state).rules.push(Counted { rule, seen: 0 });
    }

    /// Removes all rules, a scheduled crash and the cap of writes.
    pub fn clear(&self) {
        let mut state = locked(&self.state);
        let (crashed, settled) = (state.crashed, state.settled);
        *state = State { crashed, settled, ..State::default() };
    }

    /// Answers again after a crash.
    pub fn revive(&self) {
        let mut state = locked(&self.state);
        (state.crashed, state.settled) = (false, false);
    }

    /// Whether a scripted crash occurred and its request has had its effect, if it was to have any.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        locked(&self.state).settled
    }

    pub(super) fn settle(&self) {
        locked(&self.state).settled = true;
    }

    /// Crashes at the `nth_request` from now, where the next one is the first, whatever it is.
    pub fn crash_at(&self, nth_request: u64, after_effect: bool) {
        locked(&self.state).crash = Some(Crash { requests_left: nth_request.max(1), after_effect });
    }

    /// Answers `SlowDown` to S3 writes above this many per second.
    pub fn cap_writes_per_second(&self, cap: Option<u32>) {
        let mut state = locked(&self.state);
        state.writes_per_second = cap;
        state.window = None;
    }

    /// Makes every `one_in`th write to S3 meet a fault, until [`Faults::clear`].
    pub fn recur(&self, one_in: u64, fault: Fault) {
        locked(&self.state).recurring.push(Recurring { fault, one_in: one_in.max(1), seen: 0 });
    }

    /// Counts one request.
    pub(super) fn verdict(&self, operation: &str, key: Option<&str>, s3_write: bool) -> Verdict {
        let mut state = locked(&self.state);
        if state.crashed {
            return Verdict::Fault(Fault::ResetBefore);
        }
        let mut fault = state.scripted(operation, key);
        if let Some(crash) = &mut state.crash {
            crash.requests_left -= 1;
            if crash.requests_left == 0 {
                let after = crash.after_effect;
                fault = Some(if after { Fault::CrashAfter } else { Fault::CrashBefore });
                state.crash = None;
            }
        }
        if matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter)) {
            state.crashed = true;
        }
        if s3_write {
            let recurring = state.recurring();
            fault = fault.or(recurring);
        }
        if fault.is_none() && s3_write && state.over_cap() {
            fault = Some(Fault::SlowDown);
        }
        fault.map_or(Verdict::Pass, Verdict::Fault)
    }
}

impl State {
    fn scripted(&mut self, operation: &str, key: Option<&str>) -> Option<Fault> {
        let mut fault = None;
        for counted in &mut self.rules {
            let rule = &counted.rule;
            let matches = rule.operation.as_deref().is_none_or(|wanted| wanted == operation)
                && match rule.key.as_deref() {
                    Some(wanted) => Some(wanted) == key,
                    None => !key.is_some_and(|key| key.starts_with(RECORD_FOLDER)),
                };
            if !matches {
                continue;
            }
            let position = counted.seen;
            counted.seen += 1;
            if position >= rule.skip && position - rule.skip < rule.count && fault.is_none() {
                fault = Some(rule.fault.clone());
            }
        }
        fault
    }

    /// The fault that the next write meets, if one is due.
    fn recurring(&mut self) -> Option<Fault> {
        let mut met = None;
        for recurring in &mut self.recurring {
            recurring.seen += 1;
            if recurring.seen % recurring.one_in == 0 {
                met = Some(recurring.fault.clone());
            }
        }
        met
    }

    fn over_cap(&mut self) -> bool {
        let Some(cap) = self.writes_per_second else {
            return false;
        };
        let now = Instant::now();
        let (start, count) = match self.window {
            Some((start, count)) if now - start < Duration::from_secs(1) => (start, count),
            _ => (now, 0),
        };
        self.window = Some((start, count.saturating_add(1)));
        count >= cap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(operation: Option<&str>, skip: u64, count: u64, fault: Fault) -> Rule {
        Rule { operation: operation.map(str::to_owned), key: None, skip, count, fault }
    }

    #[test]
    fn a_rule_skips_then_strikes_then_rests() {
        let faults = Faults::default();
        faults.add(rule(Some("PutObject"), 1, 2, Fault::SlowDown));
        let verdict = |operation| faults.verdict(operation, None, false) != Verdict::Pass;
        assert!(!verdict("PutObject"));
        assert!(!verdict("GetObject"));
        assert!(verdict("PutObject"));
        assert!(verdict("PutObject"));
        assert!(!verdict("PutObject"));
    }

    #[test]
    fn a_crash_lasts_until_revival() {
        let faults = Faults::default();
        faults.crash_at(2, true);
        let next = || faults.verdict("PutObject", None, true);
        assert_eq!(next(), Verdict::Pass);
        assert_eq!(next(), Verdict::Fault(Fault::CrashAfter));
        assert_eq!(next(), Verdict::Fault(Fault::ResetBefore));
        faults.revive();
        assert_eq!(next(), Verdict::Pass);
    }

    #[test]
    fn what_recurs_meets_one_write_in_so_many() {
        let faults = Faults::default();
        faults.recur(3, Fault::SlowDown);
        let met = |write| faults.verdict("PutObject", None, write) != Verdict::Pass;
        assert_eq!((0..6).map(|_| met(true)).collect::<Vec<_>>(), [false, false, true, false, false, true]);
        assert!((0..6).all(|_| !met(false)), "reads meet nothing");
        faults.clear();
        assert!((0..6).all(|_| !met(true)));
    }

    #[test]
    fn writes_past_the_cap_are_slowed_down() {
        let faults = Faults::default();
        faults.cap_writes_per_second(Some(0));
        assert_eq!(faults.verdict("PutObject", None, true), Verdict::Fault(Fault::SlowDown));
        assert_eq!(faults.verdict("GetObject", None, false), Verdict::Pass);
    }
}
