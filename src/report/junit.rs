//! `--report FILE.xml`: the report as JUnit XML, for CodeBuild's report groups and other readers of JUnit XML.
//!
//! CodeBuild accepts 500 test cases per report
//! (<https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html>): if there are more changes, the
//! successful ones are summarized by folder, and the others are named as far as there is room.

use crate::deploy::change::{Action, Wave};
use crate::escape::{self, Shown, escaped};
use crate::outcome::Outcome;
use crate::report::file::Ending;
use crate::report::{Fate, Report, ReportedChange};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use shipfront_invalidation::InvalidationStatus;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// Maximum number of changes before they are summarized.
const MOST_CHANGES: usize = 380;
/// Maximum number of cases per wave, for what is done and for what is not, if they are summarized.
const MOST_SUMS: usize = 60;
/// Maximum number of invalidations to name.
const MOST_INVALIDATIONS: usize = 100;

/// A test case.
struct Case {
    name: String,
    state: State,
    /// Warnings.
    said: String,
}

enum State {
    Passed,
    Skipped(&'static str),
    /// The message, and the rest of the text.
    Failed(String, String),
}

/// Cases with a common name.
struct Suite {
    name: &'static str,
    seconds: f64,
    cases: Vec<Case>,
}

/// The document.
pub(super) fn document(ending: &Ending<'_>) -> io::Result<String> {
    let suites = match ending {
        Ending::Report(report) => of_report(report),
        Ending::Error { error, source, target } => {
            let hint = format!("hint: {}", Shown(error.hint_text()));
            let state = State::Failed(Shown(error).to_string(), hint);
            let case =
                Case { name: format!("deploy {} to {}", Shown(source), Shown(target)), state, said: String::new() };
            vec![Suite { name: "deploy", seconds: 0.0, cases: vec![case] }]
        }
    };
    write(&suites)
}

fn of_report(report: &Report) -> Vec<Suite> {
    let mut suites = vec![Suite { name: "deploy", seconds: report.seconds.total, cases: vec![whole(report)] }];
    if report.outcome == Outcome::Refused {
        // None of the changes was tried.
        return suites;
    }
    let changes = report.changes.iter().filter(|change| change.is_visible());
    let sum_up = changes.clone().count() > MOST_CHANGES;
    for (stage, name) in [(Wave::Assets, "assets"), (Wave::Pages, "pages"), (Wave::Prune, "removals")] {
        let changes: Vec<&ReportedChange> = changes.clone().filter(|change| change.wave == stage).collect();
        let cases =
            if sum_up { sums(report, &changes) } else { changes.iter().map(|change| one(report, change)).collect() };
        let spans = report.timeline.iter().filter(|span| span.stage.ends_with(name));
        suites.push(Suite { name, seconds: spans.map(|span| span.end - span.start).sum(), cases });
    }
    let invalidations = report.invalidations.iter().take(MOST_INVALIDATIONS).map(|invalidation| {
        let (items, urls) = (invalidation.items.len(), invalidation.viewer_paths);
        let failed = invalidation.status == InvalidationStatus::Failed;
        Case {
            name: format!("invalidate {items} items on {} for {urls} URLs", Shown(&invalidation.distribution)),
            state: if failed {
                State::Failed("failed".to_owned(), listed(invalidation.items.iter()))
            } else {
                State::Passed
            },
            said: listed(invalidation.items.iter()),
        }
    });
    suites.push(Suite { name: "invalidations", seconds: report.seconds.invalidate, cases: invalidations.collect() });
    suites.retain(|suite| !suite.cases.is_empty());
    suites
}

/// The deploy as a whole, with the errors that concern no file, and the warnings.
fn whole(report: &Report) -> Case {
    let verb = if report.outcome == Outcome::Planned { "plan" } else { "deploy" };
    let error = |error: &crate::outcome::Failure| match &error.hint {
        Some(hint) => format!("{}\nhint: {}", Shown(&error.error), Shown(hint)),
        None => escaped(&error.error).into_owned(),
    };
    let errors: Vec<String> = report.errors.iter().map(error).collect();
    let state = match report.outcome {
        Outcome::Deployed | Outcome::NothingToDo | Outcome::Planned => State::Passed,
        Outcome::Partial => State::Failed("partly deployed".to_owned(), errors.join("\n")),
        Outcome::Stale => State::Failed("live, but the edge may be stale".to_owned(), errors.join("\n")),
        Outcome::Different => State::Failed("live, but viewers get something else".to_owned(), errors.join("\n")),
        Outcome::Unverified => State::Failed("live, but could not verify it".to_owned(), errors.join("\n")),
        Outcome::Refused => State::Failed(
            report.error.clone().unwrap_or_default(),
            report.hint.as_ref().map(|hint| format!("hint: {hint}")).unwrap_or_default(),
        ),
        Outcome::Interrupted => State::Failed("interrupted".to_owned(), errors.join("\n")),
        Outcome::Failed => State::Failed("failed, nothing was changed".to_owned(), errors.join("\n")),
    };
    Case {
        name: format!("{verb} {} to {}", Shown(&report.source), Shown(&report.target)),
        state,
        said: listed(report.warnings.iter()),
    }
}

fn one(report: &Report, change: &ReportedChange) -> Case {
    let verb = match change.action {
        Action::Upload => "upload",
        Action::Prune => "delete",
        Action::Orphan => "keep",
        Action::Evict => "evict",
        Action::Retag => "tag",
        Action::Copy => "restore",
    };
    let state = match change.fate {
        Fate::Done | Fate::Planned => State::Passed,
        Fate::NotBegun => State::Skipped("not begun"),
        Fate::Failed => {
            let error = change.error.and_then(|at| report.errors.get(at));
            let (error, hint) = error.map_or(("failed", None), |error| (&error.error, error.hint.as_deref()));
            let hint = hint.map(|hint| format!("hint: {}", Shown(hint))).unwrap_or_default();
            State::Failed(escaped(error).into_owned(), hint)
        }
    };
    Case { name: format!("{verb} {} ({})", Shown(&change.key), change.reason.text()), state, said: String::new() }
}

/// What is not done, failures first, and what is done, by folder.
fn sums(report: &Report, changes: &[&ReportedChange]) -> Vec<Case> {
    let (mut undone, done): (Vec<&ReportedChange>, Vec<&ReportedChange>) =
        changes.iter().partition(|change| matches!(change.fate, Fate::Failed | Fate::NotBegun));
    undone.sort_by_key(|change| change.fate == Fate::NotBegun);
    let mut cases: Vec<Case> = undone.iter().take(MOST_SUMS).map(|change| one(report, change)).collect();
    if undone.len() > MOST_SUMS {
        let name = format!("{} more files", undone.len() - MOST_SUMS);
        cases.push(Case { name, state: State::Failed("not done".to_owned(), String::new()), said: String::new() });
    }
    let mut folders: BTreeMap<&str, u64> = BTreeMap::new();
    for change in done {
        *folders.entry(change.key.find('/').map_or("", |slash| &change.key[..=slash])).or_default() += 1;
    }
    let sum = |name: String| Case { name, state: State::Passed, said: String::new() };
    let rest: u64 = folders.values().skip(MOST_SUMS).sum();
    cases.extend(
        folders.iter().take(MOST_SUMS).map(|(folder, files)| sum(format!("/{} ({files} files)", Shown(folder)))),
    );
    if rest > 0 {
        cases.push(sum(format!("other folders ({rest} files)")));
    }
    cases
}

fn write(suites: &[Suite]) -> io::Result<String> {
    let mut document = quick_junit::Report::new("shipfront");
    for suite in suites {
        let mut element = TestSuite::new(suite.name);
        element.set_time(Duration::try_from_secs_f64(suite.seconds).unwrap_or_default());
        element.add_test_cases(suite.cases.iter().map(|case| element_of(suite, case)));
        document.add_test_suite(element);
    }
    document.to_string().map_err(io::Error::other)
}

fn element_of(suite: &Suite, case: &Case) -> TestCase {
    let status = match &case.state {
        State::Passed => TestCaseStatus::success(),
        State::Skipped(message) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(message);
            status
        }
        State::Failed(message, text) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(clean(message)).set_description(clean(text));
            status
        }
    };
    let mut element = TestCase::new(clean(&case.name), status);
    // CodeBuild requires a time for each case, but there is none for a single file.
    element.set_classname(suite.name).set_time(Duration::ZERO);
    if !case.said.is_empty() {
        element.set_system_out(clean(&case.said));
    }
    element
}

