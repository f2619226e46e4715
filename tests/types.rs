//! What is stored, and what viewers get from it: types, large files, and names that need encoding.

use crate::world::aws;
use crate::world::http::{Answer, get};
use crate::world::site::{BUCKET, EXACT, World};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use std::collections::BTreeMap;

const MIB: usize = 1 << 20;

/// Bytes without two equal mebibytes.
fn content(size: usize) -> Vec<u8> {
    (0..size as u64 / 8).flat_map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_stored_with_the_type_that_browsers_expect() {
    let expected = BTreeMap::from([
        (".well-known/apple-app-site-association", "application/json"),
        (".well-known/atproto-did", "text/plain; charset=utf-8"),
        (".well-known/host-meta", "application/xrd+xml"),
        (".well-known/matrix/client", "application/json"),
        (".well-known/oauth-authorization-server", "application/json"),
        (".well-known/openid-configuration", "application/json"),
        (".well-known/webfinger", "application/jrd+json"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.js.map", "application/json; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("atom.xml", "application/atom+xml; charset=utf-8"),
        ("blog/index.rss", "application/rss+xml; charset=utf-8"),
        ("data.json", "application/json; charset=utf-8"),
        ("feed.xml", "application/xml; charset=utf-8"),
        ("fix.patch", "text/plain; charset=utf-8"),
        ("font.woff2", "font/woff2"),
        ("index.html", "text/html; charset=utf-8"),
        ("live.m3u8", "application/vnd.apple.mpegurl"),
        ("logo.svg", "image/svg+xml; charset=utf-8"),
        ("map.topojson", "application/json; charset=utf-8"),
        ("module.wasm", "application/wasm"),
        ("no-extension", "application/octet-stream"),
        ("notebook.ipynb", "application/x-ipynb+json"),
        ("photo.avif", "image/avif"),
        ("photo.jpg", "image/jpeg"),
        ("robots.txt", "text/plain; charset=utf-8"),
        ("rows.ndjson", "application/x-ndjson"),
        ("site.webmanifest", "application/manifest+json; charset=utf-8"),
        ("tool.rpm", "application/x-redhat-package-manager"),
        ("sitemap.xml", "application/xml; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
    ]);
    let files: Vec<(&str, &str)> = expected.keys().map(|name| (*name, *name)).collect();
    let world = World::new(&files).await;
    world.deploy(&[]).expect(0);
    let objects = world.edge.objects(BUCKET);
    let objects = objects.iter().filter(|object| !object.key.starts_with(".shipfront/"));
    let stored = objects.map(|object| (object.key.as_str(), object.headers["content-type"].as_str()));
    assert_eq!(stored.collect::<BTreeMap<_, _>>(), expected);
    let page = get(&world.edge.viewer_url(), "/app.mjs").await;
    assert_eq!(page.header("content-type"), Some("text/javascript; charset=utf-8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_has_its_type_and_is_not_sent_twice() {
    let world = World::new(&[("index.html", "i")]).await;
    world.write("module.wasm", content(20 * MIB));
    world.deploy(&[]).expect(0);
    let objects = world.edge.objects(BUCKET);
    let stored = objects.iter().find(|object| object.key == "module.wasm").unwrap();
    assert!(stored.etag.ends_with("-2"), "in two parts: {}", stored.etag);
    assert_eq!(stored.headers["content-type"], "application/wasm");

    world.edge.clear_requests();
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), run.objects("kept")), ("nothing-to-do", 2));
    assert_eq!(world.writes(), [""; 0]);

    let mut edited = content(20 * MIB);
    edited[19 * MIB] ^= 1;
    world.write("module.wasm", edited);
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload etag module.wasm"], "one bit of the last part");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_is_not_true_of_a_file_is_reported_once_and_its_charset_is_not_doubted() {
    let world = World::new(&[("a.html", "<p>plain"), ("b.html", "<p>plain, too"), ("logo.svgz", "<svg/>")]).await;
    let rules = "[[headers]]\nfiles = \"*.html\"\ncontent-encoding = \"gzip\"\n";
    std::fs::write(world.outside().join("shipfront.toml"), rules).unwrap();
    let run = world.deploy(&[]).expect(0);
    let reported = "content-encoding gzip is set for a.html, whose bytes are not gzip, and for 2 more such files";
    let warnings = run.warnings();
    assert!(warnings.contains(reported) && !warnings.contains("not UTF-8"), "{warnings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_two_bytes_a_character_without_a_mark_gets_no_charset() {
    let world = World::new(&[("index.html", "i")]).await;
    world.write("notes.txt", "hello".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    world.deploy(&[]).expect(0);
    let objects = world.edge.objects(BUCKET);
    let stored = objects.iter().find(|object| object.key == "notes.txt").unwrap();
    assert_eq!(stored.headers["content-type"], "text/plain");
}

fn media_type(key: &str) -> &'static str {
    if key.ends_with(".webm") { "video/webm" } else { "audio/ogg" }
}

/// Uploads as other tools do: in parts of 8 MiB.
async fn upload_in_parts_of_8_mib(world: &World, key: &str, content: &[u8]) {
    let s3 = aws::s3(&world.edge);
    let upload =
        s3.create_multipart_upload().bucket(BUCKET).key(key).content_type(media_type(key)).send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(content.chunks(8 * MIB)) {
        let request = s3.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
        let answer = request.body(part.to_vec().into()).send().await.unwrap();
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = s3.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id);
    complete.multipart_upload(parts).send().await.unwrap();
    world.edge.clear_requests();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_tool_uploaded_in_parts_of_8_mib_is_kept() {
    let world = World::new(&[("index.html", "i")]).await;
    // Above and below what shipfront would send in one piece.
    for (name, size) in [("film.webm", 20 * MIB), ("song.opus", 9 * MIB)] {
        world.write(name, content(size));
        upload_in_parts_of_8_mib(&world, name, &content(size)).await;
    }
    let run = world.deploy(&[]).expect(0);
    // It is not known whether the two were invalidated.
    assert_eq!(run.changes(), ["evict untold film.webm", "upload new index.html", "evict untold song.opus"]);
    assert_eq!(run.objects("kept"), 2);
}

/// Requests until the response comes from the cache.
async fn warm(world: &World, url: &str) -> Answer {
    get(&world.edge.viewer_url(), url).await;
    get(&world.edge.viewer_url(), url).await
}

fn cache(answer: &Answer) -> &str {
    answer.header("x-cache").unwrap().split(' ').next().unwrap()
}

/// Edits one file and checks that its URLs are fresh, and that another page was left in the cache.
async fn assert_fresh_after_edit(name: &str, urls: &[&str]) {
    let world = World::new(&[(name, "before"), ("about.html", "about"), ("x/about.html", "about")]).await;
    world.deploy(&EXACT).expect(0);
    for url in urls {
        let before = warm(&world, url).await;
        assert_eq!((before.status, before.text().as_str(), cache(&before)), (200, "before", "Hit"), "{url}");
    }
    warm(&world, "/about.html").await;

    world.write(name, "after it");
    world.deploy(&EXACT).expect(0);
    for url in urls {
        let after = get(&world.edge.viewer_url(), url).await;
        assert_eq!((after.status, after.text().as_str()), (200, "after it"), "{url} is stale");
    }
    let other = get(&world.edge.viewer_url(), "/about.html").await;
    assert_eq!((other.text().as_str(), cache(&other)), ("about", "Hit"), "{name} evicted another page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_space_is_fresh_after_an_edit_in_either_spelling() {
    // S3 reads a plus in a URL as a space.
    assert_fresh_after_edit("press kit.html", &["/press%20kit.html", "/press+kit.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_other_letters_is_fresh_after_an_edit() {
    assert_fresh_after_edit("caf\u{e9}/\u{65e5}\u{672c}.html", &["/caf%C3%A9/%E6%97%A5%E6%9C%AC.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_plus_is_fresh_after_an_edit() {
    assert_fresh_after_edit("x/c++.html", &["/x/c%2B%2B.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_tilde_is_fresh_after_an_edit_although_cloudfront_takes_none() {
    assert_fresh_after_edit("x/~ada.html", &["/x/~ada.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_hash_is_fresh_after_an_edit() {
    assert_fresh_after_edit("c#.html", &["/c%23.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_question_mark_is_fresh_after_an_edit() {
    assert_fresh_after_edit("why?.html", &["/why%3F.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_per_cent_sign_is_fresh_after_an_edit() {
    assert_fresh_after_edit("100%.html", &["/100%25.html"]).await;
    assert_fresh_after_edit("a%20b.html", &["/a%2520b.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_ends_in_a_star_is_fresh_after_an_edit() {
    assert_fresh_after_edit("x/all*", &["/x/all*"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_shows_the_new_index_page() {
    assert_fresh_after_edit("index.html", &["/", "/index.html"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_asked_for_before_it_existed_is_not_answered_with_the_cached_error() {
    let world = World::deployed(&[("404.html", "not here"), ("about.html", "about")]).await;
    assert_eq!(warm(&world, "/soon.html").await.status, 404);
    world.write("soon.html", "here it is");
    world.deploy(&EXACT).expect(0);
    let page = get(&world.edge.viewer_url(), "/soon.html").await;
    assert_eq!((page.status, page.text().as_str()), (200, "here it is"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_page_is_gone_for_viewers_too() {
    let world = World::deployed(&[("about.html", "about"), ("old.html", "old")]).await;
    assert_eq!(warm(&world, "/old.html").await.text(), "old");
    world.remove("old.html");
    world.deploy(&[EXACT[0], EXACT[1], "--prune-after", "0s"]).expect(0);
    assert_eq!(get(&world.edge.viewer_url(), "/old.html").await.status, 404);
}
