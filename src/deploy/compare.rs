//! Compares the source with the target: listing, reading and deciding at once, part by part.
//!
//! A part is what one answer of the listing tells. Once it is decided, only what differs is kept, so that
//! memory does not grow with what stays the same.

use crate::deploy::diff::{self, Content, Pair, PruneAfter, Rules};
use crate::deploy::discover::Discovered;
use crate::deploy::hash;
use crate::deploy::head_check::{self, Inspected, Inspector};
use crate::deploy::list::{self, Listed};
use crate::deploy::manifest_index::{ManifestIndex, between};
use crate::deploy::plan::Plan;
use crate::deploy::tagging::Tagging;
use crate::deploy::walk::Walk;
use crate::deploy::{Deploy, Settings, on_cores};
use crate::error::{Error, Result};
use crate::record::intent::UnfinishedDeploy;
use crate::record::manifest::Manifest;
use crate::report::Seconds;
use crate::s3::{Bucket, RemoteObject, Start};
use crate::terminal::Progress;
use futures::{StreamExt, TryStreamExt, stream};
use shipfront_site::ObjectKinds;
use shipfront_site::{ObjectKind, RECORD_FOLDER};
use std::sync::Arc;
use std::time::Instant;

/// Parts under way at once beside those that are being listed: enough to keep every core busy.
const PARTS: usize = 8;

/// What came of it.
pub(super) struct Compared {
    pub plan: Plan,
    pub told: Arc<ManifestIndex>,
    pub warning: Option<String>,
    pub seconds: Seconds,
}

/// All by which parts are judged, shared between cores.
struct Comparer {
    walk: Arc<Walk>,
    told: Arc<ManifestIndex>,
    unfinished: Option<Arc<UnfinishedDeploy>>,
    bucket: Bucket,
    /// Where the deploy record is, below the target's prefix.
    record_folder: String,
    recorded: bool,
    adopt: bool,
    prune_after: PruneAfter,
    kinds: ObjectKinds,
    now: i64,
    concurrency: usize,
    tagging: Option<Arc<Tagging>>,
}

/// A part that was read.
struct Part {
    pairs: Vec<Pair>,
    contents: Vec<Content>,
    inspected: Vec<Inspected>,
}

impl Deploy<'_> {
    /// Decides about every key of the source, the target and the record.
    pub(super) async fn compare(&self, discovered: &Discovered, manifest: Option<Manifest>) -> Result<Compared> {
        let started = Instant::now();
        let walk = &discovered.walk;
        let progress =
            self.terminal.transfer("comparing", walk.files.len() as u64, walk.files.iter().map(|file| file.size).sum());
        let bucket = &discovered.bucket;
        let ask = |start: Start| {
            let bucket = bucket.clone();
            async move { bucket.list(start).await }
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(PARTS);
        let parts = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let comparing = async {
            // Read while the first answers of the listing are under way.
            let told = ManifestIndex::of(manifest, walk.clone()).await?;
            let comparer = Arc::new(Comparer::new(self.settings, discovered, told));
            let parts = parts.map(|listed| comparer.clone().comparer(listed, &progress)).buffer_unordered(PARTS);
            let parts: Vec<_> = parts.try_collect().await?;
            Ok::<_, Error>((comparer, parts))
        };
        let listing = async {
            let disorder = list::list(ask, &walk.files, (None, None), self.settings.concurrency, sender).await?;
            Ok::<_, Error>((disorder, started.elapsed().as_secs_f64()))
        };
        let ((disorder, list), (comparer, mut parts)) = tokio::try_join!(listing, comparing)?;
        let warning = disorder.map(|key| {
            format!("the bucket lists {key:?} out of order, as S3 never does: it was listed again, one answer after the other")
        });
        if warning.is_some() {
            let listed = Listed { after: None, up_to: None, objects: list::one_by_one(ask).await? };
            parts = vec![comparer.clone().comparer(listed, &progress).await?];
        }
        parts.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut plan = Plan::default();
        for (_, part) in parts {
            plan.append(part);
        }
        let seconds = Seconds {
            walk: discovered.walk_seconds,
            list,
            hash: started.elapsed().as_secs_f64(),
            ..Seconds::default()
        };
        Ok(Compared { plan, told: comparer.told.clone(), warning, seconds })
    }
}

