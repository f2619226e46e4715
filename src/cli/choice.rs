//! Options about invalidations: which distributions, and how paths are chosen.

use crate::cli::{ErrorPageArg, IndexAliasArg};
use clap::Args;
use shipfront_invalidation::allowance::{FREE_PATHS, MaxPaths};
use shipfront_invalidation::{CacheTags, MAX_WILDCARDS, Strategy};

/// What to invalidate.
#[derive(Debug, Args)]
pub struct ChoiceArgs {
    /// CloudFront distribution to invalidate; repeatable. 'auto' finds those whose origin is the bucket, 'none' invalidates nothing
    #[arg(
        long,
        value_name = "ID|auto|none",
        env = "SHIPFRONT_DISTRIBUTION",
        value_delimiter = ',',
        help_heading = "Invalidation"
    )]
    pub distribution: Vec<String>,
    /// Distribution tenant to invalidate, of a multi-tenant distribution; repeatable
    #[arg(
        long,
        value_name = "ID",
        env = "SHIPFRONT_DISTRIBUTION_TENANT",
        value_delimiter = ',',
        help_heading = "Invalidation"
    )]
    pub distribution_tenant: Vec<String>,
    /// Accept any origin of the named distributions as the bucket, such as a replica of it
    #[arg(long, help_heading = "Invalidation")]
    pub any_origin: bool,
    /// How to choose the paths of an invalidation
    #[arg(long, value_enum, default_value_t = Strategy::Cover, help_heading = "Invalidation")]
    pub strategy: Strategy,
    /// Maximum paths to invalidate in a deploy; 'auto' is half of what is left of --free-paths this month, and at least 15
    #[arg(long, value_name = "auto|N", default_value_t = MaxPaths::Auto, help_heading = "Invalidation")]
    pub max_paths: MaxPaths,
    /// Free paths of this site in a month: its share of the account's 1,000
    #[arg(long, value_name = "N", default_value_t = FREE_PATHS, help_heading = "Invalidation")]
    pub free_paths: u64,
    /// Maximum wildcards among the paths, because CloudFront accepts few at a time; up to 30 if only wildcards reach some URLs
    #[arg(long, value_name = "N", default_value_t = MAX_WILDCARDS as u32, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Invalidation")]
    pub max_wildcards: u32,
    /// Whether /dir/ and /dir serve /dir/index.html
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = IndexAliasArg::Auto, help_heading = "Invalidation")]
    pub index_alias: IndexAliasArg,
    /// /page also serves /page.html
    #[arg(long, help_heading = "Invalidation")]
    pub clean_urls: bool,
    /// What to invalidate if an error page changes, which CloudFront serves under any URL
    #[arg(long, value_enum, value_name = "REACH", default_value_t = ErrorPageArg::Auto, help_heading = "Invalidation")]
    pub error_page: ErrorPageArg,
    /// Whether to use cache tags, where they evict less than paths; see 'shipfront tags'
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = CacheTags::Auto, help_heading = "Invalidation")]
    pub cache_tags: CacheTags,
}
