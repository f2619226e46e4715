//! One shard of a deploy that several machines share: it creates the assets of its key range that the target lacks,
//! and nothing else.
//!
//! It needs no lease, replaces no object and invalidates nothing, so running it too early, too late or twice does
//! no harm. The regular deploy that follows finds those assets in place, invalidates them, because the manifest
//! does not know them, and does all the rest.

use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::shapes;
use crate::deploy::change::{Before, CachedCopies, Change, Reason, Subject};
use crate::deploy::discover::Discovered;
use crate::deploy::entry::Entry;
use crate::deploy::list::{self, Listed};
use crate::deploy::plan::Plan;
use crate::deploy::planned::Planned;
use crate::deploy::tagging::Tagging;
use crate::deploy::{Deploy, Settings};
use crate::error::{Error, Result};
use crate::record::Place;
use crate::record::session::Session;
use crate::s3::{Bucket, Start};
use shipfront_invalidation::{CacheTags, Viewers};
use shipfront_site::ObjectKind;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// The cost of a request in addition to the bytes it carries, in bytes: shards of many small files take as long as
/// those of few large ones.
const BYTES_A_REQUEST: u64 = 64 * 1024;

/// Shard number `index` of `of` shards, from 1.
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
    /// The shard's part of the source's files. Every shard of the same source computes the same bounds.
    fn range(self, entries: &[Entry]) -> Range<usize> {
        let cost = |entry: &Entry| u128::from(entry.size + BYTES_A_REQUEST);
        let total: u128 = entries.iter().map(cost).sum();
        let bound = |index: u32| {
            let share = total * u128::from(index) / u128::from(self.of);
            let mut before = 0;
            // The last share extends to the end.
            entries
                .iter()
                .take_while(|entry| {
                    before += cost(entry);
                    before <= share
                })
                .count()
        };
        bound(self.index - 1)..bound(self.index)
    }
}

impl Deploy<'_> {
    /// What a shard reads. It invalidates nothing, so no distribution needs to be readable, and it needs no lock:
    /// the record only says whether a newer build came first.
    pub(super) async fn discover_for_shard(&self) -> Result<Discovered> {
        let settings = self.settings;
        let look = async |bucket: &Bucket| Session::look(self.aws, bucket, &settings.record).await;
        let target = Bucket::open(self.aws, &settings.target, settings.expected_owner.as_deref(), look);
        let (walk, target, tagging) = tokio::join!(self.walk(), target, self.tagging_of_shard());
        let ((walk, _), (bucket, session)) = (walk?, target?);
        if let Some(error) = self.superseded(session.as_ref()) {
            return Err(error);
        }
        Ok(Discovered {
            walk: Arc::new(walk),
            bucket,
            session: None,
            viewers: Viewers::new(&[], &settings.target, settings.policy),
            withheld: Vec::new(),
            distributions: Distributions::new(self.aws),
            verified: None,
            tagging,
            rules: None,
        })
    }

    /// How a shard tags what it creates: without tags, the deploy that follows invalidates by path.
    async fn tagging_of_shard(&self) -> Option<Arc<Tagging>> {
        let settings = self.settings;
        if settings.record == Place::Nowhere || settings.policy.cache_tags == CacheTags::Off {
            return None;
        }
        let distributions = Distributions::new(self.aws);
        let target_bucket = settings.target.bucket();
        match shapes(&distributions, &settings.distributions, settings.any_origin, target_bucket).await {
            Ok(shapes) => Tagging::of(&Viewers::new(&shapes, &settings.target, settings.policy)).map(Arc::new),
            Err(error) => {
                self.terminal
                    .detail(format_args!("without cache tags, because no distribution could be read: {error}"));
                None
            }
        }
    }

    /// The plan of a shard: the assets of its range that the target lacks.
    pub(super) async fn missing_of(&self, shard: Shard, discovered: &Discovered) -> Result<Planned> {
        let entries = &discovered.walk.entries;
        let range = shard.range(entries);
        let missing = missing(&discovered.bucket, entries, range.clone(), self.settings);
        let missing = self.timeline.during("list", missing).await?;
        let plan = Plan {
            kept: (range.len() - missing.len()) as u64,
            changes: missing.into_iter().map(|at| creation(entries, at)).collect(),
            problems: discovered.walk.problems.clone(),
            ..Plan::default()
        };
        Ok(Planned {
            orphans_go: None,
            plan: Arc::new(plan),
            index: Arc::default(),
            record_differs: false,
            recovered: None,
            refused: None,
            items: Vec::new(),
            late_items: Vec::new(),
            rules: None,
            warnings: Vec::new(),
        })
    }
}

/// The assets among a range of the source's entries that the target lacks, by index.
async fn missing(bucket: &Bucket, entries: &[Entry], range: Range<usize>, settings: &Settings) -> Result<Vec<usize>> {
    let after = range.start.checked_sub(1).map(|at| entries[at].key.to_string());
    let Some(last) = entries[range.clone()].last() else { return Ok(Vec::new()) };
    let ask = |start: Start| {
        let bucket = bucket.clone();
        async move { bucket.list(start).await }
    };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    let within = (after, Some(last.key.to_string()));
    let listing = list::list(ask, &entries[range.clone()], within, settings.concurrency, sender);
    let reading = async {
        let mut there = HashSet::new();
        while let Some(Listed { objects, .. }) = receiver.recv().await {
            there.extend(objects.into_iter().map(|object| object.key.into_boxed_str()));
        }
        Ok(there)
    };
    let (disorder, there) = tokio::try_join!(listing, reading)?;
    if let Some(key) = disorder {
        return Err(Error::failed(format!("the bucket lists {key:?} out of order, as S3 never does"))
            .hint("deploy without --shard, which lists such a store sequentially"));
    }
    let is_missing = |at: &usize| {
        let key = &entries[*at].key;
        settings.kinds.kind_of(key) == ObjectKind::Assets && !there.contains(key.as_str())
    };
    Ok(range.filter(is_missing).collect())
}

fn creation(entries: &[Entry], at: usize) -> Change {
    let Entry { key, size, .. } = &entries[at];
    let (key, cached) = (key.clone(), CachedCopies::Nothing);
    let subject = Subject::new(key, Reason::New, Before { cached, ..Before::default() });
    Change::Upload { subject, entry: at, kind: ObjectKind::Assets, bytes: *size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shards_share_the_source_without_a_gap(sizes in proptest::collection::vec(0..5_000_000u64, 0..60), of in 1..9u32) {
            let file = |(at, &size): (usize, &u64)| Entry::file(format!("{at:03}"), size);
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
        let file = |at: usize| Entry::file(format!("{at:04}"), if at < 10 { 10_000_000 } else { 100 });
        let files: Vec<_> = (0..2000).map(file).collect();
        let cost = |range: Range<usize>| files[range].iter().map(|file| file.size + BYTES_A_REQUEST).sum::<u64>();
        let costs: Vec<u64> = (1..=4).map(|index| cost(Shard { index, of: 4 }.range(&files))).collect();
        let (least, most) = (costs.iter().min().unwrap(), costs.iter().max().unwrap());
        assert!(most - least <= 20_000_000, "{costs:?}");
    }
}
