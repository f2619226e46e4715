//! What is fuzzed, one target a file: a function that takes any bytes and panics where something does not hold.
//!
//! `fuzz_targets/` gives each to libFuzzer, which takes a nightly compiler; `tests/fuzzing.rs` runs all of them on a
//! stable one.

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
