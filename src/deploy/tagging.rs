//! Determines which cache tags an upload carries, and which copies are sure to carry theirs once CloudFront has
//! accepted the invalidation.

use crate::cloudfront::Distributions;
use crate::deploy::change::{Change, Reason};
use crate::open_files;
use crate::record::manifest::{Manifest, Row};
use crate::s3::head::Head;
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::Invalidation;
use shipfront_invalidation::tags::copy_tags::{CopyTags, Memory, Reading, Shared, Standing};
use shipfront_invalidation::tags::{Bytes, MAX_TAGS, TAG_BYTES, TAGS_BEFORE_REFERENCES, Tagger, Tags, Upload};
use shipfront_invalidation::{TagReader, Viewers};
use shipfront_site::Warning;
use shipfront_site::headers::Headers;
use shipfront_site::media_type;
use shipfront_site::references::references;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Bytes of user metadata to use for tags: S3 accepts 2 KB in all
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>).
const MOST_BYTES: usize = 1536;

/// Bytes of user metadata that S3 accepts.
const MOST_METADATA: usize = 2048;

/// The number of tags that each of these entries can have in this many bytes.
fn room(metadata: &[String], bytes: usize) -> usize {
    let names: usize = metadata.iter().map(String::len).sum();
    bytes.saturating_sub(names) / (metadata.len().max(1) * (TAG_BYTES + 1))
}

/// How the objects of a site are tagged.
#[derive(Debug)]
pub struct Tagging {
    tagger: Tagger,
    /// The user metadata entries that distributions read.
    metadata: Vec<String>,
    /// Maximum number of tags per object.
    most: usize,
    /// The site's own host names.
    hosts: Vec<String>,
}

/// What to add to an upload.
#[derive(Debug, Default)]
pub struct TagHeader {
    /// User metadata.
    pub metadata: Vec<(String, String)>,
    /// What must be remembered of the tags in it.
    pub memory: Option<Memory>,
}

impl Tagging {
    /// Creates it from what the distributions read; `None` if none of them reads tags that S3 can send.
    pub fn of(viewers: &Viewers) -> Option<Tagging> {
        let names: BTreeSet<String> = viewers.tag_readers().map(|reader| reader.reading.metadata.clone()).collect();
        let mut metadata: Vec<String> = names.into_iter().collect();
        // Only references are dropped from the tags of an object; after that, a whole header.
        while !metadata.is_empty() && room(&metadata, MOST_BYTES) < TAGS_BEFORE_REFERENCES {
            metadata.pop();
        }
        let most = room(&metadata, MOST_BYTES).min(MAX_TAGS);
        let (tagger, hosts) = (viewers.tagger().clone(), viewers.hosts());
        (!metadata.is_empty()).then_some(Tagging { tagger, metadata, most, hosts })
    }

    /// The scripts and style sheets that a page refers to. They only group pages, so an unreadable page has none.
    pub fn references(&self, key: &str, file: &Path) -> Vec<String> {
        let media_type = media_type::of(key);
        if !media_type.starts_with("text/html") && !media_type.starts_with("application/xhtml") {
            return Vec::new();
        }
        let found = open_files::open(file).and_then(|page| references(page, key, &self.hosts));
        found.unwrap_or_default()
    }

    /// The metadata of an upload. `copy_tags` are the object's current tags, if known.
    fn tag_header(
        &self,
        (key, references): (&str, &[String]),
        deploy: &str,
        reason: Reason,
        copy_tags: Option<&CopyTags>,
        headers: &Headers,
    ) -> TagHeader {
        let previous = copy_tags.map(|copy_tags| copy_tags.memory.as_previous()).unwrap_or_default();
        let bytes = match reason {
            Reason::New => Bytes::New,
            Reason::Headers => Bytes::Same { previous: &previous },
            _ => Bytes::Changed { previous: &previous },
        };
        self.entries(key, self.tagger.tags(&Upload { key, references, deploy, bytes }), headers)
    }

