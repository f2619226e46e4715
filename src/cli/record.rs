//! Options of `status` and `unlock`.

use crate::cli::{OrphanArgs, SiteArgs};
use clap::Args;
use shipfront_invalidation::allowance::FREE_PATHS;

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// When orphans are removed
    #[command(flatten)]
    pub orphans: OrphanArgs,
    /// Free paths of this site in a month: its share of the account's 1,000
    #[arg(long, value_name = "N", default_value_t = FREE_PATHS)]
    pub free_paths: u64,
}

/// `unlock`.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
