//! `deploy` and `plan`, from the arguments to the exit code. The recipe is [`crate::deploy`].

use crate::cli::{DeployArgs, PlanArgs, SiteOptions};
use crate::commands::connection::Connection;
use crate::commands::signal::{FINISHING, stop_on_signal};
use crate::config;
use crate::deploy::run::Run;
use crate::deploy::{Deploy, PublishRules, Settings};
use crate::error::Result;
use crate::escape::Shown;
use crate::exit::Exit;
#[cfg(feature = "edge")]
use crate::local::guard_source;
use crate::open_files;
use crate::outcome::Outcome;
use crate::record::Place;
use crate::report::{Report, file};
use crate::terminal::Terminal;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// `deploy`.
pub async fn run(args: &DeployArgs, terminal: &Terminal) -> Result<Exit> {
    let stop = stop_on_signal(terminal, FINISHING);
    let built = config::guard_build(std::env::var("CODEBUILD_BUILD_SUCCEEDING").ok().as_deref());
    let (report, directions, written) =
        execute(args, built, stop, terminal, async |deploy| Box::pin(deploy.run()).await).await?;
    let is_preview = args.preview.preview.is_some();
    // If nothing was deployed, there is nothing to see.
    let is_new = report.outcome != Outcome::NothingToDo || is_preview;
    let has_changed = report.objects.uploaded + report.objects.copied + report.objects.pruned > 0;
    for line in directions.into_iter().filter(|_| is_new && report.is_live() && (has_changed || is_preview)) {
        terminal.say(line);
    }
    // For a preview, the address is the result.
    let written = match report.url.as_deref().filter(|_| is_preview && report.is_live() && !terminal.is_json()) {
        Some(url) => written.and(terminal.print(Shown(url))),
        None => written.and(report.print_address(terminal)),
    };
    terminal.ended(report.outcome.exit(), written)
}

/// `plan`.
pub async fn plan(args: &PlanArgs, terminal: &Terminal) -> Result<Exit> {
    let (stop, allowed) = (CancellationToken::new(), Ok(()));
    let (report, _, written) =
        execute(&args.deploy, allowed, stop, terminal, async |deploy| Box::pin(deploy.plan()).await).await?;
    let exit = match report.outcome {
        Outcome::Planned if args.detailed_exit_code && report.has_changes() => Exit::Changes,
        outcome => outcome.exit(),
    };
    terminal.ended(exit, written)
}

/// Does the work, unless it is not `allowed`, and reports how it ended. Also returns a line that says how to see
/// the site, and whether the report could be written.
async fn execute(
    args: &DeployArgs,
    allowed: Result<()>,
    stop: CancellationToken,
    terminal: &Terminal,
    work: impl AsyncFnOnce(Deploy<'_>) -> Result<Run>,
) -> Result<(Report, Option<String>, Result<()>)> {
    let source = config::source(args.source.as_deref())?;
    file::guard(&args.reports.report, &source)?;
    let mut target = args.target.clone();
    let mut shown = None;
    let outcome = async {
        allowed?;
        #[cfg(feature = "edge")]
        if args.connection.local {
            guard_source(&source, args.options.follow_links)?;
        }
        let connection = Connection::open(&args.connection, Some(args.options.concurrency), terminal).await?;
        let outcome = async {
            let (settings, url) = prepare_either(&connection, &source, args).await?;
            target = Some(settings.target.to_string());
            shown = directions(&connection, &settings, url.as_deref(), terminal);
            let mut run = work(Deploy::new(&settings, &connection.aws, terminal, stop)).await?;
            if url.is_some() {
                run.url = url;
            } else if connection.is_local() {
                run.url = local_url(&connection, &settings);
            }
            Ok(Report::new(run, terminal).on_local_edge(connection.is_local()))
        };
        let outcome = outcome.await;
        connection.close(outcome).await
    };
    let outcome = outcome.await;
    file::write(&args.reports.report, &outcome, &source, target.as_deref(), terminal);
    let report = outcome?;
    let written = report.show(terminal);
    Ok((report, shown, written))
}

/// The settings for a site, or for a preview of it with its URL.
async fn prepare_either(
    connection: &Connection,
    source: &Path,
    args: &DeployArgs,
) -> Result<(Settings, Option<String>)> {
    let (target, preview) = (args.target.as_deref(), &args.preview);
    let Some(name) = preview.preview.as_deref() else {
        return Ok((prepare(connection, source, target, &args.options).await?, None));
    };
    let previews = connection.previews(preview.place.previews_target.as_deref(), Some(source))?;
    let url = connection.preview_url(preview.previews_url.as_deref(), name)?;
    let production = match (target, connection.is_local()) {
        (None, false) => None,
        _ => Some(connection.target(target, Some(source))?),
    };
    let site = production.as_ref().unwrap_or(&previews).to_string();
    let settings = prepare(connection, source, Some(&site), &args.options).await?;
    let settings = config::previews::of_deploy(settings, (preview, name), &previews, production)?;
    if source.is_dir() {
        connection.make_bucket(&settings.target).await?;
    }
    Ok((settings, url))
}

/// The settings for a site, whose bucket is created if it does not exist on the local edge.
pub(super) async fn prepare(
    connection: &Connection,
    source: &Path,
    target: Option<&str>,
    options: &SiteOptions,
) -> Result<Settings> {
    let target = connection.target(target, Some(source))?;
    let mut settings = config::settings(source.to_owned(), target, options, connection.expected_owner.as_deref())?;
    // The distribution of the local edge has functions for the rules of its bucket.
    let is_recorded = settings.record != Place::Nowhere;
    if connection.is_local() && is_recorded && settings.publish_rules == PublishRules::Never {
        settings.publish_rules = PublishRules::WherePossible;
    }
    // The local edge keeps no versions, which would accumulate on this machine.
    settings.keep_copies |= connection.is_local();
    settings.concurrency = open_files::at_once(settings.concurrency, connection.is_local());
    // The deploy refuses a source that is not a directory, and leaves no bucket behind.
    if source.is_dir() {
        connection.make_bucket(&settings.target).await?;
    }
    Ok(settings)
}

/// How to see a deployed site, if its URL does not say so.
fn directions(connection: &Connection, settings: &Settings, url: Option<&str>, terminal: &Terminal) -> Option<String> {
    #[cfg(feature = "edge")]
    if let Some(local) = connection.local() {
        use crate::local::{preview_url, shell_word};
        terminal.detail(format_args!("The local edge keeps its data in {}", local.directory().display()));
        let source = shell_word(&settings.source);
        return match &settings.preview {
            _ if !local.is_ours() => None,
            None => Some(format!("To see it: shipfront preview {source}")),
            Some(preview) => {
                let url = preview_url("http://127.0.0.1:8650", &preview.new.name);
                Some(format!("To see it: shipfront preview {source}, then open {url}"))
            }
        };
    }
    let _ = (connection, terminal);
    let is_unnamed = settings.preview.is_some() && url.is_none();
    is_unnamed.then(|| format!("To see its address here, set url in [previews]; the files are in {}", settings.target))
}

/// Where a running preview serves it, if there is one.
#[cfg(feature = "edge")]
pub(super) fn local_url(connection: &Connection, settings: &Settings) -> Option<String> {
    connection.local().filter(|local| !local.is_ours()).map(|local| local.site_url(&settings.target))
}

#[cfg(not(feature = "edge"))]
pub(super) fn local_url(_: &Connection, _: &Settings) -> Option<String> {
    None
}
