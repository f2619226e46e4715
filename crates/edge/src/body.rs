//! Object bodies: in memory, or in files that nothing refers to before they are complete.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http_body_util::StreamBody;
use hyper::body::Frame;
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::{Checksum, StreamingBlob};

/// Number of bytes to buffer before writing to a file, so that a small object needs a blocking thread only once.
const FLUSH_AT: usize = 1 << 20;
const READ_AT_ONCE: u64 = 256 << 10;

/// Where new bodies are stored.
#[derive(Debug)]
pub(super) struct Bodies {
    directory: Option<PathBuf>,
    next: AtomicU64,
}

/// The bytes of an object: one segment for each part of its upload.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    pub(super) segments: Vec<Segment>,
}

/// Bytes that arrived in one request.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) size: u64,
    data: SegmentData,
}

#[derive(Clone, Debug)]
enum SegmentData {
    Memory(Bytes),
    File(Arc<BodyFile>),
}

/// A file that is removed with its last reader, unless an object in the journal refers to it.
#[derive(Debug)]
struct BodyFile {
    id: u64,
    path: PathBuf,
    kept: AtomicBool,
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            // A file that is left behind is removed at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The received bytes and their digests.
pub(super) struct Received {
    pub(super) segment: Segment,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Checksum,
}

/// Why a body was not received.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error("the upload broke off: {0}")]
    Interrupted(s3s::StdError),
    #[error(transparent)]
    Write(#[from] io::Error),
}

struct Digests {
    md5: Md5,
    checksums: ChecksumHasher,
}

impl Digests {
    fn update(&mut self, data: &[u8]) {
        self.md5.update(data);
        self.checksums.update(data);
    }
}

impl Bodies {
    /// Stores bodies in memory, or in files below `directory` numbered from `next`.
    pub(super) fn new(directory: Option<PathBuf>, next: u64) -> Self {
        Self { directory, next: AtomicU64::new(next) }
    }

    /// Reads `stream` to its end. With a directory, a large body is never completely in memory.
    pub(super) async fn receive(
        &self,
        stream: Option<StreamingBlob>,
        checksums: ChecksumHasher,
    ) -> Result<Received, ReceiveError> {
        let mut digests = Digests { md5: Md5::new(), checksums };
        let mut file = None;
        let mut size = 0;
        let mut pending: Vec<u8> = Vec::new();
        if let Some(mut stream) = stream {
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(ReceiveError::Interrupted)?;
                size += piece.len() as u64;
                pending.extend_from_slice(&piece);
                if let Some(directory) = &self.directory
                    && pending.len() >= FLUSH_AT
                {
                    let target = match file.take() {
                        Some(open) => Target::Open(open),
                        None => self.target(directory),
                    };
                    let (written, returned) = append(target, std::mem::take(&mut pending), digests).await?;
                    file = Some(written);
                    digests = returned;
                }
            }
        }
        let data = match &self.directory {
            None => {
                digests.update(&pending);
                SegmentData::Memory(Bytes::from(pending))
            }
            Some(directory) => {
                let target = match file.take() {
                    Some(open) => Target::Open(open),
                    None => self.target(directory),
                };
                let (written, returned) = append(target, pending, digests).await?;
                digests = returned;
                SegmentData::File(written.0)
            }
        };
        Ok(Received {
            segment: Segment { size, data },
            md5: digests.md5.finalize().into(),
            checksum: digests.checksums.finalize(),
        })
    }

    /// A segment that is in file `id` according to the journal.
    pub(super) fn existing(&self, id: u64, size: u64) -> Segment {
        let directory = self.directory.as_deref().unwrap_or(Path::new(""));
        Segment {
            size,
            data: SegmentData::File(Arc::new(BodyFile {
                id,
                path: path_of(directory, id),
                kept: AtomicBool::new(true),
            })),
        }
    }

    fn target(&self, directory: &Path) -> Target {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Target::New(BodyFile { id, path: path_of(directory, id), kept: AtomicBool::new(false) })
    }
}

enum Target {
    New(BodyFile),
    Open((Arc<BodyFile>, File)),
}

/// Writes and computes digests on a blocking thread, because both take as long as the piece is large.
async fn append(target: Target, data: Vec<u8>, mut digests: Digests) -> io::Result<((Arc<BodyFile>, File), Digests)> {
    tokio::task::spawn_blocking(move || {
        let (body, mut file) = match target {
            Target::Open(open) => open,
            Target::New(body) => {
                let body = Arc::new(body);
                let file = File::create(&body.path)?;
                (body, file)
            }
        };
        file.write_all(&data)?;
        digests.update(&data);
        Ok(((body, file), digests))
    })
    .await
    .map_err(io::Error::other)?
}

