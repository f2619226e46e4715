//! Locates `shipfront.toml`: next to or above the source, or in the working directory.

use crate::config::file::{FILE_NAME, position};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum size in bytes, far more than any settings file has.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Finds the file, if there is one.
///
/// It is searched for next to the source and above it, then in the working directory and above that: never inside
/// the source, which generators empty, and not above the root of the repository. Outside a repository, the
/// directories above are not searched: files there may belong to anybody.
pub(super) fn locate(source: Option<&Path>, here: &Path) -> Option<PathBuf> {
    let beside = source.and_then(|source| beside(source, here));
    let places = beside.into_iter().chain([here.to_owned()]);
    places.flat_map(|place| up_to_the_root(&place)).map(|place| place.join(FILE_NAME)).find(|path| path.is_file())
}

/// Reads the file.
pub(crate) fn text(path: &Path, shown: &str) -> Result<String> {
    let unreadable = |error: io::Error| {
        Error::usage(format!("cannot read {shown}: {error}")).hint("name a readable settings file with --config")
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::usage(format!("{shown} has more than {MOST_BYTES} bytes"))
            .hint("a settings file is never that large: name another one with --config"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let (line, column) = position(&valid, valid.len());
        Error::usage(format!("{shown}:{line}:{column}: the file is not in UTF-8")).hint("save it as UTF-8")
    })
}

/// The directory that contains the source; the working directory, if that is inside the source.
fn beside(source: &Path, here: &Path) -> Option<PathBuf> {
    let full = here.join(source);
    let resolved = full.canonicalize().unwrap_or_else(|_| full.clone());
    if here.canonicalize().is_ok_and(|here| here.starts_with(&resolved)) {
        return None;
    }
    // Not the parent of a symlink's target: the link is in the project.
    match full.file_name() {
        Some(_) => full.parent()?.canonicalize().ok(),
        None => resolved.parent().map(Path::to_owned),
    }
}

/// A directory and those above it, up to the root of its repository.
fn up_to_the_root(place: &Path) -> Vec<PathBuf> {
    match place.ancestors().position(|above| above.join(".git").exists()) {
        Some(root) => place.ancestors().take(root + 1).map(Path::to_owned).collect(),
        None => vec![place.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    #[test]
    fn the_file_is_found_beside_and_above_the_source_up_to_the_root_of_the_repository() {
        let world = tempfile::tempdir().unwrap();
        let root = world.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        for folder in ["repository/.git", "repository/site/public", "repository/other/public", "elsewhere/public"] {
            create_dir_all(at(folder)).unwrap();
        }
        let settings = |path: &str| write(at(path).join(FILE_NAME), "").unwrap();
        let found = |source: Option<&str>, here: &str| {
            let found = locate(source.map(Path::new), &at(here));
            found.map(|path| path.parent().unwrap().strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
        };
        settings("");
        assert_eq!(found(Some("public"), "repository/site"), None, "above the repository");
        assert_eq!(found(Some("public"), "elsewhere"), None, "above, and no repository");
        settings("repository");
        assert_eq!(found(Some("public"), "repository/site").as_deref(), Some("repository"));
        assert_eq!(found(None, "repository/site").as_deref(), Some("repository"));
        settings("repository/site");
        assert_eq!(found(Some("site/public"), "repository").as_deref(), Some("repository/site"), "nearest the source");
        assert_eq!(found(Some("other/public"), "repository").as_deref(), Some("repository"));
        assert_eq!(found(Some("../other/public/"), "repository/site").as_deref(), Some("repository"));
        assert_eq!(found(Some("."), "repository/site").as_deref(), Some("repository/site"), "the source is here");
        assert_eq!(found(Some("../repository/site/public"), "elsewhere").as_deref(), Some("repository/site"));
        assert_eq!(
            found(Some(at("elsewhere/public").to_str().unwrap()), "repository/site").as_deref(),
            Some("repository/site")
        );
    }
}
