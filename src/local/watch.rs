//! Watches a built site and reports when it has changed and settled.

use crate::error::{Error, Result};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

/// A build has settled if nothing was written for this long.
const QUIET: Duration = Duration::from_millis(300);
/// What never settles is used as it is after this long.
const LONGEST: Duration = Duration::from_secs(10);
/// How often to look for a directory that a site generator removed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A watched directory.
pub struct Watch {
    source: PathBuf,
    changes: UnboundedReceiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Starts watching: changes from now on are reported.
    pub fn begin(source: &Path) -> Result<Watch> {
        let (sender, changes) = unbounded_channel();
        let changed = move |event: notify::Result<Event>| {
            // The error may mean that there was too much to report.
            if event.as_ref().map_or(true, is_change) {
                let _ = sender.send(());
            }
        };
        let watch = |mut watcher: RecommendedWatcher| {
            watcher.watch(source, RecursiveMode::Recursive)?;
            Ok(watcher)
        };
        let watcher = notify::recommended_watcher(changed).and_then(watch).map_err(|error| {
            Error::failed(format!("{} cannot be watched: {error}", source.display())).hint(
                "deploy after each change instead of --watch; on Linux, fs.inotify.max_user_watches may be too low",
            )
        })?;
        Ok(Watch { source: source.to_owned(), changes, _watcher: watcher })
    }

    /// Waits until something has changed, and nothing has changed since for a moment.
    pub async fn change(&mut self) -> Result<()> {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        let since = Instant::now();
        while since.elapsed() < LONGEST && timeout(QUIET, self.changes.recv()).await.is_ok() {}
        // Many generators remove the directory and create a new one, which the old watch does not see.
        while !self.source.is_dir() {
            sleep(LOOK_EVERY).await;
        }
        *self = Watch::begin(&self.source)?;
        Ok(())
    }
}

/// Reading is not a change: the deploy itself reads every file, and would deploy forever.
fn is_change(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Access(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn reading_is_no_change_and_writing_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.html");
        fs::write(&file, "a").unwrap();
        let (sender, mut events) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event| drop(sender.send(event))).unwrap();
        watcher.watch(directory.path(), RecursiveMode::Recursive).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"a");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(directory.path().join("last.html"), "b").unwrap();
        // They come in order: all until this one is created are about reading.
        loop {
            let event: Event = events.recv().await.unwrap().unwrap();
            let is_last = event.paths.iter().any(|path| path.ends_with("last.html"));
            assert_eq!(is_change(&event), is_last, "{event:?}");
            if is_last {
                return;
            }
        }
    }
}
