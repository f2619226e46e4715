//! The rules of a site as code of the distribution's functions: what is to be published, by what viewers meet now and
//! by what the last deploy published. Only looks; [`crate::deploy::publish`] does it.

use crate::cloudfront::Distributions;
use crate::cloudfront::functions::Function;
use crate::deploy::headers_and_redirects::{headers, read, redirects};
use crate::deploy::walk::Walk;
use crate::deploy::{PublishRules, Settings, on_cores};
use crate::error::{Error, ErrorKind, Result};
use crate::record::rules::{RecordedLines, RecordedRules};
use crate::record::session::Session;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Map;
use shipfront_invalidation::Viewers;
use shipfront_invalidation::viewer::{IndexAlias, ViewerEvent};
use shipfront_site::header_function;
use shipfront_site::headers_file::HeadersFile;
use shipfront_site::key::{HEADERS_FILE, REDIRECTS_FILE};
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::redirect_function;
use shipfront_site::redirects_file;
use shipfront_site::rule_changes::{
    ChangedLine, RuleLine, changed_lines, changed_paths, header_lines, header_samples, redirect_lines, samples,
    without_effect,
};
use shipfront_site::url_pattern::paths_of;
use shipfront_site::viewer_rules::{Request, Rules};
use std::collections::BTreeMap;

/// A function is tried with so many lines of those that are new or changed, spread over all of them ...
const MOST_TRIED: usize = 40;
/// ... and so many pages.
const PAGES_TRIED: usize = 3;
/// A path that no site has.
const NO_PAGE: &str = "/shipfront-tries-what-is-not-there";

/// What becomes of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionChange {
    /// Viewers meet its code already.
    Unchanged,
    /// It is published for the first time.
    New,
    /// Its code changes.
    Changed,
    /// Something else published other code: what the last deploy published comes back.
    Repaired,
}

impl FunctionChange {
    /// In a word.
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
    /// When CloudFront calls it.
    pub function: &'static str,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub change: FunctionChange,
    /// The lines that change, and those that do nothing on this site.
    pub lines: Vec<ChangedLine>,
    /// The requests that publish it.
    #[serde(skip)]
    pub requests: u64,
}

/// A function that the site's rules are for.
#[derive(Debug)]
pub(super) struct PlannedFunction {
    pub event: ViewerEvent,
    pub function: Function,
    pub change: FunctionChange,
    /// The code that viewers are to meet.
    pub code: String,
    /// What its draft has to answer as the rules say.
    pub tried: Vec<Request>,
}

/// All that a deploy does about rules.
#[derive(Debug)]
pub(super) struct RulesPlan {
    pub functions: Vec<PlannedFunction>,
    /// What the functions do.
    pub rules: Rules,
    /// What the manifest is to say of them.
    pub recorded: RecordedRules,
    /// Whether it says so already.
    pub is_recorded: bool,
    /// The keys at whose URLs the cache is asked otherwise than before.
    pub keys: Vec<String>,
    /// The lines of each function's file that change or do nothing.
    lines: Vec<ChangedLine>,
}

impl RulesPlan {
    /// The functions that are to be published.
    pub(super) fn to_publish(&self) -> impl Iterator<Item = &PlannedFunction> {
        self.functions.iter().filter(|planned| planned.change != FunctionChange::Unchanged)
    }

    /// Whether anything is to be done: at CloudFront, or in the record.
    pub(super) fn is_empty(&self) -> bool {
        self.is_recorded && self.to_publish().next().is_none()
    }

    /// As the report shows it.
    pub(super) fn report(&self) -> Vec<ReportedFunction> {
        let report = |planned: &PlannedFunction| {
            let file = file_of(planned.event);
            ReportedFunction {
                function: planned.event.word(),
                name: planned.function.name.clone(),
                change: planned.change,
                lines: self.lines.iter().filter(|line| line.file == file).cloned().collect(),
                requests: match planned.change {
                    FunctionChange::Unchanged => 0,
                    _ => planned.tried.len() as u64 + 2,
                },
            }
        };
        self.functions.iter().map(report).collect()
    }
}

