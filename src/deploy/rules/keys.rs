//! The keys of a key-value store that a function reads: which to add and which to remove. Pure.
//!
//! A key begins with the name of the target and a digest of the table that it belongs to, so that the current table
//! and the next one exist side by side: the code names one or the other, and no viewer gets half of each. Keys that
//! begin differently belong to somebody else.

use crate::cloudfront::key_values::StoreContents;
use crate::error::{Error, Result};
use serde::Serialize;
use shipfront_site::Target;
use shipfront_site::etag::{hex, md5};
use shipfront_site::redirect_function::{MAX_STORE, VERSION_DIGITS};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Number of digits of the digest that names a target.
const TARGET_DIGITS: usize = 8;

/// The common prefix of a target's keys.
pub(super) fn prefix(target: &Target) -> String {
    format!("sf-{}-", &hex(&md5(target.function_comment().as_bytes()))[..TARGET_DIGITS])
}

/// What a store must contain for a target.
#[derive(Debug, Clone)]
pub(in crate::deploy) struct Wanted {
    /// The common prefix of the target's keys.
    pub prefix: String,
    /// Keys and values.
    pub entries: Arc<Vec<(String, String)>>,
    /// The code that viewers get now, whose keys stay until they get the next one.
    pub live: Arc<Vec<String>>,
}

/// What to do about a store.
#[derive(Debug, Clone)]
pub(in crate::deploy) struct StorePlan {
    pub wanted: Wanted,
    pub arn: String,
    /// The ETag of the store as it was read.
    pub etag: String,
    /// Keys that are missing or have a different value.
    pub puts: Vec<(String, String)>,
    /// Keys that no code names: remainders of an interrupted run.
    pub unused: Vec<String>,
    /// Keys of the code that viewers get until the next one is published.
    pub old: Vec<String>,
}

/// A store as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedStore {
    /// Its ARN.
    pub arn: String,
    /// Number of keys that it must contain for the site.
    pub keys: usize,
    /// Number of keys to write.
    pub written: usize,
    /// Number of keys of earlier rules to remove.
    pub removed: usize,
}

impl Wanted {
    /// The part of a target's key up to and including the digest; `None` for somebody else's key.
    fn version<'k>(&self, key: &'k str) -> Option<&'k str> {
        let digest = key.strip_prefix(&self.prefix)?.get(..VERSION_DIGITS)?;
        let version = &key[..self.prefix.len() + VERSION_DIGITS];
        let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_digest && key[version.len()..].starts_with('/')).then_some(version)
    }

    /// What to do about a store with these contents.
    ///
    /// # Errors
    /// Refuses if both tables together with other keys would be too large.
    pub(in crate::deploy) fn compare(&self, store: &StoreContents) -> Result<StorePlan> {
        let keys: BTreeSet<&str> = self.entries.iter().map(|(key, _)| key.as_str()).collect();
        let (mut unused, mut old) = (Vec::new(), Vec::new());
        for key in store.values.keys().filter(|key| !keys.contains(key.as_str())) {
            let Some(version) = self.version(key) else { continue };
            let is_live = self.live.iter().any(|code| code.contains(version));
            if is_live { old.push(key.clone()) } else { unused.push(key.clone()) }
        }
        let is_missing = |(key, value): &&(String, String)| store.values.get(key) != Some(value);
        let puts: Vec<(String, String)> = self.entries.iter().filter(is_missing).cloned().collect();
        let plan =
            StorePlan { wanted: self.clone(), arn: store.arn.clone(), etag: store.etag.clone(), puts, unused, old };
        plan.guard_room(store)?;
        Ok(plan)
    }
}

