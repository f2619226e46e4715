//! A project's own directory, private keys and state files are not published.

use crate::world::site::{TARGET, World, run};
use std::fs;

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_of_a_project_is_refused_with_the_built_folder_named() {
    let world = World::new(&[
        ("index.html", "a template"),
        ("package.json", "{}"),
        ("node_modules/left-pad/index.js", "code"),
        ("dist/index.html", "built"),
    ])
    .await;
    for command in ["deploy", "plan"] {
        let refused = world.run(&world.arguments(command, TARGET, &[])).expect(6);
        let refused = refused.says("this looks like a project, not a built site").says("node_modules, package.json");
        assert_eq!(refused.says("public/dist").says("--allow-project").outcome(), "refused");
    }
    assert_eq!((world.writes(), world.keys()), (vec![], vec![]));
    let built = world.path("dist");
    world.run(&["deploy", built.to_str().unwrap(), TARGET, "--json"]).expect(0);
    assert_eq!(world.keys(), ["index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_its_own_site_is_deployed_when_the_person_says_so() {
    let world = World::new(&[("index.html", "i"), ("package.json", "{}")]).await;
    world.deploy(&["--exclude", "/package.json"]).expect(0);
    assert_eq!(world.keys(), ["index.html"]);
    world.deploy(&["--allow-project"]).expect(0);
    assert_eq!(world.keys(), ["index.html", "package.json"]);
    world.write("index.html", "an edit");
    world.deploy(&[]).expect(6);
    run(world.command(&world.arguments("deploy", TARGET, &[])).env("SHIPFRONT_ALLOW_PROJECT", "true")).expect(0);
    fs::write(world.outside().join("shipfront.toml"), "allow-project = true\n").unwrap();
    world.deploy(&[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_plain_pages_is_a_site() {
    let world = World::new(&[("index.html", "i"), ("README.md", "read me"), (".git/config", "x")]).await;
    world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["README.md", "index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_keys_and_state_files_are_refused_wherever_they_are() {
    for (name, text, what) in [
        ("certs/server.pem", KEY, "a private key"),
        ("a/b/tls.key", KEY, "a private key"),
        ("keys/id_rsa", "whatever it holds", "a private key"),
        ("notes.txt", KEY, "a private key"),
        ("deploy_key", KEY, "a private key"),
        ("old/id_rsa.bak", KEY, "a private key"),
        ("config/prod.env", "A=b", "a file of credentials"),
        ("wp-config.php.bak", "<?php", "a file of credentials"),
        ("infra/terraform.tfstate", "{}", "a state file"),
        ("state.json", "{\"version\": 4, \"terraform_version\": \"1.9.0\", \"lineage\": \"x\"}", "a state file"),
        ("infra/terraform.tfstate.backup", "{}", "a state file"),
    ] {
        let world = World::new(&[("index.html", "i"), (name, text)]).await;
        for options in [&[][..], &["--allow-project"], &["--keep-going"], &["--allow-removals"]] {
            world.deploy(options).expect(6).says(name).says(what).says("--exclude");
        }
        assert_eq!(world.keys(), [""; 0]);
        world.deploy(&["--exclude", name]).expect(0);
        assert_eq!(world.keys(), ["index.html"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_public_keys_are_files_like_others() {
    let world = World::new(&[("ca.pem", CERTIFICATE), ("id_rsa.pub", "ssh-rsa"), ("index.html", "i")]).await;
    world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["ca.pem", "id_rsa.pub", "index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_show_keys_are_pages() {
    let shown = format!("<!doctype html><pre>\n{KEY}");
    let text = format!("# How to make a key\n\n{KEY}");
    let (shown, text) = (shown.as_str(), text.as_str());
    let files = [("how-to", shown), ("how-to.md", text), ("id_rsa.html", shown), ("index.html", "i")];
    let world = World::new(&files).await;
    world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["how-to", "how-to.md", "id_rsa.html", "index.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_key_is_no_text() {
    let world = World::new(&[("index.html", "i")]).await;
    fs::write(world.outside().join("id_rsa"), "whatever it holds").unwrap();
    std::os::unix::fs::symlink(world.outside().join("id_rsa"), world.path("k.txt")).unwrap();
    world.deploy(&["--follow-links"]).expect(6).says("k.txt").says("a private key");
    assert_eq!(world.keys(), [""; 0]);
}
