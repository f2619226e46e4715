//! Compares the source with the target: lists, reads and decides concurrently, part by part.
//!
//! A part is what one response of the listing contains. Once it is decided, only the differences are kept, so that
//! memory does not grow with the number of unchanged objects.

use crate::deploy::diff::{self, Content, Pair, PruneAfter, Rules};
use crate::deploy::discover::Discovered;
use crate::deploy::entry::Entry;
use crate::deploy::error_pages::{self, remembered_of_kept};
use crate::deploy::guards::{self, Guards};
use crate::deploy::hash;
use crate::deploy::head_check::{self, Inspected, Inspector, Opacity};
use crate::deploy::list::{self, Listed};
use crate::deploy::plan::Plan;
use crate::deploy::planned::{Planned, Recovered};
use crate::deploy::sorted::between;
use crate::deploy::tagging::{self, Tagging};
use crate::deploy::walk::Walk;
use crate::deploy::{Deploy, Settings, on_cores};
use crate::error::Result;
use crate::record::intent::UnfinishedDeploy;
use crate::record::manifest::Manifest;
use crate::record::session::Session;
use crate::s3::{Bucket, RemoteObject, Start};
use crate::terminal::Progress;
use futures::{StreamExt, TryStreamExt, stream};
use shipfront_site::Warning;
use shipfront_site::{ObjectKind, ObjectKinds, RECORD_FOLDER};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of parts in progress in addition to those that are being listed: enough to keep every core busy.
const PARTS: usize = 8;

/// Everything that comparing parts needs, shared between cores.
struct Comparer {
    walk: Arc<Walk>,
    index: Arc<Manifest>,
    unfinished: Option<Arc<UnfinishedDeploy>>,
    bucket: Bucket,
    /// The location of the deploy record, below the target's prefix.
    record_folder: String,
    recorded: bool,
    adopt: bool,
    prune_after: PruneAfter,
    kinds: ObjectKinds,
    now: i64,
    concurrency: usize,
    tagging: Option<Arc<Tagging>>,
    opacity: Opacity,
}

/// The key after which a part begins, and the one with which it ends.
type Bounds = (Option<String>, Option<String>);

/// The parts of a plan, joined as soon as nothing is missing before them: they come in nearly any order, and are not all
/// held beside the whole.
#[derive(Default)]
struct InOrder {
    plan: Plan,
    /// The key up to which it is complete.
    up_to: Option<String>,
    waiting: BTreeMap<Option<String>, (Option<String>, Plan)>,
}

impl InOrder {
    fn with(mut self, (after, up_to): Bounds, part: Plan) -> InOrder {
        self.waiting.insert(after, (up_to, part));
        while let Some((up_to, part)) = self.waiting.remove(&self.up_to) {
            self.plan.append(part);
            self.up_to = up_to;
        }
        self
    }
}

/// A part that was read.
struct Part {
    pairs: Vec<Pair>,
    contents: Vec<Content>,
    inspected: Vec<Inspected>,
}

