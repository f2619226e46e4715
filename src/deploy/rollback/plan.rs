//! Decides what a rollback does about each key, from the manifests and S3's answers about the keys that differ.

use crate::deploy::change::{CachedCopies, Change, CopyFrom, Existing, Reason, Subject};
use crate::deploy::diff::{Content, Decision, HeadersMatch, Pair, Rules};
use crate::deploy::discover::Discovered;
use crate::deploy::error_pages;
use crate::deploy::guards::Guards;
use crate::deploy::head_check::Inspected;
use crate::deploy::manifest_index::{ManifestIndex, merge};
use crate::deploy::plan::{NextRow, Plan};
use crate::deploy::planned::{Planned, Recovered};
use crate::deploy::rollback::look::{Looked, Looker, Missing, Origin};
use crate::deploy::rollback::{Rollback, SourceDeploy};
use crate::deploy::settings::Settings;
use crate::deploy::walk::Unknown;
use crate::error::{Error, Result};
use crate::record::history::name;
use crate::record::manifest::{ErrorPage, Row};
use crate::record::session::Session;
use crate::s3::head::Head;
use futures::{StreamExt, TryStreamExt, stream};
use shipfront_invalidation::viewer::ANY_CACHE_CONTROL;
use shipfront_site::ObjectKind;
use shipfront_site::etag::Etag;
use shipfront_site::headers::Headers;
use std::collections::HashSet;
use std::sync::Arc;

/// Number of keys that an error names before it only counts.
const NAMED: usize = 20;

/// Everything that the decision needs.
pub(super) struct Planning<'a> {
    pub settings: &'a Settings,
    pub discovered: &'a Discovered,
    /// What was last deployed.
    pub live: &'a ManifestIndex,
    /// The site to restore.
    pub source_deploy: &'a SourceDeploy,
    pub rollback: &'a Rollback,
}

/// A key and what the record knows about it.
struct Key<'a> {
    key: &'a str,
    /// What was last deployed for it.
    live: Option<&'a Row>,
    /// The object to restore.
    source_deploy: Option<&'a Row>,
    /// Whether an interrupted run may have changed it.
    is_pending: bool,
}

impl Key<'_> {
    /// Whether viewers get the same as then: the same bytes with the same headers.
    fn is_same(&self) -> bool {
        let is_known = |row: &Row| !matches!(row.content(), Etag::Opaque(_));
        self.live.zip(self.source_deploy).is_some_and(|(live, source_deploy)| {
            let same_bytes =
                live.etag == source_deploy.etag || is_known(live) && live.content() == source_deploy.content();
            same_bytes && live.size == source_deploy.size && live.headers == source_deploy.headers && !self.is_pending
        })
    }
}

