//! The paths that a record's site has sent to CloudFront in a calendar month; the first thousand of an account are
//! free (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PayingForInvalidation.html>).

use crate::wording::grouped;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt::{self, Display, Formatter};

/// The number of paths in a month of UTC, by S3's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathCount {
    /// Such as `2026-11`.
    pub month: String,
    /// Paths, wildcards and cache tags: each is billed as one path.
    pub used: u64,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Deserializes an optional value that a run can do without; an invalid value counts as absent. Counts, for
/// example, only save money.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// The month of a time, in UTC.
pub fn month_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

impl PathCount {
    /// A count of `used` paths in the month of a time.
    pub fn new(at: Timestamp, used: u64) -> PathCount {
        PathCount { month: month_of(at), used, extra: Map::new() }
    }
}

/// How much of its month's free paths a site has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsedPaths {
    /// Such as `2026-11`, in UTC.
    pub month: String,
    /// Number of paths sent in it.
    pub used: u64,
    /// Number of paths per month that cost this site nothing.
    pub free: u64,
}

impl Display for UsedPaths {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {} free paths used this month", grouped(self.used), grouped(self.free))
    }
}

/// A count that continues another one, with `used` paths in the month of a time.
pub(super) fn next(before: Option<&PathCount>, at: Timestamp, used: u64) -> PathCount {
    PathCount { extra: before.map(|before| before.extra.clone()).unwrap_or_default(), ..PathCount::new(at, used) }
}

/// The sum of these counts for the month of a time.
pub fn used<'a>(at: Timestamp, counts: impl IntoIterator<Item = Option<&'a PathCount>>) -> u64 {
    let month = month_of(at);
    let counts = counts.into_iter().flatten().filter(|count| count.month == month);
    counts.fold(0, |sum, count| sum.saturating_add(count.used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_ends_with_its_month() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (last, first) = (at("2026-11-30T23:59:59Z"), at("2026-12-01T00:00:00Z"));
        let count = PathCount::new(last, 7);
        assert_eq!(count.month, "2026-11");
        assert_eq!(used(last, [Some(&count), None, Some(&count)]), 14);
        assert_eq!(used(first, [Some(&count)]), 0);
    }

    #[test]
    fn what_was_used_is_said_with_its_thousands_apart() {
        let used = |used, free| UsedPaths { month: "2026-11".to_owned(), used, free }.to_string();
        assert_eq!(used(213, 1_000), "213 of 1,000 free paths used this month");
        assert_eq!(used(1_234_567, 0), "1,234,567 of 0 free paths used this month");
    }
}
