//! The headers that an object is uploaded with.

use crate::Encoding;
use crate::charset::CharsetCheck;
use crate::etag::md5;
use crate::media_type;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU64;

/// What S3 stores with the bytes and CloudFront sends to viewers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers {
    /// `Content-Type`, with a charset on text.
    pub content_type: String,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// The storage class, unless it is `STANDARD`.
    pub storage_class: Option<String>,
    /// Where a website endpoint redirects requests for the object.
    pub website_redirect: Option<String>,
    /// User metadata by name, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// A canned ACL.
    pub acl: Option<String>,
    /// The encodings to try. The result is in `Content-Encoding`.
    pub compress: Vec<Encoding>,
    /// Whether `charset=utf-8` is only an assumption about text, to be removed if the bytes are something else.
    pub assumes_utf8: bool,
}

/// The charset that text gets unless something else names one.
const UTF8: &str = "; charset=utf-8";

impl Headers {
    /// The headers of a key without any rules.
    pub fn of(key: &str) -> Headers {
        let content_type = media_type::of(key).into_owned();
        Headers {
            assumes_utf8: content_type.ends_with(UTF8),
            content_encoding: media_type::encoding_of(key).map(|encoding| encoding.word().to_owned()),
            content_type,
            ..Headers::default()
        }
    }

    /// The check of the file's bytes, if `Content-Type` depends on them.
    pub fn charset_check(&self) -> Option<CharsetCheck> {
        self.assumes_utf8.then(|| CharsetCheck::new(&self.content_type, self.content_encoding.as_deref()))
    }

    /// A digest that distinguishes sets of headers. Headers that consist only of a type have the same digest as
    /// before other headers existed.
    pub fn digest(&self) -> HeadersDigest {
        let Headers { content_type, metadata, .. } = self;
        let mut text = format!("content-type: {content_type}\n");
        let mut add = |name: &str, value: &str| {
            for part in [name, ": ", value, "\n"] {
                text.push_str(part);
            }
        };
        for (name, value) in self.single() {
            if let Some(value) = value {
                add(name, value);
            }
        }
        metadata.iter().for_each(|(name, value)| add(&format!("x-amz-meta-{name}"), value));
        let [a, b, c, d, e, f, g, h, ..] = md5(text.as_bytes());
        HeadersDigest(NonZeroU64::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])).unwrap_or(NonZeroU64::MAX))
    }

    /// The same headers, now that it is known how the bytes were compressed.
    #[must_use]
    pub fn compressed(self, encoding: Option<Encoding>) -> Headers {
        match encoding {
            Some(encoding) => Headers { content_encoding: Some(encoding.word().to_owned()), ..self },
            None => self,
        }
    }

    /// The same headers, now that it is known whether `charset=utf-8` is true of the bytes.
    #[must_use]
    pub fn with_charset(mut self, is_utf8: bool) -> Headers {
        if std::mem::take(&mut self.assumes_utf8) && !is_utf8 {
            let length = self.content_type.strip_suffix(UTF8).unwrap_or(&self.content_type).len();
            self.content_type.truncate(length);
        }
        self
    }

    /// Whether an object has these headers, according to a HEAD request.
    ///
    /// Properties that the rules do not set and visitors do not see may differ: the storage class, which lifecycle
    /// rules change, and other tools' metadata. HEAD does not return the ACL, so only an upload makes certain that
    /// an object has the ACL that it should have.
    pub fn are_those_of(&self, found: &Headers, metadata: &HashMap<String, String>) -> bool {
        let class = self.storage_class.is_none() || self.storage_class == found.storage_class;
        let metadata = self.metadata.iter().all(|(name, value)| metadata.get(name) == Some(value));
        let visible = |headers: &Headers| Headers {
            storage_class: None,
            metadata: BTreeMap::new(),
            compress: Vec::new(),
            assumes_utf8: false,
            ..headers.clone()
        };
        class && metadata && visible(self) == visible(found)
    }

    fn single(&self) -> [(&'static str, Option<&str>); 7] {
        [
            ("cache-control", self.cache_control.as_deref()),
            ("content-encoding", self.content_encoding.as_deref()),
            ("content-disposition", self.content_disposition.as_deref()),
            ("content-language", self.content_language.as_deref()),
            ("x-amz-storage-class", self.storage_class.as_deref()),
            ("x-amz-website-redirect-location", self.website_redirect.as_deref()),
            ("x-amz-acl", self.acl.as_deref()),
        ]
    }

    /// The size of the user metadata as S3 counts it, in bytes.
    pub fn metadata_bytes(&self) -> usize {
        self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// A digest of headers, small because a manifest may have a million rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
