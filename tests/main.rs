//! The tests that run everything together: real SDK clients over HTTP against the embedded local edge.

// What a test cannot do without may panic, also in the helpers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod buildspec;
mod ci;
mod concurrent;
mod conformance;
mod crash;
mod doctor;
mod documents;
mod edge;
mod environment;
mod failures;
#[cfg(feature = "lambda")]
mod fuzzing;
mod guards;
mod hardening;
mod headers;
mod hosting;
mod import;
mod init;
mod invalidate_command;
#[cfg(feature = "lambda")]
mod lambda;
mod layers;
mod listing;
mod local;
mod model;
mod models;
mod order;
mod packaging;
mod pages;
mod permissions;
mod plan_command;
mod previews;
mod record;
mod redirects;
mod replay;
mod reports;
mod rollback;
mod round_trips;
mod rules;
mod semantics;
mod settings;
mod shards;
mod shell;
mod snapshots;
mod soak;
mod tags;
mod types;
mod verify;
mod viewers;
mod world;
