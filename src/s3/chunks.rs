//! The bytes of a file of the record, as it is written, in pieces: a single buffer would be copied as it grows, and take
//! twice its size meanwhile.

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::{Buf, Bytes};
use bytes_utils::SegmentedBuf;
use http_body::{Body, Frame, SizeHint};
use shipfront_site::etag::{Digest as _, Md5};
use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Size of a piece, in bytes. Tests have several.
const PIECE: usize = if cfg!(test) { 64 } else { 256 * 1024 };

/// Bytes in pieces, which clones share.
#[derive(Debug, Clone, Default)]
pub struct Chunks(SegmentedBuf<Bytes>);

impl Chunks {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.remaining()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them in one piece, for files that are small.
    pub fn into_bytes(mut self) -> Bytes {
        self.0.copy_to_bytes(self.len())
    }

    /// Their MD5.
    pub fn md5(&self) -> [u8; 16] {
        let mut digest = Md5::new();
        let mut rest = self.0.clone();
        while rest.has_remaining() {
            digest.update(rest.chunk());
            rest.advance(rest.chunk().len());
        }
        digest.finalize().into()
    }

    /// The body of a request, which may be sent again. It is no single piece, so the SDK would frame it as `aws-chunked`
    /// if it had to add a checksum.
    pub(super) fn into_body(self) -> ByteStream {
        ByteStream::new(SdkBody::retryable(move || SdkBody::from_body_1_x(self.clone())))
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Chunks {
        let mut pieces = SegmentedBuf::new();
        pieces.push(bytes);
        Chunks(pieces)
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.chunk().len();
        Poll::Ready((next > 0).then(|| Ok(Frame::data(self.0.copy_to_bytes(next)))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// Collects bytes in pieces.
#[derive(Debug, Default)]
pub struct ChunksWriter {
    full: Chunks,
    last: Vec<u8>,
}

impl ChunksWriter {
    /// All of them.
    pub fn finish(mut self) -> Chunks {
        self.last.shrink_to_fit();
        self.full.0.push(self.last.into());
        self.full
    }
}

impl Write for ChunksWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.len() == PIECE {
            // The first may be all that there is; from here on, there are many.
            let full = std::mem::replace(&mut self.last, Vec::with_capacity(PIECE));
            self.full.0.push(full.into());
        }
        let count = bytes.len().min(PIECE - self.last.len());
        self.last.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_site::etag::md5;

    fn written(length: usize) -> (Vec<u8>, Chunks) {
        let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let mut writer = ChunksWriter::default();
        bytes.chunks(7).for_each(|some| writer.write_all(some).unwrap());
        (bytes, writer.finish())
    }

    #[tokio::test]
    async fn bytes_come_back_as_they_were_written_however_they_are_read() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5] {
            let (bytes, chunks) = written(length);
            assert_eq!((chunks.len(), chunks.is_empty()), (length, length == 0));
            assert_eq!(chunks.0.segments(), length.div_ceil(PIECE));
            assert_eq!(chunks.md5(), md5(&bytes));
            assert_eq!(chunks.clone().into_bytes(), bytes);
            assert_eq!(chunks.size_hint().exact(), Some(length as u64));
            let body = chunks.into_body();
            assert_eq!(body.into_inner().try_clone().unwrap().content_length(), Some(length as u64));
        }
    }

    #[tokio::test]
    async fn a_body_is_sent_again_from_its_beginning() {
        let (bytes, chunks) = written(2 * PIECE + 1);
        let body = chunks.into_body().into_inner();
        let again = body.try_clone().unwrap();
        for body in [body, again] {
            assert_eq!(ByteStream::new(body).collect().await.unwrap().into_bytes(), bytes);
        }
    }
}
