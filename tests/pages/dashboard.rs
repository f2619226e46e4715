//! The dashboard of the local edge.

use super::{ALL, Page, Sight, TWO, look};
use crate::local::Machine;
use crate::local::preview::Preview;
use crate::world::http::{get, request};
use serde_json::Value;

/// True once its first response was drawn.
const READY: &str = "document.querySelector('#live').textContent === 'live'";
/// Its contents, by the IDs and texts of its parts.
const LOOK: &str = "({ \
    counts: Object.fromEntries(Array.from(document.querySelectorAll('[data-show]'), each => [each.dataset.show, each.querySelector('.count').textContent])), \
    rows: Array.from(document.querySelectorAll('#urls tr'), each => [each.cells[0].textContent, each.cells[1].querySelector('a').textContent]), \
    pressed: document.querySelector('[aria-pressed=true]').dataset.show, \
    story: document.querySelector('#story').textContent, stale: document.querySelector('#stale').textContent, \
    sites: Array.from(document.querySelectorAll('#site option'), each => each.textContent), menu: !document.querySelector('#menu').hidden, \
    history: Array.from(document.querySelectorAll('#history li'), each => each.textContent), \
    commands: Array.from(document.querySelectorAll('#history details code'), each => each.textContent), \
    announced: Array.from(document.querySelectorAll('[aria-live], [role=status]'), each => each.id || each.firstElementChild.id), \
    text: document.body.textContent })";

fn page(url: String, views: &[(u16, &'static str)]) -> Page {
    Page { ready: READY, look: LOOK, ..Page::new(url, views) }
}

fn text<'a>(sight: &'a Sight, name: &str) -> &'a str {
    sight.look[name].as_str().unwrap()
}

