//! The manifest: what was last deployed, object by object. Shipfront owns every object in it.
//!
//! It is read and written row by row, so that its text never needs to be in memory as a whole.

use crate::error::Result;
use crate::record::extra::{self, Extra, Known};
use crate::record::ndjson;
use crate::record::packed_rows::{PackedRows, Packer};
use crate::record::rules::RecordedRules;
use crate::s3::chunks::Chunks;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shipfront_invalidation::tags::copy_tags::{CopyTags, Entry, Shared, Standing};
use shipfront_site::Key;
use shipfront_site::compression::Compressed;
use shipfront_site::etag::Etag;
use shipfront_site::headers::HeadersDigest;
use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::sync::Arc;

/// An object, without its key, as it was when a deploy was completed. Small, because a site has many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Bytes.
    pub size: u64,
    /// The object's ETag.
    pub etag: Etag,
    /// The ETag of its bytes, if that differs: under KMS.
    pub content: Option<Box<Etag>>,
    /// A digest of the headers it was uploaded with; `None` if they are unknown.
    pub headers: Option<HeadersDigest>,
    /// Since when it has been missing from the source, in seconds of S3's clock.
    pub orphaned: Option<i64>,
    /// The cache tags that it carries; `None` if it carries none, or they are unknown.
    pub copy_tags: Option<Arc<CopyTags>>,
    /// The result of compressing the file, if that was requested.
    pub compressed: Option<Box<Compressed>>,
    /// The lifetime of cached copies, if a distribution serves the object as an error page.
    pub error_page: Option<Box<ErrorPage>>,
    /// The object's version in the bucket; `None` if it has none that stays, or it is unknown.
    pub version: Option<Box<Version>>,
    /// Fields written by a later version.
    pub extra: Extra,
}

/// The version of an object, for restoring it after it was replaced or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As S3 returned it.
    pub id: Box<str>,
    /// The storage class that it was uploaded with, unless it is the default: a lifecycle rule may move old
    /// versions to others.
    pub class: Option<Box<str>>,
}

impl Version {
    /// The ID of the version in S3's response, if the version stays. If versioning is suspended, it is called `null`, and
    /// the next write replaces it.
    pub fn id_of_answer(id: Option<&str>) -> Option<Box<str>> {
        id.filter(|id| *id != "null").map(Into::into)
    }

    /// The version in S3's response.
    pub fn of_answer(id: Option<&str>, class: Option<&str>) -> Option<Box<Version>> {
        let id = Version::id_of_answer(id)?;
        Some(Box::new(Version { id, class: class.filter(|class| *class != "STANDARD").map(Into::into) }))
    }
}

/// What is known about an object that a distribution serves as an error page, under URLs that nobody can list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorPage {
    /// The `Cache-Control` that cached copies carry; `None` if they carry none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache_control: Option<String>,
    /// Whether no rule sets it, so that shipfront chose it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub chosen: bool,
    /// The time until which nobody else is known to have written the object, in seconds of S3's clock. One modified
    /// later may have the same bytes with other headers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_of: Option<i64>,
}

impl ErrorPage {
    /// Whether somebody else may have written the object since, given when it was modified.
    pub fn is_outlived(&self, modified: i64) -> bool {
        self.as_of.is_some_and(|as_of| modified > as_of)
    }
}

impl Row {
    /// An object about which only this is known.
    pub fn new(size: u64, etag: Etag) -> Row {
        Row {
            size,
            etag,
            content: None,
            headers: None,
            orphaned: None,
            copy_tags: None,
            compressed: None,
            error_page: None,
            version: None,
            extra: None,
        }
    }

    /// Whether somebody else may have written the same bytes again since, given when the object was modified.
    pub fn is_outlived(&self, modified: i64) -> bool {
        self.copy_tags.as_ref().is_some_and(|copy_tags| copy_tags.is_outlived(modified))
            || self.error_page.as_ref().is_some_and(|page| page.is_outlived(modified))
    }

    /// The ETag of the bytes.
    pub fn content(&self) -> &Etag {
        self.content.as_deref().unwrap_or(&self.etag)
    }
}

