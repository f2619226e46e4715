//! What the record keeps about an object's tags: enough to restore every one of them, and for which distributions
//! every cached copy is sure to carry them.
//!
//! Most tags follow from the key. The others are the same for everything that one deploy changed, so rows share
//! them and a site of a million objects takes little memory.

use crate::DistributionId;
use crate::tags::{Tag, Tags};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The version of the derivation of tags. Objects uploaded under another version count as untagged, because their
/// tags could not be restored.
const SCHEMA: u32 = 1;

/// The tags of an object that do not follow from its key: of deploys and of references.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory(Box<[Tag]>);

impl Memory {
    pub(super) fn new(tags: Vec<Tag>) -> Memory {
        Memory(tags.into())
    }

    /// The tags, in order.
    pub fn tags(&self) -> &[Tag] {
        &self.0
    }

    /// The tags of the object's last upload, as far as the next one needs them.
    pub fn as_previous(&self) -> Tags {
        Tags(self.0.to_vec())
    }
}

/// How a distribution reads cache tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The name of the user metadata entry: the header's without `x-amz-meta-`.
    pub metadata: String,
    /// The version of the configuration that says so.
    pub config: String,
}

/// How objects came to carry their tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    schema: u32,
    /// The user metadata entries that contain them.
    metadata: Vec<String>,
    /// The time until which nobody else is known to have written the objects, in seconds of S3's clock. An object
    /// modified later may have the same bytes without tags.
    as_of: i64,
    /// The distributions whose untagged copies were evicted since, each with the version of its configuration at
    /// the time.
    tagged: Vec<(String, String)>,
    /// Fields written by a later version.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl Standing {
    /// Creates the value for objects that carry their tags in these entries.
    pub fn new(metadata: Vec<String>, as_of: i64) -> Standing {
        Standing { schema: SCHEMA, metadata, as_of, tagged: Vec::new(), extra: Map::new() }
    }

    /// The versions of a distribution's configuration under which objects count as tagged.
    pub fn configs(&self, id: &DistributionId) -> impl Iterator<Item = &str> {
        let name = id.as_str();
        self.tagged.iter().filter(move |(tagged, _)| tagged == name).map(|(_, config)| config.as_str())
    }

    /// The same, with a distribution whose untagged copies are gone.
    pub fn tagging(&self, id: &DistributionId, config: &str) -> Standing {
        let mut next = self.clone();
        next.tagged.retain(|(tagged, _)| tagged != id.as_str());
        next.tagged.push((id.as_str().to_owned(), config.to_owned()));
        next.tagged.sort();
        next
    }
}

/// The tags of an object that do not follow from its key, and how far they can be relied on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CopyTags {
    /// The tags.
    pub memory: Memory,
    /// How the object came to carry them.
    pub standing: Arc<Standing>,
}

impl CopyTags {
    /// Whether cached copies may carry them.
    pub fn is_read(&self, reading: &Reading) -> bool {
        self.standing.schema == SCHEMA && self.standing.metadata.contains(&reading.metadata)
    }

    /// Whether every copy that a distribution caches is sure to carry them.
    pub fn is_tagged(&self, id: &DistributionId, reading: &Reading) -> bool {
        self.is_read(reading) && self.standing.configs(id).any(|config| config == reading.config)
    }

    /// Whether somebody else may have written the object since, given when it was modified.
    pub fn is_outlived(&self, modified: i64) -> bool {
        modified > self.standing.as_of
    }
}

/// The form of this value in a row of the record.
#[derive(Serialize, Deserialize)]
pub struct Entry {
    tags: Tags,
    #[serde(flatten)]
    standing: Standing,
}

impl Entry {
    pub fn of(copy_tags: &CopyTags) -> Entry {
        Entry { tags: copy_tags.memory.as_previous(), standing: (*copy_tags.standing).clone() }
    }

    pub fn read(self, standings: &Shared<Standing>) -> CopyTags {
        CopyTags { memory: Memory::new(self.tags.0), standing: standings.share(self.standing) }
    }
}

/// Stores equal values once.
#[derive(Debug)]
pub struct Shared<T>(Mutex<HashSet<Arc<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared(Mutex::new(HashSet::new()))
    }
}

impl<T: Eq + std::hash::Hash> Shared<T> {
    /// The shared instance of this value.
    pub fn share(&self, value: T) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&value) {
            Some(found) => found.clone(),
            None => {
                let value = Arc::new(value);
                known.insert(value.clone());
                value
            }
        }
    }

    /// All values, in no order.
    pub fn into_values(self) -> Vec<Arc<T>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> DistributionId {
        DistributionId::Distribution(name.to_owned())
    }

    fn reading(metadata: &str, config: &str) -> Reading {
        Reading { metadata: metadata.to_owned(), config: config.to_owned() }
    }

    #[test]
    fn an_object_is_tagged_for_one_distribution_under_one_configuration() {
        let standing = Standing::new(vec!["cache-tag".to_owned()], 5);
        let copy_tags = |standing: Standing| CopyTags { memory: Memory::default(), standing: Arc::new(standing) };
        let present = reading("cache-tag", "A");
        assert!(copy_tags(standing.clone()).is_read(&present));
        assert!(!copy_tags(standing.clone()).is_tagged(&id("E1"), &present));
        let tagged = copy_tags(standing.tagging(&id("E1"), "A"));
        assert!(tagged.is_tagged(&id("E1"), &present));
        assert!(!tagged.is_tagged(&id("E2"), &present));
        assert!(!tagged.is_tagged(&id("E1"), &reading("cache-tag", "B")), "any change of the configuration");
        assert!(!tagged.is_tagged(&id("E1"), &reading("other", "A")), "another header");
        let again = copy_tags(tagged.standing.tagging(&id("E1"), "B"));
        assert!(!again.is_tagged(&id("E1"), &present) && again.is_tagged(&id("E1"), &reading("cache-tag", "B")));
        let foreign = Standing { schema: SCHEMA + 1, ..(*tagged.standing).clone() };
        assert!(!copy_tags(foreign).is_tagged(&id("E1"), &present), "tags derived in another way");
    }

    #[test]
    fn what_was_modified_later_may_be_somebody_elses() {
        let copy_tags = CopyTags { memory: Memory::default(), standing: Arc::new(Standing::new(Vec::new(), 5)) };
        assert!(!copy_tags.is_outlived(5) && copy_tags.is_outlived(6));
    }
}
