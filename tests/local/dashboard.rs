//! The dashboard of `preview`, and what `--watch` deploys: in its JSON, and as a browser shows it.

use super::Machine;
use super::preview::Preview;
use crate::world::browser;
use crate::world::http::{Answer, request};
use crate::world::patience;
use serde_json::Value;

impl Preview {
    fn port(&self) -> &str {
        self.authority.rsplit(':').next().unwrap()
    }

    async fn dashboard(&self, path: &str) -> Answer {
        let host = format!("dashboard.localhost:{}", self.port());
        request(&format!("http://127.0.0.1:{}", self.port()), "GET", path, &[("host", &host)]).await
    }

    /// A path at the site's own host name, where all paths are its own.
    async fn get_at_own_name(&self, path: &str) -> Answer {
        let state = self.state().await;
        let own = state["distributions"][0]["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        request(&format!("http://127.0.0.1:{}", self.port()), "GET", path, &[("host", &own)]).await
    }

    async fn state(&self) -> Value {
        serde_json::from_slice(&self.dashboard("/state.json").await.body).unwrap()
    }

    /// Waits until the dashboard's log contains a line that begins like this.
    async fn noted(&self, text: &str) {
        let is_noted = async || {
            let state = self.state().await;
            let mut events = state["events"].as_array().unwrap().iter();
            events.any(|event| event["kind"] == "note" && event["name"].as_str().unwrap().starts_with(text))
        };
        patience::until(is_noted, || format!("{text:?} was never noted")).await;
    }
}

#[track_caller]
fn row<'a>(state: &'a Value, url: &str) -> &'a Value {
    let mut rows = state["urls"].as_array().unwrap().iter();
    rows.find(|row| row["url"] == url).unwrap_or_else(|| panic!("no {url} in {state:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_url_has_its_viewers_and_an_invalidation_says_what_it_evicted_and_why() {
    let machine = Machine::new();
    let preview = Preview::start(&machine);
    assert_eq!(preview.url_after("Dashboard: "), format!("http://localhost:{}/.shipfront/dashboard/", preview.port()));
    for path in ["/about/", "/about/index.html", "/about/", "/blog/", "/assets/logo.svg"] {
        preview.get(path).await;
    }
    let state = preview.state().await;
    let about = row(&state, "/about/index.html");
    assert_eq!((&about["state"], &about["hits"], &about["misses"]), (&"fresh".into(), &2.into(), &1.into()));
    assert_eq!(about["asked_as"], serde_json::json!(["/about/"]));
    assert_eq!(row(&state, "/downloads/press%20kit.txt")["state"], "absent");
    assert!(state["urls"].as_array().unwrap().iter().all(|row| !row["url"].as_str().unwrap().contains(".shipfront")));

    machine.write("about/index.html", "<!doctype html><title>About</title><p>New.</p>");
    machine.deploy();
    let state = preview.state().await;
    let about = row(&state, "/about/index.html");
    assert_eq!(about["state"], "evicted");
    assert_eq!(
        (&row(&state, "/blog/index.html")["state"], &row(&state, "/assets/logo.svg")["state"]),
        (&"fresh".into(), &"fresh".into())
    );
    let items = state["invalidations"][0]["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["item"] == about["evicted_by"]).unwrap();
    assert_eq!(item["because"], serde_json::json!([{"key": "about/index.html", "what": "changed"}]));
    assert_eq!(item["evicted"], serde_json::json!([{"url": "/about/index.html", "outdated": true}]));

    preview.get("/about/").await;
    let state = preview.state().await;
    assert_eq!(
        (&row(&state, "/about/index.html")["state"], &row(&state, "/about/index.html")["misses"]),
        (&"fresh".into(), &2.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_nobody_evicted_is_stale_and_one_that_was_right_is_distinguished() {
    let machine = Machine::new();
    let preview = Preview::start(&machine);
    for path in ["/about/", "/blog/"] {
        preview.get(path).await;
    }
    machine.write("about/index.html", "<!doctype html><title>About</title><p>New.</p>");
    machine.run(&["deploy", "SITE", "--local", "--distribution", "none"]).ended_with(0);
    let state = preview.state().await;
    assert_eq!(row(&state, "/about/index.html")["state"], "stale");
    assert_eq!(row(&state, "/blog/index.html")["state"], "fresh");

    machine.write("index.html", "<!doctype html><title>Home</title>");
    machine.run(&["deploy", "SITE", "--local", "--strategy", "all"]).ended_with(0);
    let state = preview.state().await;
    let mut evicted: Vec<(&str, bool)> = state["invalidations"][0]["items"][0]["evicted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| (copy["url"].as_str().unwrap(), copy["outdated"].as_bool().unwrap()))
        .collect();
    evicted.sort_unstable();
    assert_eq!(evicted, [("/about/index.html", true), ("/blog/index.html", false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_happens_the_answer_is_short_and_the_site_keeps_all_its_paths() {
    let machine = Machine::new();
    let preview = Preview::start(&machine);
    let state = preview.state().await;
    let version = state["version"].as_u64().unwrap();
    let again = preview.dashboard(&format!("/state.json?after={version}")).await;
    assert_eq!(again.text(), format!("{{\"version\":{version}}}"));
    preview.get("/").await;
    let later: Value =
        serde_json::from_slice(&preview.dashboard(&format!("/state.json?after={version}")).await.body).unwrap();
    assert!(later["version"].as_u64().unwrap() > version && later["urls"].is_array(), "{later:#}");

    assert_eq!(preview.dashboard("/nothing").await.status, 404);
    // The same below the site, for tools that do not resolve such a name.
    let page = preview.get("/.shipfront/dashboard/").await;
    assert_eq!((page.status, &page.body), (200, &preview.dashboard("/").await.body));
    assert!(page.text().contains("fetch(\"state.json?"), "it asks beside itself");
    let below: Value = serde_json::from_slice(&preview.get("/.shipfront/dashboard/state.json").await.body).unwrap();
    assert!(below["urls"].is_array(), "{below:#}");
    let moved = preview.get("/.shipfront/dashboard").await;
    assert_eq!((moved.status, moved.header("location")), (302, Some("/.shipfront/dashboard/")));
    // The deploy record next to it stays closed, and at the site's own name there is only the site.
    assert_eq!(preview.get("/.shipfront/dashboard.json").await.status, 403);
    assert_eq!(preview.get_at_own_name("/.shipfront/dashboard/state.json").await.status, 403);
    let of_site = preview.get("/state.json").await;
    assert_eq!(of_site.body, std::fs::read(machine.site().join("404.html")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_dashboard_and_names_are_no_markup() {
    let machine = Machine::new();
    machine.write("<img src=x onerror=document.title='taken'>.html", "<!doctype html><title>x</title>");
    let preview = Preview::start(&machine);
    preview.get("/about/").await;
    machine.write("about/index.html", "<!doctype html><title>About</title><p>New.</p>");
    let report = machine.deploy();
    let Some(document) = browser::document(&format!("{}#show=all", preview.url_after("Dashboard: ")), 3000) else {
        return;
    };
    assert!(document.contains("<title>Local edge</title>") && !document.contains("<img"), "{document}");
    assert!(document.contains(">live</span>"), "{document}");
    let id = report["invalidations"][0]["id"].as_str().unwrap();
    for shown in [
        ">evicted</td>",
        "Evicted <span class=\"count\">1</span>",
        "about/index.html changed",
        "evicted /about/index.html, which was outdated",
        "put &lt;img src=x onerror=document.title='taken'&gt;.html",
        id,
    ] {
        assert!(document.contains(shown), "{shown} in {document}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watched_changes_are_deployed_even_if_the_directory_is_recreated() {
    let machine = Machine::new();
    let preview = Preview::start_with(&machine, &["--watch", "--max-paths", "1"]);
    preview.get("/about/").await;
    machine.write("about/index.html", "<!doctype html><title>About</title><p>Second.</p>");
    preview.noted("deployed: 1 uploaded, 0 deleted").await;
    assert!(preview.get("/about/").await.text().contains("Second."));
    // A deploy next to the edge is explained with the deploy's own reasons.
    let item = &preview.state().await["invalidations"][0]["items"][0];
    assert_eq!((&item["item"], &item["effect"]), (&"/abou*".into(), &"3 changed URLs".into()));
    assert_eq!(
        item["because"][0],
        serde_json::json!({"key": "about/index.html", "what": "changed", "reason": "changed"})
    );
    if let Some(document) = browser::document(&preview.url_after("Dashboard: "), 3000) {
        assert!(document.contains("about/index.html changed"), "{document}");
        assert!(document.contains("by the plan: 3 changed URLs"), "{document}");
    }

    let kept = machine.directory.path().join("kept");
    std::fs::rename(machine.site(), &kept).unwrap();
    std::fs::write(kept.join("about/index.html"), "<!doctype html><title>About</title><p>Third.</p>").unwrap();
    std::fs::write(kept.join("new.html"), "new").unwrap();
    std::fs::rename(&kept, machine.site()).unwrap();
    preview.noted("deployed: 2 uploaded, 0 deleted").await;
    assert!(preview.get("/about/").await.text().contains("Third."));

    // A failed deploy is reported, and the next one is deployed.
    std::fs::remove_dir_all(machine.site()).unwrap();
    std::fs::create_dir(machine.site()).unwrap();
    preview.noted("not deployed: the source ").await;
    crate::world::command::copy_directory(&crate::world::command::repository("examples/site"), &machine.site());
    preview.noted("deployed: 1 uploaded, 1 deleted").await;
    assert_eq!(preview.get("/new.html").await.status, 404);
}
