//! The source of a copy in a plan: an object that an earlier deploy or a deploy of another site left.

use crate::record::manifest::{ErrorPage, RecordedObject, Row};
use crate::s3::copy::Source;
use shipfront_invalidation::tags::copy_tags::{Memory, Shared};
use shipfront_site::etag::Etag;
use shipfront_site::headers::Headers;
use shipfront_site::{Key, Target};
use std::sync::Arc;

/// The source of a copy, with everything that the copy must set again, and the row that the object had there. Small,
/// because a whole site may be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFrom {
    /// What it has in common with other sources.
    pub common: Arc<CommonSource>,
    /// The key there.
    pub key: Key,
    /// The version there; `None` is the newest one.
    pub version: Option<Box<str>>,
    /// The ETag there, if it differs from that of the row.
    pub etag: Option<Box<Etag>>,
    /// What the earlier deploy's manifest says about it.
    pub object: RecordedObject,
    /// The cache tags that it carries.
    pub memory: Option<Memory>,
    /// The lifetime of its cached copies, if a distribution serves it as an error page.
    pub error_page: Option<Box<ErrorPage>>,
    /// The index of the source's entry to upload if the copy cannot be made; `None` if there is no source.
    pub otherwise: Option<usize>,
}

/// What many sources of copies have in common: a site has few different headers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommonSource {
    /// The bucket and its folder.
    pub target: Arc<Target>,
    /// The storage class of the copies; `None` is the default one.
    pub class: Option<Box<str>>,
    /// The headers that they have there.
    pub headers: Headers,
}

impl CopyFrom {
    /// The source of a copy. `row` is what the manifest says about the object.
    pub fn new(place: Source, headers: Headers, row: Row, common: &Shared<CommonSource>) -> CopyFrom {
        let Source { target, key, version, etag, class, size: _, redirect: _ } = place;
        let etag = (etag != row.etag).then(|| Box::new(etag));
        let common = common.share(CommonSource { target, class, headers });
        CopyFrom { common, key, version, etag, object: row.into(), memory: None, error_page: None, otherwise: None }
    }

    /// The source as a request needs it.
    pub fn place(&self) -> Source {
        let CommonSource { target, class, headers } = &*self.common;
        Source {
            target: target.clone(),
            key: self.key.clone(),
            version: self.version.clone(),
            etag: self.etag.as_deref().unwrap_or(&self.object.etag).clone(),
            size: self.object.size,
            class: class.clone(),
            redirect: headers.website_redirect.as_deref().map(Into::into),
        }
    }
}
