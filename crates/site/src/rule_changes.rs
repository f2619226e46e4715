//! Determines what changes with the rules of a site: the lines, and the URLs that the cache answers differently.

use crate::circles::{ANY_HOST, examples, hosts, query};
use crate::headers_file::HeadersFile;
use crate::key::{HEADERS_FILE, REDIRECTS_FILE};
use crate::platform::{Finding, FindingKind};
use crate::redirects_file::{Host, RedirectRule, RedirectsFile, TargetPiece, Visitors, without_slash};
use crate::url_pattern::{Piece, as_sent, paths_of};
use crate::viewer_rules::{Answer, Request, Rules, an_example_of};
use serde::Serialize;
use std::collections::BTreeSet;

/// Maximum number of hosts in rules that are tried.
const MOST_HOSTS: usize = 8;

/// The effective part of a line: without comments and indentation, and never one that is skipped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleLine {
    /// The file's name: `_headers` or `_redirects`.
    pub file: &'static str,
    /// The line number, from 1.
    pub line: usize,
    /// Its text; for a header, path, name and value.
    pub text: String,
}

/// What happened to a line since the last deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineChange {
    /// It is new.
    New,
    /// A line with the same subject said something else.
    Changed,
    /// It no longer exists.
    Gone,
    /// It exists, but has no effect on this site.
    NoEffect,
    /// It is there, and what it says cannot be done.
    NotDone,
}

impl LineChange {
    /// The change as a word.
    pub fn word(self) -> &'static str {
        match self {
            LineChange::New => "new",
            LineChange::Changed => "changed",
            LineChange::Gone => "gone",
            LineChange::NoEffect => "no effect",
            LineChange::NotDone => "not done",
        }
    }
}

/// A line, and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedLine {
    /// The file's name.
    pub file: &'static str,
    /// The line number; `None` if the line is gone.
    pub line: Option<usize>,
    /// Its text; for a header, only path and name.
    pub rule: String,
    /// What happened to it.
    pub change: LineChange,
    /// Why it has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The lines of a `_redirects` file that are rules, given the file's text.
pub fn redirect_lines(text: &str, file: &RedirectsFile) -> Vec<RuleLine> {
    let numbers: BTreeSet<usize> = file.rules.iter().map(|rule| rule.line).collect();
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    let lines = lines.filter(|(at, _)| numbers.contains(&(at + 1)));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    lines.map(|(at, line)| RuleLine { file: REDIRECTS_FILE, line: at + 1, text: words(line) }).collect()
}

/// The lines of a `_headers` file that a function adds.
pub fn header_lines(file: &HeadersFile) -> Vec<RuleLine> {
    let of_block = |block: &crate::headers_file::HeaderBlock| {
        let host = match &block.host {
            None => String::new(),
            Some(Host::Is(host)) => format!("https://{host}"),
            Some(Host::EndsWith(end)) => format!("https://*{end}"),
        };
        let path = &block.path;
        let line = |header: &crate::headers_file::OtherHeader| {
            let name = header.name.to_ascii_lowercase();
            let text = match &header.value {
                Some(value) => format!("{host}{path} {name}: {}", value.iter().map(shown).collect::<String>()),
                None => format!("{host}{path} ! {name}"),
            };
            RuleLine { file: HEADERS_FILE, line: header.line, text }
        };
        block.headers.iter().map(line).collect::<Vec<_>>()
    };
    file.blocks.iter().flat_map(of_block).collect()
}

fn shown(piece: &TargetPiece) -> String {
    match piece {
        TargetPiece::Text(text) => text.clone(),
        TargetPiece::Name(name) => format!(":{name}"),
    }
}

/// The subject of a line, by which two lines are the same: the path of a redirect, the path and name of a header.
fn subject<'t>(file: &str, text: &'t str) -> &'t str {
    match file == HEADERS_FILE {
        true => text.split(": ").next().unwrap_or(text),
        false => text.split(' ').next().unwrap_or(text),
    }
}

