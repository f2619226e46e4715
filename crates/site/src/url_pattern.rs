//! Patterns of URL paths, as `_headers` and `_redirects` files write them: `/blog/*`, `/:year/:slug`.
//!
//! `*` is whatever follows, slashes included, and may come once; `:name` is one folder's or file's name.
//! No library of wildcards has names; the pieces are also what the functions for CloudFront are written from, so
//! that they and [`UrlPattern::matches`] read a pattern once. With one `*`, and names that end at a slash, matching
//! takes at most as many steps as the square of the path's length.

use std::fmt;

/// The most patterns are a few parts long; a longer one is a file of another kind.
const MAX_BYTES: usize = 2000;

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These characters.
    Text(String),
    /// `:name`: one or more characters, none of them a slash.
    Placeholder(String),
    /// `*`: any characters, or none.
    Splat,
}

/// A pattern of URL paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPattern {
    pieces: Vec<Piece>,
}

impl UrlPattern {
    /// Reads a pattern, which begins with a slash.
    pub fn parse(text: &str) -> Result<UrlPattern, String> {
        if !text.starts_with('/') {
            return Err(format!("{text:?} is no path: it begins with a slash"));
        }
        if text.len() > MAX_BYTES {
            return Err(format!("a path has at most {MAX_BYTES} bytes"));
        }
        if text.contains(['?', '#']) {
            return Err(format!("{text:?} has a query string or a fragment, which no rule can match"));
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '*' {
                if pieces.contains(&Piece::Splat) {
                    return Err(format!("{text:?} has more than one *"));
                }
                pieces.push(Piece::Splat);
                rest = &rest[1..];
                continue;
            }
            // A colon in the middle of a name is a colon.
            let starts_a_name = matches!(pieces.last(), Some(Piece::Text(before)) if before.ends_with('/'));
            let name = rest.strip_prefix(':').filter(|_| starts_a_name).map_or("", leading_name);
            if !name.is_empty() {
                if pieces.contains(&Piece::Placeholder(name.to_owned())) {
                    return Err(format!("{text:?} has :{name} more than once"));
                }
                pieces.push(Piece::Placeholder(name.to_owned()));
                rest = &rest[1 + name.len()..];
                continue;
            }
            match pieces.last_mut() {
                Some(Piece::Text(before)) => before.push(first),
                _ => pieces.push(Piece::Text(first.to_string())),
            }
            rest = &rest[first.len_utf8()..];
        }
        Ok(UrlPattern { pieces })
    }

    /// The pieces, from the left.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The one path that it matches, if it is no more than that.
    pub fn exact(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it gives a name to a part of the path; `splat` is the name of what `*` matches.
    pub fn names(&self, name: &str) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Placeholder(placeholder) => placeholder == name,
            Piece::Splat => name == "splat",
        })
    }

    /// Whether it matches a path.
    pub fn matches(&self, path: &str) -> bool {
        matches(&self.pieces, path)
    }
}

/// Letters, digits and `_` from the left.
pub(super) fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn matches(pieces: &[Piece], path: &str) -> bool {
    match pieces {
        [] => path.is_empty(),
        [Piece::Text(text), rest @ ..] => path.strip_prefix(text.as_str()).is_some_and(|path| matches(rest, path)),
        // A placeholder begins after a slash and the text behind it tells where it ends: it goes as far as it can.
        [Piece::Placeholder(_), rest @ ..] => {
            let end = path.find('/').unwrap_or(path.len());
            let mut ends = path.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&at| at <= end);
            ends.any(|at| matches(rest, &path[at..]))
        }
        // There is one splat, so that what follows it matches at few places.
        [Piece::Splat, rest @ ..] => {
            let mut starts = path.char_indices().map(|(at, _)| at).chain([path.len()]);
            rest.is_empty() || starts.any(|at| matches(rest, &path[at..]))
        }
    }
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => formatter.write_str(text),
            Piece::Placeholder(name) => write!(formatter, ":{name}"),
            Piece::Splat => formatter.write_str("*"),
        })
    }
}

/// The URL paths at which a key may be asked for: its own, and those without `index.html` or `.html`.
pub fn paths_of(key: &str) -> impl Iterator<Item = String> {
    let folder = key.strip_suffix("index.html").filter(|folder| folder.is_empty() || folder.ends_with('/'));
    let bare = folder.map(|folder| folder.trim_end_matches('/')).filter(|bare| !bare.is_empty());
    let clean = key.strip_suffix(".html").filter(|_| folder.is_none());
    [Some(key), folder, bare, clean].into_iter().flatten().map(|path| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_matches_what_its_platforms_say_it_does() {
        let cases: [(&str, &[&str], &[&str]); 8] = [
            ("/*", &["/", "/a", "/a/b.html"], &[""]),
            ("/secure/page", &["/secure/page"], &["/secure/page/", "/secure/pages"]),
            ("/blog/*", &["/blog/", "/blog/a/b"], &["/blog", "/blogs/a"]),
            ("/*.js", &["/a.js", "/x/y/a.js"], &["/a.json"]),
            ("/:year/:slug", &["/2026/hello"], &["/2026", "/2026/", "/2026/a/b"]),
            ("/movies/:title.json", &["/movies/x.json", "/movies/a.b.json"], &["/movies/.json", "/movies/a/b.json"]),
            ("/a/*/z", &["/a/b/z", "/a/b/c/z", "/a//z"], &["/a/z", "/a/b"]),
            ("/at/12:30", &["/at/12:30"], &["/at/12x"]),
        ];
        for (pattern, matching, others) in cases {
            let pattern = UrlPattern::parse(pattern).unwrap();
            assert!(matching.iter().all(|path| pattern.matches(path)), "{pattern} matches {matching:?}");
            assert!(!others.iter().any(|path| pattern.matches(path)), "{pattern} matches none of {others:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in
            [("a", "slash"), ("/*/b/*", "more than one"), ("/:a/:a", "more than once"), ("/a?b", "query")]
        {
            assert!(UrlPattern::parse(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn a_page_is_found_by_every_url_that_shows_it() {
        let paths = |key: &str| paths_of(key).collect::<Vec<_>>();
        assert_eq!(paths("blog/index.html"), ["/blog/index.html", "/blog/", "/blog"]);
        assert_eq!(paths("index.html"), ["/index.html", "/"]);
        assert_eq!(paths("about.html"), ["/about.html", "/about"]);
        assert_eq!(paths("myindex.html"), ["/myindex.html", "/myindex"]);
        assert_eq!(paths("a.css"), ["/a.css"]);
    }

    #[test]
    fn a_pattern_of_many_names_is_decided_at_once() {
        let names: String = (0..40).map(|at| format!("/:n{at}")).collect();
        let pattern = UrlPattern::parse(&format!("/*{names}/z")).unwrap();
        assert!(!pattern.matches(&"/a".repeat(5000)));
        assert!(pattern.matches(&format!("{}/z", "/a".repeat(5000))));
        let pattern = UrlPattern::parse("/:name-*-z").unwrap();
        assert!(!pattern.matches(&format!("/{}", "a-".repeat(1000))));
    }

    proptest! {
        #[test]
        fn reading_and_matching_never_break_down(text in "[/:*a-cé?.]{0,12}", path in "[/a-cé.]{0,12}") {
            if let Ok(pattern) = UrlPattern::parse(&text) {
                let _ = pattern.matches(&path);
                prop_assert_eq!(UrlPattern::parse(&pattern.to_string()), Ok(pattern));
            }
        }
    }
}
