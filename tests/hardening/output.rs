//! A result that cannot be written is not a success, and a directory that is gone matters only to commands that
//! name it.

use crate::world::site::{TARGET, World, denied, run};
use std::fs::File;
use std::process::{Command, Stdio};

const SITE: [(&str, &str); 2] = [("a.css", "a{}"), ("index.html", "welcome")];

/// A stdout that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[cfg(target_os = "linux")]
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn json_that_cannot_be_written_ends_the_run_with_an_error() {
    let world = World::deployed(&SITE).await;
    world.close_the_record().await;
    for stdout in [unread as fn() -> Stdio, full] {
        let site = ["status", TARGET, "--json"];
        let plan = world.arguments("plan", TARGET, &["--detailed-exit-code"]);
        let deploy = world.arguments("deploy", TARGET, &[]);
        let doctor = ["doctor", TARGET, "--json"];
        world.write("index.html", format!("edit {:?}", std::time::Instant::now()));
        for arguments in [&site[..], &plan, &deploy, &doctor] {
            let run = run(world.command(arguments).stdout(stdout())).expect(1);
            run.says("cannot write the result to stdout");
        }
        // The deploy was done nevertheless.
        assert_eq!(world.plan(&[]).expect(0).json["changes"].as_array().unwrap().len(), 0);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_exit_code_that_indicates_a_problem_stays_and_text_may_have_no_reader() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, denied());
    run(world.command(&world.arguments("deploy", TARGET, &[])).stdout(unread())).expect(4);
    world.run(&["doctor", "s3://no-such-bucket", "--json"]).expect(1);
    // `shipfront status | head -1`.
    run(world.command(&["status", TARGET]).stdout(unread())).expect(0);
    run(world.command(&["status", TARGET]).stdout(full())).expect(1);
    run(world.command(&["man"]).stdout(unread())).expect(0);
    for document in [&["policy", "--bucket", "b-1"][..], &["completions", "bash"], &["schema"], &["man"]] {
        run(world.command(document).stdout(full())).expect(1).says("cannot write the result");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_source_is_deployed_from_a_directory_that_was_removed() {
    let world = World::new(&SITE).await;
    let gone = world.outside().join("gone");
    let from_there = |arguments: &[&str]| {
        std::fs::create_dir(&gone).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "cd \"$0\" && rmdir \"$0\" && exec \"$@\""]).arg(&gone);
        command.arg(crate::world::command::binary()).args(arguments);
        world.settle(&mut command);
        run(&mut command)
    };
    from_there(&world.arguments("deploy", TARGET, &[])).expect(0);
    assert_eq!(world.keys().len(), 2);
    from_there(&["status", TARGET]).expect(0);
    // Its settings are found next to it.
    std::fs::write(
        world.outside().join("shipfront.toml"),
        "target = \"s3://www.example.com\"\nexclude = [\"*.css\"]\n",
    )
    .unwrap();
    let found = from_there(&["plan", world.source().to_str().unwrap(), "--json"]).expect(0);
    found.says("Settings from");
    from_there(&["plan", "public", TARGET]).expect(2).says("the working directory was removed");
}

/// Whoever asks for JSON reads stdout, also where the line makes no sense.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_cannot_be_read_is_json_where_that_is_asked_for() {
    let world = World::new(&SITE).await;
    for (line, error) in [
        (&["deploy", "site", "--bogus", "--json"][..], "unknown option '--bogus'"),
        (&["--json", "deplyo"][..], "unknown command 'deplyo'"),
        (&["plan", "--json=true", "--max-delete", "few"][..], "invalid value 'few' for '--max-delete <N>'"),
    ] {
        let run = world.run(line).expect(2);
        assert_eq!(run.outcome(), "failed", "{line:?}: {}", run.stdout);
        assert!(run.json["error"].as_str().is_some_and(|said| said.starts_with(error)), "{line:?}: {}", run.stdout);
        assert!(run.stderr.contains("error:"), "{}", run.stderr);
    }
    assert_eq!(world.run(&["deploy", "site", "--bogus"]).expect(2).stdout, "");
}