/// What a row of a manifest says about an object itself, wherever it is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedObject {
    /// Bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: Etag,
    content: Option<Box<Etag>>,
    headers: Option<HeadersDigest>,
    compressed: Option<Box<Compressed>>,
    extra: Extra,
}

impl From<Row> for RecordedObject {
    fn from(row: Row) -> RecordedObject {
        let Row { size, etag, content, headers, compressed, extra, .. } = row;
        RecordedObject { size, etag, content, headers, compressed, extra }
    }
}

impl RecordedObject {
    /// The row of its copy, as far as that is the same.
    pub fn row(&self) -> Row {
        let RecordedObject { size, etag, content, headers, compressed, extra } = self.clone();
        Row { content, headers, compressed, extra, ..Row::new(size, etag) }
    }
}

/// The stored form of a row.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    size: u64,
    etag: Cow<'a, Etag>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    content: Option<Cow<'a, Etag>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    headers: Option<HeadersDigest>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    orphaned: Option<i64>,
    /// The index among those that earlier rows have introduced.
    #[serde(rename = "carried", skip_serializing_if = "Option::is_none", default)]
    copy_tags: Option<usize>,
    /// What this row introduces.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    tags: Option<Entry>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    compressed: Option<Cow<'a, Compressed>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    error_page: Option<Cow<'a, ErrorPage>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    version: Option<Cow<'a, str>>,
    /// Only next to a version.
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    class: Option<Cow<'a, str>>,
}

/// The fields of a line, with those of its objects. Other fields of `tags` are kept with the values that rows
/// share.
const KNOWN: Known = &[
    ("key", &[]),
    ("size", &[]),
    ("etag", &[]),
    ("content", &[]),
    ("headers", &[]),
    ("orphaned", &[]),
    ("carried", &[]),
    ("tags", &[]),
    ("compressed", &["source", "asked", "encoding"]),
    ("error_page", &["cache_control", "chosen", "as_of"]),
    ("version", &[]),
    ("class", &[]),
];

/// How a line is parsed.
struct Lines;

impl<'a> extra::Line<'a> for Lines {
    type Read = Line<'a>;
}

/// The word for a manifest in its first line.
const KIND: &str = "manifest";

/// The rows of a manifest by key: read once, as its bytes arrive, and searched often.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    rows: PackedRows,
    /// How objects came to carry their tags.
    standings: Vec<Arc<Standing>>,
    /// Fields of its first line other than those of every file of the record.
    extra: Map<String, Value>,
}

impl Manifest {
    /// Parses a manifest that is all there; `what` names it in errors.
    pub fn decode(bytes: &[u8], what: &str) -> Result<Manifest> {
        ndjson::read_all(bytes, what, ManifestRows::default()).map(|(rows, extra)| rows.with(extra))
    }

    /// The rules that its deploy published.
    pub fn rules(&self) -> Option<RecordedRules> {
        RecordedRules::of_line(&self.extra)
    }

    /// Fields of its first line other than those of every file of the record.
    pub(super) fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }

    /// All the ways in which objects came to carry their tags.
    pub fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().map(|standing| &**standing)
    }

    /// No fewer than the number of rows, and a few more at most.
    pub fn most_rows(&self) -> usize {
        self.rows.most_rows()
    }

    /// The row of a key.
    pub fn row(&self, key: &str) -> Option<Row> {
        self.rows.get(key)
    }

    /// Finds the tags of keys.
    pub fn copy_tags<'a>(&'a self) -> impl Fn(&str) -> Option<&'a CopyTags> {
        |key| if self.standings.is_empty() { None } else { self.rows.copy_tags(key) }
    }

    /// All rows, in key order.
    pub fn rows(&self) -> impl Iterator<Item = (Key, Row)> {
        self.rows.iter()
    }

    /// All rows, in key order, which are freed as they are read.
    pub fn into_rows(self) -> impl Iterator<Item = (Key, Row)> {
        self.rows.into_rows()
    }

    /// The rows after one key and up to another.
    pub fn rows_between<'a>(
        &'a self,
        after: Option<&'a str>,
        up_to: Option<&'a str>,
    ) -> impl Iterator<Item = (Key, Row)> + use<'a> {
        self.rows.between(after, up_to)
    }
}

