//! `completions` and `man`: what a shell and a manual want to know of the command line.

use super::Cli;
use crate::error::{Error, Result};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell's script of completions.
pub fn completions(shell: Shell) -> Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "shipfront", &mut script);
    text(script)
}

/// The manual page, in roff: the program's own, then one section a command.
pub fn manual() -> Result<String> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let failed = |error: std::io::Error| Error::failed(format!("the manual page: {error}"));
    Man::new(command.clone()).render(&mut page).map_err(failed)?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        section(command, &mut page).map_err(failed)?;
    }
    text(page)
}

/// A command's part of the page.
fn section(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let name = format!("shipfront {}", command.get_name());
    let man = Man::new(command.clone().bin_name(&name).display_name(&name));
    page.extend(format!(".SH \"{}\"\n", name.to_uppercase()).bytes());
    let mut body = Vec::new();
    man.render_description_section(&mut body)?;
    man.render_synopsis_section(&mut body)?;
    man.render_options_section(&mut body)?;
    // Sections of a page of its own are subsections of this one.
    let body = String::from_utf8_lossy(&body).replace(".SH ", ".SS ");
    page.extend(body.bytes());
    Ok(())
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Error::failed(format!("not UTF-8: {error}")))
}
