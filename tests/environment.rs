//! The environment as people and build systems leave it: line breaks, empty variables, names that are nearly right.

use crate::world::command::{Run, clean, repository, run as execute};
use crate::world::site::{TARGET, World};
use std::process::Command;

/// The binary with exactly these values of AWS's variables, pointed at the edge.
fn shipfront(world: &World, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command: Command = world.command(arguments);
    for (name, value) in variables {
        command.env(name, value);
    }
    execute(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_break_that_was_pasted_along_is_cut_off_and_an_empty_variable_is_not_set() {
    let world = World::deployed(&[("index.html", "i")]).await;
    let pasted = [
        ("AWS_REGION", "us-east-1\n"),
        ("AWS_ACCESS_KEY_ID", "test\r\n"),
        ("AWS_SECRET_ACCESS_KEY", "test\n"),
        ("AWS_SESSION_TOKEN", "token\n"),
    ];
    shipfront(&world, &["status", TARGET], &pasted).ended_with(0);
    let empty =
        ["AWS_REGION", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_CLOUDFRONT"];
    let empty = empty.iter().chain(&["SHIPFRONT_RECORD", "SHIPFRONT_CONFIG", "SHIPFRONT_MAX_PATHS", "SHIPFRONT_ENV"]);
    let empty: Vec<(&str, &str)> = empty.map(|name| (*name, "")).collect();
    shipfront(&world, &["status", TARGET], &empty).ended_with(0);
    let source = world.source();
    shipfront(&world, &["plan", source.to_str().unwrap(), TARGET], &empty).ended_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_request_can_carry_is_named_and_never_a_panic() {
    let world = World::deployed(&[("index.html", "i")]).await;
    for (name, value) in [
        ("AWS_REGION", "us east 1"),
        ("AWS_ACCESS_KEY_ID", "A\nB"),
        ("AWS_SECRET_ACCESS_KEY", "a\u{1}b"),
        ("AWS_SESSION_TOKEN", "a b"),
        ("AWS_ENDPOINT_URL", "localhost"),
        ("AWS_ENDPOINT_URL_S3", "http://a b/"),
        ("AWS_EXECUTION_ENV", "ci\n"),
        ("AWS_EXECUTION_ENV", "\n"),
        ("SHIPFRONT_RECORD", "s3://records/site\n"),
        ("SHIPFRONT_MAX_PATHS", "5\nx"),
    ] {
        let arguments = ["plan", world.source().to_str().unwrap(), TARGET].map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = shipfront(&world, &arguments, &[(name, value)]).ended_with(2);
        run.says(&format!("error: {name}: "));
    }
    shipfront(&world, &["status", TARGET, "--region", "us east"], &[]).ended_with(2).says("is not a region");
    shipfront(&world, &["status", TARGET, "--endpoint-url", "localhost:9"], &[]).ended_with(2).says("http://HOST:PORT");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_file_that_no_request_can_carry_are_refused() {
    let world = World::deployed(&[("index.html", "i")]).await;
    let file = world.outside().join("credentials");
    std::fs::write(&file, "[web]\naws_access_key_id = A\u{1}B\naws_secret_access_key = x\n").unwrap();
    let mut command = world.command(&["status", TARGET, "--profile", "web"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let run = execute(command.env("AWS_SHARED_CREDENTIALS_FILE", file)).ended_with(1);
    run.says("HTTP headers cannot contain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_nobody_reads_is_a_warning_with_the_nearest_name() {
    let world = World::deployed(&[("index.html", "i")]).await;
    let run = shipfront(&world, &["status", TARGET], &[("SHIPFRONT_MAXPATHS", "5")]).ended_with(0);
    run.says("warning: shipfront has no variable SHIPFRONT_MAXPATHS; did you mean SHIPFRONT_MAX_PATHS?");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_without_effect_are_warnings_with_what_may_be_meant() {
    let world = World::new(&[
        ("index.html", "i"),
        ("assets/app.js", "a"),
        ("_headers", "/assets/*\n  Cache-Control: max-age=9\n"),
    ])
    .await;
    let settings = "[[headers]]\nfiles = \"*\"\ncache-control = \"max-age 300\"\n[[headers]]\nfiles = \"/asset/**\"\ncache-control = \"no-cache\"\n";
    std::fs::write(world.outside().join("shipfront.toml"), settings).unwrap();
    let mut plan = world.command(&["plan", "public", TARGET]);
    let run = execute(plan.current_dir(world.outside())).ended_with(0);
    run.says("\"max-age 300\" is not a valid Cache-Control");
    run.says("did you mean \"max-age=300\"?");
    run.says("the header rule for \"/asset/**\" matches no file; did you mean \"/assets/**\"?");
    run.says("the header rule for \"*\" sets another Cache-Control than");
    run.says("has for /assets/*, such as for assets/app.js: the settings apply");
}

#[test]
fn the_policy_and_the_templates_are_those_of_the_partition() {
    let policy = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = clean(crate::world::command::binary());
        command.current_dir(std::env::temp_dir()).args(["policy", "s3://www.example.com"]).args(arguments);
        command.envs(variables.iter().copied());
        execute(&mut command).ended_with(0)
    };
    let china = policy(&[("AWS_REGION", "cn-north-1")], &[]);
    assert!(
        china.stdout.contains("arn:aws-cn:s3:::www.example.com") && !china.stdout.contains("arn:aws:"),
        "{china:?}"
    );
    let bucket = policy(&[], &["--region", "cn-north-1", "--bucket-policy", "--distribution", "E1"]);
    assert!(bucket.stdout.contains("arn:aws-cn:cloudfront::") && !bucket.stdout.contains("arn:aws:"), "{bucket:?}");
    let government = policy(&[], &["--partition", "aws-us-gov"]);
    assert!(government.stdout.contains("arn:aws-us-gov:s3:::"), "{government:?}");
    government.says("CloudFront is not in the partition aws-us-gov");

    let templates = ["hosting", "codebuild", "codepipeline-action", "s3-events"]
        .map(|name| repository(&format!("examples/{name}/template.yaml")));
    for template in templates {
        let text = std::fs::read_to_string(&template).unwrap();
        assert!(!text.contains("arn:aws:"), "{}", template.display());
    }
}

#[test]
fn init_takes_a_target_in_place_of_a_directory_or_beside_it() {
    for arguments in [&["s3://www.example.com"][..], &[".", "s3://www.example.com"], &["s3://www.example.com", "."]] {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join("htdocs")).unwrap();
        std::fs::write(project.path().join("htdocs/index.html"), "x").unwrap();
        let mut command = clean(crate::world::command::binary());
        execute(command.current_dir(project.path()).arg("init").args(arguments)).ended_with(0);
        let text = std::fs::read_to_string(project.path().join("shipfront.toml")).unwrap();
        assert!(
            text.contains("\ntarget = \"s3://www.example.com\"\n") && text.contains("\nsource = \"htdocs\"\n"),
            "{text}"
        );
    }
}
