//! The rules of a site as code of the distribution's functions: decides what to publish, from what viewers get now
//! and what the last deploy published. Read-only; `crate::deploy::publish` carries it out.

pub(super) mod keys;
mod making;
mod preview;
mod recorded;

use crate::cloudfront::Distributions;
use crate::cloudfront::functions::Function;
use crate::cloudfront::key_values::AT_ONCE;
use crate::deploy::headers_and_redirects::{headers, read, redirects};
use crate::deploy::walk::Walk;
use crate::deploy::{PublishRules, Settings, on_cores};
use crate::error::{Error, ErrorKind, Result};
use crate::record::rules::{RecordedLines, RecordedRules};
use crate::record::session::Session;
use keys::{ReportedStore, StorePlan};
use making::Making;
pub(super) use preview::find_for_preview;
pub(super) use recorded::{RulesOf, find_recorded};
use serde::Serialize;
use shipfront_invalidation::Viewers;
use shipfront_invalidation::viewer::{IndexAlias, ViewerEvent};
use shipfront_site::Warning;
use shipfront_site::headers_file::{self, HeadersFile};
use shipfront_site::key::{HEADERS_FILE, REDIRECTS_FILE};
use shipfront_site::platform::{Finding, RuleOptions};
use shipfront_site::redirects_file::{self, RedirectsFile};
use shipfront_site::rule_changes::{ChangedLine, RuleLine, header_lines, redirect_lines, without_effect};
use shipfront_site::viewer_rules::{Request, Rules};
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionChange {
    /// Viewers already get its code.
    Unchanged,
    /// It is published for the first time.
    New,
    /// Its code changes.
    Changed,
    /// Something else published other code: what the last deploy published is restored.
    Repaired,
}

impl FunctionChange {
    /// The change as a word.
    pub fn word(self) -> &'static str {
        match self {
            FunctionChange::Unchanged => "unchanged",
            FunctionChange::New => "new",
            FunctionChange::Changed => "changed",
            FunctionChange::Repaired => "repaired",
        }
    }
}

/// A function as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedFunction {
    /// The event at which CloudFront calls it.
    pub function: &'static str,
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub change: FunctionChange,
    /// The lines that change, and those that have no effect on this site.
    pub lines: Vec<ChangedLine>,
    /// The key-value stores for its exact lines, if they do not fit into its code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_value_stores: Vec<ReportedStore>,
    /// Number of requests to publish it.
    #[serde(skip)]
    pub requests: u64,
}

/// A function that implements the site's rules.
#[derive(Debug)]
pub(super) struct PlannedFunction {
    pub event: ViewerEvent,
    pub function: Function,
    pub change: FunctionChange,
    /// The code that viewers will get.
    pub code: String,
    /// The requests that its draft must answer as the rules say.
    pub tried: Vec<Request>,
}

/// Everything that a deploy does about rules.
#[derive(Debug)]
pub(super) struct RulesPlan {
    pub functions: Vec<PlannedFunction>,
    /// What the functions do.
    pub rules: Rules,
    /// What the manifest will record about them.
    pub recorded: RecordedRules,
    /// Whether it already does.
    pub is_recorded: bool,
    /// The keys at whose URLs requests reach the cache differently than before.
    pub keys: Vec<String>,
    /// What happens to the key-value stores that the functions may read.
    pub stores: Vec<StorePlan>,
    /// The lines of each function's file that change or have no effect.
    lines: Vec<ChangedLine>,
}

impl RulesPlan {
    /// The functions to publish.
    pub(super) fn to_publish(&self) -> impl Iterator<Item = &PlannedFunction> {
        self.functions.iter().filter(|planned| planned.change != FunctionChange::Unchanged)
    }

    /// Whether there is nothing to do at CloudFront or in the record.
    pub(super) fn is_empty(&self) -> bool {
        self.is_recorded && self.to_publish().next().is_none() && self.stores.iter().all(StorePlan::is_empty)
    }

