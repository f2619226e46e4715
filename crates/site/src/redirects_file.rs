//! Parses `_redirects` files as Netlify and Cloudflare Pages do: a line for each redirect or rewrite.
//!
//! ```text
//! /old        /new              301
//! /news/*     /blog/:splat
//! /app/*      /app/index.html   200
//! ```
//!
//! The first line that matches applies. With Netlify's semantics, a file of the site takes precedence over a rule,
//! unless the status ends in `!`. A line that cannot be implemented stays in its place: requests that it matches
//! pass through unchanged, because later lines are not meant for them. A line that makes no sense is skipped, as on
//! both platforms.

mod words;

pub(crate) use words::split_url;

use crate::error::LineError;
use crate::key::REDIRECTS_FILE;
use crate::platform::{Finding, FindingKind, Platform, RuleOptions};
use crate::url_pattern::{UrlPattern, as_sent, leading_name};
use std::fmt;
use words::{has_group_number, is_expression, is_location, status, target, without_scheme, without_scheme_of_visitor};

/// The contents of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedirectsFile {
    /// In the order of the file.
    pub rules: Vec<RedirectRule>,
    /// Findings about its lines.
    pub findings: Vec<Finding>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectRule {
    /// The line number, from 1.
    pub line: usize,
    /// Limits the rule to this host.
    pub host: Option<Host>,
    /// The paths that it matches.
    pub from: UrlPattern,
    /// Limits the rule to requests with these query parameters.
    pub query: Vec<(String, QueryValue)>,
    /// Limits the rule to these visitors.
    pub visitors: Vec<Visitors>,
    /// What it does.
    pub action: Action,
    /// Whether it takes precedence over a file of the site.
    pub force: bool,
}

/// The hosts that a rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// This host, in lowercase.
    Is(String),
    /// All hosts with this suffix, as in `*.example.com`.
    EndsWith(String),
}

/// The value that a query parameter must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryValue {
    /// This value.
    Is(String),
    /// Any value, which gets this name.
    Named(String),
}

/// The visitors that a rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitors {
    /// Visitors who prefer one of these languages, in lowercase: `en` includes `en-US`.
    Language(Vec<String>),
    /// Visitors in one of these countries, by their codes in uppercase.
    Country(Vec<String>),
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Redirects with 301, 302, 303, 307 or 308.
    Redirect(u16, RedirectTarget),
    /// Serves a path of the site under the same URL.
    Rewrite(RedirectTarget),
    /// Lets the request pass through unchanged: what the line says cannot be implemented.
    PassThrough,
}

/// The target of a rule: text, and names of captured parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTarget {
    /// From the left.
    pub pieces: Vec<TargetPiece>,
}

/// A piece of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPiece {
    /// Literal text.
    Text(String),
    /// The part captured under this name.
    Name(String),
}

impl RedirectTarget {
    /// The target, if it is the same for every path.
    pub fn exact(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [TargetPiece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether the target is another host with the visitor's own scheme, as in `//other.example/path`.
    pub fn is_other_host(&self) -> bool {
        matches!(self.pieces.first(), Some(TargetPiece::Text(text)) if without_scheme_of_visitor(text).is_some())
    }
}

impl fmt::Display for RedirectTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            TargetPiece::Text(text) => formatter.write_str(text),
            TargetPiece::Name(name) => write!(formatter, ":{name}"),
        })
    }
}

impl Host {
    /// Parses a host as rules write it. A part that may be anything is `*` or `:name`, from the left.
    pub(crate) fn parse(text: &str) -> Host {
        let host = text
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .map_or(text, |(host, _)| host);
        let host = host.to_ascii_lowercase();
        // What follows the last label that may be anything.
        let mut end = None;
        let mut at = 0;
        for label in host.split('.') {
            at += label.len();
            if label.contains('*') || label.starts_with(':') {
                end = Some(at);
            }
            at += 1;
        }
        match end {
            Some(end) => Host::EndsWith(host[end..].to_owned()),
            None => Host::Is(host),
        }
    }

    /// Whether a host, in lowercase, matches.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Host::Is(is) => is == host,
            Host::EndsWith(end) => host.len() > end.len() && host.ends_with(end.as_str()),
        }
    }
}

impl RedirectRule {
    /// Whether a path, as sent, matches.
    pub fn matches(&self, path: &str) -> bool {
        self.from.matches(path)
    }

    /// Whether only the path decides.
    pub fn is_unconditional(&self) -> bool {
        self.host.is_none() && self.query.is_empty() && self.visitors.is_empty()
    }

    /// The status and target of a redirect.
    pub fn redirect(&self) -> Option<(u16, &RedirectTarget)> {
        match &self.action {
            Action::Redirect(status, to) => Some((*status, to)),
            Action::Rewrite(_) | Action::PassThrough => None,
        }
    }
}

/// A path without its trailing slash, which does not count.
pub fn without_slash(path: &str) -> &str {
    if path.len() > 2 { path.strip_suffix('/').unwrap_or(path) } else { path }
}

