//! What a run found, did and cost, as JSON and as text.

pub mod backfill;
pub mod cost;
pub mod file;
mod junit;
mod markdown;
mod page;
mod provenance;
mod sizes;
mod text;
pub mod variables;

use crate::aws::Requests;
use crate::aws::limiter::Concurrency;
use crate::deploy::change::{Action, Change, ChangeOutcome, Existing, Reason, Subject, Wave};
use crate::deploy::outcomes::Outcomes;
use crate::deploy::planned::Recovered;
use crate::deploy::rules::{FunctionChange, ReportedFunction};
use crate::deploy::run::{ReportedPreview, Run, Stage};
use crate::deploy::timeline::Span;
use crate::deploy::verify::{Difference, Verified};
use crate::error::{Error, ErrorKind};
use crate::outcome::{Failure, Outcome};
use crate::record::allowance::UsedPaths;
use crate::terminal::Terminal;
use cost::Cost;
use jiff::Timestamp;
use serde::Serialize;
use shipfront_invalidation::Invalidation;
use shipfront_site::Key;
use shipfront_site::Warning;

/// Counts of objects by what happened to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectCounts {
    /// Sent; in a plan, to be sent.
    pub uploaded: u64,
    /// Equal to their files, and left alone.
    pub kept: u64,
    /// Deleted; in a plan, to be deleted.
    pub pruned: u64,
    /// No longer in the source, but still there.
    pub orphaned: u64,
    /// Too little is known to change them.
    pub unknown: u64,
    /// Not done, because they or something before them failed.
    pub failed: u64,
    /// Bytes sent; in a plan, to be sent.
    pub bytes_uploaded: u64,
    /// Restored by a copy inside S3; in a plan, to be restored.
    pub copied: u64,
}

/// Wall time by stage, in seconds. `walk` and the reading of distributions overlap, and so do `list` and `hash`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Seconds {
    /// Reading the source directory.
    pub walk: f64,
    /// Listing the target.
    pub list: f64,
    /// Comparing bytes.
    pub hash: f64,
    /// Uploads and deletions.
    pub apply: f64,
    /// Until CloudFront was done, or without waiting, until it had accepted the invalidation.
    pub invalidate: f64,
    /// The total.
    pub total: f64,
}

impl Seconds {
    /// Computed from the spans of the timeline; `total` is the whole duration.
    fn of(spans: &[Span], total: f64) -> Seconds {
        let took = |stages: &[&str]| {
            let spans = spans.iter().filter(|span| stages.contains(&span.stage));
            let (start, end) =
                spans.fold((f64::MAX, 0.0_f64), |(start, end), span| (span.start.min(start), span.end.max(end)));
            (end - start).max(0.0)
        };
        Seconds {
            walk: took(&["walk"]),
            list: took(&["list"]),
            hash: took(&["compare"]),
            apply: took(&["assets", "pages", "removals"]),
            invalidate: took(&["invalidate", "late removals"]) + took(&["wait"]),
            total,
        }
    }
}

/// What happened to a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was tried yet.
    #[default]
    Planned,
    /// It is live.
    Done,
    /// It failed.
    Failed,
    /// It was not started, because something failed or the run was interrupted.
    NotBegun,
}

/// A change in the form of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedChange {
    /// The key below the target's prefix.
    pub key: Key,
    /// What is done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// When.
    pub wave: Wave,
    /// The size of what is sent or removed.
    pub bytes: u64,
    /// The size of the existing object; `None` if there is none, or if it is stored compressed, so that its size
    /// cannot be compared with the file's.
    pub bytes_before: Option<u64>,
    /// Whether a removal waits until everything else is invalidated.
    #[serde(skip)]
    pub late: bool,
    /// What happened to it.
    #[serde(skip)]
    pub fate: Fate,
    /// The index of its error among the report's, if it has its own.
    #[serde(skip)]
    pub error: Option<usize>,
}

