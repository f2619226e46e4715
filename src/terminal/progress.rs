//! Progress of long work: a moving line on a terminal, timestamped lines in a log, nothing at all for what is done
//! at once.

use crate::escape::{self, escaped};
use crate::terminal::columns;
use crate::wording::{counted, grouped};
use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::{self, Display, Formatter};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A run that takes no longer than this shows nothing on a terminal: it would only flicker.
const FLICKER: Duration = Duration::from_millis(500);
/// When the first line of a log is written, and the interval until the next.
const FIRST_LINE: Duration = Duration::from_secs(10);
const NEXT_LINE: Duration = Duration::from_secs(30);
/// Before this much time and this share of the work, the remaining time cannot be estimated.
const FIRST_ESTIMATE: Duration = Duration::from_secs(3);
const FIRST_SHARE: f64 = 0.05;
/// Number of bytes that take as long as the request for a file itself.
const FILE_COST: f64 = 64_000.0;
/// Number of columns below which a bar replaces figures.
const NARROW: u16 = 80;

/// Where progress is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Whether anything is shown.
    pub shown: bool,
    /// Whether it is the log of a build, which gets a line for each stage.
    pub is_build: bool,
    /// When the run began.
    pub began: Instant,
}

/// How much is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    files: u64,
    bytes: u64,
}

/// Counters that many threads share.
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

/// Progress of a stage, which disappears from the terminal when dropped.
#[derive(Debug)]
pub struct Progress {
    label: &'static str,
    since: Instant,
    done: Arc<Counter>,
    /// `None` if nothing is counted.
    total: Option<Amount>,
    face: Face,
}

#[derive(Debug)]
enum Face {
    Hidden,
    Bar(Bar),
    Log(Mutex<Log>),
}

/// A line on a terminal, drawn once the run has taken a while. The sender ends the wait for that.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    _drawing: Sender<()>,
}

#[derive(Debug)]
struct Log {
    due: Duration,
    begun: bool,
}

impl Progress {
    /// A number of files and bytes to compare or send.
    pub(super) fn transfer(label: &'static str, files: u64, bytes: u64, place: Place) -> Progress {
        let (done, since) = (Arc::<Counter>::default(), Instant::now());
        let total = Amount { files, bytes };
        let standing = {
            let done = done.clone();
            move || Standing { done: done.read(), total, after: since.elapsed() }
        };
        let face = Face::of(place, label, |style| {
            let files = standing.clone();
            let left = standing.clone();
            let template = template(columns(&std::io::stderr()));
            let bar = move |_: &ProgressState, out: &mut dyn fmt::Write| {
                let filled = (standing().share() * BAR as f64) as usize;
                let _ = write!(out, "{:━<filled$}{:┄<rest$}", "", "", rest = BAR.saturating_sub(filled));
            };
            let files = move |_: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{}", files());
            };
            let left = move |_: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{}", left().left());
            };
            Ok(style.template(template)?.with_key("share", bar).with_key("amount", files).with_key("left", left))
        });
        Progress { label, since, done, total: Some(total), face }
    }

    /// Work that cannot be counted, described by messages.
    pub(super) fn wait(label: &'static str, place: Place) -> Progress {
        let face = Face::of(place, label, |style| style.template("{prefix:10} {spinner} {msg}"));
        Progress { label, since: Instant::now(), done: Arc::default(), total: None, face }
    }

    /// Counts bytes as done.
    pub fn add(&self, bytes: u64) {
        self.done.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.show(|standing| format!("{standing}{}", standing.left()));
    }

    /// Counts one file as done.
    pub fn file(&self) {
        self.done.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows what the run waits for.
    pub fn message(&self, text: &str) {
        if let Face::Bar(bar) = &self.face {
            bar.bar.set_message(escaped(text).into_owned());
        }
        self.show(|_| text.to_owned());
    }

    fn standing(&self) -> Standing {
        Standing { done: self.done.read(), total: self.total.unwrap_or_default(), after: self.since.elapsed() }
    }

    fn show(&self, text: impl FnOnce(Standing) -> String) {
        match &self.face {
            Face::Hidden | Face::Bar(_) => {}
            Face::Log(log) => {
                // A thread that arrives while another one writes has nothing to add.
                let Ok(mut log) = log.try_lock() else { return };
                if log.is_due(self.since.elapsed()) {
                    write_line(self.label, &text(self.standing()));
                }
            }
        }
    }
}

