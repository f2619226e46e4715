//! What neither the listing nor the manifest can tell of an object is asked of S3, once.
//!
//! Objects that the manifest does not describe are asked for their headers. Objects that seem to
//! differ but may be encrypted with KMS, where an ETag says nothing, are compared by the checksum
//! that S3 keeps.

use super::diff::{Content, HeadersMatch, Pair};
use crate::bucket::Bucket;
use crate::error::{Error, Result};
use crate::record::intent::Abandoned;
use crate::record::manifest::Row;
use crate::site::etag::{Etag, read_all};
use crate::site::headers::Headers;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use futures::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What is known of an object beside its size and ETag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Whether its headers are what the rules say.
    pub headers: HeadersMatch,
    /// The ETag of its bytes, where that had to be found out.
    pub content: Option<Etag>,
}

impl Default for Inspected {
    fn default() -> Inspected {
        Inspected { headers: HeadersMatch::Unknown, content: None }
    }
}

/// Where to look and whom to ask.
pub struct Inspector<'a> {
    /// The target.
    pub bucket: &'a Bucket,
    /// The source directory.
    pub root: &'a Path,
    /// Whether there is a record in which the headers are kept: without one, they would have to be
    /// asked for again in every run.
    pub recorded: bool,
    /// What an interrupted run may have changed: the manifest knows no headers of that.
    pub abandoned: Option<&'a Abandoned>,
    /// Requests in flight.
    pub concurrency: usize,
    /// Told the number of objects that were asked for.
    pub asked: &'a (dyn Fn(u64) + Sync),
}

impl Inspector<'_> {
    /// Finds out about each pair, in order, and corrects `contents` where a checksum knows better.
    pub async fn inspect(&self, pairs: &[Pair], contents: &mut [Content]) -> Result<Vec<Inspected>> {
        let mut inspected: Vec<Inspected> = pairs.iter().map(|pair| self.by_manifest(pair)).collect();
        let unclear = |at: &usize| match &contents[*at] {
            Content::Same => self.recorded && inspected[*at].headers == HeadersMatch::Unknown,
            Content::Different => pairs[*at].described().is_none(),
            _ => false,
        };
        let questions: Vec<usize> = (0..pairs.len()).filter(unclear).collect();
        let answers = stream::iter(questions).map(|at| {
            let (pair, content) = (&pairs[at], contents[at].clone());
            async move {
                let answer = ask(self.bucket, self.root, pair, content).await?;
                (self.asked)(1);
                Ok::<_, Error>((at, answer))
            }
        });
        let answers: Vec<_> = answers.buffer_unordered(self.concurrency.max(1)).try_collect().await?;
        for (at, (content, answer)) in answers {
            contents[at] = content;
            inspected[at] = answer;
        }
        Ok(inspected)
    }

    fn by_manifest(&self, pair: &Pair) -> Inspected {
        let promised = self.abandoned.is_some_and(|abandoned| abandoned.promise(&pair.key).is_some());
        let digest = pair.described().filter(|_| !promised).and_then(|row: &Row| row.headers.as_ref());
        let headers = match digest {
            Some(digest) if *digest == Headers::of(&pair.key).digest() => HeadersMatch::Same,
            Some(_) => HeadersMatch::Different,
            None => HeadersMatch::Unknown,
        };
        Inspected { headers, content: None }
    }
}

async fn ask(bucket: &Bucket, root: &Path, pair: &Pair, content: Content) -> Result<(Content, Inspected)> {
    let listed = pair.remote.as_ref().map(|(_, etag)| etag);
    // Another object than the one that was listed answers for itself in the next run.
    let Some(head) = bucket.head(&pair.key).await?.filter(|head| Some(&head.etag) == listed) else {
        return Ok((content, Inspected::default()));
    };
    let headers = if head.headers == Headers::of(&pair.key) { HeadersMatch::Same } else { HeadersMatch::Different };
    if content == Content::Same || !head.opaque {
        return Ok((content, Inspected { headers, content: None }));
    }
    let (Some(crc64), Some(size)) = (head.crc64, pair.local) else {
        return Ok((content, Inspected { headers, content: None }));
    };
    let path = root.join(&pair.key);
    let digests = tokio::task::spawn_blocking(move || digests(path, size)).await;
    match digests.map_err(io::Error::other).flatten() {
        Ok((ours, etag)) if ours == crc64 => Ok((Content::Same, Inspected { headers, content: Some(etag) })),
        Ok(_) => Ok((Content::Different, Inspected { headers, content: None })),
        Err(error) => Ok((Content::Unreadable(error.to_string()), Inspected::default())),
    }
}

/// The CRC-64/NVME of a file as S3 writes it, and the ETag of its bytes.
fn digests(path: PathBuf, size: u64) -> io::Result<(String, Etag)> {
    let mut crc = Crc::new(CrcAlgorithm::Crc64Nvme);
    let mut md5 = Md5::new();
    read_all(File::open(path)?, size, |chunk| {
        crc.update(chunk);
        md5.update(chunk);
    })?;
    Ok((BASE64.encode(crc.finalize().to_be_bytes()), Etag::Single(md5.finalize().into())))
}
