//! `--verify`: what viewers get after the deploy, and what the next deploy does about a difference.

mod answers;

use crate::world::http::get;
use crate::world::site::{ALWAYS, EXACT, Run, World, denied, error, finish, stop};
use shipfront_edge::Fault;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SITE: [(&str, &str); 4] =
    [("404.html", "lost"), ("about/index.html", "about"), ("app.css", "b {}"), ("index.html", "welcome")];

/// A deployed site that viewers have requested: the edge has a copy of everything, for a day.
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
    // Each new object, `/` in addition to `/index.html`, and what must no longer be `/about/index.html`.
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
    let run = verify(&world, &EXACT).expect(7).says("/index.html serves what was there before (Hit");
    assert_eq!(run.outcome(), "different");
    let found = differences(&run);
    assert_eq!(found.len(), 3, "{found:?}");
    for (difference, path) in found.iter().zip(["/ ", "/about/index.html ", "/index.html "]) {
        assert!(difference.starts_with(path) && difference.contains("serves what was there before"), "{found:?}");
    }

    world.edge.clear_requests();
    let next = verify(&world, &EXACT).expect(0);
    assert_eq!(next.outcome(), "deployed");
    assert_eq!(next.json["recovered"]["keys"], 2, "the two keys that differed, and not the third that changed");
    let invalidated = world.writes().into_iter().find(|line| line.starts_with("INVALIDATE")).unwrap();
    assert_eq!(invalidated, "INVALIDATE / /about/index.html /index.html");
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
    assert!(status.contains("1 file, the URLs that --verify found different after deploy 2"), "{status}");
    let doctor = world.run(&["doctor", "s3://www.example.com"]).expect(0).stdout;
    assert!(doctor.contains("--verify found URLs that served something else"), "{doctor}");
    world.run(&["tags", "--backfill", "s3://www.example.com"]).expect(6).says("the URLs that --verify found different");
    let plan = world.run(&["plan", world.source().to_str().unwrap(), "s3://www.example.com"]).expect(0).stdout;
    assert!(plan.contains("A deploy finishes the URLs that --verify found different after deploy 2"), "{plan}");
    // An owned page that leaves the source is removed, although its last deploy was not completed.
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
    assert!(found.iter().any(|difference| difference.starts_with("/about/ serves what was there before")), "{found:?}");
    verify(&world, &[]).expect(0);
    // Even if an earlier run has replaced the object of the copy.
    get(&world.edge.viewer_url(), "/about/").await;
    world.write("about/index.html", "another edit");
    world.fault("CreateInvalidation", 0, 1, denied());
    world.deploy(&[]).expect(4);
    world.write("about/index.html", "and another");
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    let found = differences(&verify(&world, &[]).expect(7));
    assert!(found.iter().any(|difference| difference.starts_with("/about/ serves what was there before")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_cannot_be_reached_is_not_taken_for_one_that_is_right() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    let run = world.deploy(&["--verify", "http://127.0.0.1:9"]).expect(7).says("could not verify");
    assert_eq!(run.outcome(), "unverified");
    assert!(run.json["verified"]["unanswered"][0]["found"].as_str().unwrap().contains("cannot be fetched"));
}

/// Connection refused, host not resolved, and TLS where there is none.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_no_difference_and_nothing_is_invalidated_again_for_it() {
    let world = looked_at().await;
    let in_tls = world.edge.viewer_url().replace("http:", "https:");
    for (edit, site) in ["http://127.0.0.1:9", "http://no-such-name.invalid", &in_tls].into_iter().enumerate() {
        world.write("index.html", format!("edit {edit}"));
        let arguments = ["deploy", world.source().to_str().unwrap(), "s3://www.example.com", "--verify", site];
        let text = world.run(&arguments).expect(7);
        let all = format!("{}{}", text.stdout, text.stderr);
        assert!(all.contains("could not verify") && all.contains("none of"), "{all}");
        assert!(!all.contains("something else") && !all.contains("otherwise"), "{all}");
        let next = world.deploy(&[]).expect(0);
        assert_eq!((next.outcome(), &next.json["recovered"]), ("nothing-to-do", &serde_json::Value::Null), "{site}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_waits_for_cloudfront_and_holds_the_lease_meanwhile() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    let gate = shipfront_edge::Gate::default();
    world.fault("GetInvalidation", 0, 1, Fault::Hold(gate.clone()));
    let site = world.edge.viewer_url();
    let running = world.start(&["--verify", &site]);
    gate.reached().await;
    assert!(world.run(&["status", "s3://www.example.com"]).expect(0).stdout.contains("! held by process"));
    gate.open();
    finish(running).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_makes_no_sense_without_a_wait_without_a_distribution_or_for_a_shard() {
    let world = World::new(&SITE).await;
    verify(&world, &["--no-wait"]).expect(2);
    verify(&world, &["--shard", "1/2"]).expect(2);
    verify(&world, &["--distribution", "none"]).expect(2).says("no distribution is invalidated");
    world.deploy(&["--verify", "https://www.example.com/blog"]).expect(2).says("name only the host");
    world.fault("GetDistributionConfig", 0, 1, error(403, "AccessDenied"));
    verify(&world, &[]).expect(2).says("cloudfront:GetDistributionConfig");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_a_difference_is_reported_and_is_not_left_to_the_next_deploy() {
    let world = World::new(&SITE).await;
    world.deploy(&["--no-record"]).expect(0);
    get(&world.edge.viewer_url(), "/app.css").await;
    world.write("app.css", "i {}");
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    let run = verify(&world, &["--no-record"]).expect(7);
    assert_eq!(differences(&run).len(), 1);
    let hint = run.json["errors"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("evict it with 'shipfront invalidate'") && !hint.contains("next deploy"), "{hint}");
    assert_eq!(world.deploy(&["--no-record"]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_while_it_verifies_is_finished_by_the_next() {
    // The requests of such a run, to die at each of them from the invalidation on.
    let rehearsal = looked_at().await;
    rehearsal.write("index.html", "an edit");
    rehearsal.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    verify(&rehearsal, &[]).expect(7);
    let requests = rehearsal.edge.requests();
    let invalidated = requests.iter().position(|request| request.operation == "CreateInvalidation").unwrap();
    let ends: Vec<usize> = (invalidated + 2..=requests.len()).collect();
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

#[tokio::test(flavor = "multi_thread")]
async fn of_many_urls_some_are_looked_at_all_over_the_site() {
    let world = looked_at().await;
    for number in 0..300 {
        world.write(&format!("{number:03}.html"), format!("page {number}"));
    }
    let run = verify(&world, &[]).expect(0);
    let verified = &run.json["verified"];
    assert_eq!((verified["urls"].as_u64(), verified["checked"].as_u64()), (Some(300), Some(250)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_go_up_is_not_called_different_and_a_worse_outcome_stays() {
    let world = looked_at().await;
    // One after another: the file that fails is not the first.
    let one = ["--concurrency", "1"];
    world.write("app.css", "i {}");
    world.write("a.css", "u {}");
    world.fault_of("PutObject", "app.css", 0, ALWAYS, denied());
    let run = verify(&world, &one).expect(3);
    assert_eq!((run.outcome(), differences(&run).len()), ("partial", 0), "{}", run.stdout);
    assert_eq!(run.json["verified"]["checked"], 1, "the other file");
    world.write("a.css", "s {}");
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
    let run = verify(&world, &one).expect(3);
    assert_eq!((run.outcome(), differences(&run).len()), ("partial", 1), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_invalidation_nothing_is_verified_and_the_report_says_so() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, denied());
    let run = verify(&world, &[]).expect(4);
    assert!(run.json["verified"].is_null() && run.warnings().contains("was not verified"), "{}", run.stdout);
    verify(&world, &[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_signal_nobody_waits_for_the_verification() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    let gate = shipfront_edge::Gate::default();
    world.fault("CreateInvalidation", 0, 1, Fault::Hold(gate.clone()));
    let site = world.edge.viewer_url();
    let mut running = world.start(&["--verify", &site]);
    gate.reached().await;
    stop(&mut running, "TERM");
    gate.open();
    let run = finish(running);
    assert!(run.json["verified"].is_null() && run.warnings().contains("was not verified"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_looked_at_again_until_it_is_gone_from_the_edge() {
    let world = looked_at().await;
    world.remove("about/index.html");
    world.fault("CreateInvalidation", 0, 1, denied());
    world.deploy(&EXACT).expect(4);
    // Another run finds nothing to do except to report it, and then a third.
    for _ in 0..2 {
        world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
        let found = differences(&verify(&world, &EXACT).expect(7));
        assert!(
            found.len() == 1 && found[0].starts_with("/about/index.html serves what was there before"),
            "{found:?}"
        );
    }
    verify(&world, &EXACT).expect(0);
    assert_eq!(get(&world.edge.viewer_url(), "/about/index.html").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_busy_for_a_moment_is_asked_again() {
    let world = looked_at().await;
    world.write("index.html", "an edit");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = format!("http://{}", listener.local_addr().unwrap());
    let (edge, asked) = (world.edge.viewer_url(), AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let path = String::from_utf8_lossy(&head[..length]).split(' ').nth(1).unwrap().to_owned();
            let (status, body) = match asked.fetch_add(1, Ordering::Relaxed) {
                0 => (503, Vec::new()),
                1 => (429, Vec::new()),
                _ => (200, get(&edge, &path).await.body),
            };
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        }
    });
    let run = world.deploy(&["--verify", &front]).expect(0);
    assert_eq!(run.json["verified"]["checked"], 2, "{}", run.stdout);
}

/// Who reads the log of a build is not to take silence for a site that is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_looked_at_nothing_says_so() {
    let world = looked_at().await;
    let dead = "http://127.0.0.1:9";
    let run = world.deploy(&["--verify", dead]).expect(0);
    let verified = &run.json["verified"];
    assert_eq!((run.outcome(), &verified["urls"], &verified["checked"]), ("nothing-to-do", &0.into(), &0.into()));
    let source = world.source().to_str().unwrap();
    let again = || world.run(&["deploy", source, "s3://www.example.com", "--verify", dead]);
    assert!(again().expect(0).stdout.contains("Nothing to verify at http://127.0.0.1:9: no URL changed"));
    world.write("about/index.html", "an edit");
    let run = again().expect(7);
    assert!(
        run.stdout.contains("Not verified at http://127.0.0.1:9: the changed URL did not answer\n"),
        "{}",
        run.stdout
    );
    world.write("index.html", "an edit");
    let run = again().expect(7);
    assert!(run.stdout.contains("Not verified at http://127.0.0.1:9: none of the 2 changed URLs answered\n"));
    assert!(!run.stdout.contains("Verified"), "{}", run.stdout);
}
