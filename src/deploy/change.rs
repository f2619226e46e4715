//! What is done with a key, and why.

use serde::{Deserialize, Serialize};
use shipfront_invalidation::tags::copy_tags::{CopyTags, Memory};
use shipfront_invalidation::viewer::CachedHeaders;
use shipfront_site::compression::Compressed;
use shipfront_site::etag::Etag;
use shipfront_site::headers::{Headers, HeadersDigest};
use shipfront_site::{Key, ObjectKind};
use std::sync::Arc;

use crate::record::manifest::{ErrorPage, Row, Version};

/// Why an object is uploaded, kept, evicted or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The target has no such object.
    New,
    /// The sizes differ.
    Size,
    /// The sizes agree, the digest differs from the ETag.
    Etag,
    /// The bytes agree, the headers do not.
    Headers,
    /// The object is no longer in the source.
    Orphaned,
    /// The object is not in the source, and shipfront did not upload it.
    Foreign,
    /// Others wrote or deleted the object, and did not invalidate it.
    #[serde(rename = "untold")]
    NotInvalidated,
    /// An interrupted run may have changed it without invalidating it.
    Recovered,
}

impl Reason {
    /// The word, as in the JSON.
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
    /// The word that people read.
    pub fn text(self) -> &'static str {
        match self {
            Reason::New => "new",
            Reason::Size | Reason::Etag => "changed",
            Reason::Headers => "headers changed",
            Reason::Orphaned => "removed",
            Reason::Foreign => "removed, not uploaded by shipfront",
            Reason::NotInvalidated => "changed by others",
            Reason::Recovered => "left by an interrupted deploy",
        }
    }
}

/// The word for what is done with a key, as the JSON has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The file is sent.
    Upload,
    /// The object is deleted.
    Prune,
    /// The object is no longer in the source, and stays.
    Orphan,
    /// The object stays as it is; its URLs are invalidated.
    Evict,
    /// The object gets cache tags, and keeps its bytes.
    Retag,
    /// The object is copied inside S3.
    Copy,
}

impl Action {
    /// Whether an object is written or deleted by it, not counting tags.
    pub fn moves_bytes(self) -> bool {
        matches!(self, Action::Upload | Action::Copy | Action::Prune)
    }
}

/// When it is done: the waves of a deploy, one after the other.
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

/// The object that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// What its bytes are known by.
    pub etag: Etag,
    /// Its bytes; `None` where it is stored compressed and its size says nothing beside the file's.
    pub size: Option<u64>,
    /// Whether it is ours.
    pub owned: bool,
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
    /// The object that is there now.
    pub existing: Option<Existing>,
    /// The cache tags that it carries, if that is sure.
    pub copy_tags: Option<Arc<CopyTags>>,
    /// What its copies say of how long they live.
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

/// What is known of the copies that the edge may hold of an object: for how long they live matters of error pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CachedCopies {
    /// There are none, because there was no object.
    Nothing,
    /// Nothing is known.
    #[default]
    Unknown,
    /// This is what they say.
    Known(Box<ErrorPage>),
}

impl CachedCopies {
    /// The same, as what is invalidated is decided by it; `None` where there are none.
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
    /// An entry of the source is sent.
    Upload {
        /// What it replaces.
        subject: Subject,
        /// Which entry of the walk.
        entry: usize,
        /// In which wave.
        kind: ObjectKind,
        /// The size of what is sent, before it is compressed.
        bytes: u64,
    },
    /// The object is deleted.
    Remove {
        /// What goes.
        subject: Subject,
        /// Its size.
        bytes: u64,
        /// Whether it waits until everything else is invalidated.
        late: bool,
    },
    /// The object stays, or is gone already; its URLs are invalidated.
    Evict {
        /// What the edge may hold.
        subject: Subject,
        /// With which wave it is shown.
        kind: ObjectKind,
    },
    /// The object is no longer in the source, and stays.
    Orphan {
        /// What stays.
        subject: Subject,
        /// Its size.
        bytes: u64,
    },
    /// The object is copied onto itself with cache tags.
    Retag {
        /// What gets them.
        subject: Subject,
        /// Its size.
        bytes: u64,
        /// What the manifest says of it.
        row: Box<Row>,
    },
    /// The object is copied inside S3, from where an earlier deploy or a deploy of another site left it.
    Copy {
        /// What it replaces.
        subject: Subject,
        /// In which wave.
        kind: ObjectKind,
        /// Its size.
        bytes: u64,
        /// Where it is.
        from: Box<CopyFrom>,
    },
}

