//! The differences between the source, the target and the record: a merge of sorted lists, pure.
//!
//! Modification times are ignored: a fresh checkout makes them all new.

use crate::deploy::change::Reason;
use crate::deploy::entry::Entry;
use crate::deploy::walk::Unknown;
use crate::record::intent::UnfinishedDeploy;
use crate::record::manifest::Row;
use crate::s3::RemoteObject;
use shipfront_site::etag::Etag;
use shipfront_site::key::has_control_character;
use shipfront_site::{Key, ObjectKind, ObjectKinds};

/// The properties of a source entry that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Its index among the walk's entries.
    pub at: usize,
    /// Its size, in bytes.
    pub size: u64,
}

/// A key and what is known of it on every side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key below the prefix.
    pub key: Key,
    /// The entry of the source, if there is one.
    pub local: Option<Local>,
    /// The object's size and ETag, if there is an object.
    pub remote: Option<(u64, Etag)>,
    /// What was last deployed for it.
    pub row: Option<Row>,
    /// Whether somebody else may have written the same bytes again since, without the tags or the headers in the
    /// row.
    pub rewritten: bool,
    /// When the object was written, in seconds of S3's clock; 0 if there is none.
    pub modified: i64,
}

impl Pair {
    /// The ETag that the file would have as this object; `None` if the sizes are enough.
    ///
    /// Under KMS, the object's own ETag is not a digest, but the manifest knows that of its bytes.
    pub fn expected(&self) -> Option<&Etag> {
        match (&self.local, &self.remote) {
            (Some(local), Some((remote, etag))) if local.size == *remote => {
                Some(self.described().map_or(etag, Row::content))
            }
            _ => None,
        }
    }

    /// Since when the object has been missing from the source, if the record can be right about that: the object
    /// was written before. Otherwise it counts as orphaned now, and the guards apply.
    pub fn orphaned(&self) -> Option<i64> {
        self.described()?.orphaned.filter(|since| *since >= self.modified)
    }

    /// The object's ETag, if the record says that its bytes have a different one.
    pub fn unlike_content(&self) -> Option<&Etag> {
        let (_, etag) = self.remote.as_ref()?;
        self.described().is_some_and(|row| row.content() != etag).then_some(etag)
    }

    /// The row, if it describes the existing object.
    pub fn described(&self) -> Option<&Row> {
        let (_, etag) = self.remote.as_ref()?;
        self.row.as_ref().filter(|row| row.etag == *etag)
    }
}

/// Joins entries, objects and rows by key. Each must be sorted by key; `first` is the index of the first of these
/// entries among all of the walk's.
pub fn join(
    entries: &[Entry],
    first: usize,
    objects: Vec<RemoteObject>,
    rows: impl Iterator<Item = (Key, Row)>,
) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(entries.len().max(objects.len()));
    let mut entries = (first..).zip(entries).peekable();
    let mut objects = objects.into_iter().peekable();
    let mut rows = rows.peekable();
    loop {
        let heads = [
            entries.peek().map(|(_, entry)| entry.key.as_str()),
            objects.peek().map(|object| object.key.as_str()),
            rows.peek().map(|(key, _)| key.as_str()),
        ];
        let Some(first) = heads.into_iter().flatten().min() else { return pairs };
        let [is_local, is_remote, is_recorded] = heads.map(|head| head == Some(first));
        let entry = entries.next_if(|_| is_local);
        let object = objects.next_if(|_| is_remote);
        let row = rows.next_if(|_| is_recorded);
        let (key_of_row, row) = row.unzip();
        let known = entry.map(|(_, entry)| entry.key.clone()).or(key_of_row);
        let Some(key) = known.or_else(|| object.as_ref().map(|object| object.key.as_str().into())) else {
            return pairs;
        };
        let local = entry.map(|(at, entry)| Local { at, size: entry.size });
        let rewritten = object.as_ref().zip(row.as_ref()).is_some_and(|(object, row)| row.is_outlived(object.modified));
        let modified = object.as_ref().map_or(0, |object| object.modified);
        let remote = object.map(|object| (object.size, object.etag));
        pairs.push(Pair { key, local, remote, row, rewritten, modified });
    }
}

/// What reading a file showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// No comparison was necessary, and the file can be read.
    NotCompared,
    /// The file's digest is the expected one.
    Same,
    /// The file's digest is the one in the record, but the object's own ETag differs: that must be explained.
    SameByRecord,
    /// The file's digest differs.
    Different,
    /// The file could not be read.
    Unreadable(String),
}

/// What is known about the headers of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadersMatch {
    /// They are as the rules say.
    Same,
    /// They differ.
    Different,
    /// They are not known, and there was no reason to find out.
    Unknown,
}

