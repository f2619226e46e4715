//! Patterns of keys, as people write them in `shipfront.toml`.
//!
//! `*` stays within a folder, `**` goes through folders, `{a,b}` is either, `[0-9]` one of those characters.
//! As in `.gitignore`, a pattern without a slash is that of a file's name in any folder, a leading slash
//! stands for the top of the site, and one at the end for all that is in a folder.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
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
            return Err(format!("{written:?} leaves the site: a pattern is that of keys, from the top of the site"));
        }
        let anchored = written.trim_end_matches('/').contains('/');
        let from_top = written.strip_prefix("./").or_else(|| written.strip_prefix('/')).unwrap_or(written);
        let mut pattern = if anchored { String::new() } else { "**/".to_owned() };
        pattern.push_str(from_top);
        if last == '/' {
            pattern.push_str("**");
        }
        let compiled = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
        let compiled = compiled.map_err(|error| format!("{written:?} is no pattern: {}", error.kind()))?;
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

/// Patterns that are looked up together, as fast for many as for one.
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
        for (text, why) in [("", "empty"), ("a/../b", "leaves"), ("a[", "no pattern"), ("{a", "no pattern")] {
            assert!(text.parse::<Glob>().unwrap_err().contains(why), "{text:?}");
        }
    }

    #[test]
    fn one_pattern_or_a_list_of_them() {
        let one: Globs = serde_json::from_str("\"*.js\"").unwrap();
        let many: Globs = serde_json::from_str("[\"*.js\"]").unwrap();
        assert_eq!(one, many);
        let error = serde_json::from_str::<Globs>("[\"a[\"]").unwrap_err().to_string();
        assert!(error.contains("no pattern"), "{error}");
    }
}
