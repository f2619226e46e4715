//! The maximum cost of a run at AWS's list prices for us-east-1: for paths beyond the free ones according to the
//! record, or for all of them if nothing counts them.

use crate::aws::Requests;
use crate::cloudfront::send::requests;
use crate::deploy::change::Action;
use crate::record::allowance::UsedPaths;
use crate::report::Report;
use crate::report::ReportedChange;
use crate::s3::MAX_DELETE_KEYS;
use crate::s3::retag::LARGEST_COPY;
use serde::Serialize;
use shipfront_invalidation::InvalidationStatus;
use shipfront_site::etag::{MULTIPART_THRESHOLD, part_size};
use std::fmt::{self, Display, Formatter};

/// Dollars for each path beyond the account's free 1,000 a month (<https://aws.amazon.com/cloudfront/pricing/>).
const PER_PATH: f64 = 0.005;
/// Dollars for each PUT, POST, COPY and LIST, and for each GET and HEAD
/// (<https://aws.amazon.com/s3/pricing/>). Deletions are free.
const PER_WRITE: f64 = 0.005 / 1000.0;
const PER_READ: f64 = 0.0004 / 1000.0;
/// Writes of a run to its deploy record: the intent, the lease, the manifest and the release.
const RECORD_WRITES: u64 = 4;
/// The first time, whether the store honors conditions is tested as well.
const NEW_RECORD_WRITES: u64 = 6;
/// The check that viewers cannot read the record, and, if tags or error pages are uploaded, S3's time.
const RECORD_READS: u64 = 2;

/// The cost of a run; for a plan, that of the deploy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// The requests to AWS.
    pub requests: Requests,
    /// Paths that CloudFront counts.
    pub paths: u64,
    /// For the paths beyond what the month still has free; for all of them if nothing counts them.
    pub invalidation_dollars: f64,
    /// For the requests to S3.
    pub requests_dollars: f64,
    /// For both.
    pub dollars: f64,
}

impl Cost {
    /// The cost of a run with these requests and paths, of which `billed` are not free.
    pub fn of(requests: Requests, paths: u64, billed: u64) -> Cost {
        let invalidation_dollars = billed as f64 * PER_PATH;
        let writes = (requests.list + requests.put) as f64;
        let requests_dollars = writes * PER_WRITE + (requests.get + requests.head) as f64 * PER_READ;
        Cost {
            requests,
            paths,
            invalidation_dollars,
            requests_dollars,
            dollars: invalidation_dollars + requests_dollars,
        }
    }
}

impl Report {
    /// Adds the cost of the run; for a plan, that of the deploy after it. `new_record` says whether there is no
    /// record yet; `None` if none is kept. `kept_copies` is the number of copies that it keeps of replaced or
    /// removed objects.
    pub fn count_cost(&mut self, (new_record, kept_copies): (Option<bool>, u64)) {
        let accepted =
            self.invalidations.iter().filter(|invalidation| invalidation.status != InvalidationStatus::Failed);
        let paths = accepted.map(|invalidation| invalidation.items.len() as u64).sum();
        let planned = self.outcome.is_plan() && self.has_changes();
        let requests = if planned { self.expected(new_record, kept_copies) } else { self.requests };
        let billed = self.allowance.as_ref().map_or(paths, |allowance| {
            let before = allowance.used.saturating_sub(if self.outcome.is_plan() { 0 } else { paths });
            paths.saturating_sub(allowance.free.saturating_sub(before))
        });
        self.cost = Cost::of(requests, paths, billed);
    }

