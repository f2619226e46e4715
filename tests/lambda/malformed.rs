//! Events that are not as documented: they never block their neighbors, and a job gets a result nevertheless.

use super::messages::{back, invalidated, queue, written};
use crate::world::function::{Function, event};
use crate::world::site::World;
use serde_json::{Value, json};
use shipfront_edge::JobResult;
use std::time::Duration;

const ETAG: &str = "0cc175b9c0f1b6a831c399e269772661";

/// `event` without the field, or with another value.
fn altered(event: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut altered = event.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = altered.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(fields), Some(value)) => drop(fields.insert(name.to_owned(), value)),
        (Value::Object(fields), None) => drop(fields.remove(name)),
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    altered
}

/// Bodies of messages that cannot be processed.
fn poison() -> Vec<Value> {
    let native = written("index.html", ETAG);
    let bridged = event("eventbridge-object-created");
    let mut poison = vec![
        "no JSON".into(),
        "".into(),
        json!({}),
        json!([1, 2, 3]),
        json!({"Records": "none"}),
        json!({"Records": [7]}),
        json!({"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}}),
    ];
    for pointer in [
        "/Records/0/eventSource",
        "/Records/0/eventName",
        "/Records/0/s3",
        "/Records/0/s3/bucket",
        "/Records/0/s3/bucket/name",
        "/Records/0/s3/object",
        "/Records/0/s3/object/key",
    ] {
        poison.push(altered(&native, pointer, None));
        poison.push(altered(&native, pointer, Some(json!(["wrong"]))));
    }
    for (pointer, value) in [
        ("/Records/0/eventSource", json!("aws:dynamodb")),
        ("/Records/0/eventVersion", json!("3.0")),
        ("/Records/0/s3/object/key", json!("a%zz.html")),
        ("/Records/0/s3/object/key", json!("a%C3.html")),
        ("/Records/0/s3/object/key", json!("a%4")),
    ] {
        poison.push(altered(&native, pointer, Some(value)));
    }
    for pointer in ["/source", "/detail", "/detail/bucket/name", "/detail/object/key", "/detail-type"] {
        poison.push(altered(&bridged, pointer, None));
        poison.push(altered(&bridged, pointer, Some(json!({"wrong": 1}))));
    }
    poison
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_message_goes_back_and_its_neighbours_are_dealt_with() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    for (at, body) in poison().into_iter().enumerate() {
        let neighbours = [written(&format!("a{at}.html"), ETAG), body, written(&format!("b{at}.html"), ETAG)];
        let answer = function.invoke(&queue(&neighbours)).await.unwrap();
        assert_eq!(back(&answer), ["m1"], "{}", neighbours[1]);
        let last = invalidated(&world).pop().unwrap_or_default();
        assert_eq!(last, [format!("/a{at}.html"), format!("/b{at}.html")], "{}", neighbours[1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_record_of_a_notification_fails_it_after_its_neighbours_were_dealt_with() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    let mut event = event("s3-object-removed-delete");
    let record = event["Records"][0].clone();
    event["Records"] = json!([{"eventSource": "aws:s3"}, record]);
    let error = function.invoke(&event).await.unwrap_err();
    assert!(error.contains("missing field"), "{error}");
    assert_eq!(invalidated(&world), [["/", "/index.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_no_known_kind_fails_and_the_next_one_is_dealt_with() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    for unknown in [json!(null), json!(7), json!("text"), json!([]), json!({}), json!({"hello": "world"})] {
        let error = function.invoke(&unknown).await.unwrap_err();
        assert!(error.contains("unknown event"), "{unknown}: {error}");
    }
    assert!(function.send("{".into(), Duration::from_secs(60)).await.is_err());
    function.invoke(&event("s3-object-removed-delete")).await.unwrap();
    assert_eq!(invalidated(&world), [["/", "/index.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_of_6_mib_is_read_like_any_other() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    let record = written("a.html", ETAG)["Records"][0].clone();
    let body = json!({"Records": vec![record; 10_000]});
    assert!(body.to_string().len() > 6_000_000);
    function.invoke(&body).await.unwrap();
    assert_eq!(invalidated(&world), [["/a.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_not_as_documented_is_answered_as_long_as_it_has_an_id() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    let whole = event("codepipeline-job-with-artifact");
    let mut answered = 0;
    for pointer in [
        "/data",
        "/data/actionConfiguration",
        "/data/actionConfiguration/configuration",
        "/data/actionConfiguration/configuration/UserParameters",
        "/data/inputArtifacts",
        "/data/inputArtifacts/0/location",
        "/data/inputArtifacts/0/location/s3Location",
        "/data/inputArtifacts/0/location/s3Location/bucketName",
        "/data/inputArtifacts/0/location/s3Location/objectKey",
        "/data/artifactCredentials",
        "/data/artifactCredentials/secretAccessKey",
    ] {
        for value in [None, Some(json!(["secretOfTheJob/Example"])), Some(json!("secretOfTheJob/Example"))] {
            // Some of these strings are right in their place.
            let wrong = altered(&whole["CodePipeline.job"], pointer, value);
            let id = format!("5e0b1c2d-3f4a-4b6c-8d9e-{answered:012x}");
            let event = json!({"CodePipeline.job": altered(&wrong, "/id", Some(json!(id)))});
            function.invoke(&event).await.unwrap();
            answered += 1;
            let (job, result) = world.edge.job_results().pop().unwrap();
            assert_eq!((job, world.edge.job_results().len()), (id, answered), "{pointer}");
            let JobResult::Failure { message, .. } = result else { panic!("{pointer}: {result:?}") };
            // The artifact's location, and what to do, are no secrets.
            let open = ["UserParameters", "bucketName", "objectKey"].iter().any(|name| pointer.ends_with(name));
            assert!(open || !message.contains("secretOfTheJob"), "{message}");
        }
    }
    for id in [json!(null), json!(7)] {
        let event = json!({"CodePipeline.job": altered(&whole["CodePipeline.job"], "/id", Some(id))});
        assert!(function.invoke(&event).await.unwrap_err().contains("without an ID"));
    }
}
