//! The only module that prints: data to stdout, everything else to stderr.
//!
//! A message is one line, whatever it contains, and nothing that is printed controls the terminal or commands a CI
//! runner ([`crate::escape`]). In a run of GitHub Actions, an error or a warning is one command, an annotation,
//! whose content is data.

mod progress;

use crate::error::{Error, Result};
use crate::escape::{self, Annotation, Shown};
use crate::exit::Exit;
use crate::outcome::ErrorReport;
use crate::outcome::Failure;
use anstyle::{AnsiColor, Style};
pub use progress::Progress;
use serde::Serialize;
use shipfront_site::Warning;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The style of the word before a hint.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();

/// Number of errors to show individually; more of the same do not help.
const MOST_FAILURES: usize = 10;

/// How much to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Errors and warnings only.
    Quiet,
    /// What was done.
    Normal,
    /// Every file and every step.
    Verbose,
}

/// The program's output.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    volume: Volume,
    json: bool,
    annotates: bool,
    is_build: bool,
    began: Instant,
}

impl Terminal {
    /// With `json`, stdout contains one JSON object and nothing else.
    pub fn new(volume: Volume, json: bool) -> Terminal {
        Terminal { volume, json, annotates: false, is_build: false, began: Instant::now() }
    }

    /// Whether errors and warnings are annotations of a GitHub Actions run, which also shows them in the log.
    #[must_use]
    pub fn annotating(self, annotates: bool) -> Terminal {
        Terminal { annotates, ..self }
    }

    /// Whether stderr goes to the log of a build, which gets a line for each stage.
    #[must_use]
    pub fn logging_stages(self, is_build: bool) -> Terminal {
        Terminal { is_build, ..self }
    }

    /// Whether stdout is for a machine: one JSON object.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether success is silent.
    pub fn is_quiet(&self) -> bool {
        self.volume < Volume::Normal
    }

    /// The width of stdout; `None` if it is not a terminal.
    pub fn columns(&self) -> Option<u16> {
        columns(&std::io::stdout())
    }

    /// Whether every file is listed.
    pub fn is_verbose(&self) -> bool {
        self.volume == Volume::Verbose
    }

    /// Prints a line about progress.
    pub fn say(&self, text: impl Display) {
        if self.volume >= Volume::Normal {
            to_stderr(&Shown(text));
        }
    }

    /// Prints a line only with `--verbose`.
    pub fn detail(&self, text: impl Display) {
        if self.volume == Volume::Verbose {
            to_stderr(&Shown(text));
        }
    }

    /// Prints a warning.
    pub fn warn(&self, warning: &Warning) {
        if self.annotates {
            return annotate(Annotation::Warning, &Shown(warning).to_string());
        }
        to_stderr(&format_args!("{WARNING}warning:{WARNING:#} {}", Shown(warning)));
    }

    /// Prints an error and its hint; with `--json` also on stdout, with the outcome that matches the exit code.
    pub fn fail(&self, error: &Error) {
        if self.json {
            // The run has already failed, and says so on stderr as well.
            let _ = self.write_json(&ErrorReport::of(error));
        }
        self.problem(error, Some(error.hint_text()));
    }

    fn problem(&self, error: &dyn Display, hint: Option<&str>) {
        if self.annotates {
            let hint = hint.map(|hint| format!("\nhint: {}", Shown(hint))).unwrap_or_default();
            return annotate(Annotation::Error, &format!("{}{hint}", Shown(error)));
        }
        to_stderr(&format_args!("{ERROR}error:{ERROR:#} {}", Shown(error)));
        if let Some(hint) = hint {
            to_stderr(&format_args!("{HINT}hint:{HINT:#} {}", Shown(hint)));
        }
    }

