//! The changes of a plan: what is done with a key, and why.

use serde::{Deserialize, Serialize};
use shipfront_invalidation::tags::copy_tags::{CopyTags, Memory};
use shipfront_invalidation::viewer::CachedHeaders;
use shipfront_site::compression::Compressed;
use shipfront_site::etag::Etag;
use shipfront_site::headers::HeadersDigest;
use shipfront_site::{Key, ObjectKind};
use std::sync::Arc;

use crate::deploy::copy_from::SourceNumber;
use crate::record::manifest::{ErrorPage, Row, Version};

/// Why an object is uploaded, kept, evicted or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// There is no such object.
    New,
    /// The sizes differ.
    Size,
    /// The sizes agree, but the digest differs from the ETag.
    Etag,
    /// The bytes agree, but the headers do not.
    Headers,
    /// The object is no longer in the source.
    Orphaned,
    /// The object is not in the source, and shipfront did not upload it.
    Foreign,
    /// Another tool wrote or deleted the object without invalidating it.
    #[serde(rename = "untold")]
    NotInvalidated,
    /// An interrupted run may have changed it without invalidating it.
    Recovered,
}

impl Reason {
    /// The word in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Reason::New => "new",
            Reason::Size => "size",
            Reason::Etag => "etag",
            Reason::Headers => "headers",
            Reason::Orphaned => "orphaned",
            Reason::Foreign => "foreign",
            Reason::NotInvalidated => "untold",
            Reason::Recovered => "recovered",
        }
    }
}

impl Reason {
    /// The word for people.
    pub fn text(self) -> &'static str {
        match self {
            Reason::New => "new",
            Reason::Size | Reason::Etag => "changed",
            Reason::Headers => "headers changed",
            Reason::Orphaned => "removed",
            Reason::Foreign => "removed, not uploaded by shipfront",
            Reason::NotInvalidated => "not invalidated yet",
            Reason::Recovered => "left by an interrupted deploy",
        }
    }
}

/// The JSON's word for what is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The file is sent.
    Upload,
    /// The object is deleted.
    Prune,
    /// The object is no longer in the source, but stays.
    Orphan,
    /// The object stays as it is; its URLs are invalidated.
    Evict,
    /// The object gets cache tags, and keeps its bytes.
    Retag,
    /// The object is copied inside S3.
    Copy,
}

impl Action {
    /// Whether it writes or deletes an object, not counting tags.
    pub fn moves_bytes(self) -> bool {
        matches!(self, Action::Upload | Action::Copy | Action::Prune)
    }
}

/// When it is done: the waves of a deploy, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wave {
    /// New and changed assets.
    Assets,
    /// New and changed pages.
    Pages,
    /// Removals.
    Prune,
}

impl From<ObjectKind> for Wave {
    fn from(kind: ObjectKind) -> Wave {
        match kind {
            ObjectKind::Assets => Wave::Assets,
            ObjectKind::Pages => Wave::Pages,
        }
    }
}

/// The existing object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Identifies its bytes.
    pub etag: Etag,
    /// Its size in bytes.
    pub size: u64,
    /// Whether that cannot be compared with the size of what is sent: it is stored compressed, and a file is sent.
    pub is_compressed: bool,
    /// Whether shipfront owns it.
    pub owned: bool,
}

impl Existing {
    /// Its size in bytes, if that can be compared with the size of what is sent.
    pub fn file_size(&self) -> Option<u64> {
        (!self.is_compressed).then_some(self.size)
    }
}

/// The key of a change, and what is there. Small where nothing is, because a million files may be new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The key below the target's prefix.
    pub key: Key,
    /// Why.
    pub reason: Reason,
    /// What is there, or may be in a cache; `None` where there is neither.
    before: Option<Box<Before>>,
}

/// What a change replaces, and what the edge may hold of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Before {
    /// The existing object.
    pub existing: Option<Existing>,
    /// The cache tags that it carries, if they are certain.
    pub copy_tags: Option<Arc<CopyTags>>,
    /// The lifetime of its cached copies.
    pub cached: CachedCopies,
}

impl Subject {
    /// A key with what is there.
    pub fn new(key: Key, reason: Reason, before: Before) -> Subject {
        let is_nothing =
            before.existing.is_none() && before.copy_tags.is_none() && before.cached == CachedCopies::Nothing;
        Subject { key, reason, before: (!is_nothing).then(|| Box::new(before)) }
    }

    /// The object that is there now.
    pub fn existing(&self) -> Option<&Existing> {
        self.before.as_ref()?.existing.as_ref()
    }

    /// The cache tags that it carries, if that is sure.
    pub fn copy_tags(&self) -> Option<&CopyTags> {
        self.before.as_ref()?.copy_tags.as_deref()
    }

    /// What its copies say of how long they live.
    pub fn cached(&self) -> &CachedCopies {
        self.before.as_ref().map_or(&CachedCopies::Nothing, |before| &before.cached)
    }
}

