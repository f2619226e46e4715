//! Asks S3, once, for what neither the listing nor the manifest says about an object.
//!
//! Objects that the manifest does not describe get a HEAD for their headers. Objects that seem to differ but may be
//! encrypted with KMS, so that their ETag says nothing, are compared by S3's checksum. Error pages get a HEAD
//! before they change, and if somebody else may have written the same bytes again: the lifetime of their copies
//! under URLs that nobody can list depends on those headers.

use crate::deploy::change::CachedCopies;
use crate::deploy::diff::{Content, Decision, HeadersMatch, Pair};
use crate::deploy::entry::FileFacts;
use crate::deploy::error_pages;
use crate::deploy::hash;
use crate::deploy::on_cores;
use crate::deploy::tagging::Tagging;
use crate::deploy::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::open_files;
use crate::record::intent::UnfinishedDeploy;
use crate::record::manifest::ErrorPage;
use crate::s3::Bucket;
use crate::s3::crc64::Crc64;
use futures::{StreamExt, TryStreamExt, stream};
use shipfront_invalidation::tags::copy_tags::CopyTags;
use shipfront_site::compression::Compressed;
use shipfront_site::etag::{Digest, Etag, Md5, read_all};
use shipfront_site::headers::HeadersDigest;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What is known about an object besides its size and ETag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Whether its headers are as the rules say.
    pub headers: HeadersMatch,
    /// The digest of the headers that the rules set, if it has those.
    pub digest: Option<HeadersDigest>,
    /// The ETag of its bytes, if that had to be determined.
    pub content: Option<Etag>,
    /// The cache tags that it carries, if they are certain.
    pub copy_tags: Option<Arc<CopyTags>>,
    /// The lifetime of its cached copies.
    pub cached: CachedCopies,
    /// What the record keeps about it as an error page if it stays as it is.
    pub error_page: Option<Box<ErrorPage>>,
    /// When it was written, in seconds of S3's clock, if that was requested.
    pub modified: Option<i64>,
    /// The result of compressing its file, if that was requested.
    pub compressed: Option<Box<Compressed>>,
    /// Whether its file is UTF-8, if its headers depend on that.
    pub is_utf8: bool,
}

impl Default for Inspected {
    fn default() -> Inspected {
        Inspected {
            headers: HeadersMatch::Unknown,
            digest: None,
            content: None,
            cached: CachedCopies::Unknown,
            error_page: None,
            modified: None,
            compressed: None,
            copy_tags: None,
            is_utf8: true,
        }
    }
}

/// The environment of the check.
pub struct Inspector<'a> {
    /// The target.
    pub bucket: &'a Bucket,
    /// The source, and the headers that its objects should have.
    pub walk: &'a Arc<Walk>,
    /// Whether there is a record that keeps the headers: without one, they would have to be requested again in
    /// every run.
    pub recorded: bool,
    /// Maximum number of requests in flight.
    pub concurrency: usize,
    /// How objects are tagged, if they are.
    pub tagging: Option<&'a Tagging>,
    /// What the run knows about the ETags of the bucket.
    pub opacity: &'a Opacity,
}

/// Whether the bucket's ETags say nothing about bytes, as under KMS: checked once per run, and only if the record
/// says that bytes have a different digest than their object's ETag.
#[derive(Debug, Default)]
pub struct Opacity(Mutex<Option<bool>>);

/// What the manifest says about each pair's headers and tags, in order. `files` is what reading their files showed:
/// how they are compressed, and whether they are UTF-8.
pub fn by_manifest(
    pairs: &[Pair],
    files: Vec<(Option<Box<Compressed>>, bool)>,
    walk: &Walk,
    unfinished: Option<&UnfinishedDeploy>,
) -> Vec<Inspected> {
    let inspect = |(pair, (compressed, is_utf8)): (&Pair, (Option<Box<Compressed>>, bool))| {
        let pending = unfinished.is_some_and(|unfinished| unfinished.pending_change(&pair.key).is_some());
        let entry = pair.local.and_then(|local| walk.entries.get(local.at));
        let described = pair.described().filter(|_| !pending);
        let sure = described.filter(|_| !pair.rewritten);
        // Other objects keep what others set: nothing relies on their headers.
        let recorded = described.filter(|row| row.error_page.is_none() || !pair.rewritten).and_then(|row| row.headers);
        let inspected = recorded.zip(entry).map_or_else(Inspected::default, |(recorded, entry)| {
            let wanted = entry.headers.digest(facts(compressed.as_deref(), is_utf8));
            Inspected::of(recorded == wanted, wanted)
        });
        // An interrupted run may have uploaded the same bytes with other tags, even within the same second as the
        // record.
        let cached = error_pages::cached(sure, entry.map(|entry| &*entry.headers));
        let copy_tags = sure.and_then(|row| row.copy_tags.clone());
        Inspected { compressed, cached, copy_tags, is_utf8, ..inspected }
    };
    pairs.iter().zip(files).map(inspect).collect()
}

