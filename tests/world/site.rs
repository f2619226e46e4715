//! A site to deploy, an edge to deploy it to, and the binary that does it.

use super::command::{ROOT_CERTIFICATE, binary};
use super::{aws, patience};
use serde_json::Value;
use shipfront_edge::{Edge, Fault, RecordedRequest, Rule};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The bucket of every world.
pub(crate) const BUCKET: &str = "www.example.com";
/// The folder of the deploy record.
const RECORD: &str = ".shipfront/";
/// The whole bucket.
pub(crate) const TARGET: &str = "s3://www.example.com";
/// Each changed URL becomes its own item, so that a test can name them.
pub(crate) const EXACT: [&str; 4] = ["--strategy", "exact", "--max-paths", "100"];
/// A rule's count that never ends.
pub(crate) const ALWAYS: u64 = u64::MAX;

/// A local edge with one bucket and its distribution, and a source directory.
pub(crate) struct World {
    pub(crate) edge: Edge,
    /// The ID of the bucket's distribution.
    pub(crate) distribution: String,
    directory: TempDir,
    source: PathBuf,
}

/// How a run ended, and its output.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) exit: i32,
    /// Null if stdout is not JSON.
    pub(crate) json: Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    /// A world whose source holds these files.
    pub(crate) async fn new(files: &[(&str, &str)]) -> World {
        let edge = aws::edge().await;
        let distribution = edge.ensure_site(BUCKET).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("public");
        fs::create_dir(&source).unwrap();
        let world = World { edge, distribution, directory, source };
        for (name, content) in files {
            world.write(name, content);
        }
        world
    }

    /// A world that was deployed once, with its requests cleared.
    pub(crate) async fn deployed(files: &[(&str, &str)]) -> World {
        let world = World::new(files).await;
        world.deploy(&[]).expect(0);
        world.edge.clear_requests();
        world
    }

    /// The source directory.
    pub(crate) fn source(&self) -> &Path {
        &self.source
    }

    /// A directory outside the source, removed with the world.
    pub(crate) fn outside(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a file of the source.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.source.join(name)
    }

    /// Creates or replaces a file of the source.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Removes a file of the source.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Deploys files that are then no longer in the source: objects that shipfront owns.
    pub(crate) fn orphan(&self, files: &[(&str, &str)]) {
        for (name, content) in files {
            self.write(name, content);
        }
        self.deploy(&[]).expect(0);
        for (name, _) in files {
            self.remove(name);
        }
        self.edge.clear_requests();
    }

    /// Puts an object into the bucket as another tool would, outside the requests of a test.
    pub(crate) async fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        let put = aws::s3(&self.edge).put_object().bucket(BUCKET).key(key);
        put.body(content.into().into()).send().await.unwrap();
        self.edge.clear_requests();
    }

    /// Keeps viewers from the deploy record, about which a deploy would otherwise warn.
    pub(crate) async fn close_the_record(&self) {
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Deny",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{BUCKET}/{RECORD}*"),
        }]});
        let put = aws::s3(&self.edge).put_bucket_policy().bucket(BUCKET).policy(policy.to_string());
        put.send().await.unwrap();
        self.edge.clear_requests();
    }

    /// The keys of the site, in order: all of the bucket except the deploy record.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys = self.edge.objects(BUCKET).into_iter().map(|object| object.key);
        keys.filter(|key| !key.starts_with(RECORD)).collect()
    }

    /// Scripts a fault for requests of one operation.
    pub(crate) fn fault(&self, operation: &str, skip: u64, count: u64, fault: Fault) {
        self.add_rule(operation, None, skip, count, fault);
    }

    /// Scripts a fault for requests of one operation for one key.
    pub(crate) fn fault_of(&self, operation: &str, key: &str, skip: u64, count: u64, fault: Fault) {
        self.add_rule(operation, Some(key.to_owned()), skip, count, fault);
    }

    fn add_rule(&self, operation: &str, key: Option<String>, skip: u64, count: u64, fault: Fault) {
        self.edge.faults().add(Rule { operation: Some(operation.to_owned()), key, skip, count, fault });
    }

    /// The binary, with this world as its AWS and nothing of the machine's own configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// Gives a command the environment of this world.
    pub(crate) fn settle(&self, command: &mut Command) {
        let nowhere = self.directory.path().join("no-such-file");
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("AWS_ENDPOINT_URL", self.edge.api_url());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env(ROOT_CERTIFICATE.0, ROOT_CERTIFICATE.1);
        command.env("AWS_CONFIG_FILE", &nowhere).env("AWS_SHARED_CREDENTIALS_FILE", &nowhere);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Runs the binary with exactly these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// `deploy SOURCE s3://BUCKET OPTIONS --json`.
    pub(crate) fn deploy(&self, options: &[&str]) -> Run {
        self.run(&self.arguments("deploy", TARGET, options))
    }

    /// `plan SOURCE s3://BUCKET OPTIONS --json`.
    pub(crate) fn plan(&self, options: &[&str]) -> Run {
        self.run(&self.arguments("plan", TARGET, options))
    }

    /// The arguments of a run for this world's source.
    pub(crate) fn arguments<'a>(&'a self, command: &'a str, target: &'a str, options: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec![command, self.source.to_str().unwrap(), target, "--json"];
        arguments.extend(options);
        arguments
    }

    /// Starts a deploy and lets it run.
    pub(crate) fn start(&self, options: &[&str]) -> Child {
        self.command(&self.arguments("deploy", TARGET, options)).spawn().unwrap()
    }

    /// Waits until a request has arrived.
    pub(crate) async fn arrival(&self, line: &str) {
        let came = async || self.edge.requests().iter().any(|request| words(request) == line);
        patience::until(came, || format!("{line} never came: {:?}", self.writes())).await;
    }

    /// Waits until this many requests of an operation have arrived.
    pub(crate) async fn arrival_of(&self, operation: &str, count: usize) {
        let came = async || self.count(operation) >= count;
        patience::until(came, || format!("{operation} came {} times", self.count(operation))).await;
    }

    /// Waits until the request has arrived at which the edge goes down.
    pub(crate) async fn crash(&self) {
        patience::until(async || self.edge.faults().has_crashed(), || "it never came so far".to_owned()).await;
    }

    /// The requests that changed something, in order of arrival: `PUT app.js`, `DELETE a b`, `INVALIDATE /a /b`; `
    /// -> 503` or ` -> reset` is added to those that failed.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.edge.requests();
        requests.iter().filter(|request| is_write(request) && !is_record(request)).map(line).collect()
    }

    /// How many requests of an operation arrived, except those for the deploy record.
    pub(crate) fn count(&self, operation: &str) -> usize {
        let requests = self.edge.requests();
        requests.iter().filter(|request| request.operation == operation && !is_record(request)).count()
    }
}

