//! What somebody who may write the bucket of previews, but not production, can do to production: have a preview
//! promoted that differs from the original, and no more. And what happens when commands run at the same time.

use super::{
    AT, PREVIEWS, change, changed, keys, listed, original, preview, previews, production, promote, promotion, prune,
    put, world,
};
use crate::rules::{self, live, publish};
use crate::world::manifest::{read, rewrite_file};
use crate::world::site::{BUCKET, TARGET, World, finish};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};
use shipfront_edge::Gate;
use shipfront_site::etag::{hex, md5};
use std::io::{Read, Write};
use std::process::Stdio;

const RECORD: &str = ".shipfront/new/";

async fn previewed() -> World {
    let world = world().await;
    change(&world);
    preview(&world, "new", &[]).expect(0);
    world.edge.clear_requests();
    world
}

/// The state of the record of the preview `new`.
async fn state(world: &World) -> Value {
    serde_json::from_slice(&read(&world.edge, PREVIEWS, &format!("{RECORD}state.json")).await).unwrap()
}

/// Changes it as somebody else.
async fn forge_state(world: &World, change: impl Fn(&mut Value)) {
    let mut state = state(world).await;
    change(&mut state);
    put(world, &format!("{RECORD}state.json"), &state.to_string()).await;
}

/// Changes the manifest of the preview `new` as somebody else.
async fn forge_manifest(world: &World, change: impl Fn(&mut Value)) {
    let name = format!("{RECORD}manifest-{}.ndjson.gz", state(world).await["manifest"].as_str().unwrap());
    rewrite_file(&world.edge, PREVIEWS, &name, change).await;
    world.edge.clear_requests();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_manifest_has_a_deploy_record_of_productions_bucket_replaced() {
    let world = previewed().await;
    let theirs = ".shipfront/docs/state.json";
    put(&world, &format!("new/{theirs}"), "about").await;
    forge_manifest(&world, |line| {
        if line["key"] == "about.html" {
            line["key"] = theirs.into();
        }
    })
    .await;
    for options in [&[][..], &["--overwrite-foreign"], &["--plan"]] {
        promote(&world, "new", options).expect(6).says("is no key of a site");
    }
    assert!(world.edge.objects(BUCKET).iter().all(|object| object.key != theirs));
    assert_eq!(production(&world).await, original());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rollback_has_a_deploy_record_replaced_either() {
    let world = world().await;
    let name = crate::world::manifest::key(&world.edge, BUCKET).await;
    change(&world);
    world.deploy(&[]).expect(0);
    rewrite_file(&world.edge, BUCKET, &name, |line| {
        if line["key"] == "about.html" {
            line["key"] = ".shipfront/docs/state.json".into();
        }
    })
    .await;
    world.run(&["rollback", TARGET, "--json"]).expect(6).says("is no key of a site");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_somebody_else_wrote_names_no_other_preview_and_no_other_production() {
    let world = previewed().await;
    forge_state(&world, |state| state["preview"]["name"] = "main".into()).await;
    // Its own folder says what it is: it is not mistaken for the preview of main.
    assert_eq!(listed(&world).keys().collect::<Vec<_>>(), ["new"]);
    promote(&world, "new", &[]).expect(6).says("is the folder of the preview \"main\", not of \"new\"");
    preview(&world, "new", &[]).expect(6).says("choose another name");
    promote(&world, "main", &[]).expect(6).says("there is no preview main");
    let run = prune(&world, "new\n").expect(0);
    assert_eq!((&run.json["removed"], &run.json["kept"]), (&json!([]), &json!(["new"])), "{}", run.stdout);
    forge_state(&world, |state| state["preview"]["name"] = "new".into()).await;

    // If it does not name its production, it is promoted to where the user says, but not to previews.
    forge_state(&world, |state| drop(state["preview"].as_object_mut().unwrap().remove("production"))).await;
    preview(&world, "42", &[]).expect(0);
    let onto = |target: &'static str| world.run(&["promote", "new", target, "--previews-target", AT, "--json"]);
    onto("s3://previews.example.com/42").expect(6).says("is a preview itself");
    onto(AT).expect(2).says("overlap");
    onto("s3://previews.example.com/new").expect(2).says("overlap");
    onto("s3://previews.example.com/new/docs").expect(2).says("overlap");
    assert_eq!(production(&world).await, original());
}

/// Only lines are believed: code is generated from them, whatever code the record contains.
#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_record_brings_is_never_published() {
    let world = rules::world(&super::SITE).await;
    world.edge.ensure_site(PREVIEWS).unwrap();
    publish(&world).expect(0);
    world.write("_redirects", "/a /about.html\n");
    preview(&world, "new", &["--publish-rules"]).expect(0);
    let evil = "function handler(event) { return evil; }";
    forge_manifest(&world, |line| {
        let Some(packed) = line["rules"]["packed"].as_str() else { return };
        let mut text = String::new();
        ZlibDecoder::new(STANDARD.decode(packed).unwrap().as_slice()).read_to_string(&mut text).unwrap();
        let mut rules: Value = serde_json::from_str(&text).unwrap();
        assert!(rules["lines"]["redirects"].to_string().contains("/a /about.html"), "{rules}");
        rules["functions"] = json!({"viewer-request": evil});
        let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
        out.write_all(rules.to_string().as_bytes()).unwrap();
        line["rules"]["packed"] = STANDARD.encode(out.finish().unwrap()).into();
        line["rules"]["digest"] = hex(&md5(format!("viewer-request {}\n{evil}", evil.len()).as_bytes())).into();
    })
    .await;
    promote(&world, "new", &[]).expect(0);
    let code = live(&world.edge, "site-request");
    assert!(!code.contains("evil") && code.contains("/about.html"), "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previews_of_two_sites_in_one_place_do_not_replace_one_another() {
    let world = previewed().await;
    world.edge.ensure_site("other.example.com").unwrap();
    let arguments = ["--preview", "new", "--previews-target", AT];
    let run = world.run(&world.arguments("deploy", "s3://other.example.com", &arguments)).expect(6);
    run.says("is one of s3://www.example.com, not of s3://other.example.com");
    promote(&world, "new", &[]).expect(0);
    previews(&world, &["--remove", "new"]).expect(0);
    world.run(&world.arguments("deploy", "s3://other.example.com", &arguments)).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_empty_and_a_list_of_something_else_change_nothing() {
    let world = previewed().await;
    for empty in ["", " "] {
        preview(&world, empty, &[]).expect(2).says("the name of a preview is empty");
        promote(&world, empty, &[]).expect(2);
        previews(&world, &["--remove", empty]).expect(2);
    }
    for list in ["* main\n", "  origin/HEAD -> origin/new\n", "42\tnew\tnew\tOPEN\n", "[{\"number\":42}]\n"] {
        prune(&world, list).expect(6).says("--keep-from is no name");
    }
    prune(&world, "\u{feff}new\n").expect(0);
    assert_eq!(listed(&world).keys().collect::<Vec<_>>(), ["new"]);
}

/// A promotion, a deploy of another build and a pruning of the preview run at the same time, in any order.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_at_once_ends_in_one_of_the_sites_and_the_next_deploy_is_fresh() {
    for round in 0..4 {
        let world = previewed().await;
        let gate = Gate::default();
        // The promotion holds the lock, or is about to take it.
        let (operation, key) = [
            ("CopyObject", "app.js"),
            ("CopyObject", "index.html"),
            ("PutObject", ".shipfront/state.json"),
            ("HeadObject", "new.html"),
        ][round];
        world.fault_of(operation, key, 0, 1, shipfront_edge::Fault::Hold(gate.clone()));
        let promoting = world.command(&promotion("new", &[])).spawn().unwrap();
        gate.reached().await;
        world.write("style.css", "style three");
        let deploying = world.command(&world.arguments("deploy", TARGET, &[])).spawn().unwrap();
        let mut pruning = world.command(&["previews", AT, "--json", "--prune", "--keep-from", "-"]);
        let mut pruning = pruning.stdin(Stdio::piped()).spawn().unwrap();
        pruning.stdin.take().unwrap().write_all(b"main\n").unwrap();
        finish(pruning).expect(0);
        gate.open();
        let (promoted, deployed) = (finish(promoting), finish(deploying));
        assert!([0, 1, 3, 6].contains(&promoted.exit), "{round}: {}", promoted.stdout);
        assert_eq!(deployed.exit, 0, "{round}: {}", deployed.stdout);
        assert!(keys(&world).iter().all(|key| !key.contains("new/")), "{round}: {:?}", keys(&world));
        let mut expected = changed();
        expected.insert("style.css".to_owned(), "style three".to_owned());
        let now = production(&world).await;
        if now != expected {
            // The promotion came last.
            assert_eq!((promoted.exit, &now), (0, &changed()), "{round}: {}", promoted.stdout);
        }
        world.deploy(&[]).expect(0);
        assert_eq!(production(&world).await, expected, "{round}");
        for (key, body) in &expected {
            let answer = crate::world::http::get(&world.edge.viewer_url(), &format!("/{key}")).await;
            assert_eq!(&answer.text(), body, "{round}: {key}");
        }
    }
}
