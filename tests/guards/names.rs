//! Names that cannot be keys, names that are hidden, and links that lead elsewhere.

use crate::world::site::{EXACT, TARGET, World};
use std::fs;
use std::os::unix::fs::symlink;

const PAGES: [(&str, &str); 2] = [("about.html", "about"), ("index.html", "welcome")];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_tool_with_a_control_character_is_left_alone() {
    let world = World::new(&PAGES).await;
    for key in ["uploads/2013 LA\u{1b}", "a\u{1}b.html", "line\nbreak.html"] {
        world.put(key, "uploaded by another tool").await;
    }
    world.deploy(&[]).expect(0);
    world.write("about.html", "an edit");
    world.deploy(&["--prune-after", "0s", "--adopt"]).expect(0);
    assert_eq!(world.keys().len(), PAGES.len() + 3, "{:?}", world.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_listing_encodes_are_the_same_names() {
    let names = ["a b.html", "a+b.html", "a%20b.html", "caf\u{e9} men\u{fc}.html", "x&y=<z>'\".html", "~home/*.html"];
    let world = World::new(&PAGES).await;
    names.iter().for_each(|name| world.write(name, name));
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    let run = world.deploy(&["--prune-after", "0s"]).expect(0);
    assert_eq!((run.outcome(), run.objects("kept")), ("nothing-to-do", (names.len() + PAGES.len()) as u64));
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_control_character_in_its_name_is_refused_before_anything_is_written() {
    let world = World::new(&PAGES).await;
    world.write("bell\u{7}/a\u{1b}[31m.html", "x");
    let run = world.deploy(&[]).expect(6).says("bell\\u{7}/a\\u{1b}[31m.html").says("control character");
    assert!(!run.stderr.contains("\u{1b}[31m.html"), "what a terminal acts upon is not printed");
    assert_eq!((world.writes(), world.keys()), (vec![], vec![]));
    assert_eq!(world.deploy(&["--keep-going"]).expect(3).objects("uploaded"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_systems_and_editors_leave_behind_is_left_out_as_hidden_files_are() {
    let world = World::new(&PAGES).await;
    let litter = ["#about.html#", ".well-known/.DS_Store", "Icon\r", "Thumbs.db", "desktop.ini", "index.html~"];
    for name in litter.iter().chain(&[".well-known/a"]) {
        world.write(name, name);
    }
    let run = world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), [".well-known/a", "about.html", "index.html"]);
    assert_eq!(run.json["hidden"].as_array().unwrap().len(), litter.len(), "{}", run.json["hidden"]);
    world.deploy(&["--include-hidden", "Thumbs.db"]).expect(0);
    assert!(world.keys().contains(&"Thumbs.db".to_owned()), "{:?}", world.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_character_that_nobody_sees_is_a_warning() {
    let world = World::new(&PAGES).await;
    world.write("a\u{200b}b.html", "x");
    let run = world.deploy(&[]).expect(0);
    assert!(run.warnings().contains("a<U+200B>b.html"), "{:?}", run.warnings());
    let again = world.deploy(&[]).expect(0);
    assert!(!again.warnings().contains("U+200B"), "said once: {:?}", again.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_settings_in_the_source_is_never_uploaded() {
    let world = World::new(&PAGES).await;
    world.write("shipfront.toml", "target = \"s3://elsewhere\"\n");
    world.write("examples/shipfront.toml", "# one to download");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["about.html", "examples/shipfront.toml", "index.html"]);
    assert!(run.warnings().contains("ignored there"), "{:?}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pointer_of_git_lfs_is_not_deployed_in_place_of_the_file() {
    let world = World::new(&PAGES).await;
    let digest = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 12345\n");
    world.write("img/a.png", &pointer);
    world.deploy(&[]).expect(6).says("img/a.png").says("git lfs pull");
    assert_eq!((world.writes(), world.keys()), (vec![], vec![]));
    world.deploy(&["--exclude", "img/a.png"]).expect(0);
    fs::rename(world.source().join("img/a.png"), world.source().join("img/pointer.txt")).unwrap();
    world.deploy(&[]).expect(0);
    assert!(world.keys().contains(&"img/pointer.txt".to_owned()), "a text that shows one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_that_leads_nowhere_is_reported() {
    let world = World::new(&PAGES).await;
    symlink("gone.html", world.source().join("x.html")).unwrap();
    world.deploy(&[]).expect(6).says("x.html: the target of the symbolic link does not exist: gone.html");
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_that_match_nothing_are_reported_where_another_is_meant() {
    let world = World::new(&PAGES).await;
    world.write("drafts/a.html", "a draft");
    let run = world.deploy(&["--exclude", "/drafs/", "--exclude", "*.map", "--include-hidden", ".htaccess"]).expect(0);
    for part in ["did you mean \"/drafts/\"?", "\".htaccess\" matches no file"] {
        assert!(run.warnings().contains(part), "{part}: {:?}", run.warnings());
    }
    assert!(!run.warnings().contains("*.map"), "{:?}", run.warnings());
    assert_eq!(world.deploy(&["--exclude", "/drafts/"]).expect(0).warnings(), "", "what matched is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_files_that_are_left_out_are_counted_and_named() {
    let world = World::new(&PAGES).await;
    for name in [".nojekyll", ".htaccess", ".git/config", "docs/.draft.html", "docs/.cache/x.js"] {
        world.write(name, name);
    }
    let run = world.deploy(&[]).expect(0);
    let hidden = [".git/", ".htaccess", ".nojekyll", "docs/.cache/", "docs/.draft.html"];
    assert_eq!(run.json["hidden"], serde_json::json!(hidden));
    let source = world.source().to_str().unwrap();
    let text = world.run(&["plan", source, TARGET]).expect(0).stdout;
    assert!(text.contains("5 hidden files left out"), "{text}");
    let text = world.run(&["plan", source, TARGET, "-v"]).expect(0).stdout;
    assert!(hidden.iter().all(|name| text.contains(name)), "{text}");

    let options = ["--include-hidden", ".htaccess", "--include-hidden", "docs/.cache/", "--include-hidden", "config"];
    let run = world.deploy(&options).expect(0);
    assert_eq!(world.keys(), [".htaccess", "about.html", "docs/.cache/x.js", "index.html"]);
    assert_eq!(run.json["hidden"], serde_json::json!([".git/", ".nojekyll", "docs/.draft.html"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_below_well_known_is_published() {
    let world = World::new(&PAGES).await;
    let below =
        [".well-known/.hidden/x", ".well-known/.pki", ".well-known/acme-challenge/token", "docs/.well-known/.x"];
    below.iter().for_each(|name| world.write(name, name));
    let run = world.deploy(&[]).expect(0);
    assert!(run.json["hidden"].is_null(), "{}", run.stdout);
    let keys = world.keys();
    assert!(below.iter().all(|name| keys.contains(&(*name).to_owned())), "{keys:?}");
}

/// Puts files next to the source.
fn elsewhere(world: &World, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = world.outside().join("elsewhere").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_link_leads_to_is_not_left_out_in_silence() {
    let world = World::new(&[("about.html", "about")]).await;
    elsewhere(&world, &[("index.html", "welcome"), ("blog/one.html", "one"), ("style.css", "style")]);
    for name in ["index.html", "blog", "style.css"] {
        symlink(world.outside().join("elsewhere").join(name), world.path(name)).unwrap();
        let refused = world.deploy(&[]).expect(6).says(name).says("--follow-links");
        assert_eq!(refused.outcome(), "refused");
        assert_eq!(world.keys(), [""; 0]);
        fs::remove_file(world.path(name)).unwrap();
    }
    symlink(world.outside().join("elsewhere/index.html"), world.path("index.html")).unwrap();
    assert_eq!(world.deploy(&["--keep-going"]).expect(3).outcome(), "partial");
    assert_eq!(world.keys(), ["about.html"]);
    world.deploy(&["--exclude", "/index.html"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_out_of_the_source_are_followed_on_request() {
    let world = World::new(&[]).await;
    elsewhere(
        &world,
        &[("index.html", "welcome"), ("blog/one.html", "one"), ("_headers", "/*\n  Cache-Control: max-age=7\n")],
    );
    for name in ["index.html", "blog", "_headers"] {
        symlink(world.outside().join("elsewhere").join(name), world.path(name)).unwrap();
    }
    let mut options = EXACT.to_vec();
    options.push("--follow-links");
    world.deploy(&options).expect(0);
    assert_eq!(world.keys(), ["blog/one.html", "index.html"]);
    let objects = world.edge.objects("www.example.com");
    let page = objects.iter().find(|object| object.key == "index.html").unwrap();
    assert_eq!(page.headers["cache-control"], "max-age=7", "the rules are behind a link, too");
    // Without it, what was deployed stays.
    let refused = world.deploy(&["--prune-after", "0s"]).expect(6);
    assert!(refused.stderr.contains("--follow-links"), "{}", refused.stderr);
    assert_eq!(world.keys(), ["blog/one.html", "index.html"]);
}
