//! How the binary comes to people: the npm packages, and names on which several files must agree.

#[cfg(unix)]
mod files;
#[cfg(unix)]
mod workflow;

use crate::world::command::{binary, clean, repository, run};
use crate::world::tools;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// This machine, in Node's words.
fn platform() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("linux-x64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        _ => None,
    }
}

fn can_run_npm_packages() -> bool {
    if platform().is_none() {
        tools::skipped("there is no package for this platform");
    }
    platform().is_some() && tools::has("node")
}

/// A project in whose `node_modules` the packages lie as npm puts them.
fn project() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let modules = directory.path().join("node_modules");
    let given = format!("{}={}", platform().unwrap(), binary().display());
    let output = clean("node").arg(repository("packaging/npm/build.mjs")).arg(&modules).arg(given).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let launcher = modules.join("shipfront/bin/shipfront.js");
    (directory, launcher)
}

fn manifest(launcher: &Path) -> serde_json::Value {
    let manifest = launcher.parent().unwrap().parent().unwrap().join("package.json");
    serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap()
}

#[test]
fn the_npm_launcher_runs_the_binary_with_its_arguments_and_ends_as_it_ends() {
    if !can_run_npm_packages() {
        return;
    }
    let (_directory, launcher) = project();
    let node = |arguments: &[&str]| run(clean("node").arg(&launcher).args(arguments));
    let version = node(&["--version"]).ended_with(0);
    assert_eq!(version.stdout.trim(), concat!("shipfront ", env!("CARGO_PKG_VERSION")));
    node(&["deploy", "a folder with spaces"]).ended_with(2).says("no target");
    assert_eq!(manifest(&launcher)["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn without_the_package_of_the_platform_the_npm_launcher_says_what_to_do() {
    if !can_run_npm_packages() {
        return;
    }
    let (directory, launcher) = project();
    std::fs::remove_dir_all(directory.path().join(format!("node_modules/shipfront-{}", platform().unwrap()))).unwrap();
    run(clean("node").arg(&launcher)).ended_with(1).says("--omit=optional");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_ends_the_npm_launcher_ends_the_deploy_in_good_order() {
    use crate::world::site::{TARGET, World, finish, stop};
    use shipfront_edge::{Fault, Gate};
    if !can_run_npm_packages() {
        return;
    }
    let (_directory, launcher) = project();
    let world = World::new(&[("app.css", "b {}"), ("index.html", "welcome")]).await;
    let gate = Gate::default();
    world.fault_of("PutObject", "app.css", 0, 1, Fault::Hold(gate.clone()));
    let mut command = Command::new("node");
    world.settle(command.arg(&launcher).args(world.arguments("deploy", TARGET, &[])));
    let mut child = command.spawn().unwrap();
    gate.reached().await;
    stop(&mut child, "TERM");
    gate.open();
    let run = finish(child).expect(130);
    assert_eq!((run.outcome(), run.objects("uploaded")), ("interrupted", 1));
}

/// The text of a file of the repository.
fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

#[test]
fn a_release_passes_the_projects_check_before_anything_is_published() {
    let workflow: serde_json::Value = yaml_serde::from_str(&text(".github/workflows/release.yml")).unwrap();
    let jobs = &workflow["jobs"];
    let needs = jobs["publish"]["needs"].as_array().unwrap();
    assert!(needs.iter().any(|job| job == "check"), "{needs:?}");
    let steps = jobs["check"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["run"] == ".ci/run"), "{steps:?}");
}

#[test]
fn all_that_install_a_release_look_for_the_archives_that_the_workflow_makes() {
    let workflow = text(".github/workflows/release.yml");
    let build = workflow.split("\n  windows:").next().unwrap();
    let targets: Vec<&str> = build.split("{target: ").skip(1).map(|rest| rest.split(',').next().unwrap()).collect();
    assert_eq!(targets.len(), 4);
    let (action, manifest) = (text("action.yml"), text("Cargo.toml"));
    for target in &targets {
        assert!(action.contains(&format!("target={target} ")), "{target}");
        assert!(workflow.contains(&format!("=shipfront-{target}/shipfront")), "npm: {target}");
    }
    assert!(manifest.contains("/releases/download/v{ version }/shipfront-{ target }.tar.gz"));
    for linux in targets.iter().filter(|target| target.contains("linux")) {
        let gnu = linux.replace("musl", "gnu");
        let (_, rest) = manifest.split_once(&format!("overrides.{gnu}]")).unwrap();
        assert!(rest.lines().take(3).all(|line| line.is_empty() || line.contains(linux)), "{rest}");
    }
    assert!(text("packaging/archive").contains("name=shipfront-$target"));
    let platforms: serde_json::Value = serde_json::from_str(&text("packaging/npm/platforms.json")).unwrap();
    for platform in platforms.as_object().unwrap().keys() {
        assert!(build.contains(&format!("npm: {platform}}}")), "{platform}");
    }
}

/// The script of the step of the action that installs.
fn script() -> String {
    let action: yaml_serde::Value = yaml_serde::from_str(&text("action.yml")).unwrap();
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    let install = steps.iter().find(|step| step["id"].as_str() == Some("install")).unwrap();
    install["run"].as_str().unwrap().to_owned()
}

/// A release page with one version, in which the archive for Linux has a script for a binary.
fn releases() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let name = "shipfront-x86_64-unknown-linux-musl";
    let page = directory.path().join("o/r/releases/download/v9.9.9");
    std::fs::create_dir_all(page.join(name)).unwrap();
    std::fs::write(page.join(name).join("shipfront"), "#!/bin/sh\necho shipfront 9.9.9\n").unwrap();
    let pack = format!(
        "chmod +x {name}/shipfront && tar -czf {name}.tar.gz {name} && sha256sum {name}.tar.gz > {name}.tar.gz.sha256"
    );
    let packed = Command::new("bash").args(["-c", &pack]).current_dir(&page).status().unwrap();
    assert!(packed.success());
    directory
}

fn install(releases: &TempDir, version: &str, reference: &str) -> (Output, String) {
    let runner = tempfile::tempdir().unwrap();
    let path = runner.path().join("path");
    let output = clean("bash")
        .args(["-c", &script()])
        .env("VERSION", version)
        .env("REF", reference)
        .env("REPOSITORY", "o/r")
        .env("SERVER", format!("file://{}", releases.path().display()))
        .env("RUNNER_TEMP", runner.path())
        .env("GITHUB_PATH", &path)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (output, std::fs::read_to_string(path).unwrap_or_default())
}

#[test]
fn the_action_installs_the_version_of_its_tag_or_the_one_that_is_named_and_nothing_that_was_altered() {
    if platform() != Some("linux-x64") {
        return tools::skipped("the release that the script installs here is for Linux on x86_64");
    }
    if !tools::has("curl") {
        return;
    }
    let releases = releases();
    for (version, reference) in [("9.9.9", "main"), ("", "v9.9.9")] {
        let (output, path) = install(&releases, version, reference);
        assert!(output.status.success(), "{output:?}");
        assert!(
            path.trim().ends_with("/shipfront") && String::from_utf8_lossy(&output.stdout).contains("shipfront 9.9.9")
        );
    }
    let (output, path) = install(&releases, "9.9.8", "v9.9.9");
    assert!(!output.status.success() && path.is_empty(), "{output:?}");
    let sum = releases.path().join("o/r/releases/download/v9.9.9/shipfront-x86_64-unknown-linux-musl.tar.gz.sha256");
    std::fs::write(&sum, std::fs::read_to_string(&sum).unwrap().replace(['0', '1', '2'], "3")).unwrap();
    let (output, path) = install(&releases, "9.9.9", "main");
    assert!(!output.status.success() && path.is_empty(), "{output:?}");
}

#[test]
fn the_container_image_has_the_binary_and_certificates_and_is_the_same_each_time() {
    if !tools::has("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary");
    std::fs::write(&binary, b"\x7fELF and the rest").unwrap();
    let made = |name: &str| {
        let out = folder.path().join(name);
        let mut image = clean("python3");
        image.arg(repository("packaging/image")).arg(&out).arg(format!("amd64={}", binary.display()));
        let certificates = repository("tests/world/root.pem");
        run(image.env("SSL_CERT_FILE", certificates)).ended_with(0);
        std::fs::read(out).unwrap()
    };
    let image = made("one.tar");
    assert_eq!(image, made("two.tar"));
    let names = Command::new("tar").arg("-tf").arg(folder.path().join("one.tar")).output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    assert!(names.contains("oci-layout") && names.contains("index.json"), "{names}");
    // The layer, the configuration, the manifest and the index of architectures.
    assert_eq!(names.lines().filter(|name| name.starts_with("blobs/sha256/") && name.len() > 60).count(), 4, "{names}");
}

#[test]
fn the_formula_names_the_archives_that_the_workflow_makes_with_their_checksums() {
    let workflow = text(".github/workflows/release.yml");
    let build = workflow.split("\n  windows:").next().unwrap();
    let targets: Vec<&str> = build.split("{target: ").skip(1).map(|rest| rest.split(',').next().unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    for (at, target) in targets.iter().enumerate() {
        let sum = format!("{at:064}  shipfront-{target}.tar.gz\n");
        std::fs::write(folder.path().join(format!("shipfront-{target}.tar.gz.sha256")), sum).unwrap();
    }
    let formula = |archives: &Path| {
        run(clean("bash").arg(repository("packaging/homebrew")).arg("https://example.com/o/r").arg(archives))
    };
    let made = formula(folder.path()).ended_with(0).stdout;
    for (at, target) in targets.iter().enumerate() {
        let lines = format!("shipfront-{target}.tar.gz\"\n      sha256 \"{at:064}\"");
        assert!(made.contains(&lines), "{target}: {made}");
    }
    std::fs::remove_file(folder.path().join(format!("shipfront-{}.tar.gz.sha256", targets[0]))).unwrap();
    assert_ne!(formula(folder.path()).code, Some(0));
}
