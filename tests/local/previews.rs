//! Previews of a site on the local edge: deployed, viewed under their own names, promoted and removed.

use super::Machine;
use super::preview::Preview;
use crate::world::http::request;

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_served_at_its_own_name_and_promoted() {
    let machine = Machine::new();
    machine.deploy();
    let served = Preview::start(&machine);
    machine.write("index.html", "<!doctype html><title>New</title>");
    let report = machine.run(&["deploy", "SITE", "--local", "--preview", "Feature/New", "--json"]).ended_with(0).json();
    assert_eq!(report["objects"]["uploaded"], 1, "{report:#}");
    let port = served.authority.rsplit(':').next().unwrap();
    let url = report["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http://feature-new-") && url.ends_with(&format!(".localhost:{port}/")), "{url}");
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
    let get = async |path: &str| request(&format!("http://127.0.0.1:{port}"), "GET", path, &[("host", &host)]).await;
    assert!(get("/").await.text().contains("<title>New</title>"));
    assert_eq!(get("/docs/the-lens/").await.status, 200);
    assert_eq!(get("/assets/logo.svg").await.status, 200);
    assert_eq!(get("/").await.header("x-robots-tag"), Some("noindex"));
    assert!(!served.get("/").await.text().contains("<title>New</title>"), "production is what it was");
    // Nothing caches them: the next deploy is visible at once.
    machine.write("index.html", "<!doctype html><title>Newer</title>");
    let said = machine.run(&["deploy", "SITE", "--local", "--preview", "Feature/New"]).ended_with(0).stdout;
    assert_eq!(said.lines().last(), Some(url.as_str()), "{said}");
    assert!(get("/").await.text().contains("<title>Newer</title>"));
    let list = machine.run(&["previews", "SITE", "--local", "--json"]).ended_with(0).json();
    assert_eq!((&list["previews"][0]["name"], &list["previews"][0]["url"]), (&"Feature/New".into(), &url.into()));
    let report = machine.run(&["promote", "Feature/New", "SITE", "--local", "--json"]).ended_with(0).json();
    assert_eq!((&report["outcome"], &report["objects"]["copied"]), (&"deployed".into(), &1.into()), "{report:#}");
    assert!(served.get("/").await.text().contains("<title>Newer</title>"));
    assert_eq!(machine.deploy()["outcome"], "nothing-to-do");
    machine.run(&["previews", "SITE", "--local", "--remove", "Feature/New"]).ended_with(0);
    assert_ne!(get("/assets/logo.svg").await.header("x-robots-tag"), Some("noindex"));
}

#[test]
fn without_a_server_a_line_says_how_to_look_at_a_preview() {
    let machine = Machine::new();
    let run = machine.run(&["deploy", "SITE", "--local", "--preview", "42"]).ended_with(0);
    run.says("then open http://42.localhost:8650/");
    machine.run(&["promote", "42", "SITE", "--local"]).ended_with(0);
    machine.run(&["promote", "43", "SITE", "--local"]).ended_with(6);
}
