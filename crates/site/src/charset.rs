//! Determines whether `charset=utf-8` is true of a file: its bytes are UTF-8, and it declares no other encoding.
//!
//! A charset in `Content-Type` takes precedence over what a file declares about itself, so a wrong one cannot be
//! repaired in the file. Where it would be wrong, none is sent, and the declaration in the file applies
//! (<https://encoding.spec.whatwg.org/#names-and-labels>,
//! <https://html.spec.whatwg.org/#determining-the-character-encoding>).

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::write::MultiGzDecoder;
use html5gum::{Token, Tokenizer};
use std::io::{self, Read, Write};

/// Number of bytes in which browsers look for a declaration.
const HEAD: usize = 1024;

/// Checks the bytes of a text chunk by chunk.
pub struct CharsetCheck {
    bytes: Bytes,
    /// Scans the bytes undecoded: text that is labeled as encoded but is not is checked as plain text.
    as_they_are: Scanner,
    /// Whether the bytes cannot be decoded as their `Content-Encoding` says.
    broken: bool,
}

/// The bytes of the text, or the decoder that unpacks them.
enum Bytes {
    Plain(Scanner),
    Gzip(Box<MultiGzDecoder<Scanner>>),
    Brotli(Box<brotli::DecompressorWriter<Scanner>>),
    Unknown,
}

impl CharsetCheck {
    /// Creates a check for a text of this media type, whose bytes are encoded if `content_encoding` says so.
    pub fn new(content_type: &str, content_encoding: Option<&str>) -> CharsetCheck {
        let declaration = Declaration::of(content_type);
        let (scanner, as_they_are) = (Scanner::new(declaration), Scanner::new(declaration));
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
        CharsetCheck { bytes, as_they_are, broken: false }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, chunk: &[u8]) {
        // Encoded data stops being UTF-8 within its first bytes, so this ends at once.
        if !matches!(self.bytes, Bytes::Plain(_)) {
            self.as_they_are.take(chunk);
        }
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

    /// Whether all bytes together are UTF-8 and declare no other encoding.
    pub fn is_utf8(self) -> bool {
        let scanner = match self.bytes {
            _ if self.broken => None,
            Bytes::Plain(scanner) => Some(scanner),
            Bytes::Gzip(decoder) => decoder.finish().ok(),
            Bytes::Brotli(decoder) => decoder.into_inner().ok(),
            Bytes::Unknown => None,
        };
        scanner.unwrap_or(self.as_they_are).finish()
    }
}

/// A reader that checks its bytes as they are read.
pub struct Checked<'c, R> {
    inner: R,
    check: Option<&'c mut CharsetCheck>,
}

impl<'c, R> Checked<'c, R> {
    /// Wraps `inner`; without a check, it passes the bytes through.
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

/// How a kind of text declares its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declaration {
    /// With `<meta charset>`, or as XML does.
    Html,
    /// With `<?xml encoding="..."?>`.
    Xml,
    /// With `@charset "...";`.
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

/// Whether the first bytes of a file can be what its `Content-Encoding` says; `true` for encodings that cannot be
/// recognized, and for a file without one.
pub fn is_encoded(content_encoding: &str, head: &[u8]) -> bool {
    let is = |name: &str| content_encoding.trim().eq_ignore_ascii_case(name);
    match () {
        () if head.is_empty() => true,
        () if is("gzip") || is("x-gzip") => head.starts_with(b"\x1f\x8b"),
        () if is("zstd") => head.starts_with(b"\x28\xb5\x2f\xfd") || head.get(1..4) == Some(b"\x2a\x4d\x18"),
        // Brotli has no magic number, but plain text hardly ever decodes by chance, and never to its end.
        () if is("br") => brotli::DecompressorWriter::new(io::sink(), 4096).write_all(head).is_ok(),
        () => true,
    }
}

/// Scans plain bytes as they arrive.
struct Scanner {
    declaration: Declaration,
    head: Vec<u8>,
    /// The bytes of a character that has started but not ended.
    begun: [u8; 4],
    begun_length: usize,
    is_valid: bool,
    is_ascii: bool,
    /// How much of an ISO-2022-JP escape sequence has been seen.
    escape: Escape,
}

/// The sequence that switches ISO-2022-JP to Japanese characters, all of whose bytes are ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    Dollar,
    /// The sequence is complete.
    Seen,
}

impl Escape {
    fn after(self, byte: u8) -> Escape {
        match (self, byte) {
            (Escape::Seen, _) | (Escape::Dollar, b'@' | b'B') => Escape::Seen,
            (_, 0x1b) => Escape::Begun,
            (Escape::Begun, b'$') => Escape::Dollar,
            _ => Escape::None,
        }
    }
}

