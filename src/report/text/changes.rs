//! The changes as a diff: wave by wave, grouped by folder, and folders summed up where there are many.

use crate::deploy::change::{Action, Reason};
use crate::escape::Shown;
use crate::report::sizes::Sizes;
use crate::report::{Fate, ReportedChange};
use anstyle::{AnsiColor, Style};
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};
use textwrap::core::display_width;

/// Lines of a wave before its folders are summed up.
const SHORT_LIST: usize = 20;
/// The widest column of names, where nobody knows how wide the terminal is.
const NAMES: usize = 60;
/// The narrowest, however little room there is.
const FEW_LETTERS: usize = 8;
/// The width of a size: those of all lines begin in the same column.
const SIZE: usize = 9;

/// How a list is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Whether every file is named.
    pub verbose: bool,
    /// How wide the terminal is.
    pub columns: Option<u16>,
}

/// One line: a file, or a folder with what is below it.
struct Line<'a> {
    indent: usize,
    name: &'a str,
    /// None in the line that names the folder of the next ones.
    changes: Vec<&'a ReportedChange>,
    is_folder: bool,
}

/// Writes the changes of one wave, which come in key order.
pub(super) fn write(out: &mut Formatter<'_>, changes: &[&ReportedChange], manner: Manner) -> fmt::Result {
    if manner.verbose || changes.len() <= SHORT_LIST {
        return write_lines(out, &all(changes), manner);
    }
    let deepest = changes.iter().map(|change| change.key.matches('/').count()).max().unwrap_or(0);
    // As much of the tree as there is room for.
    let lines = (1..=deepest).rev().map(|depth| cut(changes, depth)).find(|lines| lines.len() <= SHORT_LIST);
    let mut lines = lines.unwrap_or_else(|| cut(changes, 0));
    let rest: usize = lines.iter().skip(SHORT_LIST).map(|line| line.changes.len()).sum();
    lines.truncate(SHORT_LIST);
    write_lines(out, &lines, manner)?;
    if rest > 0 {
        writeln!(out, "  ... and {rest} more files")?;
    }
    writeln!(out, "  (--verbose names all {} files)", changes.len())
}

/// Every file, below its folder where that has several.
fn all<'a>(changes: &[&'a ReportedChange]) -> Vec<Line<'a>> {
    let folder = |key: &str| key.rfind('/').map_or(0, |slash| slash + 1);
    let mut folders: BTreeMap<&str, Vec<&ReportedChange>> = BTreeMap::new();
    for change in changes {
        folders.entry(&change.key[..folder(&change.key)]).or_default().push(change);
    }
    let mut lines = Vec::with_capacity(changes.len());
    for (name, changes) in folders {
        // A folder with one change is no group; at the root nothing is to be named.
        let is_group = !name.is_empty() && changes.len() > 1;
        let (indent, start) = if is_group { (4, name.len()) } else { (2, 0) };
        if is_group {
            lines.push(Line { indent: 2, name, changes: Vec::new(), is_folder: true });
        }
        let file = |change: &'a ReportedChange| Line {
            indent,
            name: &change.key[start..],
            changes: vec![change],
            is_folder: false,
        };
        lines.extend(changes.into_iter().map(file));
    }
    lines
}

/// Lines for the tree down to `depth` folders; what is below becomes its folder's. Files of a cut folder and
/// deeper ones are all the folder's.
fn cut<'a>(changes: &[&'a ReportedChange], depth: usize) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for &change in changes {
        let slash = change.key.match_indices('/').map(|(at, _)| at + 1).nth(depth);
        let (name, is_folder) = slash.map_or((change.key.as_str(), false), |slash| (&change.key[..slash], true));
        match lines.last_mut() {
            Some(line) if line.name == name && is_folder => line.changes.push(change),
            _ => lines.push(Line { indent: 2, name, changes: vec![change], is_folder }),
        }
    }
    lines
}

