//! A page as a real browser has it after its scripts ran.

use super::command::clean;
use super::tools;
use std::process::Stdio;

/// Debian's; `.ci/run` installs it where it is missing.
const CHROMIUM: &str = "/usr/bin/chromium";

/// The document of a page, as text, after so many milliseconds of the page's own time. `None` where there is no
/// browser, which is said.
pub(crate) fn document(url: &str, milliseconds: u32) -> Option<String> {
    if !tools::has(CHROMIUM) {
        return None;
    }
    let profile = tempfile::tempdir().unwrap();
    let mut browser = clean(CHROMIUM);
    browser.env("HOME", profile.path());
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    browser.arg("--disable-dev-shm-usage").arg(format!("--user-data-dir={}", profile.path().display()));
    browser.arg(format!("--virtual-time-budget={milliseconds}")).args(["--dump-dom", url]);
    let output = browser.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    Some(String::from_utf8(output.stdout).unwrap())
}
