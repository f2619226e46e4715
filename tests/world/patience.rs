//! Waits for what must happen. How long that takes is not a result of a test: the limit only ends one that hangs.

use std::time::Duration;

/// Far more than anything takes that a test waits for.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
/// Pause between two checks.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `happened`; if a test waits in vain, it fails with the message of `otherwise`.
pub(crate) async fn until(mut happened: impl AsyncFnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let poll = async {
        while !happened().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(LIMIT, poll).await.is_err() {
        panic!("{}", otherwise());
    }
}
