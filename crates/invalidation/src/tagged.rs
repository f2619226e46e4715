//! Items for one distribution whose copies carry cache tags: which tags are candidates, and how they replace or
//! complement paths.
//!
//! A changed path is invalidated by tag only if every copy is sure to carry it. All others are invalidated by path:
//! what was created, because an error may be cached there, and what was uploaded before tags were read. An error
//! page follows the path rule in any case, with its tag in addition: whether its copies under other URLs carry tags
//! is not documented.

use crate::cover::{Budget, Cover, Item};
use crate::tags::copy_tags::{CopyTags, Reading};
use crate::tags::planner::{self, Effects, Set, TaggedPath, members};
use crate::tags::{Tag, Tags};
use crate::url_set::UrlSet;
use crate::viewer::{DistributionShape, Form, ViewerPath};
use crate::{ChangedKey, Shown, Strategy, Viewers, reach};
use crate::{Coverage, Invalidation};
use std::collections::{BTreeMap, HashMap};

/// Maximum number of unchanged URLs to name per item.
const MOST_NAMED: usize = 20;
/// Prefix of the response headers that user metadata becomes.
const USER_METADATA: &str = "x-amz-meta-";

/// How a distribution reads tags, if it reads them from a header that S3 can send.
pub(super) fn reading(shape: &DistributionShape) -> Option<Reading> {
    let metadata = shape.cache_tag_header.as_deref()?.strip_prefix(USER_METADATA)?;
    let config = shape.config_etag.clone()?;
    (!metadata.is_empty()).then(|| Reading { metadata: metadata.to_owned(), config })
}

/// The choice of items for one distribution.
pub(super) struct Choice<'v> {
    viewers: &'v Viewers,
    shown: &'v Shown,
    /// `None` if only paths count.
    reading: Option<&'v Reading>,
    /// The candidate tags.
    candidates: Vec<Tag>,
    index: HashMap<Tag, usize>,
}

impl<'v> Choice<'v> {
    /// Finds the tags that clear more than one path, or something that no path clears.
    pub(super) fn new<'a, 'c>(
        viewers: &'v Viewers,
        shown: &'v Shown,
        strategy: Strategy,
        changed: &[ChangedKey<'_>],
        unchanged: impl Iterator<Item = &'a str>,
        copy_tags: &impl Fn(&str) -> Option<&'c CopyTags>,
    ) -> Choice<'v> {
        let reading = shown.reading.as_ref().filter(|_| strategy == Strategy::Cover);
        let mut choice = Choice { viewers, shown, reading, candidates: Vec::new(), index: HashMap::new() };
        let mut effects = Effects::default();
        for changed in changed {
            let Some(tags) = choice.sure(changed) else { continue };
            for path in choice.tagged_paths(changed.key) {
                effects.add_changed(tags.as_slice(), reach(&path));
            }
        }
        if effects.settle() {
            for key in unchanged {
                if let Some(tags) = choice.possible(key, copy_tags) {
                    effects.add_unchanged(tags.as_slice(), 1);
                }
            }
            choice.candidates = effects.select(u64::MAX);
        }
        choice.index = choice.candidates.iter().enumerate().map(|(at, tag)| (*tag, at)).collect();
        choice
    }

    /// Whether there are candidate tags.
    pub(super) fn has_tags(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// The candidate tags that every copy of a changed key is sure to carry.
    pub(super) fn sure_tags(&self, changed: &ChangedKey<'_>) -> Set {
        if self.candidates.is_empty() {
            return 0;
        }
        self.sure(changed).map_or(0, |tags| self.set(&tags))
    }

    /// The candidate tags that copies of an unchanged key may carry.
    pub(super) fn possible_tags<'c>(&self, key: &str, copy_tags: &impl Fn(&str) -> Option<&'c CopyTags>) -> Set {
        if self.candidates.is_empty() {
            return 0;
        }
        self.possible(key, copy_tags).map_or(0, |tags| self.set(&tags))
    }

    fn set(&self, tags: &Tags) -> Set {
        tags.as_slice().iter().filter_map(|tag| self.index.get(tag)).fold(0, |set: Set, at| set | 1 << at)
    }

