//! Parses `shipfront.toml`: its settings as they would be typed, or what is wrong with it, and where.
//!
//! Its keys are the options of a deploy, in the terms of the command line: an option that is added there is also
//! one here.

use crate::cli::DeployArgs;
use crate::cloudfront::lookup::Which;
use crate::config::field_names::field_names;
use crate::config::{duration, merge, place, previews};
use crate::error::{Error, Result};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Command};
use serde::Deserialize;
use shipfront_invalidation::allowance::MaxPaths;
use shipfront_site::Target;
use shipfront_site::rules::HeaderRule;
use std::any::TypeId;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// The default name of the file.
pub const FILE_NAME: &str = shipfront_site::key::SETTINGS_FILE;
/// Settings that differ from one run to the next.
const OF_ONE_RUN: [&str; 6] = ["allow-removals", "build-number", "force", "local", "preview", "shard"];
/// The section about previews.
pub(super) const PREVIEWS: &str = "previews";
/// Its keys, and the corresponding options.
pub(super) const OF_PREVIEWS: [(&str, &str); 3] =
    [("target", "previews-target"), ("url", "previews-url"), ("expires", "expires")];
/// The list of header rules.
pub(super) const HEADERS: &str = "headers";
/// The table of sections that override the rest of the file.
pub(super) const SECTIONS: &str = "env";

/// A file's settings for one environment.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FileSettings {
    values: BTreeMap<String, Vec<String>>,
    headers: Option<Vec<HeaderRule>>,
}

impl FileSettings {
    /// The values of an option in the file, as they would be typed.
    pub fn values(&self, option: &str) -> Option<&[String]> {
        self.values.get(option).map(Vec::as_slice)
    }

    /// Its header rules.
    pub fn headers(&self) -> &[HeaderRule] {
        self.headers.as_deref().unwrap_or_default()
    }

    /// The options that it sets.
    pub fn options(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// Parses a file's text. `name` is its display name, `environment` the section that overrides the rest of it.
///
/// All of it is checked, including sections that are not selected.
pub fn read(name: &str, text: &str, environment: Option<&str>) -> Result<FileSettings> {
    let file = File { name, text, options: options() };
    let table = DeTable::parse(text).map_err(|error| {
        file.wrong(&error.span().unwrap_or_default(), error.message().to_owned())
            .hint("see https://toml.io for the syntax")
    })?;
    let (mut settings, sections) = file.top(table.into_inner())?;
    if let Some(environment) = environment {
        let Some(section) = sections.get(environment) else {
            return Err(unknown_section(name, environment, sections.keys().map(String::as_str)));
        };
        settings.values.extend(section.values.clone());
        settings.headers = section.headers.clone().or(settings.headers);
    }
    Ok(settings)
}

/// The arguments that are keys of the file.
pub(super) fn keys() -> Vec<Arg> {
    let command = options();
    let is_one = |arg: &&Arg| !OF_ONE_RUN.contains(&key(arg).as_str()) && !is_of_previews(&key(arg));
    command.get_arguments().filter(is_one).cloned().collect()
}

/// The arguments that are keys of the section about previews, with those keys.
pub(super) fn keys_of_previews() -> Vec<(&'static str, Arg)> {
    let command = options();
    let found = |(name, option)| Some((name, command.get_arguments().find(|arg| key(arg) == option)?.clone()));
    OF_PREVIEWS.into_iter().filter_map(found).collect()
}

fn is_of_previews(option: &str) -> bool {
    OF_PREVIEWS.iter().any(|(_, known)| *known == option)
}

/// The name of an argument in the file, which is the flag's.
pub(super) fn key(arg: &Arg) -> String {
    arg.get_long().map_or_else(|| arg.get_id().to_string(), str::to_owned)
}

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// A whole number, or a word.
    NumberOrWord,
    /// Text.
    Text,
    /// Text, or a list of texts.
    List,
}

impl Kind {
    pub(super) fn of(arg: &Arg) -> Kind {
        let of_type = arg.get_value_parser().type_id();
        match arg.get_action() {
            ArgAction::SetTrue => Kind::Flag,
            ArgAction::Append => Kind::List,
            _ if of_type == TypeId::of::<MaxPaths>() => Kind::NumberOrWord,
            _ if [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()].iter().any(|id| of_type == *id) => {
                Kind::Number
            }
            _ => Kind::Text,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Kind::Flag => "true or false",
            Kind::Number => "a number",
            Kind::NumberOrWord => "a number or \"auto\"",
            Kind::Text => "a string",
            Kind::List => "a string, or a list of strings",
        }
    }
}

fn options() -> Command {
    let command = DeployArgs::augment_args(Command::new("options").no_binary_name(true).disable_help_flag(true));
    // Whether a file is valid does not depend on the environment.
    command.mut_args(|arg| arg.env(clap::builder::Resettable::Reset))
}

struct File<'t> {
    name: &'t str,
    text: &'t str,
    options: Command,
}

