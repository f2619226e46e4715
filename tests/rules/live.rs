//! What a deploy publishes, in which order, what it invalidates because of that, and what viewers get.

use super::{leads, live, publish, view, world, writes};
use crate::world::site::BUCKET;

const SITE: [(&str, &str); 4] =
    [("about/index.html", "about"), ("app.js", "code"), ("café menü.html", "coffee"), ("index.html", "welcome")];

/// The deploy that the documents describe.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_that_comes_one_that_goes_and_a_header_that_changes_are_live_with_the_deploy() {
    let world = world(&SITE).await;
    world.write("_redirects", "/stays /about/\n/goes.html /about/\n");
    world.write("_headers", "/*\n  X-Frame-Options: SAMEORIGIN\n");
    publish(&world).expect(0);
    assert_eq!(leads(&world, "/goes.html").await, (301, "/about/".to_owned()));
    assert_eq!(view(&world, "/about/").await.header("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(view(&world, "/about/").await.text(), "about");

    world.edge.clear_requests();
    world.write("index.html", "welcome to the new place");
    world.remove("app.js");
    world.write("main.js", "code");
    world.write("_redirects", "/stays /about/\n/comes /main.js 302\n");
    world.write("_headers", "/*\n  X-Frame-Options: DENY\n");
    let run = publish(&world).expect(0);
    let expected = [
        "UpdateFunction site-request",
        "TestFunction site-request",
        "UpdateFunction site-response",
        "TestFunction site-response",
        "PUT main.js",
        "PUT index.html",
        "PublishFunction site-request",
        "PublishFunction site-response",
        // The page and the new file; for the rules, only what is gone.
        "INVALIDATE / /goes.html /goes.html/ /index.html /main.js",
    ];
    assert_eq!(writes(&world), expected);
    let rules = run.json["rules"].as_array().unwrap();
    let changes: Vec<_> =
        rules.iter().map(|rule| (rule["function"].as_str().unwrap(), rule["change"].as_str().unwrap())).collect();
    assert_eq!(changes, [("viewer-request", "changed"), ("viewer-response", "changed")]);
    assert_eq!(run.json["requests"]["cloudfront_write"].as_u64().unwrap() as usize, world.writes().len() - 3);

    assert_eq!(leads(&world, "/comes").await, (302, "/main.js".to_owned()));
    assert_eq!(leads(&world, "/stays").await, (301, "/about/".to_owned()));
    assert_eq!(leads(&world, "/goes.html").await.0, 404);
    assert_eq!(
        view(&world, "/about/").await.header("x-frame-options"),
        Some("DENY"),
        "a copy that stayed in the cache"
    );

    world.edge.clear_requests();
    let again = publish(&world).expect(0);
    assert_eq!((again.outcome(), writes(&world)), ("nothing-to-do", vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_in_the_place_of_another_page_is_evicted_with_its_line() {
    let world = world(&SITE).await;
    world.write("_redirects", "/old.html /about/index.html 200\n");
    publish(&world).expect(0);
    assert_eq!(view(&world, "/old.html").await.text(), "about");
    world.edge.clear_requests();
    world.write("_redirects", "/old.html /index.html 200\n");
    publish(&world).expect(0);
    let invalidated = writes(&world);
    assert_eq!(invalidated.last().unwrap(), "INVALIDATE /old.html /old.html/", "{invalidated:?}");
    assert_eq!(view(&world, "/old.html").await.text(), "welcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_alone_evicts_nothing() {
    let world = world(&SITE).await;
    publish(&world).expect(0);
    view(&world, "/about/").await;
    world.edge.clear_requests();
    world.write("_headers", "/about/*\n  X-A: b\n");
    let run = publish(&world).expect(0);
    assert_eq!(run.outcome(), "deployed");
    let invalidated = writes(&world);
    assert_eq!(
        invalidated,
        ["UpdateFunction site-response", "TestFunction site-response", "PublishFunction site-response"]
    );
    let about = view(&world, "/about/").await;
    assert_eq!((about.header("x-a"), about.header("x-cache").map(|it| it.starts_with("Hit"))), (Some("b"), Some(true)));
    world.remove("_headers");
    publish(&world).expect(0);
    assert_eq!(view(&world, "/about/").await.header("x-a"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_something_else_published_is_put_right_by_a_run_with_nothing_else_to_do() {
    let world = world(&SITE).await;
    world.write("_redirects", "/old /about/\n");
    publish(&world).expect(0);
    let ours = live(&world.edge, "site-request");
    let comment = format!("shipfront s3://{BUCKET}");
    world.edge.put_function(&super::function("site-request", &comment, "request")).unwrap();
    assert_eq!(leads(&world, "/old").await.0, 404);
    world.edge.clear_requests();
    let run = publish(&world).expect(0);
    assert_eq!(run.json["rules"][0]["change"], "repaired");
    let expected = ["UpdateFunction site-request", "TestFunction site-request", "PublishFunction site-request"];
    assert_eq!(writes(&world), expected);
    assert_eq!(live(&world.edge, "site-request"), ours);
    assert_eq!(leads(&world, "/old").await.0, 301);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_lines_are_tried_by_forty_and_are_all_live() {
    let world = world(&SITE).await;
    let lines: String = (0..300).map(|at| format!("/old/{at} /new/{at}\n")).collect();
    world.write("_redirects", lines);
    publish(&world).expect(0);
    let tried = world.writes().iter().filter(|line| *line == "TestFunction site-request").count();
    assert!((38..=46).contains(&tried), "{tried}");
    assert_eq!(leads(&world, "/old/299").await, (301, "/new/299".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_prefix_the_folder_is_part_of_the_urls() {
    let world = crate::world::site::World::new(&SITE).await;
    let target = format!("s3://{BUCKET}/docs");
    let mut changed = world.edge.distribution(&world.distribution).unwrap();
    let (name, comment) = ("docs-request", format!("shipfront {target}"));
    world.edge.put_function(&super::function(name, &comment, "request")).unwrap();
    changed = changed.with_function("viewer-request", name);
    world.edge.put_distribution(changed).unwrap();
    world.write("_redirects", "/docs/old.html /docs/about/\n/docs/app.js /docs/x\n");
    let run = |lines: &str| {
        world.write("_redirects", lines);
        world.edge.clear_requests();
        world.run(&world.arguments("deploy", &target, &super::PUBLISH)).expect(0)
    };
    let first = run("/docs/old.html /docs/about/\n/docs/app.js /docs/x\n");
    assert!(
        first.stderr.contains("/docs/app.js is the file docs/app.js")
            || first.json["rules"][0]["lines"].to_string().contains("/docs/app.js is the file"),
        "{:?}",
        first.json["rules"]
    );
    assert_eq!(leads(&world, "/docs/old.html").await, (301, "/docs/about/".to_owned()));
    run("");
    assert_eq!(writes(&world).last().unwrap(), "INVALIDATE /docs/old.html /docs/old.html/");
}
