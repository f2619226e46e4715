//! Determines which keys with events must be invalidated.
//!
//! All of them, with two exceptions. A running deploy invalidates its own changes itself. And a write has already
//! been invalidated if the event, the existing object and the manifest agree on bytes and headers: the deploy that
//! wrote the manifest did so, or the same bytes were written again.
//!
//! The manifest alone would not be enough for that: another tool may write B over A, CloudFront may then be
//! invalidated for B and cache it, and A may be written again. So a run that finds an object that differs from the
//! manifest marks its key in the record before it invalidates it, and a marked key is invalidated again. If the
//! record cannot be written, no event counts as already invalidated.

use crate::error::{Error, ErrorKind, Result};
use crate::lambda::EntryPoint;
use crate::lambda::object_events::event::{Change, ObjectEvent};
use crate::lambda::object_events::site::Found;
use crate::record::Place;
use crate::record::external_writes::ExternalWrites;
use crate::record::intent::{PendingAction, PendingChange};
use crate::record::manifest::{Manifest, Row};
use crate::record::session::Session;
use crate::s3::head::Head;
use crate::s3::{Bucket, Start};
use futures::{StreamExt, stream};
use shipfront_invalidation::{Strategy, Viewers};
use shipfront_site::Warning;
use shipfront_site::{RECORD_FOLDER, Target};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Maximum number of `HeadObject` requests in flight.
const CONCURRENCY: usize = 64;

/// What to invalidate for a bucket.
pub(super) struct Deduped {
    pub(super) changes: Changes,
    pub(super) viewers: Viewers,
    /// The keys of the rest of the site.
    pub(super) unchanged: Keys,
    pub(super) warnings: Vec<Warning>,
    /// Number of keys that need no invalidation.
    pub(super) left: usize,
}

/// The changed keys, and what to record once CloudFront has accepted the invalidation.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) changed: Vec<String>,
    memories: Vec<(ExternalWrites, Vec<Settled>)>,
    /// Keys that could not be marked, and why: they are invalidated, and their messages are delivered again.
    pub(super) unmarked: Vec<(String, String)>,
    /// The record that counts the paths.
    pub(super) counter: Option<Session>,
}

/// A key whose object matches the manifest again.
struct Settled {
    full_key: String,
    key: String,
}

impl Changes {
    /// Removes the marks of keys that were invalidated.
    pub(super) async fn settle(self, is_affected: impl Fn(&str) -> bool) -> Result<()> {
        for (mut memory, settled) in self.memories {
            let reported = settled.into_iter().filter(|settled| is_affected(&settled.full_key));
            memory.settle(reported.map(|settled| settled.key).collect()).await?;
        }
        Ok(())
    }
}

/// A site of the bucket that has a record.
struct Site {
    prefix: String,
    session: Session,
    /// Whether a deploy was ever completed.
    has_manifest: bool,
    /// The manifest's rows for the keys with events, by the key below the prefix.
    rows: HashMap<String, Row>,
}

impl Site {
    /// Keeps complete rows of the manifest for keys with events, and only the names of others.
    fn new(target: &Target, mut session: Session, has_events: impl Fn(&str) -> bool, others: &mut Keys) -> Site {
        let (prefix, manifest) = (target.prefix().to_owned(), session.take_manifest());
        let (has_manifest, mut rows, mut full_key) = (manifest.is_some(), HashMap::new(), String::new());
        for (key, row) in manifest.into_iter().flat_map(Manifest::into_rows) {
            full_key.clear();
            full_key.push_str(&prefix);
            full_key.push_str(&key);
            if has_events(&full_key) {
                rows.insert(key.to_string(), row);
            } else {
                others.push(&full_key);
            }
        }
        Site { prefix, session, has_manifest, rows }
    }

    /// Whether a running deploy does all of this itself.
    fn is_deploying(&self, key: &str, events: &[&ObjectEvent]) -> bool {
        let under_way = self.session.unfinished().filter(|_| self.session.holder().is_some());
        let pending_change = under_way.and_then(|intent| intent.pending_change(key));
        pending_change.is_some_and(|pending_change| events.iter().all(|event| keeps(pending_change, event)))
    }
}

/// Whether an event matches what was pending, as far as a pending change says: it is written before the bytes are
/// known.
fn keeps(pending_change: &PendingChange, event: &ObjectEvent) -> bool {
    match (pending_change.action, &event.change) {
        (PendingAction::Upload, Change::Written { etag, size }) => {
            size.is_some_and(|size| pending_change.is_of(size)) && etag.is_some() && *etag != pending_change.before
        }
        (PendingAction::Prune, Change::Removed) => true,
        _ => false,
    }
}

/// Many keys in little memory.
#[derive(Debug, Default)]
pub(super) struct Keys {
    text: String,
    ends: Vec<usize>,
}

impl Keys {
    fn push(&mut self, key: &str) {
        self.text.push_str(key);
        self.ends.push(self.text.len());
    }

    /// In the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }
}

