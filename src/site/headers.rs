//! The headers an object is uploaded with.

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
