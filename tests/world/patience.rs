//! Waiting for what must happen. How long that takes is no result of a test: the limit only ends one that hangs.

use std::time::Duration;

/// Far more than anything takes that a test waits for.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
/// How long to leave alone what has not happened yet.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `happened`; a test that waits in vain says so in the words of `otherwise`.
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
