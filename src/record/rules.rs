//! The rules that a deploy published, stored in the first line of its manifest: their lines, from which the next
//! deploy knows what changes and a rollback can publish them again, and the code that ran. The record of a preview
//! has only the lines: no function serves them before its promotion.

use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shipfront_site::etag::{hex, md5};
use std::collections::BTreeMap;
use std::io::{Read, Write};

/// Their field in the first line of a manifest.
pub(super) const FIELD: &str = "rules";
/// Maximum packed size in bytes: lines that do not fit are omitted; code always fits.
const MOST_PACKED: usize = 40 * 1024;
/// Maximum unpacked size in bytes: the files have at most 4 MiB.
const MOST_UNPACKED: u64 = 16 * 1024 * 1024;

/// The rules of a deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRules {
    /// The code of each function, by CloudFront's name for its event.
    pub functions: BTreeMap<String, String>,
    /// What the code was generated from; `None` if that did not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<RecordedLines>,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The lines that functions are generated from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLines {
    /// The platform whose semantics they follow.
    pub platform: String,
    /// Whether `/dir/` serves `/dir/index.html`.
    pub directory_index: bool,
    /// The lines of `_redirects` that are rules.
    pub redirects: Vec<String>,
    /// The lines of `_headers` that a function adds: path, name and value.
    pub headers: Vec<String>,
    /// Fields written by a later version.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The form in the first line of a manifest.
#[derive(Serialize, Deserialize)]
struct Packed {
    digest: String,
    packed: String,
}

impl RecordedRules {
    /// Whether there is nothing to record.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.lines.is_none()
    }

    /// A digest of what viewers get: of the code of the functions.
    pub fn digest(&self) -> String {
        let mut all = Vec::new();
        for (event, code) in &self.functions {
            all.extend_from_slice(format!("{event} {}\n{code}", code.len()).as_bytes());
        }
        hex(&md5(&all))
    }

    /// The value in the first line of a manifest.
    pub(super) fn to_value(&self) -> Result<Value> {
        let mut packed = self.pack()?;
        if packed.len() > MOST_PACKED {
            packed = RecordedRules { lines: None, ..self.clone() }.pack()?;
        }
        let packed = Packed { digest: self.digest(), packed };
        serde_json::to_value(packed).map_err(|error| Error::failed(format!("the rules: {error}")))
    }

    fn pack(&self) -> Result<String> {
        let packed = || -> std::io::Result<Vec<u8>> {
            let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
            out.write_all(&serde_json::to_vec(self)?)?;
            out.finish()
        };
        let packed = packed().map_err(|error| Error::failed(format!("the rules: {error}")))?;
        Ok(STANDARD.encode(packed))
    }

    /// Reads them from a first line; `None` if there are none, or they cannot be read: then the next deploy
    /// publishes as if it were the first.
    pub(super) fn of_line(line: &Map<String, Value>) -> Option<RecordedRules> {
        let packed: Packed = serde_json::from_value(line.get(FIELD)?.clone()).ok()?;
        let bytes = STANDARD.decode(packed.packed).ok()?;
        let mut text = Vec::new();
        ZlibDecoder::new(bytes.as_slice()).take(MOST_UNPACKED).read_to_end(&mut text).ok()?;
        let rules: RecordedRules = serde_json::from_slice(&text).ok()?;
        (rules.digest() == packed.digest).then_some(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rules: &RecordedRules) -> Map<String, Value> {
        Map::from_iter([(FIELD.to_owned(), rules.to_value().unwrap())])
    }

    fn rules(lines: Vec<String>) -> RecordedRules {
        let functions = BTreeMap::from([("viewer-request".to_owned(), "function handler(event) {}".to_owned())]);
        let lines = RecordedLines { platform: "netlify".to_owned(), redirects: lines, ..RecordedLines::default() };
        RecordedRules { functions, lines: Some(lines), extra: Map::new() }
    }

    #[test]
    fn rules_are_read_as_they_were_written() {
        let rules = rules(vec!["/a /b".to_owned()]);
        assert_eq!(RecordedRules::of_line(&line(&rules)), Some(rules));
        assert_eq!(RecordedRules::of_line(&Map::new()), None);
    }

    #[test]
    fn lines_that_do_not_fit_are_left_out_and_the_code_stays() {
        let many = (0_u64..40_000).map(|at| format!("/{:x} /b", at.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        let rules = rules(many);
        let line = line(&rules);
        assert!(line[FIELD]["packed"].as_str().unwrap().len() <= MOST_PACKED);
        assert_eq!(RecordedRules::of_line(&line), Some(RecordedRules { lines: None, ..rules }));
    }

    #[test]
    fn what_was_altered_counts_as_none() {
        let rules = rules(vec!["/a /b".to_owned()]);
        let mut altered = line(&rules);
        altered[FIELD]["digest"] = "0".into();
        assert_eq!(RecordedRules::of_line(&altered), None);
        altered[FIELD] = "x".into();
        assert_eq!(RecordedRules::of_line(&altered), None);
    }
}