/// The line as shown: a header's value is not needed.
fn rule(file: &str, text: &str) -> String {
    if file == HEADERS_FILE { subject(file, text).to_owned() } else { text.to_owned() }
}

/// What happened to the lines of one file. `before` contains their texts at the last deploy.
pub fn changed_lines(file: &'static str, before: &[String], now: &[RuleLine]) -> Vec<ChangedLine> {
    let texts: BTreeSet<&str> = before.iter().map(String::as_str).collect();
    let subjects: BTreeSet<&str> = before.iter().map(|text| subject(file, text)).collect();
    let known: BTreeSet<&str> = now.iter().map(|line| line.text.as_str()).collect();
    let kept: BTreeSet<&str> = now.iter().map(|line| subject(file, &line.text)).collect();
    let mut changed: Vec<ChangedLine> = Vec::new();
    for line in now.iter().filter(|line| !texts.contains(line.text.as_str())) {
        let is_known = subjects.contains(subject(file, &line.text));
        let change = if is_known { LineChange::Changed } else { LineChange::New };
        changed.push(ChangedLine { file, line: Some(line.line), rule: rule(file, &line.text), change, reason: None });
    }
    for text in before.iter().filter(|text| !known.contains(text.as_str()) && !kept.contains(subject(file, text))) {
        let (rule, change) = (rule(file, text), LineChange::Gone);
        changed.push(ChangedLine { file, line: None, rule, change, reason: None });
    }
    changed
}

/// The rules that are in one list but not in the other; all of both lists if the common rules changed places.
fn differing<'r>(before: &'r Rules, now: &'r Rules) -> Vec<&'r RedirectRule> {
    let bare = |rule: &RedirectRule| RedirectRule { line: 0, ..rule.clone() };
    let (old, new): (Vec<_>, Vec<_>) =
        (before.redirects.iter().map(bare).collect(), now.redirects.iter().map(bare).collect());
    let common = |some: &[RedirectRule], others: &[RedirectRule]| {
        some.iter().filter(|rule| others.contains(rule)).cloned().collect::<Vec<_>>()
    };
    let all = before.redirects.iter().zip(&old).map(|(rule, bare)| (rule, new.contains(bare)));
    let all = all.chain(now.redirects.iter().zip(&new).map(|(rule, bare)| (rule, old.contains(bare))));
    let in_order = common(&old, &new) == common(&new, &old);
    all.filter(|(_, in_both)| !(*in_both && in_order)).map(|(rule, _)| rule).collect()
}

/// The paths that were answered differently before and are requested from the cache now: a request that a redirect
/// answers never reaches the cache.
///
/// Includes the paths of exact lines, and those of the site's keys that other lines match. Keys are spelled as in
/// URLs.
pub fn changed_paths<'k>(before: &Rules, now: &Rules, keys: impl Iterator<Item = &'k str>) -> BTreeSet<String> {
    let differing = differing(before, now);
    if differing.is_empty() && before.directory_index == now.directory_index {
        return BTreeSet::new();
    }
    let mut asked: BTreeSet<String> = hosts(before).into_iter().chain(hosts(now)).take(MOST_HOSTS).collect();
    asked.insert(ANY_HOST.to_owned());
    let goes_otherwise = |uri: &str| {
        let of = |rules: &Rules, host: &str| {
            rules.decide(&Request { host: host.to_owned(), uri: uri.to_owned(), ..Request::default() })
        };
        let is_conditional = differing.iter().any(|rule| !rule.is_unconditional() && rule.matches(uri));
        asked.iter().any(|host| {
            let (old, new) = (of(before, host).answer, of(now, host).answer);
            matches!(new, Answer::Origin(_)) && (old != new || is_conditional)
        })
    };
    let exact = differing.iter().filter_map(|rule| rule.from.exact()).flat_map(|path| {
        let path = as_sent(path).into_owned();
        let bare = without_slash(&path).to_owned();
        // Each is an address of its own in the cache.
        let slashed = if bare.ends_with('/') { bare.clone() } else { format!("{bare}/") };
        [bare, slashed]
    });
    let matched = |uri: &String| differing.iter().any(|rule| rule.matches(uri));
    let of_keys = keys.flat_map(paths_of).filter(matched);
    exact.chain(of_keys).filter(|uri| goes_otherwise(uri)).collect()
}

