//! SEMANTICS.md names the test of each promise: the names must be those of tests that exist.

use crate::world::command::repository;
use std::collections::BTreeSet;
use walkdir::WalkDir;

/// `path::to::a_test` between backticks.
fn tests_named_in(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path =
        |text: &&str| text.contains("::") && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
    quoted.filter(is_path).map(|path| path.rsplit("::").next().unwrap_or(path).to_owned()).collect()
}

fn functions_below(folder: &str) -> BTreeSet<String> {
    let files = WalkDir::new(repository(folder)).into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"));
    let texts = files.map(|file| std::fs::read_to_string(file.path()).unwrap());
    let names = texts.flat_map(|text| {
        let names = text.split("fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let text = std::fs::read_to_string(repository("SEMANTICS.md")).unwrap();
    let named = tests_named_in(&text);
    assert!(named.len() > 40, "only {} tests were found in the document", named.len());
    let known: BTreeSet<String> =
        ["tests", "src", "crates"].iter().flat_map(|folder| functions_below(folder)).collect();
    let missing: Vec<&String> = named.iter().filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
