//! Objects and listings through the S3 SDK.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, Delete, EncodingType, MetadataDirective, ObjectIdentifier};

use crate::world::aws::{code, edge, s3, s3_in};
use crate::world::http;

const MD5_OF_HELLO: &str = "5d41402abc4b2a76b9719d911017c592";

#[tokio::test]
async fn an_object_comes_back_with_its_bytes_headers_and_md5() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    let key = "a b/c+d/é~(1)&'.html";
    let put = s3
        .put_object()
        .bucket("site")
        .key(key)
        .body(ByteStream::from_static(b"hello"))
        .content_type("text/html; charset=utf-8")
        .cache_control("max-age=60")
        .content_disposition("inline")
        .content_language("fr")
        .content_encoding("identity")
        .website_redirect_location("/elsewhere")
        .metadata("cache-tag", "k1,d2")
        .content_md5("XUFAKrxLKna5cZ2REBfFkg==")
        .send()
        .await
        .unwrap();
    assert_eq!(put.e_tag().unwrap(), format!("\"{MD5_OF_HELLO}\""));

    let got = s3.get_object().bucket("site").key(key).send().await.unwrap();
    assert_eq!(got.content_type(), Some("text/html; charset=utf-8"));
    assert_eq!(got.cache_control(), Some("max-age=60"));
    assert_eq!(got.content_disposition(), Some("inline"));
    assert_eq!(got.content_language(), Some("fr"));
    assert_eq!(got.content_encoding(), Some("identity"));
    assert_eq!(got.website_redirect_location(), Some("/elsewhere"));
    assert_eq!(got.metadata().unwrap()["cache-tag"], "k1,d2");
    assert_eq!(got.content_length(), Some(5));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");

    let head = s3.head_object().bucket("site").key(key).send().await.unwrap();
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.metadata().unwrap()["cache-tag"], "k1,d2");
    assert!(head.last_modified().is_some());
    let summary = &edge.objects("site")[0];
    assert_eq!((summary.key.as_str(), summary.size), (key, 5));
    assert_eq!(summary.etag, MD5_OF_HELLO);
    assert_eq!(summary.headers["cache-control"], "max-age=60");
}

#[tokio::test]
async fn ranges_and_conditions_of_a_read_are_kept() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    put(&s3, "k", "hello").await;
    let get = || s3.get_object().bucket("site").key("k");
    let part = get().range("bytes=1-3").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 1-3/5"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"ell");
    let tail = get().range("bytes=-2").send().await.unwrap();
    assert_eq!(tail.body.collect().await.unwrap().to_vec(), b"lo");
    let past = get().range("bytes=9-").send().await.unwrap_err();
    assert_eq!(code(&past), Some("InvalidRange"));
    let unchanged = get().if_none_match(MD5_OF_HELLO).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let changed = get().if_match("other").send().await.unwrap_err();
    assert_eq!(code(&changed), Some("PreconditionFailed"));
    let missing = s3.get_object().bucket("site").key("x").send().await.unwrap_err();
    assert_eq!(code(&missing), Some("NoSuchKey"));
    let nowhere = s3.get_object().bucket("none").key("x").send().await.unwrap_err();
    assert_eq!(code(&nowhere), Some("NoSuchBucket"));
    let head = s3.head_object().bucket("site").key("x").send().await.unwrap_err();
    assert_eq!(head.raw_response().unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn bodies_are_checked_against_what_was_said_of_them() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    let put = || {
        let body = ByteStream::from_static(b"hello");
        s3.put_object().bucket("site").key("k").body(body)
    };
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
        ChecksumAlgorithm::Crc64Nvme,
    ] {
        put().checksum_algorithm(algorithm).send().await.unwrap();
        assert_eq!(edge.objects("site")[0].etag, MD5_OF_HELLO);
    }
    let wrong = put().content_md5("XUFAKrxLKna5cZ2REBfFkA==").send().await.unwrap_err();
    assert_eq!(code(&wrong), Some("BadDigest"));
    let wrong = put().checksum_crc32("AAAAAA==").send().await.unwrap_err();
    assert_eq!(code(&wrong), Some("BadDigest"));
}

#[tokio::test]
async fn chunked_uploads_are_stored_without_their_framing() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let chunked = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let headers = |checksum: &'static str| {
        [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("content-encoding", checksum),
        ]
    };
    let put = async |headers: &[(&str, &str)], body: &str| {
        http::send(&edge.api_url(), "PUT", "/site/k", headers, body.as_bytes()).await.unwrap()
    };
    assert_eq!(put(&headers("aws-chunked,gzip"), chunked).await.status, 200);
    let object = &edge.objects("site")[0];
    assert_eq!(object.etag, MD5_OF_HELLO);
    assert_eq!(object.headers["content-encoding"], "gzip");
    let wrong = put(&headers("aws-chunked"), &chunked.replace("NhCm", "AAAA")).await;
    assert!(wrong.text().contains("BadDigest"), "{}", wrong.text());
    let short = put(&headers("aws-chunked"), "3\r\nhel\r\n0\r\n\r\n").await;
    assert!(short.text().contains("IncompleteBody"), "{}", short.text());
}

