//! Flags of `headers` and `redirects`: what is printed of the source's `_headers` and `_redirects`.

use clap::{Args, ValueEnum};
use shipfront_site::platform::{Platform, RuleOptions};
use std::path::PathBuf;

pub(super) const REDIRECTS_EXAMPLES: &str = "\
Examples:
  shipfront redirects public > redirects.js
  aws cloudfront create-function --name redirects --function-code fileb://redirects.js \\
    --function-config Comment=redirects,Runtime=cloudfront-js-2.0

Then publish it and name it in the distribution's behavior, as its viewer-request function.";

pub(super) const HEADERS_EXAMPLES: &str = "\
Examples:
  shipfront headers public > headers.js
  shipfront headers public --policy > headers.json

The function goes into the distribution's behavior as its viewer-response function, as one for redirects goes into its place.";

/// How the two files are read.
#[derive(Debug, Clone, Default, Args)]
pub struct RuleArgs {
    /// Whose meaning _headers and _redirects have. Netlify: 301, files come first, a slash at the end does not count; Cloudflare: 302, redirects come first, it counts
    #[arg(long, value_enum, value_name = "PLATFORM", default_value_t = RulesOf::Netlify, help_heading = "Uploads")]
    pub rules: RulesOf,
    /// Fail for lines of _headers and _redirects that make no sense, lead round in a circle, or hardly mean what they say, instead of warning
    #[arg(long, help_heading = "Uploads")]
    pub strict_rules: bool,
    /// Deploy this path although a line protects it (Basic-Auth, Role=, 401!): everyone may see it. As the line writes it; repeat it for several
    #[arg(long, value_name = "PATH", help_heading = "Uploads")]
    pub may_be_public: Vec<String>,
}

/// A platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum RulesOf {
    /// As Netlify reads them
    #[default]
    Netlify,
    /// As Cloudflare Pages reads them
    Cloudflare,
}

impl RuleArgs {
    /// What is meant.
    pub fn options(&self) -> RuleOptions {
        let platform = match self.rules {
            RulesOf::Netlify => Platform::Netlify,
            RulesOf::Cloudflare => Platform::Cloudflare,
        };
        RuleOptions { platform, may_be_public: self.may_be_public.clone(), strict: self.strict_rules }
    }
}

/// `headers`.
#[derive(Debug, Args)]
pub struct HeadersArgs {
    /// The directory that your site generator wrote
    pub source: Option<PathBuf>,
    /// Print response headers policies, as CloudFormation, instead of a function: error pages get these headers, too (Business plans and up)
    #[arg(long)]
    pub policy: bool,
    /// How the file is read
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// `redirects`.
#[derive(Debug, Args)]
pub struct RedirectsArgs {
    /// The directory that your site generator wrote
    pub source: Option<PathBuf>,
    /// Show /dir/index.html at /dir/ and lead from /dir to /dir/, too: a behavior takes one function
    #[arg(long)]
    pub directory_index: bool,
    /// Where the table does not fit into a function, leave it to a key-value store, whose entries --json prints (not on the Free plan)
    #[arg(long)]
    pub key_value_store: bool,
    /// How the file is read
    #[command(flatten)]
    pub rules: RuleArgs,
}
