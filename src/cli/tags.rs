//! Options of `tags`.

use crate::cli::SiteArgs;
use crate::cli::invalidate::WaitArgs;
use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  shipfront tags --enable s3://www.example.com
      print what to change
  shipfront tags --backfill s3://www.example.com
      then tag the objects that are already there";

/// `tags`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct TagsArgs {
    /// Print the change to make, for CloudFormation, Terraform, and the AWS CLI; changes nothing
    #[arg(long, group = "what")]
    pub enable: bool,
    /// Tag the objects that shipfront has uploaded, each by a copy onto itself, and invalidate them
    #[arg(long, group = "what")]
    pub backfill: bool,
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// Header that CloudFront reads: x-amz-meta- and a name
    #[arg(long, value_name = "NAME", default_value = "x-amz-meta-cache-tag")]
    pub header: String,
    /// CloudFront distribution; 'auto' finds those whose origin is the bucket
    #[arg(long, value_name = "ID|auto", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// Distribution tenant, of a multi-tenant distribution
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// Accept any origin of the named distributions as the bucket, such as a replica of it
    #[arg(long)]
    pub any_origin: bool,
    /// The wait for CloudFront
    #[command(flatten)]
    pub wait: WaitArgs,
}
