//! What the tests stand in: a local edge, AWS's own clients for it, a viewer, and the binary.

pub(crate) mod aws;
pub(crate) mod command;
pub(crate) mod http;
