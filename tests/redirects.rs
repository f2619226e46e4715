//! `_redirects`: as objects where a website endpoint follows them, as a function's code elsewhere.

mod function;
mod objects;
