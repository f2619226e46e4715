//! Whether `charset=utf-8` is true of a file: its bytes are UTF-8, and it declares nothing else.
//!
//! A charset in `Content-Type` takes precedence over what a file declares of itself, so that a wrong one cannot be
//! repaired in the file. Where it would be wrong, none is said: the declaration in the file holds
//! (<https://encoding.spec.whatwg.org/#names-and-labels>, <https://html.spec.whatwg.org/#determining-the-character-encoding>).

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::write::MultiGzDecoder;
use html5gum::{Token, Tokenizer};
use std::io::{self, Read, Write};

/// Bytes in which browsers look for a declaration.
const HEAD: usize = 1024;

/// Looks at the bytes of a text as they come.
pub struct CharsetCheck {
    bytes: Bytes,
    /// Whether they cannot be decoded as their `Content-Encoding` says.
    broken: bool,
}

/// The bytes of the text, or what unpacks them.
enum Bytes {
    Plain(Scanner),
    Gzip(Box<MultiGzDecoder<Scanner>>),
    Brotli(Box<brotli::DecompressorWriter<Scanner>>),
    Unknown,
}

impl CharsetCheck {
    /// For a text of this media type, whose bytes are encoded if `content_encoding` says so.
    pub fn new(content_type: &str, content_encoding: Option<&str>) -> CharsetCheck {
        let scanner = Scanner::new(Declaration::of(content_type));
        let bytes = match content_encoding {
            None => Bytes::Plain(scanner),
            Some(coding) if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => {
                Bytes::Gzip(Box::new(MultiGzDecoder::new(scanner)))
            }
            Some(coding) if coding.eq_ignore_ascii_case("br") => {
                Bytes::Brotli(Box::new(brotli::DecompressorWriter::new(scanner, 64 * 1024)))
            }
            Some(_) => Bytes::Unknown,
        };
        CharsetCheck { bytes, broken: false }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, chunk: &[u8]) {
        if self.broken {
            return;
        }
        let written = match &mut self.bytes {
            Bytes::Plain(scanner) => scanner.write_all(chunk),
            Bytes::Gzip(decoder) => decoder.write_all(chunk),
            Bytes::Brotli(decoder) => decoder.write_all(chunk),
            Bytes::Unknown => Ok(()),
        };
        self.broken = written.is_err();
    }

    /// Whether all of them together are UTF-8, and declare nothing else.
    pub fn is_utf8(self) -> bool {
        let scanner = match self.bytes {
            _ if self.broken => None,
            Bytes::Plain(scanner) => Some(scanner),
            Bytes::Gzip(decoder) => decoder.finish().ok(),
            Bytes::Brotli(decoder) => decoder.into_inner().ok(),
            Bytes::Unknown => None,
        };
        scanner.is_some_and(Scanner::finish)
    }
}

/// A reader whose bytes are looked at as they are read.
pub struct Checked<'c, R> {
    inner: R,
    check: Option<&'c mut CharsetCheck>,
}

impl<'c, R> Checked<'c, R> {
    /// Of `inner`; without a check, it is as `inner` is.
    pub fn new(inner: R, check: Option<&'c mut CharsetCheck>) -> Checked<'c, R> {
        Checked { inner, check }
    }
}

impl<R: Read> Read for Checked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if let Some(check) = &mut self.check {
            check.update(&buffer[..length]);
        }
        Ok(length)
    }
}

/// How texts of a kind declare their encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declaration {
    /// `<meta charset>`, or as XML.
    Html,
    /// `<?xml encoding="..."?>`.
    Xml,
    /// `@charset "...";`.
    Css,
    /// Not at all.
    None,
}

impl Declaration {
    fn of(content_type: &str) -> Declaration {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "text/html" => Declaration::Html,
            "text/css" => Declaration::Css,
            xml if xml.ends_with("/xml") || xml.ends_with("+xml") => Declaration::Xml,
            _ => Declaration::None,
        }
    }
}

/// Plain bytes as they come.
struct Scanner {
    declaration: Declaration,
    head: Vec<u8>,
    /// The bytes of a character that has begun and not ended.
    begun: [u8; 4],
    begun_length: usize,
    is_valid: bool,
}

impl Scanner {
    fn new(declaration: Declaration) -> Scanner {
        Scanner { declaration, head: Vec::new(), begun: [0; 4], begun_length: 0, is_valid: true }
    }

