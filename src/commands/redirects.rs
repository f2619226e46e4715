//! `redirects`: the code of a CloudFront Function that implements the source's `_redirects`.

use crate::cli::headers_and_redirects::RedirectsArgs;
use crate::config;
use crate::deploy::headers_and_redirects::redirect_function;
use crate::error::Result;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// `redirects`.
pub fn run(args: &RedirectsArgs, terminal: &Terminal) -> Result<Exit> {
    let source = config::source(args.source.as_deref())?;
    let function = redirect_function(&source, args.directory_index, args.key_value_store, &args.rules.options())?;
    terminal.document(&function, &function.warnings)?;
    Ok(Exit::Done)
}
