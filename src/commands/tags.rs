//! `tags`: what to change so that a distribution reads cache tags, and tags for existing objects.

mod enable;

use crate::aws::MOST_IN_FLIGHT;
use crate::cli::tags::TagsArgs;
use crate::cloudfront::lookup::Which;
use crate::commands::connection::Connection;
use crate::commands::signal::{FINISHING, stop_on_signal};
use crate::config;
use crate::deploy::backfill::Backfill;
use crate::error::Result;
use crate::exit::Exit;
use crate::record::history::{HistoryUpdate, MOST_KEPT};
use crate::report::backfill::BackfillReport;
use crate::terminal::Terminal;
use enable::Change;
use shipfront_invalidation::Policy;

/// `tags`.
pub async fn run(args: &TagsArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    if args.backfill {
        let outcome = backfill(args, &connection, terminal).await;
        let report = connection.close(outcome).await?;
        let written = terminal.report(&report, report.warnings(), report.errors());
        return terminal.ended(report.exit(), written);
    }
    let outcome = enable(args, &connection).await;
    terminal.document(&connection.close(outcome).await?, &[])?;
    Ok(Exit::Done)
}

/// `tags --enable`, which needs no site.
async fn enable(args: &TagsArgs, connection: &Connection) -> Result<Change> {
    let which = Which::parse(&args.distribution, &args.distribution_tenant)?;
    let is_named = args.site.target.is_some() || connection.is_local() && args.site.source.is_some();
    let target = if is_named { Some(connection.site(&args.site)?) } else { None };
    enable::enable(&connection.aws, &which, target.as_ref(), &args.header).await
}

/// `tags --backfill`.
async fn backfill(args: &TagsArgs, connection: &Connection, terminal: &Terminal) -> Result<BackfillReport> {
    let target = connection.site(&args.site)?;
    let backfill = Backfill {
        target: &target,
        distributions: Which::parse(&args.distribution, &args.distribution_tenant)?,
        any_origin: args.any_origin,
        policy: Policy::default(),
        patience: config::patience(&args.wait)?,
        record: config::place(args.site.record.as_deref(), false)?,
        expected_owner: connection.expected_owner.as_deref(),
        // It replaces the last deploy in the history: no other one is removed because of it.
        history_update: HistoryUpdate { keep: MOST_KEPT, ..HistoryUpdate::default() },
        concurrency: usize::from(MOST_IN_FLIGHT),
        aws: &connection.aws,
        terminal,
        stop: stop_on_signal(terminal, FINISHING),
    };
    let done = Box::pin(backfill.run()).await?;
    Ok(BackfillReport::new(done, &target, &connection.aws))
}
