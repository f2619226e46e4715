//! The deploy record kept in the bucket: lock, write-ahead log and memory in one small folder.
//!
//! `state.json` is written only on condition, so that it serves as lock and log at once: it names
//! who deploys (the lease), what that run may leave stale (the intent), and what the edge was last
//! told (the manifest). The intent is written before the first change and cleared only after
//! CloudFront accepted the invalidation; the run after a crash finds it and finishes the work.

pub mod allowance;
pub mod external_writes;
mod extra;
pub mod history;
pub mod intent;
mod kept;
pub mod lease;
pub mod manifest;
mod ndjson;
pub mod packed_rows;
pub mod preview;
pub mod public_access;
pub mod rules;
pub mod session;

use crate::aws::Aws;
use crate::clock::{Clock, Stopwatch};
use crate::error::{Error, Result};
use crate::escape::Shown;
use crate::s3::conditional::{Condition, Written};
use crate::s3::{Bucket, Start};
use allowance::PathCount;
use external_writes::UnreadableMarks;
use history::Deployed;
use intent::UnfinishedDeploy;
use jiff::Timestamp;
use lease::{Holder, LEASE};
use manifest::Manifest;
use preview::PreviewNote;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shipfront_invalidation::{DistributionId, is_plain_id};
use shipfront_site::Target;
use std::sync::Arc;

/// The one object that is written on condition.
pub(crate) const STATE: &str = "state.json";
/// Bytes of it, at most.
const MOST_OF_STATE: u64 = 1024 * 1024;
/// Bytes of a manifest or a plan, at most, compressed: those of millions of objects.
const MOST_OF_FILE: u64 = 256 * 1024 * 1024;
/// Bytes of the name of a deploy, at most.
const LONGEST_NAME: usize = 512;
/// Characters of what is no such name that a message repeats.
const LONGEST_SHOWN: usize = 40;
/// The version of what is written. Version 1 had no counts of paths, and knew nothing of error pages; it is read, and
/// carried over by the next write. A later one is not read.
const FORMAT: u32 = 2;

/// No numbering comes to more: nanoseconds since 1970 stay below it.
const HIGHEST_BUILD: u64 = i64::MAX as u64;
/// A recorded build is believed up to so many times the number of one that is about to be deployed ...
const FARTHEST_FACTOR: u64 = 1_000;
/// ... and so many more. Two builds that are under way at once are far closer.
const FARTHEST_AHEAD: u64 = 1_000_000;

/// Where a record is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Below `.shipfront/` in the target's bucket.
    Beside,
    /// Elsewhere.
    At(Target),
    /// Nowhere: no lock, no memory.
    Nowhere,
}

/// A build of a CodeBuild project, or of whatever numbers its builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Numbers of different projects say nothing about each other.
    pub project: String,
    /// Higher is newer.
    pub number: u64,
    /// Fields that a later version wrote.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl Build {
    /// A build of a project.
    pub fn new(project: impl Into<String>, number: u64) -> Build {
        Build { project: project.into(), number, extra: Map::new() }
    }

    /// Whether a build of the same numbering is newer.
    fn is_left_behind_by(&self, other: &Build) -> bool {
        other.project == self.project && other.number > self.number
    }

    /// Whether a number can be of the same numbering as this build's: one so far ahead is of another one, or of
    /// somebody who wants no build to go live any more.
    fn is_of_numbering(&self, number: u64) -> bool {
        number <= self.number.saturating_mul(FARTHEST_FACTOR).saturating_add(FARTHEST_AHEAD).min(HIGHEST_BUILD)
    }
}

