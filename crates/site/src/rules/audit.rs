//! What of a list of header rules has no effect, or another one than may be meant. Nothing of it is an error.

use super::{HeaderRule, HeaderRules};
use crate::cache_control;
use crate::glob::{self, Glob};
use std::collections::BTreeSet;

/// Names of which the nearest is looked for: a site has more files than a person mistypes.
const CANDIDATES: usize = 20_000;

/// A rule whose header another one replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The rule, by its place.
    pub rule: usize,
    /// The one that comes later.
    pub by: usize,
    /// The header.
    pub header: &'static str,
    /// The first key that gets the later rule's value.
    pub key: String,
}

impl HeaderRules {
    /// What rules are about, as it is written.
    pub fn subject(&self, at: usize) -> String {
        let Some(rule) = self.rules.get(at) else { return String::new() };
        let globs = rule.files.0.iter().map(|glob| format!("{:?}", glob.to_string()));
        globs.chain(rule.paths.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
    }

    /// The rules from a place on that match no key, each with the pattern that may be meant.
    pub fn matching_nothing<'k>(
        &self,
        from: usize,
        keys: impl Iterator<Item = &'k str> + Clone,
    ) -> Vec<(usize, Option<String>)> {
        let rules = self.rules.iter().enumerate().skip(from).filter(|(_, rule)| rule.paths.is_empty());
        // What has matched once is not tried again.
        let mut left: Vec<_> =
            rules.filter_map(|(at, rule)| Some((at, rule, glob::set(&rule.files.0).ok()?))).collect();
        for key in keys.clone() {
            if left.is_empty() {
                break;
            }
            left.retain(|(_, _, globs)| !globs.is_match(key));
        }
        left.into_iter().map(|(at, rule, _)| (at, meant(rule, keys.clone()))).collect()
    }

    /// The `Cache-Control` of rules that is none, with what may be meant.
    pub fn odd_cache_controls(&self) -> Vec<(usize, String)> {
        let said = |rule: &HeaderRule| cache_control::problem(rule.cache_control.as_ref()?.get()?);
        self.rules.iter().enumerate().filter_map(|(at, rule)| Some((at, said(rule)?))).collect()
    }

    /// The `Content-Type` of rules that is no media type, by the place of each.
    pub fn odd_content_types(&self) -> Vec<(usize, String)> {
        let said = |rule: &HeaderRule| {
            let value = rule.content_type.as_ref()?.get()?;
            (!is_media_type(value)).then(|| format!("{value:?} is no media type, such as \"text/html\""))
        };
        self.rules.iter().enumerate().filter_map(|(at, rule)| Some((at, said(rule)?))).collect()
    }

    /// Which of the rules before a place are overridden by those from there on: each with the first key.
    pub fn overridden<'k>(&self, from: usize, keys: impl Iterator<Item = &'k str>) -> Vec<Overridden> {
        let mut found: Vec<Overridden> = Vec::new();
        if from == 0 || from >= self.rules.len() {
            return found;
        }
        for key in keys {
            let at = self.places(key);
            let (before, later): (Vec<usize>, Vec<usize>) = at.into_iter().partition(|at| *at < from);
            for header in
                ["Cache-Control", "Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language"]
            {
                let says = |at: &&usize| self.rules[**at].value(header).is_some();
                // Of either, the last word would hold.
                let (Some(&rule), Some(&by)) = (before.iter().rfind(says), later.iter().rfind(says)) else { continue };
                let is_known = |known: &Overridden| (known.rule, known.by, known.header) == (rule, by, header);
                if self.rules[rule].value(header) != self.rules[by].value(header) && !found.iter().any(is_known) {
                    found.push(Overridden { rule, by, header, key: key.to_owned() });
                }
            }
        }
        found
    }
}

impl HeaderRule {
    fn value(&self, header: &str) -> Option<&super::HeaderValue> {
        match header {
            "Cache-Control" => self.cache_control.as_ref(),
            "Content-Type" => self.content_type.as_ref(),
            "Content-Encoding" => self.content_encoding.as_ref(),
            "Content-Disposition" => self.content_disposition.as_ref(),
            _ => self.content_language.as_ref(),
        }
    }
}

/// Whether a value begins with two names and a slash between them (RFC 9110); its parameters are not looked at.
fn is_media_type(value: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.split_once('/').is_some_and(|(kind, rest)| is_name(kind) && is_name(rest))
}

