//! Every S3 call: the only place that talks to the bucket.

pub mod chunks;
pub mod conditional;
pub mod copy;
pub mod crc64;
#[cfg(feature = "lambda")]
mod download;
pub mod head;
mod headers;
pub mod inspect;
pub mod multipart;
pub mod policy;
pub mod retag;
pub mod trial;
pub mod versions;

use crate::aws::Aws;
use crate::aws::ambiguous::AmbiguousAnswer;
use crate::aws::failure::explain;
use crate::aws::partition::arn_start;
use crate::aws::permission;
use crate::error::{Error, ErrorKind, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier, ServerSideEncryption};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use shipfront_invalidation::is_plain_id;
use shipfront_site::Target;
use shipfront_site::etag::{Etag, md5};
use shipfront_site::headers::Headers;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Maximum number of keys in one `DeleteObjects`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>).
pub const MAX_DELETE_KEYS: usize = 1000;

/// Maximum length of a continuation token, in bytes: S3's are shorter than a key.
const LONGEST_TOKEN: usize = 8 * 1024;
/// Maximum length of a key in a listing, in bytes: 1,024, each of which may be spelled as three.
const LONGEST_KEY: usize = 3 * 1024;

/// An object in a listing, its key without the target's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteObject {
    /// Key below the prefix.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Identifies the bytes.
    pub etag: Etag,
    /// When it was written, in seconds of S3's clock.
    pub modified: i64,
}

/// What S3 stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's ETag.
    pub etag: Etag,
    /// The ETag of its bytes, which differs if the object is encrypted with KMS.
    pub content: Etag,
    /// Its version, if the bucket keeps versions.
    pub version: Option<String>,
}

/// S3's response about an object that it stored.
struct Answered<'a> {
    etag: Option<&'a str>,
    version: Option<String>,
    /// Whether the ETag says nothing about the bytes.
    opaque: bool,
}

/// What a request says of the bytes that it sends, for the store to verify.
#[derive(Debug, Clone, Copy)]
pub enum Declared<'a> {
    /// Their MD5, as `Content-MD5`.
    Md5([u8; 16]),
    /// Their CRC-64/NVME in Base64, as `x-amz-checksum-crc64nvme`.
    Crc64(&'a str),
}

/// One page of `ListObjectsV2`.
#[derive(Debug)]
pub struct Page {
    /// In UTF-8 order of their keys.
    pub objects: Vec<RemoteObject>,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the first key.
    Beginning,
    /// At the first key after this one.
    After(String),
    /// Where another page ended, in S3's form.
    Token(String),
}

/// The bucket of a target, in its own region.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    target: Arc<Target>,
    expected_owner: Option<String>,
    uploads: Arc<UploadTraits>,
}

/// What is known of how a store verifies uploads.
#[derive(Debug)]
struct UploadTraits {
    /// Whether an MD5 verifies them instead of a CRC-64/NVME: the store does not accept or repeat that, or somebody on the
    /// way could alter bytes so that it stays the same.
    needs_md5: AtomicBool,
    /// Whether the ETag of an upload was its MD5.
    has_md5_etags: AtomicBool,
}

impl UploadTraits {
    fn of(aws: &Aws) -> Arc<UploadTraits> {
        Arc::new(UploadTraits { needs_md5: aws.is_exposed().into(), has_md5_etags: false.into() })
    }
}

impl Bucket {
    /// Finds the bucket, and its region if that is not the configured one, and sends a first request.
    ///
    /// One small listing: it needs no permission that a deploy does not need anyway, and unlike `HeadBucket`, its
    /// errors say what is wrong. `first` is requested at the same time, so that a bucket in the configured region
    /// costs no extra round trip, and again if the region was another.
    pub async fn open<T>(
        aws: &Aws,
        target: &Target,
        expected_owner: Option<&str>,
        first: impl AsyncFn(&Bucket) -> Result<T>,
    ) -> Result<(Bucket, T)> {
        let mut bucket = Bucket {
            client: Client::from_conf(aws.s3(None)),
            target: Arc::new(target.clone()),
            expected_owner: expected_owner.map(str::to_owned),
            uploads: UploadTraits::of(aws),
        };
        let (probe, answer) = tokio::join!(Box::pin(bucket.probe()), Box::pin(first(&bucket)));
        let Err(error) = probe else { return answer.map(|answer| (bucket, answer)) };
        if let Some(region) = region_of(&error) {
            bucket.client = Client::from_conf(aws.s3(Some(&region)));
            let (probe, answer) = tokio::join!(Box::pin(bucket.probe()), Box::pin(first(&bucket)));
            return match probe {
                Ok(()) => answer.map(|answer| (bucket, answer)),
                Err(error) => Err(bucket.explain("ListObjectsV2", error)),
            };
        }
        Err(bucket.explain("ListObjectsV2", error))
    }

