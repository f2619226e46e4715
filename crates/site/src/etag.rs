//! ETags: what S3's ETags say about an object's bytes, and how to compute the same from a file.
//!
//! A single-part ETag is the MD5 of the bytes; a multipart ETag is the MD5 of the parts' MD5s, with the number of
//! parts (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>). With SSE-KMS and SSE-C, an ETag looks
//! like the first kind but says nothing about the bytes.

pub use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io::{self, Read};

/// Files larger than this, in bytes, are uploaded in parts.
pub const MULTIPART_THRESHOLD: u64 = 16 * MIB;
/// Maximum number of parts of an upload (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>).
const MAX_PARTS: u64 = 10_000;
/// Maximum size of a part, in bytes (same source).
const MAX_PART_SIZE: u64 = 5 * 1024 * MIB;
const MIB: u64 = 1024 * 1024;

/// The size of every part except the last, in bytes. It depends only on the file's size, so that the ETag of an
/// object that shipfront uploaded can be recomputed from the file.
pub fn part_size(size: u64) -> u64 {
    let mut part = 16 * MIB;
    while size.div_ceil(part) > MAX_PARTS && part < MAX_PART_SIZE {
        part = (part * 2).min(MAX_PART_SIZE);
    }
    part
}

/// An ETag as S3 lists it, without the quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Etag {
    /// 32 hexadecimal digits: the MD5 of the bytes, unless the object is encrypted with KMS.
    Single([u8; 16]),
    /// `digest-parts`.
    Multipart([u8; 16], u32),
    /// Any other form; it can only be compared with itself.
    Opaque(Box<str>),
}

impl Etag {
    /// Parses an ETag, quoted or not.
    pub fn parse(text: &str) -> Etag {
        let text = text.trim_matches('"');
        let (digest, parts) = match text.split_once('-') {
            None => (text, None),
            Some((digest, parts)) => (digest, Some(parts)),
        };
        let mut bytes = [0; 16];
        match (hex::decode_to_slice(digest, &mut bytes), parts.map(str::parse::<u32>)) {
            (Ok(()), None) => Etag::Single(bytes),
            (Ok(()), Some(Ok(parts))) if parts > 0 => Etag::Multipart(bytes, parts),
            _ => Etag::Opaque(text.into()),
        }
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Etag::Single(digest) => formatter.write_str(&hex(digest)),
            Etag::Multipart(digest, parts) => write!(formatter, "{}-{parts}", hex(digest)),
            Etag::Opaque(text) => formatter.write_str(text),
        }
    }
}

impl Serialize for Etag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Etag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Etag, D::Error> {
        /// Parses the borrowed text without copying it: a manifest has a million rows.
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Etag;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an ETag")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Etag, E> {
                Ok(Etag::parse(text))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// Lowercase hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// The MD5 of bytes in memory.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The ETag of a multipart upload, from the parts' MD5s.
pub fn multipart(parts: &[[u8; 16]]) -> Etag {
    let mut whole = Md5::new();
    for part in parts {
        whole.update(part);
    }
    Etag::Multipart(whole.finalize().into(), parts.len() as u32)
}

/// The part sizes with which an object of `size` bytes may have been uploaded in `parts` parts: shipfront's own,
/// and those of other tools.
fn candidate_part_sizes(size: u64, parts: u32) -> Vec<u64> {
    const USUAL_MIB: [u64; 14] = [5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512];
    let mut candidates: Vec<u64> = USUAL_MIB.iter().map(|mib| mib * MIB).collect();
    candidates.push(part_size(size));
    candidates.push(size.max(1));
    candidates.sort_unstable();
    candidates.dedup();
    candidates.retain(|&candidate| size.div_ceil(candidate).max(1) == u64::from(parts));
    candidates
}

/// Whether the bytes of `reader` are those of an object of the same `size` with this ETag.
///
/// Reads once, however many part sizes there are to try. `size` is the file's size when it was listed; a reader of
/// another length means that the file has changed since, and is an error.
pub fn matches(reader: impl Read, size: u64, etag: &Etag) -> io::Result<bool> {
    if matches!(etag, Etag::Opaque(_)) {
        return Ok(false);
    }
    let mut matcher = Matcher::new(size, etag);
    read_all(reader, size, |chunk| matcher.update(chunk))?;
    Ok(matcher.matches())
}

/// Compares bytes that arrive in chunks with an ETag.
pub struct Matcher<'a> {
    etag: &'a Etag,
    attempts: Vec<PartHasher>,
}

