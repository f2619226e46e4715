//! One shard of a deploy that several machines share: it creates the assets of its key range that the
//! target lacks, and nothing else.
//!
//! It needs no lease, replaces no object and tells CloudFront nothing, so that coming too early, too late
//! or twice does no harm. The ordinary deploy that follows finds those assets in place, invalidates
//! them, because the manifest does not know them, and does all the rest.

use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::shapes;
use crate::cloudfront::send::Sent;
use crate::deploy::apply::{self, Applied, Limits};
use crate::deploy::diff::Reason;
use crate::deploy::list::{self, Listed};
use crate::deploy::plan::{Action, Change, Fate, Plan, Wave};
use crate::deploy::tagging::{Tagging, UploadTags};
use crate::deploy::timeline::Timeline;
use crate::deploy::walk::LocalFile;
use crate::deploy::{Deploy, Settings, new_deploy_id};
use crate::error::{Error, Result};
use crate::record::{Place, Record};
use crate::report::{Report, Seconds};
use crate::s3::{Bucket, Start};
use shipfront_invalidation::{CacheTags, Viewers};
use shipfront_site::ObjectKind;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a request costs beside the bytes it carries, in bytes: shards of many small files take as long
/// as those of few large ones.
const BYTES_A_REQUEST: u64 = 64 * 1024;

/// The `index`th of `of` shards, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Shard { index, of }),
            _ => Err("write it as 2/4, the second of four".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.of)
    }
}

impl Shard {
    /// The shard's part of the source's files. Every shard of the same source finds the same bounds.
    fn range(self, files: &[LocalFile]) -> Range<usize> {
        let cost = |file: &LocalFile| u128::from(file.size + BYTES_A_REQUEST);
        let total: u128 = files.iter().map(cost).sum();
        let bound = |index: u32| {
            let share = total * u128::from(index) / u128::from(self.of);
            let mut before = 0;
            // The last share is all there is.
            files
                .iter()
                .take_while(|file| {
                    before += cost(file);
                    before <= share
                })
                .count()
        };
        bound(self.index - 1)..bound(self.index)
    }
}

impl Deploy<'_> {
    /// Creates what is missing, or, if it is only to be planned, says what that would be.
    pub(super) async fn run_shard(&self, shard: Shard, planned: bool) -> Result<Report> {
        let started = Instant::now();
        let settings = self.settings;
        let look = async |bucket: &Bucket| match Record::of(self.aws, bucket, &settings.record).await? {
            Some(record) => record.look().await.map(Some),
            None => Ok(None),
        };
        let target = Bucket::open(self.aws, &settings.target, settings.expected_owner.as_deref(), look);
        let mut timeline = Timeline::since(started);
        let (walk, target, upload_tags) = tokio::join!(self.walk(), target, self.shard_tags(planned));
        let ((walk, walk_seconds), (bucket, snapshot)) = (walk?, target?);
        let walk = Arc::new(walk);
        if let Some(error) = self.superseded(snapshot.as_ref()) {
            return Err(error);
        }

        let range = shard.range(&walk.files);
        let listing = Instant::now();
        let missing = missing(&bucket, &walk.files, range.clone(), settings).await?;
        let mut seconds = Seconds { walk: walk_seconds, list: listing.elapsed().as_secs_f64(), ..Seconds::default() };
        timeline.took("walk", started, Duration::from_secs_f64(walk_seconds));
        timeline.ends("list", listing);
        let mut plan = Plan { kept: (range.len() - missing.len()) as u64, ..Plan::default() };
        plan.changes = missing.into_iter().map(creation).collect();
        plan.problems = walk.problems.clone();

        let mut applied = Applied::default();
        if !planned {
            let applying = Instant::now();
            let limits = Limits { create_only: true, ..self.limits() };
            let progress = self.terminal.transfer(
                "assets",
                plan.changes.len() as u64,
                plan.changes.iter().map(|change| change.bytes).sum(),
            );
            applied = apply::upload(&bucket, &walk, plan.changes.iter(), upload_tags, limits, progress).await;
            seconds.apply = applying.elapsed().as_secs_f64();
            timeline.ends("assets", applying);
        }
        let source = settings.source.display().to_string();
        let mut report = Report::planned(new_deploy_id(), source, settings.target.to_string(), plan, Vec::new());
        report.shard = Some(shard.to_string());
        report.warnings.extend(walk.warnings.iter().cloned());
        if !planned {
            let others = |key| format!("{key} was put there by others meanwhile: the deploy that follows looks at it");
            report.warnings.extend(std::mem::take(&mut applied.overwritten).into_iter().map(others));
            report.complete(&applied, Sent::default(), self.stop.is_cancelled());
        }
        report.seconds = Seconds { total: started.elapsed().as_secs_f64(), ..seconds };
        report.timeline = timeline.into_spans();
        report.requests = self.aws.requests();
        report.concurrency = self.aws.concurrency();
        report.verbose = self.terminal.is_verbose();
        report.columns = self.terminal.columns();
        report.count_cost(None);
        Ok(report)
    }
}

