//! The S3 operations of the local edge: `s3s` implements the protocol, these answer from the store.

mod listing;
mod object;
mod upload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::bucket::{Bucket, Conditions, Object, write_error};
use crate::hosting::Hosting;
use crate::lock::{locked, reading, writing};
use crate::policy;
use crate::store::Store;
use crate::versions::Versioning;

pub(super) use upload::Uploads;

/// The region of a bucket that was created without one.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// What the listener and an operation share about one request.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// Keys that the fault script refuses to delete.
    pub(super) undeletable: Vec<String>,
    /// The keys of a `DeleteObjects`, for the trace.
    pub(super) items: Mutex<Vec<String>>,
    /// What followed the last chunk of an `aws-chunked` body.
    pub(super) trailers: Arc<Mutex<HeaderMap>>,
}

/// The service behind the API listener.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) hosting: Arc<Hosting>,
}

type Answer<T> = S3Result<S3Response<T>>;

/// Headers that S3 stores with an object and returns with it.
const KEPT_HEADERS: [&str; 8] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

/// The headers of a request that are stored with its object.
fn kept_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut kept: BTreeMap<String, String> = headers
        .iter()
        .filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-"))
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    kept.entry("content-type".to_owned()).or_insert_with(|| "binary/octet-stream".to_owned());
    if kept.get("x-amz-storage-class").is_some_and(|class| class == "STANDARD") {
        kept.remove("x-amz-storage-class");
    }
    kept
}

/// The headers that were stored with an object, for a response.
pub(super) fn stored_headers(object: &Object) -> HeaderMap {
    let pairs = object.headers.iter();
    pairs
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect()
}

fn conditions(headers: &HeaderMap) -> S3Result<Conditions> {
    let condition = |name: &str| match headers.get(name) {
        None => Ok(None),
        Some(value) => ETagCondition::parse_http_header(value.as_bytes())
            .map(Some)
            .map_err(|_| s3_error!(InvalidArgument, "{name} is not an ETag")),
    };
    let conditions = Conditions { if_match: condition("if-match")?, if_none_match: condition("if-none-match")? };
    if conditions.if_none_match.as_ref().is_some_and(|condition| !condition.is_any()) {
        return Err(s3_error!(NotImplemented, "If-None-Match of a write can only be *"));
    }
    Ok(conditions)
}

fn timestamp(seconds: i64) -> Timestamp {
    let seconds = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Timestamp::from(std::time::UNIX_EPOCH + seconds)
}

fn strong(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_owned()))
}

fn encryption(bucket: &Bucket) -> Option<ServerSideEncryption> {
    let opaque = reading(&bucket.settings).opaque_etags;
    let name = if opaque { ServerSideEncryption::AWS_KMS } else { ServerSideEncryption::AES256 };
    Some(ServerSideEncryption::from_static(name))
}

fn length(size: u64) -> Option<i64> {
    i64::try_from(size).ok()
}

