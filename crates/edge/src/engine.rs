//! The JavaScript engine, where the crate is built with one.

#[cfg(feature = "functions")]
mod quickjs;
#[cfg(feature = "functions")]
mod subset;

use std::collections::BTreeMap;
use std::sync::Arc;

/// What a function made of an event.
#[derive(Debug)]
pub(super) struct Run {
    /// What it returned, as JSON, or why it did not.
    pub(super) output: Result<String, String>,
    /// What it wrote with `console.log`.
    pub(super) logs: Vec<String>,
    /// How much of the steps it may take it took, of 100.
    pub(super) utilization: u32,
}

/// The contents of a key-value store.
pub(super) type Store = Arc<BTreeMap<String, String>>;

/// Runs the handler of `code` with an event in JSON; `None` where there is no engine. `store` is what `cf.kvs()` reads.
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
