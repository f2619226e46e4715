//! The only module that prints: data to stdout, everything else to stderr.

use crate::deploy::report::Failure;
use crate::error::Error;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Errors named one by one; a wall of the same one helps nobody.
const MOST_FAILURES: usize = 10;

/// What takes no longer than this shows no progress.
const FLICKER: Duration = Duration::from_millis(200);

/// How much a person wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Errors and warnings only.
    Quiet,
    /// What was done.
    Normal,
    /// Every file and every step.
    Verbose,
}

/// Where the program speaks.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    volume: Volume,
    json: bool,
}

impl Terminal {
    /// With `json`, stdout carries one JSON object and nothing else.
    pub fn new(volume: Volume, json: bool) -> Terminal {
        Terminal { volume, json }
    }

    /// Whether every file is to be named.
    pub fn is_verbose(&self) -> bool {
        self.volume == Volume::Verbose
    }

    /// Tells what is going on.
    pub fn say(&self, text: impl Display) {
        if self.volume >= Volume::Normal {
            write_line(&mut anstream::stderr(), &text);
        }
    }

    /// Tells what only the curious want to know.
    pub fn detail(&self, text: impl Display) {
        if self.volume == Volume::Verbose {
            write_line(&mut anstream::stderr(), &text);
        }
    }

    /// Tells what went other than one may expect.
    pub fn warn(&self, text: impl Display) {
        write_line(&mut anstream::stderr(), &format_args!("{WARNING}warning:{WARNING:#} {text}"));
    }

    /// Tells an error and its hint; with `--json`, on stdout too, under the outcome that fits the exit code.
    pub fn fail(&self, error: &Error) {
        if self.json {
            #[derive(Serialize)]
            struct Failure<'a> {
                shipfront: &'static str,
                outcome: &'static str,
                error: String,
                hint: Option<&'a str>,
            }
            let shipfront = env!("CARGO_PKG_VERSION");
            self.write_json(&Failure {
                shipfront,
                outcome: error.outcome(),
                error: error.to_string(),
                hint: error.hint_text(),
            });
        }
        self.problem(error, error.hint_text());
    }

    fn problem(&self, error: &dyn Display, hint: Option<&str>) {
        write_line(&mut anstream::stderr(), &format_args!("{ERROR}error:{ERROR:#} {error}"));
        if let Some(hint) = hint {
            write_line(&mut anstream::stderr(), &format_args!("{HINT}hint:{HINT:#} {hint}"));
        }
    }

    /// Hands out a report: as JSON where that was asked for, else as text with its warnings and errors.
    pub fn report<T: Serialize + Display>(&self, report: &T, warnings: &[String], failures: &[Failure]) {
        self.result(report);
        for warning in warnings {
            self.warn(warning);
        }
        for Failure { key, error, hint, .. } in failures.iter().take(MOST_FAILURES) {
            let key =
                key.as_deref().filter(|key| !error.contains(key)).map(|key| format!("{key}: ")).unwrap_or_default();
            self.problem(&format_args!("{key}{error}"), hint.as_deref());
        }
        if failures.len() > MOST_FAILURES {
            self.warn(format_args!("{} more errors are in the --json report", failures.len() - MOST_FAILURES));
        }
    }

    fn result<T: Serialize + Display>(&self, result: &T) {
        if self.json {
            self.write_json(result);
        } else if self.volume >= Volume::Normal {
            let text = result.to_string();
            write_line(&mut anstream::stdout(), &text.trim_end());
        }
    }

    fn write_json(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => write_line(&mut anstream::stdout(), &text),
            Err(error) => self.warn(format_args!("the result cannot be written as JSON: {error}")),
        }
    }

    /// Hands out what was asked for and nothing else, however quiet it is to be.
    pub fn print(&self, text: impl Display) {
        write_line(&mut anstream::stdout(), &text);
    }

    /// Asks a person; without one at a terminal the answer is no.
    pub fn confirm(&self, statement: &str, question: &str) -> bool {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return false;
        }
        write_line(&mut anstream::stderr(), &format_args!("{statement}\n{question} [y/N]"));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }

    /// A bar that counts bytes to a known total.
    pub fn bytes(&self, label: &'static str, total: u64) -> Progress {
        self.progress(
            label,
            Some(total),
            "{prefix:11} {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
        )
    }

    /// A count of things whose total nobody knows.
    pub fn count(&self, label: &'static str) -> Progress {
        self.progress(label, None, "{prefix:11} {human_pos} {msg}")
    }

    fn progress(&self, label: &'static str, total: Option<u64>, template: &str) -> Progress {
        let shown = self.volume >= Volume::Normal && std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_prefix(label);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, since: Instant::now(), waiting: AtomicBool::new(shown) }
    }
}

/// A line to stdout or stderr; a reader that went away is no error of ours.
fn write_line(stream: &mut dyn Write, text: &dyn Display) {
    let _ = writeln!(stream, "{text}");
}

/// Progress of something long, shown on a terminal only, gone when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    since: Instant,
    /// Whether it is to be shown and is not yet: what is done at once only flickers.
    waiting: AtomicBool,
}

impl Progress {
    /// More is done.
    pub fn add(&self, amount: u64) {
        self.show();
        self.bar.inc(amount);
    }

    /// So much is done in all.
    pub fn set(&self, position: u64) {
        self.show();
        self.bar.set_position(position);
    }

    /// What is being waited for.
    pub fn message(&self, text: String) {
        self.show();
        self.bar.set_message(text);
    }

    fn show(&self) {
        if self.waiting.load(Ordering::Relaxed)
            && self.since.elapsed() > FLICKER
            && self.waiting.swap(false, Ordering::Relaxed)
        {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(Duration::from_millis(120));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
