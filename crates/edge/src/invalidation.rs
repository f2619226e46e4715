//! Invalidations: what CloudFront accepts, and the progress of each.
//!
//! Sources:
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-tags.html>.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::distribution::identifier;
use crate::lock::locked;
use crate::quotas::{InProgressQuota, Limiter, Load, Quotas};

/// Maximum length of a path, in characters.
const LONGEST_PATH: usize = 4000;
/// Maximum length of a tag, in characters.
const LONGEST_TAG: usize = 256;
/// Maximum number of items in one request: the last limit that AWS published for it.
const LARGEST_BATCH: usize = 3000;

/// An accepted invalidation.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalidation {
    /// `I` and 13 uppercase letters and digits.
    pub id: String,
    /// Chosen by the client; the same reference with the same items is the same invalidation.
    pub caller_reference: String,
    /// Paths and `#tags`, as sent.
    pub items: Vec<String>,
    /// As `GetInvalidation` returns it.
    pub status: InvalidationStatus,
    /// By this machine's clock.
    pub created: Timestamp,
}

/// The progress of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidationStatus {
    /// Accepted. Copies are already evicted.
    InProgress,
    /// Reported as done.
    Completed,
}

impl InvalidationStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
        }
    }
}

/// When an invalidation is reported as completed. It takes effect when it is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// `GetInvalidation` returns `InProgress` this many times first.
    Polls(u64),
    /// It returns `InProgress` for this long, by the clock that tests advance.
    After(Duration),
}

/// Why a request is refused: CloudFront's code and message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

#[derive(Debug)]
struct Accepted {
    invalidation: Invalidation,
    polls_left: u64,
    /// With `None`, it is done once it was polled often enough.
    done_at: Option<Instant>,
}

/// All invalidations, by distribution.
#[derive(Debug)]
pub(super) struct Invalidations {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accepted: BTreeMap<String, Vec<Accepted>>,
    progress: Progress,
    limiter: Limiter,
}

impl Default for Invalidations {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                accepted: BTreeMap::new(),
                progress: Progress::Polls(0),
                limiter: Limiter::default(),
            }),
        }
    }
}

impl Invalidations {
    pub(super) fn set_progress(&self, progress: Progress) {
        locked(&self.state).progress = progress;
    }

    pub(super) fn set_quotas(&self, quotas: Quotas) {
        locked(&self.state).limiter.set(quotas);
    }

    pub(super) fn limit_in_progress(&self, quota: Option<InProgressQuota>) {
        locked(&self.state).limiter.set_in_progress(quota);
    }

    /// Accepts a batch; returns `true` if it is new. The same reference with the same items is the previous
    /// invalidation, and uses nothing of the quotas.
    pub(super) fn create(
        &self,
        distribution: &str,
        caller_reference: String,
        items: Vec<String>,
        now: Instant,
    ) -> Result<(Invalidation, bool), Refusal> {
        check_batch(&items)?;
        let mut state = locked(&self.state);
        let State { accepted, progress, limiter } = &mut *state;
        let accepted = accepted.entry(distribution.to_owned()).or_default();
        let mut known = accepted.iter();
        if let Some(known) = known.find(|known| known.invalidation.caller_reference == caller_reference) {
            let sorted = |items: &[String]| {
                let mut items = items.to_vec();
                items.sort();
                items
            };
            if sorted(&known.invalidation.items) == sorted(&items) {
                return Ok((known.invalidation.clone(), false));
            }
            return Err(Refusal::new(
                400,
                "InvalidationBatchAlreadyExists",
                "The caller reference was used before for another batch of paths.",
            ));
        }
        limiter.admit(distribution, Load::of(&items), in_progress(accepted, now), now)?;
        let invalidation = Invalidation {
            id: identifier(&format!("{distribution}/{}/{caller_reference}", accepted.len())).replacen('E', "I", 1),
            caller_reference,
            items,
            status: InvalidationStatus::InProgress,
            created: Timestamp::now(),
        };
        let (polls_left, done_at) = match *progress {
            Progress::Polls(polls) => (polls, None),
            Progress::After(duration) => (0, Some(now + duration)),
        };
        accepted.push(Accepted { invalidation: invalidation.clone(), polls_left, done_at });
        Ok((invalidation, true))
    }

    /// One `GetInvalidation`.
    pub(super) fn poll(&self, distribution: &str, id: &str, now: Instant) -> Option<Invalidation> {
        let mut state = locked(&self.state);
        let mut accepted = state.accepted.get_mut(distribution)?.iter_mut();
        let accepted = accepted.find(|accepted| accepted.invalidation.id == id)?;
        if accepted.polls_left > 0 {
            accepted.polls_left -= 1;
        } else if accepted.done_at.is_none_or(|done_at| now >= done_at) {
            accepted.invalidation.status = InvalidationStatus::Completed;
        }
        Some(accepted.invalidation.clone())
    }

    /// In order of acceptance.
    pub(super) fn list(&self, distribution: &str, now: Instant) -> Vec<Invalidation> {
        let state = locked(&self.state);
        let accepted = state.accepted.get(distribution).into_iter().flatten();
        accepted.map(|accepted| accepted.at(now)).collect()
    }

    /// The number of a distribution's invalidations in progress.
    pub(super) fn running(&self, distribution: &str, now: Instant) -> usize {
        let state = locked(&self.state);
        let accepted = state.accepted.get(distribution).into_iter().flatten();
        accepted.filter(|accepted| !accepted.done(now)).count()
    }
}

