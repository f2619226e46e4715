//! Cache tags: which ones an object carries, and their form in a header and in an invalidation.
//!
//! CloudFront reads tags from a response header of the origin and evicts every cached copy that carries one
//! (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-by-tags.html>). A tag means
//! "these objects may be evicted together", and costs as much as one path. Which objects will change together in
//! the next deploy is not known when an object is uploaded; its tags contain what predicts it best on the histories
//! of published sites:
//!
//! | family | objects that share | why |
//! |---|---|---|
//! | `k` | their key | every alias and variant of one object |
//! | `v` | the deploy that last changed their bytes | objects that changed together do so again |
//! | `u` | one of the last deploys that changed them after their creation | as above, without what that deploy added, and for longer |
//! | `n` | the number of such deploys | separates pages that always change from those that never do |
//! | `d` | an ancestor directory and their kind of file | a template, a section |
//! | `f` | their file's name | the page and the feeds of one author or topic |
//! | `w` | a word in that name | everything about the same subject |
//! | `r` | a script or style sheet of the site that they refer to | its name changes with its bytes |
//!
//! A tag is a family's letter and a hash, which includes the site, because two sites may share a distribution. A
//! collision evicts too much but never too little.

pub mod copy_tags;
pub mod planner;

use crate::tags::copy_tags::Memory;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shipfront_site::etag::{Digest, Md5};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Maximum number of tags per object that CloudFront uses; it ignores the others (same page).
pub const MAX_TAGS: usize = 50;
/// Number of deploys that an object remembers. More than about eight gained nothing on real histories.
const REMEMBERED_UPDATES: usize = 12;
/// Number of directories, nearest to the root, that get a tag.
const MAX_DIRECTORIES: usize = 8;
/// Number of words of a name that get a tag.
const MAX_WORDS: usize = 16;
/// Bytes per tag: with a comma each, fifty are far below the 2 KB of user metadata that S3 accepts
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>).
pub const TAG_BYTES: usize = 8;
/// Maximum number of tags that an object has before its references, which are dropped first.
pub const TAGS_BEFORE_REFERENCES: usize = 3 + REMEMBERED_UPDATES + MAX_DIRECTORIES + 1 + MAX_WORDS;

/// A letter and 35 bits of a hash in base 32: CloudFront ignores case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; TAG_BYTES]);

impl Tag {
    /// Parses a tag; `None` if it is not one of shipfront's.
    pub fn parse(text: &str) -> Option<Tag> {
        let bytes: [u8; TAG_BYTES] = text.as_bytes().try_into().ok()?;
        let ours = bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        (ours && Family::ALL.iter().any(|family| family.letter() == bytes[0])).then_some(Tag(bytes))
    }

    /// The tag as an item of an invalidation, where `#` distinguishes it from a path
    /// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-tags.html>).
    pub fn item(self) -> String {
        format!("#{self}")
    }

    fn is(self, family: Family) -> bool {
        self.0[0] == family.letter()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{}", char::from(*byte)))
    }
}

/// What the objects with a tag have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Key,
    Cohort,
    Update,
    Updates,
    Directory,
    Name,
    Word,
    Reference,
}

impl Family {
    const ALL: [Family; 8] = [
        Family::Key,
        Family::Cohort,
        Family::Update,
        Family::Updates,
        Family::Directory,
        Family::Name,
        Family::Word,
        Family::Reference,
    ];

    fn letter(self) -> u8 {
        match self {
            Family::Key => b'k',
            Family::Cohort => b'v',
            Family::Update => b'u',
            Family::Updates => b'n',
            Family::Directory => b'd',
            Family::Name => b'f',
            Family::Word => b'w',
            Family::Reference => b'r',
        }
    }
}

/// The tags of an object, most useful first: those that it is uploaded with, and so those of copies cached after
/// that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<Tag>);

impl Tags {
    /// The tags of an object that carries none.
    pub const NONE: Tags = Tags(Vec::new());

    /// Parses the output of [`Display`](fmt::Display); tags that are not shipfront's are skipped.
    pub fn parse(header: &str) -> Tags {
        Tags(header.split(',').filter_map(|tag| Tag::parse(tag.trim())).collect())
    }

    /// The tags.
    pub fn as_slice(&self) -> &[Tag] {
        &self.0
    }

    fn of(&self, family: Family) -> impl Iterator<Item = Tag> {
        self.0.iter().copied().filter(move |tag| tag.is(family))
    }

    /// Drops the least useful tags, so that at most `most` are left.
    pub fn truncate(&mut self, most: usize) {
        self.0.truncate(most);
    }
}

/// The value of the header.
impl fmt::Display for Tags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tag) in self.0.iter().enumerate() {
            write!(out, "{}{tag}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Tags::parse(&Cow::<str>::deserialize(deserializer)?))
    }
}

/// What an upload does to the bytes of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes<'a> {
    /// There was no object.
    New,
    /// The bytes change. `previous` contains the tags that the object was last uploaded with, if any.
    Changed { previous: &'a Tags },
    /// The bytes and the deploys that the object remembers stay: only its headers change.
    Same { previous: &'a Tags },
}

/// The properties of an upload that determine its tags.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// The key below the target's prefix.
    pub key: &'a str,
    /// The site's scripts and style sheets that the file refers to, most important first.
    pub references: &'a [String],
    /// The deploy's ID.
    pub deploy: &'a str,
    /// What happens to the bytes.
    pub bytes: Bytes<'a>,
}

/// Derives the tags of one site's objects.
#[derive(Clone, Debug)]
pub struct Tagger {
    site: String,
}

