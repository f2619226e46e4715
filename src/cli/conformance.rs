//! `conformance`, as typed.

use crate::cli::ConnectionArgs;
use crate::deploy::verify::Site;
use clap::Args;
use std::path::PathBuf;

/// Examples in the help.
pub const EXAMPLES: &str = "\
Examples:
  shipfront conformance s3://www.example.com
      test the store
  shipfront conformance s3://www.example.com --distribution E2QWRUHAPOMQZL
      and CloudFront
  shipfront conformance s3://www.example.com --yes --report result.md
      in a script, with a report";

/// `conformance`.
#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// Where to run: s3://BUCKET or s3://BUCKET/PREFIX, in a new folder there; with --local, the source directory will do
    #[arg(env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// CloudFront distribution to test as well; its origin is the bucket
    #[arg(long, value_name = "ID")]
    pub distribution: Option<String>,
    /// Distribution tenant to test, if the distribution is multi-tenant
    #[arg(long, value_name = "ID", conflicts_with = "distribution")]
    pub distribution_tenant: Option<String>,
    /// URL at which viewers reach the distribution, if not its own domain name, or the tenant's first
    #[arg(long, value_name = "URL")]
    pub viewers: Option<Site>,
    /// Start without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Run only this check; repeatable
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub check: Vec<String>,
    /// How many seconds to wait until viewers see a change
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
    /// Name of the folder, instead of a random one, for a distribution whose error page is in it
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,
    /// Write the result to a file, as Markdown
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,
    /// Write the evidence to a file for the local edge to follow (SHIPFRONT_EDGE_EVIDENCE)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub evidence: Option<PathBuf>,
}

/// The suffix of a folder's name.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.is_empty() && text.len() <= 40 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("up to 40 letters, digits and hyphens make a name".to_owned())
    }
}
