//! What the target holds now.

use crate::bucket::{Bucket, RemoteObject};
use crate::error::{Error, Result};
use crate::site::{RECORD_FOLDER, Target};

/// Lists the target but for the deploy record, page by page, in key order. `listed` is told the number of objects so far.
pub async fn list(
    bucket: &Bucket,
    record: Option<&Target>,
    listed: &(dyn Fn(u64) + Sync),
) -> Result<Vec<RemoteObject>> {
    // Wherever the record is kept, it is no part of the site.
    let target = bucket.target();
    let record = record.filter(|record| record.bucket() == target.bucket());
    let record = record.and_then(|record| record.prefix().strip_prefix(target.prefix())).unwrap_or(RECORD_FOLDER);
    let mut objects: Vec<RemoteObject> = Vec::new();
    let mut token = None;
    loop {
        let page = bucket.list(token).await?;
        for object in page.objects {
            // The merge with the source relies on the order; S3 promises it, others may not.
            if objects.last().is_some_and(|last| last.key >= object.key) {
                return Err(Error::failed(format!("the bucket lists {:?} out of order", object.key))
                    .hint("shipfront needs a store that lists keys in UTF-8 order, as S3 does"));
            }
            // The empty key is the marker object of the prefix itself.
            let ours = object.key.starts_with(RECORD_FOLDER) || object.key.starts_with(record);
            if !object.key.is_empty() && !ours {
                objects.push(object);
            }
        }
        listed(objects.len() as u64);
        match page.next {
            Some(next) => token = Some(next),
            None => return Ok(objects),
        }
    }
}