/// Requests for testing a function: one for each of these lines, and one for each of these paths.
pub fn samples<'p>(
    rules: &Rules,
    lines: impl Iterator<Item = usize>,
    paths: impl Iterator<Item = &'p str>,
    host: &str,
) -> Vec<Request> {
    let lines: BTreeSet<usize> = lines.collect();
    let of_rule = |rule: &RedirectRule| {
        let (mut country, mut languages) = (None, None);
        for visitors in &rule.visitors {
            match visitors {
                Visitors::Language(named) => languages = named.first().cloned(),
                Visitors::Country(named) => country = named.first().cloned(),
            }
        }
        let host = rule.host.as_ref().map_or_else(|| host.to_owned(), an_example_of);
        let request = |uri: String| Request {
            host: host.clone(),
            uri,
            query: query(rule),
            country: country.clone(),
            languages: languages.clone(),
        };
        let requests: Vec<Request> =
            examples(rule, &[]).into_iter().filter(|uri| rule.matches(uri)).map(request).collect();
        // Preferably one that no file and no other line matches.
        let own = requests.iter().position(|request| rules.decide(request).line == Some(rule.line));
        requests.into_iter().nth(own.unwrap_or(0))
    };
    let of_lines = rules.redirects.iter().filter(|rule| lines.contains(&rule.line)).filter_map(of_rule);
    let of_paths = paths.map(|path| Request { host: host.to_owned(), uri: path.to_owned(), ..Request::default() });
    of_lines.chain(of_paths).collect()
}

/// The lines among `findings` that do nothing on this site, or that cannot be done.
pub fn without_effect(findings: &[Finding], lines: &[RuleLine]) -> Vec<ChangedLine> {
    let of = |finding: &Finding| {
        let change = match finding.kind {
            // What leads round in a circle passes through.
            FindingKind::NoEffect | FindingKind::Circle => LineChange::NoEffect,
            FindingKind::CannotBeDone => LineChange::NotDone,
            _ => return None,
        };
        let line = lines.iter().find(|line| line.file == finding.file && line.line == finding.line)?;
        Some(ChangedLine {
            file: line.file,
            line: Some(line.line),
            rule: rule(line.file, &line.text),
            change,
            reason: Some(finding.message.clone()),
        })
    };
    findings.iter().filter_map(of).collect()
}

