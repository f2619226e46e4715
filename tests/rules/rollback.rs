//! What was published is rolled back with its site.

use super::{attach, leads, live, publish, view, world, writes};
use crate::world::site::{BUCKET, Run, TARGET, World};

const SITE: [(&str, &str); 3] = [("about/index.html", "about"), ("app.js", "code"), ("index.html", "welcome")];
const FIRST: [(&str, &str); 2] = [
    ("_redirects", "/stays /about/\n/gone.html /about/\n/:a/cat /about/ 302 Language=de\n"),
    ("_headers", "/*\n  X-Frame-Options: SAMEORIGIN\n  X-A: b\n/about/*\n  ! X-A\n"),
];

pub(crate) fn rollback(world: &World, options: &[&str]) -> Run {
    let arguments: Vec<&str> = ["rollback", TARGET, "--json"].into_iter().chain(options.iter().copied()).collect();
    world.run(&arguments)
}

/// A site that was deployed twice, with different rules the second time.
pub(crate) async fn twice() -> World {
    let world = world(&SITE).await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    for (name, text) in FIRST {
        world.write(name, text);
    }
    publish(&world).expect(0);
    world.write("index.html", "welcome two");
    world.write("_redirects", "/stays /\n/comes.html /about/\n");
    world.write("_headers", "/*\n  X-Frame-Options: DENY\n");
    publish(&world).expect(0);
    world.edge.clear_requests();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_the_earlier_deploy_are_tried_and_published_again_after_its_pages() {
    let world = twice().await;
    let plan = rollback(&world, &["--plan"]).expect(0);
    assert_eq!((&plan.json["rules"][0]["change"], writes(&world)), (&"changed".into(), vec![]));
    assert_eq!(leads(&world, "/comes.html").await.0, 301);
    rollback(&world, &[]).expect(0);
    let writes = writes(&world);
    let at =
        |write: &str| writes.iter().position(|found| found == write).unwrap_or_else(|| panic!("{write}: {writes:?}"));
    assert!(at("TestFunction site-request") < at("CopyObject index.html"), "{writes:?}");
    assert!(at("CopyObject index.html") < at("PublishFunction site-request"), "{writes:?}");
    assert_eq!(writes.last().unwrap(), "INVALIDATE / /comes.html /comes.html/ /index.html");
    assert_eq!(leads(&world, "/stays").await, (301, "/about/".to_owned()));
    assert_eq!(leads(&world, "/gone.html").await, (301, "/about/".to_owned()));
    assert_eq!(leads(&world, "/comes.html").await.0, 404);
    let root = view(&world, "/").await;
    assert_eq!((root.header("x-frame-options"), root.header("x-a")), (Some("SAMEORIGIN"), Some("b")));
    assert_eq!(view(&world, "/about/").await.header("x-a"), None);

    // A deploy of the old build finds everything as the rollback left it.
    world.edge.clear_requests();
    for (name, text) in SITE.into_iter().chain(FIRST) {
        world.write(name, text);
    }
    let again = publish(&world).expect(0);
    assert_eq!((again.outcome(), super::writes(&world)), ("nothing-to-do", vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_functions_are_no_longer_its_own_nothing_is_changed() {
    let world = twice().await;
    world.edge.put_function(&super::function("site-request", "somebody else's", "request")).unwrap();
    let run = rollback(&world, &[]).expect(6);
    assert!(run.stderr.contains("does not belong to shipfront") && writes(&world).is_empty(), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_an_earlier_deploy_did_not_publish_stay_with_a_warning() {
    let world = World::new(&SITE).await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.close_the_record().await;
    world.deploy(&[]).expect(0);
    attach(&world.edge, BUCKET, &world.distribution);
    world.write("_redirects", "/comes /about/\n");
    world.write("index.html", "welcome two");
    publish(&world).expect(0);
    let before = live(&world.edge, "site-request");
    let run = rollback(&world, &[]).expect(0);
    assert!(run.warnings().contains("the published rules stay as they are"), "{}", run.warnings());
    assert_eq!((live(&world.edge, "site-request"), view(&world, "/").await.text()), (before, "welcome".to_owned()));
}
