//! The contents of a key-value store: read as a whole, and changed only under the ETag that they were read with.

use crate::aws::failure::explain;
use crate::cloudfront::Distributions;
use crate::error::{Error, ErrorKind, Result};
use aws_sdk_cloudfrontkeyvaluestore::types::{DeleteKeyRequestListItem, PutKeyRequestListItem};
use std::collections::BTreeMap;
use std::time::Duration;

/// Maximum number of keys in one update, and in one page of a list
/// (<https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_kvs_UpdateKeys.html>).
pub const AT_ONCE: usize = 50;
/// Maximum size of all keys and values of a store, in bytes.
const LARGEST: usize = 5 * 1024 * 1024;

/// A store as it was read.
#[derive(Debug, Clone)]
pub struct StoreContents {
    /// The ARN that identifies it.
    pub arn: String,
    /// Changes with every change of the store; read before its keys were listed.
    pub etag: String,
    /// Keys and values.
    pub values: BTreeMap<String, String>,
}

impl Distributions {
    /// The ETag of a store, and the number of its keys.
    pub async fn store_state(&self, arn: &str) -> Result<(String, i32)> {
        let client = &self.stores;
        let answer = client.describe_key_value_store().kvs_arn(arn).send().await;
        let answer = answer.map_err(|error| explain("DescribeKeyValueStore", &subject(arn), error))?;
        Ok((answer.e_tag, answer.item_count))
    }

    /// The complete contents of a store.
    pub async fn store(&self, arn: &str) -> Result<StoreContents> {
        let (etag, count) = self.store_state(arn).await?;
        let mut store = StoreContents { arn: arn.to_owned(), etag, values: BTreeMap::new() };
        let mut token: Option<String> = None;
        let mut bytes = 0;
        let client = &self.stores;
        if count == 0 {
            return Ok(store);
        }
        loop {
            let listing = client.list_keys().kvs_arn(arn).max_results(AT_ONCE as i32).set_next_token(token);
            let page = listing.send().await.map_err(|error| explain("ListKeys", &subject(arn), error))?;
            let before = store.values.len();
            for item in page.items.unwrap_or_default() {
                bytes += item.key.len() + item.value.len();
                store.values.insert(item.key, item.value);
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(store);
            }
            // No store holds more, and no list of a real one stops progressing.
            if bytes > LARGEST || store.values.len() == before {
                return Err(Error::failed(format!("the list of keys of {} does not end", subject(arn))));
            }
        }
    }

    /// Puts and deletes at most [`AT_ONCE`] keys as one change of the store, if it still has this ETag. Returns the
    /// new ETag.
    pub async fn update_keys(
        &self,
        arn: &str,
        etag: &str,
        puts: &[(String, String)],
        deletes: &[String],
    ) -> Result<String> {
        let put = |(key, value): &(String, String)| PutKeyRequestListItem::builder().key(key).value(value).build();
        let delete = |key: &String| DeleteKeyRequestListItem::builder().key(key).build();
        let puts: Result<Vec<_>, _> = puts.iter().map(put).collect();
        let deletes: Result<Vec<_>, _> = deletes.iter().map(delete).collect();
        let (Ok(puts), Ok(deletes)) = (puts, deletes) else {
            return Err(Error::failed(format!("cannot form the update of {}", subject(arn))));
        };
        let client = &self.stores;
        let request = client.update_keys().kvs_arn(arn).if_match(etag);
        let request = request.set_puts(Some(puts).filter(|puts| !puts.is_empty()));
        let answer = request.set_deletes(Some(deletes).filter(|deletes| !deletes.is_empty())).send().await;
        let answer = answer.map_err(|error| explain("UpdateKeys", &subject(arn), error))?;
        Ok(answer.e_tag)
    }

    /// Waits until a change that CloudFront accepted `since` ago has reached the edge locations.
    pub async fn let_arrive(&self, since: Duration) {
        self.pause(self.way_to_edges.saturating_sub(since)).await;
    }

    /// Waits by the run's clock.
    pub async fn pause(&self, length: Duration) {
        self.clock.sleep(length).await;
    }

    /// How long a change takes to reach the edge locations.
    pub fn way_to_edges(&self) -> Duration {
        self.way_to_edges
    }
}

/// Whether a change was refused because the store has changed: somebody else changed it, or the response to one of
/// this run's changes was lost.
pub fn is_outdated(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::PreconditionFailed)
}

fn subject(arn: &str) -> String {
    format!("the key-value store {arn}")
}
