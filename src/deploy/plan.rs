//! The plan: what will be uploaded, removed and invalidated. Pure.

use crate::deploy::change::{Before, CachedCopies, Change, Existing, Reason, Subject};
use crate::deploy::copy_from::{CopyFrom, CopySources};
use crate::deploy::diff::{Decision, Pair};
use crate::deploy::entry::Entry;
use crate::deploy::head_check::Inspected;
use crate::record::manifest::Row;
use shipfront_site::Warning;
use shipfront_site::{Key, ObjectKind};
use std::borrow::Cow;

/// Everything known about the site's keys once all decisions are made.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Uploads, evictions, removals and orphans, in key order.
    pub changes: Vec<Change>,
    /// The sources of its copies.
    pub sources: CopySources,
    /// Keys that are not in the source and whose objects stay as they are: orphans, unknown ones, and those that
    /// shipfront does not own.
    pub staying: Vec<Key>,
    /// Keys of files that could not be read and have no object.
    pub missing: Vec<Key>,
    /// Changes to the manifest, in key order, whether or not any upload or removal is done.
    pub rows: Vec<(Key, NextRow)>,
    /// Number of objects equal to their files.
    pub kept: u64,
    /// Number of keys about which too little is known.
    pub unknown: u64,
    /// Number of keys that were in the source at the last deploy and no longer are.
    pub newly_orphaned: u64,
    /// Number of owned pages that were in the source at the last deploy.
    pub owned_pages: u64,
    /// Those of them that no longer are.
    pub leaving_pages: Vec<Key>,
    /// Files that could not be read, with reasons.
    pub problems: Vec<String>,
    /// Text files that are sent without a charset, as far as they were read: a deploy reads what it uploads later.
    pub other_charsets: OtherCharsets,
}

/// A change to a key's row in the manifest; small, because a whole site may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRow {
    /// There is no row.
    Nothing,
    /// The same row, with the time since which the object has been missing from the source, in seconds of S3's
    /// clock.
    Orphaned(i64),
    /// This row.
    Row(Box<Row>),
}

impl NextRow {
    /// The change from the last row of a key to the next.
    pub fn new(next: Option<Row>, last: Option<&Row>) -> NextRow {
        let Some(next) = next else { return NextRow::Nothing };
        match (next.orphaned, last) {
            (Some(since), Some(last)) if next == (Row { orphaned: Some(since), ..last.clone() }) => {
                NextRow::Orphaned(since)
            }
            _ => NextRow::Row(Box::new(next)),
        }
    }

    /// The row itself, if there is one. `last` is the key's row in the last manifest.
    pub fn row(&self, last: Option<Row>) -> Option<Row> {
        match self {
            NextRow::Nothing => None,
            NextRow::Orphaned(since) => Some(Row { orphaned: Some(*since), ..last? }),
            NextRow::Row(row) => Some((**row).clone()),
        }
    }
}

/// Text files that are not UTF-8, or declare another encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherCharsets {
    count: u64,
    /// The first of them by key.
    first: Vec<String>,
}

impl OtherCharsets {
    /// Number of files to name.
    const NAMED: usize = 3;

    /// Adds a file.
    pub fn add(&mut self, key: &str) {
        self.count += 1;
        let at = self.first.partition_point(|first| first.as_str() <= key);
        self.first.insert(at, key.to_owned());
        self.first.truncate(OtherCharsets::NAMED);
    }

    fn append(&mut self, later: OtherCharsets) {
        self.count += later.count;
        self.first.extend(later.first);
        self.first.truncate(OtherCharsets::NAMED);
    }

    /// A warning about all of them, if there are any.
    pub fn warning(&self) -> Option<Warning> {
        let named = self.first.join(", ");
        let more = self.count.saturating_sub(self.first.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (files, are, declare) =
            if self.count == 1 { ("file", "is", "declares") } else { ("files", "are", "declare") };
        (self.count > 0).then(|| {
            Warning::new(
                format_args!(
                    "{} text {files} {are} not UTF-8, or {declare} another charset, and {are} sent without one, so that \
                     the declaration in the file applies: {named}{more}",
                    self.count
                ),
                "save as UTF-8, or set content-type in a header rule",
            )
        })
    }
}

impl Plan {
    /// A plan in which there is room for changes of this many keys. Without it, what grows leaves behind as much memory
    /// as it has in the end; room that is not used takes none, at least on Linux.
    pub fn with_room(keys: usize) -> Plan {
        let mut plan = Plan::default();
        // Where there is no such room, it grows.
        let _ = plan.changes.try_reserve_exact(keys);
        plan
    }

