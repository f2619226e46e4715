//! Decodes `aws-chunked` uploads, so that the object is stored without its framing.
//!
//! Chunk signatures are not checked: the local edge accepts any credentials.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use s3s::StdError;

use crate::lock::locked;

/// A line of framing is a hexadecimal size and a signature, or a trailing checksum.
const LONGEST_LINE: usize = 8 << 10;

enum State {
    Size,
    Data(usize),
    DataEnd,
    Trailers,
    End,
}

struct Decoder<S> {
    source: S,
    buffer: BytesMut,
    state: State,
    trailers: Arc<Mutex<HeaderMap>>,
}

/// The data of `source`; what follows the last chunk is written to `trailers` before the stream ends.
pub(super) fn decode<S>(
    source: S,
    trailers: Arc<Mutex<HeaderMap>>,
) -> impl Stream<Item = Result<Bytes, StdError>> + Send
where
    S: Stream<Item = Result<Bytes, StdError>> + Send + Unpin,
{
    let decoder = Decoder { source, buffer: BytesMut::new(), state: State::Size, trailers };
    futures::stream::try_unfold(decoder, |mut decoder| async move {
        Ok(decoder.next().await?.map(|bytes| (bytes, decoder)))
    })
}

impl<S> Decoder<S>
where
    S: Stream<Item = Result<Bytes, StdError>> + Send + Unpin,
{
    async fn next(&mut self) -> Result<Option<Bytes>, StdError> {
        loop {
            match self.state {
                State::Size => {
                    let line = self.line().await?;
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(size, 16).map_err(|_| malformed())?;
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(left) => {
                    if self.buffer.is_empty() {
                        self.fill().await?;
                    }
                    let piece = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                    self.state = match left - piece.len() {
                        0 => State::DataEnd,
                        left => State::Data(left),
                    };
                    return Ok(Some(piece));
                }
                State::DataEnd => {
                    if !self.line().await?.is_empty() {
                        return Err(malformed());
                    }
                    self.state = State::Size;
                }
                State::Trailers => {
                    // Some clients end the body right after the last chunk's own line.
                    if self.buffer.is_empty() && !self.try_fill().await? {
                        self.state = State::End;
                        continue;
                    }
                    let line = self.line().await?;
                    match line.split_once(':') {
                        Some((name, value)) => self.trailer(name, value)?,
                        None if line.is_empty() => self.state = State::End,
                        None => return Err(malformed()),
                    }
                }
                State::End => {
                    self.buffer.clear();
                    // Reads to the end; otherwise the connection could not be reused.
                    if !self.try_fill().await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn trailer(&self, name: &str, value: &str) -> Result<(), StdError> {
        let name = HeaderName::from_bytes(name.trim().as_bytes())?;
        locked(&self.trailers).insert(name, HeaderValue::from_str(value.trim())?);
        Ok(())
    }

    /// The next line without its end.
    async fn line(&mut self) -> Result<String, StdError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                return Ok(String::from_utf8(line.to_vec())?);
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(malformed());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), StdError> {
        if self.try_fill().await? { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
    }

    async fn try_fill(&mut self) -> Result<bool, StdError> {
        while let Some(piece) = self.source.next().await {
            let piece = piece?;
            if !piece.is_empty() {
                self.buffer.extend_from_slice(&piece);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn malformed() -> StdError {
    io::Error::new(io::ErrorKind::InvalidData, "the aws-chunked body is malformed").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    async fn decoded(text: &str, piece: usize) -> Result<(Vec<u8>, HeaderMap), StdError> {
        let pieces = text.as_bytes().chunks(piece);
        let pieces: Vec<_> = pieces.map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
        let trailers = Arc::new(Mutex::new(HeaderMap::new()));
        let stream = decode(futures::stream::iter(pieces), Arc::clone(&trailers));
        let data = stream.try_fold(Vec::new(), |mut data, piece| async move {
            data.extend_from_slice(&piece);
            Ok(data)
        });
        let data = data.await?;
        let trailers = locked(&trailers).clone();
        Ok((data, trailers))
    }

    #[tokio::test]
    async fn signed_and_unsigned_chunks_give_the_data_however_they_are_cut() {
        let unsigned = "5\r\nhello\r\n3\r\n\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        let signed = "5;chunk-signature=ab\r\nhello\r\n3;chunk-signature=cd\r\n\r\n!\r\n0;chunk-signature=ef\r\n\r\n";
        for piece in 1..unsigned.len() {
            let (data, trailers) = decoded(unsigned, piece).await.unwrap();
            assert_eq!(data, b"hello\r\n!");
            assert_eq!(trailers["x-amz-checksum-crc32"], "AAAAAA==");
            assert_eq!(decoded(signed, piece).await.unwrap().0, b"hello\r\n!");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        assert!(decoded("5\r\nhel", 3).await.is_err());
        assert!(decoded("5\r\nhelloXX3\r\n", 30).await.is_err());
    }
}