    /// The tags of an object that stays as it is: its current ones, if known, in every entry.
    fn again(&self, key: &str, deploy: &str, copy_tags: Option<&CopyTags>) -> TagHeader {
        match copy_tags {
            Some(copy_tags) => self.entries(key, self.tagger.restore(key, &copy_tags.memory), &Headers::default()),
            None => self.tag_header((key, &[]), deploy, Reason::Headers, None, &Headers::default()),
        }
    }

    /// The user metadata of an object with these tags.
    fn entries(&self, key: &str, mut tags: Tags, headers: &Headers) -> TagHeader {
        let most = room(&self.metadata, MOST_METADATA.saturating_sub(headers.metadata_bytes())).min(self.most);
        // A rule for the same entry takes precedence, and an object without room for tags is not tagged.
        if most < TAGS_BEFORE_REFERENCES || self.metadata.iter().any(|name| headers.metadata.contains_key(name)) {
            return TagHeader::default();
        }
        tags.truncate(most);
        let value = tags.to_string();
        let metadata = self.metadata.iter().map(|name| (name.clone(), value.clone())).collect();
        // Whether the response of a redirect carries tags is unknown.
        let memory = self.tagger.remember(key, &tags).filter(|_| headers.website_redirect.is_none());
        TagHeader { metadata, memory }
    }

    /// How objects that are uploaded now come to carry their tags.
    fn standing(&self, as_of: i64) -> Standing {
        Standing::new(self.metadata.clone(), as_of)
    }

    /// The tags of an object, from a HEAD.
    pub fn found(&self, key: &str, head: &Head) -> Option<Arc<CopyTags>> {
        if head.headers.website_redirect.is_some() {
            return None;
        }
        let tags = |name: &String| head.metadata.get(name).map(|value| Tags::parse(value));
        let first = self.metadata.iter().find_map(tags)?;
        let memory = self.tagger.remember(key, &first)?;
        let same = self.metadata.iter().filter(|name| tags(name).as_ref() == Some(&first)).cloned().collect();
        Some(Arc::new(CopyTags { memory, standing: Arc::new(Standing::new(same, head.modified)) }))
    }
}

/// The distributions for which copies may begin to count as tagged, and warnings.
pub(super) async fn settled(
    distributions: &Distributions,
    viewers: &Viewers,
    index: &Manifest,
) -> (Vec<DistributionId>, Vec<Warning>) {
    let (mut settled, mut warnings) = (Vec::new(), Vec::new());
    for reader in viewers.tag_readers() {
        let Reading { config, .. } = reader.reading;
        if index.standings().any(|standing| standing.configs(reader.id).any(|known| known == config)) {
            settled.push(reader.id.clone());
            continue;
        }
        // Edge locations that do not have the configuration yet cache copies without tags.
        match distributions.deployed_config(reader.configured_by).await {
            Ok(Some(deployed)) if deployed == *config => settled.push(reader.id.clone()),
            Ok(_) => warnings.push(Warning::new(
                format_args!("CloudFront is still deploying the configuration of the {}", reader.id),
                "this deploy invalidates by path, and the next one checks again",
            )),
            Err(error) => warnings.push(Warning::new(
                format_args!(
                    "cannot tell whether the {} already reads cache tags, so this deploy invalidates by path: {error}",
                    reader.id
                ),
                error.own_hint().unwrap_or("the next deploy checks again"),
            )),
        }
    }
    (settled, warnings)
}

/// Warnings if the configuration of a distribution has changed since its copies counted as tagged.
pub(super) fn resets(viewers: &Viewers, index: &Manifest) -> Vec<Warning> {
    let reset = |reader: &TagReader<'_>| {
        let mut configs = index.standings().flat_map(|standing| standing.configs(reader.id)).peekable();
        configs.peek().is_some() && configs.all(|config| config != reader.reading.config)
    };
    let say = |reader: TagReader<'_>| {
        Warning::new(
            format_args!("the configuration of the {} changed since its copies were tagged", reader.id),
            "shipfront invalidates each object by path once more, and then uses tags again",
        )
    };
    viewers.tag_readers().filter(reset).map(say).collect()
}