async fn put(s3: &aws_sdk_s3::Client, key: &str, body: &str) -> String {
    let body = ByteStream::from(body.as_bytes().to_vec());
    let put = s3.put_object().bucket("site").key(key).body(body).send().await.unwrap();
    put.e_tag().unwrap().to_owned()
}

#[tokio::test]
async fn listings_are_in_byte_order_and_paged() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    let keys = ["Z", "a b", "a+b", "a/1", "a/2", "a/3/x", "a0", "é", "日本"];
    for key in keys {
        put(&s3, key, key).await;
    }
    let mut pages = s3.list_objects_v2().bucket("site").max_keys(2).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 2);
        found.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(found, keys);

    let list = || s3.list_objects_v2().bucket("site");
    let after = list().start_after("a/2").max_keys(2).send().await.unwrap();
    let after: Vec<_> = after.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(after, ["a/3/x", "a0"]);
    let folded = list().delimiter("/").prefix("a/").send().await.unwrap();
    assert_eq!(folded.common_prefixes()[0].prefix(), Some("a/3/"));
    assert_eq!((folded.contents().len(), folded.key_count()), (2, Some(3)));
    let encoded = list().encoding_type(EncodingType::Url).send().await.unwrap();
    let encoded: Vec<_> = encoded.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(encoded[1..4], ["a+b", "a%2Bb", "a/1"]);
    assert_eq!(encoded[7], "%C3%A9");

    let first = s3.list_objects().bucket("site").delimiter("/").max_keys(4).send().await.unwrap();
    assert_eq!(first.next_marker(), Some("a/"));
    let second = s3.list_objects().bucket("site").delimiter("/").marker("a/").send().await.unwrap();
    let second: Vec<_> = second.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(second, ["a0", "é", "日本"]);
}

#[tokio::test]
async fn of_many_writers_that_name_one_state_exactly_one_wins() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    let create = (0..20).map(|number| {
        let body = ByteStream::from(format!("{number}").into_bytes());
        s3.put_object().bucket("site").key("k").if_none_match("*").body(body).send()
    });
    let results = futures::future::join_all(create).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let etag = edge.objects("site")[0].etag.clone();
    let replace = (0..20).map(|number| {
        let body = ByteStream::from(format!("new {number}").into_bytes());
        s3.put_object().bucket("site").key("k").if_match(&etag).body(body).send()
    });
    let results = futures::future::join_all(replace).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let lost = results.into_iter().find_map(Result::err).unwrap();
    assert_eq!(code(&lost), Some("PreconditionFailed"));
    let missing = s3.put_object().bucket("site").key("x").if_match("e").send().await.unwrap_err();
    assert_eq!(code(&missing), Some("NoSuchKey"));
}

#[tokio::test]
async fn deletes_can_name_the_etag_that_they_mean() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    let etag = put(&s3, "k", "hello").await;
    let delete = |etag: &str| s3.delete_object().bucket("site").key("k").if_match(etag).send();
    assert_eq!(code(&delete("other").await.unwrap_err()), Some("PreconditionFailed"));
    delete(&etag).await.unwrap();
    s3.delete_object().bucket("site").key("k").send().await.unwrap();

    for key in ["a&b", "b", "c"] {
        put(&s3, key, "hello").await;
    }
    let object = |key: &str, etag: Option<&str>| {
        ObjectIdentifier::builder().key(key).set_e_tag(etag.map(str::to_owned)).build().unwrap()
    };
    let delete = Delete::builder()
        .objects(object("a&b", Some(&etag)))
        .objects(object("b", Some("other")))
        .objects(object("missing", None))
        .build()
        .unwrap();
    let result = s3.delete_objects().bucket("site").delete(delete).send().await.unwrap();
    let deleted: Vec<_> = result.deleted().iter().map(|deleted| deleted.key().unwrap()).collect();
    assert_eq!(deleted, ["a&b", "missing"]);
    assert_eq!(result.errors()[0].code(), Some("PreconditionFailed"));
    let left: Vec<_> = edge.objects("site").into_iter().map(|object| object.key).collect();
    assert_eq!(left, ["b", "c"]);
    let recorded = edge.requests().into_iter().rfind(|request| request.operation == "DeleteObjects");
    assert_eq!(recorded.unwrap().items, ["a&b", "b", "missing"]);
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_headers_and_honours_conditions() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    let body = ByteStream::from_static(b"hello");
    let put = s3.put_object().bucket("site").key("a b").body(body).cache_control("no-store");
    put.content_type("text/css").metadata("tag", "one").send().await.unwrap();
    let copy = |key: &str| s3.copy_object().bucket("site").key(key).copy_source("site/a%20b");
    copy("same").send().await.unwrap();
    let replaced = copy("other").metadata_directive(MetadataDirective::Replace);
    replaced.content_type("text/plain").send().await.unwrap();
    let headers = |key: &str| {
        let objects = edge.objects("site");
        objects.into_iter().find(|object| object.key == key).unwrap().headers
    };
    assert_eq!(headers("same"), headers("a b"));
    assert_eq!(
        headers("other").into_iter().collect::<Vec<_>>(),
        [("content-type".to_owned(), "text/plain".to_owned())]
    );
    let itself = copy("a b").send().await.unwrap_err();
    assert_eq!(code(&itself), Some("InvalidRequest"));
    let exists = copy("same").if_none_match("*").send().await.unwrap_err();
    assert_eq!(code(&exists), Some("PreconditionFailed"));
    let changed = copy("new").copy_source_if_match("other").send().await.unwrap_err();
    assert_eq!(code(&changed), Some("PreconditionFailed"));
}

