//! Decides how far a change of an error page reaches.
//!
//! CloudFront serves a custom error page under the URL that failed, so there are copies of it under URLs that
//! nobody can list. AWS's pages disagree on how long they stay: for `ErrorCachingMinTTL`, or for as long as the
//! page's own headers and its behavior say. Only if every reading is short may the copies be left to expire.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html>

use crate::viewer::shape::{CustomErrorResponse, Ttl};
use serde::{Deserialize, Serialize};

/// Maximum lifetime, in seconds, at which old copies of an error page under other URLs are left to expire.
pub const TOLERATED_SECONDS: u64 = 60;

/// The `Cache-Control` of an error page unless a rule sets another: browsers revalidate each time, and CloudFront
/// keeps a copy no longer than is tolerated.
pub const CACHE_CONTROL: &str = "max-age=0, s-maxage=60, must-revalidate";

/// Represents the `Cache-Control` of copies that may carry any: only the behavior's MaxTTL bounds how long they are
/// fresh, and how long they are served afterwards.
pub const ANY_CACHE_CONTROL: &str = "max-age=31536000, stale-while-revalidate=31536000";

/// What to do about the copies of changed error pages (`--error-page`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorPagePolicy {
    /// Decide by how long the copies may live.
    #[default]
    Auto,
    /// Always leave them to expire.
    OwnPath,
    /// Always invalidate everything.
    All,
}

/// The headers that a cached copy of the error page may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachedHeaders<'a> {
    Known {
        cache_control: Option<&'a str>,
        /// Whether the object has an `Expires` header; its date is assumed to be in the distant future.
        expires: bool,
    },
    /// Nobody recorded them: the copy may live as long as its behavior allows, and be served stale for as long
    /// again.
    Unknown,
}

/// How far a change of an error page reaches, with the reason to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorPageAction {
    /// Its own viewer paths are enough.
    OwnPath { reason: String },
    /// `/*` is needed.
    Everything { reason: String },
}

/// How long a copy may live, and by which rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lifetime {
    /// `u64::MAX` if there is no bound.
    seconds: u64,
    rule: &'static str,
}

