//! The replay of a site's history, as somebody who compares strategies runs it.

use crate::world::command::{Run, clean, repository, run, skipped};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A first deploy of five pages; one that changes two of them, creates one and deletes one; one of
/// the same bytes again.
const HISTORY: &str = r#"{"put": [["a/1", "e1", 5, []], ["a/2", "e1", 5, []], ["a/3", "e1", 5, []], ["b", "e1", 5, ["a/1"]], ["c", "e1", 5, []]], "delete": []}
{"put": [["a/1", "e2", 5, []], ["b", "e2", 5, []], ["d", "e1", 5, []]], "delete": ["a/2"]}
{"put": [["b", "e2", 5, []]], "delete": []}
"#;

/// `cargo run --example replay`, of the profile that is under test.
fn replay(history: &Path, options: &[&str]) -> Run {
    let mut command: Command = clean(env!("CARGO"));
    // Where cargo keeps its own things; nothing of AWS is in these.
    let own = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"];
    command.envs(own.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.current_dir(repository("")).args(["run", "--quiet", "--offline", "--locked", "--example", "replay"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    run(command.arg("--").arg(history).args(options))
}

fn strategies(run: &Run, measure: &str) -> Value {
    let strategies = run.json()["strategies"].clone();
    strategies.as_object().unwrap().iter().map(|(name, totals)| (name.clone(), totals[measure].clone())).collect()
}

#[test]
fn a_replay_counts_what_each_strategy_would_have_sent_and_evicted() {
    let directory = tempfile::tempdir().unwrap();
    let history = directory.path().join("history.jsonl");
    std::fs::write(&history, HISTORY).unwrap();

    let all = replay(&history, &["--max-paths", "2", "--json"]).ended_with(0);
    let json = all.json();
    assert_eq!(json, json!({"deploys": 3, "changed": 3, "created": 6, "strategies": json["strategies"]}));
    // `/a/*` and `/b` evict `/a/3`; `/*` takes `/c` as well.
    assert_eq!(json["strategies"]["cover"], json!({"items": 2, "collateral": 1, "fallbacks": 0}));
    assert_eq!(json["strategies"]["all"], json!({"items": 1, "collateral": 2, "fallbacks": 1}));
    assert_eq!(json["strategies"]["exact"], json!({"items": 1, "collateral": 2, "fallbacks": 1}));
    assert_eq!(json["strategies"]["collapse"], json!({"items": 3, "collateral": 0, "fallbacks": 0}));

    let roomy = replay(&history, &["--max-paths", "3", "--json"]).ended_with(0);
    assert_eq!(strategies(&roomy, "collateral"), json!({"cover": 0, "all": 2, "exact": 0, "collapse": 0}));
    let created = replay(&history, &["--max-paths", "4", "--count-created", "--strategy", "exact", "--json"]);
    assert_eq!(strategies(&created.ended_with(0), "items"), json!({"exact": 5}), "one for the first deploy's five");

    let table = replay(&history, &["--max-paths", "2"]).ended_with(0).stdout;
    assert!(table.lines().any(|line| line.split_whitespace().eq(["cover", "2", "1", "0"])), "{table}");
}

#[test]
fn a_real_history_needs_no_more_than_the_optimum() {
    let history = repository("../shared/histories/datafusion-site.jsonl.gz");
    if !history.exists() {
        return skipped("the history is not part of the repository");
    }
    for (budget, collateral) in [("8", 273), ("15", 97), ("50", 0)] {
        let run = replay(&history, &["--max-paths", budget, "--strategy", "cover", "--json"]).ended_with(0);
        assert!(strategies(&run, "collateral")["cover"].as_u64().unwrap() <= collateral, "{budget}: {}", run.stdout);
    }
}
