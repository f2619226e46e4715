//! The replay of a site's history, as somebody who compares strategies runs it.

use crate::world::command::{Run, clean, repository, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
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

/// A site of twelve sections that is edited for a hundred deploys: each changes some pages of one or two sections,
/// whose pages refer to one another's directories as a generator makes them, and now and then the style sheet.
fn long_history() -> String {
    let mut random = fastrand::Rng::with_seed(15);
    let page = |section: usize, page: usize| format!("section-{section}/page-{page:02}/index.html");
    let mut lines: Vec<String> = Vec::new();
    let first = (0..12).flat_map(|section| (0..15).map(move |at| (section, at)));
    let put: Vec<Value> = first.map(|(section, at)| json!([page(section, at), "e0", 900, ["style.css"]])).collect();
    lines.push(json!({"put": put, "delete": []}).to_string());
    for deploy in 1..100 {
        let mut put = BTreeMap::new();
        for _ in 0..random.usize(1..=2) {
            let section = random.usize(0..12);
            for _ in 0..random.usize(1..=15) {
                put.insert(page(section, random.usize(0..15)), json!(["style.css"]));
            }
        }
        if deploy % 10 == 0 {
            put.insert("style.css".to_owned(), json!([]));
        }
        let put: Vec<Value> =
            put.into_iter().map(|(key, to)| json!([key, format!("e{deploy}"), 900 + deploy, to])).collect();
        lines.push(json!({"put": put, "delete": []}).to_string());
    }
    lines.join("\n") + "\n"
}

#[test]
fn over_a_long_history_the_cover_never_evicts_more_than_a_simpler_rule_and_nothing_where_paths_suffice() {
    let directory = tempfile::tempdir().unwrap();
    let history = directory.path().join("history.jsonl");
    std::fs::write(&history, long_history()).unwrap();
    let mut evicted = Vec::new();
    for budget in ["4", "8", "15", "40"] {
        let run = replay(&history, &["--max-paths", budget, "--json"]).ended_with(0);
        let collateral = strategies(&run, "collateral");
        let of = |strategy: &str| collateral[strategy].as_u64().unwrap();
        assert!(of("cover") <= of("exact") && of("exact") <= of("all"), "{budget}: {}", run.stdout);
        evicted.push(of("cover"));
    }
    assert!(evicted.is_sorted_by(|more, fewer| more > fewer), "each larger budget evicts less: {evicted:?}");
    assert_eq!(evicted.last(), Some(&0), "{evicted:?}");
}
