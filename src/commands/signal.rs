//! SIGINT and SIGTERM: the first lets what is in flight finish, the second ends the process.

use crate::exit::Exit;
use crate::terminal::Terminal;
use tokio_util::sync::CancellationToken;

/// What a command that changes a site says when it is asked to stop.
pub(super) const FINISHING: &str = "stopping: what is in flight is finished and invalidated; once more to stop at once";

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
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
