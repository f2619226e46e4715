//! `UserParameters`: a distribution's ID, or JSON that says what to do.

use crate::cloudfront::lookup::Which;
use crate::config;
use crate::deploy::Settings;
use crate::error::{Error, Result};
use crate::lambda::site_options;
use clap::{Args, Command};
use serde::Deserialize;
use serde_json::{Map, Value};
use shipfront_site::Target;
use std::path::{Component, PathBuf};

const HINT: &str = "UserParameters are a distribution's id, or JSON such as {\"distribution\": \"auto\", \"bucket\": \
                    \"www.example.com\", \"deploy\": {}} or {\"distribution\": \"E2QWRUHAPOMQZL\", \"paths\": [\"/*\"]}";
/// Options that are only allowed outside `deploy`, those that wait for CloudFront, which a job does with its token,
/// and those for a single run, because an action's parameters are permanent.
const NOT_IN_DEPLOY: [&str; 5] = ["allow-removals", "distribution", "no-wait", "verify", "help"];
/// Options that can be lists.
const LISTS: [&str; 5] = ["assets", "distribution-tenant", "exclude", "include-hidden", "pages"];

/// What the action should do.
#[derive(Debug)]
pub(super) struct Parameters {
    distribution: FromAction,
    pub(super) bucket: Option<Target>,
    /// What to invalidate if nothing is deployed: everything, if nothing is named.
    pub(super) paths: Vec<String>,
    /// Whether the action ends only when CloudFront has finished.
    pub(super) wait: bool,
    pub(super) deploy: Option<DeployParameters>,
}

/// What an action says about the distributions.
#[derive(Debug)]
enum FromAction {
    /// IDs separated by commas, or `auto`.
    Named(String),
    /// Its parameters leave them to the function's environment.
    Unnamed,
    /// It has no parameters at all.
    Missing,
}

/// How to deploy the artifact.
#[derive(Debug)]
pub(super) struct DeployParameters {
    target: Target,
    /// The folder of the artifact that is the site; the whole artifact if empty.
    pub(super) source: PathBuf,
    /// The input artifact's name.
    pub(super) artifact: Option<String>,
    /// Options of `shipfront deploy`, as typed.
    options: Vec<String>,
}

#[derive(Deserialize)]
struct Typed {
    distribution: Option<String>,
    bucket: Option<String>,
    paths: Option<Vec<String>>,
    wait: Option<bool>,
    deploy: Option<Map<String, Value>>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Parameters {
    /// Parses them.
    pub(super) fn parse(text: &str) -> Result<Parameters> {
        let text = text.trim();
        if !text.starts_with('{') {
            let distribution = if text.is_empty() { FromAction::Missing } else { FromAction::Named(text.to_owned()) };
            let paths = vec!["/*".to_owned()];
            return Ok(Parameters { distribution, bucket: None, paths, wait: true, deploy: None });
        }
        let wrong = |problem: String| Error::usage(format!("UserParameters: {problem}")).hint(HINT);
        let value: Value = serde_json::from_str(text).map_err(|error| wrong(format!("no JSON: {error}")))?;
        let typed: Typed = crate::lambda::shape::read_shape(&value).map_err(wrong)?;
        refuse_unknown("", typed.unknown.keys(), "distribution, bucket, paths, wait and deploy")?;
        let bucket = typed.bucket.map(|name| Target::whole(&name)).transpose();
        let bucket = bucket.map_err(|error| {
            wrong(format!("bucket: {error}"))
                .hint("it is a bucket's name alone; a folder of it is \"prefix\" in \"deploy\"")
        })?;
        let deploy = match (typed.deploy, &bucket) {
            (None, _) => None,
            (Some(_), _) if typed.paths.is_some() => {
                return Err(wrong("a deploy determines what to invalidate: remove \"paths\"".to_owned()));
            }
            (Some(_), None) => return Err(wrong("\"deploy\" needs \"bucket\"".to_owned())),
            (Some(fields), Some(bucket)) => Some(DeployParameters::parse(fields, bucket)?),
        };
        let paths = typed.paths.unwrap_or_else(|| vec!["/*".to_owned()]);
        let wait = typed.wait.unwrap_or(true);
        let distribution = typed.distribution.map_or(FromAction::Unnamed, FromAction::Named);
        Ok(Parameters { distribution, bucket, paths, wait, deploy })
    }

    /// The distributions that they name; those of the function's environment if they name none.
    ///
    /// Without any parameters, everything is invalidated, and only if the environment names the distributions:
    /// `auto` and `none` do not.
    pub(super) fn which(&self, otherwise: &Which) -> Result<Which> {
        let text = match (&self.distribution, otherwise) {
            (FromAction::Named(text), _) => text,
            (FromAction::Unnamed, _) | (FromAction::Missing, Which::Ids(_)) => return Ok(otherwise.clone()),
            (FromAction::Missing, Which::Auto | Which::None) => {
                let message = "the action has no UserParameters, and SHIPFRONT_DISTRIBUTION names no distribution";
                return Err(Error::usage(message).hint(HINT));
            }
        };
        let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
        Which::parse(&ids, &[]).map_err(|error| Error::usage(format!("UserParameters: {error}")).hint(HINT))
    }
}

impl DeployParameters {
    /// Three separate fields; all others are options of `shipfront deploy` without their hyphens.
    fn parse(mut fields: Map<String, Value>, bucket: &Target) -> Result<DeployParameters> {
        let wrong = |problem: String| Error::usage(format!("UserParameters: deploy.{problem}")).hint(HINT);
        let mut text = |name: &str| match fields.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(format!("{name}: expected a string"))),
        };
        let (source, artifact, prefix) = (text("source")?, text("artifact")?, text("prefix")?);
        let source = PathBuf::from(source.unwrap_or_default());
        if !source.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(wrong("source: expected a folder of the artifact, such as \"dist\"".to_owned()));
        }
        let source = source.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let target = match prefix {
            Some(prefix) => Target::parse(&format!("s3://{}/{prefix}", bucket.bucket())),
            None => Ok(bucket.clone()),
        };
        let target = target.map_err(|error| wrong(format!("prefix: {error}")))?;
        let known = known_options();
        let unknown = fields.keys().filter(|name| !known.contains(name));
        refuse_unknown("deploy.", unknown, &format!("source, artifact, prefix, {}", known.join(", ")))?;
        let mut options = Vec::new();
        for (name, value) in &fields {
            match value {
                Value::Bool(on) => options.push(format!("--{name}={on}")),
                Value::String(text) => options.push(format!("--{name}={text}")),
                Value::Number(number) => options.push(format!("--{name}={number}")),
                Value::Array(texts) if LISTS.contains(&name.as_str()) && texts.iter().all(Value::is_string) => {
                    options.extend(texts.iter().filter_map(Value::as_str).map(|text| format!("--{name}={text}")));
                }
                _ => return Err(wrong(format!("{name}: expected a string, a number, true or false"))),
            }
        }
        site_options(options.iter().cloned()).map_err(|problem| wrong(format!(" {problem}")))?;
        Ok(DeployParameters { target, source, artifact, options })
    }

    /// The settings of a deploy of `site`.
    pub(super) fn settings(&self, site: PathBuf, which: Which) -> Result<Settings> {
        let options = site_options(self.options.iter().cloned()).map_err(|problem| Error::usage(problem).hint(HINT))?;
        let settings = config::settings(site, self.target.clone(), &options, None)?;
        Ok(Settings { distributions: which, ..settings })
    }
}

