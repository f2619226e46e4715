//! Compresses files before the upload: always the same bytes for the same file, and none where compression does not
//! pay.
//!
//! S3 stores one representation of an object, and CloudFront does not choose between several, so every visitor gets
//! the stored bytes, whatever their browser accepts.

use crate::Encoding;
use crate::etag::{self, Digest, Etag, MULTIPART_THRESHOLD, Md5, PartHasher, changed_while_read, part_size};
use brotli::enc::BrotliEncoderParams;
use flate2::GzBuilder;
use serde::{Deserialize, Serialize};
use std::io::{self, BufReader, Read, Write};

/// Brotli's quality: above it, saving another tenth of the size takes ten times as long.
const BROTLI_QUALITY: i32 = 9;
/// Brotli's window, 4 MiB: the largest that every browser supports.
const BROTLI_WINDOW: i32 = 22;
/// Compression pays if the result is at most this percentage of the file.
const PAYS_PERCENT: u64 = 95;

/// What the manifest records about an object whose file was to be compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compressed {
    /// The MD5 of the file.
    pub source: Etag,
    /// The requested encodings, in order of preference.
    pub asked: Vec<Encoding>,
    /// The encoding used; `None` if none paid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<Encoding>,
}

/// Whether a compressed object of `compressed` bytes pays for a file of `size` bytes.
pub fn pays(size: u64, compressed: u64) -> bool {
    compressed <= most(size)
}

/// Maximum size of a compressed file, in bytes.
fn most(size: u64) -> u64 {
    size / 100 * PAYS_PERCENT + size % 100 * PAYS_PERCENT / 100
}

