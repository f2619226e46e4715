//! The rows of a manifest in few bytes: a site may have a million, and a rollback holds two manifests.
//!
//! Rows are kept in key order, each with the end in which its key differs from the one before it, and without the
//! fields that it has not. Every few rows a key is whole, so that a search need not read them all. What only few rows
//! have is kept beside them.

use crate::packed::{Packed, Place, number, push, put_number, put_text, take, text};
use crate::record::manifest::{Row, Version};
use shipfront_invalidation::tags::copy_tags::CopyTags;
use shipfront_site::compression::Compressed;
use shipfront_site::etag::Etag;
use shipfront_site::headers::HeadersDigest;
use shipfront_site::{Encoding, Key};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

/// Rows from one whole key to the next.
const ROWS_A_BLOCK: usize = 16;

/// Which fields a row has, in the byte behind its key.
const HEADERS: u8 = 1;
const ORPHANED: u8 = 1 << 1;
const COPY_TAGS: u8 = 1 << 2;
const VERSION: u8 = 1 << 3;
const CLASS: u8 = 1 << 4;
/// It is among those that are kept whole.
const WHOLE: u8 = 1 << 5;
const CONTENT: u8 = 1 << 6;
const COMPRESSED: u8 = 1 << 7;

/// Rows by key, in key order.
#[derive(Debug, Clone, Default)]
pub(super) struct PackedRows {
    /// In whole blocks.
    packed: Packed,
    /// Where each block begins.
    blocks: Vec<Place>,
    /// What rows have in common, by number.
    headers: Vec<HeadersDigest>,
    copy_tags: Vec<Arc<CopyTags>>,
    compression: Vec<Compression>,
    /// Rows with a field that few have.
    whole: Vec<Row>,
}

/// Rows as they are packed.
#[derive(Debug, Default)]
pub(super) struct Packer {
    rows: PackedRows,
    count: usize,
    last: String,
    /// The numbers of what rows have in common.
    headers: HashMap<HeadersDigest, usize>,
    copy_tags: HashMap<usize, usize>,
    compression: HashMap<Compression, usize>,
}

/// How a file was to be compressed, and was.
type Compression = (Vec<Encoding>, Option<Encoding>);

impl Packer {
    /// Adds a row. An error if its key does not come after those of all rows before it, or there are too many.
    pub(super) fn add(&mut self, key: &str, row: Row) -> Result<(), String> {
        if self.count > 0 && self.last.as_str() >= key {
            return Err(format!("{key:?} is out of order"));
        }
        let shared = match self.count % ROWS_A_BLOCK {
            0 => {
                let (place, _) = self.rows.packed.next_place().ok_or("it has too many rows")?;
                self.rows.blocks.push(place);
                0
            }
            _ => shared(&self.last, key),
        };
        self.count += 1;
        self.last.truncate(shared);
        self.last.push_str(&key[shared..]);
        let Some(out) = self.rows.packed.last_chunk() else { return Ok(()) };
        put_number(out, shared as u64);
        put_text(out, &key[shared..]);
        let Row { size, etag, content, headers, orphaned, copy_tags, compressed, error_page, version, extra } = &row;
        let compressed = compressed.as_deref();
        let others = [content.as_deref(), compressed.map(|compressed| &compressed.source)];
        let is_usual = error_page.is_none() && extra.is_none();
        let (digest, content, source) = match (digest_of(Some(etag)), others.map(digest_of)) {
            (Some(Some(digest)), [Some(content), Some(source)]) if is_usual => (digest, content, source),
            _ => {
                out.push(WHOLE);
                put_number(out, push(&mut self.rows.whole, row) as u64);
                return Ok(());
            }
        };
        let class = version.as_ref().and_then(|version| version.class.as_ref());
        let has = |is: bool, flag: u8| if is { flag } else { 0 };
        out.push(
            has(headers.is_some(), HEADERS)
                | has(orphaned.is_some(), ORPHANED)
                | has(copy_tags.is_some(), COPY_TAGS)
                | has(version.is_some(), VERSION)
                | has(class.is_some(), CLASS)
                | has(content.is_some(), CONTENT)
                | has(source.is_some(), COMPRESSED),
        );
        out.extend(digest);
        put_number(out, *size);
        out.extend(content.into_iter().chain(source).flatten());
        if let Some(Compressed { asked, encoding, .. }) = compressed {
            let (known, how) = (&mut self.rows.compression, (asked.clone(), *encoding));
            let number = *self.compression.entry(how.clone()).or_insert_with(|| push(known, how));
            put_number(out, number as u64);
        }
        if let Some(headers) = headers {
            let known = &mut self.rows.headers;
            let number = *self.headers.entry(*headers).or_insert_with(|| push(known, *headers));
            put_number(out, number as u64);
        }
        if let Some(since) = orphaned {
            out.extend(since.to_le_bytes());
        }
        if let Some(copy_tags) = copy_tags {
            let known = &mut self.rows.copy_tags;
            let number =
                *self.copy_tags.entry(Arc::as_ptr(copy_tags).addr()).or_insert_with(|| push(known, copy_tags.clone()));
            put_number(out, number as u64);
        }
        for text in version.iter().map(|version| &version.id).chain(class) {
            put_text(out, text);
        }
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(mut self) -> PackedRows {
        self.rows.packed.shrink();
        self.rows.whole.shrink_to_fit();
        self.rows
    }
}

impl PackedRows {
    /// No fewer than the number of rows, and a few more at most.
    pub(super) fn most_rows(&self) -> usize {
        self.blocks.len() * ROWS_A_BLOCK
    }

