//! What AWS must allow: the calls in the code, the one table of them, and every policy that shipfront provides.

mod policies;

use crate::world::command::repository;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, error};
use shipfront::aws::permission::{EntryPoint, PERMISSIONS};
#[cfg(feature = "lambda")]
use shipfront_edge::JobResult;
use shipfront_edge::{CACHING_OPTIMIZED, CacheSettings, ConnectionMode, Tenant};
use std::collections::{BTreeMap, BTreeSet};
use walkdir::WalkDir;

/// Only the local edge ever gets these, to have a bucket to deploy to.
const ON_THE_LOCAL_EDGE: [&str; 2] = ["CreateBucket", "PutBucketPolicy"];

/// Everybody may request this about themselves
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>).
const FOR_EVERYBODY: [&str; 1] = ["GetCallerIdentity"];

/// The SDK's name of a call as AWS writes it: `list_objects_v2` is `ListObjectsV2`.
fn operation_of(method: &str) -> String {
    let capitalised = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    method.split('_').map(capitalised).collect()
}

/// Every call on an SDK client in the sources, except the local edge's own.
fn calls_in_the_code() -> BTreeSet<String> {
    let files = WalkDir::new(repository("src")).into_iter().map(Result::unwrap);
    let is_own = |path: &std::path::Path| {
        let path = path.strip_prefix(repository("src")).unwrap();
        path.extension().is_some_and(|extension| extension == "rs") && !path.starts_with("edge") && path != "edge.rs"
    };
    let mut calls = BTreeSet::new();
    for file in files.filter(|file| is_own(file.path())) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code: String = code.split_whitespace().collect();
        let methods: Vec<&str> = code
            .split("client.")
            .skip(1)
            .filter_map(|rest| rest.split_once("()"))
            .map(|(method, _)| method)
            .filter(|method| !method.is_empty() && method.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
            // Concerns the client, not AWS.
            .filter(|method| *method != "config")
            .collect();
        // No call can hide behind a client of another name, or be sent in another way.
        let sent = code.matches(".send()").count();
        let reported = "a call on `client` is sent once, by .send(), or this test cannot see it";
        assert_eq!(methods.len(), sent, "{}: {reported}: {methods:?}", file.path().display());
        calls.extend(methods.into_iter().map(operation_of));
    }
    calls
}

#[test]
fn every_call_in_the_code_is_in_the_table_of_permissions_and_every_row_is_a_call() {
    let calls = calls_in_the_code();
    let known = PERMISSIONS.iter().map(|permission| permission.operation).chain(ON_THE_LOCAL_EDGE);
    let known = known.chain(FOR_EVERYBODY);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(calls, known);
}

/// The operations of the table that belong to an entry point.
fn of_entry_point(entry_point: EntryPoint) -> BTreeSet<String> {
    let rows = PERMISSIONS.iter().filter(|permission| permission.entry_points.contains(&entry_point));
    rows.map(|permission| permission.operation.to_owned()).collect()
}

/// The operations of the requests since they were last cleared.
fn asked(world: &World) -> BTreeSet<String> {
    world.edge.requests().into_iter().map(|request| request.operation).collect()
}

