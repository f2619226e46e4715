//! `redirects`: the code of a CloudFront Function that follows the source's `_redirects`.

use crate::cli::headers_and_redirects::RedirectsArgs;
use crate::config;
use crate::deploy::headers_and_redirects::redirect_function;
use crate::error::Result;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// `redirects`.
pub fn run(args: &RedirectsArgs, terminal: &Terminal) -> Result<Exit> {
    let function = redirect_function(&config::source(args.source.as_deref())?, args.directory_index)?;
    terminal.document(&function, &function.warnings)?;
    Ok(Exit::Done)
}