impl Log {
    /// The log of a build has a line at the end, however short the stage was.
    fn new(is_build: bool) -> Log {
        Log { due: FIRST_LINE, begun: is_build }
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
        place: Place,
        label: &'static str,
        styled: impl FnOnce(ProgressStyle) -> Result<ProgressStyle, indicatif::style::TemplateError>,
    ) -> Face {
        if !place.shown {
            return Face::Hidden;
        }
        if !std::io::stderr().is_terminal() {
            return Face::Log(Mutex::new(Log::new(place.is_build)));
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_prefix(label);
        if let Ok(style) = styled(ProgressStyle::default_bar()) {
            bar.set_style(style);
        }
        let (drawing, dropped) = channel();
        let (drawn, wait) = (bar.clone(), FLICKER.saturating_sub(place.began.elapsed()));
        // Without a thread to draw it, a run works just as well.
        let _ = std::thread::Builder::new().spawn(move || {
            if dropped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                drawn.set_draw_target(ProgressDrawTarget::stderr());
                drawn.enable_steady_tick(Duration::from_millis(120));
            }
        });
        Face::Bar(Bar { bar, _drawing: drawing })
    }
}

/// The width of a bar.
const BAR: usize = 16;

/// What fits on a line.
fn template(columns: Option<u16>) -> &'static str {
    match columns {
        Some(columns) if columns < NARROW => "{prefix:9} {amount}",
        _ => "{prefix:10} {share} {amount}{left}",
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &self.face {
            Face::Hidden => {}
            Face::Bar(bar) => bar.bar.finish_and_clear(),
            Face::Log(log) => {
                let begun = log.lock().unwrap_or_else(PoisonError::into_inner).begun;
                let seconds = self.since.elapsed().as_secs_f64();
                match self.total {
                    _ if !begun => {}
                    Some(_) => write_line(self.label, &self.standing().at_the_end()),
                    None => write_line(self.label, &format!("done in {seconds:.1} s")),
                }
            }
        }
    }
}

/// How far something with a total is, and how long it has been running.
#[derive(Debug, Clone, Copy)]
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
            "{} of {}, {} of {}, {}/s",
            grouped(done.files),
            counted(total.files, "file"),
            DecimalBytes(done.bytes),
            DecimalBytes(total.bytes),
            DecimalBytes(rate as u64)
        )
    }
}

impl Standing {
    /// The share of the work that is done, by files and bytes: small files each cost a request, large ones their
    /// bytes.
    fn share(&self) -> f64 {
        let work = |amount: Amount| amount.bytes as f64 + amount.files as f64 * FILE_COST;
        let total = work(self.total);
        if total > 0.0 { (work(self.done) / total).clamp(0.0, 1.0) } else { 1.0 }
    }

    /// The remaining time, once that can be estimated.
    fn left(&self) -> String {
        let share = self.share();
        if self.after < FIRST_ESTIMATE || share < FIRST_SHARE {
            return String::new();
        }
        let left = self.after.mul_f64((1.0 - share) / share);
        format!(", about {} left", HumanDuration(left))
    }

    fn at_the_end(&self) -> String {
        let Standing { done, total, after } = self;
        let of = if done.files == total.files { String::new() } else { format!(" of {}", grouped(total.files)) };
        let (bytes, seconds) = (DecimalBytes(done.bytes), after.as_secs_f64());
        format!("{}{of} files, {bytes}, in {seconds:.1} s", grouped(done.files))
    }
}

fn write_line(label: &str, text: &str) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    // A closed pipe is not an error.
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
    fn a_line_shows_files_bytes_and_rate() {
        assert_eq!(standing(120, 20_000_000, 10).to_string(), "120 of 800 files, 20.00 MB of 80.00 MB, 2.00 MB/s");
        assert_eq!(standing(0, 0, 10).to_string(), "0 of 800 files, 0 B of 80.00 MB, 0 B/s");
        assert_eq!(standing(800, 80_000_000, 40).at_the_end(), "800 files, 80.00 MB, in 40.0 s");
        assert_eq!(standing(3, 1000, 2).at_the_end(), "3 of 800 files, 1.00 kB, in 2.0 s");
    }

    #[test]
    fn what_is_left_is_estimated_by_files_and_bytes_and_not_too_early() {
        assert_eq!(standing(400, 40_000_000, 20).left(), ", about 20 seconds left");
        assert_eq!(standing(400, 40_000_000, 2).left(), "", "too early");
        assert_eq!(standing(10, 1_000_000, 20).left(), "", "too little is done");
        // Half of the files, but few of the bytes: bytes alone would be ten times off.
        assert_eq!(standing(400, 4_000_000, 20).left(), ", about 69 seconds left");
    }

    #[test]
    fn a_log_has_no_line_of_what_is_short_and_few_of_what_is_long() {
        let mut log = Log::new(false);
        let lines = (0..120).filter(|&second| log.is_due(Duration::from_secs(second)));
        assert_eq!(lines.collect::<Vec<_>>(), [10, 40, 70, 100]);
        let mut short = Log::new(false);
        assert!(!(0..10).any(|second| short.is_due(Duration::from_secs(second))));
        assert!(!short.begun);
        assert!(Log::new(true).begun, "a build's log has a line for each stage");
    }
}
