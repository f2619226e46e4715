//! `shipfront import`: converts another tool's settings to a `shipfront.toml`.

mod hugo;
mod pattern;
mod s3deploy;

use crate::cli::ImportArgs;
use crate::config::file::{self, position};
use crate::config::locate;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::terminal::Terminal;
use serde::Serialize;
use serde_json::{Map, Value};
use shipfront_site::Warning;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// `import`.
pub fn run(args: &ImportArgs, terminal: &Terminal) -> Result<Exit> {
    let imported = import(&args.file)?;
    let by_hand = |note: &String| Warning::new(note, "shipfront.toml lists it as not carried over");
    let warnings: Vec<Warning> = imported.not_carried_over.iter().map(by_hand).collect();
    terminal.document(&imported, &warnings)?;
    Ok(Exit::Done)
}

/// A file's settings, in the terms of `shipfront.toml`.
#[derive(Debug, Serialize)]
struct Imported {
    /// The text of the file.
    toml: String,
    /// What could not be converted, and what to do about it.
    not_carried_over: Vec<String>,
}

/// Reads another tool's file.
fn import(path: &Path) -> Result<Imported> {
    let name = path.display().to_string();
    import_text(&name, &locate::text(path, &name)?)
}

/// Parses another tool's file; its name determines the language.
fn import_text(name: &str, text: &str) -> Result<Imported> {
    let value = lower(parse(name, text)?);
    let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase());
    let mut import = Import { name: name.to_owned(), ..Import::default() };
    match value {
        Value::Object(mut fields) if fields.contains_key("deployment") => {
            let section = fields.remove("deployment").unwrap_or_default();
            import.hugo(section, fields.get("publishdir").and_then(Value::as_str))?;
        }
        // Hugo's sections may be separate files.
        Value::Object(fields) if stem.as_deref() == Some("deployment") => import.hugo(Value::Object(fields), None)?,
        Value::Object(fields) if fields.contains_key("routes") || fields.contains_key("bucket") => {
            import.s3deploy(Value::Object(fields))?;
        }
        _ => {
            return Err(Error::usage(format!("{name} is not a settings file of a known tool"))
                .hint("supported: .s3deploy.yml of bep/s3deploy with routes, and Hugo's configuration with a deployment section"));
        }
    }
    import.finish()
}

fn parse(name: &str, text: &str) -> Result<Value> {
    let wrong = |(line, column): (usize, usize), problem: &str| {
        let problem = problem.lines().next().unwrap_or_default();
        Err(Error::usage(format!("{name}:{line}:{column}: {problem}"))
            .hint("fix the file first; the other tool cannot read it either"))
    };
    let extension = Path::new(name).extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("toml") => toml::from_str(text)
            .or_else(|error| wrong(error.span().map_or((1, 1), |span| position(text, span.start)), error.message())),
        Some("json") => {
            serde_json::from_str(text).or_else(|error| wrong((error.line(), error.column()), &error.to_string()))
        }
        Some("yml" | "yaml") => yaml_serde::from_str(text).or_else(|error| {
            let place = error.location().map_or((1, 1), |place| (place.line(), place.column()));
            wrong(place, &error.to_string())
        }),
        _ => Err(Error::usage(format!("{name} is not a .yml, .yaml, .toml or .json file"))
            .hint("name .s3deploy.yml, or Hugo's configuration")),
    }
}

/// Names of settings and headers are case-insensitive.
fn lower(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), lower(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(lower).collect()),
        other => other,
    }
}

/// Parses what the other tool knows, or says where it differs.
fn known<T: serde::de::DeserializeOwned>(name: &str, value: Value, hint: &str) -> Result<T> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| Error::usage(format!("{name}: {}: {}", error.path(), error.inner())).hint(hint))
}

/// A file that is being converted.
#[derive(Debug, Default)]
struct Import {
    name: String,
    settings: Settings,
    /// The settings of each section.
    sections: Vec<(String, Settings)>,
    /// In the other tool's order, in which only the first rule that matches applies.
    rules: Vec<Rule>,
    /// The settings for all files.
    of_all: Option<Rule>,
    notes: Vec<String>,
}

