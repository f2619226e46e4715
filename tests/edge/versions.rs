//! Versions of objects, for S3's SDK and for viewers.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier, VersioningConfiguration};
use shipfront_edge::Edge;

use crate::world::aws::{code, edge, s3};
use crate::world::http;

struct World {
    edge: Edge,
    s3: Client,
}

impl World {
    async fn new() -> Self {
        let edge = edge().await;
        edge.ensure_site("site").unwrap();
        let s3 = s3(&edge);
        Self { edge, s3 }
    }

    async fn set(&self, status: BucketVersioningStatus) {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let put = self.s3.put_bucket_versioning().bucket("site").versioning_configuration(configuration);
        put.send().await.unwrap();
    }

    async fn status(&self) -> Option<BucketVersioningStatus> {
        self.s3.get_bucket_versioning().bucket("site").send().await.unwrap().status
    }

    async fn put(&self, key: &str, body: &str) -> Option<String> {
        let body = ByteStream::from(body.as_bytes().to_vec());
        self.s3.put_object().bucket("site").key(key).body(body).send().await.unwrap().version_id
    }

    /// The text and the version, or the code of the error.
    async fn get(&self, key: &str, version: Option<&str>) -> Result<(String, Option<String>), String> {
        let get = self.s3.get_object().bucket("site").key(key).set_version_id(version.map(str::to_owned));
        let got = get.send().await.map_err(|error| code(&error).unwrap_or("reset").to_owned())?;
        let version = got.version_id().map(str::to_owned);
        Ok((String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap(), version))
    }

    async fn text(&self, key: &str, version: Option<&str>) -> String {
        self.get(key, version).await.map_or_else(|code| code, |(text, _)| text)
    }

    /// The version that was removed or created, and whether it is a delete marker.
    async fn delete(&self, key: &str, version: Option<&str>) -> (Option<String>, Option<bool>) {
        let delete = self.s3.delete_object().bucket("site").key(key).set_version_id(version.map(str::to_owned));
        let deleted = delete.send().await.unwrap();
        (deleted.version_id, deleted.delete_marker)
    }
}

#[tokio::test]
async fn versioning_is_off_until_it_is_put_and_no_answer_has_a_version() {
    let world = World::new().await;
    assert_eq!(world.status().await, None);
    assert_eq!(world.put("k", "1").await, None);
    assert_eq!(world.get("k", None).await.unwrap(), ("1".to_owned(), None));
    assert_eq!(world.get("k", Some("null")).await.unwrap().0, "1");
    assert_eq!(world.text("k", Some("other")).await, "NoSuchVersion");
    world.delete("k", Some("other")).await;
    assert_eq!(world.text("k", None).await, "1", "another version was to be deleted");
    assert_eq!(world.delete("k", None).await, (None, None));
    assert_eq!(world.text("k", None).await, "NoSuchKey");
    world.s3.delete_bucket().bucket("site").send().await.unwrap();
}

#[tokio::test]
async fn what_is_overwritten_or_deleted_can_be_had_back_by_its_version() {
    let world = World::new().await;
    world.put("k", "0").await;
    world.set(BucketVersioningStatus::Enabled).await;
    assert_eq!(world.status().await, Some(BucketVersioningStatus::Enabled));
    assert_eq!(world.get("k", None).await.unwrap(), ("0".to_owned(), Some("null".to_owned())));
    let first = world.put("k", "1").await.unwrap();
    let second = world.put("k", "2").await.unwrap();
    for (version, text) in [(None, "2"), (Some("null"), "0"), (Some(&*first), "1"), (Some(&*second), "2")] {
        assert_eq!(world.text("k", version).await, text, "{version:?}");
    }
    assert_eq!(world.edge.objects("site")[0].version.as_ref(), Some(&second));

    let (marker, is_marker) = world.delete("k", None).await;
    let marker = marker.unwrap();
    assert_eq!(is_marker, Some(true));
    assert_eq!(world.text("k", None).await, "NoSuchKey");
    assert_eq!(world.text("k", Some(&marker)).await, "MethodNotAllowed");
    assert!(world.edge.objects("site").is_empty());
    assert_eq!(http::get(&world.edge.viewer_url(), "/k").await.status, 404);
    let head = world.s3.head_object().bucket("site").key("k").version_id(&first).send().await.unwrap();
    assert_eq!((head.content_length(), head.version_id()), (Some(1), Some(&*first)));
    let full = world.s3.delete_bucket().bucket("site").send().await.unwrap_err();
    assert_eq!(code(&full), Some("BucketNotEmpty"));

    let copy = world.s3.copy_object().bucket("site").key("k").copy_source(format!("site/k?versionId={first}"));
    let copied = copy.send().await.unwrap();
    assert_eq!(copied.copy_source_version_id(), Some(&*first));
    assert_eq!(world.get("k", None).await.unwrap(), ("1".to_owned(), copied.version_id().map(str::to_owned)));
}

#[tokio::test]
async fn removing_the_newest_version_brings_the_one_before_to_light() {
    let world = World::new().await;
    world.set(BucketVersioningStatus::Enabled).await;
    let first = world.put("k", "1").await.unwrap();
    let second = world.put("k", "2").await.unwrap();
    let (marker, _) = world.delete("k", None).await;
    assert_eq!(world.delete("k", marker.as_deref()).await, (marker, Some(true)));
    assert_eq!(world.text("k", None).await, "2");
    assert_eq!(world.delete("k", Some(&second)).await, (Some(second.clone()), None));
    assert_eq!(world.text("k", None).await, "1");
    assert_eq!(world.text("k", Some(&second)).await, "NoSuchVersion");
    let object = ObjectIdentifier::builder().key("k").version_id(&first).build().unwrap();
    let delete = Delete::builder().objects(object).build().unwrap();
    let deleted = world.s3.delete_objects().bucket("site").delete(delete).send().await.unwrap();
    assert_eq!(deleted.deleted()[0].version_id(), Some(&*first));
    assert_eq!(world.text("k", None).await, "NoSuchKey");
    world.s3.delete_bucket().bucket("site").send().await.unwrap();
}

#[tokio::test]
async fn while_it_is_suspended_writes_replace_the_null_version_alone() {
    let world = World::new().await;
    world.set(BucketVersioningStatus::Enabled).await;
    let first = world.put("k", "1").await.unwrap();
    world.set(BucketVersioningStatus::Suspended).await;
    assert_eq!(world.status().await, Some(BucketVersioningStatus::Suspended));
    assert_eq!(world.put("k", "2").await.as_deref(), Some("null"));
    assert_eq!(world.put("k", "3").await.as_deref(), Some("null"));
    assert_eq!((world.text("k", Some("null")).await, world.text("k", Some(&first)).await), ("3".into(), "1".into()));
    world.delete("k", Some("null")).await;
    assert_eq!(world.text("k", None).await, "1");
}
