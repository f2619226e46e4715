//! `--verify`, as typed.

use crate::deploy::verify::Site;
use clap::Args;

/// Checking the site through CloudFront once it is deployed.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Fetch every changed URL from this site once CloudFront is done, and exit with 7 if one serves something else or does not answer; the next deploy invalidates it again
    #[arg(long, value_name = "URL", conflicts_with_all = ["no_wait", "shard"], help_heading = "Invalidation")]
    pub verify: Option<Site>,
}
