//! Copies within the bucket, which add tags to existing objects.

use crate::commands::conformance::check::{Check, Seen, check};
use crate::commands::conformance::objects::{every_header, headers_that_differ};
use crate::commands::conformance::trial::{Trial, text};
use crate::error::Result;
use crate::s3::Bucket;
use crate::s3::trial::{Conditions, Copying, Put, Refused, Tried};
use shipfront_site::etag::{Etag, md5};
use shipfront_site::headers::Headers;

/// An ETag that no object has.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

pub(super) const CHECKS: &[Check] = &[
    check!(
        "copy-onto-itself",
        "2.13",
        "copying an object onto itself with its headers keeps the headers and the ETag",
        "existing objects cannot be tagged in place: deploy them again instead of 'tags --backfill'",
        copy_onto_itself
    ),
    check!(
        "copy-keeps-headers",
        "2.13",
        "a copy without headers of its own gets those of its source",
        "rollbacks and promotions would change headers: deploy the build again instead",
        copy_keeps_headers
    ),
    check!(
        "copy-if-source-unchanged",
        "2.13",
        "S3 refuses a copy if the source's ETag differs from x-amz-copy-source-if-match",
        "'tags --backfill' could copy what other tools write meanwhile: let nothing else write",
        copy_if_source_unchanged
    ),
    check!(
        "copy-if-unchanged",
        "2.13",
        "S3 refuses a copy if the object that it replaces has another ETag than If-Match",
        "'tags --backfill' could overwrite what other tools write meanwhile: let nothing else write",
        copy_if_unchanged
    ),
];

async fn source(trial: &Trial, bucket: &Bucket, headers: &Headers) -> Tried<Put> {
    trial.put(bucket, "source", "the bytes", headers, Conditions::default()).await
}

async fn copy(trial: &Trial, bucket: &Bucket, to: &str, copying: Copying<'_>) -> Tried<Put> {
    trial.wrote(bucket, to, None);
    let put = bucket.try_copy("source", to, copying).await?;
    trial.wrote(bucket, to, put.version.as_deref());
    Ok(put)
}

async fn copy_onto_itself(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("copy-onto-itself")?;
    let before = source(trial, &bucket, &text()).await?;
    let headers = every_header();
    let copying = Copying { headers: Some(&headers), if_match: Some(&before.etag), ..Copying::default() };
    let copied = copy(trial, &bucket, "source", copying).await?;
    if let Some(differing) = headers_that_differ(&bucket, "source", &headers).await? {
        return Ok(Seen::otherwise(differing));
    }
    let same = copied.opaque || Etag::parse(&copied.etag) == Etag::Single(md5(b"the bytes"));
    Ok(Seen::whether(same, format!("{} after {}", copied.etag, before.etag)))
}

async fn copy_keeps_headers(trial: &Trial) -> Result<Seen> {
    let (bucket, headers) = (trial.folder("copy-keeps-headers")?, every_header());
    source(trial, &bucket, &headers).await?;
    copy(trial, &bucket, "copy", Copying::default()).await?;
    let differing = headers_that_differ(&bucket, "copy", &headers).await?;
    Ok(Seen::whether(differing.is_none(), differing.unwrap_or_else(|| "all were copied".to_owned())))
}

fn unmet(copied: Tried<Put>) -> Result<Seen> {
    match copied {
        Ok(_) => Ok(Seen::otherwise("it was copied")),
        Err(Refused { code, .. }) if code == "PreconditionFailed" || code == "412" => Ok(Seen::whether(true, code)),
        Err(refused) => Err(refused.into()),
    }
}

async fn copy_if_source_unchanged(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("copy-if-source-unchanged")?;
    source(trial, &bucket, &text()).await?;
    unmet(copy(trial, &bucket, "copy", Copying { if_source: Some(NO_ETAG), ..Copying::default() }).await)
}

async fn copy_if_unchanged(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("copy-if-unchanged")?;
    source(trial, &bucket, &text()).await?;
    trial.write(&bucket, "copy", "others'").await?;
    unmet(copy(trial, &bucket, "copy", Copying { if_match: Some(NO_ETAG), ..Copying::default() }).await)
}
