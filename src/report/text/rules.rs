//! The rules of a report: the functions that change, and their lines.

use crate::deploy::rules::{FunctionChange, ReportedFunction};
use crate::escape::Shown;
use shipfront_site::rule_changes::{ChangedLine, LineChange};
use std::fmt::{self, Formatter};

/// Number of lines of a function before the rest is only counted.
const SHORT_LIST: usize = 20;

/// Writes what happens to the functions. For an unchanged one, only `verbose` names lines without effect.
pub(super) fn write(out: &mut Formatter<'_>, functions: &[ReportedFunction], verbose: bool) -> fmt::Result {
    let shown = functions.iter().filter(|function| verbose || function.change != FunctionChange::Unchanged);
    for function in shown {
        let (name, change) = (Shown(&function.name), function.change.word());
        writeln!(out, "rules ({}, function {name}): {change}", function.function)?;
        for store in &function.key_value_stores {
            let (keys, arn) = (store.keys, Shown(&store.arn));
            let changes = format!("{} to write, {} to remove", store.written, store.removed);
            writeln!(
                out,
                "  {keys} lines and files in the key-value store {arn}, as they do not fit into the code ({changes})"
            )?;
        }
        let most = if verbose { usize::MAX } else { SHORT_LIST };
        let lines: Vec<&ChangedLine> =
            function.lines.iter().filter(|line| !is_said_again(line, &function.lines)).collect();
        lines.iter().take(most).try_for_each(|line| write_line(out, line))?;
        match lines.len().saturating_sub(most) {
            0 => {}
            more => writeln!(out, "  ... and {more} more (--verbose names them)")?,
        }
    }
    Ok(())
}

/// Whether another entry says of the same line that it does nothing: then it is nothing new.
fn is_said_again(line: &ChangedLine, lines: &[ChangedLine]) -> bool {
    let is_idle = |line: &ChangedLine| matches!(line.change, LineChange::NoEffect | LineChange::NotDone);
    let is_same = |other: &ChangedLine| (other.file, other.line) == (line.file, line.line) && is_idle(other);
    !is_idle(line) && line.line.is_some() && lines.iter().any(is_same)
}

fn write_line(out: &mut Formatter<'_>, line: &ChangedLine) -> fmt::Result {
    let mark = match line.change {
        LineChange::New => '+',
        LineChange::Changed => '~',
        LineChange::Gone => '-',
        LineChange::NoEffect => ' ',
        LineChange::NotDone => '!',
    };
    let (rule, word) = (Shown(&line.rule), line.change.word());
    match &line.reason {
        Some(reason) => writeln!(out, "  {mark} {rule}  {word}: {}", Shown(reason)),
        None => writeln!(out, "  {mark} {rule}  {word}"),
    }
}
