//! CloudFront is busy, refuses, or its responses are lost.

use super::SITE;
use crate::world::site::{ALWAYS, BUCKET, EXACT, Run, TARGET, World, denied, error, finish};
use shipfront_edge::{Distribution, Fault, InvalidationStatus, Progress};

/// A deployed site with one edited page.
async fn edited() -> World {
    let world = World::deployed(&SITE).await;
    world.write("about.html", "an edit");
    world
}

fn status(run: &Run) -> &str {
    run.json["invalidations"][0]["status"].as_str().unwrap()
}

/// The items in a distribution's last invalidation, sorted.
fn last_items(world: &World, distribution: &str) -> Vec<String> {
    let mut items = world.edge.invalidations(distribution).pop().map(|last| last.items).unwrap_or_default();
    items.sort();
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudfront_that_is_busy_is_waited_out() {
    let mut running = Vec::new();
    for fault in [
        error(400, "TooManyInvalidationsInProgress"),
        error(400, "Throttling"),
        Fault::SlowDown,
        error(500, "InternalError"),
    ] {
        let world = edited().await;
        world.fault("CreateInvalidation", 0, 1, fault.clone());
        // They all wait at the same time.
        running.push((world.start(&EXACT), world, fault));
    }
    for (child, world, fault) in running {
        let run = finish(child).expect(0);
        assert_eq!((run.outcome(), status(&run)), ("deployed", "Completed"), "{fault:?}");
        assert_eq!(world.count("CreateInvalidation"), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_of_invalidations_is_waited_out_until_there_is_room() {
    let world = edited().await;
    world.edge.limit_invalidations_in_progress(Some(0));
    let running = world.start(&EXACT);
    world.arrival_of("CreateInvalidation", 2).await;
    world.edge.limit_invalidations_in_progress(None);
    let run = finish(running).expect(0);
    assert_eq!(run.outcome(), "deployed");
    assert_eq!(last_items(&world, &world.distribution), ["/about.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_that_fails_for_good_leaves_the_command_to_repeat() {
    let world = edited().await;
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    let arguments = world.arguments("deploy", TARGET, &EXACT);
    let text: Vec<&str> = arguments.into_iter().filter(|argument| *argument != "--json").collect();
    let run = world.run(&text).expect(4);
    let command = format!("shipfront invalidate --distribution {} '/about.html'", world.distribution);
    assert!(run.stdout.contains(&command), "{}", run.stdout);

    world.edge.faults().clear();
    world.run(&["invalidate", "--distribution", &world.distribution, "/about.html"]).expect(0);
    assert_eq!(last_items(&world, &world.distribution), ["/about.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_invalidation_is_called_stale_in_the_json_too() {
    let world = edited().await;
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    let run = world.deploy(&EXACT).expect(4);
    assert_eq!((run.outcome(), status(&run)), ("stale", "failed"));
    assert_eq!(run.json["invalidations"][0]["items"][0], "/about.html");
    assert_eq!(run.objects("uploaded"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_whose_answer_was_lost_is_asked_for_again_and_paid_once() {
    let world = edited().await;
    let before = world.edge.invalidations(&world.distribution).len();
    world.fault("CreateInvalidation", 0, 1, Fault::ResetAfter);
    let run = world.deploy(&EXACT).expect(0);
    assert_eq!(world.writes(), ["PUT about.html", "INVALIDATE /about.html -> reset", "INVALIDATE /about.html"]);
    let accepted = &world.edge.invalidations(&world.distribution)[before..];
    assert_eq!(accepted.len(), 1, "the same caller reference is the same invalidation: {accepted:?}");
    assert_eq!(run.json["invalidations"][0]["id"], accepted[0].id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deploys_of_the_same_edit_are_two_invalidations() {
    let world = edited().await;
    world.deploy(&EXACT).expect(0);
    world.write("about.html", "about");
    world.deploy(&EXACT).expect(0);
    world.write("about.html", "an edit");
    world.deploy(&EXACT).expect(0);
    let invalidations = world.edge.invalidations(&world.distribution);
    assert_eq!(invalidations.iter().filter(|one| one.items == ["/about.html"]).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_waits_until_cloudfront_has_finished() {
    let world = edited().await;
    world.edge.set_invalidation_progress(Progress::Polls(2));
    let run = world.deploy(&EXACT).expect(0);
    assert_eq!((status(&run), world.count("GetInvalidation")), ("Completed", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wait_ends_as_soon_as_cloudfront_has_accepted() {
    let world = edited().await;
    world.edge.set_invalidation_progress(Progress::Polls(u64::MAX));
    let run = world.deploy(&[EXACT[0], EXACT[1], "--no-wait"]).expect(0);
    assert_eq!((run.outcome(), status(&run)), ("deployed", "InProgress"));
    assert_eq!(world.count("GetInvalidation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_takes_too_long_ends_with_a_warning_and_no_failure() {
    let world = edited().await;
    world.edge.set_invalidation_progress(Progress::Polls(u64::MAX));
    let run = world.deploy(&[EXACT[0], EXACT[1], "--wait-timeout", "1s"]).expect(0);
    let run = run.says("warning:").says("did not complete it within 1 s");
    assert_eq!((run.outcome(), status(&run)), ("deployed", "InProgress"));
    let accepted = world.edge.invalidations(&world.distribution).pop().unwrap();
    assert_eq!(accepted.status, InvalidationStatus::InProgress);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_distribution_is_asked_for_its_own_urls_of_what_it_shows() {
    let world = World::deployed(&[("blog/index.html", "b"), ("blog/style.css", "s"), ("index.html", "i")]).await;
    let mut blog = Distribution::for_bucket(BUCKET);
    blog.id = "E2BLOG00000000".to_owned();
    blog.origins[0].origin_path = "/blog".to_owned();
    world.edge.put_distribution(blog).unwrap();

    world.write("blog/index.html", "edit");
    world.write("index.html", "edit");
    let run = world.deploy(&EXACT).expect(0);
    assert_eq!(last_items(&world, &world.distribution), ["/", "/blog/index.html", "/index.html"]);
    assert_eq!(last_items(&world, "E2BLOG00000000"), ["/", "/index.html"]);
    assert_eq!(run.json["invalidations"].as_array().unwrap().len(), 2);

    world.write("index.html", "edit of what only the first shows");
    world.deploy(&EXACT).expect(0);
    assert_eq!(world.edge.invalidations("E2BLOG00000000").len(), 1, "it shows nothing of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_distribution_that_refuses_does_not_keep_the_other_from_being_asked() {
    let world = edited().await;
    let mut other = Distribution::for_bucket(BUCKET);
    other.id = "E0FIRST0000000".to_owned();
    world.edge.put_distribution(other).unwrap();
    world.fault_of("CreateInvalidation", "E0FIRST0000000", 0, ALWAYS, denied());
    let run = world.deploy(&EXACT).expect(4);
    assert_eq!(run.outcome(), "stale");
    assert_eq!(last_items(&world, &world.distribution), ["/about.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_distributions_of_the_bucket_are_found_on_every_page_of_the_list() {
    let world = World::new(&SITE).await;
    for bucket in ["other.example.com", "third.example.com"] {
        world.edge.ensure_site(bucket).unwrap();
    }
    let mut second = Distribution::for_bucket(BUCKET);
    second.id = "E2SECOND000000".to_owned();
    world.edge.put_distribution(second).unwrap();
    world.edge.set_list_page_size(1);
    world.deploy(&EXACT).expect(0);
    assert_eq!(world.count("ListDistributions"), 4);
    assert_eq!(world.edge.invalidations(&world.distribution).len(), 1);
    assert_eq!(world.edge.invalidations("E2SECOND000000").len(), 1);
    assert_eq!(world.count("CreateInvalidation"), 2);
}
