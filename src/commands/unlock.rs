//! `unlock`: takes the lease of a deploy that is dead.

use crate::aws::Aws;
use crate::cli::record::UnlockArgs;
use crate::commands::connection::Connection;
use crate::commands::status::find;
use crate::config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::record::lease::Holder;
use crate::record::{Place, Record, Snapshot};
use crate::terminal::Terminal;
use shipfront_site::Target;

/// `unlock`.
pub async fn run(args: &UnlockArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    let outcome = ask_and_unlock(args, &connection, terminal).await;
    connection.close(outcome).await
}

async fn ask_and_unlock(args: &UnlockArgs, connection: &Connection, terminal: &Terminal) -> Result<Exit> {
    let place = config::place(args.site.record.as_deref(), false)?;
    let target = connection.site(&args.site)?;
    let locked = Locked::find(&connection.aws, &target, &place, connection.expected_owner.as_deref()).await?;
    let Some((holder, alive)) = locked.holder() else {
        terminal.say("nobody holds the lease");
        return Ok(Exit::Done);
    };
    let state = if alive { "and renewed it lately: it may be alive" } else { "and does not renew it any more" };
    let question = format!("{holder} {state}.");
    if !args.yes && !terminal.confirm(&question, "Take it away?") {
        return Err(Error::locked(question).hint("pass --yes to take the lease away"));
    }
    locked.unlock().await?;
    terminal.say("the lease is free; the next deploy finishes what the dead one had begun");
    Ok(Exit::Done)
}

/// What an unlock would do, and did.
#[derive(Debug)]
struct Locked {
    record: Record,
    snapshot: Snapshot,
}

impl Locked {
    /// Looks whether anybody holds the lease.
    async fn find(aws: &Aws, target: &Target, place: &Place, owner: Option<&str>) -> Result<Locked> {
        let record = find(aws, target, place, owner).await?;
        let snapshot = record.look().await?;
        Ok(Locked { record, snapshot })
    }

    /// Who holds the lease, and whether it is still being renewed.
    fn holder(&self) -> Option<(&Holder, bool)> {
        let holder = self.snapshot.state.lease.as_ref()?;
        Some((holder, self.snapshot.holder().is_some()))
    }

    /// Takes the lease away. What its holder had begun stays pending for the next deploy.
    async fn unlock(self) -> Result<()> {
        match self.record.unlock(self.snapshot).await? {
            true => Ok(()),
            false => Err(Error::locked("the lease was renewed just now: that deploy is alive")
                .hint("stop that deploy first, or wait for it")),
        }
    }
}
