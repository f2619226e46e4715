//! `conformance`: the edge satisfies every assumption; if it does not, each check says so; and nothing is left
//! behind.

mod hostile;
mod otherwise;

use crate::world::aws;
use crate::world::site::{ALWAYS, BUCKET, Run, World, finish, run, stop};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use shipfront::commands::conformance::{documented, named};
use shipfront_edge::{
    Alteration, ConnectionMode, Evidence, Fault, QuotaScope, Quotas, RateQuota, Readings, Tenant, TokenBucket,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The target of all tests: a folder of the bucket.
const TARGET: &str = "s3://www.example.com/trial";
/// The folder that is written and removed.
const FOLDER: &str = "trial/shipfront-conformance-t/";

/// A bucket that keeps versions, and a distribution with everything that is tested: a function that rewrites
/// directories, cache tags, and an error page in the folder.
pub(crate) async fn trial() -> World {
    let world = World::new(&[]).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap().with_index_rewrite();
    distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
    distribution.error_responses[0].page_path = Some(format!("/{FOLDER}error-page-ages/error.html"));
    distribution.error_responses[0].error_caching_min_ttl = 2;
    world.edge.put_distribution(distribution).unwrap();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let client = aws::s3(&world.edge);
    client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled).send().await.unwrap();
    world.edge.clear_requests();
    world
}

/// The same behind a tenant `dt_t` of the distribution, which is the only way for viewers to reach it.
pub(crate) async fn trial_of_a_tenant() -> World {
    let world = trial().await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.connection_mode = ConnectionMode::TenantOnly;
    world.edge.put_distribution(distribution).unwrap();
    let (id, distribution_id) = ("dt_t".to_owned(), world.distribution.clone());
    let (parameters, domains) = (BTreeMap::new(), vec!["*.example.com".to_owned()]);
    world.edge.put_tenant(Tenant { id, distribution_id, parameters, domains }).unwrap();
    world
}

/// A run of all checks on the tenant.
pub(crate) fn attempt_on_tenant(world: &World, options: &[&str]) -> Run {
    let mut command = world.command(&["conformance", TARGET, "--name", "t", "--yes", "--json", "--patience", "1"]);
    command.args(["--distribution-tenant", "dt_t"]).args(options);
    // The edge acts as the proxy, so that its name leads there: names below localhost are not resolved everywhere.
    run(command.env("http_proxy", world.edge.viewer_url()).env("no_proxy", "127.0.0.1"))
}

/// The arguments of a run for a world.
fn arguments<'a>(world: &'a World, viewers: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["conformance", TARGET, "--name", "t", "--yes", "--json"];
    if !options.contains(&"--patience") {
        arguments.extend(["--patience", "1"]);
    }
    arguments.extend(["--distribution", &world.distribution, "--viewers", viewers]);
    arguments.extend(options);
    arguments
}

/// A run of all checks, or of those that are named.
pub(crate) fn attempt(world: &World, options: &[&str]) -> Run {
    world.run(&arguments(world, &world.edge.viewer_url(), options))
}

