//! `_redirects`: as objects if a website endpoint follows them, otherwise as a function's code.

mod function;
mod objects;
