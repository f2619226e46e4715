//! Compares the source with the target: listing, reading and deciding at once, part by part.
//!
//! A part is what one answer of the listing tells. Once it is decided, only what differs is kept, so that
//! memory does not grow with what stays the same.

use super::diff::{self, Content, Pair, PruneAfter, Rules};
use super::inspect::{self, Inspected, Inspector};
use super::list::{self, Listed};
use super::plan::Plan;
use super::read;
use super::report::Seconds;
use super::survey::Survey;
use super::tagging::Tagging;
use super::told::{Told, between};
use super::walk::Walk;
use super::{Deploy, Settings, on_cores};
use crate::bucket::{Bucket, RemoteObject, Start};
use crate::error::Result;
use crate::record::intent::Abandoned;
use crate::record::manifest::Manifest;
use crate::site::waves::Waves;
use crate::site::{RECORD_FOLDER, Wave};
use crate::terminal::Progress;
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use std::time::Instant;

/// Parts under way at once beside those that are being listed: enough to keep every core busy.
const PARTS: usize = 8;

/// What came of it.
pub(super) struct Compared {
    pub plan: Plan,
    pub told: Arc<Told>,
    pub warning: Option<String>,
    pub seconds: Seconds,
}

/// All by which parts are judged, shared between cores.
struct Judge {
    walk: Arc<Walk>,
    told: Arc<Told>,
    abandoned: Option<Arc<Abandoned>>,
    bucket: Bucket,
    /// Where the deploy record is, below the target's prefix.
    record_folder: String,
    recorded: bool,
    adopt: bool,
    prune_after: PruneAfter,
    waves: Waves,
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
    pub(super) async fn compare(&self, survey: &Survey, manifest: Option<Manifest>) -> Result<Compared> {
        let started = Instant::now();
        let walk = &survey.walk;
        let progress =
            self.terminal.transfer("comparing", walk.files.len() as u64, walk.files.iter().map(|file| file.size).sum());
        let bucket = &survey.bucket;
        let ask = |start: Start| {
            let bucket = bucket.clone();
            async move { bucket.list(start).await }
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(PARTS);
        let parts = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let judging = async {
            // Read while the first answers of the listing are under way.
            let told = Told::of(manifest, walk.clone()).await?;
            let judge = Arc::new(Judge::new(self.settings, survey, told));
            let parts = parts.map(|listed| judge.clone().judge(listed, &progress)).buffer_unordered(PARTS);
            let parts: Vec<_> = parts.try_collect().await?;
            Ok((judge, parts))
        };
        let listing = async {
            let disorder = list::list(ask, &walk.files, (None, None), self.settings.concurrency, sender).await?;
            Ok((disorder, started.elapsed().as_secs_f64()))
        };
        let ((disorder, list), (judge, mut parts)) = tokio::try_join!(listing, judging)?;
        let warning = disorder.map(|key| {
            format!("the bucket lists {key:?} out of order, as S3 never does: it was listed again, one answer after the other")
        });
        if warning.is_some() {
            let listed = Listed { after: None, up_to: None, objects: list::one_by_one(ask).await? };
            parts = vec![judge.clone().judge(listed, &progress).await?];
        }
        parts.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut plan = Plan::default();
        for (_, part) in parts {
            plan.append(part);
        }
        let seconds =
            Seconds { walk: survey.walk_seconds, list, hash: started.elapsed().as_secs_f64(), ..Seconds::default() };
        Ok(Compared { plan, told: judge.told.clone(), warning, seconds })
    }
}

impl Judge {
    fn new(settings: &Settings, survey: &Survey, told: Told) -> Judge {
        let record = survey.record.as_ref();
        let target = &settings.target;
        // Wherever the record is kept, it is no part of the site.
        let place = record.map(|(record, _)| record.place()).filter(|place| place.bucket() == target.bucket());
        let folder = place.and_then(|place| place.prefix().strip_prefix(target.prefix()));
        Judge {
            walk: survey.walk.clone(),
            told: Arc::new(told),
            abandoned: record.and_then(|(_, snapshot)| snapshot.abandoned.clone()),
            bucket: survey.bucket.clone(),
            record_folder: folder.unwrap_or(RECORD_FOLDER).to_owned(),
            recorded: record.is_some(),
            adopt: settings.adopt,
            prune_after: settings.prune_after,
            waves: settings.waves.clone(),
            now: record.map_or(0, |(_, snapshot)| snapshot.now.as_second()),
            concurrency: settings.concurrency,
            tagging: survey.tagging.clone(),
        }
    }

    /// Reads, asks and decides; the plan of a part comes with the key after which it begins.
    async fn judge(self: Arc<Self>, listed: Listed, progress: &Progress) -> Result<(Option<String>, Plan)> {
        let after = listed.after.clone();
        let judge = self.clone();
        let mut part = on_cores(move || judge.read(listed)).await?;
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
        let (contents, compressed) = read::compare(&self.walk, &pairs).into_iter().unzip();
        let inspected = inspect::by_manifest(&pairs, compressed, &self.walk, self.abandoned.as_deref());
        Part { pairs, contents, inspected }
    }

    fn decide(&self, part: Part) -> Plan {
        let rules = Rules {
            unknown: &self.walk.unknown,
            abandoned: self.abandoned.as_deref(),
            recorded: self.recorded,
            adopt: self.adopt,
            prune_after: self.prune_after,
            waves: &self.waves,
            now: self.now,
        };
        let mut plan = Plan::default();
        for ((pair, content), inspected) in part.pairs.into_iter().zip(part.contents).zip(part.inspected) {
            // A redirect leads to a page: what it leads to goes up first, or with it.
            let redirects = self.walk.is_redirect(&pair.key);
            let wave = if redirects { Wave::Pages } else { self.waves.of(&pair.key) };
            let (decision, owned) = (rules.decide(&pair, &content, inspected.headers), rules.owns(&pair));
            plan.add(pair, wave, decision, owned, inspected);
        }
        if !self.recorded {
            plan.rows.clear();
        }
        plan
    }
}
