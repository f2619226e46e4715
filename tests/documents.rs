//! What a shell and a manual are told of the command line, and whether the documents are true.

use crate::world::command::{Run, binary, clean, on_terminal, repository, run, skipped};
use std::path::PathBuf;
use walkdir::WalkDir;

fn shipfront(arguments: &[&str]) -> Run {
    run(clean(binary()).args(arguments)).ended_with(0)
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shipfront(&["completions", shell, "--quiet"]).stdout;
        for word in ["deploy", "invalidate", "doctor", "detailed-exit-code", "prune-after"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    run(clean(binary()).args(["completions", "tcsh"])).ended_with(2);
}

#[test]
fn bash_takes_its_completions() {
    let script = shipfront(&["completions", "bash"]).stdout;
    let asked =
        "\nCOMP_WORDS=(shipfront dep) COMP_CWORD=1; _shipfront shipfront dep shipfront; echo \"${COMPREPLY[@]}\"";
    match clean("bash").args(["--norc", "-c", &(script + asked)]).output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "deploy", "{output:?}"),
        Err(error) => skipped(&format!("no bash: {error}")),
    }
}

#[test]
fn the_manual_page_has_a_section_for_every_command_and_its_options() {
    let page = shipfront(&["man"]).stdout;
    assert!(page.contains(".TH shipfront 1"), "{}", &page[..200]);
    for command in ["DEPLOY", "PLAN", "INVALIDATE", "STATUS", "UNLOCK", "DOCTOR", "POLICY", "COMPLETIONS"] {
        assert!(page.contains(&format!(".SH \"SHIPFRONT {command}\"")), "{command}");
    }
    assert!(page.contains("prune\\-after") && page.contains("Exit codes"));
}

use crate::world::command::{Run, binary, clean, on_terminal, repository, run, skipped};
use std::path::PathBuf;
use walkdir::WalkDir;
    }
}
