//! The directory that outlives the process: it belongs to one process at a time, which leaves its address there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Edge, EdgeError};

const LOCK_FILE: &str = "lock";
const ADDRESS_FILE: &str = "edge.json";
/// Nobody else can read the directory, or find anything in it.
#[cfg(unix)]
const OWNER_ONLY: u32 = 0o700;
const SHOWN_FILE: &str = "shown";

/// The address of a local edge that another process runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// `http://127.0.0.1:<port>` of S3 and of CloudFront's API.
    pub api_url: String,
    /// `http://127.0.0.1:<port>` of the default distribution.
    pub viewer_url: String,
}

impl Edge {
    /// The directory with the data of the user's own local edge.
    ///
    /// # Errors
    /// No home directory is known.
    pub fn default_directory() -> Result<PathBuf, EdgeError> {
        let strategy = etcetera::choose_base_strategy().map_err(|_| EdgeError::NoHome)?;
        Ok(strategy.data_dir().join("shipfront").join("edge"))
    }

    /// From now on, the edge that has `directory` open, in this process or another one, answers for this
    /// distribution on each host that does not name one, such as `localhost`; so does the next edge.
    ///
    /// The choice is stored in a file, so only someone who may write to the directory can make it.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn show(directory: &Path, distribution: &str) -> Result<(), EdgeError> {
        let path = directory.join(SHOWN_FILE);
        fs::write(&path, distribution).map_err(|error| EdgeError::directory(&path, error))
    }

    /// The ID that [`Edge::show`] chose.
    #[must_use]
    pub fn shown(directory: &Path) -> Option<String> {
        shown(directory)
    }

    /// The local edge of another process that has `directory` open; `None` if there is none.
    #[must_use]
    pub fn running(directory: &Path) -> Option<Running> {
        match Lock::take(File::open(directory.join(LOCK_FILE)).ok()?) {
            Err(TryLockError::WouldBlock) => {
                let text = fs::read(directory.join(ADDRESS_FILE)).ok()?;
                serde_json::from_slice(&text).ok()
            }
            _ => None,
        }
    }
}

/// What [`keep`] wrote there; `None` before the first time.
pub(super) fn kept<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file atomically.
pub(super) fn keep(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, serde_json::to_vec_pretty(value)?)?;
    fs::rename(&fresh, path)
}

pub(super) fn shown(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join(SHOWN_FILE)).ok()
}

/// A file that is locked until this is dropped.
///
/// Closing the file would not be enough: a process that is being started has a copy of it until it runs its program.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    fn take(file: File) -> Result<Lock, TryLockError> {
        file.try_lock()?;
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If it fails, the lock ends with the last copy of the file.
        let _ = self.0.unlock();
    }
}

/// Locks a directory for this process.
pub(super) fn lock(path: &Path) -> Result<Lock, EdgeError> {
    make(path).map_err(|error| EdgeError::directory(path, error))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK_FILE))
        .map_err(|error| EdgeError::directory(path, error))?;
    match Lock::take(lock) {
        Ok(lock) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(EdgeError::DirectoryInUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(EdgeError::directory(path, error)),
    }
}

/// Creates the directory for its owner only: its contents are served only on this machine, which may have other
/// users.
///
/// An existing directory that contains other files keeps its permissions.
fn make(path: &Path) -> io::Result<()> {
    let is_ours = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none() || path.join(LOCK_FILE).exists(),
        Err(_) => true,
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(OWNER_ONLY).create(path)?;
        if is_ours {
            fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))?;
        }
        Ok(())
    }
    #[cfg(not(unix))]
    {
        let _ = is_ours;
        builder.create(path)
    }
}

/// Creates a folder in the directory, for its owner only even if the directory is not: see [`make`].
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(())
}

/// Records the address of the edge of this directory.
pub(super) fn write_address(directory: &Path, running: &Running) -> Result<(), EdgeError> {
    let path = directory.join(ADDRESS_FILE);
    let text = serde_json::to_vec(running).map_err(io::Error::other);
    text.and_then(|text| fs::write(&path, text)).map_err(|error| EdgeError::directory(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_lock_in_a_process_that_is_being_started_holds_up_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let held = lock(directory.path()).unwrap();
        assert!(matches!(lock(directory.path()).unwrap_err(), EdgeError::DirectoryInUse(_)));
        let copy = held.0.try_clone().unwrap();
        drop(held);
        lock(directory.path()).unwrap();
        drop(copy);
    }
}
