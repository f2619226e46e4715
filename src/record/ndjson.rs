//! Compressed lines of JSON: a header that identifies the file, the rows, and a count at the end, so that a
//! truncated file is never mistaken for a short one.
//!
//! The compressed size does not limit the unpacked size: three megabytes can be three gigabytes. So a line has a
//! maximum length, and all of them together have one that follows from what is known of the site.

use crate::error::{Error, Result};
use crate::record::{FORMAT, check_format, damaged};
use crate::s3::chunks::{Chunks, ChunksWriter};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

/// Maximum length of a line, in bytes. A key has at most 1,024 bytes, 6,144 as JSON may spell them, and everything
/// else is shorter.
const LONGEST_LINE: u64 = 64 * 1024;
/// What any file may take unpacked, in bytes: the rows of half a million objects.
const MOST_UNPACKED: u64 = 128 * 1024 * 1024;
/// What it may take in addition for each object, in bytes: a long row.
const BYTES_A_ROW: u64 = 512;
/// What a row takes at least when compressed, in bytes: it contains a digest.
const LEAST_PACKED: u64 = 16;

/// The maximum size of the lines in a file of `packed` bytes, if the site is known to have `files` files.
fn most_unpacked(packed: u64, files: u64) -> u64 {
    MOST_UNPACKED + BYTES_A_ROW * files.max(packed / LEAST_PACKED)
}

#[derive(Serialize, Deserialize)]
struct Header {
    shipfront: String,
    format: u32,
    deploy: String,
    /// Fields written by a later version.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    rows: u64,
}

/// Lines being written.
pub(super) struct Lines {
    out: BufWriter<GzEncoder<ChunksWriter>>,
    rows: u64,
}

impl Lines {
    /// Writes a row.
    pub(super) fn row(&mut self, row: &impl Serialize) -> io::Result<()> {
        self.rows += 1;
        self.line(row)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

/// Compresses the rows that `write` passes on, after a first line with `extra` fields.
pub(super) fn encode(
    kind: &str,
    deploy: &str,
    extra: &Map<String, Value>,
    write: impl FnOnce(&mut Lines) -> io::Result<()>,
) -> Result<Chunks> {
    let written = || -> io::Result<Chunks> {
        // JSON is written in small pieces, and the compressor clears its buffer for each piece.
        let out = BufWriter::with_capacity(64 * 1024, GzEncoder::new(ChunksWriter::default(), Compression::fast()));
        let mut lines = Lines { out, rows: 0 };
        let (shipfront, deploy, extra) = (kind.to_owned(), deploy.to_owned(), extra.clone());
        lines.line(&Header { shipfront, format: FORMAT, deploy, extra })?;
        write(&mut lines)?;
        lines.line(&Footer { rows: lines.rows })?;
        let out = lines.out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
        Ok(out.finish())
    };
    written().map_err(|error| Error::failed(format!("the deploy record: {error}")))
}

/// The fields of the first line that a later version wrote, as far as it can be parsed.
pub(super) fn extra(bytes: Chunks) -> Map<String, Value> {
    let mut line = String::new();
    let read = BufReader::new(GzDecoder::new(bytes.into_reader())).take(LONGEST_LINE).read_line(&mut line);
    read.ok().and_then(|_| serde_json::from_str(&line).ok()).map(|header: Header| header.extra).unwrap_or_default()
}

/// Passes on the lines of the rows as they are read; anything incomplete or invalid is an error, and so is a line
/// that `take` refuses. Lines passed on before an error do not count. `files` is the known number of files of the
/// site, 0 if nothing is known.
pub(super) fn decode(
    kind: &str,
    (bytes, files): (Chunks, u64),
    what: &str,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<()> {
    let broken = |why: &dyn std::fmt::Display| damaged(what, &why.to_string());
    let most = most_unpacked(bytes.len() as u64, files);
    let mut reader = BufReader::with_capacity(64 * 1024, GzDecoder::new(bytes.into_reader()));
    let mut unpacked = 0;
    let mut next = |line: &mut String| -> Result<bool> {
        line.clear();
        let length = (&mut reader).take(LONGEST_LINE + 1).read_line(line).map_err(|error| broken(&error))? as u64;
        unpacked += length;
        if length > LONGEST_LINE {
            return Err(broken(&format!("it has a line of more than {LONGEST_LINE} bytes")));
        }
        if unpacked > most {
            return Err(broken(&format!("it has more than {most} bytes unpacked, too many for this site")));
        }
        Ok(length > 0)
    };
    let mut line = String::new();
    next(&mut line)?;
    // The format is checked first: a file from a newer version is not damaged.
    check_format(line.as_bytes(), what)?;
    let header: Header = serde_json::from_str(&line).map_err(|error| broken(&error))?;
    if header.shipfront != kind {
        return Err(broken(&format!("it is a {}, not a {kind}", header.shipfront)));
    }
    let mut rows = 0;
    // The last line is not a row, so each is passed on when another one follows.
    let mut previous = String::new();
    while next(&mut line)? {
        if !previous.is_empty() {
            take(&previous).map_err(|why| broken(&why))?;
            rows += 1;
        }
        std::mem::swap(&mut previous, &mut line);
    }
    let footer: Footer = serde_json::from_str(&previous).map_err(|_| broken(&"it ends too soon"))?;
    if footer.rows != rows {
        return Err(broken(&format!("it has {rows} rows of {}", footer.rows)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these bytes as lines, whatever they are.
    fn packed(lines: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        out.write_all(b"{\"shipfront\":\"plan\",\"format\":1,\"deploy\":\"d1\"}\n").unwrap();
        let mut rows = 0;
        for line in lines {
            out.write_all(&line).unwrap();
            out.write_all(b"\n").unwrap();
            rows += 1;
        }
        writeln!(out, "{{\"rows\":{rows}}}").unwrap();
        out.finish().unwrap()
    }

    fn read(bytes: &[u8], files: u64) -> Result<u64, String> {
        let mut rows = 0;
        let take = |_: &str| {
            rows += 1;
            Ok(())
        };
        decode("plan", (bytes.to_vec().into(), files), "it", take).map_err(|error| error.to_string()).map(|()| rows)
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_it_is_in_memory() {
        let longest = usize::try_from(LONGEST_LINE).unwrap() - 1;
        assert_eq!(read(&packed([vec![b'1'; longest]].into_iter()), 0), Ok(1));
        let bomb = packed([vec![b'1'; 64 << 20]].into_iter());
        assert!(bomb.len() < 100_000);
        assert!(read(&bomb, 0).unwrap_err().contains("a line of more than 65536 bytes"));
    }

    #[test]
    fn lines_without_end_are_refused_unless_the_site_is_as_large() {
        let lines = || std::iter::repeat_n(vec![b'1'; 1023], 200 * 1024);
        let bomb = packed(lines());
        assert!(bomb.len() < 1 << 21);
        assert!(read(&bomb, 1000).unwrap_err().contains("too many for this site"));
        assert_eq!(read(&bomb, 200 * 1024), Ok(200 * 1024));
    }
}
