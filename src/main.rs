//! The terminal door: parse, run, exit code. Named `bootstrap`, the program is a Lambda function instead.

use shipfront::aws::{Aws, AwsOptions, MOST_IN_FLIGHT};
use shipfront::cli::doctor::DoctorArgs;
use shipfront::cli::documents;
use shipfront::cli::headers_and_redirects::{HeadersArgs, RedirectsArgs};
use shipfront::cli::tags::TagsArgs;
use shipfront::cli::{Command, DeployArgs, InvalidateArgs, PlanArgs, StatusArgs, UnlockArgs};
use shipfront::cloudfront::lookup::Which;
use shipfront::commands;
use shipfront::commands::doctor::{self, State};
use shipfront::commands::tags::enable;
use shipfront::commands::unlock::Locked;
use shipfront::config;
use shipfront::config::merge::{Merged, Typed};
use shipfront::deploy::backfill::Backfill;
use shipfront::deploy::headers_and_redirects;
use shipfront::deploy::{Deploy, Settings, new_deploy_id};
use shipfront::error::{Error, Result};
use shipfront::exit::Exit;
use shipfront::report::backfill::BackfillReport;
use shipfront::report::{Report, file};
use shipfront::terminal::{Terminal, Volume};
use shipfront_invalidation::Policy;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    #[cfg(feature = "lambda")]
    if shipfront::lambda::is_asked_for() {
        return Box::pin(function()).await;
    }
    let typed = Typed::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let volume = match (typed.cli.quiet, typed.cli.verbose) {
        (true, _) => Volume::Quiet,
        (_, true) => Volume::Verbose,
        _ => Volume::Normal,
    };
    let terminal = Terminal::new(volume, typed.cli.json);
    let merged = std::env::current_dir()
        .map_err(|error| Error::usage(format!("there is no working directory: {error}")))
        .and_then(|here| typed.merge(&here));
    let done = match merged {
        Ok(Merged { cli, file }) => {
            if let Some(file) = file {
                terminal.say(format_args!("settings from {file}"));
            }
            run(cli.command, &terminal).await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            terminal.fail(&error);
            error.exit().into()
        }
    }
}

/// The Lambda entry_points: what they say goes to the function's log.
#[cfg(feature = "lambda")]
async fn function() -> ExitCode {
    let terminal = Terminal::new(Volume::Normal, false);
    match shipfront::lambda::run(terminal).await {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            terminal.fail(&error);
            error.exit().into()
        }
    }
}

async fn run(command: Command, terminal: &Terminal) -> Result<Exit> {
    match command {
        Command::Deploy(args) => deploy(&args, terminal).await,
        Command::Plan(args) => plan(&args, terminal).await,
        Command::Invalidate(args) => invalidate(args, terminal).await,
        Command::Status(args) => status(&args, terminal).await,
        Command::Unlock(args) => unlock(&args, terminal).await,
        Command::Doctor(args) => doctor(&args, terminal).await,
        Command::Policy(args) => {
            terminal.print(config::policy_document(&args)?);
            Ok(Exit::Done)
        }
        Command::Completions(args) => {
            terminal.print(documents::completions(args.shell)?.trim_end());
            Ok(Exit::Done)
        }
        Command::Man(args) => {
            terminal.print(documents::manual(args.command.as_deref())?.trim_end());
            Ok(Exit::Done)
        }
        Command::Headers(args) => headers(&args, terminal),
        Command::Redirects(args) => redirects(&args, terminal),
        Command::Tags(args) => tags(&args, terminal).await,
        #[cfg(feature = "edge")]
        Command::Preview(args) => {
            let stop = stop_on_signal(*terminal, "stopping");
            shipfront::local::preview(&args, terminal, stop).await
        }
        Command::Init(args) => {
            terminal.report(&commands::init::init(&args.directory, args.force)?, &[], &[]);
            Ok(Exit::Done)
        }
        Command::Import(args) => {
            let imported = commands::import::import(&args.file)?;
            terminal.document(&imported, &imported.not_carried_over);
            Ok(Exit::Done)
        }
        Command::Schema => {
            terminal.document(&config::schema::Schema::new(), &[]);
            Ok(Exit::Done)
        }
    }
}

