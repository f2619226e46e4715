//! What a shell and a manual are told of the command line.

use crate::world::command::{Run, binary, clean, on_terminal, run, skipped};

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

#[test]
fn examples_and_exit_codes_fit_a_narrow_terminal() {
    let help = shipfront(&["--help"]).stdout;
    let (_, tables) = help.split_once("Examples:\n").unwrap();
    let (tables, _) = tables.split_once("Settings come from").unwrap();
    assert!(tables.lines().count() > 20 && tables.lines().all(|line| line.len() <= 60), "{tables}");
}

#[test]
fn help_and_errors_show_flags_as_they_are_usually_typed() {
    for (arguments, said) in [
        (&[][..], "  -q, --quiet  "),
        (&["tags"], "<--enable|--backfill>"),
        (&["invalidate"], "<PATH>..."),
        (&["plan", "--no-such-flag"], "'--no-such-flag'"),
    ] {
        let refused = run(clean(binary()).args(arguments)).ended_with(2);
        refused.says(said);
        assert!(!refused.stderr.contains("[=<"), "{}", refused.stderr);
    }
}

#[test]
fn what_is_to_be_copied_is_not_broken_on_a_narrow_terminal() {
    let site = tempfile::tempdir().unwrap();
    let policy =
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";
    std::fs::write(site.path().join("_headers"), format!("/*\n  Content-Security-Policy: {policy}\n")).unwrap();
    std::fs::write(site.path().join("_redirects"), "/an-old-page/of-long-ago /a-new-page/of-today 301\n").unwrap();
    for command in ["headers", "redirects"] {
        let mut shown = clean(binary());
        shown.arg(command).arg(site.path());
        let Some(narrow) = on_terminal(&shown, 40) else { return };
        let piped = run(&mut shown).ended_with(0);
        assert!(narrow.contains(piped.stdout.trim_end()), "{narrow}\n{}", piped.stdout);
    }
}
