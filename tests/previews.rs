//! Previews: deployed next to production, listed, removed, and promoted to production.

mod crash;
mod deploys;
mod hostile;
mod hosting;
mod promotions;
mod removals;
mod rules;
mod settings;

use crate::world::aws::s3;
use crate::world::site::{BUCKET, Run, TARGET, World, finish, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;

/// The bucket of all previews.
const PREVIEWS: &str = "previews.example.com";
const AT: &str = "s3://previews.example.com";

const SITE: [(&str, &str); 5] = [
    ("about.html", "about"),
    ("app.js", "code"),
    ("index.html", "welcome"),
    ("old.html", "old"),
    ("style.css", "style"),
];

/// Production, deployed, and a bucket for previews.
async fn world() -> World {
    let world = World::new(&SITE).await;
    world.edge.ensure_site(PREVIEWS).unwrap();
    world.close_the_record().await;
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    world
}

/// `deploy SOURCE s3://BUCKET --preview NAME OPTIONS --json`.
fn preview(world: &World, name: &str, options: &[&str]) -> Run {
    world.deploy(&[&["--preview", name, "--previews-target", AT], options].concat())
}

/// `promote NAME s3://BUCKET OPTIONS --json`.
fn promote(world: &World, name: &str, options: &[&str]) -> Run {
    world.run(&promotion(name, options))
}

fn promotion<'a>(name: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["promote", name, TARGET, "--previews-target", AT, "--json"], options].concat()
}

/// `previews s3://PREVIEWS OPTIONS --json`.
fn previews(world: &World, options: &[&str]) -> Run {
    world.run(&[&["previews", AT, "--json"], options].concat())
}

/// The same with a list on standard input.
fn prune(world: &World, list: &str) -> Run {
    let mut command = world.command(&["previews", AT, "--json", "--prune", "--keep-from", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), list.as_bytes()).unwrap();
    finish(child)
}

/// The change of the source that the preview shows.
fn change(world: &World) {
    world.write("app.js", "code two");
    world.write("index.html", "welcome two");
    world.write("new.html", "new");
    world.remove("old.html");
}

fn original() -> BTreeMap<String, String> {
    SITE.iter().map(|&(key, body)| (key.to_owned(), body.to_owned())).collect()
}

fn changed() -> BTreeMap<String, String> {
    let mut site = original();
    site.remove("old.html");
    for (key, body) in [("app.js", "code two"), ("index.html", "welcome two"), ("new.html", "new")] {
        site.insert(key.to_owned(), body.to_owned());
    }
    site
}

/// The bodies of the objects of a bucket below a prefix, without those of records.
async fn bodies(world: &World, bucket: &str, prefix: &str) -> BTreeMap<String, String> {
    let client = s3(&world.edge);
    let mut bodies = BTreeMap::new();
    for object in world.edge.objects(bucket) {
        let Some(key) = object.key.strip_prefix(prefix).filter(|_| !object.key.starts_with(".shipfront/")) else {
            continue;
        };
        let got = client.get_object().bucket(bucket).key(&object.key).send().await.unwrap();
        let body = got.body.collect().await.unwrap().to_vec();
        bodies.insert(key.to_owned(), String::from_utf8(body).unwrap());
    }
    world.edge.clear_requests();
    bodies
}

async fn production(world: &World) -> BTreeMap<String, String> {
    bodies(world, BUCKET, "").await
}

/// All keys of the bucket of previews, records included.
fn keys(world: &World) -> Vec<String> {
    world.edge.objects(PREVIEWS).into_iter().map(|object| object.key).collect()
}

/// Puts an object into the bucket of previews as another tool would.
async fn put(world: &World, key: &str, body: &str) {
    let put = s3(&world.edge).put_object().bucket(PREVIEWS).key(key);
    put.body(body.as_bytes().to_vec().into()).send().await.unwrap();
    world.edge.clear_requests();
}

/// `previews --json`, by name.
fn listed(world: &World) -> BTreeMap<String, Value> {
    let run = previews(world, &[]).expect(0);
    let each = run.json["previews"].as_array().unwrap().iter();
    each.map(|preview| (preview["name"].as_str().unwrap().to_owned(), preview.clone())).collect()
}

/// The text that a command prints.
fn text(world: &World, arguments: &[&str]) -> Run {
    run(&mut world.command(arguments))
}
