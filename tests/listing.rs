//! Large targets: listed in many ranges at once, without missing an object.

use crate::world::site::{BUCKET, World};

/// A site of this many small pages, in folders.
async fn site_of(pages: usize) -> World {
    let world = World::new(&[]).await;
    for at in 0..pages {
        world.write(&name(at), format!("page {at}"));
    }
    world
}

fn name(at: usize) -> String {
    format!("{}/{}/{at}.html", ["blog", "docs", "news"][at % 3], at % 7)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_site_is_listed_in_as_many_ranges_as_it_has_thousands() {
    let world = site_of(2_500).await;
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), run.objects("kept")), ("nothing-to-do", 2_500));
    // Three ranges, none of which waits for another, and the request that finds the bucket.
    assert_eq!(world.count("ListObjectsV2"), 4);
    assert_eq!(run.json["requests"]["get"], 3, "the state, the manifest and the side file");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_source_is_found_in_whatever_range_it_is() {
    let world = site_of(2_500).await;
    world.deploy(&[]).expect(0);
    // One page in each range and at each end stays.
    let keys = world.keys();
    let stays: Vec<String> = keys.iter().step_by(500).chain(keys.last()).cloned().collect();
    for key in keys.iter().filter(|key| !stays.contains(key)) {
        world.remove(key);
    }
    let run = world.deploy(&["--prune-after", "0s", "--max-delete", "3000", "--allow-removals"]).expect(0);
    assert_eq!(run.objects("pruned"), 2_500 - stays.len() as u64);
    assert_eq!(world.keys(), stays);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lists_out_of_order_is_listed_one_answer_after_the_other() {
    let world = site_of(1_100).await;
    world.deploy(&[]).expect(0);
    world.edge.set_lists_backwards(BUCKET, true).unwrap();
    world.remove(&name(7));
    world.write(&name(8), "changed");
    let run = world.deploy(&["--prune-after", "0s"]).expect(0);
    assert!(run.warnings().contains("out of order"), "{}", run.warnings());
    let changes = [format!("upload size {}", name(8)), format!("prune orphaned {}", name(7))];
    assert_eq!(run.changes().len(), 2);
    assert!(changes.iter().all(|change| run.changes().contains(change)), "{:?}", run.changes());
    assert_eq!(world.keys().len(), 1_099);
}
