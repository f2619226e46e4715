//! What a shell and a manual learn about the command line, and whether the documents are true.

use crate::world::command::{Run, binary, clean, on_terminal, repository, run};
use crate::world::tools;
use std::path::{Path, PathBuf};
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

/// What bash offers for a line, which ends in the word that is being typed.
fn offered(script: &str, line: &[&str]) -> String {
    let asked = "\nCOMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)); _shipfront shipfront \"${!#}\" \"${@: -2:1}\"; echo \"${COMPREPLY[@]}\"";
    let bash = ["--norc", "-c", &format!("{script}{asked}"), "bash"];
    let output = clean("bash").args(bash).args(line).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !tools::has("bash") {
        return;
    }
    let script = shipfront(&["completions", "bash"]).stdout;
    for (line, expected) in [
        (&["shipfront", "d"][..], "deploy doctor"),
        (&["shipfront", "deploy", "--prune"], "--prune-after"),
        (&["shipfront", "deploy", "--strategy", ""], "cover exact all"),
    ] {
        assert_eq!(offered(&script, line), expected, "{line:?}");
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

#[test]
fn examples_and_exit_codes_fit_a_narrow_terminal() {
    let help = shipfront(&["--help"]).stdout;
    let (_, tables) = help.split_once("Examples:\n").unwrap();
    let (tables, _) = tables.split_once("\nSettings:\n").unwrap();
    assert!(tables.lines().count() > 20 && tables.lines().all(|line| line.len() <= 60), "{tables}");
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

/// The documents for people, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let inside = |entry: &walkdir::DirEntry| !matches!(entry.file_name().to_str(), Some("target" | ".git"));
    let files = WalkDir::new(repository("")).into_iter().filter_entry(inside).map(Result::unwrap);
    let documents = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "md"));
    documents.map(|file| (file.path().to_owned(), std::fs::read_to_string(file.path()).unwrap())).collect()
}

/// Links within the repository: `[text](path)`, `![text](path)`, `src="path"` and `href="path"`.
fn links(text: &str) -> Vec<&str> {
    let starts = ["](", "src=\"", "href=\""];
    let found = starts.iter().flat_map(|start| text.split(start).skip(1)).filter_map(|rest| {
        let end = rest.find([')', '"', ' ', '\n'])?;
        Some(&rest[..end])
    });
    found.filter(|link| !link.contains("://") && !link.starts_with("mailto:")).collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = plain.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The number of links in a document, each of which must lead to a file, and to a heading in it if it names one.
fn follow(document: &Path, text: &str) -> usize {
    let links = links(text);
    for link in &links {
        let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
        // The index of a folder of the book is its README.
        let path = path.strip_suffix("index.md").map_or_else(|| path.to_owned(), |folder| format!("{folder}README.md"));
        let target = if path.is_empty() { document.to_owned() } else { document.with_file_name(path) };
        assert!(target.exists(), "{} links to {link}, which is not there", document.display());
        if !fragment.is_empty() {
            let text = std::fs::read_to_string(&target).unwrap();
            let anchors: Vec<String> = text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
            assert!(anchors.iter().any(|known| known == fragment), "{}: {link}", document.display());
        }
    }
    links.len()
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let seen: usize = documents().iter().map(|(document, text)| follow(document, text)).sum();
    assert!(seen > 70, "only {seen} links were found");
}

#[test]
fn the_book_has_every_document_and_its_links_lead_to_pages_of_it() {
    if !tools::has("python3") {
        return;
    }
    let book = tempfile::tempdir().unwrap();
    let mut build = clean("python3");
    run(build.arg(repository("docs/book/build")).arg("--sources-only").arg(book.path())).ended_with(0);
    let mut seen = 0;
    for (document, _) in documents() {
        let within = document.strip_prefix(repository("")).unwrap();
        // Files in other folders are for readers of the adjacent code.
        if within.components().count() == 1 || within.parent() == Some(Path::new("docs")) {
            let page = book.path().join(within);
            let text = std::fs::read_to_string(&page).map_err(|_| format!("{} is not in the book", within.display()));
            seen += follow(&page, &text.unwrap());
        }
    }
    assert!(seen > 70, "only {seen} links were found");
}

/// The program's text, with `…` for inserted values, without comments and tests.
fn source() -> String {
    let folders = ["src", "crates/site/src", "crates/invalidation/src"].into_iter();
    let files = folders.flat_map(|folder| WalkDir::new(repository(folder)).sort_by_file_name()).map(Result::unwrap);
    let files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"));
    let mut source = String::new();
    for file in files {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code = code.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
        // A string that continues on the next line.
        source += &code.collect::<Vec<_>>().join("\n").replace("\\\n", "");
    }
    let is_value = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '?' | '.' | '#'));
    let mut text = String::new();
    for (at, part) in source.split('{').enumerate() {
        match part.split_once('}').filter(|(value, _)| at > 0 && is_value(value)) {
            Some((_, rest)) => text.extend(["…", rest]),
            None => text += part,
        }
    }
    text
}

#[test]
fn every_message_of_the_troubleshooting_page_is_one_that_the_program_has() {
    let page = std::fs::read_to_string(repository("docs/troubleshooting.md")).unwrap();
    let messages: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    assert!(messages.len() > 40, "only {} messages were found", messages.len());
    let source = source();
    let gone: Vec<_> = messages.iter().filter(|message| !source.contains(**message)).collect();
    assert!(gone.is_empty(), "the program does not say: {gone:#?}");
}

/// The first lines of blocks of shell.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::trim).filter(|line| line.starts_with("shipfront "))
}

#[test]
fn every_option_that_a_document_shows_is_one_of_its_command() {
    for (document, text) in documents() {
        for command in commands(&text) {
            let typed = command.split(" #").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
            let words: Vec<&str> = typed.split_whitespace().skip(1).collect();
            let mut help = shipfront(&[words[0], "--help"]).stdout;
            // They accept a deploy's options, and refer to its help.
            if ["plan", "preview"].contains(&words[0]) {
                help += &shipfront(&["deploy", "--help"]).stdout;
            }
            for option in words.iter().filter_map(|word| word.strip_prefix("--")) {
                let name = option.split('=').next().unwrap_or_default();
                assert!(help.contains(&format!("--{name}")), "{}: {command}: --{name}", document.display());
            }
        }
    }
}
