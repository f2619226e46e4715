//! The headers an object is uploaded with.

use crate::Encoding;
use crate::charset::CharsetCheck;
use crate::etag::md5;
use crate::media_type;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU64;

/// What S3 stores beside the bytes and CloudFront hands to viewers.
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
    /// The storage class, where it is not `STANDARD`.
    pub storage_class: Option<String>,
    /// Where a website endpoint redirects to.
    pub website_redirect: Option<String>,
    /// User metadata by name, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// A canned ACL.
    pub acl: Option<String>,
    /// How to compress the bytes. What comes of it, `Content-Encoding` says.
    pub compress: Vec<Encoding>,
    /// Whether `charset=utf-8` is only what text usually is, and goes where the bytes are something else.
    pub assumes_utf8: bool,
}

/// The charset that text gets where nobody says one.
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

    /// What looks at the bytes of their file, if `Content-Type` depends on them.
    pub fn charset_check(&self) -> Option<CharsetCheck> {
        self.assumes_utf8.then(|| CharsetCheck::new(&self.content_type, self.content_encoding.as_deref()))
    }

    /// A digest by which two sets of headers are distinguished. One that only has a type is digested as it
    /// was before there was anything else.
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

    /// The same once it is known how the bytes were compressed.
    #[must_use]
    pub fn compressed(self, encoding: Option<Encoding>) -> Headers {
        match encoding {
            Some(encoding) => Headers { content_encoding: Some(encoding.word().to_owned()), ..self },
            None => self,
        }
    }

    /// The same once it is known whether `charset=utf-8` is true of the bytes.
    #[must_use]
    pub fn with_charset(mut self, is_utf8: bool) -> Headers {
        if std::mem::take(&mut self.assumes_utf8) && !is_utf8 {
            let length = self.content_type.strip_suffix(UTF8).unwrap_or(&self.content_type).len();
            self.content_type.truncate(length);
        }
        self
    }

    /// Whether an object has these headers, as a HEAD tells them.
    ///
    /// What the rules do not speak of and visitors do not see may be otherwise: the storage class, which
    /// lifecycle rules change, and other tools' metadata. Nobody tells an ACL: an object that is to have
    /// one has it for certain only after an upload.
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

    /// The bytes of user metadata as S3 counts them.
    pub fn metadata_bytes(&self) -> usize {
        self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// A digest of headers: as small as a manifest of a million rows wants it.
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
