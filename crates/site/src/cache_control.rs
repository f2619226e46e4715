//! Checks that a text is a valid `Cache-Control`. Caches ignore directives that they do not know, so a mistyped one
//! has no effect.

use crate::Warning;
use crate::rules::audit::nearest;

/// The response directives, and whether each takes a number of seconds (RFC 9111, RFC 5861, RFC 8246).
const DIRECTIVES: [(&str, bool); 13] = [
    ("immutable", false),
    ("max-age", true),
    ("must-revalidate", false),
    ("must-understand", false),
    ("no-cache", false),
    ("no-store", false),
    ("no-transform", false),
    ("private", false),
    ("proxy-revalidate", false),
    ("public", false),
    ("s-maxage", true),
    ("stale-if-error", true),
    ("stale-while-revalidate", true),
];

/// Describes what is wrong with a value and suggests a correction; `None` if every cache understands it.
pub fn problem(value: &str) -> Option<Warning> {
    let wrong = directives(value).find_map(|directive| wrong_with(directive).map(|why| (directive.to_owned(), why)));
    let Some((directive, why)) = wrong else { return contradiction(value) };
    let problem = format!("{value:?} is not a valid Cache-Control: {directive:?} {why}");
    Some(match mended(value) {
        Some(meant) => Warning::new(problem, format_args!("did you mean {meant:?}?")),
        None => Warning::new(problem, "correct the directive"),
    })
}

/// Finds directives that contradict one another: caches differ in which one they obey.
fn contradiction(value: &str) -> Option<Warning> {
    let has = |name: &str| directives(value).any(|directive| directive.eq_ignore_ascii_case(name));
    if has("public") && has("private") {
        return Some(Warning::new(format_args!("{value:?} is both public and private"), "remove one of them"));
    }
    let ages = |name: &str| {
        let values = directives(value).filter_map(move |directive| directive.split_once('='));
        values.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, age)| age.to_owned()).collect::<Vec<_>>()
    };
    let twice = ["max-age", "s-maxage"].into_iter().find(|name| ages(name).windows(2).any(|two| two[0] != two[1]))?;
    Some(Warning::new(format_args!("{value:?} has two values of {twice}"), "remove one of them"))
}

/// Splits a value into directives. A comma inside quotes does not separate.
fn directives(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value
        .split(move |c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
}

fn wrong_with(directive: &str) -> Option<&'static str> {
    let (name, argument) = match directive.split_once('=') {
        Some((name, argument)) => (name, Some(argument)),
        None => (directive, None),
    };
    let known = DIRECTIVES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((_, takes_seconds)) = known else { return Some("is not a known directive") };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unquoted = argument.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    match (takes_seconds, unquoted) {
        (true, Some(seconds)) if is_number(seconds) => None,
        (true, _) => Some("takes a number of seconds, as in max-age=300"),
        // `private="Set-Cookie"` and `no-cache="..."` name headers.
        (false, None) => None,
        (false, Some(_)) if matches!(name.to_ascii_lowercase().as_str(), "private" | "no-cache") => None,
        (false, Some(_)) => Some("takes no value"),
    }
}

/// The value with the usual slips corrected: other separators, misspelled names, durations such as `5m`.
fn mended(value: &str) -> Option<String> {
    let mut mended: Vec<String> = Vec::new();
    // A whole header line, pasted.
    let header = value.get(..13).filter(|start| start.eq_ignore_ascii_case("cache-control"));
    let value = header.and_then(|_| value[13..].trim_start().strip_prefix(':')).unwrap_or(value);
    let words = value.split([',', ';', ' ', '\t']).filter(|word| !word.is_empty());
    // `max-age: 300`, `max-age = 300` and `max-age 300` consist of several words.
    for word in words.flat_map(|word| word.split_inclusive([':', '='])) {
        let word = word.trim_matches([':', '=', '"']);
        match (mended.last_mut(), word) {
            (_, "") => {}
            (Some(last), seconds) if word.starts_with(|c: char| c.is_ascii_digit()) && !last.contains('=') => {
                *last = format!("{last}={}", in_seconds(seconds)?);
            }
            (_, name) => mended.push(nearest(name, DIRECTIVES.iter().map(|(known, _)| *known))?.to_owned()),
        }
    }
    let mended = mended.join(", ");
    (!mended.is_empty() && directives(&mended).all(|directive| wrong_with(directive).is_none())).then_some(mended)
}

/// `300`, `5m`, `1h`, `7d`.
fn in_seconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let of_unit = match &text[digits.len()..] {
        "" | "s" | "sec" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(of_unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directives_that_contradict_one_another_are_reported() {
        for value in ["public, private", "max-age=60, max-age=0", "s-maxage=1, public, s-maxage=2"] {
            assert!(problem(value).is_some(), "{value}");
        }
        for value in ["max-age=60, s-maxage=0", "max-age=60, max-age=60", "no-store, max-age=0", "private, no-cache"] {
            assert_eq!(problem(value), None, "{value}");
        }
        let pasted = problem("Cache-Control: public, max-age=300").unwrap();
        assert_eq!(pasted.remedy(), "did you mean \"public, max-age=300\"?");
    }

    #[test]
    fn what_caches_understand_is_taken() {
        for value in [
            "max-age=0, s-maxage=31536000, must-revalidate",
            "public,max-age=31536000,immutable",
            "No-Cache",
            "private=\"Set-Cookie, X\", max-age=\"60\"",
            "max-age=60, stale-while-revalidate=30, stale-if-error=86400",
            "no-store, ",
        ] {
            assert_eq!(problem(value), None, "{value}");
        }
    }

    #[test]
    fn what_has_no_effect_is_reported_with_what_may_be_meant() {
        for (value, meant) in [
            ("max-age 300", Some("max-age=300")),
            ("max-age: 300", Some("max-age=300")),
            ("max-age = 300", Some("max-age=300")),
            ("maxage=300", Some("max-age=300")),
            ("s-max-age=60", Some("s-maxage=60")),
            ("max-age=300; immutable", Some("max-age=300, immutable")),
            ("public max-age=300", Some("public, max-age=300")),
            ("max-age=31536000 immutable", Some("max-age=31536000, immutable")),
            ("max-age=1d", Some("max-age=86400")),
            ("no-chache", Some("no-cache")),
            ("imutable", Some("immutable")),
            ("max-age", None),
            ("max-age=forever", None),
            ("-1", None),
            ("3600", None),
        ] {
            let reported = problem(value).unwrap_or_else(|| panic!("{value} is none"));
            match meant {
                Some(meant) => assert_eq!(reported.remedy(), format!("did you mean {meant:?}?"), "{value}: {reported}"),
                None => assert!(!reported.remedy().contains("did you mean"), "{value}: {reported}"),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_proposed_is_a_cache_control(value in "[a-z0-9 ,;:=\"-]{0,30}|max-age.{0,12}") {
            let reported = problem(&value);
            if let Some(meant) = reported.as_ref().and_then(|reported| reported.remedy().strip_prefix("did you mean ")) {
                let meant: String = meant.trim_end_matches('?').trim_matches('"').to_owned();
                prop_assert_eq!(problem(&meant), None);
            }
        }
    }
}
