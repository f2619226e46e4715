//! What is left after a restart, and who may use a directory.

use std::fs;
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use shipfront_edge::{Data, Edge, EdgeError, EdgeOptions};

use crate::world::aws::{s3, start};

fn options(path: &Path, api_port: u16) -> EdgeOptions {
    EdgeOptions { data: Data::Directory(path.to_owned()), api_port, viewer_port: 0, latency: std::time::Duration::ZERO }
}

/// Files below `directory`.
fn files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn objects_and_distributions_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = || Data::Directory(directory.path().to_owned());
    let edge = start(data()).await;
    let id = edge.ensure_site("site").unwrap();
    let mut distribution = edge.distribution(&id).unwrap();
    distribution.default_root_object = "home.html".to_owned();
    edge.put_distribution(distribution).unwrap();
    let client = s3(&edge);
    for (key, size) in [("é a/1", 10), ("large", 3 << 20), ("gone", 10), ("large", 2 << 20)] {
        let body = ByteStream::from(vec![1; size]);
        let put = client.put_object().bucket("site").key(key).body(body);
        put.metadata("tag", "t").send().await.unwrap();
    }
    client.delete_object().bucket("site").key("gone").send().await.unwrap();
    let before = (edge.objects("site"), edge.distribution(&id));
    edge.stop().await;

    // A line that was being written when the power failed.
    let journal = directory.path().join("buckets/site.ndjson");
    let mut text = fs::read(&journal).unwrap();
    text.extend_from_slice(b"{\"key\":\"torn");
    fs::write(&journal, text).unwrap();
    // And a body that nothing refers to yet.
    fs::write(directory.path().join("bodies/ff/ffff"), "x").unwrap();

    let edge = start(data()).await;
    assert_eq!((edge.objects("site"), edge.distribution(&id)), before);
    assert_eq!(files(&directory.path().join("bodies")), 2);
    let got = s3(&edge).get_object().bucket("site").key("large").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), vec![1; 2 << 20]);
}

#[tokio::test]
async fn a_body_that_is_being_read_outlives_its_object() {
    let directory = tempfile::tempdir().unwrap();
    let edge = start(Data::Directory(directory.path().to_owned())).await;
    edge.ensure_site("site").unwrap();
    let client = s3(&edge);
    let body = ByteStream::from(vec![1; 20 << 20]);
    client.put_object().bucket("site").key("k").body(body).send().await.unwrap();
    let got = client.get_object().bucket("site").key("k").send().await.unwrap();
    client.delete_object().bucket("site").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), vec![1; 20 << 20]);
}

#[tokio::test]
async fn a_directory_has_one_edge_at_a_time_and_contains_its_address() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Edge::running(directory.path()), None);
    let edge = Edge::start(options(directory.path(), 0)).await.unwrap();
    let second = Edge::start(options(directory.path(), 0)).await.unwrap_err();
    assert!(matches!(second, EdgeError::DirectoryInUse(_)), "{second}");
    let running = Edge::running(directory.path()).unwrap();
    assert_eq!((running.api_url, running.viewer_url), (edge.api_url(), edge.viewer_url()));
    edge.stop().await;
    assert_eq!(Edge::running(directory.path()), None);
}

#[tokio::test]
async fn an_unavailable_port_or_directory_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Edge::start(options(directory.path(), port)).await.unwrap_err();
    assert!(matches!(error, EdgeError::PortTaken { .. }), "{error}");
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Edge::start(options(&file.join("below"), 0)).await.unwrap_err();
    assert!(matches!(error, EdgeError::Directory { .. }), "{error}");
}

#[tokio::test]
async fn a_bucket_name_that_s3_would_not_take_is_refused() {
    let edge = start(Data::Memory).await;
    for name in ["UPPER", "a", "../escape", "with space"] {
        let error = edge.ensure_site(name).unwrap_err();
        assert!(matches!(error, EdgeError::BucketName(_)), "{error}");
    }
    let id = edge.ensure_site("www.example.com").unwrap();
    assert_eq!(edge.ensure_site("www.example.com").unwrap(), id);
}
