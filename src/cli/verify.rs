//! `--verify`, as typed.

use crate::deploy::verify::Site;
use clap::Args;

/// Looking at the site through CloudFront once it is deployed.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Fetch what changed from this site when CloudFront is done, and compare it with what was deployed; a difference ends the run with 7, and the next one invalidates it again; no answer ends it with 7, too
    #[arg(long, value_name = "URL", conflicts_with_all = ["no_wait", "shard"], help_heading = "Invalidation")]
    pub verify: Option<Site>,
}
