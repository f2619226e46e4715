//! Events of a bucket become one invalidation, whatever their shape; a message that fails is returned alone.

use crate::world::function::{Function, event};
use crate::world::site::{ALWAYS, World};
use serde_json::{Value, json};
use shipfront_edge::Fault;

const SITE: [(&str, &str); 4] =
    [("index.html", "home"), ("about.html", "about"), ("notes/a.html", "a"), ("old.html", "old")];

/// A bucket with a distribution that shipfront never deployed to, and a function for its events.
async fn function() -> (World, Function) {
    let world = World::new(&[]).await;
    for (key, body) in SITE {
        world.put(key, body).await;
    }
    let function = Function::start(&world, &[]).await;
    (world, function)
}

/// A queue's event with these messages, whose IDs are `m0`, `m1` ...
pub(super) fn queue(bodies: &[Value]) -> Value {
    let mut event = event("sqs-s3");
    let message = event["Records"][0].clone();
    let messages = bodies.iter().enumerate().map(|(at, body)| {
        let mut message = message.clone();
        message["messageId"] = format!("m{at}").into();
        message["body"] = body.as_str().map_or_else(|| body.to_string(), str::to_owned).into();
        message
    });
    event["Records"] = messages.collect();
    event
}

/// A notification of one written key.
pub(super) fn written(key: &str, etag: &str) -> Value {
    let mut event = event("s3-object-created-put");
    event["Records"][0]["s3"]["object"]["key"] = key.into();
    event["Records"][0]["s3"]["object"]["eTag"] = etag.into();
    event
}

/// The items that CloudFront accepted, request by request.
pub(super) fn invalidated(world: &World) -> Vec<Vec<String>> {
    let invalidated = world.edge.invalidations(&world.distribution).into_iter();
    invalidated
        .map(|invalidation| {
            let mut items = invalidation.items;
            items.sort();
            items
        })
        .collect()
}