/// The file whose lines a function is made of.
fn file_of(event: ViewerEvent) -> &'static str {
    match event {
        ViewerEvent::Request => REDIRECTS_FILE,
        ViewerEvent::Response => HEADERS_FILE,
    }
}

/// What the source says.
struct Files {
    redirects: redirects_file::RedirectsFile,
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

    /// Whether the file of a function has any lines for it.
    fn have(&self, event: ViewerEvent) -> bool {
        match event {
            ViewerEvent::Request => !self.redirect_lines.is_empty(),
            ViewerEvent::Response => !self.header_lines.is_empty(),
        }
    }
}

/// What is known of a deploy's rules.
pub(super) struct Found {
    /// What is to be done; `None` where no rules are published.
    pub plan: Option<RulesPlan>,
    pub warnings: Vec<String>,
}

/// Looks at the functions of the distributions and decides what becomes of them. `redirects` are as many as no object
/// does.
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
    if let Some(id) = viewers.unreadable().next() {
        return Err(Error::refused(format!(
            "the configuration of the {id} cannot be read, and so not which functions it has"
        ))
        .hint("allow cloudfront:GetDistributionConfig, or leave --publish-rules away"));
    }
    // On the local edge nobody asked for it.
    let is_optional =
        |error: &Error| settings.publish_rules == PublishRules::WherePossible && error.kind() == ErrorKind::Refused;
    let owned = match owned_functions(settings, viewers, distributions, &files).await {
        Err(error) if is_optional(&error) => {
            return Ok(Found { plan: None, warnings: unpublished(&|_| false).into_iter().collect() });
        }
        owned => owned?,
    };
    let has = |event| owned.iter().any(|(of, _)| *of == event);
    let mut warnings: Vec<String> = unpublished(&has).into_iter().collect();
    if owned.is_empty() {
        return Ok(Found { plan: None, warnings });
    }
    let live = futures::future::try_join_all(owned.iter().map(|(_, function)| distributions.live_code(&function.name)));
    let live = live.await?;
    let recorded = session.and_then(Session::rules);
    let folder = viewers.folder();
    let directory_index = match settings.policy.viewer.index_alias {
        IndexAlias::Always => true,
        IndexAlias::Never => false,
        IndexAlias::Auto => !viewers.have_index_documents(),
    };
    let host = viewers.hosts().into_iter().next().unwrap_or_else(|| "www.example.com".to_owned());
    let entries = walk.entries.iter().filter(|entry| !entry.is_redirect());
    let keys = entries.map(|entry| format!("{folder}{}", entry.key)).collect();
    let making = Making { options: settings.rules.clone(), keys, files, recorded, folder, directory_index, host };
    let (plan, left) = match on_cores(move || making.plan(owned, live)).await? {
        Err(error) if is_optional(&error) => {
            warnings.push(format!("the rules are not active: {error}"));
            return Ok(Found { plan: None, warnings });
        }
        made => made?,
    };
    if let Some(page) = left.filter(|page| !viewers.answer_errors_with(page)) {
        warnings.push(format!(
            "the fallback to {page} is not active: it does not fit into the function, so let the distribution's error \
             responses for 403 and 404 show {page} with status 200"
        ));
    }
    Ok(Found { plan: Some(plan), warnings })
}

/// Whether every behavior of the site has some function for an event.
fn is_attached(viewers: &Viewers, event: ViewerEvent) -> bool {
    let mut behaviors = viewers.functions().peekable();
    behaviors.peek().is_some()
        && behaviors.any(|(_, _, functions)| functions.iter().any(|function| function.event == event))
}

/// One sentence about rules that no viewer meets by this deploy.
fn inactive(redirects: usize, headers: usize, attached: bool) -> Option<String> {
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let parts: Vec<String> = [count(redirects, "redirect"), count(headers, "header")].into_iter().flatten().collect();
    let are = if redirects + headers == 1 { "is" } else { "are" };
    let what = if attached { "not published by this deploy" } else { "not active" };
    (!parts.is_empty())
        .then(|| format!("{} {are} {what}: 'shipfront rules --attach' shows what to do", parts.join(" and ")))
}