/// What is known of the copies of an object that the edge may hold: for error pages, their lifetime matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CachedCopies {
    /// There are none, because there was no object.
    Nothing,
    /// Nothing is known.
    #[default]
    Unknown,
    /// Known.
    Known(Box<ErrorPage>),
}

impl CachedCopies {
    /// The headers in the form that decides what is invalidated; `None` if there are no copies.
    pub fn headers(&self) -> Option<CachedHeaders<'_>> {
        match self {
            CachedCopies::Nothing => None,
            CachedCopies::Unknown => Some(CachedHeaders::Unknown),
            CachedCopies::Known(page) => {
                Some(CachedHeaders::Known { cache_control: page.cache_control.as_deref(), expires: false })
            }
        }
    }
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An entry of the source is uploaded.
    Upload {
        /// What it replaces.
        subject: Subject,
        /// The index of the walk's entry.
        entry: usize,
        /// Its wave.
        kind: ObjectKind,
        /// The size of what is sent, before compression.
        bytes: u64,
    },
    /// The object is deleted.
    Remove {
        /// The object to delete.
        subject: Subject,
        /// Its size.
        bytes: u64,
        /// Whether it waits until everything else is invalidated.
        late: bool,
    },
    /// The object stays, or is already gone; its URLs are invalidated.
    Evict {
        /// What the edge may hold.
        subject: Subject,
        /// The wave with which it is shown.
        kind: ObjectKind,
    },
    /// The object is no longer in the source, but stays.
    Orphan {
        /// The object that stays.
        subject: Subject,
        /// Its size.
        bytes: u64,
    },
    /// The object is copied onto itself with cache tags.
    Retag {
        /// The object to tag.
        subject: Subject,
        /// Its size.
        bytes: u64,
        /// The manifest's row for it.
        row: Box<Row>,
    },
    /// The object is copied inside S3, from where an earlier deploy or a deploy of another site left it.
    Copy {
        /// What it replaces.
        subject: Subject,
        /// Its wave.
        kind: ObjectKind,
        /// Its size.
        bytes: u64,
        /// The number of its source among those of the plan.
        from: SourceNumber,
        /// The index of the walk's entry to upload if the copy cannot be made; `None` if there is no source.
        otherwise: Option<u32>,
    },
}

impl Change {
    /// The key and the existing object.
    pub fn subject(&self) -> &Subject {
        match self {
            Change::Upload { subject, .. }
            | Change::Remove { subject, .. }
            | Change::Evict { subject, .. }
            | Change::Orphan { subject, .. }
            | Change::Retag { subject, .. }
            | Change::Copy { subject, .. } => subject,
        }
    }

    /// The key and the existing object, without the rest.
    pub fn into_subject(self) -> Subject {
        match self {
            Change::Upload { subject, .. }
            | Change::Remove { subject, .. }
            | Change::Evict { subject, .. }
            | Change::Orphan { subject, .. }
            | Change::Retag { subject, .. }
            | Change::Copy { subject, .. } => subject,
        }
    }

    /// The index of the source's entry, if there is one.
    pub fn entry(&self) -> Option<usize> {
        match self {
            Change::Upload { entry, .. } => Some(*entry),
            Change::Copy { otherwise, .. } => otherwise.map(|at| at as usize),
            _ => None,
        }
    }

    /// The key below the target's prefix.
    pub fn key(&self) -> &str {
        &self.subject().key
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.subject().reason
    }

    /// The ETag of the existing object.
    pub fn before(&self) -> Option<&Etag> {
        self.subject().existing().map(|existing| &existing.etag)
    }

    /// The word for what is done.
    pub fn action(&self) -> Action {
        match self {
            Change::Upload { .. } => Action::Upload,
            Change::Remove { .. } => Action::Prune,
            Change::Evict { .. } => Action::Evict,
            Change::Orphan { .. } => Action::Orphan,
            Change::Retag { .. } => Action::Retag,
            Change::Copy { .. } => Action::Copy,
        }
    }

    /// When it is done.
    pub fn wave(&self) -> Wave {
        match self {
            Change::Upload { kind, .. } | Change::Evict { kind, .. } | Change::Copy { kind, .. } => (*kind).into(),
            Change::Retag { .. } => Wave::Assets,
            Change::Remove { .. } | Change::Orphan { .. } => Wave::Prune,
        }
    }

    /// The size of what is sent, removed or copied.
    pub fn bytes(&self) -> u64 {
        match self {
            Change::Upload { bytes, .. }
            | Change::Remove { bytes, .. }
            | Change::Orphan { bytes, .. }
            | Change::Retag { bytes, .. }
            | Change::Copy { bytes, .. } => *bytes,
            Change::Evict { .. } => 0,
        }
    }