    /// Adds the decision about a key of a kind, and whether shipfront owns the existing object. Keys must come in
    /// order.
    pub fn add(&mut self, pair: Pair, kind: ObjectKind, decision: Decision, owned: bool, inspected: Inspected) {
        // What is uploaded is looked at as it is sent.
        if !inspected.is_utf8 && !matches!(decision, Decision::Upload(_)) {
            self.other_charsets.add(&pair.key);
        }
        let described = pair.described().cloned();
        // A row that does not describe the object says at least whether the key had left the source.
        let orphaned =
            if described.is_some() { pair.orphaned() } else { pair.row.as_ref().and_then(|row| row.orphaned) };
        let Pair { key, local, remote, row, .. } = pair;
        let copy_tags = inspected.copy_tags;
        let remote_size = remote.as_ref().map_or(0, |(size, _)| *size);
        let is_compressed = described.as_ref().and_then(|row| row.compressed.as_ref());
        let is_compressed = is_compressed.is_some_and(|compressed| compressed.encoding.is_some());
        let existing = || {
            let (size, etag) = remote.as_ref()?;
            Some(Existing { etag: etag.clone(), size: *size, is_compressed, owned })
        };
        let subject = |reason| {
            // An object that others deleted may still be in the cache.
            let none = reason == Reason::New && row.is_none();
            let cached = if none { CachedCopies::Nothing } else { inspected.cached.clone() };
            Subject::new(key.clone(), reason, Before { existing: existing(), copy_tags: copy_tags.clone(), cached })
        };
        let evict = |reason| Change::Evict { subject: subject(reason), kind };
        let orphan = |reason| Change::Orphan { subject: subject(reason), bytes: remote_size };
        // The row of the object as it is now, which may differ from the manifest.
        let live = |orphaned: Option<i64>| {
            let (size, etag) = remote.clone()?;
            Some(match &described {
                Some(row) => Row { orphaned, copy_tags: copy_tags.clone(), ..row.clone() },
                None => Row { orphaned, copy_tags: copy_tags.clone(), ..Row::new(size, etag) },
            })
        };
        let was_in_source = row.is_none() || orphaned.is_none();
        let leaves = match decision {
            Decision::Prune { .. } => true,
            Decision::Orphan(..) => was_in_source,
            _ => false,
        };
        if leaves || owned && was_in_source {
            self.count_page(kind, &key, leaves);
        }
        let next = match decision {
            Decision::Upload(reason) => {
                self.changes.extend(local.map(|local| Change::Upload {
                    subject: subject(reason),
                    entry: local.at,
                    kind,
                    bytes: local.size,
                }));
                // Until it is done, the existing row stays valid, and the object stays owned if it is.
                if owned { live(None) } else { row.clone() }
            }
            Decision::Keep | Decision::Evict(_) => {
                self.kept += 1;
                if let Decision::Evict(reason) = decision {
                    self.changes.push(evict(reason));
                }
                live(None).map(|next| Row {
                    content: next.content.or(inspected.content.map(Box::new)),
                    headers: inspected.digest,
                    compressed: inspected.compressed,
                    error_page: inspected.error_page,
                    ..next
                })
            }
            Decision::Prune { late, since } => {
                // Pages are removed at once, so no earlier run can have announced their removal.
                let newly = was_in_source || kind == ObjectKind::Pages || orphaned.is_some_and(|at| at > since);
                self.newly_orphaned += u64::from(newly);
                self.changes.push(Change::Remove { subject: subject(Reason::Orphaned), bytes: remote_size, late });
                // Until it is removed, it is part of the site: a deploy that fails before that leaves the site of the
                // last one, which a rollback restores with it.
                live(orphaned)
            }
            Decision::Orphan(reason, since) => {
                self.newly_orphaned += u64::from(was_in_source || orphaned.is_some_and(|at| at > since));
                self.changes.push(orphan(reason));
                self.staying.push(key.clone());
                live(Some(since))
            }
            Decision::Foreign => {
                if row.is_some() {
                    // What others overwrote belongs to them from now on.
                    self.changes.push(evict(Reason::NotInvalidated));
                } else {
                    self.changes.push(orphan(Reason::Foreign));
                    self.staying.push(key.clone());
                }
                None
            }
            Decision::Gone => {
                self.changes.push(evict(Reason::NotInvalidated));
                None
            }
            Decision::Unknown(problem) => {
                self.unknown += 1;
                self.problems.extend(problem.map(|problem| format!("{key}: {problem}")));
                match (local.is_some(), remote.is_some()) {
                    (true, false) => self.missing.push(key.clone()),
                    (false, true) => self.staying.push(key.clone()),
                    _ => {}
                }
                if owned { live(row.as_ref().and_then(|row| row.orphaned)) } else { row.clone() }
            }
        };
        if next != row {
            self.rows.push((key, NextRow::new(next, row.as_ref())));
        }
    }

    /// The source of a change, if it is a copy.
    pub fn copy_from(&self, change: &Change) -> Option<Cow<'_, CopyFrom>> {
        match change {
            Change::Copy { subject, bytes, from, .. } => self.sources.get(*from, &subject.key, *bytes),
            _ => None,
        }
    }

