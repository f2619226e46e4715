//! What the tests stand in: a local edge, AWS's own clients for it, and a viewer.

pub(crate) mod aws;
pub(crate) mod http;
