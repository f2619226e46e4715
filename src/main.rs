//! The entry point from a terminal: parses, runs, and sets the exit code. If it is named `bootstrap`, the program
//! is a Lambda function instead.

use shipfront::cli::Cli;
use shipfront::commands;
use shipfront::config::merge::{Merged, Typed, as_error};
use shipfront::config::variables;
use shipfront::error::{Error, Result};
use shipfront::exit::Exit;
use shipfront::open_files;
use shipfront::terminal::{Terminal, Volume};
use std::process::ExitCode;

/// A fifth of a deploy's CPU time went to the allocator of glibc. The one of musl, with which the Linux archives are linked,
/// has one lock for all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    open_files::raise_limit();
    if let Some(limit) = open_files::too_few() {
        let error = Error::failed(format!("the limit of open files is {limit}, too few for shipfront"))
            .hint("raise the limit with 'ulimit -n 64'");
        return exit_code(Err(error), &Terminal::new(Volume::Normal, false));
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(started()),
        Err(error) => {
            let error = Error::failed(format!("the program cannot start: {error}"));
            exit_code(Err(error), &Terminal::new(Volume::Normal, false))
        }
    }
}

async fn started() -> ExitCode {
    #[cfg(feature = "lambda")]
    if shipfront::lambda::is_asked_for() {
        // Its output goes to the function's log.
        let terminal = Terminal::new(Volume::Normal, false);
        let ended = shipfront::lambda::run(terminal).await;
        return exit_code(ended.map(|()| Exit::Done), &terminal);
    }
    let typed = match Typed::parse(std::env::args_os()) {
        Ok(typed) => typed,
        Err(error) => match variables::check(std::env::vars_os()) {
            // The variable may be the only thing wrong with the command line.
            Err(named) if error.use_stderr() => return exit_code(Err(named), &terminal(Volume::Normal, wants_json())),
            _ => return terminal(Volume::Normal, wants_json()).command_line(&error, &as_error(&error)),
        },
    };
    let terminal = terminal(volume(&typed.cli), typed.cli.json);
    let ended = match with_file(typed, &terminal) {
        Ok(cli) => commands::run(cli.command, &terminal).await,
        Err(error) => Err(error),
    };
    exit_code(ended, &terminal)
}

/// Whether a command line that cannot be read asks for JSON.
fn wants_json() -> bool {
    let mut options = std::env::args_os().take_while(|argument| argument != "--");
    options.any(|argument| argument == "--json" || argument == "--json=true")
}

/// The terminal, or the log of a build. GitHub's runner sets a variable of its own
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/variables>), as does CodeBuild
/// (<https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html>); most others set `CI`.
fn terminal(volume: Volume, json: bool) -> Terminal {
    let is_true = |name| std::env::var(name).is_ok_and(|value| value == "true" || value == "1");
    let is_build = is_true("CI") || std::env::var_os("CODEBUILD_BUILD_ID").is_some();
    Terminal::new(volume, json).annotating(is_true("GITHUB_ACTIONS")).logging_stages(is_build)
}

fn volume(cli: &Cli) -> Volume {
    match (cli.quiet, cli.verbose) {
        (true, _) => Volume::Quiet,
        (_, true) => Volume::Verbose,
        _ => Volume::Normal,
    }
}

/// The command line with the settings of the file, if there is one.
fn with_file(typed: Typed, terminal: &Terminal) -> Result<Cli> {
    // If the working directory was removed, absolute paths can still be found.
    let here = std::env::current_dir().unwrap_or_default();
    variables::check(std::env::vars_os())?;
    for warning in variables::unknown(std::env::vars_os()) {
        terminal.warn(&warning);
    }
    let Merged { cli, file } = typed.merge(&here)?;
    if let Some(file) = file {
        terminal.say(format_args!("Settings from {file}"));
    }
    Ok(cli)
}

fn exit_code(ended: Result<Exit>, terminal: &Terminal) -> ExitCode {
    let exit = ended.unwrap_or_else(|error| {
        terminal.fail(&error);
        error.exit()
    });
    exit.into()
}