impl Planning<'_> {
    /// The plan, once everything that differs was checked.
    pub(super) async fn plan(&self) -> Result<Plan> {
        let keys = self.keys();
        let unknown = Unknown::default();
        let rules = self.rules(&unknown);
        let is_asked = |key: &&Key<'_>| {
            !key.is_same() && (key.source_deploy.is_some() || key.is_pending || self.goes(key, &rules))
        };
        if keys.iter().any(|key| key.source_deploy.is_some() && !key.is_same())
            && !self.discovered.bucket.has_no_acls().await?
        {
            let message = "objects of the bucket may have ACLs, which a copy would lose; nothing was changed";
            return Err(Error::refused(message).hint(
                "disable ACLs on the bucket (BucketOwnerEnforced) and grant access in a bucket policy, or deploy the old build again",
            ));
        }
        let record = self.session()?.record();
        let looker = Looker { bucket: &self.discovered.bucket, record, source_deploy: self.source_deploy };
        let looking = stream::iter(keys.iter().filter(is_asked)).map(|key| {
            let looker = &looker;
            async move { looker.look(key.key, key.source_deploy).await }
        });
        // In key order.
        let looked: Vec<Looked> = looking.buffered(self.settings.concurrency.max(1)).try_collect().await?;
        let asked: Vec<(&Key<'_>, Looked)> = keys.iter().filter(is_asked).zip(looked).collect();
        self.guard_missing(&asked)?;
        self.guard_foreign(&asked)?;
        let pages: HashSet<String> = self.discovered.viewers.error_page_keys().into_iter().collect();
        let (mut plan, mut asked) = (Plan::default(), asked.into_iter().peekable());
        for key in &keys {
            let is_page = pages.contains(key.key);
            match (key.source_deploy, asked.next_if(|(of, _)| of.key == key.key)) {
                (Some(row), Some((_, looked))) => self.bring_back(&mut plan, key, (row, is_page), looked),
                (Some(_), None) => keep(&mut plan, key),
                (None, looked) => {
                    self.leave(&mut plan, key, looked.and_then(|(_, looked)| looked.live).as_ref(), &rules)
                }
            }
        }
        Ok(plan)
    }

    /// The plan with what it is made from.
    pub(super) fn planned(discovered: &Discovered, plan: Plan, live: ManifestIndex) -> Planned {
        let recovered = discovered
            .unfinished()
            .map(|unfinished| Recovered { deploy: unfinished.deploy.clone(), keys: unfinished.pending.len() as u64 });
        Planned {
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
            .rows(&[])
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
    fn keys(&self) -> Vec<Key<'_>> {
        let unfinished = self.discovered.unfinished();
        let pending = unfinished.into_iter().flat_map(|unfinished| &unfinished.pending);
        let pending = pending.map(|pending| (pending.key.as_str(), ()));
        let live = || self.live.rows(&[]);
        let source_deploy = || self.source_deploy.rows.rows(&[]).filter(|(_, row)| row.orphaned.is_none());
        let name = |(key, _): (_, &Row)| (key, ());
        let all = merge(merge(live().map(name), source_deploy().map(name)), pending.clone());
        let (mut live, mut source_deploy) = (live().peekable(), source_deploy().peekable());
        let mut pending = pending.peekable();
        all.map(|(key, ())| Key {
            key,
            live: live.next_if(|(other, _)| *other == key).map(|(_, row)| row),
            source_deploy: source_deploy.next_if(|(other, _)| *other == key).map(|(_, row)| row),
            is_pending: pending.next_if(|(other, ())| *other == key).is_some(),
        })
        .collect()
    }

    /// Whether a key that the earlier site does not have is removed now.
    fn goes(&self, key: &Key<'_>, rules: &Rules<'_>) -> bool {
        key.live.is_some_and(|row| {
            let pair = pair(key, Some((row.size, row.etag.clone())), 0);
            matches!(rules.decide(&pair, &Content::NotCompared, HeadersMatch::Unknown), Decision::Prune { .. })
        })
    }

    /// Whether shipfront owns the existing object: it is the one that was last invalidated, or an interrupted run
    /// left it.
    fn is_ours(&self, key: &Key<'_>, live: Option<&Head>) -> bool {
        match live {
            None => key.live.is_none() || key.is_pending,
            Some(live) => {
                let unfinished = self.discovered.unfinished();
                key.live.is_some_and(|row| row.etag == live.etag)
                    || unfinished.is_some_and(|unfinished| unfinished.owns(key.key, live.size, &live.etag))
            }
        }
    }

    /// Refuses if others wrote or deleted objects since, unless those may be overwritten.
    fn guard_foreign(&self, asked: &[(&Key<'_>, Looked)]) -> Result<()> {
        let foreign = asked.iter().filter(|(key, looked)| !self.is_ours(key, looked.live.as_ref()));
        let names: Vec<&str> = foreign.map(|(key, _)| key.key).collect();
        if names.is_empty() || self.rollback.overwrite_foreign {
            return Ok(());
        }
        let count = if names.len() == 1 { "1 object was".to_owned() } else { format!("{} objects were", names.len()) };
        let message =
            format!("{count} changed by others since the last deploy: {}; nothing was changed", listed(&names));
        Err(Error::refused(message)
            .hint("check what they did, then deploy, or replace their changes with --overwrite-foreign"))
    }

    /// Refuses if not everything can be restored.
    fn guard_missing(&self, asked: &[(&Key<'_>, Looked)]) -> Result<()> {
        let missing = asked.iter().filter_map(|(key, looked)| match looked.origin {
            Some(Err(why)) if !self.is_in_place(key, looked) => Some((key.key, why)),
            _ => None,
        });
        let missing: Vec<(&str, Missing)> = missing.collect();
        let Some((_, why)) = missing.first() else { return Ok(()) };
        let names: Vec<&str> = missing.iter().map(|(key, _)| *key).collect();
        let count = if names.len() == 1 { "1 object".to_owned() } else { format!("{} objects", names.len()) };
        if let Some(preview) = &self.source_deploy.preview {
            return Err(preview.incomplete(&format!("{count}: {}", listed(&names))));
        }
        let deploy = name(&self.source_deploy.deployed);
        let message = format!("{count} of deploy {deploy} cannot be restored: {}; nothing was changed", listed(&names));
        let versioned = self.source_deploy.rows.rows(&[]).any(|(_, row)| row.version.is_some());
        let hint = match why {
            Missing::Archived => {
                "a lifecycle rule moved the versions to an archive: restore them, or deploy the old build"
            }
            Missing::Unlisted => {
                "their version IDs are unknown: allow s3:ListBucketVersions on the bucket, so that shipfront can find them"
            }
            Missing::Gone if versioned => {
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
    fn is_in_place(&self, key: &Key<'_>, looked: &Looked) -> bool {
        let Some((live, row)) = looked.live.as_ref().zip(key.source_deploy).filter(|(live, row)| live.etag == row.etag)
        else {
            return false;
        };
        let version = live.version.as_deref().filter(|id| *id != "null");
        let same_version = version.is_some() && row.version.as_ref().map(|version| &*version.id) == version;
        let tags: Vec<&str> =
            self.discovered.viewers.tag_readers().map(|reader| reader.reading.metadata.as_str()).collect();
        let metadata = live.metadata.iter().filter(|(name, _)| !tags.contains(&name.as_str()));
        let metadata = metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
        same_version || row.headers == Some(Headers { metadata, ..live.headers.clone() }.digest())
    }

    /// Plans to restore an object; one that is already in its place is at most evicted.
    fn bring_back(&self, plan: &mut Plan, key: &Key<'_>, (row, is_page): (&Row, bool), looked: Looked) {
        let is_in_place = self.is_in_place(key, &looked);
        let Looked { live, origin } = looked;
        let owned = self.is_ours(key, live.as_ref());
        let described = key.live.filter(|row| live.as_ref().is_some_and(|live| live.etag == row.etag));
        let is_outlived = |row: &&Row| live.as_ref().is_some_and(|live| row.is_outlived(live.modified));
        let sure = described.filter(|row| !key.is_pending && !is_outlived(row));
        let reason = match (&live, key.live) {
            (None, _) => Reason::New,
            _ if key.is_pending => Reason::Recovered,
            (Some(live), _) if live.size != row.size => Reason::Size,
            (Some(live), _) if described.map_or(&live.etag, Row::content) != row.content() => Reason::Etag,
            _ => Reason::Headers,
        };
        let cached = match key.live {
            None if reason == Reason::New && !key.is_pending => CachedCopies::Nothing,
            _ => error_pages::cached(sure, None),
        };
        let existing =
            live.as_ref().map(|live| Existing { etag: live.etag.clone(), size: Some(live.size), owned }).map(Box::new);
        let copy_tags = sure.and_then(|row| row.copy_tags.clone());
        let subject = Subject { key: key.key.into(), reason, existing, copy_tags, cached };
        let kind = self.settings.kinds.kind_of(key.key);
        if is_in_place {
            plan.kept += 1;
            let page = live.as_ref().and_then(|live| error_page(live, row, is_page));
            let error_page = page.map(|page| Box::new(error_pages::beside(page, &subject.cached)));
            let next = Row { orphaned: None, copy_tags: None, error_page, ..row.clone() };
            plan.rows.push((key.key.into(), NextRow::Row(Box::new(next))));
            plan.changes.push(Change::Evict { subject, kind });
            return;
        }
        // Missing objects were refused before.
        let Some(Ok(Origin { place, head })) = origin else { return };
        // A redirect leads to a page: its target is there before it, or with it.
        let kind = if place.redirect.is_some() { ObjectKind::Pages } else { kind };
        let tagging = self.discovered.tagging.as_deref();
        let memory = tagging.and_then(|tagging| tagging.found(key.key, &head)).map(|tags| tags.memory.clone());
        let error_page = error_page(&head, row, is_page);
        // Until it is done, the existing row stays valid, and the object stays owned if it is.
        let next = match (live, described) {
            (Some(live), None) if owned => Some(Row::new(live.size, live.etag)),
            _ => key.live.cloned(),
        };
        if next.as_ref() != key.live {
            plan.rows.push((key.key.into(), NextRow::new(next, key.live)));
        }
        let from =
            Box::new(CopyFrom { place, row: row.clone(), headers: head.headers, memory, error_page, otherwise: None });
        plan.changes.push(Change::Copy { subject, kind, bytes: row.size, from });
    }

    /// Plans what happens to a key that the earlier site does not have: as in a deploy without its file.
    fn leave(&self, plan: &mut Plan, key: &Key<'_>, live: Option<&Head>, rules: &Rules<'_>) {
        // An object that was not checked is assumed to be as recorded.
        let is_asked = key.is_pending || self.goes(key, rules);
        let there = match (live, key.live) {
            (Some(live), _) => Some((live.size, live.etag.clone())),
            (None, Some(row)) if !is_asked => Some((row.size, row.etag.clone())),
            (None, _) => None,
        };
        let pair = pair(key, there, live.map_or(0, |live| live.modified));
        let (decision, owned) = (rules.decide(&pair, &Content::NotCompared, HeadersMatch::Unknown), rules.owns(&pair));
        let sure =
            pair.described().filter(|row| !key.is_pending && live.is_none_or(|live| !row.is_outlived(live.modified)));
        let (copy_tags, cached) = (sure.and_then(|row| row.copy_tags.clone()), error_pages::cached(sure, None));
        let inspected = Inspected { copy_tags, cached, ..Inspected::default() };
        plan.add(pair, self.settings.kinds.kind_of(key.key), decision, owned, inspected);
    }
}

/// Plans to leave an object as it is.
fn keep(plan: &mut Plan, key: &Key<'_>) {
    plan.kept += 1;
    plan.staying.push(key.key.into());
    if let Some(row) = key.live.filter(|row| row.orphaned.is_some()) {
        plan.rows.push((key.key.into(), NextRow::Row(Box::new(Row { orphaned: None, ..row.clone() }))));
    }
}

/// A key without a file.
fn pair(key: &Key<'_>, remote: Option<(u64, Etag)>, modified: i64) -> Pair {
    Pair { key: key.key.into(), local: None, remote, row: key.live.cloned(), rewritten: false, modified }
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
fn listed(names: &[&str]) -> String {
    let (named, more) = names.split_at(names.len().min(NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", named.join(", "))
}
