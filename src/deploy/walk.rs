//! Lists the source directory as sorted files, together with what could not be read.
//!
//! Unreadable is not absent: everything that was skipped or failed is remembered as unknown, so that nothing is
//! deleted because of it.

mod placeholder;
mod skip;

use crate::deploy::entry::{Entry, EntryHeaders};
use crate::error::{Error, Result};
use globset::GlobSet;
use rayon::prelude::*;
use shipfront_site::Warning;
use shipfront_site::glob::Glob;
use shipfront_site::headers::Headers;
use shipfront_site::key::{
    MAX_KEY_BYTES, SETTINGS_FILE, has_control_character, is_rules_file, key_of, legible, unicode_collision,
};
use shipfront_site::rules::HeaderRules;
use skip::Skip;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::{DirEntry, WalkDir};

/// Number of files whose sizes are read at once, while as many more are searched for.
const MEASURED_AT_ONCE: usize = 512;

/// Number of entries for which there is room from the start. Without any, what grows leaves behind as much memory as it
/// has in the end; room that is not used takes none, at least on Linux.
const ROOM: usize = 1 << 20;

/// The source as it was found.
#[derive(Debug, Default)]
pub struct Walk {
    /// The source directory.
    pub root: PathBuf,
    /// In S3's order: the UTF-8 bytes of their keys.
    pub entries: Vec<Entry>,
    /// Whether there are symlinks in it.
    pub has_symlinks: bool,
    /// What is known neither to exist nor to be absent.
    pub unknown: Unknown,
    /// What cannot be deployed; the run is refused unless the user said to continue.
    pub problems: Vec<String>,
    /// What was left out intentionally.
    pub warnings: Vec<Warning>,
    /// Hidden files, and folders with a trailing `/`, that were left out.
    pub hidden: Vec<String>,
    /// The indices of the exclusion patterns that matched something.
    pub used_exclusions: BTreeSet<usize>,
}

/// Which parts of a source are not part of the site, and exceptions.
#[derive(Debug, Clone, Default)]
pub struct WalkRules {
    /// Keys that are left alone, whether or not there is a file.
    pub excluded: GlobSet,
    /// Hidden files that are deployed.
    pub included_hidden: GlobSet,
    /// Whether symbolic links out of the source are followed.
    pub follow_links: bool,
    /// The patterns of the settings, as written.
    pub written: WrittenPatterns,
}

/// Patterns as the user writes them; exclusion patterns have the same indices in [`WalkRules::excluded`].
#[derive(Debug, Clone, Default)]
pub struct WrittenPatterns {
    /// Patterns of excluded keys.
    pub exclude: Vec<Glob>,
    /// Patterns of hidden files that are deployed.
    pub include_hidden: Vec<Glob>,
    /// Patterns of pages, which are uploaded last.
    pub pages: Vec<Glob>,
    /// Patterns of assets, which are uploaded first.
    pub assets: Vec<Glob>,
}

impl Walk {
    /// Sets each file's headers according to the rules.
    pub fn apply(&mut self, rules: &HeaderRules) {
        let mut known: HashMap<Headers, Arc<EntryHeaders>> = HashMap::new();
        for entry in &mut self.entries {
            let headers = rules.headers(&entry.key);
            entry.headers = match known.get(&headers) {
                Some(shared) => shared.clone(),
                None => known.entry(headers.clone()).or_insert(Arc::new(EntryHeaders::new(headers))).clone(),
            };
        }
    }

    /// The entry of a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.key).cmp(key)).ok()?;
        self.entries.get(at)
    }
}

/// Keys, and directories of keys, about which nothing is known.
#[derive(Debug, Default)]
pub struct Unknown {
    keys: HashSet<String>,
    /// Each ends in `/`, or is empty for the whole source.
    directories: HashSet<String>,
    /// Patterns of keys that the user excludes.
    excluded: GlobSet,
}

impl Unknown {
    /// Adds one key about which nothing is known.
    pub fn add_key(&mut self, key: String) {
        self.keys.insert(key);
    }

    /// Adds everything below a directory.
    pub fn add_directory(&mut self, key: &str) {
        self.directories.insert(if key.is_empty() { String::new() } else { format!("{key}/") });
    }

    /// Whether nothing is known about a key.
    pub fn contains(&self, key: &str) -> bool {
        if self.keys.contains(key) || self.directories.contains("") || self.excluded.is_match(key) {
            return true;
        }
        !self.directories.is_empty() && key.match_indices('/').any(|(at, _)| self.directories.contains(&key[..=at]))
    }
}

