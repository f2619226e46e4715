//! The local edge as a program, for tools that are not written in Rust.
//!
//! It prints its addresses and runs until Ctrl-C. With `--script`, another program controls it: it prints `{"url":
//! ..., "viewer_url": ...}` when it is ready, answers each line of its stdin with a line of JSON, and ends with its
//! stdin:
//! - `site BUCKET`: creates the bucket and its distribution;
//! - `versions BUCKET`: enables versioning;
//! - `cap N`: answers 503 to S3 writes above N a second; `cap none` ends that;
//! - `recur N slow|reset`: answers 503 to every Nth S3 write, or breaks its connection; `recur none` ends that;
//! - `quotas RULE`: sets the quotas of invalidations, as `--quotas` does;
//! - `trace`: returns each request with the millisecond of its arrival;
//! - `count`: returns the number of requests since the last `count`, by operation, and the bytes of all bodies.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is how it answers")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use shipfront_edge::evidence::EVIDENCE_VARIABLE;
use shipfront_edge::{Data, Edge, EdgeOptions, Evidence, Fault, Quotas, RequestCounts};
use tokio::runtime::Runtime;

/// Runs S3 and CloudFront on loopback, for tests
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Directory that keeps buckets and distributions; in memory without it
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// Port of S3 and of CloudFront's API; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    api_port: u16,
    /// Port of the viewers; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    viewer_port: u16,
    /// Milliseconds added to each API request
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Bucket to create with its distribution; can be repeated
    #[arg(long, value_name = "NAME")]
    bucket: Vec<String>,
    /// Quotas of invalidations
    #[arg(long, value_name = "RULE", value_enum, default_value_t = Rule::None)]
    quotas: Rule,
    /// What 'shipfront conformance --evidence' learned of CloudFront, to follow it in place of --quotas
    #[arg(long, value_name = "FILE", env = EVIDENCE_VARIABLE)]
    evidence: Option<PathBuf>,
    /// Answer commands on stdin with JSON, until stdin ends
    #[arg(long)]
    script: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rule {
    /// Everything is accepted
    None,
    /// At most 3,000 paths and 15 wildcards in progress
    Older,
    /// 150 paths and 1 wildcard a second
    Newer,
    /// Both, and at most 5 items in a request
    Strictest,
}

impl Rule {
    fn quotas(self) -> Quotas {
        match self {
            Self::None => Quotas::default(),
            Self::Older => Quotas::older(),
            Self::Newer => Quotas::newer(),
            Self::Strictest => Quotas::strictest(),
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let edge = runtime.block_on(Edge::start(EdgeOptions {
        data: options.directory.clone().map_or(Data::Memory, Data::Directory),
        api_port: options.api_port,
        viewer_port: options.viewer_port,
        latency: Duration::from_millis(options.latency),
    }))?;
    edge.set_invalidation_quotas(options.quotas.quotas());
    if let Some(path) = &options.evidence {
        edge.follow(&Evidence::read(path)?);
    }
    let mut sites = Vec::new();
    for bucket in &options.bucket {
        sites.push((bucket, edge.ensure_site(bucket)?));
    }
    if options.script {
        println!("{}", json!({ "url": edge.api_url(), "viewer_url": edge.viewer_url() }));
        for line in std::io::stdin().lines() {
            println!("{}", answer(&edge, &line?)?);
        }
    } else {
        println!("S3 and CloudFront  {}", edge.api_url());
        println!("viewers            {}", edge.viewer_url());
        println!("dashboard          {}", Edge::dashboard_of(&edge.viewer_url()));
        for (bucket, distribution) in sites {
            println!("s3://{bucket}  distribution {distribution}");
        }
        runtime.block_on(tokio::signal::ctrl_c())?;
    }
    runtime.block_on(edge.stop());
    Ok(())
}

fn answer(edge: &Edge, line: &str) -> Result<Value, Box<dyn Error>> {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("site", bucket) => Ok(json!({ "distribution": edge.ensure_site(bucket)? })),
        ("versions", bucket) => {
            edge.set_versioning(bucket, true)?;
            Ok(Value::Null)
        }
        ("cap", cap) => {
            edge.faults().cap_writes_per_second(cap.parse().ok());
            Ok(Value::Null)
        }
        ("recur", "none") => {
            edge.faults().clear();
            Ok(Value::Null)
        }
        ("recur", what) => {
            let (one_in, fault) = what.split_once(' ').unwrap_or((what, "slow"));
            let fault = if fault == "reset" { Fault::ResetBefore } else { Fault::SlowDown };
            edge.faults().recur(one_in.parse()?, fault);
            Ok(Value::Null)
        }
        ("quotas", rule) => {
            edge.set_invalidation_quotas(Rule::from_str(rule, true)?.quotas());
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
    let RequestCounts { operations, bytes, refused } = edge.request_counts();
    edge.clear_requests();
    edge.clear_effects();
    json!({ "operations": operations, "bytes": bytes, "refused": refused })
}
