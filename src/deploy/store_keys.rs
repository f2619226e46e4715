//! The writes to key-value stores: adds the next table before the code that looks for it, and removes the last one
//! once no code does.

use crate::cloudfront::Distributions;
use crate::cloudfront::key_values::{AT_ONCE, is_outdated};
use crate::deploy::rules::keys::StorePlan;
use crate::error::{Error, Result};
use shipfront_site::Warning;

/// How often a store is read again after something else changed it, or the response to a change was lost.
const MOST_LOOKS: usize = 4;

/// The keys of a store to remove once viewers get other code.
#[derive(Debug, Clone)]
pub(super) struct OldKeys {
    arn: String,
    /// The ETag of the store after this run's last write to it.
    etag: String,
    keys: Vec<String>,
}

impl OldKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Removes unused keys and writes missing ones. Under the lock, so nobody else changes the keys of the target.
pub(super) async fn write(plan: &StorePlan, publishes: bool, distributions: &Distributions) -> Result<OldKeys> {
    let mut plan = plan.clone();
    for look in 1.. {
        match write_once(&plan, publishes, distributions).await {
            Err(error) if is_outdated(&error) && look < MOST_LOOKS => {
                plan = plan.wanted.compare(&distributions.store(&plan.arn).await?)?;
            }
            Err(error) if is_outdated(&error) => {
                return Err(error.hint("something else changes the store all the time: run again"));
            }
            Err(error) => return Err(error),
            Ok(etag) => return Ok(OldKeys { arn: plan.arn, etag, keys: plan.old }),
        }
    }
    Err(Error::failed("the key-value store was not written"))
}

async fn write_once(plan: &StorePlan, publishes: bool, distributions: &Distributions) -> Result<String> {
    let mut etag = plan.etag.clone();
    for keys in plan.unused.chunks(AT_ONCE) {
        etag = distributions.update_keys(&plan.arn, &etag, &[], keys).await?;
    }
    // Even if all keys exist, one is written: an earlier run may be about to remove what it considers old, and is
    // refused once the store has a new ETag.
    let puts = match (plan.puts.as_slice(), plan.wanted.entries.first()) {
        ([], Some(first)) if publishes => std::slice::from_ref(first),
        (puts, _) => puts,
    };
    for entries in puts.chunks(AT_ONCE) {
        etag = distributions.update_keys(&plan.arn, &etag, entries, &[]).await?;
    }
    Ok(etag)
}

/// Removes the keys of the previous code. The lock has been released by then, so this happens only while the store
/// is as this run left it. Returns a warning about what could not be done.
pub(super) async fn remove_old(stores: &[OldKeys], distributions: &Distributions) -> Option<Warning> {
    let mut first: Option<Warning> = None;
    for OldKeys { arn, etag, keys } in stores {
        let mut etag = etag.clone();
        for (done, keys_at_once) in keys.chunks(AT_ONCE).enumerate() {
            match distributions.update_keys(arn, &etag, &[], keys_at_once).await {
                Ok(new) => etag = new,
                Err(error) => {
                    let left = keys.len() - done * AT_ONCE;
                    let notice = format!("{left} keys of earlier rules are left in the key-value store: {error}");
                    first = first.or(Some(Warning::new(notice, "the next deploy removes them")));
                    break;
                }
            }
        }
    }
    first
}
