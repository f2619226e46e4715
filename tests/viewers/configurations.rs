//! What a distribution's configuration, readable or not, says about its URLs.

use super::audience::{Seen, audience, collateral, configure, deploy_to, items};
use crate::world::site::{ALWAYS, Run, World, denied};
use shipfront_edge::{CACHING_DISABLED, CacheBehavior, CachePolicy, CacheSettings, Distribution, QueryStrings};

const SITE: [&str; 6] =
    ["404.html", "about/index.html", "assets/app.js", "assets/style.css", "blog/index.html", "index.html"];
const TOUCHED: [&str; 3] = ["about/index.html", "assets/app.js", "news/index.html"];

/// The site deployed through a distribution that rewrites directories to their index.html.
async fn world(prefix: &str, change: impl FnOnce(&mut Distribution)) -> World {
    world_with(QueryStrings::None, prefix, change).await
}

/// The same, where these query strings are in the key of the cache policy `custom`.
async fn world_with(query_strings: QueryStrings, prefix: &str, change: impl FnOnce(&mut Distribution)) -> World {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    let (id, name) = ("custom".to_owned(), "custom".to_owned());
    world.edge.put_cache_policy(CachePolicy { id, name, min_ttl: 1, default_ttl: 60, max_ttl: 3600, query_strings });
    configure(&world, |distribution| {
        *distribution = distribution.clone().with_index_rewrite();
        distribution.origins[0].origin_path = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        change(distribution);
    });
    deploy_to(&world, prefix, &[]).expect(0);
    world
}

/// Edits the site between two rounds in which everybody requests everything; returns what else was lost.
async fn edit(world: &World, prefix: &str, options: &[&str]) -> (Run, usize) {
    let mut everybody = audience(world).of(&SITE).of(&["not/there.html"]).touching(&TOUCHED);
    everybody.fill().await;
    for key in TOUCHED {
        world.write(key, "another");
    }
    let run = deploy_to(world, prefix, options).expect(0);
    let lost = everybody.check(&run).await.len();
    (run, lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_configuration_is_taken_for_the_worst_and_the_permission_named() {
    let world = world("site", |distribution| {
        distribution.default_behavior.cache =
            CacheSettings::Legacy { query_string: true, min_ttl: 0, default_ttl: 86_400, max_ttl: 86_400 };
    })
    .await;
    world.fault("GetDistributionConfig", 0, ALWAYS, denied());
    let (run, _) = edit(&world, "site", &[]).await;
    assert!(run.warnings().contains("allow cloudfront:GetDistributionConfig"), "{}", run.warnings());
    assert_ne!(items(&run), ["/*"], "not knowing is no reason to evict everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_cache_policy_is_taken_for_the_worst_and_the_permission_named() {
    let world = world_with(QueryStrings::All, "", |distribution| {
        distribution.default_behavior.cache = CacheSettings::Policy("custom".to_owned());
    })
    .await;
    world.fault("GetCachePolicy", 0, ALWAYS, denied());
    let (run, _) = edit(&world, "", &[]).await;
    assert!(run.warnings().contains("allow cloudfront:GetCachePolicy"), "{}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn query_strings_in_the_key_cost_a_wildcard_and_others_cost_nothing() {
    let legacy = |query_string| CacheSettings::Legacy { query_string, min_ttl: 0, default_ttl: 60, max_ttl: 60 };
    let custom = || CacheSettings::Policy("custom".to_owned());
    for (settings, query_strings, wild) in [
        (legacy(true), QueryStrings::None, true),
        (legacy(false), QueryStrings::None, false),
        (custom(), QueryStrings::Whitelist(vec!["v".to_owned()]), true),
        (custom(), QueryStrings::All, true),
        (custom(), QueryStrings::None, false),
    ] {
        let reported = format!("{settings:?} {query_strings:?}");
        let change = |distribution: &mut Distribution| distribution.default_behavior.cache = settings;
        let world = world_with(query_strings, "", change).await;
        let (run, lost) = edit(&world, "", &["--strategy", "exact"]).await;
        let wildcards = items(&run).iter().filter(|item| item.ends_with('*')).count();
        assert_eq!(wildcards > 0, wild, "{reported}: {:?}", items(&run));
        assert_eq!((lost, collateral(&run)), (0, 0), "{reported}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_cached_nothing_is_invalidated() {
    let world = world("", |distribution| {
        let mut behavior = CacheBehavior::new("/assets/*", &distribution.origins[0].id);
        behavior.cache = CacheSettings::Policy(CACHING_DISABLED.to_owned());
        distribution.behaviors.push(behavior);
    })
    .await;
    let (run, lost) = edit(&world, "", &["--strategy", "exact"]).await;
    assert!(items(&run).iter().all(|item| !item.starts_with("/assets")), "{:?}", items(&run));
    assert_eq!(lost, 0);
}

fn why(run: &Run) -> &str {
    run.json["invalidations"][0]["why"][0].as_str().unwrap_or_default()
}

async fn missing(world: &World) -> Seen {
    audience(world).see("/not/there.html").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_error_page_is_one_path_where_its_copies_expire_soon() {
    let world = world("", |distribution| {
        distribution.default_behavior.cache =
            CacheSettings::Legacy { query_string: false, min_ttl: 0, default_ttl: 60, max_ttl: 60 };
    })
    .await;
    assert_eq!(missing(&world).await.status, 404);
    world.write("404.html", "lost");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(items(&run), ["/404.html"]);
    assert!(why(&run).contains("expires there within 60 s"), "{}", why(&run));
    world.edge.advance_clock(std::time::Duration::from_secs(60));
    assert_eq!(missing(&world).await.body, "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reach_of_an_error_page_can_be_said() {
    let world = world("", |_| {}).await;
    for (reach, expected) in [("own-path", "/404.html"), ("all", "/*"), ("auto", "/404.html")] {
        world.write("404.html", reach);
        let run = world.deploy(&["--error-page", reach]).expect(0);
        assert_eq!(items(&run), [expected], "{reach}");
        assert_eq!(why(&run).contains("as --error-page says"), reach != "auto", "{}", why(&run));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_policy_that_is_unknown_or_has_no_id_is_a_warning_and_the_conservative_reading() {
    for id in ["", "658327ea-0000-4761-ad1b-b9a155e43cb1"] {
        let world = World::deployed(&[("index.html", "welcome"), ("about.html", "about")]).await;
        let mut distribution = world.edge.distribution(&world.distribution).unwrap();
        distribution.default_behavior.cache = CacheSettings::Policy(id.to_owned());
        world.edge.put_distribution(distribution).unwrap();
        world.write("about.html", "about us");
        let run = world.deploy(&[]).expect(0);
        assert!(run.warnings().contains("a cache policy of"), "{id:?}: {}", run.warnings());
        assert_eq!(world.writes(), ["PUT about.html", "INVALIDATE /about.htm*"], "{id:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_star_never_goes_as_an_exact_path() {
    let world = World::deployed(&[("index.html", "welcome"), ("notes/a*b.html", "one"), ("notes/c.html", "c")]).await;
    world.write("notes/a*b.html", "two");
    world.deploy(&crate::world::site::EXACT).expect(0);
    assert_eq!(world.writes(), ["PUT notes/a*b.html", "INVALIDATE /notes/a*"]);
}
