//! CI services: the steps of `action.yml` and the jobs of the examples, each in a shell as its service runs it.

mod action;
mod jobs;
mod summary;

use crate::world::command::{binary, repository};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
use yaml_serde::Value;

/// A YAML file of the repository.
fn yaml(path: &str) -> Value {
    yaml_serde::from_str(&std::fs::read_to_string(repository(path)).unwrap()).unwrap()
}

/// A program for `PATH`.
pub(crate) fn program(folder: &Path, name: &str, script: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A folder for `PATH` that contains the binary, and the resulting `PATH`.
fn path_with_binary(directory: &TempDir) -> String {
    let folder = directory.path().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(binary(), folder.join("shipfront")).unwrap();
    path_with(&folder)
}

pub(crate) fn path_with(folder: &Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// The values of the `NAME=value` lines in files that services read.
fn variables(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?} in {text}"));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line:?}");
        (name.to_owned(), value.to_owned())
    };
    text.lines().map(pair).collect()
}
