//! Runs the functions' code in Node: it answers as the interpreter of the rules does.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by failing")]

#[path = "functions/cases.rs"]
mod cases;
#[path = "functions/corpus.rs"]
mod corpus;
#[path = "functions/events.rs"]
mod events;
#[path = "functions/node.rs"]
mod node;
#[path = "functions/random.rs"]
mod random;
#[path = "functions/response.rs"]
mod response;
#[path = "functions/strategies.rs"]
mod strategies;