/// Compresses what `open` returns with the first encoding that pays, and writes it to what `sink` returns; `None`
/// if no encoding pays. Both are called once for each encoding that is tried.
pub fn compress<R: Read, W: Write>(
    size: u64,
    asked: &[Encoding],
    mut open: impl FnMut() -> io::Result<R>,
    mut sink: impl FnMut() -> io::Result<W>,
) -> io::Result<Option<(Encoding, W)>> {
    let most = most(size);
    for &encoding in asked {
        let mut writer = AtMost { room: most, full: false, inner: sink()? };
        match encode(encoding, open()?, size, &mut writer) {
            Ok(()) => return Ok(Some((encoding, writer.inner))),
            Err(_) if writer.full => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn encode(encoding: Encoding, reader: impl Read, size: u64, writer: &mut impl Write) -> io::Result<()> {
    let mut reader = Exactly { inner: reader, left: size };
    match encoding {
        Encoding::Br => {
            let (quality, lgwin) = (BROTLI_QUALITY, BROTLI_WINDOW);
            let parameters = BrotliEncoderParams { quality, lgwin, ..BrotliEncoderParams::default() };
            brotli::BrotliCompress(&mut reader, writer, &parameters)?;
        }
        Encoding::Gzip => {
            // Without name and time, the bytes are the same on every machine.
            let mut out = GzBuilder::new().mtime(0).write(writer, flate2::Compression::best());
            io::copy(&mut BufReader::with_capacity(64 * 1024, &mut reader), &mut out)?;
            out.finish()?;
        }
    }
    if reader.left == 0 { Ok(()) } else { Err(changed_while_read()) }
}

/// A reader of exactly this many bytes; any other length means that the file changed.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(changed_while_read)?;
        Ok(length)
    }
}

/// A writer that accepts at most this many bytes, so that compression stops once it no longer pays.
struct AtMost<W> {
    room: u64,
    full: bool,
    inner: W,
}

impl<W: Write> Write for AtMost<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.room {
            self.full = true;
            return Err(io::Error::other("it does not pay"));
        }
        let written = self.inner.write(bytes)?;
        self.room -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The object that a file would become if it were compressed and uploaded now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digested {
    /// What the manifest records about it.
    pub compressed: Compressed,
    /// The object's size, in bytes.
    pub size: u64,
    /// The object's ETag.
    pub etag: Etag,
}

/// Compresses a file only to compute the digest.
pub fn digest<R: Read>(size: u64, asked: &[Encoding], mut open: impl FnMut() -> io::Result<R>) -> io::Result<Digested> {
    let (source, plain) = digest_of(open()?, size)?;
    let remember = |encoding| Compressed { source: Etag::Single(source), asked: asked.to_vec(), encoding };
    Ok(match compress(size, asked, open, || Ok(Etags::new()))? {
        Some((encoding, etags)) => {
            Digested { compressed: remember(Some(encoding)), size: etags.size, etag: etags.finish() }
        }
        None => Digested { compressed: remember(None), size, etag: plain },
    })
}

/// The MD5 of a file, and the ETag that it has as an object.
fn digest_of(reader: impl Read, size: u64) -> io::Result<([u8; 16], Etag)> {
    let mut etags = Etags::new();
    etag::read_all(reader, size, |chunk| etags.update(chunk))?;
    let md5 = etags.whole.clone().finalize().into();
    Ok((md5, etags.finish()))
}

/// Computes the ETag of bytes whose number is known only at the end.
struct Etags {
    size: u64,
    whole: Md5,
    parts: PartHasher,
}

impl Etags {
    fn new() -> Etags {
        Etags { size: 0, whole: Md5::new(), parts: PartHasher::new(part_size(0)) }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.whole.update(bytes);
        self.parts.update(bytes);
    }

    fn finish(self) -> Etag {
        if self.size <= MULTIPART_THRESHOLD {
            Etag::Single(self.whole.finalize().into())
        } else if part_size(self.size) == part_size(0) {
            etag::multipart(&self.parts.finish())
        } else {
            // More than 10,000 parts of the usual size: the file is uploaded again.
            Etag::Opaque("unknown".into())
        }
    }
}

impl Write for Etags {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(lines: u32) -> Vec<u8> {
        (0..lines).flat_map(|at| format!("line {at} of {}\n", at * 7919).into_bytes()).collect()
    }

    fn compressed(bytes: &[u8], asked: &[Encoding]) -> Option<(Encoding, Vec<u8>)> {
        compress(bytes.len() as u64, asked, || Ok(bytes), || Ok(Vec::new())).unwrap()
    }

    fn back(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match encoding {
            Encoding::Br => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain).unwrap(),
            Encoding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
        };
        plain
    }

    #[test]
    fn the_first_encoding_that_pays_is_taken_and_comes_back_as_it_was() {
        let text = text(5000);
        for asked in [[Encoding::Br, Encoding::Gzip], [Encoding::Gzip, Encoding::Br]] {
            let (encoding, bytes) = compressed(&text, &asked).unwrap();
            assert_eq!(encoding, asked[0]);
            assert!(bytes.len() * 2 < text.len());
            assert_eq!(back(encoding, &bytes), text);
        }
    }

    #[test]
    fn what_does_not_pay_is_left_as_it_is() {
        let noise: Vec<u8> = (0..20_000u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
        let noise: Vec<u8> = noise.chunks(64).flat_map(crate::etag::md5).collect();
        let both = [Encoding::Br, Encoding::Gzip];
        assert_eq!(compressed(&noise, &both), None);
        assert_eq!(compressed(b"", &both), None);
        let digested = digest(noise.len() as u64, &both, || Ok(&noise[..])).unwrap();
        assert_eq!((digested.compressed.encoding, digested.size), (None, noise.len() as u64));
        assert_eq!(digested.etag, Etag::Single(crate::etag::md5(&noise)));
    }

    #[test]
    fn the_bytes_are_the_same_wherever_and_whenever_they_are_compressed() {
        /// Reads in pieces of any size, as a disk may.
        struct Crumbs<'a>(&'a [u8], usize);
        impl Read for Crumbs<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = self.1 * 31 % 1009 + 1;
                let length = self.1.min(buffer.len());
                self.0.read(&mut buffer[..length])
            }
        }
        let text = text(50_000);
        for encoding in [Encoding::Br, Encoding::Gzip] {
            let (_, whole) = compressed(&text, &[encoding]).unwrap();
            let crumbs = compress(text.len() as u64, &[encoding], || Ok(Crumbs(&text, 7)), || Ok(Vec::new()));
            assert_eq!(crumbs.unwrap().unwrap().1, whole, "{encoding:?}");
            let digested = digest(text.len() as u64, &[encoding], || Ok(&text[..])).unwrap();
            assert_eq!(digested.etag, Etag::Single(crate::etag::md5(&whole)));
            assert_eq!(digested.size, whole.len() as u64);
        }
        let (_, gzip) = compressed(&text, &[Encoding::Gzip]).unwrap();
        assert_eq!(gzip[3..8], [0; 5], "neither a name nor a time");
    }

    #[test]
    fn a_file_that_grew_or_shrank_is_an_error() {
        for size in [2, 4] {
            for encoding in [Encoding::Br, Encoding::Gzip] {
                let result = compress(size, &[encoding], || Ok(&[b'a'; 3][..]), || Ok(Vec::new()));
                // Three bytes never pay; but the first problem reported is that the size differs from the listed
                // one.
                assert!(matches!(result, Err(_) | Ok(None)));
            }
            assert!(digest(size, &[Encoding::Br], || Ok(&[b'a'; 3][..])).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(0..4u8, 0..5000)) {
            for encoding in [Encoding::Br, Encoding::Gzip] {
                if let Some((_, packed)) = compressed(&bytes, &[encoding]) {
                    prop_assert_eq!(back(encoding, &packed), &bytes[..]);
                }
            }
        }
    }
}
