//! Flags of the commands about the deploy record, `status` and `unlock`.

use crate::cli::{OrphanArgs, SiteArgs};
use clap::Args;

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// When orphans go
    #[command(flatten)]
    pub orphans: OrphanArgs,
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
