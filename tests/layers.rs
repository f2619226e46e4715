//! The folders of `src/` import one another in one direction only.

use crate::world::command::repository;
use std::collections::BTreeSet;
use walkdir::WalkDir;

/// From the top down: each folder may import what comes after it.
const LAYERS: [&str; 18] = [
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
    "escape",
    "open_files",
];

/// The folders, or files, of the crate that a text names by `crate::`, but for comments.
fn imported(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    code.split("crate::").skip(1).map(name).collect()
}

#[test]
fn no_folder_imports_one_above_it() {
    let place = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let (mut files, mut wrong) = (0, Vec::new());
    for file in WalkDir::new(repository("src")).into_iter().map(Result::unwrap) {
        let path = file.path().strip_prefix(repository("src")).unwrap().with_extension("");
        let folder = path.iter().next().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !file.file_type().is_file() || matches!(&*folder, "main" | "lib") {
            continue;
        }
        let Some(ours) = place(&folder) else { panic!("{folder} has no place among the layers") };
        let text = std::fs::read_to_string(file.path()).unwrap();
        let above = imported(&text).into_iter().filter(|name| place(name).is_some_and(|theirs| theirs < ours));
        wrong.extend(above.map(|name| format!("{} imports {name}", path.display())));
        files += 1;
    }
    assert!(files > 90, "only {files} files were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
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