/// The functions of the site's behaviors whose comment names the target. Any other one in their place is refused where
/// there are rules for it.
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
                "{place} has {foreign} for {}, which is not shipfront's for {}; nothing was changed",
                event.word(),
                settings.target
            ))
            .hint(format!(
                "if its code may be replaced, give it the comment \"{comment}\"; else attach one of its own \
                 ('shipfront rules --attach'), or deploy without --publish-rules"
            )));
        }
    }
    Ok(owned)
}

/// All that code is made of, for a thread of its own.
struct Making {
    options: RuleOptions,
    /// Those of the site's files, as they are in URLs.
    keys: Vec<String>,
    files: Files,
    recorded: Option<RecordedRules>,
    /// What URLs have before a key.
    folder: String,
    directory_index: bool,
    host: String,
}

impl Making {
    /// The plan, and the page of a fallback that is left to the distribution.
    fn plan(
        self,
        owned: Vec<(ViewerEvent, Function)>,
        live: Vec<Option<Vec<u8>>>,
    ) -> Result<(RulesPlan, Option<String>)> {
        let Making { options, keys, files, recorded, folder, directory_index, host } = self;
        let keys = || keys.iter().map(String::as_str);
        let all_lines: Vec<RuleLine> = files.redirect_lines.iter().chain(&files.header_lines).cloned().collect();
        let (rules, findings) = Rules::new(files.redirects, files.headers, keys(), directory_index, &options);
        let events: Vec<ViewerEvent> = owned.iter().map(|(event, _)| *event).collect();
        let has = |event| events.contains(&event);
        let mut codes: BTreeMap<ViewerEvent, String> = BTreeMap::new();
        let (mut rules, mut left) = (rules, None);
        if has(ViewerEvent::Response) {
            codes.insert(ViewerEvent::Response, header_function::generate(&rules)?.code);
        }
        if has(ViewerEvent::Request) {
            let function = redirect_function::generate(&rules, false).map_err(|error| {
                Error::from(error).hint(
                    "write one line with * or :name for several, or end the status of such lines in ! where no file can be \
                     meant; nothing was changed",
                )
            })?;
            left = function.placement.error_response.map(|(_, page)| page);
            codes.insert(ViewerEvent::Request, function.code);
            rules = function.rules;
        }
        let lines_before = recorded.as_ref().and_then(|recorded| recorded.lines.clone()).unwrap_or_default();
        let mut changed: Vec<ChangedLine> = Vec::new();
        if has(ViewerEvent::Request) {
            changed.extend(changed_lines(REDIRECTS_FILE, &lines_before.redirects, &files.redirect_lines));
        }
        if has(ViewerEvent::Response) {
            changed.extend(changed_lines(HEADERS_FILE, &lines_before.headers, &files.header_lines));
        }
        let of = |file: &str| {
            changed.iter().filter(|line| line.file == file).filter_map(|line| line.line).collect::<Vec<_>>()
        };
        let (of_redirects, of_headers) = (spread(of(REDIRECTS_FILE)), spread(of(HEADERS_FILE)));
        let pages = keys().filter(|key| key.ends_with(".html")).take(PAGES_TRIED);
        // As browsers send them.
        let pages = pages.filter_map(|key| paths_of(key).next());
        let pages: Vec<String> = ["/", NO_PAGE].map(str::to_owned).into_iter().chain(pages).collect();
        let paths = || pages.iter().map(String::as_str);
        let mut functions = Vec::new();
        for ((event, function), live) in owned.into_iter().zip(live) {
            let code = codes.get(&event).cloned().unwrap_or_default();
            let before = recorded.as_ref().and_then(|recorded| recorded.functions.get(event.word()));
            let change = match (live.as_deref() == Some(code.as_bytes()), before) {
                (true, _) => FunctionChange::Unchanged,
                (false, None) => FunctionChange::New,
                (false, Some(before)) if *before == code => FunctionChange::Repaired,
                (false, Some(_)) => FunctionChange::Changed,
            };
            let tried = match event {
                ViewerEvent::Request => samples(&rules, of_redirects.iter().copied(), paths(), &host),
                ViewerEvent::Response => {
                    let pages = samples(&Rules::default(), std::iter::empty(), paths(), &host);
                    header_samples(&rules, of_headers.iter().copied(), &host).into_iter().chain(pages).collect()
                }
            };
            functions.push(PlannedFunction { event, function, change, code, tried });
        }
        let before = before(&lines_before, recorded.is_some(), directory_index, &options, keys());
        let keys_to_evict = match has(ViewerEvent::Request) {
            true => changed_paths(&before, &rules, keys()).iter().filter_map(|path| key_of(path, &folder)).collect(),
            false => Vec::new(),
        };
        let functions_now = codes.into_iter().map(|(event, code)| (event.word().to_owned(), code)).collect();
        let is_recorded = recorded.as_ref().is_some_and(|recorded| recorded.functions == functions_now);
        let texts = |lines: &[RuleLine]| lines.iter().map(|line| line.text.clone()).collect();
        let recorded = RecordedRules {
            functions: functions_now,
            lines: Some(RecordedLines {
                platform: platform_word(options.platform).to_owned(),
                directory_index,
                redirects: texts(&files.redirect_lines),
                headers: texts(&files.header_lines),
                extra: Map::new(),
            }),
            extra: Map::new(),
        };
        changed.extend(without_effect(&findings, &all_lines));
        let plan = RulesPlan { functions, rules, recorded, is_recorded, keys: keys_to_evict, lines: changed };
        Ok((plan, left))
    }
}

