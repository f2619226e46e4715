//! The configuration of a bucket, for `doctor`, and for a deploy that has to explain a record that HEAD may not
//! read.

use crate::error::Result;
use crate::s3::Bucket;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{BucketVersioningStatus, ExpirationStatus, LifecycleRule};

/// What a lifecycle rule does with noncurrent versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRule {
    /// Its name.
    pub name: String,
    /// After how many days they are deleted.
    pub days: Option<i32>,
    /// How many of a key are kept nevertheless.
    pub newer: i32,
    /// After how many days they move to an archive, from which nothing can be copied.
    pub archive_days: Option<i32>,
}

impl VersionRule {
    fn of(rule: &LifecycleRule) -> Option<VersionRule> {
        let expiration = rule.noncurrent_version_expiration();
        let archives = rule.noncurrent_version_transitions().iter().filter(|transition| {
            transition.storage_class().is_some_and(|class| matches!(class.as_str(), "GLACIER" | "DEEP_ARCHIVE"))
        });
        let archive_days = archives.filter_map(|transition| transition.noncurrent_days()).min();
        let days = expiration.and_then(|expiration| expiration.noncurrent_days());
        let newer = expiration.and_then(|expiration| expiration.newer_noncurrent_versions()).unwrap_or(0);
        let name = rule.id().unwrap_or("without a name").to_owned();
        (days.is_some() || archive_days.is_some()).then_some(VersionRule { name, days, newer, archive_days })
    }
}

impl Bucket {
    /// The encryption of new objects: `AES256`, `aws:kms`, `aws:kms:dsse`.
    pub async fn encryption(&self) -> Result<Option<String>> {
        let request = self.client.get_bucket_encryption().bucket(self.target.bucket());
        let answer = match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("ServerSideEncryptionConfigurationNotFoundError") => return Ok(None),
            Err(error) => return Err(self.explain("GetBucketEncryption", error)),
        };
        let rules = answer.server_side_encryption_configuration.map(|found| found.rules).unwrap_or_default();
        let mut defaults = rules.into_iter().filter_map(|rule| rule.apply_server_side_encryption_by_default);
        Ok(defaults.next().map(|default| default.sse_algorithm.as_str().to_owned()))
    }

    /// The rules of the bucket that delete or move noncurrent versions below a prefix, under any condition.
    pub async fn version_rules(&self) -> Result<Vec<VersionRule>> {
        let request = self.client.get_bucket_lifecycle_configuration().bucket(self.target.bucket());
        let answer = match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => return Ok(Vec::new()),
            Err(error) => return Err(self.explain("GetBucketLifecycleConfiguration", error)),
        };
        let prefix = self.target.prefix();
        let applies = |rule: &LifecycleRule| {
            let filter = rule.filter();
            let both = filter.and_then(|filter| filter.and());
            let of_filter = both.and_then(|both| both.prefix()).or(filter.and_then(|filter| filter.prefix()));
            #[expect(deprecated, reason = "rules of before there were filters have it, and still hold")]
            let below = of_filter.or(rule.prefix()).unwrap_or_default();
            rule.status == ExpirationStatus::Enabled && (below.starts_with(prefix) || prefix.starts_with(below))
        };
        let rules = answer.rules.unwrap_or_default().into_iter().filter(applies);
        Ok(rules.filter_map(|rule| VersionRule::of(&rule)).collect())
    }

    /// Whether overwritten and deleted objects can be restored.
    pub async fn keeps_versions(&self) -> Result<bool> {
        let request = self.client.get_bucket_versioning().bucket(self.target.bucket());
        let answer = request.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        let answer = answer.map_err(|error| self.explain("GetBucketVersioning", error))?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }
}
