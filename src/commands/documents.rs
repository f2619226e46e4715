//! `completions`, `man` and `schema`: what shells, manuals and editors need to know about the command line and the
//! settings file.

use crate::cli::Cli;
use crate::cli::documents::{CompletionsArgs, ManArgs};
use crate::config::schema::Schema;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::terminal::Terminal;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io::Write;
use std::process::{Command as Process, Stdio};

/// `completions`.
pub fn completions(args: &CompletionsArgs, terminal: &Terminal) -> Result<Exit> {
    terminal.print(script(args.shell)?.trim_end())?;
    Ok(Exit::Done)
}

/// `man`.
pub fn man(args: &ManArgs, terminal: &Terminal) -> Result<Exit> {
    let page = manual(args.command.as_deref())?;
    // At a terminal, the page is displayed by 'man'; elsewhere it is written to a file or read by another program.
    if terminal.columns().is_none() || !VIEWERS.iter().any(|(viewer, options)| is_shown(viewer, options, &page)) {
        terminal.print(page.trim_end())?;
    }
    Ok(Exit::Done)
}

/// Programs that display a manual page from stdin: the one of man-db, and the one of macOS and the BSDs.
const VIEWERS: [(&str, &[&str]); 2] = [("man", &["-l", "-"]), ("mandoc", &["-a"])];

/// Whether a program displayed a page.
fn is_shown(viewer: &str, options: &[&str], page: &str) -> bool {
    let started = Process::new(viewer).args(options).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = started else { return false };
    // A viewer that is closed before the end of the page has displayed enough.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(page.as_bytes()));
    drop(written);
    child.wait().is_ok_and(|status| status.success())
}

/// `schema`.
pub fn schema(terminal: &Terminal) -> Result<Exit> {
    terminal.document(&Schema::new(), &[])?;
    Ok(Exit::Done)
}

/// The completion script for a shell.
fn script(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "shipfront", &mut script);
    text(script)
}

/// A manual page in roff, for the program or for a command.
fn manual(command: Option<&str>) -> Result<String> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let page = match command {
        None => page(&program, "aws(1)"),
        Some(name) => {
            let known = program.find_subcommand(name).ok_or_else(|| {
                Error::usage(format!("there is no command {name}")).hint("'shipfront help' names the commands")
            })?;
            page(known, "shipfront(1)")
        }
    };
    text(page.map_err(|error| Error::failed(format!("the manual page: {error}")))?)
}

fn page(command: &Command, see_also: &str) -> std::io::Result<Vec<u8>> {
    // The usage instead of every flag: those are below, and a synopsis of forty flags is useless.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let man = Man::new(command.clone().override_usage(usage));
    // Without a date, so that builds of the same sources are identical; the two quotes are its placeholder.
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut page = format!(".TH {name} 1 \"\" \"shipfront {}\"\n", env!("CARGO_PKG_VERSION")).into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(help) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        for part in help.to_string().split("\n\n") {
            section(part, &mut rest);
        }
    }
    rest.control("SH", ["SEE ALSO"]).text([roman(see_also)]);
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// A part of the help that follows the options. Most have a title, and lines that must not be joined.
fn section(part: &str, page: &mut Roff) {
    let titled = part.split_once(":\n").filter(|(title, _)| !title.contains('\n'));
    let Some((title, lines)) = titled else {
        page.control("SH", ["NOTES"]).text([roman(part.replace('\n', " "))]);
        return;
    };
    page.control("SH", [title.to_uppercase().as_str()]);
    for line in lines.lines() {
        // A command with its explanation is too wide for a terminal of 80 columns.
        match line.trim_start().split_once("  ") {
            Some((command, explanation)) if title == "Examples" => {
                page.control("TP", []).text([bold(command)]).text([roman(explanation.trim_start())]);
            }
            _ => {
                page.control("nf", []).text([roman(line)]).control("fi", []);
            }
        }
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Error::failed(format!("not UTF-8: {error}")))
}
