//! The files at the top of the source that say how to serve the others and are not served themselves: `_headers`
//! and `_redirects`.

use crate::deploy::Settings;
use crate::deploy::entry::{Entry, EntryHeaders, Source};
use crate::deploy::rule_warnings;
use crate::deploy::walk::{self, Walk, WalkRules};
use crate::error::{Error, Result};
use clap::ValueEnum;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::viewer::{DistributionShape, OriginKind, origin_is_bucket};
use shipfront_site::RECORD_FOLDER;
use shipfront_site::Warning;
use shipfront_site::header_function::{self, HeaderFunction};
use shipfront_site::headers::Headers;
use shipfront_site::headers_file::{self, HeadersFile};
use shipfront_site::key::{HEADERS_FILE, MAX_KEY_BYTES, REDIRECTS_FILE};
use shipfront_site::platform::{self, Finding, FindingKind, RuleOptions};
use shipfront_site::redirect_function::{self, RedirectFunction};
use shipfront_site::redirects_file::{self, Action, RedirectRule, RedirectsFile, without_slash};
use shipfront_site::response_headers_policy::{self, PolicyTemplate};
use shipfront_site::rules::{HeaderRules, Redirect};
use shipfront_site::url_pattern::as_sent;
use shipfront_site::viewer_rules::Rules;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Maximum size in bytes: far more than any such file needs.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Number of lines to show; the rest is counted.
const MOST_SHOWN: usize = 10;

/// Reads a file at the top of the source, if it exists. A link out of the source is followed if links are followed.
pub fn read(source: &Path, name: &str, follow_links: bool) -> Result<Option<String>> {
    let path = source.join(name);
    let unreadable = |error: &io::Error| {
        Error::usage(format!("cannot read {}: {error}", path.display())).hint("make it readable, or remove it")
    };
    // The walk skips a link out of the source as well.
    let outside = || match (path.canonicalize(), source.canonicalize()) {
        (Ok(path), Ok(source)) => !follow_links && !path.starts_with(source),
        _ => false,
    };
    match std::fs::metadata(&path) {
        Ok(_) if outside() => Ok(None),
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            let hint =
                format!("shipfront reads {name} as header rules or redirects; remove it if it is something else");
            Err(Error::usage(format!("{} has {} bytes", path.display(), metadata.len())).hint(hint))
        }
        Ok(metadata) if metadata.is_file() => {
            let bytes = std::fs::read(&path).map_err(|error| unreadable(&error))?;
            let text = platform::text_of(bytes).map_err(|error| error.in_file(&path))?;
            Ok(Some(text))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Parses the `_headers` file of a source. Refuses lines that protect something.
pub fn headers(source: &Path, follow_links: bool, options: &RuleOptions) -> Result<HeadersFile> {
    let text = read(source, HEADERS_FILE, follow_links)?.unwrap_or_default();
    let file = headers_file::parse(&text, options);
    platform::check(&file.findings, options)?;
    Ok(file)
}

/// The policies that add the headers of a source's `_headers` file that S3 does not store.
pub fn policy_template(source: &Path, options: &RuleOptions) -> Result<PolicyTemplate> {
    let file = others(source, options)?;
    let mut template = response_headers_policy::template(&file.blocks);
    template.warnings.splice(..0, file.findings.iter().map(Finding::warning));
    Ok(template)
}

/// The function that adds the headers of a source's `_headers` file that S3 does not store.
pub fn header_function(source: &Path, options: &RuleOptions) -> Result<HeaderFunction> {
    let file = others(source, options)?;
    let (rules, findings) = Rules::new(RedirectsFile::default(), file, std::iter::empty(), false, options);
    let mut function = header_function::generate(&rules)?;
    function.warnings.splice(..0, findings.iter().map(Finding::warning));
    Ok(function)
}

fn others(source: &Path, options: &RuleOptions) -> Result<HeadersFile> {
    let file = headers(source, true, options)?;
    if file.blocks.is_empty() {
        let message = nothing_in(source, HEADERS_FILE, "no header that S3 does not keep");
        let message = with_findings(message, &file.findings);
        return Err(Error::usage(message).hint("deploys store those that S3 keeps; there is nothing to add"));
    }
    Ok(file)
}

fn nothing_in(source: &Path, name: &str, what: &str) -> String {
    let file = source.join(name);
    let (shown, is_there) = (file.display(), file.exists());
    if is_there { format!("{shown} has {what}") } else { format!("{shown} does not exist: {what}") }
}

/// A message with the reasons why no line is left.
fn with_findings(message: String, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return message;
    }
    format!("{message}: {}", platform::listed_on_a_line(findings.iter().map(ToString::to_string)))
}

/// Sets the headers of the files of a source, and returns the rules for what is not a file. Rules in the settings
/// override those of `_headers`.
pub(super) fn apply_headers(walk: &mut Walk, settings: &Settings) -> Result<HeaderRules> {
    let file = headers(&settings.source, settings.walk.follow_links, &settings.rules)?;
    walk.warnings.extend(shown(&settings.source, &file.findings));
    let of_file = file.rules.len();
    let rules = file.rules.into_iter().chain(settings.headers.iter().cloned());
    let rules = HeaderRules::new(rules.collect())?;
    rules.check(walk.entries.iter().map(|entry| &*entry.key))?;
    walk.apply(&rules);
    let warnings = rule_warnings::all(&rules, of_file, walk, &settings.source);
    walk.warnings.extend(warnings);
    Ok(rules)
}

/// The warnings of a deploy about the lines of a file: the first ones, and the number of the rest.
fn shown(source: &Path, findings: &[Finding]) -> Vec<Warning> {
    let findings: Vec<&Finding> = findings.iter().filter(|finding| finding.kind != FindingKind::NoEffect).collect();
    let mut warnings: Vec<Warning> =
        findings.iter().take(MOST_SHOWN).map(|finding| finding.warning().within(source)).collect();
    if let (Some(first), more @ 1..) = (findings.first(), findings.len().saturating_sub(MOST_SHOWN)) {
        let notice = format!("{}: {more} more lines like these", source.join(first.file).display());
        warnings.push(Warning::new(notice, "'shipfront headers' and 'shipfront redirects' list all"));
    }
    warnings
}

/// Whether redirects become objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedirectObjects {
    /// If a distribution's origin is the bucket's website endpoint
    #[default]
    Auto,
    /// Always: the website endpoint is visited otherwise
    Always,
    /// Never
    Never,
}