/// What is known about a file.
fn facts(compressed: Option<&Compressed>, is_utf8: bool) -> FileFacts {
    FileFacts { encoding: compressed.and_then(|compressed| compressed.encoding), is_utf8 }
}

impl Inspected {
    fn of(same: bool, wanted: HeadersDigest) -> Inspected {
        let headers = if same { HeadersMatch::Same } else { HeadersMatch::Different };
        Inspected { headers, digest: same.then_some(wanted), ..Inspected::default() }
    }
}

impl Inspector<'_> {
    /// Requests the headers of pairs for which the manifest is not enough, and corrects `contents` and `inspected`
    /// accordingly. `decide` says what would be done based on what is known so far.
    pub async fn inspect(
        &self,
        pairs: &[Pair],
        contents: &mut [Content],
        inspected: &mut [Inspected],
        decide: impl Fn(&Pair, &Content, HeadersMatch) -> Decision,
    ) -> Result<()> {
        self.explain(pairs, contents).await?;
        for ((pair, content), inspected) in pairs.iter().zip(contents.iter()).zip(inspected.iter_mut()) {
            // Only for error pages, which are few.
            if matches!(inspected.cached, CachedCopies::Known(_))
                && matches!(decide(pair, content, inspected.headers), Decision::Upload(_) | Decision::Prune { .. })
            {
                inspected.cached = self.confirm(pair, std::mem::take(&mut inspected.cached)).await?;
            }
        }
        let unclear = |at: &usize| match &contents[*at] {
            Content::Same => self.recorded && inspected[*at].headers == HeadersMatch::Unknown,
            Content::Different => pairs[*at].described().is_none(),
            _ => false,
        };
        let questions: Vec<usize> = (0..pairs.len()).filter(unclear).collect();
        let answers = stream::iter(questions).map(|at| {
            let (pair, content, before) = (&pairs[at], contents[at].clone(), &inspected[at]);
            let (compressed, is_utf8) = (before.compressed.clone(), before.is_utf8);
            async move {
                let answer = self.ask(pair, content, (compressed, is_utf8)).await?;
                Ok::<_, Error>((at, answer))
            }
        });
        let answers: Vec<_> = answers.buffer_unordered(self.concurrency.max(1)).try_collect().await?;
        for (at, (content, answer)) in answers {
            contents[at] = content;
            let cached = std::mem::take(&mut inspected[at].cached);
            let is_utf8 = inspected[at].is_utf8;
            inspected[at] = Inspected { cached, is_utf8, ..answer };
        }
        Ok(())
    }

    /// Trusts the record about an object's bytes only if that is explained: the file's own ETag is the object's (a
    /// copy of an object uploaded in parts has a different one than its source), or ETags say nothing about bytes
    /// in this bucket. Otherwise, anybody who can write the record could keep a file from ever being uploaded.
    async fn explain(&self, pairs: &[Pair], contents: &mut [Content]) -> Result<()> {
        let questions: Vec<usize> = (0..pairs.len()).filter(|at| contents[*at] == Content::SameByRecord).collect();
        let answers = stream::iter(questions).map(|at| async move {
            let explained = self.is_own(&pairs[at]).await || self.is_opaque(&pairs[at]).await?;
            Ok::<_, Error>((at, explained))
        });
        let answers: Vec<_> = answers.buffer_unordered(self.concurrency.max(1)).try_collect().await?;
        for (at, explained) in answers {
            contents[at] = if explained { Content::Same } else { Content::Different };
        }
        Ok(())
    }

    /// Whether the file has the object's own ETag. It is read again only if that is possible: two digests of the
    /// whole cannot both be the file's.
    async fn is_own(&self, pair: &Pair) -> bool {
        let (Some(etag), Some(row)) = (pair.unlike_content(), pair.described()) else { return false };
        let both_whole = matches!((etag, row.content()), (Etag::Single(_), Etag::Single(_)));
        if both_whole || matches!(etag, Etag::Opaque(_)) {
            return false;
        }
        let (walk, pair) = (self.walk.clone(), pair.clone());
        on_cores(move || hash::is_own(&walk, &pair)).await.is_ok_and(|own| own.unwrap_or(false))
    }

    /// Whether the ETag of an object says nothing about its bytes.
    async fn is_opaque(&self, pair: &Pair) -> Result<bool> {
        let mut known = self.opacity.0.lock().await;
        match *known {
            Some(true) => return Ok(true),
            // Then check each object: they are uploaded, or the bucket contains both kinds.
            Some(false) => drop(known),
            None => {
                let opaque = self.ask_opacity(pair).await?;
                *known = Some(opaque);
                return Ok(opaque);
            }
        }
        self.ask_opacity(pair).await
    }

    async fn ask_opacity(&self, pair: &Pair) -> Result<bool> {
        let listed = pair.remote.as_ref().map(|(_, etag)| etag);
        match self.bucket.head(&pair.key).await {
            Ok(head) => Ok(head.is_some_and(|head| head.opaque && Some(&head.etag) == listed)),
            Err(error) if error.kind() == ErrorKind::AccessDenied => match self.bucket.encryption().await {
                Ok(encryption) => Ok(encryption.is_some_and(|kind| kind.starts_with("aws:kms"))),
                Err(error) if error.kind() == ErrorKind::AccessDenied => Ok(false),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The lifetime of an error page's copies, if nothing in its object would let them live longer: somebody else
    /// may have set other headers within the same second as the record, or before such a record existed.
    async fn confirm(&self, pair: &Pair, cached: CachedCopies) -> Result<CachedCopies> {
        let listed = pair.remote.as_ref().map(|(_, etag)| etag);
        let head = match self.bucket.head(&pair.key).await {
            Ok(head) => head.filter(|head| Some(&head.etag) == listed),
            Err(error) if error.kind() == ErrorKind::AccessDenied => None,
            Err(error) => return Err(error),
        };
        Ok(head.map_or(CachedCopies::Unknown, |head| error_pages::confirmed(cached, &head)))
    }

    async fn ask(
        &self,
        pair: &Pair,
        content: Content,
        (compressed, is_utf8): (Option<Box<Compressed>>, bool),
    ) -> Result<(Content, Inspected)> {
        let listed = pair.remote.as_ref().map(|(_, etag)| etag);
        let head = match self.bucket.head(&pair.key).await {
            // What the record describes does not depend on the response.
            Err(error) if error.kind() == ErrorKind::AccessDenied && pair.described().is_some() => None,
            head => head?,
        };
        // If the object has changed since it was listed, the next run deals with it.
        let Some(head) = head.filter(|head| Some(&head.etag) == listed) else {
            return Ok((content, Inspected::default()));
        };
        let Some(entry) = pair.local.and_then(|local| self.walk.entries.get(local.at)) else {
            return Ok((content, Inspected::default()));
        };
        let wanted = entry.headers.stored(facts(compressed.as_deref(), is_utf8));
        // An Expires header may keep copies of an error page for any time.
        let lives_on = head.expires && entry.headers.error_page().is_some();
        let same = wanted.are_those_of(&head.headers, &head.metadata) && !lives_on;
        let copy_tags = self.tagging.and_then(|tagging| tagging.found(&pair.key, &head));
        let modified = Some(head.modified);
        let inspected = Inspected { compressed, copy_tags, modified, ..Inspected::of(same, wanted.digest()) };
        // The checksum is that of the stored bytes, which may be compressed.
        if content == Content::Same || !head.opaque || !wanted.compress.is_empty() || entry.is_redirect() {
            return Ok((content, inspected));
        }
        let Some(crc64) = head.crc64 else { return Ok((content, inspected)) };
        let (path, size) = (entry.path(&self.walk.root), entry.size);
        let digests = tokio::task::spawn_blocking(move || digests(path, size)).await;
        match digests.map_err(io::Error::other).flatten() {
            Ok((ours, etag)) if ours == crc64 => Ok((Content::Same, Inspected { content: Some(etag), ..inspected })),
            Ok(_) => Ok((Content::Different, inspected)),
            Err(error) => Ok((Content::Unreadable(error.to_string()), Inspected::default())),
        }
    }
}

/// The CRC-64/NVME of a file in S3's form, and the ETag of its bytes.
fn digests(path: PathBuf, size: u64) -> io::Result<(String, Etag)> {
    let mut crc = Crc64::default();
    let mut md5 = Md5::new();
    read_all(open_files::open(&path)?, size, |chunk| {
        crc.update(chunk);
        md5.update(chunk);
    })?;
    Ok((crc.finish(), Etag::Single(md5.finalize().into())))
}
