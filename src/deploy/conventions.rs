//! The files at the top of the source that say how to serve the others, and are not served themselves:
//! `_headers` and `_redirects`.

use super::Settings;
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::site::headers_file::{self, HeadersFile};
use crate::site::rules::HeaderRules;
use std::io;
use std::path::Path;

/// Header rules by URL path.
pub const HEADERS: &str = "_headers";
/// Redirects.
pub const REDIRECTS: &str = "_redirects";
/// Far more than any such file needs.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Whether a key is that of a file which is read and not uploaded.
pub fn is_convention(key: &str) -> bool {
    key == HEADERS || key == REDIRECTS
}

/// A file at the top of the source, if there is one.
pub fn read(source: &Path, name: &str) -> Result<Option<String>> {
    let path = source.join(name);
    let unreadable = |error: &io::Error| {
        Error::usage(format!("cannot read {}: {error}", path.display()))
            .hint("it says how the site is served: make it readable, or remove it")
    };
    // A link out of the source is skipped by the walk, too.
    let outside = || match (path.canonicalize(), source.canonicalize()) {
        (Ok(path), Ok(source)) => !path.starts_with(source),
        _ => false,
    };
    match std::fs::metadata(&path) {
        Ok(_) if outside() => Ok(None),
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            let hint = format!("shipfront reads {name} as header rules or redirects, of which nobody has so many");
            Err(Error::usage(format!("{} has {} bytes", path.display(), metadata.len())).hint(hint))
        }
        Ok(metadata) if metadata.is_file() => std::fs::read_to_string(&path).map(Some).map_err(|e| unreadable(&e)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}

/// What the `_headers` file of a source says.
pub fn headers(source: &Path) -> Result<HeadersFile> {
    match read(source, HEADERS)? {
        Some(text) => headers_file::parse(&text).map_err(|error| error.of(&source.join(HEADERS))),
        None => Ok(HeadersFile::default()),
    }
}

/// Gives the files of a source their headers. Rules of the settings prevail over those of `_headers`.
pub(super) fn apply_headers(walk: &mut Walk, settings: &Settings) -> Result<()> {
    let file = headers(&settings.source)?;
    walk.warnings.extend(warning(&settings.source, &file));
    let rules = file.rules.into_iter().chain(settings.headers.iter().cloned());
    walk.rules = HeaderRules::new(rules.collect())?;
    walk.rules.check(walk.files.iter().map(|file| &*file.key))
}

/// What of a `_headers` file has no effect, and what to do instead: one warning.
fn warning(source: &Path, file: &HeadersFile) -> Option<String> {
    let mut names: Vec<String> = file.others.iter().map(|other| other.name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    let mut parts = Vec::new();
    if !names.is_empty() {
        parts.push(format!(
            "S3 does not keep {}: add them in CloudFront by a response headers policy, which 'shipfront headers {}' prints",
            names.join(", "),
            source.display()
        ));
    }
    parts.extend(file.ignored.iter().map(|(line, why)| format!("line {line} has no effect: {why}")));
    (!parts.is_empty()).then(|| format!("{}: {}", source.join(HEADERS).display(), parts.join("; ")))
}