impl Change {
    /// The key and what is there.
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

    /// The key and what is there, without the rest.
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

    /// The entry of the source that it is about, if it is about one.
    pub fn entry(&self) -> Option<usize> {
        match self {
            Change::Upload { entry, .. } => Some(*entry),
            Change::Copy { from, .. } => from.otherwise,
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

    /// The ETag of the object that is there now.
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

    /// When.
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

    /// Whether anything in the bucket changes by this.
    pub fn is_write(&self) -> bool {
        matches!(self, Change::Upload { .. } | Change::Remove { .. } | Change::Retag { .. } | Change::Copy { .. })
    }

    /// The tags of the copies that the edge may hold, if they are sure.
    ///
    /// Not where only headers change: whether a copy that is revalidated meanwhile takes over the new
    /// tags, its bytes being the same, is not documented.
    pub fn tags_of_copies(&self) -> Option<&CopyTags> {
        let sure = matches!(self.reason(), Reason::Size | Reason::Etag | Reason::Orphaned);
        self.subject().copy_tags().filter(|_| sure)
    }
}

/// What became of a change. What most changes come to is in it, and what few do is boxed: a site may have a million.
#[derive(Debug, Clone, Default)]
pub enum ChangeOutcome {
    /// It was not begun, because something failed or the run was interrupted; or there is nothing to do in the
    /// bucket.
    #[default]
    NotBegun,
    /// The object is there.
    Uploaded(Uploaded),
    /// The object is gone.
    Removed,
    /// The object carries tags.
    Retagged(Box<Retagged>),
    /// The object is what it was.
    Copied(Copied),
    /// The object was left as it is, because it must not be copied.
    LeftAlone(&'static str),
    /// Others have written the object meanwhile: it was not removed, not created, or not replaced.
    Overwritten,
    /// It failed.
    Failed {
        /// Why.
        error: Box<crate::error::Error>,
        /// Whether it may be done all the same: it then counts as changed.
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
    /// Bytes of the object.
    pub size: u64,
    /// A digest of the headers it was uploaded with.
    pub headers: HeadersDigest,
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
    /// What came of compressing the file, where that was asked for.
    pub compressed: Option<Box<Compressed>>,
    /// Its version, where the bucket keeps versions.
    pub version: Option<Version>,
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
    /// Its version now, where the bucket keeps versions.
    pub version: Option<Box<Version>>,
}

/// What was copied from where an earlier deploy left it.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The object's ETag now.
    pub etag: Etag,
    /// Its version now, where the bucket keeps versions.
    pub version: Option<Box<Version>>,
}

/// Where the bytes of a copy are, with all that the copy must say again, and the row that the object had there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFrom {
    /// The object as the earlier deploy left it.
    pub place: crate::s3::copy::Source,
    /// What the earlier deploy's manifest says of it.
    pub row: Row,
    /// The headers that it has there; shared, because a site has few different ones.
    pub headers: Arc<Headers>,
    /// The cache tags that it carries.
    pub memory: Option<Memory>,
    /// What its copies say of their lifetime, where a distribution serves it as an error page.
    pub error_page: Option<ErrorPage>,
    /// The entry of the source that is uploaded where the copy cannot be made; `None` where there is no source.
    pub otherwise: Option<usize>,
}
