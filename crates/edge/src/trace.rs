//! The trace: the latest API requests, and how many there were.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use crate::lock::locked;

/// Number of requests in the trace; the oldest are dropped first.
const LONGEST_TRACE: usize = 200_000;

/// One API request, answered or not.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    /// From 1, over all API requests since the start.
    pub ordinal: u64,
    /// AWS's name of the operation.
    pub operation: String,
    /// The S3 bucket.
    pub bucket: Option<String>,
    /// The S3 key or the distribution ID.
    pub key: Option<String>,
    /// Items of an invalidation, or keys of a `DeleteObjects`.
    pub items: Vec<String>,
    /// HTTP status; 0 if the connection was reset.
    pub status: u16,
    /// Since the edge started.
    pub at: Duration,
    /// Conditions, content headers, digests and metadata, by lowercase name.
    pub headers: BTreeMap<String, String>,
    /// The access key that signed it.
    pub access_key: Option<String>,
    /// The number of its connection, from 1.
    pub connection: u64,
    /// Requests in progress when it arrived, including itself.
    pub in_flight: u64,
}

/// All API requests since the last [`clear_requests`](crate::Edge::clear_requests), however many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Number of requests by AWS's name of the operation.
    pub operations: BTreeMap<String, u64>,
    /// Sum of the `Content-Length` of all requests.
    pub bytes: u64,
    /// Number of requests that were answered 503.
    pub refused: u64,
}

/// The trace.
#[derive(Debug, Default)]
pub(super) struct Trace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of requests so far.
    count: u64,
    in_flight: u64,
    latest: VecDeque<RecordedRequest>,
    counts: RequestCounts,
}

impl Trace {
    /// Numbers a request, in order of arrival.
    pub(super) fn begin(&self, mut request: RecordedRequest) -> u64 {
        let mut state = locked(&self.state);
        state.count += 1;
        state.in_flight += 1;
        request.ordinal = state.count;
        request.in_flight = state.in_flight;
        match state.counts.operations.get_mut(&request.operation) {
            Some(count) => *count += 1,
            None => _ = state.counts.operations.insert(request.operation.clone(), 1),
        }
        state.counts.bytes +=
            request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_u64);
        if state.latest.len() == LONGEST_TRACE {
            state.latest.pop_front();
        }
        state.latest.push_back(request);
        state.count
    }

    pub(super) fn finish(&self, ordinal: u64, status: u16, items: Vec<String>) {
        let mut state = locked(&self.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        state.counts.refused += u64::from(status == 503);
        let found = state.latest.binary_search_by_key(&ordinal, |request| request.ordinal);
        if let Ok(index) = found
            && let Some(request) = state.latest.get_mut(index)
        {
            request.status = status;
            request.items = items;
        }
    }

    pub(super) fn all(&self) -> Vec<RecordedRequest> {
        locked(&self.state).latest.iter().cloned().collect()
    }

    pub(super) fn counts(&self) -> RequestCounts {
        locked(&self.state).counts.clone()
    }

    pub(super) fn clear(&self) {
        let mut state = locked(&self.state);
        state.latest.clear();
        state.counts = RequestCounts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_where_the_trace_forgets() {
        let trace = Trace::default();
        let request = RecordedRequest {
            ordinal: 0,
            operation: "PutObject".to_owned(),
            bucket: None,
            key: None,
            items: Vec::new(),
            status: 0,
            at: Duration::ZERO,
            headers: BTreeMap::from([("content-length".to_owned(), "3".to_owned())]),
            access_key: None,
            connection: 1,
            in_flight: 0,
        };
        for _ in 0..=LONGEST_TRACE {
            let ordinal = trace.begin(request.clone());
            trace.finish(ordinal, 200, Vec::new());
        }
        let most = u64::try_from(LONGEST_TRACE).unwrap();
        assert_eq!(trace.all().len(), LONGEST_TRACE);
        let operations = BTreeMap::from([("PutObject".to_owned(), most + 1)]);
        assert_eq!(trace.counts(), RequestCounts { operations, bytes: 3 * (most + 1), refused: 0 });
        trace.clear();
        trace.begin(request);
        assert_eq!(trace.counts().bytes, 3);
    }
}
