//! shipfront ships a built static site to Amazon S3 and keeps CloudFront's cache correct.
//!
//! A deploy is one recipe, [`deploy::Deploy::run`], whose stages are the files below `deploy/`:
//!
//! ```text
//! open session -> walk -> list -> compare -> plan -> begin -> assets -> pages -> removals
//!              -> invalidate || manifest -> commit -> report
//! ```
//!
//! The folders import one another from the top of this page down. Pure code is in separate crates: `shipfront_site`
//! (keys, header rules, redirects, compression, ETags) and `shipfront_invalidation` (viewer paths, cover, cache
//! tags). `shipfront_edge` is S3 and CloudFront in one process: tests run the real SDK against it, and `--local`
//! deploys to it.

// The entry points: events, commands, and the local edge instead of AWS.
pub mod commands;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "edge")]
pub mod local;

// Settings as meant, and flags as typed.
pub mod cli;
pub mod config;

// Renderings of a run, the recipe, and its record.
pub mod deploy;
pub mod record;
pub mod report;

// The clients of the two services, and what they share.
pub mod aws;
pub mod cloudfront;
pub mod s3;

// Basics.
pub mod clock;
pub mod error;
pub mod escape;
pub mod exit;
pub mod open_files;
pub mod outcome;
pub mod packed;
pub mod terminal;
pub mod wording;