    /// The functions as the report shows them.
    pub(super) fn report(&self) -> Vec<ReportedFunction> {
        let report = |planned: &PlannedFunction| {
            let file = file_of(planned.event);
            let stores: Vec<ReportedStore> = match planned.event {
                ViewerEvent::Request => self.stores.iter().map(StorePlan::report).collect(),
                ViewerEvent::Response => Vec::new(),
            };
            let of_keys: usize =
                stores.iter().map(|store| store.written.div_ceil(AT_ONCE) + store.removed.div_ceil(AT_ONCE)).sum();
            ReportedFunction {
                function: planned.event.word(),
                name: planned.function.name.clone(),
                change: planned.change,
                lines: self.lines.iter().filter(|line| line.file == file).cloned().collect(),
                key_value_stores: stores.into_iter().filter(|store| store.keys > 0 || store.removed > 0).collect(),
                requests: of_keys as u64
                    + match planned.change {
                        FunctionChange::Unchanged => 0,
                        _ => planned.tried.len() as u64 + 2,
                    },
            }
        };
        self.functions.iter().map(report).collect()
    }
}

/// The file whose lines a function implements.
fn file_of(event: ViewerEvent) -> &'static str {
    match event {
        ViewerEvent::Request => REDIRECTS_FILE,
        ViewerEvent::Response => HEADERS_FILE,
    }
}

/// The rules of the source.
struct Files {
    redirects: RedirectsFile,
    redirect_lines: Vec<RuleLine>,
    headers: HeadersFile,
    header_lines: Vec<RuleLine>,
}

impl Files {
    fn read(settings: &Settings) -> Result<Files> {
        let (source, follow_links) = (&settings.source, settings.walk.follow_links);
        let text = read(source, REDIRECTS_FILE, follow_links)?.unwrap_or_default();
        let redirects = redirects(source, follow_links, &settings.rules)?;
        let headers = headers(source, follow_links, &settings.rules)?;
        let (redirect_lines, header_lines) = (redirect_lines(&text, &redirects), header_lines(&headers));
        Ok(Files { redirects, redirect_lines, headers, header_lines })
    }

    /// What an earlier deploy published, from the lines that its record kept, and the platform whose semantics they
    /// follow. The code is generated again: anybody who can write the record could put any code there.
    fn of_record(lines: &RecordedLines) -> (Files, RuleOptions) {
        let texts = || lines.redirects.iter().chain(&lines.headers);
        // What that deploy published had been allowed.
        let may_be_public = texts().filter_map(|text| text.split(' ').next()).map(str::to_owned).collect();
        let platform = making::platform(&lines.platform);
        let options = RuleOptions { platform, may_be_public, ..RuleOptions::default() };
        let text = lines.redirects.join("\n");
        let redirects = redirects_file::parse(&text, &options);
        let mut blocks = String::new();
        let mut last = "";
        for (path, header) in lines.headers.iter().filter_map(|text| text.split_once(' ')) {
            if path != last {
                blocks.push_str(&format!("{path}\n"));
                last = path;
            }
            blocks.push_str(&format!("  {header}\n"));
        }
        let headers = headers_file::parse(&blocks, &options);
        let (redirect_lines, header_lines) = (redirect_lines(&text, &redirects), header_lines(&headers));
        (Files { redirects, redirect_lines, headers, header_lines }, options)
    }

    /// Whether the file of a function contains any lines for it.
    fn have(&self, event: ViewerEvent) -> bool {
        match event {
            ViewerEvent::Request => !self.redirect_lines.is_empty(),
            ViewerEvent::Response => !self.header_lines.is_empty(),
        }
    }
}

/// The lines of recorded rules that cannot be done, so that the URLs they match pass through; each with the reason.
pub fn not_done(lines: &RecordedLines) -> Vec<ChangedLine> {
    let (Files { redirects, redirect_lines, headers, header_lines }, _) = Files::of_record(lines);
    let findings: Vec<Finding> = redirects.findings.into_iter().chain(headers.findings).collect();
    without_effect(&findings, &redirect_lines.into_iter().chain(header_lines).collect::<Vec<_>>())
}

/// What is known about a deploy's rules.
pub(super) struct Found {
    /// What to do; `None` if no rules are published.
    pub plan: Option<RulesPlan>,
    pub warnings: Vec<Warning>,
}

