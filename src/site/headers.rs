//! The headers an object is uploaded with.

use super::etag::md5;
use super::media_type;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;

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

    /// A digest by which two sets of headers are told apart.
    pub fn digest(&self) -> HeadersDigest {
        let Headers { content_type } = self;
        let text = format!("content-type: {content_type}\n");
        let [a, b, c, d, e, f, g, h, ..] = md5(text.as_bytes());
        HeadersDigest(NonZeroU64::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])).unwrap_or(NonZeroU64::MAX))
    }
}

/// A digest of headers: as small as a manifest of a million rows wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadersDigest(NonZeroU64);

impl fmt::Display for HeadersDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl Serialize for HeadersDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HeadersDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeadersDigest, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let digest =
            if text.len() == 16 { u64::from_str_radix(&text, 16).ok().and_then(NonZeroU64::new) } else { None };
        digest.map(HeadersDigest).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no digest of headers")))
    }
}
