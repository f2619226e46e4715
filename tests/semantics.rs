//! SEMANTICS.md names the tests of each promise by their full paths: each must be a test that runs.

use crate::world::command::{clean, repository, run};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The crates that contain tests: how their paths begin, and the file that a path begins in.
const CRATES: [(&str, &str); 6] = [
    ("promises", "tests/main.rs"),
    ("shipfront", "src/lib.rs"),
    ("shipfront", "src/main.rs"),
    ("shipfront_edge", "crates/edge/src/lib.rs"),
    ("shipfront_invalidation", "crates/invalidation/src/lib.rs"),
    ("shipfront_site", "crates/site/src/lib.rs"),
];

/// What a document says between backticks that looks like `crate::module::a_test`.
fn tests_named_in(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path = |text: &&str| text.contains("::") && text.chars().all(|c| c.is_alphanumeric() || "_:".contains(c));
    quoted.filter(is_path).collect()
}

/// The name that `keyword` declares on a line, possibly after `pub` and `async`.
fn named_by<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let (before, after) = line.trim_start().split_once(&format!("{keyword} "))?;
    let words = before.split_whitespace().all(|word| word.starts_with("pub") || word == "async");
    words.then(|| after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

/// Adds the tests of a module that begins in `file`, and of the modules that it declares. Relies on the format of
/// `cargo fmt`: a brace under the first letter of a line closes what that line opened.
fn collect(file: &Path, is_root: bool, module: &str, found: &mut BTreeSet<String>) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let folder = if is_root { file.parent().unwrap().to_owned() } else { file.with_extension("") };
    let mut path = vec![module.to_owned()];
    let mut ends: Vec<String> = Vec::new();
    let (mut is_test, mut is_ignored, mut is_elsewhere) = (false, false, false);
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let attribute = line.trim();
        if ends.last().is_some_and(|end| line == end) {
            ends.pop();
            path.pop();
        } else if let Some(name) = named_by(line, "mod") {
            if std::mem::take(&mut is_elsewhere) {
                // Code that other programs share, such as what is fuzzed, contains no tests.
            } else if line.ends_with('{') {
                ends.push(format!("{indent}}}"));
                path.push(name.to_owned());
            } else {
                let below: PathBuf = path[1..].iter().collect();
                let module = format!("{}::{name}", path.join("::"));
                collect(&folder.join(below).join(format!("{name}.rs")), false, &module, found);
            }
        } else if attribute == "#[test]" || attribute.starts_with("#[tokio::test") {
            is_test = true;
        } else if attribute.starts_with("#[path") {
            is_elsewhere = true;
        } else if attribute.starts_with("#[ignore") {
            is_ignored = true;
        } else if let Some(name) = named_by(line, "fn") {
            if is_test && !is_ignored {
                found.insert(format!("{}::{name}", path.join("::")));
            }
            (is_test, is_ignored) = (false, false);
        }
    }
}

fn all_tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, root) in CRATES {
        collect(&repository(root), true, name, &mut found);
    }
    found
}

#[test]
fn every_test_that_the_document_names_is_one() {
    let known = all_tests();
    assert!(known.len() > 500, "only {} tests were found in the sources", known.len());
    let text = std::fs::read_to_string(repository("SEMANTICS.md")).unwrap();
    let named = tests_named_in(&text);
    assert!(named.len() > 150, "only {} tests were found in the document", named.len());
    let missing: Vec<&str> = named.into_iter().filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

#[test]
fn a_wrong_module_and_what_is_no_test_are_found() {
    let known = all_tests();
    let here = "promises::semantics";
    assert!(known.contains(&format!("{here}::a_wrong_module_and_what_is_no_test_are_found")));
    // A function that is not a test, a misspelled module, and a path that ends too early.
    for wrong in [
        format!("{here}::all_tests"),
        "promises::semantic::a_wrong_module_and_what_is_no_test_are_found".to_owned(),
        "semantics::a_wrong_module_and_what_is_no_test_are_found".to_owned(),
        here.to_owned(),
    ] {
        assert!(!known.contains(&wrong), "{wrong}");
    }
}

/// The tests read from the sources are those that the test program knows, if no feature and no system leaves tests
/// out.
#[cfg(all(target_os = "linux", feature = "lambda"))]
#[test]
fn the_tests_that_are_read_from_the_sources_are_those_that_run() {
    let list = |options: &[&str]| {
        let program = std::env::current_exe().unwrap();
        let list = run(clean(program).args(["--list", "--format", "terse"]).args(options)).ended_with(0);
        let names = list.stdout.lines().filter_map(|line| line.strip_suffix(": test"));
        names.map(|name| format!("promises::{name}")).collect::<BTreeSet<_>>()
    };
    let (all, ignored) = (list(&[]), list(&["--ignored"]));
    let running: Vec<&String> = all.difference(&ignored).collect();
    let read = all_tests();
    let read: Vec<&String> = read.iter().filter(|name| name.starts_with("promises::")).collect();
    assert_eq!(read, running);
}