    /// All rows, in key order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, Row)> {
        let mut cursor = self.cursor(0);
        std::iter::from_fn(move || {
            let read = cursor.next()?;
            Some((cursor.key.as_str().into(), read.row()))
        })
    }

    /// All rows, in key order. What was read is freed, chunk by chunk.
    pub(super) fn into_rows(mut self) -> impl Iterator<Item = (Key, Row)> {
        let mut chunks = std::mem::take(&mut self.packed).into_chunks();
        let (mut chunk, mut read, mut key) = (Vec::new(), 0, String::new());
        std::iter::from_fn(move || {
            if read == chunk.len() {
                chunk = chunks.next()?;
                read = 0;
            }
            let rest = chunk.get(read..).unwrap_or_default();
            let mut cursor = Cursor { rows: &self, rest, next: [].iter(), key: std::mem::take(&mut key) };
            let row = cursor.next()?.row();
            read = chunk.len() - cursor.rest.len();
            key = cursor.key;
            Some((key.as_str().into(), row))
        })
    }

    /// The rows of the keys after one and up to another, in key order.
    pub(super) fn between<'a>(
        &'a self,
        after: Option<&'a str>,
        up_to: Option<&'a str>,
    ) -> impl Iterator<Item = (Key, Row)> + use<'a> {
        let mut cursor = self.cursor(after.map_or(0, |after| self.block_of(after)));
        std::iter::from_fn(move || {
            loop {
                let read = cursor.next()?;
                let key = cursor.key.as_str();
                if up_to.is_some_and(|up_to| key > up_to) {
                    return None;
                }
                if after.is_none_or(|after| key > after) {
                    return Some((key.into(), read.row()));
                }
            }
        })
    }

    /// The row of a key.
    pub(super) fn get(&self, key: &str) -> Option<Row> {
        self.find(key).map(Read::row)
    }

    /// The cache tags that the object of a key carries.
    pub(super) fn copy_tags(&self, key: &str) -> Option<&CopyTags> {
        match self.find(key)? {
            Read::Usual { copy_tags, .. } => copy_tags.map(|copy_tags| &**copy_tags),
            Read::Whole(row) => row.copy_tags.as_deref(),
        }
    }

    fn find(&self, key: &str) -> Option<Read<'_>> {
        let mut cursor = self.cursor(self.block_of(key));
        loop {
            let read = cursor.next()?;
            match cursor.key.as_str().cmp(key) {
                Ordering::Less => {}
                Ordering::Equal => return Some(read),
                Ordering::Greater => return None,
            }
        }
    }

    /// The block in which a key is, if it is in any.
    fn block_of(&self, key: &str) -> usize {
        let first = |at: &Place| {
            let mut rest = self.packed.at(*at);
            number(&mut rest).and_then(|_| text(&mut rest)).unwrap_or_default()
        };
        self.blocks.partition_point(|at| first(at) <= key).saturating_sub(1)
    }

    fn cursor(&self, block: usize) -> Cursor<'_> {
        let (rest, next) = match self.blocks.get(block) {
            Some(start) => (self.packed.at(*start), self.packed.after(*start)),
            None => (&[][..], [].iter()),
        };
        Cursor { rows: self, rest, next, key: String::new() }
    }
}

/// A place among packed rows.
struct Cursor<'a> {
    rows: &'a PackedRows,
    rest: &'a [u8],
    /// The chunks after that.
    next: slice::Iter<'a, Vec<u8>>,
    /// The key of the row that was read last.
    key: String,
}

