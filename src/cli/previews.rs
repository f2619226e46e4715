//! Flags about previews: those of a deploy, and of `previews` and `promote`.

use crate::cli::ConnectionArgs;
use crate::cli::history::BringBackArgs;
use clap::Args;
use std::path::PathBuf;

pub(super) const PREVIEWS_EXAMPLES: &str = "\
Examples:
  shipfront previews s3://previews.example.com
      list them
  shipfront previews --remove feature/search
      remove one, such as when its pull request is closed
  git ls-remote --heads origin | shipfront previews --prune --keep-from -
      remove what is expired, and those whose branches are gone";

pub(super) const PROMOTE_EXAMPLES: &str = "\
Examples:
  shipfront promote feature/search s3://www.example.com --plan
      see what would change
  shipfront promote feature/search s3://www.example.com --deploy 20261126t101500z-1a2b3c4d
      the deploy of it that was looked at, and no other";

/// Where previews are.
#[derive(Debug, Args)]
pub struct PreviewPlaceArgs {
    /// Where previews go: s3://BUCKET or s3://BUCKET/PREFIX, each into a folder of its name
    #[arg(long, value_name = "S3-URL", help_heading = "Previews")]
    pub previews_target: Option<String>,
}

/// Whether a deploy is one of a preview.
#[derive(Debug, Args)]
pub struct DeployPreviewArgs {
    /// Deploy a preview under this name, such as a branch or the number of a pull request, and leave production alone
    #[arg(long, value_name = "NAME", help_heading = "Previews")]
    pub preview: Option<String>,
    /// How long a preview stays before 'previews --prune' removes it
    #[arg(long, value_name = "AGE", default_value = "7d", help_heading = "Previews")]
    pub expires: String,
    /// The URL of a preview, with {name} for its host label: https://{name}.preview.example.com
    #[arg(long, value_name = "URL", help_heading = "Previews")]
    pub previews_url: Option<String>,
    /// Where previews go
    #[command(flatten)]
    pub place: PreviewPlaceArgs,
}

/// `previews`.
#[derive(Debug, Args)]
pub struct PreviewsCommandArgs {
    /// Where previews go: s3://BUCKET or s3://BUCKET/PREFIX; with --local, the source directory of the site will do
    #[arg(id = "previews-target", value_name = "TARGET", env = "SHIPFRONT_PREVIEWS_TARGET", hide_env = true)]
    pub target: Option<String>,
    /// The source, by which --local finds the previews without a target
    #[arg(long, hide = true, env = "SHIPFRONT_SOURCE")]
    pub source: Option<PathBuf>,
    /// Remove the previews that are expired
    #[arg(long, conflicts_with = "remove")]
    pub prune: bool,
    /// With --prune, also remove those whose names are not in this list, one a line, such as all branches; - reads stdin
    #[arg(long, value_name = "FILE", requires = "prune")]
    pub keep_from: Option<PathBuf>,
    /// Remove the preview with this name
    #[arg(long, value_name = "NAME")]
    pub remove: Option<String>,
    /// How long to wait for a deploy of the same preview
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub lock_timeout: String,
    /// The URL of a preview, with {name} for its host label: https://{name}.preview.example.com
    #[arg(long, value_name = "URL")]
    pub previews_url: Option<String>,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// `promote`.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// The preview, by the name with which it was deployed
    #[arg(value_name = "NAME")]
    pub preview: String,
    /// Production
    #[command(flatten)]
    pub site: crate::cli::SiteArgs,
    /// Promote this deploy of the preview and no other, by its id
    #[arg(long, value_name = "DEPLOY")]
    pub deploy: Option<String>,
    /// Where previews are
    #[command(flatten)]
    pub place: PreviewPlaceArgs,
    /// Refuse to run when more objects than this are not in the preview
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub max_delete: u64,
    /// Promote although most of the pages, or the front page, are not in the preview; for one run
    #[arg(long)]
    pub allow_removals: bool,
    /// Build number of this run; a promotion is refused if a newer build is already live [default: CODEBUILD_BUILD_NUMBER]
    #[arg(long, value_name = "N", env = "SHIPFRONT_BUILD_NUMBER")]
    pub build_number: Option<u64>,
    /// Promote although a newer build went before
    #[arg(long)]
    pub force: bool,
    /// How it is done
    #[command(flatten)]
    pub options: BringBackArgs,
}