    /// The tags that every copy of a changed key is sure to carry.
    fn sure(&self, changed: &ChangedKey<'_>) -> Option<Tags> {
        self.key_tags(changed).filter(|_| !self.is_error_page(changed.key))
    }

    fn key_tags(&self, changed: &ChangedKey<'_>) -> Option<Tags> {
        let (id, reading) = (&self.shown.id, self.reading?);
        let copy_tags = changed.copy_tags.filter(|copy_tags| !changed.created && copy_tags.is_tagged(id, reading))?;
        Some(self.viewers.tagger.restore(changed.key, &copy_tags.memory))
    }

    fn possible<'c>(&self, key: &str, copy_tags: &impl Fn(&str) -> Option<&'c CopyTags>) -> Option<Tags> {
        let reading = self.reading?;
        let copy_tags = copy_tags(key).filter(|copy_tags| copy_tags.is_read(reading))?;
        Some(self.viewers.tagger.restore(key, &copy_tags.memory))
    }

    fn is_error_page(&self, key: &str) -> bool {
        self.shown.viewer.error_page_action(&self.viewers.target.full_key(key), &[]).is_some()
    }

    fn paths(&self, key: &str) -> Vec<ViewerPath> {
        self.shown.viewer.paths(&self.viewers.target.full_key(key))
    }

    fn tagged_paths(&self, key: &str) -> impl Iterator<Item = ViewerPath> {
        self.paths(key).into_iter().filter(|path| self.shown.viewer.is_tagged(path))
    }

    /// Replaces paths with tags where tags do better.
    pub(super) fn improve(
        &self,
        mut chosen: Invalidation,
        budget: Budget,
        url_set: &UrlSet,
        changed: &[ChangedKey<'_>],
    ) -> Invalidation {
        if self.reading.is_none() {
            return chosen;
        }
        if !self.candidates.is_empty() {
            let cover = self.cover(url_set, budget);
            if cover.items.iter().any(|item| item.text.starts_with('#')) {
                let (items, collateral) = (chosen.items.len(), chosen.collateral);
                self.take(&mut chosen, cover, changed);
                let word = if items == 1 { "item" } else { "items" };
                chosen.why.push(format!("with cache tags; paths alone: {items} {word}, evicting {collateral}"));
            }
        }
        self.prefer_keys(&mut chosen, changed);
        self.add_error_pages(&mut chosen, changed, budget.items);
        chosen.items = chosen.coverage.iter().map(|coverage| coverage.item.clone()).collect();
        chosen
    }

    /// Names the first of the unchanged URLs that each item evicts.
    pub(super) fn name_evicted(&self, chosen: &mut Invalidation, url_set: &UrlSet) {
        for coverage in chosen.coverage.iter_mut().filter(|coverage| coverage.collateral > 0) {
            let tag = self.candidates.iter().position(|tag| tag.item() == coverage.item).map(|at| 1 << at);
            let prefix = if tag.is_some() { "" } else { coverage.item.trim_end_matches('*') };
            coverage.evicts = url_set.first_of(prefix, tag, MOST_NAMED);
        }
    }

    /// The best combination of tags and paths.
    fn cover(&self, url_set: &UrlSet, budget: Budget) -> Cover {
        let tags_of = |set: Set| members(set).map(|at| self.candidates[at]).collect::<Vec<Tag>>();
        let paths: Vec<_> = url_set.tagged().collect();
        let sets: BTreeMap<Set, Vec<Tag>> = paths.iter().map(|(_, set)| (*set, tags_of(*set))).collect();
        let tagged: Vec<TaggedPath<'_>> =
            paths.iter().map(|(path, set)| TaggedPath { path: *path, tags: &sets[set] }).collect();
        planner::cover(&tagged, budget)
    }

    fn take(&self, chosen: &mut Invalidation, cover: Cover, changed: &[ChangedKey<'_>]) {
        let sent: Vec<(Tag, String)> =
            self.candidates.iter().map(|tag| (*tag, tag.item())).filter(|(_, text)| has(&cover.items, text)).collect();
        let mut why: HashMap<String, String> = HashMap::new();
        for changed in changed {
            if why.len() == sent.len() {
                break;
            }
            let Some(tags) = self.sure(changed) else { continue };
            for (tag, text) in sent.iter().filter(|(tag, _)| tags.as_slice().contains(tag)) {
                if !why.contains_key(text) {
                    why.insert(text.clone(), self.meaning(*tag, changed.key));
                }
            }
        }
        chosen.coverage = cover
            .items
            .into_iter()
            .map(|item| {
                let why = why.remove(&item.text);
                Coverage::of(item, why)
            })
            .collect();
        chosen.collateral = cover.collateral;
        // The curve counts paths only.
        chosen.curve.clear();
    }

    fn meaning(&self, tag: Tag, key: &str) -> String {
        let tagger = &self.viewers.tagger;
        let meaning = tagger.meaning(tag, key);
        if tag != tagger.key(key) {
            return meaning;
        }
        let paths = self.paths(key);
        let mut reasons = Vec::new();
        if paths.iter().any(|path| path.path.contains("%7E")) {
            reasons.push("because CloudFront accepts no ~ in a path");
        }
        if paths.iter().any(|path| path.form == Form::QueryVariants) {
            reasons.push("with any query string");
        }
        if paths.iter().any(|path| self.shown.viewer.may_rewrite(path)) {
            reasons.push("also at URLs that only a function maps to it");
        }
        std::iter::once(meaning.as_str()).chain(reasons).collect::<Vec<_>>().join(", ")
    }

    /// Replaces the path of a key with its tag if a function may serve the key at other paths as well.
    fn prefer_keys(&self, chosen: &mut Invalidation, changed: &[ChangedKey<'_>]) {
        let exact = chosen.coverage.iter().filter(|item| !item.item.starts_with('#') && !item.item.ends_with('*'));
        let mut owners: HashMap<String, Owners<'_>> =
            exact.map(|coverage| (coverage.item.clone(), Owners::default())).collect();
        if owners.is_empty() {
            return;
        }
        for changed in changed {
            for path in self.paths(changed.key) {
                let Some(owners) = owners.get_mut(&path.path) else { continue };
                owners.keys += 1;
                let apt = self.shown.viewer.may_rewrite(&path) && self.shown.viewer.is_tagged(&path);
                let sure = self.sure(changed).filter(|_| apt);
                owners.last = sure.map(|_| (self.viewers.tagger.key(changed.key), changed.key));
            }
        }
        let mut taken: BTreeMap<String, Coverage> = BTreeMap::new();
        for coverage in std::mem::take(&mut chosen.coverage) {
            let (item, why) = match owners.get(&coverage.item) {
                Some(Owners { keys: 1, last: Some((tag, key)) }) => (tag.item(), Some(self.meaning(*tag, key))),
                _ => (coverage.item.clone(), coverage.why.clone()),
            };
            taken.entry(item.clone()).and_modify(|known| known.covers += coverage.covers).or_insert(Coverage {
                item,
                why,
                ..coverage
            });
        }
        chosen.coverage = taken.into_values().collect();
    }

    /// Adds the tag of a changed error page to everything that its path requires.
    fn add_error_pages(&self, chosen: &mut Invalidation, changed: &[ChangedKey<'_>], most: usize) {
        for changed in changed.iter().filter(|changed| self.is_error_page(changed.key)) {
            let Some(tags) = self.key_tags(changed) else { continue };
            let sent = |tag: &Tag| chosen.coverage.iter().any(|coverage| coverage.item == tag.item());
            if chosen.coverage.len() < most && !tags.as_slice().iter().any(sent) {
                let item = self.viewers.tagger.key(changed.key).item();
                let why =
                    format!("copies of {} under URLs that do not exist, as far as they carry its tag", changed.key);
                chosen.coverage.push(Coverage { item, covers: 0, collateral: 0, evicts: Vec::new(), why: Some(why) });
            }
        }
        chosen.coverage.sort_by(|a, b| a.item.cmp(&b.item));
    }
}

/// The changed keys that one path may serve.
#[derive(Default)]
struct Owners<'a> {
    keys: usize,
    /// The last one, with its tag if that is certain.
    last: Option<(Tag, &'a str)>,
}

fn has(items: &[Item], text: &str) -> bool {
    items.iter().any(|item| item.text == text)
}
