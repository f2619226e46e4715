//! Recognizes secrets in bytes.

use super::Secret;
use std::borrow::Cow;

/// Number of bytes that show whether a file is text.
const MARKUP_SAMPLE: usize = 1024;
/// Length of a WireGuard key in base64.
const WIREGUARD_KEY: usize = 44;
/// Minimum length of the private part of a key in JSON: 32 bytes, minus what some tools omit.
const SHORTEST_JSON_KEY: usize = 40;

/// The bytes of a text without its byte order mark, with UTF-16 converted to ASCII where possible.
pub(super) fn plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    if let Some(text) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        return Cow::Borrowed(text);
    }
    let is_wide = match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => true,
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] => *a != 0 && *b != 0,
        _ => false,
    };
    if !is_wide {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().copied().filter(|byte| !matches!(byte, 0 | 0xFE | 0xFF)).collect())
}

/// Whether bytes contain a private key in the text form of RFC 7468, OpenSSH or OpenPGP, or of another tool.
pub(super) fn holds_private_key(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'-').any(is_label) || lines(bytes).any(|line| is_of_other_tool(line.trim_ascii()))
}

/// Whether the text between the dashes of a first line is that of a private key.
fn is_label(label: &[u8]) -> bool {
    let Some(what) = label.trim_ascii().strip_prefix(b"BEGIN ") else { return false };
    what.ends_with(b"PRIVATE KEY") || what.ends_with(b"PRIVATE KEY BLOCK") || what.starts_with(b"OpenVPN ")
}

/// Whether a line is, or announces, a private key of age, PuTTY or WireGuard.
fn is_of_other_tool(line: &[u8]) -> bool {
    line.starts_with(b"AGE-SECRET-KEY-1")
        || line.starts_with(b"PuTTY-User-Key-File-")
        || value(line, b"PrivateKey").is_some_and(|key| {
            let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            key.len() == WIREGUARD_KEY && key.ends_with(b"=") && key.iter().all(is_base64)
        })
}

/// Whether the bytes are a private key in DER: PKCS #1, PKCS #8, SEC 1, or a PKCS #12 store.
pub(super) fn is_der_key(bytes: &[u8]) -> bool {
    let Some((length, inside)) = der_sequence(bytes) else { return false };
    // The file contains only the key; of a long one, only the beginning is known.
    if length < inside.len() {
        return false;
    }
    let is_algorithm = |bytes: &[u8]| der_sequence(bytes).is_some_and(|(_, inside)| inside.first() == Some(&0x06));
    match inside {
        [0x02, 0x01, 0x00, 0x02, ..] => length > 32,
        [0x02, 0x01, 0x01, 0x04, 0x20 | 0x30 | 0x41 | 0x42, ..] => true,
        [0x02, 0x01, 0x00 | 0x01, rest @ ..] => is_algorithm(rest),
        [0x02, 0x01, 0x03, rest @ ..] => is_algorithm(rest),
        // Encrypted: the algorithm is one of PKCS #5 or #12.
        _ => der_sequence(inside).is_some_and(|(_, inside)| {
            let of = |algorithm: &[u8]| inside.starts_with(algorithm);
            of(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05") || of(b"\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01")
        }),
    }
}

/// The length of a DER sequence, and the bytes from its contents on.
fn der_sequence(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [0x30, length @ 0..=0x7F, inside @ ..] => Some((usize::from(*length), inside)),
        [0x30, 0x81, length, inside @ ..] => Some((usize::from(*length), inside)),
        [0x30, 0x82, high, low, inside @ ..] => Some(((usize::from(*high) << 8) | usize::from(*low), inside)),
        _ => None,
    }
}

/// The secret that a text, or data in text form, begins with.
pub(super) fn begins_with_secret(text: &[u8]) -> Option<Secret> {
    let text = text.trim_ascii_start();
    if text.starts_with(b"{") || text.starts_with(b"[") {
        return data_secret(text);
    }
    let mut lines = lines(text).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let first = lines.next()?;
    if first.starts_with(b"----") && first.split(|byte| *byte == b'-').any(is_label) {
        return Some(Secret::PrivateKey);
    }
    let heading = first.to_ascii_lowercase();
    if contains(&heading, b"access key id") && contains(&heading, b"secret access key") {
        return Some(Secret::Credentials);
    }
    // Tools write the key's creator before it.
    let said = std::iter::once(first).chain(lines).find(|line| !line.starts_with(b"#"))?;
    is_of_other_tool(said).then_some(Secret::PrivateKey)
}

