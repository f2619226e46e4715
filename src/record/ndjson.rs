//! Compressed lines of JSON: a header that identifies the file, the rows, and a count at the end, so that a
//! truncated file is never mistaken for a short one.
//!
//! The compressed size does not limit the unpacked size: three megabytes can be three gigabytes. So a line has a
//! maximum length, and all of them together have one that follows from the compressed size.
//!
//! A file is read as its bytes arrive, and what was read is not kept: that of a million objects has 60 megabytes.

use crate::error::{Error, Result};
use crate::record::{FORMAT, check_format, damaged};
use crate::s3::chunks::{Chunks, ChunksWriter};
use crate::s3::conditional::Sink;
use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, BufRead, BufWriter, Write};

/// Maximum length of a line, in bytes. A key has at most 1,024 bytes, 6,144 as JSON may spell them, and everything
/// else is shorter.
const LONGEST_LINE: u64 = 64 * 1024;
/// What any file may take unpacked, in bytes: the rows of half a million objects. Tests have fewer.
const MOST_UNPACKED: u64 = if cfg!(test) { 1024 * 1024 } else { 128 * 1024 * 1024 };
/// What each packed byte may take in addition. Rows differ at least in their keys: usual ones take 6 times their packed
/// size, and long ones of files with the same contents 70 times.
const UNPACKED_A_BYTE: u64 = 128;

/// What is wrong with a file that was cut off.
const TOO_SOON: &str = "it ends too soon";

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

/// What is made of the rows of a file, line by line.
pub(super) trait Rows {
    /// The word for the file in its first line.
    const KIND: &str;

    /// Takes the next row; the error says why it cannot be one.
    fn row(&mut self, line: &str) -> Result<(), String>;
}

/// Reads a file as its bytes arrive. Anything incomplete or invalid is an error, and so is a line that `R` refuses.
pub(super) struct Reader<R: Rows> {
    unpacker: GzDecoder<LineReader<R>>,
}

impl<R: Rows> Reader<R> {
    /// Reads a file, which `what` names in errors, into `rows`.
    pub(super) fn new(what: String, rows: R) -> Reader<R> {
        let (line, previous) = (Vec::new(), Vec::new());
        let reader =
            LineReader { what, rows, line, previous, extra: None, count: 0, packed: 0, unpacked: 0, end: None };
        Reader { unpacker: GzDecoder::new(reader) }
    }

    /// What was made of the rows, and the fields of the first line that a later version wrote, once all bytes are there.
    pub(super) fn finish(mut self) -> Result<(R, Map<String, Value>)> {
        match self.unpacker.try_finish() {
            Ok(()) => {}
            Err(error) => return Err(self.unpacker.get_mut().failure(&error)),
        }
        match self.unpacker.finish() {
            Ok(reader) => reader.finish(),
            Err(error) => Err(Error::failed(format!("the deploy record: {error}"))),
        }
    }
}

impl<R: Rows> Sink for Reader<R> {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.unpacker.get_mut().packed += bytes.len() as u64;
        match self.unpacker.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.unpacker.get_mut().failure(&error)),
        }
    }
}

/// Divides what was unpacked into lines.
struct LineReader<R: Rows> {
    what: String,
    rows: R,
    /// The part of the next line that has arrived.
    line: Vec<u8>,
    /// The last line is not a row, so each is passed on when another one follows.
    previous: Vec<u8>,
    /// The other fields of the first line, once that was read.
    extra: Option<Map<String, Value>>,
    /// Number of rows that were passed on.
    count: u64,
    packed: u64,
    unpacked: u64,
    /// Why reading ended; `Some(None)` once that was reported.
    end: Option<Option<Error>>,
}

impl<R: Rows> LineReader<R> {
    /// The error with which reading ended, or that of the unpacker.
    fn failure(&mut self, of_unpacker: &io::Error) -> Error {
        self.end.replace(None).flatten().unwrap_or_else(|| match of_unpacker.kind() {
            io::ErrorKind::UnexpectedEof => self.broken(&TOO_SOON),
            // It does not take what comes after the end of the compressed bytes.
            io::ErrorKind::WriteZero => self.broken(&"something comes after its end"),
            _ => self.broken(of_unpacker),
        })
    }

