//! What the walk knows about a key: everything that later stages need, so that none has to look it up in the walk.

use crate::record::manifest::ErrorPage;
use shipfront_site::headers::{Headers, HeadersDigest};
use shipfront_site::{Encoding, Key};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// Where the bytes of an entry come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The file of the source with the key's path.
    File,
    /// No file: the object is empty and redirects.
    Redirect,
}

/// A key of the source: a file, or a redirect that becomes an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key below the target's prefix.
    pub key: Key,
    /// Size, in bytes.
    pub size: u64,
    /// Where the bytes come from.
    pub source: Source,
    /// The headers of its object, and how to compress it; shared, because a site has only a few different ones.
    pub headers: Arc<EntryHeaders>,
}

/// Headers with their digest.
#[derive(Debug, PartialEq, Eq)]
pub struct EntryHeaders {
    headers: Headers,
    digest: HeadersDigest,
    /// `None` unless a distribution serves the object as an error page; otherwise, whether no rule sets its
    /// `Cache-Control`.
    error_page: Option<bool>,
}

/// For entries whose headers are not needed.
static NO_HEADERS: LazyLock<Arc<EntryHeaders>> = LazyLock::new(|| Arc::new(EntryHeaders::new(Headers::default())));

/// Properties of an object's headers that only the bytes of its file determine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// The encoding, if it is compressed.
    pub encoding: Option<Encoding>,
    /// Whether it is UTF-8 and declares no other encoding; `true` if that does not matter.
    pub is_utf8: bool,
}

impl EntryHeaders {
    /// Headers as the rules set them.
    pub fn new(headers: Headers) -> EntryHeaders {
        EntryHeaders { digest: headers.digest(), headers, error_page: None }
    }

    /// The same for an error page: `chosen` is its `Cache-Control` if no rule sets one.
    pub fn of_error_page(headers: Headers, chosen: Option<&str>) -> EntryHeaders {
        let cache_control = chosen.map(str::to_owned).or(headers.cache_control);
        let headers = EntryHeaders::new(Headers { cache_control, ..headers });
        EntryHeaders { error_page: Some(chosen.is_some()), ..headers }
    }

    /// The lifetime of copies with these headers, if they belong to an error page.
    pub fn error_page(&self) -> Option<ErrorPage> {
        let cache_control = self.headers.cache_control.clone();
        self.error_page.map(|chosen| ErrorPage { cache_control, chosen, as_of: None })
    }

    /// Whether a digest belongs to these headers, for any bytes.
    pub fn are_digested(&self, digest: HeadersDigest) -> bool {
        self.of_digest(digest).is_some()
    }

    /// The object's headers that have this digest, if any.
    pub fn of_digest(&self, digest: HeadersDigest) -> Option<Headers> {
        let encodings = std::iter::once(None).chain(self.headers.compress.iter().copied().map(Some));
        let mut found = encodings.flat_map(|encoding| [true, false].map(|is_utf8| FileFacts { encoding, is_utf8 }));
        found.find(|found| self.digest(*found) == digest).map(|found| self.stored(found))
    }

    /// The headers as the rules set them, before anything is known about the bytes.
    pub fn get(&self) -> &Headers {
        &self.headers
    }

    /// The headers of the object, once its bytes are known.
    pub fn stored(&self, found: FileFacts) -> Headers {
        self.headers.clone().compressed(found.encoding).with_charset(found.is_utf8)
    }

    /// The digest of [`EntryHeaders::stored`].
    pub fn digest(&self, found: FileFacts) -> HeadersDigest {
        let is_usual = found.encoding.is_none() && (found.is_utf8 || !self.headers.assumes_utf8);
        if is_usual { self.digest } else { self.stored(found).digest() }
    }
}

impl Entry {
    /// A file whose headers are not known yet.
    pub fn file(key: impl Into<Key>, size: u64) -> Entry {
        Entry { key: key.into(), size, source: Source::File, headers: NO_HEADERS.clone() }
    }

    /// Whether the object is empty and redirects.
    pub fn is_redirect(&self) -> bool {
        self.source == Source::Redirect
    }

    /// The path of its file, if it has one.
    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(&*self.key)
    }

    /// The encodings to try, in order of preference; empty if it is not compressed.
    pub fn compression(&self) -> &[Encoding] {
        &self.headers.get().compress
    }
}
