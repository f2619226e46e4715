//! Credentials, permissions, and names of what does not exist.

use super::{PRUNE, SITE};
use crate::world::site::{ALWAYS, BUCKET, EXACT, Run, TARGET, World, denied, error, run};

/// Checks that the run failed because of a missing IAM action, and names it.
#[track_caller]
fn names_action(run: Run, action: &str) {
    let hint = format!("allow {action} on ");
    run.says(&hint);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_the_message_says_how_to_get_some() {
    let world = World::new(&SITE).await;
    let mut command = world.command(&world.arguments("deploy", TARGET, &[]));
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let run = run(&mut command)
        .expect(1)
        .says("no usable AWS credentials for")
        .says("there are none in")
        .says("hint: set AWS_PROFILE");
    assert_eq!(run.outcome(), "failed");
    assert_eq!(world.edge.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_called_expired() {
    let world = World::new(&SITE).await;
    world.fault("ListObjectsV2", 0, ALWAYS, error(400, "ExpiredToken"));
    let run = world.deploy(&[]).expect(1).says("credentials have expired").says("hint: renew them");
    assert_eq!(run.outcome(), "failed");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_exist_is_not_created() {
    let world = World::new(&SITE).await;
    for distribution in ["none", world.distribution.as_str()] {
        let options = ["--distribution", distribution];
        let run = world.run(&world.arguments("deploy", "s3://no-such-bucket", &options)).expect(1);
        run.says("bucket no-such-bucket does not exist").says("hint: check the name");
    }
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_bucket_is_refused_before_anything_is_sent() {
    let world = World::new(&SITE).await;
    let run = world.deploy(&["--expected-bucket-owner", "111122223333"]).expect(1);
    run.says("check that --expected-bucket-owner 111122223333");
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--expected-bucket-owner", "000000000000"]).expect(0);
    let requests = world.edge.requests();
    let mut s3 = requests.iter().filter(|request| request.bucket.is_some());
    assert!(s3.all(|request| request.headers.contains_key("x-amz-expected-bucket-owner")), "each request asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_to_list_is_named() {
    let world = World::new(&SITE).await;
    world.fault("ListObjectsV2", 0, ALWAYS, denied());
    names_action(world.deploy(&[]).expect(1), "s3:ListBucket");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_to_put_is_named() {
    let world = World::new(&SITE).await;
    world.fault("PutObject", 0, ALWAYS, denied());
    let run = world.deploy(&[]).expect(1);
    assert_eq!(run.outcome(), "failed");
    names_action(run, "s3:PutObject");
    assert_eq!(world.count("CreateInvalidation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_to_delete_is_named_and_what_was_uploaded_is_live() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    world.remove("about.html");
    world.fault("DeleteObjects", 0, ALWAYS, denied());
    let run = world.deploy(&[PRUNE[0], PRUNE[1], EXACT[0], EXACT[1]]).expect(3);
    assert_eq!(run.outcome(), "partial");
    names_action(run, "s3:DeleteObject");
    // The last is the record's own, which leaves an outdated file behind and is not a failure.
    let writes = ["PUT index.html", "DELETE -> 403", "INVALIDATE / /index.html", "DELETE -> 403"];
    assert_eq!(world.writes(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_denied_changed_nothing_whoever_must_own_the_bucket() {
    let world = World::deployed(&SITE).await;
    world.remove("about.html");
    world.fault("DeleteObjects", 0, ALWAYS, denied());
    let run = world.deploy(&[PRUNE[0], PRUNE[1], "--expected-bucket-owner", "000000000000"]).expect(1);
    assert_eq!(run.outcome(), "failed");
    assert!(world.writes().iter().all(|line| line == "DELETE -> 403"), "{:?}", world.writes());
    assert!(world.keys().contains(&"about.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_to_invalidate_is_named_and_the_site_called_stale() {
    let world = World::new(&SITE).await;
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    let run = world.deploy(&[]).expect(4);
    assert_eq!(run.outcome(), "stale");
    names_action(run, "cloudfront:CreateInvalidation");
    assert_eq!(world.count("CreateInvalidation"), 1, "it is no use to ask again");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_being_allowed_to_look_for_distributions_ends_the_run_before_anything_is_written() {
    let world = World::new(&SITE).await;
    world.fault("ListDistributions", 0, ALWAYS, denied());
    let run = world.deploy(&[]).expect(2).says("cloudfront:ListDistributions");
    run.says("--distribution ID").says("--distribution none");
    assert_eq!(world.writes(), [""; 0]);
    world.deploy(&["--distribution", &world.distribution]).expect(0);
    assert_eq!(world.count("CreateInvalidation"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_may_not_be_read_is_a_warning_and_the_urls_are_guessed_generously() {
    let world = World::deployed(&SITE).await;
    world.write("about.html", "an edit");
    world.write("index.html", "another");
    world.fault("GetDistributionConfig", 0, ALWAYS, denied());
    let run = world.deploy(&EXACT).expect(0);
    assert!(run.warnings().contains("cloudfront:GetDistributionConfig"), "{}", run.warnings());
    let invalidated = world.writes().pop().unwrap();
    for url in ["/", "/about.html", "/index.html"] {
        assert!(invalidated.split(' ').any(|item| item == url || item == "/*"), "{url} by {invalidated}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_that_does_not_exist_ends_the_run_before_anything_is_written() {
    let world = World::new(&SITE).await;
    let run = world.deploy(&["--distribution", "E0000000000000"]).expect(2);
    run.says("E0000000000000 does not exist").says("--distribution auto");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_no_bucket_is_a_usage_error_and_no_request_is_sent() {
    let world = World::new(&SITE).await;
    for (target, says) in [
        ("www.example.com", "not an s3:// URL"),
        ("https://www.example.com", "not an s3:// URL"),
        ("s3:/www.example.com", "not an s3:// URL"),
        ("s3://", "does not name a usable bucket"),
        ("s3://www.example.com/a//b", "prefix"),
        ("s3://www.example.com/../b", "prefix"),
        ("s3://site--use1-az4--x-s3", "directory bucket"),
        ("s3://arn:aws:s3:us-east-1:123456789012:accesspoint/site", "ARNs are not supported"),
    ] {
        let run = world.run(&world.arguments("deploy", target, &[])).expect(2);
        run.says(says).says("hint: write it as s3://bucket");
    }
    let none = world.run(&["deploy", world.source().to_str().unwrap()]).expect(2);
    none.says("no target").says("--local");
    assert_eq!(world.edge.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_distribution_for_the_bucket_ends_the_run_before_anything_is_written() {
    let world = World::new(&SITE).await;
    world.edge.remove_distribution(&world.distribution).unwrap();
    let run = world.deploy(&[]).expect(2).says(BUCKET);
    run.says("hint: pass --distribution ID, or '--distribution none'");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn distribution_none_is_a_plain_sync_that_never_asks_cloudfront() {
    let world = World::new(&SITE).await;
    world.edge.remove_distribution(&world.distribution).unwrap();
    let run = world.deploy(&["--distribution", "none"]).expect(0);
    assert_eq!((run.outcome(), world.keys().len()), ("deployed", SITE.len()));
    let requests = world.edge.requests();
    assert!(requests.iter().all(|request| request.bucket.is_some()), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_is_no_error() {
    let world = World::new(&SITE).await;
    world.edge.set_bucket_region(BUCKET, "eu-west-3").unwrap();
    world.deploy(&[]).expect(0);
    assert_eq!(world.keys().len(), SITE.len());
    let redirected = world.edge.requests().iter().filter(|request| request.status == 301).count();
    assert_eq!(redirected, 2, "the region is found with the first two requests, not with every file");
}
