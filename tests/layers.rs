//! The folders of `src/` import one another in one direction only.

use crate::world::command::repository;
use std::collections::BTreeSet;
use walkdir::WalkDir;

/// From the top down: each folder may import what comes after it.
const LAYERS: [&str; 20] = [
    "lambda",
    "commands",
    "local",
    "config",
    "cli",
    "report",
    "deploy",
    "record",
    "cloudfront",
    "s3",
    "aws",
    "terminal",
    "clock",
    "outcome",
    "error",
    "exit",
    "wording",
    "escape",
    "open_files",
    "packed",
];

/// The files that read this machine's time: the clock of a run; what a terminal and a page show; a watch on files;
/// a file's time.
const CLOCKS: [&str; 7] =
    ["clock", "terminal", "terminal/progress", "report/file", "local/watch", "s3/multipart", "open_files"];

/// A text without comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split_once("\n#[cfg(test)]\nmod tests").map_or(text, |(code, _)| code);
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The folders, or files, of the crate that code names with `crate::`, alone or in a group.
fn imported(code: &str) -> BTreeSet<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let after = |rest: &str| match rest.trim_start().strip_prefix('{') {
        Some(group) => grouped(group).into_iter().map(|member| name(member.trim_start())).collect(),
        None => vec![name(rest.trim_start())],
    };
    code.split("crate::").skip(1).flat_map(after).filter(|name| !name.is_empty()).collect()
}

/// The members of an import group that begins after its brace; nested groups are part of them.
fn grouped(rest: &str) -> Vec<&str> {
    let (mut members, mut begins, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            ',' if depth == 0 => {
                members.push(&rest[begins..at]);
                begins = at + 1;
            }
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&rest[begins..at]);
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    members
}

/// The files of `src/`: their paths there without the extension, and their code.
fn sources() -> Vec<(String, String)> {
    let files = WalkDir::new(repository("src")).into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"));
    let read = files.map(|file| {
        let path = file.path().strip_prefix(repository("src")).unwrap().with_extension("");
        (path.display().to_string(), code(&std::fs::read_to_string(file.path()).unwrap()))
    });
    let files: Vec<_> = read.collect();
    assert!(files.len() > 90, "only {} files were found", files.len());
    files
}

#[test]
fn every_name_of_an_import_group_is_seen() {
    let names = |code: &str| imported(code).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::aws::Aws;\nlet x = crate::error::Error::y();"), ["aws", "error"]);
    assert_eq!(
        names("use crate::{\n    aws::{Aws, {deep}},\n    lambda, record::Record,\n};"),
        ["aws", "lambda", "record"]
    );
    assert_eq!(
        names("pub(in crate::lambda) struct X; pub(crate) use crate::{self, exit};"),
        ["exit", "lambda", "self"]
    );
}

#[test]
fn no_folder_imports_one_above_it() {
    let place = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let folder = path.split('/').next().unwrap();
        if matches!(folder, "main" | "lib") {
            continue;
        }
        let Some(ours) = place(folder) else { panic!("{folder} has no place among the layers") };
        let above = imported(&code).into_iter().filter(|name| place(name).is_some_and(|theirs| theirs < ours));
        wrong.extend(above.map(|name| format!("{path} imports {name}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_time_of_a_run_is_its_clocks() {
    const READ: [&str; 4] = ["Instant::now(", "SystemTime::now(", "Timestamp::now(", "tokio::time::"];
    let read = |(path, code): &(String, String)| {
        !CLOCKS.contains(&path.as_str()) && READ.iter().any(|read| code.contains(read))
    };
    let wrong: Vec<_> = sources().into_iter().filter(read).map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "{wrong:?} read the time of the machine");
}

#[test]
fn the_pure_crates_know_neither_the_sdk_nor_a_runtime() {
    for name in ["site", "invalidation"] {
        let manifest = std::fs::read_to_string(repository(&format!("crates/{name}/Cargo.toml"))).unwrap();
        for crate_name in ["tokio", "aws-", "hyper", "shipfront-edge"] {
            assert!(!manifest.contains(crate_name), "crates/{name} depends on {crate_name}");
        }
    }
}
