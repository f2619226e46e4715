//! Objects have the headers that rules and the source's `_headers` ask for, and are uploaded again when,
//! and only when, those change.

mod charset;
mod compression;
mod file;
mod rules;
