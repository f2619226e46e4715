//! Previews: sites beside one another in one bucket, each with a record of its own that says until when it stays.

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

/// What the record of a preview says beside what that of any site does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewNote {
    /// Its name, such as a branch, as it was typed.
    pub name: String,
    /// From when on `previews --prune` removes it, by S3's clock.
    pub expires: Timestamp,
    /// The site that it is a preview of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub production: Option<String>,
    /// The bytes of its objects, once it was completed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
    /// Fields that a later version wrote.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a deploy of a preview adds to its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPreview {
    /// Its name as typed.
    pub name: String,
    /// How long it stays from now on.
    pub lasts: Duration,
    /// The site that it is a preview of.
    pub production: Option<String>,
}

impl PreviewNote {
    /// The name of the preview in the folder of this label. Of a name that has another label, somebody else wrote the
    /// note: then it is the label.
    pub fn name_at<'a>(&'a self, label: &'a str) -> &'a str {
        if host_label(&self.name) == label { &self.name } else { label }
    }
}

/// Whether one of two places holds the other: no preview is in production, nor around it.
pub fn overlap(one: &Target, other: &Target) -> bool {
    let holds = |one: &Target, other: &Target| other.prefix().starts_with(one.prefix());
    one.bucket() == other.bucket() && (holds(one, other) || holds(other, one))
}

/// The error where the folder of a preview is that of another one.
pub fn other_name(name: &str, found: &str, place: &Target) -> Error {
    Error::refused(format!("{place} is the folder of the preview {found:?}, not of {name:?}; nothing was changed"))
        .hint(
            "choose another name; if no such preview was ever deployed, see who else may write the bucket of previews",
        )
}

impl NewPreview {
    /// As the record has it, in the place of what it had before.
    pub(super) fn note(&self, now: Timestamp, before: Option<&PreviewNote>) -> PreviewNote {
        let lasts = SignedDuration::try_from(self.lasts).unwrap_or(SignedDuration::MAX);
        PreviewNote {
            name: self.name.clone(),
            expires: now.saturating_add(lasts).unwrap_or(Timestamp::MAX),
            production: self.production.clone(),
            bytes: before.and_then(|before| before.bytes),
            extra: before.map(|before| before.extra.clone()).unwrap_or_default(),
        }
    }
}

/// The record of a site in a folder of another place, as a listing shows it.
#[derive(Debug, Default)]
pub struct FoundRecord {
    /// Whether it has a state: without one, it is what a removal that died has left.
    pub has_state: bool,
    /// The files of deploys in it, with when they were written, in seconds of S3's clock.
    files: Vec<(String, i64)>,
}

/// The records of the sites in the folders of a place, by the name of the folder. `records` is the folder of the records
/// of that place.
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
    /// Removes what a removal that died has left of a record: files that no run can still be about to name.
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

/// Those that were written before a run that is under way can have begun.
fn old(files: &[(String, i64)], now: Timestamp) -> impl Iterator<Item = &str> {
    let before = now.as_second() - LEASE.as_secs() as i64;
    files.iter().filter(move |(_, modified)| *modified < before).map(|(name, _)| name.as_str())
}

impl Record {
    /// Removes a record: its state while it is the one that was read, then what that named, and what is too old for a run
    /// that is under way. `false`, and nothing was removed, if the state is another one.
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

/// The error for a site whose record is not one of a preview.
pub fn no_preview(what: &str) -> Error {
    Error::refused(format!("{what} is not a preview, according to its deploy record; nothing was changed"))
        .hint("previews go where 'deploy --preview' puts them, and only those are listed, removed and promoted")
}
