//! The fault script, as AWS's own client sees it.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, Delete, ObjectIdentifier};
use shipfront_edge::{Edge, Fault, Rule};

use crate::world::aws::{code, edge, s3};

async fn world() -> (Edge, Client) {
    let edge = edge().await;
    edge.ensure_site("site").unwrap();
    let client = s3(&edge);
    (edge, client)
}

fn once(operation: &str, fault: Fault) -> Rule {
    Rule { operation: Some(operation.to_owned()), key: None, skip: 0, count: 1, fault }
}

/// The error code of a put, `reset` for a broken connection.
async fn put(s3: &Client, key: &str) -> Result<(), String> {
    let body = ByteStream::from(vec![1; 100_000]);
    let result = s3.put_object().bucket("site").key(key).body(body).send().await;
    result.map(|_| ()).map_err(|error| code(&error).unwrap_or("reset").to_owned())
}

fn keys(edge: &Edge) -> Vec<String> {
    edge.objects("site").into_iter().map(|object| object.key).collect()
}

#[tokio::test]
async fn scripted_errors_come_in_order_and_in_awss_shape() {
    let (edge, s3) = world().await;
    edge.faults().add(Rule {
        operation: Some("PutObject".to_owned()),
        key: Some("k".to_owned()),
        skip: 1,
        count: 2,
        fault: Fault::SlowDown,
    });
    edge.faults().add(once(
        "PutObject",
        Fault::Error { status: 412, code: "PreconditionFailed".to_owned(), message: "no".to_owned() },
    ));
    assert_eq!(put(&s3, "other").await.unwrap_err(), "PreconditionFailed");
    put(&s3, "k").await.unwrap();
    assert_eq!(put(&s3, "k").await.unwrap_err(), "SlowDown");
    assert_eq!(put(&s3, "k").await.unwrap_err(), "SlowDown");
    put(&s3, "k").await.unwrap();
    let statuses: Vec<_> = edge.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [412, 200, 503, 503, 200]);
}

#[tokio::test]
async fn a_reset_before_has_no_effect_and_a_reset_after_has() {
    let (edge, s3) = world().await;
    edge.faults().add(once("PutObject", Fault::ResetBefore));
    assert_eq!(put(&s3, "before").await.unwrap_err(), "reset");
    edge.faults().clear();
    edge.faults().add(once("PutObject", Fault::ResetAfter));
    assert_eq!(put(&s3, "after").await.unwrap_err(), "reset");
    assert_eq!(keys(&edge), ["after"]);
    let statuses: Vec<_> = edge.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [0, 0]);
}

#[tokio::test]
async fn a_crash_at_the_nth_request_lasts_until_revival() {
    for (after_effect, left) in [(false, vec!["1"]), (true, vec!["1", "2"])] {
        let (edge, s3) = world().await;
        edge.faults().crash_at(2, after_effect);
        put(&s3, "1").await.unwrap();
        assert_eq!(put(&s3, "2").await.unwrap_err(), "reset");
        assert_eq!(put(&s3, "3").await.unwrap_err(), "reset");
        assert!(s3.list_objects_v2().bucket("site").send().await.is_err());
        assert_eq!(keys(&edge), left);
        edge.faults().revive();
        put(&s3, "4").await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_can_break_off_or_come_late() {
    let (edge, s3) = world().await;
    put(&s3, "k").await.unwrap();
    edge.faults().add(once("GetObject", Fault::TruncateBody));
    let get = async || {
        let got = s3.get_object().bucket("site").key("k").send().await.unwrap();
        got.body.collect().await
    };
    assert!(get().await.is_err());
    assert_eq!(get().await.unwrap().to_vec().len(), 100_000);
    edge.faults().add(once("ListObjectsV2", Fault::TruncateBody));
    assert!(s3.list_objects_v2().bucket("site").send().await.is_err());
    let head = || s3.head_object().bucket("site").key("k").send();
    edge.faults().add(once("HeadObject", Fault::Delay(Duration::from_secs(3600))));
    let others = async {
        while edge.requests().iter().all(|request| request.operation != "HeadObject") {
            put(&s3, "other").await.unwrap();
        }
        for _ in 0..10 {
            put(&s3, "other").await.unwrap();
        }
    };
    tokio::select! {
        _ = head() => panic!("it overtook others that are not late"),
        () = others => {}
    }
    edge.faults().add(once("HeadObject", Fault::Delay(Duration::from_millis(1))));
    head().await.unwrap();
}

#[tokio::test]
async fn a_200_can_hide_an_error() {
    let (edge, s3) = world().await;
    put(&s3, "a").await.unwrap();
    put(&s3, "b").await.unwrap();
    edge.faults().add(once("DeleteObjects", Fault::DeleteErrors { keys: vec!["a".to_owned()] }));
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(object("a")).objects(object("b")).build().unwrap();
    let result = s3.delete_objects().bucket("site").delete(delete).send().await.unwrap();
    assert_eq!(result.errors()[0].key(), Some("a"));
    assert_eq!(keys(&edge), ["a"]);

    let in_body = || Fault::ErrorInBody { code: "InternalError".to_owned() };
    edge.faults().add(once("CopyObject", in_body()));
    let copy = s3.copy_object().bucket("site").key("c").copy_source("site/a").send().await;
    assert_eq!(code(&copy.unwrap_err()), Some("InternalError"));
    edge.faults().add(once("CompleteMultipartUpload", in_body()));
    let complete = s3.complete_multipart_upload().bucket("site").key("c").upload_id("u");
    let complete = complete.multipart_upload(CompletedMultipartUpload::builder().build());
    assert_eq!(code(&complete.send().await.unwrap_err()), Some("InternalError"));
    assert_eq!(keys(&edge), ["a"]);
}

#[tokio::test]
async fn requests_are_recorded_in_the_order_of_their_arrival() {
    let (edge, s3) = world().await;
    s3.put_object().bucket("site").key("a/é").if_none_match("*").send().await.unwrap();
    s3.list_objects_v2().bucket("site").send().await.unwrap();
    s3.get_object().bucket("site").key("x").send().await.unwrap_err();
    let requests = edge.requests();
    let names: Vec<_> = requests.iter().map(|request| request.operation.as_str()).collect();
    assert_eq!(names, ["PutObject", "ListObjectsV2", "GetObject"]);
    assert_eq!(requests[0].key.as_deref(), Some("a/é"));
    assert_eq!(requests[0].bucket.as_deref(), Some("site"));
    assert_eq!(requests[0].headers["if-none-match"], "*");
    assert_eq!((requests[2].ordinal, requests[2].status), (3, 404));
    edge.clear_requests();
    s3.list_buckets().send().await.unwrap();
    assert_eq!(edge.requests()[0].ordinal, 4);
}

#[tokio::test]
async fn writes_past_the_cap_are_slowed_down_and_reads_are_not() {
    let (edge, s3) = world().await;
    edge.faults().cap_writes_per_second(Some(0));
    assert_eq!(put(&s3, "k").await.unwrap_err(), "SlowDown");
    s3.list_objects_v2().bucket("site").send().await.unwrap();
    edge.faults().cap_writes_per_second(None);
    put(&s3, "k").await.unwrap();
}
