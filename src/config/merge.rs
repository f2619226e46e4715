//! The one place where flags, environment and `shipfront.toml` are combined.
//!
//! clap lets typed flags override the environment, and both override an argument's default. So the settings of the
//! file become the defaults of those arguments, and the command line is parsed again.

use crate::cli::{self, Cli, FileRules, help};
use crate::config::file::{self, FILE_NAME, FileSettings};
use crate::config::locate;
use crate::config::variables;
use crate::error::{Error, Result};
use crate::terminal::HINT;
use clap::builder::{BoolishValueParser, OsStr, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Commands that have no settings.
const WITHOUT_SETTINGS: [&str; 3] = ["init", "import", "schema"];
/// Settings of which the local edge has its own: its buckets and distributions are separate.
const OF_AWS: [&str; 5] = ["distribution", "distribution-tenant", "previews-url", "record", "verify"];
/// Settings that URLs determine better than the file.
const OF_URLS: [&str; 2] = ["distribution", "distribution-tenant"];

/// A command line before the file is read.
#[derive(Debug)]
pub struct Typed {
    /// What was typed, and what the environment says.
    pub cli: Cli,
    line: Vec<OsString>,
    matches: ArgMatches,
}

/// A command line, merged with everything else.
#[derive(Debug)]
pub struct Merged {
    /// The settings.
    pub cli: Cli,
    /// The display name of the file that settings come from.
    pub file: Option<String>,
}

impl Typed {
    /// Parses a command line. The error is clap's own, even if help was requested.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Typed, clap::Error> {
        let line: Vec<OsString> = line.into_iter().collect();
        let read = open(Cli::command()).try_get_matches_from(&line);
        let matches = read.map_err(|error| {
            // Help and errors show flags as they are usually typed.
            let usual = help::arrange(Cli::command()).try_get_matches_from(&line).err();
            point_the_way(usual.filter(|usual| usual.kind() == error.kind()).unwrap_or(error))
        })?;
        Ok(Typed { cli: Cli::from_arg_matches(&matches)?, line, matches })
    }

    /// Adds the settings of the file, if there is one.
    pub fn merge(self, here: &Path) -> Result<Merged> {
        let Some((name, typed)) = self.matches.subcommand().filter(|(name, _)| !WITHOUT_SETTINGS.contains(name)) else {
            return Ok(Merged { cli: self.cli, file: None });
        };
        let source = typed.try_get_one::<PathBuf>("source").ok().flatten();
        let environment = self.cli.env.as_deref();
        let path = self.cli.config.clone().or_else(|| locate::locate(source.map(PathBuf::as_path), here));
        let Some(path) = path else {
            return match environment {
                Some(name) => Err(Error::usage(format!("there is no {FILE_NAME} with a section [env.{name}]")).hint(
                    "it is looked for beside and above the source and the working directory, up to the repository's \
                     root; name it with --config, or write one with 'shipfront init'",
                )),
                None => Ok(Merged { cli: self.cli, file: None }),
            };
        };
        let shown = path.strip_prefix(here).unwrap_or(&path).display().to_string();
        let settings = file::read(&shown, &locate::text(&path, &shown)?, environment)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let folder = folder.strip_prefix(here).unwrap_or(&folder);

        let command = open(Cli::command()).mut_subcommand(name, |command| defaults(command, typed, &settings, folder));
        let matches = command.try_get_matches_from(&self.line);
        let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
        let mut cli = cli.map_err(|error| {
            Error::usage(format!("{shown}: {}", in_one_line(&error))).hint("'shipfront schema' describes every setting")
        })?;
        let section = environment.map(|environment| format!(" [env.{environment}]")).unwrap_or_default();
        let rules = FileRules { path: Some(path), headers: settings.headers().to_vec() };
        match &mut cli.command {
            cli::Command::Deploy(args) => args.options.file = rules,
            cli::Command::Plan(args) => args.deploy.options.file = rules,
            #[cfg(feature = "edge")]
            cli::Command::Preview(args) => args.options.file = rules,
            _ => {}
        }
        Ok(Merged { cli, file: Some(format!("{shown}{section}")) })
    }
}

