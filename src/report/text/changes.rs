//! The changes as a diff: wave by wave, in columns that are aligned throughout, with folders summarized if there
//! are many.

use crate::deploy::change::{Action, Reason};
use crate::escape::Shown;
use crate::report::sizes::Sizes;
use crate::report::text::invalidation::PathsByFile;
use crate::report::{Fate, ReportedChange};
use crate::wording::grouped;
use anstyle::{AnsiColor, Style};
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};
use textwrap::core::display_width;

/// Number of lines of a wave before its folders are summarized.
const SHORT_LIST: usize = 20;
/// Maximum width of the name column, if the width of the terminal is not known.
const NAMES: usize = 60;
/// Minimum width, however little room there is.
const FEW_LETTERS: usize = 8;
/// Minimum width of the size column.
const SIZE: usize = 9;
/// Columns before a name: two blanks, the sign, and one more.
const SIGN: usize = 4;

/// How a list is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Whether every file is named.
    pub verbose: bool,
    /// The width of the terminal.
    pub columns: Option<u16>,
}

/// The waves of a deploy with their titles, each in key order.
pub(super) type Waves<'a> = [(&'static str, Vec<&'a ReportedChange>); 3];

/// One line: a file, or a folder with everything below it.
struct Line<'a> {
    name: &'a str,
    changes: Vec<&'a ReportedChange>,
    is_folder: bool,
}

/// A line's parts other than its name.
struct Parts {
    size: String,
    reason: String,
    /// The paths that are invalidated for the file.
    paths: String,
}

/// Writes the changes of all waves.
pub(super) fn write(
    out: &mut Formatter<'_>,
    waves: &Waves<'_>,
    by_file: &PathsByFile<'_>,
    manner: Manner,
) -> fmt::Result {
    let folded = |changes: &[&ReportedChange]| !manner.verbose && changes.len() > SHORT_LIST;
    let lists: Vec<Vec<Line<'_>>> = waves
        .iter()
        .map(|(_, changes)| if folded(changes) { summed_up(changes) } else { cut(changes, usize::MAX) })
        .collect();
    let parts = |line: &Line<'_>| Parts {
        size: Sizes::of(line.changes.iter().copied()).text("->"),
        reason: reason(line),
        paths: if line.is_folder { String::new() } else { by_file.of(line.name) },
    };
    let parts: Vec<Vec<Parts>> = lists.iter().map(|lines| lines.iter().map(parts).collect()).collect();
    let widths = Widths::new(&lists, &parts, manner);
    for (((title, changes), lines), parts) in waves.iter().zip(&lists).zip(&parts) {
        if changes.is_empty() {
            continue;
        }
        writeln!(out, "{title}:")?;
        let shown = if folded(changes) { lines.len().min(SHORT_LIST) } else { lines.len() };
        for (line, parts) in lines[..shown].iter().zip(parts) {
            widths.write(out, line, parts)?;
        }
        let rest: usize = lines[shown..].iter().map(|line| line.changes.len()).sum();
        if rest > 0 {
            writeln!(out, "  ... and {} more files", grouped(rest as u64))?;
        }
        if folded(changes) {
            writeln!(out, "  (--verbose lists all {} files)", grouped(changes.len() as u64))?;
        }
    }
    Ok(())
}

/// As much of the tree as fits.
fn summed_up<'a>(changes: &[&'a ReportedChange]) -> Vec<Line<'a>> {
    let deepest = changes.iter().map(|change| change.key.matches('/').count()).max().unwrap_or(0);
    let depth = (1..=deepest).rev().find(|&depth| is_short(changes, depth));
    cut(changes, depth.unwrap_or(0))
}

/// Whether there is room for the lines of a depth. No more of a million changes are looked at than show that there is not.
fn is_short(changes: &[&ReportedChange], depth: usize) -> bool {
    let (mut count, mut last) = (0, None);
    changes.iter().all(|change| {
        let line = line_of(change, depth);
        count += usize::from(!line.1 || last != Some(line));
        last = Some(line);
        count <= SHORT_LIST
    })
}

/// The name of the line of a change, and whether that is a folder.
fn line_of(change: &ReportedChange, depth: usize) -> (&str, bool) {
    let slash = change.key.match_indices('/').map(|(at, _)| at + 1).nth(depth);
    slash.map_or((change.key.as_str(), false), |slash| (&change.key[..slash], true))
}

