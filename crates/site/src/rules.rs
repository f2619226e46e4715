//! Header rules: which objects are uploaded with which headers.
//!
//! All rules that match a key apply in order, and the last value of each header wins: put a broad rule first,
//! exceptions after it. `_headers` files are read the same way. (Their platforms join the values of different rules
//! with a comma. All headers that S3 stores have single values, so joining would produce nonsense such as two
//! `max-age` in one `Cache-Control`.) An empty value removes a header.

pub mod audit;

use crate::Encoding;
use crate::error::{Error, Result};
use crate::glob::{self, Globs};
use crate::headers::Headers;
use crate::url_pattern::{UrlPattern, paths_of};
use globset::GlobSet;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Maximum size of an object's user metadata in bytes, names and values together
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>).
pub const MAX_METADATA_BYTES: usize = 2048;
/// Maximum length of a redirect in S3, in bytes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-page-redirect.html>).
pub const MAX_REDIRECT_BYTES: usize = 2048;

/// One rule, as `[[headers]]` in `shipfront.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HeaderRule {
    /// The keys that it applies to.
    pub files: Globs,
    /// The URL paths that it applies to, if it comes from a `_headers` file.
    #[serde(skip)]
    pub paths: Vec<UrlPattern>,
    /// `Cache-Control`: how long browsers and CloudFront keep a copy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_control: Option<HeaderValue>,
    /// `Content-Type`, instead of the one for the file's extension.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<HeaderValue>,
    /// `Content-Encoding`, for files that are already compressed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_encoding: Option<HeaderValue>,
    /// `Content-Disposition`: whether to display or to save, and under which name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_disposition: Option<HeaderValue>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_language: Option<HeaderValue>,
    /// The storage class.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub storage_class: Option<StorageClass>,
    /// Where an S3 website endpoint redirects requests for the object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub website_redirect: Option<Redirect>,
    /// User metadata, `x-amz-meta-NAME`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub metadata: BTreeMap<MetadataName, HeaderValue>,
    /// A canned ACL. ACLs are disabled on a bucket unless somebody enabled them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acl: Option<Acl>,
    /// Encodings to try, in order of preference; `[]` turns compression off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compress: Option<Vec<Encoding>>,
}

/// A header's value: visible ASCII, as HTTP requires; an empty one removes the header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HeaderValue(Box<str>);

impl HeaderValue {
    /// The value, if there is one.
    pub fn get(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&*self.0)
    }
}

impl FromStr for HeaderValue {
    type Err = String;

    fn from_str(text: &str) -> Result<HeaderValue, String> {
        let text = text.trim_matches([' ', '\t']);
        match text.chars().find(|c| !matches!(c, ' '..='~')) {
            None => Ok(HeaderValue(text.into())),
            Some(c) if c.is_control() => Err(format!("a header's value cannot have the control character {c:?}")),
            Some(c) => Err(format!(
                "a header's value is plain ASCII, and has no {c:?}; in Content-Disposition write filename*=UTF-8''..., per cent-encoded"
            )),
        }
    }
}

/// The name of user metadata, without `x-amz-meta-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MetadataName(Box<str>);

impl FromStr for MetadataName {
    type Err = String;

    fn from_str(text: &str) -> Result<MetadataName, String> {
        // S3 stores names in lowercase only.
        let name = text.to_ascii_lowercase();
        let name = name.strip_prefix("x-amz-meta-").unwrap_or(&name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(format!("{text:?} cannot be a name of metadata: it has letters, digits, '-', '_' and '.'"));
        }
        Ok(MetadataName(name.into()))
    }
}

/// The target of a redirect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Redirect(HeaderValue);

impl Redirect {
    /// The target, if there is one.
    pub fn get(&self) -> Option<&str> {
        self.0.get()
    }
}

impl FromStr for Redirect {
    type Err = String;

    fn from_str(text: &str) -> Result<Redirect, String> {
        let value: HeaderValue = text.parse()?;
        let to = value.get().unwrap_or("/");
        if !["/", "http://", "https://"].iter().any(|start| to.starts_with(start)) {
            return Err(format!(
                "{text:?} is not a redirect that S3 accepts: it must begin with /, http:// or https://"
            ));
        }
        if to.len() > MAX_REDIRECT_BYTES {
            return Err(format!("a redirect has at most {MAX_REDIRECT_BYTES} bytes, this one has {}", to.len()));
        }
        Ok(Redirect(value))
    }
}

/// Declares a word from a fixed list.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $words:expr, $more:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name(&'static str);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                const WORDS: &[&str] = &$words;
                let word = WORDS.iter().find(|word| word.eq_ignore_ascii_case(text));
                word.map(|word| $name(word)).ok_or_else(|| format!("{text:?} is no {}: take {}{}", $what, WORDS.join(", "), $more))
            }
        }
    };
}

