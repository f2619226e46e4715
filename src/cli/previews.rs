//! Options about previews, of `deploy`, `previews` and `promote`.

use crate::cli::ConnectionArgs;
use crate::cli::history::BringBackArgs;
use clap::Args;
use std::path::PathBuf;

pub(super) const PREVIEWS_EXAMPLES: &str = "\
Examples:
  shipfront previews s3://previews.example.com
      list the previews
  shipfront previews --remove feature/search
      remove one, such as after its pull request is closed
  git ls-remote --heads origin | shipfront previews --prune --keep-from -
      remove those that expired or whose branch is gone";

pub(super) const PROMOTE_EXAMPLES: &str = "\
Examples:
  shipfront promote feature/search s3://www.example.com --plan
      show what would change
  shipfront promote feature/search s3://www.example.com --deploy DEPLOY
      only if the preview still is this deploy";

/// Where previews are.
#[derive(Debug, Args)]
pub struct PreviewPlaceArgs {
    /// Where previews go: s3://BUCKET or s3://BUCKET/PREFIX, each in a folder with its name
    #[arg(long, value_name = "S3-URL", help_heading = "Previews")]
    pub previews_target: Option<String>,
}

/// Whether a deploy is one of a preview.
#[derive(Debug, Args)]
pub struct DeployPreviewArgs {
    /// Deploy a preview with this name, such as a branch or a pull request, instead of production
    #[arg(long, value_name = "NAME", help_heading = "Previews")]
    pub preview: Option<String>,
    /// When 'previews --prune' removes the preview
    #[arg(long, value_name = "AGE", default_value = "7d", help_heading = "Previews")]
    pub expires: String,
    /// URL of previews, with {name} for the host label: https://{name}.preview.example.com
    #[arg(long, value_name = "URL", help_heading = "Previews")]
    pub previews_url: Option<String>,
    /// Where previews go
    #[command(flatten)]
    pub place: PreviewPlaceArgs,
}

/// `previews`.
#[derive(Debug, Args)]
pub struct PreviewsCommandArgs {
    /// Where previews are: s3://BUCKET or s3://BUCKET/PREFIX; with --local, the source directory of the site
    #[arg(id = "previews-target", value_name = "TARGET", env = "SHIPFRONT_PREVIEWS_TARGET", hide_env = true)]
    pub target: Option<String>,
    /// Source by which --local finds the previews without a target
    #[arg(long, hide = true, env = "SHIPFRONT_SOURCE")]
    pub source: Option<PathBuf>,
    /// Remove previews that expired
    #[arg(long, conflicts_with = "remove")]
    pub prune: bool,
    /// With --prune, also remove previews that are not in this list of names, one per line, such as branches; - reads stdin
    #[arg(long, value_name = "FILE", requires = "prune")]
    pub keep_from: Option<PathBuf>,
    /// Remove the preview with this name
    #[arg(long, value_name = "NAME")]
    pub remove: Option<String>,
    /// How long to wait for a deploy of the same preview to finish
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub lock_timeout: String,
    /// URL of previews, with {name} for the host label: https://{name}.preview.example.com
    #[arg(long, value_name = "URL")]
    pub previews_url: Option<String>,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// `promote`.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// Name of the preview
    #[arg(value_name = "NAME")]
    pub preview: String,
    /// Production
    #[command(flatten)]
    pub site: crate::cli::SiteArgs,
    /// Promote only if the preview still is this deploy, by its ID
    #[arg(long, value_name = "DEPLOY")]
    pub deploy: Option<String>,
    /// Where previews are
    #[command(flatten)]
    pub place: PreviewPlaceArgs,
    /// Refuse to run if more objects than this are not in the preview
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub max_delete: u64,
    /// Promote even if most pages, or the front page, are not in the preview; for this run only
    #[arg(long)]
    pub allow_removals: bool,
    /// Build number of this run; a promotion is refused if a newer build is already live [default: CODEBUILD_BUILD_NUMBER]
    #[arg(long, value_name = "N", env = "SHIPFRONT_BUILD_NUMBER")]
    pub build_number: Option<u64>,
    /// Promote even if a newer build is already live
    #[arg(long)]
    pub force: bool,
    /// How it is done
    #[command(flatten)]
    pub options: BringBackArgs,
}