impl ReportedChange {
    fn new(change: Change, fate: Fate, error: Option<usize>) -> ReportedChange {
        let (action, wave, bytes) = (change.action(), change.wave(), change.bytes());
        let late = matches!(change, Change::Remove { late: true, .. });
        let subject = change.into_subject();
        let bytes_before = subject.existing().and_then(Existing::file_size);
        let Subject { key, reason, .. } = subject;
        ReportedChange { key, action, reason, wave, bytes, bytes_before, late, fate, error }
    }

    /// Whether the URLs of the key may answer differently once this is done.
    pub fn is_visible(&self) -> bool {
        self.action != Action::Orphan
    }
}

/// The report of a deploy or a plan. Its JSON is an interface: fields are added, never changed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of shipfront.
    pub shipfront: &'static str,
    /// The ID of this run.
    pub deploy: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The source as given.
    pub source: String,
    /// The target as a URL.
    pub target: String,
    /// The site's URL for viewers; `None` if it is not known.
    pub url: Option<String>,
    /// Counts.
    pub objects: ObjectCounts,
    /// The differences, key by key, with reasons.
    pub changes: Vec<ReportedChange>,
    /// What to invalidate.
    pub invalidations: Vec<Invalidation>,
    /// The requests sent to AWS.
    pub requests: Requests,
    /// Their cost; for a plan, that of the deploy.
    pub cost: Cost,
    /// How many S3 requests were in flight.
    pub concurrency: Concurrency,
    /// Time by stage.
    pub seconds: Seconds,
    /// When each stage began and ended.
    pub timeline: Vec<Span>,
    /// The free paths of the month, and how many are used; `None` if nothing counts them.
    pub allowance: Option<UsedPaths>,
    /// What an interrupted run had left and this one finished.
    pub recovered: Option<Recovered>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// What failed.
    pub errors: Vec<Failure>,
    /// Why a guard refused the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The functions to which rules are published, with the lines that change and those that have no effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ReportedFunction>,
    /// Hidden files of the source, and folders with a trailing `/`, that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
    /// The result of `--verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// Which shard this was, if several machines share the deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The preview that it is, and when it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<ReportedPreview>,
    /// When the first of the objects that left the source may be removed, if ever one is.
    #[serde(skip)]
    pub orphans_go: Option<Timestamp>,
    /// Of a rollback, the number of the build that is refused from now on with all older ones, if any is.
    #[serde(skip)]
    pub holds_back: Option<u64>,
    /// Whether the text names every file.
    #[serde(skip)]
    pub verbose: bool,
    /// The width of the terminal.
    #[serde(skip)]
    pub columns: Option<u16>,
    /// Whether requests go to the local edge, which costs nothing.
    #[serde(skip)]
    pub is_local: bool,
}

impl Report {
    /// The report of a run, for this terminal.
    pub fn new(run: Run, terminal: &Terminal) -> Report {
        let Run { changes, outcomes, sent, stage, .. } = run;
        let seconds = Seconds::of(&run.spans, run.seconds);
        let problem = |problem: String| Failure { key: None, error: problem, hint: None, kind: ErrorKind::Other };
        let mut report = Report {
            shipfront: env!("CARGO_PKG_VERSION"),
            deploy: run.deploy,
            outcome: Outcome::Planned,
            source: run.source,
            target: run.target,
            url: run.url,
            objects: ObjectCounts { kept: run.kept, unknown: run.unknown, ..ObjectCounts::default() },
            changes: Vec::with_capacity(changes.len()),
            invalidations: sent.invalidations,
            requests: run.requests,
            cost: Cost::default(),
            concurrency: run.concurrency,
            seconds,
            timeline: run.spans,
            allowance: run.allowance,
            recovered: run.recovered,
            warnings: run.warnings,
            errors: run.problems.into_iter().map(problem).collect(),
            error: None,
            hint: None,
            hidden: run.hidden,
            rules: run.rules,
            verified: None,
            shard: run.shard.map(|shard| shard.to_string()),
            preview: run.preview,
            orphans_go: run.orphans_go,
            holds_back: run.holds_back,
            verbose: terminal.is_verbose(),
            columns: terminal.columns(),
            is_local: false,
        };
        report.warnings.extend(sent.warnings);
        match stage {
            Stage::Planned { .. } => report.plan(changes),
            Stage::Done { interrupted } => {
                let rules = run.rules_failed.as_ref();
                report.errors.extend(rules.map(|(error, _)| Failure::of(None, error)));
                let rules = rules.map(|(_, may_be_live)| *may_be_live);
                report.complete((changes, outcomes), rules, &sent.failed, interrupted);
            }
        }
        if let Some(error) = run.refused {
            report.refuse(&error);
        }
        if let Some(verified) = run.verified {
            report.verify(verified, run.is_recorded);
        }
        report.count_cost(match stage {
            Stage::Planned { new_record, kept_copies } => (new_record, kept_copies),
            Stage::Done { .. } => (None, 0),
        });
        report
    }

