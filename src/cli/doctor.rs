//! `doctor` and `policy`, as typed.

use crate::aws::permission::EntryPoint;
use crate::aws::trust::Trust;
use crate::cli::SiteArgs;
use clap::Args;

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Which site
    #[command(flatten)]
    pub site: SiteArgs,
    /// The CloudFront distribution; 'auto' finds those whose origin is the bucket
    #[arg(long, value_name = "ID|auto|none", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// The distribution tenant, where the distribution is multi-tenant
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// Take any origin of the named distributions for the bucket, such as another bucket that it is replicated into
    #[arg(long)]
    pub any_origin: bool,
    /// Deploys keep no record
    #[arg(long)]
    pub no_record: bool,
    /// Write an object beside the deploy record and remove it again, to see whether that is allowed and whether the store heeds conditions
    #[arg(long)]
    pub probe: bool,
    /// Deploys publish rules: see whether their functions are attached
    #[arg(long)]
    pub publish_rules: bool,
}

/// `policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// The site: s3://BUCKET or s3://BUCKET/PREFIX
    #[arg(env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// The bucket, in place of a target
    #[arg(long, value_name = "BUCKET")]
    pub bucket: Option<String>,
    /// The folder of the bucket that holds the site, if it is not the whole bucket
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// The CloudFront distribution; without one, deploys look for it, and with 'none' they invalidate none
    #[arg(long, value_name = "ID|auto|none", env = "SHIPFRONT_DISTRIBUTION", value_delimiter = ',')]
    pub distribution: Vec<String>,
    /// The distribution tenant, where the distribution is multi-tenant
    #[arg(long, value_name = "ID", env = "SHIPFRONT_DISTRIBUTION_TENANT", value_delimiter = ',')]
    pub distribution_tenant: Vec<String>,
    /// Where the deploy record is, if not in .shipfront/ of the bucket
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_RECORD")]
    pub record: Option<String>,
    /// Deploys keep no record
    #[arg(long)]
    pub no_record: bool,
    /// Also what 'tags --backfill' needs: it copies objects onto themselves, with their tags and annotations
    #[arg(long, conflicts_with = "bucket_policy")]
    pub backfill: bool,
    /// Also what --publish-rules needs of a deploy: to update, test and publish the functions
    #[arg(long, conflicts_with = "bucket_policy")]
    pub publish_rules: bool,
    /// The CloudFront Functions to which deploys publish rules; repeat it for several
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub function: Vec<String>,
    /// The key-value store of one of the functions, where its rules do not fit into 10 KB: its id or ARN
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with = "bucket_policy")]
    pub key_value_store: Vec<String>,
    /// What is copied from: production for --for preview, the place of previews for --for promote
    #[arg(long, value_name = "S3-URL", conflicts_with = "bucket_policy")]
    pub copy_source: Option<String>,
    /// The account of the distribution
    #[arg(long, value_name = "ACCOUNT", default_value = "ACCOUNT", hide_default_value = true)]
    pub account: String,
    /// The KMS key that encrypts the bucket, if it has one of its own
    #[arg(long, value_name = "ARN")]
    pub kms_key: Option<String>,
    /// The region of the bucket, which determines the partition of AWS
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The partition of AWS, such as aws-cn or aws-us-gov; by default that of the KMS key or of the region
    #[arg(long, value_name = "PARTITION", value_parser = partition)]
    pub partition: Option<String>,
    /// What the role does; repeat it for several
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ENTRY-POINT", default_value = "deploy")]
    pub r#for: Vec<EntryPoint>,
    /// Print the bucket policy instead: CloudFront reads the site, and viewers do not read the deploy record
    #[arg(long, conflicts_with = "for")]
    pub bucket_policy: bool,
    /// Print the trust policy of the role instead: the builds that may take it without stored keys; `github:OWNER/REPO[:ENVIRONMENT]`, `gitlab:GROUP/PROJECT[:BRANCH]` or `bitbucket:WORKSPACE:WORKSPACE-UUID:REPOSITORY-UUID[:ENVIRONMENT-UUID]`
    #[arg(long, value_name = "BUILDS", conflicts_with_all = ["for", "bucket_policy", "backfill"])]
    pub trust: Option<Trust>,
}

/// The name of a partition, with which ARNs begin.
fn partition(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c == '-';
    let is_one = text == "aws" || text.strip_prefix("aws-").is_some_and(|rest| !rest.is_empty());
    if is_one && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("write aws, aws-cn or aws-us-gov".to_owned())
    }
}
