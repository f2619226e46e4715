//! Environment variables that begin with `SHIPFRONT_`: checks for unknown ones, and for those with a line break.

use crate::cli::Cli;
use crate::config::file::nearest;
use crate::config::merge::{is_typed_only, lifts_a_guard};
use crate::error::{Error, Result};
use crate::report::variables::NAMES;
use clap::{Command, CommandFactory};
use shipfront_site::Warning;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

/// The common prefix.
const PREFIX: &str = "SHIPFRONT_";
/// Variables that are not options: where the local edge keeps its data, what it follows and where it records
/// requests, the options of a Lambda function, and where the build specifications in the repository download the
/// binary from. Later steps may also have what `--report FILE.env` writes.
const OTHERS: [&str; 5] = [
    "SHIPFRONT_EDGE_DIRECTORY",
    "SHIPFRONT_EDGE_EVIDENCE",
    "SHIPFRONT_EDGE_RECORDING",
    "SHIPFRONT_OPTIONS",
    "SHIPFRONT_BINARY",
];

/// Whether shipfront does not read a variable, but it has a reason to exist.
fn is_other(name: &str) -> bool {
    OTHERS.contains(&name) || NAMES.contains(&name)
}

/// Whether a variable is blank.
pub(super) fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| value.trim().is_empty())
}

/// Refuses values that no setting can have: a line break that was pasted along would become part of a name.
pub fn check(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<()> {
    for (name, value) in of_shipfront(variables) {
        if is_blank(&value) || is_other(&name) {
            continue;
        }
        let problem = match value.to_str() {
            None => "its value is not valid Unicode".to_owned(),
            Some(text) => match text.chars().find(|c| c.is_control()) {
                Some(c) => format!("{text:?} has the character {c:?}"),
                None => continue,
            },
        };
        return Err(Error::usage(format!("{name}: {problem}")).hint(format!("set {name} again, or unset it")));
    }
    Ok(())
}

/// A warning for each unknown variable, with a suggestion.
pub fn unknown(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<Warning> {
    let named: BTreeSet<String> = of_shipfront(variables).map(|(name, _)| name).collect();
    if named.is_empty() {
        return Vec::new();
    }
    let known = known();
    let option = |name: &str| name[PREFIX.len()..].to_ascii_lowercase().replace('_', "-");
    let warning = |name: String| match nearest_variable(&name, &known) {
        _ if lifts_a_guard(&option(&name)) => {
            let notice = format!("{name} has no effect: no variable turns off this guard");
            Warning::new(notice, format_args!("unset it, and pass --{}", option(&name)))
        }
        Some(near) => Warning::new(no_variable(&name), format_args!("did you mean {near}?")),
        None => Warning::new(no_variable(&name), "unset it"),
    };
    named.into_iter().filter(|name| !known.contains(name)).map(warning).collect()
}

fn no_variable(name: &str) -> String {
    format!("shipfront has no variable {name}")
}

fn of_shipfront(variables: impl IntoIterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, OsString)> {
    let name = |name: OsString| name.into_string().ok().filter(|name| name.starts_with(PREFIX));
    variables.into_iter().filter_map(move |(key, value)| Some((name(key)?, value)))
}

fn nearest_variable<'k>(name: &str, known: &'k BTreeSet<String>) -> Option<&'k str> {
    let plain = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase().replace('_', "-");
    let words: Vec<(String, &str)> = known.iter().map(|name| (plain(name), name.as_str())).collect();
    let near = nearest(&plain(name), words.iter().map(|(word, _)| word.as_str()))?;
    words.iter().find(|(word, _)| word == near).map(|(_, name)| *name)
}

/// The variables that are read: one for each option of a command.
fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = OTHERS.iter().chain(&NAMES).map(|&name| name.to_owned()).collect();
    collect(&Cli::command(), &mut known);
    known
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    for arg in command.get_arguments() {
        let named = arg.get_env().and_then(OsStr::to_str).map(str::to_owned);
        known.extend(named.or_else(|| arg.get_long().filter(|long| !is_typed_only(long)).map(super::merge::variable)));
    }
    command.get_subcommands().for_each(|command| collect(command, known));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variables<'a>(named: &'a [(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> + 'a {
        named.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)))
    }

    #[test]
    fn a_variable_that_nobody_reads_is_named_with_the_one_that_may_be_meant() {
        for (name, near) in [
            ("SHIPFRONT_MAXPATHS", "SHIPFRONT_MAX_PATHS"),
            ("SHIPFRONT_DISTRIBUTIONS", "SHIPFRONT_DISTRIBUTION"),
            ("SHIPFRONT_TARGT", "SHIPFRONT_TARGET"),
            ("SHIPFRONT_BUILDNUMBER", "SHIPFRONT_BUILD_NUMBER"),
        ] {
            let warnings = unknown(variables(&[(name, "x")]));
            assert!(warnings.len() == 1 && warnings[0].remedy() == format!("did you mean {near}?"), "{warnings:?}");
        }
        let warnings = unknown(variables(&[("SHIPFRONT_ZZZZZZZZ", "x")]));
        assert_eq!(warnings, [Warning::new("shipfront has no variable SHIPFRONT_ZZZZZZZZ", "unset it")]);
        let read = ["SHIPFRONT_MAX_PATHS", "SHIPFRONT_ENV", "SHIPFRONT_SOURCE", "SHIPFRONT_EDGE_DIRECTORY", "PATH"];
        assert_eq!(unknown(variables(&read.map(|name| (name, "x")))), []);
        assert_eq!(unknown(variables(&NAMES.map(|name| (name, "x")))), [], "a step before this one deployed, too");
    }

    #[test]
    fn a_guard_that_no_variable_lifts_is_reported_with_the_option_that_does() {
        let warnings = unknown(variables(&[("SHIPFRONT_ALLOW_REMOVALS", "1")]));
        assert_eq!(
            warnings,
            [Warning::new(
                "SHIPFRONT_ALLOW_REMOVALS has no effect: no variable turns off this guard",
                "unset it, and pass --allow-removals"
            )]
        );
    }

    #[test]
    fn a_line_break_that_was_pasted_along_is_reported_by_the_variables_name() {
        let error = check(variables(&[("SHIPFRONT_TARGET", "s3://www.example.com\n")])).unwrap_err();
        assert!(error.to_string().starts_with("SHIPFRONT_TARGET: "), "{error}");
        assert!(check(variables(&[("SHIPFRONT_TARGET", "\n"), ("SHIPFRONT_ENV", ""), ("OTHER", "a\nb")])).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_the_environment_it_is_checked(name in "SHIPFRONT_[A-Z_]{0,12}|.{0,12}", value in ".{0,20}") {
            let _ = check(variables(&[(&name, &value)]));
            let _ = unknown(variables(&[(&name, &value)]));
        }
    }
}
