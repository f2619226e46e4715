//! What a rollback would find: the bucket's versions, and the lifecycle rules that delete them.

use crate::commands::doctor::{Doctor, Finding, State};
use crate::error::Result;
use crate::record::Place;
use crate::record::history::Deployed;
use crate::s3::inspect::VersionRule;
use crate::wording::counted;

/// Versions that are deleted sooner go too soon: a fault may be noticed only after days.
const FEWEST_DAYS: i32 = 7;

/// Whether the bucket keeps versions, or is in no need of them.
pub(super) fn versioning(found: Result<bool>, doctor: &Doctor) -> Finding {
    const CHECK: &str = "versioning";
    match found {
        Ok(true) => Finding::new(CHECK, State::Ok, "on: 'shipfront rollback' restores earlier deploys"),
        Ok(false) if doctor.is_local => Finding::new(CHECK, State::Ok, "off, not needed: the local edge keeps copies"),
        Ok(false) if doctor.keeps_copies => {
            Finding::new(CHECK, State::Ok, "off, not needed: deploys keep copies (history = \"copies\")")
        }
        Ok(false) if doctor.place == Place::Nowhere => {
            Finding::new(CHECK, State::Ok, "off, and not needed without a deploy record")
        }
        Ok(false) => Finding::new(CHECK, State::Warning, "off, so no deploy can be rolled back")
            .fix("turn on versioning, or set history = \"copies\" in shipfront.toml"),
        Err(error) => Finding::unanswered(CHECK, &error),
    }
}

/// Which deploys are kept, once there are any other than the live one.
pub(super) fn kept(deploys: &[Deployed]) -> Option<Finding> {
    let (last, before) = deploys.split_first().filter(|(_, before)| !before.is_empty())?;
    let whole = before.iter().filter(|deployed| deployed.is_complete()).count() as u64;
    let deploys = counted(whole, "deploy");
    let copies = if last.kept_copies { "; each keeps copies of what it replaces (history = \"copies\")" } else { "" };
    Some(Finding::new("history", State::Ok, format!("{deploys} before the live one can be restored{copies}")))
}

/// Whether old versions are deleted, and not too soon.
pub(super) fn lifecycle(found: Result<Vec<VersionRule>>) -> Finding {
    const CHECK: &str = "old versions";
    const FITS: &str = "a rule that expires noncurrent versions after 30 days fits (examples/hosting has one)";
    let rules = match found {
        Ok(rules) => rules,
        Err(error) => return Finding::unanswered(CHECK, &error),
    };
    let is_eager = |rule: &&VersionRule| {
        let goes = rule.days.is_some_and(|days| days < FEWEST_DAYS && rule.newer == 0);
        goes || rule.archive_days.is_some_and(|days| days < FEWEST_DAYS)
    };
    if let Some(VersionRule { name, days, archive_days, .. }) = rules.iter().find(is_eager) {
        let (after, what) = match (days, archive_days) {
            (Some(days), _) if *days < FEWEST_DAYS => (*days, "removes"),
            (_, archive) => (archive.unwrap_or(0), "archives"),
        };
        let days = if after == 1 { "1 day".to_owned() } else { format!("{after} days") };
        let found =
            format!("the lifecycle rule {name:?} {what} versions after {days}: a rollback cannot restore older ones");
        return Finding::new(CHECK, State::Warning, found).fix(FITS);
    }
    match rules.iter().filter_map(|rule| rule.days).min() {
        Some(days) => Finding::new(CHECK, State::Ok, format!("a lifecycle rule removes them after {days} days")),
        None => Finding::new(
            CHECK,
            State::Warning,
            "no lifecycle rule removes old versions, so their cost grows with each deploy",
        )
        .fix(FITS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudfront::lookup::Which;
    use crate::error::Error;

    fn rule(days: Option<i32>, newer: i32, archive_days: Option<i32>) -> VersionRule {
        VersionRule { name: "old".to_owned(), days, newer, archive_days }
    }

    #[test]
    fn old_versions_go_and_not_too_soon() {
        for (rules, state) in [
            (vec![], State::Warning),
            (vec![rule(Some(30), 0, None)], State::Ok),
            (vec![rule(Some(1), 0, None)], State::Warning),
            (vec![rule(Some(1), 5, None)], State::Ok),
            (vec![rule(Some(30), 0, None), rule(None, 0, Some(1))], State::Warning),
            (vec![rule(None, 0, Some(30))], State::Warning),
        ] {
            assert_eq!(lifecycle(Ok(rules.clone())).state, state, "{rules:?}");
        }
        assert_eq!(lifecycle(Err(Error::failed("no"))).state, State::NotChecked);
    }

    #[test]
    fn a_bucket_without_versions_is_well_only_where_something_else_keeps_what_is_replaced() {
        let plain = Doctor {
            target: shipfront_site::Target::parse("s3://www.example.com").unwrap(),
            distributions: Which::Auto,
            any_origin: false,
            place: Place::SiteFolder,
            expected_owner: None,
            probe: false,
            publishes_rules: false,
            keeps_copies: false,
            is_local: false,
        };
        for (found, doctor, state) in [
            (Ok(true), plain.clone(), State::Ok),
            (Ok(false), plain.clone(), State::Warning),
            (Ok(false), Doctor { keeps_copies: true, ..plain.clone() }, State::Ok),
            (Ok(false), Doctor { is_local: true, ..plain.clone() }, State::Ok),
            (Ok(false), Doctor { place: Place::Nowhere, ..plain.clone() }, State::Ok),
            (Err(Error::failed("no")), plain.clone(), State::NotChecked),
        ] {
            let found = versioning(found, &doctor);
            assert_eq!((found.state, found.fix.is_some() && state == State::Ok), (state, false), "{}", found.found);
        }
    }
}
