//! Fields that a later version wrote are preserved everywhere, and invalid counts do no harm.

use super::*;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;
use std::borrow::Cow;
use std::io::{Read, Write};

/// A state with everything that it can contain.
fn state() -> Value {
    let paths = json!({"month": "2026-11", "used": 7});
    json!({
        "format": 2, "target": "s3://www.example.com", "revision": 3,
        "lease": {"deploy": "d2", "owner": "process 1", "since": "2026-11-26T12:00:00Z"},
        "intent": {"deploy": "d2", "distributions": ["E1"], "tenants": ["dt_1"], "paths": paths},
        "manifest": "d1",
        "last": {"deploy": "d1", "at": "2026-11-26T11:00:00Z", "uploaded": 1, "pruned": 2},
        "build": {"project": "site", "number": 4},
        "paths": paths,
        "history": [{
            "deploy": "d1", "at": "2026-11-26T11:00:00Z", "build": {"project": "site", "number": 4, "later": 1},
            "commit": "1a2b", "by": "process 1", "restored": "d0", "uploaded": 1, "pruned": 2, "left": 3, "objects": 2,
            "without_version": 1, "kept_copies": true, "later": {"of": "a later version"},
        }],
        "rolled_back": {"project": "site", "number": 3},
    })
}

/// The lines of a manifest with everything that a row can contain.
fn manifest() -> Vec<Value> {
    let etag = "900150983cd24fb0d6963f7d28e17f72";
    let tags = json!({"tags": "", "schema": 1, "metadata": ["cache-tag"], "as_of": 5, "tagged": [["E1", "A"]]});
    vec![
        json!({"shipfront": "manifest", "format": 2, "deploy": "d1"}),
        json!({
            "key": "404.html", "size": 3, "etag": etag, "content": etag, "headers": "0123456789abcdef", "orphaned": 7,
            "carried": 0, "tags": tags, "compressed": {"source": etag, "asked": ["br"], "encoding": "br"},
            "error_page": {"cache_control": "max-age=0", "chosen": true, "as_of": 5},
        }),
        json!({"key": "app.js", "size": 3, "etag": etag, "carried": 0, "version": "v1", "class": "STANDARD_IA"}),
        json!({"rows": 2}),
    ]
}

fn zipped(lines: &[Value]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    lines.iter().for_each(|line| writeln!(out, "{line}").unwrap());
    out.finish().unwrap()
}

fn unzipped(bytes: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All objects of a value, as pointers.
fn objects(value: &Value, at: &str) -> Vec<String> {
    let Value::Object(fields) = value else { return Vec::new() };
    let inner = fields.iter().flat_map(|(name, value)| objects(value, &format!("{at}/{name}")));
    std::iter::once(at.to_owned()).chain(inner).collect()
}

/// Adds fields to the objects of a value, each by its number.
fn add(value: &mut Value, extras: &[(prop::sample::Index, String, Value)]) {
    let places = objects(value, "");
    for (place, name, extra) in extras {
        let object = value.pointer_mut(place.get(places.as_slice()).as_str()).unwrap();
        object.as_object_mut().unwrap().insert(name.clone(), extra.clone());
    }
}

fn extras() -> impl Strategy<Value = Vec<(prop::sample::Index, String, Value)>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a-zé\"]{0,4}".prop_map(Value::from),
        Just(json!({"of": ["a", {"later": "version"}]})),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), "x[a-z_]{0,3}", value), 0..8)
}

proptest! {
    #[test]
    fn a_state_keeps_what_a_later_version_wrote_into_any_of_its_objects(extras in extras()) {
        let mut value = state();
        add(&mut value, &extras);
        let read: State = serde_json::from_value(value.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(&read).unwrap(), value);
    }

    #[test]
    fn a_manifest_keeps_what_a_later_version_wrote_into_any_of_its_objects(
        of_head in extras(),
        of_rows in (extras(), extras()),
    ) {
        let mut lines = manifest();
        add(&mut lines[0], &of_head);
        add(&mut lines[1], &of_rows.0);
        add(&mut lines[2], &of_rows.1);
        let read = Manifest::decode(&zipped(&lines), "m").unwrap();
        let written = manifest::encode("d1", read.extra(), read.rows()).unwrap();
        prop_assert_eq!(unzipped(&written.into_bytes()), lines);
    }

    #[test]
    fn a_plan_keeps_what_a_later_version_wrote_into_any_of_its_rows(extras in extras()) {
        let mut lines = vec![
            json!({"shipfront": "plan", "format": 2, "deploy": "d2"}),
            json!({"key": "a", "action": "upload", "created": false, "bytes": 3, "owned": true, "compressed": true}),
            json!({"rows": 1}),
        ];
        add(&mut lines[1], &extras);
        let intent = Intent::new("d2", &[], PathCount::new(Timestamp::UNIX_EPOCH, 0), None);
        let read = intent::decode(&intent, &zipped(&lines), "a plan").unwrap();
        let written = intent::encode("d2", read.pending.iter().map(Cow::Borrowed)).unwrap();
        prop_assert_eq!(unzipped(&written.into_bytes()), lines);
    }
}

#[test]
fn a_row_that_has_an_object_no_more_loses_what_was_beside_its_fields() {
    let mut lines = manifest();
    lines[1]["error_page"]["later"] = 1.into();
    lines[1]["compressed"]["later"] = 2.into();
    let read = Manifest::decode(&zipped(&lines), "m").unwrap();
    let rows = read.rows().map(|(key, row)| (key, manifest::Row { error_page: None, ..row }));
    let written = manifest::encode("d1", &Map::new(), rows).unwrap();
    let written = unzipped(&written.into_bytes());
    assert_eq!((&written[1]["error_page"], &written[1]["compressed"]["later"]), (&Value::Null, &json!(2)));
    Manifest::decode(&zipped(&written), "m").unwrap();
}

#[test]
fn counts_of_paths_go_on_with_what_a_later_version_wrote_beside_them() {
    let mut value = state();
    value["paths"]["later"] = json!([1]);
    let read: State = serde_json::from_value(value).unwrap();
    let next = read.with_paths("2026-12-01T00:00:00Z".parse().unwrap(), 3);
    let paths = serde_json::to_value(&next.paths).unwrap();
    assert_eq!(paths, json!({"month": "2026-12", "used": 3, "later": [1]}));
}

#[test]
fn a_count_of_paths_that_is_none_counts_as_none_with_a_warning() {
    for wrong in [json!(7), json!("many"), json!([]), json!({"month": 11}), json!({"month": "2026-11", "used": -1})] {
        for place in ["", "/intent"] {
            let mut value = state();
            value.pointer_mut(place).unwrap()["paths"] = wrong.clone();
            let read: State = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(read.paths_used("2026-11-30T00:00:00Z".parse().unwrap()), 7, "the other one counts");
            let body = serde_json::to_vec(&value).unwrap();
            assert_eq!(unread_counts(&body, &read, "the record").len(), 1, "{value}");
        }
    }
    let read: State = serde_json::from_value(state()).unwrap();
    assert_eq!(unread_counts(&serde_json::to_vec(&state()).unwrap(), &read, "the record"), []);
}
