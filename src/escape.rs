//! Makes external text safe to show: visible, on its own line, and not a command to a terminal or a CI runner.
//!
//! Names of files and keys, owners of leases, IDs in a record and responses of servers are written by others. Code
//! that shows one of them inside a text escapes it with [`Shown`], once; a backslash is not special, so that
//! escaped text stays as it is. The terminal prints nothing that [`lines`] or [`write_json`] would change.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};
use std::io::{self, BufWriter, Write as _};

/// External text inside one of shipfront's: on one line, with invisible characters spelled out.
#[derive(Debug, Clone, Copy)]
pub struct Shown<T>(pub T);

/// Maximum number of characters of one text to show: shipfront's longest messages are shorter.
const MOST_SHOWN: usize = 8 * 1024;

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.char_indices().nth(MOST_SHOWN) {
            Some((end, _)) => out.pad(&format!("{}… ({} bytes more)", escaped(&text[..end]), text.len() - end)),
            None => out.pad(&escaped(&text)),
        }
    }
}

/// External texts on one line, each after a space.
pub fn shown(texts: &[String]) -> String {
    texts.iter().map(|text| format!(" {}", Shown(text))).collect()
}

/// A text on one line, with invisible characters spelled out as in Rust: `\n`, `\u{1b}`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| push(&mut shown, c));
    Cow::Owned(shown)
}

fn push(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        c if is_unseen(c) => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}

/// A whole text with its line breaks, with other invisible characters spelled out.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c != '\n' && is_unseen(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split('\n').map(escaped).collect::<Vec<_>>().join("\n"))
}

/// Whether a character controls its display, breaks a line, or alters the order in which others are read.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A whole text for a terminal or a log: its line breaks, tabs and colors stay; other control characters are
/// spelled out, and no line of it is a command of a CI runner.
///
/// GitHub's runner interprets a line that begins with `::`, possibly after blanks, and `##[` anywhere in it, as a
/// command; Azure's interprets `##vso[`, TeamCity's `##teamcity[`
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        line_for_log(line, &mut out);
    }
    out
}

fn line_for_log(line: &str, out: &mut String) {
    let start = line.len() - line.trim_start().len();
    let mut rest = line;
    let mut offset = 0;
    while let Some(c) = rest.chars().next() {
        if offset == start && rest.starts_with("::") {
            out.push('\\');
        }
        let length = match color(rest) {
            Some(length) => {
                out.push_str(&rest[..length]);
                length
            }
            None => {
                match c {
                    '\t' => out.push(c),
                    '#' if is_command(rest) => out.push_str("#\\"),
                    c => push(out, c),
                }
                c.len_utf8()
            }
        };
        offset += length;
        rest = &rest[length..];
    }
}

/// How a CI runner marks a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Annotation {
    /// As failed.
    Error,
    /// As needing attention.
    Warning,
}

/// The line that makes GitHub's runner show a text next to the run, and in the log instead of the line itself. The
/// text is escaped as GitHub's toolkit does
/// (<https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>), so that it is data of the command
/// whatever it contains.
pub fn annotation(kind: Annotation, text: &str) -> String {
    let word = match kind {
        Annotation::Error => "error",
        Annotation::Warning => "warning",
    };
    let data = lines(&visible(text)).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    format!("::{word} title=shipfront::{data}")
}

/// The length of a leading escape sequence, if it only sets a color.
fn color(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    rest[end..].starts_with('m').then_some(2 + end + 1)
}

/// Whether `##word[` begins here.
fn is_command(text: &str) -> bool {
    text.strip_prefix("##")
        .is_some_and(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with('['))
}

/// Writes a value as JSON whose text neither controls a terminal nor commands a CI runner: the characters in
/// question occur only in strings, where JSON has another spelling for them. It is written while it is generated: a
/// report may have a million changes.
pub fn write_json(out: impl io::Write, value: &impl Serialize) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, LegibleJson { out, last: ' ' });
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Spells out the characters in question in JSON that comes in pieces, none of which ends inside a character.
struct LegibleJson<W> {
    out: W,
    last: char,
}

