//! `headers`: the headers of the source's `_headers` that S3 does not store, as a CloudFront Function or as
//! policies.

use crate::cli::headers_and_redirects::HeadersArgs;
use crate::config;
use crate::deploy::headers_and_redirects::{header_function, policy_template};
use crate::error::Result;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// `headers`.
pub fn run(args: &HeadersArgs, terminal: &Terminal) -> Result<Exit> {
    let source = config::source(args.source.as_deref())?;
    let options = args.rules.options();
    if args.policy {
        let template = policy_template(&source, &options)?;
        terminal.document(&template, &template.warnings)?;
    } else {
        let function = header_function(&source, &options)?;
        terminal.document(&function, &function.warnings)?;
    }
    Ok(Exit::Done)
}
