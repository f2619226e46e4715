//! `targets/environment.rs`, for libFuzzer.
#![no_main]

#[path = "../targets/environment.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::run(bytes));