    /// Prints a report: as JSON with `--json`, otherwise as text with its warnings and errors.
    ///
    /// # Errors
    /// A report that could not be written; warnings and errors were shown nevertheless.
    pub fn report<T: Serialize + Display>(&self, report: &T, warnings: &[Warning], failures: &[Failure]) -> Result<()> {
        let written = self.result(report, columns(&std::io::stdout()));
        for warning in warnings {
            self.warn(warning);
        }
        self.failures(failures);
        written
    }

    /// Prints the report of a run: as JSON with `--json`, otherwise as text above and below the warnings, so that
    /// the last lines say how the run ended, with its errors.
    ///
    /// # Errors
    /// A report that could not be written; warnings and errors were shown nevertheless.
    pub fn report_run<T: Serialize>(
        &self,
        report: &T,
        (above, below): (&dyn Display, &dyn Display),
        warnings: &[Warning],
        failures: &[Failure],
    ) -> Result<()> {
        let columns = columns(&std::io::stdout());
        let mut written = if self.json { self.write_json(report) } else { self.write_text(above, columns) };
        for warning in warnings {
            self.warn(warning);
        }
        if !self.json {
            written = written.and(self.write_text(below, columns));
        }
        self.failures(failures);
        written
    }

    /// Prints a document to copy or run in the same way, without wrapping its lines.
    ///
    /// # Errors
    /// A document that could not be written.
    pub fn document<T: Serialize + Display>(&self, document: &T, warnings: &[Warning]) -> Result<()> {
        let written = self.result(document, None);
        for warning in warnings {
            self.warn(warning);
        }
        written
    }

    fn failures(&self, failures: &[Failure]) {
        for Failure { key, error, hint, .. } in failures.iter().take(MOST_FAILURES) {
            let key =
                key.as_deref().filter(|key| !error.contains(key)).map(|key| format!("{key}: ")).unwrap_or_default();
            self.problem(&format_args!("{key}{error}"), hint.as_deref());
        }
        if failures.len() > MOST_FAILURES {
            let more = format!("{} more errors are not shown", failures.len() - MOST_FAILURES);
            self.warn(&Warning::new(more, "--json lists all of them"));
        }
    }

    fn result<T: Serialize + Display>(&self, result: &T, columns: Option<u16>) -> Result<()> {
        if self.json { self.write_json(result) } else { self.write_text(result, columns) }
    }

    fn write_text(&self, text: &dyn Display, columns: Option<u16>) -> Result<()> {
        let text = if self.volume >= Volume::Normal { text.to_string() } else { String::new() };
        if text.is_empty() {
            return Ok(());
        }
        let text = wrapped(&escape::lines(&text), columns);
        // A reader that closes the pipe has seen enough.
        to_stdout(text.trim_end()).or_else(unless_nobody_reads).map_err(unwritten)
    }

    fn write_json(&self, value: &impl Serialize) -> Result<()> {
        escape::write_json(anstream::stdout(), value).map_err(unwritten)
    }

    /// Prints the result itself, even with `--quiet`.
    ///
    /// # Errors
    /// A text that could not be written.
    pub fn print(&self, text: impl Display) -> Result<()> {
        to_stdout(&escape::lines(&text.to_string())).or_else(unless_nobody_reads).map_err(unwritten)
    }

    /// The exit code of a run, given whether its report was written: one that indicates a problem stays as it is.
    ///
    /// # Errors
    /// A report that could not be written, if nothing else failed.
    pub fn ended(&self, exit: Exit, written: Result<()>) -> Result<Exit> {
        match written {
            Err(error) if exit == Exit::Done || exit == Exit::Changes => Err(error),
            Err(error) => {
                self.warn(&Warning::from(&error));
                Ok(exit)
            }
            Ok(()) => Ok(exit),
        }
    }