async fn deploy(args: &DeployArgs, terminal: &Terminal) -> Result<Exit> {
    let source = config::source(args.source.as_deref())?;
    file::guard(&args.reports.report, &source)?;
    let stop =
        stop_on_signal(*terminal, "stopping: what is in flight is finished and invalidated; once more to stop at once");
    let built = config::guard_build(std::env::var("CODEBUILD_BUILD_SUCCEEDING").ok().as_deref());
    #[cfg(feature = "edge")]
    if args.local && built.is_ok() {
        return shipfront::local::deploy(args, terminal, stop).await;
    }
    let run = async {
        built?;
        let (settings, aws) = remote(args).await?;
        Ok(Report::new(Deploy::new(&settings, &aws, terminal, stop).run().await?, terminal))
    };
    let outcome = run.await;
    file::write(&args.reports.report, &outcome, &source, args.target.as_deref(), terminal);
    Ok(finish(&outcome?, terminal))
}

async fn plan(args: &PlanArgs, terminal: &Terminal) -> Result<Exit> {
    let DeployArgs { source, target, reports, .. } = &args.deploy;
    let source = config::source(source.as_deref())?;
    file::guard(&reports.report, &source)?;
    let stop = CancellationToken::new();
    #[cfg(feature = "edge")]
    let outcome = if args.deploy.local {
        shipfront::local::plan(&args.deploy, terminal, stop).await
    } else {
        plan_remote(&args.deploy, terminal, stop).await
    };
    #[cfg(not(feature = "edge"))]
    let outcome = plan_remote(&args.deploy, terminal, stop).await;
    file::write(&reports.report, &outcome, &source, target.as_deref(), terminal);
    let report = outcome?;
    let exit = finish(&report, terminal);
    Ok(if args.detailed_exit_code && report.has_changes() { Exit::Changes } else { exit })
}

async fn plan_remote(args: &DeployArgs, terminal: &Terminal, stop: CancellationToken) -> Result<Report> {
    let (settings, aws) = remote(args).await?;
    Ok(Report::new(Deploy::new(&settings, &aws, terminal, stop).plan().await?, terminal))
}

async fn remote(args: &DeployArgs) -> Result<(Settings, Aws)> {
    let source = config::source(args.source.as_deref())?;
    let target = config::target(args.target.as_deref())?;
    let owner = args.aws.expected_bucket_owner.as_deref();
    let settings = config::settings(source, target, &args.options, owner)?;
    let concurrency = Some(args.options.concurrency);
    Ok((settings, Aws::load(&AwsOptions { concurrency, ..config::aws_options(&args.aws) }).await))
}

async fn invalidate(args: InvalidateArgs, terminal: &Terminal) -> Result<Exit> {
    let which = Which::parse(&args.distribution, &args.distribution_tenant)?;
    let patience = config::patience(&args.wait)?;
    let mut paths = Vec::new();
    for path in args.paths {
        if path == "-" {
            let read = std::io::read_to_string(std::io::stdin());
            let text = read.map_err(|error| Error::usage(format!("cannot read paths from stdin: {error}")))?;
            paths.extend(text.lines().map(str::to_owned));
        } else {
            paths.push(path);
        }
    }
    let options: AwsOptions = config::aws_options(&args.aws);
    let report = commands::invalidate::invalidate(
        &Aws::load(&options).await,
        &which,
        &paths,
        &new_deploy_id(),
        patience,
        terminal,
    )
    .await?;
    terminal.report(&report, report.warnings(), report.errors());
    Ok(report.outcome.exit())
}

async fn status(args: &StatusArgs, terminal: &Terminal) -> Result<Exit> {
    let StatusArgs { site, orphans } = args;
    let place = config::place(site.record.as_deref(), false)?;
    let target = config::target(site.target.as_deref())?;
    let (prune_after, kinds) = (config::prune_after(orphans, true)?, config::kinds(orphans)?);
    let aws = Aws::load(&config::aws_options(&site.aws)).await;
    let owner = site.aws.expected_bucket_owner.as_deref();
    let goes_after = |key: &str, since| commands::status::goes_after(kinds.kind_of(key), prune_after, since);
    let status = commands::status::status(&aws, &target, &place, owner, goes_after).await?;
    terminal.report(&status, &[], &[]);
    Ok(Exit::Done)
}

