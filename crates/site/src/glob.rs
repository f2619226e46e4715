//! Patterns of keys, as users write them in `shipfront.toml`.
//!
//! `*` stays within a folder, `**` spans folders, `{a,b}` matches either, `[0-9]` matches one of those characters.
//! As in `.gitignore`, a pattern without a slash matches a file name in any folder, a leading slash anchors it at
//! the top of the site, and a trailing slash matches everything in a folder.

use crate::Warning;
use crate::rules::audit::nearest;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    written: Box<str>,
    compiled: globset::Glob,
}

impl FromStr for Glob {
    type Err = String;

    fn from_str(written: &str) -> Result<Glob, String> {
        let Some(last) = written.chars().last() else { return Err("an empty pattern matches nothing".to_owned()) };
        if written.split('/').any(|part| part == "..") {
            return Err(format!("{written:?} points outside the site: patterns match keys, from the top of the site"));
        }
        let anchored = written.trim_end_matches('/').contains('/');
        let from_top = written.strip_prefix("./").or_else(|| written.strip_prefix('/')).unwrap_or(written);
        let mut pattern = if anchored { String::new() } else { "**/".to_owned() };
        pattern.push_str(from_top);
        if last == '/' {
            pattern.push_str("**");
        }
        let compiled = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
        let compiled = compiled.map_err(|error| format!("{written:?} is not a pattern: {}", error.kind()))?;
        Ok(Glob { written: written.into(), compiled })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Glob, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Several patterns, written as one string or as a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Globs(pub Vec<Glob>);

impl<'de> Deserialize<'de> for Globs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Globs, D::Error> {
        struct OneOrMany;

        impl<'de> de::Visitor<'de> for OneOrMany {
            type Value = Globs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a pattern such as \"*.html\", or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Globs, E> {
                text.parse().map(|glob| Globs(vec![glob])).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Globs, A::Error> {
                let mut globs = Vec::new();
                while let Some(glob) = list.next_element()? {
                    globs.push(glob);
                }
                Ok(Globs(globs))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

/// Maximum number of names to search for the nearest one: a site has more files than a user mistypes.
const CANDIDATES: usize = 20_000;

/// Whether a pattern matches any key.
pub fn matches_one<'k>(glob: &Glob, mut keys: impl Iterator<Item = &'k str>) -> bool {
    set([glob]).is_ok_and(|set| keys.any(|key| set.is_match(key)))
}

/// Suggests a pattern to replace one that matches nothing: the same pattern with the name of a folder or file, or
/// an extension, that the site has.
pub fn meant<'k>(glob: &Glob, keys: impl Iterator<Item = &'k str> + Clone) -> Option<String> {
    let written = &*glob.written;
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
    pattern.parse().ok().filter(|glob| matches_one(glob, keys)).map(|_| pattern)
}

/// Explains a pattern that matches no key but that other tools would understand: a negation, a regular expression,
/// backslashes, or a path from outside the site. `source` is the name of the site's folder.
pub fn oddity<'k>(glob: &Glob, source: Option<&str>, keys: impl Iterator<Item = &'k str> + Clone) -> Option<Warning> {
    let written = &*glob.written;
    let below = source.and_then(|source| written.trim_start_matches("./").strip_prefix(source)?.strip_prefix('/'));
    let below = below.map(|rest| format!("/{rest}"));
    let has_expression = written.starts_with('^') || written.ends_with('$') || written.contains(".*");
    let problem = if written.starts_with('!') {
        Warning::new(format_args!("{written:?} is not a negation here"), "narrow the other patterns instead")
    } else if below.as_ref().is_some_and(|below| below.parse().is_ok_and(|glob| matches_one(&glob, keys.clone()))) {
        let notice = format!("{written:?} begins outside the site");
        Warning::new(notice, format_args!("did you mean {:?}?", below.unwrap_or_default()))
    } else if written.contains('\\') && matches_one(&written.replace('\\', "/").parse().ok()?, keys.clone()) {
        let notice = format!("{written:?} has backslashes");
        Warning::new(notice, format_args!("did you mean {:?}?", written.replace('\\', "/")))
    } else if has_expression {
        let notice = format!("{written:?} looks like a regular expression");
        Warning::new(notice, "write a glob, such as \"/assets/**\" or \"*.js\"")
    } else {
        return None;
    };
    (!matches_one(glob, keys)).then_some(problem)
}

/// Combines patterns so that looking up many is as fast as looking up one.
pub fn set<'a>(globs: impl IntoIterator<Item = &'a Glob>) -> Result<GlobSet, String> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(glob.compiled.clone());
    }
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_another_tool_that_matches_nothing_is_reported() {
        let keys = ["assets/app.js", "index.html"];
        let said = |pattern: &str| oddity(&pattern.parse().unwrap(), Some("public"), keys.into_iter());
        for (pattern, part) in [
            ("!*.html", "not a negation"),
            ("^assets/.*$", "regular expression"),
            (".*\\.js$", "regular expression"),
            ("public/assets/**", "did you mean \"/assets/**\""),
            ("./public/assets/", "did you mean \"/assets/\""),
            ("assets\\app.js", "did you mean \"assets/app.js\""),
        ] {
            assert!(
                said(pattern).is_some_and(|said| said.to_string().contains(part)),
                "{pattern}: {:?}",
                said(pattern)
            );
        }
        for pattern in ["*.html", "*.htm", "/assets/**", "public/nothing/**", "*", ".*"] {
            assert_eq!(said(pattern).is_some(), pattern == ".*", "{pattern}");
        }
    }

    #[test]
    fn patterns_match_as_people_expect_from_gitignore() {
        let cases: [(&str, &[&str], &[&str]); 9] = [
            ("*.html", &["a.html", "x/y/a.html"], &["a.htm", "html"]),
            ("/*.html", &["a.html"], &["x/a.html"]),
            ("assets/**", &["assets/a.js", "assets/x/b.css"], &["x/assets/a.js", "assets"]),
            ("assets/", &["x/assets/a.js", "assets/x/b.css"], &["assets"]),
            ("/assets/", &["assets/a.js"], &["x/assets/a.js"]),
            ("assets/*.js", &["assets/a.js"], &["assets/x/a.js"]),
            ("blog/**/*.png", &["blog/a.png", "blog/x/y/a.png"], &["a.png"]),
            ("*.{js,css}", &["a.js", "x/a.css"], &["a.json"]),
            ("/a[0-9].txt", &["a1.txt"], &["ab.txt", "x/a1.txt"]),
        ];
        for (pattern, matching, others) in cases {
            let set = set([&pattern.parse().unwrap()]).unwrap();
            assert!(matching.iter().all(|key| set.is_match(key)), "{pattern} matches {matching:?}");
            assert!(!others.iter().any(|key| set.is_match(key)), "{pattern} matches none of {others:?}");
        }
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_decided_at_once() {
        let set = set([&format!("{}b", "a*".repeat(40)).parse().unwrap()]).unwrap();
        assert!(!set.is_match("a".repeat(10_000)));
        assert!(set.is_match(format!("{}b", "a".repeat(10_000))));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in
            [("", "empty"), ("a/../b", "points outside"), ("a[", "not a pattern"), ("{a", "not a pattern")]
        {
            assert!(text.parse::<Glob>().unwrap_err().contains(why), "{text:?}");
        }
    }

    #[test]
    fn one_pattern_or_a_list_of_them() {
        let one: Globs = serde_json::from_str("\"*.js\"").unwrap();
        let many: Globs = serde_json::from_str("[\"*.js\"]").unwrap();
        assert_eq!(one, many);
        let error = serde_json::from_str::<Globs>("[\"a[\"]").unwrap_err().to_string();
        assert!(error.contains("not a pattern"), "{error}");
    }
}
