//! When the program is a Lambda function, and when it is a command.

use crate::world::command::binary;
use crate::world::function::Function;
use crate::world::site::{World, run};
use std::os::unix::fs::symlink;
use std::process::Command;

/// The binary under another name.
fn named(world: &World, name: &str) -> Command {
    let path = world.outside().join(name);
    if !path.exists() {
        symlink(binary(), &path).unwrap();
    }
    let mut command = Command::new(path);
    world.settle(&mut command);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_asks_for_its_first_event() {
    let world = World::new(&[]).await;
    Function::start(&world, &[]).await.is_ready().await;
    assert!(world.edge.requests().is_empty(), "it calls nobody before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_outside_of_lambda_says_so() {
    let world = World::new(&[]).await;
    run(&mut named(&world, "bootstrap")).expect(2).says("AWS_LAMBDA_RUNTIME_API is not set").says("hint: ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_within_a_function_is_a_command() {
    // CodeBuild's Lambda compute runs builds in a function.
    let world = World::new(&[("index.html", "x")]).await;
    for name in ["shipfront", "bootstrap"] {
        let mut command = named(&world, name);
        command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env("AWS_LAMBDA_FUNCTION_NAME", "build");
        command.args(world.arguments("deploy", "s3://www.example.com", &[]));
        run(&mut command).expect(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_that_make_no_sense_end_the_function_at_its_start() {
    let world = World::new(&[]).await;
    let mut command = named(&world, "bootstrap");
    for name in ["RUNTIME_API", "FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE"] {
        command.env(format!("AWS_LAMBDA_{name}"), "x");
    }
    command.env("SHIPFRONT_OPTIONS", "--clean-url");
    run(&mut command).expect(2).says("--clean-url");
}
