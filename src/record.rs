//! The deploy record in the bucket: lock, write-ahead log and memory in one small folder.
//!
//! `state.json` is written only conditionally, so it is both lock and log: it names who is deploying (the lease),
//! what that run may leave stale (the intent), and the deploy that the edge was last invalidated for (the
//! manifest). The intent is written before the first change and cleared only after CloudFront accepted the
//! invalidation; the run after a crash finds it and finishes the work.

pub mod allowance;
pub mod external_writes;
mod extra;
pub mod history;
pub mod intent;
mod kept;
pub mod lease;
pub mod manifest;
mod ndjson;
mod packed_rows;
pub mod preview;
pub mod public_access;
pub mod rules;
pub mod session;
mod state;

use crate::aws::Aws;
use crate::clock::{Clock, Stopwatch};
use crate::error::{Error, Result};
use crate::escape::Shown;
use crate::s3::conditional::{Condition, Written};
use crate::s3::{Bucket, Start};
use allowance::PathCount;
use external_writes::UnreadableMarks;
use intent::PlanRows;
use intent::UnfinishedDeploy;
use jiff::Timestamp;
use lease::{Holder, LEASE};
use manifest::{Manifest, ManifestRows};
use ndjson::{Reader, Rows};
use serde::Deserialize;
use serde_json::{Map, Value};
use shipfront_site::Target;
use shipfront_site::Warning;
use std::sync::Arc;

use state::FORMAT;
pub(crate) use state::STATE;
pub use state::{Build, Intent, LastDeploy, State};

/// Maximum size of the state, in bytes.
const MOST_OF_STATE: u64 = 1024 * 1024;
/// Maximum compressed size of a manifest or a plan, in bytes: those of millions of objects.
const MOST_OF_FILE: u64 = 256 * 1024 * 1024;
/// Maximum number of characters of an invalid name to repeat in a message.
const LONGEST_SHOWN: usize = 40;
/// The location of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below `.shipfront/` in the target's bucket.
    SiteFolder,
    /// Elsewhere.
    At(Target),
    /// Nowhere: no lock, no memory.
    Nowhere,
}

/// A record as it was read.
#[derive(Debug)]
pub struct Snapshot {
    /// The state; a new one if there is no record yet.
    pub state: State,
    /// `None` if there is no record yet.
    etag: Option<String>,
    /// How long ago the state was written, in seconds of S3's clock.
    age: i64,
    /// S3's time when it was read.
    pub now: Timestamp,
    /// What was last deployed; `None` if no deploy was ever completed.
    pub manifest: Option<Manifest>,
    /// What an interrupted run may have left stale.
    pub unfinished: Option<Arc<UnfinishedDeploy>>,
    /// Measures the time since it was read, by the run's clock.
    since: Stopwatch,
    /// The paths that were sent outside deploys.
    other_paths: Option<PathCount>,
    /// The marks of external writes, if they are invalid.
    unreadable_marks: Option<UnreadableMarks>,
    /// Fields of the manifest's first line that a later version wrote.
    manifest_extra: Map<String, Value>,
    /// What could not be read, which is harmless.
    warnings: Vec<Warning>,
}

impl Snapshot {
    fn of_state(state: State, etag: Option<String>, age: i64, now: Timestamp, since: Stopwatch) -> Snapshot {
        Snapshot {
            state,
            etag,
            age,
            now,
            manifest: None,
            unfinished: None,
            since,
            other_paths: None,
            unreadable_marks: None,
            manifest_extra: Map::new(),
            warnings: Vec::new(),
        }
    }

    /// The holder of the lease, unless it has expired.
    pub fn holder(&self) -> Option<&Holder> {
        self.state.lease.as_ref().filter(|_| self.age < LEASE.as_secs() as i64)
    }

    /// Whether there is no record yet.
    pub fn is_new(&self) -> bool {
        self.etag.is_none()
    }
}

/// A record in its bucket.
#[derive(Debug, Clone)]
pub struct Record {
    bucket: Bucket,
    target: Target,
    clock: Clock,
}

impl Record {
    /// The record of the site in `bucket`; `None` if none is kept.
    pub async fn of(aws: &Aws, bucket: &Bucket, place: &Place) -> Result<Option<Record>> {
        let target = bucket.target().clone();
        let at = match place {
            Place::Nowhere => return Ok(None),
            Place::At(at) => at.clone(),
            Place::SiteFolder => target.record_folder(),
        };
        Ok(Some(Record { bucket: bucket.place(aws, &at).await?, target, clock: aws.clock().clone() }))
    }

