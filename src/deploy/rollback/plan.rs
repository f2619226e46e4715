//! Decides what a rollback does about each key, from the manifests and S3's answers about the keys that differ.

use crate::deploy::change::{Before, CachedCopies, Change, Existing, Reason, Subject};
use crate::deploy::copy_from::{CommonSource, CopyFrom};
use crate::deploy::diff::{Content, Decision, HeadersMatch, Pair, Rules};
use crate::deploy::discover::Discovered;
use crate::deploy::error_pages;
use crate::deploy::guards::Guards;
use crate::deploy::head_check::Inspected;
use crate::deploy::plan::{NextRow, Plan};
use crate::deploy::planned::{Planned, Recovered};
use crate::deploy::rollback::live_objects::{LiveObject, Part};
use crate::deploy::rollback::look::{Known, Looked, Looker, Missing, Origin};
use crate::deploy::rollback::{Rollback, SourceDeploy};
use crate::deploy::settings::Settings;
use crate::deploy::sorted::join;
use crate::deploy::walk::Unknown;
use crate::error::{Error, Result};
use crate::record::history::name;
use crate::record::manifest::{ErrorPage, Manifest, Row};
use crate::record::session::Session;
use crate::s3::head::Head;
use futures::{StreamExt, TryStreamExt, stream};
use shipfront_invalidation::tags::copy_tags::Shared;
use shipfront_invalidation::viewer::ANY_CACHE_CONTROL;
use shipfront_site::etag::Etag;
use shipfront_site::headers::Headers;
use shipfront_site::{Key, ObjectKind};
use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Number of keys that an error names before it only counts.
const NAMED: usize = 20;
/// Number of parts that are looked at concurrently: the next one is listed while the objects of one are checked.
const PARTS: usize = 2;

/// Everything that the decision needs.
pub(super) struct Planning<'a> {
    pub settings: &'a Settings,
    pub discovered: &'a Discovered,
    /// What was last deployed.
    pub live: &'a Manifest,
    /// The site to restore.
    pub source_deploy: &'a Arc<SourceDeploy>,
    pub rollback: &'a Rollback,
}

/// What stands in the way of a plan, found key by key.
#[derive(Default)]
struct Obstacles {
    /// What cannot be brought back, and why the first cannot.
    missing: Vec<Key>,
    why: Option<Missing>,
    /// Whether any object to bring back has a recorded version.
    has_versions: bool,
    /// What others wrote or deleted since.
    foreign: Vec<Key>,
}

