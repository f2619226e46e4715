//! Warns about patterns in the settings that match nothing, if another one may be meant.

use crate::deploy::walk::{Walk, WrittenPatterns};
use shipfront_site::Warning;
use shipfront_site::glob::{self, Glob, matches_one};
use std::path::Path;

/// A warning for each pattern that matches nothing and is probably a mistake. A usual one, such as `*.map`, may
/// well match nothing; excluded objects may be only in the bucket.
pub(super) fn all(written: &WrittenPatterns, walk: &Walk, source: &Path) -> Vec<Warning> {
    let keys = || walk.entries.iter().map(|entry| &*entry.key);
    let name = source.file_name().and_then(|name| name.to_str());
    let mut warnings = Vec::new();
    let odd = |glob: &Glob| glob::oddity(glob, name, keys());
    let near = |glob: &Glob| {
        // File extensions are too similar: *.ts is not *.js.
        let is_kind = glob.to_string().starts_with("*.");
        let near = (!is_kind).then(|| glob::meant(glob, keys())).flatten();
        let notice = || format!("{:?} matches nothing", glob.to_string());
        near.map(|near| Warning::new(notice(), format_args!("did you mean {near:?}?")))
    };
    let excluded = written.exclude.iter().enumerate().filter(|(at, _)| !walk.used_exclusions.contains(at));
    let excluded = excluded.filter_map(|(_, glob)| odd(glob).or_else(|| near(glob)));
    warnings.extend(excluded.map(|problem| problem.about("exclude")));
    for (option, globs) in [("pages", &written.pages), ("assets", &written.assets)] {
        let unused = globs.iter().filter(|glob| !matches_one(glob, keys()));
        let problems = unused.filter_map(|glob| odd(glob).or_else(|| near(glob)));
        warnings.extend(problems.map(|problem| problem.about(option)));
    }
    // A file that is named explicitly is missed if it does not exist.
    let unused = written.include_hidden.iter().filter(|glob| !matches_one(glob, keys()));
    warnings.extend(unused.map(|glob| {
        let hidden = walk.hidden.iter().map(|name| name.trim_end_matches('/'));
        let notice = format!("include-hidden: {:?} matches no file", glob.to_string());
        match glob::meant(glob, hidden) {
            Some(near) => Warning::new(notice, format_args!("did you mean {near:?}?")),
            None => Warning::new(notice, "correct or remove the pattern"),
        }
    }));
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::entry::Entry;

    fn globs(written: &[&str]) -> Vec<Glob> {
        written.iter().map(|glob| glob.parse().unwrap()).collect()
    }

    #[test]
    fn patterns_that_match_nothing_are_reported_where_another_is_meant() {
        let entries = ["about.html", "app.js", "drafts/a.html"].map(|key| Entry::file(key, 1)).into();
        let walk =
            Walk { entries, hidden: vec![".htaccess".to_owned()], used_exclusions: [0].into(), ..Walk::default() };
        let written = WrittenPatterns {
            exclude: globs(&["/old/", "/drafs/", "*.ts", "*.map", "public/drafts/", "!about.html"]),
            pages: globs(&["abuot.html", "*.txt", "about.html"]),
            assets: globs(&["^.*\\.js$"]),
            include_hidden: globs(&[".htacess", "about.html"]),
        };
        let warnings = all(&written, &walk, Path::new("work/public"));
        let expected = [
            "exclude: \"/drafs/\" matches nothing; did you mean \"/drafts/\"?",
            "exclude: \"public/drafts/\" begins outside the site; did you mean \"/drafts/\"?",
            "exclude: \"!about.html\" is not a negation here; narrow the other patterns instead",
            "pages: \"abuot.html\" matches nothing; did you mean \"about.html\"?",
            "assets: \"^.*\\\\.js$\" looks like a regular expression; write a glob, such as \"/assets/**\" or \"*.js\"",
            "include-hidden: \".htacess\" matches no file; did you mean \".htaccess\"?",
        ];
        let warnings: Vec<String> = warnings.iter().map(Warning::to_string).collect();
        assert_eq!(warnings, expected);
    }
}
