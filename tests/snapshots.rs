//! What people read, as a whole: each file of `tests/snapshots/` is the output of a few commands, with what was
//! typed.
//!
//! A changed text shows up as a difference: review it, and accept it with `INSTA_UPDATE=always cargo test
//! snapshots` (or `cargo insta review`). With `CI` set, or `INSTA_UPDATE=no`, a snapshot that differs or was not
//! accepted fails.

mod commands;
mod deploys;
mod failures;
mod filters;

use crate::world::command::{binary, repository};
use crate::world::site::{Run, World, run};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A shell in whose directory the source is `public` and nothing else: what was typed in it, and the output.
struct Shell<'a> {
    world: &'a World,
    transcript: String,
}

impl<'a> Shell<'a> {
    fn of(world: &'a World) -> Shell<'a> {
        Shell { world, transcript: String::new() }
    }

    fn command(&self, line: &str) -> Command {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut command = self.world.command(&arguments);
        command.current_dir(self.world.outside());
        command
    }

    /// Runs `shipfront LINE`.
    fn types(&mut self, line: &str) -> &mut Self {
        let run = run(&mut self.command(line));
        self.came(line, &run)
    }

    /// Records the output of a run that this shell did not start.
    fn came(&mut self, line: &str, run: &Run) -> &mut Self {
        self.transcript += &format!("{}\n{}", format!("$ shipfront {line}").trim_end(), run.stdout);
        if !run.stderr.is_empty() {
            self.transcript += &format!("--- stderr\n{}", run.stderr);
        }
        self.transcript += &format!("--- exit {}\n\n", run.exit);
        self
    }

    /// Records what happens between two commands.
    fn meanwhile(&mut self, what: &str) -> &mut Self {
        self.transcript += &format!("# {what}\n\n");
        self
    }

    /// Compares everything with the snapshot of this name.
    #[track_caller]
    fn reads(&self, name: &str) {
        let directory = self.world.outside().to_str().unwrap();
        let known = [(directory, "[directory]"), (self.world.distribution.as_str(), "[distribution]")];
        pin(name, &self.transcript, &known);
    }
}

/// Compares a text, except for what differs from run to run, with the snapshot of this name.
#[track_caller]
fn pin(name: &str, text: &str, known: &[(&str, &str)]) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(repository("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, filters::stable(text, known)));
}

/// The site of most of these tests: two pages and their assets, deployed, with a record that viewers cannot read.
async fn deployed() -> World {
    let world = site().await;
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    world
}

/// The same before its first deploy.
async fn site() -> World {
    let world = World::new(&[
        ("404.html", "lost"),
        ("about/index.html", "about us"),
        ("assets/app.js", "code"),
        ("assets/style.css", "body {}"),
        ("index.html", "welcome"),
    ])
    .await;
    world.close_the_record().await;
    world
}

/// `--help` of every command, and `-h` of those that people use most, as wide as without a terminal.
#[test]
fn help_of_every_command() {
    let help = |arguments: &[&str]| {
        let mut command = crate::world::command::clean(binary());
        crate::world::command::run(command.args(arguments)).ended_with(0).stdout
    };
    let summary = help(&["--help"]);
    pin("help", &summary, &[]);
    pin("help-short", &help(&["-h"]), &[]);
    let (_, commands) = summary.split_once("Start:\n").unwrap();
    let (commands, _) = commands.split_once("\nOptions:\n").unwrap();
    let lines = commands.lines().filter(|line| line.starts_with("  "));
    let names: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"deploy") && names.len() > 20, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        pin(&format!("help-{name}"), &help(&[name, "--help"]), &[]);
    }
    for name in ["deploy", "plan", "invalidate", "rollback", "doctor"] {
        pin(&format!("help-short-{name}"), &help(&[name, "-h"]), &[]);
    }
}

/// No file is left of a test that no longer exists.
#[test]
fn every_snapshot_belongs_to_a_test() {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let files = |folder: &str, extension: &str| {
        let entries = std::fs::read_dir(repository(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect::<Vec<_>>()
    };
    let sources: String = files("tests/snapshots", "rs").iter().map(|path| read(path)).collect();
    let mut pinned = BTreeSet::new();
    for path in files("tests/snapshots", "snap") {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_help = name == "help" || name.starts_with("help-");
        assert!(is_help || sources.contains(&format!("\"{name}\"")), "no test makes {}", path.display());
        pinned.insert(name);
    }
    assert!(pinned.len() > 40, "{pinned:?}");
}
