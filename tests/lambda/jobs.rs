//! CodePipeline's action: every job gets a result, in CodePipeline's own terms and limits.

use crate::world::function::{Function, event};
use crate::world::site::{ALWAYS, World, denied, error};
use serde_json::{Value, json};
use shipfront_edge::{Fault, JobResult, Progress};
use std::collections::BTreeMap;
use std::time::Duration;

/// A job with these parameters, and its own ID.
pub(super) fn job(number: u32, parameters: &str) -> Value {
    let mut job = event("codepipeline-job");
    job["CodePipeline.job"]["id"] = format!("5e0b1c2d-3f4a-4b6c-8d9e-{number:012}").into();
    job["CodePipeline.job"]["data"]["actionConfiguration"]["configuration"]["UserParameters"] = parameters.into();
    job
}

/// The result of the last job.
pub(super) fn result(world: &World) -> JobResult {
    world.edge.job_results().pop().expect("no job was answered").1
}

/// The job that CodePipeline sends after one that continues.
pub(super) fn continued(number: u32, token: &str) -> Value {
    let mut next = job(number, "E1");
    next["CodePipeline.job"]["data"]["continuationToken"] = token.into();
    next
}

#[track_caller]
pub(super) fn failure(world: &World) -> (String, String) {
    match result(world) {
        JobResult::Failure { kind, message } => (kind, message),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn success(world: &World) -> (String, BTreeMap<String, String>) {
    match result(world) {
        JobResult::Success { continuation_token: None, summary, variables } => (summary, variables),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn token(world: &World) -> String {
    match result(world) {
        JobResult::Success { continuation_token: Some(token), .. } => token,
        other => panic!("{other:?}"),
    }
}

async fn function() -> (World, Function) {
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    (world, function)
}

fn items(world: &World) -> Vec<Vec<String>> {
    world.edge.invalidations(&world.distribution).into_iter().map(|invalidated| invalidated.items).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distributions_id_alone_invalidates_everything_and_waits_by_its_token() {
    let (world, function) = function().await;
    function.invoke(&job(1, &world.distribution)).await.unwrap();
    assert_eq!(items(&world), [["/*"]]);
    let token = token(&world);
    assert_eq!(world.count("GetInvalidation"), 0, "it does not wait itself");
    function.invoke(&continued(2, &token)).await.unwrap();
    let (summary, variables) = success(&world);
    let id = &world.edge.invalidations(&world.distribution)[0].id;
    assert!(summary.contains(id) && summary.contains(&world.distribution), "{summary}");
    assert_eq!((&variables["invalidationIds"], &*variables["invalidationPaths"]), (id, "1"));
    assert_eq!(world.count("CreateInvalidation"), 1);
}

/// A job whose action has no `UserParameters`.
fn without_parameters(number: u32) -> Value {
    let mut job = job(number, "");
    let configuration = &mut job["CodePipeline.job"]["data"]["actionConfiguration"]["configuration"];
    configuration.as_object_mut().unwrap().remove("UserParameters");
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_parameters_everything_of_the_distribution_that_the_environment_names_is_invalidated() {
    let world = World::new(&[]).await;
    let other = world.edge.ensure_site("other.example.com").unwrap();
    let named = Function::start(&world, &[("SHIPFRONT_DISTRIBUTION", &world.distribution)]).await;
    named.invoke(&without_parameters(1)).await.unwrap();
    assert_eq!((items(&world), world.edge.invalidations(&other).len()), (vec![vec!["/*".to_owned()]], 0));
    let token = token(&world);
    named.invoke(&continued(2, &token)).await.unwrap();
    success(&world);
    named.invoke(&job(3, " ")).await.unwrap();
    assert_eq!(items(&world).len(), 2);
    // The distribution to clear is never guessed.
    for variables in [&[][..], &[("SHIPFRONT_DISTRIBUTION", "auto")], &[("SHIPFRONT_DISTRIBUTION", "none")]] {
        let function = Function::start(&world, variables).await;
        function.invoke(&without_parameters(4)).await.unwrap();
        let (kind, message) = failure(&world);
        assert_eq!(kind, "ConfigurationError");
        assert!(message.contains("no UserParameters") && message.contains("SHIPFRONT_DISTRIBUTION"), "{message}");
    }
    assert_eq!((items(&world).len(), world.edge.invalidations(&other).len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_goes_on_until_cloudfront_is_done_and_is_done_without_it_when_that_takes_too_long() {
    let (world, function) = function().await;
    world.edge.set_invalidation_progress(Progress::After(Duration::from_secs(3600)));
    function.invoke(&job(1, &world.distribution)).await.unwrap();
    let first = token(&world);
    function.invoke(&continued(2, &first)).await.unwrap();
    assert_eq!(token(&world), first);
    let mut late: Value = serde_json::from_str(&first).unwrap();
    late["until"] = 1.into();
    function.invoke(&continued(3, &late.to_string())).await.unwrap();
    assert!(success(&world).0.contains("continues by itself"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_says_which_paths_and_whether_to_wait() {
    let (world, function) = function().await;
    let parameters = json!({"distribution": world.distribution, "paths": ["/blog/", "img/a b.png"], "wait": false});
    function.invoke(&job(1, &parameters.to_string())).await.unwrap();
    assert_eq!(items(&world), [["/blog/", "/img/a%20b.png"]]);
    assert_eq!(success(&world).1["outcome"], "invalidated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_distribution_is_found_from_the_bucket_and_no_other_is_touched() {
    let (world, function) = function().await;
    let other = world.edge.ensure_site("other.example.com").unwrap();
    let parameters = json!({"distribution": "auto", "bucket": "www.example.com", "wait": false});
    function.invoke(&job(1, &parameters.to_string())).await.unwrap();
    assert_eq!((items(&world).len(), world.edge.invalidations(&other).len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_make_no_sense_are_named() {
    let (world, function) = function().await;
    for (number, (parameters, invalidated)) in [
        (r#"{"distributoin": "E1", "Paths": []}"#, "unknown fields \"Paths\", \"distributoin\""),
        (r#"{"bucket": "www.example.com", "deploy": {"prune_after": "0s"}}"#, "\"deploy.prune_after\""),
        (r#"{"wait": "yes"}"#, "wait: expected a boolean"),
        (r#"{"distribution": "#, "no JSON"),
        ("https://d1.cloudfront.net", "not a distribution ID"),
        ("E1NOSUCH", "does not exist"),
        (r#"{"distribution": "none"}"#, "nothing to invalidate"),
        (r#"{"distribution": "E1", "paths": []}"#, "no path"),
        (r#"{"bucket": "www.example.com", "deploy": {}}"#, "no input artifact"),
    ]
    .into_iter()
    .enumerate()
    {
        function.invoke(&job(number as u32, parameters)).await.unwrap();
        let (kind, message) = failure(&world);
        assert_eq!(kind, "ConfigurationError", "{parameters}: {message}");
        assert!(message.contains(invalidated) && message.contains("hint: "), "{parameters}: {message}");
    }
    assert_eq!(world.count("CreateInvalidation"), 1, "only the one that does not exist was asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aws_does_not_allow_is_a_permission_error_and_what_it_is_too_busy_for_is_not() {
    let (world, function) = function().await;
    world.fault("CreateInvalidation", 0, 1, denied());
    function.invoke(&job(1, &world.distribution)).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "PermissionError");
    assert!(message.contains("allow cloudfront:CreateInvalidation"), "{message}");

    world.fault("CreateInvalidation", 0, ALWAYS, error(400, "TooManyInvalidationsInProgress"));
    function.invoke_within(&job(2, &world.distribution), Duration::from_secs(8)).await.unwrap();
    assert_eq!(failure(&world).0, "SystemUnavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_lost_is_given_again_and_a_job_that_is_answered_already_is_answered() {
    let (world, function) = function().await;
    world.fault("PutJobSuccessResult", 0, 1, Fault::ResetAfter);
    let parameters = json!({"distribution": world.distribution, "wait": false}).to_string();
    let answer = function.invoke(&job(1, &parameters)).await.unwrap();
    assert_eq!(answer["answered"], "success");
    assert_eq!(world.count("PutJobSuccessResult"), 2);
    // Lambda delivers an event twice.
    function.invoke(&job(1, &parameters)).await.unwrap();
    assert_eq!(world.edge.job_results().len(), 1);
    assert_eq!(items(&world).len(), 1, "and it is paid once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_that_codepipeline_does_not_take_is_answered_as_a_failure() {
    let (world, function) = function().await;
    world.fault("PutJobSuccessResult", 0, ALWAYS, denied());
    function.invoke(&job(1, &world.distribution)).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "PermissionError");
    assert!(
        message.contains("everything succeeded") && message.contains("codepipeline:PutJobSuccessResult"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cannot_be_answered_fails_the_invocation_so_that_lambda_tries_again() {
    let (world, function) = function().await;
    for operation in ["PutJobSuccessResult", "PutJobFailureResult"] {
        world.fault(operation, 0, ALWAYS, denied());
    }
    let error = function.invoke(&job(1, &world.distribution)).await.unwrap_err();
    assert!(error.contains("PutJobFailureResult"), "{error}");
    world.edge.faults().clear();
    function.invoke(&job(1, &world.distribution)).await.unwrap();
    token(&world);
    assert_eq!(items(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloudfront_that_never_answers_is_answered_for_before_the_deadline() {
    let (world, function) = function().await;
    world.fault("CreateInvalidation", 0, ALWAYS, Fault::Hold(shipfront_edge::Gate::default()));
    function.invoke_within(&job(1, &world.distribution), Duration::from_secs(2)).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "JobFailed");
    assert!(message.contains("timeout"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_somebody_else_is_refused() {
    let (world, function) = function().await;
    function.invoke(&continued(1, "another's")).await.unwrap();
    assert!(failure(&world).1.contains("not one of shipfront's"));
    let done = event("codepipeline-job-continued");
    function.invoke(&done).await.unwrap();
    assert!(success(&world).0.contains("cannot see whether CloudFront is done"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_log_nor_response_ever_contains_the_credentials_of_a_job() {
    let (world, function) = function().await;
    world.fault("PutJobSuccessResult", 0, 1, denied());
    let mut broken = event("codepipeline-job-with-artifact");
    broken["CodePipeline.job"]["id"] = "5e0b1c2d-3f4a-4b6c-8d9e-000000000009".into();
    broken["CodePipeline.job"]["data"]["artifactCredentials"]["sessionToken"] = json!({"tokenOfTheJob": 1});
    let mut strange = event("codepipeline-job-with-artifact");
    strange["CodePipeline.job"].as_object_mut().unwrap().remove("id");
    let mut answers = Vec::new();
    for event in [job(1, &world.distribution), event("codepipeline-job-with-artifact"), broken, strange] {
        answers.push(format!("{:?}", function.invoke(&event).await));
    }
    let invalidated = format!("{}{answers:?}{:?}", function.log(), world.edge.job_results());
    for secret in ["ASIAJOBEXAMPLE", "secretOfTheJob", "tokenOfTheJob"] {
        assert!(!invalidated.contains(secret), "{secret} is in: {invalidated}");
    }
}
