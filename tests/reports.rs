//! `--report`: the page that a browser opens, and the JUnit report that CodeBuild reads.

use crate::world::browser;
use crate::world::command::{clean, repository, run, toward};
use crate::world::site::{ALWAYS, EXACT, World, denied};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;
use std::path::Path;

/// A file name that would be markup, if it were not escaped.
const EVIL: &str = "<img src=x onerror=document.title='taken'>.html";

/// A deployed site with an addition, an edit and a removal.
async fn edited() -> World {
    let world =
        World::deployed(&[("app.js", "code"), ("blog/a.html", "a"), ("blog/b.html", "b"), ("index.html", "i")]).await;
    world.write("index.html", "an edit");
    world.write(EVIL, "new");
    world.write("style.css", "new");
    world.remove("blog/b.html");
    world
}

/// The elements of a document: their names, and their attributes and text, unescaped.
fn elements(xml: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut reader = Reader::from_str(xml);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {xml}")) {
            Event::Eof => return found,
            Event::Start(element) | Event::Empty(element) => {
                let attributes = element.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let name = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    let value = std::str::from_utf8(&attribute.value).unwrap();
                    (name, quick_xml::escape::unescape(value).unwrap().into_owned())
                });
                found.push((String::from_utf8(element.name().as_ref().to_vec()).unwrap(), attributes.collect()));
            }
            _ => {}
        }
    }
}

