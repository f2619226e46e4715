//! The rules that `_headers` and `_redirects` define for viewers: one list, and a plain interpreter of it.
//!
//! The interpreter reads the rules line by line, as a person would. It is the reference: the code of the functions
//! ([`crate::redirect_function`], [`crate::header_function`]) must answer every request as it does.
//!
//! No URL redirects in a loop. A redirect to the request itself does not count, and a redirect is followed before
//! it is returned: if the chain has not ended after [`MOST_REDIRECTS`], the request passes through instead.

mod request;

pub use request::{LONGEST_URL, Query, Request};

use crate::headers_file::HeaderBlock;
use crate::key::REDIRECTS_FILE;
use crate::platform::{Finding, FindingKind, Platform, RuleOptions};
use crate::redirects_file::{
    Action, Host, QueryValue, RedirectRule, RedirectTarget, TargetPiece, Visitors, without_slash,
};
use crate::url_pattern::{as_sent, paths_of, with_upper_triplets};
use crate::{headers_file, redirects_file};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Longer chains of redirects are assumed to be endless. Browsers follow about 20.
pub const MOST_REDIRECTS: usize = 10;

/// The rules of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Redirects, rewrites, and lines that pass requests through, in the order of the file.
    pub redirects: Vec<RedirectRule>,
    /// Headers that S3 does not store.
    pub headers: Vec<HeaderBlock>,
    /// Whether `/dir/` serves `/dir/index.html`, and `/dir` redirects there.
    pub directory_index: bool,
    /// Whether everything with an extension is assumed to be a file, because there are too many files to list.
    pub extension_is_file: bool,
    /// Whether the headers of two blocks are joined.
    pub joins_headers: bool,
    /// Whether the trailing slash of a path counts.
    pub slash_counts: bool,
    /// Files that patterns would hide, without their trailing slash.
    pub(crate) files: BTreeSet<String>,
    /// Files without an extension, which are not directories.
    pub(crate) extensionless: BTreeSet<String>,
}

/// What a viewer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The target.
        location: String,
    },
    /// What the origin has under this path.
    Origin(String),
}

/// An answer, and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub answer: Answer,
    /// The line that decides, if one does.
    pub line: Option<usize>,
    /// The next request after a redirect, if it is an HTTP request.
    next: Option<Request>,
}