/// A world of one tenant, `dt_red`.
async fn tenant_world(files: &[(&str, &str)]) -> World {
    let world = World::new(files).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.connection_mode = ConnectionMode::TenantOnly;
    distribution.default_behavior.cache = CacheSettings::Policy(CACHING_OPTIMIZED.to_owned());
    world.edge.put_distribution(distribution).unwrap();
    let (id, distribution_id) = ("dt_red".to_owned(), world.distribution.clone());
    world.edge.put_tenant(Tenant { id, distribution_id, parameters: BTreeMap::new(), domains: Vec::new() }).unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_make_exactly_the_calls_that_their_entry_point_is_allowed() {
    const LARGE: usize = 20 << 20;
    let world = World::new(&[("index.html", "the same"), ("old.html", "old")]).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
    world.edge.put_distribution(distribution).unwrap();
    // An object that is already right, whose headers must be requested.
    world.put("index.html", "the same").await;
    world.write("film.webm", vec![1; LARGE]);
    world.deploy(&[]).expect(0);
    world.remove("old.html");
    world.deploy(&[]).expect(0);
    // Another tool uploads the same again, without tags.
    world.edge.advance_clock(std::time::Duration::from_secs(5));
    let put = crate::world::aws::s3(&world.edge).put_object().bucket(BUCKET).key("index.html");
    put.body(b"the same".to_vec().into()).send().await.unwrap();
    world.run(&["tags", "--backfill", TARGET]).expect(0);
    world.write("film.webm", vec![2; LARGE]);
    world.fault("UploadPart", 0, ALWAYS, error(400, "EntityTooSmall"));
    world.deploy(&[]).expect(1);

    let tenants = tenant_world(&[("index.html", "welcome")]).await;
    tenants.deploy(&["--distribution-tenant", "dt_red"]).expect(0);
    let rules = crate::rules::world(&[("index.html", "welcome")]).await;
    crate::rules::publish(&rules).expect(0);
    let stored = crate::rules::store::deployed().await;
    crate::rules::publish(&stored).expect(0);
    let all = [&world, &tenants, &rules, &stored].map(asked).into_iter().flatten().collect::<BTreeSet<String>>();
    assert_eq!(all, of_entry_point(EntryPoint::Deploy));
}

/// How many requests wrote to a bucket.
fn written(world: &World, bucket: &str) -> usize {
    let writes = |name: &str| ["CopyObject", "PutObject", "DeleteObjects"].contains(&name);
    let requests = world.edge.requests().into_iter();
    requests.filter(|request| writes(&request.operation) && request.bucket.as_deref() == Some(bucket)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_and_promotions_make_only_calls_that_their_entry_points_are_allowed() {
    const PREVIEWS: [&str; 2] = ["--previews-target", "s3://previews.example.com"];
    let world = World::deployed(&[("app.js", "code"), ("index.html", "welcome")]).await;
    world.edge.ensure_site("previews.example.com").unwrap();
    world.edge.clear_requests();
    world.write("index.html", "welcome two");
    world.deploy(&[&["--preview", "one"], &PREVIEWS[..]].concat()).expect(0);
    world.run(&["previews", PREVIEWS[1]]).expect(0);
    let of_preview = asked(&world);
    assert!(of_preview.is_subset(&of_entry_point(EntryPoint::Preview)), "{of_preview:?}");
    assert!(of_preview.contains("CopyObject"));
    assert_eq!(written(&world, BUCKET), 0, "a preview only reads production");
    world.edge.clear_requests();
    world.run(&[&["promote", "one", TARGET], &PREVIEWS[..]].concat()).expect(0);
    let of_promotion = asked(&world);
    assert!(of_promotion.is_subset(&of_entry_point(EntryPoint::Promote)), "{of_promotion:?}");
    assert_eq!(written(&world, "previews.example.com"), 0, "a promotion only reads previews");
    world.edge.clear_requests();
    world.run(&["previews", PREVIEWS[1], "--remove", "one"]).expect(0);
    assert!(asked(&world).is_subset(&of_entry_point(EntryPoint::Preview)));

    // A promotion publishes rules, a preview never does.
    let world = crate::rules::world(&[("app.js", "code"), ("index.html", "welcome")]).await;
    world.edge.ensure_site("previews.example.com").unwrap();
    crate::rules::publish(&world).expect(0);
    world.write("_redirects", "/a /\n");
    world.edge.clear_requests();
    world.deploy(&[&["--preview", "one", "--publish-rules"], &PREVIEWS[..]].concat()).expect(0);
    assert!(asked(&world).is_subset(&of_entry_point(EntryPoint::Preview)));
    world.edge.clear_requests();
    world.run(&[&["promote", "one", TARGET], &PREVIEWS[..]].concat()).expect(0);
    let of_promotion = asked(&world);
    assert!(of_promotion.is_subset(&of_entry_point(EntryPoint::Promote)), "{of_promotion:?}");
    assert!(of_promotion.contains("PublishFunction"));
}

/// If listing is allowed for only one folder, S3 answers 403 for a missing object.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_list_one_folder_alone_can_deploy() {
    const STATE: &str = ".shipfront/state.json";
    let world = World::new(&[("index.html", "welcome")]).await;
    world.fault_of("GetObject", STATE, 0, 1, crate::world::site::denied());
    world.deploy(&[]).expect(0);
    // An object that exists but may not be read is never mistaken for a missing one.
    world.fault_of("GetObject", STATE, 0, ALWAYS, crate::world::site::denied());
    world.write("index.html", "an edit");
    world.deploy(&[]).expect(1).says("not allowed: GetObject");
    assert_eq!(world.edge.objects(BUCKET).into_iter().filter(|object| object.key == STATE).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidations_make_exactly_the_calls_that_their_entry_point_is_allowed() {
    let world = World::new(&[]).await;
    world.run(&["invalidate", "/a", "--json"]).expect(0);
    let tenants = tenant_world(&[]).await;
    tenants.run(&["invalidate", "/a", "--json", "--distribution-tenant", "dt_red"]).expect(0);
    let all: BTreeSet<String> = asked(&world).union(&asked(&tenants)).cloned().collect();
    assert_eq!(all, of_entry_point(EntryPoint::Invalidate));
}

#[tokio::test(flavor = "multi_thread")]
async fn rollbacks_make_exactly_the_calls_that_their_entry_point_is_allowed() {
    let world = World::new(&[("index.html", "welcome"), ("old.html", "old")]).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
    distribution.default_behavior.cache = CacheSettings::Policy(CACHING_OPTIMIZED.to_owned());
    world.edge.put_distribution(distribution.clone()).unwrap();
    // The first site has no version IDs, and its film is too large for one copy.
    world.write("film.webm", vec![1; 20 << 20]);
    world.deploy(&[]).expect(0);
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.edge.set_largest_copy(BUCKET, 10 << 20).unwrap();
    world.write("film.webm", vec![2; 20 << 20]);
    world.write("index.html", "welcome two");
    world.write("new.html", "new");
    world.remove("old.html");
    world.deploy(&[]).expect(0);
    // Its configuration changes, so that copies count as untagged until the edge locations have it.
    world.edge.put_distribution(distribution).unwrap();
    world.edge.clear_requests();
    world.fault("UploadPartCopy", 0, 1, error(400, "EntityTooSmall"));
    world.run(&["rollback", TARGET]).expect(1);
    world.run(&["rollback", TARGET]).expect(0);
    let tenants = tenant_world(&[("index.html", "welcome")]).await;
    tenants.edge.set_versioning(BUCKET, true).unwrap();
    tenants.deploy(&["--distribution-tenant", "dt_red"]).expect(0);
    tenants.write("index.html", "welcome two");
    tenants.deploy(&["--distribution-tenant", "dt_red"]).expect(0);
    tenants.edge.clear_requests();
    tenants.run(&["rollback", TARGET, "--distribution-tenant", "dt_red"]).expect(0);
    let rules = crate::rules::rollback::twice().await;
    crate::rules::rollback::rollback(&rules, &[]).expect(0);
    let stored = crate::rules::store::twice().await;
    crate::rules::rollback::rollback(&stored, &[]).expect(0);
    let all = [&world, &tenants, &rules, &stored].map(asked).into_iter().flatten().collect::<BTreeSet<String>>();
    let allowed = of_entry_point(EntryPoint::Rollback);
    assert_eq!(all, allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_makes_its_own_calls_and_else_those_of_a_deploy() {
    let world = World::deployed(&[("index.html", "x")]).await;
    // A lifecycle rule deletes old versions, which is requested if there are any.
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.run(&["doctor", "s3://www.example.com", "--probe"]).expect(0);
    let mut asked = asked(&world);
    // The identity, which is not a request to S3.
    assert!(asked.remove("Unknown"));
    let own = of_entry_point(EntryPoint::Doctor);
    assert!(own.is_subset(&asked), "{asked:?}");
    let allowed = own.union(&of_entry_point(EntryPoint::Deploy)).cloned().collect();
    assert!(asked.is_subset(&allowed), "{asked:?}");
    assert!(!asked.contains("CreateInvalidation"));
}

#[tokio::test(flavor = "multi_thread")]
async fn conformance_makes_exactly_the_calls_that_its_entry_point_is_allowed() {
    let trial = crate::conformance::trial().await;
    let mut distribution = trial.edge.distribution(&trial.distribution).unwrap();
    distribution.default_behavior.cache = CacheSettings::Policy(CACHING_OPTIMIZED.to_owned());
    trial.edge.put_distribution(distribution).unwrap();
    trial.edge.clear_requests();
    crate::conformance::attempt(&trial, &[]).expect(0);
    // If the host is known, it is not requested.
    let tenant = crate::conformance::trial_of_a_tenant().await;
    crate::conformance::attempt_on_tenant(&tenant, &["--viewers", "http://dt-t.localhost"]).expect(0);
    let all: BTreeSet<String> = asked(&trial).union(&asked(&tenant)).cloned().collect();
    let all: BTreeSet<String> = all.union(&["GetDistribution".to_owned()].into()).cloned().collect();
    assert_eq!(all, of_entry_point(EntryPoint::Conformance));
}

#[cfg(feature = "lambda")]
#[tokio::test(flavor = "multi_thread")]
async fn jobs_make_exactly_the_calls_that_their_entry_points_are_allowed() {
    use crate::world::function::{Function, event};
    let world = World::new(&[]).await;
    let function = Function::start(&world, &[]).await;
    let mut job = event("codepipeline-job");
    let parameters = "/CodePipeline.job/data/actionConfiguration/configuration/UserParameters";
    *job.pointer_mut(parameters).unwrap() = "auto".into();
    function.invoke(&job).await.unwrap();
    let (_, JobResult::Success { continuation_token, .. }) = world.edge.job_results().remove(0) else { panic!() };
    job["CodePipeline.job"]["data"]["continuationToken"] = continuation_token.unwrap().into();
    job["CodePipeline.job"]["id"] = "5e0b1c2d-3f4a-4b6c-8d9e-a0b1c2d3e4f6".into();
    function.invoke(&job).await.unwrap();
    *job.pointer_mut(parameters).unwrap() = "".into();
    job["CodePipeline.job"]["data"]["continuationToken"] = "".into();
    job["CodePipeline.job"]["id"] = "5e0b1c2d-3f4a-4b6c-8d9e-a0b1c2d3e4f7".into();
    function.invoke(&job).await.unwrap();
    let of_tenants = |operation: &String| operation.contains("Tenant");
    let mut allowed: BTreeSet<String> =
        of_entry_point(EntryPoint::Invalidate).union(&of_entry_point(EntryPoint::PipelineJob)).cloned().collect();
    allowed.retain(|operation| !of_tenants(operation));
    assert_eq!(asked(&world), allowed);
}

#[cfg(feature = "lambda")]
#[tokio::test(flavor = "multi_thread")]
async fn events_make_exactly_the_calls_that_their_entry_point_is_allowed() {
    use crate::world::function::{Function, event};
    let world = World::deployed(&[("index.html", "x")]).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.default_behavior.cache = CacheSettings::Policy(CACHING_OPTIMIZED.to_owned());
    world.edge.put_distribution(distribution).unwrap();
    let function = Function::start(&world, &[]).await;
    function.invoke(&event("s3-object-created-put")).await.unwrap();
    let written: Vec<_> =
        world.edge.requests().into_iter().filter(|request| request.operation == "PutObject").collect();
    assert!(written.iter().all(|put| put.key.as_deref().is_some_and(|key| key.starts_with(".shipfront/"))));
    let tenants = tenant_world(&[]).await;
    let variables = [("SHIPFRONT_DISTRIBUTION_TENANT", "dt_red")];
    let function = Function::start(&tenants, &variables).await;
    function.invoke(&event("s3-object-removed-delete")).await.unwrap();
    let all: BTreeSet<String> = asked(&world).union(&asked(&tenants)).cloned().collect();
    assert_eq!(all, of_entry_point(EntryPoint::ObjectEvents));
}