/// Lines for the tree down to `depth` folders; what is below is counted in its folder. Files of a cut folder and of
/// deeper ones are all counted in it.
fn cut<'a>(changes: &[&'a ReportedChange], depth: usize) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for &change in changes {
        let (name, is_folder) = line_of(change, depth);
        match lines.last_mut() {
            Some(line) if line.name == name && is_folder => line.changes.push(change),
            _ => lines.push(Line { name, changes: vec![change], is_folder }),
        }
    }
    lines
}

/// The column widths of all waves.
struct Widths {
    names: usize,
    sizes: usize,
    reasons: usize,
    columns: Option<usize>,
}

impl Widths {
    /// A name that leaves no room for the rest has a line of its own, and does not count.
    fn new(lists: &[Vec<Line<'_>>], parts: &[Vec<Parts>], manner: Manner) -> Widths {
        let all = || parts.iter().flatten();
        let sizes = all().map(|parts| parts.size.chars().count()).max().unwrap_or(0).max(SIZE);
        let reasons = all().map(|parts| parts.reason.chars().count()).max().unwrap_or(0);
        let columns = manner.columns.map(usize::from);
        let room = |columns: usize| columns.saturating_sub(SIGN + 4 + sizes + reasons).clamp(FEW_LETTERS, NAMES);
        let most = columns.map_or(NAMES, room);
        let names = lists.iter().flatten().map(Line::width).filter(|width| *width <= most).max().unwrap_or(0);
        Widths { names, sizes, reasons, columns }
    }

    fn write(&self, out: &mut Formatter<'_>, line: &Line<'_>, parts: &Parts) -> fmt::Result {
        let Widths { names, sizes, reasons, columns } = *self;
        let Parts { size, reason, paths } = parts;
        let (sign, width) = (line.sign(), line.width());
        let style = style(sign);
        write!(out, "  {style}{sign}{style:#} {}", Shown(line.name))?;
        let is_too_wide = |used: usize| columns.is_some_and(|columns| used > columns);
        if width > names && is_too_wide(SIGN + width + 4 + sizes + reason.chars().count()) {
            write!(out, "\n{:blank$}", "", blank = SIGN + names + 2)?;
        } else {
            write!(out, "{:blank$}", "", blank = names.saturating_sub(width) + 2)?;
        }
        write!(out, "{size:>sizes$}  {reason}")?;
        let used = SIGN + width.max(names) + 4 + sizes + reasons.max(reason.chars().count());
        match paths.as_str() {
            "" => writeln!(out),
            paths if is_too_wide(used + 2 + paths.chars().count()) => writeln!(out, "\n      {paths}"),
            paths => writeln!(out, "{:blank$}{paths}", "", blank = reasons.saturating_sub(reason.chars().count()) + 2),
        }
    }
}

impl Line<'_> {
    /// The number of columns of its name: a Chinese character takes two.
    fn width(&self) -> usize {
        display_width(&Shown(self.name).to_string())
    }

    fn sign(&self) -> char {
        let mut signs = self.changes.iter().map(|change| sign(change));
        let first = signs.next().unwrap_or('~');
        if signs.all(|sign| sign == first) { first } else { '~' }
    }
}

/// The reason of a file; for a folder, the number of each.
fn reason(line: &Line<'_>) -> String {
    let Some(change) = line.changes.first() else { return String::new() };
    if !line.is_folder {
        let fate = match change.fate {
            Fate::Failed => ", failed",
            Fate::NotBegun => ", not started",
            Fate::Planned | Fate::Done => "",
        };
        return format!("{}{fate}", text(change));
    }
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for change in &line.changes {
        *reasons.entry(text(change)).or_default() += 1;
    }
    let counts: Vec<String> = reasons.iter().map(|(word, count)| format!("{} {word}", grouped(*count))).collect();
    let undone = line.changes.iter().filter(|change| matches!(change.fate, Fate::Failed | Fate::NotBegun)).count();
    let undone = if undone > 0 { format!("; {} failed or not started", grouped(undone as u64)) } else { String::new() };
    format!("{}{undone}", counts.join(", "))
}

/// Why a file is changed. One that is kept for now is no longer in the source.
fn text(change: &ReportedChange) -> &'static str {
    match (change.action, change.reason) {
        (Action::Orphan, Reason::Foreign) => "not uploaded by shipfront, stays",
        (Action::Orphan, _) => "no longer in the source, stays for now",
        (Action::Retag, _) => "cache tags added",
        (_, reason) => reason.text(),
    }
}