/// What happens to a key that the manifest describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has already been invalidated.
    Known,
    /// Invalidated, and marked before that: the object differs from the manifest.
    Foreign,
    /// Invalidated; the object matches the manifest, and a mark may be removed.
    Back,
}

/// `live`: the object matches the manifest now; `said`: so did every event; `marked`: `None` if marks cannot be
/// kept.
fn fate(live: bool, said: bool, marked: Option<bool>) -> Fate {
    match (live, said, marked) {
        (true, true, Some(false)) => Fate::Known,
        (true, ..) => Fate::Back,
        (false, ..) => Fate::Foreign,
    }
}

/// Skips the keys of a bucket that were already invalidated.
pub(super) async fn dedupe(
    entry_point: &EntryPoint,
    bucket: &str,
    keys: &BTreeMap<String, Vec<&ObjectEvent>>,
) -> Result<Deduped> {
    let found = entry_point.buckets.find(entry_point, bucket).await?;
    let mut warnings = Vec::new();
    let mut unchanged = Keys::default();
    let sites = sites(entry_point, &found.bucket, keys, &mut unchanged, &mut warnings).await?;
    let mut changes = Changes::default();
    let mut described: Vec<Vec<(&str, &Row, &[&ObjectEvent])>> = sites.iter().map(|_| Vec::new()).collect();
    let mut all_in_sites = true;
    let mut left = 0;
    for (full_key, events) in keys {
        // The longest prefix: one site may be inside another.
        let mut holding =
            sites.iter().enumerate().filter_map(|(at, site)| Some((at, full_key.strip_prefix(&*site.prefix)?)));
        let holding = holding.by_ref().min_by_key(|(_, key)| key.len());
        match holding.map(|(at, key)| (at, key, sites[at].rows.get(key))) {
            Some((at, key, _)) if sites[at].is_deploying(key, events) => left += 1,
            Some((at, key, Some(row))) => described[at].push((key, row, events)),
            place => {
                all_in_sites &= place.is_some_and(|(at, ..)| sites[at].has_manifest);
                changes.changed.push(full_key.clone());
            }
        }
    }
    for (site, described) in sites.iter().zip(described).filter(|(_, described)| !described.is_empty()) {
        left += compare(site, &found, described, &mut changes, &mut warnings).await?;
    }
    let changed: HashSet<&str> = changes.changed.iter().map(String::as_str).collect();
    for key in keys.keys().filter(|key| !changed.contains(key.as_str())) {
        unchanged.push(key);
    }
    let mut policy = entry_point.settings.policy;
    if policy.strategy == Strategy::Cover && !all_in_sites {
        // What else a wildcard would evict is not known.
        policy.strategy = Strategy::Exact;
    }
    let used = sites.iter().map(|site| site.session.paths_used()).reduce(u64::saturating_add);
    let viewers = Viewers::new(&found.shapes, found.bucket.target(), policy.counting(used));
    changes.counter = sites.into_iter().next().map(|site| site.session);
    Ok(Deduped { changes, viewers, unchanged, warnings, left })
}

/// Compares keys that the manifest describes with the existing objects; returns how many need no invalidation.
async fn compare(
    site: &Site,
    found: &Found,
    described: Vec<(&str, &Row, &[&ObjectEvent])>,
    changes: &mut Changes,
    warnings: &mut Vec<Warning>,
) -> Result<usize> {
    // The marks first: one that is set during the comparison then does not count as seen.
    let mut memory = match site.session.external_writes().await {
        Ok(memory) => {
            warnings.extend(memory.unreadable().map(|why| {
                Warning::new(
                    format_args!(
                        "every write costs a path, because the record of writes by others cannot be read: {why}"
                    ),
                    "the next deploy repairs it",
                )
            }));
            Some(memory)
        }
        Err(error) if is_closed(&error) => {
            warnings.push(Warning::new(
                format_args!(
                    "every write costs a path, even without a change, because the record cannot be read: {error}"
                ),
                error.hint_text(),
            ));
            None
        }
        Err(error) => return Err(error),
    };
    let fates = stream::iter(described).map(|(key, row, events)| {
        let marked = memory.as_ref().map(|memory| memory.is_marked(key));
        async move {
            let full_key = format!("{}{key}", site.prefix);
            let head = found.bucket.head(&full_key).await.ok().flatten();
            let said = events
                .iter()
                .all(|event| matches!(&event.change, Change::Written { etag: Some(etag), .. } if *etag == row.etag));
            (full_key, key, fate(head.is_some_and(|head| is_row(&head, row)), said, marked))
        }
    });
    let mut fates: Vec<_> = fates.buffer_unordered(CONCURRENCY).collect().await;
    fates.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let foreign = fates.iter().filter(|(_, _, fate)| *fate == Fate::Foreign);
    if let Some(memory) = &mut memory
        && let Err(error) = memory.mark(foreign.clone().map(|(_, key, _)| (*key).to_owned()).collect()).await
    {
        changes.unmarked.extend(foreign.map(|(full_key, ..)| (full_key.clone(), in_words(&error))));
    }
    let mut settled = Vec::new();
    let mut known = 0;
    for (full_key, key, fate) in fates {
        if fate == Fate::Known {
            known += 1;
            continue;
        }
        if fate == Fate::Back {
            settled.push(Settled { full_key: full_key.clone(), key: key.to_owned() });
        }
        changes.changed.push(full_key);
    }
    changes.memories.extend(memory.map(|memory| (memory, settled)));
    Ok(known)
}

