//! The local edge's own directory: inside the source, not writable, full, damaged.

use super::Machine;
use crate::world::command::run;
use crate::world::tools::skipped;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A deploy of the machine's site to a local edge in `directory`.
fn deploy_to(machine: &Machine, directory: &Path) -> Command {
    let mut command = machine.command(&["deploy", "SITE", "--local"]);
    command.env("SHIPFRONT_EDGE_DIRECTORY", directory);
    command
}

#[test]
fn a_directory_that_cannot_be_one_is_named_with_a_way_out() {
    let machine = Machine::new();
    let file = machine.directory.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    for directory in [file.clone(), file.join("below")] {
        let refused = run(&mut deploy_to(&machine, &directory)).ended_with(1);
        refused.says(&directory.display().to_string());
        refused.says("hint: set SHIPFRONT_EDGE_DIRECTORY");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

// Not even root can write there.
#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written_is_named_with_a_way_out() {
    let machine = Machine::new();
    let refused = run(&mut deploy_to(&machine, Path::new("/proc/self/edge"))).ended_with(1);
    refused.says("/proc/self/edge");
    refused.says("hint: set SHIPFRONT_EDGE_DIRECTORY");
}

/// A separate file system with little room; `None` if the test lacks the permissions for it.
struct SmallDisk {
    directory: PathBuf,
}

impl SmallDisk {
    fn mount(directory: PathBuf, size: &str) -> Option<SmallDisk> {
        std::fs::create_dir(&directory).unwrap();
        let disk = SmallDisk { directory };
        disk.tool("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).then_some(disk)
    }

    fn resize(&self, size: &str) {
        assert!(self.tool("mount", &["-o", &format!("remount,size={size}")]));
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).arg(&self.directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Even if nothing was mounted: then it fails, harmlessly.
        self.tool("umount", &[]);
    }
}

#[test]
fn a_full_disk_is_reported_and_the_next_run_with_room_finishes_the_work() {
    let machine = Machine::new();
    let Some(disk) = SmallDisk::mount(machine.directory.path().join("small"), "256k") else {
        return skipped("only root can mount a small file system");
    };
    let film = vec![7_u8; 1_000_000];
    machine.write("assets/film.mp4", &film);
    let before = super::snapshot(&machine.site());

    let partial = run(&mut deploy_to(&machine, &disk.directory)).ended_with(3);
    partial.says("disk full");
    partial.says("hint: free some space");
    partial.says("assets/film.mp4");
    assert!(partial.stdout.contains("failed or not started"), "{partial:?}");
    assert!(partial.stdout.contains(" live"), "what fits is kept: {partial:?}");

    disk.resize("16m");
    let whole = run(deploy_to(&machine, &disk.directory).arg("--json")).ended_with(0).json();
    assert_eq!(whole["outcome"], "deployed", "{whole:#}");
    let kept = whole["objects"]["kept"].as_u64().unwrap();
    assert!(kept > 0, "what had landed is not sent again: {whole:#}");
    assert_eq!(whole["objects"]["uploaded"].as_u64().unwrap() + kept, before.len() as u64, "{whole:#}");
    let again = run(deploy_to(&machine, &disk.directory).arg("--json")).ended_with(0).json();
    assert_eq!(again["outcome"], "nothing-to-do", "{again:#}");
    assert_eq!(super::snapshot(&machine.site()), before);
}

#[test]
fn a_disk_too_small_for_the_edge_itself_is_a_failure_that_names_the_directory() {
    let machine = Machine::new();
    let Some(disk) = SmallDisk::mount(machine.directory.path().join("tiny"), "4k,nr_inodes=3") else {
        return skipped("only root can mount a small file system");
    };
    let refused = run(&mut deploy_to(&machine, &disk.directory)).ended_with(1);
    refused.says(&disk.directory.display().to_string());
    refused.says("hint: set SHIPFRONT_EDGE_DIRECTORY");
}

#[test]
fn damaged_data_is_reported_and_never_mistaken_for_an_empty_bucket() {
    let machine = Machine::new();
    machine.deploy();
    let journals = walkdir::WalkDir::new(machine.edge().join("buckets")).into_iter().map(Result::unwrap);
    let journal = journals.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path());
    let journal = journal.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen('{', "#", 1)).unwrap();
    let refused = run(&mut deploy_to(&machine, &machine.edge())).ended_with(1);
    refused.says("is damaged at line 1");
    refused.says("hint: ");
}
