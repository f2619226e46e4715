//! The release workflow: what its steps run in a shell, on the files that the jobs before them hand over.

use super::text;
use crate::ci::{path_with, program};
use crate::world::command::{Run, clean, copy_directory, repository, run};
use crate::world::tools;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const LINUX: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];
const MACS: [&str; 2] = ["x86_64-apple-darwin", "aarch64-apple-darwin"];

/// GitHub's machines: a folder for each job, and programs that are not to be run in earnest.
struct Runners {
    workflow: Value,
    directory: TempDir,
}

impl Runners {
    fn new() -> Runners {
        let workflow = yaml_serde::from_str(&text(".github/workflows/release.yml")).unwrap();
        let runners = Runners { workflow, directory: tempfile::tempdir().unwrap() };
        let bin = runners.path("bin");
        program(&bin, "gh", "printf '%s\\n' \"$@\" >gh.called");
        program(&bin, "7z", "shift && tar -czf \"$@\"");
        let pack = "for folder; do tar -C \"$folder\" -czf \"$(basename \"$folder\")-$VERSION.tgz\" .; done";
        program(&bin, "npm", &format!("[ \"$1\" = pack ] || {{ echo \"$@\" >>npm.called; exit; }}\nshift\n{pack}"));
        runners
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A job's folder, with what its steps need of the repository.
    fn job(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        copy_directory(&repository("packaging"), &folder.join("packaging"));
        for file in ["Cargo.toml", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            fs::copy(repository(file), folder.join(file)).unwrap();
        }
        folder
    }

    /// Runs a step of a job in its folder, as GitHub does.
    fn step(&self, job: &str, named: &str, tag: &str) -> Run {
        let steps = self.workflow["jobs"][job]["steps"].as_array().unwrap();
        let is_it = |step: &&Value| step["name"] == named || step["run"].as_str().is_some_and(|run| run == named);
        let step = steps.iter().find(is_it).unwrap_or_else(|| panic!("{job} has no step {named}"));
        let filled = |text: &str| {
            text.replace("${{ github.server_url }}/${{ github.repository }}", "https://example.com/o/r")
                .replace("${{ github.ref_name }}", tag)
                .replace("${{ github.token }}", "token")
        };
        let script = step["run"].as_str().unwrap();
        assert!(!script.contains("${{"), "{script}");
        let mut shell = clean("bash");
        shell.current_dir(self.path(job)).args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        shell.env("PATH", path_with(&self.path("bin"))).env("VERSION", VERSION);
        shell
            .env("GITHUB_SERVER_URL", "https://example.com")
            .env("GITHUB_REPOSITORY", "o/r")
            .env("GITHUB_REF_NAME", tag);
        shell.env("SSL_CERT_FILE", repository("tests/world/root.pem"));
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            shell.env(name, filled(value.as_str().unwrap()));
        }
        run(&mut shell)
    }
}

/// Names of the files of a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What the job `build` hands over for a target.
fn archive(folder: &Path, target: &str) {
    let name = format!("shipfront-{target}");
    fs::create_dir_all(folder.join(&name)).unwrap();
    fs::write(folder.join(&name).join("shipfront"), b"\x7fELF and the rest").unwrap();
    fs::write(folder.join(format!("{name}.cdx.json")), "{}").unwrap();
    let pack =
        format!("tar -czf {name}.tar.gz {name} && sha256sum {name}.tar.gz >{name}.tar.gz.sha256 && rm -r {name}");
    run(clean("bash").args(["-c", &pack]).current_dir(folder)).ended_with(0);
}

#[test]
fn the_steps_of_a_release_make_its_page_of_what_the_jobs_hand_over() {
    if !tools::has("python3") || !tools::has("node") {
        return;
    }
    let (runners, tag) = (Runners::new(), format!("v{VERSION}"));
    let artifacts = runners.job("publish").join("artifacts");
    for target in LINUX.into_iter().chain(MACS) {
        let folder = artifacts.join(format!("archive-{target}"));
        fs::create_dir_all(&folder).unwrap();
        archive(&folder, target);
    }

    // Only the tag of this version is one.
    runners.job("version");
    let is_version = "grep -qx \"version = \\\"${TAG#v}\\\"\" Cargo.toml";
    runners.step("version", is_version, &tag).ended_with(0);
    runners.step("version", is_version, "v9.9.9").ended_with(1);

    let windows = runners.job("windows");
    fs::create_dir_all(windows.join("target/dist")).unwrap();
    fs::write(windows.join("target/dist/shipfront.exe"), "MZ").unwrap();
    runners.step("windows", "Pack it", &tag).ended_with(0);
    let zip = "shipfront-x86_64-pc-windows-msvc.zip";
    fs::create_dir(artifacts.join("archive-x86_64-pc-windows-msvc")).unwrap();
    fs::rename(windows.join(zip), artifacts.join("archive-x86_64-pc-windows-msvc").join(zip)).unwrap();

    // As download-artifact merges what it downloads.
    for job in ["files", "npm"] {
        let archives = runners.job(job).join("archives");
        for folder in names(&artifacts) {
            copy_directory(&artifacts.join(folder), &archives);
        }
    }
    runners.step("files", "Make them", &tag).ended_with(0);
    copy_directory(&runners.path("files/files"), &artifacts.join("files"));
    let made = ["shipfront-arm64.zip", "shipfront-image.tar", "shipfront-x86_64.zip", "shipfront.rb"];
    assert_eq!(names(&artifacts.join("files")), made);

    runners.step("npm", "Pack them", &tag).ended_with(0);
    fs::create_dir(artifacts.join("npm")).unwrap();
    for name in names(&runners.path("npm/npm")).into_iter().filter(|name| name.ends_with(".tgz")) {
        fs::rename(runners.path("npm/npm").join(&name), artifacts.join("npm").join(name)).unwrap();
    }
    copy_directory(&runners.path("files/wheels"), &artifacts.join("wheels"));

    runners.step("publish", "Release page", &tag).ended_with(0);
    let page = runners.path("publish/page");
    run(clean("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&page)).ended_with(0);
    let called = fs::read_to_string(runners.path("publish/gh.called")).unwrap();
    assert!(called.starts_with(&format!("release\ncreate\n{tag}\n--verify-tag\n")), "{called}");
    let sums = fs::read_to_string(page.join("SHA256SUMS")).unwrap();
    for name in names(&page) {
        assert!(called.contains(&format!("page/{name}\n")), "{name} is not on the page: {called}");
        assert!(name == "SHA256SUMS" || sums.contains(&format!("  {name}\n")), "{name} has no checksum: {sums}");
    }
    // Three files a target, the one for Windows, those that were made, and the checksums.
    assert_eq!(names(&page).len(), 3 * 4 + 1 + made.len() + 1, "{:?}", names(&page));
    runners.step("publish", "Collect the wheels", &tag).ended_with(0);
    // For each target one that says where it runs.
    let wheels = names(&runners.path("publish/dist"));
    assert_eq!(wheels.len(), 4, "{wheels:?}");
    for platform in ["musllinux_1_1_x86_64", "musllinux_1_1_aarch64", "macosx_10_12_x86_64", "macosx_11_0_arm64"] {
        assert!(wheels.iter().any(|name| name.ends_with(&format!("{platform}.whl"))), "{wheels:?}");
    }

    runners.step("publish", "npm, the platforms first", &tag).ended_with(0);
    let called = fs::read_to_string(runners.path("publish/npm.called")).unwrap();
    let published: Vec<&str> = called.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(published.len(), 5, "{called}");
    assert_eq!(*published.last().unwrap(), format!("artifacts/npm/shipfront-{VERSION}.tgz"));
}
