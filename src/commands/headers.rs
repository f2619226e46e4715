//! `headers`: what S3 does not keep of the source's `_headers`.

use crate::cli::headers_and_redirects::HeadersArgs;
use crate::config;
use crate::deploy::headers_and_redirects::policy_template;
use crate::error::Result;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// `headers`.
pub fn run(args: &HeadersArgs, terminal: &Terminal) -> Result<Exit> {
    let template = policy_template(&config::source(args.source.as_deref())?)?;
    terminal.document(&template, &template.warnings)?;
    Ok(Exit::Done)
}
