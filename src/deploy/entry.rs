//! What the walk knows of a key: all that later stages need, so that none asks the walk by key.

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
    /// Nowhere: the object is empty and redirects.
    Redirect,
}

/// A key of the source: a file, or a redirect that becomes an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key below the target's prefix.
    pub key: Key,
    /// Bytes.
    pub size: u64,
    /// Where the bytes come from.
    pub source: Source,
    /// The headers that its object gets, and how to compress it; shared, because a site has few different ones.
    pub headers: Arc<EntryHeaders>,
}

/// Headers with their digest.
#[derive(Debug, PartialEq, Eq)]
pub struct EntryHeaders {
    headers: Headers,
    digest: HeadersDigest,
    /// Whether a distribution serves their object as an error page, and if so, whether no rule says its
    /// `Cache-Control`.
    error_page: Option<bool>,
}

/// Those of entries whose headers nobody asks for.
static NO_HEADERS: LazyLock<Arc<EntryHeaders>> = LazyLock::new(|| Arc::new(EntryHeaders::new(Headers::default())));

/// What of an object's headers only the bytes of its file tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// How they were compressed, if they were.
    pub encoding: Option<Encoding>,
    /// Whether they are UTF-8, and declare nothing else; `true` where that does not matter.
    pub is_utf8: bool,
}

impl EntryHeaders {
    /// Headers as the rules give them.
    pub fn new(headers: Headers) -> EntryHeaders {
        EntryHeaders { digest: headers.digest(), headers, error_page: None }
    }

    /// The same for an error page: `chosen` is its `Cache-Control` where no rule says one.
    pub fn of_error_page(headers: Headers, chosen: Option<&str>) -> EntryHeaders {
        let cache_control = chosen.map(str::to_owned).or(headers.cache_control);
        let headers = EntryHeaders::new(Headers { cache_control, ..headers });
        EntryHeaders { error_page: Some(chosen.is_some()), ..headers }
    }

    /// What copies with these headers say of how long they live, if they are those of an error page.
    pub fn error_page(&self) -> Option<ErrorPage> {
        let cache_control = self.headers.cache_control.clone();
        self.error_page.map(|chosen| ErrorPage { cache_control, chosen, as_of: None })
    }

    /// Whether a digest is theirs, whatever the bytes were found to be.
    pub fn are_digested(&self, digest: HeadersDigest) -> bool {
        self.of_digest(digest).is_some()
    }

    /// Those of the object with this digest, if it has them.
    pub fn of_digest(&self, digest: HeadersDigest) -> Option<Headers> {
        let encodings = std::iter::once(None).chain(self.headers.compress.iter().copied().map(Some));
        let mut found = encodings.flat_map(|encoding| [true, false].map(|is_utf8| FileFacts { encoding, is_utf8 }));
        found.find(|found| self.digest(*found) == digest).map(|found| self.stored(found))
    }

    /// As the rules give them, before anything is known of the bytes.
    pub fn get(&self) -> &Headers {
        &self.headers
    }

    /// Those of the object once it is known what its bytes are.
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

    /// Where its file is, if it is one.
    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(&*self.key)
    }

    /// How to compress its bytes, the best first; empty where they are left as they are.
    pub fn compression(&self) -> &[Encoding] {
        &self.headers.get().compress
    }
}