    /// The same, with whether the run was on the local edge.
    #[must_use]
    pub fn on_local_edge(self, is_local: bool) -> Report {
        Report { is_local, ..self }
    }

    /// Adds what is to be done.
    fn plan(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Upload { bytes, .. } => {
                    self.objects.uploaded += 1;
                    self.objects.bytes_uploaded += bytes;
                }
                Change::Copy { .. } => self.objects.copied += 1,
                Change::Remove { .. } => self.objects.pruned += 1,
                Change::Orphan { .. } => self.objects.orphaned += 1,
                Change::Evict { .. } | Change::Retag { .. } => {}
            }
            self.changes.push(ReportedChange::new(change, Fate::Planned, None));
        }
    }

    /// Adds why the plan is not carried out.
    fn refuse(&mut self, error: &Error) {
        self.outcome = Outcome::Refused;
        self.error = Some(error.to_string());
        self.hint = Some(error.hint_text().to_owned());
        self.errors.push(Failure::of(None, error));
    }

    /// Adds what was done. `refused` contains the errors of invalidations that CloudFront did not accept;
    /// `rules_failed` is set if rules were not published, and says whether they may be live nevertheless.
    fn complete(
        &mut self,
        (changes, outcomes): (Vec<Change>, Outcomes),
        rules_failed: Option<bool>,
        refused: &[Error],
        interrupted: bool,
    ) {
        let nothing_planned = !changes.iter().any(Change::is_visible) && !self.changes_rules();
        let mut nothing_succeeded = rules_failed != Some(true);
        let mut overwritten = Vec::new();
        let objects = &mut self.objects;
        for (change, outcome) in changes.into_iter().zip(outcomes.iter()) {
            let mut failure = None;
            nothing_succeeded &= matches!(*outcome, ChangeOutcome::Overwritten) || !outcome.may_have_succeeded();
            let fate = match (&*outcome, &change) {
                (_, Change::Orphan { .. }) => {
                    objects.orphaned += 1;
                    Fate::Done
                }
                (_, Change::Evict { .. }) if refused.is_empty() => Fate::Done,
                (_, Change::Evict { .. }) => Fate::Failed,
                (ChangeOutcome::Uploaded(uploaded), _) => {
                    objects.uploaded += 1;
                    objects.bytes_uploaded += uploaded.size(&change);
                    Fate::Done
                }
                (ChangeOutcome::Removed, _) => {
                    objects.pruned += 1;
                    Fate::Done
                }
                (ChangeOutcome::Copied(_), _) => {
                    objects.copied += 1;
                    Fate::Done
                }
                // The site is then not the one that was to be restored.
                (ChangeOutcome::Overwritten, Change::Copy { .. }) => {
                    objects.failed += 1;
                    failure = Some(self.errors.len());
                    self.errors.push(Failure::of(Some(change.key()), &left_to_others(change.key())));
                    Fate::Failed
                }
                (ChangeOutcome::Overwritten, _) => {
                    overwritten.push(change.key().to_owned());
                    Fate::Done
                }
                (ChangeOutcome::Retagged(_) | ChangeOutcome::LeftAlone(_), _) => Fate::Done,
                (ChangeOutcome::Failed { error, .. }, _) => {
                    objects.failed += 1;
                    failure = Some(self.errors.len());
                    self.errors.push(Failure::of(Some(change.key()), error));
                    Fate::Failed
                }
                (ChangeOutcome::NotBegun, _) => {
                    objects.failed += 1;
                    Fate::NotBegun
                }
            };
            self.changes.push(ReportedChange::new(change, fate, failure));
        }
        let incomplete = objects.failed > 0 || rules_failed.is_some();
        self.errors.extend(refused.iter().map(|error| Failure::of(None, error)));
        self.outcome = if !refused.is_empty() {
            Outcome::Stale
        } else if interrupted {
            Outcome::Interrupted
        } else if incomplete && nothing_succeeded {
            Outcome::Failed
        } else if !self.errors.is_empty() {
            Outcome::Partial
        } else if nothing_planned && self.invalidations.is_empty() {
            Outcome::NothingToDo
        } else {
            Outcome::Deployed
        };
        let of_shard = self.shard.is_some();
        self.warnings.extend(overwritten.into_iter().map(|key| match of_shard {
            true => Warning::new(format_args!("others wrote {key} in the meantime"), "the next deploy checks it"),
            false => Warning::new(
                format_args!("others overwrote {key} since the last deploy"),
                "shipfront keeps it, and no longer removes it",
            ),
        }));
    }

    /// Adds the result of `--verify`. A worse outcome stays. Without a record, the next deploy does not know about
    /// it.
    fn verify(&mut self, verified: Verified, is_recorded: bool) {
        let is_good = matches!(self.outcome, Outcome::Deployed | Outcome::NothingToDo);
        if let Some(first) = verified.differences.first() {
            let url = |at: &Difference| Error::failed(format!("{} {}", at.url, at.found));
            let hint = if is_recorded {
                "the next deploy invalidates it again; if that does not help, something in front of the bucket serves it"
            } else {
                "evict it with 'shipfront invalidate', because no deploy remembers it with --no-record; if that does not help, something in front of the bucket serves it"
            };
            let failure = |at: &Difference| {
                let hint = (at == first).then(|| hint.to_owned());
                Failure { hint, ..Failure::of(Some(&at.key), &url(at)) }
            };
            self.errors.extend(verified.differences.iter().map(failure));
            if is_good {
                self.outcome = Outcome::Different;
            }
        }
        // Usually all of them have the same reason: the JSON contains each of them.
        if let [first, rest @ ..] = verified.unanswered.as_slice() {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more like it", rest.len()) };
            let error = Error::failed(format!("could not verify: {} {}{more}", first.url, first.found)).hint(
                "the deploy itself is done, and repeating it verifies nothing; check that this machine can reach the URL passed to --verify",
            );
            self.errors.push(Failure::of(None, &error));
            if is_good && verified.differences.is_empty() {
                self.outcome = Outcome::Unverified;
            }
        }
        self.verified = Some(verified);
    }

    /// Whether the plan has anything to do.
    pub fn has_changes(&self) -> bool {
        self.recovered.is_some() || self.changes.iter().any(ReportedChange::is_visible) || self.changes_rules()
    }

    /// Whether code of a function is published.
    fn changes_rules(&self) -> bool {
        self.rules.iter().any(|function| function.change != FunctionChange::Unchanged)
    }
}

/// Why an object was not restored.
fn left_to_others(key: &str) -> Error {
    Error::failed(format!("others wrote {key} in the meantime: it was left alone"))
        .hint("run it again, or replace the object with --overwrite-foreign")
}

#[cfg(test)]
mod tests;
