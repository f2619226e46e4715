//! `--verify`: what viewers get after the deploy, and what the next deploy makes of a difference.

mod answers;

use crate::world::http::get;
use crate::world::site::{EXACT, Run, World, error};
use shipfront::edge::Fault;

const SITE: [(&str, &str); 4] =
    [("404.html", "lost"), ("about/index.html", "about"), ("app.css", "b {}"), ("index.html", "welcome")];

/// A deployed site that viewers have looked at: the edge has a copy of everything, for a day.
async fn looked_at() -> World {
    let world = World::deployed(&SITE).await;
    world.close_the_record().await;
    for (key, _) in SITE {
        get(&world.edge.viewer_url(), &format!("/{key}")).await;
    }
    get(&world.edge.viewer_url(), "/").await;
    world.edge.clear_requests();
    world
}

fn verify(world: &World, more: &[&str]) -> Run {
    let site = world.edge.viewer_url();
    let mut options = vec!["--verify", site.as_str()];
    options.extend(more);
    world.deploy(&options)
}

fn differences(run: &Run) -> Vec<String> {
    let all = run.json["verified"]["differences"].as_array().unwrap().iter();
    all.map(|difference| {
        let url = difference["url"].as_str().unwrap();
        let path = url.splitn(4, '/').nth(3).unwrap();
        format!("/{path} {}", difference["found"].as_str().unwrap())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_viewers_see_is_verified_and_leaves_nothing_behind() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    world.write("new page.html", "more");
    world.write("film.webm", vec![7; 20 << 20]);
    world.remove("about/index.html");
    let run = verify(&world, &[]).expect(0);
    assert_eq!(run.outcome(), "deployed");
    let verified = &run.json["verified"];
    assert_eq!(verified["checked"], verified["urls"]);
    // Each new object, `/` beside `/index.html`, and what must no longer be `/about/index.html`.
    assert_eq!(verified["urls"], 5, "{verified}");
    assert_eq!(differences(&run), [""; 0]);
    let again = verify(&world, &[]).expect(0);
    assert_eq!((again.outcome(), &again.json["recovered"]), ("nothing-to-do", &serde_json::Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_keeps_a_stale_copy_ends_the_run_with_7_and_the_next_run_invalidates_it_again() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    world.write("new.html", "nobody has a copy of it");
    world.remove("about/index.html");
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    let run = verify(&world, &EXACT).expect(7).says("/index.html is what was there before (Hit");
    assert_eq!(run.outcome(), "different");
    let found = differences(&run);
    assert_eq!(found.len(), 3, "{found:?}");
    for (difference, path) in found.iter().zip(["/ ", "/about/index.html ", "/index.html "]) {
        assert!(difference.starts_with(path) && difference.contains("is what was there before"), "{found:?}");
    }

    world.edge.clear_requests();
    let next = verify(&world, &EXACT).expect(0);
    assert_eq!(next.outcome(), "deployed");
    assert_eq!(next.json["recovered"]["keys"], 2, "the two keys that differed, and not the third that changed");
    let told = world.writes().into_iter().find(|line| line.starts_with("INVALIDATE")).unwrap();
    assert_eq!(told, "INVALIDATE / /about/index.html /index.html");
    assert_eq!(differences(&next), [""; 0]);
    assert_eq!(get(&world.edge.viewer_url(), "/").await.text(), "an edit");
    assert_eq!(verify(&world, &[]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differed_is_invalidated_again_without_verify_and_goes_on_being_shipfronts_own() {
    let world = looked_at().await;
    world.write("about/index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    verify(&world, &[]).expect(7);
    let status = world.run(&["status", "s3://www.example.com"]).expect(0).stdout;
    assert!(status.contains("pending: 1 keys, what --verify found otherwise after deploy 2"), "{status}");
    let doctor = world.run(&["doctor", "s3://www.example.com"]).expect(0).stdout;
    assert!(doctor.contains("viewers got something else when --verify looked"), "{doctor}");
    world.run(&["tags", "--backfill", "s3://www.example.com"]).expect(6).says("what --verify found otherwise");
    let plan = world.run(&["plan", world.source().to_str().unwrap(), "s3://www.example.com"]).expect(0).stdout;
    assert!(plan.contains("would finish what --verify found otherwise after deploy 2"), "{plan}");
    // A page of our own that leaves the source goes, although its last deploy was not seen to the end.
    world.remove("about/index.html");
    let next = world.deploy(&[]).expect(0);
    assert_eq!(next.objects("pruned"), 1);
    assert_eq!(get(&world.edge.viewer_url(), "/about/index.html").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_which_only_the_directory_is_stale_is_found() {
    let world = looked_at().await;
    let distribution = world.edge.distribution(&world.distribution).unwrap();
    world.edge.put_distribution(distribution.with_index_rewrite()).unwrap();
    assert_eq!(get(&world.edge.viewer_url(), "/about/").await.text(), "about");
    world.write("about/index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    let found = differences(&verify(&world, &[]).expect(7));
    assert!(found.iter().any(|difference| difference.starts_with("/about/ is what was there before")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_cannot_be_reached_is_not_taken_for_one_that_is_right() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    let run = world.deploy(&["--verify", "http://127.0.0.1:9"]).expect(7);
    assert!(differences(&run)[0].contains("cannot be fetched"), "{:?}", differences(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_waits_for_cloudfront_and_holds_the_lease_meanwhile() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    let gate = shipfront::edge::Gate::default();
    world.fault("GetInvalidation", 0, 1, Fault::Hold(gate.clone()));
    let site = world.edge.viewer_url();
    let running = world.start(&["--verify", &site]);
    gate.reached().await;
    assert!(world.run(&["status", "s3://www.example.com"]).expect(0).stdout.contains("lease: process"));
    gate.open();
    crate::world::site::finish(running).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_makes_no_sense_without_a_wait_without_a_distribution_or_for_a_shard() {
    let world = World::new(&SITE).await;
    verify(&world, &["--no-wait"]).expect(2);
    verify(&world, &["--shard", "1/2"]).expect(2);
    verify(&world, &["--distribution", "none"]).expect(2).says("no distribution is told");
    world.deploy(&["--verify", "https://www.example.com/blog"]).expect(2).says("name the host alone");
    world.fault("GetDistributionConfig", 0, 1, error(403, "AccessDenied"));
    verify(&world, &[]).expect(2).says("cloudfront:GetDistributionConfig");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_a_difference_is_told_all_the_same() {
    let world = World::new(&SITE).await;
    world.deploy(&["--no-record"]).expect(0);
    get(&world.edge.viewer_url(), "/app.css").await;
    world.write("app.css", "i {}");
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    let run = verify(&world, &["--no-record"]).expect(7);
    assert_eq!(differences(&run).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_while_it_verifies_is_finished_by_the_next() {
    // The requests of such a run, to die at each of them from the invalidation on.
    let rehearsal = looked_at().await;
    rehearsal.write("index.html", "an edit");
    rehearsal.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    verify(&rehearsal, &[]).expect(7);
    let requests = rehearsal.edge.requests();
    let told = requests.iter().position(|request| request.operation == "CreateInvalidation").unwrap();
    let ends: Vec<usize> = (told + 2..=requests.len()).collect();
    assert!(ends.len() >= 4, "the state of it, two files and the state of the record: {requests:?}");
    for nth in ends {
        for after in [false, true] {
            let world = looked_at().await;
            world.write("index.html", "an edit");
            world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
            world.edge.faults().crash_at(nth as u64, after);
            let site = world.edge.viewer_url();
            let mut running = world.start(&["--verify", &site]);
            while !world.edge.faults().has_crashed() {
                if running.try_wait().unwrap().is_some() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let _ = running.kill();
            running.wait().unwrap();
            world.edge.faults().clear();
            world.edge.faults().revive();
            world.edge.advance_clock(std::time::Duration::from_secs(120));
            let next = verify(&world, &[]);
            assert_eq!(next.exit, 0, "request {nth}, {after}: {}", next.stderr);
            assert_eq!(get(&world.edge.viewer_url(), "/index.html").await.text(), "an edit", "request {nth}, {after}");
            assert_eq!(verify(&world, &[]).expect(0).outcome(), "nothing-to-do");
        }
    }
}
