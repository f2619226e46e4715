//! The environment of the tests: a local edge, AWS's own clients for it, a viewer, the binary, and a site to
//! deploy.

pub(crate) mod aws;
pub(crate) mod browser;
pub(crate) mod command;
pub(crate) mod crashes;
pub(crate) mod docs_site;
pub(crate) mod docs_viewers;
#[cfg(feature = "lambda")]
pub(crate) mod function;
pub(crate) mod http;
pub(crate) mod manifest;
pub(crate) mod oracle;
pub(crate) mod patience;
pub(crate) mod site;
pub(crate) mod sites;
pub(crate) mod tools;
