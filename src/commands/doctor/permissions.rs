//! Which permissions a deploy has: derived from responses, because IAM has no query for this that a deploying role
//! may use.

use crate::aws::permission::{EntryPoint, Setup, needed};
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::Which;
use crate::commands::doctor::{Doctor, Finding, State};
use crate::error::{Error, ErrorKind};
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::viewer::{DistributionShape, QueryStrings};
use std::collections::BTreeSet;

/// Permissions that a deploy can do without, with less precision or a warning.
const DISPENSABLE: [&str; 5] = [
    "s3:GetBucketPolicy",
    "cloudfront:GetDistributionConfig",
    "cloudfront:GetCachePolicy",
    "cloudfront:GetInvalidation",
    "cloudfront:GetInvalidationForDistributionTenant",
];
/// An invalidation that does not exist: a caller that may read invalidations gets "not found".
const NO_INVALIDATION: &str = "I0SHIPFRONTDOCTOR";

/// The actions that were tried.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    works: BTreeSet<&'static str>,
    denied: BTreeSet<&'static str>,
}

impl Evidence {
    pub(super) fn works(&mut self, action: &'static str) {
        self.works.insert(action);
    }

    pub(super) fn denied(&mut self, action: &'static str) {
        self.denied.insert(action);
    }

    /// An error says something about a permission only if it is a refusal.
    pub(super) fn of_error(&mut self, action: &'static str, error: &Error) {
        if error.kind() == ErrorKind::AccessDenied {
            self.denied(action);
        }
    }

    /// What reading a configuration showed.
    pub(super) fn of_shape(&mut self, shape: &DistributionShape) {
        if !shape.readable {
            return self.denied("cloudfront:GetDistributionConfig");
        }
        self.works("cloudfront:GetDistributionConfig");
        let unread = |at: &shipfront_invalidation::viewer::CacheBehavior| at.query_strings == QueryStrings::Unknown;
        match shape.cache_behaviors.iter().any(unread) {
            true => self.denied("cloudfront:GetCachePolicy"),
            false => self.works("cloudfront:GetCachePolicy"),
        }
        if shape.tenant {
            self.works("cloudfront:GetDistributionTenant");
        }
    }

    /// Requests an invalidation that does not exist.
    pub(super) async fn of_invalidations(&mut self, distributions: &Distributions, id: &DistributionId) {
        let action = match id {
            DistributionId::Distribution(_) => "cloudfront:GetInvalidation",
            DistributionId::Tenant(_) => "cloudfront:GetInvalidationForDistributionTenant",
        };
        match distributions.invalidation_status(id, NO_INVALIDATION).await {
            Ok(_) => self.works(action),
            Err(error) if error.kind() == ErrorKind::NotFound => self.works(action),
            Err(error) => self.of_error(action, &error),
        }
    }

    /// The findings, compared with what a deploy needs.
    pub(super) fn findings(
        &self,
        doctor: &Doctor,
        has_iam: bool,
        shapes: &[(DistributionId, DistributionShape)],
    ) -> Vec<Finding> {
        const CHECK: &str = "permissions";
        let tenant = shapes.iter().any(|(id, _)| matches!(id, DistributionId::Tenant(_)));
        let setups = [
            (doctor.distributions == Which::Auto, Setup::AnyDistribution),
            (tenant, Setup::Tenant),
            (doctor.publishes_rules, Setup::PublishedRules),
        ];
        let setups: Vec<Setup> = setups.into_iter().filter_map(|(applies, setup)| applies.then_some(setup)).collect();
        let mut actions: BTreeSet<&str> =
            needed(&[EntryPoint::Deploy], &setups).into_iter().map(|(action, _)| action).collect();
        if doctor.distributions == Which::None {
            actions.retain(|action| !action.starts_with("cloudfront:"));
        }
        let named = |actions: &[&str]| actions.join(", ");
        let (denied, tried): (Vec<&str>, Vec<&str>) = {
            let denied: Vec<&str> = actions.iter().copied().filter(|action| self.denied.contains(action)).collect();
            let works = |action: &&str| self.works.contains(action) && !self.denied.contains(action);
            (denied, actions.iter().copied().filter(works).collect())
        };
        let open: Vec<&str> =
            actions.iter().copied().filter(|action| !denied.contains(action) && !tried.contains(action)).collect();
        let mut findings = Vec::new();
        if !tried.is_empty() && has_iam {
            findings.push(Finding::new(CHECK, State::Ok, format!("working: {}", named(&tried))));
        }
        let (less, missing): (Vec<&str>, Vec<&str>) =
            denied.into_iter().partition(|action| DISPENSABLE.contains(action));
        let fix = format!("'shipfront policy {}' prints the policy that a deploy needs", doctor.target);
        if !missing.is_empty() {
            findings.push(Finding::new(CHECK, State::Error, format!("missing: {}", named(&missing))).fix(&fix));
        }
        if !less.is_empty() {
            let found = format!("missing, but not required: {}", named(&less));
            findings.push(Finding::new(CHECK, State::Warning, found).fix(&fix));
        }
        if !has_iam {
            findings.push(Finding::new(CHECK, State::NotChecked, "this endpoint has no IAM"));
        } else if !open.is_empty() {
            let finding = Finding::new(CHECK, State::NotChecked, format!("not tried: {}", named(&open)));
            findings.push(match doctor.probe {
                true => finding.fix("only a deploy can test these, because an invalidation has a cost and an effect"),
                false => finding.fix("--probe tests the writes with an object that it removes again"),
            });
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Place;
    use shipfront_site::Target;

    fn found(evidence: &Evidence, has_iam: bool) -> Vec<(State, String)> {
        let doctor = Doctor {
            target: Target::parse("s3://www.example.com").unwrap(),
            distributions: Which::Auto,
            any_origin: false,
            place: Place::SiteFolder,
            expected_owner: None,
            probe: false,
            publishes_rules: false,
            keeps_copies: false,
            is_local: false,
        };
        evidence.findings(&doctor, has_iam, &[]).into_iter().map(|finding| (finding.state, finding.found)).collect()
    }

    #[test]
    fn an_action_is_right_only_if_it_was_seen_to_work() {
        let mut evidence = Evidence::default();
        evidence.works("s3:ListBucket");
        evidence.denied("s3:PutObject");
        evidence.denied("cloudfront:GetInvalidation");
        let found = found(&evidence, true);
        assert_eq!(found[0], (State::Ok, "working: s3:ListBucket".to_owned()));
        assert_eq!(found[1], (State::Error, "missing: s3:PutObject".to_owned()));
        assert_eq!(found[2].0, State::Warning);
        assert_eq!(found[3].0, State::NotChecked);
        for action in ["cloudfront:CreateInvalidation", "s3:DeleteObject", "s3:AbortMultipartUpload"] {
            assert!(found[3].1.contains(action), "{}", found[3].1);
        }
    }

    #[test]
    fn an_action_that_was_denied_once_is_not_right_because_it_worked_elsewhere() {
        let mut evidence = Evidence::default();
        evidence.works("s3:GetObject");
        evidence.denied("s3:GetObject");
        assert_eq!(found(&evidence, true)[0], (State::Error, "missing: s3:GetObject".to_owned()));
    }

    #[test]
    fn a_store_without_iam_proves_nothing() {
        let mut evidence = Evidence::default();
        evidence.works("s3:ListBucket");
        assert_eq!(found(&evidence, false).len(), 1);
        assert_eq!(found(&evidence, false)[0].0, State::NotChecked);
    }
}