/// Names, sizes and reasons in columns. A name that leaves no room for the rest has a line of its own.
fn write_lines(out: &mut Formatter<'_>, lines: &[Line<'_>], manner: Manner) -> fmt::Result {
    let files = lines.iter().filter(|line| !line.changes.is_empty());
    let texts: Vec<(String, String)> = lines.iter().map(|line| (line.size(), what(line))).collect();
    let sizes = texts.iter().map(|(size, _)| size.chars().count()).max().unwrap_or(0).max(SIZE);
    let reasons = texts.iter().map(|(_, what)| what.chars().count()).max().unwrap_or(0);
    let columns = manner.columns.map(usize::from);
    // The sign with its blank, and two blanks after each of the first two columns.
    let most = columns.map_or(NAMES, |columns| columns.saturating_sub(6 + sizes + reasons).clamp(FEW_LETTERS, NAMES));
    let ends = files.map(|line| line.indent + line.width()).filter(|end| *end <= most);
    let end = ends.max().unwrap_or(0);
    for (line, (size, what)) in lines.iter().zip(texts) {
        let (indent, name) = (line.indent, Shown(line.name));
        if line.changes.is_empty() {
            writeln!(out, "{:indent$}{name}", "")?;
            continue;
        }
        let sign = line.sign();
        let style = style(sign);
        write!(out, "{:indent$}{style}{sign}{style:#} {name}", "")?;
        let used = indent + line.width();
        let is_too_long = |columns: usize| used.max(end) + 6 + sizes + what.chars().count() > columns;
        if used > end && columns.is_some_and(is_too_long) {
            writeln!(out, "\n{:blank$}{size:>sizes$}  {what}", "", blank = end + 4)?;
        } else {
            writeln!(out, "{:blank$}{size:>sizes$}  {what}", "", blank = end.saturating_sub(used) + 2)?;
        }
    }
    Ok(())
}

impl Line<'_> {
    /// The columns that its name takes: a letter of Chinese takes two.
    fn width(&self) -> usize {
        display_width(&Shown(self.name).to_string())
    }

    fn size(&self) -> String {
        if self.changes.is_empty() { String::new() } else { Sizes::of(self.changes.iter().copied()).text("->") }
    }

    fn sign(&self) -> char {
        let mut signs = self.changes.iter().map(|change| sign(change));
        let first = signs.next().unwrap_or('~');
        if signs.all(|sign| sign == first) { first } else { '~' }
    }
}

/// The reason of a file; of a folder, how many of each.
fn what(line: &Line<'_>) -> String {
    let Some(change) = line.changes.first() else { return String::new() };
    if !line.is_folder {
        let fate = match change.fate {
            Fate::Failed => ", failed",
            Fate::NotBegun => ", not done",
            Fate::Planned | Fate::Done => "",
        };
        return format!("{}{fate}", change.reason.word());
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &line.changes {
        *reasons.entry(change.reason.word()).or_default() += 1;
    }
    let counts: Vec<String> = reasons.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let undone = line.changes.iter().filter(|change| matches!(change.fate, Fate::Failed | Fate::NotBegun)).count();
    let undone = if undone > 0 { format!("; {undone} not done") } else { String::new() };
    format!("{}{undone}", counts.join(", "))
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
            write(out, &self.0.iter().collect::<Vec<_>>(), self.1)
        }
    }

    fn text(changes: &[ReportedChange], verbose: bool) -> String {
        let shown = Listed(changes, Manner { verbose, columns: None }).to_string();
        anstream::adapter::strip_str(&shown).to_string()
    }

    #[test]
    fn files_stand_below_their_folder_and_columns_line_up() {
        let changes = [
            change("a.html", Reason::New),
            change("blog/one.html", Reason::Etag),
            change("blog/two\u{7}.html", Reason::New),
            change("docs/the-lens/index.html", Reason::Size),
        ];
        assert_eq!(
            text(&changes, false),
            "  + a.html                      1.00 kB  new
  blog/
    ~ one.html                  1.00 kB  etag
    + two\\u{7}.html             1.00 kB  new
  ~ docs/the-lens/index.html    1.00 kB  size
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
            "  ~ a-page-with-a-name-as-long-as-that.html
                   20.00 kB -> 1.00 kB  size
  blog/
    ~ one.html        900 B -> 1.00 kB  size
    ~ two.html                 1.00 kB  size
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
            "  + blog/        30.00 kB  30 new
  ~ docs/         2.00 kB  1 etag, 1 new; 1 not done
  ~ index.html    1.00 kB  etag
  (--verbose names all 33 files)
"
        );
        assert_eq!(text(&changes, true).lines().count(), 34, "the folder docs/ is a line");
    }

    #[test]
    fn more_files_than_lines_in_one_folder_are_counted() {
        let changes: Vec<ReportedChange> = (0..25).map(|at| change(&format!("{at:02}.html"), Reason::New)).collect();
        let text = text(&changes, false);
        assert!(
            text.ends_with("  + 19.html    1.00 kB  new\n  ... and 5 more files\n  (--verbose names all 25 files)\n"),
            "{text}"
        );
    }
}
