//! The deploy record as a file: to change it into what an older rule, or a broken disk, would have left.

use super::aws::s3;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use shipfront_edge::Edge;
use std::io::{Read, Write};

/// The key of the manifest of the deploy that is live in a bucket.
pub(crate) async fn key(edge: &Edge, bucket: &str) -> String {
    let state: Value = serde_json::from_slice(&read(edge, bucket, ".shipfront/state.json").await).unwrap();
    format!(".shipfront/manifest-{}.ndjson.gz", state["manifest"].as_str().unwrap())
}

/// The keys of the manifest and of the plan that the state of a bucket's record names.
pub(crate) async fn named(edge: &Edge, bucket: &str) -> (String, String) {
    let state: Value = serde_json::from_slice(&read(edge, bucket, ".shipfront/state.json").await).unwrap();
    let (manifest, plan) = (state["manifest"].as_str().unwrap(), state["intent"]["deploy"].as_str().unwrap());
    (format!(".shipfront/manifest-{manifest}.ndjson.gz"), format!(".shipfront/plan-{plan}.ndjson.gz"))
}

/// The bytes of an object.
pub(crate) async fn read(edge: &Edge, bucket: &str, key: &str) -> Vec<u8> {
    let got = s3(edge).get_object().bucket(bucket).key(key).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

/// Changes the lines of the manifest of a bucket.
pub(crate) async fn rewrite(edge: &Edge, bucket: &str, change: impl Fn(&mut Value)) {
    rewrite_file(edge, bucket, &key(edge, bucket).await, change).await;
}

/// Changes the lines of a manifest.
pub(crate) async fn rewrite_file(edge: &Edge, bucket: &str, name: &str, change: impl Fn(&mut Value)) {
    let mut text = String::new();
    GzDecoder::new(read(edge, bucket, name).await.as_slice()).read_to_string(&mut text).unwrap();
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for line in text.lines() {
        let mut line = serde_json::from_str(line).unwrap();
        change(&mut line);
        writeln!(out, "{line}").unwrap();
    }
    s3(edge).put_object().bucket(bucket).key(name).body(out.finish().unwrap().into()).send().await.unwrap();
}

/// Makes the headers of an object differ from the rules, in the bucket and in the manifest: as if it had been
/// uploaded under an older rule.
pub(crate) async fn drift(edge: &Edge, bucket: &str, key: &str, body: &str) {
    let put = s3(edge).put_object().bucket(bucket).key(key).content_type("text/x-old");
    put.body(body.as_bytes().to_vec().into()).send().await.unwrap();
    let etag = edge.objects(bucket).into_iter().find(|object| object.key == key).unwrap().etag;
    rewrite(edge, bucket, |line| {
        if line["key"] == key {
            line["headers"] = "0123456789abcdef".into();
            line["etag"] = etag.clone().into();
        }
    })
    .await;
}
