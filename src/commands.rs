//! The commands, one file each: from the arguments to the output and the exit code.
//!
//! Every command that accesses a site does so through `connection`, which decides between AWS and the local edge.

pub mod conformance;
mod connection;
pub mod deploy;
pub mod doctor;
pub mod documents;
pub mod headers;
pub mod history;
pub mod import;
pub mod init;
pub mod invalidate;
pub mod policy;
#[cfg(feature = "edge")]
pub mod preview;
pub mod previews;
pub mod promote;
pub mod redirects;
pub mod rollback;
pub mod rules;
mod signal;
pub mod status;
pub mod tags;
pub mod unlock;

use crate::cli::Command;
use crate::error::Result;
use crate::exit::Exit;
use crate::terminal::Terminal;
use futures::future::LocalBoxFuture;

/// Runs a command. The future is boxed here, so that the commands are compiled with the library, on all cores, and not
/// again with each program that calls them.
pub fn run<'a>(command: Command, terminal: &'a Terminal) -> LocalBoxFuture<'a, Result<Exit>> {
    Box::pin(async move {
        match command {
            Command::Deploy(args) => deploy::run(&args, terminal).await,
            Command::Plan(args) => deploy::plan(&args, terminal).await,
            Command::Invalidate(args) => invalidate::run(&args, terminal).await,
            Command::Status(args) => status::run(&args, terminal).await,
            Command::History(args) => history::run(&args, terminal).await,
            Command::Rollback(args) => Box::pin(rollback::run(&args, terminal)).await,
            Command::Previews(args) => Box::pin(previews::run(&args, terminal)).await,
            Command::Promote(args) => Box::pin(promote::run(&args, terminal)).await,
            Command::Unlock(args) => unlock::run(&args, terminal).await,
            Command::Doctor(args) => doctor::run(&args, terminal).await,
            Command::Conformance(args) => conformance::run(&args, terminal).await,
            Command::Policy(args) => policy::run(&args, terminal),
            Command::Completions(args) => documents::completions(&args, terminal),
            Command::Man(args) => documents::man(&args, terminal),
            Command::Headers(args) => headers::run(&args, terminal),
            Command::Redirects(args) => redirects::run(&args, terminal),
            Command::Rules(args) => rules::run(&args, terminal).await,
            Command::Tags(args) => tags::run(&args, terminal).await,
            #[cfg(feature = "edge")]
            Command::Preview(args) => preview::run(&args, terminal).await,
            Command::Init(args) => init::run(&args, terminal),
            Command::Import(args) => import::run(&args, terminal),
            Command::Schema => documents::schema(terminal),
        }
    })
}
