//! The result of a run: the contents of a report, before it is written.

use crate::aws::Requests;
use crate::aws::limiter::Concurrency;
use crate::cloudfront::send::Sent;
use crate::deploy::change::Change;
use crate::deploy::outcomes::Outcomes;
use crate::deploy::planned::Recovered;
use crate::deploy::rules::ReportedFunction;
use crate::deploy::shard::Shard;
use crate::deploy::timeline::Span;
use crate::deploy::verify::Verified;
use crate::error::Error;
use crate::record::allowance::UsedPaths;
use jiff::Timestamp;
use serde::Serialize;
use shipfront_site::Warning;

/// Whether a run only showed what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was written.
    Planned {
        /// Whether there is no record yet; `None` if none is kept.
        new_record: Option<bool>,
        /// Number of copies that would be kept of replaced or removed objects.
        kept_copies: u64,
    },
    /// It was carried out.
    Done {
        /// Whether a signal stopped it.
        interrupted: bool,
    },
}

/// A preview that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedPreview {
    /// Its name as typed.
    pub name: String,
    /// From when on `previews --prune` removes it, if S3 told its time.
    pub expires: Option<Timestamp>,
}

/// A run that ended, or a plan.
#[derive(Debug)]
pub struct Run {
    /// The run's ID.
    pub deploy: String,
    /// The source, as given.
    pub source: String,
    /// The target as a URL.
    pub target: String,
    /// The site's URL for viewers; `None` if it is not known.
    pub url: Option<String>,
    /// How far it got.
    pub stage: Stage,
    /// The changes, in key order.
    pub changes: Vec<Change>,
    /// The outcome of each, in the same order.
    pub outcomes: Outcomes,
    /// Number of objects equal to their files.
    pub kept: u64,
    /// Number of keys about which too little is known.
    pub unknown: u64,
    /// Files that could not be read, with reasons.
    pub problems: Vec<String>,
    /// Why a guard refused the plan, if so: nothing was written.
    pub refused: Option<Error>,
    /// Hidden files and folders of the source that were left out.
    pub hidden: Vec<String>,
    /// The functions to which rules are published.
    pub rules: Vec<ReportedFunction>,
    /// Why they were not published, and whether they may be live nevertheless.
    pub rules_failed: Option<(Error, bool)>,
    /// What CloudFront was asked to invalidate, or would be.
    pub sent: Sent,
    /// The interrupted run that this one finished.
    pub recovered: Option<Recovered>,
    /// The result of `--verify`.
    pub verified: Option<Verified>,
    /// The free paths of the month, and how many are used including this run; `None` if nothing counts them.
    pub allowance: Option<UsedPaths>,
    /// What the site is a preview of, if it is one.
    pub preview: Option<ReportedPreview>,
    /// When the first of the objects that left the source may be removed, if ever one is.
    pub orphans_go: Option<Timestamp>,
    /// Of a rollback, the number of the build that stays away from now on with all older ones, if any does.
    pub holds_back: Option<u64>,
    /// Whether a record is kept, so that the next run knows of this one.
    pub is_recorded: bool,
    /// Which shard this was, if several machines share the deploy.
    pub shard: Option<Shard>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// The requests sent to AWS.
    pub requests: Requests,
    /// How many S3 requests were in flight.
    pub concurrency: Concurrency,
    /// When each stage began and ended.
    pub spans: Vec<Span>,
    /// Its duration in seconds.
    pub seconds: f64,
}

#[cfg(test)]
impl Run {
    /// A plan in which nothing is to be done.
    pub(crate) fn of_nothing() -> Run {
        Run {
            deploy: String::new(),
            source: "public".to_owned(),
            target: "s3://b".to_owned(),
            url: None,
            stage: Stage::Planned { new_record: None, kept_copies: 0 },
            changes: Vec::new(),
            outcomes: Outcomes::default(),
            kept: 0,
            unknown: 0,
            problems: Vec::new(),
            refused: None,
            hidden: Vec::new(),
            rules: Vec::new(),
            rules_failed: None,
            sent: Sent::default(),
            recovered: None,
            verified: None,
            allowance: None,
            preview: None,
            orphans_go: None,
            holds_back: None,
            is_recorded: false,
            shard: None,
            warnings: Vec::new(),
            requests: Requests::default(),
            concurrency: Concurrency::default(),
            spans: Vec::new(),
            seconds: 0.0,
        }
    }
}
