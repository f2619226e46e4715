//! Finds header rules that have no effect, or probably not the intended one. None of them is an error.

use super::{HeaderRule, HeaderRules};
use crate::Warning;
use crate::cache_control;
use crate::glob;
use crate::url_pattern::{UrlPattern, paths_of};
use encoding_rs::Encoding;

/// A rule whose header a later rule replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The rule, by position.
    pub rule: usize,
    /// The later rule, by position.
    pub by: usize,
    /// The header.
    pub header: &'static str,
    /// The first key that gets the later rule's value.
    pub key: String,
}

impl HeaderRules {
    /// What the rule applies to, as written.
    pub fn subject(&self, at: usize) -> String {
        let Some(rule) = self.rules.get(at) else { return String::new() };
        let globs = rule.files.0.iter().map(|glob| format!("{:?}", glob.to_string()));
        globs.chain(rule.paths.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
    }

    /// The paths of the rules before a position that match no key, in order: `_headers` rules have paths.
    pub fn paths_matching_nothing<'k>(&self, to: usize, keys: impl Iterator<Item = &'k str>) -> Vec<String> {
        let paths = self.rules.iter().take(to).flat_map(|rule| &rule.paths);
        let mut left: Vec<&UrlPattern> = paths.collect();
        for key in keys {
            if left.is_empty() {
                break;
            }
            let urls: Vec<String> = paths_of(key).collect();
            left.retain(|path| !urls.iter().any(|url| path.matches(url)));
        }
        left.into_iter().map(ToString::to_string).collect()
    }

    /// Patterns that match no key and hardly look like patterns, each with what is wrong. It is normal that one of
    /// several matches nothing, because a list may name what another site has.
    pub fn odd_patterns<'k>(
        &self,
        from: usize,
        source: Option<&str>,
        keys: impl Iterator<Item = &'k str> + Clone,
    ) -> Vec<(usize, Warning)> {
        let rules = self.rules.iter().enumerate().skip(from);
        let globs = rules.flat_map(|(at, rule)| rule.files.0.iter().map(move |glob| (at, glob)));
        globs.filter_map(|(at, glob)| Some((at, glob::oddity(glob, source, keys.clone())?))).collect()
    }

    /// The rules from a position on that match no key, each with a suggested pattern.
    pub fn matching_nothing<'k>(
        &self,
        from: usize,
        keys: impl Iterator<Item = &'k str> + Clone,
    ) -> Vec<(usize, Option<String>)> {
        let rules = self.rules.iter().enumerate().skip(from).filter(|(_, rule)| rule.paths.is_empty());
        // A rule that has matched once is not tried again.
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

    /// Rules with an invalid `Cache-Control`, each with a suggestion.
    pub fn odd_cache_controls(&self) -> Vec<(usize, Warning)> {
        let said = |rule: &HeaderRule| cache_control::problem(rule.cache_control.as_ref()?.get()?);
        self.rules.iter().enumerate().filter_map(|(at, rule)| Some((at, said(rule)?))).collect()
    }

    /// Rules whose `Content-Type` is not a media type, by position.
    pub fn odd_content_types(&self) -> Vec<(usize, Warning)> {
        let said = |rule: &HeaderRule| {
            let value = rule.content_type.as_ref()?.get()?;
            let warning =
                || Warning::new(format_args!("{value:?} is not a media type"), "write one such as \"text/html\"");
            (!is_media_type(value)).then(warning)
        };
        self.rules.iter().enumerate().filter_map(|(at, rule)| Some((at, said(rule)?))).collect()
    }

    /// Rules whose value is invalid for its header, or has no effect in browsers, by position.
    pub fn odd_values(&self) -> Vec<(usize, Warning)> {
        let said = |rule: &HeaderRule| {
            let value = |header: &Option<super::HeaderValue>, problem: fn(&str) -> Option<Warning>| {
                header.as_ref().and_then(|value| value.get()).and_then(problem)
            };
            [
                value(&rule.content_type, odd_charset),
                value(&rule.content_encoding, odd_encoding),
                value(&rule.content_disposition, odd_disposition),
                value(&rule.content_language, odd_language),
            ]
        };
        let all = self.rules.iter().enumerate();
        all.flat_map(|(at, rule)| said(rule).into_iter().flatten().map(move |problem| (at, problem))).collect()
    }

    /// Rules before a position that rules from there on override, each with the first such key.
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
                // In either group, the last value wins.
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

/// Whether a value begins with two names separated by a slash (RFC 9110); its parameters are not checked.
fn is_media_type(value: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.split_once('/').is_some_and(|(kind, rest)| is_name(kind) && is_name(rest))
}

/// Describes a charset that no browser knows.
fn odd_charset(value: &str) -> Option<Warning> {
    let charset = value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })?;
    let is_known = Encoding::for_label(charset.as_bytes()).is_some();
    let notice = || format!("{charset:?} is not a charset that browsers know");
    (!is_known).then(|| Warning::new(notice(), "write one such as \"utf-8\""))
}

/// Describes a `Content-Encoding` that browsers do not decode.
fn odd_encoding(value: &str) -> Option<Warning> {
    const KNOWN: [&str; 8] = ["br", "gzip", "x-gzip", "deflate", "compress", "zstd", "identity", "aws-chunked"];
    let odd =
        value.split(',').map(str::trim).find(|coding| !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(coding)))?;
    if Encoding::for_label(odd.as_bytes()).is_some() {
        let notice = format!("{odd:?} is a charset, not a Content-Encoding");
        return Some(Warning::new(notice, "set it in content-type"));
    }
    let notice = format!("{odd:?} is not a Content-Encoding that browsers decode");
    Some(Warning::new(notice, "write one such as \"gzip\" or \"br\""))
}

