//! The user's decisions about URLs and items.

use super::audience::{audience, collateral, configure, items};
use crate::world::site::World;
use std::collections::BTreeSet;

const SITE: [&str; 6] =
    ["about.html", "blog/a/index.html", "blog/b/index.html", "blog/index.html", "index.html", "robots.txt"];
const TOUCHED: [&str; 3] = ["about.html", "blog/a/index.html", "blog/c/index.html"];

/// The site deployed; its distribution rewrites directories.
async fn world() -> World {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    rewrite(&world);
    world.deploy(&[]).expect(0);
    world
}

fn rewrite(world: &World) {
    configure(world, |distribution| *distribution = distribution.clone().with_index_rewrite());
}

fn edit(world: &World) {
    for key in TOUCHED {
        world.write(key, "another");
    }
}

fn has(items: &[String], path: &str) -> bool {
    items.iter().any(|item| item == path)
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_forms_go_by_the_configuration_unless_one_says_otherwise() {
    let world = world().await;
    edit(&world);
    let plan = |alias| items(&world.plan(&["--strategy", "exact", "--index-alias", alias]).expect(0));
    for alias in ["auto", "always"] {
        assert!(has(&plan(alias), "/blog/a/") && has(&plan(alias), "/blog/a"), "{alias}");
    }
    assert_eq!(plan("never"), ["/about.html", "/blog/a/index.html", "/blog/c/index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_that_no_configuration_shows_can_be_configured() {
    for (alias, fresh) in [("auto", false), ("always", true)] {
        let world = world().await;
        let mut everybody = audience(&world).of(&SITE).touching(&TOUCHED);
        everybody.fill().await;
        edit(&world);
        // What a deploy reads from the configuration.
        configure(&world, |distribution| distribution.default_behavior.functions.clear());
        let run = world.deploy(&["--index-alias", alias]).expect(0);
        rewrite(&world);
        assert_eq!(everybody.stale().await.is_empty(), fresh, "{alias}: {:?}", items(&run));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_urls_are_urls_only_where_one_says_so() {
    let world = world().await;
    edit(&world);
    let plan = |options: &[&str]| items(&world.plan(&[&["--strategy", "exact"], options].concat()).expect(0));
    assert!(!has(&plan(&[]), "/about"));
    assert!(has(&plan(&["--clean-urls"]), "/about") && has(&plan(&["--clean-urls"]), "/about.html"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_leaves_nothing_stale_and_evicts_what_it_says() {
    let exact = BTreeSet::from([
        "/about.html",
        "/blog/a",
        "/blog/a/",
        "/blog/a/index.html",
        "/blog/c",
        "/blog/c/",
        "/blog/c/index.html",
    ]);
    for (strategy, budget, expected) in [
        ("exact", "7", Some(&exact)),
        ("exact", "6", Some(&BTreeSet::from(["/*"]))),
        ("all", "50", Some(&BTreeSet::from(["/*"]))),
        ("cover", "7", None),
        ("cover", "6", None),
        ("cover", "3", None),
    ] {
        let world = world().await;
        let mut everybody = audience(&world).of(&SITE).touching(&TOUCHED);
        everybody.fill().await;
        edit(&world);
        let run = world.deploy(&["--strategy", strategy, "--max-paths", budget]).expect(0);
        let reported = format!("{strategy} {budget}: {:?}", items(&run));
        let lost = everybody.check(&run).await;
        assert!(items(&run).len() <= budget.parse().unwrap(), "{reported}");
        if let Some(expected) = expected {
            let sent = items(&run);
            assert_eq!(&sent.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{reported}");
        }
        let everything = has(&items(&run), "/*");
        assert_eq!(lost.contains("/robots.txt"), everything, "{reported}");
        assert_eq!(everything, strategy == "all" || (strategy, budget) == ("exact", "6"), "{reported}");
        assert_eq!(collateral(&run) == 0, lost.is_empty(), "{reported}");
    }
}
