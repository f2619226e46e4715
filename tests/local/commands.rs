//! `status`, `unlock`, `invalidate` and `tags` with `--local`: the site is found by its source, and AWS is left
//! alone.

use super::Machine;
use crate::world::aws;
use crate::world::command::{Run, copy_directory, repository, run};
use crate::world::http::request;
use shipfront_edge::{Data, Distribution, Edge, Fault, Gate, Rule};
use std::process::{Child, Stdio};
use std::time::Duration;

/// Only ends a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

impl Machine {
    /// The machine's local edge in this process, which commands then use.
    async fn serve(&self) -> Edge {
        aws::start(Data::Directory(self.edge())).await
    }

    fn distribution(&self, edge: &Edge) -> Distribution {
        let bucket = self.bucket();
        edge.distribution(&Distribution::for_bucket(&bucket).id).unwrap()
    }

    /// The bucket of the site, as `status` names it.
    fn bucket(&self) -> String {
        let status = self.run(&["status", "SITE", "--local", "--json"]).ended_with(0).json();
        status["target"].as_str().unwrap().trim_start_matches("s3://").to_owned()
    }

    /// A deploy that is killed while it holds the lease.
    async fn kill_a_deploy(&self, edge: &Edge) {
        self.write("about/index.html", "<!doctype html><title>About</title><p>Half way.</p>");
        let key = Some("about/index.html".to_owned());
        let fault = Fault::Hold(Gate::default());
        edge.faults().add(Rule { operation: Some("PutObject".to_owned()), key, skip: 0, count: 1, fault });
        edge.clear_requests();
        let mut deploy = self.start(&["deploy", "SITE", "--local"]);
        let arrival = async {
            let is_it = |request: &shipfront_edge::RecordedRequest| request.key.as_deref() == Some("about/index.html");
            while !edge.requests().iter().any(is_it) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrival).await.expect("the page is sent");
        deploy.kill().unwrap();
        deploy.wait().unwrap();
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

/// What the response says about the cache: `Hit` or `Miss`.
async fn cache(edge: &Edge, distribution: &Distribution, path: &str) -> String {
    let host = format!("{}.localhost", distribution.id.to_ascii_lowercase());
    let answer = request(&edge.viewer_url(), "GET", path, &[("host", &host)]).await;
    answer.header("x-cache").unwrap().split(' ').next().unwrap().to_owned()
}

#[track_caller]
fn invalidates(run: Run, distribution: &Distribution, item: &str) {
    let report = run.ended_with(0).json();
    let invalidations = report["invalidations"].as_array().unwrap();
    assert_eq!(invalidations.len(), 1, "{report:#}");
    assert_eq!(invalidations[0]["distribution"], distribution.id, "{report:#}");
    assert_eq!(invalidations[0]["items"], serde_json::json!([item]), "{report:#}");
}

#[test]
fn status_finds_the_site_of_a_source_or_a_target() {
    let machine = Machine::new();
    let early = machine.run(&["status", "SITE", "--local"]).ended_with(1);
    early.says("has not been deployed to the local edge");
    early.says("deploy it first, with 'shipfront deploy /");
    machine.deploy();
    let of_source = machine.run(&["status", "SITE", "--local", "--json"]).ended_with(0).json();
    assert!(of_source["last"]["uploaded"].as_u64().is_some_and(|uploaded| uploaded > 0), "{of_source:#}");
    let target = of_source["target"].as_str().unwrap();
    assert_eq!(machine.run(&["status", target, "--local", "--json"]).ended_with(0).json(), of_source);
    machine.run(&["status", "--local"]).ended_with(2).says("no source");
}

#[tokio::test(flavor = "multi_thread")]
async fn unlock_takes_the_lease_of_a_local_deploy_that_died() {
    let machine = Machine::new();
    machine.deploy();
    let edge = machine.serve().await;
    machine.run(&["unlock", "SITE", "--local"]).ended_with(0).says("The lock is free");
    machine.kill_a_deploy(&edge).await;
    machine.run(&["unlock", "SITE", "--local"]).ended_with(5).says("pass --yes");
    machine.run(&["unlock", "SITE", "--local", "--yes"]).ended_with(0).says("Released the lock");
    let status = machine.run(&["status", "SITE", "--local", "--json"]).ended_with(0).json();
    assert!(status["lease"].is_null() && status["expired_lease"].is_null(), "{status:#}");
    assert!(status["pending"].is_object(), "{status:#}");
    // What the dead deploy had begun is finished, without waiting for its lease to expire.
    machine.deploy();
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidate_evicts_from_the_local_edge_by_source_by_url_and_from_the_only_site() {
    let machine = Machine::new();
    machine.deploy();
    let edge = machine.serve().await;
    let distribution = machine.distribution(&edge);
    let invalidate = |arguments: &[&str]| machine.run(&[&["invalidate", "--local", "--json"], arguments].concat());

    for expected in ["Miss", "Hit"] {
        assert_eq!(cache(&edge, &distribution, "/about/index.html").await, expected);
    }
    invalidates(invalidate(&["/about/*"]), &distribution, "/about/*");
    assert_eq!(cache(&edge, &distribution, "/about/index.html").await, "Miss");

    let other = machine.directory.path().join("other");
    copy_directory(&repository("examples/site"), &other);
    let other = other.to_str().unwrap();
    machine.run(&["deploy", other, "--local"]).ended_with(0);
    invalidate(&["/about/"]).ended_with(2).says("2 distributions");
    invalidates(invalidate(&["/about/", "--source", "SITE"]), &distribution, "/about/");
    let target = format!("s3://{}", machine.bucket());
    let by_target = run(machine.command(&["invalidate", "/", "--local", "--json"]).env("SHIPFRONT_TARGET", target));
    invalidates(by_target, &distribution, "/");
    // The host of a URL determines the distribution, whatever the source is.
    let url = format!("http://{}.localhost/blog/", distribution.id.to_ascii_lowercase());
    invalidates(invalidate(&[&url, "--source", other]), &distribution, "/blog/");
    edge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_enabled_and_backfilled_on_the_local_edge() {
    const HEADER: &str = "x-amz-meta-cache-tag";
    let machine = Machine::new();
    let objects = machine.deploy()["objects"]["uploaded"].as_u64().unwrap();
    let edge = machine.serve().await;
    let distribution = machine.distribution(&edge);
    let enable = |arguments: &[&str]| {
        let change =
            machine.run(&[&["tags", "--enable", "--local", "--json"], arguments].concat()).ended_with(0).json();
        change["distributions"].clone()
    };
    assert_eq!(enable(&["SITE"]), serde_json::json!([{"distribution": distribution.id, "header": null}]));
    assert_eq!(enable(&[]), serde_json::json!([]), "a site need not be named");

    edge.put_distribution(Distribution { cache_tag_header: Some(HEADER.to_owned()), ..distribution }).unwrap();
    let report = machine.run(&["tags", "--backfill", "SITE", "--local", "--json"]).ended_with(0).json();
    assert_eq!((&report["outcome"], &report["tagged"]), (&"deployed".into(), &objects.into()), "{report:#}");
    let tagged = edge.objects(&machine.bucket()).into_iter().filter(|object| object.headers.contains_key(HEADER));
    assert_eq!(tagged.count() as u64, objects);
    edge.stop().await;
}

#[test]
fn with_local_no_request_goes_to_aws() {
    let machine = Machine::new();
    machine.deploy();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}", nobody.local_addr().unwrap());
    for arguments in [
        &["status", "SITE", "--local"][..],
        &["unlock", "SITE", "--local"],
        &["doctor", "SITE", "--local"],
        &["plan", "SITE", "--local"],
        &["tags", "--enable", "SITE", "--local"],
        &["invalidate", "/", "--local"],
    ] {
        run(machine.command(arguments).env("AWS_ENDPOINT_URL", &elsewhere)).ended_with(0);
    }
    nobody.set_nonblocking(true).unwrap();
    assert!(nobody.accept().is_err(), "a command called AWS");
}

#[test]
fn rules_are_live_on_the_local_edge_without_being_asked_for_and_those_that_do_not_fit_are_a_warning() {
    let machine = Machine::new();
    machine.write("_redirects", "/old /index.html\n");
    let first = machine.deploy();
    assert_eq!(
        (&first["rules"][0]["change"], &first["warnings"].to_string().contains("not active")),
        (&"new".into(), &false)
    );
    let again = machine.deploy();
    assert_eq!((&again["outcome"], &again["rules"][0]["change"]), (&"nothing-to-do".into(), &"unchanged".into()));
    let page = |at: u64| format!("{:x}", at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let lines: String = (0..700).map(|at| format!("/old/{} /new/{}\n", page(at), page(at + 1000))).collect();
    machine.write("_redirects", lines);
    let warned = machine.deploy();
    assert!(warned["warnings"].to_string().contains("the rules are not active: the function would have"), "{warned}");
}

#[test]
fn a_site_on_the_local_edge_is_rolled_back_by_its_source() {
    let machine = Machine::new();
    machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
    machine.write("index.html", "<!doctype html><title>Two</title>");
    machine.write("added.html", "<!doctype html><title>Added</title>");
    machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
    // Each of these is a separate process, with only the directory in common.
    let history = machine.run(&["history", "SITE", "--local", "--json"]).ended_with(0).json();
    let restorable = |at: usize| history["deploys"][at]["restorable"].clone();
    assert_eq!((restorable(0), restorable(1)), ("yes".into(), "yes".into()), "{history:#}");
    let report = machine.run(&["rollback", "SITE", "--local", "--json"]).ended_with(0).json();
    assert_eq!((&report["objects"]["copied"], &report["objects"]["pruned"]), (&1.into(), &1.into()), "{report:#}");
    let back = machine.run(&["rollback", "SITE", "--local", "--json"]).ended_with(0).json();
    assert_eq!(back["objects"]["copied"], 2, "{back:#}");
    let settled = machine.run(&["deploy", "SITE", "--local", "--json"]).ended_with(0).json();
    assert_eq!(settled["outcome"], "nothing-to-do", "{settled:#}");
}

/// Neither a bucket nor an address that is this machine's own business is what a person is told.
#[test]
fn a_site_that_was_not_deployed_is_named_as_it_was_typed() {
    let machine = Machine::new();
    let run = machine.run(&["status", "nope", "--local"]).ended_with(1);
    run.says("nope has not been deployed to the local edge");
    run.says("no such directory");
    let listed = machine.run(&["previews", "SITE", "--local"]).ended_with(0).stdout;
    assert!(listed.contains("No previews at ") && listed.contains("--local --preview NAME"), "{listed}");
    machine.run(&["previews", "SITE", "--local", "--prune"]).ended_with(0);
    machine.run(&["previews", "SITE", "--local", "--remove", "foo"]).ended_with(6).says("there is no preview foo");
    machine.deploy();
    let run = machine.run(&["promote", "foo", "SITE", "--local"]).ended_with(1);
    run.says("there is no preview foo");
    run.says("--preview foo");
}

#[test]
fn a_target_of_the_settings_is_said_to_be_on_the_local_edge() {
    let machine = Machine::new();
    std::fs::write(
        machine.directory().join("shipfront.toml"),
        "target = \"s3://www.example.com\"\nsource = \"site\"\n",
    )
    .unwrap();
    let said = |arguments: &[&str]| {
        let run = run(machine.command(arguments).current_dir(machine.directory())).ended_with(0);
        let edge = run.stdout.contains("s3://www.example.com (local edge)");
        assert!(edge, "{arguments:?}: {}", run.stdout);
    };
    said(&["plan", "--local"]);
    run(machine.command(&["deploy", "--local"]).current_dir(machine.directory())).ended_with(0);
    said(&["deploy", "--local"]);
    said(&["status", "--local"]);
    said(&["history", "--local"]);
    said(&["rules", "--local"]);
    said(&["doctor", "--local"]);
    said(&["rollback", "--local", "--plan", "--to", "2"]);
}

#[test]
fn a_rollback_leads_to_no_address_that_nobody_serves() {
    let machine = Machine::new();
    machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
    machine.write("index.html", "<!doctype html><title>Two</title>");
    machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
    let alone = machine.run(&["rollback", "SITE", "--local"]).ended_with(0);
    assert!(!alone.stdout.contains("://"), "{}", alone.stdout);
    alone.says("Nothing serves it now");
    let served = super::preview::Preview::start(&machine);
    machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
    let url = format!("http://{}/", served.authority);
    for _ in 0..2 {
        let back = machine.run(&["rollback", "SITE", "--local"]).ended_with(0);
        assert_eq!(back.stdout.lines().last(), Some(url.as_str()), "{}", back.stdout);
    }
}

#[test]
fn conformance_needs_no_target_on_the_local_edge() {
    let machine = Machine::new();
    for arguments in [&["conformance", "--local"][..], &["conformance", "SITE", "--local"]] {
        let run = machine.run(&[arguments, &["--check", "deleting-nothing"]].concat()).ended_with(0);
        run.says("This sends a few requests to S3");
    }
}

#[test]
fn the_doctor_knows_the_local_edge() {
    let machine = Machine::new();
    machine.write("_redirects", "/old /index.html\n");
    machine.deploy();
    let said = machine.run(&["doctor", "SITE", "--local", "--verbose"]).ended_with(0).stdout;
    for line in [
        "✓ versioning: off, not needed: the local edge keeps copies",
        "✓ conditional writes: the local edge supports them",
        "is attached, and shipfront's for s3://",
    ] {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
    assert!(!said.contains("publish-rules is off"), "{said}");
}

#[test]
fn unlock_prints_json_where_it_is_asked_for() {
    let machine = Machine::new();
    machine.deploy();
    let unlocked = machine.run(&["unlock", "SITE", "--local", "--json"]).ended_with(0).json();
    assert_eq!(unlocked["outcome"], "free", "{unlocked:#}");
}