/// Describes a `Content-Disposition` that browsers treat as `attachment`, as they do with every value that they do
/// not know (RFC 6266).
fn odd_disposition(value: &str) -> Option<Warning> {
    let kind = value.split(';').next().unwrap_or_default().trim();
    let is_known = ["inline", "attachment"].iter().any(|known| known.eq_ignore_ascii_case(kind));
    let meant = || nearest(kind, ["inline", "attachment"].into_iter());
    (!is_known).then(|| match meant() {
        Some(meant) => {
            Warning::new(format_args!("{kind:?} is not a Content-Disposition"), format_args!("did you mean {meant:?}?"))
        }
        None => Warning::new(
            format_args!("{kind:?} is not a Content-Disposition"),
            "begin it with \"inline\" or \"attachment\"",
        ),
    })
}

/// Describes a `Content-Language` with a part that is not a language tag (RFC 5646).
fn odd_language(value: &str) -> Option<Warning> {
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_tag = |tag: &str| {
        let mut parts = tag.split('-');
        let first = parts.next().unwrap_or_default();
        let is_language =
            (2..=3).contains(&first.len()) || first.eq_ignore_ascii_case("x") || first.eq_ignore_ascii_case("i");
        is_language && first.bytes().all(|byte| byte.is_ascii_alphabetic()) && parts.all(is_part)
    };
    let odd = value.split(',').map(str::trim).find(|tag| !is_tag(tag))?;
    let hyphenated = odd.replace('_', "-");
    Some(match hyphenated != odd && is_tag(&hyphenated) {
        true => {
            Warning::new(format_args!("{odd:?} is not a language tag"), format_args!("did you mean {hyphenated:?}?"))
        }
        false => Warning::new(format_args!("{odd:?} is not a language tag"), "write one such as \"en\" or \"pt-BR\""),
    })
}

/// Suggests a pattern for a rule that matches nothing.
fn meant<'k>(rule: &HeaderRule, keys: impl Iterator<Item = &'k str> + Clone) -> Option<String> {
    rule.files.0.iter().find_map(|glob| glob::meant(glob, keys.clone()))
}

/// The known name that is nearest to a mistyped one.
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
    fn a_rule_without_a_file_is_reported_with_the_pattern_that_may_be_meant() {
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
    fn a_value_that_browsers_do_not_act_upon_is_reported() {
        for (value, problem) in
            [("text/html; charset=utf8", false), ("text/html", false), ("text/html;charset=nonsense", true)]
        {
            assert_eq!(odd_charset(value).is_some(), problem, "{value}");
        }
        for (value, problem) in
            [("br", None), ("GZIP", None), ("utf-8", Some("is a charset")), ("text/html", Some("decode"))]
        {
            let said = odd_encoding(value);
            assert!(said.is_some() == problem.is_some(), "{value}: {said:?}");
            assert!(problem.is_none_or(|part| said.is_some_and(|said| said.to_string().contains(part))), "{value}");
        }
        for value in ["inline", "attachment; filename=\"a.pdf\"", "Attachment"] {
            assert_eq!(odd_disposition(value), None, "{value}");
        }
        assert!(odd_disposition("attachement").is_some_and(|said| said.remedy() == "did you mean \"attachment\"?"));
        assert!(odd_disposition("filename=a.pdf").is_some());
        for value in ["en", "pt-BR", "zh-Hant-TW", "de, fr", "x-klingon", "sr-Latn"] {
            assert_eq!(odd_language(value), None, "{value}");
        }
        assert!(odd_language("en_US").is_some_and(|said| said.remedy() == "did you mean \"en-US\"?"));
        for value in ["english", "utf-8", "1x"] {
            assert_eq!(odd_language(value).is_some(), value != "utf-8", "{value}");
        }
        let rule = HeaderRule {
            files: glob::Globs(vec!["*".parse().unwrap()]),
            content_language: Some("english".parse().unwrap()),
            content_encoding: Some("utf-8".parse().unwrap()),
            ..HeaderRule::default()
        };
        assert_eq!(HeaderRules::new(vec![rule]).unwrap().odd_values().len(), 2);
    }

    #[test]
    fn paths_of_a_headers_file_without_a_file_are_named() {
        let text = "/assets/*\n  Cache-Control: max-age=1\n/nothing/*\n  Cache-Control: max-age=1\n/blog/\n  Cache-Control: max-age=1\n/x\n  X-A: 1\n";
        let file = crate::headers_file::parse(text, &crate::platform::RuleOptions::default());
        let rules = HeaderRules::new(file.rules).unwrap();
        let keys = ["assets/a.js", "blog/index.html"];
        assert_eq!(rules.paths_matching_nothing(usize::MAX, keys.into_iter()), ["/nothing/*"]);
        assert_eq!(rules.paths_matching_nothing(0, keys.into_iter()), [""; 0]);
    }

    #[test]
    fn a_content_type_that_is_no_media_type_is_reported() {
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
        let reported = HeaderRules::new(vec![rule]).unwrap().odd_content_types();
        assert_eq!(reported, [(0, Warning::new("\"html\" is not a media type", "write one such as \"text/html\""))]);
    }

    #[test]
    fn rules_that_later_ones_override_are_reported_once_each() {
        let keys = ["assets/app.js", "assets/b.js", "index.html"];
        let all = rules(&[("/assets/*", "max-age=9"), ("*.html", "max-age=1"), ("*", "max-age=1"), ("/x", "no-cache")]);
        let found = all.overridden(2, keys.into_iter());
        let key = "assets/app.js".to_owned();
        assert_eq!(found, [Overridden { rule: 0, by: 2, header: "Cache-Control", key }], "the same value is none");
        assert_eq!(all.overridden(0, keys.into_iter()), []);
        assert_eq!(all.subject(0), "\"/assets/*\"");
    }
}