    /// Prints what is wrong with a command line, for JSON as `ours`, or the help that it asks for; returns the exit code.
    pub fn command_line(&self, error: &clap::Error, ours: &Error) -> std::process::ExitCode {
        let text = error.render().to_string();
        if self.json && error.use_stderr() {
            let _ = self.write_json(&ErrorReport::of(ours));
        }
        if self.annotates && error.use_stderr() {
            annotate(Annotation::Error, text.trim().trim_start_matches("error: "));
            return std::process::ExitCode::from(2);
        }
        let shown = escape::lines(&text);
        match shown == text {
            // In color, if available.
            true if error.use_stderr() => {
                let text = wrapped(&error.render().ansi().to_string(), columns(&std::io::stderr()));
                write_line(&mut anstream::stderr(), &text.trim_end());
            }
            true => drop(error.print()),
            false => write_line(&mut anstream::stderr(), &shown),
        }
        std::process::ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    }

    /// Asks for confirmation; without a terminal, the answer is no.
    pub fn confirm(&self, statement: &str, question: &str) -> bool {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return false;
        }
        write_line(&mut anstream::stderr(), &format_args!("{}\n{question} [y/N]", Shown(statement)));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }

    /// Progress of comparing or sending this many files and bytes.
    pub fn transfer(&self, label: &'static str, files: u64, bytes: u64) -> Progress {
        Progress::transfer(label, files, bytes, self.progress())
    }

    /// Progress of waiting for something.
    pub fn wait(&self, label: &'static str) -> Progress {
        Progress::wait(label, self.progress())
    }

    fn progress(&self) -> progress::Place {
        progress::Place { shown: self.volume >= Volume::Normal, is_build: self.is_build, began: self.began }
    }
}

/// Writes a whole text to stdout.
fn to_stdout(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// A closed pipe is not an error.
fn unless_nobody_reads(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

fn unwritten(error: io::Error) -> Error {
    Error::failed(format!("cannot write the result to stdout: {error}"))
        .hint("finished work stays in place; check where stdout goes, and run again")
}

/// Writes a line to stderr; a reader that went away is not an error.
fn write_line(stream: &mut dyn Write, text: &dyn Display) {
    let _ = writeln!(stream, "{text}");
}

/// Writes a line for people.
fn to_stderr(text: &dyn Display) {
    let text = escape::lines(&text.to_string());
    write_line(&mut anstream::stderr(), &wrapped(&text, columns(&std::io::stderr())));
}

/// Writes an annotation, which is one line whatever it contains.
fn annotate(kind: Annotation, text: &str) {
    write_line(&mut anstream::stderr(), &escape::annotation(kind, text));
}

/// The width of the terminal behind a stream; `None` if there is none.
#[cfg(unix)]
fn columns(stream: &impl std::os::fd::AsFd) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| width.0)
}

/// The same on Windows.
#[cfg(windows)]
fn columns(stream: &impl std::os::windows::io::AsHandle) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| width.0)
}

/// Wraps lines that are too long for the terminal, and indents continuation lines by two more.
fn wrapped(text: &str, columns: Option<u16>) -> String {
    let Some(columns) = columns.filter(|&columns| columns >= 20) else { return text.to_owned() };
    let wrap = |line: &str| {
        if textwrap::core::display_width(line) <= usize::from(columns) {
            return line.to_owned();
        }
        let start = line.len() - line.trim_start().len();
        let indent = " ".repeat(start.min(usize::from(columns) / 2));
        let next = format!("{indent}  ");
        let options = textwrap::Options::new(usize::from(columns)).initial_indent(&indent).subsequent_indent(&next);
        // A path or a command must stay whole to be copied.
        let options = options.break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::fill(&line[start..], options)
    };
    text.lines().map(wrap).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_on_a_narrow_terminal_and_nowhere_else() {
        let text = "Done:\n  invalidation I1 on distribution E1: 2 items for 6 changed URLs\n    /a-path-that-is-too-long-for-any-line-here\n";
        assert_eq!(wrapped(text, None), text);
        assert_eq!(
            wrapped(text, Some(36)),
            "Done:\n  invalidation I1 on distribution\n    E1: 2 items for 6 changed URLs\n    /a-path-that-is-too-long-for-any-line-here"
        );
    }
}
