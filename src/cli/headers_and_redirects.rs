//! Options of `headers` and `redirects`.

use clap::{Args, ValueEnum};
use shipfront_site::platform::{Platform, RuleOptions};
use std::path::PathBuf;

pub(super) const REDIRECTS_EXAMPLES: &str = "\
Examples:
  shipfront redirects public > redirects.js
  aws cloudfront create-function --name redirects \\
    --function-code fileb://redirects.js \\
    --function-config Comment=redirects,Runtime=cloudfront-js-2.0

Publish the function and set it as the viewer-request function of the behavior.";

pub(super) const HEADERS_EXAMPLES: &str = "\
Examples:
  shipfront headers public > headers.js
      a function
  shipfront headers public --policy > headers.json
      response headers policies, for CloudFormation

Set the function as the viewer-response function of the behavior.";

/// How the two files are read.
#[derive(Debug, Clone, Default, Args)]
pub struct RuleArgs {
    /// Which platform's rules _headers and _redirects follow. Netlify: 301 by default, files before redirects, a trailing slash is ignored; Cloudflare: 302 by default, redirects before files, a trailing slash counts
    #[arg(long, value_enum, value_name = "PLATFORM", default_value_t = RulesOf::Netlify, help_heading = "Uploads")]
    pub rules: RulesOf,
    /// Fail instead of warning if lines of _headers or _redirects are invalid, loop, or look like a mistake
    #[arg(long, help_heading = "Uploads")]
    pub strict_rules: bool,
    /// Deploy a path even though a line protects it (Basic-Auth, Role=, 401!), so that everyone can see it; as written in the line; repeatable
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
    /// The options that these flags mean.
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
    /// Built site: the directory that your site generator wrote
    pub source: Option<PathBuf>,
    /// Print response headers policies for CloudFormation instead of a function; error pages get these headers as well (Business plan and higher)
    #[arg(long)]
    pub policy: bool,
    /// How the file is read
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// `redirects`.
#[derive(Debug, Args)]
pub struct RedirectsArgs {
    /// Built site: the directory that your site generator wrote
    pub source: Option<PathBuf>,
    /// Also serve /dir/index.html at /dir/ and redirect /dir to /dir/, because a behavior takes only one function
    #[arg(long)]
    pub directory_index: bool,
    /// If the table does not fit into a function, use a key-value store, whose entries --json prints (not on the Free plan)
    #[arg(long)]
    pub key_value_store: bool,
    /// How the file is read
    #[command(flatten)]
    pub rules: RuleArgs,
}
