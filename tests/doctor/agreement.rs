//! Over many broken states: `doctor` finds an error wherever `plan` fails, and nowhere else, except for errors that
//! only viewers get.

use super::{SITE, in_state};
use crate::world::aws::s3;
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, denied, error};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use shipfront_edge::ConnectionMode;
use std::collections::BTreeSet;
use std::io::Write;

const STATE: &str = ".shipfront/state.json";
/// Viewers get nothing, but a deploy works nevertheless.
const OF_VIEWERS: [&str; 3] = ["origin", "configuration", "origin access"];

/// A world with everything that a record can contain: a manifest, and the plan of an interrupted deploy.
async fn world() -> World {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, denied());
    world.deploy(&[]).expect(4);
    world.edge.faults().clear();
    world
}

/// How both see a state: whether `plan` fails, and the errors that `doctor` names.
fn both(world: &World, options: &[&str]) -> (bool, BTreeSet<String>, String) {
    let planned = world.plan(options);
    let mut arguments = vec!["doctor", TARGET, "--json"];
    arguments.extend(options);
    let seen = world.run(&arguments);
    // Both refuse a senseless command line before they check anything.
    let errors = match seen.json["findings"].is_null() {
        true => vec!["refused".to_owned()],
        false => in_state(&seen, "error"),
    };
    assert_eq!(seen.exit != 0, !errors.is_empty(), "{}{}", seen.stdout, seen.stderr);
    let errors: BTreeSet<String> =
        errors.into_iter().map(|check| check.split(" of ").next().unwrap().to_owned()).collect();
    (planned.exit != 0, errors, format!("plan: {}doctor: {}", planned.stderr, seen.stdout))
}

#[track_caller]
fn agree(what: &str, world: &World, options: &[&str]) -> bool {
    let (fails, errors, reported) = both(world, options);
    let of_deploys = errors.iter().any(|check| !OF_VIEWERS.contains(&check.as_str()));
    assert_eq!(fails, of_deploys, "{what}: {errors:?}\n{reported}");
    fails
}

