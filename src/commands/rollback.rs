//! `rollback`, from the arguments to the exit code. The recipe is [`crate::deploy::rollback`].

use crate::cli::history::RollbackArgs;
use crate::commands::connection::Connection;
use crate::commands::signal::{FINISHING, stop_on_signal};
use crate::config;
use crate::deploy::Deploy;
use crate::error::Result;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::report::{Report, file};
use crate::terminal::Terminal;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// What people should know once a site is back.
const ORDER: &str = "builds up to the newest one are refused until a newer one is deployed (--force deploys one all the \
                     same); builds without a number are not held back";

/// `rollback`.
pub async fn run(args: &RollbackArgs, terminal: &Terminal) -> Result<Exit> {
    let source = Path::new("");
    file::guard(&args.reports.report, source)?;
    let stop = if args.plan { CancellationToken::new() } else { stop_on_signal(terminal, FINISHING) };
    let mut target = args.site.target.clone();
    let outcome = async {
        let connection = Connection::open(&args.site.connection, Some(args.concurrency), terminal).await?;
        let outcome = async {
            let site = connection.site(&args.site)?;
            target = Some(site.to_string());
            let mut settings = config::history::rollback_settings(args, site, connection.expected_owner.as_deref())?;
            settings.keep_copies |= connection.is_local();
            let (deploy, rollback) =
                (Deploy::new(&settings, &connection.aws, terminal, stop), config::history::rollback(args));
            let run = match args.plan {
                true => Box::pin(deploy.plan_rollback(&rollback)).await?,
                false => Box::pin(deploy.rollback(&rollback)).await?,
            };
            Ok(Report::new(run, terminal))
        };
        let outcome = outcome.await;
        connection.close(outcome).await
    };
    let outcome = outcome.await;
    file::write(&args.reports.report, &outcome, source, target.as_deref(), terminal);
    let report = outcome?;
    let written = terminal.report(&report, &report.warnings, &report.errors);
    if matches!(report.outcome, Outcome::Deployed | Outcome::Partial | Outcome::Different | Outcome::Unverified) {
        terminal.say(ORDER);
    }
    terminal.ended(report.outcome.exit(), written)
}
