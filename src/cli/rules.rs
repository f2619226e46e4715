//! Options of `rules`.

use crate::cli::SiteArgs;
use clap::{Args, ValueEnum};

pub(super) const EXAMPLES: &str = "\
Examples:
  shipfront rules s3://www.example.com
      show the live rules
  shipfront rules --attach s3://www.example.com
      print what to change once
  shipfront deploy public s3://www.example.com --publish-rules
      publish them with each deploy";

/// `rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// Print the one-time change that lets deploys publish rules, for the AWS CLI or CloudFormation; changes nothing
    #[arg(long, value_enum, value_name = "FOR", num_args = 0..=1, require_equals = true, default_missing_value = "cli")]
    pub attach: Option<AttachFor>,
    /// CloudFront distribution; 'auto' finds those whose origin is the bucket
    #[arg(long, value_name = "ID|auto", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// Distribution tenant, of a multi-tenant distribution
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// Accept any origin of the named distributions as the bucket, such as a replica of it
    #[arg(long)]
    pub any_origin: bool,
}

/// The tool that the change is printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AttachFor {
    /// The AWS CLI
    Cli,
    /// CloudFormation
    Cloudformation,
}