    /// Appends the plan of later keys, which has no copies.
    pub fn append(&mut self, mut later: Plan) {
        self.changes.append(&mut later.changes);
        self.staying.append(&mut later.staying);
        self.missing.append(&mut later.missing);
        self.rows.append(&mut later.rows);
        self.kept += later.kept;
        self.unknown += later.unknown;
        self.newly_orphaned += later.newly_orphaned;
        self.owned_pages += later.owned_pages;
        self.leaving_pages.append(&mut later.leaving_pages);
        self.problems.append(&mut later.problems);
        self.other_charsets.append(later.other_charsets);
    }

    /// The keys whose objects stay as they are, including orphans and unknown ones: the rest of the site. `entries`
    /// is the source.
    pub fn unchanged<'a>(&'a self, entries: &'a [Entry]) -> impl Iterator<Item = &'a str> + Clone {
        let mut changes = self.changes.iter().filter(|change| change.is_visible()).map(Change::key).peekable();
        let mut missing = self.missing.iter().map(Key::as_str).peekable();
        let stays = move |key: &&str| {
            while changes.next_if(|changed| changed < key).is_some() {}
            while missing.next_if(|missing| missing < key).is_some() {}
            changes.peek() != Some(key) && missing.peek() != Some(key)
        };
        entries.iter().map(|entry| &*entry.key).filter(stays).chain(self.staying.iter().map(Key::as_str))
    }

    /// The uploads of a kind of object, by their indices among the changes.
    pub fn uploads(&self, of: ObjectKind) -> impl Iterator<Item = usize> {
        self.places(move |change| matches!(change, Change::Upload { kind, .. } if *kind == of))
    }

    /// The removals before the invalidation, or those after it.
    pub fn removals(&self, after: bool) -> impl Iterator<Item = usize> {
        self.places(move |change| matches!(change, Change::Remove { late, .. } if *late == after))
    }

    /// The objects that get cache tags.
    pub fn retags(&self) -> impl Iterator<Item = usize> {
        self.places(|change| matches!(change, Change::Retag { .. }))
    }

    /// The copies of a kind of object.
    pub fn copies(&self, of: ObjectKind) -> impl Iterator<Item = usize> {
        self.places(move |change| matches!(change, Change::Copy { kind, .. } if *kind == of))
    }

    fn places(&self, is_meant: impl Fn(&Change) -> bool) -> impl Iterator<Item = usize> {
        self.changes.iter().enumerate().filter(move |(_, change)| is_meant(change)).map(|(at, _)| at)
    }

    /// Whether there is nothing to upload, remove or invalidate.
    pub fn is_empty(&self) -> bool {
        !self.changes.iter().any(Change::is_visible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_site::etag::Etag;

    fn row(orphaned: Option<i64>) -> Row {
        Row { orphaned, ..Row::new(1, Etag::Opaque("x".into())) }
    }

    fn pair(key: &str, row: Option<Row>) -> Pair {
        Pair {
            key: key.into(),
            local: None,
            remote: Some((1, Etag::Opaque("x".into()))),
            row,
            rewritten: false,
            modified: 0,
        }
    }

    fn of(pairs: Vec<Pair>, decisions: Vec<Decision>) -> Plan {
        let mut plan = Plan::default();
        for (pair, decision) in pairs.into_iter().zip(decisions) {
            plan.add(pair, ObjectKind::Assets, decision, true, Inspected::default());
        }
        plan
    }

    #[test]
    fn only_what_newly_left_the_source_counts_as_leaving() {
        let pairs = vec![pair("a", Some(row(None))), pair("b", Some(row(Some(5)))), pair("c", Some(row(None)))];
        let prune = || Decision::Prune { late: false, since: 9 };
        let plan = of(pairs, vec![prune(), prune(), Decision::Orphan(Reason::Orphaned, 9)]);
        assert_eq!(plan.newly_orphaned, 2);
    }

    #[test]
    fn orphans_stay_part_of_the_site_unless_they_are_pruned() {
        let pairs = || vec![pair("a", None), pair("b", None)];
        let kept = of(pairs(), vec![Decision::Orphan(Reason::Orphaned, 9), Decision::Unknown(None)]);
        assert!(kept.is_empty());
        assert_eq!(kept.staying, ["a", "b"]);
        let pruned = of(pairs(), vec![Decision::Prune { late: false, since: 9 }, Decision::Unknown(None)]);
        assert_eq!(pruned.staying, ["b"]);
        assert_eq!(pruned.removals(false).count(), 1);
    }

    #[test]
    fn an_orphan_is_remembered_with_its_first_day() {
        let plan = of(vec![pair("a", Some(row(Some(5))))], vec![Decision::Orphan(Reason::Orphaned, 5)]);
        assert_eq!(plan.rows, [], "the manifest says so already");
        let plan = of(vec![pair("a", Some(row(None)))], vec![Decision::Orphan(Reason::Orphaned, 5)]);
        assert_eq!(plan.rows, [("a".into(), NextRow::Orphaned(5))]);
    }
}
