//! The JavaScript engine, if the crate is built with one.

#[cfg(feature = "functions")]
mod quickjs;
#[cfg(feature = "functions")]
mod subset;

use std::collections::BTreeMap;
use std::sync::Arc;

/// The result of running a function with an event.
#[derive(Debug)]
pub(super) struct Run {
    /// What it returned, as JSON, or why it failed.
    pub(super) output: Result<String, String>,
    /// What it wrote with `console.log`.
    pub(super) logs: Vec<String>,
    /// How many of its permitted steps it used, in percent (100 is all of them).
    pub(super) utilization: u32,
}

/// The contents of a key-value store.
pub(super) type Store = Arc<BTreeMap<String, String>>;

/// Runs the handler of `code` with an event in JSON; `None` if there is no engine. `cf.kvs()` reads `store`.
#[cfg(feature = "functions")]
pub(super) fn run(code: &str, event: &str, store: Option<Store>) -> Option<Run> {
    Some(quickjs::run(code, event, store))
}

/// There is no engine.
#[cfg(not(feature = "functions"))]
pub(super) fn run(_: &str, _: &str, _: Option<Store>) -> Option<Run> {
    None
}

#[cfg(all(test, feature = "functions"))]
mod tests;