fn known_options() -> Vec<String> {
    let command = crate::cli::SiteOptions::augment_args(Command::new("options"));
    let names = command.get_arguments().filter_map(|option| option.get_long().map(str::to_owned));
    names.filter(|name| !NOT_IN_DEPLOY.contains(&name.as_str())).collect()
}

fn refuse_unknown<'a>(place: &str, unknown: impl Iterator<Item = &'a String>, known: &str) -> Result<()> {
    let names: Vec<String> = unknown.map(|name| format!("\"{place}{name}\"")).collect();
    if names.is_empty() {
        return Ok(());
    }
    let fields = if names.len() == 1 { "field" } else { "fields" };
    Err(Error::usage(format!("UserParameters: unknown {fields} {}", names.join(", ")))
        .hint(format!("known are {known}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_invalidation::DistributionId;

    fn ids(text: &str) -> Which {
        Parameters::parse(text).unwrap().which(&Which::Auto).unwrap()
    }

    fn problem(text: &str) -> String {
        Parameters::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_id_alone_is_everything_of_one_distribution() {
        assert_eq!(ids(" E1 "), Which::Ids(vec![DistributionId::Distribution("E1".into())]));
        assert_eq!(ids("auto"), Which::Auto);
        assert_eq!(Parameters::parse("E1").unwrap().paths, ["/*"]);
        assert!(Parameters::parse("E 1").unwrap().which(&Which::Auto).is_err());
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let reported = problem(r#"{"distribution": "E1", "path": ["/a"], "Wait": true}"#);
        assert!(reported.contains("\"path\"") && reported.contains("\"Wait\""), "{reported}");
        assert!(problem(r#"{"bucket": "www", "deploy": {"prune": "0s"}}"#).contains("\"deploy.prune\""));
        assert!(problem(r#"{"bucket": "www", "deploy": {"distribution": "E1"}}"#).contains("\"deploy.distribution\""));
    }

    #[test]
    fn wrong_types_and_values_are_refused_with_their_place() {
        for (text, reported) in [
            (r#"{"wait": "yes"}"#, "wait: expected"),
            (r#"{"paths": "/a"}"#, "paths: expected"),
            (r#"{"paths": [1]}"#, "paths[0]: expected"),
            (r#"{"bucket": "a"}"#, "bucket: "),
            (r#"{"bucket": "www/blog"}"#, "bucket: "),
            (r#"{"deploy": {}}"#, "needs \"bucket\""),
            (r#"{"bucket": "www", "deploy": {}, "paths": ["/a"]}"#, "\"paths\""),
            (r#"{"bucket": "www", "deploy": {"source": "../x"}}"#, "deploy.source"),
            (r#"{"bucket": "www", "deploy": {"max-paths": 0}}"#, "max-paths"),
            (r#"{"bucket": "www", "deploy": {"strategy": "best"}}"#, "strategy"),
            (r#"{"bucket": "www", "deploy": {"record": ["x"]}}"#, "deploy.record"),
            ("{", "no JSON"),
        ] {
            assert!(problem(text).contains(reported), "{text}: {}", problem(text));
        }
    }

    #[test]
    fn options_mean_what_they_mean_on_the_command_line() {
        let text = r#"{"bucket": "www", "deploy": {"prefix": "blog", "max-paths": 7, "clean-urls": true, "adopt": false, "exclude": ["*.map"]}}"#;
        let settings = Parameters::parse(text).unwrap().deploy.unwrap().settings("x".into(), Which::None).unwrap();
        assert_eq!(settings.target.to_string(), "s3://www/blog");
        assert!(settings.walk.excluded.is_match("x/app.js.map"));
        let whole = Parameters::parse(r#"{"bucket": "www", "deploy": {"source": "./"}}"#).unwrap().deploy.unwrap();
        assert_eq!(whole.source, PathBuf::new());
        assert_eq!(settings.policy.max_paths.to_string(), "7");
        assert_eq!((settings.policy.viewer.clean_urls, settings.adopt), (true, false));
    }
}
