//! shipfront ships a built static site to Amazon S3 and keeps CloudFront exactly fresh.
//!
//! A deploy is one recipe, [`deploy`], whose stages are the files below `deploy/`:
//!
//! ```text
//! walk -> list -> diff -> plan -> apply(assets) -> apply(pages) -> apply(prune) -> invalidate -> report
//! ```
//!
//! `diff`, `plan`, viewer paths and the cover are pure. Only [`s3`] and [`cloudfront`]
//! talk to AWS; tests run them over HTTP against the local edge.

// What people type and set, and the commands.
pub mod cli;
pub mod commands;
pub mod config;
pub mod error;
pub mod exit;
pub mod outcome;
pub mod terminal;

// The pipeline, in its order.
pub mod deploy;
pub mod record;
pub mod report;

// The two edges to AWS.
pub mod aws;
pub mod cloudfront;
pub mod s3;

// The binary as a Lambda function.
#[cfg(feature = "lambda")]
pub mod lambda;

// AWS on this machine.
#[cfg(feature = "edge")]
pub mod local;
