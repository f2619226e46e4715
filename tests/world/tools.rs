//! The programs that tests need besides the binary: a test without one tests nothing, and says so.

use super::command::{clean, run};
use std::ffi::OsStr;
use std::io::Write;

/// Reports that a test did not run, and fails it if `CI=true`: there, a test that checked nothing must not pass.
#[track_caller]
pub(crate) fn skipped(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true nothing is skipped: {reason}");
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Directly to stderr: the output of a passing test is not shown.
    let _ = writeln!(std::io::stderr(), "skipped {name}: {reason}");
}

/// Whether a program answers to `--version`.
pub(crate) fn answers(program: impl AsRef<OsStr>) -> bool {
    clean(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Whether there is a program of this name that answers to `--version`; if there is none, the test is skipped.
#[track_caller]
pub(crate) fn has(program: &str) -> bool {
    let found = answers(program);
    if !found {
        skipped(&format!("there is no {program}"));
    }
    found
}

/// One test for each program, run by this very test program in an environment where nothing can be found.
#[test]
fn a_missing_program_fails_a_test_where_ci_is_true_and_is_reported_elsewhere() {
    for (program, test) in [
        ("bash", "documents::bash_completes_commands_flags_and_values"),
        ("git", "shell::what_git_saw_change_is_invalidated_under_its_old_and_its_new_name"),
        ("node", "packaging::the_npm_launcher_runs_the_binary_with_its_arguments_and_ends_as_it_ends"),
        ("python3", "ci::jobs::what_the_tools_build_is_what_the_other_templates_take"),
        ("script", "documents::what_is_to_be_copied_is_not_broken_on_a_narrow_terminal"),
    ] {
        for ci in [Some("true"), None] {
            let mut command = clean(std::env::current_exe().unwrap());
            command.env("PATH", "/nonexistent").envs(ci.map(|value| ("CI", value))).args(["--exact", test]);
            let ended = run(&mut command);
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains("running 1 test") && said.contains(&format!("there is no {program}")), "{said}");
            assert_eq!(ended.code == Some(0), ci.is_none(), "{said}");
        }
    }
}
