//! History and rollback: the site of an earlier deploy is restored under the promises of a deploy.

mod copies;
mod crash;
mod history;
mod many;
mod measure;
mod order;
mod others;
mod stores;

use crate::world::aws::s3;
use crate::world::site::{BUCKET, Run, TARGET, World};
use serde_json::Value;
use std::collections::BTreeMap;

const SITE: [(&str, &str); 5] = [
    ("about.html", "about"),
    ("app.js", "code"),
    ("index.html", "welcome"),
    ("old.html", "old"),
    ("style.css", "style"),
];

/// A bucket that keeps versions, with nothing deployed to it.
async fn empty() -> World {
    let world = World::new(&SITE).await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.close_the_record().await;
    world
}

/// A site that was deployed twice: the second time with other code and another front page, one page more and one less.
async fn twice() -> World {
    let world = empty().await;
    world.deploy(&[]).expect(0);
    change(&world);
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    world
}

fn change(world: &World) {
    world.write("app.js", "code two");
    world.write("index.html", "welcome two");
    world.write("new.html", "new");
    world.remove("old.html");
}

/// Changes the source back to what it was at first.
fn change_back(world: &World) {
    for (key, body) in SITE {
        world.write(key, body);
    }
    world.remove("new.html");
}

fn rollback(world: &World, options: &[&str]) -> Run {
    let arguments: Vec<&str> = ["rollback", TARGET, "--json"].into_iter().chain(options.iter().copied()).collect();
    world.run(&arguments)
}

/// The bodies of the site's objects.
async fn bodies(world: &World) -> BTreeMap<String, String> {
    let client = s3(&world.edge);
    let mut bodies = BTreeMap::new();
    for key in world.keys() {
        let got = client.get_object().bucket(BUCKET).key(&key).send().await.unwrap();
        let body = got.body.collect().await.unwrap().to_vec();
        bodies.insert(key, String::from_utf8(body).unwrap_or_else(|_| "bytes".to_owned()));
    }
    world.edge.clear_requests();
    bodies
}

fn first() -> BTreeMap<String, String> {
    SITE.iter().map(|&(key, body)| (key.to_owned(), body.to_owned())).collect()
}

fn second() -> BTreeMap<String, String> {
    let mut site = first();
    site.remove("old.html");
    for (key, body) in [("app.js", "code two"), ("index.html", "welcome two"), ("new.html", "new")] {
        site.insert(key.to_owned(), body.to_owned());
    }
    site
}

/// `history --json`.
fn history(world: &World) -> Vec<Value> {
    let run = world.run(&["history", TARGET, "--json"]).expect(0);
    world.edge.clear_requests();
    run.json["deploys"].as_array().unwrap().clone()
}