/// The last deploy that was completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDeploy {
    /// Its id.
    pub deploy: String,
    /// When it was completed, by its own clock.
    pub at: Timestamp,
    /// Objects it uploaded.
    pub uploaded: u64,
    /// Objects it deleted.
    pub pruned: u64,
    /// Whether a signal ended it before it had done all that it was to do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Objects that it was to upload or delete, and did not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left: u64,
    /// Fields that a later version wrote.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A run whose changes may not have been invalidated; its plan is the file of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The run.
    pub deploy: String,
    /// The distributions that it had to invalidate, whichever ones a later run uses.
    pub distributions: Vec<String>,
    /// The distribution tenants, likewise.
    pub tenants: Vec<String>,
    /// The paths that it was to send: they count as sent until it says how many it did.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub paths: Option<PathCount>,
    /// The digest of the rules that it was to publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// Fields that a later version wrote.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Intent {
    fn new(deploy: &str, ids: &[DistributionId], paths: PathCount, rules: Option<String>) -> Intent {
        let (mut distributions, mut tenants) = (Vec::new(), Vec::new());
        for id in ids {
            match id {
                DistributionId::Distribution(id) => distributions.push(id.clone()),
                DistributionId::Tenant(id) => tenants.push(id.clone()),
            }
        }
        Intent { deploy: deploy.to_owned(), distributions, tenants, paths: Some(paths), rules, extra: Map::new() }
    }
}

/// What `state.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// Two sites must not share a record.
    target: String,
    /// Rises with every write, so that no two states have the same ETag.
    revision: u64,
    /// Who deploys now.
    pub lease: Option<Holder>,
    /// What may not have been invalidated.
    pub intent: Option<Intent>,
    /// The deploy whose manifest is current.
    pub manifest: Option<String>,
    /// The last deploy that was completed.
    pub last: Option<LastDeploy>,
    /// The newest build that was deployed or found nothing to do. An invalid value counts as absent.
    #[serde(default, deserialize_with = "allowance::lenient")]
    pub build: Option<Build>,
    /// The paths that deploys have sent this month.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub paths: Option<PathCount>,
    /// The deploys whose manifests are kept, the newest first; see [`State::deploys`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<Deployed>,
    /// The newest build that was rolled back: builds up to it are refused.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub rolled_back: Option<Build>,
    /// What is to be known of it, if the site is a preview.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    pub preview: Option<PreviewNote>,
    /// Fields that a later version wrote.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl State {
    fn new(target: &Target) -> State {
        State {
            format: FORMAT,
            target: target.to_string(),
            revision: 0,
            lease: None,
            intent: None,
            manifest: None,
            last: None,
            build: None,
            paths: None,
            history: Vec::new(),
            rolled_back: None,
            preview: None,
            extra: Map::new(),
        }
    }

    /// What stands for the name of a file of the record, or of a distribution, and is none. Requests are made of them.
    fn no_name(&self) -> Option<&str> {
        let of_deploys = self.intent.iter().map(|intent| &intent.deploy).chain(&self.manifest);
        let of_distributions = self.intent.iter().flat_map(|intent| intent.distributions.iter().chain(&intent.tenants));
        let no_deploy = of_deploys.filter(|name| name.len() > LONGEST_NAME);
        no_deploy.chain(of_distributions.filter(|id| !is_plain_id(id))).map(String::as_str).next()
    }

    /// The names of all manifests that it names.
    fn manifests(&self) -> impl Iterator<Item = String> {
        let kept = self.history.iter().map(|deployed| &deployed.deploy);
        kept.chain(&self.manifest).map(|deploy| manifest::file_name(deploy))
    }

    /// The paths that deploys have sent in the month of a time; those of an interrupted one count as sent.
    fn paths_used(&self, at: Timestamp) -> u64 {
        allowance::used(at, [self.paths.as_ref(), self.intent.as_ref().and_then(|intent| intent.paths.as_ref())])
    }

    /// The state once so many more paths were sent.
    fn with_paths(self, at: Timestamp, sent: u64) -> State {
        let used = allowance::used(at, [self.paths.as_ref()]).saturating_add(sent);
        State { paths: Some(allowance::next(self.paths.as_ref(), at, used)), ..self }
    }

    /// Whether a newer build of the same project went before.
    pub fn supersedes(&self, build: Option<&Build>) -> bool {
        matches!((&self.build, build), (Some(recorded), Some(ours))
            if recorded.project == ours.project && ours.number < recorded.number && ours.is_of_numbering(recorded.number))
    }

    /// The recorded build, where its number cannot be of the same numbering as that of this build.
    pub fn unbelievable(&self, build: Option<&Build>) -> Option<&Build> {
        let ours = build?;
        self.build
            .as_ref()
            .filter(|recorded| recorded.project == ours.project && !ours.is_of_numbering(recorded.number))
    }

    /// Whether this build is newer than what is recorded, and so worth recording.
    pub fn is_older_than(&self, build: Option<&Build>) -> bool {
        build.is_some_and(|ours| {
            self.unbelievable(build).is_some()
                || self
                    .build
                    .as_ref()
                    .is_none_or(|recorded| recorded.project != ours.project || recorded.number < ours.number)
        })
    }
}

