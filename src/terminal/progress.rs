//! Progress of something long: a line that moves on a terminal, dated lines in a log, nothing at all
//! for what is done at once.

use crate::escape::{self, escaped};
use crate::terminal::columns;
use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::{self, Display, Formatter};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What takes no longer than this shows nothing on a terminal: it would only flicker.
const FLICKER: Duration = Duration::from_millis(200);
/// When a log has its first line, and how long it is until the next.
const FIRST_LINE: Duration = Duration::from_secs(10);
const NEXT_LINE: Duration = Duration::from_secs(30);
/// Columns below which a bar takes the place of figures.
const NARROW: u16 = 80;

/// How far something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    files: u64,
    bytes: u64,
}

/// What many threads count in.
#[derive(Debug, Default)]
struct Counter {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    fn read(&self) -> Amount {
        Amount { files: self.files.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

/// Progress of something, gone from the terminal when dropped.
#[derive(Debug)]
pub struct Progress {
    label: &'static str,
    since: Instant,
    done: Arc<Counter>,
    /// `None` where nothing is counted.
    total: Option<Amount>,
    face: Face,
}

#[derive(Debug)]
enum Face {
    Hidden,
    /// With whether it is still to be shown.
    Bar(ProgressBar, AtomicBool),
    Log(Mutex<Log>),
}

#[derive(Debug)]
struct Log {
    due: Duration,
    begun: bool,
}

impl Progress {
    /// So many files and bytes to compare or to send.
    pub(super) fn transfer(label: &'static str, files: u64, bytes: u64, shown: bool) -> Progress {
        let done = Arc::<Counter>::default();
        let face = Face::of(shown, label, Some(bytes), |style| {
            let (done, template) = (done.clone(), template(columns(&std::io::stderr())));
            let files = move |_: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{}/{files}", done.read().files);
            };
            Ok(style.template(template)?.with_key("files", files))
        });
        Progress { label, since: Instant::now(), done, total: Some(Amount { files, bytes }), face }
    }

    /// Something that nobody can count, told by messages.
    pub(super) fn wait(label: &'static str, shown: bool) -> Progress {
        let face = Face::of(shown, label, None, |style| style.template("{prefix:10} {msg}"));
        Progress { label, since: Instant::now(), done: Arc::default(), total: None, face }
    }

    /// So many bytes more are done.
    pub fn add(&self, bytes: u64) {
        self.done.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Face::Bar(bar, _) = &self.face {
            bar.inc(bytes);
        }
        self.show(|standing| standing.to_string());
    }

    /// One file more is done.
    pub fn file(&self) {
        self.done.files.fetch_add(1, Ordering::Relaxed);
    }

    /// What is being waited for.
    pub fn message(&self, text: &str) {
        if let Face::Bar(bar, _) = &self.face {
            bar.set_message(escaped(text).into_owned());
        }
        self.show(|_| text.to_owned());
    }

    fn standing(&self) -> Standing {
        Standing { done: self.done.read(), total: self.total.unwrap_or_default(), after: self.since.elapsed() }
    }

    fn show(&self, text: impl FnOnce(Standing) -> String) {
        match &self.face {
            Face::Hidden => {}
            Face::Bar(bar, waiting) => {
                if waiting.load(Ordering::Relaxed)
                    && self.since.elapsed() > FLICKER
                    && waiting.swap(false, Ordering::Relaxed)
                {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                    bar.enable_steady_tick(Duration::from_millis(120));
                }
            }
            Face::Log(log) => {
                // Whoever comes while another one writes has nothing to add.
                let Ok(mut log) = log.try_lock() else { return };
                if log.is_due(self.since.elapsed()) {
                    write_line(self.label, &text(self.standing()));
                }
            }
        }
    }
}

impl Log {
    fn new() -> Log {
        Log { due: FIRST_LINE, begun: false }
    }