/// What CloudFront accepted, and for which distributions copies are sure to carry tags because of that.
pub(super) struct EvictedByPath<'a> {
    viewers: &'a Viewers,
    tagging: Option<&'a Tagging>,
    /// The time until which nobody else is known to have written the uploaded objects; `None` if that is unknown.
    as_of: Option<i64>,
    readers: Vec<TagReader<'a>>,
    /// For each reader, the items that were sent to it.
    items: Vec<Vec<String>>,
    /// The keys whose copies all had to be evicted.
    changed: HashSet<&'a str>,
    standings: Shared<Standing>,
    copy_tags: Shared<CopyTags>,
}

impl<'a> EvictedByPath<'a> {
    pub(super) fn new(
        viewers: &'a Viewers,
        tagging: Option<&'a Tagging>,
        settled: &[DistributionId],
        as_of: Option<i64>,
        sent: &[Invalidation],
        changed: HashSet<&'a str>,
    ) -> EvictedByPath<'a> {
        let readers: Vec<_> = viewers.tag_readers().filter(|reader| settled.contains(reader.id)).collect();
        let paths = |reader: &TagReader<'_>| {
            let sent = sent.iter().filter(|sent| sent.distribution == *reader.id);
            sent.flat_map(|sent| &sent.items).filter(|item| !item.starts_with('#')).cloned().collect()
        };
        EvictedByPath {
            viewers,
            tagging,
            as_of,
            items: readers.iter().map(paths).collect(),
            readers,
            changed,
            standings: Shared::default(),
            copy_tags: Shared::default(),
        }
    }

    /// The tags of an object that this run uploaded.
    pub(super) fn tags_of_upload(&self, memory: Option<&Memory>) -> Option<Arc<CopyTags>> {
        let mut standing = self.tagging?.standing(self.as_of?);
        for reader in &self.readers {
            standing = standing.tagging(reader.id, &reader.reading.config);
        }
        Some(self.copy_tags.share(CopyTags { memory: memory?.clone(), standing: self.standings.share(standing) }))
    }

    /// The new row, if nothing else about it changes and copies of its object are tagged for more distributions
    /// than it says.
    pub(super) fn after(&self, key: &str, row: &Row) -> Option<Row> {
        let copy_tags = row.copy_tags.as_ref()?;
        let mut standing = None;
        for (reader, items) in self.readers.iter().zip(&self.items) {
            let gained = copy_tags.is_read(reader.reading)
                && !copy_tags.is_tagged(reader.id, reader.reading)
                && (self.changed.contains(key)
                    || items.iter().any(|item| item.ends_with('*'))
                        && self.viewers.are_cleared_by_path(reader.id, key, items));
            if gained {
                let before: &Standing = standing.as_ref().unwrap_or(&copy_tags.standing);
                standing = Some(before.tagging(reader.id, &reader.reading.config));
            }
        }
        let standing = self.standings.share(standing?);
        let copy_tags = self.copy_tags.share(CopyTags { memory: copy_tags.memory.clone(), standing });
        Some(Row { copy_tags: Some(copy_tags), ..row.clone() })
    }
}

/// What an upload needs to get its tags.
#[derive(Debug, Clone)]
pub struct UploadTags {
    /// How to tag.
    pub tagging: Arc<Tagging>,
    /// The ID of the deploy.
    pub deploy: String,
}

impl UploadTags {
    /// What the object of a change gets in addition to its headers, if its file refers to `references`.
    pub fn header(&self, change: &Change, references: &[String], headers: &Headers) -> TagHeader {
        let copy_tags = change.subject().copy_tags();
        self.tagging.tag_header((change.key(), references), &self.deploy, change.reason(), copy_tags, headers)
    }

    /// What an object gets that stays as it is: its current tags, if known.
    pub fn again(&self, key: &str, copy_tags: Option<&CopyTags>) -> TagHeader {
        self.tagging.again(key, &self.deploy, copy_tags)
    }
}
