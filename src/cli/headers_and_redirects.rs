//! Flags of `headers` and `redirects`: what is printed of the source's `_headers` and `_redirects`.

use clap::Args;
use std::path::PathBuf;

pub(super) const REDIRECTS_EXAMPLES: &str = "\
Examples:
  shipfront redirects public > redirects.js
  aws cloudfront create-function --name redirects --function-code fileb://redirects.js \\
    --function-config Comment=redirects,Runtime=cloudfront-js-2.0

Then publish it and name it in the distribution's behavior, as its viewer-request function.";

/// `headers`.
#[derive(Debug, Args)]
pub struct HeadersArgs {
    /// The directory that your site generator wrote
    pub source: Option<PathBuf>,
}

/// `redirects`.
#[derive(Debug, Args)]
pub struct RedirectsArgs {
    /// The directory that your site generator wrote
    pub source: Option<PathBuf>,
    /// Show /dir/index.html at /dir/ and lead from /dir to /dir/, too: a behavior takes one function
    #[arg(long)]
    pub directory_index: bool,
}
