//! Replaces what differs from run to run: times, IDs, ports, processes. Everything else in a snapshot is as it was
//! printed.

use regex::Regex;

/// What is replaced, in this order, and with what.
const REPLACED: [(&str, &str); 16] = [
    (r"\b\d{8}t\d{6}z-[0-9a-f]{8}\b", "[deploy]"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?\b", "[time]"),
    (r"\b\d{4}-\d\d-\d\d\b", "[date]"),
    (r"\b(under )?\d+\.\d+ s\b", "[seconds]"),
    (r"\b\d+ seconds? ago\b", "[seconds] ago"),
    (r"\b\d+ s old\b", "[seconds] old"),
    (r"\bwaited \d+ s\b", "waited [seconds]"),
    // In JSON: a count of the same name is a whole number.
    (r#""(walk|list|hash|apply|invalidate|total|start|end|seconds)": \d+\.\d+(e-\d+)?"#, "\"$1\": [seconds]"),
    (r"\bprocess \d+ on [\w.-]+", "[process]"),
    (r"\b(127\.0\.0\.1|localhost):\d+", "$1:[port]"),
    (r"\bI[A-Z0-9]{13}\b", "[invalidation]"),
    // The local edge's, whose IDs are derived from the directory.
    (r"\b(on|the) distribution E[A-Z0-9]{13}\b", "$1 distribution [distribution]"),
    (r#""month": "\d{4}-\d\d""#, "\"month\": [month]"),
    (r"\bhttp://e[a-z0-9]{13}\.localhost", "http://[distribution].localhost"),
    (r"\bs3://site-[0-9a-f]{8}\b", "s3://site-[directory]"),
    (r"(?m)[ \t]+$", ""),
];

/// The text as it is in every run; `known` are further texts to replace, and their replacements.
pub(super) fn stable(text: &str, known: &[(&str, &str)]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = text.trim_end().replace(&format!("\"shipfront\": \"{version}\""), "\"shipfront\": \"[version]\"");
    for (found, replacement) in known {
        text = text.replace(found, replacement);
    }
    REPLACED.iter().fold(text, |text, (pattern, replacement)| {
        Regex::new(pattern).unwrap().replace_all(&text, *replacement).into_owned()
    })
}