    /// The full key of the state, for checking whether viewers can reach it.
    pub fn state_key(&self) -> String {
        self.bucket.target().full_key(STATE)
    }

    /// The bucket that contains it, with its folder as prefix.
    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The location of the record.
    pub fn place(&self) -> &Target {
        self.bucket.target()
    }

    /// Reads only the state.
    pub async fn look(&self) -> Result<Snapshot> {
        let (found, now) = self.bucket.get_at(STATE, MOST_OF_STATE, Vec::new).await?;
        let Some(found) = found else {
            let state = State::new(&self.target);
            return Ok(Snapshot::of_state(state, None, 0, now, self.clock.start()));
        };
        let body = found.body;
        let state = self.parse(&body)?;
        let age = found.read.as_second() - found.modified.as_second();
        let warnings = unread_counts(&body, &state, &self.what(STATE));
        Ok(Snapshot { warnings, ..Snapshot::of_state(state, Some(found.etag), age, found.read, self.clock.start()) })
    }

    /// Reads the state and everything that it names. A deploy that is completed meanwhile removes what the state
    /// named before: then it is read again.
    pub async fn read(&self) -> Result<Snapshot> {
        let mut tries = 5;
        loop {
            let snapshot = self.look().await?;
            let etag = snapshot.etag.clone();
            match self.read_files(snapshot).await {
                Err(_) if tries > 0 && self.look().await?.etag != etag => tries -= 1,
                result => return result,
            }
        }
    }

    async fn read_files(&self, mut snapshot: Snapshot) -> Result<Snapshot> {
        let manifest = async {
            let Some(deploy) = &snapshot.state.manifest else { return Ok(None) };
            let name = manifest::file_name(deploy);
            let (rows, extra) = self.fetch(&name, ManifestRows::default).await?.ok_or_else(|| self.missing(&name))?;
            Ok(Some(rows.with(extra)))
        };
        let unfinished = async {
            let Some(intent) = &snapshot.state.intent else { return Ok(None) };
            let name = intent::file_name(&intent.deploy);
            let (rows, _) = self.fetch(&name, PlanRows::default).await?.ok_or_else(|| self.missing(&name))?;
            Ok(Some(Arc::new(rows.of(intent))))
        };
        let (manifest, unfinished, other_paths) = tokio::join!(manifest, unfinished, self.other_paths());
        let (manifest, unfinished): (Result<_>, Result<_>) = (manifest, unfinished);
        let (manifest, unfinished) = (manifest?, unfinished?);
        snapshot.manifest_extra = manifest.as_ref().map(|manifest| manifest.extra().clone()).unwrap_or_default();
        (snapshot.manifest, snapshot.unfinished) = (manifest, unfinished);
        match other_paths {
            Ok(paths) => snapshot.other_paths = paths,
            Err(marks) => {
                snapshot.warnings.push(self.unreadable_marks(&marks));
                snapshot.unreadable_marks = Some(marks);
            }
        }
        Ok(snapshot)
    }

    /// The manifest of a deploy, if it still exists.
    pub async fn manifest(&self, deploy: &str) -> Result<Option<Manifest>> {
        let found = self.fetch(&manifest::file_name(deploy), ManifestRows::default).await?;
        Ok(found.map(|(rows, extra)| rows.with(extra)))
    }

    /// The deploys that have a manifest in the record: one request.
    pub async fn manifests(&self) -> Result<Vec<String>> {
        let page = self.bucket.list(Start::After(manifest::PREFIX.to_owned())).await?;
        let deploy = |name: &str| name.strip_prefix(manifest::PREFIX)?.strip_suffix(".ndjson.gz").map(str::to_owned);
        Ok(page.objects.iter().filter_map(|object| deploy(&object.key)).collect())
    }

