//! Compression before the upload.

use crate::world::http::get;
use crate::world::manifest;
use crate::world::sites::{Place, directory, site};
use serde_json::{Value, json};
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use std::fs;
use std::io::Read;
use std::path::Path;

const BUCKET: &str = "www.example.com";
const TARGET: &str = "s3://www.example.com";
const MIB: usize = 1 << 20;

async fn place() -> Place {
    let place = Place::new().await;
    place.edge.ensure_site(BUCKET).unwrap();
    place
}

fn rule() -> Value {
    json!({"files": "*.dat", "compress": ["br", "gzip"]})
}

fn text(bytes: usize) -> String {
    (0u64..).map(|at| format!("{} ", at.wrapping_mul(0x9E37_79B9))).take(bytes / 11).collect()
}

async fn deploy(place: &Place, rules: &[Value], source: &Path) -> Report {
    place.deploy_under(rules, source, TARGET).await.unwrap()
}

fn changes(report: &Report) -> Vec<String> {
    report.changes.iter().map(|change| format!("{} {}", change.reason.word(), change.key)).collect()
}

fn etag(place: &Place, key: &str) -> String {
    place.edge.objects(BUCKET).into_iter().find(|object| object.key == key).unwrap().etag
}

/// What a browser sees: the bytes after decoding `Content-Encoding`.
async fn seen(place: &Place, path: &str) -> (Option<String>, Vec<u8>) {
    let answer = get(&place.edge.viewer_url(), path).await;
    let encoding = answer.header("content-encoding").map(str::to_owned);
    let mut plain = Vec::new();
    match encoding.as_deref() {
        Some("br") => brotli::Decompressor::new(&answer.body[..], 4096).read_to_end(&mut plain).unwrap(),
        Some("gzip") => flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut plain).unwrap(),
        Some(other) => panic!("nobody asked for {other}"),
        None => return (None, answer.body),
    };
    (encoding, plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_compresses_is_what_viewers_get_back_and_what_does_not_pay_is_left() {
    let place = place().await;
    let text = text(50_000);
    let source = directory(&site(&[("index.html", "i"), ("a.dat", &text), ("small.dat", "x"), ("b.json", &text)]));
    deploy(&place, &[rule()], source.path()).await;
    assert_eq!(seen(&place, "/a.dat").await, (Some("br".to_owned()), text.clone().into_bytes()));
    assert_eq!(seen(&place, "/small.dat").await, (None, b"x".to_vec()));
    assert_eq!(seen(&place, "/b.json").await, (None, text.clone().into_bytes()), "no rule asked for it");

    let gzip = json!({"files": "*.dat", "compress": ["gzip"]});
    let report = deploy(&place, &[gzip], source.path()).await;
    assert_eq!(changes(&report), ["etag a.dat"]);
    assert_eq!(seen(&place, "/a.dat").await, (Some("gzip".to_owned()), text.clone().into_bytes()));
    let report = deploy(&place, &[], source.path()).await;
    assert_eq!(changes(&report), ["size a.dat"]);
    assert_eq!(seen(&place, "/a.dat").await, (None, text.into_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_what_is_stored_compressed_is_not_reported_beside_the_files() {
    let place = place().await;
    let source = directory(&site(&[("a.dat", &text(50_000)), ("small.dat", "x")]));
    deploy(&place, &[rule()], source.path()).await;
    fs::write(source.path().join("a.dat"), text(60_000)).unwrap();
    fs::write(source.path().join("small.dat"), "xy").unwrap();
    let second = deploy(&place, &[rule()], source.path()).await;
    let before = |change: &shipfront::report::ReportedChange| (change.key.clone(), change.bytes_before);
    let before: Vec<_> = second.changes.iter().map(before).collect();
    assert_eq!(before, [("a.dat".into(), None), ("small.dat".into(), Some(1))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_file_is_not_compressed_again() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i"), ("a.dat", &text(50_000)), ("small.dat", "x")]));
    deploy(&place, &[rule()], source.path()).await;
    let report = deploy(&place, &[rule()], source.path()).await;
    assert_eq!(report.outcome, Outcome::NothingToDo);

    // If it had compressed the file, it would not find them the same: the manifest and the object agree on bytes
    // that no compression of the file produces.
    place.put(BUCKET, "a.dat", "as if by another version of the compressor", "application/octet-stream").await;
    let other = etag(&place, "a.dat");
    manifest::rewrite(&place.edge, BUCKET, |line| {
        if line["key"] == "a.dat" {
            line["etag"] = other.clone().into();
        }
    })
    .await;
    let report = deploy(&place, &[rule()], source.path()).await;
    assert_eq!(report.outcome, Outcome::NothingToDo);

    fs::write(source.path().join("a.dat"), text(50_000).replace('7', "8")).unwrap();
    let report = deploy(&place, &[rule()], source.path()).await;
    assert_eq!(changes(&report), ["etag a.dat"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_manifest_the_compressed_bytes_are_compared() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i"), ("a.dat", &text(50_000)), ("small.dat", "x")]));
    deploy(&place, &[rule()], source.path()).await;
    let uploaded = etag(&place, "a.dat");
    for object in place.edge.objects(BUCKET).iter().filter(|object| object.key.starts_with(".shipfront/")) {
        let s3 = crate::world::aws::s3(&place.edge);
        s3.delete_object().bucket(BUCKET).key(&object.key).send().await.unwrap();
    }
    let report = deploy(&place, &[rule()], source.path()).await;
    assert_eq!(changes(&report), ["untold a.dat", "untold index.html", "untold small.dat"]);
    assert_eq!((report.objects.uploaded, etag(&place, "a.dat")), (0, uploaded));
    assert_eq!(deploy(&place, &[rule()], source.path()).await.outcome, Outcome::NothingToDo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_compressed_and_compared_in_one_piece_or_in_parts_as_its_size_asks_for() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i")]));
    // It shrinks below the size of one piece.
    let even = "all the same ".repeat(17 * MIB / 13);
    fs::write(source.path().join("even.dat"), &even).unwrap();
    // It pays, but is in parts nevertheless.
    let mut odd: Vec<u8> =
        (0..18 * MIB as u64 / 8).flat_map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect();
    odd.resize(21 * MIB, b' ');
    fs::write(source.path().join("odd.dat"), &odd).unwrap();
    let gzip = [json!({"files": "*.dat", "compress": ["gzip"]})];
    deploy(&place, &gzip, source.path()).await;
    assert!(!etag(&place, "even.dat").contains('-') && etag(&place, "odd.dat").ends_with("-2"));
    assert_eq!(seen(&place, "/even.dat").await, (Some("gzip".to_owned()), even.into_bytes()));
    assert!(seen(&place, "/odd.dat").await == (Some("gzip".to_owned()), odd));
    assert_eq!(deploy(&place, &gzip, source.path()).await.outcome, Outcome::NothingToDo);
    manifest::rewrite(&place.edge, BUCKET, |line| {
        line.as_object_mut().unwrap().remove("compressed");
    })
    .await;
    assert_eq!(deploy(&place, &gzip, source.path()).await.outcome, Outcome::NothingToDo, "compared, not uploaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_objects_are_owned_even_if_the_run_died_before_it_recorded_them() {
    let place = place().await;
    let source = directory(&site(&[("index.html", "i")]));
    deploy(&place, &[rule()], source.path()).await;
    fs::write(source.path().join("a.dat"), text(50_000)).unwrap();
    place.edge.faults().add(shipfront_edge::Rule {
        operation: Some("CreateInvalidation".to_owned()),
        key: None,
        skip: 0,
        count: u64::MAX,
        fault: crate::world::site::denied(),
    });
    assert_eq!(deploy(&place, &[rule()], source.path()).await.outcome, Outcome::Stale);
    place.edge.faults().clear();
    fs::remove_file(source.path().join("a.dat")).unwrap();
    let report = deploy(&place, &[rule()], source.path()).await;
    assert_eq!(changes(&report), ["orphaned a.dat"], "it is an orphan of ours, and no stranger's object");
}

/// A manifest forged by somebody else: it says that an object is the file, compressed or not worth it.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_compression_cannot_have_made_is_not_taken_for_the_file() {
    for encoding in [None, Some("br")] {
        let place = place().await;
        let file = "12345";
        let source = directory(&site(&[("a.dat", file), ("index.html", "welcome")]));
        deploy(&place, &[rule()], source.path()).await;
        place.put(BUCKET, "a.dat", "EVIL!", "application/octet-stream").await;
        let evil = etag(&place, "a.dat");
        manifest::rewrite(&place.edge, BUCKET, |line| {
            if line["key"] == "a.dat" {
                line["etag"] = evil.clone().into();
                let ours = shipfront_site::etag::hex(&shipfront_site::etag::md5(file.as_bytes()));
                line["compressed"] = json!({"source": ours, "asked": ["br", "gzip"]});
                if let Some(encoding) = encoding {
                    line["compressed"]["encoding"] = encoding.into();
                }
            }
        })
        .await;
        deploy(&place, &[rule()], source.path()).await;
        assert_ne!(etag(&place, "a.dat"), evil, "{encoding:?}");
    }
}
