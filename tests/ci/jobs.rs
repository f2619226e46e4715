//! The jobs of the examples, in the shells of their services.

use super::{path_with, program, variables, yaml};
use crate::world::command::{Run, binary, clean, repository, run, toward};
use crate::world::site::{TARGET, World};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use yaml_serde::Value;

/// A world whose distribution has its own name, and a folder for a job.
async fn world() -> World {
    let world = World::new(&[("index.html", "welcome")]).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.aliases = vec!["www.example.com".to_owned()];
    world.edge.put_distribution(distribution).unwrap();
    world
}

/// The commands of a job as one script.
fn script(commands: &Value) -> String {
    let commands = commands.as_sequence().unwrap().iter().map(|command| command.as_str().unwrap());
    commands.collect::<Vec<_>>().join("\n")
}

/// AWS's token service, which returns keys for any token and records the requests.
struct Tokens {
    url: String,
    asked: Arc<Mutex<String>>,
}

impl Tokens {
    fn start() -> Tokens {
        const ANSWER: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
            <AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>test</SecretAccessKey><SessionToken>test</SessionToken>\
            <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
            </AssumeRoleWithWebIdentityResponse>";
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(String::new()));
        let keeps = asked.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while request.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let header = line.to_ascii_lowercase();
                    length = header.strip_prefix("content-length:").map_or(length, |rest| rest.trim().parse().unwrap());
                    line.clear();
                }
                let mut body = vec![0; length];
                request.read_exact(&mut body).unwrap();
                *keeps.lock().unwrap() += &String::from_utf8(body).unwrap();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n";
                write!(stream, "{head}content-length: {}\r\n\r\n{ANSWER}", ANSWER.len()).unwrap();
            }
        });
        Tokens { url, asked }
    }
}

/// A shell next to the built site, with an `aws` that copies the binary and shows the token that it finds. There
/// are no keys other than the role's.
fn shell(world: &World, tokens: &Tokens, script: &str) -> Command {
    let bin = world.outside().join("bin");
    let copies = format!(
        "echo \"$@\" >> aws-called\ncat \"$AWS_WEB_IDENTITY_TOKEN_FILE\" > token\ncp '{}' \"$4\"",
        binary().display()
    );
    program(&bin, "aws", &copies);
    let mut shell = clean("bash");
    toward(&mut shell, &world.edge).env("PATH", path_with(&bin)).env("AWS_ENDPOINT_URL_STS", &tokens.url);
    shell.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    shell.current_dir(world.outside()).args(["-eo", "pipefail", "-c", script]);
    shell
}

fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.outside().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn deployed(world: &World, tokens: &Tokens, run: Run) {
    let run = run.ended_with(0);
    assert!(run.stdout.contains("✓ Deployed "), "the log shows the deploy: {run:?}");
    assert_eq!(read(world, "token"), "a token of the job");
    assert_eq!(read(world, "aws-called").trim(), "s3 cp s3://CODE-BUCKET/shipfront-x86_64 shipfront");
    let asked = tokens.asked.lock().unwrap();
    for part in
        ["AssumeRoleWithWebIdentity", "WebIdentityToken=a%20token%20of%20the%20job", "111122223333%3Arole%2Fwww-deploy"]
    {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    let status = world.run(&["status", TARGET, "--json"]).expect(0).stdout;
    assert!(status.contains("\"number\": 41"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_of_gitlab_deploys_and_hands_over_what_its_page_shows() {
    let world = world().await;
    let job = &yaml("examples/gitlab/gitlab-ci.yml")["deploy"];
    let tokens = Tokens::start();
    let mut shell = shell(&world, &tokens, &script(&job["script"]));
    for (name, value) in job["variables"].as_mapping().unwrap() {
        let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
        match name {
            "AWS_REGION" => assert!(!value.is_empty()),
            "SHIPFRONT_DISTRIBUTION" => drop(shell.env(name, &world.distribution)),
            _ => drop(shell.env(name, value)),
        }
    }
    let (token, audience) = job["id_tokens"].as_mapping().unwrap().iter().next().unwrap();
    assert_eq!(audience["aud"], "https://gitlab.com");
    shell.env(token.as_str().unwrap(), "a token of the job").env("CI_PIPELINE_IID", "41");
    deployed(&world, &tokens, run(&mut shell));
    let reports = &job["artifacts"]["reports"];
    assert!(read(&world, reports["junit"].as_str().unwrap()).contains("<testcase"));
    let set = variables(&read(&world, reports["dotenv"].as_str().unwrap()));
    let url = job["environment"]["url"].as_str().unwrap().trim_start_matches('$');
    assert!(set.contains(&(url.to_owned(), "https://www.example.com/".to_owned())), "{set:?}");
    assert!(read(&world, job["artifacts"]["paths"][0].as_str().unwrap()).contains("<h1>Deployed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_step_of_bitbucket_deploys_and_hands_over_its_outputs() {
    let world = world().await;
    let pipelines = yaml("examples/bitbucket/bitbucket-pipelines.yml");
    let step = &pipelines["pipelines"]["branches"]["main"][1]["step"];
    assert_eq!(step["oidc"], true);
    let script = script(&step["script"]).replace("E2QWRUHAPOMQZL", &world.distribution);
    let script = script.replace("AWS_REGION=eu-central-1", "AWS_REGION=us-east-1");
    let tokens = Tokens::start();
    let mut shell = shell(&world, &tokens, &script);
    shell.env("BITBUCKET_STEP_OIDC_TOKEN", "a token of the job").env("BITBUCKET_BUILD_NUMBER", "41");
    shell.env("BITBUCKET_PIPELINES_VARIABLES_PATH", world.outside().join("variables"));
    deployed(&world, &tokens, run(&mut shell));
    let set = variables(&read(&world, "variables"));
    for name in step["output-variables"].as_sequence().unwrap() {
        let value = set.iter().find(|(known, _)| known == name.as_str().unwrap());
        assert!(value.is_some_and(|(_, value)| !value.is_empty()), "{name:?} in {set:?}");
    }
    assert!(read(&world, "test-results/deploy.xml").contains("<testcase"));
    assert!(read(&world, step["artifacts"][0].as_str().unwrap()).contains("<h1>Deployed"));
}

/// Runs the step that removes previews, with these open pull requests; `None` makes `gh` fail.
fn prune(open: Option<&[&str]>) -> (Run, String) {
    let workflow = yaml("examples/github/preview.yml");
    let steps = workflow["jobs"]["prune"]["steps"].as_sequence().unwrap();
    let text = steps.iter().find_map(|step| step["run"].as_str()).unwrap();
    assert!(!text.contains("${{"), "what is put into a script is run");
    let directory = tempfile::tempdir().unwrap();
    let bin = directory.path().join("bin");
    let gh = match open {
        Some(open) => format!("printf '%s\\n' {}", open.join(" ")),
        None => "echo pr-1; exit 1".to_owned(),
    };
    program(&bin, "gh", &gh);
    program(&bin, "shipfront", "echo \"$@\" > called; cat >> called");
    let mut shell = clean("bash");
    shell.env("PATH", path_with(&bin)).current_dir(directory.path()).args(["-e", "-c", text]);
    let run = run(&mut shell);
    (run, std::fs::read_to_string(directory.path().join("called")).unwrap_or_default())
}

#[test]
fn previews_of_closed_pull_requests_go_and_none_where_the_open_ones_are_not_known() {
    let (run, called) = prune(Some(&["pr-3", "pr-12"]));
    run.ended_with(0);
    assert_eq!(called, "previews --prune --keep-from -\npr-3\npr-12\nkeep-none\n");
    let (run, called) = prune(None);
    run.ended_with(1);
    assert_eq!(called, "", "a list that broke off removes nothing");
}

#[test]
fn a_fork_gets_no_role_and_what_packages_run_has_none() {
    for workflow in ["deploy", "preview"] {
        let workflow = yaml(&format!("examples/github/{workflow}.yml"));
        assert!(!workflow["on"].as_mapping().unwrap().contains_key("pull_request_target"));
        assert_eq!(workflow["permissions"].as_mapping().unwrap().len(), 1, "nothing but reading the repository");
        for (name, job) in workflow["jobs"].as_mapping().unwrap() {
            let runs_packages = job["steps"]
                .as_sequence()
                .unwrap()
                .iter()
                .any(|step| step["run"].as_str().is_some_and(|run| run.starts_with("npm")));
            let has_role = job["permissions"]["id-token"].as_str() == Some("write");
            assert!(has_role != runs_packages, "{name:?}");
            let of_pull_requests = workflow["on"].as_mapping().unwrap().contains_key("pull_request");
            let same = "github.event.pull_request.head.repo.full_name == github.repository";
            let condition = job["if"].as_str().unwrap_or_default();
            assert!(!has_role || !of_pull_requests || condition.contains(same), "{name:?}: {condition}");
        }
    }
}

/// The build of `examples/tools`, with a fake compiler.
#[test]
fn what_the_tools_build_is_what_the_other_templates_take() {
    if !crate::world::tools::has("python3") {
        return;
    }
    let template = yaml("examples/tools/template.yaml");
    let spec = template["Resources"]["Project"]["Properties"]["Source"]["BuildSpec"].as_str().unwrap();
    let spec: Value = yaml_serde::from_str(spec).unwrap();
    let phases = ["install", "build", "post_build"].map(|phase| script(&spec["phases"][phase]["commands"]));
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for folder in ["examples/lambda", "packaging"] {
        crate::world::command::copy_directory(&repository(folder), &root.join(folder));
    }
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        std::fs::copy(repository(file), root.join(file)).unwrap();
    }
    let tools = root.join("target/packaging-tools");
    let cargo = "while [ \"$1\" != --target ]; do shift; done\nmkdir -p \"target/$2/dist\"\n\
                 printf built >\"target/$2/dist/shipfront\"";
    program(&tools.join("bin"), "cargo", cargo);
    std::fs::copy(repository("packaging/requirements.txt"), tools.join("requirements.txt")).unwrap();
    let bin = root.join("bin");
    program(&bin, "curl", "echo true");
    program(&bin, "rustup", "[ \"$1\" != which ] || echo /toolchain/bin/rustc");
    program(&bin, "rustc", "echo /toolchain");
    program(&bin, "aws", "printf '%s\\n' \"$@\" > called");
    let mut shell = clean("bash");
    shell
        .env("PATH", path_with(&bin))
        .env("HOME", root)
        .env("CODE_BUCKET", "code")
        .env("CODEBUILD_BUILD_SUCCEEDING", "1");
    shell.current_dir(root).args(["-e", "-c", &phases.join("\n")]);
    run(&mut shell).ended_with(0);
    let called = std::fs::read_to_string(root.join("called")).unwrap();
    let sent: Vec<&str> = called.lines().collect();
    assert_eq!(
        sent,
        ["s3", "cp", "target/lambda/", "s3://code/", "--recursive", "--exclude", "*", "--include", "shipfront-*"]
    );
    let built = |key: &str| root.join("target/lambda").join(key);
    assert_eq!(std::fs::read_to_string(built("shipfront-x86_64")).unwrap(), "built");
    let examples = ["codebuild/template", "codepipeline-action/template", "codepipeline-action/invalidate-only"];
    for example in examples.into_iter().chain(["s3-events/template"]) {
        let template = yaml(&format!("examples/{example}.yaml"));
        let parameters = &template["Parameters"];
        let key = parameters["CodeKey"]["Default"].as_str().unwrap();
        assert!(Path::new(&built(key)).exists(), "{example} takes {key}");
        let bucket = parameters["CodeBucket"]["Description"].as_str().unwrap();
        assert!(bucket.starts_with("The bucket of examples/tools"), "{example}");
        if let Some(architecture) = parameters["Architecture"]["Default"].as_str() {
            assert!(built(&key.replace("arm64", architecture)).exists());
        }
    }
}

/// The YAML blocks in the documentation equal the examples, apart from comments.
#[test]
fn the_documents_show_the_jobs_that_are_tested() {
    for (document, examples) in [
        ("docs/github-actions.md", &["github/deploy.yml", "github/preview.yml"][..]),
        ("docs/gitlab.md", &["gitlab/gitlab-ci.yml"]),
        ("docs/bitbucket.md", &["bitbucket/bitbucket-pipelines.yml"]),
        ("docs/codebuild.md", &["codebuild/buildspec.yml"]),
    ] {
        let text = std::fs::read_to_string(repository(document)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let shown: Vec<Value> = blocks.map(|block| yaml_serde::from_str(block).unwrap()).collect();
        for example in examples {
            let known = yaml(&format!("examples/{example}"));
            assert!(shown.contains(&known), "{document} shows another {example}");
        }
    }
}
