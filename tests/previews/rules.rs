//! The rules of a preview's build: its record keeps them, and its promotion publishes them.

use super::{AT, PREVIEWS, preview, promote};
use crate::rules::rollback::rollback;
use crate::rules::{self, PUBLISH, function, leads, live, publish, view, writes};
use crate::world::site::{ALWAYS, BUCKET, Run, TARGET, World, denied};
use serde_json::Value;

const SITE: [(&str, &str); 3] = [("about/index.html", "about"), ("app.js", "code"), ("index.html", "welcome")];
const RULES: [&str; 1] = ["--publish-rules"];

/// Production with these rules live, and a bucket for previews.
async fn published(redirects: &str, headers: &str) -> World {
    let world = rules::world(&SITE).await;
    world.edge.ensure_site(PREVIEWS).unwrap();
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.write("_redirects", redirects);
    world.write("_headers", headers);
    publish(&world).expect(0);
    world.edge.clear_requests();
    world
}

fn deploys(world: &World) -> Vec<Value> {
    world.run(&["history", TARGET, "--json"]).expect(0).json["deploys"].as_array().unwrap().clone()
}

fn exactly(run: &Run) -> (&str, u64) {
    (run.outcome(), run.objects("copied"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_publishes_the_rules_of_the_previews_build_and_a_rollback_takes_them_back() {
    let world = published("/stays /about/\n/goes.html /about/\n", "/*\n  X-Frame-Options: SAMEORIGIN\n").await;
    world.write("index.html", "welcome two");
    world.write("main.js", "code");
    world.write("_redirects", "/stays /\n/comes.html /main.js 302\n");
    world.write("_headers", "/*\n  X-Frame-Options: DENY\n");
    let deployed = preview(&world, "new", &RULES).expect(0);
    let sentence = "2 redirects and 1 header are not active in a preview; 'shipfront promote' publishes the rules";
    assert!(deployed.warnings().contains(sentence), "{}", deployed.warnings());
    assert_eq!(world.count("UpdateFunction"), 0);
    assert_eq!(leads(&world, "/stays").await.1, "/about/", "production is left alone");
    assert_eq!(view(&world, "/about/").await.header("x-frame-options"), Some("SAMEORIGIN"));
    // A preview records no other build than its own.
    for (name, text) in [("_redirects", "/other.html /\n"), ("_headers", "/*\n  X-Other: yes\n")] {
        world.write(name, text);
    }

    world.edge.clear_requests();
    let plan = promote(&world, "new", &["--plan"]).expect(0);
    assert_eq!((&plan.json["rules"][0]["change"], writes(&world)), (&"changed".into(), vec![]));
    let run = promote(&world, "new", &[&crate::world::site::EXACT[..], &["--concurrency", "1"]].concat()).expect(0);
    // One copy tests the store's conditions.
    let written: Vec<String> = writes(&world).into_iter().filter(|write| !write.contains(" -> ")).collect();
    let expected = [
        "UpdateFunction site-request",
        "TestFunction site-request",
        "UpdateFunction site-response",
        "TestFunction site-response",
        "CopyObject main.js",
        "CopyObject index.html",
        "PublishFunction site-request",
        "PublishFunction site-response",
        "INVALIDATE / /goes.html /goes.html/ /index.html /main.js",
    ];
    assert_eq!(written, expected, "{}", run.stdout);
    assert_eq!(leads(&world, "/stays").await, (301, "/".to_owned()));
    assert_eq!(leads(&world, "/comes.html").await, (302, "/main.js".to_owned()));
    assert_eq!((leads(&world, "/goes.html").await.0, leads(&world, "/other.html").await.0), (404, 404));
    let about = view(&world, "/about/").await;
    assert_eq!((about.header("x-frame-options"), about.header("x-other")), (Some("DENY"), None));

    // A deploy of the same build finds everything as the promotion left it.
    world.write("_redirects", "/stays /\n/comes.html /main.js 302\n");
    world.write("_headers", "/*\n  X-Frame-Options: DENY\n");
    world.edge.clear_requests();
    let again = publish(&world).expect(0);
    assert_eq!((again.outcome(), writes(&world)), ("nothing-to-do", vec![]), "{}", again.stdout);
    assert_eq!(promote(&world, "new", &[]).expect(0).outcome(), "nothing-to-do");

    rollback(&world, &[]).expect(0);
    assert_eq!(leads(&world, "/stays").await, (301, "/about/".to_owned()));
    assert_eq!(leads(&world, "/goes.html").await, (301, "/about/".to_owned()));
    assert_eq!(leads(&world, "/comes.html").await.0, 404);
    assert_eq!(view(&world, "/about/").await.header("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(view(&world, "/").await.text(), "welcome");
}

/// No object reveals a change of rules only: it has its own entry in the history nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_rules_alone_is_promoted_and_rolled_back() {
    let world = published("/a.html /about/\n", "").await;
    world.write("_redirects", "/b.html /about/\n");
    preview(&world, "new", &RULES).expect(0);
    world.edge.clear_requests();
    assert_eq!(exactly(&promote(&world, "new", &[]).expect(0)), ("deployed", 0));
    assert_eq!(writes(&world).last().unwrap(), "INVALIDATE /a.html /a.html/");
    assert_eq!((leads(&world, "/a.html").await.0, leads(&world, "/b.html").await.0), (404, 301));
    assert_eq!(deploys(&world).len(), 2);
    rollback(&world, &[]).expect(0);
    assert_eq!((leads(&world, "/a.html").await.0, leads(&world, "/b.html").await.0), (301, 404));
    // And so does a deploy of them.
    world.write("_redirects", "/c.html /about/\n");
    publish(&world).expect(0);
    rollback(&world, &[]).expect(0);
    assert_eq!((leads(&world, "/a.html").await.0, leads(&world, "/c.html").await.0), (301, 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_wait_for_all_that_they_may_lead_to() {
    let world = published("/a.html /about/\n", "").await;
    let before = live(&world.edge, "site-request");
    world.write("_redirects", "/b.html /new.html\n");
    world.write("main.js", "code");
    world.write("new.html", "new");
    preview(&world, "new", &RULES).expect(0);
    world.fault_of("CopyObject", "new.html", 0, ALWAYS, denied());
    let run = promote(&world, "new", &[]).expect(3);
    assert!(run.warnings().contains("the rules were not published"), "{}", run.warnings());
    assert_eq!(live(&world.edge, "site-request"), before);
    world.edge.faults().clear();
    promote(&world, "new", &[]).expect(0);
    assert_eq!((leads(&world, "/a.html").await.0, leads(&world, "/b.html").await.0), (404, 301));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_records_no_rules_leaves_those_of_production_with_a_warning() {
    let world = published("/a.html /about/\n", "").await;
    world.write("_redirects", "/b.html /about/\n");
    world.write("index.html", "welcome two");
    preview(&world, "new", &RULES).expect(0);
    // What an earlier deploy of the preview recorded does not apply to its next.
    preview(&world, "new", &[]).expect(0);
    let run = promote(&world, "new", &[]).expect(0);
    let sentence =
        "the published rules stay as they are: the preview was deployed without publish-rules and records none";
    assert!(run.warnings().contains(sentence), "{}", run.warnings());
    assert_eq!((leads(&world, "/a.html").await.0, leads(&world, "/b.html").await.0), (301, 404));
    assert_eq!(view(&world, "/").await.text(), "welcome two");
    // Rules that are gone are removed with the promotion.
    world.write("_redirects", "");
    preview(&world, "new", &RULES).expect(0);
    promote(&world, "new", &[]).expect(0);
    assert_eq!(leads(&world, "/a.html").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_are_not_productions_own_or_missing_are_no_place_for_rules() {
    let world = published("/a.html /about/\n", "").await;
    world.write("_redirects", "/b.html /about/\n");
    world.write("index.html", "welcome two");
    preview(&world, "new", &RULES).expect(0);
    world.edge.put_function(&function("site-request", "somebody else's", "request")).unwrap();
    world.edge.clear_requests();
    promote(&world, "new", &[]).expect(6).says("does not belong to shipfront");
    assert_eq!(writes(&world), [""; 0]);
    // The comment with the preview's own location does not make it production's.
    world.edge.put_function(&function("site-request", &format!("shipfront {AT}/new"), "request")).unwrap();
    promote(&world, "new", &[]).expect(6);
    // If there are none, the output says so.
    let other = super::world().await;
    other.write("_redirects", "/b.html /about/\n");
    other.write("index.html", "welcome two");
    preview(&other, "new", &RULES).expect(0);
    let run = promote(&other, "new", &[]).expect(0);
    assert!(run.warnings().contains("1 redirect is not active; 'shipfront rules --attach'"), "{}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_are_made_for_productions_folder() {
    let world = World::new(&SITE).await;
    world.edge.ensure_site(PREVIEWS).unwrap();
    let target = format!("s3://{BUCKET}/docs");
    let name = "docs-request";
    world.edge.put_function(&function(name, &format!("shipfront {target}"), "request")).unwrap();
    let changed = world.edge.distribution(&world.distribution).unwrap().with_function("viewer-request", name);
    world.edge.put_distribution(changed).unwrap();
    world.write("_redirects", "/docs/old.html /docs/about/\n");
    world.run(&world.arguments("deploy", &target, &PUBLISH)).expect(0);
    // The second line matches a file of the site, in the folder in which production has it.
    world.write("_redirects", "/docs/new.html /docs/about/\n/docs/app.js /docs/about/\n");
    let previewing = [&PUBLISH[..], &["--preview", "new", "--previews-target", AT]].concat();
    world.run(&world.arguments("deploy", &target, &previewing)).expect(0);
    world.edge.clear_requests();
    world.run(&["promote", "new", &target, "--previews-target", AT, "--json"]).expect(0);
    assert_eq!(writes(&world).last().unwrap(), "INVALIDATE /docs/old.html /docs/old.html/");
    assert_eq!(leads(&world, "/docs/new.html").await, (301, "/docs/about/".to_owned()));
    assert_eq!(leads(&world, "/docs/app.js").await.0, 200);
    world.edge.clear_requests();
    world.run(&world.arguments("deploy", &target, &PUBLISH)).expect(0);
    assert_eq!((writes(&world), live(&world.edge, name).contains("/docs/new.html")), (vec![], true));
}

/// What counts as a file of the site is the same as in a deploy of the same source: no object that redirects, and
/// none that waits to be removed.
#[tokio::test(flavor = "multi_thread")]
async fn the_functions_are_those_that_a_deploy_of_the_same_source_makes() {
    let world = rules::world(&SITE).await;
    world.edge.ensure_site(PREVIEWS).unwrap();
    world.edge.set_versioning(BUCKET, true).unwrap();
    let objects = [&PUBLISH[..], &["--redirect-objects", "always"]].concat();
    let second = "/moved.html /\n/app.js / 302\n";
    world.write("_redirects", "/app.js /about/ 302\n/moved.html /about/\n");
    world.deploy(&objects).expect(0);
    let of_first = live(&world.edge, "site-request");
    // It stays for a week, but is not a file of the source.
    world.remove("app.js");
    world.write("_redirects", second);
    world.deploy(&objects).expect(0);
    let of_second = live(&world.edge, "site-request");
    // Nor is it one after the second deploy is restored.
    world.write("_redirects", "");
    world.deploy(&objects).expect(0);
    rollback(&world, &[]).expect(0);
    assert_eq!(live(&world.edge, "site-request"), of_second);
    let first = deploys(&world).pop().unwrap()["deploy"].as_str().unwrap().to_owned();
    rollback(&world, &["--to", &first]).expect(0);
    assert_eq!(live(&world.edge, "site-request"), of_first);
    world.write("_redirects", second);
    preview(&world, "new", &["--publish-rules", "--redirect-objects", "always"]).expect(0);
    promote(&world, "new", &[]).expect(0);
    assert_eq!(live(&world.edge, "site-request"), of_second);
    world.edge.clear_requests();
    let again = world.deploy(&objects).expect(0);
    assert_eq!((again.outcome(), writes(&world)), ("nothing-to-do", vec![]), "{}", again.stdout);
}