impl StorePlan {
    /// Whether the store stays as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.unused.is_empty() && self.old.is_empty()
    }

    /// Whether it lacks keys that the code looks for.
    pub(super) fn lacks_keys(&self) -> bool {
        !self.puts.is_empty()
    }

    pub(super) fn report(&self) -> ReportedStore {
        let (keys, removed) = (self.wanted.entries.len(), self.unused.len() + self.old.len());
        ReportedStore { arn: self.arn.clone(), keys, written: self.puts.len(), removed }
    }

    fn guard_room(&self, store: &StoreContents) -> Result<()> {
        if self.puts.is_empty() {
            return Ok(());
        }
        let size = |key: &String| key.len() + store.values.get(key).map_or(0, String::len);
        let gone: BTreeSet<&String> = self.unused.iter().chain(self.puts.iter().map(|(key, _)| key)).collect();
        let kept: usize = store.values.keys().filter(|key| !gone.contains(key)).map(size).sum();
        let new: usize = self.puts.iter().map(|(key, value)| key.len() + value.len()).sum();
        if kept + new <= MAX_STORE {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the key-value store {} has no room for the rules: they take {new} bytes beside {kept} bytes that are in use, \
             and it holds {MAX_STORE}; nothing was changed",
            self.arn
        ))
        .hint("associate a store with the function that nothing else uses, or deploy with fewer lines first"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn wanted(entries: &[(&str, &str)], live: &str) -> Wanted {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Wanted { prefix: "sf-00000000-".to_owned(), entries: Arc::new(entries), live: Arc::new(vec![live.to_owned()]) }
    }

    fn store(values: &[(&str, &str)]) -> StoreContents {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        StoreContents { arn: "arn".to_owned(), etag: "E".to_owned(), values }
    }

    const NEW: &str = "sf-00000000-aaaaaaaaaaaa/x";
    const LIVE: &str = "sf-00000000-bbbbbbbbbbbb/x";
    const LEFT: &str = "sf-00000000-cccccccccccc/x";

    #[test]
    fn keys_of_others_stay_and_those_of_live_code_stay_longest() {
        let others = [
            "x",
            "sf-00000000-",
            "sf-00000000-aaaaaaaaaaaa",
            "sf-00000000-aaaaaaaaaaaé/x",
            "sf-00000000-zzzzzzzzzzzz/x",
            "sf-11111111-aaaaaaaaaaaa/x",
        ];
        let values: Vec<(&str, &str)> = others.into_iter().chain([LIVE, LEFT]).map(|key| (key, "v")).collect();
        let plan =
            wanted(&[(NEW, "/y")], "const version = 'sf-00000000-bbbbbbbbbbbb';").compare(&store(&values)).unwrap();
        assert_eq!((plan.unused.as_slice(), plan.old.as_slice()), (&[LEFT.to_owned()][..], &[LIVE.to_owned()][..]));
        assert_eq!(plan.puts, [(NEW.to_owned(), "/y".to_owned())]);
    }

    #[test]
    fn what_is_there_with_another_value_is_written_again_and_the_rest_is_not() {
        let wanted = wanted(&[(NEW, "/y"), ("sf-00000000-aaaaaaaaaaaa/z", "/y")], "");
        let plan = wanted.compare(&store(&[(NEW, "/elsewhere"), ("sf-00000000-aaaaaaaaaaaa/z", "/y")])).unwrap();
        assert_eq!(plan.puts, [(NEW.to_owned(), "/y".to_owned())]);
        assert!(wanted.compare(&store(&[(NEW, "/y"), ("sf-00000000-aaaaaaaaaaaa/z", "/y")])).unwrap().is_empty());
    }

    #[test]
    fn both_tables_have_to_fit_beside_what_others_keep() {
        let full = "v".repeat(MAX_STORE - NEW.len() - 10);
        let wanted = wanted(&[(NEW, "/y")], "");
        let of = |key: &str, value: &str| {
            wanted
                .compare(&StoreContents { values: BTreeMap::from([(key.to_owned(), value.to_owned())]), ..store(&[]) })
        };
        assert!(of("other", &full[..full.len() - 5]).is_ok());
        assert!(of("other", &format!("{full}vvvvvvvv")).unwrap_err().to_string().contains("has no room"));
        assert!(of(LEFT, &format!("{full}vvvvvvvv")).is_ok(), "what nobody needs goes first");
    }

    #[test]
    fn a_target_has_a_prefix_of_its_own() {
        let of = |target: &str| prefix(&Target::parse(target).unwrap());
        assert_ne!(of("s3://www.example.com"), of("s3://www.example.com/docs"));
        assert_eq!(of("s3://www.example.com").len(), wanted(&[], "").prefix.len());
    }
}
