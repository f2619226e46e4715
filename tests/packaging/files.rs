//! What is made of binaries, and the check of it before it is published.

use crate::world::command::{Run, clean, repository, run};
use crate::world::tools;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What ELF calls the machines.
const X86_64: u8 = 62;
const AARCH64: u8 = 183;

/// The head of a static Linux program, which is all that is looked at.
fn program(machine: u8) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[18] = machine;
    head[54] = 56;
    head
}

/// The files of a release for Linux, of programs for both architectures.
struct Page(TempDir);

impl Page {
    /// Made of these programs, which a release has for x86_64 and for aarch64.
    fn of(x86_64: &[u8], aarch64: &[u8]) -> Page {
        let page = Page(tempfile::tempdir().unwrap());
        let binaries = [x86_64, aarch64].map(|content| {
            let path = page.0.path().join(format!("binary-{}", fastrand::u64(..)));
            fs::write(&path, content).unwrap();
            path
        });
        let given = |names: [&str; 2]| -> Vec<String> {
            let pairs = names.iter().zip(&binaries);
            pairs.map(|(name, binary)| format!("{name}={}", binary.display())).collect()
        };
        let files = page.files();
        let made = |script: &str, out: &Path, names: [&str; 2]| {
            let mut command = clean("python3");
            command.env("SSL_CERT_FILE", repository("tests/world/root.pem"));
            run(command.arg(repository(script)).arg(out).args(given(names))).ended_with(0);
        };
        made("packaging/wheel", &files, ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]);
        made("packaging/lambda", &files, ["x86_64", "arm64"]);
        made("packaging/image", &files.join("shipfront-image.tar"), ["amd64", "arm64"]);
        page.sum();
        page
    }

    fn files(&self) -> PathBuf {
        self.0.path().join("files")
    }

    fn sum(&self) {
        let sum = "rm -f SHA256SUMS && sha256sum -- * >../sums && mv ../sums SHA256SUMS";
        run(clean("bash").args(["-ec", sum]).current_dir(self.files())).ended_with(0);
    }

    fn check(&self) -> Run {
        run(clean("python3").arg(repository("packaging/check")).arg(self.files()))
    }
}

#[test]
fn functions_wheels_and_images_are_the_same_each_time_and_pass_the_check() {
    if !tools::has("python3") {
        return;
    }
    let (one, two) = (Page::of(&program(X86_64), &program(AARCH64)), Page::of(&program(X86_64), &program(AARCH64)));
    let sums = |page: &Page| fs::read_to_string(page.files().join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&one), sums(&two));
    let said = one.check().ended_with(0).stdout;
    assert_eq!(said.lines().count(), 5, "{said}");
    assert!(said.contains("shipfront-arm64.zip: bootstrap, mode 755, aarch64, static"), "{said}");
    for platform in ["musllinux_1_1_x86_64", "musllinux_1_1_aarch64"] {
        assert!(said.contains(&format!("{platform}.whl: ")), "{said}");
    }
    assert!(said.contains(&format!("shipfront-{VERSION}-py3-none-manylinux_2_17_x86_64")), "{said}");
}

#[test]
fn what_is_not_as_it_should_be_does_not_pass_the_check() {
    if !tools::has("python3") {
        return;
    }
    // The architectures the wrong way round; a program that needs a C library.
    Page::of(&program(AARCH64), &program(X86_64)).check().ended_with(1).says("for x86_64, not aarch64");
    let mut dynamic = program(X86_64);
    // One entry of its table, right behind the head: an interpreter's.
    (dynamic[32], dynamic[56]) = (64, 1);
    dynamic.extend([3, 0, 0, 0].into_iter().chain([0; 52]));
    Page::of(&dynamic, &program(AARCH64)).check().ended_with(1).says("not static");

    let page = Page::of(&program(X86_64), &program(AARCH64));
    let zip = page.files().join("shipfront-arm64.zip");
    let whole = fs::read(&zip).unwrap();
    fs::write(&zip, &whole[1..]).unwrap();
    page.check().ended_with(1).says("another checksum");
    fs::write(&zip, &whole).unwrap();
    fs::write(page.files().join("notes.txt"), "x").unwrap();
    page.check().ended_with(1).says("SHA256SUMS names");
    page.sum();
    page.check().ended_with(1).says("nothing is known of such a file");
}