/// Reads the functions of the distributions and decides what happens to them. `redirects` is the number that no
/// object implements.
pub(super) async fn find(
    settings: &Settings,
    walk: &Walk,
    viewers: &Viewers,
    session: Option<&Session>,
    distributions: &Distributions,
    redirects: usize,
) -> Result<Found> {
    let files = Files::read(settings)?;
    let unpublished = |has: &dyn Fn(ViewerEvent) -> bool| {
        let count = |event, count| if has(event) { 0 } else { count };
        let headers = count(ViewerEvent::Response, files.header_lines.len());
        let attached =
            ViewerEvent::ALL.into_iter().filter(|event| files.have(*event)).all(|event| is_attached(viewers, event));
        inactive(
            count(ViewerEvent::Request, redirects),
            headers,
            attached && settings.publish_rules == PublishRules::Never,
        )
    };
    if settings.publish_rules == PublishRules::Never {
        let warnings = unpublished(&|_| false).into_iter().collect();
        return Ok(Found { plan: None, warnings });
    }
    guard_readable(viewers, ", or remove --publish-rules")?;
    let is_optional = |error: &Error| is_optional(settings, error);
    let owned = match Box::pin(owned_functions(settings, viewers, distributions, &files)).await {
        Err(error) if is_optional(&error) => {
            return Ok(Found { plan: None, warnings: unpublished(&|_| false).into_iter().collect() });
        }
        owned => owned?,
    };
    let has = |event| owned.iter().any(|(of, _)| *of == event);
    let mut warnings: Vec<Warning> = unpublished(&has).into_iter().collect();
    if owned.is_empty() {
        return Ok(Found { plan: None, warnings });
    }
    let directory_index = directory_index(settings, viewers);
    let entries = walk.entries.iter().filter(|entry| !entry.is_redirect());
    let keys = entries.map(|entry| entry.key.to_string()).collect();
    let recorded = session.and_then(Session::rules);
    let prefix = keys::prefix(&settings.target);
    let source = Source { files, options: settings.rules.clone(), keys, directory_index, prefix };
    let (plan, left) = match source.plan(viewers, distributions, owned, recorded).await {
        Err(error) if is_optional(&error) => {
            warnings.push(not_active(&error));
            return Ok(Found { plan: None, warnings });
        }
        made => made?,
    };
    warnings.extend(unplaced(left, viewers));
    Ok(Found { plan: Some(plan), warnings })
}

/// Whether the function serves the index of a directory.
pub(super) fn directory_index(settings: &Settings, viewers: &Viewers) -> bool {
    match settings.policy.viewer.index_alias {
        IndexAlias::Always => true,
        IndexAlias::Never => false,
        IndexAlias::Auto => !viewers.have_index_documents(),
    }
}

/// A warning about the page of a fallback that is left to the distribution, if the distribution does not serve it.
fn unplaced(page: Option<String>, viewers: &Viewers) -> Option<Warning> {
    page.filter(|page| !viewers.answer_errors_with(page)).map(|page| {
        Warning::new(
            format_args!("the fallback to {page} is not active, because it does not fit into the function"),
            format_args!("let the distribution's error responses for 403 and 404 show {page} with status 200"),
        )
    })
}

/// What to say where rules cannot be published, and need not be.
fn not_active(error: &Error) -> Warning {
    Warning::new(format_args!("the rules are not active: {error}"), error.hint_text())
}

/// Whether rules that cannot be published are left out: on the local edge, nobody requested it.
fn is_optional(settings: &Settings, error: &Error) -> bool {
    settings.publish_rules == PublishRules::WherePossible && error.kind() == ErrorKind::Refused
}

/// Refuses if the functions cannot be determined.
fn guard_readable(viewers: &Viewers, otherwise: &str) -> Result<()> {
    match viewers.unreadable().next() {
        None => Ok(()),
        Some(id) => Err(Error::refused(format!("cannot read the configuration of the {id}, and so its functions"))
            .hint(format!("allow cloudfront:GetDistributionConfig{otherwise}"))),
    }
}

/// Whose rules they are, and for which keys.
struct Source {
    files: Files,
    options: RuleOptions,
    keys: Vec<String>,
    directory_index: bool,
    /// Prefix of the target's keys in a key-value store.
    prefix: String,
}

