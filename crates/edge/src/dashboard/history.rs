//! The deploys of a site, as the deploy records in its bucket tell of them to whoever knows how to read those.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;

use crate::State;
use crate::lock::reading;
use crate::watch::RECORD_FOLDER;

/// Records that are read: a bucket of previews has one a preview.
const MOST_RECORDS: usize = 100;
/// Deploys that are shown.
const MOST_DEPLOYS: usize = 50;
/// Bytes of a record that is read.
const LARGEST: u64 = 1 << 20;

/// How deploy records are read. The edge itself knows nothing of them but the folder that they are in.
#[derive(Clone, Copy, Debug)]
pub struct HistoryReader {
    /// Whether an object of that folder is one that tells of deploys, by its key.
    pub is_record: fn(key: &str) -> bool,
    /// What it tells: of a bucket, a key and the object's bytes. `None` if it is damaged, or of another version.
    pub read: fn(bucket: &str, key: &str, bytes: &[u8]) -> Option<DeployHistory>,
}

/// What one record tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployHistory {
    /// The site, such as `s3://bucket/folder`.
    pub target: String,
    /// The newest first.
    pub deploys: Vec<PastDeploy>,
    /// The id of a deploy that began and did not end.
    pub unfinished: Option<String>,
    /// Whether it is under way, as far as its lock tells.
    pub is_running: bool,
}

/// A deploy that was completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDeploy {
    /// Its id.
    pub id: String,
    /// When it was completed.
    pub at: Timestamp,
    /// Objects that it wrote.
    pub uploaded: u64,
    /// Objects that it deleted.
    pub removed: u64,
    /// Objects that it was to write or delete, and did not.
    pub left: u64,
    /// What else is known of it, in a few words each.
    pub notes: Vec<String>,
    /// The command that brings its site back, if there is one.
    pub rollback: Option<String>,
    /// The keys of what it writes into its record before it changes anything, and before the write that completes it.
    pub written: (String, String),
}

/// A deploy as the page shows it.
#[derive(Debug, Serialize)]
pub(super) struct ShownDeploy {
    target: String,
    id: String,
    at: Timestamp,
    live: bool,
    uploaded: u64,
    removed: u64,
    left: u64,
    notes: Vec<String>,
    rollback: Option<String>,
}

/// A record's deploys, and the bucket that it is in.
#[derive(Debug)]
pub(super) struct OfBucket {
    pub(super) bucket: String,
    /// The key of the object that tells it.
    pub(super) key: String,
    pub(super) history: DeployHistory,
}

/// What the records in these buckets tell.
pub(super) async fn of(state: &State, buckets: &[String]) -> Vec<OfBucket> {
    let Some(reader) = *reading(&state.history) else { return Vec::new() };
    let mut histories = Vec::new();
    for name in buckets {
        let Ok(bucket) = state.store.bucket(name) else { continue };
        let objects = bucket.below(&format!("{RECORD_FOLDER}/"), |key, object| {
            (reader.is_record)(key) && object.body.size() <= LARGEST
        });
        for (key, object) in objects.into_iter().take(MOST_RECORDS) {
            let Ok(bytes) = object.body.bytes().await else { continue };
            let history = (reader.read)(name, &key, &bytes);
            histories.extend(history.map(|history| OfBucket { bucket: name.clone(), key, history }));
        }
    }
    histories
}

/// All deploys as they are listed, the newest first.
pub(super) fn shown(histories: Vec<OfBucket>) -> Vec<ShownDeploy> {
    let mut deploys = Vec::new();
    for OfBucket { history, .. } in histories {
        // Of one target they stay in their order, whatever clocks said.
        let mut newest = Timestamp::MIN;
        for (at, deploy) in history.deploys.into_iter().enumerate().rev() {
            newest = newest.max(deploy.at);
            let shown = ShownDeploy {
                target: history.target.clone(),
                id: deploy.id,
                at: deploy.at,
                live: at == 0,
                uploaded: deploy.uploaded,
                removed: deploy.removed,
                left: deploy.left,
                notes: deploy.notes,
                rollback: deploy.rollback.filter(|_| at > 0),
            };
            deploys.push(((newest, Reverse(at)), shown));
        }
    }
    deploys.sort_by_key(|(order, _)| Reverse(*order));
    deploys.truncate(MOST_DEPLOYS);
    deploys.into_iter().map(|(_, deploy)| deploy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_deploy_comes_first_whatever_the_clocks_said() {
        let deploy = |id: &str, at: i64| PastDeploy {
            id: id.to_owned(),
            at: Timestamp::from_second(at).unwrap(),
            uploaded: 1,
            removed: 0,
            left: 0,
            notes: Vec::new(),
            rollback: Some(format!("back to {id}")),
            written: (String::new(), String::new()),
        };
        let of = |target: &str, deploys| OfBucket {
            bucket: "b".to_owned(),
            key: String::new(),
            history: DeployHistory { target: target.to_owned(), deploys, ..DeployHistory::default() },
        };
        let one = of("one", vec![deploy("c", 10), deploy("b", 12), deploy("a", 12)]);
        let shown = shown(vec![one, of("two", vec![deploy("x", 11), deploy("w", 1)])]);
        let order: Vec<(&str, bool)> = shown.iter().map(|deploy| (deploy.id.as_str(), deploy.live)).collect();
        assert_eq!(order, [("c", true), ("b", false), ("a", false), ("x", true), ("w", false)]);
        assert!(shown.iter().all(|deploy| deploy.rollback.is_some() != deploy.live), "{shown:?}");
    }
}