/// The secret in JSON. In text that JSON quotes, such as a search index, quotes are escaped.
fn data_secret(text: &[u8]) -> Option<Secret> {
    if json_strings(text, b"\"private_key\"").any(|key| key.starts_with(b"-----BEGIN ")) {
        return Some(Secret::PrivateKey);
    }
    let is_json_key = |key: &[u8]| {
        key.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count()
            >= SHORTEST_JSON_KEY
    };
    if contains(text, b"\"kty\"") && json_strings(text, b"\"d\"").any(is_json_key) {
        return Some(Secret::PrivateKey);
    }
    let is_state = contains(text, b"\"terraform_version\"") && contains(text, b"\"lineage\"");
    if is_state {
        return Some(Secret::State);
    }
    // VPN settings begin with a section in brackets.
    let settings = text.starts_with(b"[Interface]") && lines(text).any(|line| is_of_other_tool(line.trim_ascii()));
    settings.then_some(Secret::PrivateKey)
}

/// The strings that follow a quoted name, each with all that follows.
fn json_strings<'a>(text: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let after = text.windows(name.len()).enumerate().filter(move |(_, window)| *window == name);
    after.filter_map(move |(at, _)| {
        let rest = text.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        rest.strip_prefix(b"\"")
    })
}

/// The secret anywhere in a file that could be anything.
pub(super) fn holds_secret(text: &[u8]) -> Option<Secret> {
    let beginning = text.trim_ascii_start();
    if is_markup(beginning) || text.iter().take(MARKUP_SAMPLE).any(|byte| *byte == 0) {
        return None;
    }
    if let Some(secret) = begins_with_secret(beginning) {
        return Some(secret);
    }
    let mut lines = lines(text).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).peekable();
    let mut is_cluster = false;
    while let Some(line) = lines.next() {
        let is_block = line.starts_with(b"----") && line.split(|byte| *byte == b'-').any(is_label);
        if is_block && lines.peek().is_some_and(|body| !is_placeholder(body))
            || is_of_other_tool(line)
            || is_quoted(line)
        {
            return Some(Secret::PrivateKey);
        }
        if [&b"aws_secret_access_key"[..], b"AWS_SECRET_ACCESS_KEY"]
            .iter()
            .any(|name| value(line, name).is_some_and(|value| !value.is_empty() && !is_placeholder(value)))
        {
            return Some(Secret::Credentials);
        }
        is_cluster |= line == b"kind: Config";
        // The text form of a key, in base64.
        if line.starts_with(b"client-key-data: LS0t") && (is_cluster || contains(text, b"kind: Config")) {
            return Some(Secret::Credentials);
        }
    }
    None
}

/// Whether a line is a setting that contains a key on one line, with its line ends escaped.
fn is_quoted(line: &[u8]) -> bool {
    let Some(at) = line.windows(12).position(|window| matches!(window, b"\"-----BEGIN " | b"'-----BEGIN ")) else {
        return false;
    };
    let block = line.get(at + 1..).unwrap_or_default();
    block.split(|byte| *byte == b'-').any(is_label) && contains(block, b"KEY-----\\n")
}

/// Whether a value is only a placeholder.
fn is_placeholder(text: &[u8]) -> bool {
    contains(text, b"...") || contains(text, "…".as_bytes()) || matches!(text.first(), Some(b'<' | b'[' | b'$' | b'{'))
}

/// Whether a text is a page, whatever its name: pages show what keys look like.
fn is_markup(text: &[u8]) -> bool {
    ["<!", "<?", "<html", "<head", "<body", "<svg"]
        .iter()
        .any(|start| text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes())))
}

/// The value of a line `name = value`.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    Some(line.strip_prefix(name)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii())
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
}

pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