impl Tagger {
    /// Creates a tagger for the site with this name, such as `s3://bucket/prefix`: each site has its own tags.
    pub fn new(site: impl Into<String>) -> Tagger {
        Tagger { site: site.into() }
    }

    /// The tags to upload an object with, at most [`MAX_TAGS`]; if there are too many, the last references are
    /// dropped first.
    pub fn tags(&self, upload: &Upload<'_>) -> Tags {
        let Upload { key, deploy, .. } = *upload;
        let mut cohort = Some(self.tag(Family::Cohort, &[deploy]));
        let mut updates: Vec<Tag> = Vec::new();
        match upload.bytes {
            Bytes::New => {}
            Bytes::Changed { previous } => {
                let this = self.tag(Family::Update, &[deploy]);
                updates.push(this);
                updates.extend(previous.of(Family::Update).filter(|tag| *tag != this));
                updates.truncate(REMEMBERED_UPDATES);
            }
            Bytes::Same { previous } => {
                cohort = previous.of(Family::Cohort).next();
                updates.extend(previous.of(Family::Update));
            }
        }
        self.assemble(key, cohort, updates, upload.references.iter().map(|path| self.tag(Family::Reference, &[path])))
    }

    /// Restores all tags of an object from its key and its memory.
    pub fn restore(&self, key: &str, memory: &Memory) -> Tags {
        let of = |family| memory.tags().iter().copied().filter(move |tag| tag.is(family));
        self.assemble(key, of(Family::Cohort).next(), of(Family::Update).collect(), of(Family::Reference))
    }

    /// What must be remembered of an object's tags; `None` if it would not restore them, as with those of another
    /// version.
    pub fn remember(&self, key: &str, tags: &Tags) -> Option<Memory> {
        let apart = [Family::Cohort, Family::Update, Family::Reference];
        let memory = Memory::new(apart.iter().flat_map(|family| tags.of(*family)).collect());
        (self.restore(key, &memory) == *tags).then_some(memory)
    }

    fn assemble(
        &self,
        key: &str,
        cohort: Option<Tag>,
        updates: Vec<Tag>,
        references: impl Iterator<Item = Tag>,
    ) -> Tags {
        let mut tags = vec![self.key(key)];
        tags.extend(cohort);
        tags.push(self.tag(Family::Updates, &[&updates.len().to_string()]));
        tags.extend(updates);
        let kind = kind(key);
        tags.extend(directories(key).take(MAX_DIRECTORIES).map(|path| self.tag(Family::Directory, &[path, &kind])));
        let name = name(key);
        tags.push(self.tag(Family::Name, &[name.split('.').next().unwrap_or(&name)]));
        let words = name.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
        tags.extend(words.take(MAX_WORDS).map(|word| self.tag(Family::Word, &[word])));
        tags.extend(references);
        let mut seen = HashSet::new();
        tags.retain(|tag| seen.insert(*tag));
        tags.truncate(MAX_TAGS);
        Tags(tags)
    }

    /// A description of what the objects with a tag have in common; `key` is one of them.
    pub fn meaning(&self, tag: Tag, key: &str) -> String {
        let kind = kind(key);
        let kind = if kind.is_empty() { "other".to_owned() } else { format!(".{kind}") };
        let name = name(key);
        match Family::ALL.into_iter().find(|family| tag.is(*family)) {
            Some(Family::Key) | None => format!("all copies of {key}"),
            Some(Family::Cohort) => format!("what one deploy changed last, such as {key}"),
            Some(Family::Update) => format!("what one deploy changed, such as {key}"),
            Some(Family::Updates) => format!("what as many deploys changed as {key}"),
            Some(Family::Directory) => {
                let mut found = directories(key).take(MAX_DIRECTORIES);
                let found = found.find(|path| self.tag(Family::Directory, &[path, self::kind(key).as_str()]) == tag);
                match found {
                    Some("") | None => format!("{kind} files"),
                    Some(path) => format!("{kind} files below {path}/"),
                }
            }
            Some(Family::Name) => format!("files named {}", name.split('.').next().unwrap_or(&name)),
            Some(Family::Word) => {
                let mut words = name.split(|character: char| !character.is_alphanumeric());
                let found = words.find(|word| self.tag(Family::Word, &[word]) == tag);
                format!("files with {:?} in their name", found.unwrap_or(&name))
            }
            Some(Family::Reference) => format!("what refers to a script or style sheet as {key} does"),
        }
    }

    /// The tag that only this object carries.
    pub fn key(&self, key: &str) -> Tag {
        self.tag(Family::Key, &[key])
    }

    fn tag(&self, family: Family, parts: &[&str]) -> Tag {
        const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut hash = Md5::new();
        hash.update([family.letter()]);
        for part in std::iter::once(self.site.as_str()).chain(parts.iter().copied()) {
            // Each part is preceded by its length, so that no two lists of parts hash the same input.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [family.letter(); TAG_BYTES];
        for (digit, byte) in bytes[1..].iter_mut().zip(&digest) {
            *digit = DIGITS[usize::from(byte % 32)];
        }
        Tag(bytes)
    }
}

/// The extension of a file's name, in lowercase; empty if it has none.
fn kind(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.to_lowercase())
}

/// The directories that contain a key, from the root, whose path is empty.
fn directories(key: &str) -> impl Iterator<Item = &str> {
    std::iter::once("").chain(key.match_indices('/').map(|(at, _)| &key[..at]))
}

/// A file's name without its extension, in lowercase. An index document has its directory's name.
fn name(key: &str) -> String {
    let mut parts = key.rsplit('/');
    let file = parts.next().unwrap_or(key);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name = if stem == "index" { parts.next().unwrap_or(stem) } else { stem };
    name.to_lowercase()
}

#[cfg(test)]
mod tests;
