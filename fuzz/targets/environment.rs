//! The environment: whatever a variable contains, it is accepted, trimmed to what a request can carry, or refused
//! by name.

use shipfront::aws::environment::Environment;
use shipfront::config::variables::{check, unknown};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    // `NAME=value`, one after another, as in a process's environment block.
    let variables: Vec<(OsString, OsString)> = bytes
        .split(|byte| *byte == 0)
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b'=')?;
            Some((OsString::from_vec(line[..at].to_vec()), OsString::from_vec(line[at + 1..].to_vec())))
        })
        .collect();
    let named = |problem: String| {
        let is_named = variables.iter().any(|(name, _)| name.to_str().is_some_and(|name| problem.contains(name)));
        assert!(is_named, "{problem}");
    };
    let variable = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    if let Err(error) = Environment::read(variable) {
        named(error.to_string());
    }
    if let Err(error) = check(variables.clone()) {
        named(error.to_string());
    }
    unknown(variables.clone()).iter().map(ToString::to_string).for_each(named);
}
