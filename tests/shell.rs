//! The entry point of shell scripts: `examples/shell/invalidate.sh`.

use crate::world::aws;
use crate::world::command::{Run, binary, clean, repository, run, run_with_input, toward};
use crate::world::tools;
use shipfront_edge::{Edge, Fault, Rule};
use std::path::Path;
use std::process::Command;

struct Script {
    edge: Edge,
    id: String,
}

impl Script {
    async fn new() -> Script {
        let edge = aws::edge().await;
        let id = edge.ensure_site("site").unwrap();
        Script { edge, id }
    }

    /// `invalidate.sh ARGUMENTS` with the available `sh`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean("sh");
        toward(&mut command, &self.edge).env("SHIPFRONT", binary());
        command.arg(repository("examples/shell/invalidate.sh")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    fn sent(&self) -> Vec<Vec<String>> {
        self.edge.invalidations(&self.id).into_iter().map(|invalidation| invalidation.items).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_wildcards_are_invalidated_in_one_request() {
    let script = Script::new().await;
    script.run(&["/blog/", "/img/*", "a b.html"]).ended_with(0);
    assert_eq!(script.sent(), [["/a%20b.html", "/blog/", "/img/*"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_and_options_go_through() {
    let script = Script::new().await;
    run_with_input(&mut script.command(&["-"]), "/a\ncafé.html\n").ended_with(0);
    let json = script.run(&["--json", "--no-wait", "/b"]).ended_with(0).json();
    assert_eq!(json["outcome"], "invalidated");
    assert_eq!(script.sent(), [vec!["/a", "/caf%C3%A9.html"], vec!["/b"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_distribution_comes_from_a_variable() {
    let script = Script::new().await;
    let shop = script.edge.ensure_site("shop").unwrap();
    run(script.command(&["/a"]).env("DISTRIBUTION", &shop)).ended_with(0);
    assert_eq!(script.edge.invalidations(&shop).len(), 1);
    assert!(script.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn its_exit_code_is_the_one_of_shipfront() {
    let script = Script::new().await;
    script.run(&[]).ended_with(2).says("usage: invalidate.sh");
    script.run(&["--since"]).ended_with(2).says("--since needs a revision");
    run(script.command(&["/a"]).env("DISTRIBUTION", "E0000000000000")).ended_with(2).says("does not exist");
    run(script.command(&["/a"]).env("SHIPFRONT", "/nonexistent/shipfront")).ended_with(127).says("SHIPFRONT");
    let fault = Fault::Error { status: 403, code: "AccessDenied".to_owned(), message: String::new() };
    let operation = Some("CreateInvalidation".to_owned());
    script.edge.faults().add(Rule { operation, key: None, skip: 0, count: u64::MAX, fault });
    script.run(&["/a"]).ended_with(4).says("cloudfront:CreateInvalidation");
    assert!(script.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_saw_change_is_invalidated_under_its_old_and_its_new_name() {
    if !tools::has("git") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut git = clean("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-C"]).arg(directory.path());
        git.env("GIT_CONFIG_NOSYSTEM", "1").args(arguments).status().is_ok_and(|status| status.success())
    };
    assert!(git(&["init", "-q"]));
    let public = directory.path().join("public");
    std::fs::create_dir(&public).unwrap();
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    let commit = || assert!(git(&["add", "-A"]) && git(&["commit", "-q", "-m", "A build"]));
    for (name, text) in [("same.html", "s"), ("old name.html", "a longer text"), ("café.html", "one")] {
        write(&public.join(name), text);
    }
    write(&directory.path().join("README"), "one");
    commit();
    write(&directory.path().join("README"), "two");
    write(&public.join("café.html"), "two");
    std::fs::rename(public.join("old name.html"), public.join("new.html")).unwrap();
    commit();

    let script = Script::new().await;
    let public = public.to_str().unwrap();
    script.run(&["--since", "HEAD~1", public]).ended_with(0);
    assert_eq!(script.sent(), [["/caf%C3%A9.html", "/new.html", "/old%20name.html"]]);
    let nothing = script.run(&["--since", "HEAD", public]).ended_with(0);
    assert!(nothing.stdout.contains("Nothing changed"), "{nothing:?}");
    script.run(&["--since", "nosuch", public]).ended_with(2).says("git cannot compare with nosuch");
    assert_eq!(script.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_the_docs_for_what_git_saw_change_works_for_any_name() {
    if !tools::has("git") {
        return;
    }
    let docs = std::fs::read_to_string(repository("docs/shell.md")).unwrap();
    let line = docs.lines().find(|line| line.starts_with("git -C public diff")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut git = clean("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-C"]).arg(directory.path());
        assert!(git.env("GIT_CONFIG_NOSYSTEM", "1").args(arguments).status().unwrap().success());
    };
    let write = |text: &str| {
        std::fs::create_dir_all(directory.path().join("public")).unwrap();
        for name in ["caf\u{e9}.html", "a \"b\".html", "plain.html"] {
            std::fs::write(directory.path().join("public").join(name), text).unwrap();
        }
    };
    git(&["init", "-q"]);
    for text in ["one", "two"] {
        write(text);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "A build"]);
    }
    let script = Script::new().await;
    let line = line.replace("E2QWRUHAPOMQZL", &script.id);
    let path = std::env::join_paths(
        std::iter::once(binary().parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut shell = clean("sh");
    toward(&mut shell, &script.edge).args(["-c", &line]).current_dir(directory.path()).env("PATH", path.unwrap());
    run(&mut shell).ended_with(0);
    assert_eq!(script.sent(), [["/a%20%22b%22.html", "/caf%C3%A9.html", "/plain.html"]]);
}