/// Options and their values, in TOML.
type Settings = Vec<(&'static str, toml::Value)>;

#[derive(Debug, Default)]
struct Rule {
    /// The pattern of the other tool.
    pattern: String,
    files: Vec<String>,
    /// By their names in a rule; user metadata has the prefix `metadata.`.
    headers: BTreeMap<String, toml::Value>,
}

impl Import {
    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Lists settings that have no counterpart.
    fn note_left(&mut self, place: &str, fields: &Map<String, Value>, because: &[(&str, &str)]) {
        for (name, value) in fields {
            if matches!(value, Value::Null | Value::Bool(false)) {
                continue;
            }
            let why =
                because.iter().find(|(known, _)| known == name).map_or("shipfront has no such setting", |(_, why)| why);
            self.note(format!("{place}{name}: {why}"));
        }
    }

    /// The globs of a regular expression, or a note that there are none.
    fn globs(&mut self, place: &str, regex: &str) -> Vec<String> {
        pattern::of_regex(regex).unwrap_or_else(|| {
            self.note(format!("{place} {regex:?}: no glob is equivalent; write one by hand"));
            Vec::new()
        })
    }

    fn finish(self) -> Result<Imported> {
        let mut text = format!("# Made from {} by 'shipfront import'.\n", self.name);
        if !self.notes.is_empty() {
            text.push_str("# Not carried over:\n");
            self.notes.iter().for_each(|note| text.push_str(&format!("# - {}\n", note.replace('\n', " "))));
        }
        let lines = |settings: &Settings| {
            settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect::<String>()
        };
        text.push_str(&lines(&self.settings));
        if !self.rules.is_empty() {
            text.push_str("\n# In the original, only the first rule that matches applies; here, later rules override: the order is reversed.\n");
        }
        let mut before: Vec<&Rule> = Vec::new();
        for rule in self.of_all.iter().chain(self.rules.iter().rev()) {
            text.push_str(&rule.text(&before));
            before.push(rule);
        }
        for (name, settings) in &self.sections {
            let name = toml::Value::String(name.clone());
            text.push_str(&format!("\n[env.{name}]\n{}", lines(settings)));
        }
        let problem = |error: Error| {
            Error::usage(format!("the settings of {} cannot be converted: {error}", self.name)).hint(error.hint_text())
        };
        file::read("the result", &text, None).map_err(problem)?;
        Ok(Imported { toml: text, not_carried_over: self.notes })
    }
}

impl Rule {
    /// The rule, after those that it must not apply to.
    fn text(&self, before: &[&Rule]) -> String {
        let mut headers = self.headers.clone();
        let met: BTreeSet<&String> =
            before.iter().filter(|other| other.may_meet(self)).flat_map(|other| other.headers.keys()).collect();
        for name in met {
            let nothing = match name.as_str() {
                "compress" => toml::Value::Array(Vec::new()),
                "storage-class" => toml::Value::from("STANDARD"),
                // The settings for all files apply to these as well.
                "acl" => continue,
                _ => toml::Value::from(""),
            };
            headers.entry(name.clone()).or_insert(nothing);
        }
        let files = match self.files.as_slice() {
            [one] => toml::Value::from(one.as_str()),
            many => toml::Value::from(many.to_vec()),
        };
        let from = if self.pattern.is_empty() { String::new() } else { format!("# {:?}\n", self.pattern) };
        let mut text = format!("\n{from}[[headers]]\nfiles = {files}\n");
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name} = {value}\n")));
        text
    }

    /// Whether a file may match both. Names with different extensions cannot.
    fn may_meet(&self, other: &Rule) -> bool {
        let (Some(own), Some(others)) = (self.extensions(), other.extensions()) else { return true };
        !own.is_disjoint(&others)
    }

    /// The extensions, if nothing else is required of a file.
    fn extensions(&self) -> Option<BTreeSet<&str>> {
        let extensions = self.files.iter().map(|glob| {
            let rest = glob.strip_prefix("*.")?;
            let words = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(rest);
            words.chars().all(|c| c.is_ascii_alphanumeric() || c == ',').then(|| words.split(','))
        });
        Some(extensions.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// Whether the other tool reads a value from the environment.
fn is_of_environment(text: &str) -> bool {
    text.contains('$')
}

impl Display for Imported {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.toml)
    }
}

#[cfg(test)]
mod tests;
