//! The local edge as a process of its own, for the benchmark in `tests/bench`: with latency, and
//! scripted by lines on stdin.
//!
//! It prints `{"url": ...}` when it is up, and then answers each line with one of JSON:
//! - `site BUCKET`: makes the bucket and its distribution;
//! - `cap N`: answers 503 to S3 writes past N a second; `cap none` ends that;
//! - `trace`: each request that came, with the millisecond of its arrival;
//! - `count`: what came since it was last asked, by operation, and the bytes of all bodies.
//!
//! It ends with its stdin.

#![expect(clippy::print_stdout, reason = "printing is how it answers")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use shipfront_edge::{Data, Edge, EdgeOptions};
use tokio::runtime::Runtime;

/// Runs a local edge until its stdin ends.
#[derive(Parser)]
struct Options {
    /// Milliseconds added to each request
    #[arg(long, default_value_t = 20)]
    latency: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let latency = Duration::from_millis(options.latency);
    let runtime = Runtime::new()?;
    let start = Edge::start(EdgeOptions { data: Data::Memory, api_port: 0, viewer_port: 0, latency });
    let edge = runtime.block_on(start)?;
    println!("{}", json!({ "url": edge.api_url() }));
    for line in std::io::stdin().lines() {
        println!("{}", answer(&edge, &line?)?);
    }
    Ok(())
}

fn answer(edge: &Edge, line: &str) -> Result<Value, Box<dyn Error>> {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("site", bucket) => Ok(json!({ "distribution": edge.ensure_site(bucket)? })),
        ("cap", cap) => {
            edge.faults().cap_writes_per_second(cap.parse().ok());
            Ok(Value::Null)
        }
        ("trace", _) => Ok(trace(edge)),
        ("count", _) => Ok(count(edge)),
        _ => Err(format!("no such command: {line}").into()),
    }
}

fn trace(edge: &Edge) -> Value {
    let requests = edge.requests();
    let first = requests.first().map(|request| request.at).unwrap_or_default();
    let line = |at: Duration, operation: &str, key: Option<&str>| {
        json!(format!("{:>6} ms  {operation} {}", (at - first).as_millis(), key.unwrap_or_default()))
    };
    requests.iter().map(|request| line(request.at, &request.operation, request.key.as_deref())).collect()
}

fn count(edge: &Edge) -> Value {
    let mut operations: BTreeMap<String, u64> = BTreeMap::new();
    let (mut bytes, mut refused) = (0, 0);
    for request in edge.requests() {
        *operations.entry(request.operation).or_default() += 1;
        bytes += request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_u64);
        refused += u64::from(request.status == 503);
    }
    edge.clear_requests();
    edge.clear_effects();
    json!({ "operations": operations, "bytes": bytes, "refused": refused })
}