/// Whether a request is for the deploy record, not for the site.
fn is_record(request: &RecordedRequest) -> bool {
    let keys: Vec<&String> = request.key.iter().chain(&request.items).collect();
    !keys.is_empty() && keys.iter().all(|key| key.starts_with(RECORD))
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    finish(command.spawn().unwrap())
}

/// Sends a signal, such as `INT` or `TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Sends a signal, and returns once the run reports it.
pub(crate) fn stop(child: &mut Child, name: &str) {
    signal(child, name);
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.as_mut().unwrap());
    while !said.contains("Stopping") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
}

/// Waits for a command that was started.
pub(crate) fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_str(&stdout).unwrap_or(Value::Null);
    Run { exit: output.status.code().unwrap_or(-1), json, stdout, stderr }
}

impl Run {
    /// Checks the exit code, and shows the output if it differs.
    #[track_caller]
    pub(crate) fn expect(self, exit: i32) -> Run {
        assert_eq!(self.exit, exit, "\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Checks that the output contains a text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Run {
        assert!(self.stderr.contains(text), "{text:?} is not in: {}", self.stderr);
        self
    }

    /// `outcome` of the JSON.
    pub(crate) fn outcome(&self) -> &str {
        self.json["outcome"].as_str().unwrap_or_default()
    }

    /// One of the counts of `objects`.
    pub(crate) fn objects(&self, count: &str) -> u64 {
        self.json["objects"][count].as_u64().unwrap()
    }

    /// The changes as `upload new app.js`.
    pub(crate) fn changes(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let changes = self.json["changes"].as_array().unwrap().iter();
        let line = |change: &Value| {
            format!("{} {} {}", text(&change["action"]), text(&change["reason"]), text(&change["key"]))
        };
        changes.map(line).collect()
    }

    /// The warnings, one per line.
    pub(crate) fn warnings(&self) -> String {
        let warnings = self.json["warnings"].as_array().unwrap().iter();
        warnings.map(|warning| warning.as_str().unwrap().to_owned() + "\n").collect()
    }
}

/// An error in AWS's XML, permanently.
pub(crate) fn denied() -> Fault {
    error(403, "AccessDenied")
}

/// An error in AWS's XML.
pub(crate) fn error(status: u16, code: &str) -> Fault {
    Fault::Error { status, code: code.to_owned(), message: "said the script".to_owned() }
}

fn is_write(request: &RecordedRequest) -> bool {
    let reads = ["Get", "List", "Head", "Describe"];
    !reads.iter().any(|read| request.operation.starts_with(read))
}

fn line(request: &RecordedRequest) -> String {
    match request.status {
        0 => format!("{} -> reset", words(request)),
        status if status >= 300 => format!("{} -> {status}", words(request)),
        _ => words(request),
    }
}

fn words(request: &RecordedRequest) -> String {
    let verb = match request.operation.as_str() {
        "PutObject" => "PUT",
        "CreateMultipartUpload" => "BEGIN",
        "UploadPart" => "PART",
        "CompleteMultipartUpload" => "COMPLETE",
        "AbortMultipartUpload" => "ABORT",
        "DeleteObjects" => "DELETE",
        "CreateInvalidation" => "INVALIDATE",
        other => other,
    };
    // The items of a request are a set; a distribution's ID is irrelevant to all tests.
    let mut items = request.items.clone();
    items.sort();
    let key = request.key.clone().filter(|_| verb != "INVALIDATE");
    let words: Vec<String> = std::iter::once(verb.to_owned()).chain(key).chain(items).collect();
    words.join(" ")
}
