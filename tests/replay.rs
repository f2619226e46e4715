//! The replay of a site's history, as somebody who compares strategies runs it.

use crate::world::command::{Run, clean, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A first deploy of five pages; one that changes two of them, creates one and deletes one; one of the same bytes
/// again.
const HISTORY: &str = r#"{"put": [["a/1", "e1", 5, []], ["a/2", "e1", 5, []], ["a/3", "e1", 5, []], ["b", "e1", 5, ["a/1"]], ["c", "e1", 5, []]], "delete": []}
{"put": [["a/1", "e2", 5, []], ["b", "e2", 5, []], ["d", "e1", 5, []]], "delete": ["a/2"]}
{"put": [["b", "e2", 5, []]], "delete": []}
"#;

/// The example, as `cargo test` has built it.
fn replay(history: &Path, options: &[&str]) -> Run {
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().and_then(Path::parent).unwrap().join("examples/replay");
    assert!(example.is_file(), "no example: 'cargo test' builds it, unless it is limited to some targets or packages");
    run(clean(example).arg(history).args(options))
}

fn strategies(run: &Run, measure: &str) -> Value {
    let strategies = run.json()["strategies"].clone();
    strategies.as_object().unwrap().iter().map(|(name, totals)| (name.clone(), totals[measure].clone())).collect()
}

/// A strategy's sums, none of which is billed.
fn totals(items: usize, collateral: usize, fallbacks: usize, wildcards: usize) -> Value {
    json!({
        "items": items,
        "collateral": collateral,
        "fallbacks": fallbacks,
        "wildcards_max": wildcards,
        "deploys_over_15_wildcards": 0,
        "dollars": 0.0,
    })
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
    assert_eq!(json["strategies"]["cover"], totals(2, 1, 0, 1));
    assert_eq!(json["strategies"]["all"], totals(1, 2, 1, 1));
    assert_eq!(json["strategies"]["exact"], totals(1, 2, 1, 1));
    assert_eq!(json["strategies"]["collapse"], totals(3, 0, 0, 0));

    let roomy = replay(&history, &["--max-paths", "3", "--json"]).ended_with(0);
    assert_eq!(strategies(&roomy, "collateral"), json!({"cover": 0, "all": 2, "exact": 0, "collapse": 0}));
    let created = replay(&history, &["--max-paths", "4", "--count-created", "--strategy", "exact", "--json"]);
    assert_eq!(strategies(&created.ended_with(0), "items"), json!({"exact": 5}), "one for the first deploy's five");

    let table = replay(&history, &["--max-paths", "2"]).ended_with(0).stdout;
    let cover = ["cover", "2", "1", "0", "1", "0", "0.00"];
    assert!(table.lines().any(|line| line.split_whitespace().eq(cover)), "{table}");
}

/// A deploy at `time` after which `pages` of a hundred have the bytes of this deploy.
fn deploy(number: usize, time: Value, pages: impl Iterator<Item = usize>) -> String {
    let put: Vec<Value> = pages.map(|page| json!([format!("p/{page:02}"), format!("e{number}"), 5, []])).collect();
    json!({"time": time, "put": put, "delete": []}).to_string() + "\n"
}

/// A site of twelve sections that is edited for a hundred deploys: each changes some pages of one or two sections,
/// whose pages refer to one another's directories as a generator writes them, and now and then the style sheet.
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

#[test]
fn a_deploy_gets_half_of_what_is_left_of_its_month() {
    let directory = tempfile::tempdir().unwrap();
    let history = directory.path().join("history.jsonl");
    let odd = || (1..100).step_by(2);
    let lines = [
        deploy(0, json!("2026-01-02T00:00:00Z"), 0..100),
        deploy(1, json!("2026-01-03T00:00:00Z"), odd()),
        deploy(2, json!("2026-01-31T23:59:59Z"), odd()),
        // 2026-02-01T00:00:00Z.
        deploy(3, json!(1_769_904_000), odd()),
    ];
    std::fs::write(&history, lines.concat()).unwrap();
    let run = |free: &str, wildcards: &str| {
        let options = ["--free-paths", free, "--max-wildcards", wildcards, "--strategy", "cover", "--json"];
        replay(&history, &options).ended_with(0).json()["strategies"]["cover"].clone()
    };
    // Half of 100 is 50; half of the other 50 is too few; half of February's 100 is 50 again.
    let tight = run("100", "1");
    assert_eq!((&tight["wildcards_max"], &tight["dollars"]), (&json!(1), &json!(0.0)));
    assert!(tight["items"].as_u64() > Some(100) && tight["items"].as_u64() <= Some(125), "{tight}");
    assert!(tight["collateral"].as_u64() > Some(0) && tight["collateral"].as_u64() <= Some(50), "{tight}");
    assert_eq!(run("1000", "1"), totals(150, 0, 0, 0));
    // However little is free, 15 may be sent.
    let paid = run("0", "10");
    assert_eq!(paid["dollars"], json!(paid["items"].as_u64().unwrap() as f64 * 0.005));
}
