//! What differs between the source and the target: a merge of two sorted lists, pure.
//!
//! Modification times are never looked at: a fresh checkout makes them all new.

use super::walk::{LocalFile, Unknown};
use crate::bucket::RemoteObject;
use crate::site::etag::Etag;
use serde::Serialize;

/// A key and what is known of it on either side.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// The key below the prefix.
    pub key: String,
    /// The file's size, if there is a file.
    pub local: Option<u64>,
    /// The object's size and ETag, if there is an object.
    pub remote: Option<(u64, Etag)>,
}

impl Pair {
    /// Whether only the bytes can tell: both are there, and of one size.
    pub fn needs_digest(&self) -> bool {
        matches!((&self.local, &self.remote), (Some(local), Some((remote, _))) if local == remote)
    }
}

/// Pairs files and objects by key. Both must be sorted by key.
pub fn join(files: Vec<LocalFile>, objects: Vec<RemoteObject>) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(files.len().max(objects.len()));
    let mut objects = objects.into_iter().peekable();
    let only_remote =
        |object: RemoteObject| Pair { key: object.key, local: None, remote: Some((object.size, object.etag)) };
    for file in files {
        while let Some(object) = objects.next_if(|object| object.key < file.key) {
            pairs.push(only_remote(object));
        }
        let remote = objects.next_if(|object| object.key == file.key).map(|object| (object.size, object.etag));
        pairs.push(Pair { key: file.key, local: Some(file.size), remote });
    }
    pairs.extend(objects.map(only_remote));
    pairs
}

/// What reading a file told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// It was not necessary to compare, and the file can be read.
    NotCompared,
    /// The file's digest is the object's ETag.
    Same,
    /// It is not.
    Different,
    /// The file could not be read.
    Unreadable(String),
}

/// Why an object is uploaded, kept or removed: the word is the same in text, JSON and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The target has no such object.
    New,
    /// The sizes differ.
    Size,
    /// The sizes agree, the digest differs from the ETag.
    Etag,
    /// The object is no longer in the source.
    Orphaned,
}

impl Reason {
    /// The word, as in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Reason::New => "new",
            Reason::Size => "size",
            Reason::Etag => "etag",
            Reason::Orphaned => "orphaned",
        }
    }
}

/// What is to become of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send the file.
    Upload(Reason),
    /// The object is what the file is.
    Keep,
    /// The object is not in the source.
    Orphan,
    /// Not enough is known to touch it.
    Unknown(Option<String>),
}

/// Decides on a pair.
pub fn decide(pair: &Pair, content: &Content, unknown: &Unknown) -> Decision {
    match (pair.local, &pair.remote, content) {
        (Some(_), _, Content::Unreadable(why)) => Decision::Unknown(Some(why.clone())),
        (Some(_), None, _) => Decision::Upload(Reason::New),
        (Some(_), Some(_), Content::Same) => Decision::Keep,
        (Some(_), Some(_), Content::Different) => Decision::Upload(Reason::Etag),
        (Some(_), Some(_), Content::NotCompared) => Decision::Upload(Reason::Size),
        (None, _, _) if unknown.contains(&pair.key) => Decision::Unknown(None),
        (None, _, _) => Decision::Orphan,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn side() -> impl Strategy<Value = BTreeMap<String, u64>> {
        proptest::collection::btree_map("[ab/.]{1,4}", 0..3u64, 0..12)
    }

    proptest! {
        #[test]
        fn the_merge_pairs_every_key_once_and_in_order(local in side(), remote in side()) {
            let etag = Etag::Opaque("x".into());
            let files = local.iter().map(|(key, &size)| LocalFile { key: key.clone(), size }).collect();
            let objects = remote.iter().map(|(key, &size)| RemoteObject { key: key.clone(), size, etag: etag.clone() });
            let pairs = join(files, objects.collect());
            let keys: Vec<&String> = pairs.iter().map(|pair| &pair.key).collect();
            let expected: BTreeSet<&String> = local.keys().chain(remote.keys()).collect();
            prop_assert_eq!(keys, expected.into_iter().collect::<Vec<_>>());
            for pair in &pairs {
                prop_assert_eq!(pair.local, local.get(&pair.key).copied());
                prop_assert_eq!(pair.remote.as_ref().map(|(size, _)| *size), remote.get(&pair.key).copied());
            }
        }
    }

    #[test]
    fn unreadable_or_skipped_is_never_taken_for_absent() {
        let mut unknown = Unknown::default();
        unknown.add_directory("locked");
        let pair = |key: &str, local| Pair { key: key.to_owned(), local, remote: Some((1, Etag::Opaque("x".into()))) };
        assert_eq!(decide(&pair("locked/a", None), &Content::NotCompared, &unknown), Decision::Unknown(None));
        assert_eq!(decide(&pair("locked-not/a", None), &Content::NotCompared, &unknown), Decision::Orphan);
        let unreadable = Content::Unreadable("permission denied".into());
        assert!(matches!(decide(&pair("a", Some(1)), &unreadable, &unknown), Decision::Unknown(Some(_))));
    }
}
