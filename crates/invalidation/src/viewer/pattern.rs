//! CloudFront's path patterns, which decide the cache behavior that a viewer path belongs to.
//!
//! `*` matches any characters or none, `?` exactly one; the leading `/` is optional, and patterns are
//! case-sensitive.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html>

use wildmatch::WildMatch;

/// The path pattern of one cache behavior.
#[derive(Clone, Debug)]
pub(super) struct PathPattern(WildMatch);

impl PathPattern {
    pub(super) fn new(pattern: &str) -> Self {
        Self(WildMatch::new(pattern.strip_prefix('/').unwrap_or(pattern)))
    }

    /// The pattern, without its leading `/`.
    pub(super) fn text(&self) -> String {
        self.0.pattern()
    }

    /// Whether the pattern matches `path`, which begins with `/`.
    pub(super) fn matches(&self, path: &str) -> bool {
        // The default behavior's pattern, which most paths of a large site reach, matches without a scan.
        self.0.pattern_chars() == ['*'] || self.0.matches(path.strip_prefix('/').unwrap_or(path))
    }
}

/// `path` as RFC 3986 normalizes it: CloudFront selects the behavior by this form, although it requests the raw one
/// from the origin.
pub(super) fn normalised(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut normal = format!("/{}", segments.join("/"));
    let directory = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    if directory && !segments.is_empty() {
        normal.push('/');
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A literal implementation of the definition.
    fn naive(pattern: &[char], path: &[char]) -> bool {
        match pattern.split_first() {
            None => path.is_empty(),
            Some(('*', rest)) => (0..=path.len()).any(|skip| naive(rest, &path[skip..])),
            Some(('?', rest)) => !path.is_empty() && naive(rest, &path[1..]),
            Some((expected, rest)) => path.first() == Some(expected) && naive(rest, &path[1..]),
        }
    }

    #[test]
    fn patterns_match_as_cloudfront_describes_them() {
        for (pattern, path, matches) in [
            ("*", "/", true),
            ("/*", "/", true),
            ("/?*", "/", false),
            ("/?*", "/a", true),
            ("images/*.jpg", "/images/a/b.jpg", true),
            ("/images/*.jpg", "/images/a.jpg", true),
            ("/images/*.jpg", "/Images/a.jpg", false),
            ("*.jpg", "/deep/er/a.jpg", true),
            ("*.jpg", "/a.jpg.html", false),
            ("a??.jpg", "/ant.jpg", true),
            ("a??.jpg", "/an.jpg", false),
            ("/docs", "/docs/", false),
            ("test/", "/test/file1.jpg", false),
            ("/caf?", "/café", true),
            ("[a-z]{b,c}\\*", "/[a-z]{b,c}\\d", true),
            ("[a-z]", "/a", false),
        ] {
            assert_eq!(PathPattern::new(pattern).matches(path), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_decided_at_once() {
        let pattern = PathPattern::new(&format!("{}b", "a*".repeat(40)));
        assert!(!pattern.matches(&format!("/{}", "a".repeat(10_000))));
        assert!(pattern.matches(&format!("/{}b", "a".repeat(10_000))));
    }

    #[test]
    fn dots_and_double_slashes_are_normalised_away() {
        for (path, normal) in [
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b/", "/b/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/../x", "/x"),
            ("/", "/"),
        ] {
            assert_eq!(normalised(path), normal, "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_the_definition(
            pattern in "[abé/?*]{0,9}",
            path in "[abé/]{0,12}",
        ) {
            let characters = |text: &str| text.chars().collect::<Vec<char>>();
            let expected = naive(&characters(pattern.strip_prefix('/').unwrap_or(&pattern)), &characters(&path));
            prop_assert_eq!(PathPattern::new(&pattern).matches(&format!("/{path}")), expected);
        }
    }
}