#[tokio::test]
async fn buckets_have_owners_and_regions() {
    let edge = edge().await;
    let s3 = s3(&edge);
    s3.create_bucket().bucket("made").send().await.unwrap();
    let all = s3.list_buckets().send().await.unwrap();
    assert_eq!(all.buckets()[0].name(), Some("made"));
    let missing = s3.head_bucket().bucket("none").send().await.unwrap_err();
    assert_eq!(missing.raw_response().unwrap().status().as_u16(), 404);
    let list = |owner: &str| s3.list_objects_v2().bucket("made").expected_bucket_owner(owner).send();
    assert!(list("000000000000").await.is_ok());
    assert_eq!(code(&list("111111111111").await.unwrap_err()), Some("AccessDenied"));

    edge.set_bucket_region("made", "eu-west-1").unwrap();
    let wrong = s3.head_bucket().bucket("made").send().await.unwrap_err();
    let wrong = wrong.raw_response().unwrap();
    assert_eq!(wrong.status().as_u16(), 301);
    assert_eq!(wrong.headers().get("x-amz-bucket-region"), Some("eu-west-1"));
    let wrong = s3.list_objects_v2().bucket("made").send().await.unwrap_err();
    assert_eq!(code(&wrong), Some("PermanentRedirect"));
    let right = s3_in(&edge, "eu-west-1").head_bucket().bucket("made").send().await.unwrap();
    assert_eq!(right.bucket_region(), Some("eu-west-1"));
    let location = s3.get_bucket_location().bucket("made").send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "eu-west-1");
    let s3 = s3_in(&edge, "eu-west-1");
    s3.delete_bucket().bucket("made").send().await.unwrap();
    assert!(edge.objects("made").is_empty());
}

#[tokio::test]
async fn opaque_etags_say_nothing_of_the_bytes() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    edge.set_opaque_etags("site", true).unwrap();
    let s3 = s3(&edge);
    let first = put(&s3, "a", "hello").await;
    assert_ne!(first, put(&s3, "b", "hello").await);
    let head = s3.head_object().bucket("site").key("a").send().await.unwrap();
    assert_eq!(head.server_side_encryption().unwrap().as_str(), "aws:kms");
}

#[tokio::test]
async fn a_listing_goes_by_ranges_of_a_large_bucket() {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    let puts = (0..1100).map(|number| {
        let s3 = s3.clone();
        async move { put(&s3, &format!("k{number:05}"), "x").await }
    });
    futures::stream::StreamExt::collect::<Vec<_>>(futures::stream::StreamExt::buffer_unordered(
        futures::stream::iter(puts),
        64,
    ))
    .await;
    let page = s3.list_objects_v2().bucket("site").send().await.unwrap();
    assert_eq!((page.contents().len(), page.is_truncated()), (1000, Some(true)));
    let rest = s3.list_objects_v2().bucket("site").start_after("k00999").send().await.unwrap();
    assert_eq!((rest.contents().len(), rest.is_truncated()), (100, Some(false)));
}

#[tokio::test]
async fn a_presigned_url_is_answered() {
    use aws_sdk_s3::presigning::PresigningConfig;
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let s3 = s3(&edge);
    put(&s3, "a b", "hello").await;
    let hour = PresigningConfig::expires_in(std::time::Duration::from_secs(3600)).unwrap();
    let get = s3.get_object().bucket("site").key("a b").presigned(hour).await.unwrap();
    let path = get.uri().strip_prefix(&edge.api_url()).unwrap();
    assert_eq!(http::get(&edge.api_url(), path).await.text(), "hello");
    assert_eq!(edge.requests()[1].operation, "GetObject");
}
