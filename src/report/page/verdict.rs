//! How a run ended, in one line that says what was done, or what failed.

use crate::deploy::change::Action;
use crate::deploy::rollback::{PROMOTED, RESTORED};
use crate::error::Error;
use crate::escape::Shown;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::report::{Fate, Report, ReportedChange};
use crate::wording::grouped;

/// Maximum number of characters of a message in a heading; the whole message is below it.
const LONGEST: usize = 110;

/// How it ended, for the color of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Everything is as intended.
    Good,
    /// Nothing was tried.
    Plain,
    /// Something failed.
    Bad,
}

impl Mood {
    pub(super) fn of(outcome: Outcome) -> Mood {
        match outcome {
            Outcome::Deployed | Outcome::NothingToDo => Mood::Good,
            Outcome::Planned => Mood::Plain,
            _ => Mood::Bad,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Mood::Good => "good",
            Mood::Plain => "plain",
            Mood::Bad => "bad",
        }
    }
}

/// The heading of a report.
pub(super) fn of_report(report: &Report) -> String {
    let changes = || report.changes.iter().filter(|change| change.is_visible());
    let differences = report.verified.as_ref().map_or(0, |verified| verified.differences.len());
    match report.outcome {
        Outcome::Deployed => match (report.source.strip_prefix(RESTORED), report.source.strip_prefix(PROMOTED)) {
            (Some(deploy), _) => format!("Rolled back to {}", Shown(deploy)),
            (_, Some(preview)) => format!("Promoted {}", Shown(preview)),
            _ => format!("Deployed {}", summary(changes())),
        },
        Outcome::NothingToDo => "No changes".to_owned(),
        Outcome::Planned if !report.has_changes() => "Plan: no changes".to_owned(),
        Outcome::Planned => format!("Plan: {}", summary(changes())),
        Outcome::Refused => cause("Refused", report.error.as_deref()),
        Outcome::Partial => format!("Partly deployed: {}", undone(report)),
        Outcome::Interrupted => format!("Interrupted: {}", undone(report)),
        Outcome::Failed => match report.errors.first() {
            Some(failure) => cause("Failed", Some(&failure.error)),
            None => "Failed: nothing was changed".to_owned(),
        },
        Outcome::Stale => "Deployed, but CloudFront was not invalidated".to_owned(),
        Outcome::Different => {
            format!("Deployed, but {} something else", counted(differences, "URL serves", "URLs serve"))
        }
        Outcome::Unverified => "Deployed, but not verified".to_owned(),
    }
}

/// The heading if nothing was started.
pub(super) fn of_error(error: &Error) -> String {
    let word = match error.exit() {
        Exit::Refused => "Refused",
        Exit::Locked => "Not deployed",
        Exit::Interrupted => "Interrupted",
        _ => "Failed",
    };
    cause(word, Some(&error.to_string()))
}

/// `3 changes and 1 removal`.
fn summary<'a>(changes: impl Iterator<Item = &'a ReportedChange>) -> String {
    let (removals, others): (Vec<_>, Vec<_>) = changes.partition(|change| change.action == Action::Prune);
    let removals = (!removals.is_empty()).then(|| counted(removals.len(), "removal", "removals"));
    let others = (!others.is_empty()).then(|| counted(others.len(), "change", "changes"));
    match (others, removals) {
        (Some(others), Some(removals)) => format!("{others} and {removals}"),
        (Some(one), None) | (None, Some(one)) => one,
        // Rules, or what an unfinished deploy had left.
        (None, None) => "what was left to do".to_owned(),
    }
}

