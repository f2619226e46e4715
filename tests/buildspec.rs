//! The entry point of CodeBuild: `buildspec.yml`, phase by phase, as CodeBuild runs it.
//!
//! From version 0.2 on, CodeBuild runs all commands of a build in one shell, ends a phase at the first command that
//! fails, and runs `post_build` even after a failed `build`
//! (<https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html>).

use crate::world::aws;
use crate::world::command::{Run, binary, clean, copy_directory, repository, run, toward};
use serde_json::Value;
use shipfront_edge::{Edge, Fault, Rule};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

const BUCKET: &str = "www.example.com";

/// The parts of a buildspec that matter here.
#[derive(serde::Deserialize)]
struct Buildspec {
    version: f64,
    env: Environment,
    phases: BTreeMap<String, Phase>,
    artifacts: Artifacts,
    reports: BTreeMap<String, Reports>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Environment {
    variables: BTreeMap<String, String>,
    exported_variables: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Phase {
    commands: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Reports {
    files: Vec<String>,
    file_format: String,
}

#[derive(serde::Deserialize)]
struct Artifacts {
    files: Vec<String>,
}

fn buildspec() -> Buildspec {
    yaml_serde::from_str(&std::fs::read_to_string(repository("buildspec.yml")).unwrap()).unwrap()
}

/// A build container: a checkout, a home, the binary in `PATH`, and an AWS account.
struct Project {
    edge: Edge,
    distribution: String,
    directory: TempDir,
    spec: Buildspec,
}

impl Project {
    async fn new() -> Project {
        let edge = aws::edge().await;
        let distribution = edge.ensure_site(BUCKET).unwrap();
        let mut named = edge.distribution(&distribution).unwrap();
        named.aliases = vec![BUCKET.to_owned()];
        edge.put_distribution(named).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        copy_directory(&repository("examples/site"), &root.join("checkout/examples/site"));
        std::fs::create_dir(root.join("bin")).unwrap();
        std::os::unix::fs::symlink(binary(), root.join("bin/shipfront")).unwrap();
        // What the install phase would download or compile already exists.
        for tool in ["cargo", "curl"] {
            let path = root.join("bin").join(tool);
            std::fs::write(&path, format!("#!/bin/sh\necho called {tool} >&2\nexit 99\n")).unwrap();
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, executable).unwrap();
        }
        Project { edge, distribution, directory, spec: buildspec() }
    }

    /// One build of `commit`, whose build phase succeeds or not according to `succeeding`; returns the last phase's
    /// run.
    fn build(&self, commit: &str, succeeding: bool) -> Build {
        let root = self.directory.path();
        let state = root.join("environment");
        let _ = std::fs::remove_file(&state);
        let mut succeeding = succeeding;
        let mut last = None;
        for phase in ["install", "pre_build", "build", "post_build"] {
            let Some(Phase { commands }) = self.spec.phases.get(phase) else { continue };
            if !succeeding && phase != "post_build" {
                continue;
            }
            let run = self.run_phase(commands, commit, succeeding, &state);
            assert!(phase == "post_build" || run.code == Some(0), "{phase}: {run:?}");
            succeeding &= run.code == Some(0);
            last = Some(run);
        }
        Build { post_build: last.unwrap(), exported: exported(&state, &self.spec.env.exported_variables) }
    }

    fn run_phase(&self, commands: &[String], commit: &str, succeeding: bool, state: &Path) -> Run {
        let root = self.directory.path();
        // One shell per phase is equivalent to one shell for all phases if each passes its variables to the next.
        let state = state.display();
        let before = format!("if [ -f '{state}' ]; then . '{state}'; fi");
        let script = format!("{before}\n{}\nexport -p > '{state}'\n", commands.join("\n"));
        let mut shell = clean("sh");
        for (name, value) in &self.spec.env.variables {
            shell.env(name, value);
        }
        let path = std::env::var("PATH").unwrap();
        toward(&mut shell, &self.edge)
            .env("PATH", format!("{}:{path}", root.join("bin").display()))
            .env("HOME", root)
            .env("SITE_TARGET", format!("s3://{BUCKET}"))
            .env("CODEBUILD_BUILD_ID", "site:0b2ad0ee")
            .env("CODEBUILD_BUILD_NUMBER", "7")
            .env("CODEBUILD_BUILD_SUCCEEDING", if succeeding { "1" } else { "0" })
            .env("CODEBUILD_INITIATOR", "user")
            .env("CODEBUILD_RESOLVED_SOURCE_VERSION", commit)
            .env("CODEBUILD_SRC_DIR", root.join("checkout"))
            .current_dir(root.join("checkout"));
        run(shell.args(["-e", "-c", &script]))
    }

    fn report(&self) -> Value {
        let report = std::fs::read(self.directory.path().join("checkout/deploy-report.json")).unwrap();
        serde_json::from_slice(&report).unwrap()
    }

    /// The report for CodeBuild's Reports tab.
    fn junit(&self) -> String {
        let checkout = self.directory.path().join("checkout");
        std::fs::read_to_string(checkout.join(&self.spec.reports["shipfront"].files[0])).unwrap()
    }

    fn uploads(&self) -> usize {
        let requests = self.edge.requests();
        let puts = requests.iter().filter(|request| {
            let key = request.key.as_deref().unwrap_or_default();
            request.operation == "PutObject" && !key.starts_with(".shipfront/")
        });
        puts.count()
    }
}

/// What a build left.
struct Build {
    post_build: Run,
    exported: BTreeMap<String, String>,
}

/// What a process started by the build's shell would find in these variables at its end.
fn exported(state: &Path, names: &[String]) -> BTreeMap<String, String> {
    let script = format!(". '{}'; env", state.display());
    let environment = run(clean("sh").args(["-c", &script])).stdout;
    let pairs = environment.lines().filter_map(|line| line.split_once('='));
    let wanted = pairs.filter(|(name, _)| names.iter().any(|wanted| wanted == name));
    wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn it_is_a_buildspec_that_codebuild_reads() {
    let spec = buildspec();
    assert_eq!(spec.version, 0.2);
    let phases: Vec<&str> = spec.phases.keys().map(String::as_str).collect();
    assert!(phases.iter().all(|phase| ["install", "pre_build", "build", "post_build"].contains(phase)), "{phases:?}");
    assert!(spec.phases["post_build"].commands.iter().any(|command| command.starts_with("shipfront deploy ")));
    let exported = ["SHIPFRONT_OUTCOME", "SHIPFRONT_URL", "SHIPFRONT_DEPLOY_ID", "SHIPFRONT_INVALIDATION_ID"];
    assert_eq!(spec.env.exported_variables, exported);
    assert_eq!(spec.artifacts.files, ["deploy-report.json"]);
    let Reports { files, file_format } = &spec.reports["shipfront"];
    assert_eq!((&files[..], file_format.as_str()), (&["deploy.xml".to_owned()][..], "JUNITXML"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_puts_the_site_live_and_exports_the_ids_of_what_it_did() {
    let project = Project::new().await;
    let build = project.build("3f2c1d0", true);
    let run = build.post_build.ended_with(0);
    assert!(!run.stderr.contains("called "), "{run:?}");
    assert!(run.stdout.contains("+ build.txt") && run.stdout.contains("✓ Deployed "), "it is in the log: {run:?}");

    let report = project.report();
    let keys = project.edge.objects(BUCKET).into_iter().map(|object| object.key);
    let keys: Vec<String> = keys.filter(|key| !key.starts_with(".shipfront/")).collect();
    assert!(keys.iter().any(|key| key == "blog/café-menü.html") && keys.iter().any(|key| key == "build.txt"));
    assert_eq!(report["objects"]["uploaded"], keys.len());
    assert_eq!(report["outcome"], "deployed");
    assert!(project.junit().contains("\"upload build.txt (new)\""), "{}", project.junit());

    let known = project.edge.invalidations(&project.distribution);
    assert_eq!(known.len(), 1);
    assert_eq!(build.exported["SHIPFRONT_INVALIDATION_ID"], known[0].id);
    assert_eq!(build.exported["SHIPFRONT_DEPLOY_ID"], report["deploy"].as_str().unwrap());
    assert!(!build.exported["SHIPFRONT_DEPLOY_ID"].is_empty());
    assert_eq!(build.exported["SHIPFRONT_URL"], "https://www.example.com/");
    assert_eq!(build.exported["SHIPFRONT_OUTCOME"], "deployed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_build_of_a_commit_uploads_nothing_and_the_next_commit_what_it_changed() {
    let project = Project::new().await;
    project.build("3f2c1d0", true).post_build.ended_with(0);
    project.edge.clear_requests();

    let again = project.build("3f2c1d0", true);
    again.post_build.ended_with(0);
    assert_eq!((project.uploads(), project.edge.invalidations(&project.distribution).len()), (0, 1));
    assert_eq!(project.report()["outcome"], "nothing-to-do");
    assert_eq!(again.exported["SHIPFRONT_INVALIDATION_ID"], "");
    assert!(!again.exported["SHIPFRONT_DEPLOY_ID"].is_empty());

    project.build("9a8b7c6", true).post_build.ended_with(0);
    assert_eq!((project.uploads(), project.edge.invalidations(&project.distribution).len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_build_nothing_is_sent() {
    let project = Project::new().await;
    let build = project.build("3f2c1d0", false);
    assert_ne!(build.post_build.code, Some(0), "{:?}", build.post_build);
    assert_eq!(project.edge.requests(), []);
    assert!(build.exported.is_empty(), "{:?}", build.exported);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_itself_refuses_to_deploy_a_failed_build() {
    let edge = aws::edge().await;
    edge.ensure_site(BUCKET).unwrap();
    let mut deploy = clean(binary());
    toward(&mut deploy, &edge).env("CODEBUILD_BUILD_SUCCEEDING", "0").arg("deploy");
    let refused = run(deploy.arg(repository("examples/site")).arg(format!("s3://{BUCKET}"))).ended_with(6);
    refused.says("CODEBUILD_BUILD_SUCCEEDING");
    assert_eq!(edge.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_fails_fails_the_phase_with_its_exit_code() {
    let project = Project::new().await;
    let deny = |operation: &str| {
        project.edge.faults().clear();
        let fault = Fault::Error { status: 403, code: "AccessDenied".to_owned(), message: String::new() };
        let operation = Some(operation.to_owned());
        project.edge.faults().add(Rule { operation, key: None, skip: 0, count: u64::MAX, fault });
    };
    for (operation, code, action) in
        [("PutObject", 1, "s3:PutObject"), ("CreateInvalidation", 4, "cloudfront:CreateInvalidation")]
    {
        deny(operation);
        let build = project.build("3f2c1d0", true);
        build.post_build.ended_with(code).says(action);
        assert!(build.exported.is_empty(), "{:?}", build.exported);
        assert!(project.junit().contains("<failure"), "{}", project.junit());
    }
}