/// What to do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send the file.
    Upload(Reason),
    /// The object equals the file.
    Keep,
    /// The object equals the file, but the edge may have a different one.
    Evict(Reason),
    /// The object is deleted: a page before the invalidation, an asset after it, when no page that needs it is left
    /// at the edge.
    Prune {
        /// Whether it waits until the edge is invalidated.
        late: bool,
        /// Since when it has been missing from the source, in seconds of S3's clock.
        since: i64,
    },
    /// The object is not in the source but stays; since when, in seconds of S3's clock.
    Orphan(Reason, i64),
    /// The object is not in the source, and shipfront does not own it.
    Foreign,
    /// There is neither file nor object, but the edge may have a copy of a former object.
    Gone,
    /// Not enough is known to touch it.
    Unknown(Option<String>),
}

/// When objects that are no longer in the source are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneAfter {
    /// Pages at once, assets after they have been orphans for this many seconds.
    Seconds(i64),
    /// Not at all.
    Never,
}

/// What the decisions depend on, besides the pair itself.
#[derive(Debug)]
pub struct Rules<'a> {
    /// Keys that could not be looked at.
    pub unknown: &'a Unknown,
    /// What an interrupted run left.
    pub unfinished: Option<&'a UnfinishedDeploy>,
    /// Whether a record is kept: without one, it is not known what was invalidated or what shipfront owns.
    pub recorded: bool,
    /// Whether shipfront takes ownership of objects that are not in the source.
    pub adopt: bool,
    /// When orphans are removed.
    pub prune_after: PruneAfter,
    /// Which of them are pages.
    pub kinds: &'a ObjectKinds,
    /// S3's time, in seconds.
    pub now: i64,
}

