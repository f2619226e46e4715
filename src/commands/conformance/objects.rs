//! Objects: what an ETag says, which headers are stored, checksums, times and encryption, versions.

use crate::commands::conformance::check::{Check, Seen, Status, check};
use crate::commands::conformance::trial::{Trial, text};
use crate::error::Result;
use crate::s3::crc64::crc64;
use crate::s3::trial::{Conditions, Copying, Deletion};
use crate::s3::{Bucket, Declared};
use shipfront_site::etag::{Etag, md5, multipart};
use shipfront_site::headers::Headers;

/// Minimum size of a part other than the last, in bytes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>).
const PART: usize = 5 << 20;
/// Maximum age of an object that was just written, in seconds.
const OLDEST: i64 = 60;
/// Maximum size of an object of a trial, in bytes.
const MOST: u64 = 1 << 20;

pub(super) const CHECKS: &[Check] = &[
    check!(
        "etag-of-a-put",
        "2.1",
        "the ETag is the MD5 of the bytes, unless the answer says that KMS encrypts them",
        "every file would look changed: do not deploy here",
        etag_of_a_put
    ),
    check!(
        "etag-of-parts",
        "2.5",
        "the ETag of a multipart upload is the MD5 of the parts' MD5s, and the number of parts",
        "every deploy would upload files of 16 MiB and more again: keep them out of the site, or accept it",
        etag_of_parts
    ),
    check!(
        "digest-is-checked",
        "3.3",
        "S3 refuses bytes that do not match Content-MD5",
        "nothing confirms that uploads arrive intact: use --verify",
        digest_is_checked
    ),
    check!(
        "checksum-is-checked",
        "3.3",
        "S3 refuses bytes that do not match their CRC-64/NVME, and returns that of what it stores",
        "if they were stored, nothing confirms that uploads arrive intact: use --verify; otherwise uploads take more CPU time",
        checksum_is_checked
    ),
    check!(
        "written-is-read",
        "5.2",
        "a read right after a write returns what was written",
        "deploys would read an outdated deploy record: use --no-record",
        written_is_read
    ),
    check!(
        "missing-is-said",
        "5.1",
        "reading a key that has no object returns NoSuchKey",
        "allow s3:ListBucket; without it, S3 does not tell a missing key from an unreadable one",
        missing_is_said
    ),
    check!(
        "headers-are-kept",
        "2.4",
        "content headers and user metadata come back as sent",
        "viewers would not get the headers of your rules: set them in CloudFront",
        headers_are_kept
    ),
    check!(
        "redirect-is-kept",
        "6.8",
        "x-amz-website-redirect-location comes back as sent",
        "redirect objects do not work here: use the function that 'shipfront redirects' prints, and --redirect-objects never",
        redirect_is_kept
    ),
    check!(
        "clock-of-the-store",
        "5.2",
        "Date and LastModified come from the same clock: a new object is seconds old",
        "the age of the lock would be wrong: correct the store's clock, or use --no-record",
        clock_of_the_store
    ),
    check!(
        "checksum-is-computed",
        "2.3",
        "an object that was uploaded without a checksum gets a CRC-64/NVME of the whole object",
        "without a record, every deploy would upload objects under KMS again: keep the record",
        checksum_is_computed
    ),
    check!(
        "encryption-is-said",
        "2.3",
        "if the ETag is not an MD5, HEAD says that KMS encrypts the object",
        "every deploy would upload all objects again: do not deploy here",
        encryption_is_said
    ),
    check!(
        "aborted-is-gone",
        "3.3",
        "an aborted multipart upload leaves no object",
        "give the bucket a lifecycle rule that aborts incomplete multipart uploads",
        aborted_is_gone
    ),
    check!(
        "versions-are-named",
        "4.4",
        "in a bucket with versioning, an older version can be read by its ID, even after a deletion",
        "rollbacks cannot use versions here: set history = \"copies\"",
        versions_are_named
    ),
];

async fn etag_of_a_put(trial: &Trial) -> Result<Seen> {
    let (bucket, body) = (trial.folder("etag-of-a-put")?, "the bytes of an object");
    let put = trial.write(&bucket, "object", body).await?;
    let wanted = Etag::Single(md5(body.as_bytes()));
    if put.opaque {
        return Ok(Seen::whether(true, format!("KMS encrypts, and the ETag is {}", put.etag)));
    }
    let found = trial.list(&bucket).await?;
    let listed = found.iter().find(|object| object.key == "object").map(|object| (object.etag.clone(), object.size));
    let same = Etag::parse(&put.etag) == wanted;
    Ok(match listed {
        Some((etag, size)) if etag != Etag::parse(&put.etag) || size != body.len() as u64 => {
            Seen::otherwise(format!("put: {}; listed: {etag} and {size} bytes", put.etag))
        }
        None => Seen::otherwise("the listing does not have it"),
        _ => Seen::whether(same, format!("{}, of bytes whose MD5 is {wanted}", put.etag)),
    })
}

