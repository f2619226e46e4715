//! Lines of JSON, compressed: a header that says what it is, the rows, and a count at the end, so
//! that a truncated file is never taken for a short one.

use super::{FORMAT, damaged};
use crate::error::{Error, Result};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Write};

#[derive(Serialize, Deserialize)]
struct Header {
    shipfront: String,
    format: u32,
    deploy: String,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    rows: u64,
}

/// Compresses rows as they come.
pub(super) fn encode<R: Serialize>(kind: &str, deploy: &str, rows: impl Iterator<Item = R>) -> Result<Vec<u8>> {
    let written = || -> io::Result<Vec<u8>> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        let mut line = |value: &dyn erased::Line| -> io::Result<()> {
            value.write(&mut out)?;
            out.write_all(b"\n")
        };
        line(&Header { shipfront: kind.to_owned(), format: FORMAT, deploy: deploy.to_owned() })?;
        let mut count = 0;
        for row in rows {
            line(&row)?;
            count += 1;
        }
        line(&Footer { rows: count })?;
        out.finish()
    };
    written().map_err(|error| Error::failed(format!("the deploy record: {error}")))
}

/// Reads rows; whatever is not complete and right is an error.
pub(super) fn decode<R: DeserializeOwned>(kind: &str, bytes: &[u8], what: &str) -> Result<Vec<R>> {
    let broken = |why: &dyn std::fmt::Display| damaged(what, &why.to_string());
    let mut reader = BufReader::with_capacity(64 * 1024, GzDecoder::new(bytes));
    let mut line = String::new();
    let mut next = |line: &mut String| -> Result<bool> {
        line.clear();
        reader.read_line(line).map(|length| length > 0).map_err(|error| broken(&error))
    };
    next(&mut line)?;
    let header: Header = serde_json::from_str(&line).map_err(|error| broken(&error))?;
    if header.shipfront != kind {
        return Err(broken(&format!("it is a {}, not a {kind}", header.shipfront)));
    }
    if header.format > FORMAT {
        return Err(Error::refused(format!("{what} was written by a newer shipfront"))
            .hint("install the newer version here, too"));
    }
    let mut rows = Vec::new();
    let mut previous = String::new();
    while next(&mut line)? {
        if !previous.is_empty() {
            rows.push(serde_json::from_str(&previous).map_err(|error| broken(&error))?);
        }
        std::mem::swap(&mut previous, &mut line);
    }
    let footer: Footer = serde_json::from_str(&previous).map_err(|_| broken(&"it ends too soon"))?;
    if footer.rows != rows.len() as u64 {
        return Err(broken(&format!("it has {} rows of {}", rows.len(), footer.rows)));
    }
    Ok(rows)
}

/// One closure writes lines of three types.
mod erased {
    use serde::Serialize;
    use std::io::{self, Write};

    pub(super) trait Line {
        fn write(&self, out: &mut dyn Write) -> io::Result<()>;
    }

    impl<T: Serialize> Line for T {
        fn write(&self, out: &mut dyn Write) -> io::Result<()> {
            serde_json::to_writer(out, self).map_err(io::Error::from)
        }
    }
}