impl Rules<'_> {
    /// Decides about a pair.
    pub fn decide(&self, pair: &Pair, content: &Content, headers: HeadersMatch) -> Decision {
        match (pair.local, &pair.remote) {
            (Some(_), remote) => match (content, remote) {
                (Content::Unreadable(why), _) => Decision::Unknown(Some(why.clone())),
                (_, None) => Decision::Upload(Reason::New),
                (Content::NotCompared, Some(_)) => Decision::Upload(Reason::Size),
                (Content::Different | Content::SameByRecord, Some(_)) => Decision::Upload(Reason::Etag),
                (Content::Same, Some(_)) if headers == HeadersMatch::Different => Decision::Upload(Reason::Headers),
                (Content::Same, Some(_)) => self.keep(pair),
            },
            (None, _) if self.unknown.contains(&pair.key) => Decision::Unknown(None),
            (None, Some(_)) => self.orphan(pair),
            (None, None) => Decision::Gone,
        }
    }

    fn keep(&self, pair: &Pair) -> Decision {
        if !self.recorded {
            Decision::Keep
        } else if self.unfinished.is_some_and(|unfinished| unfinished.pending_change(&pair.key).is_some()) {
            Decision::Evict(Reason::Recovered)
        } else if pair.described().is_none() {
            Decision::Evict(Reason::NotInvalidated)
        } else {
            Decision::Keep
        }
    }

    /// Whether shipfront owns the object of a pair: the manifest describes it, or an interrupted run left it.
    pub fn owns(&self, pair: &Pair) -> bool {
        let Some((size, etag)) = &pair.remote else { return false };
        !self.recorded
            || pair.described().is_some()
            || self.unfinished.is_some_and(|unfinished| unfinished.owns(&pair.key, *size, etag))
    }

    fn orphan(&self, pair: &Pair) -> Decision {
        // A request to delete several objects cannot name one with a control character.
        if !self.adopt && !self.owns(pair) || has_control_character(&pair.key) {
            return Decision::Foreign;
        }
        // An object cannot have left the source before it was written, or in the future.
        let since = pair.orphaned().filter(|since| *since <= self.now).unwrap_or(self.now);
        match self.prune_after {
            PruneAfter::Never => Decision::Orphan(Reason::Orphaned, since),
            PruneAfter::Seconds(_) if self.kinds.kind_of(&pair.key) == ObjectKind::Pages => {
                Decision::Prune { late: false, since }
            }
            PruneAfter::Seconds(age) if self.now.saturating_sub(since) >= age => Decision::Prune { late: true, since },
            PruneAfter::Seconds(_) => Decision::Orphan(Reason::Orphaned, since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::LazyLock;

    fn side() -> impl Strategy<Value = BTreeMap<String, u64>> {
        proptest::collection::btree_map("[ab/.]{1,4}", 0..3u64, 0..12)
    }

    fn etag() -> Etag {
        Etag::Opaque("x".into())
    }

    fn row(size: u64) -> Row {
        Row::new(size, etag())
    }

    static KINDS: LazyLock<ObjectKinds> = LazyLock::new(ObjectKinds::default);

    fn rules(unknown: &Unknown, prune_after: PruneAfter) -> Rules<'_> {
        Rules { unknown, unfinished: None, recorded: true, adopt: false, prune_after, kinds: &KINDS, now: 1000 }
    }

    fn pair(key: &str, local: Option<u64>, row: Option<Row>) -> Pair {
        let local = local.map(|size| Local { at: 0, size });
        Pair { key: key.into(), local, remote: Some((1, etag())), row, rewritten: false, modified: 0 }
    }

    proptest! {
        #[test]
        fn the_merge_joins_every_key_once_and_in_order(local in side(), remote in side(), recorded in side()) {
            let files: Vec<_> =
                local.iter().map(|(key, &size)| Entry::file(key.as_str(), size)).collect();
            let objects = remote.iter().map(|(key, &size)| RemoteObject { key: key.clone(), size, etag: etag(), modified: 0 });
            let rows: Vec<_> = recorded.iter().map(|(key, &size)| (Key::from(key.as_str()), row(size))).collect();
            let pairs = join(&files, 0, objects.collect(), rows.into_iter());
            let keys: Vec<&str> = pairs.iter().map(|pair| pair.key.as_str()).collect();
            let expected: BTreeSet<&str> = local.keys().chain(remote.keys()).chain(recorded.keys()).map(String::as_str).collect();
            prop_assert_eq!(keys, expected.into_iter().collect::<Vec<_>>());
            for pair in &pairs {
                prop_assert_eq!(pair.local.map(|local| local.size), local.get(pair.key.as_str()).copied());
                prop_assert_eq!(pair.remote.as_ref().map(|(size, _)| *size), remote.get(pair.key.as_str()).copied());
                prop_assert_eq!(pair.row.as_ref().map(|row| row.size), recorded.get(pair.key.as_str()).copied());
            }
        }
    }

    #[test]
    fn unreadable_or_skipped_is_never_taken_for_absent() {
        let mut unknown = Unknown::default();
        unknown.add_directory("locked");
        let rules = rules(&unknown, PruneAfter::Seconds(0));
        let decide = |pair: Pair, content| rules.decide(&pair, &content, HeadersMatch::Unknown);
        let owned = |key: &str| pair(key, None, Some(row(1)));
        assert_eq!(decide(owned("locked/a.html"), Content::NotCompared), Decision::Unknown(None));
        assert_eq!(
            decide(owned("locked-not/a.html"), Content::NotCompared),
            Decision::Prune { late: false, since: 1000 }
        );
        let unreadable = Content::Unreadable("permission denied".into());
        assert!(matches!(decide(pair("a", Some(1), None), unreadable), Decision::Unknown(Some(_))));
    }

    #[test]
    fn only_what_shipfront_uploaded_and_nobody_overwrote_is_pruned() {
        let unknown = Unknown::default();
        let rules = rules(&unknown, PruneAfter::Seconds(0));
        let decide = |pair: Pair| rules.decide(&pair, &Content::NotCompared, HeadersMatch::Unknown);
        assert_eq!(decide(pair("a.html", None, None)), Decision::Foreign);
        let overwritten = Row { etag: Etag::Opaque("y".into()), ..row(1) };
        assert_eq!(decide(pair("a.html", None, Some(overwritten))), Decision::Foreign);
        assert_eq!(decide(pair("a.html", None, Some(row(1)))), Decision::Prune { late: false, since: 1000 });
    }

    #[test]
    fn pages_go_at_once_and_assets_when_they_are_old_enough() {
        let unknown = Unknown::default();
        let rules = rules(&unknown, PruneAfter::Seconds(100));
        let decide = |key: &str, orphaned| {
            rules.decide(
                &pair(key, None, Some(Row { orphaned, ..row(1) })),
                &Content::NotCompared,
                HeadersMatch::Unknown,
            )
        };
        assert_eq!(decide("a.html", None), Decision::Prune { late: false, since: 1000 });
        assert_eq!(decide("a.css", None), Decision::Orphan(Reason::Orphaned, 1000));
        assert_eq!(decide("a.css", Some(901)), Decision::Orphan(Reason::Orphaned, 901));
        assert_eq!(decide("a.css", Some(900)), Decision::Prune { late: true, since: 900 });
    }

    #[test]
    fn what_was_not_invalidated_is_evicted_even_when_it_is_kept() {
        let unknown = Unknown::default();
        let rules = rules(&unknown, PruneAfter::Never);
        let decide = |row| rules.decide(&pair("a", Some(1), row), &Content::Same, HeadersMatch::Same);
        assert_eq!(decide(Some(row(1))), Decision::Keep);
        assert_eq!(decide(None), Decision::Evict(Reason::NotInvalidated));
        assert_eq!(
            decide(Some(Row { etag: Etag::Opaque("y".into()), ..row(1) })),
            Decision::Evict(Reason::NotInvalidated)
        );
    }
}