const EXAMPLE: &str = "write it as '/from /to 301', with any of the statuses 200, 301, 302, 303, 307 and 308";

const EXPRESSION_HINT: &str = "regular expressions are not supported: write * for the rest of a path and :splat where it goes, as in /old/* /new/:splat";

const COUNTRY_HINT: &str = "add the header CloudFront-Viewer-Country to the behavior's origin request policy or cache policy; \
     without it, what the line matches passes through";

/// Parses a file.
pub fn parse(text: &str, options: &RuleOptions) -> RedirectsFile {
    let mut file = RedirectsFile::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        if words.is_empty() {
            continue;
        }
        let mut reader = LineReader { line: at + 1, options, findings: &mut file.findings };
        match reader.rule(&words) {
            Ok(rule) => file.rules.extend(rule),
            Err(error) => file.findings.push(Finding::new(REDIRECTS_FILE, FindingKind::Senseless, error)),
        }
    }
    file
}

struct LineReader<'f> {
    line: usize,
    options: &'f RuleOptions,
    findings: &'f mut Vec<Finding>,
}

impl LineReader<'_> {
    /// A rule that ends the search and changes nothing, until its action is known.
    fn passing(
        &self,
        host: Option<&str>,
        from: UrlPattern,
        query: Vec<(String, QueryValue)>,
        force: bool,
    ) -> RedirectRule {
        RedirectRule {
            line: self.line,
            host: host.map(Host::parse),
            from,
            query,
            visitors: Vec::new(),
            action: Action::PassThrough,
            force,
        }
    }

    fn wrong(&self, message: impl Into<String>) -> LineError {
        LineError::new(self.line, message, EXAMPLE)
    }

    fn find(&mut self, kind: FindingKind, message: String, hint: impl Into<String>) {
        self.findings.push(Finding::new(REDIRECTS_FILE, kind, LineError::new(self.line, message, hint)));
    }

    /// Parses a rule; `None` if there is nothing for it to match; an error if it makes no sense.
    fn rule(&mut self, words: &[&str]) -> Result<Option<RedirectRule>, LineError> {
        let platform = self.options.platform;
        let (scheme, host, path) = split_url(words[0]);
        let hint = if is_expression(path) { EXPRESSION_HINT } else { EXAMPLE };
        let wrong = |why: String| LineError::new(self.line, why, hint);
        let from = UrlPattern::parse_as(path, platform).map_err(wrong)?;
        if from.splats() > 1 {
            return Err(wrong(format!("{path:?} has more than one *, and :splat is one of them")));
        }
        let has_target = words.get(1).is_none_or(|word| is_location(word));
        if platform == Platform::Cloudflare && (host.is_some() || words.len() > 3 || !has_target) {
            return Err(
                self.wrong("Cloudflare reads only a path, a target and a status; rules = \"netlify\" reads more")
            );
        }
        let mut rest = words[1..].iter().copied().peekable();
        let mut query = Vec::new();
        while let Some(word) = rest.next_if(|word| !is_location(word)) {
            // `/* 200` serves whatever is there.
            if status(word).is_some() && rest.peek().is_none_or(|next| next.contains('=')) {
                return self.without_target(words[0], host, from, query, word, rest.collect());
            }
            let Some((name, value)) = word.split_once('=') else {
                return Err(self.wrong(format!("{word:?} is neither a path nor a query parameter")));
            };
            let named = value.strip_prefix(':').filter(|rest| !rest.is_empty() && leading_name(rest) == *rest);
            let value = named.map_or_else(
                || QueryValue::Is(as_sent(value).into_owned()),
                |named| QueryValue::Named(named.to_owned()),
            );
            query.push((as_sent(name).into_owned(), value));
        }
        let Some(to) = rest.next() else { return Err(self.wrong(format!("{path} leads nowhere"))) };
        let default = if platform == Platform::Cloudflare { "302" } else { "301" };
        let written = rest.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(default);
        let Some((status, force)) = status(written) else {
            return Err(self.wrong(format!("{written:?} is not a status")));
        };
        let conditions: Vec<&str> = rest.collect();
        if let Some(word) = conditions.iter().find(|word| !word.contains('=')) {
            return Err(self.wrong(format!("unexpected {word:?}")));
        }
        if is_expression(path) || has_group_number(to) {
            let message = format!("{path} {to} looks like a regular expression, but is read literally");
            self.find(FindingKind::Doubtful, message, EXPRESSION_HINT);
        }
        let names = |name: &str| {
            from.names(name)
                || query.iter().any(|(_, value)| matches!(value, QueryValue::Named(named) if named == name))
        };
        let target = target(to, names, platform).map_err(|why| self.wrong(why))?;
        let mut rule = self.passing(host, from, query, force);
        let can_be_checked = self.conditions(words[0], &mut rule, &conditions);
        let action = self.action(words[0], &rule, to, status, target)?;
        if can_be_checked {
            rule.action = action;
        }
        if platform == Platform::Cloudflare {
            // There, files come last; the platform ignores a fallback that rewrites to itself, and this is its
            // equivalent.
            let shows_itself =
                matches!(&rule.action, Action::Rewrite(to) if to.exact().is_some_and(|to| rule.matches(to)));
            rule.force = !shows_itself;
        }
        if scheme == Some("http") {
            let same = without_scheme(to) == without_scheme(words[0]).replace('*', ":splat");
            let hint = if same {
                "set the behavior's ViewerProtocolPolicy to redirect-to-https, and remove the line".to_owned()
            } else {
                format!("write it with https:// to redirect from {} to another host", host.unwrap_or_default())
            };
            let message =
                format!("{} matches only http, which CloudFront redirects to https before a function runs", words[0]);
            self.find(FindingKind::CannotBeDone, message, hint);
            return Ok(None);
        }
        Ok(Some(rule))
    }

    /// `/* 200` and `/admin/* 200! Role=admin`: what is there is served, which needs no rule but ends the search.
    fn without_target(
        &mut self,
        written: &str,
        host: Option<&str>,
        from: UrlPattern,
        query: Vec<(String, QueryValue)>,
        word: &str,
        conditions: Vec<&str>,
    ) -> Result<Option<RedirectRule>, LineError> {
        let (status, force) = status(word).unwrap_or((0, false));
        if status != 200 || self.options.platform == Platform::Cloudflare {
            return Err(self.wrong(format!("{written} leads nowhere")));
        }
        let mut rule = self.passing(host, from, query, force);
        self.conditions(written, &mut rule, &conditions);
        Ok(Some(rule))
    }

    /// Parses the conditions of a rule. Returns whether a function can evaluate all of them.
    fn conditions(&mut self, written: &str, rule: &mut RedirectRule, conditions: &[&str]) -> bool {
        let mut can_be_checked = true;
        for condition in conditions {
            let Some((name, value)) = condition.split_once('=') else { continue };
            let values = || value.split(',').map(str::trim).filter(|value| !value.is_empty());
            match name.to_ascii_lowercase().as_str() {
                "language" => rule.visitors.push(Visitors::Language(values().map(str::to_ascii_lowercase).collect())),
                "country" => {
                    rule.visitors.push(Visitors::Country(values().map(str::to_ascii_uppercase).collect()));
                    let message = format!("{written} depends on the visitor's country");
                    self.find(FindingKind::Needs, message, COUNTRY_HINT);
                }
                "role" if self.options.may_be_public(written) => can_be_checked = false,
                "role" => {
                    can_be_checked = false;
                    let message = format!("{written} is only for some roles, but CloudFront would show it to everyone");
                    self.find(FindingKind::Protects, message, protect_hint(written));
                }
                _ => {
                    can_be_checked = false;
                    let message = format!("{written} depends on {name}, which shipfront's functions do not read");
                    self.find(
                        FindingKind::CannotBeDone,
                        message,
                        "URLs that match it pass through; write lines without the condition",
                    );
                }
            }
        }
        can_be_checked
    }

    /// The action of a rule, by its status.
    fn action(
        &mut self,
        written: &str,
        rule: &RedirectRule,
        to: &str,
        status: u16,
        target: RedirectTarget,
    ) -> Result<Action, LineError> {
        let cloudflare = self.options.platform == Platform::Cloudflare;
        let is_path = !target.is_other_host()
            && matches!(target.pieces.first(), Some(TargetPiece::Text(text)) if text.starts_with('/'));
        Ok(match status {
            301 | 302 | 303 | 307 | 308 => Action::Redirect(status, target),
            // Functions and images of the platform, which are not files.
            200 if to.starts_with("/.netlify/") => {
                let hint = "add a server that does the same as an origin, and a behavior for it";
                let message = format!("{written} shows {to}, which only Netlify has");
                self.find(FindingKind::CannotBeDone, message, hint);
                Action::PassThrough
            }
            200 if is_path => Action::Rewrite(target),
            _ if cloudflare => return Err(self.wrong(format!("Cloudflare has no {status} to {to}"))),
            200 => {
                let path = rule.from.to_string();
                let hint = format!("add the other server as an origin, and a behavior for {path} that asks it");
                self.find(FindingKind::CannotBeDone, format!("{written} shows content of {to}"), hint);
                Action::PassThrough
            }
            // A status that hides files is there to protect them.
            401 | 403 | 404 | 410 | 451 if rule.force => {
                if !self.options.may_be_public(written) {
                    let message = format!("{written} hides files with {status}, but CloudFront would show them");
                    self.find(FindingKind::Protects, message, protect_hint(written));
                }
                Action::PassThrough
            }
            _ => {
                let hint = format!("set a custom error response of the distribution: {to} for the errors 403 and 404");
                self.find(FindingKind::CannotBeDone, format!("{written} answers with status {status}"), hint);
                Action::PassThrough
            }
        })
    }
}

/// How to fix a line that protects something.
pub(crate) fn protect_hint(path: &str) -> String {
    format!("remove those files from the source, or pass --may-be-public '{path}' if everyone may see them")
}

#[cfg(test)]
mod tests;
