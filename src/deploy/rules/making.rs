//! Generates the code of the functions and determines what changes with it, from the rules and from what viewers
//! get now. Pure.

use crate::cloudfront::functions::Function;
use crate::cloudfront::key_values::StoreContents;
use crate::deploy::rules::keys::{StorePlan, Wanted};
use crate::deploy::rules::{Files, FunctionChange, PlannedFunction, RulesPlan};
use crate::error::{Error, Result};
use crate::record::rules::{RecordedLines, RecordedRules};
use percent_encoding::percent_decode_str;
use serde_json::Map;
use shipfront_invalidation::viewer::ViewerEvent;
use shipfront_site::headers_file::HeadersFile;
use shipfront_site::key::{HEADERS_FILE, REDIRECTS_FILE};
use shipfront_site::platform::{Platform, RuleOptions};
use shipfront_site::rule_changes::{
    ChangedLine, RuleLine, changed_lines, changed_paths, header_samples, samples, without_effect,
};
use shipfront_site::url_pattern::paths_of;
use shipfront_site::viewer_rules::Rules;
use shipfront_site::{header_function, redirect_function, redirects_file};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of new or changed lines with which a function is tested, spread over all of them ...
const MOST_TRIED: usize = 40;
/// ... and number of pages.
const PAGES_TRIED: usize = 3;
/// A path that no site has.
const NO_PAGE: &str = "/shipfront-tries-what-is-not-there";

/// Everything that code is generated from, for a separate thread.
pub(super) struct Making {
    pub options: RuleOptions,
    /// The keys of the site's files, as they are in URLs.
    pub keys: Vec<String>,
    pub files: Files,
    pub recorded: Option<RecordedRules>,
    /// The part of URLs before a key.
    pub folder: String,
    pub directory_index: bool,
    pub host: String,
    /// The key-value stores of the functions for requests, or the errors of reading them.
    pub stores: Vec<Result<StoreContents>>,
    /// The prefix of the target's keys, if each of the functions has a store.
    pub prefix: Option<String>,
}

impl Making {
    /// The plan, and the page of a fallback that is left to the distribution.
    pub(super) fn plan(
        self,
        owned: Vec<(ViewerEvent, Function)>,
        live: Vec<Option<Vec<u8>>>,
    ) -> Result<(RulesPlan, Option<String>)> {
        let Making { options, keys, files, recorded, folder, directory_index, host, stores, prefix } = self;
        let keys = || keys.iter().map(String::as_str);
        let all_lines: Vec<RuleLine> = files.redirect_lines.iter().chain(&files.header_lines).cloned().collect();
        let (rules, findings) = Rules::new(files.redirects, files.headers, keys(), directory_index, &options);
        let events: Vec<ViewerEvent> = owned.iter().map(|(event, _)| *event).collect();
        let has = |event| events.contains(&event);
        let mut codes: BTreeMap<ViewerEvent, String> = BTreeMap::new();
        let (mut rules, mut left, mut entries) = (rules, None, Vec::new());
        if has(ViewerEvent::Response) {
            codes.insert(ViewerEvent::Response, header_function::generate(&rules)?.code);
        }
        if has(ViewerEvent::Request) {
            let function = redirect_function::generate(&rules, prefix.as_deref())
                .map_err(|error| Error::from(error).hint(ways_out(prefix.is_some())))?;
            left = function.placement.error_response.map(|(_, page)| page);
            codes.insert(ViewerEvent::Request, function.code);
            rules = function.rules;
            entries = function.store;
        }
        let live_codes = owned.iter().zip(&live).filter(|((event, _), _)| *event == ViewerEvent::Request);
        let live_codes = live_codes.filter_map(|(_, code)| code.as_deref());
        let live_codes = live_codes.map(|code| String::from_utf8_lossy(code).into_owned()).collect();
        let stores = compared(stores, prefix, entries, live_codes)?;
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
            let lacks_keys = event == ViewerEvent::Request && stores.iter().any(StorePlan::lacks_keys);
            let is_live = live.as_deref() == Some(code.as_bytes()) && !lacks_keys;
            let change = match (is_live, before) {
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
        let lines = recorded_lines((&files.redirect_lines, &files.header_lines), options.platform, directory_index);
        let recorded = RecordedRules { functions: functions_now, lines: Some(lines), extra: Map::new() };
        changed.extend(without_effect(&findings, &all_lines));
        let plan = RulesPlan { functions, rules, recorded, is_recorded, keys: keys_to_evict, stores, lines: changed };
        Ok((plan, left))
    }
}

/// What a record keeps of the lines of redirects and headers.
pub(super) fn recorded_lines(
    (redirects, headers): (&[RuleLine], &[RuleLine]),
    platform: Platform,
    directory_index: bool,
) -> RecordedLines {
    let texts = |lines: &[RuleLine]| lines.iter().map(|line| line.text.clone()).collect();
    let (redirects, headers) = (texts(redirects), texts(headers));
    RecordedLines {
        platform: platform_word(platform).to_owned(),
        directory_index,
        redirects,
        headers,
        extra: Map::new(),
    }
}

/// What to do if the rules do not fit.
fn ways_out(has_store: bool) -> String {
    let store = match has_store {
        true => "associate a store that nothing else uses",
        false => {
            "associate a key-value store with the function ('shipfront rules --attach' prints how; not on the Free plan)"
        }
    };
    format!(
        "write one line with * or :name for several, end the status of such lines in ! where no file can be meant, or \
         {store}; nothing was changed"
    )
}

/// What to do about the stores. One that may not be read matters only if it must contain keys.
fn compared(
    stores: Vec<Result<StoreContents>>,
    prefix: Option<String>,
    entries: Vec<(String, String)>,
    live: Vec<String>,
) -> Result<Vec<StorePlan>> {
    let Some(prefix) = prefix else { return Ok(Vec::new()) };
    let is_needed = !entries.is_empty();
    let wanted = Wanted { prefix, entries: Arc::new(entries), live: Arc::new(live) };
    let read = stores.into_iter().filter(|store| is_needed || store.is_ok());
    read.map(|store| wanted.compare(&store?)).collect()
}

/// The rules of the last deploy, for the current files: what happens to a changed file is handled elsewhere.
fn before<'k>(
    lines: &RecordedLines,
    is_known: bool,
    directory_index: bool,
    options: &RuleOptions,
    keys: impl Iterator<Item = &'k str>,
) -> Rules {
    let options = RuleOptions { platform: platform(&lines.platform), ..options.clone() };
    let file = redirects_file::parse(&lines.redirects.join("\n"), &options);
    let directory_index = if is_known { lines.directory_index } else { directory_index };
    Rules::new(file, HeadersFile::default(), keys, directory_index, &options).0
}

/// The platform named in a record.
pub(super) fn platform(word: &str) -> Platform {
    if word == platform_word(Platform::Cloudflare) { Platform::Cloudflare } else { Platform::Netlify }
}

fn platform_word(platform: Platform) -> &'static str {
    match platform {
        Platform::Netlify => "netlify",
        Platform::Cloudflare => "cloudflare",
    }
}

/// A few of many, including the first and the last.
fn spread(mut lines: Vec<usize>) -> Vec<usize> {
    lines.sort_unstable();
    lines.dedup();
    let step = lines.len().div_ceil(MOST_TRIED).max(1);
    lines.into_iter().step_by(step).collect()
}

/// The key of the target at whose URL a path is, if there is one.
fn key_of(path: &str, folder: &str) -> Option<String> {
    let path = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    path.strip_prefix(folder).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

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