impl<W: io::Write> io::Write for LegibleJson<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(piece).map_err(io::Error::other)?;
        let in_question = |c: char| c != '\n' && is_unseen(c);
        if self.last == '#' || text.contains(in_question) || text.contains("##") {
            let mut spelled = String::with_capacity(text.len() + 16);
            for c in text.chars() {
                if in_question(c) || c == '#' && self.last == '#' {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a String cannot fail.
                        let _ = write!(spelled, "\\u{unit:04x}");
                    }
                } else {
                    spelled.push(c);
                }
                self.last = c;
            }
            self.out.write_all(spelled.as_bytes())?;
        } else {
            self.last = text.chars().next_back().unwrap_or(self.last);
            self.out.write_all(piece)?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A page or an XML document with the same meaning, no line of which commands a CI runner that shows it: `##`
/// occurs only in texts there.
pub fn markup(text: &str) -> String {
    text.replace("##", "#&#35;")
}

/// Markdown with the same meaning, no line of which commands a CI runner that shows it: texts are in HTML there,
/// and `##` before a blank is a heading.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut last = ' ';
    while let Some(c) = characters.next() {
        match c == '#' && last == '#' && characters.peek().is_some_and(|next| !matches!(next, ' ' | '#')) {
            true => out.push_str("&#35;"),
            false => out.push(c),
        }
        last = c;
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts that would have an effect if they were shown as they are.
    pub(crate) fn hostile() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            any::<char>().prop_map(String::from),
            proptest::sample::select(vec![
                "\n",
                "\r\n",
                "\u{1b}[2J",
                "\u{1b}]0;title\u{7}",
                "\u{9b}31m",
                "::error::forged",
                "%0A::error::forged",
                "##[add-mask]x",
                "##vso[task.complete]",
                "\u{202e}gpj",
                "\u{2028}",
                "\t",
                " ",
                "#",
                ":",
                "name",
                "\\n",
                "\u{1b}[31m",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    /// Whether nothing in a line controls its display; tabs are allowed.
    pub(crate) fn is_seen(line: &str) -> bool {
        !line.contains(|c: char| is_unseen(c) && c != '\t')
    }

    /// Whether no CI runner interprets a line as a command.
    pub(crate) fn is_no_command(line: &str) -> bool {
        let starts = (0..line.len()).filter(|at| line.is_char_boundary(*at));
        !line.trim_start().starts_with("::") && !starts.into_iter().any(|at| is_command(&line[at..]))
    }

    /// A value as JSON.
    pub(crate) fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write_json(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// A text that comes in two pieces.
    struct Pieces<'a>(&'a str, &'a str);

    impl Display for Pieces<'_> {
        fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
            out.write_str(self.0)?;
            out.write_str(self.1)
        }
    }

    impl Serialize for Pieces<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    #[test]
    fn json_of_any_length_is_written_piece_by_piece() {
        let long = "é##[x]\u{1b}".repeat(100_000);
        let value = vec![long.as_str(), "##", "#"];
        let out = written(&value);
        assert!(!out.contains("##") && !out.contains('\u{1b}') && out.ends_with("]\n"));
        assert_eq!(serde_json::from_str::<Vec<String>>(&out).unwrap(), value);
        assert_eq!(written(&Pieces("#", "#[x]")), "\"#\\u0023[x]\"\n");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_one_line_that_can_be_seen_and_escaping_it_again_changes_nothing(text in hostile()) {
            let shown = Shown(&text).to_string();
            prop_assert!(!shown.contains(is_unseen), "{:?}", shown);
            prop_assert_eq!(escaped(&shown), shown.as_str());
        }

        #[test]
        fn whatever_a_text_holds_no_line_of_it_is_a_command(text in hostile()) {
            let out = lines(&text);
            prop_assert_eq!(out.matches('\n').count(), text.matches('\n').count());
            let colorless = anstream::adapter::strip_str(&out).to_string();
            prop_assert!(out.split('\n').all(is_no_command), "{:?}", out);
            prop_assert!(colorless.split('\n').all(is_seen), "{:?}", out);
            prop_assert_eq!(&lines(&out), &out, "once is enough");
        }

        #[test]
        fn an_annotation_is_one_command_whose_data_is_the_text(text in hostile()) {
            for (kind, start) in [(Annotation::Error, "::error title=shipfront::"), (Annotation::Warning, "::warning title=shipfront::")] {
                let line = annotation(kind, &text);
                let data = line.strip_prefix(start).unwrap();
                prop_assert!(is_seen(data) && !data.contains('\t') && is_no_command(&data.replace(':', "")), "{:?}", line);
                // As the runner parses it.
                let read = data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
                prop_assert_eq!(read, lines(&visible(&text)));
            }
        }

        #[test]
        fn json_says_the_same_without_control_characters(text in hostile()) {
            let value = serde_json::json!({ text.clone(): [text.clone()] });
            let out = written(&value);
            prop_assert!(out.split('\n').all(|line| is_seen(line) && is_no_command(line)), "{:?}", out);
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            prop_assert_eq!(read(&out), value);
        }
    }

    #[test]
    fn names_that_people_use_are_shown_as_they_are() {
        for name in ["index.html", "blog/café 第一.html", "a\\b", "C# and ## notes", "👩‍💻.png", "what::is.html"]
        {
            assert_eq!(escaped(name), name);
            assert_eq!(lines(name), name);
        }
        assert_eq!(
            annotation(Annotation::Error, "100% of a%0Ab\nhint: c"),
            "::error title=shipfront::100%25 of a%250Ab%0Ahint: c"
        );
        assert_eq!(Shown("a\nb").to_string(), "a\\nb");
        assert_eq!(Shown("é".repeat(MOST_SHOWN)).to_string().len(), 2 * MOST_SHOWN);
        let long = Shown("\u{7}".repeat(1 << 20)).to_string();
        assert!(long.len() < 64 << 10 && long.ends_with("\\u{7}… (1040384 bytes more)"), "{}", long.len());
        assert_eq!(format!("{:6}|", Shown("a\u{7}")), "a\\u{7}|");
        assert_eq!(lines("\u{1b}[31mred\u{1b}[0m\n  ::error::x"), "\u{1b}[31mred\u{1b}[0m\n  \\::error::x");
    }
}