impl Source {
    /// The plan, and the page of a fallback that is left to the distribution.
    async fn plan(
        self,
        viewers: &Viewers,
        distributions: &Distributions,
        owned: Vec<(ViewerEvent, Function)>,
        recorded: Option<RecordedRules>,
    ) -> Result<(RulesPlan, Option<String>)> {
        let Source { files, options, keys, directory_index, prefix } = self;
        let live = owned.iter().map(|(_, function)| distributions.live_code(&function.name));
        let requests = || owned.iter().filter(|(event, _)| *event == ViewerEvent::Request);
        let arns: BTreeSet<&str> = requests().filter_map(|(_, function)| function.key_value_store()).collect();
        let stores = futures::future::join_all(arns.into_iter().map(|arn| Box::pin(distributions.store(arn))));
        let (live, stores) = tokio::join!(futures::future::try_join_all(live), stores);
        let live = live?;
        // Each of the functions must find the table.
        let prefix = Some(prefix).filter(|_| requests().all(|(_, function)| function.key_value_store().is_some()));
        let folder = viewers.folder();
        let host = viewers.hosts().into_iter().next().unwrap_or_else(|| "www.example.com".to_owned());
        let keys = keys.into_iter().map(|key| format!("{folder}{key}")).collect();
        let making = Making { options, keys, files, recorded, folder, directory_index, host, stores, prefix };
        on_cores(move || making.plan(owned, live)).await?
    }
}

/// Whether a behavior of the site has any function for an event.
fn is_attached(viewers: &Viewers, event: ViewerEvent) -> bool {
    let mut behaviors = viewers.functions().peekable();
    behaviors.peek().is_some()
        && behaviors.any(|(_, _, functions)| functions.iter().any(|function| function.event == event))
}

/// A sentence about rules that this deploy does not make effective.
fn inactive(redirects: usize, headers: usize, attached: bool) -> Option<Warning> {
    let (what, remedy) = match attached {
        true => {
            ("not published by this deploy", "add 'publish-rules = true' to shipfront.toml, or pass --publish-rules")
        }
        false => ("not active", "'shipfront rules --attach' shows what to do"),
    };
    Some(Warning::new(format_args!("{} {what}", subject(redirects, headers)?), remedy))
}

/// The subject of a sentence about this many rules; `None` if there are none.
fn subject(redirects: usize, headers: usize) -> Option<String> {
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let parts: Vec<String> = [count(redirects, "redirect"), count(headers, "header")].into_iter().flatten().collect();
    let are = if redirects + headers == 1 { "is" } else { "are" };
    (!parts.is_empty()).then(|| format!("{} {are}", parts.join(" and ")))
}

/// The functions of the site's behaviors whose comment names the target. A different function in their place is
/// refused if there are rules for it.
async fn owned_functions(
    settings: &Settings,
    viewers: &Viewers,
    distributions: &Distributions,
    files: &Files,
) -> Result<Vec<(ViewerEvent, Function)>> {
    let mut attached: BTreeMap<(ViewerEvent, &str), (String, Option<&str>)> = BTreeMap::new();
    for (id, pattern, functions) in viewers.functions() {
        for function in functions {
            let place = format!("the behavior {pattern} of the {id}");
            attached.entry((function.event, &function.arn)).or_insert((place, function.name()));
        }
    }
    let comment = settings.target.function_comment();
    let mut owned = Vec::new();
    for ((event, arn), (place, name)) in attached {
        let function = match name {
            Some(name) => distributions.function(name).await?,
            None => None,
        };
        let foreign = match function {
            Some(function) if function.comment.trim() == comment => {
                owned.push((event, function));
                continue;
            }
            Some(function) => format!("the function {} (its comment is {:?})", function.name, function.comment),
            None => format!("the function {arn}"),
        };
        if files.have(event) {
            return Err(Error::refused(format!(
                "{place} has {foreign} for {}, which does not belong to shipfront for {}; nothing was changed",
                event.word(),
                settings.target
            ))
            .hint(format!(
                "to let shipfront replace its code, give it the comment \"{comment}\"; otherwise attach another function ('shipfront rules --attach'), or deploy without --publish-rules"
            )));
        }
    }
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_sentence_for_all_rules_that_are_not_active() {
        let sentence = |redirects, headers| inactive(redirects, headers, false);
        assert_eq!(sentence(0, 0), None);
        assert_eq!(
            sentence(4, 0),
            Some(Warning::new("4 redirects are not active", "'shipfront rules --attach' shows what to do"))
        );
        assert!(sentence(1, 0).unwrap().to_string().starts_with("1 redirect is not active"));
        assert!(sentence(2, 1).unwrap().to_string().starts_with("2 redirects and 1 header are not active"));
        let attached = inactive(2, 1, true).unwrap().to_string();
        assert!(
            attached.contains("not published by this deploy") && attached.contains("--publish-rules"),
            "{attached}"
        );
    }
}
