//! CloudFront's path patterns, which decide the cache behavior that a viewer path belongs to.
//!
//! `*` stands for any characters or none, `?` for exactly one; the leading `/` is optional and
//! case counts.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html>

/// The path pattern of one cache behavior.
#[derive(Clone, Debug)]
pub(super) struct PathPattern(Vec<u8>);

impl PathPattern {
    pub(super) fn new(pattern: &str) -> Self {
        Self(pattern.strip_prefix('/').unwrap_or(pattern).into())
    }

    /// The pattern as it was written, less its leading `/`.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Whether the pattern takes `path`, which begins with `/`.
    pub(super) fn matches(&self, path: &str) -> bool {
        let pattern = self.0.as_slice();
        let path = path.strip_prefix('/').unwrap_or(path).as_bytes();
        let (mut at_pattern, mut at_path) = (0, 0);
        // Where to go on after a mismatch: behind the last `*`, which then takes one byte more.
        let mut last_star: Option<(usize, usize)> = None;
        while at_path < path.len() {
            match pattern.get(at_pattern) {
                Some(b'*') => {
                    last_star = Some((at_pattern + 1, at_path));
                    at_pattern += 1;
                    if at_pattern == pattern.len() {
                        return true;
                    }
                }
                Some(&byte) if byte == b'?' || byte == path[at_path] => {
                    at_pattern += 1;
                    at_path += 1;
                }
                _ => match last_star {
                    Some((behind, taken)) => {
                        last_star = Some((behind, taken + 1));
                        (at_pattern, at_path) = (behind, taken + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[at_pattern..].iter().all(|&byte| byte == b'*')
    }
}

/// `path` as RFC 3986 normalises it: CloudFront picks the behavior by this form, though it asks
/// the origin for the raw one.
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

    /// The definition, word by word.
    fn naive(pattern: &[u8], path: &[u8]) -> bool {
        match pattern.split_first() {
            None => path.is_empty(),
            Some((b'*', rest)) => (0..=path.len()).any(|skip| naive(rest, &path[skip..])),
            Some((b'?', rest)) => !path.is_empty() && naive(rest, &path[1..]),
            Some((byte, rest)) => path.first() == Some(byte) && naive(rest, &path[1..]),
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
        ] {
            assert_eq!(PathPattern::new(pattern).matches(path), matches, "{pattern} {path}");
        }
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
            pattern in "[ab/?*]{0,9}",
            path in "[ab/]{0,12}",
        ) {
            let expected = naive(
                pattern.strip_prefix('/').unwrap_or(&pattern).as_bytes(),
                path.as_bytes(),
            );
            prop_assert_eq!(PathPattern::new(&pattern).matches(&format!("/{path}")), expected);
        }
    }
}