    fn take(&mut self, chunk: &[u8]) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        let mut rest = chunk;
        while self.is_valid && self.begun_length > 0 && !rest.is_empty() {
            self.begun[self.begun_length] = rest[0];
            self.begun_length += 1;
            rest = &rest[1..];
            match std::str::from_utf8(&self.begun[..self.begun_length]) {
                Ok(_) => self.begun_length = 0,
                Err(error) => self.is_valid = error.error_len().is_none(),
            }
        }
        if !self.is_valid {
            return;
        }
        if let Err(error) = std::str::from_utf8(rest) {
            let left = &rest[error.valid_up_to()..];
            match error.error_len() {
                Some(_) => self.is_valid = false,
                None => {
                    self.begun[..left.len()].copy_from_slice(left);
                    self.begun_length = left.len();
                }
            }
        }
    }

    /// Whether all of them are UTF-8, and declare nothing else.
    fn finish(self) -> bool {
        let declares_another = || {
            // A byte order mark goes over every declaration.
            if self.head.starts_with(b"\xef\xbb\xbf") {
                return false;
            }
            match self.declaration {
                Declaration::Html => {
                    is_wide_xml(&self.head) || in_xml(&self.head).or_else(|| in_html(&self.head)).is_some_and(is_other)
                }
                Declaration::Xml => is_wide_xml(&self.head) || in_xml(&self.head).is_some_and(is_other),
                Declaration::Css => in_css(&self.head).is_some_and(is_other),
                Declaration::None => false,
            }
        };
        self.is_valid && self.begun_length == 0 && !declares_another()
    }
}

impl Write for Scanner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// UTF-16 without a byte order mark: each of its bytes is valid UTF-8.
fn is_wide_xml(head: &[u8]) -> bool {
    head.starts_with(b"<\0?\0") || head.starts_with(b"\0<\0?")
}

/// Whether text that declares `encoding` is not UTF-8. UTF-16 in a declaration that can be read as ASCII is taken for
/// UTF-8 by browsers.
fn is_other(encoding: &'static Encoding) -> bool {
    encoding != UTF_8 && encoding != UTF_16LE && encoding != UTF_16BE
}

/// What `<?xml version="1.0" encoding="..."?>` says, if it is a name that browsers know.
fn in_xml(head: &[u8]) -> Option<&'static Encoding> {
    let rest = head.strip_prefix(b"<?xml")?;
    let end = rest.windows(2).position(|two| two == b"?>")?;
    let rest = &rest[..end];
    let name = b"encoding";
    let at = rest.windows(name.len()).position(|word| word == name)?;
    let rest = rest[at + name.len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = rest.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    Encoding::for_label(&rest[..rest.iter().position(|byte| byte == quote)?])
}

/// What `@charset "...";` says, which is read only in this very form.
fn in_css(head: &[u8]) -> Option<&'static Encoding> {
    let rest = head.strip_prefix(b"@charset \"")?;
    let end = rest.iter().position(|byte| *byte == b'"').filter(|end| rest.get(end + 1) == Some(&b';'))?;
    Encoding::for_label(&rest[..end])
}

/// What the first `<meta>` says that says anything which browsers know.
fn in_html(head: &[u8]) -> Option<&'static Encoding> {
    Tokenizer::new(head).flatten().find_map(|token| {
        let Token::StartTag(tag) = token else { return None };
        if !tag.name.eq_ignore_ascii_case(b"meta") {
            return None;
        }
        let attribute = |name: &[u8]| {
            let found = tag.attributes.iter().find(|(known, _)| known.as_slice() == name);
            found.map(|(_, value)| value.value.as_slice())
        };
        if let Some(charset) = attribute(b"charset") {
            return Encoding::for_label(charset);
        }
        let is_content_type = attribute(b"http-equiv").is_some_and(|name| name.eq_ignore_ascii_case(b"content-type"));
        attribute(b"content").filter(|_| is_content_type).and_then(in_content_type)
    })
}