/// What was not done of the plan.
fn undone(report: &Report) -> String {
    let of = |fate| {
        let changes = report.changes.iter().filter(move |change| change.fate == fate && change.is_visible());
        changes.collect::<Vec<_>>()
    };
    let (failed, not_begun) = (of(Fate::Failed), of(Fate::NotBegun));
    let rest = (!not_begun.is_empty()).then(|| format!("{} not begun", counted(not_begun.len(), "change", "changes")));
    let failed = match failed[..] {
        [] => None,
        [only] => Some(format!("{} failed", shortened(&Shown(&only.key).to_string()))),
        _ => Some(format!("{} failed", counted(failed.len(), "change", "changes"))),
    };
    match (failed, rest) {
        (Some(failed), Some(rest)) => format!("{failed}, {rest}"),
        (Some(one), None) | (None, Some(one)) => one,
        // For example, a file that could not be read, or rules.
        (None, None) => match report.errors.first() {
            Some(failure) => shortened(&first_clause(&failure.error)),
            None => "every change was made".to_owned(),
        },
    }
}

fn cause(word: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{word}: {}", shortened(&first_clause(message))),
        None => word.to_owned(),
    }
}

/// The part of a message that says what failed.
fn first_clause(message: &str) -> String {
    Shown(message.split("; ").next().unwrap_or(message)).to_string()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// A number with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count as u64), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::change::{Reason, Wave};
    use crate::deploy::run::Run;
    use crate::outcome::Failure;
    use crate::terminal::{Terminal, Volume};

    fn change(key: &str, action: Action, fate: Fate) -> ReportedChange {
        ReportedChange {
            key: key.into(),
            action,
            reason: if action == Action::Prune { Reason::Orphaned } else { Reason::Etag },
            wave: Wave::Pages,
            bytes: 1,
            bytes_before: None,
            late: false,
            fate,
            error: None,
        }
    }

    #[test]
    fn a_heading_says_what_was_done_or_what_failed() {
        let heading = |outcome, source: &str, changes: Vec<ReportedChange>, error: Option<&str>| {
            let error = error.map(Error::failed);
            of_report(&Report {
                outcome,
                source: source.to_owned(),
                changes,
                errors: error.iter().map(|error| Failure::of(None, error)).collect(),
                error: error.as_ref().map(ToString::to_string),
                ..Report::new(Run::of_nothing(), &Terminal::new(Volume::Quiet, false))
            })
        };
        let upload = |key, fate| change(key, Action::Upload, fate);
        let all = |fate| vec![upload("a", fate), upload("b", fate), change("c", Action::Prune, fate)];
        for (outcome, source, changes, error, expected) in [
            (Outcome::Deployed, "public", all(Fate::Done), None, "Deployed 2 changes and 1 removal"),
            (Outcome::Deployed, "public", vec![upload("a", Fate::Done)], None, "Deployed 1 change"),
            (Outcome::Deployed, "deploy:2026", all(Fate::Done), None, "Rolled back to 2026"),
            (Outcome::Deployed, "preview:x", all(Fate::Done), None, "Promoted x"),
            (Outcome::Planned, "public", all(Fate::Planned), None, "Plan: 2 changes and 1 removal"),
            (Outcome::Planned, "public", vec![], None, "Plan: no changes"),
            (Outcome::NothingToDo, "public", vec![], None, "No changes"),
            (
                Outcome::Partial,
                "public",
                vec![upload("a", Fate::Failed), upload("b", Fate::NotBegun), upload("c", Fate::Done)],
                Some("no"),
                "Partly deployed: a failed, 1 change not begun",
            ),
            (Outcome::Partial, "public", vec![], Some("x is unreadable; y"), "Partly deployed: x is unreadable"),
            (
                Outcome::Interrupted,
                "public",
                vec![upload("a", Fate::NotBegun), upload("b", Fate::NotBegun)],
                None,
                "Interrupted: 2 changes not begun",
            ),
            (
                Outcome::Refused,
                "public",
                all(Fate::Planned),
                Some("8 objects are gone; nothing was changed"),
                "Refused: 8 objects are gone",
            ),
            (Outcome::Failed, "public", vec![], Some("no such bucket"), "Failed: no such bucket"),
        ] {
            assert_eq!(heading(outcome, source, changes, error), expected);
        }
        let long = heading(Outcome::Failed, "public", vec![], Some(&"x".repeat(1000)));
        assert!(long.ends_with("x…") && long.chars().count() < 140, "{long}");
    }
}
