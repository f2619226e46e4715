//! The rules of a preview's build. No function applies them there: the preview's record keeps their lines, from
//! which its promotion generates production's functions.

use crate::deploy::rules::{Files, Found, RulesPlan, inactive, making, subject};
use crate::deploy::{PublishRules, Settings};
use crate::error::Result;
use crate::record::rules::RecordedRules;
use crate::record::session::Session;
use shipfront_site::Warning;
use shipfront_site::viewer_rules::Rules;

/// Reads the rules for the record of a preview. `redirects` is the number that no object implements;
/// `directory_index` says whether production's function serves the index of a directory.
pub(in crate::deploy) fn find_for_preview(
    settings: &Settings,
    session: Option<&Session>,
    redirects: usize,
    directory_index: bool,
) -> Result<Found> {
    let files = Files::read(settings)?;
    let headers = files.header_lines.len();
    let (recorded, warning) = match settings.publish_rules {
        // What an earlier deploy of the preview recorded no longer applies.
        PublishRules::Never => (RecordedRules::default(), inactive(redirects, headers, false)),
        PublishRules::Always | PublishRules::WherePossible => {
            let lines = making::recorded_lines(
                (&files.redirect_lines, &files.header_lines),
                settings.rules.platform,
                directory_index,
            );
            let warning = subject(redirects, headers).map(|subject| {
                Warning::new(
                    format_args!("{subject} not active in a preview"),
                    "'shipfront promote' publishes the rules",
                )
            });
            (RecordedRules { lines: Some(lines), ..RecordedRules::default() }, warning)
        }
    };
    let is_recorded = session.and_then(Session::rules).unwrap_or_default() == recorded;
    let plan = RulesPlan {
        functions: Vec::new(),
        rules: Rules::default(),
        recorded,
        is_recorded,
        keys: Vec::new(),
        stores: Vec::new(),
        lines: Vec::new(),
    };
    Ok(Found { plan: Some(plan), warnings: warning.into_iter().collect() })
}