impl Deploy<'_> {
    /// Compares, decides, and determines whether a guard refuses the result.
    pub(super) async fn compare(&self, discovered: &mut Discovered) -> Result<Planned> {
        let settings = self.settings;
        let manifest = discovered.session.as_mut().and_then(Session::take_manifest);
        let has_manifest = manifest.is_some();
        let comparing = self.compare_parts(discovered, Arc::new(manifest.unwrap_or_default()));
        let (mut plan, index, disorder) = self.timeline.during("compare", comparing).await?;
        self.guard_problems(&plan.problems)?;
        let guards = Guards {
            plan: &plan,
            walk: &discovered.walk,
            max_delete: settings.max_delete,
            prune_after: settings.prune_after,
            allow_removals: settings.allow_removals,
            has_manifest,
        };
        let refused = guards
            .refusal(|key| key == "index.html" || discovered.viewers.answer_at_root(&settings.target.full_key(key)));
        plan.problems.splice(0..0, discovered.walk.problems.iter().cloned());
        let record_differs = discovered.session.is_some() && (!has_manifest || !plan.rows.is_empty());
        let recovered = discovered
            .unfinished()
            .map(|unfinished| Recovered { deploy: unfinished.deploy.clone(), keys: unfinished.pending.len() as u64 });
        let mut warnings: Vec<Warning> = disorder.into_iter().collect();
        if !plan.is_empty() {
            warnings.extend(tagging::resets(&discovered.viewers, &index));
        }
        warnings.extend(error_pages::warnings(&plan, &discovered.walk.entries, &index, &discovered.viewers));
        warnings.extend(guards::changed_for_good(&plan, &discovered.walk));
        warnings.extend(guards::emptied_pages(&plan, &discovered.walk));
        warnings.extend(guards::invisible_names(&plan));
        let (items, late_items, rules) = (Vec::new(), Vec::new(), discovered.rules.clone());
        let plan = Arc::new(plan);
        let orphans_go = None;
        Ok(Planned { plan, index, orphans_go, record_differs, recovered, refused, items, late_items, rules, warnings })
    }

    /// Decides about every key of the source, the target and the record; returns a warning if the listing was out
    /// of order.
    async fn compare_parts(
        &self,
        discovered: &Discovered,
        index: Arc<Manifest>,
    ) -> Result<(Plan, Arc<Manifest>, Option<Warning>)> {
        let entries = &discovered.walk.entries;
        let progress =
            self.terminal.transfer("comparing", entries.len() as u64, entries.iter().map(|entry| entry.size).sum());
        let bucket = &discovered.bucket;
        let ask = |start: Start| {
            let bucket = bucket.clone();
            async move { bucket.list(start).await }
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(PARTS);
        let parts = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let room = entries.len().max(index.most_rows());
        let comparer = Arc::new(Comparer::new(self.settings, discovered, index.clone()));
        let parts = parts.map(|listed| comparer.clone().compare(listed, &progress)).buffer_unordered(PARTS);
        let whole = InOrder { plan: Plan::with_room(room), ..InOrder::default() };
        let comparing = parts.try_fold(whole, async |plan, (bounds, part)| Ok(plan.with(bounds, part)));
        let listing = list::list(ask, entries, (None, None), self.settings.concurrency, sender);
        let listing = self.timeline.during("list", listing);
        let (disorder, InOrder { mut plan, .. }) = tokio::try_join!(listing, comparing)?;
        let warning = disorder.map(|key| {
            Warning::new(
                format_args!("the bucket listed {key:?} out of order, which S3 never does"),
                "shipfront listed everything again, sequentially; an endpoint that lists in order ends this",
            )
        });
        if warning.is_some() {
            let listed = Listed { after: None, up_to: None, objects: list::one_by_one(ask).await? };
            (_, plan) = comparer.clone().compare(listed, &progress).await?;
        }
        Ok((plan, index, warning))
    }
}

impl Comparer {
    fn new(settings: &Settings, discovered: &Discovered, index: Arc<Manifest>) -> Comparer {
        let session = discovered.session.as_ref();
        let target = &settings.target;
        // Wherever the record is kept, it is not part of the site.
        let place = session.map(Session::place).filter(|place| place.bucket() == target.bucket());
        let folder = place.and_then(|place| place.prefix().strip_prefix(target.prefix()));
        Comparer {
            walk: discovered.walk.clone(),
            index,
            unfinished: discovered.unfinished().cloned(),
            bucket: discovered.bucket.clone(),
            record_folder: folder.unwrap_or(RECORD_FOLDER).to_owned(),
            recorded: session.is_some(),
            adopt: settings.adopt,
            prune_after: settings.prune_after,
            kinds: settings.kinds.clone(),
            now: session.map_or(0, |session| session.now().as_second()),
            concurrency: settings.concurrency,
            tagging: discovered.tagging.clone(),
            opacity: Opacity::default(),
        }
    }