    fn broken(&self, why: &dyn std::fmt::Display) -> Error {
        damaged(&self.what, &why.to_string())
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.unpacked += bytes.len() as u64;
        let most = MOST_UNPACKED + UNPACKED_A_BYTE * self.packed;
        if self.unpacked > most {
            return Err(self.broken(&format_args!("it has more than {most} bytes unpacked, too many for its size")));
        }
        while !bytes.is_empty() {
            bytes.read_until(b'\n', &mut self.line).map_err(|error| self.broken(&error))?;
            if self.line.len() as u64 > LONGEST_LINE {
                return Err(self.broken(&format_args!("it has a line of more than {LONGEST_LINE} bytes")));
            }
            if self.line.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<()> {
        if self.extra.is_none() {
            // The format is checked first: a file from a newer version is not damaged.
            check_format(&self.line, &self.what)?;
            let header: Header = serde_json::from_slice(&self.line).map_err(|error| self.broken(&error))?;
            if header.shipfront != R::KIND {
                return Err(self.broken(&format_args!("it is a {}, not a {}", header.shipfront, R::KIND)));
            }
            self.extra = Some(header.extra);
        } else {
            if !self.previous.is_empty() {
                let line = std::str::from_utf8(&self.previous).map_err(|error| self.broken(&error))?;
                self.rows.row(line).map_err(|why| damaged(&self.what, &why))?;
                self.count += 1;
            }
            std::mem::swap(&mut self.previous, &mut self.line);
        }
        self.line.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(R, Map<String, Value>)> {
        if !self.line.is_empty() || self.extra.is_none() {
            self.end_line()?;
        }
        let footer: Footer = serde_json::from_slice(&self.previous).map_err(|_| self.broken(&TOO_SOON))?;
        if footer.rows != self.count {
            return Err(self.broken(&format_args!("it has {} rows of {}", self.count, footer.rows)));
        }
        Ok((self.rows, self.extra.unwrap_or_default()))
    }
}

/// Where the unpacker writes. An error ends it, and is kept.
impl<R: Rows> Write for LineReader<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.end.is_none() {
            self.end = self.read(bytes).err().map(Some);
        }
        if self.end.is_some() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file that is all there, as fuzzing and tests have it.
pub(super) fn read_all<R: Rows>(bytes: &[u8], what: &str, rows: R) -> Result<(R, Map<String, Value>)> {
    let mut reader = Reader::new(what.to_owned(), rows);
    reader.take(bytes)?;
    reader.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these bytes as lines, whatever they are, compressed as `encode` does.
    fn packed(lines: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
        compressed(lines, Compression::fast())
    }

    fn compressed(lines: impl Iterator<Item = Vec<u8>>, level: Compression) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), level);
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

    /// Counts the rows.
    #[derive(Debug, Default)]
    struct Count(u64);

    impl Rows for Count {
        const KIND: &str = "plan";

        fn row(&mut self, _: &str) -> Result<(), String> {
            self.0 += 1;
            Ok(())
        }
    }

    fn read(bytes: &[u8]) -> Result<u64, String> {
        read_all(bytes, "it", Count::default()).map_err(|error| error.to_string()).map(|(count, _)| count.0)
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_it_is_in_memory() {
        let longest = usize::try_from(LONGEST_LINE).unwrap() - 1;
        assert_eq!(read(&packed([vec![b'1'; longest]].into_iter())), Ok(1));
        let bomb = compressed([vec![b'1'; 64 << 20]].into_iter(), Compression::best());
        assert!(bomb.len() < 100_000);
        assert!(read(&bomb).unwrap_err().contains("a line of more than 65536 bytes"));
    }

    #[test]
    fn lines_without_end_are_refused() {
        let bomb = compressed(std::iter::repeat_n(vec![b'1'; 1023], 16 * 1024), Compression::best());
        assert!(bomb.len() < 1 << 17);
        assert!(read(&bomb).unwrap_err().contains("too many for its size"));
    }

    #[test]
    fn files_with_the_same_contents_are_no_lines_without_end() {
        // Compressed in one match or two but for their numbers.
        for folder in [1, 150, 300] {
            let (folder, etag) = ("a".repeat(folder), "d41d8cd98f00b204e9800998ecf8427e");
            let line =
                |number| format!(r#"{{"key":"{folder}/{number:07}","size":0,"etag":"{etag}","headers":"{etag}"}}"#);
            let rows = 40 * MOST_UNPACKED / line(0).len() as u64;
            assert_eq!(read(&packed((0..rows).map(|number| line(number).into_bytes()))), Ok(rows));
        }
    }

    #[test]
    fn a_file_is_read_however_its_bytes_arrive() {
        // Several times what is unpacked at once, in lines of all lengths.
        let line = |number: usize| shipfront_site::etag::hex(&vec![number as u8; number % 300]).into_bytes();
        let bytes = packed((0..2000).map(line));
        for size in [1, 2, 7, 64, 4096, bytes.len()] {
            let mut reader = Reader::new("it".to_owned(), Count::default());
            bytes.chunks(size).for_each(|some| reader.take(some).unwrap());
            assert_eq!(reader.finish().unwrap().0.0, 2000);
        }
    }

    #[test]
    fn whatever_is_cut_off_or_altered_is_an_error_however_it_arrives() {
        let bytes = packed((0..9).map(|number: u32| number.to_string().into_bytes()));
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new("it".to_owned(), Count::default());
            bytes.chunks(3).try_for_each(|some| reader.take(some)).and_then(|()| reader.finish())
        };
        assert!(read(&bytes).is_ok());
        for length in 0..bytes.len() {
            let error = read(&bytes[..length]).err().map(|error| error.to_string()).unwrap_or_default();
            // Only the checksum at the end is not missed as such.
            let expected = if length < bytes.len() - 8 { TOO_SOON } else { "checksum" };
            assert!(error.contains(expected), "cut at {length}: {error}");
        }
        for at in 10..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            assert!(read(&altered).is_err(), "altered at {at}");
        }
    }

    #[test]
    fn nothing_may_come_after_the_end() {
        let bytes = packed([b"1".to_vec()].into_iter());
        for beyond in [&b"x"[..], &bytes] {
            let error = read(&[&bytes, beyond].concat()).unwrap_err();
            assert!(error.contains("something comes after its end"), "{error}");
        }
    }

    #[test]
    fn after_an_error_no_row_is_passed_on() {
        struct Once;
        impl Rows for Once {
            const KIND: &str = "plan";

            fn row(&mut self, line: &str) -> Result<(), String> {
                assert_eq!(line, "1\n");
                Err("it is no row".to_owned())
            }
        }
        let bytes = packed((1..9).map(|number: u32| number.to_string().into_bytes()));
        let mut reader = Reader::new("it".to_owned(), Once);
        let error = bytes.chunks(3).find_map(|some| reader.take(some).err()).or_else(|| reader.finish().err());
        assert!(error.unwrap().to_string().contains("it is no row"));
    }
}
