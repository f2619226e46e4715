//! The lease: allows one deploy at a time, by conditional writes and S3's own clock.

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::escape::Shown;
use crate::record::allowance::{self, PathCount};
use crate::record::history::{Deployed, Direction};
use crate::record::preview::PreviewNote;
use crate::record::rules::RecordedRules;
use crate::record::session::{Commit, Intended};
use crate::record::{Intent, LastDeploy, Record, STATE, Snapshot, State, intent, manifest, rules};
use crate::s3::conditional::{Condition, Written};
use intent::PendingChange;
use jiff::{SignedDuration, Timestamp};
use manifest::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::{Borrow, Cow};
use std::fmt::{self, Display, Formatter};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a lease lasts after its last renewal, by S3's clock.
pub const LEASE: Duration = Duration::from_secs(90);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(20);
/// How soon after a failed renewal the next is tried.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// When its holder gives up if it could not be renewed: requests still in flight have the rest of the lease to end.
const GIVE_UP: Duration = Duration::from_secs(60);
/// If nothing was tried for this long, the machine slept or its clock was set: then the holder checks before it
/// gives up.
const SLEPT: Duration = Duration::from_secs(10);
/// How long that check may take.
const FIND_OUT: Duration = Duration::from_secs(20);

/// After this long without a write to the record, the next deploy looks for files that nothing names, even without
/// any trace of a dead run: it may have died before it left one.
const SWEEP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The holder of the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run's ID, which is unique.
    pub deploy: String,
    /// Where it runs, for display.
    pub owner: String,
    /// Since when, by the holder's clock, for display.
    pub since: Timestamp,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Display for Holder {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{} has held the lock since {}", Shown(&self.owner), time(self.since))
    }
}

/// What a completed deploy leaves for the next one to invalidate again.
#[derive(Debug, Clone, Copy)]
pub enum CarryOver<'a> {
    /// Nothing.
    Nothing,
    /// Its whole plan: whether some uploads succeeded is unknown, and the next run needs the plan to know that
    /// shipfront owns them.
    Plan,
    /// These keys.
    Pending(&'a [PendingChange]),
}

/// The lease, held and renewed until it is returned.
#[derive(Debug)]
pub struct Lease {
    record: Record,
    deploy: String,
    current: Arc<Mutex<(State, String)>>,
    lost: CancellationToken,
    /// Whether it is uncertain that the lease is still held.
    doubt: watch::Receiver<bool>,
    renewer: JoinHandle<()>,
    /// Files that nothing names once this run is completed.
    outdated: Vec<String>,
    /// Whether there may be more of them than the state lists.
    may_have_strays: bool,
    /// S3's time when the record was read, and a stopwatch started then.
    read: (Timestamp, Stopwatch),
    /// Fields of the manifest's first line that a later version wrote, and the rules.
    manifest_extra: Map<String, Value>,
    /// The state as it was found.
    before: State,
}