/// Whether an object is the one that a deploy last invalidated.
fn is_row(head: &Head, row: &Row) -> bool {
    head.etag == row.etag && row.headers == Some(head.headers.digest())
}

/// The sites of a bucket that have a record. An unreadable one causes a warning: everything is then invalidated.
async fn sites(
    entry_point: &EntryPoint,
    bucket: &Bucket,
    keys: &BTreeMap<String, Vec<&ObjectEvent>>,
    others: &mut Keys,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Site>> {
    let mut sites = Vec::new();
    for (target, place) in places(entry_point, bucket).await? {
        let at = bucket.place(&entry_point.aws, &target).await?;
        let has_events = |key: &str| keys.contains_key(key);
        match Session::open(&entry_point.aws, &at, &place).await {
            Ok(None) => {}
            Ok(Some(session)) => sites.push(Site::new(&target, session, has_events, others)),
            Err(error) if is_closed(&error) || error.kind() == ErrorKind::Refused => {
                warnings.push(Warning::new(
                    format_args!("every change is invalidated, because the record cannot be read: {error}"),
                    error.hint_text(),
                ));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sites)
}

/// The locations of the records: as configured in the function, or in the bucket.
async fn places(entry_point: &EntryPoint, bucket: &Bucket) -> Result<Vec<(Target, Place)>> {
    if let Some((site, place)) = &entry_point.settings.elsewhere {
        let site = site.as_ref().unwrap_or(bucket.target());
        let ours = site.bucket() == bucket.target().bucket();
        return Ok(ours.then(|| (site.clone(), Place::At(place.clone()))).into_iter().collect());
    }
    let name = bucket.target().bucket();
    let folder =
        bucket.place(&entry_point.aws, &Target::parse_folder(&format!("s3://{name}/{RECORD_FOLDER}"))?).await?;
    let mut places = Vec::new();
    let mut start = Start::Beginning;
    loop {
        let page = folder.list(start).await?;
        let states = page.objects.iter().filter_map(|object| object.key.strip_suffix(crate::record::STATE));
        for prefix in states.filter(|prefix| prefix.is_empty() || prefix.ends_with('/')) {
            // Otherwise, anybody who can write there could stop all events with a name that no site has.
            if let Ok(site) = Target::parse(&format!("s3://{name}/{prefix}")) {
                places.push((site, Place::SiteFolder));
            }
        }
        match page.next {
            Some(token) => start = Start::Token(token),
            None => return Ok(places),
        }
    }
}

fn is_closed(error: &Error) -> bool {
    error.kind() == ErrorKind::AccessDenied
}

fn in_words(error: &Error) -> String {
    format!("{error}; hint: {}", error.hint_text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_site::etag::Etag;

    #[test]
    fn only_what_event_object_and_manifest_agree_on_is_known_and_only_without_a_mark() {
        assert_eq!(fate(true, true, Some(false)), Fate::Known);
        for (said, marked) in [(false, Some(false)), (true, Some(true)), (true, None)] {
            assert_eq!(fate(true, said, marked), Fate::Back, "{said} {marked:?}");
        }
        for said in [true, false] {
            assert_eq!(fate(false, said, Some(false)), Fate::Foreign);
        }
    }

    #[test]
    fn a_deploy_under_way_answers_for_what_it_promised_and_nothing_else() {
        let etag = |text: &str| Some(Etag::parse(text));
        let before = "900150983cd24fb0d6963f7d28e17f72";
        let pending_change = |action| PendingChange {
            key: "a".to_owned(),
            action,
            created: false,
            bytes: 3,
            before: etag(before),
            owned: true,
            compressed: false,
            extra: None,
        };
        let event = |change| ObjectEvent { bucket: "b".to_owned(), key: "a".to_owned(), change };
        let written = |tag, size| event(Change::Written { etag: etag(tag), size });
        let other = "e4d909c290d0fb1ca068ffaddf22cbd0";
        assert!(keeps(&pending_change(PendingAction::Upload), &written(other, Some(3))));
        assert!(!keeps(&pending_change(PendingAction::Upload), &written(other, Some(4))));
        assert!(!keeps(&pending_change(PendingAction::Upload), &written(before, Some(3))));
        assert!(!keeps(&pending_change(PendingAction::Upload), &event(Change::Removed)));
        assert!(keeps(&pending_change(PendingAction::Prune), &event(Change::Removed)));
        assert!(!keeps(&pending_change(PendingAction::Orphan), &event(Change::Removed)));
    }
}
