//! Without an AWS account: `deploy --local` and `preview`, as a new user types them.

mod commands;
mod dashboard;
mod disk;
pub(crate) mod preview;
mod previews;
mod rules;
mod safety;

use crate::world::command::{Run, binary, clean, copy_directory, repository, run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A user's machine: where the local edge keeps its data, and a copy of the example site to edit.
pub(crate) struct Machine {
    directory: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let machine = Machine { directory: tempfile::tempdir().unwrap() };
        copy_directory(&repository("examples/site"), &machine.site());
        machine
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn site(&self) -> PathBuf {
        self.directory.path().join("site")
    }

    fn edge(&self) -> PathBuf {
        self.directory.path().join("edge")
    }

    /// `shipfront ARGUMENTS`; an argument `SITE` is replaced by the site's directory.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean(binary());
        command.env("SHIPFRONT_EDGE_DIRECTORY", self.edge());
        for &argument in arguments {
            match argument {
                "SITE" => command.arg(self.site()),
                _ => command.arg(argument),
            };
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// `deploy SITE --local --json`, which must succeed.
    #[track_caller]
    pub(crate) fn deploy(&self) -> Value {
        self.run(&["deploy", "SITE", "--local", "--json"]).ended_with(0).json()
    }

    pub(crate) fn write(&self, key: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.site().join(key), text).unwrap();
    }
}

/// Every file below a directory, with its bytes and when it was written.
fn snapshot(directory: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let files = walkdir::WalkDir::new(directory).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let read = |path: &Path| (std::fs::read(path).unwrap(), path.metadata().unwrap().modified().unwrap());
    files
        .map(|entry| {
            let (bytes, modified) = read(entry.path());
            (entry.into_path(), bytes, modified)
        })
        .collect()
}

/// Whether an item of an invalidation clears a URL's path.
fn clears(item: &str, url: &str) -> bool {
    item.strip_suffix('*').map_or(item == url, |start| url.starts_with(start))
}

#[test]
fn the_example_site_goes_up_whole_and_the_next_run_has_nothing_to_do() {
    let machine = Machine::new();
    let files = snapshot(&machine.site()).len();

    let first = machine.deploy();
    assert_eq!((&first["objects"]["uploaded"], first["invalidations"].as_array().unwrap().len()), (&files.into(), 1));

    let again = machine.deploy();
    assert_eq!((&again["outcome"], &again["objects"]["kept"]), (&"nothing-to-do".into(), &files.into()));
    assert_eq!((&again["requests"]["put"], &again["requests"]["create_invalidation"]), (&0.into(), &0.into()));
}

#[test]
fn an_edited_page_is_one_upload_and_the_urls_of_that_page() {
    let machine = Machine::new();
    machine.deploy();
    machine.write("docs/the-lens/index.html", "<!doctype html><title>The lens</title><p>Polished.</p>");

    let report = machine.deploy();
    assert_eq!(report["objects"]["uploaded"], 1, "{report:#}");
    assert_eq!(report["changes"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["changes"][0]["key"], "docs/the-lens/index.html");
    // The page, and a copy of the one before; the record's plan, lease, manifest and release.
    assert_eq!(report["requests"]["put"], 6, "{report:#}");
    assert_eq!(report["invalidations"].as_array().unwrap().len(), 1, "{report:#}");
    let invalidation = &report["invalidations"][0];
    assert_eq!((&invalidation["viewer_paths"], &invalidation["collateral"]), (&3.into(), &0.into()), "{report:#}");
    for url in ["/docs/the-lens", "/docs/the-lens/", "/docs/the-lens/index.html"] {
        let mut items = invalidation["items"].as_array().unwrap().iter().map(|item| item.as_str().unwrap());
        assert!(items.any(|item| clears(item, url)), "{url} in {report:#}");
    }
}

#[test]
fn a_touched_file_is_not_an_edited_one() {
    let machine = Machine::new();
    machine.deploy();
    let page = std::fs::read(machine.site().join("index.html")).unwrap();
    machine.write("index.html", page);
    assert_eq!(machine.deploy()["outcome"], "nothing-to-do");
}

#[test]
fn the_source_is_never_written_to() {
    let machine = Machine::new();
    let before = snapshot(&machine.site());
    machine.deploy();
    machine.run(&["plan", "SITE", "--local"]).ended_with(0);
    // From inside, where a relative path would end up in the source.
    let mut inside = machine.command(&["deploy", ".", "--local"]);
    run(inside.current_dir(machine.site())).ended_with(0);
    assert_eq!(snapshot(&machine.site()), before);
}

#[test]
fn a_plan_says_what_the_deploy_then_does_and_leaves_everything_to_it() {
    let machine = Machine::new();
    let plan = machine.run(&["plan", "SITE", "--local", "--json", "--detailed-exit-code"]).ended_with(10).json();
    let again = machine.run(&["plan", "SITE", "--local", "--json", "--detailed-exit-code"]).ended_with(10).json();
    assert_eq!(plan["changes"], again["changes"]);
    let report = machine.deploy();
    assert_eq!(plan["changes"], report["changes"]);
    assert_eq!(plan["invalidations"][0]["items"], report["invalidations"][0]["items"]);
    machine.run(&["plan", "SITE", "--local", "--detailed-exit-code"]).ended_with(0);
}

#[test]
fn mistakes_of_the_user_are_reported_with_a_way_out() {
    let machine = Machine::new();
    std::fs::create_dir(machine.directory.path().join("empty")).unwrap();
    for (arguments, code, said) in [
        (["deploy", "nosuch", "--local"], 2, "does not exist"),
        (["deploy", "site/index.html", "--local"], 2, "is a file, not a directory"),
        (["deploy", "empty", "--local"], 6, "no files to deploy"),
        (["deploy", "site", "www.example.com"], 2, "not an s3:// URL"),
    ] {
        let refused = run(machine.command(&arguments).current_dir(machine.directory.path())).ended_with(code);
        refused.says(said);
        refused.says("hint: ");
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
    let mut kept = snapshot(&machine.edge()).into_iter();
    assert!(!kept.any(|(_, bytes, _)| String::from_utf8_lossy(&bytes).contains("nosuch-")), "a bucket was left");
}