async fn etag_of_parts(trial: &Trial) -> Result<Seen> {
    let (bucket, parts) = (trial.folder("etag-of-parts")?, vec![vec![b'p'; PART], b"the end".to_vec()]);
    let digests: Vec<_> = parts.iter().map(|part| md5(part)).collect();
    let wanted = multipart(&digests);
    let put = trial.put_parts(&bucket, "object", parts, false).await??;
    if put.opaque {
        return Ok(Seen::whether(true, format!("KMS encrypts, and the ETag is {}", put.etag)));
    }
    Ok(Seen::whether(Etag::parse(&put.etag) == wanted, format!("{}; the parts make {wanted}", put.etag)))
}

async fn digest_is_checked(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("digest-is-checked")?;
    put_declared_wrongly(trial, &bucket, Declared::Md5(md5(b"others"))).await
}

async fn checksum_is_checked(trial: &Trial) -> Result<Seen> {
    let (bucket, body) = (trial.folder("checksum-is-checked")?, b"bytes");
    let seen = put_declared_wrongly(trial, &bucket, Declared::Crc64(&crc64(b"others"))).await?;
    if seen.status != Status::AsExpected {
        return Ok(seen);
    }
    let wanted = crc64(body);
    let put = bucket.try_put("object", body, Declared::Crc64(&wanted), &text(), Conditions::default()).await?;
    trial.wrote(&bucket, "object", put.version.as_deref());
    let answered = put.crc64.as_deref().map_or("it returned none".to_owned(), |found| format!("it returned {found}"));
    Ok(Seen::whether(put.crc64 == Some(wanted), answered))
}

/// Whether bytes are refused if what is declared of them is not so.
async fn put_declared_wrongly(trial: &Trial, bucket: &Bucket, declared: Declared<'_>) -> Result<Seen> {
    trial.wrote(bucket, "object", None);
    let put = bucket.try_put("object", b"bytes", declared, &text(), Conditions::default()).await;
    Ok(match put {
        Err(refused) => {
            let codes = ["BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"];
            Seen::whether(codes.contains(&refused.code.as_str()), refused.code)
        }
        Ok(put) => {
            trial.wrote(bucket, "object", put.version.as_deref());
            Seen::otherwise("they were stored")
        }
    })
}

async fn written_is_read(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("written-is-read")?;
    for body in ["first", "second", "third"] {
        trial.write(&bucket, "object", body).await?;
        let read = bucket.try_get("object", None).await?;
        if read != body.as_bytes() {
            return Ok(Seen::otherwise(format!("{body:?} was written, and {:?} read", String::from_utf8_lossy(&read))));
        }
    }
    Ok(Seen::whether(true, "three writes were read, each at once"))
}

async fn missing_is_said(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("missing-is-said")?;
    Ok(match bucket.try_get("nothing", None).await {
        Ok(_) => Seen::otherwise("there is an object"),
        Err(refused) => Seen::whether(refused.code == "NoSuchKey", refused.code),
    })
}

/// Headers of every kind that S3 stores.
pub(super) fn every_header() -> Headers {
    Headers {
        content_type: "text/html; charset=utf-8".to_owned(),
        cache_control: Some("public, max-age=60, s-maxage=600, stale-while-revalidate=30".to_owned()),
        content_disposition: Some("inline; filename=\"page.html\"".to_owned()),
        content_language: Some("de, en".to_owned()),
        content_encoding: Some("br".to_owned()),
        metadata: [("shipfront-trial".to_owned(), "a value".to_owned())].into(),
        ..Headers::default()
    }
}

/// The headers of an object that differ from these.
pub(super) async fn headers_that_differ(
    bucket: &crate::s3::Bucket,
    key: &str,
    wanted: &Headers,
) -> Result<Option<String>> {
    let Some(head) = bucket.head(key).await? else { return Ok(Some("a HEAD finds no object".to_owned())) };
    let found = Headers { metadata: head.metadata.into_iter().collect(), ..head.headers };
    let texts = |headers: &Headers| {
        [
            ("Content-Type", Some(headers.content_type.clone())),
            ("Cache-Control", headers.cache_control.clone()),
            ("Content-Disposition", headers.content_disposition.clone()),
            ("Content-Language", headers.content_language.clone()),
            ("Content-Encoding", headers.content_encoding.clone()),
            ("redirect", headers.website_redirect.clone()),
            ("metadata", Some(format!("{:?}", headers.metadata))),
        ]
    };
    let pairs = texts(wanted).into_iter().zip(texts(&found));
    let differing = pairs.filter(|((_, wanted), (_, found))| wanted != found);
    let differing: Vec<String> = differing
        .map(|((name, wanted), (_, found))| {
            let text = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
            format!("{name}: {} in place of {}", text(found), text(wanted))
        })
        .collect();
    Ok((!differing.is_empty()).then(|| differing.join("; ")))
}