/// The rows of a manifest, as they are read.
#[derive(Debug, Default)]
pub(super) struct ManifestRows {
    rows: Packer,
    standings: Shared<Standing>,
    /// The tags that earlier rows have introduced.
    known: Vec<Arc<CopyTags>>,
}

impl ndjson::Rows for ManifestRows {
    const KIND: &str = KIND;

    fn row(&mut self, line: &str) -> Result<(), String> {
        extra::read::<Lines, ()>(line, KNOWN, |line, extra| {
            let Line { key, size, etag, content, headers, orphaned, compressed, copy_tags, tags, error_page, .. } =
                line;
            let (id, class) = (line.version, line.class);
            let class = class.map(|class| class.into());
            let version = id.map(|id| Box::new(Version { id: id.into(), class }));
            let content = content.map(|content| Box::new(content.into_owned()));
            let compressed = compressed.map(|compressed| Box::new(compressed.into_owned()));
            self.known.extend(tags.map(|entry| Arc::new(entry.read(&self.standings))));
            let copy_tags = match copy_tags {
                None => None,
                Some(at) => {
                    Some(self.known.get(at).cloned().ok_or_else(|| format!("{key:?} has tags that are missing"))?)
                }
            };
            let error_page = error_page.map(|page| Box::new(page.into_owned()));
            let etag = etag.into_owned();
            let row = Row { size, etag, content, headers, orphaned, compressed, copy_tags, error_page, version, extra };
            self.rows.add(&key, row)
        })
    }
}

impl ManifestRows {
    /// The manifest with these other fields in its first line.
    pub(super) fn with(self, extra: Map<String, Value>) -> Manifest {
        Manifest { rows: self.rows.finish(), standings: self.standings.into_values(), extra }
    }
}

/// Prefix of the names of manifests.
pub(super) const PREFIX: &str = "manifest-";

/// The file name of a deploy's manifest.
pub(crate) fn file_name(deploy: &str) -> String {
    format!("{PREFIX}{deploy}.ndjson.gz")
}