    /// The requests of a deploy of this plan: the same reads, and the writes.
    fn expected(&self, new_record: Option<bool>, kept_copies: u64) -> Requests {
        let removals =
            |late| self.changes.iter().filter(move |change| is_removal(change) && change.late == late).count();
        let batches = |count: usize| count.div_ceil(MAX_DELETE_KEYS) as u64;
        let uploads = self.changes.iter().filter(|change| change.action == Action::Upload);
        let copies = || self.changes.iter().filter(|change| change.action == Action::Copy);
        // The first one is made with a condition that cannot hold, after a check of what is there.
        let tried = u64::from(copies().next().is_some());
        let invalidations: u64 =
            self.invalidations.iter().map(|invalidation| requests(&invalidation.items) as u64).sum();
        let (writes, reads, cleanings) = match new_record {
            Some(true) => (NEW_RECORD_WRITES, RECORD_READS, 1),
            Some(false) => (RECORD_WRITES, RECORD_READS, 1),
            None => (0, 0, 0),
        };
        Requests {
            put: self.requests.put
                + uploads.map(|change| puts(change.bytes)).sum::<u64>()
                + copies().map(|change| copy_puts(change.bytes)).sum::<u64>()
                + tried
                + kept_copies
                + writes,
            // Each kept copy needs one more HEAD.
            head: self.requests.head + tried + kept_copies,
            get: self.requests.get + reads,
            delete: batches(removals(false)) + batches(removals(true)) + cleanings,
            create_invalidation: invalidations,
            cloudfront_read: self.requests.cloudfront_read + invalidations,
            cloudfront_write: self.rules.iter().map(|function| function.requests).sum(),
            ..self.requests
        }
    }
}

fn is_removal(change: &ReportedChange) -> bool {
    change.action == Action::Prune
}

/// The requests of one upload: for a large file, its parts, the beginning and the end.
fn puts(bytes: u64) -> u64 {
    if bytes > MULTIPART_THRESHOLD { bytes.div_ceil(part_size(bytes)) + 2 } else { 1 }
}

impl Display for Cost {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let amount = dollars(self.dollars);
        let bound = if amount.starts_with('$') { "at most " } else { "" };
        write!(out, "{bound}{amount}: ")?;
        if self.paths > 0 {
            let (word, price) = (if self.paths == 1 { "path" } else { "paths" }, dollars(self.invalidation_dollars));
            let price = if self.invalidation_dollars > 0.0 { price } else { "free".to_owned() };
            write!(out, "{} {word} {price}, ", self.paths)?;
        }
        write!(out, "requests {}", dollars(self.requests_dollars))
    }
}

/// The cost of this many paths, given what the month still has free: `free`, or an amount.
pub fn of_paths(paths: u64, allowance: Option<&UsedPaths>) -> String {
    let free = allowance.map_or(0, |allowance| allowance.free.saturating_sub(allowance.used));
    match paths.saturating_sub(free) {
        0 => "free".to_owned(),
        billed => dollars(billed as f64 * PER_PATH),
    }
}

/// The requests of one copy.
fn copy_puts(bytes: u64) -> u64 {
    if bytes > LARGEST_COPY { puts(bytes) } else { 1 }
}

/// An amount for display: with as many digits as it needs, and at least cents.
fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.0001 {
        return "under $0.0001".to_owned();
    }
    let text = format!("{amount:.4}");
    let short = text.trim_end_matches('0');
    let cents = text.find('.').map_or(text.len(), |point| point + 3);
    format!("${}", &text[..short.len().max(cents)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_those_that_aws_lists() {
        let requests = Requests { list: 400, put: 600, get: 500, head: 500, delete: 9, ..Requests::default() };
        let cost = Cost::of(requests, 2, 2);
        assert!((cost.requests_dollars - 0.0054).abs() < 1e-9, "{cost:?}");
        assert!((cost.invalidation_dollars - 0.01).abs() < 1e-9, "{cost:?}");
        assert_eq!(cost.to_string(), "at most $0.0154: 2 paths $0.01, requests $0.0054");
        assert_eq!(Cost::default().to_string(), "at most $0.00: requests $0.00");
        let few = Cost::of(Requests { get: 1, ..Requests::default() }, 0, 0);
        assert_eq!(few.to_string(), "under $0.0001: requests under $0.0001");
    }

    #[test]
    fn amounts_have_the_digits_that_they_need() {
        for (amount, text) in
            [(0.0, "$0.00"), (0.005, "$0.005"), (0.5, "$0.50"), (12.25, "$12.25"), (0.00001, "under $0.0001")]
        {
            assert_eq!(dollars(amount), text);
        }
    }

    #[test]
    fn a_large_file_is_as_many_requests_as_it_has_parts_and_two() {
        assert_eq!((puts(0), puts(MULTIPART_THRESHOLD), puts(MULTIPART_THRESHOLD + 1)), (1, 1, 4));
    }
}