/// A text without characters that are invalid in XML (<https://www.w3.org/TR/xml/#charsets>), or that `quick_junit`
/// silently drops (escape sequences and control characters): the names of two files could become the same.
fn clean(text: &str) -> Cow<'_, str> {
    let (text, wrong) = (escape::visible(text), ['\u{FFFE}', '\u{FFFF}']);
    if text.contains(wrong) { text.replace(wrong, "\u{FFFD}").into() } else { text }
}

/// External texts, one per line.
fn listed(texts: impl Iterator<Item = impl ToString>) -> String {
    texts.map(|text| escaped(&text.to_string()).into_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::change::Reason;
    use crate::deploy::run::Run;
    use crate::terminal::{Terminal, Volume};

    fn report(done: usize, failed: usize) -> Report {
        let change = |at: usize, fate| ReportedChange {
            key: format!("folder-{:03}/{at}.html", at % 300).into(),
            action: Action::Upload,
            reason: Reason::New,
            wave: if at.is_multiple_of(2) { Wave::Assets } else { Wave::Pages },
            bytes: 1,
            bytes_before: None,
            late: false,
            fate,
            error: None,
        };
        let changes = (0..done).map(|at| change(at, Fate::Done)).chain((0..failed).map(|at| change(at, Fate::Failed)));
        Report { changes: changes.collect(), ..Report::new(Run::of_nothing(), &Terminal::new(Volume::Quiet, false)) }
    }

    #[test]
    fn there_are_never_more_cases_than_codebuild_takes_and_failures_are_named() {
        for (done, failed) in [(380, 0), (381, 0), (9000, 0), (0, 9000), (9000, 9000), (100, 280)] {
            let suites = of_report(&report(done, failed));
            let cases: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
            assert!(cases.len() + MOST_INVALIDATIONS <= 500, "{done} {failed}: {}", cases.len());
            let undone = cases.iter().filter(|case| matches!(case.state, State::Failed(..))).count();
            assert!(undone >= failed.min(MOST_SUMS), "{done} {failed}: {undone}");
        }
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced_and_the_rest_is_escaped() {
        let case = Case {
            name: "a\u{1}<\"&\u{1b}[31m\t".to_owned(),
            state: State::Failed("]]>\u{FFFF}".to_owned(), "<x>".to_owned()),
            said: String::new(),
        };
        let xml = write(&[Suite { name: "pages", seconds: 1.5, cases: vec![case] }]).unwrap();
        assert!(xml.contains(r#"name="a\u{1}&lt;&quot;&amp;\u{1b}[31m\t""#), "{xml}");
        assert!(xml.contains("message=\"]]&gt;\u{FFFD}\">&lt;x&gt;</failure>"), "{xml}");
    }
}
