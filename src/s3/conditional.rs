//! Small objects, read with S3's own time and written conditionally: the basis of a lock.

use crate::error::{Error, ErrorKind, Result};
use crate::s3::chunks::Chunks;
use crate::s3::{BASE64, Bucket};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use jiff::Timestamp;
use shipfront_site::etag::md5;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What is made of an object's bytes as they arrive.
pub trait Sink {
    /// Takes the next bytes; an error ends the download.
    fn take(&mut self, bytes: &[u8]) -> Result<()>;
}

impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend(bytes);
        Ok(())
    }
}

/// An object that was read.
#[derive(Debug, Clone)]
pub struct Fetched<S> {
    /// Its bytes, or what was made of them.
    pub body: S,
    /// Its ETag as S3 returned it, including quotation marks.
    pub etag: String,
    /// When it was written, by S3's clock.
    pub modified: Timestamp,
    /// When it was read, by S3's clock.
    pub read: Timestamp,
}

/// The condition for writing an object
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>).
#[derive(Debug, Clone, Copy)]
pub enum Condition<'a> {
    /// It does not exist.
    Absent,
    /// It still has this ETag.
    Match(&'a str),
}

/// The result of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The object was written, with this ETag.
    Yes(String),
    /// The condition did not hold.
    Refused,
}

/// A response that broke off or stalled in the middle.
struct BrokeOff(Error);

/// Total number of attempts to read an object whose response breaks off.
const TRIES: u32 = 4;

impl Bucket {
    /// Reads an object of at most this many bytes, if it exists.
    pub async fn get(&self, key: &str, most: u64) -> Result<Option<Fetched<Vec<u8>>>> {
        self.get_at(key, most, Vec::new).await.map(|(found, _)| found)
    }

    /// Reads an object of at most this many bytes, if it exists, and S3's clock in any case. `sink` takes the bytes; it
    /// is called again for a response that broke off.
    pub async fn get_at<S: Sink>(
        &self,
        key: &str,
        most: u64,
        sink: impl Fn() -> S,
    ) -> Result<(Option<Fetched<S>>, Timestamp)> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            // The SDK retries only until a response has begun.
            let (answer, read) = self.request(key).await?;
            let Some(answer) = answer else { return Ok((None, read)) };
            let modified = answer.last_modified.map_or(0, |modified| modified.secs());
            let (modified, etag) = (time(modified), answer.e_tag.unwrap_or_default());
            match self.collect(key, answer.body, most, sink()).await? {
                Err(BrokeOff(_)) if tries > 0 => {}
                Err(BrokeOff(error)) => return Err(error),
                Ok(body) => return Ok((Some(Fetched { body, etag, modified, read }), read)),
            }
        }
    }

    /// Requests an object once; returns the beginning of the response, if the object exists, and S3's clock.
    async fn request(&self, key: &str) -> Result<(Option<GetObjectOutput>, Timestamp)> {
        let date = Arc::new(AtomicI64::new(0));
        let request = self.client.get_object().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = match request.customize().interceptor(ReadDate(date.clone())).send().await {
            Ok(answer) => Some(answer),
            Err(error) if error.code() == Some("NoSuchKey") => None,
            Err(error) => {
                let error = self.explain_key("GetObject", key, error);
                if error.kind() != ErrorKind::AccessDenied || !self.is_absent(key).await {
                    return Err(error);
                }
                None
            }
        };
        Ok((answer, time(date.load(Ordering::Relaxed))))
    }

    /// Whether there is certainly no object with this key. A listing shows that if a 403 leaves it open: S3 does
    /// not say 404 without `s3:ListBucket` for the request itself, which a condition on the prefix removes.
    pub(super) async fn is_absent(&self, key: &str) -> bool {
        let full = self.target.full_key(key);
        let request = self.client.list_objects_v2().bucket(self.target.bucket()).prefix(&full).max_keys(1);
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let Ok(answer) = request.send().await else { return false };
        answer.contents.unwrap_or_default().first().is_none_or(|first| first.key.as_deref() != Some(full.as_str()))
    }

    /// Reads the bytes of a response, whatever length it announced.
    async fn collect<S: Sink>(
        &self,
        key: &str,
        mut body: ByteStream,
        most: u64,
        mut sink: S,
    ) -> Result<Result<S, BrokeOff>> {
        let mut read = 0;
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    let message = format!("reading {key} from the bucket broke off: {error}");
                    return Ok(Err(BrokeOff(Error::failed(message))));
                }
            };
            read += chunk.len() as u64;
            if read > most {
                let what = format!("s3://{}/{}", self.target.bucket(), self.target.full_key(key));
                return Err(Error::refused(format!("{what} has more than {most} bytes")).hint(
                    "files of a deploy record are never that large: restore it from a version of the bucket, or remove it",
                ));
            }
            sink.take(&chunk)?;
        }
        Ok(Ok(sink))
    }

    /// Writes an object if a condition holds.
    pub async fn put_if(&self, key: &str, body: &[u8], condition: Condition<'_>) -> Result<Written> {
        let request = self.client.put_object().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.content_md5(BASE64.encode(md5(body))).content_type("application/json");
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Match(etag) => request.if_match(etag),
        };
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let request = request.body(ByteStream::from(body.to_vec()));
        match request.send().await {
            Ok(answer) => Ok(Written::Yes(answer.e_tag.unwrap_or_default())),
            Err(error) if is_refused(&error) => Ok(Written::Refused),
            Err(error) => Err(self.explain_key("PutObject", key, error)),
        }
    }

    /// Writes an object unconditionally.
    pub async fn put_plain(&self, key: &str, body: Chunks) -> Result<()> {
        let request = self.client.put_object().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.content_md5(BASE64.encode(body.md5())).content_type("application/gzip");
        let request = request.set_expected_bucket_owner(self.expected_owner.clone()).body(body.into_body());
        let answer = request.send().await;
        answer.map(|_| ()).map_err(|error| self.explain_key("PutObject", key, error))
    }
}

/// A time of S3's clock.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Another write came first (412), came at the same time (409), or the object to replace is gone (404).
fn is_refused<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(error.code(), Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey"))
        || matches!(error.raw_response().map(|answer| answer.status().as_u16()), Some(409 | 412))
}

/// Keeps the `Date` of a response: S3's own time, which no client's clock may replace.
#[derive(Debug)]
struct ReadDate(Arc<AtomicI64>);

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for ReadDate {
    fn name(&self) -> &'static str {
        "ReadDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        if let Some(date) = date {
            self.0.store(date.timestamp().as_second(), Ordering::Relaxed);
        }
        Ok(())
    }
}
