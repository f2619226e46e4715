//! Redirects as objects, and the warnings if they need a function.

use crate::world::http::get;
use crate::world::site::{BUCKET, EXACT, World};
use shipfront_edge::OriginKind;

/// A world whose distribution serves the website endpoint of the bucket.
async fn website(files: &[(&str, &str)]) -> World {
    let world = World::new(files).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.origins[0].domain_name = format!("{BUCKET}.s3-website-us-east-1.amazonaws.com");
    distribution.origins[0].kind = OriginKind::Website;
    distribution.default_root_object = String::new();
    world.edge.put_distribution(distribution).unwrap();
    world
}

async fn location(world: &World, url: &str) -> (u16, String) {
    let answer = get(&world.edge.viewer_url(), url).await;
    (answer.status, answer.header("location").unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_website_endpoint_follows_redirects_that_are_objects() {
    let world = website(&[("index.html", "i"), ("new.html", "n"), ("kept/index.html", "k")]).await;
    world.write(
        "_redirects",
        "/old /new.html\n/old.html https://other.example/ 301\n/kept /new.html\n/t /new.html 302\n/w/* /x/:splat\n",
    );
    let run = world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["index.html", "kept/index.html", "new.html", "old", "old.html", "old/index.html"]);
    let changes = run.json["changes"].as_array().unwrap();
    let redirect = changes.iter().find(|change| change["key"] == "old").unwrap();
    assert_eq!(redirect["wave"], "pages", "what it leads to is there first");
    let warnings = run.warnings();
    assert!(warnings.contains("2 redirects are not active"), "{warnings}");
    for url in ["/old", "/old/"] {
        assert_eq!(location(&world, url).await, (301, "/new.html".to_owned()), "{url}");
    }
    assert_eq!(location(&world, "/old.html").await, (301, "https://other.example/".to_owned()));
    assert_eq!(get(&world.edge.viewer_url(), "/kept/").await.text(), "k", "a file comes first");

    let again = world.deploy(&[]).expect(0);
    assert_eq!((again.outcome(), again.objects("kept")), ("nothing-to-do", 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_redirect_is_uploaded_and_invalidated_and_a_removed_one_goes() {
    let world = website(&[("index.html", "i")]).await;
    world.write("_redirects", "/a /x\n/b /x\n");
    world.deploy(&EXACT).expect(0);
    assert_eq!(location(&world, "/a").await.1, "/x");
    world.write("_redirects", "/a /y\n");
    let run = world.deploy(&[EXACT[0], EXACT[1], EXACT[2], EXACT[3], "--prune-after", "0s"]).expect(0);
    let expected =
        ["upload headers a", "upload headers a/index.html", "prune orphaned b", "prune orphaned b/index.html"];
    assert_eq!(run.changes(), expected);
    assert_eq!(location(&world, "/a").await.1, "/y");
    assert_eq!(get(&world.edge.viewer_url(), "/b").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_redirect_comes_before_the_file() {
    let world = website(&[("index.html", "i"), ("old.html", "still here")]).await;
    world.write("_redirects", "/old.html /new.html 301!\n");
    world.deploy(&[]).expect(0);
    assert_eq!(location(&world, "/old.html").await, (301, "/new.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_website_endpoint_follows_them_redirects_are_no_objects_and_the_way_is_reported() {
    let world = World::new(&[("index.html", "i")]).await;
    world.write("_redirects", "/old /new\n");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["index.html"]);
    let warnings = run.warnings();
    assert!(warnings.contains("1 redirect is not active; 'shipfront rules --attach'"), "{warnings}");

    let run = world.deploy(&["--redirect-objects", "always"]).expect(0);
    assert_eq!(world.keys(), ["index.html", "old", "old/index.html"]);
    assert!(!run.warnings().contains("not active"), "{}", run.warnings());
}
