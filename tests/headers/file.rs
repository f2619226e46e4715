//! `_headers` at the top of the source.

use crate::world::http::get;
use crate::world::site::{BUCKET, TARGET, World};

fn cache_control(world: &World, key: &str) -> Option<String> {
    let objects = world.edge.objects(BUCKET);
    let object = objects.into_iter().find(|object| object.key == key).unwrap();
    object.headers.get("cache-control").cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_headers_file_says_is_what_viewers_get_and_the_file_stays_at_home() {
    let world = World::new(&[("index.html", "i"), ("app.js", "a"), ("blog/index.html", "b")]).await;
    world.write("_headers", "/*\n  Cache-Control: max-age=0\n/*.js\n  Cache-Control: max-age=31536000, immutable\n/blog/\n  Content-Language: de\n");
    world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["app.js", "blog/index.html", "index.html"]);
    let script = get(&world.edge.viewer_url(), "/app.js").await;
    assert_eq!(script.header("cache-control"), Some("max-age=31536000, immutable"));
    let page = get(&world.edge.viewer_url(), "/blog/index.html").await;
    assert_eq!((page.header("cache-control"), page.header("content-language")), (Some("max-age=0"), Some("de")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_uploads_exactly_the_objects_that_it_changes() {
    let world = World::new(&[("index.html", "i"), ("app.js", "a"), ("x/other.js", "o"), ("style.css", "s")]).await;
    world.write("_headers", "/*.js\n  Cache-Control: max-age=60\n");
    world.deploy(&[]).expect(0);
    world.write("_headers", "/*.js\n  Cache-Control: max-age=60\n/x/*\n  Cache-Control: max-age=70\n");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload headers x/other.js"]);
    world.remove("_headers");
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload headers app.js", "upload headers x/other.js"]);
    assert_eq!(cache_control(&world, "app.js"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn for_headers_that_s3_does_not_keep_one_warning_says_what_to_do() {
    let world = World::new(&[("index.html", "i")]).await;
    world.write("_headers", "/*\n  X-Frame-Options: DENY\n  Content-Security-Policy: default-src 'self'\n/a\n  X-Frame-Options: SAMEORIGIN\n");
    let run = world.deploy(&[]).expect(0);
    let warnings = run.warnings();
    let of_rules: Vec<_> = warnings.lines().filter(|line| line.contains("rules")).collect();
    assert_eq!(of_rules, ["3 headers are not active; 'shipfront rules --attach' shows what to do"], "{warnings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_that_adds_them_is_printed_as_a_template() {
    let world = World::new(&[("index.html", "i")]).await;
    let source = world.source().to_str().unwrap();
    world.run(&["headers", source, "--policy"]).expect(2).says("hint:");
    world.write("_headers", "/*\n  Cache-Control: max-age=0\n  X-Frame-Options: DENY\n");
    let run = world.run(&["headers", source, "--policy"]).expect(0);
    let config = &run.json["Resources"]["Headers1"]["Properties"]["ResponseHeadersPolicyConfig"];
    assert_eq!(config["SecurityHeadersConfig"]["FrameOptions"]["FrameOption"], "DENY");
    assert!(!run.stdout.contains("Cache-Control"), "S3 keeps that: {}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_makes_no_sense_is_skipped_and_named_and_strict_rules_make_it_an_error() {
    let world = World::new(&[("index.html", "i")]).await;
    world.write("_headers", "/*\n  Cache-Control max-age=0\nContent-Language: de\n");
    world.deploy(&["--strict-rules"]).expect(2).says("_headers:2:").says("no colon").says("hint:");
    assert_eq!(world.writes(), [""; 0]);
    let warnings = world.deploy(&[]).expect(0).warnings();
    assert!(warnings.contains("_headers:2: skipped") && warnings.contains("no colon"), "{warnings}");
    assert_eq!(get(&world.edge.viewer_url(), "/index.html").await.header("content-language"), Some("de"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_refused_and_shown_nowhere() {
    let world = World::new(&[("index.html", "i"), ("private/a.html", "p")]).await;
    world.write("_headers", "/private/*\n  Basic-Auth: alice:s3cret\n  X-A: b\n");
    let source = world.source().to_str().unwrap();
    for arguments in [
        world.arguments("deploy", TARGET, &[]),
        world.arguments("plan", TARGET, &[]),
        vec!["headers", source],
        vec!["headers", source, "--policy"],
        vec!["headers", source, "--json"],
    ] {
        let run = world.run(&arguments).expect(6).says("_headers:2: /private/*").says("--may-be-public '/private/*'");
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("s3cret"), "{arguments:?}");
    }
    assert_eq!(world.writes(), [""; 0]);
    let run = world.deploy(&["--may-be-public", "/private/*"]).expect(0);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("s3cret"));
    assert!(world.keys().contains(&"private/a.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_that_adds_them_is_printed_with_what_it_cannot_do() {
    let world = World::new(&[("index.html", "i")]).await;
    world.write("_headers", "/*\n  X-Frame-Options: DENY\n");
    let run = world.run(&["headers", world.source().to_str().unwrap()]).expect(0).says("--policy");
    assert!(run.stdout.contains("event viewer-response") && run.stdout.contains("'x-frame-options'"), "{}", run.stdout);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_link_out_of_the_source_is_not_read() {
    let world = World::new(&[("index.html", "i")]).await;
    let elsewhere = world.outside().join("secret");
    std::fs::write(&elsewhere, "/*\n  Cache-Control: no-store\n").unwrap();
    std::os::unix::fs::symlink(&elsewhere, world.path("_headers")).unwrap();
    // Without its rules, the site would be different.
    world.deploy(&[]).expect(6).says("--follow-links");
    world.deploy(&["--keep-going"]).expect(3);
    assert_eq!(cache_control(&world, "index.html"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_that_name_and_files_in_folders_are_files_like_others() {
    let world = World::new(&[("index.html", "i"), ("_redirects/a.html", "a"), ("x/_headers", "h")]).await;
    world.deploy(&[]).expect(0);
    assert_eq!(world.keys(), ["_redirects/a.html", "index.html", "x/_headers"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_the_file_that_no_file_has_is_a_warning() {
    let world = World::new(&[("index.html", "i"), ("assets/a.js", "a")]).await;
    world.write("_headers", "/assets/*\n  Cache-Control: max-age=1\n/asset/*\n  Cache-Control: max-age=2\n");
    let run = world.deploy(&[]).expect(0);
    assert!(run.warnings().contains("no file matches /asset/*"), "{:?}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_several_lines_of_the_file_is_one_line() {
    let world = World::new(&[("index.html", "i")]).await;
    world.write("_headers", "assets/*\n  X-A\n/b* X-A: 1\n");
    let source = world.source().to_str().unwrap().to_owned();
    let run = world.run(&["headers", &source]).expect(2);
    assert!(run.stderr.contains("a path begins with a slash") && !run.stderr.contains("\\n"), "{}", run.stderr);
}