/// Parses the `_redirects` file of a source. Refuses lines that protect something.
pub fn redirects(source: &Path, follow_links: bool, options: &RuleOptions) -> Result<RedirectsFile> {
    let text = read(source, REDIRECTS_FILE, follow_links)?.unwrap_or_default();
    let file = redirects_file::parse(&text, options);
    platform::check(&file.findings, options)?;
    Ok(file)
}

/// The function that implements the `_redirects` file of a source. With `store`, its table may be in a key-value
/// store.
pub fn redirect_function(
    source: &Path,
    directory_index: bool,
    store: bool,
    options: &RuleOptions,
) -> Result<RedirectFunction> {
    let walk = walk::walk(source, "", &WalkRules::default())?;
    let file = redirects(source, true, options)?;
    if file.rules.is_empty() {
        let message = with_findings(nothing_in(source, REDIRECTS_FILE, "no redirects"), &file.findings);
        return Err(Error::usage(message).hint("write one per line, as '/from /to 301'"));
    }
    let keys = walk.entries.iter().map(|entry| &*entry.key);
    let (rules, findings) = Rules::new(file, HeadersFile::default(), keys, directory_index, options);
    platform::check(&findings, options)?;
    let mut function = redirect_function::generate(&rules, store.then_some(""))?;
    function.warnings.splice(..0, findings.iter().map(Finding::warning));
    Ok(function)
}