/// A row where it lies.
enum Read<'a> {
    /// With the fields that most rows have at most.
    Usual {
        etag: [u8; 16],
        size: u64,
        content: Option<[u8; 16]>,
        compressed: Option<([u8; 16], &'a Compression)>,
        headers: Option<HeadersDigest>,
        orphaned: Option<i64>,
        copy_tags: Option<&'a Arc<CopyTags>>,
        /// Its id and its class.
        version: Option<(&'a str, Option<&'a str>)>,
    },
    Whole(&'a Row),
}

impl<'a> Cursor<'a> {
    fn next(&mut self) -> Option<Read<'a>> {
        if self.rest.is_empty() {
            self.rest = self.next.next()?;
        }
        let (rows, rest) = (self.rows, &mut self.rest);
        self.key.truncate(number(rest)?);
        self.key.push_str(text(rest)?);
        let has = take::<1>(rest)?[0];
        if has & WHOLE != 0 {
            return rows.whole.get(number(rest)?).map(Read::Whole);
        }
        let (etag, size) = (take(rest)?, number(rest)? as u64);
        let content = if has & CONTENT != 0 { Some(take(rest)?) } else { None };
        let compressed = if has & COMPRESSED != 0 {
            let source = take(rest)?;
            Some((source, rows.compression.get(number(rest)?)?))
        } else {
            None
        };
        let headers = if has & HEADERS != 0 { rows.headers.get(number(rest)?).copied() } else { None };
        let orphaned = if has & ORPHANED != 0 { take(rest).map(i64::from_le_bytes) } else { None };
        let copy_tags = if has & COPY_TAGS != 0 { rows.copy_tags.get(number(rest)?) } else { None };
        let version = match (has & VERSION != 0, has & CLASS != 0) {
            (false, _) => None,
            (true, false) => Some((text(rest)?, None)),
            (true, true) => Some((text(rest)?, Some(text(rest)?))),
        };
        Some(Read::Usual { etag, size, content, compressed, headers, orphaned, copy_tags, version })
    }
}

impl Read<'_> {
    fn row(self) -> Row {
        match self {
            Read::Whole(row) => row.clone(),
            Read::Usual { etag, size, content, compressed, headers, orphaned, copy_tags, version } => Row {
                content: content.map(|digest| Box::new(Etag::Single(digest))),
                compressed: compressed.map(|(source, (asked, encoding))| {
                    Box::new(Compressed { source: Etag::Single(source), asked: asked.clone(), encoding: *encoding })
                }),
                headers,
                orphaned,
                copy_tags: copy_tags.cloned(),
                version: version.map(|(id, class)| Box::new(Version { id: id.into(), class: class.map(Into::into) })),
                ..Row::new(size, Etag::Single(etag))
            },
        }
    }
}

/// The digest of an ETag, if there is one; `None` if an ETag is no digest.
fn digest_of(etag: Option<&Etag>) -> Option<Option<[u8; 16]>> {
    match etag {
        None => Some(None),
        Some(Etag::Single(digest)) => Some(Some(*digest)),
        Some(_) => None,
    }
}

