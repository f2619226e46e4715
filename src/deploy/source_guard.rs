//! Refuses a source that is no built site: a project's own directory, private keys, state files.

use crate::deploy::entry::Entry;
use crate::deploy::walk::{Walk, WalkRules};
use crate::error::{Error, Result};
use crate::open_files;
use rayon::prelude::*;
use shipfront_site::key::legible;
use shipfront_site::project::{BUILT_FOLDERS, INSTALLED_MARKERS, LOOKED_AT, Secret, is_project_sign, suspicion};
use std::io::Read;
use std::path::Path;

/// Signs that are named before the rest is only counted.
const NAMED: usize = 5;
/// The page that a site begins with.
const FRONT_PAGE: &str = "index.html";

/// Refuses the directory of a project, before all of it is walked.
pub(super) fn guard_project(source: &Path, rules: &WalkRules) -> Result<()> {
    // What cannot be read is refused by the walk.
    let Ok(entries) = open_files::patiently(|| std::fs::read_dir(source)) else { return Ok(()) };
    let built = BUILT_FOLDERS.iter().find(|folder| source.join(folder).join(FRONT_PAGE).is_file());
    let mut signs: Vec<String> = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_folder = entry.path().is_dir();
        let key = if is_folder { format!("{name}/_") } else { name.clone() };
        // A repository of plain pages is a project and a site in one, unless there is a folder that is rather the site.
        let is_repository = name == ".git" && is_folder && (built.is_some() || !source.join(FRONT_PAGE).is_file());
        if (is_project_sign(&name, is_folder) || is_repository) && !rules.excluded.is_match(&key) {
            signs.push(legible(&name).into_owned());
        }
    }
    refuse_project(source, signs, built.copied())
}

/// Refuses what package managers have installed anywhere in a source.
pub(super) fn guard_packages(source: &Path, walk: &Walk) -> Result<()> {
    let mut signs: Vec<String> = Vec::new();
    for entry in &walk.entries {
        let Some((at, _)) = entry
            .key
            .match_indices("node_modules/")
            .find(|(at, _)| *at == 0 || entry.key.as_bytes().get(at - 1) == Some(&b'/'))
        else {
            continue;
        };
        let folder = &entry.key[..at + "node_modules".len()];
        let is_known = signs.iter().any(|sign| sign == folder);
        if !is_known && INSTALLED_MARKERS.iter().any(|marker| source.join(folder).join(marker).exists()) {
            signs.push(folder.to_owned());
        }
        if signs.len() > NAMED {
            break;
        }
    }
    refuse_project(source, signs, None)
}

fn refuse_project(source: &Path, mut signs: Vec<String>, built: Option<&str>) -> Result<()> {
    if signs.is_empty() {
        return Ok(());
    }
    signs.sort();
    let more = signs.len().saturating_sub(NAMED);
    signs.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "this looks like the project, not the built site: {} holds {}{more}; nothing was changed",
        source.display(),
        signs.join(", ")
    );
    let otherwise = "if it is the site all the same, leave those files out with --exclude, or pass --allow-project";
    Err(Error::refused(message).hint(match built {
        Some(folder) => format!("deploy the built folder: {}; {otherwise}", source.join(folder).display()),
        None => format!("build the site first, and deploy the folder that the generator writes; {otherwise}"),
    }))
}

/// Refuses private keys and state files, wherever they are in a source.
pub(super) fn guard_secrets(walk: &Walk) -> Result<()> {
    let secret = |entry: &Entry| secret(walk, entry).map(|secret| (entry.key.clone(), secret));
    let found: Vec<(Box<str>, Secret)> = walk.entries.par_iter().with_min_len(512).filter_map(secret).collect();
    let Some((key, secret)) = found.first() else { return Ok(()) };
    let more = if found.len() > 1 { format!(" (and {} more files like it)", found.len() - 1) } else { String::new() };
    let message = format!("{} is {}{more}; nothing was changed", legible(key), secret.words());
    Err(Error::refused(message)
        .hint("remove it from what is built, or leave it out with --exclude; if it was published before, replace it"))
}

fn secret(walk: &Walk, entry: &Entry) -> Option<Secret> {
    let suspicion = suspicion(&entry.key);
    if !suspicion.needs_bytes() {
        return suspicion.decide(&[]);
    }
    let mut beginning = Vec::new();
    let file = open_files::open(&entry.path(&walk.root)).ok()?;
    file.take(LOOKED_AT as u64).read_to_end(&mut beginning).ok()?;
    suspicion.decide(&beginning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    fn refusal(files: &[&str]) -> Option<(String, String)> {
        let source = tempfile::tempdir().unwrap();
        for name in files {
            let path = source.path().join(name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, name).unwrap();
        }
        let rules = WalkRules::default();
        let walk = crate::deploy::walk::walk(source.path(), "", &rules).unwrap();
        let refused = guard_project(source.path(), &rules).and_then(|()| guard_packages(source.path(), &walk));
        refused.err().map(|error| (error.to_string(), error.hint_text().unwrap_or_default().to_owned()))
    }

    #[test]
    fn the_directory_of_a_project_is_told_from_a_site() {
        let (message, hint) =
            refusal(&["index.html", "package.json", "node_modules/a/b.js", "dist/index.html"]).unwrap();
        assert!(message.contains("holds node_modules, package.json"), "{message}");
        assert!(hint.contains("/dist;"), "{hint}");
        let (_, hint) = refusal(&["Cargo.toml", "src/main.rs"]).unwrap();
        assert!(hint.contains("build the site first"), "{hint}");
        assert!(refusal(&[".git/config", "src/a.md", "public/index.html"]).is_some());
        assert!(refusal(&["index.html", "app/node_modules/a/b.js", "app/node_modules/.bin/c"]).is_some());
        assert_eq!(refusal(&["index.html", "README.md", ".git/config"]), None, "a repository of plain pages");
        assert_eq!(refusal(&["index.html", ".git"]), None, "a work tree of its own");
        assert_eq!(refusal(&["index.html", "vendor/node_modules/a/b.js"]), None, "a part that a page loads");
    }
}