/// Adds the redirects that are objects; returns the number of the others.
pub(super) fn apply_redirects(
    walk: &mut Walk,
    rules: &HeaderRules,
    settings: &Settings,
    shapes: &[(DistributionId, DistributionShape)],
) -> Result<usize> {
    let file = redirects(&settings.source, settings.walk.follow_links, &settings.rules)?;
    let keys = walk.entries.iter().map(|entry| &*entry.key);
    let (_, findings) = Rules::new(file.clone(), HeadersFile::default(), keys, false, &settings.rules);
    platform::check(&findings, &settings.rules)?;
    walk.warnings.extend(shown(&settings.source, &findings));
    let circles: BTreeSet<usize> =
        findings.iter().filter(|finding| finding.kind == FindingKind::Circle).map(|finding| finding.line).collect();
    let bucket = settings.site().bucket();
    let is_website = |(_, shape): &(DistributionId, DistributionShape)| {
        shape.origins.iter().any(|origin| origin_is_bucket(&origin.domain_name, bucket) == OriginKind::S3Website)
    };
    let as_objects = match settings.redirect_objects {
        RedirectObjects::Auto => shapes.iter().any(is_website),
        RedirectObjects::Always => true,
        RedirectObjects::Never => false,
    };
    let mut others = 0;
    let mut earlier: Vec<&RedirectRule> = Vec::new();
    for rule in &file.rules {
        // A rule that passes requests through needs nothing.
        if rule.action == Action::PassThrough || circles.contains(&rule.line) {
            earlier.push(rule);
            continue;
        }
        let caught = |path: &str| earlier.iter().any(|earlier| earlier.matches(&as_sent(path)));
        let keys = keys_of(rule).filter(|(path, _)| as_objects && !caught(path));
        match keys {
            Some((_, keys)) => add_redirect(walk, rules, settings.site().prefix(), rule, keys),
            None => others += 1,
        }
        if rule.from.exact().is_none() || !rule.is_unconditional() {
            earlier.push(rule);
        }
    }
    Ok(others)
}

/// The path that a rule matches, and the keys under which a website endpoint looks for it; `None` if no object can
/// implement it.
pub(super) fn keys_of(rule: &RedirectRule) -> Option<(&str, Vec<String>)> {
    let path = rule.from.exact().filter(|_| rule.is_unconditional())?;
    let to = rule.redirect().filter(|(status, _)| *status == 301)?.1.exact()?;
    // S3 treats two slashes as a path on the same host.
    to.parse::<Redirect>().ok().filter(|_| !to.starts_with("//"))?;
    // A website endpoint adds the slash to a directory's URL: a redirect to the same URL would never end.
    if without_slash(to) == without_slash(&as_sent(path)) {
        return None;
    }
    let bare = percent_decode_str(without_slash(path)).decode_utf8().ok()?;
    let bare = bare.strip_prefix('/').filter(|bare| bare.len() + "/index.html".len() <= MAX_KEY_BYTES)?;
    let has_extension = bare.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let keys = match bare {
        "" => vec!["index.html".to_owned()],
        _ if has_extension => vec![bare.to_owned()],
        _ => vec![bare.to_owned(), format!("{bare}/index.html")],
    };
    Some((path, keys))
}

/// A file of the site takes precedence over a redirect that is not forced, as does a file that could not be read.
fn add_redirect(walk: &mut Walk, rules: &HeaderRules, prefix: &str, rule: &RedirectRule, keys: Vec<String>) {
    let is_file = |key: &str| walk.entry(key).is_some_and(|entry| !entry.is_redirect());
    let hidden = !rule.force && keys.iter().any(|key| is_file(key));
    let Some(to) = rule.redirect().and_then(|(_, to)| to.exact()).filter(|_| !hidden) else { return };
    for key in keys {
        let too_long = prefix.len() + key.len() > MAX_KEY_BYTES;
        // The first of two lines for the same path applies.
        let is_taken = walk.entry(&key).is_some_and(Entry::is_redirect);
        if too_long || is_taken || walk.unknown.contains(&key) || key.starts_with(RECORD_FOLDER) {
            continue;
        }
        let headers = Headers { website_redirect: Some(to.to_owned()), compress: Vec::new(), ..rules.headers(&key) };
        let headers = Arc::new(EntryHeaders::new(headers));
        let entry = Entry { key: key.into(), size: 0, source: Source::Redirect, headers };
        match walk.entries.binary_search_by(|other| other.key.cmp(&entry.key)) {
            Ok(at) => walk.entries[at] = entry,
            Err(at) => walk.entries.insert(at, entry),
        }
    }
}
