//! Large files: uploaded part by part from the disk, never held in memory, never left incomplete.

use crate::aws::ambiguous::AmbiguousAnswer;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::open_files;
use crate::s3::{Answered, BASE64, Bucket, LONGEST_TOKEN, Stored, is_opaque};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use futures::{StreamExt, TryStreamExt, stream};
use shipfront_site::etag::{self, Digest, Etag, Md5, multipart, part_size};
use shipfront_site::headers::Headers;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Number of parts of one file in flight: two hide the round trip and the hashing of the next part.
const PARTS_IN_FLIGHT: usize = 4;
/// How often, every 100 ms, opening a file is retried while too many are open: half a minute in all.
const OPENING_TRIES: u32 = 300;
const OPENING_PAUSE: Duration = Duration::from_millis(100);

/// How long aborting an upload may take after a signal.
const ABORTING: Duration = Duration::from_secs(2);

/// How a large file is sent.
#[derive(Clone, Copy)]
pub struct Transfer<'a> {
    /// An existing object stays as it is: `PreconditionFailed`.
    pub create_only: bool,
    /// Set by a signal: no further part is started.
    pub stop: &'a CancellationToken,
    /// How long the parts in flight have after that, and as much again for the request that ends the upload.
    pub cut_off: (&'a Clock, Duration),
    /// Called with the size of each part that is done, in bytes.
    pub uploaded: &'a (dyn Fn(u64) + Sync),
}

/// A part that is in S3.
struct Part {
    number: i32,
    digest: [u8; 16],
    etag: String,
}

impl Bucket {
    /// Uploads a file in parts and aborts the upload on any failure, so that no parts are billed.
    pub async fn put_parts(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        (headers, tags): (&Headers, &[(String, String)]),
        transfer: Transfer<'_>,
    ) -> Result<Stored> {
        let request = self.client.create_multipart_upload().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = crate::s3::headers::with_headers!(request, headers);
        let request = tags.iter().fold(request, |request, (name, value)| request.metadata(name, value));
        let created = request.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        let created = created.map_err(|error| {
            crate::s3::headers::of_upload(self.explain_key("CreateMultipartUpload", key, error), headers)
        })?;
        let id = created
            .upload_id
            .filter(|id| id.len() <= LONGEST_TOKEN)
            .ok_or_else(|| Error::failed(format!("S3 gave no upload id for {key}")))?;
        let opaque = is_opaque(created.server_side_encryption.as_ref(), created.sse_customer_algorithm.as_deref());
        let (clock, limit) = transfer.cut_off;
        let sent = clock.timeout_after(transfer.stop, limit, self.send_parts(key, path, size, &id, opaque, transfer));
        let cut_off = || {
            let message = format!("the upload of {key} was interrupted before S3 answered");
            Error::failed(message).of_kind(ErrorKind::Unanswered).hint("the next deploy checks whether it succeeded")
        };
        match sent.await.unwrap_or_else(|| Err(cut_off())) {
            Ok(stored) => Ok(stored),
            Err(error) => {
                let abort = self.client.abort_multipart_upload().bucket(self.target.bucket());
                let abort = abort.key(self.target.full_key(key)).upload_id(&id);
                let abort = abort.set_expected_bucket_owner(self.expected_owner.clone()).send();
                match clock.timeout_after(transfer.stop, ABORTING, abort).await {
                    Some(Ok(_)) => Err(error),
                    Some(Err(_)) | None => Err(Error::failed(format!("{error}; its parts (upload {id}) could not be removed"))
                        .of_kind(error.kind())
                        .hint("allow s3:AbortMultipartUpload, and give the bucket a lifecycle rule that ends incomplete uploads")),
                }
            }
        }
    }

