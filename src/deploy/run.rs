//! The result of a run: what a report shows, before it is put into words.

use crate::aws::Requests;
use crate::aws::limiter::Concurrency;
use crate::cloudfront::send::Sent;
use crate::deploy::change::{Change, ChangeOutcome};
use crate::deploy::planned::Recovered;
use crate::deploy::rules::ReportedFunction;
use crate::deploy::shard::Shard;
use crate::deploy::timeline::Span;
use crate::deploy::verify::Verified;
use crate::error::Error;
use crate::record::allowance::UsedPaths;
use shipfront_site::Warning;

/// Whether a run only showed what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was written.
    Planned {
        /// Whether there is no record yet; `None` where none is kept.
        new_record: Option<bool>,
        /// How many copies would be kept of what is replaced or removed.
        kept_copies: u64,
    },
    /// It was carried out.
    Done {
        /// Whether a signal stopped it.
        interrupted: bool,
    },
}

/// A run that ended, or a plan.
#[derive(Debug)]
pub struct Run {
    /// Its id.
    pub deploy: String,
    /// The source as given.
    pub source: String,
    /// The target as a URL.
    pub target: String,
    /// Where viewers find the site; `None` where that is not known.
    pub url: Option<String>,
    /// How far it went.
    pub stage: Stage,
    /// What differs, in key order.
    pub changes: Vec<Change>,
    /// What became of each, in the same order.
    pub outcomes: Vec<ChangeOutcome>,
    /// Objects equal to their files.
    pub kept: u64,
    /// Keys about which too little is known.
    pub unknown: u64,
    /// Files that could not be read, with the reason.
    pub problems: Vec<String>,
    /// Why a guard refused the plan, if one did: nothing was written.
    pub refused: Option<Error>,
    /// Hidden files and folders of the source that were left out.
    pub hidden: Vec<String>,
    /// The functions to which rules are published.
    pub rules: Vec<ReportedFunction>,
    /// Why they were not, and whether they may be live all the same.
    pub rules_failed: Option<(Error, bool)>,
    /// What CloudFront was asked to invalidate, or would be.
    pub sent: Sent,
    /// The interrupted run whose work this one finished.
    pub recovered: Option<Recovered>,
    /// What `--verify` found.
    pub verified: Option<Verified>,
    /// What the month has free, and how much of it is used with this run; `None` where nobody counts.
    pub allowance: Option<UsedPaths>,
    /// Whether a record is kept, so that the next run knows of this one.
    pub is_recorded: bool,
    /// Which shard of a deploy that several machines share this was.
    pub shard: Option<Shard>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// What was sent to AWS.
    pub requests: Requests,
    /// How many S3 requests were in flight.
    pub concurrency: Concurrency,
    /// When each stage began and ended.
    pub spans: Vec<Span>,
    /// All of it, in seconds.
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
            outcomes: Vec::new(),
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
