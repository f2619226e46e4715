//! Names, records and responses that would control a terminal or forge commands of a CI runner: they are shown, and
//! have no effect.

use crate::world::aws::s3;
use crate::world::manifest;
use crate::world::site::{BUCKET, Run, TARGET, World, denied, run};
use serde_json::Value;
use shipfront_edge::Fault;
use std::io::{Read, Write};
use std::net::TcpListener;

/// A name that goes live: it contains no control character.
const NAME: &str = "::error::FORGED ##[error]FORGED ##vso[task.x]FORGED\u{202e}\u{2028}31m.html";
/// A name that only a disk, a record or a command line can contain.
const WORSE: &str = "y\r\nFORGED\n  ::error file=a::FORGED\u{1b}[2J\u{1b}]0;FORGED\u{7}\u{8}\u{7f} ##[add-mask]a";

/// A page or a report of tests is not a log: nothing in it is executed.
#[track_caller]
fn harmless_file(what: &str) {
    let text = std::fs::read_to_string(what).unwrap();
    harmless(what, &text);
}

#[track_caller]
fn harmless(what: &str, text: &str) {
    let bidi = ['\u{202e}', '\u{2028}', '\u{2066}'];
    for line in text.split('\n') {
        let start = line.trim_start();
        assert!(!start.starts_with("::"), "{what}: a command: {line:?}");
        assert!(!start.starts_with("FORGED"), "{what}: a line of others: {line:?}");
        assert!(!line.contains("##[") && !line.contains("##vso["), "{what}: a command: {line:?}");
        assert!(!line.contains(|c: char| c.is_control() || bidi.contains(&c)), "{what}: {line:?}");
    }
}

