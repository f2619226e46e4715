//! Options of `shipfront invalidate`, and of the wait for CloudFront.

use crate::cli::ConnectionArgs;
use clap::Args;
use std::path::PathBuf;

/// Waiting for CloudFront.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Do not wait for CloudFront to complete the invalidation
    #[arg(long, help_heading = "Invalidation")]
    pub no_wait: bool,
    /// How long to wait for CloudFront before ending with a warning
    #[arg(long, value_name = "TIME", default_value = "10m", help_heading = "Invalidation")]
    pub wait_timeout: String,
}

/// `invalidate`.
#[derive(Debug, Args)]
pub struct InvalidateArgs {
    /// What to invalidate: paths, keys, URLs, wildcards, or cache tags
    #[arg(
        help = "Paths (/blog/), keys (blog/index.html), URLs ('https://www.example.com/blog/'), wildcards ('/img/*'), or cache tags ('#tag'); '-' reads them from stdin, one per line",
        required = true,
        value_name = "PATH"
    )]
    pub paths: Vec<String>,
    /// Distribution; 'auto' uses the host names of URLs, or the account's only distribution
    #[arg(long, value_name = "ID|auto", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// Distribution tenant, of a multi-tenant distribution
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// With --local, source directory of the site
    #[arg(long, value_name = "DIRECTORY", env = "SHIPFRONT_SOURCE", hide_env = true, hide = cfg!(not(feature = "edge")))]
    pub source: Option<PathBuf>,
    /// Site, whose deploy record counts the paths of the month; with --local, whose distribution to use
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// Where the deploy record is, if not in .shipfront/ in the bucket
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_RECORD")]
    pub record: Option<String>,
    /// The wait for CloudFront
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
}
