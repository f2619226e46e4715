//! The binary as a person, a script or a build runs it.

use super::tools;
use serde_json::Value;
use shipfront_edge::Edge;
use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// How a run ended, and its output.
#[derive(Clone)]
pub(crate) struct Run {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn of(output: &Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The output of `--json`: all of stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}) in {self:?}"))
    }

    /// The run itself, if it ended with `code`.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Checks that stderr contains this.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.stderr.contains(text), "{text:?} is not in {self:?}");
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// The binary under test: that of this build, or the one that `SHIPFRONT_TEST_BINARY` names.
pub(crate) fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let named = std::env::var_os("SHIPFRONT_TEST_BINARY");
        named.map_or_else(|| env!("CARGO_BIN_EXE_shipfront").into(), PathBuf::from)
    });
    &BINARY
}

/// A program with `PATH` and nothing else of this environment, so that no AWS configuration of the user gets in.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    for name in ["PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The one root certificate of programs under test: no server uses TLS here, and the machine's hundreds of
/// certificates take longer to load than a small deploy.
pub(crate) const ROOT_CERTIFICATE: (&str, &str) =
    ("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/root.pem"));

/// Points a program at the edge with AWS's standard variables.
pub(crate) fn toward<'a>(command: &'a mut Command, edge: &Edge) -> &'a mut Command {
    command
        .env("AWS_ENDPOINT_URL", edge.api_url())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(ROOT_CERTIFICATE.0, ROOT_CERTIFICATE.1)
}

/// `shipfront ARGUMENTS` against the edge.
pub(crate) fn shipfront(edge: &Edge, arguments: &[&str]) -> Command {
    let mut command = clean(binary());
    toward(&mut command, edge).args(arguments);
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    Run::of(&command.output().unwrap())
}

/// Runs it to its end with `text` on stdin.
pub(crate) fn run_with_input(command: &mut Command, text: &str) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends without reading is not a failure of the test.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    Run::of(&child.wait_with_output().unwrap())
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Copies a directory of the repository, so that a test may edit it.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A command's output on a terminal of this width; `None`, with a message, if `script`, which creates one, is
/// missing.
pub(crate) fn on_terminal(command: &Command, columns: u16) -> Option<String> {
    if !tools::has("script") {
        return None;
    }
    let quoted = |word: &OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"));
    let words: Vec<String> = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut terminal = clean("script");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    terminal.env("NO_COLOR", "1").stdin(Stdio::null());
    terminal.args(["-qec", &format!("stty rows 40 cols {columns}; {}", words.join(" ")), "/dev/null"]);
    let output = terminal.output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n"))
}
