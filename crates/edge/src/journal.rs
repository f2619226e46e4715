//! The journal of a bucket: one line of JSON for each put and delete, replayed at the next start.
//!
//! A line is written with one call directly to the operating system, so that a killed process loses nothing that it
//! answered. Only the last line can be torn, and it is dropped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) key: Cow<'a, str>,
    /// `None` is a delete.
    pub(super) object: Option<ObjectRecord<'a>>,
}

/// An object in the journal.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ObjectRecord<'a> {
    pub(super) etag: Cow<'a, str>,
    /// Seconds since the epoch.
    pub(super) modified: i64,
    pub(super) headers: Cow<'a, BTreeMap<String, String>>,
    /// File number and size of each segment of the body.
    pub(super) segments: Vec<(u64, u64)>,
}

/// The objects that remain after the replay, by key.
pub(super) type Replayed = BTreeMap<String, ObjectRecord<'static>>;

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {0} is not readable")]
    Corrupt(usize),
}

impl Journal {
    /// Replays the journal at `path`, rewrites it without obsolete lines, and opens it.
    pub(super) fn open(path: &Path) -> Result<(Self, Replayed), JournalError> {
        let (objects, lines) = replay(path)?;
        if lines != objects.len() {
            compact(path, &objects)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        Ok((Self { file, length }, objects))
    }

    /// Appends one line, completely or not at all.
    pub(super) fn append(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        if let Err(error) = self.file.write_all(&bytes) {
            // Half a line would corrupt the next one.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// The remaining objects, and the number of lines read (a torn one counts, so that it is rewritten).
fn replay(path: &Path) -> Result<(Replayed, usize), JournalError> {
    let mut objects = Replayed::new();
    let mut lines = 0;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((objects, 0)),
        Err(error) => return Err(error.into()),
    };
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    while reader.read_until(b'\n', &mut text)? > 0 {
        lines += 1;
        match serde_json::from_slice::<Line<'static>>(&text) {
            Ok(line) => match line.object {
                Some(object) => {
                    objects.insert(line.key.into_owned(), object);
                }
                None => {
                    objects.remove(line.key.as_ref());
                }
            },
            Err(_) if text.last() != Some(&b'\n') => {
                // Torn by a kill or a power failure: never answered, so never promised. The count now differs from
                // the number of objects, whatever the previous lines were.
                lines = usize::MAX;
                break;
            }
            Err(_) => return Err(JournalError::Corrupt(lines)),
        }
        text.clear();
    }
    Ok((objects, lines))
}

fn compact(path: &Path, objects: &Replayed) -> io::Result<()> {
    let fresh: PathBuf = path.with_extension("new");
    let mut writer = BufWriter::new(File::create(&fresh)?);
    for (key, object) in objects {
        let line = Line { key: Cow::Borrowed(key), object: Some(object.clone()) };
        serde_json::to_writer(&mut writer, &line)?;
        writer.write_all(b"\n")?;
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Line<'_> {
        Line {
            key: Cow::Borrowed(key),
            object: Some(ObjectRecord {
                etag: Cow::Borrowed("e"),
                modified: 0,
                headers: Cow::Owned(BTreeMap::new()),
                segments: vec![(1, 5)],
            }),
        }
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_later_lines_are_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&put("a")).unwrap();
        journal.append(&put("b")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();

        let (mut journal, objects) = Journal::open(&path).unwrap();
        assert_eq!(objects.keys().collect::<Vec<_>>(), ["a"]);
        journal.append(&put("c")).unwrap();
        let (_, objects) = Journal::open(&path).unwrap();
        assert_eq!(objects.keys().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn a_line_damaged_in_the_middle_is_an_error_not_a_loss() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "{\"key\":\"a\",\n{\"key\":\"b\",\"object\":null}\n").unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Corrupt(1))));
    }

    #[test]
    fn deletes_are_compacted_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&put("a")).unwrap();
        journal.append(&Line { key: Cow::Borrowed("a"), object: None }).unwrap();
        let (_, objects) = Journal::open(&path).unwrap();
        assert!(objects.is_empty());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let mut journal = Journal { file: OpenOptions::new().append(true).open("/dev/full").unwrap(), length: 0 };
        let error = journal.append(&put("a")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
