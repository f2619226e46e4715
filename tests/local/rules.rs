//! `_redirects` and `_headers` on this machine: the functions that would be published for them answer here as well.

use super::Machine;
use super::preview::Preview;

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_answers_by_the_functions_that_would_be_published() {
    let machine = Machine::new();
    machine
        .write("_redirects", "/old /about/\n/team/* /about/?by=:splat 302\n/app/* /index.html 200\n/about/ /never/\n");
    machine.write("_headers", "/*\n  X-Frame-Options: DENY\n/blog/*\n  X-Frame-Options: SAMEORIGIN\n");
    let preview = Preview::start(&machine);
    for (path, status, location) in [
        ("/old?a=1", 301, Some("/about/?a=1")),
        ("/team/x/y", 302, Some("/about/?by=x/y")),
        ("/app/anything", 200, None),
        // A file takes precedence.
        ("/about/", 200, None),
    ] {
        let answer = preview.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (status, location), "{path}");
    }
    let home = std::fs::read(machine.site().join("index.html")).unwrap();
    assert_eq!(preview.get("/app/anything").await.body, home);
    assert_eq!(preview.get("/about/").await.header("x-frame-options"), Some("DENY"));
    assert_eq!(preview.get("/blog/").await.header("x-frame-options"), Some("SAMEORIGIN"));
    // CloudFront calls no function for an error page.
    let missing = preview.get("/nothing/here.html").await;
    assert_eq!((missing.status, missing.header("x-frame-options")), (404, None));

    // A deploy through the running preview changes them, in its process.
    machine.write("_redirects", "/old /blog/ 307\n");
    machine.write("_headers", "/*\n  X-Frame-Options: ALLOW\n");
    machine.deploy();
    let answer = preview.get("/old").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("/blog/")));
    assert_eq!(
        preview.get("/team/x").await.header("location"),
        Some(&*format!("http://{}/team/x/", preview.authority))
    );
    assert_eq!(preview.get("/about/").await.header("x-frame-options"), Some("ALLOW"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_before_are_gone_with_their_files_and_kept_for_the_next_preview() {
    let machine = Machine::new();
    machine.write("_redirects", "/old /about/\n");
    machine.deploy();
    let preview = Preview::start(&machine);
    assert_eq!(preview.get("/old").await.header("location"), Some("/about/"));
    std::fs::remove_file(machine.site().join("_redirects")).unwrap();
    machine.deploy();
    assert_eq!(preview.get("/old").await.header("location"), Some(&*format!("http://{}/old/", preview.authority)));
    assert_eq!(preview.get("/docs/the-lens/").await.status, 200);
}
