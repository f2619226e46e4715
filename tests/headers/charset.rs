//! `charset=utf-8` where it is true of the bytes.

use crate::world::http::get;
use crate::world::sites::{Place, directory, site};
use serde_json::json;
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use shipfront_site::etag::MULTIPART_THRESHOLD;
use std::fs;
use std::path::Path;

const BUCKET: &str = "www.example.com";
const TARGET: &str = "s3://www.example.com";

async fn place() -> Place {
    let place = Place::new().await;
    place.edge.ensure_site(BUCKET).unwrap();
    place
}

fn content_type(place: &Place, key: &str) -> String {
    let object = place.edge.objects(BUCKET).into_iter().find(|object| object.key == key).unwrap();
    object.headers.get("content-type").unwrap().clone()
}

fn changes(report: &Report) -> Vec<String> {
    report.changes.iter().map(|change| format!("{} {}", change.reason.word(), change.key)).collect()
}

fn charset_warnings(report: &Report) -> Vec<String> {
    let warnings = report.warnings.iter().map(ToString::to_string);
    warnings.filter(|warning| warning.contains("not UTF-8")).collect()
}

const LATIN: &[u8] = b"<!doctype html><meta charset=iso-8859-1><p>caf\xe9";

/// Pages and feeds of several encodings.
fn write(source: &Path) {
    fs::write(source.join("latin.html"), LATIN).unwrap();
    fs::write(source.join("latin.txt"), b"caf\xe9").unwrap();
    fs::write(source.join("wide.html"), b"\xff\xfe<\0p\0>\0").unwrap();
    fs::write(source.join("feed.xml"), "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><feed/>").unwrap();
    fs::write(source.join("old.css"), "@charset \"windows-1252\";\na {}").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_utf_8_or_declares_another_charset_gets_none_and_one_warning_says_so() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "<p>café"), ("data.bin", "x"), ("plain.txt", "plain")]));
    write(source.path());
    let planned = place.plan(source.path(), TARGET, &[]).await.unwrap();
    assert_eq!(charset_warnings(&planned).len(), 1, "{:?}", planned.warnings);
    let first = place.deploy(source.path(), TARGET, &[]).await.unwrap();
    for (key, expected) in [
        ("index.html", "text/html; charset=utf-8"),
        ("plain.txt", "text/plain; charset=utf-8"),
        ("latin.html", "text/html"),
        ("latin.txt", "text/plain"),
        ("wide.html", "text/html"),
        ("feed.xml", "application/xml"),
        ("old.css", "text/css"),
        ("data.bin", "application/octet-stream"),
    ] {
        assert_eq!(content_type(&place, key), expected, "{key}");
    }
    let warnings = charset_warnings(&first);
    assert_eq!(warnings.len(), 1, "{:?}", first.warnings);
    assert!(warnings[0].contains("5 text files") && warnings[0].contains("feed.xml, latin.html, latin.txt and 2 more"));
    assert_eq!(get(&place.edge.viewer_url(), "/latin.html").await.header("content-type"), Some("text/html"));

    let again = place.deploy(source.path(), TARGET, &[]).await.unwrap();
    assert_eq!((again.outcome, charset_warnings(&again).len()), (Outcome::NothingToDo, 1));

    // As many bytes, and the same charset.
    fs::write(source.path().join("latin.txt"), b"caf\xe8").unwrap();
    let edited = place.deploy(source.path(), TARGET, &[]).await.unwrap();
    assert_eq!(changes(&edited), ["etag latin.txt"]);
    assert!(charset_warnings(&edited)[0].contains("5 text files"), "{:?}", edited.warnings);

    // Another charset with the same number of bytes.
    fs::write(source.path().join("latin.txt"), "cafe").unwrap();
    let mended = place.deploy(source.path(), TARGET, &[]).await.unwrap();
    assert_eq!(changes(&mended), ["etag latin.txt"]);
    assert!(charset_warnings(&mended)[0].contains("4 text files"), "{:?}", mended.warnings);
    assert_eq!(content_type(&place, "latin.txt"), "text/plain; charset=utf-8");

    // One warning for those that stay and those that are uploaded, whether they were sent or only planned.
    fs::write(source.path().join("a.html"), LATIN).unwrap();
    for report in [place.plan(source.path(), TARGET, &[]).await, place.deploy(source.path(), TARGET, &[]).await] {
        let warnings = charset_warnings(&report.unwrap());
        assert!(warnings.len() == 1 && warnings[0].contains("5 text files"), "{warnings:?}");
        assert!(warnings[0].contains("a.html, feed.xml, latin.html and 2 more"), "{warnings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_of_them_the_headers_are_compared_as_the_bytes_are() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "<p>café")]));
    write(source.path());
    place.deploy(source.path(), TARGET, &["--no-record"]).await.unwrap();
    let adopting = place.deploy(source.path(), TARGET, &[]).await.unwrap();
    let uploads = adopting.changes.iter().filter(|change| change.reason.word() == "headers");
    assert_eq!(uploads.count(), 0, "{:?}", changes(&adopting));
    // If a tool set a charset everywhere, the next deploy removes it.
    place.put(BUCKET, "latin.txt", "ignored", "text/plain; charset=utf-8").await;
    fs::write(source.path().join("latin.txt"), "ignored").unwrap();
    place.put(BUCKET, "plain.txt", "ignored", "text/plain").await;
    fs::write(source.path().join("plain.txt"), "ignored").unwrap();
    let next = place.deploy(source.path(), TARGET, &[]).await.unwrap();
    assert!(changes(&next).contains(&"headers plain.txt".to_owned()), "{:?}", changes(&next));
    assert_eq!(content_type(&place, "plain.txt"), "text/plain; charset=utf-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_the_type_is_taken_at_its_word() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i")]));
    write(source.path());
    let rule = json!({"files": "latin.*", "content-type": "text/html; charset=utf-8"});
    let report = place.deploy_under(&[rule], source.path(), TARGET).await.unwrap();
    assert_eq!(content_type(&place, "latin.html"), "text/html; charset=utf-8");
    assert!(charset_warnings(&report)[0].contains("3 text files"), "{:?}", report.warnings);
    let taken_back = json!({"files": "latin.*", "content-type": ""});
    let report = place.deploy_under(&[taken_back], source.path(), TARGET).await.unwrap();
    assert_eq!(changes(&report), ["headers latin.html", "headers latin.txt"]);
    let warnings = charset_warnings(&report);
    assert!(warnings[0].contains("5 text files: feed.xml") || warnings[0].contains("5 text files are"), "{warnings:?}");
    assert_eq!(content_type(&place, "latin.html"), "text/html");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_or_sent_in_parts_the_bytes_of_the_file_count() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i")]));
    let large = |last: u8| [vec![b'a'; MULTIPART_THRESHOLD as usize + 9], vec![last]].concat();
    fs::write(source.path().join("large.txt"), large(0xe9)).unwrap();
    fs::write(source.path().join("large-utf8.txt"), large(b'a')).unwrap();
    fs::write(source.path().join("latin.html"), LATIN.repeat(100)).unwrap();
    fs::write(source.path().join("big.csv"), large(0xe9)).unwrap();
    let rule = json!({"files": ["*.html", "*.csv"], "compress": ["br"]});
    let deploy = async || place.deploy_under(std::slice::from_ref(&rule), source.path(), TARGET).await.unwrap();
    deploy().await;
    assert_eq!(content_type(&place, "large.txt"), "text/plain");
    assert_eq!(content_type(&place, "large-utf8.txt"), "text/plain; charset=utf-8");
    assert_eq!(content_type(&place, "latin.html"), "text/html");
    assert_eq!(content_type(&place, "big.csv"), "text/csv");
    let again = deploy().await;
    assert_eq!((again.outcome, charset_warnings(&again).len()), (Outcome::NothingToDo, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_compressed_already_says_so_and_is_looked_at_unpacked() {
    use std::io::Write;
    let place = place().await;
    let source = directory(&site(&[("index.html", "i")]));
    let packed = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    fs::write(source.path().join("logo.svgz"), packed("<svg>é</svg>".as_bytes())).unwrap();
    let latin = packed(b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><svg>\xe9</svg>");
    fs::write(source.path().join("old.svgz"), latin).unwrap();
    place.deploy(source.path(), TARGET, &[]).await.unwrap();
    let answer = get(&place.edge.viewer_url(), "/logo.svgz").await;
    assert_eq!(answer.header("content-type"), Some("image/svg+xml; charset=utf-8"));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(content_type(&place, "old.svgz"), "image/svg+xml");
    let again = place.deploy(source.path(), TARGET, &[]).await.unwrap();
    assert_eq!(again.outcome, Outcome::NothingToDo);
}