async fn headers_are_kept(trial: &Trial) -> Result<Seen> {
    let (bucket, headers) = (trial.folder("headers-are-kept")?, every_header());
    trial.put(&bucket, "page.html", "text", &headers, Conditions::default()).await?;
    let differing = headers_that_differ(&bucket, "page.html", &headers).await?;
    Ok(Seen::whether(differing.is_none(), differing.unwrap_or_else(|| "all came back".to_owned())))
}

async fn redirect_is_kept(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("redirect-is-kept")?;
    let headers = Headers { website_redirect: Some("/elsewhere/?a=b".to_owned()), ..text() };
    trial.put(&bucket, "old.html", "", &headers, Conditions::default()).await?;
    let differing = headers_that_differ(&bucket, "old.html", &headers).await?;
    Ok(Seen::whether(differing.is_none(), differing.unwrap_or_else(|| "it came back".to_owned())))
}

async fn clock_of_the_store(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("clock-of-the-store")?;
    trial.write(&bucket, "object", "now").await?;
    let Some(found) = bucket.get("object", MOST).await? else { return Ok(Seen::otherwise("it cannot be read")) };
    let age = found.read.as_second() - found.modified.as_second();
    Ok(Seen::whether((0..=OLDEST).contains(&age), format!("by the store's clock it is {age} s old")))
}

async fn checksum_is_computed(trial: &Trial) -> Result<Seen> {
    let (bucket, body) = (trial.folder("checksum-is-computed")?, "the bytes of an object");
    trial.write(&bucket, "object", body).await?;
    let wanted = crc64(body.as_bytes());
    let found = bucket.head("object").await?.and_then(|head| head.crc64);
    let answered = match &found {
        Some(found) => format!("{found}, of bytes whose checksum is {wanted}"),
        None => "it has none".to_owned(),
    };
    Ok(Seen::whether(found == Some(wanted), answered))
}

async fn encryption_is_said(trial: &Trial) -> Result<Seen> {
    let (bucket, body) = (trial.folder("encryption-is-said")?, "the bytes of an object");
    let put = trial.write(&bucket, "object", body).await?;
    if Etag::parse(&put.etag) == Etag::Single(md5(body.as_bytes())) {
        return Ok(Seen::not_tried("the bucket does not encrypt with KMS: the ETag is the MD5"));
    }
    let said = bucket.head("object").await?.is_some_and(|head| head.opaque);
    Ok(Seen::whether(said && put.opaque, if said { "it does" } else { "it does not" }))
}

async fn aborted_is_gone(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("aborted-is-gone")?;
    trial.wrote(&bucket, "object", None);
    let of_task = bucket.clone();
    trial.undivided(async move { of_task.try_abort("object", b"a part").await }).await??;
    Ok(match bucket.try_get("object", None).await {
        Ok(_) => Seen::otherwise("there is an object"),
        Err(refused) => Seen::whether(refused.code == "NoSuchKey", refused.code),
    })
}

async fn versions_are_named(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("versions-are-named")?;
    if !bucket.keeps_versions().await? {
        return Ok(Seen::not_tried("the bucket keeps no versions"));
    }
    let first = trial.write(&bucket, "page.html", "first").await?;
    trial.write(&bucket, "page.html", "second").await?;
    let Some(version) = first.version else { return Ok(Seen::otherwise("a put names no version")) };
    trial.delete(&bucket, &[Deletion { key: "page.html", ..Deletion::default() }]).await?;
    if let Ok(read) = bucket.try_get("page.html", None).await {
        return Ok(Seen::otherwise(format!("the deleted page is {:?}", String::from_utf8_lossy(&read))));
    }
    if bucket.try_get("page.html", Some(&version)).await? != b"first" {
        return Ok(Seen::otherwise("the older version has other bytes"));
    }
    let copying = Copying { version: Some(&version), ..Copying::default() };
    let back = bucket.try_copy("page.html", "page.html", copying).await?;
    trial.wrote(&bucket, "page.html", back.version.as_deref());
    let read = bucket.try_get("page.html", None).await?;
    Ok(Seen::whether(read == b"first", format!("a copy of version {version} is {:?}", String::from_utf8_lossy(&read))))
}