impl Accepted {
    fn done(&self, now: Instant) -> bool {
        self.invalidation.status == InvalidationStatus::Completed || self.done_at.is_some_and(|done_at| now >= done_at)
    }

    fn at(&self, now: Instant) -> Invalidation {
        let status = if self.done(now) { InvalidationStatus::Completed } else { InvalidationStatus::InProgress };
        Invalidation { status, ..self.invalidation.clone() }
    }
}

/// What counts against the older rule.
fn in_progress(accepted: &[Accepted], now: Instant) -> Load {
    let running = accepted.iter().filter(|accepted| !accepted.done(now));
    Load::of(running.flat_map(|accepted| &accepted.invalidation.items))
}

fn check_batch(items: &[String]) -> Result<(), Refusal> {
    if items.is_empty() {
        return Err(Refusal::new(400, "InvalidArgument", "The batch holds no path."));
    }
    if items.len() > LARGEST_BATCH {
        return Err(Refusal::new(413, "BatchTooLarge", "Invalidation batch specified is too large."));
    }
    match items.iter().find(|item| !is_valid(item)) {
        None => Ok(()),
        Some(_) => {
            Err(Refusal::new(400, "InvalidArgument", "Your request contains one or more invalid invalidation paths."))
        }
    }
}

fn is_valid(item: &str) -> bool {
    if let Some(tag) = item.strip_prefix('#') {
        return is_tag(tag);
    }
    item.starts_with('/') && item.len() <= LONGEST_PATH && is_encoded(item.as_bytes())
}

/// Whether CloudFront accepts this as a tag.
pub(super) fn is_tag(tag: &str) -> bool {
    let printable = |byte: u8| (33..=126).contains(&byte) && byte != b',';
    !tag.is_empty() && tag.len() <= LONGEST_TAG && tag.bytes().all(printable)
}

/// Whether the path contains no byte that RFC 1738 calls unsafe, and `%` only before two hexadecimal digits.
fn is_encoded(path: &[u8]) -> bool {
    path.iter().enumerate().all(|(index, byte)| match byte {
        b'%' => path.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b' ' | b'<' | b'>' | b'"' | b'#' | b'{' | b'}' | b'|' | b'\\' | b'^' | b'~' | b'[' | b']' | b'`' => false,
        byte => byte.is_ascii_graphic(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_tags_are_checked_as_cloudfront_does() {
        for item in ["/", "/*", "/a%20b", "/caf%C3%A9*", "/a+b", "/a?b=c", "/%7Euser", "#tag", "#a:b@c"] {
            assert!(is_valid(item), "{item}");
        }
        let long = format!("/{}", "x".repeat(4000));
        for item in ["", "a", "*", "/a b", "/café", "/~user", "/a[1]", "/%zz", "/a%2", "#", "#a b", "#a,b", &long] {
            assert!(!is_valid(item), "{item}");
        }
    }

    #[test]
    fn the_same_reference_is_the_same_invalidation_or_a_conflict() {
        let invalidations = Invalidations::default();
        invalidations.set_quotas(Quotas::newer());
        let now = Instant::now();
        let create = |items: &[&str]| {
            let items = items.iter().map(|&item| item.to_owned()).collect();
            invalidations.create("E1", "reference".to_owned(), items, now)
        };
        let (first, new) = create(&["/a", "/b*"]).unwrap();
        assert!(new);
        let (again, new) = create(&["/b*", "/a"]).unwrap();
        assert!(!new);
        assert_eq!(again.id, first.id);
        assert_eq!(create(&["/c"]).unwrap_err().code, "InvalidationBatchAlreadyExists");
    }

    #[test]
    fn what_is_in_progress_counts_until_it_was_seen_completed() {
        let invalidations = Invalidations::default();
        invalidations.limit_in_progress(Some(InProgressQuota { paths: 2, wildcards: 0 }));
        let now = Instant::now();
        let create = |reference: &str, count: usize| {
            let items = (0..count).map(|number| format!("/{number}")).collect();
            invalidations.create("E1", reference.to_owned(), items, now)
        };
        let first = create("1", 2).unwrap().0;
        assert_eq!(create("2", 1).unwrap_err().code, "TooManyInvalidationsInProgress");
        assert!(invalidations.poll("E1", &first.id, now).is_some());
        assert!(create("2", 1).is_ok());
    }

    #[test]
    fn what_is_in_progress_for_a_time_counts_for_that_time() {
        let invalidations = Invalidations::default();
        invalidations.set_progress(Progress::After(Duration::from_secs(20)));
        invalidations.set_quotas(Quotas::older());
        let now = Instant::now();
        let create = |reference: &str, seconds: u64| {
            let items = (0..15).map(|number| format!("/{number}*")).collect();
            invalidations.create("E1", reference.to_owned(), items, now + Duration::from_secs(seconds))
        };
        assert!(create("1", 0).is_ok());
        assert_eq!(create("2", 19).unwrap_err().code, "TooManyInvalidationsInProgress");
        assert!(create("2", 20).is_ok());
        let statuses = invalidations.list("E1", now + Duration::from_secs(20));
        let statuses: Vec<_> = statuses.iter().map(|listed| listed.status).collect();
        assert_eq!(statuses, [InvalidationStatus::Completed, InvalidationStatus::InProgress]);
    }
}