    /// Whether the URLs of the key may answer differently once this is done.
    pub fn is_visible(&self) -> bool {
        !matches!(self, Change::Orphan { .. })
    }

    /// Whether it changes anything in the bucket.
    pub fn is_write(&self) -> bool {
        matches!(self, Change::Upload { .. } | Change::Remove { .. } | Change::Retag { .. } | Change::Copy { .. })
    }

    /// The tags of the copies that the edge may hold, if they are certain.
    ///
    /// `None` if only headers change: whether a copy that is revalidated meanwhile gets the new tags although its
    /// bytes are the same is not documented.
    pub fn tags_of_copies(&self) -> Option<&CopyTags> {
        let sure = matches!(self.reason(), Reason::Size | Reason::Etag | Reason::Orphaned);
        self.subject().copy_tags().filter(|_| sure)
    }
}

/// What became of a change. What most changes come to is in it, and what few do is boxed: a site may have a million.
#[derive(Debug, Clone, Default)]
pub enum ChangeOutcome {
    /// It was not started, because something failed or the run was interrupted; or there is nothing to do in the
    /// bucket.
    #[default]
    NotBegun,
    /// The object was uploaded.
    Uploaded(Uploaded),
    /// The object was removed.
    Removed,
    /// The object carries tags now.
    Retagged(Box<Retagged>),
    /// The object was copied into place.
    Copied(Copied),
    /// The object was left as it is, because it must not be copied.
    LeftAlone(&'static str),
    /// Somebody else wrote the object meanwhile: it was not removed, not created, or not replaced.
    Overwritten,
    /// It failed.
    Failed {
        /// Why.
        error: Box<crate::error::Error>,
        /// Whether it may have succeeded nevertheless: it then counts as changed.
        may_have_succeeded: bool,
    },
}

impl ChangeOutcome {
    /// Whether something was done in the bucket, or may have been.
    pub fn may_have_succeeded(&self) -> bool {
        match self {
            ChangeOutcome::NotBegun | ChangeOutcome::LeftAlone(_) => false,
            ChangeOutcome::Uploaded(_)
            | ChangeOutcome::Removed
            | ChangeOutcome::Retagged(_)
            | ChangeOutcome::Copied(_)
            | ChangeOutcome::Overwritten => true,
            ChangeOutcome::Failed { may_have_succeeded, .. } => *may_have_succeeded,
        }
    }
}

/// What was uploaded.
#[derive(Debug, Clone)]
pub struct Uploaded {
    /// The object's ETag.
    pub etag: Etag,
    /// A digest of the headers it was uploaded with.
    pub headers: HeadersDigest,
    /// The ID of its version, if it has one that stays.
    pub version: Option<Box<str>>,
    /// What else is to be remembered of it, if there is anything.
    pub more: Option<Box<MoreOfUpload>>,
}

/// What only some buckets and settings give to remember of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoreOfUpload {
    /// The ETag of its bytes, where that is another one: under KMS.
    pub content: Option<Box<Etag>>,
    /// What must be remembered of the cache tags that it carries.
    pub memory: Option<Arc<Memory>>,
    /// The result of compressing the file, if that was requested.
    pub compressed: Option<Box<Compressed>>,
    /// The object's size in bytes, if it is not that of the change.
    pub size: Option<u64>,
    /// Whether it is a text that is not UTF-8, or declares another charset, and was sent without one.
    pub has_other_charset: bool,
}

impl ChangeOutcome {
    /// Whether a text was sent without a charset.
    pub fn has_other_charset(&self) -> bool {
        match self {
            ChangeOutcome::Uploaded(uploaded) => uploaded.more.as_ref().is_some_and(|more| more.has_other_charset),
            _ => false,
        }
    }
}

impl Uploaded {
    /// The object's size in bytes, given the change.
    pub fn size(&self, change: &Change) -> u64 {
        self.more.as_ref().and_then(|more| more.size).unwrap_or(change.bytes())
    }
}

impl MoreOfUpload {
    /// The same, unless it is nothing.
    pub fn boxed(self) -> Option<Box<MoreOfUpload>> {
        (self != MoreOfUpload::default()).then(|| Box::new(self))
    }
}

/// What was tagged.
#[derive(Debug, Clone)]
pub struct Retagged {
    /// The object's ETag now.
    pub etag: Etag,
    /// What must be remembered of the cache tags that it carries.
    pub memory: Option<Memory>,
    /// Its version now, if the bucket keeps versions.
    pub version: Option<Box<Version>>,
}

/// The object that was copied from where an earlier deploy left it.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The object's ETag now.
    pub etag: Etag,
    /// The ID of its version now, if it has one that stays.
    pub version: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte is a megabyte of a site of a million files.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn what_each_change_holds_stays_small() {
        assert_eq!((size_of::<Change>(), size_of::<Before>(), size_of::<ChangeOutcome>()), (56, 64, 56));
    }
}
