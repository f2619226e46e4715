//! Copies of replaced or removed objects, for buckets that keep no versions of them: stored in the record, named by
//! their contents, and only as long as a kept deploy needs them.

use crate::error::{ErrorKind, Result};
use crate::record::Record;
use crate::record::history::Deployed;
use crate::record::manifest::Row;
use crate::s3::copy::{Guard, Replaced, Source};
use crate::s3::head::Head;
use crate::s3::{Bucket, MAX_DELETE_KEYS, Start};
use shipfront_site::etag::{Etag, hex, md5};
use std::collections::HashSet;

/// The folder of the copies, inside the record's.
const FOLDER: &str = "kept/";

/// The name of an object's copy, from its bytes and its headers.
fn name(row: &Row) -> String {
    let etag = match &row.etag {
        Etag::Opaque(text) => hex(&md5(text.as_bytes())),
        etag => etag.to_string(),
    };
    let headers = row.headers.map_or_else(|| "unknown".to_owned(), |headers| headers.to_string());
    format!("{FOLDER}{etag}-{headers}")
}

impl Record {
    /// Keeps a copy of the object in `bucket` that a row describes, unless there is one. An object that has been
    /// replaced since is not kept: shipfront does not own it.
    pub async fn keep(&self, bucket: &Bucket, key: &str, row: &Row) -> Result<()> {
        // What a copy does not preserve must be set explicitly, and so must be requested first.
        let Some(head) = bucket.head(key).await?.filter(|head| head.etag == row.etag) else { return Ok(()) };
        let source = Source {
            target: bucket.shared_target(),
            key: key.into(),
            version: None,
            etag: head.etag,
            size: head.size,
            class: head.headers.storage_class.map(Into::into),
            redirect: head.headers.website_redirect.map(Into::into),
        };
        let name = name(row);
        let copied = match Box::pin(self.bucket.copy(&source, &name, Replaced::Nothing, Guard::Condition)).await {
            Err(error) if error.kind() == ErrorKind::NotImplemented => {
                Box::pin(self.bucket.copy(&source, &name, Replaced::Nothing, Guard::Look)).await
            }
            copied => copied,
        };
        match copied {
            // It was deleted or replaced since that request.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PreconditionFailed) => Ok(()),
            copied => copied.map(|_| ()),
        }
    }

    /// The copy of an object as a row describes it, if one is kept.
    pub async fn kept(&self, row: &Row) -> Result<Option<(Source, Head)>> {
        let name = name(row);
        let found = self.bucket.head(&name).await?.filter(|head| head.size == row.size);
        Ok(found.map(|head| {
            let source = Source {
                target: self.bucket.shared_target(),
                key: name.into(),
                version: None,
                etag: head.etag.clone(),
                size: head.size,
                class: head.headers.storage_class.as_deref().map(Into::into),
                redirect: head.headers.website_redirect.as_deref().map(Into::into),
            };
            (source, head)
        }))
    }

    /// Removes the copies that no deploy of the history needs. If anything cannot be read, all of them stay: the
    /// next deploy checks again.
    pub(super) async fn prune_kept(&self, history: &[Deployed]) {
        // Listed first, so copies that are kept from now on are not affected.
        let Some(copies) = self.kept_copies().await.filter(|copies| !copies.is_empty()) else { return };
        let mut needed = HashSet::new();
        for deployed in history {
            let Ok(found) = self.manifest(&deployed.deploy).await else { return };
            // A manifest that an earlier version removed needs nothing.
            let Some(manifest) = found else { continue };
            needed.extend(manifest.into_rows().map(|(_, row)| name(&row)));
        }
        let needless: Vec<String> = copies.into_iter().filter(|name| !needed.contains(name)).collect();
        for names in needless.chunks(MAX_DELETE_KEYS) {
            self.remove(names).await;
        }
    }

    async fn kept_copies(&self) -> Option<Vec<String>> {
        let (mut names, mut start) = (Vec::new(), Some(Start::After(FOLDER.to_owned())));
        while let Some(from) = start {
            let page = self.bucket.list(from).await.ok()?;
            let ended = page.objects.iter().any(|object| !object.key.starts_with(FOLDER));
            names.extend(page.objects.into_iter().map(|object| object.key).filter(|key| key.starts_with(FOLDER)));
            start = page.next.map(Start::Token).filter(|_| !ended);
        }
        Some(names)
    }
}