/// Decides for a changed error page. `page_ttls` are those of each behavior that may serve the page's own path,
/// `None` if it could not be read; `cached` contains all headers that cached copies may carry, none if the page did
/// not exist.
pub(super) fn decide(
    policy: ErrorPagePolicy,
    responses: &[&CustomErrorResponse],
    page_ttls: &[Option<Ttl>],
    cached: &[CachedHeaders<'_>],
) -> Option<ErrorPageAction> {
    let path = &responses.first()?.response_page_path;
    match policy {
        ErrorPagePolicy::Auto => {}
        ErrorPagePolicy::OwnPath => {
            let reason = format!("{path} is served under any URL; its copies expire there, as --error-page says");
            return Some(ErrorPageAction::OwnPath { reason });
        }
        ErrorPagePolicy::All => {
            let reason = format!("{path} is served under any URL: /*, as --error-page says");
            return Some(ErrorPageAction::Everything { reason });
        }
    }
    let by_error = responses
        .iter()
        .map(|response| Lifetime { seconds: response.error_caching_min_ttl, rule: "ErrorCachingMinTTL" });
    let by_page = cached.iter().flat_map(|headers| {
        let of_ttl = |ttl: &Option<Ttl>| own_lifetime(headers, *ttl);
        page_ttls.iter().map(of_ttl)
    });
    let longest = by_error.chain(by_page).max()?;
    let Lifetime { seconds, rule } = longest;
    Some(if seconds <= TOLERATED_SECONDS {
        ErrorPageAction::OwnPath {
            reason: format!("{path} is served under any URL, and expires there within {seconds} s ({rule})"),
        }
    } else if seconds == u64::MAX {
        ErrorPageAction::Everything {
            reason: format!("{path} is served under any URL and may be cached there ({rule}): /*"),
        }
    } else {
        ErrorPageAction::Everything {
            reason: format!("{path} is served under any URL and may be cached there for {seconds} s ({rule}): /*"),
        }
    })
}

/// How long CloudFront keeps an object with these headers under a behavior with this TTL.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Expiration.html>
fn own_lifetime(headers: &CachedHeaders<'_>, ttl: Option<Ttl>) -> Lifetime {
    let lifetime = |seconds, rule| Lifetime { seconds, rule };
    let Some(ttl) = ttl else {
        return lifetime(u64::MAX, "its cache policy could not be read");
    };
    let CachedHeaders::Known { cache_control, expires } = headers else {
        let rule = "twice MaxTTL, because its headers are unknown and may allow stale copies";
        return lifetime(ttl.max.saturating_mul(2), rule);
    };
    let directives = Directives::parse(cache_control.unwrap_or_default());
    let (seconds, rule) = match (directives.age, directives.forbids_caching) {
        (Some((age, rule)), _) if age > ttl.max => (ttl.max, rule),
        (Some((age, _)), _) if age < ttl.min => (ttl.min, "MinTTL"),
        (Some((age, rule)), _) => (age, rule),
        (None, true) => (ttl.min, "MinTTL"),
        (None, false) if *expires => (ttl.max, "MaxTTL, because it has an Expires header"),
        (None, false) => (ttl.default.max(ttl.min), "DefaultTTL"),
    };
    // Past that age, CloudFront may still serve the copy while it fetches, or cannot fetch, another.
    match directives.stale.min(ttl.max) {
        0 => lifetime(seconds, rule),
        stale => lifetime(seconds.saturating_add(stale), "its stale-... directive"),
    }
}

/// A `Cache-Control` that represents two values, where `None` means that there is none: the one with which a copy
/// lives at least as long under any behavior, or [`ANY_CACHE_CONTROL`] if that depends on the behavior's TTLs.
pub fn longer_lived<'a>(one: Option<&'a str>, other: Option<&'a str>) -> Option<&'a str> {
    let directives = |cache_control: Option<&str>| Directives::parse(cache_control.unwrap_or_default());
    let (of_one, of_other) = (directives(one), directives(other));
    if of_one.outlives(&of_other) {
        one
    } else if of_other.outlives(&of_one) {
        other
    } else {
        Some(ANY_CACHE_CONTROL)
    }
}

/// Whether a `Cache-Control` sets an age: an `Expires` header then has no effect.
pub fn names_age(cache_control: &str) -> bool {
    Directives::parse(cache_control).age.is_some()
}

/// The settings of the distribution that keep copies of an error page longer than is tolerated, whatever its
/// headers say, each with its value in seconds.
pub(super) fn obstacles(responses: &[&CustomErrorResponse], page_ttls: &[Option<Ttl>]) -> Vec<(&'static str, u64)> {
    let by_error = responses.iter().map(|response| response.error_caching_min_ttl).max();
    let by_behavior = page_ttls.iter().flatten().map(|ttl| ttl.min).max();
    let all = [("ErrorCachingMinTTL", by_error), ("MinTTL", by_behavior)];
    let all = all.into_iter().filter_map(|(rule, seconds)| Some((rule, seconds?)));
    all.filter(|(_, seconds)| *seconds > TOLERATED_SECONDS).collect()
}

/// What a `Cache-Control` header tells a shared cache.
#[derive(Default)]
struct Directives {
    /// `s-maxage`, otherwise `max-age`, in seconds.
    age: Option<(u64, &'static str)>,
    /// `no-cache`, `no-store` or `private`. AWS does not say which wins if there is an age as well, so the age
    /// does: it is longer.
    forbids_caching: bool,
    /// The longer of `stale-while-revalidate` and `stale-if-error`, in seconds.
    stale: u64,
}

impl Directives {
    fn parse(cache_control: &str) -> Self {
        let mut directives = Self::default();
        let mut shared_age = None;
        for directive in cache_control.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            // A number that cannot be parsed bounds nothing.
            let seconds = value.trim().trim_matches('"').parse().unwrap_or(u64::MAX);
            match name.trim().to_ascii_lowercase().as_str() {
                "s-maxage" => shared_age = Some((seconds, "its s-maxage")),
                "max-age" => directives.age = Some((seconds, "its max-age")),
                "no-cache" | "no-store" | "private" => directives.forbids_caching = true,
                "stale-while-revalidate" | "stale-if-error" => {
                    directives.stale = directives.stale.max(seconds);
                }
                _ => {}
            }
        }
        directives.age = shared_age.or(directives.age);
        directives
    }

    /// Whether a copy with these directives lives at least as long as one with the others, whatever the TTLs of the
    /// behavior.
    fn outlives(&self, other: &Directives) -> bool {
        let in_age = match (self.age, other.age) {
            (Some((age, _)), Some((other, _))) => age >= other,
            // A response that forbids caching is kept for the MinTTL, and no age and no DefaultTTL is below that.
            (_, None) if other.forbids_caching => true,
            (None, None) => !self.forbids_caching,
            // A DefaultTTL may be above or below any age.
            (Some(_), None) | (None, Some(_)) => false,
        };
        in_age && self.stale >= other.stale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHING_OPTIMIZED: Ttl = Ttl { min: 1, default: 86_400, max: 31_536_000 };

    fn known(cache_control: &str) -> CachedHeaders<'_> {
        CachedHeaders::Known { cache_control: (!cache_control.is_empty()).then_some(cache_control), expires: false }
    }

    fn response(error_caching_min_ttl: u64) -> CustomErrorResponse {
        CustomErrorResponse { error_code: 404, response_page_path: "/404.html".to_owned(), error_caching_min_ttl }
    }

    fn auto(error_ttl: u64, ttl: Option<Ttl>, cached: &[CachedHeaders<'_>]) -> (bool, String) {
        let response = response(error_ttl);
        match decide(ErrorPagePolicy::Auto, &[&response], &[ttl], cached).unwrap() {
            ErrorPageAction::OwnPath { reason } => (false, reason),
            ErrorPageAction::Everything { reason } => (true, reason),
        }
    }

    #[test]
    fn an_error_page_whose_copies_may_live_long_takes_everything_and_says_why() {
        let (everything, reason) = auto(10, Some(CACHING_OPTIMIZED), &[known("")]);
        assert!(everything);
        assert_eq!(reason, "/404.html is served under any URL and may be cached there for 86400 s (DefaultTTL): /*");
    }

    #[test]
    fn the_longest_reading_decides() {
        for (error_ttl, headers, everything, rule) in [
            (10, known("no-cache"), false, "10 s (ErrorCachingMinTTL)"),
            (60, known("no-store"), false, "60 s (ErrorCachingMinTTL)"),
            (61, known("no-store"), true, "61 s (ErrorCachingMinTTL)"),
            (10, known("public, max-age=60"), false, "60 s (its max-age)"),
            (10, known("max-age=61"), true, "61 s (its max-age)"),
            (10, known("max-age=3600, s-maxage=30"), false, "30 s (its s-maxage)"),
            (10, known("S-MaxAge=\"300\", max-age=0"), true, "300 s (its s-maxage)"),
            (10, known("private, max-age=600"), true, "600 s (its max-age)"),
            (10, known("max-age=99999999999999999999"), true, "31536000 s (its max-age)"),
            (10, known("max-age=soon"), true, "31536000 s (its max-age)"),
            (10, known("must-revalidate"), true, "86400 s (DefaultTTL)"),
            (10, known("max-age=0, stale-while-revalidate=600"), true, "601 s (its stale-"),
            (10, CachedHeaders::Unknown, true, "63072000 s (twice MaxTTL, because its headers"),
        ] {
            let (found, reason) = auto(error_ttl, Some(CACHING_OPTIMIZED), &[headers]);
            assert_eq!(found, everything, "{reason}");
            assert!(reason.contains(rule), "{reason}");
        }
    }

    #[test]
    fn headers_that_are_not_known_may_let_a_stale_copy_be_served_for_as_long_again() {
        let short = |max| Some(Ttl { min: 0, default: 0, max });
        for unknown in [CachedHeaders::Unknown, known(ANY_CACHE_CONTROL)] {
            assert!(!auto(10, short(30), &[unknown]).0, "{unknown:?}");
            assert!(auto(10, short(31), &[unknown]).0, "{unknown:?}");
        }
        assert!(auto(10, short(60), &[known("max-age=60, stale-if-error=1")]).0);
        assert!(!auto(10, short(60), &[known("max-age=60")]).0, "what is known is");
    }

    #[test]
    fn a_minimum_ttl_holds_even_against_no_store() {
        let ttl = Ttl { min: 300, default: 300, max: 600 };
        let (everything, reason) = auto(10, Some(ttl), &[known("no-store")]);
        assert!(everything && reason.contains("300 s (MinTTL)"), "{reason}");
    }

    #[test]
    fn an_expires_header_bounds_nothing_below_the_maximum() {
        let headers = CachedHeaders::Known { cache_control: None, expires: true };
        let (everything, reason) = auto(10, Some(CACHING_OPTIMIZED), &[headers]);
        assert!(everything && reason.contains("MaxTTL"), "{reason}");
    }

    #[test]
    fn every_kind_of_copy_counts_and_a_page_that_did_not_exist_left_none() {
        let both = [known("no-cache"), known("max-age=86400")];
        assert!(auto(10, Some(CACHING_OPTIMIZED), &both).0);
        assert!(!auto(10, Some(CACHING_OPTIMIZED), &[]).0);
    }

    #[test]
    fn an_unread_cache_policy_bounds_nothing() {
        let (everything, reason) = auto(10, None, &[known("no-cache")]);
        assert!(everything && reason.contains("could not be read"), "{reason}");
    }

    #[test]
    fn of_two_headers_the_one_that_lets_copies_live_longer_is_found() {
        for (shorter, longer) in [
            (Some(CACHE_CONTROL), Some("max-age=61")),
            (Some("no-cache"), Some(CACHE_CONTROL)),
            (Some("no-store"), None),
            (Some(CACHE_CONTROL), Some(ANY_CACHE_CONTROL)),
            (Some("s-maxage=60"), Some("s-maxage=60, stale-if-error=1")),
        ] {
            assert_eq!(longer_lived(shorter, longer), longer);
            assert_eq!(longer_lived(longer, shorter), longer);
        }
    }

    /// Each pair with a behavior under which the first lives longer, and one under which the second does.
    #[test]
    fn of_two_headers_that_no_behavior_orders_neither_is_trusted() {
        for (one, other) in [
            (Some(CACHE_CONTROL), None),
            (None, Some("max-age=3600")),
            (Some("max-age=55"), Some("max-age=0, stale-if-error=50")),
            (Some("max-age=200"), Some("max-age=30, stale-if-error=100")),
        ] {
            assert_eq!(longer_lived(one, other), Some(ANY_CACHE_CONTROL), "{one:?} {other:?}");
            assert_eq!(longer_lived(other, one), Some(ANY_CACHE_CONTROL), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_keeps_copies_whatever_their_headers_say_is_named() {
        let ttl = |min| Some(Ttl { min, default: min, max: 3600 });
        assert_eq!(obstacles(&[&response(60)], &[ttl(60), None]), []);
        let both = [("ErrorCachingMinTTL", 61), ("MinTTL", 300)];
        assert_eq!(obstacles(&[&response(10), &response(61)], &[ttl(0), ttl(300)]), both);
    }

    #[test]
    fn the_user_has_the_last_word() {
        let response = response(86_400);
        let action = |policy| decide(policy, &[&response], &[None], &[CachedHeaders::Unknown]);
        assert!(matches!(action(ErrorPagePolicy::OwnPath), Some(ErrorPageAction::OwnPath { .. })));
        assert!(matches!(action(ErrorPagePolicy::All), Some(ErrorPageAction::Everything { .. })));
    }
}
