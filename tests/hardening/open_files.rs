//! A process that may have only a few files open: it does less at once, but nothing fails.

use crate::world::site::{Run, TARGET, World, run};
use std::process::Command;

/// Runs the binary with a limit of open files, such as `-Sn 64 -Hn 64`.
fn limited(world: &World, limits: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit {} && exec \"$0\" \"$@\"", limits.replace(" -H", " && ulimit -H"));
    command.args(["-c", &script]).arg(crate::world::command::binary()).args(arguments);
    world.settle(&mut command);
    command
}

async fn world(files: usize) -> World {
    let world = World::new(&[]).await;
    for at in 0..files {
        world.write(&format!("{:02}/page-{at:04}.html", at % 40), format!("page {at}"));
    }
    world
}

/// The requests that were in flight at first.
fn at_first(run: &Run) -> u64 {
    run.json["concurrency"]["turns"][0]["limit"].as_u64().unwrap()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn with_64_open_files_thousands_of_pages_are_deployed() {
    const FILES: usize = 3000;
    for limits in ["-Sn 64 -Hn 64", "-Sn 256 -Hn 256"] {
        let world = world(FILES).await;
        // In parts, several of which are read and sent at once.
        for name in ["a.webm", "b.webm", "c.webm", "d.webm"] {
            world.write(name, vec![1; 40 << 20]);
        }
        let run = run(&mut limited(&world, limits, &world.arguments("deploy", TARGET, &[]))).expect(0);
        assert_eq!(world.keys().len(), FILES + 4, "{limits}");
        assert_eq!(run.json["errors"].as_array().unwrap().len(), 0, "{limits}: {}", run.stdout);
        if limits.contains("64") {
            assert!(at_first(&run) <= 13, "{limits}: {}", at_first(&run));
        }
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_soft_limit_is_raised_and_costs_nothing() {
    let world = world(40).await;
    let run = run(&mut limited(&world, "-Sn 64", &world.arguments("deploy", TARGET, &[]))).expect(0);
    assert_eq!(at_first(&run), 64);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_local_edge_in_the_same_process_has_room_too() {
    let world = world(1000).await;
    let source = world.source().to_str().unwrap();
    let mut command = limited(&world, "-Sn 64 -Hn 64", &["deploy", source, "--local", "--json"]);
    command.env("SHIPFRONT_EDGE_DIRECTORY", world.outside().join("edge"));
    let run = run(&mut command).expect(0);
    assert_eq!(run.objects("uploaded"), 1000);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn where_hardly_anything_can_be_opened_it_says_so() {
    let world = World::deployed(&[("index.html", "welcome")]).await;
    let status = |limits| run(&mut limited(&world, limits, &["status", TARGET]));
    status("-Sn 7 -Hn 7").expect(1).says("error: the limit of open files is 7");
    status("-Sn 16 -Hn 16").expect(0);
}