impl Lease {
    /// Writes the plan, then takes the lease and names the plan in one write; `None` if the record has changed
    /// since it was read.
    pub async fn take(record: &Record, snapshot: &Snapshot, intended: Intended<'_>) -> Result<Option<Lease>> {
        let Intended { deploy, build, distributions, pending, paths, rules, direction, preview } = intended;
        let plan = intent::file_name(deploy);
        record.bucket.put_plain(&plan, intent::encode(deploy, pending)?).await?;
        let (owner, since) = (owner(), record.clock.now());
        let holder = Holder { deploy: deploy.to_owned(), owner, since, extra: Map::new() };
        let mut state = snapshot.state.clone();
        state.lease = Some(holder);
        // The paths that an interrupted run intended to send count as sent.
        let used = state.paths_used(snapshot.now);
        state.paths = Some(allowance::next(state.paths.as_ref(), snapshot.now, used));
        state.intent = Some(Intent::new(deploy, distributions, PathCount::new(snapshot.now, paths), rules));
        if snapshot.state.is_older_than(build) {
            state.build = build.cloned();
        }
        state.rolled_back = match direction {
            Direction::Onward => {
                state.rolled_back.filter(|from| build.is_none_or(|build| !from.is_left_behind_by(build)))
            }
            // Builds up to the newest one are refused from now on.
            Direction::Back => snapshot.state.build.clone().or(state.rolled_back),
            Direction::Newest => None,
        };
        if let Some(preview) = preview {
            // From the first write on, so that a preview that is never completed is removed as well.
            state.preview = Some(preview.note(snapshot.now, state.preview.as_ref()));
        }
        let taken = record.replace(state, snapshot.etag.as_deref()).await.map_err(|error| match error.kind() {
            ErrorKind::NotImplemented => unconditional(),
            _ => error,
        })?;
        let Some((state, etag)) = taken else {
            record.remove(&[plan]).await;
            return Ok(None);
        };
        if snapshot.is_new() {
            check_conditions(record, &state, &plan).await?;
        }
        let mut outdated = vec![plan];
        let unfinished = snapshot.state.intent.iter().map(|intent| &intent.deploy);
        outdated.extend(unfinished.flat_map(|deploy| [intent::file_name(deploy), manifest::file_name(deploy)]));
        outdated.extend(snapshot.state.manifests());
        if let Some(marks) = &snapshot.unreadable_marks {
            // Until that is done, every key counts as marked.
            let _ = record.move_aside(marks).await;
        }
        let may_have_strays = snapshot.state.intent.is_some()
            || snapshot.state.lease.is_some()
            || !snapshot.is_new() && snapshot.age >= SWEEP_AFTER.as_secs() as i64;
        let current = Arc::new(Mutex::new((state, etag)));
        let lost = CancellationToken::new();
        let (in_doubt, doubt) = watch::channel(false);
        let renewer = tokio::spawn(renew(record.clone(), current.clone(), lost.clone(), in_doubt));
        let read = (snapshot.now, snapshot.since.clone());
        let (record, deploy, manifest_extra) = (record.clone(), deploy.to_owned(), snapshot.manifest_extra.clone());
        Ok(Some(Lease {
            record,
            deploy,
            current,
            lost,
            doubt,
            renewer,
            outdated,
            may_have_strays,
            read,
            manifest_extra,
            before: snapshot.state.clone(),
        }))
    }

