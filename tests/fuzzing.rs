//! The targets of `fuzz/`, on a stable compiler: the kept corpus, and a few mutations of it.
//!
//! Each runs as long as `SHIPFRONT_FUZZ_SECONDS` says; an input that breaks one is kept in the folder for temporary
//! files and named.

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use crate::world::command::repository;
use fastrand::Rng;
use shipfront_site::etag::{hex, md5};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long a target runs by default: enough to show that it works.
const BRIEFLY: f64 = 0.2;
/// The largest input.
const MOST_BYTES: usize = 4096;
/// Words that have a meaning for the parsers.
const WORDS: [&str; 24] = [
    "*",
    "**",
    "/",
    "//",
    "..",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    "=",
    "#",
    "%2F",
    "é",
    "null",
    "18446744073709551616",
    "-1",
    "<",
];

/// Bytes made from others.
fn mutated(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..=rng.usize(..6) {
        let at = rng.usize(..=bytes.len());
        let to = rng.usize(at..=(at + 16).min(bytes.len()));
        match rng.u8(..7) {
            0 if !bytes.is_empty() => bytes[at.min(to.saturating_sub(1))] ^= 1 << rng.u8(..8),
            1 => bytes.insert(at, rng.u8(..)),
            2 => drop(bytes.drain(at..to)),
            3 => {
                let piece = bytes[at..to].to_vec();
                bytes.splice(at..at, piece.repeat(rng.usize(1..20)));
            }
            4 => {
                let other = &corpus[rng.usize(..corpus.len())];
                let from = rng.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => drop(bytes.splice(at..at, WORDS[rng.usize(..WORDS.len())].bytes())),
        }
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

#[expect(clippy::print_stdout, reason = "how much was tried is the result of a longer run")]
fn fuzz(name: &str, run: fn(&[u8])) {
    let folder = repository(&format!("fuzz/corpus/{name}"));
    let seeds = std::fs::read_dir(&folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let corpus: Vec<Vec<u8>> = seeds.collect();
    assert!(corpus.len() > 1, "{} is no corpus", folder.display());
    let seconds = std::env::var("SHIPFRONT_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (began, limit) = (Instant::now(), Duration::from_secs_f64(seconds.unwrap_or(BRIEFLY)));
    let mut rng = Rng::new();
    let mut inputs = 0_u64;
    let mut waiting = corpus.clone();
    while !waiting.is_empty() || began.elapsed() < limit {
        let input = waiting.pop().unwrap_or_else(|| mutated(&mut rng, &corpus));
        if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
            let kept = std::env::temp_dir().join(format!("shipfront-fuzz-{name}-{}", hex(&md5(&input))));
            std::fs::write(&kept, &input).unwrap();
            panic!("{name}: {} breaks it, after {inputs} inputs", kept.display());
        }
        inputs += 1;
    }
    println!("{name}: {inputs} inputs in {:.0} s, none broke it", began.elapsed().as_secs_f64());
}

#[test]
fn environment() {
    fuzz("environment", targets::environment::run);
}

#[test]
fn events() {
    fuzz("events", targets::events::run);
}

#[test]
fn exclude() {
    fuzz("exclude", targets::exclude::run);
}

#[test]
fn headers() {
    fuzz("headers", targets::headers::run);
}

#[test]
fn listing() {
    fuzz("listing", targets::listing::run);
}

#[test]
fn manifest() {
    fuzz("manifest", targets::manifest::run);
}

#[test]
fn plan() {
    fuzz("plan", targets::plan::run);
}

#[test]
fn redirects() {
    fuzz("redirects", targets::redirects::run);
}

#[test]
fn settings() {
    fuzz("settings", targets::settings::run);
}

#[test]
fn state() {
    fuzz("state", targets::state::run);
}

#[test]
fn each_target_is_run_here_and_by_libfuzzer() {
    let here = std::fs::read_to_string(repository("tests/fuzzing.rs")).unwrap();
    let manifest = std::fs::read_to_string(repository("fuzz/Cargo.toml")).unwrap();
    let files = std::fs::read_dir(repository("fuzz/targets")).unwrap();
    let names = files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    for name in names.filter(|name| name != "mod") {
        assert!(here.contains(&format!("fuzz(\"{name}\", targets::{name}::run)")), "{name} is not run here");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is none of libFuzzer's");
    }
}
