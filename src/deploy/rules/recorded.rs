//! Rules from a record: those of an earlier deploy, published again by a rollback, and those of a preview,
//! published by its promotion. The functions are generated from their lines, for the site's current keys, folder
//! and host.

use crate::cloudfront::Distributions;
use crate::deploy::Settings;
use crate::deploy::headers_and_redirects::keys_of;
use crate::deploy::rules::keys::prefix;
use crate::deploy::rules::{
    Files, Found, Source, guard_readable, inactive, is_optional, not_active, owned_functions, unplaced,
};
use crate::error::Result;
use crate::record::manifest::Manifest;
use crate::record::rules::RecordedRules;
use shipfront_invalidation::Viewers;
use shipfront_site::Warning;
use std::collections::HashSet;

/// Whose rules they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deploy) enum RulesOf {
    /// Those of an earlier deploy of the site, which published them.
    EarlierDeploy,
    /// Those of a preview, which are only in its record.
    Preview,
}

/// What to publish of recorded rules, given those of the live deploy and the objects to restore.
pub(in crate::deploy) async fn find_recorded(
    settings: &Settings,
    viewers: &Viewers,
    distributions: &Distributions,
    (of, live, recorded): (RulesOf, Option<RecordedRules>, Option<&RecordedRules>),
    rows: &Manifest,
) -> Result<Found> {
    let nothing = |warning: Option<Warning>| Ok(Found { plan: None, warnings: warning.into_iter().collect() });
    let stay = |why: &str| {
        let notice = format!("the published rules stay as they are: {why}");
        nothing(Some(Warning::new(notice, "to change them, deploy the source that you want with publish-rules")))
    };
    let Some(recorded) = recorded else {
        return match (live, of) {
            (None, _) => nothing(None),
            (Some(_), RulesOf::EarlierDeploy) => stay("that deploy published none"),
            (Some(_), RulesOf::Preview) => stay("the preview was deployed without publish-rules and records none"),
        };
    };
    let Some(lines) = &recorded.lines else {
        return stay("the record does not have the new ones, which are too long");
    };
    let (files, options) = Files::of_record(lines);
    let found = async {
        guard_readable(viewers, "")?;
        Box::pin(owned_functions(settings, viewers, distributions, &files)).await
    };
    let owned = match found.await {
        Err(error) if is_optional(settings, &error) => {
            return nothing(Some(not_active(&error)));
        }
        owned => owned?,
    };
    let (keys, redirects) = keys(&files, rows);
    if owned.is_empty() {
        return match of {
            RulesOf::EarlierDeploy => stay("no behavior of the distribution has a shipfront function for this target"),
            RulesOf::Preview => nothing(inactive(redirects, files.header_lines.len(), false)),
        };
    }
    let prefix = prefix(&settings.target);
    let source = Source { files, options, keys, directory_index: lines.directory_index, prefix };
    match source.plan(viewers, distributions, owned, live).await {
        Err(error) if is_optional(settings, &error) => nothing(Some(not_active(&error))),
        made => {
            let (plan, left) = made?;
            Ok(Found { plan: Some(plan), warnings: unplaced(left, viewers).into_iter().collect() })
        }
    }
}

/// The keys of the site's files, as in a deploy of its source, and the number of redirects that are not objects.
fn keys(files: &Files, rows: &Manifest) -> (Vec<String>, usize) {
    let of_redirects: Vec<Vec<String>> =
        files.redirects.rules.iter().filter_map(keys_of).map(|(_, keys)| keys).collect();
    let may_redirect: HashSet<&str> = of_redirects.iter().flatten().map(String::as_str).collect();
    let (mut keys, mut objects) = (Vec::new(), HashSet::new());
    for (key, row) in rows.rows().filter(|(_, row)| row.orphaned.is_none()) {
        // An object that redirects is empty and takes the place of a line: it is not a file that takes precedence
        // over that line.
        match row.size == 0 && may_redirect.contains(key.as_str()) {
            true => drop(objects.insert(key)),
            false => keys.push(key.to_string()),
        }
    }
    let done = of_redirects.iter().filter(|keys| keys.iter().any(|key| objects.contains(key.as_str()))).count();
    (keys, files.redirect_lines.len().saturating_sub(done))
}