/// Names what does here what an option or a command of another tool does there, and what may be meant by an unknown
/// command: as an error and a hint, as all other errors are.
fn point_the_way(error: clap::Error) -> clap::Error {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let (what, hint) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let argument = said(ContextKind::InvalidArg);
            if !argument.starts_with('-') {
                return error;
            }
            let near = match error.get(ContextKind::SuggestedArg) {
                Some(ContextValue::String(near)) => Some(format!("did you mean '{near}'?")),
                _ => None,
            };
            let hint = help::option_of_other_tools(argument).map(str::to_owned).or(near);
            let hint = hint.unwrap_or_else(|| "'--help' lists the options of the command".to_owned());
            (format!("unknown option '{argument}'"), hint)
        }
        ErrorKind::InvalidSubcommand => {
            let command = said(ContextKind::InvalidSubcommand);
            let near = match error.get(ContextKind::SuggestedSubcommand) {
                Some(ContextValue::Strings(near)) => near.first().map(|near| format!("did you mean '{near}'?")),
                Some(ContextValue::String(near)) => Some(format!("did you mean '{near}'?")),
                _ => None,
            };
            let hint = help::of_other_tools(command).map(str::to_owned).or(near);
            let hint = hint.unwrap_or_else(|| "'shipfront help' lists the commands".to_owned());
            (format!("unknown command '{command}'"), hint)
        }
        _ => return error,
    };
    clap::Error::raw(error.kind(), format_args!("{what}\n{HINT}hint:{HINT:#} {hint}\n"))
}

/// Lets the environment set every option, and lets a flag be revoked: `--adopt=false`.
pub fn open(command: Command) -> Command {
    command.mut_args(open_argument).mut_subcommands(|command| match command.get_name() {
        name if WITHOUT_SETTINGS.contains(&name) => command,
        _ => open(command),
    })
}

fn open_argument(arg: Arg) -> Arg {
    let Some(long) = arg.get_long().map(str::to_owned) else { return unset_if_empty(arg) };
    let arg = match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .value_parser(BoolishValueParser::new()),
        ArgAction::Set | ArgAction::Append => arg,
        _ => return arg,
    };
    let is_open = arg.get_env().is_none() && !is_typed_only(&long);
    let arg = if is_open { arg.env(variable(&long)).hide_env(true) } else { arg };
    unset_if_empty(arg)
}

/// Whether an option lifts a guard, which a variable would do for every later run.
pub(crate) fn lifts_a_guard(option: &str) -> bool {
    matches!(option, "allow-removals" | "overwrite-foreign")
}

/// Whether no variable sets an option: it lifts a guard, or says what a single rollback should do.
pub(crate) fn is_typed_only(option: &str) -> bool {
    lifts_a_guard(option) || matches!(option, "to" | "build" | "plan" | "deploy" | "prune" | "keep-from" | "remove")
}

/// An empty variable is not set.
fn unset_if_empty(arg: Arg) -> Arg {
    if arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| variables::is_blank(&value))) {
        arg.env(Resettable::Reset)
    } else {
        arg
    }
}

/// The environment variable for an option.
pub(crate) fn variable(option: &str) -> String {
    format!("SHIPFRONT_{}", option.to_ascii_uppercase().replace('-', "_"))
}

/// Makes the settings of the file the defaults of a command's arguments.
fn defaults(command: Command, typed: &ArgMatches, settings: &FileSettings, folder: &Path) -> Command {
    let overruled = overruled(typed);
    let waits = waits(typed, settings);
    let local = command.get_name() == "preview" || is_on(typed, "local");
    let elsewhere = command.get_name() == "invalidate" && names_sites(typed);
    command.mut_args(|arg| {
        let key = file::key(&arg);
        let Some(values) = settings.values(&key) else { return arg };
        let of_others = local && OF_AWS.contains(&key.as_str()) || elsewhere && OF_URLS.contains(&key.as_str());
        let of_waiting = key == if waits { "no-wait" } else { "verify" };
        if overruled.contains(&key.as_str()) || of_others || of_waiting {
            return arg;
        }
        match key.as_str() {
            // Relative to the file, wherever shipfront is started.
            "source" => arg.default_values(values.iter().map(|value| OsStr::from(folder.join(value).into_os_string()))),
            _ => arg.default_values(values.iter().map(OsStr::from)),
        }
    })
}

/// Whether to wait for CloudFront. Before it is done, `--verify` would mistake copies that are about to be evicted
/// for stale ones: if it is typed, the run waits; otherwise, a run that does not wait does not verify.
fn waits(typed: &ArgMatches, settings: &FileSettings) -> bool {
    let of_file = || settings.values("no-wait").is_some_and(|values| values.iter().any(|value| value == "true"));
    let hurries = if is_typed(typed, "no_wait") { is_on(typed, "no_wait") } else { of_file() };
    is_said(typed, "verify") || !hurries
}

