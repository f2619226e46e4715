//! CloudFronts of every quota: the older rule, the newer one, and stricter ones that nobody published.

use crate::world::site::{ALWAYS, Run, World, denied};
use shipfront_edge::{InProgressQuota, Progress, Quotas};
use std::collections::BTreeMap;
use std::time::Duration;

/// As many paths as there are pages, and as many wildcards as there are keys without an exact path.
const OPTIONS: [&str; 4] = ["--max-paths", "200", "--max-wildcards", "40"];

/// A site with this many pages, each with an unchanged neighbor, so that no wildcard is free.
async fn site(items: (usize, usize)) -> World {
    let world = World::new(&[("index.html", "welcome")]).await;
    for (folder, count) in [("p", items.0), ("d", items.1)] {
        for at in 0..count {
            world.write(&format!("{folder}{at}-stays.html"), "unchanged");
        }
    }
    edit(&world, items, "before");
    world.deploy(&["--distribution", "none"]).expect(0);
    edit(&world, items, "after");
    world.edge.clear_requests();
    world
}

fn edit(world: &World, (paths, wildcards): (usize, usize), content: &str) {
    for at in 0..paths {
        world.write(&format!("p{at}.html"), content);
    }
    // A `~` can only be invalidated by a wildcard that ends before it.
    for at in 0..wildcards {
        world.write(&format!("d{at}/~x.html"), content);
    }
}

/// Deploys an edit that takes this many paths and wildcards, under a quota.
async fn edited_under(quotas: Quotas, progress: Progress, items: (usize, usize)) -> (World, Run) {
    let world = site(items).await;
    world.edge.set_invalidation_progress(progress);
    world.edge.set_invalidation_quotas(quotas);
    let run = world.deploy(&OPTIONS).expect(0);
    (world, run)
}