    /// Runs work that only the holder may do; `None` once the lease can no longer be relied on: then all work in
    /// progress must stop. While that is uncertain, the work is paused.
    pub async fn hold<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut doubt) = (pin!(work), self.doubt.clone());
        loop {
            let in_doubt = *doubt.borrow_and_update();
            tokio::select! {
                biased;
                () = self.lost.cancelled() => return None,
                changed = doubt.changed() => if changed.is_err() { self.lost.cancelled().await },
                done = &mut work, if !in_doubt => return Some(done),
            }
        }
    }

    /// Writes what will be true once CloudFront has accepted the invalidation. Until [`Lease::complete`] names it,
    /// nobody reads it. Without `rules`, those of the last deploy stay.
    pub async fn write_manifest<K: AsRef<str>, R: Borrow<Row>>(
        &self,
        rows: impl Iterator<Item = (K, R)>,
        rules: Option<&RecordedRules>,
    ) -> Result<()> {
        let name = manifest::file_name(&self.deploy);
        let mut extra = self.manifest_extra.clone();
        match rules {
            None => {}
            Some(none) if none.is_empty() => drop(extra.remove(rules::FIELD)),
            Some(rules) => drop(extra.insert(rules::FIELD.to_owned(), rules.to_value()?)),
        }
        self.record.bucket.put_plain(&name, manifest::encode(&self.deploy, &extra, rows)?).await
    }

    /// Everything is live, CloudFront accepted the invalidation and the manifest is written: names it, clears the
    /// intent and returns the lease in one write, except for what is carried over to the next run.
    pub async fn complete(self, commit: &Commit<'_>) -> Result<()> {
        let last = LastDeploy {
            deploy: self.deploy.clone(),
            at: self.record.clock.now(),
            uploaded: commit.uploaded,
            pruned: commit.removed,
            interrupted: commit.interrupted,
            left: commit.left,
            extra: Map::new(),
        };
        let paths = commit.paths;
        let left = match commit.carry_over {
            CarryOver::Nothing => None,
            CarryOver::Plan => Some(self.deploy.clone()),
            CarryOver::Pending(pending) => {
                let name = intent::of_verify(&self.deploy);
                let plan = intent::encode(&name, pending.iter().map(Cow::Borrowed))?;
                self.record.bucket.put_plain(&intent::file_name(&name), plan).await?;
                Some(name)
            }
        };
        // While the lease is held, nobody else writes the history.
        let (history, before) = {
            let state = &self.current.lock().await.0;
            (state.with_deploy(self.deployed(commit), &commit.history_update), state.deploys())
        };
        let mut named: Vec<String> = history.iter().map(|kept| manifest::file_name(&kept.deploy)).collect();
        named.extend(left.as_deref().map(intent::file_name));
        let mut outdated = self.outdated.clone();
        outdated.retain(|name| !named.contains(name));
        if self.may_have_strays {
            outdated.extend(self.record.strays(self.now(), &named).await);
            outdated.sort_unstable();
            outdated.dedup();
        }
        let (deploy, record, now, bytes) = (self.deploy.clone(), self.record.clone(), self.now(), commit.rows.bytes);
        self.give_back(|state| State {
            intent: state.intent.clone().zip(left.clone()).map(|(intent, deploy)| Intent {
                deploy,
                paths: None,
                rules: None,
                ..intent
            }),
            manifest: Some(deploy.clone()),
            last: Some(last.clone()),
            history: history.clone(),
            preview: state.preview.clone().map(|preview| PreviewNote { bytes: Some(bytes), ..preview }),
            ..state.with_paths(now, paths)
        })
        .await?;
        record.remove(&outdated).await;
        // Copies can only become superfluous when a deploy leaves the history.
        let leaves = before.iter().any(|deployed| !history.iter().any(|kept| kept.deploy == deployed.deploy));
        if commit.history_update.keeps_copies && leaves {
            Box::pin(record.prune_kept(&history)).await;
        }
        Ok(())
    }

    /// This run as an entry of the history.
    fn deployed(&self, commit: &Commit<'_>) -> Deployed {
        let Commit { history_update, rows, .. } = commit;
        Deployed {
            deploy: self.deploy.clone(),
            at: self.now(),
            build: history_update.build.cloned(),
            commit: history_update.commit.map(str::to_owned),
            by: owner(),
            restored: history_update.restores.map(str::to_owned),
            promoted: history_update.promotes.map(str::to_owned),
            uploaded: commit.uploaded,
            pruned: commit.removed,
            left: commit.left,
            objects: Some(rows.all),
            without_version: Some(rows.without_version),
            kept_copies: history_update.keeps_copies,
            extra: Map::new(),
        }
    }

    /// Returns the lease and leaves the intent to the next run. `paths` is the number that CloudFront accepted.
    pub async fn abandon(self, paths: u64) -> Result<()> {
        let now = self.now();
        self.give_back(|state| State {
            intent: state.intent.clone().map(|intent| Intent { paths: None, ..intent }),
            ..state.with_paths(now, paths)
        })
        .await
    }

    /// Nothing of the plan was done: returns the lease, and restores the intent, the build and the paths that were
    /// found. What an interrupted run left stays for the next one.
    pub async fn take_back(self) -> Result<()> {
        let State { intent, paths, build, .. } = self.before.clone();
        let (record, plan) = (self.record.clone(), intent::file_name(&self.deploy));
        self.give_back(|state| State { intent: intent.clone(), paths: paths.clone(), build: build.clone(), ..state })
            .await?;
        record.remove(&[plan]).await;
        Ok(())
    }

    /// S3's time, from its last known value and the time since.
    fn now(&self) -> Timestamp {
        let (at, since) = &self.read;
        at.saturating_add(SignedDuration::try_from(since.elapsed()).unwrap_or_default()).unwrap_or(*at)
    }

    async fn give_back(self, change: impl Fn(State) -> State) -> Result<()> {
        // Not during a renewal: its write would make this one fail.
        let held = self.current.lock().await;
        self.renewer.abort();
        let (mut state, mut etag) = held.clone();
        drop(held);
        for _ in 0..3 {
            let next = State { lease: None, ..change(state) };
            if self.record.replace(next, Some(&etag)).await?.is_some() {
                return Ok(());
            }
            // A renewal whose response was lost still counts as this run's write.
            let found = self.record.look().await?;
            match (found.state.lease.as_ref(), found.etag) {
                (Some(holder), Some(now)) if holder.deploy == self.deploy => (state, etag) = (found.state, now),
                _ => break,
            }
        }
        Err(Error::stale("another deploy took over the lock")
            .hint("the next deploy invalidates again what this one changed"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewer.abort();
    }
}

/// Renews until aborted; gives up when it must.
///
/// After the machine slept or its clock was set, the lease suddenly appears too old, although perhaps nobody has
/// taken it. The write that renews it is conditional, so its result decides. Until then, the work is paused.
async fn renew(
    record: Record,
    current: Arc<Mutex<(State, String)>>,
    lost: CancellationToken,
    doubt: watch::Sender<bool>,
) {
    let clock = &record.clock;
    let (mut renewed, mut tried, mut due) = (clock.start(), clock.start(), RENEWAL);
    loop {
        renewed.reaches(due).await;
        let is_late = renewed.longest() >= GIVE_UP;
        if is_late && tried.longest() < SLEPT {
            return lost.cancel();
        }
        doubt.send_replace(is_late);
        let mut held = current.lock().await;
        let started = clock.start();
        let left = if is_late { FIND_OUT } else { GIVE_UP.saturating_sub(renewed.longest()) };
        match clock.timeout(left, record.replace(held.0.clone(), Some(&held.1))).await {
            Some(Ok(Some(next))) => {
                *held = next;
                (renewed, due) = (started, RENEWAL);
                doubt.send_replace(false);
            }
            Some(Ok(None)) => return lost.cancel(),
            Some(Err(_)) | None if is_late => return lost.cancel(),
            Some(Err(_)) | None => due = GIVE_UP.min(renewed.longest() + TRY_AGAIN),
        }
        tried = clock.start();
    }
}

/// Checks that the store refuses what it must refuse: a store that ignores conditions cannot lock anybody out.
async fn check_conditions(record: &Record, state: &State, plan: &str) -> Result<()> {
    let body = serde_json::to_vec_pretty(state).map_err(|error| Error::failed(format!("the record: {error}")))?;
    let other = Condition::Match("\"00000000000000000000000000000000\"");
    let (absent, other) =
        tokio::join!(record.bucket.put_if(STATE, &body, Condition::Absent), record.bucket.put_if(STATE, &body, other));
    for written in [absent?, other?] {
        if let Written::Yes(_) = written {
            // The state first: it must never name a plan that is gone.
            if record.bucket.delete(&[(STATE, None)]).await.is_ok_and(|refused| refused.is_empty()) {
                record.remove(&[plan.to_owned()]).await;
            }
            return Err(unconditional());
        }
    }
    Ok(())
}

/// The error for a store without working conditional writes.
pub(crate) fn unconditional() -> Error {
    Error::refused("this store does not support conditional writes, which the deploy record needs")
        .hint("use --no-record, without a lock, crash recovery and ownership of objects")
}

/// Where this run is running, for runs that wait for it.
fn owner() -> String {
    if let Ok(build) = std::env::var("CODEBUILD_BUILD_ID") {
        return format!("CodeBuild {build}");
    }
    let host = std::fs::read_to_string("/etc/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    format!("process {} on {}", std::process::id(), host.unwrap_or_else(|| "an unnamed machine".to_owned()))
}

/// A time for display.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
