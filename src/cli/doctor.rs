//! `doctor` and `policy`, as typed.

use crate::aws::permission::EntryPoint;
use crate::aws::trust::Trust;
use crate::cli::SiteArgs;
use crate::cli::history::HistoryArg;
use clap::Args;

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// CloudFront distribution; 'auto' finds those whose origin is the bucket
    #[arg(long, value_name = "ID|auto|none", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// Distribution tenant, of a multi-tenant distribution
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// Accept any origin of the named distributions as the bucket, such as a replica of it
    #[arg(long)]
    pub any_origin: bool,
    /// Check for deploys with --no-record
    #[arg(long)]
    pub no_record: bool,
    /// Write and remove one object beside the deploy record, to check permissions and conditional writes
    #[arg(long)]
    pub probe: bool,
    /// Check the functions to which deploys publish rules
    #[arg(long)]
    pub publish_rules: bool,
    /// What deploys restore earlier ones from, as they have it
    #[arg(long, value_enum, value_name = "FROM", default_value_t = HistoryArg::Versions, hide = true)]
    pub history: HistoryArg,
}

/// `policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// Where the site is: s3://BUCKET or s3://BUCKET/PREFIX
    #[arg(env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// Bucket, instead of a target
    #[arg(long, value_name = "BUCKET")]
    pub bucket: Option<String>,
    /// Folder of the bucket that holds the site
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// CloudFront distribution; without one, deploys look for it; with 'none', they invalidate nothing
    #[arg(long, value_name = "ID|auto|none", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// Distribution tenant, of a multi-tenant distribution
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// Where the deploy record is, if not in .shipfront/ in the bucket
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_RECORD")]
    pub record: Option<String>,
    /// Print the policy for deploys with --no-record
    #[arg(long)]
    pub no_record: bool,
    /// Also allow 'tags --backfill', which copies objects onto themselves with their tags and annotations
    #[arg(long, conflicts_with = "bucket_policy")]
    pub backfill: bool,
    /// Also allow --publish-rules, which updates, tests, and publishes functions
    #[arg(long, conflicts_with = "bucket_policy")]
    pub publish_rules: bool,
    /// CloudFront Function to which deploys publish rules; repeatable
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub function: Vec<String>,
    /// Key-value store of one of the functions, for rules that do not fit into 10 KB: its ID or ARN
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with = "bucket_policy")]
    pub key_value_store: Vec<String>,
    /// Where objects are copied from: production for --for preview, the previews for --for promote
    #[arg(long, value_name = "S3-URL", conflicts_with = "bucket_policy")]
    pub copy_source: Option<String>,
    /// AWS account of the distribution
    #[arg(long, value_name = "ACCOUNT", default_value = "ACCOUNT", hide_default_value = true)]
    pub account: String,
    /// KMS key that encrypts the bucket, if it has its own
    #[arg(long, value_name = "ARN")]
    pub kms_key: Option<String>,
    /// Region of the bucket, which determines the AWS partition
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// AWS partition, such as aws-cn or aws-us-gov; by default that of the KMS key or the region
    #[arg(long, value_name = "PARTITION", value_parser = partition)]
    pub partition: Option<String>,
    /// What the role does; repeatable
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ENTRY-POINT", default_value = "deploy")]
    pub r#for: Vec<EntryPoint>,
    /// Print the bucket policy instead: CloudFront may read the site, and viewers cannot read the deploy record
    #[arg(long, conflicts_with = "for")]
    pub bucket_policy: bool,
    /// Print the trust policy of the role instead
    #[arg(long, help = "Print the trust policy of the role instead, for builds without stored keys: 'github:OWNER/REPO[:ENVIRONMENT]', 'gitlab:GROUP/PROJECT[:BRANCH]', or 'bitbucket:WORKSPACE:WORKSPACE-UUID:REPOSITORY-UUID[:ENVIRONMENT-UUID]'", value_name = "BUILDS", conflicts_with_all = ["for", "bucket_policy", "backfill"])]
    pub trust: Option<Trust>,
}

/// The name of a partition, as in ARNs.
fn partition(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c == '-';
    let is_one = text == "aws" || text.strip_prefix("aws-").is_some_and(|rest| !rest.is_empty());
    if is_one && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("write aws, aws-cn or aws-us-gov".to_owned())
    }
}