/// A record as it was read.
#[derive(Debug)]
pub struct Snapshot {
    /// The state; a new one where there is no record yet.
    pub state: State,
    /// `None` where there is no record yet.
    etag: Option<String>,
    /// How long ago the state was written, in seconds of S3's clock.
    age: i64,
    /// S3's time when it was read.
    pub now: Timestamp,
    /// What was last deployed; `None` where no deploy was ever completed.
    pub manifest: Option<Manifest>,
    /// What an interrupted run may have left stale.
    pub unfinished: Option<Arc<UnfinishedDeploy>>,
    /// How long ago it was read, by the run's clock.
    since: Stopwatch,
    /// The paths that were sent beside deploys.
    other_paths: Option<PathCount>,
    /// The marks of others' writes, where they are none.
    unreadable_marks: Option<UnreadableMarks>,
    /// Fields of the manifest's first line that a later version wrote.
    manifest_extra: Map<String, Value>,
    /// What could not be read and does no harm.
    warnings: Vec<String>,
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

    /// Who holds the lease, unless it has expired.
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
    /// The record of the site in `bucket`; `None` where none is kept.
    pub async fn of(aws: &Aws, bucket: &Bucket, place: &Place) -> Result<Option<Record>> {
        let target = bucket.target().clone();
        let at = match place {
            Place::Nowhere => return Ok(None),
            Place::At(at) => at.clone(),
            Place::Beside => target.record_folder(),
        };
        Ok(Some(Record { bucket: bucket.place(aws, &at).await?, target, clock: aws.clock().clone() }))
    }

    /// The full key of the state, to see whether viewers can reach it.
    pub fn state_key(&self) -> String {
        self.bucket.target().full_key(STATE)
    }

    /// The bucket it is in, with its folder for a prefix.
    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Where the record is.
    pub fn place(&self) -> &Target {
        self.bucket.target()
    }

    /// Reads the state alone.
    pub async fn look(&self) -> Result<Snapshot> {
        let (found, now) = self.bucket.get_at(STATE, MOST_OF_STATE).await?;
        let Some(found) = found else {
            let state = State::new(&self.target);
            return Ok(Snapshot::of_state(state, None, 0, now, self.clock.start()));
        };
        let state = self.parse(&found.body)?;
        let age = found.read.as_second() - found.modified.as_second();
        let warnings = unread_counts(&found.body, &state, &self.what(STATE));
        Ok(Snapshot { warnings, ..Snapshot::of_state(state, Some(found.etag), age, found.read, self.clock.start()) })
    }

