//! Why an entry of the source is left out: it is hidden, leads out of the source, or is not a file.

use super::{Place, WalkRules, relative_key};
use shipfront_site::ObjectKinds;
use shipfront_site::key::{is_litter, is_rules_file};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// The folder that browsers and certificate authorities read.
const WELL_KNOWN: &str = ".well-known";
/// What no pattern makes part of a site: the history of a project, and the folder of deploy records.
const NEVER: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".shipfront"];
/// Number of entries of a folder outside the source to examine to find out what is left out with it.
const MOST_ENTRIES: usize = 10_000;
/// What a page needs, other than pages: without it, viewers see a broken one.
const PARTS_OF_PAGES: [&str; 19] = [
    "avif", "css", "gif", "ico", "jpeg", "jpg", "js", "mjs", "mp4", "otf", "png", "svg", "ttf", "wasm", "webm", "webp",
    "woff", "woff2", "map",
];

/// Why an entry is left out.
pub(super) enum Skip {
    Hidden,
    Outside {
        target: PathBuf,
        /// What viewers miss without it, if anything.
        needed: Option<String>,
    },
    Special,
}

impl Skip {
    /// Why an entry is left out; `None` if it is not.
    pub(super) fn reason(entry: &DirEntry, source: &Path, place: Place<'_>) -> Option<Skip> {
        if is_left_out_as_hidden(entry, source, place.rules) {
            return Some(Skip::Hidden);
        }
        if entry.path_is_symlink()
            && !place.rules.follow_links
            && let Ok(target) = entry.path().canonicalize()
            && !target.starts_with(place.root)
        {
            let needed = needed(entry, source, &target, place.root);
            return Some(Skip::Outside { target, needed });
        }
        let kind = entry.file_type();
        (!kind.is_file() && !kind.is_dir()).then_some(Skip::Special)
    }
}

/// Whether an entry, or a folder that contains it, is hidden and no pattern includes it. A hidden folder in which a
/// pattern may include something is entered.
fn is_left_out_as_hidden(entry: &DirEntry, source: &Path, rules: &WalkRules) -> bool {
    let name = entry.file_name().as_encoded_bytes();
    let is_included = || relative_key(source, entry.path()).is_some_and(|key| rules.included_hidden.is_match(key));
    // Their systems hide them by other means than their names.
    if !entry.file_type().is_dir() && entry.file_name().to_str().is_some_and(is_litter) {
        return !is_included();
    }
    // If no pattern includes anything, hidden folders are not entered.
    if rules.included_hidden.is_empty() && !name.starts_with(b".") {
        return false;
    }
    let Ok(relative) = entry.path().strip_prefix(source) else { return false };
    let first =
        relative.components().map(|part| part.as_os_str()).find(|part| part.as_encoded_bytes().starts_with(b"."));
    if first.is_none_or(|first| first == WELL_KNOWN) {
        return NEVER.iter().any(|never| name == never.as_bytes());
    }
    match entry.file_type().is_dir() {
        true => rules.included_hidden.is_empty() || NEVER.iter().any(|never| name == never.as_bytes()),
        false => !is_included(),
    }
}

/// What viewers miss if the target of a symlink is left out: a page, or a part of one.
fn needed(entry: &DirEntry, source: &Path, target: &Path, root: &Path) -> Option<String> {
    if !entry.file_type().is_dir() {
        let key = relative_key(source, entry.path())?;
        return is_needed(&key).then(|| format!("{key:?}"));
    }
    // A folder above the source contains the source itself: that is a loop, not a part of the site.
    if root.starts_with(target) {
        return None;
    }
    let files = WalkDir::new(entry.path()).follow_links(true).into_iter().take(MOST_ENTRIES).filter_map(Result::ok);
    let mut keys = files.filter(|file| file.file_type().is_file()).filter_map(|file| relative_key(source, file.path()));
    keys.find(|key| is_needed(key)).map(|key| format!("{key:?}"))
}

fn is_needed(key: &str) -> bool {
    let extension = key.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    let is_part = extension.is_some_and(|extension| PARTS_OF_PAGES.contains(&extension.to_ascii_lowercase().as_str()));
    is_part || is_rules_file(key) || ObjectKinds::default().kind_of(key) == shipfront_site::ObjectKind::Pages
}