fn gzip(text: &str) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// What may have happened to a file of the record.
fn damages(whole: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let half = whole[..whole.len() / 2].to_vec();
    let mut flipped = whole.to_vec();
    flipped[whole.len() / 2] ^= 0x10;
    vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("text", Some(b"welcome".to_vec())),
        ("cut off", Some(half)),
        ("altered", Some(flipped)),
        ("an empty object", Some(b"{}".to_vec())),
        ("another file, compressed", Some(gzip("welcome\n"))),
        ("of a newer version", Some(gzip("{\"shipfront\":\"manifest\",\"format\":99,\"deploy\":\"d\"}\n"))),
        ("without rows or end", Some(gzip("{\"shipfront\":\"plan\",\"format\":1,\"deploy\":\"d\"}\n"))),
        (
            "of rows that are none",
            Some(gzip("{\"shipfront\":\"manifest\",\"format\":1,\"deploy\":\"d\"}\n{\"key\":1}\n{\"rows\":1}\n")),
        ),
        ("of a long line", Some(gzip(&format!("{{\"shipfront\":\"{}\"", "x".repeat(100_000))))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_and_plan_agree_on_a_record_that_is_damaged() {
    let world = world().await;
    let (manifest, plan) = manifest::named(&world.edge, BUCKET).await;
    let (mut states, mut failing) = (0, 0);
    for name in [STATE.to_owned(), manifest, plan] {
        let whole = manifest::read(&world.edge, BUCKET, &name).await;
        for (what, damage) in damages(&whole) {
            match damage {
                Some(bytes) => world.put(&name, bytes).await,
                None => drop(s3(&world.edge).delete_object().bucket(BUCKET).key(&name).send().await.unwrap()),
            }
            failing += usize::from(agree(&format!("{name} is {what}"), &world, &[]));
            states += 1;
        }
        world.put(&name, whole).await;
    }
    assert!(!agree("all is as it was", &world, &[]));
    // Without a state, there is no record yet; a flipped bit in it may leave JSON with the same meaning.
    assert!(states == 33 && failing >= 31, "{failing} of {states}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_and_plan_agree_on_what_a_state_says() {
    let world = world().await;
    let whole: Value = serde_json::from_slice(&manifest::read(&world.edge, BUCKET, STATE).await).unwrap();
    let holder = json!({"deploy": "d9", "owner": "somebody", "since": "2026-01-01T00:00:00Z"});
    let intent = |deploy: &str| json!({"deploy": deploy, "distributions": [], "tenants": []});
    let changes: [(&str, &str, Value); 14] = [
        ("held", "lease", holder),
        ("held by nobody who makes sense", "lease", json!({"owner": 1})),
        ("of another site", "target", json!("s3://elsewhere")),
        ("of a newer version", "format", json!(99)),
        ("of a format that is no number", "format", json!("two")),
        ("naming a manifest that is not there", "manifest", json!("gone")),
        ("naming a manifest elsewhere", "manifest", json!("../../x")),
        ("naming no manifest", "manifest", Value::Null),
        ("naming a plan that is not there", "intent", intent("gone")),
        ("naming no plan", "intent", Value::Null),
        ("with an intent that makes no sense", "intent", json!([])),
        ("without a revision", "revision", Value::Null),
        ("of a build that is no build", "build", json!(7)),
        ("with a field of a later version", "later", json!({"a": 1})),
    ];
    for (what, field, value) in changes {
        let mut state = whole.clone();
        state[field] = value;
        world.put(STATE, serde_json::to_vec(&state).unwrap()).await;
        agree(&format!("a state {what}"), &world, &[]);
    }
    // An expired lease.
    world.edge.advance_clock(std::time::Duration::from_secs(600));
    agree("a lease that expired", &world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_and_plan_agree_on_calls_that_are_refused() {
    let world = world().await;
    let (name, plan) = manifest::named(&world.edge, BUCKET).await;
    let mut states = 0;
    for fault in [denied(), error(400, "InvalidRequest")] {
        for key in [STATE, &name, &plan] {
            world.edge.faults().clear();
            world.fault_of("GetObject", key, 0, ALWAYS, fault.clone());
            assert!(agree(&format!("GetObject of {key}: {fault:?}"), &world, &[]), "GetObject of {key}: {fault:?}");
            states += 1;
        }
        for operation in [
            "ListObjectsV2",
            "ListDistributions",
            "GetDistributionConfig",
            "GetDistribution",
            "GetCachePolicy",
            "GetBucketPolicy",
            "GetInvalidation",
            "PutObject",
            "DeleteObjects",
            "CreateInvalidation",
            "GetBucketVersioning",
        ] {
            world.edge.faults().clear();
            world.fault(operation, 0, ALWAYS, fault.clone());
            agree(&format!("{operation}: {fault:?}"), &world, &[]);
            states += 1;
        }
    }
    assert_eq!(states, 28);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_and_plan_agree_on_buckets_and_distributions_that_are_not_as_they_should_be() {
    let world = world().await;
    let id = world.distribution.clone();
    let good = world.edge.distribution(&id).unwrap();
    for (what, options) in [
        ("a distribution that does not exist", &["--distribution", "E2NOSUCHONE"][..]),
        ("a tenant that does not exist", &["--distribution-tenant", "dt_none"]),
        ("no distribution", &["--distribution", "none"]),
        ("another owner", &["--expected-bucket-owner", "111111111111"]),
        ("a record in no bucket", &["--record", "s3://no-such-bucket/site"]),
        ("a record elsewhere that is not there yet", &["--record", "s3://www.example.com/records"]),
        ("no record", &["--no-record"]),
        ("two words for one thing", &["--distribution", "auto", "--distribution", "none"]),
    ] {
        agree(what, &world, options);
    }
    let mut disabled = good.clone();
    disabled.enabled = false;
    world.edge.put_distribution(disabled).unwrap();
    assert!(agree("a disabled distribution, looked for", &world, &[]));
    assert!(!agree("a disabled distribution, named", &world, &["--distribution", &id]));
    let mut other = good.clone();
    other.origins[0].domain_name = "another-bucket.s3.us-east-1.amazonaws.com".to_owned();
    world.edge.put_distribution(other).unwrap();
    assert!(agree("a distribution of another bucket, looked for", &world, &[]));
    // A distribution that is searched for is omitted, one that is named is refused.
    let named = ["--distribution", &*id];
    let (fails, errors, _) = both(&world, &named);
    assert!(fails && errors.contains("origin"), "{errors:?}");
    assert!(!agree(
        "a distribution of another bucket, named for any origin",
        &world,
        &[&named[..], &["--any-origin"]].concat()
    ));
    let mut tenants = good.clone();
    tenants.connection_mode = ConnectionMode::TenantOnly;
    world.edge.put_distribution(tenants).unwrap();
    agree("a distribution of tenants, looked for", &world, &[]);
    agree("a distribution of tenants, named", &world, &["--distribution", &id]);
    world.edge.put_distribution(good).unwrap();
    assert!(!agree("this is fine", &world, &[]));
    // A bucket that does not exist.
    let plan = world.run(&["plan", world.source().to_str().unwrap(), "s3://no-such-bucket", "--json"]);
    assert_ne!(plan.exit, 0);
    world.run(&["doctor", "s3://no-such-bucket", "--json"]).expect(1);
}
