//! The functions' code, run in Node: it answers as the interpreter of the rules does.

#[path = "functions/corpus.rs"]
mod corpus;
#[path = "functions/node.rs"]
mod node;
#[path = "functions/random.rs"]
mod random;
#[path = "functions/response.rs"]
mod response;
