//! The fuzzed functions, one target per file: a function that accepts any bytes and panics if something does not
//! hold.
//!
//! `fuzz_targets/` passes each to libFuzzer, which requires a nightly compiler; `tests/fuzzing.rs` runs all of them
//! on a stable one.

pub(crate) mod environment;
pub(crate) mod events;
pub(crate) mod exclude;
pub(crate) mod headers;
pub(crate) mod listing;
pub(crate) mod manifest;
pub(crate) mod plan;
pub(crate) mod redirects;
pub(crate) mod settings;
pub(crate) mod state;