async fn state(preview: &Preview, query: &str) -> Value {
    let base = preview.dashboard_url();
    let host = base.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let port = host.rsplit(':').next().unwrap().to_owned();
    let path = format!("/.shipfront/dashboard/state.json?{query}");
    let answer = request(&format!("http://127.0.0.1:{port}"), "GET", &path, &[("host", &host)]).await;
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_explains_the_last_deploy_and_is_usable_at_each_width_in_both_schemes_and_by_keyboard() {
    let machine = Machine::new();
    machine.write("\u{202e}<img src=x onerror=document.title='taken'>.html", "<!doctype html><title>x</title>");
    machine.write(&format!("{}.html", "wide".repeat(50)), "<!doctype html><title>Wide</title>");
    let preview = Preview::start(&machine);
    let before = page(preview.dashboard_url(), &TWO);
    let visit = async |path: &str| preview.get(path).await;
    for path in ["/", "/about/", "/about/", "/blog/", "/feed.xml", &format!("/{}.html", "wide".repeat(50))] {
        visit(path).await;
    }
    let Some(sights) = look(vec![before]) else { return };
    let story = text(&sights[0], "story");
    assert!(story.ends_with(" uploaded. CloudFront evicted 0 cached copies; 0 others stayed cached."), "{story}");

    machine.write("about/index.html", "<!doctype html><title>About</title><p>New.</p>");
    machine.deploy();
    let all = format!("{}#show=all", preview.dashboard_url());
    let uncached = format!("{}#show=uncached&find=about", preview.dashboard_url());
    let pages = vec![page(preview.dashboard_url(), &ALL), page(all.clone(), &TWO), page(uncached, &TWO[..1])];
    let Some(sights) = look(pages) else { return };
    let state_now = state(&preview, "show=all").await;
    let counts = &state_now["counts"];
    let count = |name: &str| counts[name].as_u64().unwrap();
    for sight in &sights[..ALL.len() + TWO.len()] {
        let shown = |name: &str| sight.look["counts"][name].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!((shown("cached"), shown("stale")), (count("fresh") + count("stale"), count("stale")));
        assert_eq!(
            (shown("evicted"), shown("uncached")),
            (count("evicted"), count("expired") + count("evicted") + count("absent"))
        );
        assert_eq!(shown("all"), shown("cached") + shown("uncached"));
        let pressed = text(sight, "pressed");
        assert_eq!(
            sight.look["rows"].as_array().unwrap().len() as u64,
            shown(pressed),
            "the count of a filter is that of its rows"
        );
        assert!(
            text(sight, "story").ends_with(": 1 uploaded. CloudFront evicted 1 cached copy; 4 others stayed cached."),
            "{}",
            text(sight, "story")
        );
        assert_eq!(sight.look["menu"], false, "one site needs no menu");
        assert!(!text(sight, "text").contains('\u{202e}'), "it turns the letters after it round");
    }
    assert_eq!(text(&sights[0], "pressed"), "cached", "cached URLs come first");
    assert!(
        sights[0].look["rows"].as_array().unwrap().iter().all(|row| row[0] == "fresh"),
        "{}",
        sights[0].look["rows"]
    );
    assert_eq!(sights.last().unwrap().look["rows"], serde_json::json!([["evicted", "/about/index.html"]]));
    for announced in ["live", "story", "none", "said"] {
        assert!(sights[0].look["announced"].as_array().unwrap().iter().any(|id| id == announced), "{announced}");
    }
    // The previous deploy can be restored, and the command that a user copies works.
    assert_eq!(sights[0].look["history"].as_array().unwrap().len(), 2, "{}", sights[0].look["history"]);
    let command = sights[0].look["commands"][0].as_str().unwrap().to_owned();
    let arguments: Vec<&str> = command.split(' ').collect();
    assert_eq!(
        (arguments[..2].to_vec(), arguments.last()),
        (vec!["shipfront", "rollback"], Some(&"--local")),
        "{command}"
    );
    machine.run(&arguments[1..]).ended_with(0);
    let about = preview.get("/about/").await.text();
    assert_eq!(
        about.as_bytes(),
        std::fs::read(crate::world::command::repository("examples/site/about/index.html")).unwrap()
    );

    // A second site adds a menu; what was not invalidated is stale, and shown so.
    machine.write("feed.xml", "<rss/>");
    machine.run(&["deploy", "SITE", "--local", "--distribution", "none"]).ended_with(0);
    machine.run(&["deploy", "SITE", "s3://second.example.com", "--local"]).ended_with(0);
    let second = state(&preview, "").await["distributions"][1]["id"].as_str().unwrap().to_owned();
    let mut last = page(preview.dashboard_url(), &[(390, "dark"), (1280, "light")]);
    last.tabs = 25;
    let Some(sights) = look(vec![last, page(format!("{}#site={second}&show=all", preview.dashboard_url()), &TWO)])
    else {
        return;
    };
    assert!(text(&sights[0], "story").contains("Nothing was invalidated."), "{}", text(&sights[0], "story"));
    assert_eq!(text(&sights[0], "stale"), "2 URLs are stale: viewers get old copies.");
    assert_eq!((sights[0].look["menu"].clone(), sights[0].look["sites"].as_array().unwrap().len()), (true.into(), 2));
    let focus = &sights[1].focus;
    for tag in ["select", "a", "button", "input", "summary"] {
        assert!(focus.iter().any(|focus| focus.tag == tag), "{tag} is not reached: {focus:?}");
    }
    let other = &sights[2];
    assert!(other.look["history"].as_array().unwrap().len() == 1 && text(other, "stale").is_empty(), "{}", other.look);
    assert!(other.look["rows"].as_array().unwrap().iter().all(|row| row[0] == "not cached"), "{}", other.look["rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_of_an_edge_without_a_site_says_how_to_begin() {
    let edge = crate::world::aws::edge().await;
    let url = shipfront_edge::Edge::dashboard_of(&edge.viewer_url());
    assert_eq!(get(&edge.viewer_url(), "/.shipfront/dashboard/state.json").await.status, 200);
    let Some(sights) = look(vec![page(url, &TWO)]) else { return };
    assert!(text(&sights[0], "story").starts_with("No deploy yet."), "{}", text(&sights[0], "story"));
    assert_eq!(sights[0].look["counts"]["all"], "0");
}