/// A deploy of the source as it is has nothing to do.
fn is_settled(world: &World) {
    world.edge.clear_requests();
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.outcome(), "nothing-to-do", "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_of_before_is_back_in_the_waves_of_a_deploy() {
    let world = twice().await;
    let run = rollback(&world, &["--concurrency", "1"]).expect(0);
    assert_eq!((run.outcome(), run.objects("copied"), run.objects("pruned")), ("deployed", 3, 1));
    let changes = ["copy size app.js", "copy size index.html", "prune orphaned new.html", "copy new old.html"];
    assert_eq!(run.changes(), changes);
    assert!(run.json["source"].as_str().unwrap().starts_with("deploy:"), "{}", run.stdout);
    let writes: Vec<String> = world.writes().into_iter().filter(|write| !write.contains("412")).collect();
    let expected = [
        "CopyObject app.js",
        "CopyObject index.html",
        "CopyObject old.html",
        "DELETE new.html",
        "INVALIDATE / /app.js /index.html /new.html /old.html",
    ];
    assert_eq!(writes, expected);
    assert_eq!((world.count("ListObjectVersions"), world.count("PutObject")), (0, 0));
    assert_eq!(bodies(&world).await, first());
    // A deploy of the old build again sends nothing.
    change_back(&world);
    is_settled(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_rolled_back_and_each_kept_deploy_can_be_chosen() {
    let world = twice().await;
    rollback(&world, &[]).expect(0);
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await, second());
    is_settled(&world);
    world.write("index.html", "welcome three");
    world.deploy(&[]).expect(0);
    let deploys = history(&world);
    assert_eq!(deploys.len(), 5);
    let oldest = deploys[4]["deploy"].as_str().unwrap();
    rollback(&world, &["--to", oldest]).expect(0);
    assert_eq!(bodies(&world).await, first());
    assert_eq!(history(&world)[0]["restored"], oldest);
    let unknown = rollback(&world, &["--to", "20010101t000000z-00000000"]).expect(6);
    assert!(unknown.json["hint"].as_str().unwrap().contains(oldest), "{}", unknown.stdout);
    // IDs with the same beginning are ambiguous.
    rollback(&world, &["--to", "2"]).expect(6);
    rollback(&world, &["--build", "7"]).expect(6).says("no kept deploy has a build number");
    assert_eq!(bodies(&world).await, first());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_what_comes_back_and_writes_nothing() {
    let world = twice().await;
    let plan = rollback(&world, &["--plan"]).expect(0);
    assert_eq!((plan.outcome(), plan.objects("copied"), plan.objects("pruned")), ("planned", 3, 1));
    assert_eq!(plan.json["invalidations"][0]["viewer_paths"], 5);
    assert_eq!(world.writes(), [""; 0]);
    let text = world.run(&["rollback", TARGET, "--plan"]).expect(0).stdout;
    assert!(text.contains("1 new file, 2 changes, and 1 removal"), "{text}");
    let said = plan.json["cost"]["requests"].clone();
    let run = rollback(&world, &[]).expect(0);
    for kind in ["put", "head", "delete", "create_invalidation", "list"] {
        assert_eq!(run.json["requests"][kind], said[kind], "{kind}: {} and {said}", run.json["requests"]);
    }
    let nothing = rollback(&world, &["--to", history(&world)[0]["deploy"].as_str().unwrap()]).expect(0);
    assert_eq!(nothing.outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_earlier_deploy_or_a_record_there_is_nothing_to_go_back_to() {
    let world = empty().await;
    rollback(&world, &[]).expect(6).says("no deploy before the live one");
    world.deploy(&[]).expect(0);
    rollback(&world, &[]).expect(6).says("no deploy before the live one");
    change(&world);
    world.deploy(&["--keep-deploys", "1"]).expect(0);
    rollback(&world, &[]).expect(6);
    assert_eq!(history(&world).len(), 1);
    assert_eq!(bodies(&world).await, second());
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_that_the_earlier_site_does_not_have_go_when_they_would_in_a_deploy() {
    let world = empty().await;
    world.deploy(&[]).expect(0);
    world.write("chunk.js", "chunk");
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    let run = rollback(&world, &[]).expect(0);
    assert_eq!((run.objects("pruned"), run.objects("orphaned")), (0, 1));
    assert!(world.keys().contains(&"chunk.js".to_owned()), "open tabs still find it");
    world.write("chunk.js", "other");
    world.deploy(&[]).expect(0);
    let run = rollback(&world, &["--prune-after", "0s"]).expect(0);
    assert_eq!(run.objects("pruned"), 1);
    assert_eq!(bodies(&world).await, first());
}

/// It may lead to a page that is restored together with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_comes_back_after_the_assets_whatever_its_key_looks_like() {
    let world = empty().await;
    let options = ["--redirect-objects", "always", "--prune-after", "0s"];
    world.write("_redirects", "/a.css /index.html 301\n");
    world.deploy(&options).expect(0);
    change(&world);
    world.write("_redirects", "");
    world.deploy(&options).expect(0);
    world.edge.clear_requests();
    rollback(&world, &["--concurrency", "1", "--prune-after", "0s"]).expect(0);
    let copies: Vec<String> =
        world.writes().into_iter().filter(|write| write.starts_with("CopyObject") && !write.contains(" -> ")).collect();
    assert_eq!(copies, ["CopyObject app.js", "CopyObject a.css", "CopyObject index.html", "CopyObject old.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_redirects_and_storage_classes_come_back_with_the_bytes() {
    let world = empty().await;
    let settings = world.outside().join("shipfront.toml");
    let rules = "redirect-objects = \"always\"\n[[headers]]\nfiles = \"*.css\"\ncache-control = \"max-age=77\"\n\
                 storage-class = \"STANDARD_IA\"\nmetadata = { theirs = \"kept\" }\n";
    std::fs::write(&settings, rules).unwrap();
    world.write("_redirects", "/go /about.html 301\n");
    let config = ["--config", settings.to_str().unwrap()];
    world.deploy(&config).expect(0);
    let objects = || world.edge.objects(BUCKET).into_iter().filter(|object| !object.key.starts_with(".shipfront/"));
    let all = || objects().map(|object| (object.key, object.headers)).collect::<BTreeMap<_, _>>();
    let before = all();
    assert_eq!(before["style.css"]["x-amz-storage-class"], "STANDARD_IA", "{before:?}");
    assert!(before["go"].contains_key("x-amz-website-redirect-location"), "{before:?}");
    world.write("_redirects", "/go /index.html 301\n");
    std::fs::write(&settings, "redirect-objects = \"always\"\n").unwrap();
    world.deploy(&config).expect(0);
    assert_ne!(all(), before);
    let run = rollback(&world, &[]).expect(0);
    assert_eq!(run.changes(), ["copy headers go", "copy headers go/index.html", "copy headers style.css"]);
    assert_eq!(all(), before);
}
