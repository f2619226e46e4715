//! Flags of `rules`.

use crate::cli::SiteArgs;
use clap::{Args, ValueEnum};

pub(super) const EXAMPLES: &str = "\
Examples:
  shipfront rules s3://www.example.com
      which rules are live
  shipfront rules --attach s3://www.example.com
      print what to change once
  shipfront deploy public s3://www.example.com --publish-rules
      then publish them with each deploy";

/// `rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// Print what to change once so that deploys can publish rules, for the AWS command line or for CloudFormation; nothing is changed
    #[arg(long, value_enum, value_name = "FOR", num_args = 0..=1, require_equals = true, default_missing_value = "cli")]
    pub attach: Option<AttachFor>,
    /// The CloudFront distribution; 'auto' finds those whose origin is the bucket
    #[arg(long, value_name = "ID|auto", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// The distribution tenant, where the distribution is multi-tenant
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// Take any origin of the named distributions for the bucket, such as another bucket that it is replicated into
    #[arg(long)]
    pub any_origin: bool,
}

/// For whom the change is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AttachFor {
    /// The AWS command line
    Cli,
    /// CloudFormation
    Cloudformation,
}
