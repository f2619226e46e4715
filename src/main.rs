//! The terminal door: parse, run, exit code.

fn main() {}