    fn what(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket.target().bucket(), self.bucket.target().full_key(name))
    }

    /// Reads the rows of a file, and the fields of its first line that a later version wrote, if it exists.
    async fn fetch<R: Rows>(&self, name: &str, rows: impl Fn() -> R) -> Result<Option<(R, Map<String, Value>)>> {
        let reader = || Reader::new(self.what(name), rows());
        let (found, _) = self.bucket.get_at(name, MOST_OF_FILE, reader).await?;
        found.map(|found| found.body.finish()).transpose()
    }

    fn missing(&self, name: &str) -> Error {
        damaged(&self.what(name), "it is missing, although state.json names it")
    }

    fn parse(&self, body: &[u8]) -> Result<State> {
        let what = self.what(STATE);
        check_format(body, &what)?;
        let state: State = serde_json::from_slice(body).map_err(|error| damaged(&what, &error.to_string()))?;
        if let Some(name) = state.no_name() {
            let name: String = name.chars().take(LONGEST_SHOWN).collect();
            return Err(damaged(&what, &format!("{name:?} is not a name that a deploy writes")));
        }
        if state.target != self.target.to_string() {
            let message = format!("{what} is the record of {}, not of {}", Shown(&state.target), self.target);
            return Err(Error::refused(message).hint("give each site its own --record"));
        }
        Ok(state)
    }

    /// Replaces the state that was read; `None` if another write came first.
    ///
    /// When a write whose response was lost is retried, it conflicts with its own success: the state is then read
    /// back, and the write succeeded if the state has these bytes.
    async fn replace(&self, mut state: State, etag: Option<&str>) -> Result<Option<(State, String)>> {
        (state.revision, state.format) = (state.revision.wrapping_add(1), FORMAT);
        let body = serde_json::to_vec_pretty(&state).map_err(|error| Error::failed(format!("the record: {error}")))?;
        let condition = etag.map_or(Condition::Absent, Condition::Match);
        match self.bucket.put_if(STATE, &body, condition).await? {
            Written::Yes(etag) => Ok(Some((state, etag))),
            Written::Refused => match self.bucket.get(STATE, MOST_OF_STATE).await? {
                Some(found) if found.body == body => Ok(Some((state, found.etag))),
                _ => Ok(None),
            },
        }
    }

    /// Records a newer build that found nothing to do: one write.
    pub async fn note_build(&self, snapshot: &Snapshot, build: Build) -> Result<bool> {
        let state = State { build: Some(build), ..snapshot.state.clone() };
        Ok(self.replace(state, snapshot.etag.as_deref()).await?.is_some())
    }

    /// Takes the lease away from its holder; `false` if the state changed meanwhile.
    pub async fn unlock(&self, snapshot: Snapshot) -> Result<bool> {
        let state = State { lease: None, ..snapshot.state };
        Ok(self.replace(state, snapshot.etag.as_deref()).await?.is_some())
    }

    /// The plans and manifests of runs that ended before the state named them, or whose removal failed: those older
    /// than a lease, by S3's clock, except those in `named`. One request; a run that may not list leaves them.
    async fn strays(&self, now: Timestamp, named: &[String]) -> Vec<String> {
        let Ok(page) = self.bucket.list(Start::After(manifest::PREFIX.to_owned())).await else { return Vec::new() };
        let old = now.as_second() - LEASE.as_secs() as i64;
        let objects = page.objects.into_iter().filter(|object| object.modified < old);
        objects.map(|object| object.key).filter(|key| is_of_a_deploy(key) && !named.contains(key)).collect()
    }

    /// Removes files of a record that nothing names any more; a failure is harmless.
    async fn remove(&self, names: &[String]) {
        let keys: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        if !keys.is_empty() {
            let _ = self.bucket.delete(&keys).await;
        }
    }
}

/// Whether a file of the record's folder is the plan or the manifest of a deploy.
fn is_of_a_deploy(name: &str) -> bool {
    let middle = [manifest::PREFIX, intent::PREFIX].into_iter().find_map(|prefix| name.strip_prefix(prefix));
    middle.is_some_and(|middle| !middle.contains('/') && middle.ends_with(".ndjson.gz"))
}

/// Refuses what a newer version wrote, before anything else in it is parsed.
fn check_format(text: &[u8], what: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }
    let version: Version = serde_json::from_slice(text).map_err(|error| damaged(what, &error.to_string()))?;
    if version.format > u64::from(FORMAT) {
        return Err(
            Error::refused(format!("{what} was written by a newer shipfront")).hint("upgrade shipfront here as well")
        );
    }
    Ok(())
}

/// Warnings about invalid counts of paths.
fn unread_counts(body: &[u8], state: &State, what: &str) -> Vec<Warning> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let of_state = !value["paths"].is_null() && state.paths.is_none();
    let of_intent = state.intent.as_ref().is_some_and(|intent| intent.paths.is_none());
    let of_intent = of_intent && !value["intent"]["paths"].is_null();
    let warning = || {
        let notice = format!("cannot read how many paths {what} has counted this month");
        Warning::new(notice, "the next deploy counts from zero and writes the count again")
    };
    (of_state || of_intent).then(warning).into_iter().collect()
}

/// The error for a record that cannot be read: it is never treated as an empty one.
fn damaged(what: &str, why: &str) -> Error {
    Error::refused(format!("the deploy record {what} cannot be read: {why}")).hint(
        "restore it from a version of the bucket, or remove the files of the folder: the next deploy then checks and invalidates every object once, and owns those in its source",
    )
}

#[cfg(test)]
mod tests;
