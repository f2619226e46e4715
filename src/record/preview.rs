//! Previews: sites next to one another in one bucket, each with its own record that says when it expires.

use crate::error::{Error, ErrorKind, Result};
use crate::record::lease::LEASE;
use crate::record::{Record, STATE, Snapshot, intent, is_of_a_deploy};
use crate::s3::{Bucket, MAX_DELETE_KEYS, Start};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shipfront_site::Target;
use shipfront_site::etag::Etag;
use shipfront_site::host_label::host_label;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the record of a preview contains in addition to that of any site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewNote {
    /// Its name as typed, such as a branch.
    pub name: String,
    /// When `previews --prune` may remove it, by S3's clock.
    pub expires: Timestamp,
    /// The site that it is a preview of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub production: Option<String>,
    /// The total size of its objects in bytes, once it was completed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a deploy of a preview adds to its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPreview {
    /// Its name as typed.
    pub name: String,
    /// How long it lasts from now on.
    pub lasts: Duration,
    /// The site that it is a preview of.
    pub production: Option<String>,
}

impl PreviewNote {
    /// The name of the preview in the folder of this label. If the noted name has another label, somebody else
    /// wrote the note: then it is the label.
    pub fn name_at<'a>(&'a self, label: &'a str) -> &'a str {
        if host_label(&self.name) == label { &self.name } else { label }
    }
}

/// Whether one of two locations contains the other: no preview is inside production, or around it.
pub fn overlap(one: &Target, other: &Target) -> bool {
    let holds = |one: &Target, other: &Target| other.prefix().starts_with(one.prefix());
    one.bucket() == other.bucket() && (holds(one, other) || holds(other, one))
}

/// The error if the folder of a preview belongs to another one.
pub fn other_name(name: &str, found: &str, place: &Target) -> Error {
    Error::refused(format!("{place} is the folder of the preview {found:?}, not of {name:?}; nothing was changed"))
        .hint(
            "choose another name; if no such preview was ever deployed, see who else may write the bucket of previews",
        )
}

impl NewPreview {
    /// When one that is deployed `now` expires.
    pub fn expires(&self, now: Timestamp) -> Timestamp {
        let lasts = SignedDuration::try_from(self.lasts).unwrap_or(SignedDuration::MAX);
        now.saturating_add(lasts).unwrap_or(Timestamp::MAX)
    }

    /// The note for the record, replacing the one before.
    pub(super) fn note(&self, now: Timestamp, before: Option<&PreviewNote>) -> PreviewNote {
        PreviewNote {
            name: self.name.clone(),
            expires: self.expires(now),
            production: self.production.clone(),
            bytes: before.and_then(|before| before.bytes),
            extra: before.map(|before| before.extra.clone()).unwrap_or_default(),
        }
    }
}

/// The record of a site in a folder of another location, as listed.
#[derive(Debug, Default)]
pub struct FoundRecord {
    /// Whether it has a state: without one, it is the remainder of a removal that died.
    pub has_state: bool,
    /// The files of deploys in it, with the times at which they were written, in seconds of S3's clock.
    files: Vec<(String, i64)>,
}

/// The records of the sites in the folders of a location, by the name of the folder. `records` is the folder of
/// that location's records.
pub async fn records(records: &Bucket) -> Result<BTreeMap<String, FoundRecord>> {
    let (mut found, mut start) = (BTreeMap::<String, FoundRecord>::new(), Some(Start::Beginning));
    while let Some(from) = start {
        let page = records.list(from).await?;
        for object in page.objects {
            let Some((folder, file)) = object.key.split_once('/') else { continue };
            match file {
                STATE => found.entry(folder.to_owned()).or_default().has_state = true,
                _ if is_of_a_deploy(file) => {
                    let files = &mut found.entry(folder.to_owned()).or_default().files;
                    files.push((file.to_owned(), object.modified));
                }
                _ => {}
            }
        }
        start = page.next.map(Start::Token);
    }
    Ok(found)
}

impl FoundRecord {
    /// Removes the remainder of a record whose removal died: files that no run can still be about to name.
    pub async fn sweep(&self, folder: &str, records: &Bucket, now: Timestamp) {
        let names = old(&self.files, now).map(|name| format!("{folder}/{name}"));
        let names: Vec<String> = names.collect();
        for names in names.chunks(MAX_DELETE_KEYS) {
            let keys: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
            // The next one tries again.
            let _ = records.delete(&keys).await;
        }
    }
}

/// The files written before any run in progress can have begun.
fn old(files: &[(String, i64)], now: Timestamp) -> impl Iterator<Item = &str> {
    let before = now.as_second() - LEASE.as_secs() as i64;
    files.iter().filter(move |(_, modified)| *modified < before).map(|(name, _)| name.as_str())
}

impl Record {
    /// Removes a record: its state if it is still the one that was read, then what that named, and what is too old
    /// for a run in progress. `false`, with nothing removed, if the state has changed.
    pub(super) async fn remove_all(&self, read: &Snapshot) -> Result<bool> {
        let Some(etag) = read.etag.as_deref().map(Etag::parse) else { return Ok(true) };
        let mut files: Vec<String> = read.state.manifests().collect();
        files.extend(read.state.intent.as_ref().map(|intent| intent::file_name(&intent.deploy)));
        let listed = self.bucket.list(Start::Beginning).await?.objects.into_iter();
        let listed: Vec<_> = listed.map(|object| (object.key, object.modified)).collect();
        files.extend(old(&listed, read.now).filter(|name| is_of_a_deploy(name)).map(str::to_owned));
        files.retain(|name| listed.iter().any(|(known, _)| known == name));
        files.sort_unstable();
        files.dedup();
        if let Some((_, error)) = self.bucket.delete(&[(STATE, Some(&etag))]).await?.into_iter().next() {
            let is_other = error.kind() == ErrorKind::PreconditionFailed;
            return if is_other { Ok(false) } else { Err(error) };
        }
        for names in files.chunks(MAX_DELETE_KEYS) {
            self.remove(names).await;
        }
        Ok(true)
    }
}

/// The error for a site whose record is not that of a preview.
pub fn no_preview(what: &str) -> Error {
    Error::refused(format!("{what} is not a preview, according to its deploy record; nothing was changed"))
        .hint("previews go where 'deploy --preview' puts them, and only those are listed, removed and promoted")
}