impl Planning<'_> {
    /// The plan, once everything that differs was checked. What the site to restore had is freed as it is read: the plan
    /// grows meanwhile.
    pub(super) async fn plan(&self, earlier: Manifest) -> Result<Plan> {
        let unknown = Unknown::default();
        let rules = self.rules(&unknown);
        if self.keys(earlier.rows()).any(|(_, known)| known.source_deploy.is_some() && !known.is_same())
            && !self.discovered.bucket.has_no_acls().await?
        {
            let message = "objects of the bucket may have ACLs, which a copy would lose; nothing was changed";
            return Err(Error::refused(message).hint(
                "disable ACLs on the bucket (BucketOwnerEnforced) and grant access in a bucket policy, or deploy the old build again",
            ));
        }
        let looker = Arc::new(Looker {
            bucket: self.discovered.bucket.clone(),
            record: self.session()?.record().clone(),
            source_deploy: self.source_deploy.clone(),
            concurrency: self.settings.concurrency,
            permits: Semaphore::new(self.settings.concurrency.max(1)),
        });
        let mut plan = Plan::with_room(self.live.most_rows().max(earlier.most_rows()));
        let keys = self.keys(earlier.into_rows()).map(|(key, known)| {
            let is_checked = !known.is_same()
                && (known.source_deploy.is_some() || known.is_pending || self.goes(&key, &known, &rules));
            (key, known, is_checked)
        });
        let looking = stream::iter(Part::split(keys)).map(|part| Box::pin(looker.clone().look_at(part)));
        // In the order of the keys, each decided as soon as its part was looked at: what S3 says of a million is not held.
        let mut looking = pin!(looking.buffered(PARTS));
        let pages: HashSet<String> = self.discovered.viewers.error_page_keys().into_iter().collect();
        let (mut obstacles, common) = (Obstacles::default(), Shared::default());
        while let Some(part) = looking.try_next().await? {
            for (key, known, looked) in part {
                if let Some(looked) = &looked {
                    self.note_obstacles(&mut obstacles, &key, &known, looked);
                }
                obstacles.has_versions |= known.source_deploy.as_ref().is_some_and(|row| row.version.is_some());
                let is_page = pages.contains(key.as_str());
                match (&known.source_deploy, looked) {
                    (Some(row), Some(looked)) => {
                        self.bring_back(&mut plan, (&key, &known), (row, is_page), looked, &common)
                    }
                    (Some(_), None) => keep(&mut plan, key, known.live),
                    (None, looked) => {
                        let live = looked.and_then(|looked| looked.live);
                        self.leave(&mut plan, (&key, &known), live.as_ref(), &rules);
                    }
                }
            }
        }
        self.guard_missing(&obstacles)?;
        self.guard_foreign(&obstacles)?;
        Ok(plan)
    }

    /// The plan with what it is made from.
    pub(super) fn planned(discovered: &Discovered, plan: Plan, live: Manifest) -> Planned {
        let recovered = discovered
            .unfinished()
            .map(|unfinished| Recovered { deploy: unfinished.deploy.clone(), keys: unfinished.pending.len() as u64 });
        Planned {
            orphans_go: None,
            record_differs: !plan.rows.is_empty(),
            plan: Arc::new(plan),
            index: Arc::new(live),
            recovered,
            refused: None,
            items: Vec::new(),
            late_items: Vec::new(),
            rules: discovered.rules.clone(),
            warnings: Vec::new(),
        }
    }

    /// Why the plan is refused, as for a deploy that removes too much.
    pub(super) fn refusal(&self, plan: &Plan) -> Option<Error> {
        let pages = self
            .live
            .rows()
            .filter(|(key, row)| row.orphaned.is_none() && self.settings.kinds.kind_of(key) == ObjectKind::Pages);
        let counted = Plan {
            owned_pages: pages.count() as u64,
            leaving_pages: plan.leaving_pages.clone(),
            newly_orphaned: plan.newly_orphaned,
            ..Plan::default()
        };
        let Settings { max_delete, allow_removals, prune_after, target, .. } = self.settings;
        let guards = Guards {
            plan: &counted,
            walk: &self.discovered.walk,
            max_delete: *max_delete,
            prune_after: *prune_after,
            allow_removals: *allow_removals,
            has_manifest: true,
        };
        guards.refusal(|key| key == "index.html" || self.discovered.viewers.answer_at_root(&target.full_key(key)))
    }

    fn session(&self) -> Result<&Session> {
        self.discovered
            .session
            .as_ref()
            .ok_or_else(|| Error::usage("a rollback needs a deploy record").hint("run the command without --no-record"))
    }

    fn rules<'r>(&'r self, unknown: &'r Unknown) -> Rules<'r> {
        Rules {
            unknown,
            unfinished: self.discovered.unfinished().map(|unfinished| &**unfinished),
            recorded: true,
            adopt: false,
            prune_after: self.settings.prune_after,
            kinds: &self.settings.kinds,
            now: self.discovered.session.as_ref().map_or(0, |session| session.now().as_second()),
        }
    }

    /// All keys that the record knows, in order. Objects that had already left the source by then are not part of
    /// the earlier site.
    fn keys(&self, earlier: impl Iterator<Item = (Key, Row)>) -> impl Iterator<Item = (Key, Known)> {
        let unfinished = self.discovered.unfinished();
        let pending = unfinished.into_iter().flat_map(|unfinished| &unfinished.pending);
        let pending = pending.map(|pending| (Key::from(pending.key.as_str()), ()));
        let source_deploy = earlier.filter(|(_, row)| row.orphaned.is_none());
        let recorded = join(self.live.rows(), source_deploy, |live, source_deploy| {
            Some(Known { live, source_deploy, is_pending: false })
        });
        join(recorded, pending, |known, pending| {
            Some(Known { is_pending: pending.is_some(), ..known.unwrap_or_default() })
        })
    }

    /// Whether a key that the earlier site does not have is removed now.
    fn goes(&self, key: &Key, known: &Known, rules: &Rules<'_>) -> bool {
        known.live.as_ref().is_some_and(|row| {
            let pair = pair(key, known, Some((row.size, row.etag.clone())), 0);
            matches!(rules.decide(&pair, &Content::NotCompared, HeadersMatch::Unknown), Decision::Prune { .. })
        })
    }

    /// Whether shipfront owns the existing object: it is the one that was last invalidated, or an interrupted run
    /// left it.
    fn is_ours(&self, key: &Key, known: &Known, live: Option<&LiveObject>) -> bool {
        match live {
            None => known.live.is_none() || known.is_pending,
            Some(live) => {
                let unfinished = self.discovered.unfinished();
                known.live.as_ref().is_some_and(|row| row.etag == live.etag)
                    || unfinished.is_some_and(|unfinished| unfinished.owns(key, live.size, &live.etag))
            }
        }
    }

    /// Notes what stands in the way of a key.
    fn note_obstacles(&self, obstacles: &mut Obstacles, key: &Key, known: &Known, looked: &Looked) {
        if let Some(Err(why)) = looked.origin
            && !self.is_in_place(known, looked)
        {
            obstacles.missing.push(key.clone());
            obstacles.why.get_or_insert(why);
        }
        if !self.is_ours(key, known, looked.live.as_ref()) {
            obstacles.foreign.push(key.clone());
        }
    }

    /// Refuses if others wrote or deleted objects since, unless those may be overwritten.
    fn guard_foreign(&self, obstacles: &Obstacles) -> Result<()> {
        let names = &obstacles.foreign;
        if names.is_empty() || self.rollback.overwrite_foreign {
            return Ok(());
        }
        let count = if names.len() == 1 { "1 object was".to_owned() } else { format!("{} objects were", names.len()) };
        let message =
            format!("{count} changed by others since the last deploy: {}; nothing was changed", listed(names));
        Err(Error::refused(message)
            .hint("check what they did, then deploy, or replace their changes with --overwrite-foreign"))
    }

    /// Refuses if not everything can be restored.
    fn guard_missing(&self, obstacles: &Obstacles) -> Result<()> {
        let Some(why) = obstacles.why else { return Ok(()) };
        let names = &obstacles.missing;
        let count = if names.len() == 1 { "1 object".to_owned() } else { format!("{} objects", names.len()) };
        if let Some(preview) = &self.source_deploy.preview {
            return Err(preview.incomplete(&format!("{count}: {}", listed(names))));
        }
        let deploy = name(&self.source_deploy.deployed);
        let message = format!("{count} of deploy {deploy} cannot be restored: {}; nothing was changed", listed(names));
        let hint = match why {
            Missing::Archived => {
                "a lifecycle rule moved the versions to an archive: restore them, or deploy the old build"
            }
            Missing::Unlisted => {
                "their version IDs are unknown: allow s3:ListBucketVersions on the bucket, so that shipfront can find them"
            }
            Missing::Gone if obstacles.has_versions => {
                "a lifecycle rule may have removed the versions ('shipfront doctor' shows it): choose a newer deploy, or \
                 deploy the old build"
            }
            Missing::Gone => {
                "the bucket kept no versions of them: turn on versioning, or set history = \"copies\", for future deploys; to restore this one, deploy its build again"
            }
        };
        Err(Error::refused(message).hint(hint))
    }

    /// Whether the object of the earlier deploy is in its place, in everything that viewers get.
    fn is_in_place(&self, known: &Known, looked: &Looked) -> bool {
        let head = looked.live.as_ref().and_then(|live| live.head.as_deref());
        let both = head.zip(known.source_deploy.as_ref());
        let Some((live, row)) = both.filter(|(live, row)| live.etag == row.etag) else { return false };
        let version = live.version.as_deref().filter(|id| *id != "null");
        let same_version = version.is_some() && row.version.as_ref().map(|version| &*version.id) == version;
        let tags: Vec<&str> =
            self.discovered.viewers.tag_readers().map(|reader| reader.reading.metadata.as_str()).collect();
        let metadata = live.metadata.iter().filter(|(name, _)| !tags.contains(&name.as_str()));
        let metadata = metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
        same_version || row.headers == Some(Headers { metadata, ..live.headers.clone() }.digest())
    }

    /// Plans to restore an object; one that is already in its place is at most evicted.
    fn bring_back(
        &self,
        plan: &mut Plan,
        (key, known): (&Key, &Known),
        (row, is_page): (&Row, bool),
        looked: Looked,
        common: &Shared<CommonSource>,
    ) {
        let is_in_place = self.is_in_place(known, &looked);
        let Looked { live, origin } = looked;
        let owned = self.is_ours(key, known, live.as_ref());
        let described = known.live.as_ref().filter(|row| live.as_ref().is_some_and(|live| live.etag == row.etag));
        let is_outlived = |row: &&Row| live.as_ref().is_some_and(|live| row.is_outlived(live.modified));
        let sure = described.filter(|row| !known.is_pending && !is_outlived(row));
        let reason = match &live {
            None => Reason::New,
            _ if known.is_pending => Reason::Recovered,
            Some(live) if live.size != row.size => Reason::Size,
            Some(live) if described.map_or(&live.etag, Row::content) != row.content() => Reason::Etag,
            _ => Reason::Headers,
        };
        let cached = match known.live {
            None if reason == Reason::New && !known.is_pending => CachedCopies::Nothing,
            _ => error_pages::cached(sure, None),
        };
        let existing = live.as_ref().map(|live| {
            let (etag, size) = (live.etag.clone(), live.size);
            Existing { etag, size, is_compressed: false, owned }
        });
        let copy_tags = sure.and_then(|row| row.copy_tags.clone());
        let subject = Subject::new(key.clone(), reason, Before { existing, copy_tags, cached });
        let kind = self.settings.kinds.kind_of(key);
        if is_in_place {
            plan.kept += 1;
            let page = live.and_then(|live| error_page(live.head.as_deref()?, row, is_page));
            let error_page = page.map(|page| Box::new(error_pages::beside(page, subject.cached())));
            let next = Row { orphaned: None, copy_tags: None, error_page, ..row.clone() };
            plan.rows.push((key.clone(), NextRow::Row(Box::new(next))));
            plan.changes.push(Change::Evict { subject, kind });
            return;
        }
        // Missing objects were refused before.
        let Some(Ok(Origin { place, head })) = origin else { return };
        // A redirect leads to a page: its target is there before it, or with it.
        let kind = if place.redirect.is_some() { ObjectKind::Pages } else { kind };
        let tagging = self.discovered.tagging.as_deref();
        let memory = tagging.and_then(|tagging| tagging.found(key, &head)).map(|tags| tags.memory.clone());
        let error_page = error_page(&head, row, is_page);
        // Until it is done, the existing row stays valid, and the object stays owned if it is.
        let next = match (live, described) {
            (Some(live), None) if owned => Some(Row::new(live.size, live.etag)),
            _ => known.live.clone(),
        };
        if next != known.live {
            plan.rows.push((key.clone(), NextRow::new(next, known.live.as_ref())));
        }
        let from = CopyFrom::new(place, head.headers, row.clone(), common);
        let from = CopyFrom { memory, error_page: error_page.map(Box::new), ..from };
        let from = plan.sources.add(key, row.size, from);
        plan.changes.push(Change::Copy { subject, kind, bytes: row.size, from, otherwise: None });
    }

    /// Plans what happens to a key that the earlier site does not have: as in a deploy without its file.
    fn leave(&self, plan: &mut Plan, (key, known): (&Key, &Known), live: Option<&LiveObject>, rules: &Rules<'_>) {
        // An object that was not checked is assumed to be as recorded.
        let is_asked = known.is_pending || self.goes(key, known, rules);
        let there = match (live, &known.live) {
            (Some(live), _) => Some((live.size, live.etag.clone())),
            (None, Some(row)) if !is_asked => Some((row.size, row.etag.clone())),
            (None, _) => None,
        };
        let pair = pair(key, known, there, live.map_or(0, |live| live.modified));
        let (decision, owned) = (rules.decide(&pair, &Content::NotCompared, HeadersMatch::Unknown), rules.owns(&pair));
        let sure =
            pair.described().filter(|row| !known.is_pending && live.is_none_or(|live| !row.is_outlived(live.modified)));
        let (copy_tags, cached) = (sure.and_then(|row| row.copy_tags.clone()), error_pages::cached(sure, None));
        let inspected = Inspected { copy_tags, cached, ..Inspected::default() };
        plan.add(pair, self.settings.kinds.kind_of(key), decision, owned, inspected);
    }
}

