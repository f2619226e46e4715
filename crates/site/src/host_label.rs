//! Host labels: what the name of a branch or the number of a pull request becomes in a URL and in a bucket.

use crate::etag::{hex, md5};

/// Maximum number of characters in a label (<https://www.rfc-editor.org/rfc/rfc1035#section-2.3.1>).
const LONGEST: usize = 63;
/// Number of characters of the digest.
const DIGEST: usize = 12;

/// The host label of a name. The same name has the same label everywhere.
///
/// A label consists of 1 to 63 lowercase letters, digits and single hyphens, does not begin or end with a hyphen,
/// and is never an encoded name (`xn--`). A name that already is a label, such as `main` or `42`, is its own label.
/// Any other ends in a digest of the name, as does a name that looks as if it had a digest: two names have the same
/// label only if their digests are the same.
pub fn host_label(name: &str) -> String {
    let mut stem = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => stem.push(c),
            _ if stem.is_empty() || stem.ends_with('-') => {}
            _ => stem.push('-'),
        }
    }
    if stem == name && !stem.is_empty() && stem.len() <= LONGEST && !stem.ends_with('-') && !has_digest(&stem) {
        return stem;
    }
    stem.truncate(LONGEST - DIGEST - 1);
    let stem = stem.trim_end_matches('-');
    let digest = &hex(&md5(name.as_bytes()))[..DIGEST];
    if stem.is_empty() { format!("preview-{digest}") } else { format!("{stem}-{digest}") }
}

/// Whether a label ends like one with a digest.
fn has_digest(label: &str) -> bool {
    let Some((_, last)) = label.rsplit_once('-') else { return false };
    last.len() == DIGEST && last.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_is_a_label_stays_and_any_other_gets_a_digest() {
        for name in ["main", "42", "feature-1", "a", "release-2026-11", &"a".repeat(63)] {
            assert_eq!(host_label(name), name);
        }
        for (name, stem) in [
            ("feature/search", "feature-search-"),
            ("Main", "main-"),
            ("-a-", "a-"),
            ("a--b", "a-b-"),
            ("xn--80ak6aa92e", "xn-80ak6aa92e-"),
            ("dependabot/npm_and_yarn/vite-7.0.1", "dependabot-npm-and-yarn-vite-7-0-1-"),
            ("ünï", "n-"),
            ("", "preview-"),
            ("///", "preview-"),
            ("日本", "preview-"),
            (&"a".repeat(64), &"a".repeat(50)),
        ] {
            let label = host_label(name);
            assert!(label.starts_with(stem) && has_digest(&label), "{name}: {label}");
        }
        // A branch may have the name of another branch's preview.
        let other = host_label("feature/search");
        assert_ne!(host_label(&other), other);
    }

    /// Similar names: few characters, different cases, separators, and labels of other names.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof![
            "[aA/_.-]{0,6}",
            "[a-z0-9-]{0,70}",
            ".{0,80}",
            "[aA/-]{1,4}".prop_map(|name| host_label(&name)),
            "[a]{48,66}[/b]{0,2}",
        ]
    }

    proptest! {
        #[test]
        fn a_label_is_one_that_a_host_name_and_a_folder_can_have(name in names()) {
            let label = host_label(&name);
            prop_assert!((1..=63).contains(&label.len()), "{}", label);
            prop_assert!(label.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{}", label);
            prop_assert!(!label.starts_with('-') && !label.ends_with('-') && !label.contains("--"), "{}", label);
            prop_assert_eq!(host_label(&name), label);
        }

        #[test]
        fn two_names_never_share_a_label(one in names(), other in names()) {
            prop_assert_eq!(one == other, host_label(&one) == host_label(&other), "{:?} {:?}", one, other);
        }
    }
}
