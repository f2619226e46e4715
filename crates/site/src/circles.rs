//! Finds redirects that never end, and the lines that cause them.
//!
//! The functions pass such requests through, whatever the URL. Here, when their code is generated, every line is
//! tried with URLs that it matches and with the site's URLs, so that the user learns which lines to correct.

use crate::LineError;
use crate::key::REDIRECTS_FILE;
use crate::platform::{Finding, FindingKind};
use crate::redirects_file::{Action, RedirectRule, split_url};
use crate::url_pattern::{Piece, as_sent};
use crate::viewer_rules::{Query, Request, Rules, an_example_of};
use std::collections::{BTreeMap, BTreeSet};

/// A host that no rule names.
pub(crate) const ANY_HOST: &str = "www.site.invalid";
/// Maximum number of parts of other lines that are substituted for a line's placeholders.
const MOST_PARTS: usize = 40;

/// The lines that redirect in a loop.
pub(crate) fn circles(rules: &Rules) -> Vec<Finding> {
    let mut of_line: BTreeMap<usize, String> = BTreeMap::new();
    let hosts = hosts(rules);
    let parts = parts(rules);
    let redirecting = rules.redirects.iter().filter(|rule| matches!(rule.action, Action::Redirect(..)));
    let from_rules = redirecting
        .flat_map(|rule| examples(rule, &parts).into_iter().map(move |uri| (uri, query(rule), rule.host.as_ref())));
    for (uri, query, host) in from_rules {
        let asked = match host {
            Some(host) => vec![an_example_of(host)],
            None => hosts.clone(),
        };
        for host in asked {
            ask(rules, host, &uri, &query, &mut of_line);
        }
    }
    let urls: Vec<String> = rules.files().map(str::to_owned).collect();
    for (uri, host) in urls.iter().flat_map(|uri| hosts.iter().map(move |host| (uri, host))) {
        ask(rules, host.clone(), uri, &Query::default(), &mut of_line);
    }
    let finding = |(line, url): (usize, String)| {
        let hint = "such URLs pass through; narrow the line, or change its target";
        Finding::new(
            REDIRECTS_FILE,
            FindingKind::Circle,
            LineError::new(line, format!("{url} redirects in a loop"), hint),
        )
    };
    of_line.into_iter().map(finding).collect()
}

fn ask(rules: &Rules, host: String, uri: &str, query: &Query, of_line: &mut BTreeMap<usize, String>) {
    let shown = if host == ANY_HOST { uri.to_owned() } else { format!("{host}{uri}") };
    let request = Request {
        host,
        uri: uri.to_owned(),
        query: query.clone(),
        country: Some("US".to_owned()),
        languages: Some("en".to_owned()),
    };
    for line in rules.circle(&request).into_iter().flatten() {
        of_line.entry(line).or_insert_with(|| shown.clone());
    }
}

/// The hosts that rules match or redirect to, and one other host.
pub(crate) fn hosts(rules: &Rules) -> Vec<String> {
    let mut hosts = BTreeSet::from([ANY_HOST.to_owned()]);
    for rule in &rules.redirects {
        hosts.extend(rule.host.as_ref().map(an_example_of));
        if let Some((_, to)) = rule.redirect() {
            let to = to.to_string();
            hosts.extend(split_url(&to).1.map(str::to_ascii_lowercase));
        }
    }
    hosts.into_iter().collect()
}

/// The literal text between the placeholders of all lines: text that one line accepts for a placeholder may be what
/// another line matches.
fn parts(rules: &Rules) -> Vec<String> {
    let mut parts = BTreeSet::new();
    let patterns = rules.redirects.iter().filter(|rule| rule.from.exact().is_none());
    for rule in patterns {
        for piece in rule.from.pieces() {
            if let Piece::Text(text) = piece {
                parts.extend(as_sent(text).split('/').filter(|part| !part.is_empty()).map(str::to_owned));
            }
        }
    }
    parts.into_iter().take(MOST_PARTS).collect()
}

/// URLs that a rule matches.
pub(crate) fn examples(rule: &RedirectRule, parts: &[String]) -> Vec<String> {
    let uri = |open: &str| {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => as_sent(text).into_owned(),
            Piece::Placeholder(_) => open.split('/').next().filter(|open| !open.is_empty()).unwrap_or("x").to_owned(),
            Piece::Splat => open.to_owned(),
        };
        rule.from.pieces().iter().map(piece).collect::<String>()
    };
    let mut uris = BTreeSet::from([uri(""), uri("x"), uri("x/y")]);
    for part in parts {
        uris.extend([uri(part), uri(&format!("{part}/x")), uri(&format!("x/{part}"))]);
    }
    // With and without the trailing slash.
    let bare: Vec<String> =
        uris.iter().filter_map(|uri| uri.strip_suffix('/')).filter(|uri| !uri.is_empty()).map(str::to_owned).collect();
    let slashed: Vec<String> = uris.iter().filter(|uri| !uri.ends_with('/')).map(|uri| format!("{uri}/")).collect();
    uris.into_iter().chain(bare).chain(slashed).collect()
}

pub(crate) fn query(rule: &RedirectRule) -> Query {
    let pair = |(name, value): &(String, crate::redirects_file::QueryValue)| match value {
        crate::redirects_file::QueryValue::Is(value) => format!("{name}={value}"),
        crate::redirects_file::QueryValue::Named(_) => format!("{name}=x"),
    };
    Query::parse(&rule.query.iter().map(pair).collect::<Vec<_>>().join("&"))
}
