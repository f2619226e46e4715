//! `preview`: deploys to the local edge and keeps it running; with `--watch`, deploys changes.

use crate::cli::PreviewArgs;
use crate::commands::connection::Connection;
use crate::commands::deploy::prepare;
use crate::commands::signal::stop_on_signal;
use crate::config;
use crate::deploy::Deploy;
use crate::error::Result;
use crate::exit::Exit;
use crate::local::watch::Watch;
use crate::local::{Local, guard_source, shell_word};
use crate::outcome::Outcome;
use crate::report::Report;
use crate::terminal::Terminal;
use shipfront_site::Target;
use shipfront_site::Warning;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// `preview`, until a signal.
pub async fn run(args: &PreviewArgs, terminal: &Terminal) -> Result<Exit> {
    let stop = stop_on_signal(terminal, "Stopping");
    let source = config::source(args.source.as_deref())?;
    guard_source(&source, args.options.follow_links)?;
    let connection = Connection::to_local_edge(args.port, Some(args.options.concurrency), terminal).await?;
    let preview = Preview { args, source, connection: &connection, terminal, stop };
    let outcome = preview.run().await;
    connection.close(outcome).await
}

/// A running preview.
struct Preview<'a> {
    args: &'a PreviewArgs,
    source: PathBuf,
    connection: &'a Connection,
    terminal: &'a Terminal,
    stop: CancellationToken,
}

impl Preview<'_> {
    async fn run(&self) -> Result<Exit> {
        let Some(local) = self.connection.local() else { return Ok(Exit::Done) };
        // Started before the first deploy, so that no change is missed.
        let watch = if self.args.watch { Some(Watch::begin(&self.source)?) } else { None };
        let (target, report) = self.deploy(local).await?;
        self.tell(local, &target, &report);
        if report.outcome == Outcome::Refused {
            return Ok(report.outcome.exit());
        }
        local.show(&target)?;
        self.terminal.say(format_args!("Site:      {}", local.site_url(&target)));
        self.terminal.say(format_args!("Dashboard: {}", local.dashboard_url()));
        if !local.is_ours() {
            self.terminal.say("They are served by another shipfront, which is already running");
            if watch.is_none() {
                return Ok(report.outcome.exit());
            }
        }
        self.terminal.say(format_args!("API:       {} (S3 and CloudFront for other tools)", local.api_url()));
        self.wait(local, watch).await?;
        Ok(Exit::Done)
    }

    /// Waits for the signal, and if the source is watched, deploys changes meanwhile.
    async fn wait(&self, local: &Local, watch: Option<Watch>) -> Result<()> {
        let shown = shell_word(&self.source);
        match watch {
            None => {
                let target = self.args.target.as_deref().map(|target| format!(" {target}")).unwrap_or_default();
                self.terminal.say(format_args!(
                    "After a change: shipfront deploy {shown}{target} --local (Ctrl-C stops the preview)"
                ));
                self.stop.cancelled().await;
                Ok(())
            }
            Some(watch) => {
                self.terminal.say(format_args!("Watching {shown} and deploying every change (Ctrl-C stops)"));
                self.keep_deploying(local, watch).await
            }
        }
    }

    /// Deploys after each change, until a signal.
    async fn keep_deploying(&self, local: &Local, mut watch: Watch) -> Result<()> {
        loop {
            tokio::select! {
                changed = watch.change() => changed?,
                () = self.stop.cancelled() => return Ok(()),
            }
            match self.deploy(local).await {
                // Touched, or restored to what it was.
                Ok((_, report)) if report.outcome == Outcome::NothingToDo => {}
                Ok((target, report)) => {
                    self.tell(local, &target, &report);
                    if let Some(error) = &report.error {
                        local.note(&format!("not deployed: {error}"));
                        continue;
                    }
                    let objects = &report.objects;
                    local.note(&format!("deployed: {} uploaded, {} deleted", objects.uploaded, objects.pruned));
                }
                // For example half a build: the next change is another chance.
                Err(error) => {
                    self.terminal.fail(&error);
                    local.note(&format!("not deployed: {error}"));
                }
            }
        }
    }

    /// Deploys once. Each run counts its own requests.
    async fn deploy(&self, local: &Local) -> Result<(Target, Report)> {
        let options = &self.args.options;
        let source: &Path = &self.source;
        let settings = prepare(self.connection, source, self.args.target.as_deref(), options).await?;
        let aws = local.aws(Some(options.concurrency)).await?;
        let deploy = Deploy::new(&settings, &aws, self.terminal, self.stop.clone());
        let report = Report::new(Box::pin(deploy.run()).await?, self.terminal).on_local_edge(true);
        Ok((settings.target, report))
    }

    /// Reports a deploy to the user and to the dashboard.
    fn tell(&self, local: &Local, target: &Target, report: &Report) {
        if let Err(error) = report.show(self.terminal) {
            self.terminal.warn(&Warning::from(&error));
        }
        local.explain(target, report);
    }
}
