//! The deploys that the dashboard of the local edge lists, from the deploy records in its buckets.

use crate::local::shell_word;
use crate::record::history::{Deployed, Restorable, restorable};
use crate::record::{State, intent, manifest};
use shipfront_edge::{DeployHistory, HistoryReader, PastDeploy};
use shipfront_site::RECORD_FOLDER;
use std::path::Path;

/// Number of characters of a commit to show, as Git does.
const SHORT_COMMIT: usize = 10;

/// The edge's reader of records.
pub(super) const READER: HistoryReader = HistoryReader { is_record, read };

fn is_record(key: &str) -> bool {
    key.rsplit('/').next() == Some(crate::record::STATE)
}

/// Read-only: whatever cannot be read is omitted.
fn read(bucket: &str, key: &str, bytes: &[u8]) -> Option<DeployHistory> {
    let state: State = serde_json::from_slice(bytes).ok()?;
    let folder = key.strip_suffix(crate::record::STATE)?;
    let prefix = folder.strip_prefix(RECORD_FOLDER)?;
    let target = format!("s3://{bucket}/{prefix}");
    let target = target.trim_end_matches('/').to_owned();
    let deploys = state.deploys();
    // A preview is deployed again, not rolled back.
    let can_roll_back = state.preview.is_none() && !target.contains(char::is_control);
    let sure = restorable(&deploys);
    let deploys = deploys.into_iter().zip(sure).map(|(deployed, sure)| PastDeploy {
        rollback: (can_roll_back && !deployed.deploy.contains(char::is_control)).then(|| command(&target, &deployed)),
        written: (
            format!("{folder}{}", intent::file_name(&deployed.deploy)),
            format!("{folder}{}", manifest::file_name(&deployed.deploy)),
        ),
        notes: notes(&deployed, sure),
        id: deployed.deploy,
        at: deployed.at,
        uploaded: deployed.uploaded,
        removed: deployed.pruned,
        left: deployed.left,
    });
    Some(DeployHistory {
        deploys: deploys.collect(),
        unfinished: state.intent.as_ref().map(|intent| intent.deploy.clone()),
        is_running: state.lease.is_some(),
        target,
    })
}

fn command(target: &str, deployed: &Deployed) -> String {
    let word = |text: &str| shell_word(Path::new(text));
    // Most targets contain nothing that needs quoting.
    let target = target.strip_prefix("s3://").map_or_else(
        || word(target),
        |rest| match word(rest) {
            quoted if quoted.starts_with('\'') => word(target),
            plain => format!("s3://{plain}"),
        },
    );
    let allowed = if deployed.is_complete() { "" } else { " --allow-removals" };
    format!("shipfront rollback {target} --to {}{allowed} --local", word(&deployed.deploy))
}

fn notes(deployed: &Deployed, sure: Restorable) -> Vec<String> {
    let build = deployed.build.as_ref().map(|build| format!("build {}", build.number));
    let commit = deployed.commit.as_ref();
    let commit = commit.map(|commit| format!("commit {}", commit.chars().take(SHORT_COMMIT).collect::<String>()));
    let restored = deployed.restored.as_ref().map(|deploy| format!("rolled back to {deploy}"));
    let promoted = deployed.promoted.as_ref().map(|preview| format!("promoted {preview}"));
    let unsure = (sure == Restorable::Unknown).then(|| "perhaps not wholly restorable".to_owned());
    let incomplete = (!deployed.is_complete()).then(|| "incomplete".to_owned());
    [build, commit, restored, promoted, incomplete, unsure].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployed(deploy: &str, left: u64) -> Deployed {
        let fields = serde_json::json!({
            "deploy": deploy, "at": "2026-11-26T00:00:00Z", "uploaded": 1, "pruned": 0, "left": left,
        });
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn a_command_is_quoted_where_a_shell_would_read_it_otherwise() {
        let command = |target: &str, deploy: &str| command(target, &deployed(deploy, 0));
        assert_eq!(command("s3://b/docs", "2026-x"), "shipfront rollback s3://b/docs --to 2026-x --local");
        assert_eq!(
            command("s3://b/my docs; rm -r ~", "x$(id)"),
            "shipfront rollback 's3://b/my docs; rm -r ~' --to 'x$(id)' --local"
        );
        assert_eq!(command("s3://b/it's", "x"), r"shipfront rollback 's3://b/it'\''s' --to x --local");
    }

    #[test]
    fn a_deploy_that_is_incomplete_is_said_to_be_and_its_command_is_one_that_works() {
        let half = deployed("x", 3);
        assert!(notes(&half, Restorable::Yes).contains(&"incomplete".to_owned()));
        assert_eq!(command("s3://b", &half), "shipfront rollback s3://b --to x --allow-removals --local");
    }

    #[test]
    fn an_object_that_is_not_a_record_shows_nothing() {
        assert!(is_record(".shipfront/state.json") && is_record(".shipfront/docs/state.json"));
        assert!(!is_record(".shipfront/manifest-x.ndjson.gz") && !is_record(".shipfront/xstate.json"));
        for damaged in ["", "{}", "[]", "{\"format\":1}", "\u{0}"] {
            assert_eq!(read("b", ".shipfront/state.json", damaged.as_bytes()), None, "{damaged}");
        }
    }
}
