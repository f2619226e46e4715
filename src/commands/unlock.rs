//! `unlock`: releases the lock of a dead deploy.

use crate::cli::record::UnlockArgs;
use crate::commands::connection::Connection;
use crate::commands::status::no_record;
use crate::config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::record::session::Session;
use crate::s3::Bucket;
use crate::terminal::Terminal;
use serde::Serialize;
use shipfront_site::Target;
use std::fmt::{self, Display, Formatter};

/// `unlock`.
pub async fn run(args: &UnlockArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    let outcome = ask_and_unlock(args, &connection, terminal).await;
    let (exit, unlocked) = connection.close(outcome).await?;
    terminal.report(&unlocked, &[], &[])?;
    Ok(exit)
}

/// What `--json` prints; for people it was said.
#[derive(Debug, Serialize)]
struct Unlocked {
    shipfront: &'static str,
    /// The site.
    target: String,
    /// `released`, or `free` where nobody held the lock.
    outcome: &'static str,
}

impl Unlocked {
    fn new(target: &Target, outcome: &'static str) -> Unlocked {
        Unlocked { shipfront: env!("CARGO_PKG_VERSION"), target: target.to_string(), outcome }
    }
}

impl Display for Unlocked {
    fn fmt(&self, _: &mut Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

async fn ask_and_unlock(args: &UnlockArgs, connection: &Connection, terminal: &Terminal) -> Result<(Exit, Unlocked)> {
    let place = config::place(args.site.record.as_deref(), false)?;
    let target = connection.site(&args.site)?;
    let (aws, owner) = (&connection.aws, connection.expected_owner.as_deref());
    let look = async |bucket: &Bucket| Session::look(aws, bucket, &place).await;
    let (_, session) = Bucket::open(aws, &target, owner, look).await?;
    let session = session.ok_or_else(no_record)?;
    let Some(holder) = session.lease() else {
        terminal.say("The lock is free");
        return Ok((Exit::Done, Unlocked::new(&target, "free")));
    };
    let alive = session.holder().is_some();
    let state = if alive { "and renewed it recently: it may still be running" } else { "and no longer renews it" };
    let question = format!("{holder} {state}");
    if !args.yes && !terminal.confirm(&question, "Take it away?") {
        return Err(Error::locked(question).hint("pass --yes to release the lock"));
    }
    if !session.unlock().await? {
        return Err(Error::locked("the lock was renewed just now: that deploy is still running")
            .hint("stop that deploy first, or wait for it"));
    }
    terminal.say("Released the lock; the next deploy finishes the one that died");
    Ok((Exit::Done, Unlocked::new(&target, "released")))
}
