//! The plan of an interrupted deploy: its lines are in order, and each key can be found in it.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use shipfront::record::Intent;
use shipfront::record::intent::{UnfinishedDeploy, decode};
use std::io::Write;

fn read(bytes: &[u8]) -> Option<UnfinishedDeploy> {
    let intent = json!({"deploy": "d1", "distributions": ["E1"], "tenants": []});
    let intent: Intent = serde_json::from_value(intent).unwrap();
    decode(&intent, bytes, "a plan").ok()
}

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let _ = read(bytes);
    // A checksum would reject altered bytes, so the lines are fuzzed below it.
    let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
    compressed.write_all(b"{\"shipfront\":\"plan\",\"format\":1,\"deploy\":\"d1\"}\n").unwrap();
    compressed.write_all(bytes).unwrap();
    let rows = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
    write!(compressed, "\n{{\"rows\":{rows}}}\n").unwrap();
    let Some(unfinished) = read(&compressed.finish().unwrap()) else { return };
    assert!(unfinished.pending.is_sorted_by(|one, next| one.key <= next.key));
    for pending in &unfinished.pending {
        assert!(unfinished.pending_change(&pending.key).is_some_and(|found| found.key == pending.key));
    }
}