    /// Reads the state and all that it names. A deploy that is completed meanwhile takes away what
    /// the state named before: then it is read again.
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
            Ok(Some(Manifest::new(self.what(&name), self.fetch(&name).await?)))
        };
        let unfinished = async {
            let Some(intent) = &snapshot.state.intent else { return Ok(None) };
            let name = intent::file_name(&intent.deploy);
            Ok(Some(Arc::new(intent::decode(intent, &self.fetch(&name).await?, &self.what(&name))?)))
        };
        let (manifest, unfinished, other_paths) = tokio::join!(manifest, unfinished, self.other_paths());
        let (manifest, unfinished): (Result<_>, Result<_>) = (manifest, unfinished);
        let (manifest, unfinished) = (manifest?, unfinished?);
        snapshot.manifest_extra = manifest.as_ref().map(Manifest::extra).unwrap_or_default();
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

    /// The manifest of a deploy, if it is still there.
    pub async fn manifest(&self, deploy: &str) -> Result<Option<Manifest>> {
        let name = manifest::file_name(deploy);
        let found = self.bucket.get(&name, MOST_OF_FILE).await?;
        Ok(found.map(|found| Manifest::new(self.what(&name), found.body)))
    }

    /// Which deploys have a manifest in the record: one request.
    pub async fn manifests(&self) -> Result<Vec<String>> {
        let page = self.bucket.list(Start::After(manifest::PREFIX.to_owned())).await?;
        let deploy = |name: &str| name.strip_prefix(manifest::PREFIX)?.strip_suffix(".ndjson.gz").map(str::to_owned);
        Ok(page.objects.iter().filter_map(|object| deploy(&object.key)).collect())
    }

    fn what(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket.target().bucket(), self.bucket.target().full_key(name))
    }

    async fn fetch(&self, name: &str) -> Result<bytes::Bytes> {
        match self.bucket.get(name, MOST_OF_FILE).await? {
            Some(found) => Ok(found.body),
            None => Err(damaged(&self.what(name), "it is missing, although state.json names it")),
        }
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
    /// A write whose answer was lost meets its own success when it is tried again: the state is then
    /// read back, and it is ours if it has our bytes.
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

    /// Notes a newer build that found nothing to do: one write.
    pub async fn note_build(&self, snapshot: &Snapshot, build: Build) -> Result<bool> {
        let state = State { build: Some(build), ..snapshot.state.clone() };
        Ok(self.replace(state, snapshot.etag.as_deref()).await?.is_some())
    }

    /// Takes the lease away from its holder; `false` if it changed meanwhile.
    pub async fn unlock(&self, snapshot: Snapshot) -> Result<bool> {
        let state = State { lease: None, ..snapshot.state };
        Ok(self.replace(state, snapshot.etag.as_deref()).await?.is_some())
    }

    /// The plans and manifests of runs that ended before the state named them, or whose removal failed: those older than
    /// a lease, by S3's clock. One request; whoever may not list leaves them. Those of `named` are no strays.
    async fn strays(&self, now: Timestamp, named: &[String]) -> Vec<String> {
        let Ok(page) = self.bucket.list(Start::After(manifest::PREFIX.to_owned())).await else { return Vec::new() };
        let old = now.as_second() - LEASE.as_secs() as i64;
        let objects = page.objects.into_iter().filter(|object| object.modified < old);
        objects.map(|object| object.key).filter(|key| is_of_a_deploy(key) && !named.contains(key)).collect()
    }

    /// Removes the files of a record that nothing names any more; failing to is no harm.
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

/// Refuses what a newer version wrote, before anything else of it is read.
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

/// What to tell of counts of paths that are there and are none.
fn unread_counts(body: &[u8], state: &State, what: &str) -> Vec<String> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let of_state = !value["paths"].is_null() && state.paths.is_none();
    let of_intent = state.intent.as_ref().is_some_and(|intent| intent.paths.is_none());
    let of_intent = of_intent && !value["intent"]["paths"].is_null();
    let warning = || format!("cannot read how many paths {what} has counted this month: counting from zero");
    (of_state || of_intent).then(warning).into_iter().collect()
}

/// A record that cannot be read is never taken for an empty one.
fn damaged(what: &str, why: &str) -> Error {
    Error::refused(format!("the deploy record {what} cannot be read: {why}")).hint(
        "restore it from a version of the bucket, or remove the files of the folder: the next deploy then checks and invalidates every object once, and owns those in its source",
    )
}

#[cfg(test)]
mod tests;