/// The keys that options on the command line exclude: `--no-record` overrides `record` of the file, and vice versa.
fn overruled(typed: &ArgMatches) -> &'static [&'static str] {
    if is_said(typed, "no_record") {
        &["record", "adopt"]
    } else if ["record", "adopt", "build_number", "force"].iter().any(|id| is_said(typed, id)) {
        &["no-record"]
    } else {
        &[]
    }
}

/// Whether an argument is on the command line or in the environment, and not to revoke it.
fn is_said(typed: &ArgMatches, id: &str) -> bool {
    is_typed(typed, id) && !matches!(typed.try_get_one::<bool>(id), Ok(Some(false)))
}

/// Whether an argument is on the command line or in the environment, whatever its value.
fn is_typed(typed: &ArgMatches, id: &str) -> bool {
    typed.try_contains_id(id).is_ok()
        && matches!(typed.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

fn is_on(typed: &ArgMatches, flag: &str) -> bool {
    matches!(typed.try_get_one::<bool>(flag), Ok(Some(true)))
}

/// Whether URLs are to be invalidated: their host names determine the distribution better than the file.
fn names_sites(typed: &ArgMatches) -> bool {
    let paths = typed.try_get_many::<String>("paths").ok().flatten().into_iter().flatten();
    paths.into_iter().any(|path| path.contains("://"))
}

/// A problem on one line, from clap's information about it.
pub(crate) fn in_one_line(error: &clap::Error) -> String {
    let said = |kind| error.get(kind).map(ContextValue::to_string);
    let tip = said(ContextKind::SuggestedArg).or(said(ContextKind::SuggestedValue));
    let tip = tip.map(|tip| format!("; did you mean '{tip}'?")).unwrap_or_default();
    let (argument, value) = (said(ContextKind::InvalidArg), said(ContextKind::InvalidValue));
    match (error.kind(), argument, value.as_deref()) {
        (ErrorKind::UnknownArgument, Some(argument), _) => format!("unexpected argument '{argument}' found{tip}"),
        (ErrorKind::InvalidValue, Some(argument), None | Some("")) => format!("'{argument}' needs a value"),
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(argument), Some(value)) => {
            let possible = said(ContextKind::ValidValue).map(|values| format!(" (possible values: {values})"));
            let reason = error.source().map(|reason| format!(": {reason}"));
            let why = reason.or(possible).unwrap_or_default();
            format!("invalid value '{value}' for '{argument}'{why}{tip}")
        }
        (ErrorKind::TooManyValues, Some(argument), Some(value)) => {
            format!("unexpected value '{value}' for '{argument}'")
        }
        (ErrorKind::ArgumentConflict, Some(argument), _) => match said(ContextKind::PriorArg) {
            Some(other) if other == argument => format!("'{argument}' cannot be used multiple times"),
            Some(other) => format!("'{argument}' cannot be used with '{other}'"),
            None => format!("'{argument}' cannot be used with other arguments"),
        },
        (kind, Some(argument), _) => format!("{kind}: '{argument}'"),
        (kind, None, _) => kind.to_string(),
    }
}

/// A line that makes no sense as one of our own errors: with the message and the hint that people read, where we wrote
/// both, else on one line.
pub fn as_error(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let mut lines = text.lines();
    let ours = lines.next().and_then(|line| line.strip_prefix("error: "));
    match ours.zip(lines.next().and_then(|line| line.strip_prefix("hint: "))) {
        Some((message, hint)) => Error::usage(message).hint(hint),
        None => Error::usage(in_one_line(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SiteOptions;
    use clap::Args;

    #[test]
    fn a_problem_of_clap_is_one_line_whatever_it_is() {
        let command = || open(SiteOptions::augment_args(Command::new("options").no_binary_name(true)));
        for (line, expected) in [
            ("--no-such-thing", "unexpected argument '--no-such-thing' found"),
            ("--clean-url", "unexpected argument '--clean-url' found; did you mean '--clean-urls'?"),
            ("--max-paths", "'--max-paths <auto|N>' needs a value"),
            ("--max-paths many", "invalid value 'many' for '--max-paths <auto|N>': write 'auto', or a number from 1"),
            (
                "--index-alias odd",
                "invalid value 'odd' for '--index-alias <WHEN>' (possible values: auto, always, never)",
            ),
            ("--record s3://a --record s3://b", "'--record <S3-URL>' cannot be used multiple times"),
            ("--clean-urls=maybe", "invalid value 'maybe' for '--clean-urls[=<CLEAN_URLS>]': value was not a boolean"),
            ("stray", "unexpected argument 'stray' found"),
        ] {
            let error = command().try_get_matches_from(line.split(' ')).expect_err(line);
            assert_eq!(in_one_line(&error), expected, "{line}");
        }
    }
}