/// The pattern that may be meant by a rule that matches nothing: one of its own with the name of a folder or a file, or
/// an extension, that the site has.
fn meant<'k>(rule: &HeaderRule, keys: impl Iterator<Item = &'k str> + Clone) -> Option<String> {
    rule.files.0.iter().find_map(|glob| {
        let written = glob.to_string();
        let (start, rest) = written.split_at(written.len() - written.trim_start_matches('/').len());
        let (first, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let folders = || keys.clone().filter_map(|key| key.split_once('/')).map(|(folder, _)| folder.to_owned());
        let names = || keys.clone().filter_map(|key| key.rsplit('/').next()).map(str::to_owned);
        let extensions = || names().filter_map(|name| Some(format!("*.{}", name.rsplit_once('.')?.1)));
        let candidates: BTreeSet<String> = if rest.is_empty() {
            names().chain(extensions()).take(CANDIDATES).collect()
        } else {
            folders().take(CANDIDATES).collect()
        };
        let near = nearest(first, candidates.iter().map(String::as_str))?;
        let pattern = format!("{start}{near}{rest}");
        let matches = pattern.parse::<Glob>().ok().and_then(|glob| glob::set([&glob]).ok());
        matches.filter(|glob| keys.clone().any(|key| glob.is_match(key))).map(|_| pattern)
    })
}

/// The known name that somebody may have meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = name.to_ascii_lowercase();
    let apart = known.map(|known| (strsim::damerau_levenshtein(&plain, &known.to_ascii_lowercase()), known));
    apart.min().filter(|(distance, known)| *distance <= known.len().max(plain.len()) / 3).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(toml: &[(&str, &str)]) -> HeaderRules {
        let rule = |&(files, cache_control): &(&str, &str)| HeaderRule {
            files: glob::Globs(vec![files.parse().unwrap()]),
            cache_control: Some(cache_control.parse().unwrap()),
            ..HeaderRule::default()
        };
        HeaderRules::new(toml.iter().map(rule).collect()).unwrap()
    }

    #[test]
    fn a_rule_without_a_file_is_told_with_the_pattern_that_may_be_meant() {
        let keys = ["404.html", "assets/app.js", "blog/index.html", "style.css"];
        for (pattern, expected) in [
            ("/asset/**", Some(Some("/assets/**"))),
            ("/404.htm", Some(Some("/404.html"))),
            ("*.csss", Some(Some("*.css"))),
            ("/blogs/*.html", Some(Some("/blog/*.html"))),
            ("/assets/**/*.png", Some(None)),
            ("/zzzzzz/**", Some(None)),
            ("/assets/**", None),
            ("*", None),
        ] {
            let found = rules(&[("*", "max-age=1"), (pattern, "max-age=1")]).matching_nothing(1, keys.into_iter());
            let expected: Vec<_> = expected.into_iter().map(|meant| (1, meant.map(str::to_owned))).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn a_content_type_that_is_no_media_type_is_told() {
        for value in ["text/html", "Text/HTML; charset=utf-8", "application/vnd.api+json", "image/svg+xml ;x"] {
            assert!(is_media_type(value), "{value}");
        }
        for value in ["html", "text/", "/html", "text/html/x", "text html", "utf-8", "text/html charset=utf-8"] {
            assert!(!is_media_type(value), "{value}");
        }
        let rule = HeaderRule {
            files: glob::Globs(vec!["*".parse().unwrap()]),
            content_type: Some("html".parse().unwrap()),
            ..HeaderRule::default()
        };
        let told = HeaderRules::new(vec![rule]).unwrap().odd_content_types();
        assert_eq!(told, [(0, "\"html\" is no media type, such as \"text/html\"".to_owned())]);
    }

    #[test]
    fn rules_that_later_ones_override_are_told_once_each() {
        let keys = ["assets/app.js", "assets/b.js", "index.html"];
        let all = rules(&[("/assets/*", "max-age=9"), ("*.html", "max-age=1"), ("*", "max-age=1"), ("/x", "no-cache")]);
        let found = all.overridden(2, keys.into_iter());
        let key = "assets/app.js".to_owned();
        assert_eq!(found, [Overridden { rule: 0, by: 2, header: "Cache-Control", key }], "the same value is none");
        assert_eq!(all.overridden(0, keys.into_iter()), []);
        assert_eq!(all.subject(0), "\"/assets/*\"");
    }
}