/// With 256 subdirectories, each is small enough to be listed.
pub(super) fn path_of(directory: &Path, id: u64) -> PathBuf {
    directory.join(format!("{:02x}", id % 256)).join(format!("{id:x}"))
}

impl Body {
    pub(super) fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }

    /// Keeps the files, now that the journal refers to them.
    pub(super) fn keep(&self) {
        self.set_kept(true);
    }

    /// Removes the files with their last reader, now that the journal no longer refers to them.
    pub(super) fn discard(&self) {
        self.set_kept(false);
    }

    fn set_kept(&self, kept: bool) {
        for segment in &self.segments {
            if let SegmentData::File(file) = &segment.data {
                file.kept.store(kept, Ordering::Release);
            }
        }
    }

    /// File number and size of each segment; `None` for a body in memory.
    pub(super) fn file_ids(&self) -> Option<Vec<(u64, u64)>> {
        self.segments
            .iter()
            .map(|segment| match &segment.data {
                SegmentData::Memory(_) => None,
                SegmentData::File(file) => Some((file.id, segment.size)),
            })
            .collect()
    }

    /// Streams the bytes of `range`.
    pub(super) fn stream(&self, range: Range<u64>) -> StreamingBlob {
        let pieces = self.pieces(&range);
        if let [piece] = pieces.as_slice()
            && let SegmentData::Memory(bytes) = &piece.0
        {
            return s3s::Body::from(slice(bytes, &piece.1)).into();
        }
        let stream = futures::stream::iter(pieces)
            .map(Ok::<_, io::Error>)
            .try_filter_map(|(data, range)| async move { Ok((range.start < range.end).then_some((data, range))) })
            .and_then(|(data, range)| async move { read_segment(data, range).await })
            .try_flatten()
            .map_ok(Frame::data);
        s3s::Body::http_body_unsync(StreamBody::new(stream)).into()
    }

    /// All bytes at once, for a response that is cached in memory.
    pub(super) async fn bytes(&self) -> Result<Bytes, s3s::StdError> {
        let mut stream = self.stream(0..self.size());
        let mut whole = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            if piece.len() as u64 == self.size() {
                return Ok(piece);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    }

    fn pieces(&self, range: &Range<u64>) -> Vec<(SegmentData, Range<u64>)> {
        let mut offset = 0;
        let mut pieces = Vec::new();
        for segment in &self.segments {
            let start = range.start.clamp(offset, offset + segment.size) - offset;
            let end = range.end.clamp(offset, offset + segment.size) - offset;
            if start < end {
                pieces.push((segment.data.clone(), start..end));
            }
            offset += segment.size;
        }
        pieces
    }
}

impl From<Segment> for Body {
    fn from(segment: Segment) -> Self {
        Self { segments: vec![segment] }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::from(Segment { size: bytes.len() as u64, data: SegmentData::Memory(bytes) })
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let length = bytes.len() as u64;
    let bound = |position: u64| usize::try_from(position.min(length)).unwrap_or(usize::MAX);
    bytes.slice(bound(range.start)..bound(range.end))
}

type Pieces = futures::stream::BoxStream<'static, io::Result<Bytes>>;

async fn read_segment(data: SegmentData, range: Range<u64>) -> io::Result<Pieces> {
    match data {
        SegmentData::Memory(bytes) => {
            let bytes = slice(&bytes, &range);
            Ok(futures::stream::once(async move { Ok(bytes) }).boxed())
        }
        SegmentData::File(body) => {
            let file = File::open(&body.path)?;
            // The stream holds the body, so that the file is not removed while it is read.
            Ok(futures::stream::try_unfold((file, body, range), |(file, body, range)| async move {
                if range.start >= range.end {
                    return Ok(None);
                }
                let (file, bytes) = read_piece(file, range.clone()).await?;
                let next = range.start + bytes.len() as u64..range.end;
                Ok(Some((bytes, (file, body, next))))
            })
            .boxed())
        }
    }
}

async fn read_piece(mut file: File, range: Range<u64>) -> io::Result<(File, Bytes)> {
    tokio::task::spawn_blocking(move || {
        let length = (range.end - range.start).min(READ_AT_ONCE);
        let mut buffer = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.seek(SeekFrom::Start(range.start))?;
        if (&mut file).take(length).read_to_end(&mut buffer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((file, Bytes::from(buffer)))
    })
    .await
    .map_err(io::Error::other)?
}
