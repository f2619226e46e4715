//! A page as a real browser shows it after its scripts have run.

use super::command::clean;
use super::tools;
use std::ffi::OsString;
use std::process::Stdio;

/// The names of Chromium; Debian's is the first, and `.ci/run` installs it if there is none.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The browser that `CHROME` names, or the first one in `PATH`.
pub(crate) fn browser() -> Option<OsString> {
    let named = std::env::var_os("CHROME").filter(|name| !name.is_empty());
    let mut known = named.into_iter().chain(NAMES.map(OsString::from));
    let found = known.find(|name| tools::answers(name));
    if found.is_none() {
        tools::skipped("there is no Chromium in PATH, and CHROME names none");
    }
    found
}

/// The document of a page, as text, after this many milliseconds of the page's own time. `None`, with a message, if
/// there is no browser.
pub(crate) fn document(url: &str, milliseconds: u32) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let mut browser = clean(browser()?);
    browser.env("HOME", profile.path());
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    browser.arg("--disable-dev-shm-usage").arg(format!("--user-data-dir={}", profile.path().display()));
    browser.arg(format!("--virtual-time-budget={milliseconds}")).args(["--dump-dom", url]);
    let output = browser.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    Some(String::from_utf8(output.stdout).unwrap())
}