async fn doctor(args: &DoctorArgs, terminal: &Terminal) -> Result<Exit> {
    #[cfg(feature = "edge")]
    let report = if args.local { shipfront::local::doctor(args, terminal).await? } else { doctor_remote(args).await? };
    #[cfg(not(feature = "edge"))]
    let report = doctor_remote(args).await?;
    let report = doctor::Report { columns: terminal.columns(), ..report };
    terminal.report(&report, &[], &[]);
    Ok(if report.outcome == State::Error { Exit::Failed } else { Exit::Done })
}

async fn doctor_remote(args: &DoctorArgs) -> Result<doctor::Report> {
    let aws = Aws::load(&config::aws_options(&args.aws)).await;
    Ok(config::doctor(args, config::target(args.target.as_deref())?)?.examine(&aws).await)
}

async fn unlock(args: &UnlockArgs, terminal: &Terminal) -> Result<Exit> {
    let place = config::place(args.site.record.as_deref(), false)?;
    let aws = Aws::load(&config::aws_options(&args.site.aws)).await;
    let owner = args.site.aws.expected_bucket_owner.as_deref();
    let locked = Locked::find(&aws, &config::target(args.site.target.as_deref())?, &place, owner).await?;
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

fn headers(args: &HeadersArgs, terminal: &Terminal) -> Result<Exit> {
    let template = headers_and_redirects::policy_template(&config::source(args.source.as_deref())?)?;
    terminal.document(&template, &template.warnings);
    Ok(Exit::Done)
}

fn redirects(args: &RedirectsArgs, terminal: &Terminal) -> Result<Exit> {
    let function =
        headers_and_redirects::redirect_function(&config::source(args.source.as_deref())?, args.directory_index)?;
    terminal.document(&function, &function.warnings);
    Ok(Exit::Done)
}

async fn tags(args: &TagsArgs, terminal: &Terminal) -> Result<Exit> {
    let which = Which::parse(&args.distribution, &args.distribution_tenant)?;
    let target = match (&args.target, args.backfill) {
        (None, false) => None,
        (target, _) => Some(config::target(target.as_deref())?),
    };
    let aws = Aws::load(&config::aws_options(&args.aws)).await;
    let Some(target) = target.as_ref().filter(|_| args.backfill) else {
        terminal.document(&enable::enable(&aws, &which, target.as_ref(), &args.header).await?, &[]);
        return Ok(Exit::Done);
    };
    let backfill = Backfill {
        target,
        distributions: which,
        policy: Policy::default(),
        patience: config::patience(&args.wait)?,
        record: config::place(args.record.as_deref(), false)?,
        expected_owner: args.aws.expected_bucket_owner.as_deref(),
        concurrency: usize::from(MOST_IN_FLIGHT),
        aws: &aws,
        terminal,
        stop: stop_on_signal(
            *terminal,
            "stopping: what is in flight is finished and invalidated; once more to stop at once",
        ),
    };
    let report = BackfillReport::new(Box::pin(backfill.run()).await?, target, &aws);
    terminal.report(&report, report.warnings(), report.errors());
    Ok(report.exit())
}

fn finish(report: &Report, terminal: &Terminal) -> Exit {
    terminal.report(report, &report.warnings, &report.errors);
    report.outcome.exit()
}

/// The first SIGINT or SIGTERM lets what is in flight finish; the second ends the process.
fn stop_on_signal(terminal: Terminal, saying: &'static str) -> CancellationToken {
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        signal().await;
        on_signal.cancel();
        terminal.say(saying);
        signal().await;
        #[expect(clippy::exit, reason = "the person asked twice")]
        std::process::exit(Exit::Interrupted as i32);
    });
    stop
}

async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
