//! Multipart uploads through the S3 SDK.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use shipfront_edge::{Data, Edge};

use crate::world::aws::{code, s3, start};

const PART: usize = 5 << 20;

async fn create(s3: &Client, key: &str) -> String {
    let create = s3.create_multipart_upload().bucket("site").key(key).content_type("video/mp4");
    create.send().await.unwrap().upload_id().unwrap().to_owned()
}

async fn part(s3: &Client, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let upload = s3.upload_part().bucket("site").key(key).upload_id(id).part_number(number);
    let uploaded = upload.body(ByteStream::from(body)).send().await.unwrap();
    CompletedPart::builder().part_number(number).e_tag(uploaded.e_tag().unwrap()).build()
}

fn parts(parts: impl IntoIterator<Item = CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.into_iter().collect())).build()
}

async fn both() -> [(Edge, Option<tempfile::TempDir>); 2] {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let edges = [(start(Data::Memory).await, None), (start(Data::Directory(path)).await, Some(directory))];
    for (edge, _) in &edges {
        edge.ensure_site("site").unwrap();
    }
    edges
}

#[tokio::test]
async fn parts_become_one_object_with_the_etag_of_their_digests() {
    for (edge, _directory) in both().await {
        let s3 = s3(&edge);
        let id = create(&s3, "v").await;
        let last = part(&s3, "v", &id, 7, vec![2; 10]).await;
        let first = part(&s3, "v", &id, 2, vec![1; PART]).await;
        let listed = s3.list_parts().bucket("site").key("v").upload_id(&id).max_parts(1);
        let listed = listed.send().await.unwrap();
        assert_eq!(listed.parts()[0].part_number(), Some(2));
        assert_eq!(listed.next_part_number_marker(), Some("2"));
        let uploads = s3.list_multipart_uploads().bucket("site").send().await.unwrap();
        assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));

        let complete = s3.complete_multipart_upload().bucket("site").key("v").upload_id(&id);
        let done = complete.multipart_upload(parts([first, last])).send().await.unwrap();
        // md5(md5(5 MiB of 1) + md5(10 of 2)) in hexadecimal, and the number of parts.
        assert_eq!(done.e_tag(), Some("\"34d4c179026ab040d35d264b856c514a-2\""));
        let range = format!("bytes={}-{}", PART - 2, PART + 1);
        let got = s3.get_object().bucket("site").key("v").range(range).send().await.unwrap();
        assert_eq!(got.content_type(), Some("video/mp4"));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), [1, 1, 2, 2]);
        let uploads = s3.list_multipart_uploads().bucket("site").send().await.unwrap();
        assert!(uploads.uploads().is_empty());
    }
}

#[tokio::test]
async fn a_part_can_be_copied_from_an_object() {
    for (edge, _directory) in both().await {
        let s3 = s3(&edge);
        let body = ByteStream::from_static(b"0123456789");
        s3.put_object().bucket("site").key("source").body(body).send().await.unwrap();
        let id = create(&s3, "v").await;
        let copy = s3.upload_part_copy().bucket("site").key("v").upload_id(&id).part_number(1);
        let copy = copy.copy_source("site/source").copy_source_range("bytes=2-4");
        let copied = copy.send().await.unwrap();
        let etag = copied.copy_part_result().unwrap().e_tag().unwrap();
        let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
        let complete = s3.complete_multipart_upload().bucket("site").key("v").upload_id(&id);
        complete.multipart_upload(parts([part])).send().await.unwrap();
        let got = s3.get_object().bucket("site").key("v").send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"234");
    }
}

#[tokio::test]
async fn what_s3_would_not_complete_is_not_completed() {
    let [(edge, _), _] = both().await;
    let s3 = s3(&edge);
    let id = create(&s3, "v").await;
    let one = part(&s3, "v", &id, 1, vec![1; 10]).await;
    let two = part(&s3, "v", &id, 2, vec![1; 10]).await;
    let complete = |chosen: Vec<CompletedPart>| {
        let complete = s3.complete_multipart_upload().bucket("site").key("v").upload_id(&id);
        complete.multipart_upload(parts(chosen))
    };
    let refused = complete(vec![one.clone(), two.clone()]).send().await.unwrap_err();
    assert_eq!(code(&refused), Some("EntityTooSmall"));
    let refused = complete(vec![two.clone(), one.clone()]).send().await.unwrap_err();
    assert_eq!(code(&refused), Some("InvalidPartOrder"));
    let wrong = CompletedPart::builder().part_number(1).e_tag("other").build();
    let refused = complete(vec![wrong]).send().await.unwrap_err();
    assert_eq!(code(&refused), Some("InvalidPart"));
    s3.put_object().bucket("site").key("v").send().await.unwrap();
    let refused = complete(vec![one.clone()]).if_none_match("*").send().await.unwrap_err();
    assert_eq!(code(&refused), Some("PreconditionFailed"));
    complete(vec![one.clone()]).send().await.unwrap();
    let again = complete(vec![one]).send().await.unwrap_err();
    assert_eq!(code(&again), Some("NoSuchUpload"));

    let id = create(&s3, "w").await;
    let abort = || s3.abort_multipart_upload().bucket("site").key("w").upload_id(&id).send();
    abort().await.unwrap();
    assert_eq!(code(&abort().await.unwrap_err()), Some("NoSuchUpload"));
}