impl<'a> Matcher<'a> {
    /// Creates a matcher for an object of `size` bytes. Nothing matches an opaque ETag.
    pub fn new(size: u64, etag: &'a Etag) -> Matcher<'a> {
        let part_sizes = match etag {
            Etag::Single(_) => vec![u64::MAX],
            Etag::Multipart(_, parts) => candidate_part_sizes(size, *parts),
            Etag::Opaque(_) => Vec::new(),
        };
        Matcher { etag, attempts: part_sizes.into_iter().map(PartHasher::new).collect() }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, chunk: &[u8]) {
        self.attempts.iter_mut().for_each(|attempt| attempt.update(chunk));
    }

    /// Whether all bytes together are those of the object.
    pub fn matches(self) -> bool {
        self.attempts.into_iter().any(|attempt| match self.etag {
            Etag::Single(digest) => attempt.finish().last() == Some(digest),
            etag => &multipart(&attempt.finish()) == etag,
        })
    }
}

/// Reads exactly `size` bytes and passes them to `take` in chunks; any other length means that the file changed.
pub fn read_all(mut reader: impl Read, size: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; (size.clamp(1, 256 * 1024)) as usize];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                total += length as u64;
                take(&buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if total == size { Ok(()) } else { Err(changed_while_read()) }
}

/// The error for a file whose bytes are no longer those that were listed.
pub fn changed_while_read() -> io::Error {
    io::Error::other("the file changed while it was read")
}

/// The MD5s of consecutive parts.
pub(super) struct PartHasher {
    part_size: u64,
    filled: u64,
    current: Md5,
    parts: Vec<[u8; 16]>,
}

impl PartHasher {
    pub(super) fn new(part_size: u64) -> Self {
        PartHasher { part_size, filled: 0, current: Md5::new(), parts: Vec::new() }
    }

    pub(super) fn update(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            if self.filled == self.part_size {
                self.parts.push(self.current.finalize_reset().into());
                self.filled = 0;
            }
            let room = (self.part_size - self.filled).min(chunk.len() as u64) as usize;
            self.current.update(&chunk[..room]);
            self.filled += room as u64;
            chunk = &chunk[room..];
        }
    }

    pub(super) fn finish(mut self) -> Vec<[u8; 16]> {
        self.parts.push(self.current.finalize().into());
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts_of(bytes: &[u8], size: usize) -> Etag {
        multipart(&bytes.chunks(size).map(md5).collect::<Vec<_>>())
    }

    #[test]
    fn a_single_part_etag_is_the_md5() {
        let etag = Etag::parse("\"900150983cd24fb0d6963f7d28e17f72\"");
        assert!(matches(&b"abc"[..], 3, &etag).unwrap());
        assert!(!matches(&b"abd"[..], 3, &etag).unwrap());
        assert_eq!(etag.to_string(), "900150983cd24fb0d6963f7d28e17f72");
        assert!(matches(&b""[..], 0, &Etag::parse("d41d8cd98f00b204e9800998ecf8427e")).unwrap());
    }

    #[test]
    fn our_own_and_other_tools_part_sizes_are_recognised_in_one_read() {
        let bytes: Vec<u8> = (0..40 * MIB as usize).map(|at| (at % 251) as u8).collect();
        for mib in [5, 8, 16, 25] {
            let etag = parts_of(&bytes, mib * MIB as usize);
            assert!(matches(&bytes[..], bytes.len() as u64, &etag).unwrap(), "{mib} MiB");
        }
        let other = parts_of(&bytes, 7 * MIB as usize);
        assert!(!matches(&bytes[..], bytes.len() as u64, &other).unwrap());
    }

    #[test]
    fn a_part_size_is_a_function_of_the_size_and_never_needs_more_than_ten_thousand_parts() {
        assert_eq!(part_size(17 * MIB), 16 * MIB);
        for size in [160_000 * MIB, 160_001 * MIB, 5 * MIB * MIB, 50_000_000_000_000] {
            assert!(size.div_ceil(part_size(size)) <= MAX_PARTS);
            assert!(part_size(size) <= MAX_PART_SIZE);
        }
    }

    #[test]
    fn a_file_that_grew_or_shrank_is_an_error_not_an_answer() {
        let etag = Etag::parse("900150983cd24fb0d6963f7d28e17f72");
        assert!(matches(&b"abcd"[..], 3, &etag).is_err());
        assert!(matches(&b"ab"[..], 3, &etag).is_err());
    }

    #[test]
    fn forms_that_are_no_digest_are_opaque() {
        for text in [
            "",
            "abc",
            "900150983cd24fb0d6963f7d28e17f7z",
            "+9+0+1+5+0+9+8+3+c+d+2+4+f+b+0+d",
            "900150983cd24fb0d6963f7d28e17f72-0",
            "é00150983cd24fb0d6963f7d28e17f72",
        ] {
            assert!(matches!(Etag::parse(text), Etag::Opaque(_)), "{text}");
        }
    }
}
