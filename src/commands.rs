//! The commands, one file each: from the arguments to the output and the exit code.
//!
//! Every command that accesses a site does so through `connection`, which decides between AWS and the local edge.

pub mod conformance;
mod connection;
pub mod deploy;
pub mod doctor;
pub mod documents;
pub mod headers;
pub mod history;
pub mod import;
pub mod init;
pub mod invalidate;
pub mod policy;
#[cfg(feature = "edge")]
pub mod preview;
pub mod previews;
pub mod promote;
pub mod redirects;
pub mod rollback;
pub mod rules;
mod signal;
pub mod status;
pub mod tags;
pub mod unlock;
