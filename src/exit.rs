//! Exit codes: what a script may conclude from how shipfront ended.

use std::process::ExitCode;

/// How a run ended. The numbers are an interface: README and `--help` list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Failed; nothing was changed.
    Failed = 1,
    /// The command line, or something it names, makes no sense.
    Usage = 2,
    /// Some files failed; everything that was changed is live and invalidated.
    Partial = 3,
    /// Live but stale: an invalidation failed.
    Stale = 4,
    /// Another deploy holds the lock of the target, or a newer build came first.
    Locked = 5,
    /// A guard refused; nothing was changed.
    Refused = 6,
    /// Live, but `--verify` found a difference, which the next run invalidates again, or got no response.
    Different = 7,
    /// `plan --detailed-exit-code` found changes.
    Changes = 10,
    /// Stopped by SIGINT or SIGTERM; everything that had been changed was invalidated.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
