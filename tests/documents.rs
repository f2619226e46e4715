//! What a shell and a manual are told of the command line.

use crate::world::command::{Run, binary, clean, run, skipped};

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

/// What bash offers for a line, which ends in the word that is being typed.
fn offered(script: &str, line: &[&str]) -> Option<String> {
    let asked = "\nCOMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)); _shipfront shipfront \"${!#}\" \"${@: -2:1}\"; echo \"${COMPREPLY[@]}\"";
    match clean("bash").args(["--norc", "-c", &format!("{script}{asked}"), "bash"]).args(line).output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) => {
            skipped(&format!("no bash: {error}"));
            None
        }
    }
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let script = shipfront(&["completions", "bash"]).stdout;
    for (line, expected) in [
        (&["shipfront", "d"][..], "deploy doctor"),
        (&["shipfront", "deploy", "--prune"], "--prune-after"),
        (&["shipfront", "deploy", "--strategy", ""], "cover exact all"),
    ] {
        let Some(offered) = offered(&script, line) else { return };
        assert_eq!(offered, expected, "{line:?}");
    }
}

#[test]
fn the_manual_page_names_every_command_and_each_has_one_with_its_options() {
    let page = shipfront(&["man"]).stdout;
    assert!(page.starts_with(".TH shipfront 1 "), "{}", &page[..200]);
    assert!(page.contains(".SH EXAMPLES") && page.contains(".SH \"EXIT CODES\""));
    let commands: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("shipfront\\-")?.strip_suffix("(1)")).collect();
    for command in ["deploy", "plan", "invalidate", "status", "unlock", "doctor", "policy", "completions"] {
        assert!(commands.contains(&command), "{commands:?}");
    }
    for command in commands {
        let page = shipfront(&["man", command]).stdout;
        assert!(page.starts_with(&format!(".TH shipfront-{command} 1 ")) && page.contains(".SH OPTIONS"), "{page}");
    }
    let deploy = shipfront(&["man", "deploy"]).stdout;
    assert!(deploy.contains("\\fBshipfront deploy\\fR [OPTIONS] [SOURCE] [TARGET]"), "{deploy}");
    assert!(deploy.contains("prune\\-after"));
    run(clean(binary()).args(["man", "nothing"])).ended_with(2).says("no command nothing");
}