words!(
    /// A storage class from which objects can be served.
    StorageClass,
    "storage class",
    ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"],
    "; viewers cannot read objects in GLACIER and DEEP_ARCHIVE"
);
words!(
    /// A canned ACL (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>).
    Acl,
    "canned ACL",
    ["private", "public-read", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"],
    ""
);

/// Implements deserialization through `FromStr`.
macro_rules! deserialized_from_text {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
deserialized_from_text!(HeaderValue, MetadataName, Redirect, StorageClass, Acl);

/// All rules of a deploy.
#[derive(Clone, Default)]
pub struct HeaderRules {
    rules: Vec<HeaderRule>,
    globs: GlobSet,
    /// The rule of each glob in the set.
    rule_of_glob: Vec<usize>,
    /// Rules with URL paths.
    by_path: Vec<usize>,
    /// Whether any rule asks for compression.
    compresses: bool,
}

impl fmt::Debug for HeaderRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.rules).finish()
    }
}

impl HeaderRules {
    /// Creates the set from rules in order: the last value of each header wins.
    pub fn new(rules: Vec<HeaderRule>) -> Result<HeaderRules> {
        let globs = glob::set(rules.iter().flat_map(|rule| &rule.files.0));
        let globs = globs.map_err(|error| Error::invalid(format!("the header rules cannot be used: {error}")))?;
        let rule_of_glob = rules.iter().enumerate().flat_map(|(at, rule)| rule.files.0.iter().map(move |_| at));
        let by_path = rules.iter().enumerate().filter(|(_, rule)| !rule.paths.is_empty());
        Ok(HeaderRules {
            rule_of_glob: rule_of_glob.collect(),
            by_path: by_path.map(|(at, _)| at).collect(),
            compresses: rules.iter().any(|rule| rule.compress.as_ref().is_some_and(|asked| !asked.is_empty())),
            globs,
            rules,
        })
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that match a key, in order.
    fn matching(&self, key: &str) -> impl Iterator<Item = &HeaderRule> {
        self.places(key).into_iter().map(|at| &self.rules[at])
    }

    /// The positions of the rules that match a key, in order.
    fn places(&self, key: &str) -> Vec<usize> {
        let mut at: Vec<usize> = Vec::new();
        if !self.globs.is_empty() {
            at.extend(self.globs.matches(key).into_iter().map(|glob| self.rule_of_glob[glob]));
        }
        if !self.by_path.is_empty() {
            let paths: Vec<String> = paths_of(key).collect();
            let matches = |&&at: &&usize| {
                self.rules[at].paths.iter().any(|pattern| paths.iter().any(|path| pattern.matches(path)))
            };
            at.extend(self.by_path.iter().filter(matches));
        }
        at.sort_unstable();
        at.dedup();
        at
    }

    /// The headers of a key. They are computed on each call, so that a million keys do not hold theirs in memory.
    pub fn headers(&self, key: &str) -> Headers {
        let mut headers = Headers::of(key);
        if self.is_empty() {
            return headers;
        }
        let text = |value: &HeaderValue| value.get().map(str::to_owned);
        for rule in self.matching(key) {
            if let Some(value) = &rule.content_type {
                let usual = Headers::of(key);
                headers.assumes_utf8 = value.get().is_none() && usual.assumes_utf8;
                headers.content_type = text(value).unwrap_or(usual.content_type);
            }
            let single = [
                (&rule.cache_control, &mut headers.cache_control),
                (&rule.content_encoding, &mut headers.content_encoding),
                (&rule.content_disposition, &mut headers.content_disposition),
                (&rule.content_language, &mut headers.content_language),
            ];
            for (value, header) in single {
                if let Some(value) = value {
                    *header = text(value);
                }
            }
            if let Some(redirect) = &rule.website_redirect {
                headers.website_redirect = redirect.get().map(str::to_owned);
            }
            if let Some(StorageClass(class)) = rule.storage_class {
                headers.storage_class = (class != "STANDARD").then(|| class.to_owned());
            }
            if let Some(Acl(acl)) = rule.acl {
                headers.acl = Some(acl.to_owned());
            }
            for (MetadataName(name), value) in &rule.metadata {
                match text(value) {
                    Some(value) => headers.metadata.insert(name.to_string(), value),
                    None => headers.metadata.remove(&**name),
                };
            }
            if let Some(compress) = &rule.compress {
                headers.compress.clone_from(compress);
            }
        }
        // Compressing a compressed file again would only make it larger.
        if headers.content_encoding.is_some() {
            headers.compress.clear();
        }
        headers
    }

    /// Whether a rule sets the `Cache-Control` of a key, or removes it.
    pub fn say_cache_control(&self, key: &str) -> bool {
        self.matching(key).any(|rule| rule.cache_control.is_some())
    }

    /// Encodings to try for a key, in order of preference; empty if it is not compressed.
    pub fn compression(&self, key: &str) -> Vec<Encoding> {
        if self.compresses { self.headers(key).compress } else { Vec::new() }
    }

    /// Refuses keys that would get more than S3 accepts.
    pub fn check<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Result<()> {
        let bytes_of = |(name, value): (&MetadataName, &HeaderValue)| name.0.len() + value.0.len();
        let most: usize = self.rules.iter().flat_map(|rule| &rule.metadata).map(bytes_of).sum();
        if most <= MAX_METADATA_BYTES {
            return Ok(());
        }
        for key in keys {
            let bytes = self.headers(key).metadata_bytes();
            if bytes > MAX_METADATA_BYTES {
                return Err(Error::invalid(format!("the header rules give {key} {bytes} bytes of metadata"))
                    .hint(format!("S3 accepts {MAX_METADATA_BYTES} bytes of names and values together: shorten them, or make fewer rules match")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
