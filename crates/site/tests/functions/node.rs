//! Runs functions in Node as CloudFront runs them.

use crate::events::{answer, event};
use serde_json::{Value, json};
use shipfront_site::redirect_function::{Table, code, entries};
use shipfront_site::viewer_rules::{Answer, Request, Rules};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Runs each line's function with each of its events. A key-value store is an object.
const HARNESS: &str = r"
const lines = require('readline').createInterface({input: process.stdin});
lines.on('line', async function (line) {
  const {code, store, events} = JSON.parse(line);
  const kvs = {get: async function (key) { if (Object.hasOwn(store, key)) return store[key]; throw new Error('KeyNotFound'); }};
  const body = '\'use strict\';' + code.replace(/^import cf.*$/m, '') + '\nreturn handler;';
  const answers = [];
  try {
    const handler = new Function('cf', body)({kvs: function () { return kvs; }});
    for (const event of events) {
      if (event.request.querystring) event.request.querystring = Object.fromEntries(event.request.querystring);
      answers.push(await handler(event));
    }
  } catch (error) {
    answers.push(String(error.stack));
  }
  console.log(JSON.stringify(answers));
});
";

pub(crate) struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    pub(crate) fn new() -> Node {
        let mut node = Command::new("node");
        let child = node.args(["-e", HARNESS]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("node is needed to run the functions");
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Node { child, input, output }
    }

    /// Runs a function with each of the events.
    pub(crate) fn run(&mut self, code: &str, store: &Value, events: &[Value]) -> Vec<Value> {
        writeln!(self.input, "{}", json!({"code": code, "store": store, "events": events})).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answers: Vec<Value> = serde_json::from_str(&line).unwrap();
        assert_eq!(answers.len(), events.len(), "{answers:?}\n{code}");
        answers
    }

    /// What the function of these rules answers, with their table stored this way. `None` if it cannot be.
    pub(crate) fn answers(&mut self, rules: &Rules, table: Table, requests: &[Request]) -> Option<Vec<Answer>> {
        let code = code(rules, table)?;
        let store: serde_json::Map<String, Value> = match table {
            Table::Store => entries(rules).0.into_iter().map(|(key, value)| (key, value.into())).collect(),
            _ => serde_json::Map::new(),
        };
        let events: Vec<Value> = requests.iter().map(event).collect();
        let answers = self.run(&code, &store.into(), &events);
        Some(answers.iter().map(|value| answer(value).unwrap_or_else(|| panic!("{value}\n{code}"))).collect())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
