//! The platforms whose semantics `_headers` and `_redirects` follow, and findings about their lines.
//!
//! | | Netlify (default) | Cloudflare |
//! |---|---|---|
//! | a redirect without a status | 301 | 302 |
//! | a file of the site | takes precedence over a line, unless its status ends in `!` | yields to every line |
//! | a trailing slash of a path | does not count; `/blog/*` also matches `/blog` | counts |
//! | `:name` | a whole folder or file, after a slash | anywhere |
//! | host, query, conditions in `_redirects` | understood | the line makes no sense |
//! | the same header in two blocks | the later one applies | both, joined by a comma |
//!
//! Sources: <https://docs.netlify.com/manage/routing/redirects/redirect-options/>,
//! <https://docs.netlify.com/manage/routing/headers/>,
//! <https://developers.cloudflare.com/pages/configuration/redirects/>,
//! <https://developers.cloudflare.com/pages/configuration/headers/>.

use crate::Warning;
use crate::error::{Error, LineError, Result};
use std::fmt;

/// Number of lines that an error lists before it counts the rest.
const MOST_LISTED: usize = 10;

/// The platform whose semantics the files follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Platform {
    /// Netlify's.
    #[default]
    Netlify,
    /// Cloudflare Pages'.
    Cloudflare,
}

/// How to read the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleOptions {
    /// The platform whose semantics they follow.
    pub platform: Platform,
    /// Paths, as the files write them, that may be public although a line protects them.
    pub may_be_public: Vec<String>,
    /// Whether a line that makes no sense, causes a loop or probably does not mean what it says is an error.
    pub strict: bool,
}

impl RuleOptions {
    /// Whether the user allows a path to be public.
    pub fn may_be_public(&self, path: &str) -> bool {
        self.may_be_public.iter().any(|public| public == path)
    }
}

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The line protects something that CloudFront would show: refused.
    Protects,
    /// The line makes no sense and is skipped, as on its platform.
    Senseless,
    /// The line causes a loop for some URL, which passes through instead.
    Circle,
    /// The line cannot be implemented: requests that it matches pass through unchanged.
    CannotBeDone,
    /// The line works where the distribution is set up for it; elsewhere, requests pass through.
    Needs,
    /// The line is implemented as written, which is probably not what is meant.
    Doubtful,
    /// The line has no effect on this site.
    NoEffect,
}

/// A finding about a line of a file. It never contains a header's value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file's name: `_headers` or `_redirects`.
    pub file: &'static str,
    /// The line number, from 1.
    pub line: usize,
    /// The kind of the finding.
    pub kind: FindingKind,
    /// What it is.
    pub message: String,
    /// How to fix it.
    pub hint: String,
}

impl Finding {
    /// A finding of this kind with the line, message and hint of `error`.
    pub fn new(file: &'static str, kind: FindingKind, error: LineError) -> Finding {
        let LineError { line, message, hint } = error;
        Finding { file, line, kind, message, hint }
    }

    /// The finding as a warning.
    pub fn warning(&self) -> Warning {
        let Finding { file, line, message, hint, .. } = self;
        let what = match self.kind {
            FindingKind::Protects => "refused",
            FindingKind::Senseless => "skipped",
            FindingKind::Circle => "endless redirect",
            FindingKind::CannotBeDone => "not done",
            FindingKind::Needs => "needs a setting",
            FindingKind::Doubtful => "doubtful",
            FindingKind::NoEffect => "no effect",
        };
        Warning::new(format_args!("{file}:{line}: {what}: {message}"), hint)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.warning().fmt(formatter)
    }
}

/// Refuses lines that protect something and, in strict mode, lines that make no sense.
pub fn check(findings: &[Finding], options: &RuleOptions) -> Result<()> {
    let of = |kinds: &[FindingKind]| findings.iter().filter(|finding| kinds.contains(&finding.kind)).collect();
    let protecting: Vec<&Finding> = of(&[FindingKind::Protects]);
    if let Some(first) = protecting.first() {
        return Err(Error::refused(listed(&protecting)).hint(first.hint.clone()));
    }
    let strict: Vec<&Finding> =
        if options.strict { of(&[FindingKind::Senseless, FindingKind::Circle, FindingKind::Doubtful]) } else { vec![] };
    match strict.first() {
        Some(first) => Err(Error::invalid(listed(&strict)).hint(first.hint.clone())),
        None => Ok(()),
    }
}

/// Decodes the text of a file. The error names the first line that is not UTF-8.
pub fn text_of(bytes: Vec<u8>) -> Result<String, LineError> {
    const HINT: &str = "save it as UTF-8";
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(LineError::new(1, "the file is UTF-16, not UTF-8", HINT));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        LineError::new(line, "the line is not UTF-8", HINT)
    })
}

fn listed(findings: &[&Finding]) -> String {
    let each = |finding: &&Finding| format!("{}:{}: {}", finding.file, finding.line, finding.message);
    listed_on_a_line(findings.iter().map(each))
}

/// The first of several texts, and the number of the rest, all on one line, because an error message is one line.
pub fn listed_on_a_line(texts: impl ExactSizeIterator<Item = String>) -> String {
    let more = texts.len().saturating_sub(MOST_LISTED);
    let more = (more > 0).then(|| format!("{more} more"));
    texts.take(MOST_LISTED).chain(more).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_ten_lines_on_one_and_counts_the_others() {
        let finding = |kind, line| Finding::new("_redirects", kind, LineError::new(line, "no", "mend it"));
        let findings: Vec<Finding> = (1..=12).map(|line| finding(FindingKind::Protects, line)).collect();
        let message = check(&findings, &RuleOptions::default()).unwrap_err().to_string();
        assert!(
            message.starts_with("_redirects:1: no; _redirects:2: no") && message.ends_with("; 2 more"),
            "{message}"
        );
        assert!(!message.contains('\n') && !message.contains(":11:"), "{message}");
    }

    #[test]
    fn strict_rules_refuse_what_is_hardly_meant_too() {
        let strict = RuleOptions { strict: true, ..RuleOptions::default() };
        for (kind, refused) in [
            (FindingKind::Senseless, true),
            (FindingKind::Circle, true),
            (FindingKind::Doubtful, true),
            (FindingKind::NoEffect, false),
            (FindingKind::Needs, false),
            (FindingKind::CannotBeDone, false),
        ] {
            let finding = [Finding::new("_redirects", kind, LineError::new(1, "no", "mend it"))];
            assert_eq!(check(&finding, &strict).is_err(), refused, "{kind:?}");
            assert!(check(&finding, &RuleOptions::default()).is_ok());
        }
    }

    #[test]
    fn what_is_no_utf_8_is_named_by_its_line() {
        assert_eq!(text_of("/a /é\n".into()), Ok("/a /é\n".to_owned()));
        let error = text_of(b"/a /b\r\n/caf\xe9 /c\n".to_vec()).unwrap_err();
        assert_eq!((error.line, &*error.hint), (2, "save it as UTF-8"));
        for bom in [b"\xff\xfe/\0", b"\xfe\xff\0/"] {
            let error = text_of(bom.to_vec()).unwrap_err();
            assert!(error.message.contains("UTF-16") && error.hint == "save it as UTF-8", "{error:?}");
        }
    }
}
