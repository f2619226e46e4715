//! Versions of the record: an earlier one is converted, a later one is preserved, or refused as such.

use super::{SITE, is_settled, rewrite_state, state};
use crate::world::manifest;
use crate::world::site::{BUCKET, TARGET, World};
use serde_json::json;
use shipfront_edge::ErrorResponse;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_format_1_is_read_and_carried_over() {
    let world = World::deployed(&SITE).await;
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["format"] == 2 {
            line["format"] = 1.into();
        }
    })
    .await;
    rewrite_state(&world, |state| {
        state["format"] = 1.into();
        state.as_object_mut().unwrap().remove("paths");
    })
    .await;
    is_settled(&world, &[]);
    assert_eq!(state(&world).await["format"], 1, "nothing was written");
    world.write("about.html", "more about");
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.json["objects"]["uploaded"].as_u64(), run.json["allowance"]["used"].as_u64()), (Some(1), Some(1)));
    assert_eq!(state(&world).await["format"], 2);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_this_version_does_not_know_survive_its_rewriting() {
    let world = World::deployed(&SITE).await;
    let later = json!({"of": ["a", "later", "version"]});
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["key"] == "style.css" {
            line["later"] = later.clone();
        }
    })
    .await;
    rewrite_state(&world, |state| state["later"] = later.clone()).await;
    world.write("about.html", "more about");
    world.deploy(&[]).expect(0);
    assert_eq!(state(&world).await["later"], later);
    // It is read with the same function, which rewrites nothing here.
    let kept = std::sync::atomic::AtomicUsize::new(0);
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if line["later"] == later {
            assert_eq!(line["key"], "style.css");
            kept.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    })
    .await;
    assert_eq!(kept.into_inner(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_inside_of_objects_survive_a_deploy_that_changes_something_else() {
    let world = World::new(&[("404.html", "lost"), ("about.html", "about"), ("style.css", &"a {} ".repeat(99))]).await;
    let page = Some("/404.html".to_owned());
    let response =
        ErrorResponse { error_code: 404, page_path: page, response_code: Some(404), error_caching_min_ttl: 9 };
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.error_responses = vec![response];
    world.edge.put_distribution(distribution).unwrap();
    let settings = world.outside().join("shipfront.toml");
    std::fs::write(&settings, "[[headers]]\nfiles = \"*.css\"\ncompress = [\"gzip\"]\n").unwrap();
    world.close_the_record().await;
    let options = ["--config", settings.to_str().unwrap(), "--build-number", "4"];
    world.deploy(&options).expect(0);
    let later = json!({"of": ["a", "later", "version"]});
    let objects = ["", "compressed", "error_page"];
    let found = std::sync::Mutex::new(Vec::new());
    let each = |line: &mut serde_json::Value, take: &dyn Fn(&mut serde_json::Value, String)| {
        let name = line["key"].as_str().unwrap_or(if line["shipfront"].is_null() { "foot" } else { "head" }).to_owned();
        for object in objects.iter().filter(|_| name != "foot" && name != "about.html") {
            let inner = if object.is_empty() { Some(&mut *line) } else { line.get_mut(object) };
            inner.into_iter().for_each(|inner| take(inner, format!("{name} {object}")));
        }
    };
    let set = |value: &mut serde_json::Value, name: String| {
        value["later"] = later.clone();
        found.lock().unwrap().push(name);
    };
    manifest::rewrite(&world.edge, BUCKET, |line| each(line, &set)).await;
    let expected = std::mem::take(&mut *found.lock().unwrap());
    assert_eq!(expected, ["head ", "404.html ", "404.html error_page", "style.css ", "style.css compressed"]);
    rewrite_state(&world, |state| {
        for object in ["build", "paths"] {
            state[object]["later"] = later.clone();
        }
    })
    .await;
    world.write("about.html", "more about");
    let run = world.deploy(&options).expect(0);
    assert_eq!((run.objects("uploaded"), run.warnings().as_str()), (1, ""));
    let state = state(&world).await;
    assert_eq!((&state["build"]["later"], &state["paths"]["later"]), (&later, &later));
    let check = |value: &mut serde_json::Value, name: String| {
        assert_eq!(value["later"], later, "{name}");
        found.lock().unwrap().push(name);
    };
    manifest::rewrite(&world.edge, BUCKET, |line| each(line, &check)).await;
    assert_eq!(*found.lock().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_of_paths_that_cannot_be_read_costs_a_warning_and_no_deploy() {
    let world = World::deployed(&SITE).await;
    rewrite_state(&world, |state| state["paths"] = json!("many")).await;
    let run = world.run(&["status", TARGET, "--json"]).expect(0).says("warning:").says("counts from zero");
    assert_eq!(run.json["allowance"]["used"], 0);
    world.write("about.html", "more about");
    let run = world.deploy(&[]).expect(0);
    assert!(run.warnings().contains("counts from zero"), "{}", run.warnings());
    assert_eq!(state(&world).await["paths"]["used"], 1);
    is_settled(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_wrote_is_called_that_and_nothing_is_changed() {
    let world = World::deployed(&SITE).await;
    // Whatever else it contains, this version cannot know.
    world.put(super::STATE, r#"{"format": 3, "target": {"bucket": "www.example.com"}}"#).await;
    world.write("about.html", "more about");
    for command in [vec!["deploy", world.source().to_str().unwrap(), TARGET], vec!["status", TARGET]] {
        let run = world.run(&command).expect(6);
        assert!(run.stderr.contains("was written by a newer shipfront"), "{}", run.stderr);
    }
    assert_eq!(world.writes(), [""; 0]);
}