#[track_caller]
fn is_harmless(what: &str, run: &Run) {
    harmless(what, &run.stdout);
    harmless(what, &run.stderr);
    assert!(run.stdout.contains("FORGED") || run.stderr.contains("FORGED"), "{what}: nothing of others was shown");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn names_of_files_are_shown_and_do_nothing_in_any_report() {
    let world = World::new(&[("index.html", "welcome")]).await;
    world.write(NAME, "hostile");
    world.write(&format!("folder {NAME}/{NAME}"), "hostile in a folder");
    world.write(&format!("{NAME}.js"), "hostile asset");
    let reports: Vec<String> = ["r.html", "r.md", "r.xml", "r.json", "r.env"]
        .iter()
        .map(|name| world.outside().join(name).display().to_string())
        .collect();
    let options: Vec<&str> = reports.iter().flat_map(|report| ["--report", report]).collect();
    for command in ["plan", "deploy", "plan"] {
        for more in [&["--verbose"][..], &[], &["--json"]] {
            let source = world.source().to_str().unwrap();
            let arguments = [&[command, source, TARGET], more, &options].concat();
            let done = world.run(&arguments).expect(0);
            harmless(&format!("{arguments:?}"), &done.stdout);
            harmless(&format!("{arguments:?}"), &done.stderr);
            for report in &reports {
                harmless_file(report);
            }
        }
        world.write(NAME, "hostile, and changed");
    }
    // JSON has the exact name.
    world.write(NAME, "changed once more");
    let plan = world.plan(&[]).expect(0);
    assert!(plan.json["changes"].as_array().unwrap().iter().any(|change| change["key"] == NAME), "{}", plan.stdout);
    is_harmless("plan --json", &plan);
    // Orphans, and an upload that fails.
    world.remove(NAME);
    world.remove(&format!("{NAME}.js"));
    world.write("assets/b.css", "b{}");
    world.write(&format!("new {NAME}"), "hostile and new");
    world.fault_of("PutObject", &format!("new {NAME}"), 0, 1, denied());
    let source = world.source().to_str().unwrap();
    is_harmless("deploy", &world.run(&["deploy", source, TARGET, "--verbose"]));
    is_harmless("status", &world.run(&["status", TARGET, "--json"]));
    // Names that are refused.
    for name in [WORSE, "x\nFORGED\n::error::FORGED\u{9b}31m.html"] {
        world.write(name, "hostile");
        for more in ["--verbose", "--json", "--keep-going"] {
            let plan = world.run(&["plan", source, TARGET, more]);
            assert_eq!(plan.exit, if more == "--keep-going" { 0 } else { 6 }, "{more}: {}", plan.stderr);
            is_harmless("plan of control characters", &plan);
        }
        world.remove(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_into_the_record_is_shown_and_does_nothing() {
    const STATE: &str = ".shipfront/state.json";
    let world = World::deployed(&[("index.html", "welcome")]).await;
    world.write("index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, denied());
    world.deploy(&[]).expect(4);
    let mut state: Value = serde_json::from_slice(&manifest::read(&world.edge, BUCKET, STATE).await).unwrap();
    state["lease"] = serde_json::json!({"deploy": WORSE, "owner": WORSE, "since": "2026-11-26T12:00:00Z"});
    state["build"] = serde_json::json!({"project": WORSE, "number": 7});
    state["last"]["deploy"] = WORSE.into();
    state["intent"]["distributions"] = serde_json::json!([WORSE]);
    world.put(STATE, serde_json::to_vec(&state).unwrap()).await;
    let source = world.source().to_str().unwrap();
    for arguments in [
        &["status", TARGET][..],
        &["status", TARGET, "--json"],
        &["doctor", TARGET],
        &["doctor", TARGET, "--json"],
        &["unlock", TARGET],
        &["plan", source, TARGET],
        &["deploy", source, TARGET, "--lock-timeout", "1s"],
    ] {
        is_harmless(&format!("{arguments:?}"), &world.run(arguments));
    }
    // A record that is completely somebody else's.
    state["target"] = WORSE.into();
    world.put(STATE, serde_json::to_vec(&state).unwrap()).await;
    is_harmless("another target", &world.run(&["plan", source, TARGET]).expect(6));
    world.put(STATE, format!("{{\"format\": 2, \"{}\": 1", WORSE.escape_default()).into_bytes()).await;
    let run = world.run(&["plan", source, TARGET]).expect(6);
    harmless("no JSON", &run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_servers_and_wrong_settings_are_shown_and_do_nothing() {
    let world = World::new(&[("index.html", "welcome")]).await;
    let source = world.source().to_str().unwrap();
    let said =
        Fault::Error { status: 400, code: "FORGED\n::error::FORGED".into(), message: NAME.replace('\u{9b}', "") };
    for operation in ["ListObjectsV2", "ListDistributions", "PutObject"] {
        world.fault(operation, 0, u64::MAX, said.clone());
        is_harmless(operation, &world.run(&["deploy", source, TARGET, "--verbose"]));
        world.edge.faults().clear();
    }
    let mut command = world.command(&["plan", source, TARGET]);
    is_harmless("a variable", &run(command.env("SHIPFRONT_MAX_PATHS", "x\n::error::FORGED\u{1b}[2J")));
    let file = world.outside().join("shipfront.toml");
    for text in ["\"a\\n::error::FORGED\\u001b[2J\" = 1\n", "target = \"s3://x\\n::error::FORGED\\u001b[2J\"\n"] {
        std::fs::write(&file, text).unwrap();
        is_harmless("a key", &world.run(&["plan", source]).expect(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_is_summed_up_without_what_it_repeats() {
    // Every request is answered with a web page that contains what a proxy might repeat of the request.
    let page = format!(
        "<html>\n::error::FORGED {} Authorization: AWS4-HMAC-SHA256 Credential=AKIASECRET/x, Signature=f00dSECRET</html>",
        "long ".repeat(2000)
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for status in ["200 OK", "400 Bad Request"] {
        let (listener, page) = (listener.try_clone().unwrap(), page.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 65536]);
                let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\nconnection: close\r\n");
                let _ = write!(stream, "{head}content-length: {}\r\n\r\n{page}", page.len());
            }
        });
        let world = World::new(&[("index.html", "welcome")]).await;
        let mut command = world.command(&world.arguments("plan", TARGET, &["--distribution", "none"]));
        let run = run(command.env("AWS_ENDPOINT_URL", format!("http://{address}")));
        assert_ne!(run.exit, 0);
        harmless(status, &run.stderr);
        assert!(run.stderr.lines().count() <= 4, "{}", run.stderr);
        assert!(run.stderr.len() < 1500, "{} bytes", run.stderr.len());
        for secret in ["SECRET", "Signature=", "AWS4-HMAC", "long long"] {
            assert!(!run.stderr.contains(secret) && !run.stdout.contains(secret), "{secret}: {}", run.stderr);
        }
    }
    // The same in an error that can be parsed.
    let world = World::new(&[("index.html", "welcome")]).await;
    let message = "you sent Signature=f00dSECRET with it".to_owned();
    world.fault("ListObjectsV2", 0, u64::MAX, Fault::Error { status: 400, code: "Odd".into(), message });
    let run = world.plan(&[]).expect(1);
    assert!(run.stderr.contains("you sent") && !run.stderr.contains("SECRET"), "{}", run.stderr);
    let _ = s3(&world.edge);
}
