//! A pipeline without a build step for shipping: the action itself deploys its input artifact.

use super::jobs::{continued, failure, success, token};
use crate::world::aws;
use crate::world::function::{Function, event};
use crate::world::site::{ALWAYS, BUCKET, World, denied};
use serde_json::{Value, json};
use shipfront_edge::Fault;
use std::io::{Cursor, Write};
use std::time::Duration;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const STORE: &str = "artifact-store";
const KEY: &str = "site-pipeline/BuildOutp/aBcDeFg.zip";
const SITE: [(&str, &str); 3] = [("index.html", "home"), ("blog/a b.html", "a"), ("app.js", "js")];

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

async fn store(world: &World, bytes: Vec<u8>) {
    let put = aws::s3(&world.edge).put_object().bucket(STORE).key(KEY).body(bytes.into());
    put.send().await.unwrap();
    world.edge.clear_requests();
}

/// An empty bucket behind a distribution, an artifact of these files, and the action's function.
async fn pipeline(files: &[(&str, &str)]) -> (World, Function) {
    let world = World::new(&[]).await;
    aws::s3(&world.edge).create_bucket().bucket(STORE).send().await.unwrap();
    store(&world, archive(files)).await;
    let function = Function::start(&world, &[("SHIPFRONT_DISTRIBUTION", &world.distribution)]).await;
    (world, function)
}