/// The names of the test cases, and of those that failed or were skipped, with their messages.
fn cases(xml: &str) -> (Vec<String>, Vec<String>) {
    let (mut names, mut others) = (Vec::<String>::new(), Vec::new());
    for (element, attributes) in elements(xml) {
        match element.as_str() {
            "testcase" => names.push(attributes["name"].clone()),
            "failure" | "skipped" => {
                others.push(format!("{}: {element}: {}", names.last().unwrap(), attributes["message"]));
            }
            _ => {}
        }
    }
    (names, others)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_opens_the_page_of_a_deploy_and_file_names_are_no_markup() {
    let world = edited().await;
    let path = world.outside().join("report.html");
    let run = world.deploy(&[&EXACT[..], &["--report", path.to_str().unwrap()]].concat()).expect(0);

    let page = read(&path);
    for outside in ["url(", "@import", "<script", "<link", "<iframe", "src=\""] {
        assert!(!page.contains(outside), "the page needs nothing else: {outside}");
    }
    // Everything that leads elsewhere is a link.
    assert_eq!(
        page.matches("://").count(),
        page.matches("<a href=\"https://").count() * 2 + page.matches("s3://").count(),
        "{page}"
    );
    let Some(document) = browser::document(&format!("file://{}", path.display()), 1000) else { return };
    assert!(document.contains("<title>Deployed 3 changes and 1 removal: s3://www.example.com</title>"), "{document}");
    assert!(!document.contains("<img"), "a file name became an element");
    for stage in ["walk", "list", "compare", "assets", "pages", "removals", "invalidate", "record", "wait"] {
        assert!(document.contains(&format!("<div class=\"bar {stage}\"")), "{stage} in {document}");
    }
    // The list shows the files in their colors, with reasons.
    for (class, sign, name, why) in [
        ("new", '+', "style.css", "new"),
        ("changed", '~', "index.html", "changed"),
        ("removed", '−', "blog/b.html", "removed"),
        ("new", '+', "&lt;img src=x onerror=document.title='taken'&gt;.html", "new"),
    ] {
        let shown = format!(
            "<span class=\"sign {class}\" aria-hidden=\"true\">{sign}</span><span class=\"name\">{name}</span>\
             <span class=\"what\"><span>{why}</span>"
        );
        assert!(document.contains(&shown), "{shown} in {document}");
    }
    let id = run.json["invalidations"][0]["id"].as_str().unwrap();
    assert!(document.contains(&format!("Invalidation {id}")), "{document}");
    assert!(document.contains("<code>/blog/b.html</code>"), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_fails_half_way_leaves_its_reports() {
    let world = edited().await;
    world.fault_of("PutObject", "index.html", 0, ALWAYS, denied());
    let [page, junit] = ["r.html", "r.xml"].map(|name| world.outside().join(name));
    world.deploy(&["--report", page.to_str().unwrap(), "--report", junit.to_str().unwrap()]).expect(3);

    let page = read(&page);
    assert!(page.contains("<h1>Partly deployed: index.html failed, 1 change not begun</h1>"), "{page}");
    assert!(page.contains("s3:PutObject") && page.contains("hint: "), "{page}");
    assert!(page.contains(">not done</span>"), "the removal was left: {page}");
    let (names, others) = cases(&read(&junit));
    assert!(names.contains(&"upload style.css (new)".to_owned()), "{names:?}");
    assert!(others.iter().any(|other| other.starts_with("upload index.html (changed): failure: ")), "{others:?}");
    assert!(others.contains(&"delete blog/b.html (removed): skipped: not begun".to_owned()), "{others:?}");
    assert!(others.iter().any(|other| other.ends_with("failure: partly deployed")), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_changes_nothing_leaves_its_reports_too() {
    let world = edited().await;
    let files = ["r.html", "r.xml", "r.json", "r.md", "r.env"].map(|name| world.outside().join(name));
    let mut options: Vec<&str> = files.iter().flat_map(|file| ["--report", file.to_str().unwrap()]).collect();
    options.extend(["--max-delete", "0"]);
    let [page, junit, json, summary, variables] = &files;
    let refused = world.deploy(&options).expect(6);

    let page = read(page);
    assert!(page.contains("<h1>Refused: ") && page.contains("hint: check that the source"), "{page}");
    let (names, others) = cases(&read(junit));
    assert_eq!((names.len(), others.len()), (1, 1), "{names:?} {others:?}");
    assert!(others[0].contains("more than --max-delete 0"), "{others:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&read(json)).unwrap(), refused.json);
    let summary = read(summary);
    assert!(summary.starts_with("## Refused. Nothing was changed\n") && summary.contains("\nhint: "), "{summary}");
    assert!(read(variables).starts_with("SHIPFRONT_OUTCOME=refused\n"), "{}", read(variables));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_and_every_invalidation_is_a_test_case_of_a_suite_that_counts_them() {
    let world = edited().await;
    let path = world.outside().join("report.xml");
    world.deploy(&[&EXACT[..], &["--report", path.to_str().unwrap()]].concat()).expect(0);
    let xml = read(&path);
    let (names, others) = cases(&xml);
    let target = format!("deploy {} to s3://www.example.com", world.source().display());
    let upload_evil = format!("upload {EVIL} (new)");
    let invalidate = format!("invalidate 6 items on distribution {} for 6 URLs", world.distribution);
    assert_eq!(
        names,
        [
            target.as_str(),
            "upload style.css (new)",
            &upload_evil,
            "upload index.html (changed)",
            "delete blog/b.html (removed)",
            &invalidate
        ]
    );
    assert_eq!(others, [""; 0]);
    let suites = elements(&xml).into_iter().filter(|(element, _)| element == "testsuite");
    let counts: Vec<String> = suites.map(|(_, at)| format!("{} {}", at["name"], at["tests"])).collect();
    assert_eq!(counts, ["deploy 1", "assets 1", "pages 2", "removals 1", "invalidations 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_has_a_page_too_and_says_what_the_deploy_would_cost() {
    let world = edited().await;
    let path = world.outside().join("plan.html");
    let plan = world.plan(&["--report", path.to_str().unwrap()]).expect(0);
    assert_eq!(world.writes(), [""; 0]);
    assert!(read(&path).contains("<h1>Plan: 3 changes and 1 removal</h1>"));
    let deploy = world.deploy(&[]).expect(0);
    let cost = |run: &crate::world::site::Run| {
        let cost = &run.json["cost"];
        (cost["paths"].as_u64().unwrap(), cost["requests"]["put"].as_u64().unwrap(), cost["dollars"].as_f64().unwrap())
    };
    let ((paths, puts, dollars), sent) = (cost(&plan), cost(&deploy));
    assert_eq!((paths, puts), (sent.0, sent.1));
    assert!(dollars >= sent.2, "a plan says the most: {dollars} {}", sent.2);
    assert_eq!(sent.1, deploy.json["requests"]["put"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_is_refused_before_anything_is_sent() {
    let world = edited().await;
    let inside = world.source().join("report.html");
    let missing = world.outside().join("no/such/report.html");
    let folder = world.outside().join("folder.html");
    std::fs::create_dir(&folder).unwrap();
    for (path, said) in [
        (inside.to_str().unwrap(), "is in the source"),
        (missing.to_str().unwrap(), "create the folder first"),
        (folder.to_str().unwrap(), "cannot be written"),
        ("report.txt", "name it .html for a page"),
        (".env", "name it .html for a page"),
    ] {
        world.deploy(&["--report", path]).expect(2).says(said);
    }
    assert_eq!(world.edge.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buildspec_of_the_example_hands_codebuild_the_report_that_its_deploy_writes() {
    #[derive(serde::Deserialize)]
    struct Buildspec {
        phases: BTreeMap<String, Phase>,
        reports: BTreeMap<String, Reports>,
    }
    #[derive(serde::Deserialize)]
    struct Phase {
        commands: Vec<String>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Reports {
        files: Vec<String>,
        file_format: String,
    }
    let spec: Buildspec = yaml_serde::from_str(&read(&repository("examples/codebuild/buildspec.yml"))).unwrap();
    let reports = &spec.reports["shipfront"];
    assert_eq!((reports.files.len(), reports.file_format.as_str()), (1, "JUNITXML"));

    let world = World::new(&[("index.html", "i")]).await;
    std::os::unix::fs::symlink(crate::world::command::binary(), world.outside().join("shipfront")).unwrap();
    let path = format!("{}:{}", world.outside().display(), std::env::var("PATH").unwrap());
    let mut shell = clean("sh");
    toward(&mut shell, &world.edge).env("PATH", path).env("CODEBUILD_BUILD_SUCCEEDING", "1");
    shell.env("SHIPFRONT_TARGET", "s3://www.example.com").env("SHIPFRONT_DISTRIBUTION", &world.distribution);
    shell.current_dir(world.outside()).args(["-e", "-c", &spec.phases["post_build"].commands.join("\n")]);
    run(&mut shell).ended_with(0);
    let (names, others) = cases(&read(&world.outside().join(&reports.files[0])));
    assert!(names.contains(&"upload index.html (new)".to_owned()) && others.is_empty(), "{names:?} {others:?}");
}
