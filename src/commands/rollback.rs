//! `rollback`, from the arguments to the exit code. The recipe is [`crate::deploy::rollback`].

use crate::cli::ConnectionArgs;
use crate::cli::history::{BringBackArgs, RollbackArgs};
use crate::commands::connection::Connection;
use crate::commands::deploy::local_url;
use crate::commands::signal::{FINISHING, stop_on_signal};
use crate::config;
use crate::deploy::rollback::Rollback;
use crate::deploy::{Deploy, PublishRules, Settings};
use crate::error::Result;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::report::{Report, file};
use crate::terminal::Terminal;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// What people should know of a site on the local edge that nobody serves.
const UNSEEN: &str = "Nothing serves it now; to see a rollback, start 'shipfront preview SOURCE' first: it deploys SOURCE when it starts";

/// `rollback`.
pub async fn run(args: &RollbackArgs, terminal: &Terminal) -> Result<Exit> {
    let prepare = |connection: &Connection| {
        let site = connection.site(&args.site)?;
        let settings = config::history::rollback_settings(args, site, connection.expected_owner.as_deref())?;
        Ok((settings, config::history::rollback(args)))
    };
    let target = args.site.target.as_deref();
    let (report, written) = bring_back((&args.site.connection, &args.options, target), terminal, prepare).await?;
    if matches!(report.outcome, Outcome::Deployed | Outcome::Partial | Outcome::Different | Outcome::Unverified) {
        // Builds without a number are in no order, and go on as before.
        if let Some(build) = report.holds_back {
            terminal.say(format_args!(
                "Build {build} and older ones are refused until a newer build is deployed (--force deploys them)"
            ));
        }
    }
    let written = written.and(report.print_address(terminal));
    terminal.ended(report.outcome.exit(), written)
}

/// Changes a site to what is already in S3, and reports it; also returns whether the report could be written.
pub(super) async fn bring_back(
    (connection, options, target): (&ConnectionArgs, &BringBackArgs, Option<&str>),
    terminal: &Terminal,
    prepare: impl FnOnce(&Connection) -> Result<(Settings, Rollback)>,
) -> Result<(Report, Result<()>)> {
    let source = Path::new("");
    let files = &options.reports.report;
    file::guard(files, source)?;
    let stop = if options.plan { CancellationToken::new() } else { stop_on_signal(terminal, FINISHING) };
    let mut target = target.map(str::to_owned);
    let outcome = async {
        let connection = Connection::open(connection, Some(options.concurrency), terminal).await?;
        let outcome = async {
            let (mut settings, rollback) = prepare(&connection)?;
            target = Some(settings.target.to_string());
            if connection.is_local() {
                settings.keep_copies = true;
                settings.publish_rules = PublishRules::WherePossible;
            }
            let deploy = Deploy::new(&settings, &connection.aws, terminal, stop);
            let mut run = match options.plan {
                true => Box::pin(deploy.plan_rollback(&rollback)).await?,
                false => Box::pin(deploy.rollback(&rollback)).await?,
            };
            if connection.is_local() {
                run.url = local_url(&connection, &settings);
            }
            Ok(Report::new(run, terminal).on_local_edge(connection.is_local()))
        };
        let outcome = outcome.await;
        connection.close(outcome).await
    };
    let outcome = outcome.await;
    file::write(files, &outcome, source, target.as_deref(), terminal);
    let report = outcome?;
    let written = report.show(terminal);
    if report.is_local && report.is_live() && report.url.is_none() && report.outcome != Outcome::NothingToDo {
        terminal.say(UNSEEN);
    }
    Ok((report, written))
}
