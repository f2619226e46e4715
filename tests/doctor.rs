//! `doctor`: what it finds, what it says it cannot see, and that it changes nothing.

mod agreement;

use crate::world::site::{ALWAYS, BUCKET, Run, TARGET, World, denied, error, run};
use shipfront_edge::Distribution;

const SITE: [(&str, &str); 2] = [("404.html", "lost"), ("index.html", "welcome")];

fn doctor(world: &World, options: &[&str]) -> Run {
    let mut arguments = vec!["doctor", TARGET, "--json"];
    arguments.extend(options);
    world.run(&arguments)
}

/// The findings of a state, as `encryption`.
fn in_state(run: &Run, state: &str) -> Vec<String> {
    let findings = run.json["findings"].as_array().unwrap().iter().filter(|finding| finding["state"] == state);
    let check = |check: &str| check.split(" of distribution").next().unwrap().to_owned();
    findings.map(|finding| check(finding["check"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_set_up_well_has_no_errors_and_what_cannot_be_seen_is_not_called_right() {
    let world = World::deployed(&SITE).await;
    world.close_the_record().await;
    // Without versions it is well only where deploys keep copies.
    let run = doctor(&world, &[]).expect(0);
    assert_eq!(in_state(&run, "warning"), ["versioning"]);
    let run = doctor(&world, &["--history", "copies"]).expect(0);
    assert_eq!((in_state(&run, "error"), in_state(&run, "warning")), (vec![], vec![]));
    world.edge.clear_requests();
    let run = doctor(&world, &["--history", "copies"]).expect(0);
    // Amazon's own queries, which the local edge does not answer.
    assert_eq!(in_state(&run, "not-checked"), ["credentials", "encryption", "conditional writes", "permissions"]);
    let ok = in_state(&run, "ok");
    for check in ["bucket", "versioning", "deploy record", "record closed to viewers", "origin", "cache tags"] {
        assert!(ok.contains(&check.to_owned()), "{check}: {ok:?}");
    }
    // The identity is a request to another service.
    assert_eq!(world.writes(), ["Unknown -> 501"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_a_deploy_fail_is_an_error_with_its_repair_and_exits_with_1() {
    let world = World::new(&SITE).await;
    let run = world.run(&["doctor", "s3://no-such-bucket", "--json"]).expect(1);
    assert_eq!(run.json["outcome"], "error");
    assert_eq!(in_state(&run, "error"), ["bucket", "distributions"]);
    world.fault("ListObjectsV2", 0, ALWAYS, denied());
    let run = doctor(&world, &[]).expect(1);
    assert!(in_state(&run, "error").contains(&"permissions".to_owned()), "{}", run.stdout);
    assert!(run.stdout.contains("allow s3:ListBucket on arn:aws:s3:::www.example.com"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_that_costs_more_than_it_must_is_a_warning() {
    let world = World::deployed(&SITE).await;
    let warned = |run: &Run, check: &str| in_state(run, "warning").contains(&check.to_owned());
    let run = doctor(&world, &[]).expect(0);
    assert!(warned(&run, "record closed to viewers"), "{}", run.stdout);
    let distribution = world.edge.distribution(&world.distribution).unwrap();
    let plain =
        Distribution { default_root_object: String::new(), cache_tag_header: Some("tags".into()), ..distribution };
    world.edge.put_distribution(plain).unwrap();
    let run = doctor(&world, &[]).expect(0);
    assert!(warned(&run, "default root object") && warned(&run, "cache tags"), "{}", run.stdout);
    world.fault("GetDistributionConfig", 0, ALWAYS, denied());
    assert!(warned(&doctor(&world, &[]).expect(0), "configuration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_tried_only_when_asked_for_and_nothing_is_left_behind() {
    let world = World::new(&SITE).await;
    assert!(in_state(&doctor(&world, &[]).expect(0), "not-checked").contains(&"conditional writes".to_owned()));
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
    let run = doctor(&world, &["--probe"]).expect(0);
    assert!(in_state(&run, "ok").contains(&"conditional writes".to_owned()), "{}", run.stdout);
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
    world.edge.set_ignore_conditions(BUCKET, true).unwrap();
    let run = doctor(&world, &["--probe"]).expect(1);
    assert_eq!(in_state(&run, "error"), ["conditional writes"]);
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_deploy_left_is_reported() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, denied());
    world.deploy(&[]).expect(4);
    assert!(in_state(&doctor(&world, &[]).expect(0), "warning").contains(&"deploy record".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_edge_is_looked_at_by_its_source() {
    let world = World::new(&SITE).await;
    let source = world.source().to_str().unwrap();
    let directory = world.outside().join("edge");
    let local = |arguments: &[&str]| run(world.command(arguments).env("SHIPFRONT_EDGE_DIRECTORY", &directory));
    local(&["deploy", source, "--local"]).expect(0);
    let run = local(&["doctor", source, "--local", "--json"]).expect(0);
    assert_eq!(in_state(&run, "error"), [""; 0]);
    assert!(in_state(&run, "ok").contains(&"origin".to_owned()), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_an_error_with_its_repair() {
    let world = World::deployed(&SITE).await;
    world.put(".shipfront/state.json", "no record").await;
    let run = doctor(&world, &[]).expect(1);
    assert_eq!(in_state(&run, "error"), ["deploy record"], "{}", run.stdout);
    let world = World::deployed(&SITE).await;
    world.fault_of("GetObject", ".shipfront/state.json", 0, ALWAYS, denied());
    let run = doctor(&world, &[]).expect(1);
    assert_eq!(in_state(&run, "error"), ["deploy record", "permissions"], "{}", run.stdout);
    assert!(run.stdout.contains("missing: s3:GetObject"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_may_not_write_or_not_remove_is_an_error() {
    // Requests for the folder of the usual record meet no scripted faults.
    let probe = ["--probe", "--record", "s3://www.example.com/records"];
    for (operation, action) in [("PutObject", "s3:PutObject"), ("DeleteObjects", "s3:DeleteObject")] {
        let world = World::new(&SITE).await;
        world.fault(operation, 0, ALWAYS, denied());
        let run = doctor(&world, &probe).expect(1);
        assert_eq!(in_state(&run, "error"), ["conditional writes", "permissions"], "{operation}: {}", run.stdout);
        assert!(run.stdout.contains(&format!("missing: {action}")), "{}", run.stdout);
    }
    let world = World::new(&SITE).await;
    world.fault("PutObject", 0, ALWAYS, error(501, "NotImplemented"));
    let run = doctor(&world, &probe).expect(1);
    assert!(run.stdout.contains("use --no-record"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_that_shows_nothing_of_the_site_is_an_error() {
    let world = World::deployed(&SITE).await;
    let distribution = world.edge.distribution(&world.distribution).unwrap();
    let (mut other, mut disabled) = (distribution.clone(), distribution);
    other.origins[0].domain_name = "another-bucket.s3.us-east-1.amazonaws.com".to_owned();
    disabled.enabled = false;
    let id = world.distribution.clone();
    for (distribution, check) in [(other, "origin"), (disabled, "configuration")] {
        world.edge.put_distribution(distribution).unwrap();
        let run = doctor(&world, &["--distribution", &id]).expect(1);
        assert_eq!(in_state(&run, "error"), [check], "{}", run.stdout);
    }
    let run = doctor(&world, &["--distribution", "E2NOSUCHONE"]).expect(1);
    assert_eq!(in_state(&run, "error"), ["distributions"], "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_origins_of_a_named_distribution_it_says_what_a_deploy_does() {
    let world = World::new(&SITE).await;
    let distribution = world.edge.distribution(&world.distribution).unwrap();
    let named = ["--distribution", &world.distribution];
    let any = [named[0], named[1], "--any-origin"];
    for (domain, options, state, deploy) in [
        ("www.example.com.s3.us-east-1.amazonaws.com", &named[..], "ok", 0),
        ("another-bucket.s3.us-east-1.amazonaws.com", &named, "error", 2),
        ("another-bucket.s3.us-east-1.amazonaws.com", &any, "ok", 0),
        ("origin.example.com", &any, "ok", 0),
        ("www-abcdefgh-s3alias.s3.us-east-1.amazonaws.com", &named, "warning", 0),
        ("origin.example.com", &named, "warning", 0),
    ] {
        let mut changed = distribution.clone();
        changed.origins[0].domain_name = domain.to_owned();
        world.edge.put_distribution(changed).unwrap();
        let run = doctor(&world, options).expect(i32::from(state == "error"));
        assert!(in_state(&run, state).contains(&"origin".to_owned()), "{domain}: {}", run.stdout);
        assert_eq!(
            run.stdout.contains("--any-origin"),
            state != "ok" || options.len() == 3,
            "{domain}: {}",
            run.stdout
        );
        let warned = world.deploy(options).expect(deploy).json["warnings"].to_string().contains("is known to show");
        assert_eq!(warned, state == "warning", "{domain}");
    }
}