    /// Reads, asks and decides; the plan of a part comes with the keys between which it is.
    async fn compare(self: Arc<Self>, listed: Listed, progress: &Progress) -> Result<(Bounds, Plan)> {
        let bounds = (listed.after.clone(), listed.up_to.clone());
        let comparer = self.clone();
        let mut part = on_cores(move || comparer.hash(listed)).await?;
        let inspector = Inspector {
            bucket: &self.bucket,
            walk: &self.walk,
            recorded: self.recorded,
            concurrency: self.concurrency,
            tagging: self.tagging.as_deref(),
            opacity: &self.opacity,
        };
        let decide = |pair: &Pair, content: &Content, headers| self.rules().decide(pair, content, headers);
        inspector.inspect(&part.pairs, &mut part.contents, &mut part.inspected, decide).await?;
        for local in part.pairs.iter().filter_map(|pair| pair.local) {
            progress.add(local.size);
            progress.file();
        }
        let plan = on_cores(move || self.decide(part)).await?;
        Ok((bounds, plan))
    }

    fn hash(&self, listed: Listed) -> Part {
        let (after, up_to) = (listed.after.as_deref(), listed.up_to.as_deref());
        let entries = &self.walk.entries;
        // The empty key is the marker object of the prefix itself.
        let of_site = |object: &RemoteObject| {
            !object.key.is_empty()
                && !object.key.starts_with(RECORD_FOLDER)
                && !object.key.starts_with(&self.record_folder)
        };
        let mut objects = listed.objects;
        objects.retain(of_site);
        let rows = self.index.rows_between(after, up_to);
        let range = between(entries, |entry| &entry.key, after, up_to);
        let pairs = diff::join(&entries[range.clone()], range.start, objects, rows);
        let hashed = hash::compare(&self.walk, &pairs).into_iter();
        let (contents, files) = hashed.map(|file| (file.content, (file.compressed, file.is_utf8))).unzip();
        let inspected = head_check::by_manifest(&pairs, files, &self.walk, self.unfinished.as_deref());
        Part { pairs, contents, inspected }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            unknown: &self.walk.unknown,
            unfinished: self.unfinished.as_deref(),
            recorded: self.recorded,
            adopt: self.adopt,
            prune_after: self.prune_after,
            kinds: &self.kinds,
            now: self.now,
        }
    }

    fn decide(&self, part: Part) -> Plan {
        let rules = self.rules();
        let mut plan = Plan::default();
        for ((pair, content), inspected) in part.pairs.into_iter().zip(part.contents).zip(part.inspected) {
            // A redirect leads to a page: its target is uploaded before it, or with it.
            let entry = pair.local.and_then(|local| self.walk.entries.get(local.at));
            let kind =
                if entry.is_some_and(Entry::is_redirect) { ObjectKind::Pages } else { self.kinds.kind_of(&pair.key) };
            let (decision, owned) = (rules.decide(&pair, &content, inspected.headers), rules.owns(&pair));
            let of_kept = |entry: &Entry| remembered_of_kept(pair.described(), &entry.headers, &inspected);
            let error_page = entry.and_then(of_kept);
            plan.add(pair, kind, decision, owned, Inspected { error_page, ..inspected });
        }
        if !self.recorded {
            plan.rows.clear();
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_joined_in_the_order_of_their_keys_whatever_the_order_in_which_they_come(
            order in Just((0..7_u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let bound = |at: u64| (at > 0 && at < 7).then(|| at.to_string());
            let part = |at: u64| Plan { missing: vec![at.to_string().as_str().into()], kept: 1, ..Plan::default() };
            let joined = order.iter().fold(InOrder::default(), |joined, &at| joined.with((bound(at), bound(at + 1)), part(at)));
            prop_assert_eq!(joined.plan.kept, 7);
            prop_assert_eq!(joined.plan.missing, (0..7).map(|at| at.to_string().as_str().into()).collect::<Vec<shipfront_site::Key>>());
            prop_assert!(joined.waiting.is_empty());
        }
    }
}
