//! The deploy record is in the bucket, but not for viewers.

use super::audience::{audience, configure, deploy_to};
use crate::world::aws::{s3, start};
use crate::world::http::request;
use crate::world::site::{ALWAYS, BUCKET, Run, World, denied, error, run};
use shipfront_edge::{CACHING_DISABLED, CacheSettings, Data, Distribution};

const SITE: [(&str, &str); 1] = [("index.html", "welcome")];
const WARNING: &str = "viewers may be able to read the deploy record at s3://www.example.com/.shipfront;";
const STATE: &str = "/.shipfront/state.json";

async fn deny(world: &World, statement: &str) {
    let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny", {statement}}}]}}"#);
    s3(&world.edge).put_bucket_policy().bucket(BUCKET).policy(policy).send().await.unwrap();
    world.edge.clear_requests();
}

/// Deploys an edit.
fn edit(world: &World, text: &str) -> Run {
    world.write("index.html", text);
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.outcome(), "deployed");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_who_can_read_the_record_are_warned_of_until_a_policy_denies_it() {
    let world = World::new(&SITE).await;
    let first = world.deploy(&[]).expect(0).says("s3:GetObject on arn:aws:s3:::www.example.com/.shipfront/*");
    assert!(first.warnings().contains(WARNING), "{}", first.warnings());
    assert_eq!(audience(&world).see(STATE).await.status, 200);

    deny(&world, r#""Principal": "*", "Action": "s3:PutObject", "Resource": "*""#).await;
    assert!(edit(&world, "one").warnings().contains(WARNING));
    deny(
        &world,
        r#""Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject",
           "Resource": "arn:aws:s3:::www.example.com/.shipfront/*""#,
    )
    .await;
    assert_eq!(edit(&world, "two").warnings(), "");
    world.edge.advance_clock(std::time::Duration::from_secs(86_400));
    assert_eq!(audience(&world).see(STATE).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_may_not_be_read_is_no_failure_and_the_permission_is_named() {
    let world = World::new(&SITE).await;
    world.fault("GetBucketPolicy", 0, ALWAYS, denied());
    assert!(world.deploy(&[]).expect(0).warnings().contains("allow s3:GetBucketPolicy"));
    let world = World::new(&SITE).await;
    world.fault("GetBucketPolicy", 0, ALWAYS, error(501, "NotImplemented"));
    let run = world.deploy(&[]).expect(0);
    assert!(run.warnings().contains(WARNING) && !run.warnings().contains("s3:GetBucketPolicy"), "{}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_run_that_writes_asks_for_the_policy() {
    let world = World::deployed(&SITE).await;
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), run.warnings().as_str()), ("nothing-to-do", ""));
    let reads = world.edge.requests().into_iter().filter(|request| request.operation.starts_with("GetO")).count();
    assert_eq!((world.count("GetBucketPolicy"), reads), (0, 3));
    assert_eq!(run.json["requests"]["get"], 3);
    world.write("index.html", "an edit");
    world.plan(&[]).expect(0);
    assert_eq!(world.count("GetBucketPolicy"), 0);
    let run = world.deploy(&[]).expect(0);
    assert_eq!(world.count("GetBucketPolicy"), 1);
    assert_eq!(run.json["requests"]["get"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_no_distribution_shows_needs_no_policy() {
    let world = World::new(&SITE).await;
    configure(&world, |distribution| distribution.origins[0].origin_path = "/site".to_owned());
    assert_eq!(deploy_to(&world, "site", &[]).expect(0).warnings(), "");
    assert_eq!(world.count("GetBucketPolicy"), 0);
    // Without a cache, it is visible nevertheless.
    configure(&world, |distribution| {
        distribution.origins[0].origin_path = String::new();
        distribution.default_behavior.cache = CacheSettings::Policy(CACHING_DISABLED.to_owned());
    });
    assert!(world.deploy(&[]).expect(0).warnings().contains(WARNING));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_edge_keeps_its_record_to_itself() {
    let world = World::new(&SITE).await;
    let directory = world.outside().join("edge");
    let local = || {
        let source = world.source().to_str().unwrap();
        let mut command = world.command(&["deploy", source, "s3://local-site", "--local", "--json"]);
        run(command.env("SHIPFRONT_EDGE_DIRECTORY", &directory)).expect(0)
    };
    let first = local();
    assert_eq!((first.outcome(), first.warnings().as_str()), ("deployed", ""));
    assert!(!first.stderr.contains("warning"), "{}", first.stderr);
    assert_eq!(local().json["requests"]["get"], 3, "nothing to do is three reads of the record");
    let edge = start(Data::Directory(directory)).await;
    let host = format!("{}.localhost", Distribution::for_bucket("local-site").id);
    for (path, status) in [("/", 200), (STATE, 403)] {
        assert_eq!(request(&edge.viewer_url(), "GET", path, &[("host", &host)]).await.status, status, "{path}");
    }
}