/// Walks the source, following symlinks only inside it unless `rules` say otherwise.
///
/// Hidden files are skipped, except `.well-known` and everything in it, which browsers and certificate authorities
/// request. `prefix` is the target's: it counts toward the length of keys.
pub fn walk(source: &Path, prefix: &str, rules: &WalkRules) -> Result<Walk> {
    let root = existing_directory(source)?;
    let mut place = Place { root: &root, prefix, rules, follow: false };
    // With followed symlinks, walkdir opens every directory once more to detect loops: only a site that has
    // symlinks pays for that.
    let mut found = match look(source, place) {
        Some(found) => found,
        None => {
            place.follow = true;
            look(source, place).unwrap_or_default()
        }
    };
    found.entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    found.hidden.sort_unstable();
    let keys = found.entries.iter().map(|entry| &*entry.key);
    if let Some((one, other)) = unicode_collision(keys, |key| found.entry(key).map(|entry| &*entry.key)) {
        let message = format!("{one:?} and {other:?} are the same name in two Unicode spellings");
        return Err(Error::refused(message).hint("remove one of them: viewers could reach only one"));
    }
    Ok(found)
}

/// The location of a source, and how to read it.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The source's path with symlinks resolved.
    root: &'a Path,
    /// The target's prefix.
    prefix: &'a str,
    rules: &'a WalkRules,
    /// Whether symlinks are followed at all.
    follow: bool,
}

/// Reads everything below the source; `None` at the first symlink, if they are not followed.
fn look(source: &Path, place: Place<'_>) -> Option<Walk> {
    let unknown = Unknown { excluded: place.rules.excluded.clone(), ..Unknown::default() };
    let mut entries = Vec::new();
    // Where there is no such room, it grows.
    let _ = entries.try_reserve_exact(ROOM);
    let mut found = Walk { root: source.to_owned(), entries, unknown, has_symlinks: place.follow, ..Walk::default() };
    let mut entries = WalkDir::new(source).follow_links(place.follow).into_iter();
    let mut files = found.next_files(&mut entries, place)?;
    while !files.is_empty() {
        let (sizes, next) = rayon::join(|| sizes(&files), || found.next_files(&mut entries, place));
        found.add_files(files, sizes);
        files = next?;
    }
    Some(found)
}

/// Reads the sizes of files, on all cores.
fn sizes(files: &[(String, DirEntry)]) -> Vec<walkdir::Result<u64>> {
    let size = |(_, entry): &(String, DirEntry)| entry.metadata().map(|metadata| metadata.len());
    files.par_iter().with_min_len(64).map(size).collect()
}

fn existing_directory(source: &Path) -> Result<PathBuf> {
    let shown = source.display();
    let hint = "name the directory that your site generator writes, such as public, dist, _site or build";
    let metadata = std::fs::metadata(source).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if source.is_relative() && std::env::current_dir().is_err() => {
            Error::usage(format!("the source {shown} cannot be found: the working directory was removed"))
                .hint("go to another directory, or name the source by its absolute path")
        }
        std::io::ErrorKind::NotFound => Error::usage(format!("the source {shown} does not exist")).hint(hint),
        _ => Error::usage(format!("the source {shown} cannot be read: {error}")).hint(hint),
    })?;
    if !metadata.is_dir() {
        return Err(Error::usage(format!("the source {shown} is a file, not a directory")).hint(hint));
    }
    source
        .canonicalize()
        .map_err(|error| Error::usage(format!("the source {shown} cannot be read: {error}")).hint(hint))
}

