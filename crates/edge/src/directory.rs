//! The directory that outlives the process: one process at a time has it, and says in it where it can be reached.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Edge, EdgeError};

const LOCK_FILE: &str = "lock";
const ADDRESS_FILE: &str = "edge.json";
/// Nobody else reads the directory, or finds anything in it.
#[cfg(unix)]
const OWNER_ONLY: u32 = 0o700;
const SHOWN_FILE: &str = "shown";

/// Where a local edge that another process runs can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// `http://127.0.0.1:<port>` of S3 and of CloudFront's API.
    pub api_url: String,
    /// `http://127.0.0.1:<port>` of the default distribution.
    pub viewer_url: String,
}

impl Edge {
    /// The directory that holds the data of the user's own local edge.
    ///
    /// # Errors
    /// When no home directory is known.
    pub fn default_directory() -> Result<PathBuf, EdgeError> {
        let strategy = etcetera::choose_base_strategy().map_err(|_| EdgeError::NoHome)?;
        Ok(strategy.data_dir().join("shipfront").join("edge"))
    }

    /// From now on, the edge that has `directory` open, in this process or in another one, answers for this
    /// distribution on each host that names none, such as `localhost`; so does the next edge.
    ///
    /// It is a file, so only who may write to the directory can choose.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn show(directory: &Path, distribution: &str) -> Result<(), EdgeError> {
        let path = directory.join(SHOWN_FILE);
        fs::write(&path, distribution).map_err(|error| EdgeError::directory(&path, error))
    }

    /// The id that [`Edge::show`] chose.
    #[must_use]
    pub fn shown(directory: &Path) -> Option<String> {
        shown(directory)
    }

    /// The local edge of another process that has `directory` open; `None` when there is none.
    #[must_use]
    pub fn running(directory: &Path) -> Option<Running> {
        let lock = File::open(directory.join(LOCK_FILE)).ok()?;
        match lock.try_lock() {
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

/// Writes a file as a whole, or not at all.
pub(super) fn keep(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, serde_json::to_vec_pretty(value)?)?;
    fs::rename(&fresh, path)
}

pub(super) fn shown(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join(SHOWN_FILE)).ok()
}

/// Takes a directory for this process, for as long as the file is held.
pub(super) fn lock(path: &Path) -> Result<File, EdgeError> {
    make(path).map_err(|error| EdgeError::directory(path, error))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK_FILE))
        .map_err(|error| EdgeError::directory(path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(EdgeError::DirectoryInUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(EdgeError::directory(path, error)),
    }
}

/// Makes the directory, for its owner alone: what is in it is served on this machine only, which others may share.
///
/// One that was made for something else, and holds it, keeps its permissions.
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

/// Makes a folder in the directory, for its owner alone even where the directory is not: see [`make`].
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(())
}

/// Leaves word of where the edge of this directory can be reached.
pub(super) fn write_address(directory: &Path, running: &Running) -> Result<(), EdgeError> {
    let path = directory.join(ADDRESS_FILE);
    let text = serde_json::to_vec(running).map_err(io::Error::other);
    text.and_then(|text| fs::write(&path, text)).map_err(|error| EdgeError::directory(&path, error))
}