impl File<'_> {
    /// The whole file: what is outside the sections, and the sections.
    fn top(&self, table: DeTable<'_>) -> Result<(FileSettings, BTreeMap<String, FileSettings>)> {
        let mut sections = BTreeMap::new();
        let mut others = DeTable::new();
        for (key, value) in table {
            if key.get_ref() != SECTIONS {
                others.insert(key, value);
                continue;
            }
            let span = value.span();
            let DeValue::Table(of_env) = value.into_inner() else {
                return Err(self.wrong(&span, format!("{SECTIONS}: expected sections such as [{SECTIONS}.staging]")));
            };
            for (name, section) in of_env {
                let span = section.span();
                let DeValue::Table(section) = section.into_inner() else {
                    let problem = format!("{SECTIONS}.{name}: expected a section", name = name.get_ref());
                    return Err(self
                        .wrong(&span, problem)
                        .hint(format!("write it as [{SECTIONS}.{}]", name.get_ref())));
                };
                sections.insert(name.get_ref().to_string(), self.section(section)?);
            }
        }
        Ok((self.section(others)?, sections))
    }

    fn section(&self, table: DeTable<'_>) -> Result<FileSettings> {
        let mut settings = FileSettings::default();
        // The first problem in the file is the one to report, but a table has its keys sorted by name.
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            if key.get_ref() == HEADERS {
                settings.headers = Some(self.headers(value)?);
                continue;
            }
            if key.get_ref() == PREVIEWS {
                settings.values.extend(self.previews(value)?);
                continue;
            }
            let option = self.option(&key)?;
            let values = self.values(option, &key, &value)?;
            settings.values.insert(key.into_inner().into_owned(), values);
        }
        self.check_together(&settings)?;
        Ok(settings)
    }

    /// The section about previews, by the options that its keys correspond to.
    fn previews(&self, value: Spanned<DeValue<'_>>) -> Result<Vec<(String, Vec<String>)>> {
        let span = value.span();
        let DeValue::Table(section) = value.into_inner() else {
            let problem = format!("{PREVIEWS}: expected a section");
            return Err(self
                .wrong(&span, problem)
                .hint(format!("write it as [{PREVIEWS}] with target = \"s3://...\"")));
        };
        let mut entries: Vec<_> = section.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let values = entries.into_iter().map(|(key, value)| {
            let name = key.get_ref();
            let option = OF_PREVIEWS.iter().find(|(known, _)| known == name).map(|(_, option)| *option);
            let argument = option.and_then(|option| self.options.get_arguments().find(|arg| self::key(arg) == option));
            let (Some(option), Some(argument)) = (option, argument) else {
                let wrong = self.wrong(&key.span(), format!("{PREVIEWS}: unknown key {name:?}"));
                return Err(match nearest(name, OF_PREVIEWS.iter().map(|(known, _)| *known)) {
                    Some(near) => wrong.hint(format!("did you mean {near:?}?")),
                    None => wrong.hint("known are target, url, expires"),
                });
            };
            let named = Spanned::new(key.span(), option.into());
            Ok((option.to_owned(), self.values(argument, &named, &value)?))
        });
        values.collect()
    }

    fn headers(&self, value: Spanned<DeValue<'_>>) -> Result<Vec<HeaderRule>> {
        let span = value.span();
        if let DeValue::Array(rules) = value.get_ref() {
            let known = field_names::<HeaderRule>();
            let keys = rules.iter().filter_map(|rule| rule.get_ref().as_table()).flat_map(|rule| rule.keys());
            let unknown = keys.filter(|key| !known.contains(&key.get_ref().as_ref()));
            // The first one in the file, because a table has its keys sorted by name.
            if let Some(key) = unknown.min_by_key(|key| key.span().start) {
                let wrong = self.wrong(&key.span(), format!("{HEADERS}: unknown key {:?}", key.get_ref()));
                return Err(match nearest(key.get_ref(), known.iter().copied()) {
                    Some(near) => wrong.hint(format!("did you mean {near:?}?")),
                    None => wrong.hint(format!("known are {}", known.join(", "))),
                });
            }
        }
        Vec::deserialize(ValueDeserializer::from(value)).map_err(|error| {
            let problem = error.message().replace('`', "\"");
            self.wrong(&error.span().unwrap_or(span), format!("{HEADERS}: {problem}")).hint(
                "a rule is a section [[headers]] with files = \"*.html\" and headers such as cache-control = \"...\"",
            )
        })
    }

    fn option(&self, named: &Spanned<std::borrow::Cow<'_, str>>) -> Result<&Arg> {
        let name = named.get_ref();
        if OF_ONE_RUN.contains(&name.as_ref()) {
            let wrong = self.wrong(&named.span(), format!("{name:?} is set for a single run, not in the file"));
            return Err(wrong.hint(match merge::is_typed_only(name) {
                true => format!("pass --{name}"),
                false => format!("pass --{name}, or set {}", merge::variable(name)),
            }));
        }
        if let Some((known, _)) = OF_PREVIEWS.iter().find(|(_, option)| option == name) {
            let wrong = self.wrong(&named.span(), format!("unknown key {name:?}"));
            return Err(wrong.hint(format!("write it as {known} in the section [{PREVIEWS}]")));
        }
        if let Some(option) = self.options.get_arguments().find(|option| key(option) == **name) {
            return Ok(option);
        }
        let known: Vec<String> =
            keys().iter().map(key).chain([HEADERS, PREVIEWS, SECTIONS].map(str::to_owned)).collect();
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("known are {}", known.join(", ")),
        };
        Err(self.wrong(&named.span(), format!("unknown key {name:?}")).hint(hint))
    }

    /// The values of an option, as they would be typed.
    fn values(
        &self,
        option: &Arg,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<String>> {
        let (name, kind) = (key.get_ref(), Kind::of(option));
        let texts = match (kind, value.get_ref()) {
            (Kind::Flag, DeValue::Boolean(on)) => return Ok(vec![on.to_string()]),
            (Kind::Number | Kind::NumberOrWord, DeValue::Integer(number)) => {
                let digits = number.as_str().replace('_', "");
                let number = i128::from_str_radix(&digits, number.radix()).map_or(digits, |number| number.to_string());
                vec![(number, value.span())]
            }
            (Kind::NumberOrWord | Kind::Text | Kind::List, DeValue::String(text)) => {
                vec![(text.to_string(), value.span())]
            }
            (Kind::List, DeValue::Array(texts)) => {
                let text = |text: &Spanned<DeValue<'_>>| match text.get_ref() {
                    DeValue::String(value) => Ok((value.to_string(), text.span())),
                    other => Err(self.wrong(&text.span(), format!("{name}: expected a string, not {}", words(other)))),
                };
                texts.iter().map(text).collect::<Result<_>>()?
            }
            (kind, other) => {
                let problem = format!("{name}: expected {}, not {}", kind.expected(), words(other));
                return Err(self.wrong(&value.span(), problem));
            }
        };
        for (text, span) in &texts {
            self.check(option, name, text, span)?;
        }
        Ok(texts.into_iter().map(|(text, _)| text).collect())
    }

    /// Parses a value as the command line would, and then as it is meant.
    fn check(&self, option: &Arg, name: &str, text: &str, span: &Range<usize>) -> Result<()> {
        if text.is_empty() {
            return Err(self.wrong(span, format!("{name}: the text is empty")));
        }
        if option.get_long().is_some()
            && let Err(error) = self.options.clone().try_get_matches_from([format!("--{name}={text}")])
        {
            let (problem, hint) = problem_of(&error, text);
            let wrong = self.wrong(span, format!("{name}: {problem}"));
            return Err(if let Some(hint) = hint { wrong.hint(hint) } else { wrong });
        }
        let meant = match name {
            "target" | "previews-target" => Target::parse(text).map(drop).map_err(Error::from),
            "previews-url" => previews::url_of(text, "name").map(drop),
            "record" => place(Some(text), false).map(drop),
            "distribution" => Which::parse(&[text.to_owned()], &[]).map(drop),
            "distribution-tenant" => Which::parse(&[], &[text.to_owned()]).map(drop),
            "prune-after" if text == "never" => Ok(()),
            "prune-after" | "wait-timeout" | "lock-timeout" | "expires" => duration("the value", text).map(drop),
            _ => Ok(()),
        };
        meant.map_err(|error| self.wrong(span, format!("{name}: {error}")).hint(error.hint_text()))
    }

    /// Settings that exclude each other.
    fn check_together(&self, settings: &FileSettings) -> Result<()> {
        let flag = |name: &str| settings.values(name).is_some_and(|values| values == ["true"]);
        let set = |name: &&&str| flag(name) || settings.values(name).is_some() && **name == "record";
        match ["record", "adopt"].iter().find(set) {
            Some(other) if flag("no-record") => {
                Err(Error::usage(format!("{}: no-record cannot be used with {other}", self.name))
                    .hint("remove one of them"))
            }
            _ => Ok(()),
        }
    }

    /// A problem at a position in the file.
    fn wrong(&self, span: &Range<usize>, problem: String) -> Error {
        let (line, column) = position(self.text, span.start);
        Error::usage(format!("{}:{line}:{column}: {problem}", self.name))
            .hint("'shipfront schema' describes every setting")
    }
}

