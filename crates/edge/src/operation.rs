//! AWS's name of an S3 request, from its method, path and query string.

use hyper::Method;
use percent_encoding::percent_decode_str;

/// Bucket and key of a path-style request.
pub(super) fn target(path: &str) -> (Option<String>, Option<String>) {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (some(bucket), some(key))
}

/// The name; `Unknown` for what `s3s` will refuse.
pub(super) fn name(method: &Method, bucket: bool, key: bool, query: &str, copies: bool) -> &'static str {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let plain = names_only(query, &["x-id", "partNumber", "versionId"]);
    match (method.as_str(), bucket, key) {
        ("GET", false, _) => "ListBuckets",
        ("HEAD", true, false) => "HeadBucket",
        ("PUT", true, false) if plain => "CreateBucket",
        ("DELETE", true, false) if plain => "DeleteBucket",
        ("POST", true, false) if has("delete") => "DeleteObjects",
        ("GET", true, false) if has("policy") => "GetBucketPolicy",
        ("PUT", true, false) if has("policy") => "PutBucketPolicy",
        ("DELETE", true, false) if has("policy") => "DeleteBucketPolicy",
        ("GET", true, false) if has("ownershipControls") => "GetBucketOwnershipControls",
        ("GET", true, false) if has("object-lock") => "GetObjectLockConfiguration",
        ("GET", true, false) if has("encryption") => "GetBucketEncryption",
        ("GET", true, false) if has("versioning") => "GetBucketVersioning",
        ("PUT", true, false) if has("versioning") => "PutBucketVersioning",
        ("GET", true, false) if has("lifecycle") => "GetBucketLifecycleConfiguration",
        ("PUT", true, false) if has("lifecycle") => "PutBucketLifecycleConfiguration",
        ("GET", true, false) if has("versions") => "ListObjectVersions",
        ("GET", true, false) if has("location") => "GetBucketLocation",
        ("GET", true, false) if has("uploads") => "ListMultipartUploads",
        ("GET", true, false) if has("list-type") => "ListObjectsV2",
        ("GET", true, false) if is_listing(query) => "ListObjects",
        ("HEAD", true, true) => "HeadObject",
        ("GET", true, true) if has("uploadId") => "ListParts",
        ("GET", true, true) if plain => "GetObject",
        ("PUT", true, true) if has("partNumber") && copies => "UploadPartCopy",
        ("PUT", true, true) if has("partNumber") => "UploadPart",
        ("PUT", true, true) if copies => "CopyObject",
        ("PUT", true, true) if plain => "PutObject",
        ("POST", true, true) if has("uploads") => "CreateMultipartUpload",
        ("POST", true, true) if has("uploadId") => "CompleteMultipartUpload",
        ("DELETE", true, true) if has("uploadId") => "AbortMultipartUpload",
        ("DELETE", true, true) if plain => "DeleteObject",
        _ => "Unknown",
    }
}

/// A `GET` of a bucket without a subresource (`?acl`, `?versioning`, ...) lists it.
fn is_listing(query: &str) -> bool {
    names_only(query, &["prefix", "delimiter", "marker", "max-keys", "encoding-type", "x-id"])
}

/// Whether the query contains nothing else, apart from a signature and overrides of response headers.
fn names_only(query: &str, known: &[&str]) -> bool {
    let mut names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.all(|name| name.is_empty() || known.contains(&name) || is_signature(name) || name.starts_with("response-"))
}

/// Whether a query parameter only authenticates (presigned URLs of version 4 and 2).
pub(super) fn is_signature(name: &str) -> bool {
    name.starts_with("X-Amz-") || ["AWSAccessKeyId", "Signature", "Expires"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_as_aws_names_them() {
        for (method, path, query, expected) in [
            ("PUT", "/b/a%20b", "x-id=PutObject", "PutObject"),
            ("PUT", "/b/k", "partNumber=1&uploadId=u", "UploadPart"),
            ("GET", "/b/", "list-type=2&prefix=x", "ListObjectsV2"),
            ("GET", "/b", "", "ListObjects"),
            ("GET", "/b", "versioning=", "GetBucketVersioning"),
            ("PUT", "/b", "versioning", "PutBucketVersioning"),
            ("GET", "/b/k", "versionId=1", "GetObject"),
            ("GET", "/b", "acl=", "Unknown"),
            ("GET", "/b", "policyStatus", "Unknown"),
            ("PUT", "/b/", "policy", "PutBucketPolicy"),
            ("POST", "/b/", "delete", "DeleteObjects"),
            ("GET", "/", "", "ListBuckets"),
            ("GET", "/b/k", "X-Amz-Signature=x&X-Amz-Date=y", "GetObject"),
            ("GET", "/b/k", "AWSAccessKeyId=x&Signature=y&Expires=1", "GetObject"),
        ] {
            let (bucket, key) = target(path);
            let method = method.parse().unwrap();
            let found = name(&method, bucket.is_some(), key.is_some(), query, false);
            assert_eq!(found, expected, "{path}?{query}");
        }
        assert_eq!(target("/b/%C3%A9%20%2B"), (Some("b".into()), Some("é +".into())));
    }
}