impl Scanner {
    fn new(declaration: Declaration) -> Scanner {
        Scanner {
            declaration,
            head: Vec::new(),
            begun: [0; 4],
            begun_length: 0,
            is_valid: true,
            is_ascii: true,
            escape: Escape::None,
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        if !self.is_valid {
            return;
        }
        self.is_ascii &= chunk.is_ascii();
        if self.is_ascii && (self.escape != Escape::None || chunk.contains(&0x1b)) {
            self.escape = chunk.iter().fold(self.escape, |escape, byte| escape.after(*byte));
        }
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

    /// Whether all bytes are UTF-8 and declare no other encoding.
    fn finish(self) -> bool {
        let declares_another = || {
            // A byte order mark overrides every declaration.
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
        let is_another = || is_wide(&self.head) || self.is_ascii && self.escape == Escape::Seen || declares_another();
        self.is_valid && self.begun_length == 0 && !is_another()
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

/// Whether the text has two or four bytes per character and no byte order mark: every other byte of its ASCII is
/// zero, and all bytes are valid UTF-8. A single zero in a script is intentional.
fn is_wide(head: &[u8]) -> bool {
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    zeros > 0 && zeros * 4 >= head.len()
}

/// Whether the text is UTF-16 XML without a byte order mark, all of whose bytes are valid UTF-8.
fn is_wide_xml(head: &[u8]) -> bool {
    head.starts_with(b"<\0?\0") || head.starts_with(b"\0<\0?")
}

/// Whether text that declares `encoding` is not UTF-8. If a declaration of UTF-16 is readable as ASCII, browsers
/// treat it as UTF-8.
fn is_other(encoding: &'static Encoding) -> bool {
    encoding != UTF_8 && encoding != UTF_16LE && encoding != UTF_16BE
}

/// The encoding in `<?xml version="1.0" encoding="..."?>`, if browsers know its name.
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

/// The encoding in `@charset "...";`, which browsers read in exactly this form only.
fn in_css(head: &[u8]) -> Option<&'static Encoding> {
    let rest = head.strip_prefix(b"@charset \"")?;
    let end = rest.iter().position(|byte| *byte == b'"').filter(|end| rest.get(end + 1) == Some(&b';'))?;
    Encoding::for_label(&rest[..end])
}

/// The encoding in the first `<meta>` that names one browsers know.
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
        assert!(gzip(&packed("<p>é".as_bytes())) && !gzip(&packed(b"<p>\xe9")) && gzip(b"<p>plain"));
        assert!(!gzip(b"<p>\xe9") && !gzip(&packed(b"<p>")[..12]), "neither packed nor UTF-8");
        let brotli = |text: &[u8]| {
            let mut packed = Vec::new();
            brotli::BrotliCompress(&mut &text[..], &mut packed, &Default::default()).unwrap();
            let mut check = CharsetCheck::new("text/html", Some("br"));
            check.update(&packed);
            check.is_utf8()
        };
        assert!(brotli("<p>é".as_bytes()) && !brotli(b"<p>\xe9"));
        let mut unknown = CharsetCheck::new("text/html", Some("zstd"));
        unknown.update(b"\x28\xb5\x2f\xfd\0");
        assert!(!unknown.is_utf8(), "nobody unpacks it");
    }

    #[test]
    fn text_of_other_encodings_whose_bytes_are_all_ascii_is_none() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for content_type in ["text/html; charset=utf-8", "text/plain", "text/javascript", "application/json"] {
            assert!(!is_utf8(content_type, &wide("<p>hello</p>")) && !is_utf8(content_type, &wide("a")));
            assert!(!is_utf8(content_type, b"\0<\0p\0>"));
            assert!(!is_utf8(content_type, b"<p>\x1b$B%F%9%H\x1b(B</p>"));
            assert!(is_utf8(content_type, b"if (c === '\0') return;"), "a zero that somebody wrote");
            assert!(is_utf8(content_type, b"\x1b[1mbold\x1b(B\x1b[m and $B"), "what a terminal prints");
            assert!(is_utf8(content_type, "\u{1b}$B is said of \u{e9}".as_bytes()), "it is not all ASCII");
        }
        let mut check = CharsetCheck::new("text/plain", None);
        [&b"x\x1b"[..], b"$", b"B%F"].iter().for_each(|chunk| check.update(chunk));
        assert!(!check.is_utf8(), "in several pieces");
    }

    #[test]
    fn bytes_that_are_not_as_their_encoding_says_are_reported() {
        let text = b"<!doctype html><html lang=en><title>Plain</title><p>There is nothing packed about this page.";
        for coding in ["gzip", "GZIP", "x-gzip", "br", "zstd"] {
            assert!(!is_encoded(coding, text), "{coding}");
            assert!(is_encoded(coding, b""), "{coding}");
        }
        for coding in ["identity", "gzip, br", "deflate"] {
            assert!(is_encoded(coding, text), "{coding} cannot be told");
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        let gzip = encoder.finish().unwrap();
        let mut brotli = Vec::new();
        brotli::BrotliCompress(&mut &text[..], &mut brotli, &Default::default()).unwrap();
        assert!(is_encoded("gzip", &gzip) && !is_encoded("br", &gzip) && !is_encoded("gzip", &brotli));
        assert!(is_encoded("br", &brotli) && is_encoded("br", &brotli[..brotli.len() / 2]), "its beginning is enough");
        assert!(is_encoded("zstd", b"\x28\xb5\x2f\xfd\0"));
    }

    proptest! {
        #[test]
        fn however_the_bytes_come_in_they_are_checked_as_a_whole(
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
            let mut whole = CharsetCheck::new("text/plain", None);
            whole.update(&bytes);
            let is_utf8 = check.is_utf8();
            prop_assert_eq!(is_utf8, whole.is_utf8());
            if !bytes.contains(&0) && !bytes.contains(&0x1b) {
                prop_assert_eq!(is_utf8, std::str::from_utf8(&bytes).is_ok());
            }
        }
    }
}