/// The accepted and the refused requests, by number of items.
fn requests(world: &World) -> (BTreeMap<usize, usize>, BTreeMap<usize, usize>) {
    let (mut accepted, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for request in world.edge.requests().iter().filter(|request| request.operation == "CreateInvalidation") {
        let counts = if request.status < 300 { &mut accepted } else { &mut refused };
        *counts.entry(request.items.len()).or_default() += 1;
    }
    (accepted, refused)
}

/// Checks that every item was accepted once, that the JSON has each request, and that the first of them has the
/// counts.
fn assert_all_accepted(world: &World, run: &Run, (paths, wildcards): (usize, usize)) {
    let reported = run.json["invalidations"].as_array().unwrap();
    let mut items: Vec<&str> =
        reported.iter().flat_map(|one| one["items"].as_array().unwrap()).map(|item| item.as_str().unwrap()).collect();
    items.sort_unstable();
    let count = items.len();
    items.dedup();
    assert_eq!((count, items.len()), (paths + wildcards, paths + wildcards), "{items:?}");
    assert_eq!(items.iter().filter(|item| item.ends_with('*')).count(), wildcards);
    assert!(reported.iter().all(|one| one["status"] == "Completed"), "{reported:?}");
    assert_eq!(reported.iter().filter(|one| one["viewer_paths"] != 0).count(), 1);
    assert_ne!(reported[0]["viewer_paths"], 0);
    let (accepted, _) = requests(world);
    assert_eq!(accepted.iter().map(|(items, count)| items * count).sum::<usize>(), paths + wildcards);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_more_wildcards_than_may_be_in_progress_is_sent_in_parts() {
    let quotas = Quotas { in_progress: Some(InProgressQuota { paths: 20, wildcards: 2 }), ..Quotas::default() };
    let (world, run) = edited_under(quotas, Progress::After(Duration::from_secs(2)), (18, 4)).await;
    assert_all_accepted(&world, &run, (18, 4));
    assert!(world.count("GetInvalidation") > 0, "it waits for its own before it tries smaller requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_wildcards_than_a_second_holds_go_one_by_one_and_paths_do_not_wait_for_them() {
    let (world, run) = edited_under(Quotas::newer(), Progress::Polls(1), (18, 4)).await;
    assert_all_accepted(&world, &run, (18, 4));
    let (accepted, refused) = requests(&world);
    assert_eq!(accepted, BTreeMap::from([(1, 4), (18, 1)]));
    assert!(refused.contains_key(&22) && refused.values().sum::<usize>() < 8, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_needs_hundreds_of_wildcards_shares_them_in_two_requests() {
    let world = site((0, 70)).await;
    let run = world.plan(&OPTIONS[..2]).expect(0);
    let items = |run: &Run| {
        let reported = run.json["invalidations"].as_array().unwrap();
        reported.iter().map(|one| one["items"].as_array().unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!((items(&run), &run.json["cost"]["requests"]["create_invalidation"]), (vec![30], &2.into()));
    let first = &run.json["invalidations"][0];
    let why = first["why"].as_array().unwrap().last().unwrap().as_str().unwrap();
    assert!(why.starts_with("30 wildcards instead of at most 10, sent in several requests"), "{why}");
    assert!(why.contains("that would take 70"), "{why}");
    assert!(first["collateral"].as_u64() > Some(0));

    let run = world.plan(&["--max-paths", "200", "--max-wildcards", "70"]).expect(0);
    let reported = &run.json["invalidations"][0];
    assert_eq!(
        (items(&run), &reported["collateral"], &reported["why"]),
        (vec![70], &0.into(), &serde_json::Value::Null)
    );
    let run = world.plan(&["--max-paths", "200", "--max-wildcards", "45"]).expect(0);
    // Ten fewer for each tens digit that they share.
    assert_eq!(items(&run), [40], "whoever asks for more gets it");
    let why = run.json["invalidations"][0]["why"].to_string();
    assert!(why.contains("40 wildcards: ") && why.contains("--max-wildcards allows more"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_item_is_the_most_of_a_request_every_item_is_one() {
    let (world, run) = edited_under(Quotas::per_request(1, 1), Progress::Polls(0), (8, 2)).await;
    assert_all_accepted(&world, &run, (8, 2));
    assert_eq!(requests(&world).0, BTreeMap::from([(1, 10)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_accepted_is_left_to_the_next_deploy_and_the_rest_was_sent_once() {
    let world = site((18, 4)).await;
    world.edge.set_invalidation_quotas(Quotas::per_request(3, 1));
    // Some requests are refused for their size, some are accepted; then the role may no longer send any.
    world.fault("CreateInvalidation", 10, ALWAYS, denied());
    let run = world.deploy(&OPTIONS).expect(4);
    let reported = run.json["invalidations"].as_array().unwrap();
    let failed: Vec<_> = reported.iter().filter(|one| one["status"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{reported:?}");
    assert!(reported.len() > 1, "some was accepted: {reported:?}");

    world.edge.faults().clear();
    world.edge.set_invalidation_quotas(Quotas::default());
    let run = world.deploy(&OPTIONS).expect(0);
    let again = run.json["invalidations"].as_array().unwrap();
    let items = again.iter().map(|one| one["items"].as_array().unwrap().len()).sum::<usize>();
    assert_eq!(items, 22, "all of it: what became stale meanwhile is not known");
}

/// Figures of an ordinary deploy: `cargo nextest run -E 'test(an_ordinary_deploy_under)' --run-ignored all --no-capture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "32 wildcards at 1 a second, three times"]
async fn an_ordinary_deploy_under_each_quota() {
    let after = Progress::After(Duration::from_secs(20));
    for (name, quotas, progress) in [
        ("older rule", Quotas::older(), after),
        ("newer rule, bucket of 1", Quotas::newer(), after),
        ("1 item a request", Quotas::per_request(1, 1), after),
        ("all rules, 5 items and 1 wildcard a request", Quotas::strictest(), after),
    ] {
        let (world, run) = edited_under(quotas, progress, (108, 32)).await;
        assert_all_accepted(&world, &run, (108, 32));
        let (accepted, refused) = requests(&world);
        let of = |counts: &BTreeMap<usize, usize>| counts.values().sum::<usize>();
        let times = world.edge.requests();
        let mut times = times.iter().filter(|request| request.operation == "CreateInvalidation").map(|one| one.at);
        let (first, last) = (times.next().unwrap(), times.next_back().unwrap());
        println!(
            "{name}: {} accepted {accepted:?}, {} refused {refused:?}, {:.1} s until all was accepted",
            of(&accepted),
            of(&refused),
            (last - first).as_secs_f64()
        );
    }
}
