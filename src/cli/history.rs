//! Options about restorable deploys, of `deploy`, `history` and `rollback`.

use crate::cli::choice::ChoiceArgs;
use crate::cli::invalidate::WaitArgs;
use crate::cli::{OrphanArgs, ReportArgs, SiteArgs};
use crate::deploy::verify::Site;
use crate::record::history::MOST_KEPT;
use clap::{Args, ValueEnum};

pub(super) const EXAMPLES: &str = "\
Examples:
  shipfront rollback s3://www.example.com --plan
      show what would change
  shipfront rollback s3://www.example.com
      restore the last complete deploy before the live one
  shipfront rollback s3://www.example.com --build 41
      restore the deploy of build 41";

/// What stays restorable.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// How many deploys to keep restorable, including the live one
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_KEPT)), help_heading = "Deploy record")]
    pub keep_deploys: u16,
    /// What to restore earlier deploys from: the bucket's versions, or copies of what each deploy replaces
    #[arg(long, value_enum, value_name = "FROM", default_value_t = HistoryArg::Versions, help_heading = "Deploy record")]
    pub history: HistoryArg,
}

/// `--history`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryArg {
    /// Versions of the bucket, if versioning is on
    Versions,
    /// Copies in the deploy record
    Copies,
}

/// `history`.
#[derive(Debug, Args)]
pub struct HistoryCommandArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
}

/// `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// Deploy to restore, by its ID or the start of it [default: the last complete one before the live one]
    #[arg(long, value_name = "DEPLOY", conflicts_with = "build")]
    pub to: Option<String>,
    /// Deploy to restore, by its build number
    #[arg(long, value_name = "N")]
    pub build: Option<u64>,
    /// Restore a deploy that is incomplete, such as one that was interrupted; it must be named with --to
    #[arg(long)]
    pub allow_removals: bool,
    /// How it is done
    #[command(flatten)]
    pub options: BringBackArgs,
}

/// How a site is restored from what S3 has: an earlier deploy, or a preview.
#[derive(Debug, Args)]
pub struct BringBackArgs {
    /// Show what would change, and write nothing
    #[arg(long)]
    pub plan: bool,
    /// Replace objects that others wrote since the last deploy
    #[arg(long)]
    pub overwrite_foreign: bool,
    /// How long to wait for another deploy of the same target to finish
    #[arg(long, value_name = "TIME", default_value = "10m", help_heading = "Deploy record")]
    pub lock_timeout: String,
    /// What stays restorable
    #[command(flatten)]
    pub history: HistoryArgs,
    /// Maximum concurrent S3 requests; starts at 64 and adapts to throttling
    #[arg(long, value_name = "N", default_value_t = crate::aws::MOST_IN_FLIGHT, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// When objects are removed that the site no longer has
    #[command(flatten)]
    pub orphans: OrphanArgs,
    /// What CloudFront is asked to invalidate
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// The wait for CloudFront
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Fetch every changed URL from this site afterwards, and exit with 7 if one serves something else
    #[arg(long, value_name = "URL", conflicts_with = "no_wait", help_heading = "Invalidation")]
    pub verify: Option<Site>,
    /// The report in files
    #[command(flatten)]
    pub reports: ReportArgs,
}