impl Service {
    /// Creates the bucket with its distribution: neither is created without the other.
    pub(super) fn create(&self, name: &str) -> std::io::Result<String> {
        self.store.create(name)?;
        self.hosting.ensure(name)
    }
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let name = request.input.bucket;
        let exists = self.store.bucket(&name).is_ok();
        let configuration = request.input.create_bucket_configuration;
        let region = configuration.and_then(|configuration| configuration.location_constraint);
        let elsewhere = region.as_ref().is_some_and(|region| region.as_str() != DEFAULT_REGION);
        // Only us-east-1 answers 200 for an existing bucket.
        if exists && elsewhere {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        self.create(&name).map_err(|error| write_error(&error))?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let region = reading(&bucket.settings).region.clone();
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(region.unwrap_or_else(|| DEFAULT_REGION.to_owned())),
            ..HeadBucketOutput::default()
        }))
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.store.remove(&request.input.bucket)?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn get_bucket_location(&self, request: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let region = reading(&bucket.settings).region.clone();
        // us-east-1 has no constraint.
        let constraint = region.filter(|region| region != DEFAULT_REGION);
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: constraint.map(BucketLocationConstraint::from),
        }))
    }

    async fn get_bucket_ownership_controls(
        &self,
        request: S3Request<GetBucketOwnershipControlsInput>,
    ) -> Answer<GetBucketOwnershipControlsOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let ownership = if reading(&bucket.settings).acls { "ObjectWriter" } else { "BucketOwnerEnforced" };
        let rules = vec![OwnershipControlsRule { object_ownership: ObjectOwnership::from(ownership.to_owned()) }];
        let ownership_controls = Some(OwnershipControls { rules });
        Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls }))
    }

    async fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> Answer<GetObjectLockConfigurationOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        if !reading(&bucket.settings).object_lock {
            return Err(s3_error!(ObjectLockConfigurationNotFoundError));
        }
        let enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
        let configuration = ObjectLockConfiguration { object_lock_enabled: enabled, rule: None };
        Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) }))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let status = reading(&bucket.settings).versioning.map(|versioning| match versioning {
            Versioning::Enabled => BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED),
        });
        Ok(S3Response::new(GetBucketVersioningOutput { status, mfa_delete: None }))
    }

    async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let status = request.input.versioning_configuration.status;
        let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => return Err(s3_error!(IllegalVersioningConfigurationException, "The status is not one.")),
        };
        writing(&bucket.settings).versioning = Some(versioning);
        Ok(S3Response::new(PutBucketVersioningOutput {}))
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> Answer<GetBucketLifecycleConfigurationOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let lifecycle = reading(&bucket.settings).lifecycle.clone();
        let rules = lifecycle
            .ok_or_else(|| s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist"))?;
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(rules),
            ..GetBucketLifecycleConfigurationOutput::default()
        }))
    }

    /// The rules are stored and returned. The edge removes nothing because of them.
    async fn put_bucket_lifecycle_configuration(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> Answer<PutBucketLifecycleConfigurationOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let rules = request.input.lifecycle_configuration.map(|configuration| configuration.rules);
        writing(&bucket.settings).lifecycle = rules;
        Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
    }

    async fn get_bucket_policy(&self, request: S3Request<GetBucketPolicyInput>) -> Answer<GetBucketPolicyOutput> {
        let policy = self.store.bucket(&request.input.bucket)?.policy();
        let policy = policy.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))?;
        Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
    }

    async fn put_bucket_policy(&self, request: S3Request<PutBucketPolicyInput>) -> Answer<PutBucketPolicyOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        if !policy::is_policy(&request.input.policy) {
            return Err(s3_error!(MalformedPolicy, "This policy contains invalid Json"));
        }
        self.store.set_policy(&bucket, Some(request.input.policy)).map_err(|error| write_error(&error))?;
        Ok(S3Response::new(PutBucketPolicyOutput {}))
    }

    async fn delete_bucket_policy(
        &self,
        request: S3Request<DeleteBucketPolicyInput>,
    ) -> Answer<DeleteBucketPolicyOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        self.store.set_policy(&bucket, None).map_err(|error| write_error(&error))?;
        Ok(S3Response::new(DeleteBucketPolicyOutput {}))
    }

    async fn list_buckets(&self, _request: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let buckets = self.store.buckets();
        let buckets = buckets.iter().map(|bucket| s3s::dto::Bucket {
            creation_date: Some(timestamp(bucket.created)),
            name: Some(bucket.name.clone()),
            ..s3s::dto::Bucket::default()
        });
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            owner: Some(listing::owner()),
            ..ListBucketsOutput::default()
        }))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        listing::list_objects(&self.store, request.input)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        listing::list_objects_v2(&self.store, request.input)
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        listing::list_object_versions(&self.store, request.input)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        object::put(&self.store, request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        object::get(&self.store, request.input)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        object::head(&self.store, request.input).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        object::copy(&self.store, request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let bucket = self.store.bucket(&request.input.bucket)?;
        let conditions = Conditions { if_match: request.input.if_match, if_none_match: None };
        let deleted = bucket.delete(&request.input.key, request.input.version_id.as_deref(), &conditions)?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version,
            ..DeleteObjectOutput::default()
        }))
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let call = request.extensions.get::<Arc<Call>>().cloned().unwrap_or_default();
        let bucket = self.store.bucket(&request.input.bucket)?;
        let delete = request.input.delete;
        if delete.objects.is_empty() || delete.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML, "between 1 and 1000 keys can be deleted at once"));
        }
        let keys = delete.objects.iter().map(|object| object.key.clone());
        *locked(&call.items) = keys.collect();
        let mut deleted = Vec::new();
        let mut errors = Vec::new();
        for object in delete.objects {
            let conditions = Conditions { if_match: object.e_tag.map(ETagCondition::ETag), if_none_match: None };
            let result = if call.undeletable.contains(&object.key) {
                Err(s3_error!(InternalError, "We encountered an internal error. Please try again."))
            } else {
                bucket.delete(&object.key, object.version_id.as_deref(), &conditions)
            };
            match result {
                Ok(done) => deleted.push(DeletedObject {
                    key: Some(object.key),
                    delete_marker: done.marker.then_some(true),
                    delete_marker_version_id: done.version.filter(|_| done.marker),
                    version_id: object.version_id,
                }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        let quiet = delete.quiet.unwrap_or(false);
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        upload::create(&self.store, request)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        upload::part(&self.store, request).await
    }

    async fn upload_part_copy(&self, request: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        upload::part_copy(&self.store, request.input).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        upload::complete(&self.store, request)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        upload::abort(&self.store, &request.input)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        upload::list(&self.store, request.input)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        upload::list_parts(&self.store, request.input)
    }
}