    async fn probe(&self) -> Result<(), SdkError<ListObjectsV2Error, HttpResponse>> {
        let request = self.client.list_objects_v2().bucket(self.target.bucket()).prefix(self.target.prefix());
        let request =
            request.max_keys(1).encoding_type(EncodingType::Url).set_expected_bucket_owner(self.expected_owner.clone());
        request.send().await.map(|_| ())
    }

    /// The same bucket, or another one that the same credentials can reach, as the location of a record.
    ///
    /// Its requests bypass the limiter: a lease must be renewed however many uploads are queued.
    pub async fn place(&self, aws: &Aws, target: &Target) -> Result<Bucket> {
        let bucket = if target.bucket() == self.target.bucket() {
            Bucket { target: Arc::new(target.clone()), ..self.clone() }
        } else {
            Bucket::open(aws, target, self.expected_owner.as_deref(), async |_| Ok(())).await?.0
        };
        let region = bucket.client.config().region().map(Region::as_ref);
        Ok(Bucket { client: Client::from_conf(aws.s3_unlimited(region)), ..bucket })
    }

    /// The region of the endpoint.
    pub fn region(&self) -> Option<&str> {
        self.client.config().region().map(Region::as_ref)
    }

    /// The target this bucket was opened for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The same to be held: a site may have a million objects of it.
    pub(crate) fn shared_target(&self) -> Arc<Target> {
        self.target.clone()
    }

    /// One page of the target's objects.
    pub async fn list(&self, start: Start) -> Result<Page> {
        self.list_at_most(start, None).await
    }