impl Walk {
    /// The next files and their keys, up to [`MEASURED_AT_ONCE`]; `None` at a symlink that is not followed.
    fn next_files(&mut self, entries: &mut walkdir::IntoIter, place: Place<'_>) -> Option<Vec<(String, DirEntry)>> {
        let source = self.root.clone();
        let mut files = Vec::with_capacity(MEASURED_AT_ONCE);
        while files.len() < MEASURED_AT_ONCE
            && let Some(entry) = entries.next()
        {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.note_error(&source, &error);
                    continue;
                }
            };
            if entry.depth() == 0 {
                continue;
            }
            if !place.follow && entry.path_is_symlink() {
                return None;
            }
            let skip = Skip::reason(&entry, &source, place);
            if let Some(reason) = skip {
                self.note_skipped(&source, &entry, reason);
                if entry.file_type().is_dir() {
                    entries.skip_current_dir();
                }
            } else if entry.file_type().is_file()
                && let Some(key) = self.key_of(&source, &entry, place.prefix)
            {
                files.push((key, entry));
            }
        }
        Some(files)
    }

    /// The key of a file, if S3 accepts it.
    fn key_of(&mut self, source: &Path, entry: &DirEntry, prefix: &str) -> Option<String> {
        let shown = shown(entry.path());
        let Some(key) = relative_key(source, entry.path()) else {
            self.problems.push(format!("{shown}: the name is not valid Unicode, which S3 keys must be"));
            self.note_unknown_parent(source, entry.path());
            return None;
        };
        let exclusions = self.unknown.excluded.matches(&key);
        if !exclusions.is_empty() {
            self.used_exclusions.extend(exclusions);
            return None;
        }
        if has_control_character(&key) {
            self.problems
                .push(format!("{shown}: the name has a control character, which no page can link to as it is"));
            self.unknown.add_key(key);
            return None;
        }
        let length = prefix.len() + key.len();
        if length > MAX_KEY_BYTES {
            self.problems.push(format!("{shown}: its key has {length} bytes; S3 accepts {MAX_KEY_BYTES}"));
            self.unknown.add_key(key);
            return None;
        }
        if key == SETTINGS_FILE {
            let notice = format!("{shown} is not uploaded, and its settings are ignored there");
            self.warnings.push(Warning::new(notice, "move it beside the source, or exclude it"));
            return None;
        }
        // Files that say how others are served are read, but not served.
        Some(key).filter(|key| !is_rules_file(key))
    }

    fn add_files(&mut self, files: Vec<(String, DirEntry)>, sizes: Vec<walkdir::Result<u64>>) {
        for ((key, entry), size) in files.into_iter().zip(sizes) {
            match size {
                Ok(size) if placeholder::is_pointer(entry.path(), &key, size) => {
                    self.problems.push(format!(
                        "{} is a Git LFS pointer, not the file itself: run 'git lfs pull'",
                        shown(entry.path())
                    ));
                    self.unknown.add_key(key);
                }
                Ok(size) => self.entries.push(Entry::file(key, size)),
                Err(error) => {
                    self.problems.push(format!("{}: {}", shown(entry.path()), cause(&error)));
                    self.unknown.add_key(key);
                }
            }
        }
    }

    fn note_skipped(&mut self, source: &Path, entry: &DirEntry, reason: Skip) {
        let (shown, key) = (shown(entry.path()), relative_key(source, entry.path()));
        let is_folder = entry.file_type().is_dir();
        let is_excluded = |key: &String| {
            self.unknown.excluded.is_match(key) || is_folder && self.unknown.excluded.is_match(format!("{key}/_"))
        };
        let named = key.as_ref().map(|key| if is_folder { format!("{key}/_") } else { key.clone() });
        self.used_exclusions.extend(named.iter().flat_map(|key| self.unknown.excluded.matches(key)));
        // What the user excludes needs no message.
        if !key.as_ref().is_some_and(is_excluded) {
            match reason {
                Skip::Hidden => self.hidden.extend(
                    key.as_deref().map(|key| format!("{}{}", legible(key), if is_folder { "/" } else { "" })),
                ),
                Skip::Outside { target, needed: None } => self.warnings.push(Warning::new(
                    format_args!(
                        "skipped {shown}: the symbolic link points outside the source, to {}",
                        target.display()
                    ),
                    "--follow-links deploys its target, and --exclude ends this warning",
                )),
                Skip::Outside { target, needed: Some(needed) } => self.problems.push(format!(
                    "{shown}: the symbolic link points outside the source, to {}, so {needed} would be missing (--follow-links deploys its target)",
                    target.display()
                )),
                Skip::Special => self
                    .warnings
                    .push(Warning::new(format_args!("skipped {shown}: it is not a regular file"), EXCLUDE)),
            }
        }
        match key {
            Some(key) if is_folder => self.unknown.add_directory(&key),
            Some(key) => self.unknown.add_key(key),
            None => self.note_unknown_parent(source, entry.path()),
        }
    }

    fn note_error(&mut self, source: &Path, error: &walkdir::Error) {
        let path = error.path().unwrap_or(source);
        let shown = shown(path);
        let key = relative_key(source, path);
        let exclusions = key.as_ref().map(|key| self.unknown.excluded.matches(key)).unwrap_or_default();
        if !exclusions.is_empty() {
            self.used_exclusions.extend(exclusions);
            // It may also be a directory.
            return self.unknown.add_directory(key.as_deref().unwrap_or_default());
        }
        if error.loop_ancestor().is_some() {
            let notice = format!("skipped {shown}: the symbolic link points to a directory above it");
            self.warnings.push(Warning::new(notice, EXCLUDE));
        } else {
            let leads_nowhere = || path.is_symlink() && !path.exists();
            let is_missing = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
            self.problems.push(match is_missing && leads_nowhere() {
                true => format!("{shown}: the target of the symbolic link does not exist: {}", target_of(path)),
                false => format!("{shown}: {}", cause(error)),
            });
        }
        match key {
            // It may be a file or a directory: both its key and everything below are unknown.
            Some(key) => {
                self.unknown.add_directory(&key);
                self.unknown.add_key(key);
            }
            None => self.note_unknown_parent(source, path),
        }
    }

    /// Handles a name that cannot be a key: everything next to it is unknown as well.
    fn note_unknown_parent(&mut self, source: &Path, path: &Path) {
        let parent = path.ancestors().skip(1).find_map(|parent| relative_key(source, parent));
        self.unknown.add_directory(&parent.unwrap_or_default());
    }
}

/// The cause of an error, without the path that the walk's own message repeats.
fn cause(error: &walkdir::Error) -> String {
    error.io_error().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The target of a symlink, as written.
fn target_of(link: &Path) -> String {
    std::fs::read_link(link).map(|target| self::shown(&target)).unwrap_or_default()
}

/// What ends a warning about something that is skipped.
const EXCLUDE: &str = "remove it, or --exclude it";

/// A path for display.
fn shown(path: &Path) -> String {
    legible(&path.to_string_lossy()).into_owned()
}

fn relative_key(source: &Path, path: &Path) -> Option<String> {
    key_of(path.strip_prefix(source).ok()?)
}

#[cfg(test)]
mod tests;
