//! The changes as a diff: wave by wave, grouped by folder, and folders summed up where there are many.

use crate::deploy::diff::Reason;
use crate::deploy::plan::{Action, Change, Fate};
use anstyle::{AnsiColor, Style};
use indicatif::DecimalBytes;
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

/// Lines of a wave before its folders are summed up.
const SHORT_LIST: usize = 20;
/// The widest column of names, where nobody knows how wide the terminal is.
const NAMES: usize = 60;
/// What a line has beside its name: indents, sign, size and reason.
const BESIDE: usize = 26;

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
    name: &'a str,
    changes: Vec<&'a Change>,
    is_folder: bool,
}

/// Writes the changes of one wave, which come in key order.
pub(super) fn write(out: &mut Formatter<'_>, changes: &[&Change], manner: Manner) -> fmt::Result {
    let cap = manner.columns.map_or(NAMES, |columns| usize::from(columns).saturating_sub(BESIDE).clamp(8, NAMES));
    if manner.verbose || changes.len() <= SHORT_LIST {
        return write_all(out, changes, cap);
    }
    let deepest = changes.iter().map(|change| change.key.matches('/').count()).max().unwrap_or(0);
    // As much of the tree as there is room for.
    let lines = (1..=deepest).rev().map(|depth| cut(changes, depth)).find(|lines| lines.len() <= SHORT_LIST);
    let lines = lines.unwrap_or_else(|| cut(changes, 0));
    let width = width(lines.iter().take(SHORT_LIST).map(|line| line.name), cap);
    for line in lines.iter().take(SHORT_LIST) {
        write_line(out, "  ", line, width)?;
    }
    if lines.len() > SHORT_LIST {
        let rest: usize = lines[SHORT_LIST..].iter().map(|line| line.changes.len()).sum();
        writeln!(out, "  ... and {rest} more")?;
    }
    writeln!(out, "  (--verbose names all {} files)", changes.len())
}

/// Every file, below its folder where that has several.
fn write_all(out: &mut Formatter<'_>, changes: &[&Change], cap: usize) -> fmt::Result {
    let folder = |key: &str| key.rfind('/').map_or(0, |slash| slash + 1);
    let mut folders: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        folders.entry(&change.key[..folder(&change.key)]).or_default().push(change);
    }
    // A folder with one change is no group; at the root nothing is to be named.
    let is_group = |name: &str, changes: &[&Change]| !name.is_empty() && changes.len() > 1;
    let names = folders.iter().flat_map(|(&name, changes)| {
        let (indent, start) = if is_group(name, changes) { (2, name.len()) } else { (0, 0) };
        changes.iter().map(move |change| change.key[start..].chars().count() + indent)
    });
    let width = names.max().unwrap_or(0).min(cap);
    for (name, changes) in folders {
        let group = is_group(name, &changes);
        if group {
            writeln!(out, "  {name}")?;
        }
        let (indent, start, width) =
            if group { ("    ", name.len(), width.saturating_sub(2)) } else { ("  ", 0, width) };
        for change in changes {
            let line = Line { name: &change.key[start..], changes: vec![change], is_folder: false };
            write_line(out, indent, &line, width)?;
        }
    }
    Ok(())
}

/// Lines for the tree down to `depth` folders; what is below becomes its folder's. Files of a cut folder and
/// deeper ones are all the folder's.
fn cut<'a>(changes: &[&'a Change], depth: usize) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for &change in changes {
        let slash = change.key.match_indices('/').map(|(at, _)| at + 1).nth(depth);
        let (name, is_folder) = slash.map_or((change.key.as_str(), false), |slash| (&change.key[..slash], true));
        match lines.last_mut() {
            Some(line) if line.name == name && is_folder => line.changes.push(change),
            _ => lines.push(Line { name, changes: vec![change], is_folder }),
        }
    }
    lines
}

fn width<'a>(names: impl Iterator<Item = &'a str>, cap: usize) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0).min(cap)
}

fn write_line(out: &mut Formatter<'_>, indent: &str, line: &Line<'_>, width: usize) -> fmt::Result {
    let signs: Vec<char> = line.changes.iter().map(|change| sign(change)).collect();
    let same = signs.iter().all(|sign| *sign == signs[0]);
    let sign = if same { signs[0] } else { '~' };
    let style = style(sign);
    let bytes: u64 = line.changes.iter().map(|change| change.bytes).sum();
    let size = DecimalBytes(bytes).to_string();
    let name = Visible(line.name);
    let padding = " ".repeat(width.saturating_sub(line.name.chars().count()));
    writeln!(out, "{indent}{style}{sign}{style:#} {name}{padding}  {size:>9}  {}", what(line))
}

/// The reason of a file; of a folder, how many of each.
fn what(line: &Line<'_>) -> String {
    let change = line.changes[0];
    if !line.is_folder {
        let fate = match change.fate {
            Fate::Failed => ", failed",
            Fate::Left => ", not done",
            Fate::Planned | Fate::Done => "",
        };
        return format!("{}{fate}", change.reason.word());
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &line.changes {
        *reasons.entry(change.reason.word()).or_default() += 1;
    }
    let counts: Vec<String> = reasons.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let undone = line.changes.iter().filter(|change| matches!(change.fate, Fate::Failed | Fate::Left)).count();
    let undone = if undone > 0 { format!("; {undone} not done") } else { String::new() };
    format!("{}{undone}", counts.join(", "))
}

fn sign(change: &Change) -> char {
    match (change.action, change.reason) {
        (Action::Upload, Reason::New) => '+',
        (Action::Upload, _) => '~',
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

/// A name without what would move the cursor or ring a bell.
struct Visible<'a>(&'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0.chars().try_for_each(|c| out.write_char(if c.is_control() { '\u{FFFD}' } else { c }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::plan::Stage;

    fn change(key: &str, reason: Reason) -> Change {
        Change {
            key: key.to_owned(),
            action: Action::Upload,
            reason,
            wave: Stage::Pages,
            bytes: 1000,
            carried: None,
            late: false,
            before: None,
            owned: true,
            fate: Fate::Planned,
        }
    }

    struct Shown<'a>(&'a [Change], Manner);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
            write(out, &self.0.iter().collect::<Vec<_>>(), self.1)
        }
    }

    fn text(changes: &[Change], verbose: bool) -> String {
        let shown = Shown(changes, Manner { verbose, columns: None }).to_string();
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
    + two\u{FFFD}.html                 1.00 kB  new
  ~ docs/the-lens/index.html    1.00 kB  size
"
        );
    }

    #[test]
    fn many_files_are_summed_up_by_folder_and_named_with_verbose() {
        let pages = (0..30).map(|at| change(&format!("blog/{at:02}/index.html"), Reason::New));
        let mut changes: Vec<Change> = pages.collect();
        changes.push(Change { fate: Fate::Left, ..change("docs/a.html", Reason::Etag) });
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
        let changes: Vec<Change> = (0..25).map(|at| change(&format!("{at:02}.html"), Reason::New)).collect();
        let text = text(&changes, false);
        assert!(
            text.ends_with("  + 19.html    1.00 kB  new\n  ... and 5 more\n  (--verbose names all 25 files)\n"),
            "{text}"
        );
    }
}