/// The rules of the last deploy, for the files of now: what becomes of a file that changes is another matter.
fn before<'k>(
    lines: &RecordedLines,
    is_known: bool,
    directory_index: bool,
    options: &RuleOptions,
    keys: impl Iterator<Item = &'k str>,
) -> Rules {
    let platform = if lines.platform == "cloudflare" { Platform::Cloudflare } else { Platform::Netlify };
    let options = RuleOptions { platform, ..options.clone() };
    let file = redirects_file::parse(&lines.redirects.join("\n"), &options);
    let directory_index = if is_known { lines.directory_index } else { directory_index };
    Rules::new(file, HeadersFile::default(), keys, directory_index, &options).0
}

fn platform_word(platform: Platform) -> &'static str {
    match platform {
        Platform::Netlify => "netlify",
        Platform::Cloudflare => "cloudflare",
    }
}

/// A few of many, from the first to the last.
fn spread(mut lines: Vec<usize>) -> Vec<usize> {
    lines.sort_unstable();
    lines.dedup();
    let step = lines.len().div_ceil(MOST_TRIED).max(1);
    lines.into_iter().step_by(step).collect()
}

/// The key below the target at whose URL a path is, if it is one of the target's.
fn key_of(path: &str, folder: &str) -> Option<String> {
    let path = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    path.strip_prefix(folder).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_sentence_for_all_rules_that_are_not_active() {
        let sentence = |redirects, headers| inactive(redirects, headers, false);
        assert_eq!(sentence(0, 0), None);
        assert_eq!(sentence(4, 0).unwrap(), "4 redirects are not active: 'shipfront rules --attach' shows what to do");
        assert!(sentence(1, 0).unwrap().starts_with("1 redirect is not active"));
        assert!(sentence(2, 1).unwrap().starts_with("2 redirects and 1 header are not active"));
        assert!(inactive(2, 1, true).unwrap().contains("not published by this deploy"));
    }

    #[test]
    fn many_lines_are_tried_by_a_few_from_all_over() {
        assert_eq!(spread(vec![3, 1, 3]), [1, 3]);
        let few = spread((1..=450).collect());
        assert!(few.len() <= MOST_TRIED && few[0] == 1 && *few.last().unwrap() > 430, "{few:?}");
    }

    #[test]
    fn the_key_at_a_path_is_below_the_folder() {
        assert_eq!(key_of("/a%20b", "").as_deref(), Some("a b"));
        assert_eq!(key_of("/docs/a/", "docs/").as_deref(), Some("a/"));
        assert_eq!(key_of("/other", "docs/"), None);
    }
}
