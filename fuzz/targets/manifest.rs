//! The manifest: its rows are in order, and stay the same when they are written and read again.

use flate2::Compression;
use flate2::write::GzEncoder;
use shipfront::record::manifest::{Manifest, Row, encode};
use std::io::Write;

fn read(bytes: &[u8]) -> Option<Vec<(String, Row)>> {
    let manifest = Manifest::decode(bytes, "a manifest").ok()?;
    Some(manifest.rows().map(|(key, row)| (key.to_string(), row)).collect())
}

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let _ = read(bytes);
    // A checksum would reject altered bytes, so the lines are fuzzed below it.
    let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(b"{\"shipfront\":\"manifest\",\"format\":1,\"deploy\":\"d1\"}\n").unwrap();
    compressed.write_all(bytes).unwrap();
    let rows = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
    write!(compressed, "\n{{\"rows\":{rows}}}\n").unwrap();
    let Some(rows) = read(&compressed.finish().unwrap()) else { return };
    assert!(rows.is_sorted_by(|(one, _), (next, _)| one < next));
    let again = encode("d1", &serde_json::Map::new(), rows.iter().map(|(key, row)| (key.as_str(), row))).unwrap();
    assert_eq!(read(&again.into_bytes()).as_ref(), Some(&rows));
}
