//! The requests of `shipfront conformance` to a store: the calls of a deploy, with everything in the responses.
//!
//! A refusal is a result here, and is returned with its code.

use crate::error::{Error, ErrorKind, Result};
use crate::s3::{BASE64, Bucket, Declared, headers, is_opaque};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective, ObjectIdentifier};
use base64::Engine as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use shipfront_site::Target;
use shipfront_site::etag::md5;
use shipfront_site::headers::Headers;

/// Maximum number of bytes to read of an object: the test objects are smaller.
const MOST_READ: usize = 32 << 20;

/// Characters that are not encoded in a copy source.
const IN_SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An error response of the store.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its code, or its status if it has none.
    pub code: String,
    /// The error for display.
    pub error: Error,
}

/// A response, which may be a refusal.
pub type Tried<T> = Result<T, Refused>;

/// The conditions for writing an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// It has this ETag, including quotation marks.
    pub if_match: Option<&'a str>,
    /// It does not exist.
    pub if_absent: bool,
}

/// What was stored.
#[derive(Debug, Clone)]
pub struct Put {
    /// Its ETag as returned, including quotation marks.
    pub etag: String,
    /// Its CRC-64/NVME as returned.
    pub crc64: Option<String>,
    /// Its version, if the bucket keeps versions.
    pub version: Option<String>,
    /// Whether the ETag says nothing about the bytes, according to the response's encryption headers.
    pub opaque: bool,
}

/// A key to delete.
#[derive(Debug, Clone, Default)]
pub struct Deletion<'a> {
    /// The key.
    pub key: &'a str,
    /// Only while it has this ETag.
    pub etag: Option<&'a str>,
    /// Only this version, permanently.
    pub version: Option<&'a str>,
}

/// The result of deletions.
#[derive(Debug, Clone, Default)]
pub struct Deletions {
    /// The keys that were refused, with the codes.
    pub refused: Vec<(String, String)>,
    /// The delete markers that were created, by key.
    pub markers: Vec<(String, String)>,
}

/// How an object is copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Copying<'a> {
    /// The version to copy.
    pub version: Option<&'a str>,
    /// Only while the source has this ETag.
    pub if_source: Option<&'a str>,
    /// Only while the object to replace has this ETag.
    pub if_match: Option<&'a str>,
    /// Headers that replace the source's.
    pub headers: Option<&'a Headers>,
}

impl Bucket {
    /// The same bucket below a separate folder: no key of its calls is outside.
    ///
    /// # Errors
    /// An invalid folder.
    pub fn below(&self, folder: &str) -> Result<Bucket> {
        let url = format!("s3://{}/{}{folder}", self.target.bucket(), self.target.prefix());
        Ok(Bucket { target: std::sync::Arc::new(Target::parse(&url)?), ..self.clone() })
    }

