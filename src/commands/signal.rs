//! SIGINT, SIGTERM and SIGHUP, and what Windows has in their place: the first lets what is in flight finish, the second
//! ends the process.

use crate::exit::Exit;
use crate::terminal::Terminal;
#[cfg(unix)]
use std::sync::LazyLock;
#[cfg(unix)]
use tokio::signal::unix::SignalKind;
#[cfg(windows)]
use tokio::signal::windows;
use tokio_util::sync::CancellationToken;

/// The message of a command that changes a site when it is asked to stop.
pub(super) const FINISHING: &str =
    "Stopping: finishing and invalidating what is in flight; press Ctrl-C again to stop at once";

/// A token that the first signal cancels, after which `saying` is shown.
pub(super) fn stop_on_signal(terminal: &Terminal, saying: &'static str) -> CancellationToken {
    let stop = CancellationToken::new();
    let (on_signal, terminal) = (stop.clone(), *terminal);
    tokio::spawn(async move {
        signal().await;
        on_signal.cancel();
        terminal.say(saying);
        signal().await;
        #[expect(clippy::exit, reason = "the person asked twice")]
        std::process::exit(Exit::Interrupted as i32);
    });
    stop
}

async fn signal() {
    #[cfg(unix)]
    tokio::select! {
        () = arrival(SignalKind::terminate()) => {}
        () = arrival(SignalKind::hangup()), if !is_hangup_ignored() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    // Ctrl-Break is what a build that is canceled sends, too. Windows ends a process whose window was closed after
    // 5 seconds, whatever it does (<https://learn.microsoft.com/windows/console/handlerroutine>).
    #[cfg(windows)]
    tokio::select! {
        () = arrival(windows::ctrl_break(), async |signal| _ = signal.recv().await) => {}
        () = arrival(windows::ctrl_close(), async |signal| _ = signal.recv().await) => {}
        () = arrival(windows::ctrl_shutdown(), async |signal| _ = signal.recv().await) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Waits for a signal, for ever where it cannot be listened to.
#[cfg(windows)]
async fn arrival<T>(signal: std::io::Result<T>, wait: impl AsyncFnOnce(&mut T)) {
    match signal {
        Ok(mut signal) => wait(&mut signal).await,
        Err(_) => std::future::pending().await,
    }
}

/// Waits for a signal, forever if it cannot be received.
#[cfg(unix)]
async fn arrival(kind: SignalKind) {
    match tokio::signal::unix::signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Whether the run was started to outlive its terminal, as with `nohup`. Linux reports ignored signals as bits,
/// starting at the lowest; once the program listens to one, it is no longer among them.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    const HANGUP: u64 = 1;
    static IGNORED: LazyLock<bool> = LazyLock::new(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & HANGUP != 0)
    });
    *IGNORED
}
