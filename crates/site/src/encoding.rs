//! Encodings with which bytes can be compressed.

use serde::{Deserialize, Serialize};

/// An encoding of compressed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Brotli.
    Br,
    /// Gzip.
    Gzip,
}

impl Encoding {
    /// The encoding's name in `Content-Encoding`.
    pub fn word(self) -> &'static str {
        match self {
            Encoding::Br => "br",
            Encoding::Gzip => "gzip",
        }
    }
}
