//! The distributions that serve a bucket, cached from one invocation to the next.

use crate::clock::Stopwatch;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{refuse_other_buckets, shapes};
use crate::error::Result;
use crate::lambda::EntryPoint;
use crate::s3::Bucket;
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::viewer::{DistributionShape, is_mistaken};
use shipfront_site::Target;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the result counts: a change of a distribution takes minutes to propagate as well.
const FRESH: Duration = Duration::from_secs(300);

/// A bucket and the distributions that serve it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bucket: Bucket,
    pub(super) shapes: Vec<(DistributionId, DistributionShape)>,
}

/// The results, by bucket.
#[derive(Debug, Default)]
pub(in crate::lambda) struct Buckets {
    found: Mutex<HashMap<String, (Stopwatch, Arc<Found>)>>,
}

impl Buckets {
    /// The bucket with this name and the function's distributions.
    pub(super) async fn find(&self, entry_point: &EntryPoint, name: &str) -> Result<Arc<Found>> {
        let mut known = self.found.lock().await;
        if let Some((since, found)) = known.get(name)
            && since.elapsed() < FRESH
        {
            return Ok(found.clone());
        }
        let bucket = Bucket::open(&entry_point.aws, &Target::whole(name)?, None, async |_| Ok(())).await;
        let (bucket, ()) = bucket?;
        let settings = &entry_point.settings;
        let distributions = Distributions::new(&entry_point.aws);
        let shapes = shapes(&distributions, &settings.distributions, settings.any_origin, name).await?;
        // A function may be for several buckets, each with its own distributions.
        let (others, shapes): (Vec<_>, Vec<_>) = shapes.into_iter().partition(|(_, shape)| is_mistaken(shape, name));
        if shapes.is_empty() {
            refuse_other_buckets(&others, name)?;
        }
        let found = Arc::new(Found { bucket, shapes });
        known.insert(name.to_owned(), (entry_point.aws.clock().start(), found.clone()));
        Ok(found)
    }

    /// Clears the results, so that the next call searches again.
    pub(super) async fn forget(&self) {
        self.found.lock().await.clear();
    }
}