/// Encodes a manifest from rows in key order, with what a later version wrote into its first line.
pub fn encode<K: AsRef<str>, R: Borrow<Row>>(
    deploy: &str,
    extra: &Map<String, Value>,
    rows: impl Iterator<Item = (K, R)>,
) -> Result<Chunks> {
    let mut known: HashMap<Arc<CopyTags>, usize> = HashMap::new();
    ndjson::encode(KIND, deploy, extra, |lines| {
        for (key, row) in rows {
            let row: &Row = row.borrow();
            let next = known.len();
            let copy_tags = row.copy_tags.as_ref().map(|copy_tags| *known.entry(copy_tags.clone()).or_insert(next));
            let first = row.copy_tags.as_deref().filter(|_| copy_tags == Some(next));
            let line = Line {
                key: Cow::Borrowed(key.as_ref()),
                size: row.size,
                etag: Cow::Borrowed(&row.etag),
                content: row.content.as_deref().map(Cow::Borrowed),
                headers: row.headers,
                orphaned: row.orphaned,
                compressed: row.compressed.as_deref().map(Cow::Borrowed),
                copy_tags,
                tags: first.map(Entry::of),
                error_page: row.error_page.as_deref().map(Cow::Borrowed),
                version: row.version.as_deref().map(|version| Cow::Borrowed(&*version.id)),
                class: row.version.as_deref().and_then(|version| version.class.as_deref()).map(Cow::Borrowed),
            };
            match &row.extra {
                None => lines.row(&line)?,
                Some(extra) => lines.row(&extra::joined(&line, KNOWN, extra)?)?,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_invalidation::tags::{self, Tagger, Upload};
    use shipfront_site::Encoding;
    use shipfront_site::headers::Headers;

    fn rows() -> Vec<(&'static str, Row)> {
        let etag = || Etag::parse("900150983cd24fb0d6963f7d28e17f72");
        let row = || Row { headers: Some(Headers::of("a").digest()), ..Row::new(3, etag()) };
        let squeezed = Box::new(Compressed { source: row().etag, asked: vec![Encoding::Br], encoding: None });
        let other = Box::new(Etag::parse("900150983cd24fb0d6963f7d28e17f72-2"));
        let version = |id, class| Version::of_answer(Some(id), class);
        vec![
            ("a", row()),
            ("b/é\"", Row { compressed: Some(squeezed), ..row() }),
            ("c", Row { orphaned: Some(7), content: Some(other), version: version("v\"1", None), ..row() }),
            ("d", Row { version: version("v2", Some("STANDARD_IA")), ..row() }),
        ]
    }

    fn encoded(rows: &[(&str, Row)]) -> bytes::Bytes {
        encode("d1", &Map::new(), rows.iter().map(|(key, row)| (*key, row))).unwrap().into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Vec<(String, Row)>> {
        let manifest = Manifest::decode(bytes, "m")?;
        Ok(manifest.rows().map(|(key, row)| (key.to_string(), row)).collect())
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let expected: Vec<_> = rows().into_iter().map(|(key, row)| (key.to_owned(), row)).collect();
        assert_eq!(decode(&encoded(&rows())).unwrap(), expected);
    }

    #[test]
    fn rows_share_what_they_say_of_tags() {
        let tagger = Tagger::new("s3://www.example.com");
        let standing = Arc::new(Standing::new(vec!["cache-tag".to_owned()], 7));
        let copy_tags = |key: &str, deploy: &str| {
            let tags = tagger.tags(&Upload { key, references: &[], deploy, bytes: tags::Bytes::New });
            let memory = tagger.remember(key, &tags).unwrap();
            Some(Arc::new(CopyTags { memory, standing: standing.clone() }))
        };
        let mut rows = rows();
        let keys: Vec<String> = (0..100).map(|number| format!("d/{number:03}")).collect();
        for (at, key) in keys.iter().enumerate() {
            let copy_tags = copy_tags(key, if at % 2 == 0 { "d1" } else { "d2" });
            rows.push((key, Row { copy_tags, ..rows[0].1.clone() }));
        }
        let manifest = Manifest::decode(&encoded(&rows), "m").unwrap();
        let read: Vec<(String, Row)> = manifest.rows().map(|(key, row)| (key.to_string(), row)).collect();
        assert_eq!(read, rows.iter().map(|(key, row)| ((*key).to_owned(), row.clone())).collect::<Vec<_>>());
        assert_eq!(manifest.standings().collect::<Vec<_>>(), [&*standing]);
        let held: std::collections::HashSet<_> =
            read.iter().filter_map(|(_, row)| row.copy_tags.as_ref()).map(Arc::as_ptr).collect();
        assert_eq!(held.len(), 2, "one for each deploy");
    }

    #[test]
    fn a_manifest_of_before_there_was_compression_is_read() {
        let line = serde_json::json!({"key": "a", "size": 3, "etag": "900150983cd24fb0d6963f7d28e17f72"});
        let bytes = ndjson::encode("manifest", "d1", &Map::new(), |lines| lines.row(&line)).unwrap();
        let (key, row) = decode(&bytes.into_bytes()).unwrap().remove(0);
        assert_eq!((key.as_str(), row.size, row.compressed), ("a", 3, None));
    }

    #[test]
    fn rows_out_of_order_are_an_error() {
        let mut rows = rows();
        rows.swap(0, 1);
        assert!(decode(&encoded(&rows)).unwrap_err().to_string().contains("out of order"));
    }

    #[test]
    fn whatever_is_cut_off_or_altered_is_an_error_and_never_an_empty_manifest() {
        let bytes = encoded(&rows());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
        }
        for at in 10..bytes.len() {
            let mut altered = bytes.to_vec();
            altered[at] ^= 0x55;
            assert!(decode(&altered).is_err(), "altered at {at}");
        }
    }

    #[test]
    fn without_rows_nothing_is_found() {
        let none = Manifest::decode(&encoded(&[]), "m").unwrap();
        for none in [none, Manifest::default()] {
            assert_eq!((none.rows().count(), none.rows_between(None, Some("b")).count(), none.row("a")), (0, 0, None));
        }
    }

    #[test]
    fn a_plan_is_no_manifest() {
        let plan = ndjson::encode("plan", "d1", &Map::new(), |lines| lines.row(&1)).unwrap();
        assert!(decode(&plan.into_bytes()).is_err());
    }
}