fn sign(change: &ReportedChange) -> char {
    match (change.action, change.reason) {
        (Action::Upload | Action::Copy, Reason::New) => '+',
        (Action::Upload | Action::Retag | Action::Copy, _) => '~',
        (Action::Prune, _) => '-',
        (Action::Orphan, _) => '?',
        (Action::Evict, _) => '!',
    }
}

fn style(sign: char) -> Style {
    match sign {
        '+' => AnsiColor::Green.on_default(),
        '~' | '!' => AnsiColor::Yellow.on_default(),
        '-' => AnsiColor::Red.on_default(),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::change::Wave;

    fn change(key: &str, reason: Reason) -> ReportedChange {
        ReportedChange {
            key: key.into(),
            action: Action::Upload,
            reason,
            wave: Wave::Pages,
            bytes: 1000,
            bytes_before: None,
            late: false,
            fate: Fate::Planned,
            error: None,
        }
    }

    struct Listed<'a>(&'a [ReportedChange], Manner);

    impl fmt::Display for Listed<'_> {
        fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
            let waves = [("assets", Vec::new()), ("pages", self.0.iter().collect()), ("removals", Vec::new())];
            write(out, &waves, &PathsByFile::default(), self.1)
        }
    }

    fn text(changes: &[ReportedChange], verbose: bool) -> String {
        let shown = Listed(changes, Manner { verbose, columns: None }).to_string();
        anstream::adapter::strip_str(&shown).to_string()
    }

    #[test]
    fn files_have_their_whole_names_and_columns_line_up() {
        let changes = [
            change("a.html", Reason::New),
            change("blog/one.html", Reason::Etag),
            change("blog/two\u{7}.html", Reason::New),
            change("docs/the-lens/index.html", Reason::Headers),
        ];
        assert_eq!(
            text(&changes, false),
            "pages:
  + a.html                      1.00 kB  new
  ~ blog/one.html               1.00 kB  changed
  + blog/two\\u{7}.html          1.00 kB  new
  ~ docs/the-lens/index.html    1.00 kB  headers changed
"
        );
    }

    #[test]
    fn what_is_replaced_is_reported_with_its_size_and_a_name_that_is_too_long_has_a_line_of_its_own() {
        let changed = |key: &str, before| ReportedChange { bytes_before: before, ..change(key, Reason::Size) };
        let changes = [
            changed("a-page-with-a-name-as-long-as-that.html", Some(20_000)),
            changed("blog/one.html", Some(900)),
            changed("blog/two.html", None),
            change("docs/new.html", Reason::New),
        ];
        let narrow = Listed(&changes, Manner { verbose: false, columns: Some(50) }).to_string();
        let narrow = anstream::adapter::strip_str(&narrow).to_string();
        assert_eq!(
            narrow,
            "pages:
  ~ a-page-with-a-name-as-long-as-that.html
                   20.00 kB -> 1.00 kB  changed
  ~ blog/one.html     900 B -> 1.00 kB  changed
  ~ blog/two.html              1.00 kB  changed
  + docs/new.html              1.00 kB  new
"
        );
        assert!(narrow.lines().all(|line| line.len() <= 50));
    }

    #[test]
    fn many_files_are_summed_up_by_folder_and_named_with_verbose() {
        let pages = (0..30).map(|at| change(&format!("blog/{at:02}/index.html"), Reason::New));
        let mut changes: Vec<ReportedChange> = pages.collect();
        changes.push(ReportedChange { fate: Fate::NotBegun, ..change("docs/a.html", Reason::Etag) });
        changes.push(change("docs/b.html", Reason::New));
        changes.push(change("index.html", Reason::Etag));
        assert_eq!(
            text(&changes, false),
            "pages:
  + blog/        30.00 kB  30 new
  ~ docs/         2.00 kB  1 changed, 1 new; 1 failed or not started
  ~ index.html    1.00 kB  changed
  (--verbose lists all 33 files)
"
        );
        assert_eq!(text(&changes, true).lines().count(), 34, "the title is a line");
    }

    #[test]
    fn more_files_than_lines_in_one_folder_are_counted() {
        let changes: Vec<ReportedChange> = (0..25).map(|at| change(&format!("{at:02}.html"), Reason::New)).collect();
        let text = text(&changes, false);
        assert!(
            text.ends_with("  + 19.html    1.00 kB  new\n  ... and 5 more files\n  (--verbose lists all 25 files)\n"),
            "{text}"
        );
    }
}
