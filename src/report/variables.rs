//! `--report FILE.env`: values for later steps of a build, as `NAME=value` lines.
//!
//! A shell reads the file with `.`, GitHub as a step's outputs, GitLab as a dotenv report and Bitbucket as output
//! variables. Their quoting differs, so no value needs any: it consists of letters, digits and `-._~:/%`. No file
//! name is among the values, and a value that contains anything else is left empty.

use crate::report::Report;
use crate::report::file::Ending;

/// The names, in the order of the file. Each is always there; one without a value is empty.
pub const NAMES: [&str; 7] = [
    "SHIPFRONT_OUTCOME",
    "SHIPFRONT_URL",
    "SHIPFRONT_DEPLOY_ID",
    "SHIPFRONT_UPLOADED",
    "SHIPFRONT_REMOVED",
    "SHIPFRONT_INVALIDATED_PATHS",
    "SHIPFRONT_INVALIDATION_ID",
];

/// The file.
pub(super) fn lines(ending: &Ending<'_>) -> String {
    let values = match ending {
        Ending::Report(report) => of_report(report),
        Ending::Error { error, .. } => {
            let counts = [String::new(), "0".to_owned(), "0".to_owned(), "0".to_owned(), String::new()];
            let [deploy, uploaded, removed, paths, invalidation] = counts;
            [error.outcome().to_owned(), String::new(), deploy, uploaded, removed, paths, invalidation]
        }
    };
    NAMES.iter().zip(values).map(|(name, value)| format!("{name}={}\n", plain(value))).collect()
}

fn of_report(report: &Report) -> [String; 7] {
    let invalidation = report.invalidations.iter().find_map(|invalidation| invalidation.id.clone());
    [
        report.outcome.word().to_owned(),
        report.url.clone().unwrap_or_default(),
        report.deploy.clone(),
        report.objects.uploaded.to_string(),
        report.objects.pruned.to_string(),
        report.cost.paths.to_string(),
        invalidation.unwrap_or_default(),
    ]
}

/// A value whose characters are literal to whatever reads the file; any other is omitted.
fn plain(value: String) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%".contains(c);
    if value.chars().all(is_plain) { value } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::run::Run;
    use crate::error::Error;
    use crate::escape::tests::hostile;
    use crate::terminal::{Terminal, Volume};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_others_named_the_file_has_its_lines_and_no_value_needs_a_quotation_mark(text in hostile()) {
            let mut report = Report::new(Run::of_nothing(), &Terminal::new(Volume::Quiet, false));
            report.deploy = text.clone();
            report.url = Some(format!("https://{text}"));
            report.target = text.clone();
            report.error = Some(text.clone());
            report.warnings = vec![shipfront_site::Warning::new(&text, &text)];
            let error = Error::failed(text.clone()).hint(text.clone());
            for ending in [Ending::Report(&report), Ending::Error { error: &error, source: &text, target: &text }] {
                let lines = lines(&ending);
                prop_assert_eq!(lines.lines().count(), NAMES.len());
                for (line, name) in lines.lines().zip(NAMES) {
                    let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap();
                    prop_assert_eq!(plain(value.to_owned()), value, "{}", line);
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_there_and_what_is_not_is_empty() {
        let mut report = Report::new(Run::of_nothing(), &Terminal::new(Volume::Quiet, false));
        report.url = Some("https://www.example.com/a%27b/".to_owned());
        report.objects.uploaded = 3;
        let text = lines(&Ending::Report(&report));
        assert!(
            text.starts_with("SHIPFRONT_OUTCOME=planned\nSHIPFRONT_URL=https://www.example.com/a%27b/\n"),
            "{text}"
        );
        assert!(text.contains("SHIPFRONT_UPLOADED=3\n") && text.ends_with("SHIPFRONT_INVALIDATION_ID=\n"), "{text}");
        let error = Error::refused("no");
        let text = lines(&Ending::Error { error: &error, source: "public", target: "s3://b" });
        assert!(text.starts_with("SHIPFRONT_OUTCOME=refused\nSHIPFRONT_URL=\nSHIPFRONT_DEPLOY_ID=\n"), "{text}");
    }
}