    /// One page of at most this many of the target's objects; S3 itself returns no more than 1,000.
    pub async fn list_at_most(&self, start: Start, most: Option<i32>) -> Result<Page> {
        let request = self.client.list_objects_v2().bucket(self.target.bucket()).prefix(self.target.prefix());
        let token = if let Start::Token(token) = &start { Some(token.clone()) } else { None };
        let request = match start {
            Start::Beginning => request,
            Start::After(key) => request.start_after(self.target.full_key(&key)),
            Start::Token(token) => request.continuation_token(token),
        };
        // The XML of the response cannot hold a key with a control character as it is
        // (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
        let request = request.encoding_type(EncodingType::Url).set_max_keys(most);
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = request.send().await.map_err(|error| self.explain("ListObjectsV2", error))?;
        // A store that does not support it returns the keys as they are.
        let is_encoded = answer.encoding_type == Some(EncodingType::Url);
        let next = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
        if next.is_some() && next == token {
            return Err(repeats_itself(self.target.bucket()));
        }
        // An oversized key must not go into a request.
        let keys = answer.contents.iter().flatten().filter_map(|object| object.key.as_deref());
        if next.as_ref().is_some_and(|next| next.len() > LONGEST_TOKEN)
            || keys.clone().any(|key| key.len() > LONGEST_KEY)
        {
            return Err(Error::failed(format!("the listing of {} has names longer than S3's", self.target.bucket()))
                .hint("the response may not come from S3; check the network and any --endpoint-url"));
        }
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let key = if is_encoded { form_decoded(&object.key?) } else { object.key? };
            let key = key.strip_prefix(self.target.prefix())?.to_owned();
            let etag = Etag::parse(object.e_tag.as_deref().unwrap_or_default());
            let modified = object.last_modified.map_or(0, |modified| modified.secs());
            Some(RemoteObject { key, size: object.size.unwrap_or(0).max(0) as u64, etag, modified })
        });
        Ok(Page { objects: objects.collect(), next })
    }

    /// Uploads an object in one request and checks that S3 stored these bytes, whose CRC-64/NVME is `crc64`. `tags` is
    /// user metadata in addition to its headers. With `create_only`, an existing object stays as it is:
    /// `PreconditionFailed`.
    ///
    /// S3 verifies the checksum and repeats it. An MD5 takes a fifth of a first deploy's CPU time, and is computed only
    /// where it is needed: for the first upload of a run, which shows that ETags are MD5s, if the ETag says nothing about
    /// the bytes, and for stores that refuse the checksum or do not repeat it.
    pub async fn put(
        &self,
        key: &str,
        (body, crc64): (&Bytes, &str),
        with: (&Headers, &[(String, String)]),
        create_only: bool,
    ) -> Result<Stored> {
        let lost = AmbiguousAnswer::default();
        let explained = |error| lost.mark(headers::of_upload(self.explain_key("PutObject", key, error), with.0));
        let mut is_stored = false;
        if !self.uploads.needs_md5.load(Ordering::Relaxed) {
            match lost.observe(self.send_put(key, body, Declared::Crc64(crc64), with, create_only)).await {
                Ok(answer) if answer.checksum_crc64_nvme() == Some(crc64) => {
                    let opaque =
                        is_opaque(answer.server_side_encryption.as_ref(), answer.sse_customer_algorithm.as_deref());
                    let etag = answer.e_tag.as_deref().map(Etag::parse);
                    let is_known = self.uploads.has_md5_etags.load(Ordering::Relaxed);
                    let sent = match etag {
                        Some(etag @ Etag::Single(_)) if is_known && !opaque => etag,
                        _ => Etag::Single(md5_of(body).await?),
                    };
                    let answered = Answered { etag: answer.e_tag.as_deref(), version: answer.version_id, opaque };
                    let stored = self.stored(key, sent, answered)?;
                    self.uploads.has_md5_etags.fetch_or(!opaque, Ordering::Relaxed);
                    return Ok(stored);
                }
                // Nothing verified it: it is sent again, over what is this run's own now.
                Ok(_) => is_stored = true,
                Err(error) if is_unsupported(&error) => {}
                Err(error) => return Err(explained(error)),
            }
        }
        let digest = md5_of(body).await?;
        let sending = self.send_put(key, body, Declared::Md5(digest), with, create_only && !is_stored);
        let answer = lost.observe(sending).await.map_err(|error| {
            let error = explained(error);
            // Whatever it says, the object was replaced.
            if is_stored { error.of_kind(ErrorKind::Unanswered) } else { error }
        })?;
        self.uploads.needs_md5.store(true, Ordering::Relaxed);
        let opaque = is_opaque(answer.server_side_encryption.as_ref(), answer.sse_customer_algorithm.as_deref());
        let answered = Answered { etag: answer.e_tag.as_deref(), version: answer.version_id, opaque };
        self.stored(key, Etag::Single(digest), answered)
    }

    async fn send_put(
        &self,
        key: &str,
        body: &Bytes,
        declared: Declared<'_>,
        (headers, tags): (&Headers, &[(String, String)]),
        create_only: bool,
    ) -> Result<PutObjectOutput, SdkError<PutObjectError, HttpResponse>> {
        let request = headers::with_headers!(self.client.put_object(), headers)
            .bucket(self.target.bucket())
            .key(self.target.full_key(key))
            .set_expected_bucket_owner(self.expected_owner.clone())
            .set_if_none_match(create_only.then(|| "*".to_owned()))
            .body(ByteStream::from(body.clone()));
        let request = tags.iter().fold(request, |request, (name, value)| request.metadata(name, value));
        let request = match declared {
            Declared::Md5(digest) => request.content_md5(BASE64.encode(digest)),
            Declared::Crc64(checksum) => request.checksum_crc64_nvme(checksum),
        };
        request.send().await
    }

    /// Deletes objects, at most [`MAX_DELETE_KEYS`]; those that could not be deleted are returned with their
    /// reasons.
    ///
    /// With an ETag, an object is deleted only while it has that ETag: shipfront may not delete what others wrote
    /// since.
    pub async fn delete(&self, keys: &[(&str, Option<&Etag>)]) -> Result<Vec<(String, Error)>> {
        let identifier = |(key, etag): &(&str, Option<&Etag>)| {
            let etag = etag.map(|etag| format!("\"{etag}\""));
            ObjectIdentifier::builder().key(self.target.full_key(key)).set_e_tag(etag).build()
        };
        let objects: Result<Vec<_>, _> = keys.iter().map(identifier).collect();
        let delete = objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let delete = delete.map_err(|error| Error::failed(format!("cannot name the keys to delete: {error}")))?;
        let request = self.client.delete_objects().bucket(self.target.bucket()).delete(delete);
        let lost = AmbiguousAnswer::default();
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = lost.observe(request.send()).await;
        let answer = answer.map_err(|error| lost.mark(self.explain("DeleteObjects", error)))?;
        // A 200 may contain an error for each key, which other tools take for success.
        let refused = answer.errors.unwrap_or_default().into_iter();
        // If the first attempt did delete the object, a retry finds none: that is the desired result.
        let refused = refused.filter(|error| error.code.as_deref() != Some("NoSuchKey")).map(|error| {
            let key = error.key.unwrap_or_default();
            let key = key.strip_prefix(self.target.prefix()).unwrap_or(&key).to_owned();
            let code = error.code.unwrap_or_else(|| "unknown error".to_owned());
            let kind = ErrorKind::of_aws_code(&code);
            let mut failure = Error::failed(format!("S3 did not delete {key}: {code}")).of_kind(kind);
            if kind == ErrorKind::AccessDenied {
                failure = failure.hint(permission::hint("DeleteObjects"));
            }
            (key, self.named(failure))
        });
        Ok(refused.collect())
    }

    /// Compares the ETag in the response with that of the bytes that were sent.
    fn stored(&self, key: &str, sent: Etag, Answered { etag, version, opaque }: Answered<'_>) -> Result<Stored> {
        match etag.map(Etag::parse) {
            Some(etag) if opaque || etag == sent => Ok(Stored { content: sent, etag, version }),
            Some(etag) => {
                Err(Error::failed(format!("S3 stored other bytes than were sent for {key}: ETag {etag}, not {sent}"))
                    .hint("something between this machine and S3 alters uploads; if you use a proxy, try without it"))
            }
            None => Err(Error::failed(format!("S3 answered without an ETag for {key}"))),
        }
    }

    fn explain<E>(&self, operation: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let explained = self.named(explain(operation, &format!("the bucket {}", self.target.bucket()), error));
        match (&self.expected_owner, explained.kind()) {
            (Some(owner), ErrorKind::AccessDenied) => {
                let hint = format!(
                    "check that --expected-bucket-owner {owner} owns the bucket; otherwise {}",
                    explained.hint_text()
                );
                explained.hint(hint)
            }
            _ => explained,
        }
    }

    fn explain_key<E>(&self, operation: &str, key: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.named(explain(operation, &format!("s3://{}/{}", self.target.bucket(), self.target.full_key(key)), error))
    }

    /// The hint with this bucket's name, to be pasted into a policy.
    fn named(&self, error: Error) -> Error {
        let error = error.name_in_hint("arn:aws:", &arn_start(self.region()));
        error.name_in_hint("BUCKET", self.target.bucket()).name_in_hint("PREFIX", self.target.prefix())
    }
}