/// The checks of a run that are `status`.
fn that_are(run: &Run, status: &str) -> Vec<String> {
    let checks = run.json["checks"].as_array().unwrap_or_else(|| panic!("{}{}", run.stdout, run.stderr)).iter();
    let named = checks.filter(|check| check["status"] == status);
    named.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_does_all_that_is_believed_and_nothing_is_left_or_touched_outside() {
    let world = trial().await;
    world.put("trial/page.html", "somebody's").await;
    world.put("trial/shipfront-conformance-other/page.html", "somebody's").await;
    let run = attempt(&world, &[]).expect(0);
    let otherwise: Vec<_> =
        run.json["checks"].as_array().unwrap().iter().filter(|check| check["status"] != "as-expected").collect();
    // That is tested where KMS encrypts.
    assert_eq!(that_are(&run, "not-tried"), ["encryption-is-said"], "{otherwise:#?}");
    assert_eq!(that_are(&run, "as-expected").len(), named().len() - 1, "{otherwise:#?}");
    assert_eq!(run.json["outcome"], "as-expected");
    assert_eq!(run.json["warnings"], serde_json::json!([]));

    let left: Vec<String> = world.edge.objects(BUCKET).into_iter().map(|object| object.key).collect();
    assert_eq!(left, ["trial/page.html", "trial/shipfront-conformance-other/page.html"]);
    let requests = world.edge.requests();
    let is_s3 = |operation: &str| !operation.contains("Distribution") && !operation.contains("Invalidation");
    let keys = requests.iter().filter(|request| is_s3(&request.operation));
    let keys = keys.flat_map(|request| request.key.iter().chain(&request.items));
    let outside: Vec<_> = keys.filter(|key| !key.starts_with(FOLDER)).collect();
    assert_eq!(outside, [""; 0]);
    let invalidations = requests.iter().filter(|request| request.operation == "CreateInvalidation");
    let items: Vec<&String> = invalidations.flat_map(|request| &request.items).collect();
    let below = |item: &&&String| !item.starts_with('#') && !item.starts_with(&format!("/{FOLDER}"));
    assert_eq!(items.iter().filter(below).collect::<Vec<_>>(), [&""; 0]);
    let wildcards = items.iter().filter(|item| item.ends_with('*')).count();
    assert!(wildcards <= 20 && items.len() - wildcards <= 100, "{wildcards} of {}", items.len());
    assert_eq!(run.json["spent"]["wildcards"], wildcards);
    // No request tried to change a distribution.
    assert!(!requests.iter().any(|request| request.operation.starts_with("Update")));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_kms_encrypts_that_is_believed_too() {
    let world = trial().await;
    world.edge.set_opaque_etags(BUCKET, true).unwrap();
    let run = attempt(&world, &[]).expect(0);
    assert_eq!(that_are(&run, "not-tried"), [""; 0], "{}", run.stdout);
    assert_eq!(that_are(&run, "as-expected").len(), named().len(), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_says_so_where_the_edge_does_otherwise() {
    let names: Vec<&str> = named().into_iter().map(|(name, _)| name).collect();
    let mut wrong = Vec::new();
    // They wait more than they compute.
    for some in names.chunks(8) {
        let runs = some.iter().map(|&name| async move {
            let world = trial().await;
            let viewers = world.edge.viewer_url();
            // Copies that should be evicted stay, however slow the machine is.
            if name != "error-page-ages" {
                world.edge.stop_clock();
            }
            let options = ["--check", name];
            let mut command = world.command(&arguments(&world, &viewers, &options));
            otherwise::make(&world.edge, name);
            let done = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
            let left = world.edge.objects(BUCKET).len();
            let as_it_is = that_are(&done, "otherwise") == [name] && done.exit == 7 && left == 0;
            (!as_it_is).then(|| format!("{name}, {left} left: {}{}", done.stdout, done.stderr))
        });
        wrong.extend(futures::future::join_all(runs).await.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "{} checks do not see it: {}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_check_has_a_name_of_its_own_and_a_statement_that_is_one() {
    let semantics = std::fs::read_to_string(crate::world::command::repository("SEMANTICS.md")).unwrap();
    let statements: BTreeSet<&str> = semantics.lines().filter_map(|line| line.split(' ').next()).collect();
    let page = std::fs::read_to_string(crate::world::command::repository("docs/conformance.md")).unwrap();
    for row in documented() {
        assert!(page.contains(&row), "docs/conformance.md has no such row: {row}");
    }
    let mut names = BTreeSet::new();
    for (name, statement) in named() {
        assert!(names.insert(name), "{name} is there twice");
        assert!(statements.contains(statement), "{name}: there is no statement {statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_nothing_is_sent() {
    let world = trial().await;
    let run = world.run(&["conformance", TARGET, "--distribution", &world.distribution]).expect(6);
    assert!(run.stderr.contains("100 paths and 20 wildcards") && run.stderr.contains("--yes"), "{}", run.stderr);
    assert_eq!(world.edge.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_something_in_it_is_not_taken() {
    let world = trial().await;
    world.put(&format!("{FOLDER}page.html"), "somebody's").await;
    attempt(&world, &[]).expect(6).says("shipfront does not remove what others wrote");
    assert_eq!(world.edge.objects(BUCKET).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_and_nothing_is_left() {
    let world = trial().await;
    world.fault("HeadObject", 0, ALWAYS, Fault::Delay(Duration::from_secs(30)));
    let viewers = world.edge.viewer_url();
    let mut child = world.command(&arguments(&world, &viewers, &[])).spawn().unwrap();
    world.arrival_of("HeadObject", 1).await;
    assert!(!world.edge.objects(BUCKET).is_empty());
    stop(&mut child, "TERM");
    let run = finish(child).expect(130);
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
    assert!(that_are(&run, "not-tried").contains(&"path-clears".to_owned()), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_done_is_not_tried_and_what_is_not_there_not_supported() {
    let world = trial().await;
    world.fault("CopyObject", 0, ALWAYS, crate::world::site::error(501, "NotImplemented"));
    world.fault("CreateInvalidation", 0, ALWAYS, crate::world::site::denied());
    let run = attempt(&world, &["--check", "copy-keeps-headers,path-clears"]).expect(0);
    assert_eq!(that_are(&run, "not-supported"), ["copy-keeps-headers"]);
    assert_eq!(that_are(&run, "not-tried"), ["path-clears"]);
    assert!(run.stdout.contains("allow cloudfront:CreateInvalidation"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_follows_the_evidence_of_another() {
    let world = trial().await;
    let readings = Readings {
        directory_wildcard_clears_directory: true,
        key_path_clears_aliases: true,
        alias_path_clears_key: false,
        spellings_are_one: true,
        keeps_forbidden: true,
        keeps_not_found: false,
    };
    world.edge.set_readings(readings);
    world.edge.set_invalidation_quotas(Quotas::per_request(1000, 4));
    let (evidence, report) = (world.outside().join("evidence.json"), world.outside().join("report.md"));
    // The run waits for CloudFront, as a deploy does.
    let files = ["--patience", "60", "--evidence", evidence.to_str().unwrap(), "--report", report.to_str().unwrap()];
    let run = attempt(&world, &files).expect(0);
    let advice = run.json["advice"].to_string();
    assert!(advice.contains("index-alias") && advice.contains("max-wildcards = 4"), "{advice}");
    let learned = Evidence::read(&evidence).unwrap();
    assert_eq!(learned.readings(), readings);
    assert_eq!(learned.quotas().request.unwrap().wildcards, 4);
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.contains("| create-only | 5.2 | passed |") && page.contains("index-alias"), "{page}");

    // The one that is in the program as well.
    let local = |file: &str| {
        let source = world.source().to_str().unwrap();
        let mut command = world.command(&["conformance", "s3://trial.example", "--local", "--check", "create-only"]);
        let directory = world.outside().join(source).join("../edge");
        crate::world::site::run(command.env("SHIPFRONT_EDGE_DIRECTORY", directory).env("SHIPFRONT_EDGE_EVIDENCE", file))
    };
    local(evidence.to_str().unwrap()).expect(0);
    local(world.outside().join("report.md").to_str().unwrap()).expect(1).says("SHIPFRONT_EDGE_EVIDENCE");
}

/// A store might answer like this to have another's object deleted, through something that resolves such names.
#[tokio::test(flavor = "multi_thread")]
async fn what_leads_out_of_the_folder_is_named_and_not_removed() {
    let world = trial().await;
    let other = "<Contents><Key>trial%2Fshipfront-conformance-t%2F..%2Fpage.html</Key><Size>1</Size>\
        <LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>";
    let text = vec![("</ListBucketResult>".to_owned(), other.to_owned())];
    let listing = Alteration { answer_text: text, ..Alteration::default() };
    // The first two find the bucket, and see that the folder is empty.
    world.fault("ListObjectsV2", 2, ALWAYS, Fault::Alter(Box::new(listing)));
    let run = attempt(&world, &["--check", "create-only"]).expect(1);
    assert!(run.json["warnings"].to_string().contains("../page.html"), "{}", run.stdout);
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
    let requests = world.edge.requests();
    let mut keys = requests.iter().flat_map(|request| request.key.iter().chain(&request.items));
    assert!(!keys.any(|key| key.contains("..")), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_tried_as_its_viewers_meet_it() {
    let world = trial_of_a_tenant().await;
    let run = attempt_on_tenant(&world, &["--viewers", "http://dt-t.localhost"]).expect(0);
    assert_eq!(that_are(&run, "not-tried"), ["encryption-is-said"], "{}", run.stdout);
    assert_eq!(that_are(&run, "as-expected").len(), named().len() - 1, "{}", run.stdout);
    assert_eq!((&run.json["tenant"], &run.json["distribution"]), (&"dt_t".into(), &serde_json::Value::Null));
    assert_eq!(world.count("CreateInvalidation"), 0);
    assert!(world.count("CreateInvalidationForDistributionTenant") > 10);
    // If viewers cannot reach it, or its URL is not known, it says so before anything is written.
    world.edge.clear_requests();
    attempt(&world, &[]).expect(2).says("through its tenants only").says("--distribution-tenant");
    attempt_on_tenant(&world, &[]).expect(2).says("names no domain").says("--viewers");
    attempt_on_tenant(&world, &["--distribution", &world.distribution]).expect(2).says("cannot be used with");
    assert_eq!(world.count("PutObject"), 0);
}

/// A deploy's waits between its requests are not CloudFront's pace.
#[tokio::test(flavor = "multi_thread")]
async fn the_pace_is_that_of_the_distribution_and_not_that_of_a_deploy() {
    let pace = async |quotas| {
        let world = trial().await;
        world.edge.set_invalidation_quotas(quotas);
        let evidence = world.outside().join("evidence.json");
        let options =
            ["--patience", "60", "--check", "wildcards-in-a-request", "--evidence", evidence.to_str().unwrap()];
        let run = attempt(&world, &options).expect(0);
        let learned: serde_json::Value = serde_json::from_slice(&std::fs::read(&evidence).unwrap()).unwrap();
        (learned["quotas"]["wildcards_per_second"].as_f64(), run)
    };
    let many = TokenBucket { per_second: 1e9, size: 1e9 };
    let two = TokenBucket { per_second: 2.0, size: 2.0 };
    let rate = RateQuota { items: many, wildcards: two, scope: QuotaScope::Distribution };
    let (limited, unlimited) =
        tokio::join!(pace(Quotas { rate: Some(rate), ..Quotas::default() }), pace(Quotas::per_request(1000, 4)));
    let found = limited.0.unwrap_or_else(|| panic!("{}", limited.1.stdout));
    assert!((1.2..=2.2).contains(&found), "{found}: {}", limited.1.stdout);
    assert_eq!(unlimited.0, None, "{}", unlimited.1.stdout);
    assert!(unlimited.1.stdout.contains("8 one by one without a refusal"), "{}", unlimited.1.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_tried_without_a_distribution() {
    let world = trial().await;
    let run = world.run(&["conformance", TARGET, "--name", "t", "--yes", "--json"]).expect(0);
    assert!(that_are(&run, "not-tried").contains(&"path-clears".to_owned()));
    assert!(world.edge.requests().iter().all(|request| !request.operation.contains("Invalidation")));
    let unknown = world.run(&["conformance", TARGET, "--yes", "--check", "create-onyl"]).expect(2);
    assert!(unknown.stderr.contains("there is no check create-onyl") && unknown.stderr.contains("create-only"));
}
