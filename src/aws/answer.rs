//! Bounds responses: they must arrive at some minimum pace, and unless they are objects, have a size that fits into
//! memory.
//!
//! The SDK reads a response that is not an object completely before it parses it, however long that is or takes. A
//! page of a listing has a thousand keys, a few megabytes; a server that is not AWS's may send gigabytes, or a byte
//! a second.

use crate::aws::silence;
use crate::clock::Clock;
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use futures::StreamExt;

use http_body_util::{BodyStream, StreamBody};
use std::time::Duration;

/// Maximum size of a response that is not an object, in bytes.
const MOST: u64 = 32 << 20;
/// Minimum pace of a response in bytes per second, after the time limit of a small request.
const SLOWEST: u64 = 4 * 1024;

/// The same response with bounds: reading beyond them fails. Objects have separate bounds, where they are read.
pub(super) fn bounded(mut answer: HttpResponse, is_object: bool, clock: &Clock) -> HttpResponse {
    let body = answer.take_body();
    if body.bytes().is_some() {
        *answer.body_mut() = body;
        return answer;
    }
    let (began, mut received) = (clock.start(), 0);
    let frames = BodyStream::new(body).map(move |frame| -> Result<_, BoxError> {
        let frame = frame?;
        received += frame.data_ref().map_or(0, |data| data.len() as u64);
        if !is_object && received > MOST {
            return Err(format!("it has more than {MOST} bytes").into());
        }
        if began.elapsed() > silence::SMALL + Duration::from_secs(received / SLOWEST) {
            return Err(format!("only {received} bytes came in {} s", began.elapsed().as_secs()).into());
        }
        Ok(frame)
    });
    *answer.body_mut() = SdkBody::from_body_1_x(StreamBody::new(frames));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::byte_stream::ByteStream;
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::body::Frame;

    /// Reads a response of `pieces` pieces with time passing in between; returns the number of bytes that could be
    /// read.
    async fn read(pieces: usize, piece: usize, is_object: bool, between: Duration) -> Result<usize, String> {
        let (clock, hand) = Clock::by_hand();
        let frames = futures::stream::iter(0..pieces).map(move |_| {
            hand.advance(between);
            Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'a'; piece])))
        });
        let answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::from_body_1_x(StreamBody::new(frames)));
        let read = ByteStream::new(bounded(answer, is_object, &clock).into_body()).collect().await;
        read.map(|bytes| bytes.to_vec().len()).map_err(|error| format!("{error:?}"))
    }

    #[tokio::test]
    async fn an_answer_without_end_is_given_up_and_an_object_is_not() {
        let mebibyte = 1 << 20;
        assert_eq!(read(32, mebibyte, false, Duration::ZERO).await, Ok(32 * mebibyte));
        assert!(read(33, mebibyte, false, Duration::ZERO).await.unwrap_err().contains("more than 33554432 bytes"));
        assert_eq!(read(33, mebibyte, true, Duration::ZERO).await, Ok(33 * mebibyte));
    }

    #[tokio::test]
    async fn an_answer_that_trickles_is_given_up_and_a_slow_one_is_not() {
        for is_object in [true, false] {
            let error = read(400, 1, is_object, Duration::from_secs(1)).await.unwrap_err();
            assert!(error.contains("bytes came in 1"), "{error}");
            assert_eq!(read(400, 8 * 1024, is_object, Duration::from_secs(1)).await, Ok(400 * 8 * 1024));
        }
    }

    #[tokio::test]
    async fn what_an_answer_says_stays_as_it_is() {
        let answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::from("text"));
        assert_eq!(bounded(answer, false, &Clock::default()).body().bytes(), Some(&b"text"[..]));
        let whole = SdkBody::from_body_1_x(Full::new(Bytes::from_static(b"text")));
        let answer = HttpResponse::new(200.try_into().unwrap(), whole);
        let read = ByteStream::new(bounded(answer, false, &Clock::default()).into_body()).collect().await;
        assert_eq!(read.unwrap().to_vec(), b"text");
    }
}