/// A key as a listing with `encoding-type=url` writes it: as in a form, a space is a plus sign.
fn form_decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', "%20")).decode_utf8_lossy().into_owned()
}

/// The error for a listing that leads back to where it was, and so would never end.
pub(crate) fn repeats_itself(bucket: &str) -> Error {
    Error::failed(format!("the listing of {bucket} repeats itself"))
        .hint("shipfront needs a store that lists each key once, as S3 does")
}

/// Whether a store may have refused a header that it does not know, as some do with checksums
/// (<https://github.com/iterate-ch/cyberduck/issues/16107>): then an MD5 is tried.
fn is_unsupported<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let is_about_bytes =
        matches!(error.code(), Some("BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" | "IncompleteBody"));
    let is_bad = matches!(error.raw_response().map(|answer| answer.status().as_u16()), Some(400 | 501));
    let kind = error.code().map(ErrorKind::of_aws_code);
    is_bad && !is_about_bytes && !matches!(kind, Some(ErrorKind::Credentials | ErrorKind::AccessDenied))
}

/// Maximum number of bytes that are digested where requests are handled: it takes a fraction of a millisecond.
const DIGESTED_AT_ONCE: usize = 128 * 1024;

/// The MD5 of a body, computed where it holds up no requests if it is large.
async fn md5_of(body: &Bytes) -> Result<[u8; 16]> {
    if body.len() <= DIGESTED_AT_ONCE {
        return Ok(md5(body));
    }
    let body = body.clone();
    let digest = tokio::task::spawn_blocking(move || md5(&body)).await;
    digest.map_err(|error| Error::failed(format!("computing the digest of an upload failed: {error}")))
}

/// Whether the ETag says nothing about the bytes because of how the object is encrypted.
fn is_opaque(encryption: Option<&ServerSideEncryption>, customer_algorithm: Option<&str>) -> bool {
    customer_algorithm.is_some()
        || matches!(encryption, Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse))
}

/// The bucket's region, if an error says that the request went to another one.
fn region_of<E>(error: &SdkError<E, HttpResponse>) -> Option<String>
where
    E: ProvideErrorMetadata,
{
    let response = error.raw_response()?;
    if !matches!(response.status().as_u16(), 301 | 307 | 400) {
        return None;
    }
    if let Some(region) = response.headers().get("x-amz-bucket-region") {
        return Some(region.to_owned()).filter(|region| is_plain_id(region));
    }
    // AuthorizationHeaderMalformed names the region only in its body.
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, rest) = body.split_once("<Region>")?;
    // It becomes part of the next request's host.
    rest.split_once("</Region>").map(|(region, _)| region.to_owned()).filter(|region| is_plain_id(region))
}

/// Creates a bucket on the local edge, closed where it should be closed on AWS. On AWS, shipfront creates none.
#[cfg(feature = "edge")]
pub(crate) async fn create(aws: &Aws, bucket: &str) -> Result<()> {
    let client = Client::from_conf(aws.s3(None));
    let subject = format!("the bucket {bucket}");
    match client.create_bucket().bucket(bucket).send().await {
        Ok(_) => {}
        Err(error) if matches!(error.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => {}
        Err(error) => return Err(explain("CreateBucket", &subject, error)),
    }
    let policy = client.put_bucket_policy().bucket(bucket).policy(policy::for_records(bucket)).send().await;
    policy.map(|_| ()).map_err(|error| explain("PutBucketPolicy", &subject, error))
}
