//! Removes a preview: the objects that its record owns, under its lock, and then the record.

use crate::cloudfront::Distributions;
use crate::deploy::change::{Change, ChangeOutcome};
use crate::deploy::diff::{self, Content, Decision, HeadersMatch, PruneAfter, Rules};
use crate::deploy::discover::Discovered;
use crate::deploy::head_check::Inspected;
use crate::deploy::list;
use crate::deploy::outcomes::Outcomes;
use crate::deploy::plan::Plan;
use crate::deploy::planned::{Planned, Recovered};
use crate::deploy::walk::{Unknown, Walk};
use crate::deploy::{Deploy, new_deploy_id};
use crate::error::{Error, Result};
use crate::record::preview::no_preview;
use crate::record::session::Session;
use crate::s3::{Bucket, Start};
use shipfront_invalidation::Viewers;
use shipfront_site::Warning;
use std::sync::Arc;

/// The result of removing a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// There is no such preview.
    Absent,
    /// It was deployed again meanwhile and stays.
    Stays,
    /// It was removed.
    Removed(Removed),
}

/// What was removed of a preview, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Number of deleted objects.
    pub objects: u64,
    /// The keys of objects that others wrote, which stay.
    pub foreign: Vec<String>,
    /// Warnings.
    pub warnings: Vec<Warning>,
}

impl Deploy<'_> {
    /// Removes the preview at the target: all objects that its record owns, then its record. Whatever others wrote
    /// stays. `goes` is called again with the record that is read under the lock. If a removal dies, the next one
    /// finishes it.
    pub async fn remove_preview(&self, goes: impl Fn(&Session) -> bool) -> Result<Removal> {
        let deploy = new_deploy_id(self.aws.clock());
        let since = self.aws.clock().start();
        let (mut objects, mut warnings) = (0, Vec::new());
        loop {
            self.timeline.begin_again();
            let mut discovered = self.unless_stopped(self.open_preview()).await?;
            match &discovered.session {
                Some(session) if session.is_new() => return Ok(Removal::Absent),
                Some(session) if session.preview().is_none() => {
                    return Err(no_preview(&self.settings.target.to_string()));
                }
                Some(session) if !goes(session) => return Ok(Removal::Stays),
                _ => {}
            }
            if self.unless_stopped(self.wait_for_lock(&discovered, &since)).await? {
                continue;
            }
            let (mut planned, foreign) = self.unless_stopped(self.owned(&mut discovered)).await?;
            if planned.plan.changes.iter().any(Change::is_write) {
                let executor = self.executor(&deploy);
                let Some(done) = Box::pin(executor.run(&discovered, &mut planned)).await? else { continue };
                objects +=
                    done.outcomes.iter().filter(|outcome| matches!(**outcome, ChangeOutcome::Removed)).count() as u64;
                if let Some(error) = failure(&planned.plan, &done.outcomes, done.interrupted) {
                    return Err(error);
                }
                warnings.extend(done.warnings);
                warnings.extend(done.sent.warnings);
                // Checks once more what exists now; then only the record is left.
                continue;
            }
            let session = discovered.session.take();
            if let Some(session) = session {
                let again =
                    |error: Error| error.hint("its objects are removed: run the command again to remove its record");
                if !session.remove().await.map_err(again)? {
                    continue;
                }
            }
            return Ok(Removal::Removed(Removed { objects, foreign, warnings }));
        }
    }

    async fn open_preview(&self) -> Result<Discovered> {
        let settings = self.settings;
        let open = async |bucket: &Bucket| Session::open(self.aws, bucket, &settings.record).await;
        let owner = settings.expected_owner.as_deref();
        let (bucket, session) = Bucket::open(self.aws, &settings.target, owner, open).await?;
        Ok(Discovered {
            walk: Arc::new(Walk::default()),
            bucket,
            session,
            viewers: Viewers::new(&[], &settings.target, settings.policy),
            withheld: Vec::new(),
            distributions: Distributions::new(self.aws),
            verified: None,
            tagging: None,
            rules: None,
        })
    }

    /// The removal of all owned objects, as a deploy of an empty source would decide it, and the keys of the
    /// others.
    async fn owned(&self, discovered: &mut Discovered) -> Result<(Planned, Vec<String>)> {
        let index = discovered.session.as_mut().and_then(Session::take_manifest).unwrap_or_default();
        let bucket = &discovered.bucket;
        let ask = |start: Start| {
            let bucket = bucket.clone();
            async move { bucket.list(start).await }
        };
        let mut there = self.timeline.during("list", list::one_by_one(ask)).await?;
        // The empty key is the marker object of the folder itself.
        there.retain(|object| !object.key.is_empty());
        let unknown = Unknown::default();
        let rules = Rules {
            unknown: &unknown,
            unfinished: discovered.unfinished().map(|unfinished| &**unfinished),
            recorded: true,
            adopt: false,
            prune_after: PruneAfter::Seconds(0),
            kinds: &self.settings.kinds,
            now: discovered.session.as_ref().map_or(0, |session| session.now().as_second()),
        };
        let (mut plan, mut foreign) = (Plan::default(), Vec::new());
        for pair in diff::join(&[], 0, there, index.rows()) {
            let decision = rules.decide(&pair, &Content::NotCompared, HeadersMatch::Unknown);
            let owned = rules.owns(&pair);
            if decision == Decision::Foreign {
                foreign.push(pair.key.to_string());
            }
            plan.add(pair.clone(), self.settings.kinds.kind_of(&pair.key), decision, owned, Inspected::default());
        }
        let recovered = discovered
            .unfinished()
            .map(|unfinished| Recovered { deploy: unfinished.deploy.clone(), keys: unfinished.pending.len() as u64 });
        let planned = Planned {
            orphans_go: None,
            plan: Arc::new(plan),
            index: Arc::new(index),
            record_differs: true,
            recovered,
            refused: None,
            items: Vec::new(),
            late_items: Vec::new(),
            rules: None,
            warnings: Vec::new(),
        };
        Ok((planned, foreign))
    }
}

/// Why not everything was removed.
fn failure(plan: &Plan, outcomes: &Outcomes, interrupted: bool) -> Option<Error> {
    let left = plan.changes.iter().zip(outcomes.iter()).filter(|(change, outcome)| {
        change.is_write() && matches!(**outcome, ChangeOutcome::NotBegun | ChangeOutcome::Failed { .. })
    });
    let left: Vec<_> = left.collect();
    let first = left.iter().find_map(|(_, outcome)| match &**outcome {
        ChangeOutcome::Failed { error, .. } => Some((**error).clone()),
        _ => None,
    });
    match (left.len(), first) {
        (0, _) => None,
        (_, None) if interrupted => Some(Error::interrupted("interrupted: run the command again to remove the rest")),
        (count, first) => {
            let why = first.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            let error = Error::failed(format!("{count} objects were not deleted{why}"));
            Some(match first.as_ref().map(Error::hint_text) {
                Some(hint) => error.hint(hint),
                None => error.hint("run the command again to remove the rest"),
            })
        }
    }
}
