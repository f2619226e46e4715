//! Bucket policies, for S3's SDK and for viewers.

use aws_sdk_s3::primitives::ByteStream;
use shipfront_edge::{Data, Edge};

use crate::world::aws::{code, s3, start};
use crate::world::http;

const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny",
    "Principal": {"Service": "cloudfront.amazonaws.com"},
    "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::site/.shipfront/*"}]}"#;

async fn status(edge: &Edge, path: &str) -> u16 {
    http::get(&edge.viewer_url(), path).await.status
}

#[tokio::test]
async fn a_deny_keeps_viewers_out_until_it_is_removed_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = || Data::Directory(directory.path().to_owned());
    let edge = start(data()).await;
    edge.ensure_site("site").unwrap();
    for key in ["a", ".shipfront/state.json"] {
        s3(&edge).put_object().bucket("site").key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    let none = s3(&edge).get_bucket_policy().bucket("site").send().await.unwrap_err();
    assert_eq!(code(&none), Some("NoSuchBucketPolicy"));
    let bad = s3(&edge).put_bucket_policy().bucket("site").policy("{").send().await.unwrap_err();
    assert_eq!(code(&bad), Some("MalformedPolicy"));
    s3(&edge).put_bucket_policy().bucket("site").policy(POLICY).send().await.unwrap();
    edge.stop().await;

    let edge = start(data()).await;
    let got = s3(&edge).get_bucket_policy().bucket("site").send().await.unwrap();
    assert_eq!(got.policy(), Some(POLICY));
    assert_eq!((status(&edge, "/a").await, status(&edge, "/.shipfront/state.json").await), (200, 403));
    assert_eq!(status(&edge, "/.shipfront%2Fstate.json").await, 403);
    s3(&edge).get_object().bucket("site").key(".shipfront/state.json").send().await.unwrap();
    s3(&edge).delete_bucket_policy().bucket("site").send().await.unwrap();
    edge.stop().await;

    let edge = start(data()).await;
    assert_eq!(status(&edge, "/.shipfront/state.json").await, 200);
}
