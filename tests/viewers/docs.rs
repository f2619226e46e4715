//! The successive states of a documentation site, whose digests are in every page and in its error page.

use crate::world::docs_site::docs_site;
use crate::world::docs_viewers::{Effect, Viewers, configure};
use crate::world::site::{BUCKET, Run, World};
use crate::world::sites::write;
use std::collections::BTreeMap;

const PAGES: usize = 32;
const STATES: usize = 6;

/// Deploys one state after another, each over a cache that is full; what each did to it from the second on.
async fn replay(options: &[&str]) -> Vec<(Effect, Run)> {
    let world = World::new(&[]).await;
    world.close_the_record().await;
    configure(&world.edge, &world.distribution).unwrap();
    let viewers = Viewers::new(&world.edge, BUCKET, &world.distribution);
    let mut before = BTreeMap::new();
    let mut effects = Vec::new();
    for state in 0..STATES {
        let site = docs_site(state, PAGES);
        let cached = viewers.warm(&site).await;
        assert!(cached.len() >= site.len(), "only {} copies are cached", cached.len());
        write(world.source(), &site);
        let run = world.deploy(&[&["--prune-after", "90s"], options].concat()).expect(0);
        let effect = viewers.effect(&cached, &run.json);
        assert_eq!(effect.complaints, [""; 0], "state {state}: {:?}", effect.items);
        assert!(effect.changed > 0);
        let stale = viewers.stale(&before, &site).await;
        assert!(stale.is_empty(), "state {state}: {stale:?} after {:?}", effect.items);
        effects.push((effect, run));
        before = site;
    }
    effects.split_off(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_states_of_a_documentation_site_evict_what_they_change_and_nothing_else() {
    for (effect, run) in replay(&[]).await {
        assert!(!effect.items.iter().any(|item| item == "/*"), "{:?}", run.json["invalidations"]);
        assert_eq!((effect.unchanged, effect.wildcards()), (0, 0), "{:?}", effect.items);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_paths_are_few_the_states_of_a_documentation_site_evict_exactly_what_is_announced() {
    let effects = replay(&["--free-paths", "40"]).await;
    let wildcards: usize = effects.iter().map(|(effect, _)| effect.wildcards()).sum();
    let unchanged: usize = effects.iter().map(|(effect, _)| effect.unchanged).sum();
    assert!(wildcards > 0 && unchanged > 0, "{effects:?}");
}