/// Requests whose responses get the headers of these lines.
pub fn header_samples(rules: &Rules, lines: impl Iterator<Item = usize>, host: &str) -> Vec<Request> {
    let lines: BTreeSet<usize> = lines.collect();
    let blocks = rules.headers.iter();
    let blocks = blocks.filter(|block| block.headers.iter().any(|header| lines.contains(&header.line)));
    let request = |block: &crate::headers_file::HeaderBlock| {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => as_sent(text).into_owned(),
            Piece::Placeholder(_) | Piece::Splat => "x".to_owned(),
        };
        let host = block.host.as_ref().map_or_else(|| host.to_owned(), an_example_of);
        Request { host, uri: block.path.pieces().iter().map(piece).collect(), ..Request::default() }
    };
    blocks.map(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::RuleOptions;
    use crate::{headers_file, redirects_file};

    const KEYS: [&str; 4] = ["index.html", "blog/a.html", "blog/b/index.html", "app.js"];

    fn rules(text: &str) -> Rules {
        let file = redirects_file::parse(text, &RuleOptions::default());
        Rules::new(file, HeadersFile::default(), KEYS.into_iter(), true, &RuleOptions::default()).0
    }

    fn paths(before: &str, now: &str) -> Vec<String> {
        changed_paths(&rules(before), &rules(now), KEYS.into_iter()).into_iter().collect()
    }

    #[test]
    fn a_redirect_that_comes_needs_no_eviction_and_one_that_goes_needs_its_own() {
        assert_eq!(paths("", "/old /new\n"), [""; 0]);
        assert_eq!(paths("/old /new\n", "/old /newer 302\n"), [""; 0], "it is answered before the cache is asked");
        assert_eq!(paths("/old.html /new\n", ""), ["/old.html", "/old.html/"]);
        // Without the slash, it is redirected to the directory as well.
        assert_eq!(paths("/old /new\n", ""), ["/old/"]);
    }

    #[test]
    fn what_is_shown_in_anothers_place_is_evicted_whenever_that_changes() {
        assert_eq!(paths("", "/x.html /app.js 200\n"), ["/x.html", "/x.html/"]);
        assert_eq!(paths("/x.html /app.js 200\n", "/x.html /index.html 200\n"), ["/x.html", "/x.html/"]);
        assert_eq!(paths("/x.html /app.js 200\n", "/x.html /y 301\n"), [""; 0]);
    }

    #[test]
    fn of_a_pattern_only_those_urls_of_the_site_are_evicted_that_answer_otherwise() {
        // Files take precedence: it does not change them.
        assert_eq!(paths("/blog/* /news/:splat\n", ""), [""; 0]);
        let forced = paths("/blog/* /news/:splat 301!\n", "");
        assert_eq!(forced, ["/blog/a.html", "/blog/b/", "/blog/b/index.html"]);
        assert_eq!(paths("/blog/* /news/:splat 301!\n", "# nothing else\n/blog/* /news/:splat 301!\n"), [""; 0]);
    }

    #[test]
    fn lines_are_new_changed_or_gone_by_what_they_are_about() {
        let before = ["/a /b", "/c /d", "/e /f"].map(str::to_owned);
        let text = "/a   /b   # as before\n/c /x 302\n\n/g /h\n/nowhere\n";
        let file = redirects_file::parse(text, &RuleOptions::default());
        let now = redirect_lines(text, &file);
        let before_with_comment = [&["/a /b # as before".to_owned()][..], &before[1..]].concat();
        let changed = changed_lines(REDIRECTS_FILE, &before_with_comment, &now);
        let shown: Vec<_> = changed.iter().map(|line| (line.line, &*line.rule, line.change)).collect();
        let expected = [
            (Some(2), "/c /x 302", LineChange::Changed),
            (Some(4), "/g /h", LineChange::New),
            (None, "/e /f", LineChange::Gone),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn of_headers_no_value_is_shown() {
        let file = headers_file::parse("/*\n  X-Frame-Options: DENY\n  ! Server\n", &RuleOptions::default());
        let now = header_lines(&file);
        let before = ["/* x-frame-options: SAMEORIGIN".to_owned()];
        let changed = changed_lines(HEADERS_FILE, &before, &now);
        let shown: Vec<_> = changed.iter().map(|line| (&*line.rule, line.change)).collect();
        assert_eq!(shown, [("/* x-frame-options", LineChange::Changed), ("/* ! server", LineChange::New)]);
    }

    #[test]
    fn a_sample_of_a_line_is_a_request_that_it_matches() {
        let text = "/a /b\n/news/* /n/:splat\n/q id=:id /r/:id\nhttps://old.example.com/* https://x.example/:splat\n";
        let rules = rules(text);
        let samples = samples(&rules, 1..=4, ["/app.js"].into_iter(), "www.example.com");
        let lines: Vec<_> = samples.iter().map(|request| rules.decide(request).line).collect();
        assert_eq!(lines, [Some(1), Some(2), Some(3), Some(4), None]);
    }
}
