//! Header rules of the settings.

use crate::world::aws;
use crate::world::http::get;
use crate::world::manifest;
use crate::world::site::denied;
use crate::world::sites::{Place, directory, site};
use serde_json::json;
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use shipfront_edge::Rule;
use std::collections::BTreeMap;
use std::fs;

const BUCKET: &str = "www.example.com";
const TARGET: &str = "s3://www.example.com";

async fn place() -> Place {
    let place = Place::new().await;
    place.edge.ensure_site(BUCKET).unwrap();
    place
}

fn changes(report: &Report) -> Vec<String> {
    report.changes.iter().map(|change| format!("{} {}", change.reason.word(), change.key)).collect()
}

fn stored(place: &Place, key: &str) -> BTreeMap<String, String> {
    place.edge.objects(BUCKET).into_iter().find(|object| object.key == key).unwrap().headers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_arrives_with_an_object_in_one_piece_and_with_one_in_parts() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i")]));
    fs::write(source.path().join("large.bin"), vec![7; 17 << 20]).unwrap();
    let rules = json!({
        "files": "**", "cache-control": "max-age=1", "content-type": "text/x-a", "content-encoding": "x-b",
        "content-disposition": "attachment", "content-language": "de", "storage-class": "STANDARD_IA",
        "website-redirect": "/c", "metadata": {"Owner": "web", "x-amz-meta-more": "1"},
    });
    place.deploy_under(std::slice::from_ref(&rules), source.path(), TARGET).await.unwrap();
    let expected = [
        ("cache-control", "max-age=1"),
        ("content-disposition", "attachment"),
        ("content-encoding", "x-b"),
        ("content-language", "de"),
        ("content-type", "text/x-a"),
        ("x-amz-meta-more", "1"),
        ("x-amz-meta-owner", "web"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-website-redirect-location", "/c"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(stored(&place, "index.html"), expected);
    assert_eq!(stored(&place, "large.bin"), expected);
    let again = place.deploy_under(&[rules], source.path(), TARGET).await.unwrap();
    assert_eq!(again.outcome, Outcome::NothingToDo);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acl_that_a_rule_asks_for_is_a_change_of_what_it_is_for_once() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i"), ("open.html", "o")]));
    place.deploy_under(&[], source.path(), TARGET).await.unwrap();
    let rule = json!({"files": "open.html", "acl": "public-read"});
    let report = place.deploy_under(std::slice::from_ref(&rule), source.path(), TARGET).await.unwrap();
    assert_eq!(changes(&report), ["headers open.html"]);
    let again = place.deploy_under(std::slice::from_ref(&rule), source.path(), TARGET).await.unwrap();
    assert_eq!(again.outcome, Outcome::NothingToDo);

    fs::write(source.path().join("open.html"), "more").unwrap();
    place.edge.faults().add(Rule {
        operation: Some("PutObject".to_owned()),
        key: Some("open.html".to_owned()),
        skip: 0,
        count: u64::MAX,
        fault: denied(),
    });
    let report = place.deploy_under(&[rule], source.path(), TARGET).await.unwrap();
    assert!(report.errors[0].hint.as_ref().unwrap().contains("s3:PutObjectAcl"), "{:?}", report.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_settings_prevail_over_those_of_the_source() {
    let place = place().await;
    let source = directory(&site(&[("a.js", "a"), ("b.js", "b"), ("_headers", "/*\n  Cache-Control: no-store\n")]));
    let rule = json!({"files": "a.js", "cache-control": "max-age=5"});
    place.deploy_under(&[rule], source.path(), TARGET).await.unwrap();
    assert_eq!(stored(&place, "a.js")["cache-control"], "max-age=5");
    assert_eq!(stored(&place, "b.js")["cache-control"], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_no_manifest_describes_is_kept_if_its_headers_are_right_and_uploaded_if_one_is_not() {
    let place = place().await;
    let source = directory(&site(&[("bare.txt", "b"), ("class.txt", "c"), ("other.txt", "o"), ("right.txt", "r")]));
    let s3 = aws::s3(&place.edge);
    let put = |key: &str, body: &'static str| {
        let put = s3.put_object().bucket(BUCKET).key(key).content_type("text/plain; charset=utf-8");
        put.body(body.as_bytes().to_vec().into())
    };
    put("bare.txt", "b").send().await.unwrap();
    put("class.txt", "c").cache_control("max-age=9").storage_class("STANDARD_IA".into()).send().await.unwrap();
    put("other.txt", "o").cache_control("max-age=9").content_language("de").send().await.unwrap();
    // Another tool's metadata does not matter to viewers.
    put("right.txt", "r").cache_control("max-age=9").metadata("mtime", "1").send().await.unwrap();
    let rule = json!({"files": "**", "cache-control": "max-age=9"});
    let report = place.deploy_under(&[rule], source.path(), TARGET).await.unwrap();
    let expected = ["headers bare.txt", "untold class.txt", "headers other.txt", "untold right.txt"];
    assert_eq!(changes(&report), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_nothing_is_uploaded_that_a_version_before_them_had_uploaded() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i"), ("app.js", "a")]));
    place.deploy_under(&[], source.path(), TARGET).await.unwrap();
    // As written by the version that knew no header except the type.
    manifest::rewrite(&place.edge, BUCKET, |line| match line["key"].as_str() {
        Some("index.html") => line["headers"] = "f9a88eacd1275a4e".into(),
        Some("app.js") => line["headers"] = "7240c80b8b929e33".into(),
        _ => {}
    })
    .await;
    let report = place.deploy_under(&[], source.path(), TARGET).await.unwrap();
    assert_eq!(report.outcome, Outcome::NothingToDo);
    let page = get(&place.edge.viewer_url(), "/index.html").await;
    assert_eq!(page.header("cache-control"), None, "nobody asked for one");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_metadata_than_s3_takes_is_refused_before_anything_is_written() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i")]));
    let rule = json!({"files": "**", "metadata": {"long": "x".repeat(2048)}});
    let error = place.deploy_under(&[rule], source.path(), TARGET).await.unwrap_err();
    assert!(error.to_string().contains("index.html 2052 bytes of metadata"), "{error}");
    assert!(error.hint_text().contains("2048"));
    assert_eq!(place.edge.objects(BUCKET).len(), 0);
}