/// Plans to leave an object as it is.
fn keep(plan: &mut Plan, key: Key, live: Option<Row>) {
    plan.kept += 1;
    if let Some(row) = live.filter(|row| row.orphaned.is_some()) {
        plan.rows.push((key.clone(), NextRow::Row(Box::new(Row { orphaned: None, ..row }))));
    }
    plan.staying.push(key);
}

/// A key without a file.
fn pair(key: &Key, known: &Known, remote: Option<(u64, Etag)>, modified: i64) -> Pair {
    Pair { key: key.clone(), local: None, remote, row: known.live.clone(), rewritten: false, modified }
}

/// The lifetime of an object's copies once it is restored, if a distribution serves it as an error page.
fn error_page(head: &Head, row: &Row, is_one: bool) -> Option<ErrorPage> {
    let before = row.error_page.as_deref();
    (is_one || before.is_some()).then(|| ErrorPage {
        // An Expires header may keep copies for any time.
        cache_control: if head.expires {
            Some(ANY_CACHE_CONTROL.to_owned())
        } else {
            head.headers.cache_control.clone()
        },
        chosen: before.is_some_and(|page| page.chosen),
        as_of: None,
    })
}

/// Some names, and the number of the rest.
fn listed(names: &[Key]) -> String {
    let (named, more) = names.split_at(names.len().min(NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", named.join(", "))
}