    /// Writes an object with what is declared of its bytes.
    pub async fn try_put(
        &self,
        key: &str,
        body: &[u8],
        declared: Declared<'_>,
        headers: &Headers,
        conditions: Conditions<'_>,
    ) -> Tried<Put> {
        let request = headers::with_headers!(self.client.put_object(), headers);
        let request = request.bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = match declared {
            Declared::Md5(digest) => request.content_md5(BASE64.encode(digest)),
            Declared::Crc64(checksum) => request.checksum_crc64_nvme(checksum),
        };
        let request = request.body(ByteStream::from(body.to_vec()));
        let request = request.set_if_match(conditions.if_match.map(str::to_owned));
        let request = request.set_if_none_match(conditions.if_absent.then(|| "*".to_owned()));
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.refused("PutObject", key, error))?;
        Ok(Put {
            etag: answer.e_tag.unwrap_or_default(),
            crc64: answer.checksum_crc64_nvme,
            version: answer.version_id,
            opaque: is_opaque(answer.server_side_encryption.as_ref(), answer.sse_customer_algorithm.as_deref()),
        })
    }

    /// Writes an object in parts; on a refusal, the upload is aborted.
    pub async fn try_put_parts(&self, key: &str, parts: &[Vec<u8>], if_absent: bool) -> Tried<Put> {
        let (id, completed) = self.begin_parts(key, parts).await?;
        let request =
            self.client.complete_multipart_upload().bucket(self.target.bucket()).key(self.target.full_key(key));
        let upload = CompletedMultipartUpload::builder().set_parts(Some(completed)).build();
        let request = request.upload_id(&id).multipart_upload(upload);
        let request = request.set_if_none_match(if_absent.then(|| "*".to_owned()));
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let refused = self.refused("CompleteMultipartUpload", key, error);
                self.abort_parts(key, &id).await?;
                return Err(refused);
            }
        };
        Ok(Put {
            etag: answer.e_tag.unwrap_or_default(),
            crc64: None,
            version: answer.version_id,
            opaque: is_opaque(answer.server_side_encryption.as_ref(), None),
        })
    }

    /// Begins an upload, sends its part, and aborts it.
    pub async fn try_abort(&self, key: &str, part: &[u8]) -> Tried<()> {
        let (id, _) = self.begin_parts(key, &[part.to_vec()]).await?;
        self.abort_parts(key, &id).await
    }

    /// The ID of an upload that was begun, and its parts. If it fails earlier, nothing of it is left.
    async fn begin_parts(&self, key: &str, parts: &[Vec<u8>]) -> Tried<(String, Vec<CompletedPart>)> {
        let request = self.client.create_multipart_upload().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let created = request.send().await.map_err(|error| self.refused("CreateMultipartUpload", key, error))?;
        let id = created.upload_id.unwrap_or_default();
        let mut completed = Vec::with_capacity(parts.len());
        for (number, part) in (1..).zip(parts) {
            let request = self.client.upload_part().bucket(self.target.bucket()).key(self.target.full_key(key));
            let request = request.upload_id(&id).part_number(number).content_md5(BASE64.encode(md5(part)));
            let request = request.set_expected_bucket_owner(self.expected_owner.clone());
            let request = request.body(ByteStream::from(part.clone()));
            match request.send().await {
                Ok(answer) => {
                    completed.push(CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build())
                }
                Err(error) => {
                    let refused = self.refused("UploadPart", key, error);
                    self.abort_parts(key, &id).await?;
                    return Err(refused);
                }
            }
        }
        Ok((id, completed))
    }

    async fn abort_parts(&self, key: &str, id: &str) -> Tried<()> {
        let request = self.client.abort_multipart_upload().bucket(self.target.bucket());
        let request = request.key(self.target.full_key(key)).upload_id(id);
        let answer = request.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        answer.map(|_| ()).map_err(|error| self.refused("AbortMultipartUpload", key, error))
    }

    /// Reads an object, or one of its versions.
    pub async fn try_get(&self, key: &str, version: Option<&str>) -> Tried<Vec<u8>> {
        let request = self.client.get_object().bucket(self.target.bucket()).key(self.target.full_key(key));
        let request = request.set_version_id(version.map(str::to_owned));
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = request.send().await.map_err(|error| self.refused("GetObject", key, error))?;
        let (mut body, mut read) = (answer.body, Vec::new());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| {
                let error = Error::failed(format!("reading {key} from the bucket broke off: {error}"));
                Refused { code: "no whole answer".to_owned(), error: error.of_kind(ErrorKind::Unanswered) }
            })?;
            read.extend_from_slice(&chunk);
            if read.len() > MOST_READ {
                let error = Error::failed(format!("{key} has more bytes than were ever written"));
                return Err(Refused { code: "no end".to_owned(), error });
            }
        }
        Ok(read)
    }

    /// Copies an object to another key, or onto itself.
    pub async fn try_copy(&self, from: &str, to: &str, copying: Copying<'_>) -> Tried<Put> {
        let from = self.target.full_key(from);
        let version = copying.version.map(|version| format!("?versionId={version}")).unwrap_or_default();
        let source = format!("{}/{}{version}", self.target.bucket(), utf8_percent_encode(&from, IN_SOURCE));
        let request = self.client.copy_object().bucket(self.target.bucket()).key(self.target.full_key(to));
        let request = request.copy_source(source).set_if_match(copying.if_match.map(str::to_owned));
        let request = request.set_copy_source_if_match(copying.if_source.map(str::to_owned));
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let request = request.set_expected_source_bucket_owner(self.expected_owner.clone());
        let request = match copying.headers {
            Some(headers) => {
                headers::with_headers!(request.metadata_directive(MetadataDirective::Replace), headers)
            }
            None => request,
        };
        let answer = request.send().await.map_err(|error| self.refused("CopyObject", to, error))?;
        Ok(Put {
            crc64: None,
            etag: answer.copy_object_result.and_then(|result| result.e_tag).unwrap_or_default(),
            version: answer.version_id,
            opaque: is_opaque(answer.server_side_encryption.as_ref(), answer.sse_customer_algorithm.as_deref()),
        })
    }

    /// Deletes one object, or a version of it, by its URL: a list of keys is XML, which cannot contain control
    /// characters.
    pub async fn try_delete_one(&self, deletion: &Deletion<'_>) -> Tried<()> {
        let request = self.client.delete_object().bucket(self.target.bucket()).key(self.target.full_key(deletion.key));
        let request = request.set_version_id(deletion.version.map(str::to_owned));
        let request = request.set_if_match(deletion.etag.map(str::to_owned));
        let answer = request.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        answer.map(|_| ()).map_err(|error| self.refused("DeleteObject", deletion.key, error))
    }

    /// Deletes objects, or versions of them.
    pub async fn try_delete(&self, deletions: &[Deletion<'_>]) -> Tried<Deletions> {
        let identifier = |deletion: &Deletion<'_>| {
            let identifier = ObjectIdentifier::builder().key(self.target.full_key(deletion.key));
            let identifier = identifier.set_e_tag(deletion.etag.map(str::to_owned));
            identifier.set_version_id(deletion.version.map(str::to_owned)).build()
        };
        let objects: Result<Vec<_>, _> = deletions.iter().map(identifier).collect();
        let delete = objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).build());
        let delete = delete.map_err(|error| Refused {
            code: "no request".to_owned(),
            error: Error::failed(format!("cannot name the keys to delete: {error}")),
        })?;
        let request = self.client.delete_objects().bucket(self.target.bucket()).delete(delete);
        let request = request.set_expected_bucket_owner(self.expected_owner.clone());
        let answer = request.send().await.map_err(|error| self.refused("DeleteObjects", "", error))?;
        let own = |key: Option<String>| {
            let key = key.unwrap_or_default();
            key.strip_prefix(self.target.prefix()).unwrap_or(&key).to_owned()
        };
        let refused = answer.errors.unwrap_or_default().into_iter();
        let deleted = answer.deleted.unwrap_or_default().into_iter();
        Ok(Deletions {
            refused: refused.map(|error| (own(error.key), error.code.unwrap_or_default())).collect(),
            markers: deleted.filter_map(|gone| Some((own(gone.key), gone.delete_marker_version_id?))).collect(),
        })
    }

    fn refused<E>(&self, operation: &str, key: &str, error: SdkError<E, HttpResponse>) -> Refused
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|answer| answer.status().as_u16().to_string());
        let code = error.code().map(str::to_owned).or(status).unwrap_or_else(|| "no answer".to_owned());
        Refused { code, error: self.explain_key(operation, key, error) }
    }
}