    /// The body of `put_parts`, a separate function so that every exit from it aborts.
    async fn send_parts(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        id: &str,
        opaque: bool,
        transfer: Transfer<'_>,
    ) -> Result<Stored> {
        let before = modified(path, size).map_err(|error| Error::unreadable(path, &error))?;
        let length = part_size(size);
        let numbers = 0..size.div_ceil(length);
        let parts = stream::iter(numbers).map(|at| async move {
            if transfer.stop.is_cancelled() {
                return Err(Error::failed(format!("the upload of {key} was interrupted")));
            }
            let offset = at * length;
            let part = self.send_part(key, path, id, at as i32 + 1, offset, length.min(size - offset), opaque).await?;
            (transfer.uploaded)(length.min(size - offset));
            Ok(part)
        });
        let parts: Vec<Part> = parts.buffered(PARTS_IN_FLIGHT).try_collect().await?;
        if modified(path, size).map_err(|error| Error::unreadable(path, &error))? != before {
            return Err(Error::unreadable(path, &etag::changed_while_read()));
        }
        let completed =
            parts.iter().map(|part| CompletedPart::builder().part_number(part.number).e_tag(&part.etag).build());
        let completed = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let request =
            self.client.complete_multipart_upload().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.upload_id(id).multipart_upload(completed);
        let request = request.set_if_none_match(transfer.create_only.then(|| "*".to_owned()));
        let lost = AmbiguousAnswer::default();
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = lost.observe(request.send()).await;
        let answer = answer.map_err(|error| lost.mark(self.explain_key("CompleteMultipartUpload", key, error)))?;
        let digests: Vec<_> = parts.iter().map(|part| part.digest).collect();
        let answered = Answered { etag: answer.e_tag.as_deref(), version: answer.version_id, opaque };
        self.stored(key, multipart(&digests), answered)
    }

    #[expect(clippy::too_many_arguments, reason = "a part is what its request says, field by field")]
    async fn send_part(
        &self,
        key: &str,
        path: &Path,
        id: &str,
        number: i32,
        offset: u64,
        length: u64,
        opaque: bool,
    ) -> Result<Part> {
        // Hashed first and read again from the page cache to be sent: S3 checks the digest, and no part is held in
        // memory, however large it is.
        let digest =
            digest_of(path.to_owned(), offset, length).await.map_err(|error| Error::unreadable(path, &error))?;
        let body = part_of(path, offset, length).await?;
        let request = self.client.upload_part().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.upload_id(id).part_number(number).content_md5(BASE64.encode(digest)).body(body);
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.explain_key("UploadPart", key, error))?;
        self.stored(key, Etag::Single(digest), Answered { etag: answer.e_tag.as_deref(), version: None, opaque })?;
        Ok(Part { number, digest, etag: answer.e_tag.unwrap_or_default() })
    }
}

/// A part of a file as a body. If too many files are open, it waits until others are closed.
async fn part_of(path: &Path, offset: u64, length: u64) -> Result<ByteStream> {
    let mut tries = OPENING_TRIES;
    loop {
        let body = ByteStream::read_from().path(path).offset(offset).length(Length::Exact(length));
        match body.buffer_size(256 * 1024).build().await {
            Err(error) if tries > 0 && open_files::is_exhausted(&error) => {
                tries -= 1;
                tokio::time::sleep(OPENING_PAUSE).await;
            }
            body => return body.map_err(|error| Error::unreadable(path, &io::Error::other(error))),
        }
    }
}

async fn digest_of(path: PathBuf, offset: u64, length: u64) -> io::Result<[u8; 16]> {
    let hash = move || {
        let mut file = open_files::open(&path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut hasher = Md5::new();
        etag::read_all(file.take(length), length, |chunk| hasher.update(chunk))?;
        Ok(hasher.finalize().into())
    };
    tokio::task::spawn_blocking(hash).await.map_err(io::Error::other)?
}

/// When the file was last modified, if it still has the planned size.
fn modified(path: &Path, size: u64) -> io::Result<std::time::SystemTime> {
    let metadata = std::fs::metadata(path)?;
    if metadata.len() == size { metadata.modified() } else { Err(etag::changed_while_read()) }
}
