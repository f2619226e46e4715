//! Objects have the headers that rules and the source's `_headers` set, and are uploaded again if, and only if,
//! those change.

mod charset;
mod compression;
mod file;
mod rules;
