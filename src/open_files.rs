//! How many files and connections this process may have open, and what it does when there are no more.
//!
//! A macOS shell lets a process have 256 files open, including connections; the hard limit is far above. It is
//! raised at the start; the result bounds how many files are read and how many requests are in flight at once. If
//! another process, or an estimate that was too high, uses up the rest, "too many open files" is waited out: it
//! ends as soon as something is closed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a process has open in addition to files of the source and connections to S3: its streams, the runtime's
/// own, folders being walked, the connections to CloudFront and for the deploy record.
const RESERVE: u64 = 24;
/// With fewer, not even the runtime starts.
const LEAST: u64 = 16;
/// A request needs its connection, and its file, or two if the file is compressed.
const FOR_EACH: u64 = 3;
/// The local edge also needs the other end of the connection, and the file that it stores.
const FOR_EACH_LOCALLY: u64 = 6;
/// How long opening files may fail before that is an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause between attempts, which doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Raises the limit as far as this process may. If that fails, the limit stays.
pub fn raise_limit() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// The number of files that this process may have open, if that is too few to run at all.
pub fn too_few() -> Option<u64> {
    soft_limit().filter(|limit| *limit < LEAST)
}

/// The number of requests that may be in flight at once, at most `most`, so that their files and connections can be
/// open. `local` means that the other end of the connections is in this process as well.
pub fn at_once(most: usize, local: bool) -> usize {
    soft_limit().map_or(most, |limit| within(limit, most, local))
}

/// The number of files that this process may have open, if the system limits it: Windows limits only what the C
/// library opens.
fn soft_limit() -> Option<u64> {
    #[cfg(unix)]
    return rlimit::Resource::NOFILE.get_soft().ok();
    #[cfg(not(unix))]
    None
}

fn within(limit: u64, most: usize, local: bool) -> usize {
    let each = if local { FOR_EACH_LOCALLY } else { FOR_EACH };
    let room = usize::try_from(limit.saturating_sub(RESERVE) / each).unwrap_or(usize::MAX);
    room.min(most).max(1)
}

/// Whether an error, or one of its causes, says that this process or the machine has too many files open.
pub fn is_exhausted(error: &(dyn std::error::Error + 'static)) -> bool {
    // The inner error of an `io::Error` is not its source.
    let cause = |error: &(dyn std::error::Error + 'static)| {
        let made_of = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        made_of.map(|inner| is_exhausted(inner)).unwrap_or_default()
    };
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        code.is_some_and(|code| EXHAUSTED.contains(&code)) || cause(error)
    })
}

/// Too many open files, of this process (`EMFILE`) or of the machine (`ENFILE`). The same numbers on Linux, macOS
/// and the BSDs.
#[cfg(unix)]
const EXHAUSTED: [i32; 2] = [24, 23];
/// `ERROR_TOO_MANY_OPEN_FILES`, and `WSAEMFILE` for connections.
#[cfg(not(unix))]
const EXHAUSTED: [i32; 2] = [4, 10024];

/// Opens a file for reading, and waits while too many are open. Blocking.
pub fn open(path: &Path) -> io::Result<File> {
    patiently(|| File::open(path))
}

/// Retries an operation that needs an open file while too many are open. Blocking.
pub fn patiently<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    patiently_for(PATIENCE, attempt)
}

fn patiently_for<T>(patience: Duration, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match attempt() {
            Err(error) if is_exhausted(&error) && started.elapsed() < patience => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_open_bounds_what_is_in_flight() {
        assert_eq!(within(64, 256, false), 13);
        assert_eq!(within(256, 256, false), 77);
        assert_eq!(within(256, 256, true), 38);
        assert_eq!(within(1024, 256, false), 256);
        assert_eq!(within(10, 256, false), 1, "one at a time, whatever the limit");
        assert_eq!(within(u64::MAX, 8, true), 8);
    }

    #[test]
    fn too_many_open_files_are_waited_out_and_other_errors_are_not() {
        let mut tries = 0;
        let opened = patiently(|| {
            tries += 1;
            if tries < 4 { Err(io::Error::from_raw_os_error(EXHAUSTED[0])) } else { Ok(tries) }
        });
        assert_eq!(opened.unwrap(), 4);
        assert_eq!(open(Path::new("/no/such/file")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let never = || Err::<(), _>(io::Error::from_raw_os_error(EXHAUSTED[1]));
        assert!(is_exhausted(&patiently_for(Duration::from_millis(5), never).unwrap_err()));
    }

    #[test]
    fn what_caused_an_error_counts() {
        let wrapped = io::Error::other(io::Error::from_raw_os_error(EXHAUSTED[0]));
        assert!(is_exhausted(&wrapped));
        assert!(!is_exhausted(&io::Error::other("24")));
    }
}
