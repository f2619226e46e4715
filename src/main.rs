//! The entry point of a terminal: parse, run, exit code. Named `bootstrap`, the program is a Lambda function instead.

use shipfront::cli::{Cli, Command};
use shipfront::commands::{
    conformance, deploy, doctor, documents, headers, import, init, invalidate, policy, redirects, status, tags, unlock,
};
use shipfront::config::merge::{Merged, Typed};
use shipfront::config::variables;
use shipfront::error::Result;
use shipfront::exit::Exit;
use shipfront::open_files;
use shipfront::terminal::{Terminal, Volume};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    open_files::raise_limit();
    #[cfg(feature = "lambda")]
    if shipfront::lambda::is_asked_for() {
        // What it says goes to the function's log.
        let terminal = Terminal::new(Volume::Normal, false);
        let ended = Box::pin(shipfront::lambda::run(terminal)).await;
        return exit_code(ended.map(|()| Exit::Done), &terminal);
    }
    let typed = match Typed::parse(std::env::args_os()) {
        Ok(typed) => typed,
        Err(error) => match variables::check(std::env::vars_os()) {
            // What the variable says may be all that is wrong with the line.
            Err(named) if error.use_stderr() => return exit_code(Err(named), &Terminal::new(Volume::Normal, false)),
            _ => return Terminal::command_line(&error),
        },
    };
    let terminal = Terminal::new(volume(&typed.cli), typed.cli.json);
    let ended = match with_file(typed, &terminal) {
        Ok(cli) => run(cli.command, &terminal).await,
        Err(error) => Err(error),
    };
    exit_code(ended, &terminal)
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
    // Where the working directory was removed, what is named by absolute paths is found all the same.
    let here = std::env::current_dir().unwrap_or_default();
    variables::check(std::env::vars_os())?;
    for warning in variables::unknown(std::env::vars_os()) {
        terminal.warn(format_args!("{warning}"));
    }
    let Merged { cli, file } = typed.merge(&here)?;
    if let Some(file) = file {
        terminal.say(format_args!("settings from {file}"));
    }
    Ok(cli)
}

async fn run(command: Command, terminal: &Terminal) -> Result<Exit> {
    match command {
        Command::Deploy(args) => deploy::run(&args, terminal).await,
        Command::Plan(args) => deploy::plan(&args, terminal).await,
        Command::Invalidate(args) => invalidate::run(&args, terminal).await,
        Command::Status(args) => status::run(&args, terminal).await,
        Command::Unlock(args) => unlock::run(&args, terminal).await,
        Command::Doctor(args) => doctor::run(&args, terminal).await,
        Command::Conformance(args) => conformance::run(&args, terminal).await,
        Command::Policy(args) => policy::run(&args, terminal),
        Command::Completions(args) => documents::completions(&args, terminal),
        Command::Man(args) => documents::man(&args, terminal),
        Command::Headers(args) => headers::run(&args, terminal),
        Command::Redirects(args) => redirects::run(&args, terminal),
        Command::Tags(args) => tags::run(&args, terminal).await,
        #[cfg(feature = "edge")]
        Command::Preview(args) => shipfront::commands::preview::run(&args, terminal).await,
        Command::Init(args) => init::run(&args, terminal),
        Command::Import(args) => import::run(&args, terminal),
        Command::Schema => documents::schema(terminal),
    }
}

fn exit_code(ended: Result<Exit>, terminal: &Terminal) -> ExitCode {
    let exit = ended.unwrap_or_else(|error| {
        terminal.fail(&error);
        error.exit()
    });
    exit.into()
}
