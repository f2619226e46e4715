//! The report as a page.

use super::{ALL, Page, Sight, TWO, look};
use crate::world::site::{ALWAYS, Run, TARGET, World, denied, run};
use serde_json::Value;
use std::path::PathBuf;

/// The figures of a page by name, its contents by heading, and the targets of its links.
const LOOK: &str = "({ \
    figures: Object.fromEntries(Array.from(document.querySelectorAll('[data-figure]'), each => [each.dataset.figure, each.textContent])), \
    heading: document.querySelector('h1').textContent, \
    sections: Array.from(document.querySelectorAll('h2'), each => each.textContent), \
    links: Array.from(document.querySelectorAll('a'), each => each.getAttribute('href')), \
    maps: document.querySelectorAll('svg').length, images: document.images.length, text: document.body.innerText })";

/// A page of a run, and the run.
struct Reported {
    page: PathBuf,
    run: Run,
}

/// Runs shipfront, with a report page.
fn report(world: &World, name: &str, command: &str, options: &[&str], exit: i32) -> Reported {
    let page = world.outside().join(name).with_extension("html");
    let options = [options, &["--report", page.to_str().unwrap()]].concat();
    let mut command = world.command(&world.arguments(command, TARGET, &options));
    let ci = [
        ("GITHUB_SHA", "0123456789abcdef"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "a/b"),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_RUN_NUMBER", "3"),
    ];
    Reported { page, run: run(command.envs(ci)).expect(exit) }
}

/// A figure of a page, without thousands separators.
fn figure(sight: &Sight, name: &str) -> Option<u64> {
    sight.look["figures"][name].as_str().map(|text| text.replace(',', "").parse().unwrap())
}

