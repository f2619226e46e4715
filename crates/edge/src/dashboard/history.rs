//! The deploys of a site, from the deploy records in its bucket, read through a reader that the caller provides.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;

use crate::State;
use crate::lock::reading;
use crate::watch::RECORD_FOLDER;

/// Maximum number of records to read: a bucket of previews has one for each preview.
const MOST_RECORDS: usize = 100;
/// Maximum number of deploys to show.
const MOST_DEPLOYS: usize = 50;
/// Maximum size of a record to read, in bytes.
const LARGEST: u64 = 1 << 20;

/// How to read deploy records. The edge itself knows only the folder that contains them.
#[derive(Clone, Copy, Debug)]
pub struct HistoryReader {
    /// Whether an object in that folder, given its key, contains deploys.
    pub is_record: fn(key: &str) -> bool,
    /// Reads a bucket's object, given its key and bytes. `None` if it is damaged, or has another version.
    pub read: fn(bucket: &str, key: &str, bytes: &[u8]) -> Option<DeployHistory>,
}

/// The contents of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployHistory {
    /// The site, such as `s3://bucket/folder`.
    pub target: String,
    /// Newest first.
    pub deploys: Vec<PastDeploy>,
    /// The ID of a deploy that began and did not end.
    pub unfinished: Option<String>,
    /// Whether it is running, according to its lock.
    pub is_running: bool,
}

/// A completed deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDeploy {
    /// The deploy's ID.
    pub id: String,
    /// When it was completed.
    pub at: Timestamp,
    /// Number of objects that it wrote.
    pub uploaded: u64,
    /// Number of objects that it deleted.
    pub removed: u64,
    /// Number of objects that it should have written or deleted but did not.
    pub left: u64,
    /// Further notes, a few words each.
    pub notes: Vec<String>,
    /// The command that rolls back to it, if there is one.
    pub rollback: Option<String>,
    /// The keys of what it writes into its record before it changes anything, and before the write that completes
    /// it.
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

/// A record's deploys, and the bucket that contains it.
#[derive(Debug)]
pub(super) struct OfBucket {
    pub(super) bucket: String,
    /// The key of the record's object.
    pub(super) key: String,
    pub(super) history: DeployHistory,
}

/// The contents of the records in these buckets.
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

/// All deploys as listed, newest first.
pub(super) fn shown(histories: Vec<OfBucket>) -> Vec<ShownDeploy> {
    let mut deploys = Vec::new();
    for OfBucket { history, .. } in histories {
        // Those of one target keep their order, whatever the clocks said.
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