/// The length of what two keys begin with, in whole characters.
fn shared(one: &str, other: &str) -> usize {
    let bytes = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    (0..=bytes).rev().find(|&at| other.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::manifest::ErrorPage;
    use proptest::prelude::*;
    use shipfront_invalidation::tags::copy_tags::{Memory, Standing};
    use shipfront_site::headers::Headers;
    use std::collections::BTreeMap;

    fn row() -> impl Strategy<Value = Row> {
        let copy_tags = |read: i64| {
            let standing = Arc::new(Standing::new(vec!["cache-tag".to_owned()], read));
            Arc::new(CopyTags { memory: Memory::default(), standing })
        };
        let etag = prop_oneof![
            4 => any::<[u8; 16]>().prop_map(Etag::Single),
            1 => (any::<[u8; 16]>(), 1..9u32).prop_map(|(digest, parts)| Etag::Multipart(digest, parts)),
            1 => "[a-z]{0,3}".prop_map(|text| Etag::Opaque(text.into())),
        ];
        let version = proptest::option::of(("[a-zA-Z.é]{0,40}", proptest::option::of("[A-Z_]{1,9}")));
        let encoding = || prop_oneof![Just(Encoding::Br), Just(Encoding::Gzip)];
        let compressed = (etag.clone(), proptest::collection::vec(encoding(), 0..3), proptest::option::of(encoding()));
        let rare =
            (proptest::bool::weighted(0.2), proptest::option::of(etag.clone()), proptest::option::of(compressed));
        (any::<u64>(), etag, 0..4u8, proptest::option::of(any::<i64>()), 0..3i64, version, rare).prop_map(
            move |(size, etag, headers, orphaned, tags, version, (is_error_page, content, compressed))| Row {
                headers: (headers > 0).then(|| Headers::of(&format!("a.{headers}")).digest()),
                orphaned,
                copy_tags: (tags > 0).then(|| copy_tags(tags)),
                version: version.map(|(id, class)| Box::new(Version { id: id.into(), class: class.map(Into::into) })),
                error_page: is_error_page
                    .then(|| Box::new(ErrorPage { cache_control: None, chosen: true, as_of: Some(7) })),
                content: content.map(Box::new),
                compressed: compressed
                    .map(|(source, asked, encoding)| Box::new(Compressed { source, asked, encoding })),
                ..Row::new(size, etag)
            },
        )
    }

    fn packed(rows: &BTreeMap<String, Row>) -> PackedRows {
        let mut packer = Packer::default();
        rows.iter().for_each(|(key, row)| packer.add(key, row.clone()).unwrap());
        packer.finish()
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were_and_are_found_by_their_keys(
            rows in proptest::collection::btree_map("[ab/é\u{e8}]{0,7}", row(), 0..80), keys in proptest::collection::vec("[ab/é]{0,7}", 0..9),
        ) {
            let packed = packed(&rows);
            let read: Vec<(String, Row)> = packed.iter().map(|(key, row)| (key.to_string(), row)).collect();
            prop_assert_eq!(&read, &rows.clone().into_iter().collect::<Vec<_>>());
            let drained: Vec<(String, Row)> = self::packed(&rows).into_rows().map(|(key, row)| (key.to_string(), row)).collect();
            prop_assert_eq!(&drained, &read);
            for key in keys.iter().chain(rows.keys()) {
                prop_assert_eq!(packed.get(key), rows.get(key).cloned());
            }
            let bounds: Vec<Option<&str>> = [None].into_iter().chain(keys.iter().map(|key| Some(key.as_str()))).collect();
            for (after, up_to) in bounds.iter().flat_map(|after| bounds.iter().map(move |up_to| (*after, *up_to))) {
                let is_between = |key: &String| after.is_none_or(|after| key.as_str() > after) && up_to.is_none_or(|up_to| key.as_str() <= up_to);
                let expected: Vec<&String> = rows.keys().filter(|key| is_between(key)).collect();
                let found: Vec<Key> = packed.between(after, up_to).map(|(key, _)| key).collect();
                prop_assert_eq!(found.iter().map(Key::as_str).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn a_key_that_does_not_come_after_the_others_is_refused() {
        let mut packer = Packer::default();
        let mut add = |key: &str| packer.add(key, Row::new(1, Etag::Single([7; 16])));
        assert_eq!((add(""), add("b")), (Ok(()), Ok(())));
        for key in ["b", "a", ""] {
            assert_eq!(add(key), Err(format!("{key:?} is out of order")));
        }
        assert_eq!(add("c"), Ok(()));
    }

    #[test]
    fn a_usual_row_takes_few_bytes_beyond_its_digests() {
        let digest = |number: u64| Etag::Single(shipfront_site::etag::md5(&number.to_le_bytes()));
        let compressed = |source| Box::new(Compressed { source, asked: vec![Encoding::Br], encoding: None });
        let row = |number: u64, is_encrypted: bool, is_compressed: bool| Row {
            headers: Some(Headers::of("index.html").digest()),
            content: is_encrypted.then(|| Box::new(digest(!number))),
            compressed: is_compressed.then(|| compressed(digest(!number))),
            ..Row::new(1_000 + number, digest(number))
        };
        for (is_encrypted, is_compressed, most) in
            [(false, false, 50), (true, false, 66), (false, true, 67), (true, true, 83)]
        {
            let key = |number| format!("blog/2026/11/post-{number:05}/index.html");
            let rows: BTreeMap<String, Row> =
                (0..10_000).map(|number| (key(number), row(number, is_encrypted, is_compressed))).collect();
            let packed = packed(&rows);
            let bytes = packed.packed.bytes();
            assert!(bytes < most * rows.len() && packed.whole.is_empty(), "{bytes} bytes for {} rows", rows.len());
        }
    }
}