/// Checks that the numbers on the page are those of the JSON.
#[track_caller]
fn agrees(sight: &Sight, json: &Value) {
    let figures = &sight.look["figures"];
    if json["objects"].is_null() {
        assert_eq!(figures, &serde_json::json!({}), "an error has no figures");
        return;
    }
    for name in ["uploaded", "copied", "pruned", "kept", "orphaned", "unknown", "failed"] {
        assert_eq!(figure(sight, name).unwrap_or(0), json["objects"][name].as_u64().unwrap(), "{name}: {figures}");
    }
    assert_eq!(figure(sight, "paths"), json["cost"]["paths"].as_u64(), "{figures}");
    let invalidations = json["invalidations"].as_array().unwrap();
    let sum = |name: &str| invalidations.iter().map(|each| each[name].as_u64().unwrap()).sum::<u64>();
    let (others, evicted) = (sum("universe") - sum("viewer_paths"), sum("collateral"));
    let is_refused = json["outcome"] == "refused";
    if is_refused || others == 0 || invalidations.iter().any(|each| each["status"] == "failed") {
        assert_eq!(figure(sight, "stay"), None, "{figures}");
        return;
    }
    assert_eq!((figure(sight, "stay"), figure(sight, "others")), (Some(others - evicted), Some(others)), "{figures}");
    let percent: f64 = figures["share"].as_str().unwrap().trim_end_matches('%').parse().unwrap();
    let exact = (others - evicted) as f64 * 100.0 / others as f64;
    assert!(percent <= exact && exact < percent + 1.0, "{percent} {exact}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_is_legible_at_each_width_in_both_schemes_and_its_figures_are_those_of_the_json() {
    let world = World::new(&[]).await;
    world.close_the_record().await;
    for at in 0..40 {
        world.write(&format!("blog/{at:02}/index.html"), "a page");
    }
    world.write("index.html", "i");
    world.write("app.js", "code");
    let mut reports = vec![report(&world, "first", "deploy", &[], 0), report(&world, "none", "deploy", &[], 0)];
    // More than thirty changes, with hostile and with long names.
    for at in 0..35 {
        world.write(&format!("blog/{at:02}/index.html"), "an edit");
    }
    world.write("<img src=x onerror=document.title='taken'>.html", "new");
    world.write(&format!("{}.html", "wide".repeat(50)), "new");
    world.write(&format!("{}/deep.html", ["a"; 60].join("/")), "new");
    world.write("\u{202e}backwards.html", "new");
    world.remove("blog/39/index.html");
    reports.push(report(&world, "plan", "plan", &["--max-paths", "3"], 0));
    reports.push(report(&world, "refused", "deploy", &["--max-delete", "0"], 6));
    world.fault_of("PutObject", "index.html", 0, ALWAYS, denied());
    world.write("index.html", "an edit");
    reports.push(report(&world, "partial", "deploy", &["--max-paths", "3"], 3));
    world.edge.faults().clear();
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    reports.push(report(&world, "stale", "deploy", &[], 4));
    world.edge.faults().clear();
    world.fault("ListObjectsV2", 0, ALWAYS, denied());
    reports.push(report(&world, "error", "deploy", &[], 1));
    world.edge.faults().clear();
    // Finally a few changes, for which a list is enough.
    world.deploy(&[]).expect(0);
    world.write("blog/00/index.html", "another edit");
    world.write("new.html", "new");
    reports.push(report(&world, "few", "deploy", &[], 0));

    let page = |reported: &Reported| {
        let views = match reported.page.file_stem().unwrap().to_str().unwrap() {
            "plan" | "few" => &ALL[..],
            _ => &TWO,
        };
        Page { look: LOOK, ..Page::new(format!("file://{}", reported.page.display()), views) }
    };
    let mut pages: Vec<Page> = reports.iter().map(page).collect();
    let paper = format!("file://{}", reports[2].page.display());
    pages.push(Page { look: LOOK, tabs: 12, ..Page::new(paper, &[(700, "print"), (1280, "dark")]) });
    let Some(sights) = look(pages) else { return };

    let of = |name: &str| {
        let name = format!("/{name}.html");
        sights.iter().filter(move |sight| sight.url.ends_with(&name))
    };
    for reported in &reports {
        let name = reported.page.file_stem().unwrap().to_str().unwrap();
        for sight in of(name) {
            agrees(sight, &reported.run.json);
            assert!(sight.title.starts_with(sight.look["heading"].as_str().unwrap()), "{}", sight.title);
            assert_eq!(sight.look["images"], 0, "a file name became an element");
            let mut links: Vec<&str> =
                sight.look["links"].as_array().unwrap().iter().map(|link| link.as_str().unwrap()).collect();
            let builds = ["https://github.com/a/b/commit/0123456789abcdef", "https://github.com/a/b/actions/runs/77"];
            assert_eq!(links.split_off(links.len() - builds.len()), builds);
            assert_eq!(links, Vec::from_iter(reported.run.json["url"].as_str()), "the site's own");
            let text = sight.look["text"].as_str().unwrap();
            assert!(!text.contains('\u{202e}'), "{text}");
        }
        let dark: Vec<&str> =
            of(name).filter(|sight| sight.scheme == "dark").map(|sight| sight.background.as_str()).collect();
        assert!(dark.iter().all(|background| *background == "rgb(18, 22, 29)") && !dark.is_empty(), "{dark:?}");
    }
    let first = |name: &str| of(name).next().unwrap();
    let heading = |name: &str| first(name).look["heading"].as_str().unwrap().to_owned();
    assert_eq!(heading("first"), "Deployed 42 changes");
    assert_eq!(heading("none"), "No changes");
    assert_eq!(heading("plan"), "Plan: 39 changes and 1 removal");
    assert!(heading("refused").starts_with("Refused: 1 object"), "{}", heading("refused"));
    assert_eq!(heading("partial"), "Partly deployed: index.html failed, 1 change not begun");
    assert_eq!(heading("stale"), "Deployed, but CloudFront was not invalidated");
    assert!(heading("error").starts_with("Failed: "), "{}", heading("error"));
    assert_eq!(heading("few"), "Deployed 2 changes");
    // Changes come first, and treemaps only if there are many.
    let sections = |name: &str| {
        let mut sections: Vec<String> = serde_json::from_value(first(name).look["sections"].clone()).unwrap();
        // Each run warns about a name that reads backwards.
        sections.retain(|section| !section.starts_with("Warning"));
        sections
    };
    assert_eq!(sections("few")[..2], ["Figures", "Changes"]);
    assert_eq!((&first("few").look["maps"], &first("plan").look["maps"]), (&0.into(), &2.into()));
    assert_eq!(sections("plan")[1..3], ["Changes", "Changes by size"]);
    assert_eq!((sections("partial")[0].as_str(), sections("error")), ("Problems", vec!["What is wrong".to_owned()]));
    let text = first("few").look["text"].as_str().unwrap();
    assert!(text.contains("changed") && !text.contains("etag"), "{text}");
    // On paper, it is dark on white, with the URLs of links, and what is folded is open.
    let paper = sights.iter().find(|sight| sight.scheme == "print").unwrap();
    assert_eq!(paper.background, "rgb(255, 255, 255)");
    let focus = &sights.last().unwrap().focus;
    assert!(
        focus.iter().any(|focus| focus.tag == "a") && focus.iter().any(|focus| focus.tag == "summary"),
        "{focus:?}"
    );
}
