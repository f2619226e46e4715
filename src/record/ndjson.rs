//! Lines of JSON, compressed: a header that says what it is, the rows, and a count at the end, so
//! that a truncated file is never taken for a short one.

use crate::error::{Error, Result};
use crate::record::{FORMAT, check_format, damaged};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, BufRead, BufReader, BufWriter, Write};

#[derive(Serialize, Deserialize)]
struct Header {
    shipfront: String,
    format: u32,
    deploy: String,
    /// Fields that a later version wrote.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    rows: u64,
}

/// Lines as they are written.
pub(super) struct Lines {
    out: BufWriter<GzEncoder<Vec<u8>>>,
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

/// Compresses rows as `write` hands them over, below a first line with `extra` fields.
pub(super) fn encode(
    kind: &str,
    deploy: &str,
    extra: &Map<String, Value>,
    write: impl FnOnce(&mut Lines) -> io::Result<()>,
) -> Result<Vec<u8>> {
    let written = || -> io::Result<Vec<u8>> {
        // JSON comes in crumbs, and the compressor clears its buffer for each piece it is given.
        let out = BufWriter::with_capacity(64 * 1024, GzEncoder::new(Vec::new(), Compression::fast()));
        let mut lines = Lines { out, rows: 0 };
        let (shipfront, deploy, extra) = (kind.to_owned(), deploy.to_owned(), extra.clone());
        lines.line(&Header { shipfront, format: FORMAT, deploy, extra })?;
        write(&mut lines)?;
        lines.line(&Footer { rows: lines.rows })?;
        lines.out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
    };
    written().map_err(|error| Error::failed(format!("the deploy record: {error}")))
}

/// The fields of the first line that a later version wrote, as far as it can be read.
pub(super) fn extra(bytes: &[u8]) -> Map<String, Value> {
    let mut line = String::new();
    let read = BufReader::new(GzDecoder::new(bytes)).read_line(&mut line);
    read.ok().and_then(|_| serde_json::from_str(&line).ok()).map(|header: Header| header.extra).unwrap_or_default()
}

/// Hands out the lines of the rows as they are read; whatever is not complete and right is an error, and
/// so is a line that `take` refuses. Lines handed out before an error do not count.
pub(super) fn decode(
    kind: &str,
    bytes: &[u8],
    what: &str,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<()> {
    let broken = |why: &dyn std::fmt::Display| damaged(what, &why.to_string());
    let mut reader = BufReader::with_capacity(64 * 1024, GzDecoder::new(bytes));
    let mut next = |line: &mut String| -> Result<bool> {
        line.clear();
        reader.read_line(line).map(|length| length > 0).map_err(|error| broken(&error))
    };
    let mut line = String::new();
    next(&mut line)?;
    // Its format before all else: whatever a newer version writes is not damaged.
    check_format(line.as_bytes(), what)?;
    let header: Header = serde_json::from_str(&line).map_err(|error| broken(&error))?;
    if header.shipfront != kind {
        return Err(broken(&format!("it is a {}, not a {kind}", header.shipfront)));
    }
    let mut rows = 0;
    // The last line is no row, so each is taken when another one follows.
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