impl Rules {
    /// The rules of the two files for a site with these keys.
    pub fn new<'k>(
        redirects: redirects_file::RedirectsFile,
        headers: headers_file::HeadersFile,
        keys: impl Iterator<Item = &'k str>,
        directory_index: bool,
        options: &RuleOptions,
    ) -> (Rules, Vec<Finding>) {
        let mut findings = redirects.findings;
        findings.extend(headers.findings);
        let is_cloudflare = options.platform == Platform::Cloudflare;
        let mut rules = Rules {
            redirects: redirects.rules,
            headers: headers.blocks,
            directory_index,
            joins_headers: is_cloudflare,
            slash_counts: is_cloudflare,
            ..Rules::default()
        };
        findings.extend(rules.look_at_files(keys));
        findings.extend(rules.unreachable());
        findings.extend(crate::circles::circles(&rules));
        findings.sort_by(|a, b| (a.file, a.line, a.kind).cmp(&(b.file, b.line, b.kind)));
        (rules, findings)
    }

    /// Files take precedence over rules that are not forced: remembers files that patterns would hide, and drops
    /// lines that match exactly one file. Rewrites to a page become rewrites to its key.
    fn look_at_files<'k>(&mut self, keys: impl Iterator<Item = &'k str>) -> Vec<Finding> {
        let exact = |rule: &RedirectRule| rule.from.exact().map(|path| as_sent(without_slash(path)).into_owned());
        let unforced = || self.redirects.iter().filter(|rule| !rule.force);
        let exact_from: BTreeSet<String> = unforced().filter_map(exact).collect();
        let patterns: Vec<&RedirectRule> = unforced().filter(|rule| rule.from.exact().is_none()).collect();
        let shown: BTreeSet<&str> = self.redirects.iter().filter_map(rewritten).map(without_slash).collect();
        let decoded = |path: &str| percent_decode_str(path).decode_utf8_lossy().into_owned();
        let shown_decoded: BTreeSet<String> = shown.iter().map(|path| decoded(path)).collect();
        let missing = |bare: &str| Some(decoded(bare)).filter(|path| shown_decoded.contains(path));
        let mut there: BTreeSet<String> = BTreeSet::new();
        let mut hidden: BTreeMap<String, (String, bool)> = BTreeMap::new();
        let (mut files, mut extensionless) = (BTreeSet::new(), BTreeSet::new());
        let mut key_of: BTreeMap<String, String> = BTreeMap::new();
        for key in keys {
            // A website endpoint, or a function with directory indexes, answers for a directory. S3 answers for the
            // key only: nothing answers without `.html`.
            let is_index = key == "index.html" || key.ends_with("/index.html");
            // The distribution's default root object serves the page of the root.
            let leads_to_it = is_index && key != "index.html" && {
                let forms: Vec<String> = paths_of(key).skip(1).collect();
                forms.iter().all(|path| {
                    let first = patterns.iter().find(|rule| rule.matches(path));
                    first.is_none_or(|rule| rule.is_unconditional() && leads_to(rule, path, key))
                })
            };
            for (at, path) in paths_of(key).enumerate() {
                let bare = without_slash(&path);
                let answers = at == 0 || is_index;
                if exact_from.contains(bare) && answers {
                    // The key itself takes precedence over a page of that name.
                    let before = hidden.get(bare).is_some_and(|(_, is_key)| *is_key);
                    if !before {
                        hidden.insert(bare.to_owned(), (key.to_owned(), at == 0));
                    }
                }
                there.extend(missing(bare));
                if shown.contains(bare) {
                    // A file of exactly that name also takes precedence over pages with that path.
                    let own = paths_of(key).next().unwrap_or_default();
                    if at == 0 || !key_of.contains_key(bare) {
                        key_of.insert(bare.to_owned(), own);
                    }
                }
                let is_its_own = at > 0 && leads_to_it;
                if answers && !is_its_own && patterns.iter().any(|rule| rule.matches(&path)) {
                    files.insert(bare.to_owned());
                }
                if self.directory_index && at == 0 && !bare.ends_with('/') && !has_extension(bare) {
                    extensionless.insert(bare.to_owned());
                }
            }
        }
        (self.files, self.extensionless) = (files, extensionless);
        let mut findings = Vec::new();
        self.redirects.retain(|rule| {
            let found = exact(rule).filter(|_| !rule.force).and_then(|path| hidden.get_key_value(&path));
            let Some((path, (key, is_key))) = found else { return true };
            if !is_key && leads_to(rule, path, key) {
                return true;
            }
            let hint = match &rule.action {
                Action::Redirect(status, _) => format!("write {status}! to hide the file, or remove one of the two"),
                Action::Rewrite(_) => "write 200! to hide the file, or remove one of the two".to_owned(),
                Action::PassThrough => "remove the line".to_owned(),
            };
            let error = crate::LineError::new(rule.line, format!("{path} is the file {key}, which comes first"), hint);
            findings.push(Finding::new(REDIRECTS_FILE, FindingKind::NoEffect, error));
            false
        });
        for rule in &self.redirects {
            if let Some(page) = rewritten(rule).filter(|page| !there.contains(&decoded(without_slash(page)))) {
                let message = format!("{} shows {page}, and no file of the site is found there", rule.from);
                let error = crate::LineError::new(rule.line, message, "correct the target, or add the file");
                findings.push(Finding::new(REDIRECTS_FILE, FindingKind::Doubtful, error));
            }
        }
        for rule in &mut self.redirects {
            if let Some(own) = rewritten(rule).and_then(|path| key_of.get(without_slash(path))).cloned() {
                rule.action = Action::Rewrite(RedirectTarget { pieces: vec![TargetPiece::Text(own)] });
            }
        }
        findings
    }

    /// Lines after one that matches everything they match.
    fn unreachable(&self) -> Vec<Finding> {
        let covers = |earlier: &RedirectRule, later: &RedirectRule| {
            let same = match later.from.exact() {
                Some(path) => {
                    let bare = as_sent(without_slash(path)).into_owned();
                    earlier.matches(&bare) && earlier.matches(&format!("{}/", bare.trim_end_matches('/')))
                }
                None => earlier.from == later.from || earlier.from.to_string() == "/*",
            };
            // A file takes precedence over a line that is not forced, and a later line may be forced.
            same && earlier.is_unconditional() && (earlier.force || !later.force || earlier.from.exact().is_some())
        };
        let mut findings = Vec::new();
        for (at, later) in self.redirects.iter().enumerate() {
            if let Some(earlier) = self.redirects[..at].iter().find(|earlier| covers(earlier, later)) {
                let message = format!("{} is what line {} is about, which comes first", later.from, earlier.line);
                let error = crate::LineError::new(later.line, message, "move the line up, or remove it");
                findings.push(Finding::new(REDIRECTS_FILE, FindingKind::NoEffect, error));
            }
        }
        findings
    }

    /// Leaves the last rule to the distribution's error response if that does the same: it serves one page for
    /// everything that is not a file. Returns its line and the page.
    pub(crate) fn without_fallback(&self) -> Option<(Rules, usize, String)> {
        let last = self.redirects.last().filter(|last| !last.force && last.is_unconditional())?;
        let page = rewritten(last).filter(|_| last.from.to_string() == "/*")?.to_owned();
        let line = last.line;
        let mut rules = self.clone();
        rules.redirects.pop();
        let patterns = || rules.redirects.iter().filter(|rule| !rule.force && rule.from.exact().is_none());
        let is_hidden = |path: &String| patterns().any(|rule| rule.matches(path) || rule.matches(&format!("{path}/")));
        let files = rules.files.iter().filter(|path| is_hidden(path)).cloned().collect();
        rules.files = files;
        Some((rules, line, page))
    }

    /// The files that patterns would hide, without their trailing slash.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let named = |path: &&str| !(self.extension_is_file && has_extension(path));
        self.files.iter().map(String::as_str).filter(named)
    }

    /// The files that are not directories although their names have no extension.
    pub fn extensionless(&self) -> impl Iterator<Item = &str> {
        self.extensionless.iter().map(String::as_str)
    }

    /// What a viewer gets.
    pub fn answer(&self, request: &Request) -> Answer {
        self.decide(request).answer
    }

    /// What a viewer gets, and which line decides.
    pub fn decide(&self, request: &Request) -> Decision {
        let first = self.step(request, true);
        let mut next = first.next.clone();
        for _ in 0..MOST_REDIRECTS {
            match next {
                Some(at) if first.line.is_some() && at.is_longer_than_any() => return self.step(request, false),
                Some(at) if first.line.is_some() => next = self.step(&at, true).next,
                _ => return first,
            }
        }
        match next {
            Some(_) => self.step(request, false),
            None => first,
        }
    }

    /// The lines that redirect a request in an endless loop.
    pub fn circle(&self, request: &Request) -> Option<BTreeSet<usize>> {
        let mut at = request.clone();
        let mut lines = BTreeSet::new();
        for hops in 0..=MOST_REDIRECTS {
            let step = self.step(&at, true);
            // The first lines may only lead to the loop.
            lines.extend(step.line.filter(|_| hops >= MOST_REDIRECTS / 2));
            at = step.next?;
            if at.is_longer_than_any() {
                lines.extend(step.line);
                break;
            }
        }
        Some(lines)
    }

    /// One answer, without following it.
    fn step(&self, request: &Request, by_rules: bool) -> Decision {
        let found = if by_rules { self.find(request) } else { None };
        let uri = &request.uri;
        let mut line = None;
        match found {
            Some(Found::Redirect { line, status, to, keeps_query }) => {
                let (to, fragment) = to.find('#').map_or((&*to, ""), |at| to.split_at(at));
                let query = if keeps_query && !to.contains('?') { request.query.text() } else { String::new() };
                let next = request.follow(&format!("{to}{query}"));
                if next.as_ref() != Some(request) {
                    let location = format!("{to}{query}{fragment}");
                    return Decision { answer: Answer::Redirect { status, location }, line: Some(line), next };
                }
            }
            Some(Found::Rewrite { line, to }) => {
                let index = self.directory_index && !has_extension(&to) && !self.extensionless.contains(&to);
                let to = match index {
                    true if to.ends_with('/') => to + "index.html",
                    true => to + "/index.html",
                    false => to,
                };
                return Decision { answer: Answer::Origin(to), line: Some(line), next: None };
            }
            Some(Found::PassThrough(at)) => line = Some(at),
            None => {}
        }
        let name = uri.rsplit('/').next().unwrap_or_default();
        let answer = if !self.directory_index {
            Answer::Origin(uri.clone())
        } else if name.is_empty() {
            Answer::Origin(format!("{uri}index.html"))
        } else if line.is_some()
            || has_extension(uri)
            || uri.starts_with("/.well-known/")
            || self.extensionless.contains(&*with_upper_triplets(uri))
        {
            Answer::Origin(uri.clone())
        } else {
            let location = format!("https://{}{uri}/{}", request.host, request.query.text());
            let next = request.follow(&location);
            return Decision { answer: Answer::Redirect { status: 301, location }, line, next };
        };
        Decision { answer, line, next: None }
    }

    /// The first rule that matches.
    fn find(&self, request: &Request) -> Option<Found> {
        let uri = with_upper_triplets(&request.uri);
        let bare = without_slash(&uri);
        let is_file = self.files.contains(bare) || (self.extension_is_file && has_extension(bare));
        self.redirects.iter().find_map(|rule| {
            let captures = rule.from.captures(&uri)?;
            let hidden = is_file && !rule.force && rule.from.exact().is_none();
            if hidden || rule.host.as_ref().is_some_and(|host| !host.matches(&request.host)) {
                return None;
            }
            let mut values: Vec<(&str, &str)> = rule.from.captured().zip(captures).collect();
            for (name, value) in &rule.query {
                let found = request.query.first(name)?;
                match value {
                    QueryValue::Is(value) if value != found => return None,
                    QueryValue::Is(_) => {}
                    QueryValue::Named(name) => values.push((name, found)),
                }
            }
            let mut knows_visitor = true;
            for visitors in &rule.visitors {
                match visitors {
                    Visitors::Language(languages) => {
                        let preferred = request.preferred_language();
                        if !languages.iter().any(|language| is_language(&preferred, language)) {
                            return None;
                        }
                    }
                    Visitors::Country(countries) => match &request.country {
                        Some(country) if !countries.contains(country) => return None,
                        Some(_) => {}
                        None => knows_visitor = false,
                    },
                }
            }
            if !knows_visitor {
                return Some(Found::PassThrough(rule.line));
            }
            Some(match &rule.action {
                Action::PassThrough => Found::PassThrough(rule.line),
                Action::Redirect(status, to) => Found::Redirect {
                    line: rule.line,
                    status: *status,
                    to: location(to, &values),
                    keeps_query: rule.query.is_empty(),
                },
                Action::Rewrite(to) => {
                    let to = location(to, &values);
                    let end = to.find(['?', '#']).unwrap_or(to.len());
                    Found::Rewrite { line: rule.line, to: to[..end].to_owned() }
                }
            })
        })
    }

    /// The headers of a response with a status below 400, by their names in lowercase; `None` removes one.
    pub fn response_headers(&self, host: &str, uri: &str) -> BTreeMap<String, Option<String>> {
        let mut headers: BTreeMap<String, Option<String>> = BTreeMap::new();
        let uri = with_upper_triplets(uri);
        for block in &self.headers {
            if block.host.as_ref().is_some_and(|host_of| !host_of.matches(host)) {
                continue;
            }
            let forms = forms_of(&uri);
            let Some(captures) = forms.iter().find_map(|form| block.path.captures(form)) else { continue };
            let values: Vec<(&str, &str)> = block.path.captured().zip(captures).collect();
            for header in &block.headers {
                let value = header.value.as_ref().map(|pieces| filled(pieces, &values));
                let name = header.name.to_ascii_lowercase();
                let value = match (value, headers.get(&name)) {
                    (Some(value), Some(Some(before))) if self.joins_headers => Some(format!("{before}, {value}")),
                    (value, _) => value,
                };
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// The URLs that serve the same page: a directory, and its index.
fn forms_of(uri: &str) -> Vec<Cow<'_, str>> {
    let mut forms = vec![Cow::from(uri)];
    if uri.ends_with('/') {
        forms.push(format!("{uri}index.html").into());
    } else if let Some(folder) = uri.strip_suffix("/index.html") {
        forms.push(format!("{folder}/").into());
    }
    forms
}

/// The result of the first rule that matches.
enum Found {
    Redirect { line: usize, status: u16, to: String, keeps_query: bool },
    Rewrite { line: usize, to: String },
    PassThrough(usize),
}

/// The path that a rule serves, if it is the same for every URL.
fn rewritten(rule: &RedirectRule) -> Option<&str> {
    match &rule.action {
        Action::Rewrite(to) => to.exact().map(|to| &to[..to.find(['?', '#']).unwrap_or(to.len())]),
        _ => None,
    }
}

/// Whether the last part of a path contains a dot.
pub(crate) fn has_extension(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

fn filled(pieces: &[TargetPiece], values: &[(&str, &str)]) -> String {
    let text = |piece: &TargetPiece| match piece {
        TargetPiece::Text(text) => text.clone(),
        TargetPiece::Name(name) => {
            values.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value).to_owned()
        }
    };
    pieces.iter().map(text).collect()
}

/// Whether a rule leads from a directory's URL to the page that is served there anyway.
fn leads_to(rule: &RedirectRule, path: &str, key: &str) -> bool {
    let (Action::Redirect(_, to) | Action::Rewrite(to)) = &rule.action else { return false };
    let Some(captures) = rule.from.captures(path) else { return false };
    let values: Vec<(&str, &str)> = rule.from.captured().zip(captures).collect();
    let to = location(to, &values);
    let to = &to[..to.find(['?', '#']).unwrap_or(to.len())];
    paths_of(key).any(|own| without_slash(&own) == without_slash(to))
}

/// The location of a target. A captured part never names a host.
fn location(to: &RedirectTarget, values: &[(&str, &str)]) -> String {
    let text = filled(&to.pieces, values);
    if to.is_other_host() { text } else { to_site(text) }
}

/// A location that is a path begins with one slash: two would lead to another host.
pub(crate) fn to_site(to: String) -> String {
    match to.starts_with('/') {
        true => format!("/{}", to.trim_start_matches(['/', '\\'])),
        false => to,
    }
}

/// Whether a preferred language matches one that a rule names.
fn is_language(preferred: &str, named: &str) -> bool {
    preferred == named || preferred.split('-').next() == Some(named)
}

/// A host that a rule with this condition matches.
pub(crate) fn an_example_of(host: &Host) -> String {
    match host {
        Host::Is(host) => host.clone(),
        Host::EndsWith(end) => format!("any{end}"),
    }
}