/// A job that deploys, with these fields of `deploy`.
fn job(number: u32, deploy: &Value) -> Value {
    let mut job = event("codepipeline-job-with-artifact");
    job["CodePipeline.job"]["id"] = format!("5e0b1c2d-3f4a-4b6c-8d9e-{number:012}").into();
    let parameters = json!({"bucket": BUCKET, "deploy": deploy}).to_string();
    job["CodePipeline.job"]["data"]["actionConfiguration"]["configuration"]["UserParameters"] = parameters.into();
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_artifact_is_deployed_by_the_recipe_of_the_command_line() {
    let (world, function) = pipeline(&SITE).await;
    function.invoke(&job(1, &json!({}))).await.unwrap();
    function.invoke(&continued(2, &token(&world))).await.unwrap();
    let (summary, variables) = success(&world);
    assert!(summary.contains("3 uploaded"), "{summary}");
    assert_eq!((&*variables["uploaded"], &*variables["outcome"]), ("3", "deployed"));
    assert_eq!(world.keys(), ["app.js", "blog/a b.html", "index.html"]);
    let writes = world.writes();
    assert_eq!(writes[0], "PUT app.js", "assets first: {writes:?}");

    store(&world, archive(&[("index.html", "new"), ("app.js", "js")])).await;
    function.invoke(&job(3, &json!({}))).await.unwrap();
    let invalidated = world.edge.invalidations(&world.distribution).pop().unwrap().items;
    assert!(!invalidated.iter().any(|item| item.contains("app.js")), "{invalidated:?}");
    assert_eq!(world.keys(), ["app.js", "index.html"]);

    function.invoke(&job(4, &json!({}))).await.unwrap();
    assert_eq!(success(&world).1["outcome"], "nothing-to-do");
}

/// A stage rollback runs the action again, in a separate job, with the artifact of an earlier execution.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_is_rolled_back_deploys_the_earlier_artifact_again() {
    let (world, function) = pipeline(&SITE).await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    function.invoke(&job(1, &json!({}))).await.unwrap();
    let etags = || world.edge.objects(BUCKET).into_iter().filter(|object| !object.key.starts_with(".shipfront/"));
    let etags = || etags().map(|object| (object.key, object.etag)).collect::<Vec<_>>();
    let before = etags();
    store(&world, archive(&[("index.html", "new"), ("app.js", "js"), ("news.html", "news")])).await;
    function.invoke(&job(2, &json!({}))).await.unwrap();
    assert_ne!(etags(), before);
    store(&world, archive(&SITE)).await;
    function.invoke(&job(3, &json!({}))).await.unwrap();
    assert_eq!(etags(), before);
    let invalidated = world.edge.invalidations(&world.distribution).pop().unwrap().items;
    assert!(!invalidated.iter().any(|item| item.contains("app.js")), "{invalidated:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_artifact_is_read_with_the_credentials_of_the_job_and_the_bucket_with_the_functions() {
    let (world, function) = pipeline(&SITE).await;
    function.invoke(&job(1, &json!({}))).await.unwrap();
    for request in world.edge.requests() {
        let expected = if request.bucket.as_deref() == Some(STORE) { "ASIAJOBEXAMPLE" } else { "test" };
        assert_eq!(request.access_key.as_deref(), Some(expected), "{request:?}");
    }
    let of_store = world.edge.requests().into_iter().filter(|request| request.bucket.as_deref() == Some(STORE));
    assert_eq!(of_store.map(|request| request.operation).collect::<Vec<_>>(), ["GetObject"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_the_artifact_goes_to_a_folder_of_the_bucket_with_options_of_the_command_line() {
    let (world, function) = pipeline(&[("dist/index.html", "home"), ("buildspec.yml", "x")]).await;
    let deploy = json!({"source": "dist", "prefix": "blog", "artifact": "BuildOutput", "max-paths": 3});
    function.invoke(&job(1, &deploy)).await.unwrap();
    token(&world);
    assert_eq!(world.keys(), ["blog/index.html"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_on_the_functions_disk() {
    let (world, function) = pipeline(&SITE).await;
    // The remainder of a killed run.
    let stale = function.disk().join("shipfront-artifact/site");
    std::fs::create_dir_all(&stale).unwrap();
    std::fs::write(stale.join("stale.html"), "x").unwrap();
    function.invoke(&job(1, &json!({}))).await.unwrap();
    assert_eq!(world.keys(), ["app.js", "blog/a b.html", "index.html"]);
    assert_eq!(std::fs::read_dir(function.disk()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_is_not_there_or_may_not_be_read_is_the_right_kind_of_failure() {
    let (world, function) = pipeline(&SITE).await;
    aws::s3(&world.edge).delete_object().bucket(STORE).key(KEY).send().await.unwrap();
    function.invoke(&job(1, &json!({}))).await.unwrap();
    assert_eq!(failure(&world).0, "RevisionUnavailable");
    world.fault_of("GetObject", KEY, 0, 1, denied());
    function.invoke(&job(2, &json!({}))).await.unwrap();
    assert_eq!(failure(&world).0, "PermissionError");
    function.invoke(&job(3, &json!({"artifact": "Other"}))).await.unwrap();
    assert_eq!(failure(&world).0, "ConfigurationError");
    assert_eq!(world.keys().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_breaks_off_is_begun_again() {
    let (world, function) = pipeline(&SITE).await;
    world.fault_of("GetObject", KEY, 0, 1, Fault::TruncateBody);
    function.invoke(&job(1, &json!({}))).await.unwrap();
    token(&world);
    assert_eq!(world.keys().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_in_another_region_is_found() {
    let (world, function) = pipeline(&SITE).await;
    world.edge.set_bucket_region(STORE, "ap-southeast-2").unwrap();
    function.invoke(&job(1, &json!({}))).await.unwrap();
    token(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_would_write_elsewhere_or_is_none_deploys_nothing() {
    let (world, function) = pipeline(&SITE).await;
    for (number, (bytes, invalidated)) in [
        (archive(&[("index.html", "x"), ("../evil.html", "x")]), "outside the site"),
        (archive(&[("index.html", "x"), ("/etc/evil", "x")]), "outside the site"),
        (archive(&[]), "no files"),
        (b"not a readable ZIP".to_vec(), "not a readable ZIP"),
    ]
    .into_iter()
    .enumerate()
    {
        store(&world, bytes).await;
        function.invoke(&job(number as u32, &json!({}))).await.unwrap();
        let (kind, message) = failure(&world);
        assert_eq!(kind, "JobFailed");
        assert!(message.contains(invalidated), "{message}");
    }
    assert_eq!(world.keys().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_and_what_was_written_is_reported() {
    let (world, function) = pipeline(&SITE).await;
    world.fault_of("PutObject", "index.html", 0, ALWAYS, denied());
    function.invoke(&job(1, &json!({}))).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "PermissionError");
    assert!(message.contains("what was changed is live") && message.contains("allow s3:PutObject"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_of_the_recipe_is_a_guard_here() {
    let (world, function) = pipeline(&SITE).await;
    function.invoke(&job(1, &json!({}))).await.unwrap();
    store(&world, archive(&[("index.html", "home")])).await;
    function.invoke(&job(2, &json!({"max-delete": 1}))).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "JobFailed");
    assert!(message.contains("max-delete"), "{message}");
    assert_eq!(world.keys().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_build_is_out_of_sync() {
    let (world, function) = pipeline(&SITE).await;
    function.invoke(&job(1, &json!({"build-number": 7}))).await.unwrap();
    function.invoke(&job(2, &json!({"build-number": 6}))).await.unwrap();
    assert_eq!(failure(&world).0, "RevisionOutOfSync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_the_deadline_what_was_written_is_invalidated_and_a_retry_goes_on() {
    let files: Vec<(String, String)> = (0..30).map(|at| (format!("p/{at:02}.js"), at.to_string())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(key, body)| (key.as_str(), body.as_str())).collect();
    let (world, function) = pipeline(&files).await;
    world.fault("PutObject", 0, ALWAYS, Fault::Delay(Duration::from_millis(400)));
    let slow = json!({"concurrency": 1});
    function.invoke_within(&job(1, &slow), Duration::from_secs(12)).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "JobFailed");
    assert!(message.contains("time limit") && message.contains("retry the action"), "{message}");
    let landed = world.keys().len();
    assert!(landed > 0 && landed < 30, "{landed}");
    assert_eq!(world.edge.invalidations(&world.distribution).len(), 1);

    world.edge.faults().clear();
    world.edge.clear_requests();
    function.invoke(&job(2, &json!({}))).await.unwrap();
    token(&world);
    assert_eq!((world.keys().len(), world.count("PutObject")), (30, 30 - landed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distribution_of_another_bucket_fails_the_action_unless_any_origin_may_show_the_site() {
    let (world, function) = pipeline(&SITE).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.origins[0].domain_name = "replica.example.com.s3.us-east-1.amazonaws.com".to_owned();
    world.edge.put_distribution(distribution).unwrap();
    function.invoke(&job(1, &json!({}))).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "ConfigurationError");
    assert!(message.contains("no origin of the distribution") && message.contains("--any-origin"), "{message}");
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
    function.invoke(&job(2, &json!({"any-origin": true}))).await.unwrap();
    assert_eq!((world.keys().len(), world.edge.invalidations(&world.distribution).len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guards_of_the_command_line_hold_for_the_action_too() {
    let (world, function) =
        pipeline(&[("index.html", "home"), ("package.json", "{}"), ("dist/index.html", "built")]).await;
    function.invoke(&job(1, &json!({}))).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "JobFailed");
    assert!(message.contains("this looks like a project") && message.contains("dist"), "{message}");
    assert_eq!(world.keys(), [""; 0]);
    function.invoke(&job(2, &json!({"allow-project": true, "exclude": ["dist/"]}))).await.unwrap();
    assert_eq!(world.keys(), ["index.html", "package.json"]);

    // The front page is removed.
    store(&world, archive(&[("about.html", "about")])).await;
    function.invoke(&job(3, &json!({}))).await.unwrap();
    let (_, message) = failure(&world);
    assert!(message.contains("the front page, index.html, is no longer in the source"), "{message}");
    // An action's parameters are permanent, so what they allow would always be allowed.
    function.invoke(&job(4, &json!({"allow-removals": true}))).await.unwrap();
    let (kind, message) = failure(&world);
    assert_eq!(kind, "ConfigurationError");
    assert!(message.contains("\"deploy.allow-removals\""), "{message}");
    assert_eq!(world.keys(), ["index.html", "package.json"]);
}
