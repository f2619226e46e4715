//! How many items a deploy may send, given the free paths of its month.
//!
//! CloudFront does not bill an account for the first 1,000 paths of a calendar month
//! (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PayingForInvalidation.html>), and sites are
//! deployed 3 to 25 times a month. If each deploy may use half of what is left, the paths last for all of them, and
//! next to nothing unchanged is evicted.

use crate::cover::{Budget, FORCED_WILDCARDS};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Paths per month that CloudFront does not bill to an account.
pub const FREE_PATHS: u64 = 1_000;
/// What a deploy may send even if little is left, or if nothing counts the paths.
pub const FEWEST_ITEMS: usize = 15;
/// Number of items that a deploy sends before it prefers a wildcard that does as well: for example, the three forms
/// of a page's URL and a feed. Beyond that, a wildcard that evicts nothing else saves the month's paths for later
/// deploys.
const SPENT_FREELY: usize = 5;

/// Maximum number of items for the distributions of a deploy (`--max-paths`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaxPaths {
    /// Depends on the month's allowance.
    #[default]
    Auto,
    /// A fixed number for each distribution.
    Fixed(NonZeroU32),
}

impl FromStr for MaxPaths {
    type Err = String;

    fn from_str(text: &str) -> Result<MaxPaths, String> {
        match text {
            "auto" => Ok(MaxPaths::Auto),
            _ => text.parse().map(MaxPaths::Fixed).map_err(|_| "write 'auto', or a number from 1".to_owned()),
        }
    }
}

impl fmt::Display for MaxPaths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxPaths::Auto => formatter.write_str("auto"),
            MaxPaths::Fixed(number) => number.fmt(formatter),
        }
    }
}

/// The free paths of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Paths per month that cost nothing: the site's share of its account's free paths.
    pub free: u64,
    /// Paths used so far; `None` if nothing counts them.
    pub used: Option<u64>,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { free: FREE_PATHS, used: None }
    }
}

impl Allowance {
    /// The paths that are still free; `None` if nothing counts them.
    pub fn left(self) -> Option<u64> {
        self.used.map(|used| self.free.saturating_sub(used))
    }
}

impl MaxPaths {
    /// The budget of one out of `distributions` distributions, with at most `wildcards` wildcards.
    pub fn budget(self, allowance: Allowance, distributions: usize, wildcards: usize) -> Budget {
        let left = allowance.left().map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        let items = match (self, left) {
            (MaxPaths::Fixed(number), _) => usize::try_from(number.get()).unwrap_or(usize::MAX),
            (MaxPaths::Auto, Some(left)) => (left / 2 / distributions.max(1)).max(FEWEST_ITEMS),
            (MaxPaths::Auto, None) => FEWEST_ITEMS,
        };
        let free_items = left.map_or(SPENT_FREELY, |left| left.min(SPENT_FREELY));
        Budget { items, free_items, wildcards: wildcards.max(1), forced_wildcards: FORCED_WILDCARDS }
    }
}

impl MaxPaths {
    /// The rest of that budget after a run has sent `here` items to this distribution and `all` to all of them:
    /// never less than the minimum of a deploy.
    pub fn rest(
        self,
        allowance: Allowance,
        distributions: usize,
        wildcards: usize,
        (here, all): (usize, usize),
    ) -> Budget {
        let whole = self.budget(allowance, distributions, wildcards);
        let used = allowance.used.map(|used| used.saturating_add(all as u64));
        let free_items = self.budget(Allowance { used, ..allowance }, distributions, wildcards).free_items;
        let items = whole.items.saturating_sub(here).max(FEWEST_ITEMS.min(whole.items));
        Budget { items, free_items, ..whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(max: &str, used: Option<u64>, distributions: usize) -> usize {
        let max: MaxPaths = max.parse().unwrap();
        max.budget(Allowance { free: 1_000, used }, distributions, 10).items
    }

    #[test]
    fn a_deploy_gets_half_of_what_is_left_and_never_less_than_fifteen() {
        assert_eq!(items("auto", Some(0), 1), 500);
        assert_eq!(items("auto", Some(400), 1), 300);
        assert_eq!(items("auto", Some(400), 3), 100);
        assert_eq!(items("auto", Some(999), 1), 15);
        assert_eq!(items("auto", Some(5_000), 1), 15);
        assert_eq!(items("auto", None, 1), 15, "without a record nobody counts");
        assert_eq!(items("7", Some(5_000), 2), 7, "a number is a number");
    }

    #[test]
    fn what_a_run_sends_later_comes_out_of_the_same_half() {
        let rest = |max: &str, sent| {
            let max: MaxPaths = max.parse().unwrap();
            let budget = max.rest(Allowance { free: 1_000, used: Some(400) }, 1, 10, sent);
            (budget.items, budget.free_items)
        };
        assert_eq!(rest("auto", (0, 0)), (300, 5));
        assert_eq!(rest("auto", (200, 200)), (100, 5));
        assert_eq!(rest("auto", (299, 299)), (15, 5));
        assert_eq!(rest("auto", (10, 598)), (290, 2));
        assert_eq!((rest("50", (20, 20)), rest("50", (50, 50)), rest("5", (5, 5))), ((30, 5), (15, 5), (5, 5)));
    }

    #[test]
    fn what_costs_is_not_spent_freely() {
        let budget = |used| MaxPaths::Auto.budget(Allowance { free: 1_000, used: Some(used) }, 1, 10);
        assert_eq!((budget(0).free_items, budget(997).free_items, budget(2_000).free_items), (5, 3, 0));
    }

    #[test]
    fn paths_that_only_wildcards_clear_get_two_requests_of_them_and_more_only_where_the_person_says_so() {
        let wildcards = |most, needed| MaxPaths::Auto.budget(Allowance::default(), 1, most).wildcards_for(needed);
        assert_eq!((wildcards(10, 0), wildcards(10, 7), wildcards(10, 12), wildcards(40, 369)), (10, 10, 12, 15));
        let counted = Allowance { used: Some(0), ..Allowance::default() };
        let wildcards = |most, needed| MaxPaths::Auto.budget(counted, 1, most).wildcards_for(needed);
        assert_eq!((wildcards(10, 29), wildcards(10, 369), wildcards(45, 369), wildcards(400, 369)), (29, 30, 45, 400));
    }

    #[test]
    fn a_cap_is_a_number_or_auto() {
        for text in ["", "0", "-1", "many", "Auto"] {
            assert!(text.parse::<MaxPaths>().is_err(), "{text}");
        }
        assert_eq!("50".parse::<MaxPaths>().unwrap().to_string(), "50");
    }
}