impl Comparer {
    fn new(settings: &Settings, discovered: &Discovered, told: ManifestIndex) -> Comparer {
        let record = discovered.record.as_ref();
        let target = &settings.target;
        // Wherever the record is kept, it is no part of the site.
        let place = record.map(|(record, _)| record.place()).filter(|place| place.bucket() == target.bucket());
        let folder = place.and_then(|place| place.prefix().strip_prefix(target.prefix()));
        Comparer {
            walk: discovered.walk.clone(),
            told: Arc::new(told),
            unfinished: record.and_then(|(_, snapshot)| snapshot.unfinished.clone()),
            bucket: discovered.bucket.clone(),
            record_folder: folder.unwrap_or(RECORD_FOLDER).to_owned(),
            recorded: record.is_some(),
            adopt: settings.adopt,
            prune_after: settings.prune_after,
            kinds: settings.kinds.clone(),
            now: record.map_or(0, |(_, snapshot)| snapshot.now.as_second()),
            concurrency: settings.concurrency,
            tagging: discovered.tagging.clone(),
        }
    }

    /// Reads, asks and decides; the plan of a part comes with the key after which it begins.
    async fn comparer(self: Arc<Self>, listed: Listed, progress: &Progress) -> Result<(Option<String>, Plan)> {
        let after = listed.after.clone();
        let comparer = self.clone();
        let mut part = on_cores(move || comparer.read(listed)).await?;
        let inspector = Inspector {
            bucket: &self.bucket,
            walk: &self.walk,
            recorded: self.recorded,
            concurrency: self.concurrency,
            tagging: self.tagging.as_deref(),
        };
        inspector.inspect(&part.pairs, &mut part.contents, &mut part.inspected).await?;
        for size in part.pairs.iter().filter_map(|pair| pair.local) {
            progress.add(size);
            progress.file();
        }
        let plan = on_cores(move || self.decide(part)).await?;
        Ok((after, plan))
    }

    fn read(&self, listed: Listed) -> Part {
        let (after, up_to) = (listed.after.as_deref(), listed.up_to.as_deref());
        let files = &self.walk.files;
        // The empty key is the marker object of the prefix itself.
        let of_site = |object: &RemoteObject| {
            !object.key.is_empty()
                && !object.key.starts_with(RECORD_FOLDER)
                && !object.key.starts_with(&self.record_folder)
        };
        let mut objects = listed.objects;
        objects.retain(of_site);
        let rows = self.told.rows_between(files, after, up_to);
        let files = &files[between(files, |file| &file.key, after, up_to)];
        let pairs = diff::join(files, objects, rows);
        let (contents, compressed) = hash::compare(&self.walk, &pairs).into_iter().unzip();
        let inspected = head_check::by_manifest(&pairs, compressed, &self.walk, self.unfinished.as_deref());
        Part { pairs, contents, inspected }
    }

    fn decide(&self, part: Part) -> Plan {
        let rules = Rules {
            unknown: &self.walk.unknown,
            unfinished: self.unfinished.as_deref(),
            recorded: self.recorded,
            adopt: self.adopt,
            prune_after: self.prune_after,
            kinds: &self.kinds,
            now: self.now,
        };
        let mut plan = Plan::default();
        for ((pair, content), inspected) in part.pairs.into_iter().zip(part.contents).zip(part.inspected) {
            // A redirect leads to a page: what it leads to goes up first, or with it.
            let redirects = self.walk.is_redirect(&pair.key);
            let wave = if redirects { ObjectKind::Pages } else { self.kinds.kind_of(&pair.key) };
            let (decision, owned) = (rules.decide(&pair, &content, inspected.headers), rules.owns(&pair));
            plan.add(pair, wave, decision, owned, inspected);
        }
        if !self.recorded {
            plan.rows.clear();
        }
        plan
    }
}
