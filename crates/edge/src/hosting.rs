//! Distributions that have their own functions from the start, as those of a hosted site.

use std::io;
use std::sync::{Arc, RwLock};

use jiff::Timestamp;

use crate::distribution::Distribution;
use crate::distributions::Distributions;
use crate::functions::{Function, Functions, Stage};
use crate::lock::{reading, writing};

/// The functions of a bucket's distribution: the event of each, and its initial version.
pub type FunctionsOfBucket = fn(bucket: &str) -> Vec<(&'static str, Function)>;

/// Distributions and their functions.
#[derive(Debug)]
pub(super) struct Hosting {
    distributions: Arc<Distributions>,
    functions: Arc<Functions>,
    of_bucket: RwLock<Option<FunctionsOfBucket>>,
}

impl Hosting {
    pub(super) fn new(distributions: &Arc<Distributions>, functions: &Arc<Functions>) -> Self {
        let (distributions, functions) = (Arc::clone(distributions), Arc::clone(functions));
        Self { distributions, functions, of_bucket: RwLock::default() }
    }

    /// From now on, the distributions of buckets have these functions; existing ones get them.
    pub(super) fn begin(&self, of_bucket: FunctionsOfBucket) -> io::Result<()> {
        *writing(&self.of_bucket) = Some(of_bucket);
        for found in self.distributions.all() {
            let bucket = found.origins.first().and_then(|origin| origin.bucket());
            if let Some(bucket) = bucket.filter(|bucket| Distribution::for_bucket(bucket).id == found.id) {
                self.give_functions(&found, bucket)?;
            }
        }
        Ok(())
    }

    /// The ID of the distribution of `bucket`, which is created if it does not exist.
    pub(super) fn ensure(&self, bucket: &str) -> io::Result<String> {
        let id = self.distributions.ensure(bucket)?;
        if let Some(found) = self.distributions.get(&id) {
            self.give_functions(&found, bucket)?;
        }
        Ok(id)
    }

    /// Existing functions stay as the last deploy left them.
    fn give_functions(&self, before: &Distribution, bucket: &str) -> io::Result<()> {
        let Some(of_bucket) = *reading(&self.of_bucket) else { return Ok(()) };
        let mut distribution = before.clone();
        for (event, function) in of_bucket(bucket) {
            if self.functions.get(&function.name, Stage::Live).is_none() {
                let put = self.functions.put(&function, Timestamp::now());
                put.map_err(|refusal| io::Error::other(refusal.message))?;
            }
            distribution = distribution.with_function(event, &function.name);
        }
        if distribution.default_behavior.functions == before.default_behavior.functions {
            return Ok(());
        }
        self.distributions.put(distribution)
    }
}
