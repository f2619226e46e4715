//! `conformance`, as typed.

use crate::cli::ConnectionArgs;
use crate::deploy::verify::Site;
use clap::Args;
use std::path::PathBuf;

/// What `--help` shows.
pub const EXAMPLES: &str = "\
Examples:
  shipfront conformance s3://www.example.com
      does the store do what deploys rely on?
  shipfront conformance s3://www.example.com --distribution E2QWRUHAPOMQZL
      and does CloudFront?
  shipfront conformance s3://www.example.com --yes --report conformance.md
      in a script, with a report to keep";

/// `conformance`.
#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// Where to try it: s3://BUCKET or s3://BUCKET/PREFIX; nothing outside of a folder of its own below that is touched
    #[arg(env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// The CloudFront distribution to try, too; its origin is the bucket
    #[arg(long, value_name = "ID")]
    pub distribution: Option<String>,
    /// The distribution tenant to try, where the distribution is multi-tenant
    #[arg(long, value_name = "ID", conflicts_with = "distribution")]
    pub distribution_tenant: Option<String>,
    /// Where viewers reach the distribution, if not at its own domain name, or the tenant's first
    #[arg(long, value_name = "URL")]
    pub viewers: Option<Site>,
    /// Start without asking: it costs a few cents
    #[arg(long, short)]
    pub yes: bool,
    /// Make this check alone; repeat it for several
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub check: Vec<String>,
    /// How long to wait until viewers see a change, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
    /// How the name of the folder ends, in place of something random: for a distribution whose error page is in it
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,
    /// Write the result as Markdown to a file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,
    /// Write what was learned to a file that the local edge can be started with, by SHIPFRONT_EDGE_EVIDENCE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub evidence: Option<PathBuf>,
}

/// The end of a folder's name.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.is_empty() && text.len() <= 40 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("up to 40 letters, digits and hyphens make a name".to_owned())
    }
}