/// Line and column, from 1, of a byte.
pub(crate) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or(before);
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

fn words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// clap's objection to a value, without the flag that nobody typed.
fn problem_of(error: &clap::Error, text: &str) -> (String, Option<String>) {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::Strings(values)) => values.clone(),
        Some(ContextValue::String(value)) => vec![value.clone()],
        _ => Vec::new(),
    };
    match (error.kind(), error.source()) {
        (ErrorKind::InvalidValue, _) => {
            let near = said(ContextKind::SuggestedValue).first().map(|near| format!("did you mean {near:?}?"));
            (format!("{text:?} is not one of {}", said(ContextKind::ValidValue).join(", ")), near)
        }
        (_, Some(source)) => (source.to_string(), None),
        _ => (format!("{text:?} is not a valid value"), None),
    }
}

fn unknown_section<'a>(file: &str, environment: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    let hint = match nearest(environment, known.clone()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.clone().next().is_none() => {
            "add the section to the file, or omit --env and SHIPFRONT_ENV".to_owned()
        }
        None => format!("it has {}", known.collect::<Vec<_>>().join(", ")),
    };
    Error::usage(format!("{file} has no section [{SECTIONS}.{environment}]")).hint(hint)
}

/// The known name that is nearest to a mistyped one.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = name.to_ascii_lowercase().replace(['_', ' '], "-");
    let apart = known.map(|known| (strsim::damerau_levenshtein(&plain, known), known));
    apart.min().filter(|(distance, known)| *distance <= known.len().max(plain.len()) / 3).map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
