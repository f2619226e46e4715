//! The headers an object is uploaded with.

use super::etag::{hex, md5};
use super::media_type;
use serde::Serialize;

/// What S3 stores beside the bytes and CloudFront hands to viewers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Headers {
    /// `Content-Type`, with a charset on text.
    pub content_type: String,
}

impl Headers {
    /// The headers of a key.
    pub fn of(key: &str) -> Headers {
        Headers { content_type: media_type::of(key).into_owned() }
    }
}

impl Headers {
    /// A digest by which two sets of headers are told apart, as short as a manifest of a million rows wants it.
    pub fn digest(&self) -> String {
        let Headers { content_type } = self;
        let text = format!("content-type: {content_type}\n");
        hex(&md5(text.as_bytes())[..8])
    }
}