/// The charset of a media type in a `<meta>`.
fn in_content_type(content: &[u8]) -> Option<&'static Encoding> {
    let lower = content.to_ascii_lowercase();
    let mut rest = lower.as_slice();
    let value = loop {
        let at = rest.windows(7).position(|word| word == b"charset")?;
        rest = &rest[at + 7..];
        if let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") {
            break value.trim_ascii_start();
        }
    };
    let value = match value.split_first() {
        Some((quote @ (b'"' | b'\''), rest)) => &rest[..rest.iter().position(|byte| byte == quote)?],
        _ => value.split(|byte| *byte == b';' || byte.is_ascii_whitespace()).next()?,
    };
    Encoding::for_label(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_utf8(content_type: &str, text: &[u8]) -> bool {
        let mut check = CharsetCheck::new(content_type, None);
        check.update(text);
        check.is_utf8()
    }

    #[test]
    fn what_a_file_declares_of_itself_goes_before_what_its_bytes_could_be() {
        let html = "text/html; charset=utf-8";
        for (content_type, text, expected) in [
            (html, "<!doctype html><meta charset=utf-8><p>é", true),
            (html, "<!doctype html><p>no declaration é", true),
            (html, "", true),
            (html, "<meta charset=\"ISO-8859-1\"><p>x", false),
            (html, "<META CHARSET='windows-1252'>", false),
            (html, "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=shift_jis\">", false),
            (html, "<meta content='text/html;charset = \"gbk\"' http-equiv=content-type>", false),
            (html, "<meta content='text/html; charset=gbk'>", true),
            (html, "<!-- <meta charset=latin1> --><meta charset=UTF8>", true),
            (html, "<meta charset=nonsense><meta charset=koi8-r>", false),
            (html, "<meta charset=nonsense>", true),
            (html, "<meta charset=utf-16>", true),
            (html, "\u{feff}<meta charset=latin1>", true),
            (html, "<?xml version='1.0' encoding='iso-8859-1'?><html>", false),
            ("application/rss+xml; charset=utf-8", "<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?><rss/>", false),
            ("application/xml; charset=utf-8", "<?xml version=\"1.0\" encoding=\"utf-8\"?><a/>", true),
            ("application/xml; charset=utf-8", "<a><![CDATA[<?xml encoding=\"latin1\"?>]]></a>", true),
            ("image/svg+xml; charset=utf-8", "<?xml version=\"1.0\" encoding = 'US-ASCII'?><svg/>", false),
            ("image/svg+xml; charset=utf-8", "<\0?\0x\0m\0l\0", false),
            ("text/css; charset=utf-8", "@charset \"latin1\"; a { }", false),
            ("text/css; charset=utf-8", "@charset 'latin1'; a { }", true),
            ("text/css; charset=utf-8", "a { }", true),
            ("text/plain; charset=utf-8", "<meta charset=latin1>", true),
        ] {
            assert_eq!(is_utf8(content_type, text.as_bytes()), expected, "{content_type}: {text}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_none_wherever_they_are() {
        assert!(!is_utf8("text/plain", b"caf\xe9"));
        assert!(!is_utf8("text/plain", b"caf\xc3"), "cut off");
        assert!(!is_utf8("text/html", b"\xff\xfe<\0h\0t\0m\0l\0>\0"));
        let mut late = vec![b'a'; 300_000];
        late.push(0xe9);
        assert!(!is_utf8("text/javascript", &late));
        assert!(is_utf8("text/html", &[b"<p>".repeat(1000).as_slice(), b"<meta charset=latin1>"].concat()), "too late");
    }

    #[test]
    fn what_is_packed_is_looked_at_unpacked() {
        let packed = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let gzip = |bytes: &[u8]| {
            let mut check = CharsetCheck::new("text/html", Some("gzip"));
            bytes.chunks(3).for_each(|chunk| check.update(chunk));
            check.is_utf8()
        };
        assert!(gzip(&packed("<p>é".as_bytes())) && !gzip(&packed(b"<p>\xe9")) && !gzip(b"<p>plain"));
        let brotli = |text: &[u8]| {
            let mut packed = Vec::new();
            brotli::BrotliCompress(&mut &text[..], &mut packed, &Default::default()).unwrap();
            let mut check = CharsetCheck::new("text/html", Some("br"));
            check.update(&packed);
            check.is_utf8()
        };
        assert!(brotli("<p>é".as_bytes()) && !brotli(b"<p>\xe9"));
        assert!(!CharsetCheck::new("text/html", Some("zstd")).is_utf8(), "nobody knows");
    }

    proptest! {
        #[test]
        fn however_the_bytes_come_in_they_are_judged_as_a_whole(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                "[a-zé€😀]{0,20}".prop_map(String::into_bytes),
            ],
            cuts in proptest::collection::vec(1..5usize, 1..40),
        ) {
            let mut check = CharsetCheck::new("text/plain", None);
            let mut rest = bytes.as_slice();
            let mut cuts = cuts.into_iter().cycle();
            while !rest.is_empty() {
                let (chunk, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                check.update(chunk);
                rest = later;
            }
            prop_assert_eq!(check.is_utf8(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