impl Deploy<'_> {
    /// How a shard tags what it creates. It tells CloudFront nothing, so that no distribution need be
    /// readable: without tags the deploy that follows goes by paths.
    async fn shard_tags(&self, planned: bool) -> Option<UploadTags> {
        let settings = self.settings;
        if planned || settings.record == Place::Nowhere || settings.policy.cache_tags == CacheTags::Off {
            return None;
        }
        let distributions = Distributions::new(self.aws);
        match shapes(&distributions, &settings.distributions, settings.target.bucket()).await {
            Ok(shapes) => {
                let tagging = Tagging::of(&Viewers::new(&shapes, &settings.target, settings.policy))?;
                Some(UploadTags { tagging: Arc::new(tagging), deploy: new_deploy_id() })
            }
            Err(error) => {
                self.terminal.detail(format_args!("without cache tags, as no distribution could be read: {error}"));
                None
            }
        }
    }
}

/// The assets among a range of the source's files that the target lacks.
async fn missing(
    bucket: &Bucket,
    files: &[LocalFile],
    range: Range<usize>,
    settings: &Settings,
) -> Result<Vec<LocalFile>> {
    let after = range.start.checked_sub(1).map(|at| files[at].key.to_string());
    let files = &files[range];
    let Some(last) = files.last() else { return Ok(Vec::new()) };
    let ask = |start: Start| {
        let bucket = bucket.clone();
        async move { bucket.list(start).await }
    };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    let listing = list::list(ask, files, (after, Some(last.key.to_string())), settings.concurrency, sender);
    let reading = async {
        let mut there = std::collections::HashSet::new();
        while let Some(Listed { objects, .. }) = receiver.recv().await {
            there.extend(objects.into_iter().map(|object| object.key.into_boxed_str()));
        }
        Ok(there)
    };
    let (disorder, there) = tokio::try_join!(listing, reading)?;
    if let Some(key) = disorder {
        return Err(Error::failed(format!("the bucket lists {key:?} out of order, as S3 never does"))
            .hint("deploy without --shard: such a store is then listed one answer after the other"));
    }
    let lacking = files
        .iter()
        .filter(|file| settings.kinds.kind_of(&file.key) == ObjectKind::Assets && !there.contains(&file.key));
    Ok(lacking.cloned().collect())
}

fn creation(file: LocalFile) -> Change {
    Change {
        key: file.key.into_string(),
        action: Action::Upload,
        reason: Reason::New,
        wave: Wave::Assets,
        bytes: file.size,
        bytes_before: None,
        late: false,
        before: None,
        owned: false,
        fate: Fate::Planned,
        copy_tags: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shards_share_the_source_without_a_gap(sizes in proptest::collection::vec(0..5_000_000u64, 0..60), of in 1..9u32) {
            let file = |(at, &size): (usize, &u64)| LocalFile { key: format!("{at:03}").into(), size };
            let files: Vec<_> = sizes.iter().enumerate().map(file).collect();
            let ranges: Vec<_> = (1..=of).map(|index| Shard { index, of }.range(&files)).collect();
            prop_assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..files.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_shard_is_read_as_people_write_it() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, of: 4 }));
        for text in ["", "2", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/4"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn shards_take_about_as_long_as_each_other() {
        let file =
            |at: usize| LocalFile { key: format!("{at:04}").into(), size: if at < 10 { 10_000_000 } else { 100 } };
        let files: Vec<_> = (0..2000).map(file).collect();
        let cost = |range: Range<usize>| files[range].iter().map(|file| file.size + BYTES_A_REQUEST).sum::<u64>();
        let costs: Vec<u64> = (1..=4).map(|index| cost(Shard { index, of: 4 }.range(&files))).collect();
        let (least, most) = (costs.iter().min().unwrap(), costs.iter().max().unwrap());
        assert!(most - least <= 20_000_000, "{costs:?}");
    }
}
