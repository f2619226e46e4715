//! The manifest: what the edge was last told, object by object. What is in it is ours.

use super::ndjson;
use crate::error::Result;
use crate::site::etag::Etag;
use serde::{Deserialize, Serialize};

/// An object as it was when a deploy was completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The key below the target's prefix.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The object's ETag.
    pub etag: Etag,
    /// The ETag of its bytes, where that is another one: under KMS.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<Etag>,
    /// A digest of the headers it was uploaded with; `None` where nobody knows them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub headers: Option<String>,
    /// Since when it has not been in the source, in seconds of S3's clock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub orphaned: Option<i64>,
}

impl Row {
    /// The ETag of the bytes.
    pub fn content(&self) -> &Etag {
        self.content.as_ref().unwrap_or(&self.etag)
    }
}

/// The name of the manifest of a deploy.
pub(super) fn file_name(deploy: &str) -> String {
    format!("manifest-{deploy}.ndjson.gz")
}

/// The manifest as it is kept.
pub(super) fn encode<'a>(deploy: &str, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<u8>> {
    ndjson::encode("manifest", deploy, rows)
}

/// Reads a manifest.
pub(super) fn decode(bytes: &[u8], what: &str) -> Result<Vec<Row>> {
    let rows: Vec<Row> = ndjson::decode("manifest", bytes, what)?;
    match rows.windows(2).find(|pair| pair[0].key >= pair[1].key) {
        Some(pair) => Err(super::damaged(what, &format!("{:?} is out of order", pair[1].key))),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let row = |key: &str| Row {
            key: key.to_owned(),
            size: 3,
            etag: Etag::parse("900150983cd24fb0d6963f7d28e17f72"),
            content: None,
            headers: Some("0011".to_owned()),
            orphaned: None,
        };
        vec![
            row("a"),
            row("b/é"),
            Row { orphaned: Some(7), content: Some(Etag::parse("900150983cd24fb0d6963f7d28e17f72-2")), ..row("c") },
        ]
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let bytes = encode("d1", rows().iter()).unwrap();
        assert_eq!(decode(&bytes, "m").unwrap(), rows());
    }

    #[test]
    fn whatever_is_cut_off_or_altered_is_an_error_and_never_an_empty_manifest() {
        let bytes = encode("d1", rows().iter()).unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], "m").is_err(), "cut at {length}");
        }
        for at in 10..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            assert!(decode(&altered, "m").is_err(), "altered at {at}");
        }
    }

    #[test]
    fn a_plan_is_no_manifest() {
        let plan = ndjson::encode("plan", "d1", rows().iter()).unwrap();
        assert!(decode(&plan, "m").is_err());
    }
}
