//! Measures how long the engine takes for a function of many rules, and how many of its steps: `cargo run --release
//! --package shipfront-edge --features functions --example function_time`.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use shipfront_edge::Function;
use shipfront_site::headers_file::HeadersFile;
use shipfront_site::platform::RuleOptions;
use shipfront_site::redirect_function::{Table, code, entries};
use shipfront_site::redirects_file;
use shipfront_site::viewer_rules::Rules;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const RUNS: usize = 50;

fn main() {
    println!("{:<14} {:<7} {:>6} {:>12} {:>12}  of the last line", "lines", "table", "bytes", "median", "least");
    for (count, is_pattern) in [(0, false), (10, false), (500, false), (1000, false), (100, true), (500, true)] {
        let line = |number: usize| match is_pattern {
            true => format!("/old-{number}/* /new/section-{number}/:splat 301\n"),
            false => format!("/posts/{number}-a-title-of-{} /articles/{number}/title 301\n", number * 7 % 13),
        };
        let text: String = (0..count).map(line).collect();
        let options = RuleOptions::default();
        let file = redirects_file::parse(&text, &options);
        let (rules, _) = Rules::new(file, HeadersFile::default(), std::iter::empty(), true, &options);
        let last = line(count.saturating_sub(1));
        let uri = last.split(' ').next().unwrap_or_default().replace('*', "x");
        for table in [Table::Plain, Table::Packed, Table::Store] {
            let Some(code) = code(&rules, table) else { continue };
            let values: BTreeMap<_, _> =
                if table == Table::Store { entries(&rules).0.into_iter().collect() } else { BTreeMap::new() };
            let function = Function {
                name: "rules".to_owned(),
                comment: String::new(),
                runtime: "cloudfront-js-2.0".to_owned(),
                key_value_store: (table == Table::Store).then(String::new),
                code,
            };
            let (times, answer) = timed(&function, &uri, &values);
            let kind = if is_pattern { "with *" } else { "exact" };
            let (median, least) = (times[times.len() / 2], times[0]);
            println!(
                "{:<14} {table:<7?} {:>6} {median:>12?} {least:>12?}  {answer}",
                format!("{count} {kind}"),
                function.code.len()
            );
        }
    }
}

/// The times in ascending order, and what the function answered.
fn timed(function: &Function, uri: &str, values: &BTreeMap<String, String>) -> (Vec<Duration>, String) {
    let event = format!(
        r#"{{"version":"1.0","context":{{"eventType":"viewer-request"}},"viewer":{{"ip":"192.0.2.1"}},"request":{{"method":"GET","uri":"{uri}","querystring":{{}},"headers":{{"host":{{"value":"www.example.com"}}}},"cookies":{{}}}}}}"#
    );
    let mut answer = String::new();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            answer = function.run(&event, values).unwrap_or_else(|error| error);
            begun.elapsed()
        })
        .collect();
    times.sort();
    let found = answer.find("\"statusCode\"").map_or("goes on", |at| &answer[at..answer.len().min(at + 16)]);
    (times, found.to_owned())
}
