//! Detects files that only represent others: the pointers that Git LFS leaves if the files themselves were not
//! fetched.

use crate::open_files;
use shipfront_site::project::secrets::is_part_of_site;
use std::io::Read;
use std::path::Path;

/// The beginning of a pointer (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
const START: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// Minimum and maximum size of a pointer in bytes: it ends with a digest and a size, and other files are not
/// opened.
const BYTES: std::ops::RangeInclusive<u64> = 120..=200;

/// Whether a file is a pointer in place of a page, or of what pages are made from. A text may show one.
pub(super) fn is_pointer(path: &Path, key: &str, size: u64) -> bool {
    if !BYTES.contains(&size) || !is_part_of_site(key) {
        return false;
    }
    let mut start = [0; START.len()];
    // An unreadable file is reported when it is uploaded.
    let read = open_files::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == START
}
