//! The successive states of a documentation site, with digests in every page and in its error page, deployed over a
//! full cache.

use crate::world::docs_site::docs_site;
use crate::world::docs_viewers::{Effect, Viewers, configure};
use crate::world::site::{BUCKET, Run, World};
use crate::world::sites::write;
use std::collections::BTreeMap;

/// Deploys one state after another, each over a full cache; returns what each did to it from the second on.
async fn replay(states: usize, pages: usize, options: &[&str]) -> Vec<(Effect, Run)> {
    let world = World::new(&[]).await;
    world.close_the_record().await;
    configure(&world.edge, &world.distribution).unwrap();
    let viewers = Viewers::new(&world.edge, BUCKET, &world.distribution);
    let mut before = BTreeMap::new();
    let mut effects = Vec::new();
    for state in 0..states {
        let site = docs_site(state, pages);
        let warm = viewers.warm(&site).await;
        assert!(warm.len() >= site.len(), "only {} copies are cached", warm.len());
        write(world.source(), &site);
        let run = world.deploy(&[&["--prune-after", "90s"], options].concat()).expect(0);
        let effect = viewers.effect(&warm, &run.json);
        assert_eq!(effect.complaints, [""; 0], "state {state}: {:?}", effect.items);
        assert!(effect.changed > 0);
        let stale = viewers.stale(&before, &site).await;
        assert!(stale.is_empty(), "state {state}: {stale:?} after {:?}", effect.items);
        effects.push((effect, run));
        before = site;
    }
    let later = effects.split_off(1);
    for (effect, run) in &later {
        assert!(!effect.items.iter().any(|item| item == "/*"), "{:?}", run.json["invalidations"]);
    }
    assert!(later.iter().any(|(effect, _)| effect.items.iter().any(|item| item == "/404.html")), "{later:?}");
    later
}

#[tokio::test(flavor = "multi_thread")]
async fn the_states_of_a_documentation_site_evict_what_they_change_and_nothing_else() {
    for (effect, _) in replay(6, 32, &[]).await {
        assert_eq!(effect.unchanged, 0, "{:?}", effect.items);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_paths_are_few_the_states_of_a_documentation_site_evict_exactly_what_is_announced() {
    let effects = replay(6, 32, &["--free-paths", "40"]).await;
    let wildcards: usize = effects.iter().map(|(effect, _)| effect.wildcards()).sum();
    let unchanged: usize = effects.iter().map(|(effect, _)| effect.unchanged).sum();
    assert!(wildcards > 0 && unchanged > 0, "{effects:?}");
}

/// Prints a line for each deploy.
#[ignore = "takes minutes, and is for people to read; see CONTRIBUTING.md"]
#[tokio::test(flavor = "multi_thread")]
async fn the_states_of_a_large_documentation_site() {
    println!("deploy  changes  items  wildcards  changed  unchanged  errors");
    for (number, (effect, run)) in (2..).zip(replay(24, 300, &[]).await) {
        let changes = run.json["changes"].as_array().map_or(0, Vec::len);
        let Effect { items, changed, unchanged, errors, .. } = &effect;
        let (items, wildcards) = (items.len(), effect.wildcards());
        println!("{number:>6}  {changes:>7}  {items:>5}  {wildcards:>9}  {changed:>7}  {unchanged:>9}  {errors:>6}");
    }
}
