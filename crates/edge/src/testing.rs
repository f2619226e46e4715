//! What tests set up.
//!
//! These methods cover what S3's and CloudFront's own calls cannot: distributions, the properties of a bucket,
//! faults, the clock.

mod observed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use observed::{CachedCopy, ObjectSummary};

use crate::bucket::{BucketSettings, Contents, CopyConditions, Object};
use crate::functions;
use crate::invalidation::Refusal;
use crate::lock::{reading, writing};
use crate::versions::{Versioning, Versions};
use crate::{
    CachePolicy, Distribution, Edge, EdgeError, Faults, Function, InProgressQuota, KeyValueStore, Progress, Quotas,
    Stage, Tenant,
};

/// What a bucket contained at some moment, with its versions. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct BucketContents(BTreeMap<String, Arc<Object>>, Versions);

impl Edge {
    /// What a bucket contains now, for many tests that start from the same state.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn bucket_contents(&self, bucket: &str) -> Result<BucketContents, EdgeError> {
        let missing = |_| EdgeError::NoSuchBucket(bucket.to_owned());
        let found = self.state.store.bucket(bucket).map_err(missing)?;
        let contents = reading(&found.contents);
        Ok(BucketContents(contents.objects.clone(), contents.versions.clone()))
    }

    /// Replaces the contents of a bucket with what a bucket contained before, here or at another edge: no versions
    /// of the current contents are kept, and the replacement does not count as a change.
    ///
    /// # Errors
    /// A bucket that does not exist, or an edge that stores its objects in a directory.
    pub fn set_bucket_contents(&self, bucket: &str, contents: &BucketContents) -> Result<(), EdgeError> {
        let missing = |_| EdgeError::NoSuchBucket(bucket.to_owned());
        let found = self.state.store.bucket(bucket).map_err(missing)?;
        let BucketContents(objects, versions) = contents.clone();
        found.replace_all(Contents { objects, versions, journal: None }).map_err(EdgeError::Write)
    }

    /// The distribution with this ID.
    #[must_use]
    pub fn distribution(&self, id: &str) -> Option<Distribution> {
        self.state.distributions.get(id)
    }

    /// All distributions, in order of creation.
    #[must_use]
    pub fn distributions(&self) -> Vec<Distribution> {
        self.state.distributions.all()
    }

    /// Adds or replaces a distribution, and gives it a new ETag.
    ///
    /// # Errors
    /// A behavior whose target does not exist, or a disk that refuses the change.
    pub fn put_distribution(&self, distribution: Distribution) -> Result<(), EdgeError> {
        let index_rewrite = Function::index_rewrite();
        let is_used = distribution.has_function(&functions::arn(&index_rewrite.name));
        if is_used && self.function(&index_rewrite.name, Stage::Live).is_none() {
            self.put_function(&index_rewrite)?;
        }
        self.state.distributions.put(distribution).map_err(EdgeError::Write)
    }

    /// Sets whether the configuration of a distribution is still on its way to the edge locations, which until then
    /// read no cache tags.
    pub fn set_deploying(&self, id: &str, deploying: bool) {
        self.state.distributions.set_deploying(id, deploying);
    }

    /// Adds or replaces a function, live at once; returns its ARN.
    ///
    /// # Errors
    /// A function that CloudFront would not accept, or a disk that refuses the change.
    pub fn put_function(&self, function: &Function) -> Result<String, EdgeError> {
        let refused = |refusal: Refusal| EdgeError::Function(function.name.clone(), refusal.message);
        self.state.functions.put(function, self.state.timeline.time()).map_err(refused)?;
        Ok(functions::arn(&function.name))
    }

    /// A function in a stage.
    #[must_use]
    pub fn function(&self, name: &str, stage: Stage) -> Option<Function> {
        self.state.functions.get(name, stage).map(|(version, _)| version.function)
    }

    /// Adds a key-value store, or replaces its contents.
    ///
    /// # Errors
    /// A disk that refuses the change.
    pub fn put_key_value_store(
        &self,
        name: &str,
        comment: &str,
        values: BTreeMap<String, String>,
    ) -> Result<KeyValueStore, EdgeError> {
        let now = self.state.timeline.time();
        self.state.key_value_stores.put(name, comment, values, now).map_err(EdgeError::Write)
    }

    /// A key-value store.
    #[must_use]
    pub fn key_value_store(&self, name: &str) -> Option<KeyValueStore> {
        self.state.key_value_stores.named(name)
    }

    /// Removes a distribution.
    ///
    /// # Errors
    /// A disk that refuses the change.
    pub fn remove_distribution(&self, id: &str) -> Result<(), EdgeError> {
        self.state.distributions.remove(id).map_err(EdgeError::Write)
    }

    /// Adds or replaces a tenant of a distribution.
    ///
    /// # Errors
    /// A distribution that does not exist, or a disk that refuses the change.
    pub fn put_tenant(&self, tenant: Tenant) -> Result<(), EdgeError> {
        if self.distribution(&tenant.distribution_id).is_none() {
            return Err(EdgeError::NoSuchDistribution(tenant.distribution_id));
        }
        self.state.distributions.put_tenant(tenant).map_err(EdgeError::Write)
    }

    /// Chooses the distribution that answers on hosts that do not name one; until then, it is the first one.
    ///
    /// # Errors
    /// A distribution that does not exist, or a disk that refuses the change.
    pub fn set_default(&self, id: &str) -> Result<(), EdgeError> {
        if self.distribution(id).is_none() {
            return Err(EdgeError::NoSuchDistribution(id.to_owned()));
        }
        self.state.distributions.set_default(id).map_err(EdgeError::Write)
    }

    /// Adds or replaces a cache policy, for this process.
    pub fn put_cache_policy(&self, policy: CachePolicy) {
        self.state.distributions.put_policy(policy);
    }

    /// Sets the region of a bucket for this process: requests signed for another are answered with 301.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_bucket_region(&self, bucket: &str, region: &str) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.region = Some(region.to_owned()))
    }

    /// Makes ETags of later writes independent of the bytes, as with SSE-KMS, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_opaque_etags(&self, bucket: &str, opaque: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.opaque_etags = opaque)
    }

    /// Makes the origin answer 403 instead of 404 for a missing key, as without `s3:ListBucket`.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_missing_forbidden(&self, bucket: &str, forbidden: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.missing_is_forbidden = forbidden)
    }

    /// Makes writes succeed regardless of their conditions, as in some other stores, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_ignore_conditions(&self, bucket: &str, ignore: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.ignores_conditions = ignore)
    }

    /// Refuses uploads with a checksum other than Content-MD5, as some other stores do, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_refuses_checksums(&self, bucket: &str, refuse: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.refuses_checksums = refuse)
    }

    /// Returns each page of a listing in reverse order, which S3 never does, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_lists_backwards(&self, bucket: &str, backwards: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.lists_backwards = backwards)
    }

    /// Allows objects to have ACLs, as in buckets created before 2023, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_acls(&self, bucket: &str, acls: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.acls = acls)
    }

    /// Allows objects to be locked, for this process: the bucket reports that it has Object Lock. The edge locks
    /// none.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_object_lock(&self, bucket: &str, object_lock: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.object_lock = object_lock)
    }

    /// Sets how copies in a bucket treat their conditions, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_copy_conditions(&self, bucket: &str, conditions: CopyConditions) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.copy_conditions = conditions)
    }

    /// Makes `CopyObject` refuse objects larger than this many bytes, as S3 does above 5 GB, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_largest_copy(&self, bucket: &str, bytes: u64) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.largest_copy = Some(bytes))
    }

    /// Enables or suspends versioning, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_versioning(&self, bucket: &str, enabled: bool) -> Result<(), EdgeError> {
        let versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
        self.settings(bucket, |settings| settings.versioning = Some(versioning))
    }

    /// Moves a version to another storage class, as a lifecycle rule does.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_version_class(&self, bucket: &str, key: &str, version: &str, class: &str) -> Result<(), EdgeError> {
        let missing = |_| EdgeError::NoSuchBucket(bucket.to_owned());
        self.state.store.bucket(bucket).map_err(missing)?.set_version_class(key, version, class);
        Ok(())
    }

    fn settings(&self, bucket: &str, change: impl FnOnce(&mut BucketSettings)) -> Result<(), EdgeError> {
        let missing = |_| EdgeError::NoSuchBucket(bucket.to_owned());
        let found = self.state.store.bucket(bucket).map_err(missing)?;
        change(&mut writing(&found.settings));
        Ok(())
    }

    /// The fault script.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// Sets how long later invalidations are in progress. By default, until the first poll.
    pub fn set_invalidation_progress(&self, progress: Progress) {
        self.state.invalidations.set_progress(progress);
    }

    /// Sets the quotas of invalidations, with full buckets. The default is none.
    ///
    /// After [`Edge::stop_clock`], the buckets fill only when [`Edge::advance_clock`] is called, so a test of a
    /// refusal and of what follows takes no time; with [`Quotas::sped_up`], a client that waits by its own clock
    /// waits for a shorter time.
    pub fn set_invalidation_quotas(&self, quotas: Quotas) {
        self.state.invalidations.set_quotas(quotas);
    }

    /// Sets only the older rule, with as many wildcards as paths; the other quotas stay.
    pub fn limit_invalidations_in_progress(&self, most: Option<usize>) {
        let quota = most.map(|most| InProgressQuota { paths: most, wildcards: most });
        self.state.invalidations.limit_in_progress(quota);
    }

    /// Maximum number of distributions or invalidations in one page of a list.
    pub fn set_list_page_size(&self, size: usize) {
        self.state.list_page_size.store(size.max(1), Ordering::Relaxed);
    }

    /// Stops the clock of the cache, of invalidations and of their quotas: from now on only [`Edge::advance_clock`]
    /// moves it, and the speed of the machine does not matter. S3's own dates continue.
    pub fn stop_clock(&self) {
        self.state.timeline.stop();
    }

    /// Advances the clock: of the cache, of invalidations and their quotas, of S3's dates, and of the times at
    /// which S3 stores later objects.
    pub fn advance_clock(&self, by: Duration) {
        self.state.timeline.advance(by);
    }
}