/// The messages that are returned to the queue.
pub(super) fn back(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures.map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_shape_of_an_event_its_url_is_invalidated_once() {
    for (name, items) in [
        ("s3-object-created-put", vec!["/index.html"]),
        ("s3-object-created-copy", vec!["/index.html"]),
        ("s3-object-created-multipart", vec!["/media/film.mp4"]),
        ("s3-object-removed-delete", vec!["/index.html"]),
        ("s3-object-removed-delete-marker", vec!["/index.html"]),
        ("s3-lifecycle-expiration-delete", vec!["/index.html"]),
        ("s3-object-restore-completed", vec!["/index.html"]),
        ("eventbridge-object-created", vec!["/index.html"]),
        ("eventbridge-object-deleted", vec!["/index.html"]),
        ("eventbridge-object-deleted-lifecycle", vec!["/index.html"]),
        ("eventbridge-object-restore-completed", vec!["/index.html"]),
        ("sqs-eventbridge", vec!["/index.html"]),
        ("sqs-s3", vec!["/index.html", "/old.html"]),
        ("sns-s3", vec!["/index.html"]),
        ("sns-eventbridge", vec!["/index.html"]),
        ("sqs-sns-s3", vec!["/index.html"]),
        ("sqs-sns-s3-raw", vec!["/index.html"]),
        ("sqs-sns-eventbridge", vec!["/index.html"]),
    ] {
        let (world, function) = function().await;
        let root = items.contains(&"/index.html").then_some("/");
        function.invoke(&event(name)).await.unwrap();
        let expected: Vec<&str> = root.into_iter().chain(items).collect();
        assert_eq!(invalidated(&world), [expected], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_decoded_as_each_kind_of_event_encodes_them() {
    // The same name, once form-encoded and once as it is.
    for (name, key) in [
        ("s3-object-created-encoded-key", "notes/café + 100%.html"),
        ("eventbridge-object-created-raw-key", "notes/café + 100%25.html"),
    ] {
        let (world, function) = function().await;
        let url = if name.starts_with("s3") {
            "/notes/caf%C3%A9%20%2B%20100%25.html"
        } else {
            "/notes/caf%C3%A9%20%2B%20100%2525.html"
        };
        world.put(key, "x").await;
        function.invoke(&event(name)).await.unwrap();
        assert!(invalidated(&world)[0].iter().any(|item| item == url), "{key:?}: {:?}", invalidated(&world));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_viewers_do_not_see_are_accepted_and_invalidate_nothing() {
    let (world, function) = function().await;
    for name in
        ["s3-test-event", "sqs-s3-test-event", "sns-s3-test-event", "sqs-sns-s3-test-event", "s3-object-tagging-put"]
    {
        function.invoke(&event(name)).await.unwrap();
    }
    let mut none = event("sqs-s3");
    none["Records"] = json!([]);
    function.invoke(&none).await.unwrap();
    assert!(world.edge.requests().is_empty(), "{:?}", world.edge.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_and_its_changes_never_cause_anything() {
    let (world, function) = function().await;
    for key in [".shipfront/state.json", ".shipfront/blog/manifest-x.ndjson.gz", ".shipfront/foreign.json"] {
        function.invoke(&written(key, "0cc175b9c0f1b6a831c399e269772661")).await.unwrap();
    }
    assert!(world.edge.requests().is_empty(), "{:?}", world.edge.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_messages_of_an_invocation_are_one_invalidation_and_duplicates_are_one_url() {
    let (world, function) = function().await;
    let etag = "0cc175b9c0f1b6a831c399e269772661";
    let mut removed = event("eventbridge-object-deleted");
    removed["detail"]["object"]["key"] = "old.html".into();
    let messages = [written("about.html", etag), removed.clone(), written("about.html", etag), removed];
    let answer = function.invoke(&queue(&messages)).await.unwrap();
    assert_eq!(back(&answer), Vec::<&str>::new());
    assert_eq!(invalidated(&world), [["/about.html", "/old.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_messages_again_are_the_same_invalidation() {
    let (world, function) = function().await;
    for _ in 0..2 {
        function.invoke(&event("sqs-s3")).await.unwrap();
    }
    assert_eq!(world.count("CreateInvalidation"), 2);
    assert_eq!(invalidated(&world).len(), 1, "the second is answered with the first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_distributions_are_looked_for_once_and_remembered() {
    let (world, function) = function().await;
    for key in ["about.html", "old.html", "notes/a.html"] {
        function.invoke(&queue(&[written(key, "0cc175b9c0f1b6a831c399e269772661")])).await.unwrap();
    }
    assert_eq!((world.count("ListDistributions"), world.count("GetDistributionConfig")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distribution_that_is_named_is_not_looked_for() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[("SHIPFRONT_DISTRIBUTION", &world.distribution)]).await;
    function.invoke(&event("s3-object-removed-delete")).await.unwrap();
    assert_eq!(world.count("ListDistributions"), 0);
    assert_eq!(invalidated(&world), [["/", "/index.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_the_budget_are_everything_where_nobody_knows_the_rest_of_the_site() {
    let (world, function) = function().await;
    let messages: Vec<Value> =
        (0..60).map(|at| written(&format!("p/{at}.html"), "0cc175b9c0f1b6a831c399e269772661")).collect();
    function.invoke(&queue(&messages)).await.unwrap();
    assert_eq!(invalidated(&world), [["/*"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_the_function_are_those_of_a_deploy() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[("SHIPFRONT_OPTIONS", "--clean-urls")]).await;
    function.invoke(&written("about.html", "0cc175b9c0f1b6a831c399e269772661")).await.unwrap();
    assert_eq!(invalidated(&world), [["/about", "/about.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_invalidation_sends_its_own_messages_back_and_no_others() {
    let world = World::new(&[]).await;
    // Two buckets, each behind its own distribution; only one of the two is throttled.
    let other = world.edge.ensure_site("other.example.com").unwrap();
    let function = Function::start(&world, &[]).await;
    world.fault_of("CreateInvalidation", &world.distribution, 0, ALWAYS, Fault::SlowDown);
    let mut elsewhere = event("s3-object-removed-delete");
    elsewhere["Records"][0]["s3"]["bucket"]["name"] = "other.example.com".into();
    let messages =
        [event("s3-object-removed-delete"), elsewhere, event("sqs-s3-test-event")["Records"][0]["body"].clone()];
    let answer = function.invoke(&queue(&messages)).await.unwrap();
    assert_eq!(back(&answer), ["m0"]);
    assert_eq!(world.edge.invalidations(&other).len(), 1);

    world.edge.faults().clear();
    let answer = function.invoke(&queue(&messages[..1])).await.unwrap();
    assert_eq!(back(&answer), Vec::<&str>::new());
    assert_eq!(invalidated(&world), [["/", "/index.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_queue_a_failure_is_the_invocations_own_so_that_lambda_tries_again() {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    world.fault("CreateInvalidation", 0, ALWAYS, Fault::SlowDown);
    let event = event("s3-object-removed-delete");
    let error = function.invoke(&event).await.unwrap_err();
    assert!(error.contains("CreateInvalidation"), "{error}");
    world.edge.faults().clear();
    function.invoke(&event).await.unwrap();
    assert_eq!(invalidated(&world), [["/", "/index.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_10000_messages_is_one_invalidation() {
    let (world, function) = function().await;
    let messages: Vec<Value> =
        (0..10_000).map(|at| written(&format!("p/{at}.html"), "0cc175b9c0f1b6a831c399e269772661")).collect();
    let event = queue(&messages);
    assert!(event.to_string().len() > 6 << 20, "it is as large as Lambda hands out");
    let answer = function.invoke(&event).await.unwrap();
    assert_eq!(back(&answer), Vec::<&str>::new());
    assert_eq!(invalidated(&world), [["/*"]]);
}

/// An event of another bucket.
fn elsewhere(bucket: &str) -> Value {
    let mut event = event("s3-object-removed-delete");
    event["Records"][0]["s3"]["bucket"]["name"] = bucket.into();
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_each_bucket_go_to_the_named_distributions_that_may_show_it_and_fail_where_none_does() {
    let world = World::new(&[]).await;
    let other = world.edge.ensure_site("other.example.com").unwrap();
    world.edge.ensure_site("third.example.com").unwrap();
    let both = format!("{},{other}", world.distribution);
    let function = Function::start(&world, &[("SHIPFRONT_DISTRIBUTION", &both)]).await;
    function.invoke(&event("s3-object-removed-delete")).await.unwrap();
    assert_eq!((invalidated(&world).len(), world.edge.invalidations(&other).len()), (1, 0));
    function.invoke(&elsewhere("other.example.com")).await.unwrap();
    assert_eq!((invalidated(&world).len(), world.edge.invalidations(&other).len()), (1, 1));
    let failed = function.invoke(&elsewhere("third.example.com")).await.unwrap_err();
    assert!(failed.contains("no origin of the distribution"), "{failed}");
    assert_eq!((invalidated(&world).len(), world.edge.invalidations(&other).len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_any_origin_the_events_of_a_replicated_bucket_are_invalidated() {
    let world = World::new(&[]).await;
    world.edge.ensure_site("third.example.com").unwrap();
    let variables = [("SHIPFRONT_DISTRIBUTION", &*world.distribution), ("SHIPFRONT_OPTIONS", "--any-origin")];
    let function = Function::start(&world, &variables).await;
    function.invoke(&elsewhere("third.example.com")).await.unwrap();
    assert_eq!(invalidated(&world), [["/", "/index.html"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_topic_sends_that_is_no_event_goes_back_alone_and_its_token_is_nowhere() {
    let (world, function) = function().await;
    let confirm = event("sqs-sns-subscription-confirmation")["Records"][0]["body"].clone();
    let topics = event("sqs-sns-s3")["Records"][0]["body"].clone();
    let mut hello: Value = serde_json::from_str(topics.as_str().unwrap()).unwrap();
    hello["Message"] = "hello".into();
    let answer = function.invoke(&queue(&[confirm, topics, hello])).await.unwrap();
    assert_eq!(back(&answer), ["m0", "m2"]);
    assert_eq!(invalidated(&world), [["/", "/index.html"]]);
    let log = function.log();
    assert!(log.contains("confirm the subscription") && !log.contains("tokenOfTheTopic"), "{log}");
    // Without a queue, Lambda retries it.
    let mut alone = event("sns-s3");
    alone["Records"][0]["Sns"]["Message"] = "hello".into();
    assert!(function.invoke(&alone).await.unwrap_err().contains("not JSON"));
}
