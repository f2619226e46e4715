//! The bytes of an upload: those of the file, compressed if a rule says so; none for a redirect.

use crate::deploy::entry::Entry;
use crate::deploy::hash::{charset_check, look_through};
use crate::error::{Error, Result};
use crate::open_files::{self, patiently};
use crate::s3::crc64::crc64;
use bytes::Bytes;
use shipfront_site::Encoding;
use shipfront_site::charset::CharsetCheck;
use shipfront_site::compression::{self, Compressed};
use shipfront_site::etag::{Digest, Etag, MULTIPART_THRESHOLD, Md5, changed_while_read, md5, read_all};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// What is sent.
pub(super) enum Body {
    /// In one piece, with its CRC-64/NVME.
    Whole(Bytes, String),
    /// In parts, from a file.
    Parts(PathBuf),
    /// In parts, from a temporary file that is deleted with this value.
    Scratch(TempPath),
}

/// The body, its size, the result of compression if that was requested, and whether the file is UTF-8 if its
/// headers depend on that.
pub(super) struct Prepared {
    pub(super) body: Body,
    pub(super) size: u64,
    pub(super) compressed: Option<Box<Compressed>>,
    pub(super) is_utf8: bool,
}

/// Prepares the upload of an entry. Blocking. A file that is sent in parts is not read here, except to compress it,
/// through a temporary file so that no large file is in memory, or if its headers depend on its bytes.
pub(super) fn prepare(root: &Path, entry: &Entry) -> Result<Prepared> {
    let plain = |body, size, is_utf8| Prepared { body, size, compressed: None, is_utf8 };
    if entry.is_redirect() {
        return Ok(plain(whole(Bytes::new()), 0, true));
    }
    let mut check = charset_check(entry);
    let (path, size, asked) = (entry.path(root), entry.size, entry.compression());
    let unreadable = |error: io::Error| Error::unreadable(&path, &error);
    if size <= MULTIPART_THRESHOLD {
        let bytes = read_whole(&path, size).map_err(unreadable)?;
        if let Some(check) = &mut check {
            check.update(&bytes);
        }
        let is_utf8 = check.is_none_or(CharsetCheck::is_utf8);
        if asked.is_empty() {
            return Ok(plain(whole(bytes), size, is_utf8));
        }
        let source = Etag::Single(md5(&bytes));
        let packed = compression::compress(size, asked, || Ok(&bytes[..]), || Ok(Vec::new())).map_err(unreadable)?;
        let (encoding, bytes) = packed.map_or((None, bytes), |(encoding, packed)| (Some(encoding), packed.into()));
        let compressed = Some(Box::new(Compressed { source, asked: asked.to_vec(), encoding }));
        let size = bytes.len() as u64;
        return Ok(Prepared { body: whole(bytes), size, compressed, is_utf8 });
    }
    open_files::open(&path).and_then(|file| look_through(file, check.as_mut())).map_err(unreadable)?;
    let is_utf8 = check.is_none_or(CharsetCheck::is_utf8);
    if !asked.is_empty() {
        return Ok(Prepared { is_utf8, ..pack_large(path, size, asked)? });
    }
    Ok(plain(Body::Parts(path), size, is_utf8))
}

fn pack_large(path: PathBuf, size: u64, asked: &[Encoding]) -> Result<Prepared> {
    let unreadable = |error: io::Error| Error::unreadable(&path, &error);
    let no_room = |error: io::Error| {
        Error::failed(format!("cannot compress {} into a temporary file: {error}", path.display()))
            .hint("set TMPDIR to a disk with enough space, or set compress = [] for this file")
    };
    let before = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(unreadable)?;
    let mut digest = Md5::new();
    read_all(open_files::open(&path).map_err(unreadable)?, size, |chunk| digest.update(chunk)).map_err(unreadable)?;
    let packed = compression::compress(size, asked, || open_files::open(&path), || patiently(NamedTempFile::new))
        .map_err(no_room)?;
    if std::fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(unreadable)? != before {
        return Err(unreadable(changed_while_read()));
    }
    let source = Etag::Single(digest.finalize().into());
    let remember = |encoding| Some(Box::new(Compressed { source, asked: asked.to_vec(), encoding }));
    let Some((encoding, file)) = packed else {
        return Ok(Prepared { body: Body::Parts(path), size, compressed: remember(None), is_utf8: true });
    };
    let size = file.as_file().metadata().map_err(no_room)?.len();
    let file = file.into_temp_path();
    // An object's ETag shows its number of parts, which must be the one for its own size.
    let body = if size <= MULTIPART_THRESHOLD {
        whole(read_whole(&file, size).map_err(no_room)?)
    } else {
        Body::Scratch(file)
    };
    Ok(Prepared { body, size, compressed: remember(Some(encoding)), is_utf8: true })
}

/// Bytes that are sent in one piece.
fn whole(bytes: Bytes) -> Body {
    let checksum = crc64(&bytes);
    Body::Whole(bytes, checksum)
}

/// A file's bytes, if it still has the planned size and was not written while it was read.
fn read_whole(path: &Path, size: u64) -> io::Result<Bytes> {
    let file = open_files::open(path)?;
    let before = file.metadata()?.modified().ok();
    let mut body = Vec::with_capacity(size as usize);
    (&file).take(size).read_to_end(&mut body)?;
    let after = file.metadata()?;
    if body.len() as u64 != size || after.len() != size || after.modified().ok() != before {
        return Err(changed_while_read());
    }
    Ok(Bytes::from(body))
}