    fn is_due(&mut self, after: Duration) -> bool {
        let due = after >= self.due;
        if due {
            self.due = after + NEXT_LINE;
            self.begun = true;
        }
        due
    }
}

impl Face {
    fn of(
        shown: bool,
        label: &'static str,
        total: Option<u64>,
        styled: impl FnOnce(ProgressStyle) -> Result<ProgressStyle, indicatif::style::TemplateError>,
    ) -> Face {
        if !shown {
            return Face::Hidden;
        }
        if !std::io::stderr().is_terminal() {
            return Face::Log(Mutex::new(Log::new()));
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_prefix(label);
        if let Ok(style) = styled(ProgressStyle::default_bar()) {
            bar.set_style(style);
        }
        Face::Bar(bar, AtomicBool::new(true))
    }
}

/// What fits into a line.
fn template(columns: Option<u16>) -> &'static str {
    match columns {
        Some(columns) if columns < NARROW => "{prefix:9} {percent:>3}% {files} {decimal_bytes_per_sec} {eta}",
        _ => "{prefix:9} {bar:16} {files} files, {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta}",
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &self.face {
            Face::Hidden => {}
            Face::Bar(bar, _) => bar.finish_and_clear(),
            Face::Log(log) => {
                let begun = log.lock().unwrap_or_else(PoisonError::into_inner).begun;
                if begun && self.total.is_some() {
                    write_line(self.label, &self.standing().at_the_end());
                }
            }
        }
    }
}

/// How far something with a total is, and for how long it has been under way.
struct Standing {
    done: Amount,
    total: Amount,
    after: Duration,
}

impl Display for Standing {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Standing { done, total, after } = self;
        let rate = done.bytes as f64 / after.as_secs_f64().max(0.001);
        write!(
            out,
            "{} of {} files, {} of {}, {}/s",
            done.files,
            total.files,
            DecimalBytes(done.bytes),
            DecimalBytes(total.bytes),
            DecimalBytes(rate as u64)
        )?;
        if rate > 0.0 {
            let left = Duration::from_secs_f64(total.bytes.saturating_sub(done.bytes) as f64 / rate);
            write!(out, ", about {} left", HumanDuration(left))?;
        }
        Ok(())
    }
}

impl Standing {
    fn at_the_end(&self) -> String {
        let Standing { done, total, after } = self;
        let of = if done.files == total.files { String::new() } else { format!(" of {}", total.files) };
        let (bytes, seconds) = (DecimalBytes(done.bytes), after.as_secs());
        format!("{}{of} files, {bytes}, in {seconds} s", done.files)
    }
}

fn write_line(label: &str, text: &str) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    // A reader that went away is no error of ours.
    let _ = writeln!(anstream::stderr(), "{now} {label}: {}", escape::lines(&escaped(text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(files: u64, bytes: u64, seconds: u64) -> Standing {
        let total = Amount { files: 800, bytes: 80_000_000 };
        Standing { done: Amount { files, bytes }, total, after: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_line_tells_files_bytes_rate_and_what_is_left() {
        assert_eq!(
            standing(120, 20_000_000, 10).to_string(),
            "120 of 800 files, 20.00 MB of 80.00 MB, 2.00 MB/s, about 30 seconds left"
        );
        assert_eq!(standing(0, 0, 10).to_string(), "0 of 800 files, 0 B of 80.00 MB, 0 B/s");
        assert_eq!(standing(800, 80_000_000, 40).at_the_end(), "800 files, 80.00 MB, in 40 s");
        assert_eq!(standing(3, 1000, 2).at_the_end(), "3 of 800 files, 1.00 kB, in 2 s");
    }

    #[test]
    fn a_log_has_no_line_of_what_is_short_and_few_of_what_is_long() {
        let mut log = Log::new();
        let lines = (0..120).filter(|&second| log.is_due(Duration::from_secs(second)));
        assert_eq!(lines.collect::<Vec<_>>(), [10, 40, 70, 100]);
        let mut short = Log::new();
        assert!(!(0..10).any(|second| short.is_due(Duration::from_secs(second))));
        assert!(!short.begun);
    }
}
