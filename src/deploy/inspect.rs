//! What neither the listing nor the manifest can tell of an object is asked of S3, once.
//!
//! Objects that the manifest does not describe are asked for their headers. Objects that seem to
//! differ but may be encrypted with KMS, where an ETag says nothing, are compared by the checksum
//! that S3 keeps.

use super::diff::{Content, HeadersMatch, Pair};
use crate::bucket::Bucket;
use crate::error::{Error, Result};
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

/// Finds out about each pair, in order, and corrects `contents` where a checksum knows better.
///
/// `recorded` tells whether there is a record in which the headers are kept: without one, they
/// would have to be asked for again in every run.
pub async fn inspect(
    bucket: &Bucket,
    root: &Path,
    pairs: &[Pair],
    contents: &mut [Content],
    recorded: bool,
    concurrency: usize,
    asked: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Inspected>> {
    let mut inspected: Vec<Inspected> = pairs.iter().map(from_manifest).collect();
    let unclear = |at: &usize| {
        let described = pairs[*at].described();
        match &contents[*at] {
            Content::Same => recorded && described.and_then(|row| row.headers.as_ref()).is_none(),
            Content::Different => described.is_none(),
            _ => false,
        }
    };
    let questions: Vec<usize> = (0..pairs.len()).filter(unclear).collect();
    let answers = stream::iter(questions).map(|at| {
        let (pair, content) = (&pairs[at], contents[at].clone());
        async move {
            let answer = ask(bucket, root, pair, content).await?;
            asked(1);
            Ok::<_, Error>((at, answer))
        }
    });
    let answers: Vec<_> = answers.buffer_unordered(concurrency.max(1)).try_collect().await?;
    for (at, (content, answer)) in answers {
        contents[at] = content;
        inspected[at] = answer;
    }
    Ok(inspected)
}

fn from_manifest(pair: &Pair) -> Inspected {
    let headers = match pair.described().and_then(|row: &Row| row.headers.as_ref()) {
        Some(digest) if *digest == Headers::of(&pair.key).digest() => HeadersMatch::Same,
        Some(_) => HeadersMatch::Different,
        None => HeadersMatch::Unknown,
    };
    Inspected { headers, content: None }
}

async fn ask(bucket: &Bucket, root: &Path, pair: &Pair, content: Content) -> Result<(Content, Inspected)> {
    let Some(head) = bucket.head(&pair.key).await? else { return Ok((content, Inspected::default())) };
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
